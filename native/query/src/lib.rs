//! Answers about the past, over the segments of one run.
//!
//! A [`Recording`] is a shelf of segments and an [`Index`] of what is in them. The index is a pure function of the
//! fronts of the blocks and grows with them: a query first reads those that are new, so a live recording, a finished one
//! and a recovered one are asked in the same way. An index never changes once it is given out; a new one shares with it
//! all that stayed.
//!
//! Useful for: events by time, process, site and kind; calls with their returns; the state of a process at a moment.
//!
//! This room knows nothing of rings, threads or the VM: values stay encoded.
#![forbid(unsafe_code)]

mod breaks;
mod calls;
mod counted;
mod events;
mod filter;
mod index;
mod kin;
mod mailboxes;
mod messages;
mod part;
mod recording;
mod row;
mod spread;
mod stack;
mod stacks;
mod states;
mod stats;
mod tree;
mod verify;
mod volume;

pub use calls::{Call, Ending};
pub use elixir_scope_event::Gap;
pub use events::Page;
pub use filter::Filter;
pub use index::{Index, Process};
pub use kin::Kin;
pub use messages::{Message, Outcome, Pass, Passes, Vm, Wanted};
pub use part::Defined;
pub use recording::Recording;
pub use row::Row;
pub use spread::Spread;
pub use stack::Open;
pub use stacks::Figures;
pub use states::{Base, Chain, StateAnswer, States, number as state_number};
pub use stats::{Function, Stacked, Stats};
pub use tree::{Label, Node};
pub use verify::Verified;
pub use volume::Volume;
