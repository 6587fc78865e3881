//! The two ends of a ring.
//!
//! Positions count bytes since the ring was made and never wrap in practice (64 bits); an offset is a position
//! modulo the capacity. A frame is 8 bytes of head (length of the body, tag) and its body, padded to a multiple of
//! 8, and never crosses the end of the data: where it would, a filler frame takes the rest.
//!
//! Invariant: the consumer reads only `[tail, head)`, the producer writes only `[head, tail + capacity)`. Each side
//! moves its own counter after it has finished with the bytes (release), and the other side looks at that counter
//! before it touches them (acquire).

use crate::memory::{Counter, Memory};
use std::borrow::Cow;
use std::sync::Arc;

/// The tag of a filler; no caller may use it.
const FILLER: u32 = u32::MAX;

/// Bytes of head before each body.
const HEAD: u64 = 8;

/// Why a frame was not taken. It has been counted.
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

/// How far a ring has been read, and what it had lost by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes given back.
    pub tail: u64,
    /// Frames refused because the ring was full.
    pub lost_full: u64,
    /// Frames refused because they were too large.
    pub lost_oversize: u64,
}

/// The two ends of a ring in the given memory.
pub fn ends<M: Memory>(memory: M) -> (Producer<M>, Consumer<M>) {
    let memory = Arc::new(memory);
    (Producer::new(Arc::clone(&memory)), Consumer::new(memory))
}

/// The writing end. It cannot be cloned: one producer is a fact of the types.
pub struct Producer<M> {
    memory: Arc<M>,
    head: u64,
    /// The consumer's tail as last seen; it can only be too low, so room is never overestimated.
    tail: u64,
    lost: [u64; 2],
}

impl<M: Memory> Producer<M> {
    fn new(memory: Arc<M>) -> Self {
        let (head, tail) = (memory.own(Counter::Head), memory.observe(Counter::Tail));
        let lost = [memory.own(Counter::LostFull), memory.own(Counter::LostOversize)];
        Producer { memory, head, tail, lost }
    }

    /// Copies the parts as one frame and publishes it. Never waits and never allocates.
    ///
    /// # Errors
    /// [`Refused`], and the loss is counted; the ring is as before.
    #[inline]
    pub fn push(&mut self, tag: u32, parts: &[&[u8]]) -> Result<(), Refused> {
        let capacity = self.memory.capacity();
        let body = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let frame = HEAD + body.next_multiple_of(8);
        if frame > capacity / 4 {
            return Err(self.refuse(Refused::Oversize));
        }
        let offset = self.head & (capacity - 1);
        let to_end = capacity - offset;
        let filler = if frame > to_end { to_end } else { 0 };
        if self.head + filler + frame > self.tail + capacity {
            self.tail = self.memory.observe(Counter::Tail);
            if self.head + filler + frame > self.tail + capacity {
                return Err(self.refuse(Refused::Full));
            }
        }
        let head = |len: u64, tag: u32| ((u64::from(tag) << 32) | len).to_le_bytes();
        // Offsets stay within the capacity because frames do not cross the end of the data, and
        // `[head, head + filler + frame)` was just found to end at or below `tail + capacity`.
        // SAFETY: everything written lies in that room, and the consumer reads below `head` alone.
        unsafe {
            if filler > 0 {
                self.memory.write(offset, &head(filler - HEAD, FILLER));
            }
            let mut at = if filler > 0 { 0 } else { offset };
            self.memory.write(at, &head(body, tag));
            at += HEAD;
            for part in parts {
                self.memory.write(at, part);
                at += part.len() as u64;
            }
        }
        self.head += filler + frame;
        // Pairs with `observe(Head)` in `Consumer::refresh`.
        self.memory.publish(Counter::Head, self.head);
        Ok(())
    }

    /// Bytes that wait for the consumer, at most: it may have read more since the producer last looked.
    #[inline]
    pub fn waiting(&self) -> u64 {
        self.head - self.tail
    }

    /// Looks at how far the consumer has come; the answer is the number of bytes that wait for it now.
    pub fn look(&mut self) -> u64 {
        self.tail = self.memory.observe(Counter::Tail);
        self.waiting()
    }

