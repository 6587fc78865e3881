//! Time: raw ticks on the hot path, nanoseconds of system time everywhere else.
//!
//! An event is stamped with the processor's counter, which costs about half of an empty NIF call. What a tick
//! means is said by a [`Timeline`]: straight pieces that join without a step. A piece is published *before* the
//! moment from which it holds, so `now()` and the time later given to an event by the drain thread are the same
//! function of the same counter: they can be compared, and the time of an event never changes.
//!
//! Nanoseconds count from the Unix epoch as the system clock had it when the clock was made, and then follow the
//! monotonic clock: a step of the system clock cannot reorder events.
//!
//! This room knows nothing of events, rings or files.
#![forbid(unsafe_code)]

mod clock;
mod timeline;

pub use clock::Clock;
pub use timeline::{Nanos, Piece, Ticks, Timeline};
