//! The writing end.

use crate::frame::{self, FILLER, HEAD, Head};
use crate::memory::{Counter, Memory, Word};
use crate::protocol::{Policy, mark, position};
use crate::sum::Sum;
use std::sync::Arc;

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No room now.
    Full,
    /// It would not fit into an empty ring of this size: larger than a quarter of the capacity.
    Oversize,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refused::Full => "the ring is full",
            Refused::Oversize => "the frame is larger than a quarter of the ring",
        })
    }
}

impl std::error::Error for Refused {}

/// The writing end of a ring. It cannot be cloned: one producer is a fact of the types.
pub struct Producer<M> {
    memory: Arc<M>,
    policy: Policy,
    capacity: u64,
    head: u64,
    /// Frames below the head.
    written: u64,
    /// Below this nothing is kept for a reader: the consumer's tail as last seen, which can only be too low, so that
    /// room is never overestimated; or the floor.
    kept: u64,
    /// Frames below the floor.
    overwritten: u64,
    /// Of a ring that overwrites: the head when it was looked at last.
    looked: u64,
    lost: [u64; 2],
}

impl<M: Memory> Producer<M> {
    pub(crate) fn new(memory: Arc<M>, policy: Policy) -> Self {
        let kept = match policy {
            Policy::DropNew => memory.observe(Counter::Tail),
            Policy::Overwrite => memory.own(Counter::Floor),
        };
        Producer {
            policy,
            capacity: memory.capacity(),
            head: position(memory.own(Counter::Head)),
            written: memory.own(Counter::Written),
            kept: position(kept),
            looked: position(memory.own(Counter::Head)),
            overwritten: memory.own(Counter::Overwritten),
            lost: [memory.own(Counter::LostFull), memory.own(Counter::LostOversize)],
            memory,
        }
    }

    /// Copies the parts as one frame and publishes it. Never waits and never allocates. The tag is 1 to 254.
    ///
    /// # Errors
    /// [`Refused`], and the loss is counted; the ring is as before.
    #[inline]
    pub fn push(&mut self, tag: u32, parts: &[&[u8]]) -> Result<(), Refused> {
        self.offer(tag, parts).inspect_err(|why| self.count(*why))
    }

    /// As [`Producer::push`], but a refusal is not counted: the caller tries again, or calls [`Producer::count`].
    ///
    /// # Errors
    /// [`Refused`]; the ring is as before.
    #[inline]
    pub fn offer(&mut self, tag: u32, parts: &[&[u8]]) -> Result<(), Refused> {
        let len = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let span = frame::span(len);
        let at = self.reserve(span)?;
        let mut sum = Sum::begin(len, tag, at);
        let slot = &self.memory.words()[self.place(at)..][..(span / 8) as usize];
        let mut cells = slot[1..].iter();
        frame::words(parts, |word| {
            sum.add(word);
            if let Some(cell) = cells.next() {
                cell.store(word);
            }
        });
        slot[0].store(Head { len, tag, sum: sum.end() }.pack());
        self.publish(tag, at + span);
        Ok(())
    }

    /// As [`Producer::offer`], for a body of `len` bytes that is put together in words already: in little-endian order, the
    /// last one filled up with zeroes. What is missing or too much of words is zeroes, or left out.
    ///
    /// # Errors
    /// [`Refused`]; the ring is as before.
    #[inline]
    pub fn offer_words(&mut self, tag: u32, len: u64, words: &[u64]) -> Result<(), Refused> {
        let span = frame::span(len);
        let at = self.reserve(span)?;
        let mut sum = Sum::begin(len, tag, at);
        let slot = &self.memory.words()[self.place(at)..][..(span / 8) as usize];
        for (place, cell) in slot[1..].iter().enumerate() {
            let word = words.get(place).copied().unwrap_or_default();
            sum.add(word);
            cell.store(word);
        }
        slot[0].store(Head { len, tag, sum: sum.end() }.pack());
        self.publish(tag, at + span);
        Ok(())
    }