    /// Bytes of the ring.
    #[inline]
    pub fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    #[cold]
    fn refuse(&mut self, why: Refused) -> Refused {
        let (counter, lost) = match why {
            Refused::Full => (Counter::LostFull, &mut self.lost[0]),
            Refused::Oversize => (Counter::LostOversize, &mut self.lost[1]),
        };
        *lost += 1;
        self.memory.publish(counter, *lost);
        why
    }
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The producer's tag.
    pub tag: u32,
    /// The producer's parts, joined.
    pub body: Cow<'a, [u8]>,
}

/// The reading end. It cannot be cloned.
pub struct Consumer<M> {
    memory: Arc<M>,
    /// Where the next frame begins; `tail <= next <= head`.
    next: u64,
    /// The producer's head as last seen.
    head: u64,
}

impl<M: Memory> Consumer<M> {
    pub(crate) fn new(memory: Arc<M>) -> Self {
        let next = memory.own(Counter::Tail);
        Consumer { memory, next, head: next }
    }

    /// Looks at what the producer has published; the answer is the number of bytes that can be read now.
    pub fn refresh(&mut self) -> u64 {
        // Pairs with `publish(Head)` in `Producer::push`.
        let head = self.memory.observe(Counter::Head);
        // From a damaged file any number may come: a ring holds whole words, and no more than its capacity.
        let sound = head.checked_sub(self.next).is_some_and(|waiting| waiting <= self.memory.capacity())
            && (head | self.next).is_multiple_of(8);
        self.head = if sound { head } else { self.next };
        self.head - self.next
    }

    /// The next frame, where it lies. Bytes that cannot be a frame (a damaged file) end the ring.
    pub fn peek(&mut self) -> Option<Frame<'_>> {
        let capacity = self.memory.capacity();
        let (mut len, mut tag);
        loop {
            if self.next >= self.head {
                return None;
            }
            let offset = self.next & (capacity - 1);
            // SAFETY: `[next, head)` was published, and the producer does not touch it until `release`.
            let head = unsafe { self.memory.read(offset, HEAD) };
            let head = u64::from_le_bytes(head[..].try_into().expect("8 bytes were asked for"));
            (len, tag) = (head & 0xFFFF_FFFF, (head >> 32) as u32);
            let frame = HEAD + len.next_multiple_of(8);
            if frame > self.head - self.next || offset + frame > capacity {
                self.head = self.next;
                return None;
            }
            if tag != FILLER {
                break;
            }
            self.next += frame;
        }
        let offset = (self.next & (capacity - 1)) + HEAD;
        // SAFETY: the frame lies within `[next, head)` and within the capacity, as was just checked.
        let body = unsafe { self.memory.read(offset, len) };
        Some(Frame { tag, body })
    }

    /// Steps over the frame that [`Consumer::peek`] shows. Its room is given back by [`Consumer::release`].
    pub fn advance(&mut self) {
        if let Some(Frame { body, .. }) = self.peek() {
            self.next += HEAD + (body.len() as u64).next_multiple_of(8);
        }
    }

    /// Gives back the room of all frames stepped over.
    pub fn release(&mut self) {
        // Pairs with `observe(Tail)` in `Producer::push`: the frames were read before their room is written again.
        self.memory.publish(Counter::Tail, self.next);
    }

    /// Where the next frame begins, and the losses so far.
    pub fn position(&self) -> Position {
        Position {
            tail: self.next,
            lost_full: self.memory.observe(Counter::LostFull),
            lost_oversize: self.memory.observe(Counter::LostOversize),
        }
    }

    /// Steps to a position that was read before, when the reader was stopped between keeping frames and giving
    /// their room back. A position behind the ring changes nothing. One beyond it (a copy of the ring that is older
    /// than what was kept) leaves nothing to read.
    pub fn skip_to(&mut self, tail: u64) {
        self.refresh();
        if tail > self.next && tail.is_multiple_of(8) {
            self.next = tail.min(self.head);
        }
    }
}
