//! The reading end.

use crate::frame::{FILLER, HEAD, Head};
use crate::memory::{Counter, Memory, Word};
use crate::protocol::{Policy, count_at, mark, position};
use crate::sum::Sum;
use std::borrow::Cow;
use std::sync::Arc;

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The producer's tag.
    pub tag: u32,
    /// The producer's parts, joined.
    pub body: Cow<'a, [u8]>,
}

/// How far a ring has been read, and what it had refused by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes given back.
    pub tail: u64,
    /// Frames refused because the ring was full.
    pub lost_full: u64,
    /// Frames refused because they were too large.
    pub lost_oversize: u64,
}

/// What a reader did not find any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Frames that were written over before they were read.
    pub overwritten: u64,
    /// Frames that were damaged.
    pub damaged: u64,
    /// Bytes that no frame could be made of.
    pub bytes: u64,
    /// How often frames are missing whose number nobody knows.
    pub uncounted: u64,
}

/// The reading end of a ring. It cannot be cloned.
pub struct Consumer<M> {
    memory: Arc<M>,
    policy: Policy,
    capacity: u64,
    /// Whether the producer is gone, and the bytes come from a disk.
    dead: bool,
    /// Whether every byte was written by the producer of this process, and none is written over.
    trusted: bool,
    /// Where the next frame begins. In a ring that drops, `tail <= next <= head`.
    next: u64,
    /// Frames below `next`; `None` when nobody knows.
    seen: Option<u64>,
    /// The producer's head as last seen, and the frames below it.
    head: u64,
    written: Option<u64>,
    /// The head of the frame at `next`, when that was found whole.
    current: Option<Head>,
    /// Its body, of a ring that overwrites: the frame itself may be written over while it is held.
    copy: Vec<u8>,
    gone: Gone,
    /// How many words are looked at to find frames behind damage, so that much damage does not take much time.
    patience: u64,
}

/// What lies at a position.
enum Found {
    Whole(Head),
    /// It was written over while it was looked at.
    Overwritten,
    /// With the bytes to the next frame, when they can be told.
    Damaged(Option<u64>),
}

impl<M: Memory> Consumer<M> {
    pub(crate) fn new(memory: Arc<M>, policy: Policy, dead: bool) -> Self {
        let tail = memory.own(Counter::Tail);
        let seen = count_at(tail, memory.own(Counter::Seen));
        let (next, capacity) = (position(tail), memory.capacity());
        Consumer {
            memory,
            policy,
            capacity,
            dead,
            trusted: policy == Policy::DropNew && !dead,
            next,
            seen,
            head: next,
            written: None,
            current: None,
            copy: Vec::new(),
            gone: Gone::default(),
            patience: capacity,
        }
    }

    /// Looks at what the producer has published; the answer is the number of bytes that can be read now.
    pub fn refresh(&mut self) -> u64 {
        if self.policy == Policy::Overwrite {
            // What is held may have been written over since: then it belongs to what is missing.
            self.current = None;
        }
        // Pairs with `publish(Head)` in `Producer::offer`.
        let marked = self.memory.observe(Counter::Head);
        let head = position(marked);
        // From a damaged file any number may come: a ring that drops holds no more than its capacity.
        let sound = head
            .checked_sub(self.next)
            .is_some_and(|waiting| waiting <= self.capacity || self.policy == Policy::Overwrite);
        if sound {
            self.head = head;
            // While the producer lives the two counters are not of one moment.
            let counter = self.memory.own(Counter::Written);
            self.written = if self.dead { count_at(marked, counter) } else { None };
        } else {
            self.head = self.next;
        }
        (self.head - self.next).min(self.capacity)
    }

