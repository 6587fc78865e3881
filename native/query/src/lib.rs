//! Answers about the past, over the segments of one run.
//!
//! A [`Recording`] is a shelf of segments and an [`Index`] of what is in them. The index is a pure function of the
//! blocks and grows with them: each query first reads the blocks that are new, so a live recording, a finished one
//! and a recovered one are asked in the same way.
//!
//! Useful for: events by time, process, site and kind; calls with their returns; the state of a process at a moment.
//!
//! This room knows nothing of rings, threads or the VM: values stay encoded.
#![forbid(unsafe_code)]

mod calls;
mod events;
mod index;
mod recording;
mod row;
mod states;

pub use calls::{Call, Ending};
pub use events::{Filter, Page};
pub use index::{Gap, Index, Process};
pub use recording::Recording;
pub use row::{Row, Table};
pub use states::StateAnswer;
