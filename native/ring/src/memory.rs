//! What the protocol asks of memory.

use std::borrow::Cow;

/// The shared counters of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Bytes ever published; written by the producer alone.
    Head,
    /// Bytes ever given back; written by the consumer alone.
    Tail,
    /// Frames refused because the ring was full; written by the producer alone.
    LostFull,
    /// Frames refused because they are larger than a ring takes; written by the producer alone.
    LostOversize,
}

/// Counters and bytes shared by a producer and a consumer.
pub trait Memory {
    /// Bytes of data; a power of two, at least 64.
    fn capacity(&self) -> u64;

    /// Reads a counter that the caller itself writes.
    fn own(&self, counter: Counter) -> u64;

    /// Reads a counter that the other side writes, and with it all that it wrote before (acquire).
    fn observe(&self, counter: Counter) -> u64;

    /// Writes a counter, after all that the caller wrote before (release).
    fn publish(&self, counter: Counter, value: u64);

    /// Copies bytes to an offset.
    ///
    /// # Safety
    /// `offset + bytes.len()` is at most the capacity, and nobody reads or writes there meanwhile.
    unsafe fn write(&self, offset: u64, bytes: &[u8]);

    /// The bytes at an offset.
    ///
    /// # Safety
    /// `offset + len` is at most the capacity, and nobody writes there while the result is in use.
    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]>;
}
