//! A recording from its first event to its reopening.

mod common;

use common::{Caller, Scene, Sizes, event, event_for_sure, numbers, open, rows, turn};
use elixir_scope_capture::{Origin, Outcome, count, record};
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::Token;
use elixir_scope_event::{Kind, LossCause, varint};
use elixir_scope_query::Gap;
use elixir_scope_recorder::recover;
use elixir_scope_store::RunPath;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn after_a_flush_everything_recorded_before_is_found() {
    const THREADS: u32 = 4;
    const EVENTS: u64 = 5_000;
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes::default());
    std::thread::scope(|scope| {
        for pid in 1..=THREADS {
            scope.spawn(move || (0..EVENTS).for_each(|number| event_for_sure(pid, number)));
        }
    });
    scene.recorder.flush();
    let found = numbers(&scene.recording.index());
    assert_eq!(found.len(), THREADS as usize);
    assert!(found.values().all(|numbers| numbers.iter().copied().eq(0..EVENTS)));
}

#[test]
fn counts_are_told_as_they_grow() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes::default());
    let calls = |times: u64| {
        (0..times).for_each(|_| assert_eq!(count(&Caller(1)), Outcome::Known));
        scene.recorder.flush();
    };
    let told = || -> u64 {
        let counts = rows(&scene.recording.index());
        let payloads = counts.iter().filter(|row| row.kind == Kind::Count).map(|row| row.payload.clone());
        payloads.map(|payload| varint::take(&mut &payload[..]).unwrap()).sum()
    };
    calls(700);
    assert_eq!(told(), 700);
    calls(0);
    calls(50);
    assert_eq!(told(), 750);
    let index = scene.recording.index();
    let last = rows(&index).pop().unwrap();
    assert_eq!(index.site(last.site.unwrap()), Caller(1).site_meaning().as_ref());
    assert_eq!(last.process, None);
}

#[test]
fn each_thread_finds_its_own_event_after_its_own_flush() {
    const THREADS: u32 = 3;
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes::default());
    std::thread::scope(|scope| {
        for pid in 1..=THREADS {
            let scene = &scene;
            scope.spawn(move || {
                for number in 0..200 {
                    event_for_sure(pid, number);
                    scene.recorder.flush();
                    let index = scene.recording.index();
                    let process = index.process(elixir_scope_event::Pid { id: pid, serial: 0 }).unwrap();
                    assert_eq!(process.events, number + 1);
                }
            });
        }
    });
}

/// Processes change threads after every few events, as they do between schedulers.
#[test]
fn a_process_keeps_its_order_when_it_moves_between_threads() {
    const THREADS: usize = 4;
    const PROCESSES: u32 = 6;
    const EVENTS: u64 = 6_000;
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes { block: 2_000, ..Sizes::default() });
    // A process, the number of its next event, and by how many threads it was seen to have ended.
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::channel::<(u32, u64, usize)>()).unzip();
    std::thread::scope(|scope| {
        for (thread, receiver) in receivers.into_iter().enumerate() {
            let next = senders[(thread + 1) % THREADS].clone();
            scope.spawn(move || {
                let mut left = PROCESSES;
                while left > 0 {
                    let (pid, mut number, mut ends) = receiver.recv().unwrap();
                    for _ in 0..1 + (number + u64::from(pid)) % 3 {
                        if number < EVENTS {
                            event_for_sure(pid, number);
                            number += 1;
                        }
                    }
                    if number == EVENTS {
                        (left, ends) = (left - 1, ends + 1);
                    }
                    if ends < THREADS {
                        next.send((pid, number, ends)).unwrap();
                    }
                }
            });
        }
        (1..=PROCESSES).for_each(|pid| senders[pid as usize % THREADS].send((pid, 0, 0)).unwrap());
    });
    scene.recorder.flush();
    let found = numbers(&scene.recording.index());
    assert_eq!(found.len(), PROCESSES as usize);
    assert!(found.values().all(|numbers| numbers.iter().copied().eq(0..EVENTS)));
    let written = std::fs::read_dir(scene.recorder.run().rings()).unwrap().count();
    assert_eq!(written, THREADS);
}

