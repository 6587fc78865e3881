//! A byte ring between one producer and one consumer, in memory that outlives the process.
//!
//! The producer is a thread that must never wait: [`Producer::push`] copies a frame and publishes it with one
//! release store, or says why it cannot. The consumer looks at frames where they lie and gives the room back when
//! it is done with them. What could not be pushed is counted in the ring itself, in 64 bits, by cause.
//!
//! The memory is a file mapped by both ([`file`]): when the VM is killed, everything published up to that
//! instruction is in the file, and [`file::open`] reads it.
//!
//! The protocol (module [`protocol`]) is written once over the [`memory::Memory`] trait and runs on mapped memory
//! and on loom's model of memory alike.
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

pub mod file;
pub mod memory;
pub mod protocol;

pub use protocol::{Consumer, Frame, Position, Producer, Refused};
