//! What is secret by its name.
//!
//! [`Keys`] says whether a name is that of a secret, [`Structs`] whether it is one in a text about a struct. [`scrub`] takes values with such
//! names out of texts, and [`holds_secret`] looks for them in a function as the VM writes it. Nothing here knows the VM: the edge walks terms, and asks.
//!
//! A name that is no secret's costs a look into a cache at the edge; a text without a sign that could stand between a name
//! and its value costs [`may_hold`]. Nothing else of this room is on the way of most events.
#![forbid(unsafe_code)]

mod closure;
mod extent;
mod keys;
mod scrub;
mod structs;

pub use closure::{Names, holds_secret};
pub use extent::begins_with_scheme;
pub use keys::{Keys, LONGEST};
pub use scrub::{MARK, Secrecy, may_hold, scrub};
pub use structs::{Mentioned, Structs};