#[test]
fn a_stopped_recording_is_closed_and_reopens_with_the_same_events() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let sizes = Sizes { segment: 64 << 10, block: 4 << 10, ..Sizes::default() };
    let scene = Scene::start(dir.path(), sizes);
    std::thread::scope(|scope| {
        for pid in 1..=3 {
            scope.spawn(move || (0..5_000).for_each(|number| event_for_sure(pid, number)));
        }
    });
    assert!(scene.recorder.run().is_live());
    // Not flushed: stopping drains what is left.
    scene.recorder.stop();
    assert!(scene.recorder.has_ended() && !scene.recorder.session().is_recording());
    assert_eq!(event(1, 5_000), Outcome::Off);
    scene.recorder.flush();
    scene.recorder.stop();

    let run = RunPath::find(dir.path()).unwrap();
    assert!(!run.is_live() && !run.rings().exists() && !run.dictionary().exists());
    let segments = RunPath::files(&run.segments(), "seg");
    let sizes: Vec<u64> = segments.iter().map(|file| file.metadata().unwrap().len()).collect();
    assert!(sizes.len() > 3 && sizes.iter().all(|bytes| *bytes < 64 << 10), "not cut: {sizes:?}");

    let reopened = open(&run);
    let (live, dead) = (scene.recording.index(), reopened.index());
    let plain = |index| -> Vec<_> {
        let rows = rows(index);
        rows.into_iter().map(|row| (row.id, row.time, row.kind, row.process, row.payload)).collect()
    };
    assert_eq!(plain(&live), plain(&dead));
    assert_eq!(rows(&dead).last().unwrap().kind, Kind::Pause);
    assert!(numbers(&dead).values().all(|numbers| numbers.iter().copied().eq(0..5_000)));
    assert_eq!((dead.gaps().len(), dead.damage().len()), (0, 0));
    assert_eq!(scene.recorder.status().events, dead.next_event() - 1, "the note of the end is not counted");
    assert_eq!(scene.recorder.status().failure, None);
}

#[test]
fn small_segments_follow_each_other_and_each_knows_its_words() {
    const EVENTS: u64 = 20_000;
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes { segment: 16 << 10, block: 1 << 10, ..Sizes::default() });
    (0..EVENTS).for_each(|number| event_for_sure(1, number));
    scene.recorder.stop();
    let run = RunPath::find(dir.path()).unwrap();
    let found = recover(&run).unwrap();
    let segments = found.shelf.segments();
    assert!(segments.len() > 20, "{} segments", segments.len());
    assert!(segments.iter().map(|segment| segment.head().number).eq(1..=segments.len() as u32));
    // `numbers` looks at each event's atom, process and site.
    assert!(numbers(&open(&run).index())[&1].iter().copied().eq(0..EVENTS));
    // One segment alone is enough to read its own events.
    let lone = elixir_scope_store::Shelf::of(vec![std::sync::Arc::clone(&segments[7])]);
    let lone = elixir_scope_query::Recording::new(run, found.manifest, Vec::new(), lone.into());
    let alone = &numbers(&lone.index())[&1];
    assert!(alone.len() > 100 && alone.is_sorted());
}

#[test]
fn who_has_little_time_empties_rings_that_hold_little() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes::default());
    let recorded = || numbers(&scene.recording.index()).get(&1).map_or(0, Vec::len);
    for number in 0..200 {
        event_for_sure(1, number);
        assert!(scene.recorder.flush_soon(1 << 20));
        assert_eq!(recorded() as u64, number + 1);
    }
    // A pass of the thread may come between: then there is nothing left to refuse.
    let refused = (200..2_000).any(|number| {
        event_for_sure(1, number);
        !scene.recorder.flush_soon(0)
    });
    assert!(refused);
    scene.recorder.stop();
    assert!(scene.recorder.flush_soon(0), "everything is in the store");
    assert_eq!(scene.recorder.status().failure, None);
}

/// A process, the numbers that it was told were recorded, and when the others were lost: not before, not after.
type Produced = (u32, Vec<u64>, Vec<(Nanos, Nanos)>);

