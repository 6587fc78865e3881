//! Merging rings by time.

use elixir_scope_clock::{Nanos, Ticks, Timeline};
use elixir_scope_event::{BRIEF, LossCause, Record};
use elixir_scope_ring::file::Mapped;
use elixir_scope_ring::{Consumer, Gone, Position};
use elixir_scope_segment::RingMark;
use elixir_scope_store::{Meaning, StoreError, Writer};

/// Stands for the time of a record that cannot be read.
const UNREADABLE: Ticks = Ticks(0);

/// A ring that is being emptied.
pub struct Tap {
    ring: u32,
    consumer: Consumer<Mapped>,
    /// The losses that the store was told of.
    told: Position,
    /// The losses that were counted when [`Tap::observe`] looked last.
    seen: Position,
    /// No loss that the store was not told of is older.
    since: Nanos,
    /// Until when the last pass looked.
    until: Nanos,
    /// What the ring had lost by itself when the store was told last: overwritten, or damaged.
    gone: Gone,
    /// The time of the last record that was taken. The ring's later ones are not older.
    latest: Nanos,
}

/// What one pass found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records given to the store.
    pub events: u64,
    /// Events that the rings had to refuse, or that were malformed.
    pub lost: u64,
}

impl Tap {
    /// Begins with a ring whose losses up to `told` are in the store; new ones happened after `since`.
    pub fn new(ring: u32, consumer: Consumer<Mapped>, told: Position, since: Nanos) -> Self {
        let gone = consumer.gone();
        Tap { ring, consumer, told, seen: told, since, until: since, gone, latest: since }
    }

    /// Looks at the losses that the next [`drain`] tells the store of.
    pub fn observe(&mut self) {
        self.seen = self.consumer.position();
    }

    /// The ring's number.
    pub fn ring(&self) -> u32 {
        self.ring
    }

    /// Bytes that can be read.
    pub fn refresh(&mut self) -> u64 {
        self.consumer.refresh()
    }

    /// What the ring has lost by itself: overwritten before it was read, or damaged.
    pub fn gone(&self) -> Gone {
        self.consumer.gone()
    }

    /// When the oldest record that can be read was made, if any that the store was not told of was lost before it.
    pub(crate) fn covers_from(&mut self) -> Option<Ticks> {
        self.refresh();
        let oldest = self.next_ticks();
        oldest.filter(|_| self.gone() != self.gone)
    }

    /// Steps over everything that can be read, and counts it. Its room is not given back.
    pub(crate) fn count(&mut self) -> u64 {
        self.refresh();
        let mut count = 0;
        while self.consumer.peek().is_some() {
            self.consumer.advance();
            count += 1;
        }
        count
    }

    fn next_ticks(&mut self) -> Option<Ticks> {
        let frame = self.consumer.peek()?;
        // A record that cannot be read goes first: it is stepped over and counted.
        Some(Record::parse(frame.tag, &frame.body).map_or(UNREADABLE, |record| record.ticks))
    }