    /// Room for a frame; the answer is where it begins.
    #[inline]
    fn reserve(&mut self, span: u64) -> Result<u64, Refused> {
        if span > self.capacity / 4 {
            return Err(Refused::Oversize);
        }
        let to_end = self.capacity - (self.head & (self.capacity - 1));
        let filler = if span > to_end { to_end } else { 0 };
        let end = self.head + filler + span;
        if end > self.kept + self.capacity && !self.make_room(end) {
            return Err(Refused::Full);
        }
        // `[head, end)` ends at or below `kept + capacity`: no reader of a ring that drops looks there, and one of a ring
        // that overwrites finds afterwards that it should not have.
        if filler > 0 {
            self.fill(filler);
        }
        Ok(self.head + filler)
    }

    /// Publishes the frame that was written last, which ends at `end`.
    #[inline]
    fn publish(&mut self, tag: u32, end: u64) {
        debug_assert!((1..FILLER).contains(&tag), "expected a tag from 1 to 254, got {tag}");
        self.head = end;
        self.written += 1;
        self.memory.note(Counter::Written, self.written);
        // Pairs with `observe(Head)` in `Consumer::refresh`.
        self.memory.publish(Counter::Head, mark(end, self.written));
    }

    /// Counts a frame that was refused.
    #[cold]
    pub fn count(&mut self, why: Refused) {
        let (counter, lost) = match why {
            Refused::Full => (Counter::LostFull, &mut self.lost[0]),
            Refused::Oversize => (Counter::LostOversize, &mut self.lost[1]),
        };
        *lost += 1;
        self.memory.publish(counter, *lost);
    }

    /// Takes the rest of the data up to its end.
    #[cold]
    fn fill(&mut self, span: u64) {
        let len = span - HEAD;
        let sum = Sum::begin(len, FILLER, self.head).end();
        self.memory.words()[self.place(self.head)].store(Head { len, tag: FILLER, sum }.pack());
    }

    /// The word at a position.
    #[inline]
    fn place(&self, position: u64) -> usize {
        ((position & (self.capacity - 1)) / 8) as usize
    }

    /// Whether all below `end` may be written now.
    #[inline(never)]
    fn make_room(&mut self, end: u64) -> bool {
        match self.policy {
            Policy::DropNew => {
                self.look();
                end <= self.kept + self.capacity
            }
            Policy::Overwrite => {
                while end > self.kept + self.capacity {
                    self.give_up_oldest();
                }
                // Whoever reads a word that is stored from here on finds the floor moved.
                self.memory.release();
                true
            }
        }
    }

    /// Moves the floor over one frame, before its room is written again.
    fn give_up_oldest(&mut self) {
        let oldest = Head::unpack(self.memory.words()[self.place(self.kept)].load());
        let next = self.kept + oldest.span();
        if next > self.head {
            // Somebody else has written into our memory; nothing that is left can be found.
            (self.kept, self.overwritten) = (self.head, self.written);
        } else {
            self.kept = next;
            self.overwritten += u64::from(oldest.tag != FILLER);
        }
        // A reader that finds this floor finds a count that is this one or, while the next frame is given up, one more.
        self.memory.publish(Counter::Overwritten, self.overwritten);
        self.memory.publish(Counter::Floor, mark(self.kept, self.overwritten));
    }

    /// Bytes that wait for the consumer, at most: it may have read more since the producer last looked. In a ring that
    /// overwrites nothing waits: the bytes since the last look.
    #[inline]
    pub fn waiting(&self) -> u64 {
        match self.policy {
            Policy::DropNew => self.head - self.kept,
            Policy::Overwrite => self.head - self.looked,
        }
    }

    /// Looks at how far the consumer has come; the answer is the number of bytes that wait for it now. In a ring that
    /// overwrites: the bytes since the look before.
    #[cold]
    pub fn look(&mut self) -> u64 {
        match self.policy {
            Policy::DropNew => {
                // Pairs with `publish(Tail)` in `Consumer::release`.
                self.kept = position(self.memory.observe(Counter::Tail));
                self.waiting()
            }
            Policy::Overwrite => self.head - std::mem::replace(&mut self.looked, self.head),
        }
    }

    /// Bytes of the ring.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }
}