    /// The next frame: where it lies, or a copy when it may be written over.
    #[inline]
    pub fn peek(&mut self) -> Option<Frame<'_>> {
        let Head { len, tag, .. } = self.at_hand()?;
        let body = match self.policy {
            // SAFETY: the producer stores nothing into `[next, head)` until `release`, or is gone.
            Policy::DropNew => unsafe { self.memory.read((self.next & (self.capacity - 1)) + HEAD, len) },
            Policy::Overwrite => Cow::Borrowed(&self.copy[..len as usize]),
        };
        Some(Frame { tag, body })
    }

    /// Steps over the frame that [`Consumer::peek`] shows. Its room is given back by [`Consumer::release`].
    #[inline]
    pub fn advance(&mut self) {
        if let Some(head) = self.at_hand() {
            self.current = None;
            self.step(head.span(), 1);
        }
    }

    /// Gives back the room of all frames stepped over. In a ring that overwrites it only says how far it was read.
    pub fn release(&mut self) {
        let seen = self.seen.unwrap_or_default();
        self.memory.note(Counter::Seen, seen);
        // Pairs with `observe(Tail)` in `Producer::look`: the frames were read before their room is written again.
        self.memory.publish(Counter::Tail, mark(self.next, seen));
    }

    /// Where the next frame begins, and the refusals so far.
    pub fn position(&self) -> Position {
        Position {
            tail: self.next,
            lost_full: self.memory.observe(Counter::LostFull),
            lost_oversize: self.memory.observe(Counter::LostOversize),
        }
    }

    /// What is missing up to the frame that [`Consumer::peek`] showed last.
    pub fn gone(&self) -> Gone {
        self.gone
    }

    /// What becomes of a frame when the ring is full.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Steps to a position that was read before, when the reader was stopped between keeping frames and giving
    /// their room back. A position behind the ring changes nothing. One beyond it (a copy of the ring that is older
    /// than what was kept) leaves nothing to read.
    pub fn skip_to(&mut self, tail: u64) {
        self.refresh();
        self.current = None;
        if tail <= self.next || !tail.is_multiple_of(8) {
            return;
        }
        if self.policy == Policy::Overwrite {
            let (floor, overwritten) = self.floor();
            if tail < floor {
                // How many were kept and how many were written over since then, nobody knows any more.
                (self.next, self.seen) = (tail, None);
                return;
            }
            if floor > self.next {
                (self.next, self.seen) = (floor, overwritten);
            }
        }
        // What is stepped over was kept: it is not missing, even if it is damaged since.
        let gone = self.gone;
        while self.next < tail && self.peek().is_some() {
            self.advance();
        }
        self.gone = gone;
        if self.next != tail {
            (self.next, self.seen) = (tail.min(self.head), None);
        }
    }

    #[inline]
    fn at_hand(&mut self) -> Option<Head> {
        if self.current.is_none() {
            self.current = if self.trusted { self.next_trusted() } else { self.find() };
        }
        self.current
    }

    /// As `find`, where there is nothing to be checked.
    #[inline]
    fn next_trusted(&mut self) -> Option<Head> {
        while self.next < self.head {
            let head = Head::unpack(self.memory.words()[self.place(self.next)].load());
            if head.span() > self.room(self.next) {
                // A bug of the producer, or another program that writes into our memory.
                self.head = self.next;
                return None;
            }
            if head.tag != FILLER {
                return Some(head);
            }
            self.step(head.span(), 0);
        }
        None
    }

    /// The longest frame that can begin there.
    #[inline]
    fn room(&self, at: u64) -> u64 {
        (self.head - at).min(self.to_end(at)).min(self.capacity / 4)
    }

    #[inline]
    fn step(&mut self, span: u64, frames: u64) {
        self.next += span;
        self.seen = self.seen.map(|seen| seen.saturating_add(frames));
    }

    /// Finds the next whole frame, and counts what is missing before it.
    #[inline(never)]
    fn find(&mut self) -> Option<Head> {
        loop {
            if self.policy == Policy::Overwrite {
                self.catch_up();
            }
            if self.next >= self.head {
                self.count_shortfall();
                return None;
            }
            match self.look(self.next) {
                Found::Whole(head) if head.tag != FILLER => return Some(head),
                Found::Whole(filler) => self.step(filler.span(), 0),
                Found::Overwritten => {}
                Found::Damaged(span) => self.step_over_damage(span),
            }
        }
    }

    /// The frame at a position below the head, and in a ring that overwrites a copy of its body.
    #[inline]
    fn look(&mut self, at: u64) -> Found {
        let head = Head::unpack(self.memory.words()[self.place(at)].load());
        let span = head.span();
        let room = self.room(at);
        let whole = span <= room && self.checks(head, at);
        if self.policy == Policy::Overwrite {
            // Whatever of a newer frame was read, the floor that was moved for it is seen now.
            self.memory.acquire();
            if position(self.memory.own(Counter::Floor)) > at {
                return Found::Overwritten;
            }
        }
        if whole { Found::Whole(head) } else { Found::Damaged((span <= room).then_some(span)) }
    }

    /// Whether the checksum is right.
    fn checks(&mut self, head: Head, at: u64) -> bool {
        let mut sum = Sum::begin(head.len, head.tag, at);
        self.copy.clear();
        // A filler has no body, only length.
        let body = if head.tag == FILLER { 0 } else { head.len };
        let keep = self.policy == Policy::Overwrite;
        let words = &self.memory.words()[self.place(at) + 1..][..body.div_ceil(8) as usize];
        for word in words.iter().map(Word::load) {
            sum.add(word);
            if keep {
                self.copy.extend_from_slice(&word.to_le_bytes());
            }
        }
        head.tag != 0 && sum.end() == head.sum
    }

    /// Steps to the floor when the producer has lapped this reader.
    fn catch_up(&mut self) {
        if self.next >= position(self.memory.own(Counter::Floor)) {
            return;
        }
        let (floor, overwritten) = self.floor();
        match (self.seen, overwritten) {
            (Some(seen), Some(overwritten)) if overwritten >= seen => {
                self.gone.overwritten = self.gone.overwritten.saturating_add(overwritten - seen);
            }
            _ => self.gone.uncounted += 1,
        }
        (self.next, self.seen) = (floor, overwritten);
        if floor > self.head {
            // The floor is never above the head, so the head is newer too; or the file is damaged.
            self.refresh();
            self.head = self.head.max(floor);
        }
    }

    /// The floor, and the frames below it.
    fn floor(&self) -> (u64, Option<u64>) {
        loop {
            let floor = self.memory.observe(Counter::Floor);
            let overwritten = self.memory.observe(Counter::Overwritten);
            // Unchanged: the count is of this floor, or of the next one, which was not published yet.
            if self.memory.observe(Counter::Floor) == floor {
                return (position(floor), count_at(floor, overwritten));
            }
        }
    }

    /// Steps to where whole frames follow, or over all that is left.
    #[cold]
    fn step_over_damage(&mut self, span: Option<u64>) {
        let behind = span.map(|span| self.next + span);
        let found = self.find_again(behind);
        let to = found.unwrap_or(self.head);
        let assumed = (found.is_some() && found == behind).then_some(1);
        match self.missing_before(to).or(assumed) {
            Some(missing) => {
                self.gone.damaged += missing;
                self.seen = self.seen.map(|seen| seen.saturating_add(missing));
            }
            None => (self.gone.uncounted, self.seen) = (self.gone.uncounted + 1, None),
        }
        self.gone.bytes += to - self.next;
        self.next = to;
        if to == self.head {
            self.seen = self.written;
        }
    }

    /// Behind a frame whose length is not damaged; else at the nearest word that begins two whole frames; else at the
    /// beginning of the data, where a frame always begins.
    fn find_again(&mut self, behind: Option<u64>) -> Option<u64> {
        if let Some(at) = behind.filter(|at| self.is_whole(*at)) {
            return Some(at);
        }
        let lap = self.next + self.to_end(self.next);
        for at in (self.next + HEAD..lap.min(self.head)).step_by(8) {
            if self.patience == 0 {
                break;
            }
            // Two: some word in a long body might look like a frame.
            if let Some(span) = self.whole_span(at)
                && self.is_whole(at + span)
            {
                return Some(at);
            }
        }
        Some(lap).filter(|at| self.is_whole(*at))
    }

    /// Whether a whole frame begins there, or nothing does any more.
    fn is_whole(&mut self, at: u64) -> bool {
        at == self.head || self.whole_span(at).is_some()
    }

    fn whole_span(&mut self, at: u64) -> Option<u64> {
        if at >= self.head {
            return None;
        }
        match self.look(at) {
            Found::Whole(head) => Some(head.span()),
            Found::Damaged(span) => {
                self.patience = self.patience.saturating_sub(span.unwrap_or(HEAD) / 8);
                None
            }
            Found::Overwritten => None,
        }
    }

    /// How many frames lay between here and a later position: all that were written but those before and those
    /// after, if of those none is damaged.
    fn missing_before(&mut self, mut at: u64) -> Option<u64> {
        let (seen, written) = (self.seen?, self.written?);
        let room = at - self.next;
        let mut after = 0;
        while at < self.head {
            let Found::Whole(head) = self.look(at) else { return None };
            at += head.span();
            after += u64::from(head.tag != FILLER);
        }
        // Each takes a head at least.
        written.checked_sub(seen)?.checked_sub(after).filter(|missing| *missing <= room / HEAD)
    }

    /// The word at a position.
    #[inline]
    fn place(&self, position: u64) -> usize {
        ((position & (self.capacity - 1)) / 8) as usize
    }

    fn to_end(&self, at: u64) -> u64 {
        self.capacity - (at & (self.capacity - 1))
    }

    /// At the end of a dead ring fewer frames were found than were written: its head is damaged.
    fn count_shortfall(&mut self) {
        if !self.dead || self.next != self.head {
            return;
        }
        if let (Some(seen), Some(written)) = (self.seen, self.written)
            && seen < written
        {
            self.gone.damaged = self.gone.damaged.saturating_add(written - seen);
            self.seen = Some(written);
        }
    }
}
