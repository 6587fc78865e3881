//! What happened, and its bytes.
//!
//! An event is a [`Kind`], a time, a process, a site in the code, and a *payload*: one small number followed by
//! values. Values are a flat prefix code (see [`value`]), so a payload is copied, skipped and translated by one
//! straight walk over its tokens, however deep the term was.
//!
//! Two forms of the same bytes exist. In a ring, atoms and pids stand as the machine words that they are in the
//! running VM. In a segment they are numbers of [`Definition`]s that the segment holds itself. [`value::translate`]
//! turns the one into the other.
//!
//! This room knows nothing of rings, files, threads or the VM.
#![forbid(unsafe_code)]

mod buffer;
pub mod codec;
mod definition;
mod gap;
mod kind;
mod record;
pub mod value;
pub mod varint;

pub use buffer::{Buffer, Out};
pub use definition::{Definition, Pid, Site};
pub use gap::Gap;
pub use kind::{Kind, LinkAction, LossCause, NodeKind, StateOrigin};
pub use record::{BRIEF, HEAD, Record};

/// Bytes that do not follow the format. From a ring of this process it would be a bug; from a file it is damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed bytes: expected {}", self.0)
    }
}

impl std::error::Error for Malformed {}
