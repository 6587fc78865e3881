//! The counter of this machine and the line that gives it meaning.

use crate::timeline::{Nanos, Piece, Ticks, Timeline};
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A new piece holds from this many nanoseconds after its publication, so that nobody converts a tick with the
/// old line that others convert with the new one.
const LEAD: f64 = 20_000_000.0;

/// The error found at an adjustment is taken out over this many nanoseconds at least.
const CATCH_UP: f64 = 2_000_000_000.0;

/// Shown and true time may differ by so many nanoseconds: the line is left alone.
const TOLERANCE: f64 = 20_000.0;

/// The first adjustment comes after so many nanoseconds. Each one waits twice as long as the one before it.
const FIRST: f64 = 1_000_000_000.0;

/// Up to this: a line grows by 1,440 pieces of 24 bytes a day at most.
const LONGEST: f64 = 60_000_000_000.0;

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
    counter: quanta::Clock,
    reference: Reference,
    /// System time when the reference was 0.
    epoch: u64,
    line: ArcSwap<Timeline>,
    bending: Mutex<Bending>,
}

/// The clocks of the system that the counter is held against.
struct Reference {
    /// Nanoseconds of a clock that never steps.
    monotonic: Box<dyn Fn() -> u64 + Send + Sync>,
    /// System time: whoever sets it makes it step.
    wall: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

/// One moment on both clocks: the counter, and the reference.
#[derive(Clone, Copy)]
struct Sample {
    ticks: u64,
    nanos: f64,
}

/// When the line was bent last, and how long it is left alone after that.
struct Bending {
    last: Sample,
    interval: f64,
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
        let start = Instant::now();
        let monotonic = Box::new(move || start.elapsed().as_nanos() as u64);
        Clock::with(quanta::Clock::new(), Reference { monotonic, wall: Box::new(SystemTime::now) })
    }

    fn with(counter: quanta::Clock, reference: Reference) -> Self {
        let wall = nanos((reference.wall)());
        let epoch = wall.0.saturating_sub((reference.monotonic)());
        let last = sample(&counter, &reference);
        let billion = counter.delta_as_nanos(0, 1_000_000_000) as f64;
        let first = Piece {
            from: Ticks(last.ticks),
            at: Nanos(last.nanos as u64 + epoch),
            rate: billion / 1_000_000_000.0,
        };
        let line = ArcSwap::from_pointee(Timeline::new(first));
        Clock { counter, reference, epoch, line, bending: Mutex::new(Bending { last, interval: FIRST }) }
    }

