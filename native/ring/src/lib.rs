//! A byte ring between one producer and one consumer, in memory that outlives the process.
//!
//! The producer is a thread that must never wait: [`Producer::push`] copies a frame and publishes it with one
//! release store, or says why it cannot. The consumer looks at frames where they lie and gives the room back when
//! it is done with them. What could not be pushed is counted in the ring itself, in 64 bits, by cause. A ring may
//! instead overwrite its oldest frames ([`Policy::Overwrite`]): then it always holds the latest, its reader takes copies,
//! and is told how many frames were gone before it came.
//!
//! The memory is a file mapped by both ([`file`]): when the VM is killed, everything published up to that
//! instruction is in the file, and [`file::open`] reads it. Every frame is checked then.
//!
//! The protocol (module [`protocol`]) is written once over the [`memory::Memory`] trait and runs on mapped memory,
//! on plain memory and on loom's model of memory alike.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let (mut producer, mut consumer) = elixir_scope_ring::file::create(&dir.path().join("0.ring"), 1 << 16)?;
//! producer.push(7, &[b"he", b"llo"])?;
//! assert_eq!(consumer.refresh(), 1 << 4);
//! let frame = consumer.peek().expect("one frame");
//! assert_eq!((frame.tag, &frame.body[..]), (7, &b"hello"[..]));
//! # Ok(()) }
//! ```

mod consumer;
pub mod file;
mod frame;
pub mod memory;
mod producer;
pub mod protocol;
mod sum;

pub use consumer::{Consumer, Frame, Gone, Position};
pub use producer::{Producer, Refused};
pub use protocol::Policy;
