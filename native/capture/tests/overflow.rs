//! What a thread does whose ring is full.

use elixir_scope_capture::{Limits, Origin, Outcome, Overflow, Session, Thread, Triggers, record};
use elixir_scope_clock::Clock;
use elixir_scope_dictionary::{Dictionary, Sources};
use elixir_scope_event::{Definition, Kind, Site};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Which session records is a fact of the whole process: one test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Of no process and no site.
struct Nobody;

impl Origin for Nobody {
    fn process(&self) -> u64 {
        0
    }
    fn process_meaning(&self) -> Definition {
        unreachable!("it has no process")
    }
    fn site(&self) -> u64 {
        0
    }
    fn site_meaning(&self) -> Option<Site> {
        None
    }
    fn thread(&self) -> Thread {
        Thread::Scheduler
    }
}

fn event(number: u64) -> Outcome {
    record(Kind::Return, &Nobody, |pen| pen.number(number))
}

struct Scene {
    _dir: tempfile::TempDir,
    session: Arc<Session>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.session.stop();
    }
}

fn recording(overflow: Overflow) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("rings")).unwrap();
    let dictionary = Dictionary::create(&dir.path().join("dictionary")).unwrap();
    let limits = Limits {
        scheduler_ring: 4096,
        other_ring: 4096,
        value_bytes: 1 << 10,
        state_bytes: 1 << 10,
        depth: 10,
        elements: 100,
    };
    let session = Session::with_overflow(
        Arc::new(Clock::new()),
        dictionary,
        Sources::new(dir.path().join("sources")),
        dir.path().join("rings"),
        limits,
        (overflow, Triggers::default()),
    );
    session.resume();
    Scene { _dir: dir, session }
}

/// Frames of 40 bytes fill the ring of 4096.
const FULL: u64 = 102;

#[test]
fn a_thread_waits_for_room_up_to_its_bound_and_then_counts() {
    let _turn = turn();
    for bound in [100, 1_000, 20_000].map(Duration::from_micros) {
        let scene = recording(Overflow::Block(bound));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!((0..FULL).all(|number| event(number) == Outcome::Known));
                let waits = [0; 20].map(|_| {
                    let begun = Instant::now();
                    assert_eq!(event(FULL), Outcome::Lost);
                    begun.elapsed()
                });
                // Never less; and not much more, when the system runs this thread: of 20 times at least once.
                assert!(waits.iter().all(|wait| *wait >= bound), "{bound:?}: {waits:?}");
                let least = waits.iter().min().unwrap();
                assert!(*least < bound + Duration::from_millis(1), "{bound:?}: {waits:?}");
            });
        });
        let end = scene.session.fresh_rings().next().unwrap();
        assert_eq!(end.consumer.position().lost_full, 20);
    }
}

#[test]
fn a_thread_that_waits_wakes_the_drain_and_loses_nothing() {
    const EVENTS: u64 = 20_000;
    let _turn = turn();
    let scene = recording(Overflow::Block(Duration::from_secs(60)));
    let (session, done) = (&scene.session, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| {
            // Never by itself: only when it is woken, or told that all is done.
            let (mut ends, mut read) = (Vec::new(), 0);
            loop {
                let last = done.load(Ordering::Acquire);
                session.awake();
                ends.extend(session.fresh_rings());
                for end in &mut ends {
                    end.consumer.refresh();
                    while end.consumer.peek().is_some() {
                        end.consumer.advance();
                        read += 1;
                    }
                    end.consumer.release();
                }
                if last {
                    return read;
                }
                std::thread::park();
            }
        });
        session.set_drain(drain.thread().clone());
        let recorded = scope.spawn(|| (0..EVENTS).filter(|number| event(*number) == Outcome::Known).count());
        assert_eq!(recorded.join().unwrap() as u64, EVENTS);
        done.store(true, Ordering::Release);
        drain.thread().unpark();
        assert_eq!(drain.join().unwrap(), EVENTS);
    });
}

#[test]
fn a_thread_that_waits_goes_on_when_recording_ends() {
    let _turn = turn();
    let scene = recording(Overflow::Block(Duration::from_secs(3_600)));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| (0..).find(|number| event(*number) != Outcome::Known));
        // It has filled its ring when it asks for the drain.
        let mut end =
            std::iter::repeat_with(|| scene.session.fresh_rings().next()).find_map(|end| end).unwrap();
        while end.consumer.refresh() < FULL * 40 {
            std::thread::yield_now();
        }
        scene.session.stop();
        assert!(thread.join().unwrap().unwrap() >= FULL);
    });
}

#[test]
fn a_flight_recording_takes_every_event_and_keeps_the_latest() {
    let _turn = turn();
    let scene = recording(Overflow::Overwrite);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!((0..10 * FULL).all(|number| event(number) == Outcome::Known)));
    });
    let mut end = scene.session.fresh_rings().next().unwrap();
    end.consumer.refresh();
    let mut kept = 0;
    while end.consumer.peek().is_some() {
        end.consumer.advance();
        kept += 1;
    }
    assert!((80..=FULL).contains(&kept));
    assert_eq!(kept + end.consumer.gone().overwritten, 10 * FULL);
}