    /// The counter, now.
    #[inline]
    pub fn raw(&self) -> Ticks {
        Ticks(self.counter.raw())
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

    /// The piece of the line that holds now, and what the system's clock shows, which may have been set since the line
    /// began. Two clocks are read: some 100 ns.
    pub fn calibration(&self) -> (Piece, Nanos) {
        (self.line.load().at(self.raw()), nanos((self.reference.wall)()))
    }

    /// Bends the line towards the monotonic clock, when it is off and that is due, and gives the new piece, which holds
    /// from 20 ms later on: time enough for the caller to write it into the recording first. Call it about once a second.
    ///
    /// Pieces come after 1, 2, 4 ... and then at most every 60 seconds, so a line stays small for as long as a VM runs.
    pub fn adjust(&self) -> Option<Piece> {
        let mut bending = self.bending.lock().unwrap_or_else(PoisonError::into_inner);
        let here = sample(&self.counter, &self.reference);
        let line = self.line.load_full();
        let shown = line.nanos(Ticks(here.ticks)).0.saturating_sub(self.epoch) as f64;
        let error = here.nanos - shown;
        if here.nanos - bending.last.nanos < bending.interval || error.abs() < TOLERANCE {
            return None;
        }
        // The rate since the last piece: a counter drifts with the warmth of the machine.
        let rate = (here.nanos - bending.last.nanos) / (here.ticks - bending.last.ticks).max(1) as f64;
        *bending = Bending { last: here, interval: (bending.interval * 2.0).min(LONGEST) };
        // Not bent any more when the error is gone: that is when the next piece may come.
        let span = bending.interval.max(CATCH_UP);
        let error = error.clamp(-span / 10.0, span / 10.0);
        let from = here.ticks + (LEAD / rate) as u64;
        let bent = line.bend(Ticks(from.max(line.last().from.0)), rate * (1.0 + error / span));
        let piece = bent.last();
        self.line.store(Arc::new(bent));
        Some(piece)
    }
}

/// Since the Unix epoch.
fn nanos(wall: SystemTime) -> Nanos {
    Nanos(wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64)
}

/// The tightest of several readings of the reference between two readings of the counter.
fn sample(counter: &quanta::Clock, reference: &Reference) -> Sample {
    let read = |_| {
        let before = counter.raw();
        let nanos = (reference.monotonic)() as f64;
        let after = counter.raw();
        (after - before, Sample { ticks: before + (after - before) / 2, nanos })
    };
    let tightest = (0..16).map(read).min_by_key(|(width, _)| *width);
    tightest.expect("the range is not empty").1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn follows_the_monotonic_clock_without_a_step() {
        let clock = Clock::new();
        // Bent at every call.
        clock.bending.lock().unwrap().interval = 0.0;
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

    /// A machine whose clocks stand still unless they are told to go.
    struct Machine {
        clock: Clock,
        counter: Arc<quanta::Mock>,
        monotonic: Arc<AtomicU64>,
        wall: Arc<AtomicU64>,
    }

    impl Machine {
        /// quanta's clock without a counter of the processor counts nanoseconds, and so does its mock.
        fn new() -> Self {
            let (source, counter) = quanta::Clock::mock();
            let (monotonic, wall) = (Arc::new(AtomicU64::new(7)), Arc::new(AtomicU64::new(1_000_000 * SECOND)));
            counter.increment(500 * SECOND);
            let (shown, set) = (Arc::clone(&monotonic), Arc::clone(&wall));
            let reference = Reference {
                monotonic: Box::new(move || shown.load(Ordering::Relaxed)),
                wall: Box::new(move || UNIX_EPOCH + Duration::from_nanos(set.load(Ordering::Relaxed))),
            };
            Machine { clock: Clock::with(source, reference), counter, monotonic, wall }
        }

        /// So many nanoseconds go by; the counter is fast by some of them.
        fn pass(&self, nanos: u64, fast: u64) {
            self.counter.increment(nanos + fast);
            self.monotonic.fetch_add(nanos, Ordering::Relaxed);
            self.wall.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_counter_of_nanoseconds_needs_no_bending() {
        let machine = Machine::new();
        let start = machine.clock.now();
        assert_eq!(start, Nanos(1_000_000 * SECOND));
        for second in 1..=300 {
            machine.pass(SECOND, 0);
            assert_eq!(machine.clock.adjust(), None);
            assert_eq!(machine.clock.now().0 - start.0, second * SECOND);
        }
    }

    #[test]
    fn setting_the_system_clock_does_not_reorder_events() {
        let machine = Machine::new();
        const HOUR: u64 = 3_600 * SECOND;
        let mut last = machine.clock.now();
        for step in 0..200 {
            match step {
                50 => _ = machine.wall.fetch_sub(HOUR, Ordering::Relaxed),
                100 => _ = machine.wall.fetch_add(3 * HOUR, Ordering::Relaxed),
                _ => {}
            }
            machine.pass(SECOND / 2, 40_000);
            machine.clock.adjust();
            let now = machine.clock.now();
            let went = now.0 - last.0;
            assert!((SECOND / 2 - 200_000..SECOND / 2 + 200_000).contains(&went), "{went} ns at step {step}");
            last = now;
        }
        // The step is there to be seen: of 100 s that went by, and 2 hours that did not.
        let (piece, wall) = machine.clock.calibration();
        assert_eq!(wall, Nanos(1_000_000 * SECOND + 100 * SECOND + 2 * HOUR));
        assert_eq!(piece, machine.clock.timeline().at(machine.clock.raw()));
    }

    /// A week with a counter whose rate is wrong by 50 millionths and changes every hour.
    #[test]
    fn a_line_grows_by_a_piece_a_minute_at_most_and_no_tick_changes_its_time() {
        let machine = Machine::new();
        let start = machine.clock.now();
        let mut known = Vec::new();
        let (mut seconds, mut pieces) = (0u64, 1);
        while seconds < 7 * 86_400 {
            machine.pass(SECOND, 40_000 + seconds / 3_600 % 5 * 5_000);
            seconds += 1;
            let tick = machine.clock.raw();
            if seconds % 997 == 0 {
                known.push((tick, machine.clock.nanos(tick)));
            }
            pieces += u64::from(machine.clock.adjust().is_some());
            let shown = machine.clock.now().0 - start.0;
            // 20 ppm more for a minute at most, after the first seconds.
            let error = shown.abs_diff(seconds * SECOND);
            assert!(error < 3_000_000, "{error} ns after {seconds} s");
        }
        assert_eq!(machine.clock.timeline().pieces().len() as u64, pieces);
        assert!(pieces <= 7 * 1_440 + 10, "{pieces} pieces");
        for (tick, nanos) in known {
            assert_eq!(machine.clock.nanos(tick), nanos);
        }
    }

    #[test]
    fn the_time_of_a_tick_never_changes() {
        let clock = Clock::new();
        let ticks: Vec<_> = (0..1_000).map(|_| clock.raw()).collect();
        let before: Vec<_> = ticks.iter().map(|tick| clock.nanos(*tick)).collect();
        for _ in 0..2 {
            clock.bending.lock().unwrap().interval = 0.0;
            clock.adjust();
        }
        let after: Vec<_> = ticks.iter().map(|tick| clock.nanos(*tick)).collect();
        assert_eq!(before, after);
    }
}
