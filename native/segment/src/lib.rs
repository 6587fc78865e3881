//! One file of the store: a header, then checksummed blocks of events, each written once.
//!
//! A segment is self-contained: every atom, process and site that its events name is defined in it, before the
//! first event that uses it. So one segment can be read, dropped or sent alone. `docs/format.md` draws the bytes;
//! [`layout`] is where they are in code.
//!
//! Useful for: appending events in order of arrival, reading a range of blocks. Not for: finding an event by what is
//! in it; that is an index's work (`query`).
//!
//! This room knows nothing of rings, threads or the set of segments. Bytes from a file can be anything: they give
//! events or a [`Damage`], never a panic.
#![forbid(unsafe_code)]

mod block;
mod builder;
mod front;
pub mod layout;
mod pack;
mod reader;
mod writer;

pub use block::{Block, Event, Events};
pub use builder::BlockBuilder;
pub use front::{Calibration, Front, Place, ProcessEntry, RingMark, SiteEntry};
pub use pack::pack;
pub use reader::{Damage, Segment};
pub use writer::SegmentWriter;
