//! What the targets share: files that live in memory, a recording as a killed program leaves it, and every question to
//! what can be read of one.
//!
//! Nothing here may panic, run for long or ask for much memory, whatever the bytes are; that is all that is checked,
//! together with what each target says at its top.
#![forbid(unsafe_code)]

mod ask;
mod files;
mod killed;
mod seeds;

pub use ask::{ask, read_segment};
pub use files::{Folder, folder};
pub use killed::{Files, killed};
pub use seeds::write_seeds;
