//! What the machine words and site keys of a run mean, and the texts that its sites lie in ([`Sources`]).
//!
//! A record in a ring holds atoms and pids as words of the running VM. So that a ring can be read after the VM was
//! killed, the meaning of a word is written to the run's dictionary file *before* the first record that uses it is
//! published. The file is an append-only log; a plain `write` puts it into the page cache, which survives the
//! process.
//!
//! | bytes | field of an entry |
//! |---|---|
//! | 4 | length of the rest |
//! | 4 | CRC-32 of the rest |
//! | n | [`Entry`], by `event::codec` |
//!
//! The first look at a word costs a lock and a system call; every later one costs a load and a comparison
//! ([`Known`]).
#![forbid(unsafe_code)]

mod known;
mod log;
mod sources;

pub use known::Known;
pub use log::{Dictionary, Entry, Meanings, read};
pub use sources::{Sources, source};
