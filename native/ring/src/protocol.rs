//! What the two ends of a ring agree on.
//!
//! Positions count bytes since the ring was made and never wrap in practice (64 bits); an offset is a position
//! modulo the capacity. A frame is a word of head (length, tag, checksum) and its body, padded with zeroes to whole words,
//! and never crosses the end of the data: where it would, a filler frame takes the rest. The checksum is made of the
//! body, the tag, the length and the position, so that neither a half-written frame nor one of an earlier lap is
//! taken for a frame.
//!
//! **A ring that drops the new.** The consumer reads only `[tail, head)`, the producer writes only
//! `[head, tail + capacity)`. Each side moves its own counter after it has finished with the bytes (release), and the
//! other side looks at that counter before it touches them (acquire).
//!
//! **A ring that overwrites the old.** The producer waits for nobody. Before it writes over the oldest frames it moves the
//! floor above them; a reader copies a frame, and then looks at the floor: when that is above the frame, what it copied
//! may be a mixture, and is thrown away. This is a sequence lock: the producer's stores of words come after a release fence
//! that follows its store of the floor, the reader's load of the floor comes after an acquire fence that follows its
//! loads of words. So a reader that saw one new word sees the new floor. Words are relaxed atomics: a race on them is
//! defined, and costs nothing.
//!
//! **Counts.** A position carries the number of frames below it, modulo 8, in its low bits; the whole number is in a
//! counter that is stored just before. A reader that finds the counter ahead of the position by the one frame that
//! is being published knows it. So the counts are exact, also when the producer died between the two stores.

use crate::memory::Memory;
use crate::{Consumer, Producer};
use std::sync::Arc;

/// What becomes of a frame when the ring is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is refused, and counted.
    #[default]
    DropNew,
    /// It takes the place of the oldest frames, and those are counted.
    Overwrite,
}

/// The two ends of a ring in the given memory.
pub fn ends<M: Memory>(memory: M, policy: Policy) -> (Producer<M>, Consumer<M>) {
    let memory = Arc::new(memory);
    (Producer::new(Arc::clone(&memory), policy), Consumer::new(memory, policy, false))
}

/// The reading end of a ring whose producer is gone: nothing in it is believed that does not check.
pub fn left_behind<M: Memory>(memory: M, policy: Policy) -> Consumer<M> {
    Consumer::new(Arc::new(memory), policy, true)
}

const COUNT: u64 = 7;

/// A position with the count of frames below it.
#[inline]
pub(crate) fn mark(position: u64, frames: u64) -> u64 {
    position | (frames & COUNT)
}

/// The position in a mark.
#[inline]
pub(crate) fn position(mark: u64) -> u64 {
    mark & !COUNT
}

/// The count that belongs to a mark, given the counter, which may be one ahead.
#[inline]
pub(crate) fn count_at(mark: u64, counter: u64) -> Option<u64> {
    let fits = |count: &u64| count & COUNT == mark & COUNT;
    Some(counter).filter(fits).or_else(|| counter.checked_sub(1).filter(fits))
}