/// Threads are far faster than a ring of 4 KiB is emptied.
#[test]
fn every_event_is_recorded_or_counted_as_lost_within_a_gap() {
    const THREADS: u32 = 3;
    const EVENTS: u64 = 30_000;
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes { ring: 4096, ..Sizes::default() });
    let produced: Vec<Produced> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|pid| {
                let clock = &scene.clock;
                scope.spawn(move || {
                    let (mut kept, mut lost) = (Vec::new(), Vec::new());
                    for number in 0..EVENTS {
                        let before = clock.now();
                        match event(pid, number) {
                            Outcome::Lost => lost.push((before, clock.now())),
                            _ => kept.push(number),
                        }
                    }
                    (pid, kept, lost)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    scene.recorder.flush();
    let index = scene.recording.index();
    let found = numbers(&index);
    let mut lost = 0;
    for (pid, kept, losses) in &produced {
        assert_eq!(&found[pid], kept, "process {pid}");
        lost += losses.len() as u64;
        for (before, after) in losses {
            assert!(index.has_gap(*before, *after), "lost between {before:?} and {after:?}");
        }
    }
    assert!(lost > 0, "the test asks for more than a ring of 4 KiB holds");
    assert_eq!(index.gaps().iter().map(|gap| gap.count).sum::<u64>(), lost);
    assert!(index.gaps().iter().all(|gap| gap.cause == LossCause::Full && gap.from <= gap.to));
    assert_eq!(scene.recorder.status().lost, lost);
}

/// A block has a head and the marks of all rings: one for each look at the rings would be most of the store.
#[test]
fn events_wait_for_each_other_before_they_are_written() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes { ring: 4 << 20, ..Sizes::default() });
    let start = std::time::Instant::now();
    let mut events = 0;
    while start.elapsed() < Duration::from_millis(200) {
        event_for_sure(1, events);
        events += 1;
    }
    scene.recorder.flush();
    let segments = scene.recorder.shelf().segments();
    let blocks = segments.iter().flat_map(|segment| segment.scan(0).collect::<Vec<_>>());
    let mut sizes: Vec<u32> = blocks.map(|block| block.unwrap().head.events).collect();
    sizes.sort();
    assert!(sizes[sizes.len() / 2] > 100, "{} blocks for {events} events: {sizes:?}", sizes.len());
    let bytes = scene.recording.index().bytes();
    assert!(bytes < events * 16, "{bytes} bytes for {events} events");
}

#[test]
fn an_event_that_no_segment_takes_ends_the_recording_and_is_told() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes { segment: 8 << 10, ..Sizes::default() });
    (0..10).for_each(|number| event_for_sure(1, number));
    scene.recorder.flush();
    let before = scene.clock.now();
    record(Kind::Return, &common::Caller(1), |pen| {
        pen.number(1);
        pen.token(Token::Binary(&[7; 10_000]));
    });
    scene.recorder.flush();
    assert!(scene.recorder.has_ended() && !scene.recorder.session().is_recording());
    assert_eq!(event(1, 10), Outcome::Off);
    let status = scene.recorder.status();
    assert!(status.failure.as_ref().unwrap().contains("make segments larger"), "{status:?}");
    assert_eq!(*scene.ear.0.lock().unwrap(), [status.failure.unwrap()]);
    assert_eq!(status.lost, 1);
    // Who reads on is told that the end is not known.
    {
        let index = scene.recording.index();
        assert_eq!(numbers(&index)[&1], (0..10).collect::<Vec<_>>());
        assert!(
            matches!(index.gaps()[..], [Gap { cause: LossCause::Disk, count: 1, .. }]),
            "{:?}",
            index.gaps()
        );
        assert!(index.has_gap(before, before) && index.has_gap(Nanos(u64::MAX - 1), Nanos(u64::MAX)));
    }
    // What the ring still holds is found when the run is opened again.
    scene.recorder.stop();
    let reopened = open(&RunPath::find(dir.path()).unwrap());
    let kinds: Vec<Kind> = rows(&reopened.index()).iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [vec![Kind::Call; 10], vec![Kind::Return]].concat());
}

