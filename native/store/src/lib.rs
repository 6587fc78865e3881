//! A run: everything that one recording left on disk.
//!
//! ```text
//! <dir>/<run>/manifest            who recorded, with what, when
//!             lock                held by the recording VM while it lives
//!             dictionary          words and sites (room `dictionary`)
//!             rings/<n>.ring      what was not drained yet (room `ring`)
//!             segments/<n>.seg    the events (room `segment`)
//! ```
//!
//! [`Writer`] turns records of the rings into events of segments; [`Shelf`] is the set of segments that readers look
//! at, published without a lock; [`Keeper`] packs the segments that are sealed and removes the oldest; [`Run`] is the folder
//! and its lock.
//!
//! This room knows nothing of rings, threads and queries.
#![forbid(unsafe_code)]

mod error;
mod keeper;
mod manifest;
mod meaning;
mod remnant;
mod run;
mod shelf;
mod writer;

pub use error::StoreError;
pub use keeper::{Keeper, Retention};
pub use manifest::Manifest;
pub use meaning::Meaning;
pub use run::{Run, RunPath};
pub use shelf::Shelf;
pub use writer::{Limits, Writer};
