//! From rings to the store.
//!
//! [`drain`] merges the rings by time and gives their records to the store's writer. [`Recorder`] does that in a
//! thread of its own while the VM runs. [`recover`] does it once more for the rings that a dead VM left behind, so
//! that a live recording and a killed one come to the store by the same code.
#![forbid(unsafe_code)]

mod drain;
mod recover;
mod thread;

pub use drain::{Drained, Tap, drain};
pub use recover::{Recovered, recover};
pub use thread::{Flight, Observer, Recorder, Status};