    /// `first`: the time of the first frame of this pass.
    fn tell_losses(&mut self, first: Option<Nanos>, now: Nanos, writer: &mut Writer) -> u64 {
        let start = first.unwrap_or(self.until).min(self.until);
        let from = self.since.min(start);
        (self.since, self.until) = (start, now.max(self.until));
        let told = std::mem::replace(&mut self.told, self.seen);
        let causes = [
            (LossCause::Full, self.seen.lost_full.saturating_sub(told.lost_full)),
            (LossCause::Oversize, self.seen.lost_oversize.saturating_sub(told.lost_oversize)),
        ];
        for (cause, count) in causes.into_iter().filter(|(_, count)| *count > 0) {
            writer.gap(self.ring, cause, count, from, self.until);
        }
        // From a damaged ring any number may come.
        causes.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// The frame at hand came later than what is missing before it.
    #[inline]
    fn tell_gone(&mut self, head: Option<Ticks>, now: Nanos, line: &Timeline, writer: &mut Writer) -> u64 {
        let gone = self.consumer.gone();
        if gone == self.gone { 0 } else { self.tell_changed(gone, head, now, line, writer) }
    }

    #[cold]
    fn tell_changed(
        &mut self,
        gone: Gone,
        head: Option<Ticks>,
        now: Nanos,
        line: &Timeline,
        writer: &mut Writer,
    ) -> u64 {
        let told = std::mem::replace(&mut self.gone, gone);
        let head = head.filter(|ticks| *ticks > UNREADABLE).map(|ticks| line.nanos(ticks));
        let to = head.unwrap_or(now).max(self.latest);
        let new = |now: u64, told: u64| (now > told).then_some(now - told);
        let causes = [
            (LossCause::Overwritten, new(gone.overwritten, told.overwritten)),
            (LossCause::Damage, new(gone.damaged, told.damaged)),
            // 0: how many, nobody knows.
            (LossCause::Damage, new(gone.uncounted, told.uncounted).map(|_| 0)),
        ];
        let mut sum: u64 = 0;
        for (cause, count) in causes.into_iter().filter_map(|(cause, count)| Some((cause, count?))) {
            writer.gap(self.ring, cause, count, self.latest, to);
            sum = sum.saturating_add(count);
        }
        sum
    }

    fn mark(&self, tail: u64) -> RingMark {
        let Position { lost_full, lost_oversize, .. } = self.told;
        RingMark { ring: self.ring, tail, lost_full, lost_oversize }
    }
}

/// Gives the store every record that is not later than `until`, and every loss, and commits.
///
/// `until` must have been read from the clock *after* [`Tap::observe`] and *before* this call. An event of a process is
/// published before the next event of the same process is stamped; so when this call takes an event, it takes all
/// earlier ones of that process too, whichever scheduler it ran on. Two processes are merged by time as well, save
/// when a thread was stopped between stamping an event and publishing it.
///
/// A lost event has no time. It was stamped before the look that found it counted, so before `until`; and a ring was
/// full then of frames that were stamped before it, so the first frame of the pass that follows the look before is
/// older. The gap goes from the one to the other. It comes before the events of the pass, so that no mark can say
/// that they were kept and the loss was not. What a ring has lost by itself (overwritten, damaged) lies between two of its
/// own frames, and is told between them.
///
/// # Errors
/// When the store cannot take more; the rings then keep what was not committed.
pub fn drain(
    taps: &mut [Tap],
    until: Ticks,
    line: &Timeline,
    writer: &mut Writer,
    meaning: &dyn Meaning,
) -> Result<Drained, StoreError> {
    let mut found = Drained::default();
    for tap in taps.iter_mut() {
        tap.consumer.refresh();
    }
    let mut heads: Vec<Option<Ticks>> = taps.iter_mut().map(Tap::next_ticks).collect();
    let now = line.nanos(until);
    for (tap, head) in taps.iter_mut().zip(&heads) {
        let first = head.filter(|ticks| *ticks > UNREADABLE && *ticks <= until);
        let lost = tap.tell_losses(first.map(|ticks| line.nanos(ticks)), now, writer);
        let gone = tap.tell_gone(*head, now, line, writer);
        found.lost = found.lost.saturating_add(lost).saturating_add(gone);
    }
    while let Some((first, limit)) = earliest(&heads, until) {
        let tap = &mut taps[first];
        loop {
            let frame = tap.consumer.peek().expect("its head was seen");
            let parsed = Record::parse(frame.tag, &frame.body);
            let pushed = parsed.and_then(|record| {
                let time = line.nanos(record.ticks);
                tap.latest = tap.latest.max(time);
                match frame.tag & BRIEF {
                    0 => writer.push(tap.ring, time, &record, meaning),
                    _ => writer.push_brief(tap.ring, time, &record, meaning),
                }
            });
            match pushed {
                Ok(()) => found.events += 1,
                Err(_) => {
                    found.lost = found.lost.saturating_add(1);
                    writer.gap(tap.ring, LossCause::Damage, 1, tap.since, tap.until);
                }
            }
            tap.consumer.advance();
            heads[first] = tap.next_ticks();
            let gone = tap.tell_gone(heads[first], now, line, writer);
            found.lost = found.lost.saturating_add(gone);
            if writer.is_due() || heads[first].is_none_or(|ticks| ticks > limit) {
                break;
            }
        }
        if writer.is_due() {
            commit(taps, writer)?;
        }
    }
    writer.complete(now);
    commit(taps, writer)?;
    Ok(found)
}

/// The ring with the earliest record not later than `until`, and up to when it stays the earliest.
fn earliest(heads: &[Option<Ticks>], until: Ticks) -> Option<(usize, Ticks)> {
    let due = heads.iter().enumerate().filter_map(|(at, head)| Some((at, (*head)?)));
    let (first, ticks) = due.clone().min_by_key(|(_, ticks)| *ticks)?;
    let rival = due.filter(|(at, _)| *at != first).map(|(_, ticks)| ticks).min();
    (ticks <= until).then_some((first, rival.unwrap_or(until).min(until)))
}

/// Commits with a mark for every ring that moved, and only then gives the room in the rings back.
fn commit(taps: &mut [Tap], writer: &mut Writer) -> Result<(), StoreError> {
    if !writer.is_pending() {
        return Ok(());
    }
    for tap in taps.iter() {
        writer.mark(tap.mark(tap.consumer.position().tail));
    }
    writer.commit()?;
    taps.iter_mut().for_each(|tap| tap.consumer.release());
    Ok(())
}
