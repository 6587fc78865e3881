//! What the protocol asks of memory.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The shared counters of a ring. Head, tail and floor are positions, which are multiples of 8; their low three bits
/// carry a count of frames modulo 8, so that a position and the count beside it, which are two words, can be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Bytes ever published, and `Written` modulo 8; written by the producer alone.
    Head,
    /// Bytes ever given back, and `Seen` modulo 8; written by the consumer alone.
    Tail,
    /// Frames refused because the ring was full; written by the producer alone.
    LostFull,
    /// Frames refused because they are larger than a ring takes; written by the producer alone.
    LostOversize,
    /// Frames ever published; written by the producer alone, before the head.
    Written,
    /// The first byte that is not written over yet, and `Overwritten` modulo 8; written by the producer alone.
    Floor,
    /// Frames below the floor; written by the producer alone, before the floor.
    Overwritten,
    /// Frames below the tail; written by the consumer alone, before the tail.
    Seen,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = 8;
}

/// A word of the data that both sides may touch at once.
pub trait Word {
    /// Writes it (relaxed).
    fn store(&self, word: u64);

    /// Reads it (relaxed).
    fn load(&self) -> u64;
}

/// In the byte order of the files.
impl Word for AtomicU64 {
    #[inline]
    fn store(&self, word: u64) {
        AtomicU64::store(self, word.to_le(), Ordering::Relaxed);
    }

    #[inline]
    fn load(&self) -> u64 {
        u64::from_le(AtomicU64::load(self, Ordering::Relaxed))
    }
}

/// Counters and words shared by a producer and a consumer.
pub trait Memory {
    /// What the data is made of.
    type Word: Word;

    /// Bytes of data; a power of two, at least 64.
    fn capacity(&self) -> u64;

    /// Reads a counter that the caller itself writes, or one whose value is checked otherwise (relaxed).
    fn own(&self, counter: Counter) -> u64;

    /// Reads a counter that the other side writes, and with it all that it wrote before (acquire).
    fn observe(&self, counter: Counter) -> u64;

    /// Writes a counter whose reader looks at another one first (relaxed).
    fn note(&self, counter: Counter, value: u64);

    /// Writes a counter, after all that the caller wrote before (release).
    fn publish(&self, counter: Counter, value: u64);

    /// The data, as words.
    fn words(&self) -> &[Self::Word];

    /// The bytes at an offset that is a multiple of 8. What lies beyond the end of the data is left out.
    ///
    /// # Safety
    /// Nobody stores there while the result is in use.
    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]>;

    /// What was written before comes before what is written after.
    fn release(&self) {
        fence(Ordering::Release);
    }

    /// What was read before comes before what is read after.
    fn acquire(&self) {
        fence(Ordering::Acquire);
    }
}

/// A ring's memory without a file: for tests of the protocol.
pub struct Heap {
    counters: [AtomicU64; Counter::COUNT],
    words: Box<[AtomicU64]>,
}

impl Heap {
    /// An empty ring of `capacity` bytes, a power of two, that has taken `position` bytes in `frames` frames and given
    /// all of them back. `position` is a multiple of 8.
    pub fn at(capacity: u64, position: u64, frames: u64) -> Self {
        assert!(capacity.is_power_of_two() && capacity >= 64 && position.is_multiple_of(8));
        let heap = Heap {
            counters: Default::default(),
            words: (0..capacity / 8).map(|_| AtomicU64::new(0)).collect(),
        };
        for counter in [Counter::Head, Counter::Tail, Counter::Floor] {
            heap.note(counter, crate::protocol::mark(position, frames));
        }
        for counter in [Counter::Written, Counter::Overwritten, Counter::Seen] {
            heap.note(counter, frames);
        }
        heap
    }
}

impl Memory for Heap {
    type Word = AtomicU64;

    fn capacity(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    fn own(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    fn observe(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Acquire)
    }

    fn note(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Relaxed);
    }

    fn publish(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Release);
    }

    fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let words = self.words.get((offset / 8) as usize..).unwrap_or_default();
        let len = len.min(words.len() as u64 * 8) as usize;
        // SAFETY: the bytes lie within `words`, and the caller sees to it that nobody stores there.
        Cow::Borrowed(unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), len) })
    }
}
