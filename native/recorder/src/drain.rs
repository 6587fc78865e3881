//! Merging rings by time.

use elixir_scope_clock::{Nanos, Ticks, Timeline};
use elixir_scope_event::{LossCause, Record};
use elixir_scope_ring::file::Mapped;
use elixir_scope_ring::{Consumer, Position};
use elixir_scope_segment::RingMark;
use elixir_scope_store::{Meaning, StoreError, Writer};

/// A ring that is being emptied.
pub struct Tap {
    ring: u32,
    consumer: Consumer<Mapped>,
    /// The losses that the store was told of.
    told: Position,
    /// When they were looked at.
    since: Nanos,
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
        Tap { ring, consumer, told, since }
    }

    /// Bytes that can be read.
    pub fn refresh(&mut self) -> u64 {
        self.consumer.refresh()
    }

    fn next_ticks(&mut self) -> Option<Ticks> {
        let frame = self.consumer.peek()?;
        // A record that cannot be read goes first: it is stepped over and counted.
        Some(Record::parse(frame.tag, &frame.body).map_or(Ticks(0), |record| record.ticks))
    }

    fn mark(&self, tail: u64) -> RingMark {
        let Position { lost_full, lost_oversize, .. } = self.told;
        RingMark { ring: self.ring, tail, lost_full, lost_oversize }
    }
}

/// Gives the store every record that is not later than `until`, and every loss, and commits.
///
/// `until` must have been read from the clock *before* this call looks at the rings. An event of a process is
/// published before the next event of the same process is stamped; so when this call takes an event, it takes all
/// earlier ones of that process too, whichever scheduler it ran on. Two processes are merged by time as well, save
/// when a thread was stopped between stamping an event and publishing it.
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
    while let Some((first, limit)) = earliest(&heads, until) {
        let tap = &mut taps[first];
        loop {
            let frame = tap.consumer.peek().expect("its head was seen");
            let parsed = Record::parse(frame.tag, &frame.body);
            let pushed =
                parsed.and_then(|record| writer.push(tap.ring, line.nanos(record.ticks), &record, meaning));
            match pushed {
                Ok(()) => found.events += 1,
                Err(_) => {
                    found.lost += 1;
                    writer.gap(tap.ring, LossCause::Damage, 1, tap.since, line.nanos(until));
                }
            }
            tap.consumer.advance();
            heads[first] = tap.next_ticks();
            if writer.is_due() || heads[first].is_none_or(|ticks| ticks > limit) {
                break;
            }
        }
        if writer.is_due() {
            commit(taps, writer)?;
        }
    }
    let now = line.nanos(until);
    for tap in taps.iter_mut() {
        found.lost += tell_losses(tap, now, writer);
    }
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

fn tell_losses(tap: &mut Tap, now: Nanos, writer: &mut Writer) -> u64 {
    let position = tap.consumer.position();
    let causes = [
        (LossCause::Full, position.lost_full.saturating_sub(tap.told.lost_full)),
        (LossCause::Oversize, position.lost_oversize.saturating_sub(tap.told.lost_oversize)),
    ];
    for (cause, count) in causes.into_iter().filter(|(_, count)| *count > 0) {
        writer.gap(tap.ring, cause, count, tap.since, now);
    }
    (tap.told, tap.since) = (position, now);
    causes.iter().map(|(_, count)| count).sum()
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
