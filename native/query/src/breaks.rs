//! Where events are missing, although no event says so.

use crate::part::{BlockRef, Incident, Part};
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Gap, LossCause};
use elixir_scope_segment::Damage;

/// Pauses and damage, which no event tells of: they follow from what stands before and behind them. Fed with the blocks
/// of a run in order.
#[derive(Clone, Default)]
pub(crate) struct Breaks {
    /// Those that are known from both sides, and one that is open at its end (`to` is the end of time).
    pub(crate) gaps: Vec<Gap>,
    pub(crate) damage: Vec<Damage>,
    pub(crate) paused: Option<Nanos>,
    began: Nanos,
    /// The number of the next event; `None` behind a remnant, which leaves events out.
    next: Option<u64>,
    /// The earliest time of the last block with events.
    last: Option<Nanos>,
    /// The number of the event after the last block whose events show no names.
    unnamed: Option<u64>,
}

/// The end of time: nobody knows yet when a gap ends.
const OPEN: Nanos = Nanos(u64::MAX);

impl Breaks {
    /// Of a recording that began at a time.
    pub(crate) fn since(began: Nanos) -> Self {
        Breaks { next: Some(0), began, ..Breaks::default() }
    }

    /// When the recording began.
    pub(crate) fn began(&self) -> Nanos {
        self.began
    }

    /// Whether one of them touches an interval, both ends included.
    pub(crate) fn touch(&self, from: Nanos, to: Nanos) -> bool {
        self.paused.is_some_and(|since| since < to) || self.gaps.iter().any(|gap| gap.touches(from, to))
    }

    /// Adds what a part holds.
    pub(crate) fn add(&mut self, part: &Part, remnant: bool) {
        let mut incidents = part.incidents.iter().peekable();
        for (number, block) in (0..).zip(&part.blocks) {
            while let Some((_, Incident::Damage(damage))) = incidents
                .next_if(|(before, incident)| *before <= number && matches!(incident, Incident::Damage(_)))
            {
                self.add_damage(damage.clone());
            }
            self.add_block(block, remnant);
            while let Some((_, incident)) =
                incidents.next_if(|(at, incident)| *at <= number && !matches!(incident, Incident::Damage(_)))
            {
                self.add_incident(incident);
            }
        }
        for (_, incident) in incidents {
            self.add_incident(incident);
        }
    }

    fn add_incident(&mut self, incident: &Incident) {
        match incident {
            Incident::Damage(damage) => self.add_damage(damage.clone()),
            Incident::Unnamed(block) => self.add_unnamed(block),
            // The end of a recording is a pause too, and may follow one.
            Incident::Pause(time) => drop(self.paused.get_or_insert(*time)),
            Incident::Resume(time) => {
                let pause = |from| Gap { cause: LossCause::Paused, count: 0, from, to: *time };
                // Kept before the last gap, which may be one that is still open.
                let at = self.gaps.len().saturating_sub(1);
                self.gaps.splice(at..at, self.paused.take().map(pause));
            }
        }
    }

    /// Nobody can say what was there: it reaches to the end of time until a block follows. Blocks overlap in time
    /// by as much as a thread was stopped between stamping an event and publishing it, so the blocks on both sides
    /// of a gap belong to it.
    pub(crate) fn add_damage(&mut self, damage: Damage) {
        self.damage.push(damage);
        self.open();
    }

    /// Whoever asks for events of a process or a function does not find them, so they are missing too: from the damage on, as far as
    /// one such block follows another.
    fn add_unnamed(&mut self, block: &BlockRef) {
        let follows = self.unnamed.replace(block.end()) == Some(block.first_event);
        match self.gaps.last_mut().filter(|gap| gap.cause == LossCause::Damage) {
            Some(gap) if follows || gap.to >= block.earliest => gap.to = gap.to.max(block.latest),
            _ => {
                let (from, to) = (block.earliest, block.latest);
                self.gaps.push(Gap { cause: LossCause::Damage, count: 0, from, to });
            }
        }
    }

    /// A file of the run that cannot be read. Events that are missing before others show by their numbers; at the `end`
    /// nobody can say how many there were.
    pub(crate) fn add_file(&mut self, damage: Damage, end: bool) {
        self.damage.push(damage);
        if end {
            self.open();
        }
    }

    fn open(&mut self) {
        if self.gaps.last().is_none_or(|gap| gap.to != OPEN) {
            let from = self.last.unwrap_or(self.began);
            self.gaps.push(Gap { cause: LossCause::Damage, count: 0, from, to: OPEN });
        }
    }

    /// What is missing before a block, by the numbers of its events, is missing up to its time.
    fn add_block(&mut self, block: &BlockRef, remnant: bool) {
        if block.events == 0 {
            return;
        }
        let expected = self.next.filter(|_| !remnant);
        let missing = expected.map_or(0, |next| block.first_event.saturating_sub(next));
        if missing > 0 {
            self.open();
        }
        if let Some(open) = self.gaps.last_mut().filter(|gap| gap.to == OPEN) {
            (open.to, open.count) = (block.latest.max(open.from), missing);
        }
        self.last = Some(block.earliest);
        self.next = (!remnant).then_some(block.end());
    }
}
