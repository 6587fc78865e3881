//! The time that counts: a range without the intervals in which events are missing.

use elixir_scope_clock::Nanos;
use elixir_scope_event::Gap;

/// See the head of this file.
pub(crate) struct Counted {
    pub(crate) since: Nanos,
    pub(crate) until: Nanos,
    /// Apart from each other, by time, each with the part of the range that those before it take. They may lie outside of it.
    holes: Vec<(Nanos, Nanos, u64)>,
}

impl Counted {
    pub(crate) fn new(since: Nanos, until: Nanos, mut gaps: Vec<Gap>) -> Self {
        gaps.sort_by_key(|gap| gap.from);
        let mut counted = Counted { since, until: until.max(since), holes: Vec::new() };
        let mut taken = 0;
        for gap in gaps {
            match counted.holes.last_mut() {
                Some((_, to, _)) if gap.from <= *to => *to = gap.to.max(*to),
                last => {
                    taken += last.map_or(0, |(from, to, _)| within(since, until, *from, *to));
                    counted.holes.push((gap.from, gap.to.max(gap.from), taken));
                }
            }
        }
        counted
    }

    /// How much of it had passed by a moment.
    pub(crate) fn at(&self, time: Nanos) -> u64 {
        let time = time.clamp(self.since, self.until);
        let before = self.holes.partition_point(|(from, ..)| *from < time);
        let lost = before.checked_sub(1).map_or(0, |last| {
            let (from, to, taken) = self.holes[last];
            taken + within(self.since, self.until, from, to.min(time))
        });
        time.0 - self.since.0 - lost
    }

    /// What had passed when the first hole began that touches an interval, and when the last one ended. Both ends of the
    /// interval belong to it, and nothing outside of it is looked at.
    pub(crate) fn broken(&self, from: Nanos, to: Nanos) -> Option<(u64, u64)> {
        let first = self.holes.partition_point(|(_, end, _)| *end < from);
        let after = self.holes.partition_point(|(begin, ..)| *begin <= to);
        let last = after.checked_sub(1).filter(|last| *last >= first)?;
        Some((self.at(self.holes[first].0.max(from)), self.at(self.holes[last].1.min(to))))
    }
}

/// How much of a range an interval takes.
fn within(since: Nanos, until: Nanos, from: Nanos, to: Nanos) -> u64 {
    to.min(until).0.saturating_sub(from.max(since).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elixir_scope_event::LossCause;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_counts_is_what_is_left_when_each_nanosecond_is_looked_at(
            gaps in proptest::collection::vec((0u64..60, 0u64..20), 0..5), since in 0u64..40, length in 0u64..50,
        ) {
            let until = since + length;
            let gap = |(from, length): &(u64, u64)| {
                Gap { cause: LossCause::Full, count: 0, from: Nanos(*from), to: Nanos(from + length) }
            };
            let counted = Counted::new(Nanos(since), Nanos(until), gaps.iter().map(gap).collect());
            let lost = |time: u64| gaps.iter().any(|(from, length)| (*from..from + length).contains(&time));
            for time in 0..100 {
                let passed = (since..until.min(time)).filter(|time| !lost(*time)).count() as u64;
                prop_assert_eq!(counted.at(Nanos(time)), passed);
            }
            for (from, to) in [(0, 10), (20, 20), (30, 70), (79, 90)] {
                let touches = gaps.iter().any(|(begin, length)| *begin <= to && begin + length >= from);
                let broken = counted.broken(Nanos(from), Nanos(to));
                prop_assert_eq!(broken.is_some(), touches);
                let ordered = broken.is_none_or(|(before, after)| {
                    counted.at(Nanos(from)) <= before && before <= after && after <= counted.at(Nanos(to))
                });
                prop_assert!(ordered);
            }
        }
    }
}
