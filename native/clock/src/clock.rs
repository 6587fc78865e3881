//! The counter of this machine and the line that gives it meaning.

use crate::timeline::{Nanos, Piece, Ticks, Timeline};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A new piece holds from this many nanoseconds after its publication, so that nobody converts a tick with the
/// old line that others convert with the new one.
const LEAD: f64 = 20_000_000.0;

/// The error found at an adjustment is taken out over this many nanoseconds.
const CATCH_UP: f64 = 2_000_000_000.0;

/// Reads the counter and converts it. One a process is enough; it is shared by all threads.
///
/// ```
/// let clock = elixir_scope_clock::Clock::new();
/// let before = clock.now();
/// let event = clock.raw();
/// assert!(before <= clock.nanos(event) && clock.nanos(event) <= clock.now());
/// ```
pub struct Clock {
    // quanta reads the TSC where it is invariant and synchronised, and falls back to clock_gettime.
    source: quanta::Clock,
    start: Sample,
    anchor: (Instant, u64),
    line: ArcSwap<Timeline>,
}

/// One moment on both clocks: the counter, and the reference that it is held against.
#[derive(Clone, Copy)]
struct Sample {
    ticks: u64,
    nanos: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

impl Clock {
    /// Calibrates the counter; takes well under a millisecond after the first clock of the process (the first
    /// may take up to 200 ms, by quanta's documentation).
    pub fn new() -> Self {
        let source = quanta::Clock::new();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let anchor = (Instant::now(), since_epoch.as_nanos() as u64);
        let start = sample(&source, anchor);
        let billion = source.delta_as_nanos(0, 1_000_000_000) as f64;
        let first = Piece {
            from: Ticks(start.ticks),
            at: Nanos(start.nanos as u64 + anchor.1),
            rate: billion / 1_000_000_000.0,
        };
        Clock { source, start, anchor, line: ArcSwap::from_pointee(Timeline::new(first)) }
    }

    /// The counter, now.
    #[inline]
    pub fn raw(&self) -> Ticks {
        Ticks(self.source.raw())
    }

    /// The time, now.
    pub fn now(&self) -> Nanos {
        self.nanos(self.raw())
    }

    /// The time of a tick.
    pub fn nanos(&self, ticks: Ticks) -> Nanos {
        self.line.load().nanos(ticks)
    }

    /// The line as it is known now.
    pub fn timeline(&self) -> Arc<Timeline> {
        self.line.load_full()
    }

    /// Bends the line towards the monotonic clock and gives the new piece, which holds from 20 ms later on: time
    /// enough for the caller to write it into the recording first. Call it about once a second.
    pub fn adjust(&self) -> Piece {
        let line = self.line.load_full();
        let here = sample(&self.source, self.anchor);
        let rate = (here.nanos - self.start.nanos) / (here.ticks - self.start.ticks).max(1) as f64;
        let shown = line.nanos(Ticks(here.ticks)).0.saturating_sub(self.anchor.1) as f64;
        let error = (here.nanos - shown).clamp(-CATCH_UP / 10.0, CATCH_UP / 10.0);
        let from = here.ticks + (LEAD / rate) as u64;
        let bent = line.bend(Ticks(from.max(line.last().from.0)), rate * (1.0 + error / CATCH_UP));
        let piece = bent.last();
        self.line.store(Arc::new(bent));
        piece
    }
}

/// The tightest of several readings of the reference between two readings of the counter.
fn sample(source: &quanta::Clock, anchor: (Instant, u64)) -> Sample {
    let read = |_| {
        let before = source.raw();
        let nanos = anchor.0.elapsed().as_nanos() as f64;
        let after = source.raw();
        (after - before, Sample { ticks: before + (after - before) / 2, nanos })
    };
    let tightest = (0..16).map(read).min_by_key(|(width, _)| *width);
    tightest.expect("the range is not empty").1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_monotonic_clock_without_a_step() {
        let clock = Clock::new();
        let origin = Instant::now();
        // Both clocks at one moment: ours, and the bounds of the other one around it.
        let look = || {
            let before = origin.elapsed().as_nanos() as i64;
            let ours = clock.now().0 as i64;
            (ours, before, origin.elapsed().as_nanos() as i64)
        };
        let first = look();
        let mut last = first;
        while last.2 < 60_000_000 {
            clock.adjust();
            let now = look();
            assert!(now.0 >= last.0, "time turned back from {} to {}", last.0, now.0);
            last = now;
        }
        let shown = last.0 - first.0;
        let (least, most) = (last.1 - first.2, last.2 - first.1);
        assert!((least - 1_000_000..=most + 1_000_000).contains(&shown), "{shown} ns for {least} to {most}");
    }

    #[test]
    fn the_time_of_a_tick_never_changes() {
        let clock = Clock::new();
        let ticks: Vec<_> = (0..1_000).map(|_| clock.raw()).collect();
        let before: Vec<_> = ticks.iter().map(|tick| clock.nanos(*tick)).collect();
        clock.adjust();
        clock.adjust();
        let after: Vec<_> = ticks.iter().map(|tick| clock.nanos(*tick)).collect();
        assert_eq!(before, after);
    }
}