#[test]
fn a_disk_that_takes_no_new_segment_ends_the_recording_and_loses_nothing_that_was_kept() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::start(dir.path(), Sizes { segment: 16 << 10, block: 1 << 10, ..Sizes::default() });
    let folder = scene.recorder.run().segments();
    let aside = dir.path().join("aside");
    let failing = AtomicBool::new(false);
    let recorded: u64 = std::thread::scope(|scope| {
        let (ear, recorder, failing) = (&scene.ear, &scene.recorder, &failing);
        let thread = scope.spawn(move || {
            let mut number = 0;
            loop {
                match event(1, number) {
                    Outcome::Off if failing.load(Ordering::Acquire) => return number,
                    Outcome::Off | Outcome::Lost => std::thread::yield_now(),
                    Outcome::Known | Outcome::New | Outcome::Unsourced => number += 1,
                }
            }
        });
        while recorder.shelf().segments().len() < 5 {
            std::thread::yield_now();
        }
        failing.store(true, Ordering::Release);
        // The folder is moved away: the segments are mapped and stay, the next cannot be made.
        std::fs::rename(&folder, &aside).unwrap();
        while ear.0.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        thread.join().unwrap()
    });
    let status = scene.recorder.status();
    assert!(status.failure.as_ref().unwrap().contains("could not make the segment"), "{status:?}");
    let shown = numbers(&scene.recording.index()).remove(&1).unwrap();
    assert!(shown.iter().copied().eq(0..shown.len() as u64));
    scene.recorder.stop();
    std::fs::rename(&aside, &folder).unwrap();
    let reopened = open(&RunPath::find(dir.path()).unwrap());
    assert_eq!(numbers(&reopened.index())[&1], (0..recorded).collect::<Vec<_>>());
}

/// The bytes of a file that only grows, all of one moment: nothing was written between two readings that agree. (`cp` may
/// read a page before and the next page after two blocks were written; what it then lacks is told as damage.) `None`: it
/// was removed since: a ring, after its last event had reached a segment, or what a packed file was written to.
fn at_one_moment(path: &Path) -> Option<Vec<u8>> {
    let mut before = std::fs::read(path).ok()?;
    loop {
        let after = std::fs::read(path).ok()?;
        if before == after {
            return Some(after);
        }
        before = after;
    }
}

/// A copy of the files while threads record: rings first, then segments, then the dictionary. What a ring's copy still holds, and
/// what the later copy of the segments holds too, must not be shown twice.
#[test]
fn a_copy_made_while_threads_record_shows_each_event_once() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let sizes = Sizes { ring: 16 << 10, segment: 256 << 10, block: 4 << 10, ..Sizes::default() };
    let scene = Scene::start(dir.path(), sizes);
    let (stop, allowed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for pid in 1..=2 {
            let (stop, allowed) = (&stop, &allowed);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    if number < allowed.load(Ordering::Relaxed) {
                        event_for_sure(pid, number);
                        number += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        // Also when an assertion fails: the threads would go on for ever.
        let _stop = common::AtEnd(|| stop.store(true, Ordering::Relaxed));
        for copy in 0..20 {
            // The copy races with these.
            let before = allowed.fetch_add(1_000, Ordering::Relaxed) * 2;
            while scene.recorder.status().events < before + 200 {
                scene.recorder.flush();
            }
            let known: Vec<u64> = {
                let index = scene.recording.index();
                let pid = |id| index.process(elixir_scope_event::Pid { id, serial: 0 });
                (1..=2).map(|id| pid(id).map_or(0, |process| process.events)).collect()
            };
            let run = dir.path().join(format!("copy {copy}"));
            std::fs::create_dir(&run).unwrap();
            for folder in ["rings", "segments"] {
                std::fs::create_dir(run.join(folder)).unwrap();
                // Listed before any is read: of a segment that is not in the list, none before it lacks a block.
                let files: Vec<_> =
                    std::fs::read_dir(scene.recorder.run().dir().join(folder)).unwrap().collect();
                for file in files.into_iter().map(Result::unwrap) {
                    if let Some(bytes) = at_one_moment(&file.path()) {
                        std::fs::write(run.join(folder).join(file.file_name()), bytes).unwrap();
                    }
                }
            }
            for file in ["dictionary", "manifest"] {
                std::fs::copy(scene.recorder.run().dir().join(file), run.join(file)).unwrap();
            }
            let opened = open(&RunPath::find(&run).unwrap());
            let index = opened.index();
            assert_eq!(index.damage(), []);
            let found = numbers(&index);
            for (pid, known) in (1..).zip(known) {
                let numbers = found.get(&pid).map(Vec::as_slice).unwrap_or_default();
                assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "process {pid} in copy {copy}");
                assert!(numbers.len() as u64 >= known);
            }
        }
    });
}
