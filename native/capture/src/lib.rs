//! The hot path: from "this happened" to a record in the ring of the calling thread.
//!
//! [`record`] is the one door. When nothing is recorded it costs a load and a branch. Otherwise it encodes into a
//! buffer of the thread and copies that into the thread's ring: no lock, no allocation and no system call, save at
//! the first event of a thread, the first sight of an atom, process or site, and a ring that is half full.
//!
//! A [`Session`] is what one recording shares between threads. This room knows nothing of the VM (the edge gives
//! it words and their meanings) and nothing of the store.
#![forbid(unsafe_code)]

mod brief;
mod counts;
mod overflow;
mod pen;
mod record;
mod session;

pub use counts::Counts;
pub use overflow::{Overflow, Triggers};
pub use pen::{Pen, Slot, Table};
pub use record::{Origin, Outcome, ask, count, is_held, record, record_as, record_brief, release};
pub use session::{
    Limits, RingEnd, Session, Thread, current, epoch, generation, is_muted, is_ours, is_sensitive, mute, own,
    sensitive, unmute,
};
