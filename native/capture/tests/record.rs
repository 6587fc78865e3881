//! What `record` promises to threads: nothing when off, a ring each, loss that is counted, meanings before words.

use elixir_scope_capture::{
    Limits, Origin, Outcome, Session, Slot, Thread, count, current, is_held, mute, record, record_brief,
    release, sensitive, unmute,
};
use elixir_scope_clock::Clock;
use elixir_scope_dictionary::{Dictionary, Meanings, Sources};
use elixir_scope_event::value::{self, Short, Token};
use elixir_scope_event::{BRIEF, Definition, Kind, Pid, Record, Site, varint};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

/// Which session records is a fact of the whole process: one test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A process at a site. It counts how often it was asked for what its words mean.
struct Caller {
    pid: u32,
    site: u64,
    /// The key in the site's literal.
    literal: u64,
    /// The digest of the text that the site lies in.
    source: u64,
    asked: Cell<u32>,
    waits: bool,
    guarded: bool,
}

impl Caller {
    fn new(pid: u32, site: u64) -> Self {
        Caller { pid, site, literal: site, source: 0, asked: Cell::new(0), waits: false, guarded: false }
    }

    fn waiting(pid: u32, site: u64) -> Self {
        Caller { waits: true, ..Self::new(pid, site) }
    }
}

fn pid_word(pid: u32) -> u64 {
    u64::from(pid) << 4 | 3
}

fn process(pid: u32) -> Definition {
    Definition::Process(Pid { id: pid, serial: 0 }, pid.to_be_bytes().to_vec())
}

fn site(key: u64) -> Site {
    let (module, function) = ("Elixir.Shop".into(), format!("function_{key}"));
    Site { key, node: key, module, function, arity: 1, file: "lib/shop.ex".into(), line: 7, ..Site::default() }
}

impl Origin for Caller {
    fn process(&self) -> u64 {
        if self.pid == 0 { 0 } else { pid_word(self.pid) }
    }

    fn process_meaning(&self) -> Definition {
        self.asked.set(self.asked.get() + 1);
        process(self.pid)
    }

    fn site(&self) -> u64 {
        self.site
    }

    fn site_meaning(&self) -> Option<Site> {
        self.asked.set(self.asked.get() + 1);
        Some(Site { source: self.source, ..site(self.literal) })
    }

    fn thread(&self) -> Thread {
        Thread::Scheduler
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn is_guarded(&self, _session: &Session, slot: &mut Slot) -> bool {
        self.asked.set(self.asked.get() + u32::from(self.guarded));
        slot.rest = Some(Box::new(self.site));
        self.guarded
    }
}

struct Scene {
    dir: tempfile::TempDir,
    session: Arc<Session>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.session.stop();
    }
}

impl Scene {
    fn new(ring: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rings")).unwrap();
        let dictionary = Dictionary::create(&dir.path().join("dictionary")).unwrap();
        let limits = Limits {
            scheduler_ring: ring,
            other_ring: ring,
            value_bytes: 1 << 16,
            state_bytes: 1 << 16,
            depth: 10,
            elements: 100,
        };
        let clock = Arc::new(Clock::new());
        let session = Session::new(
            clock,
            dictionary,
            Sources::new(dir.path().join("sources")),
            dir.path().join("rings"),
            limits,
        );
        Scene { dir, session }
    }

    fn recording(ring: u64) -> Self {
        let scene = Self::new(ring);
        scene.session.resume();
        scene
    }

    fn meanings(&self) -> Meanings {
        elixir_scope_dictionary::read(&self.dir.path().join("dictionary")).unwrap()
    }

    fn rings(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.dir.path().join("rings")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// A record of a ring file, as another process would read it.
#[derive(Debug, PartialEq)]
struct Seen {
    kind: Kind,
    ticks: u64,
    process: u64,
    site: u64,
    number: u64,
    words: Vec<u64>,
}

fn read(ring: &Path) -> Vec<Seen> {
    let mut consumer = elixir_scope_ring::file::open(ring).unwrap();
    consumer.refresh();
    let mut seen = Vec::new();
    while let Some(frame) = consumer.peek() {
        let record = Record::parse(frame.tag, &frame.body).unwrap();
        let mut payload = record.payload;
        let number = varint::take(&mut payload).unwrap();
        let mut words = Vec::new();
        while !payload.is_empty() {
            if let Token::Word(word) = value::take(&mut payload).unwrap() {
                words.push(word);
            }
        }
        let (kind, ticks) = (record.kind, record.ticks.0);
        seen.push(Seen { kind, ticks, process: record.process, site: record.site, number, words });
        consumer.advance();
    }
    seen
}

fn lost(ring: &Path) -> u64 {
    elixir_scope_ring::file::open(ring).unwrap().position().lost_full
}

fn numbered(caller: &Caller, number: u64) -> Outcome {
    record(Kind::Call, caller, |pen| pen.number(number))
}

/// Runs in a thread of its own, which has ended when this returns.
fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[test]
fn off_records_nothing_and_asks_for_nothing() {
    let _turn = turn();
    let scene = Scene::new(1 << 16);
    let caller = Caller::new(1, 1);
    let off = || record(Kind::Call, &caller, |_| panic!("nobody wants the payload"));
    assert_eq!(off(), Outcome::Off, "before the first session");
    scene.session.resume();
    assert_eq!(numbered(&caller, 1), Outcome::New);
    scene.session.pause();
    assert_eq!(off(), Outcome::Off, "while paused");
    scene.session.resume();
    assert_eq!(numbered(&caller, 2), Outcome::Known, "a pause forgets nobody");
    scene.session.stop();
    assert_eq!(off(), Outcome::Off, "after the end");
    assert!(current().is_none());
    assert_eq!(caller.asked.get(), 2, "once for the process, once for the site");
    let numbers: Vec<u64> = read(&scene.rings()[0]).iter().map(|seen| seen.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn the_first_event_of_a_process_is_new_and_the_later_ones_are_known() {
    let _turn = turn();
    let _scene = Scene::recording(1 << 16);
    for pid in 1..=20 {
        assert_eq!(numbered(&Caller::new(pid, 1), 0), Outcome::New, "process {pid}");
        assert_eq!(numbered(&Caller::new(pid, 2), 1), Outcome::Known, "process {pid}");
    }
    let elsewhere = in_a_thread(|| numbered(&Caller::new(20, 3), 2));
    assert_eq!(elsewhere, Outcome::Known, "a process is known to all threads");
    assert_eq!(numbered(&Caller::new(0, 0), 3), Outcome::Known, "no process is never new");
}

#[test]
fn a_process_that_becomes_ours_is_recorded_no_more() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let (before, ours, others) = (Caller::new(70, 1), Caller::new(71, 1), Caller::new(72, 1));
    elixir_scope_capture::own(pid_word(71));
    assert_eq!(numbered(&ours, 0), Outcome::Off, "ours from the first event on");
    assert_eq!(count(&ours), Outcome::Off);
    assert_eq!(numbered(&before, 1), Outcome::New);
    assert_eq!(numbered(&before, 2), Outcome::Known);
    elixir_scope_capture::own(pid_word(70));
    assert_eq!(numbered(&before, 3), Outcome::Off, "though the session knew it");
    assert_eq!(numbered(&others, 4), Outcome::New);
    let numbers: Vec<u64> = read(&scene.rings()[0]).iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2, 4]);
    assert_eq!((ours.asked.get(), scene.session.undefined()), (0, 0), "nothing is written of it");
}

#[test]
fn a_process_that_is_muted_is_recorded_again_when_it_is_unmuted() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let (caller, others) = (Caller::new(80, 1), Caller::new(81, 1));
    assert_eq!(numbered(&caller, 0), Outcome::New);
    assert!(mute(pid_word(80)));
    assert_eq!(
        (numbered(&caller, 1), count(&caller)),
        (Outcome::Off, Outcome::Off),
        "though the session knew it"
    );
    assert_eq!(numbered(&others, 2), Outcome::New);
    unmute(pid_word(80));
    assert_eq!(numbered(&caller, 3), Outcome::New);
    let numbers: Vec<u64> = read(&scene.rings()[0]).iter().map(|one| one.number).collect();
    assert_eq!(numbers, [0, 2, 3]);
}

#[test]
fn the_first_event_of_a_process_waits_for_the_second() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    assert_eq!(numbered(&Caller::waiting(11, 5), 1), Outcome::New);
    assert_eq!(numbered(&Caller::new(12, 5), 2), Outcome::New, "another process does not wait for it");
    let numbers = || read(&scene.rings()[0]).iter().map(|seen| seen.number).collect::<Vec<_>>();
    assert_eq!(numbers(), [2]);
    assert_eq!([11, 12].map(|pid| is_held(pid_word(pid))), [true, false]);
    assert_eq!(numbered(&Caller::new(11, 5), 3), Outcome::New);
    assert!(!is_held(pid_word(11)));
    assert_eq!(numbered(&Caller::waiting(11, 5), 4), Outcome::Known, "nothing waits any more");
    let seen = read(&scene.rings()[0]);
    assert_eq!(seen.iter().map(|seen| seen.number).collect::<Vec<_>>(), [2, 1, 3, 4]);
    assert!(seen.is_sorted_by_key(|seen| seen.ticks), "a ring's events follow each other in time");
}

#[test]
fn what_a_process_has_begun_with_is_published_when_it_ends_and_lost_when_nobody_tells() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    assert_eq!(numbered(&Caller::waiting(13, 5), 1), Outcome::New);
    assert_eq!(numbered(&Caller::waiting(14, 5), 2), Outcome::New);
    release(&Caller::new(13, 0));
    release(&Caller::new(13, 0));
    assert_eq!(read(&scene.rings()[0]).iter().map(|seen| seen.number).collect::<Vec<_>>(), [1]);
    assert_eq!(scene.session.undefined(), 0);
    scene.session.stop();
    assert_eq!(scene.session.undefined(), 1);
}

#[test]
fn of_a_process_that_asks_not_to_be_looked_at_nothing_is_recorded_until_it_takes_that_back() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let lives = |_| true;
    assert_eq!(numbered(&Caller::waiting(15, 5), 1), Outcome::New);
    sensitive(pid_word(15), true, lives);
    assert_eq!(numbered(&Caller::waiting(15, 5), 2), Outcome::Off);
    assert_eq!(numbered(&Caller::new(15, 5), 3), Outcome::Off);
    assert_eq!(numbered(&Caller::new(16, 5), 4), Outcome::New);
    sensitive(pid_word(15), false, lives);
    assert_eq!(numbered(&Caller::new(15, 5), 5), Outcome::New);
    sensitive(pid_word(15), true, lives);
    assert_eq!(numbered(&Caller::new(15, 5), 6), Outcome::Off, "also when it was known");
    assert_eq!(read(&scene.rings()[0]).iter().map(|seen| seen.number).collect::<Vec<_>>(), [4, 5]);

    // Very many of them come and go.
    for pid in 100..3_000 {
        sensitive(pid_word(pid), true, |other| {
            other >= pid_word(pid.saturating_sub(10)) || other == pid_word(15)
        });
        assert_eq!(numbered(&Caller::new(pid, 5), 7), Outcome::Off);
    }
    assert_eq!(numbered(&Caller::new(15, 5), 8), Outcome::Off);
    assert_eq!(numbered(&Caller::new(100, 5), 9), Outcome::New, "it ended, and another one has its pid");
    sensitive(pid_word(15), false, |_| false);
}

#[test]
fn the_events_of_a_guarded_site_say_so_and_those_of_others_are_not_asked_about() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let guarded = Caller { guarded: true, ..Caller::new(17, 6) };
    for _ in 0..3 {
        record(Kind::Call, &guarded, |pen| {
            assert!(pen.is_guarded());
            assert!(pen.slot().rest.as_ref().is_some_and(|kept| kept.downcast_ref() == Some(&6u64)));
            pen.number(1);
        });
        let brief = record_brief(
            Kind::Call,
            &guarded,
            0,
            |_, _| None,
            |pen| {
                assert!(pen.is_guarded(), "it is never written without being asked about");
                pen.number(1);
            },
        );
        assert_eq!(brief, Outcome::Known);
    }
    assert_eq!(guarded.asked.get(), 3, "its process, its site, and whether it is guarded, once");
    let other = Caller::new(17, 7);
    record(Kind::Call, &other, |pen| {
        assert!(!pen.is_guarded());
        pen.number(1);
    });
    assert_eq!(read(&scene.rings()[0]).len(), 7);
}

#[test]
fn so_many_processes_are_muted_at_once_and_no_more() {
    let _turn = turn();
    let muted = (100..1_000).take_while(|pid| mute(pid_word(*pid))).count();
    assert!(muted >= 16, "{muted}");
    assert!(!mute(pid_word(99)));
    (100..1_000).for_each(|pid| unmute(pid_word(pid)));
    assert!(mute(pid_word(99)));
    unmute(pid_word(99));
    assert!(!mute(0), "no process is no process");
}

#[test]
fn an_event_larger_than_any_before_it_is_whole_and_so_is_the_next() {
    let _turn = turn();
    let scene = Scene::recording(1 << 20);
    let caller = Caller::new(1, 1);
    let sizes = [0, 5_000, 3, 70_000, 17, 200_000, 0];
    for size in sizes {
        let outcome = record(Kind::Call, &caller, |pen| {
            assert!(pen.is_empty());
            pen.number(size as u64);
            pen.token(Token::Binary(&vec![size as u8; size]));
        });
        assert_ne!(outcome, Outcome::Lost);
    }
    let mut consumer = elixir_scope_ring::file::open(&scene.rings()[0]).unwrap();
    consumer.refresh();
    for size in sizes {
        let frame = consumer.peek().unwrap();
        let mut payload = Record::parse(frame.tag, &frame.body).unwrap().payload;
        assert_eq!(varint::take(&mut payload), Ok(size as u64));
        assert_eq!(value::take(&mut payload), Ok(Token::Binary(&vec![size as u8; size])));
        assert!(payload.is_empty());
        consumer.advance();
    }
    assert!(consumer.peek().is_none());
}

#[test]
fn words_in_a_row_wait_for_their_meaning() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let words: Vec<u64> = (1..=40).map(|word| word << 6 | 11).collect();
    for round in 0..2 {
        let mut taken = 0;
        record(Kind::Call, &Caller::new(1, 1), |pen| {
            pen.number(round);
            let mut left = &words[..];
            while let [first, after @ ..] = left {
                let mut next = left.iter().copied();
                let count =
                    pen.short(|known| next.next().filter(|word| known.contains(*word)).map(Short::Word));
                taken += count;
                left = if count > 0 { &left[count..] } else { after };
                if count == 0 {
                    pen.word(*first, || Definition::Atom(format!("atom_{first}")));
                }
            }
        });
        assert_eq!(taken, if round == 0 { 0 } else { words.len() }, "round {round}");
    }
    let seen = read(&scene.rings()[0]);
    assert!(seen.len() == 2 && seen.iter().all(|one| one.words == words));
    let meanings = scene.meanings();
    assert!(words.iter().all(|word| meanings.words[word] == Definition::Atom(format!("atom_{word}"))));
}

#[test]
fn a_brief_record_holds_its_values_as_words_and_reads_as_any_other() {
    let _turn = turn();
    let scene = Scene::recording(1 << 20);
    let caller = Caller::new(1, 1);
    let atom = |at: u64| at << 6 | 11;
    let small = |number: i64| (number << 4) as u64 | value::word::SMALL;
    let values = [small(0), small(-1), value::word::NIL, atom(3), small(1 << 40), atom(5), small(-(1 << 58))];
    // `None` when the pen was asked instead, which then writes nothing that matters here.
    let brief = |kind: Kind, count: usize| {
        let mut asked = false;
        let word = |known: &elixir_scope_dictionary::Known, place: usize| {
            let word = values[place % values.len()];
            (word & 0x3F != 11 || known.contains(word)).then_some(word)
        };
        let outcome = record_brief(kind, &caller, count, word, |pen| {
            asked = true;
            pen.number(99);
        });
        (!asked).then_some(outcome)
    };
    assert_eq!(brief(Kind::Call, 1), None, "the process is not known yet");
    let first = record(Kind::Call, &caller, |pen| {
        pen.number(0);
        (0..8).for_each(|at| pen.word(atom(at), || Definition::Atom(format!("atom_{at}"))));
    });
    assert_eq!(first, Outcome::Known);
    assert_eq!(brief(Kind::Call, 14), None, "more than are brief");
    assert_eq!(brief(Kind::State, 1), None, "a kind that is never brief");
    assert_eq!(brief(Kind::Return, 2), None, "a return has one value");
    assert_eq!(brief(Kind::Take, 2), None, "one message is taken, or none");
    assert_eq!(brief(Kind::Wait, 1), None, "who waits has nothing yet");
    let made: Vec<(Kind, usize)> = [Kind::Call, Kind::Binding]
        .into_iter()
        .flat_map(|kind| (0..=13).map(move |count| (kind, count)))
        .collect();
    let made = [made, vec![(Kind::Return, 1), (Kind::Take, 1), (Kind::Take, 0), (Kind::Wait, 0)]].concat();
    made.iter().for_each(|(kind, count)| assert_eq!(brief(*kind, *count), Some(Outcome::Known)));
    scene.session.pause();
    assert_eq!(brief(Kind::Call, 1), Some(Outcome::Off));

    let mut consumer = elixir_scope_ring::file::open(&scene.rings()[0]).unwrap();
    consumer.refresh();
    let mut last = 0;
    for (kind, count) in made {
        while consumer.peek().unwrap().tag & BRIEF == 0 {
            consumer.advance();
        }
        let frame = consumer.peek().unwrap();
        assert_eq!(frame.tag, kind as u32 | BRIEF);
        let record = Record::parse(frame.tag, &frame.body).unwrap();
        assert_eq!((record.kind, record.process, record.site), (kind, pid_word(1), 1));
        assert!(record.ticks.0 >= last);
        last = record.ticks.0;
        // As the drain reads it: what the pen would have written, with each word's number in place of the word.
        let (mut payload, mut expected) = (Vec::new(), Vec::new());
        value::translate_brief(kind, record.payload, &mut payload, |word| word >> 6).unwrap();
        varint::put(&mut expected, if kind == Kind::Call { count as u64 + 1 } else { count as u64 });
        for place in 0..count {
            let token = match values[place % values.len()] {
                value::word::NIL => Token::Nil,
                word if word & 0x3F == 11 => Token::Reference(word >> 6),
                word => Token::Integer(word as i64 >> 4),
            };
            value::put(&mut expected, token);
        }
        assert_eq!(payload, expected);
        consumer.advance();
    }
    assert!(consumer.peek().is_none());
}

#[test]
fn a_site_is_unsourced_until_its_text_is_there() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let from = |source| Caller { source, ..Caller::new(1, source) };
    assert_eq!(numbered(&from(7), 0), Outcome::New, "a process that is new is said first");
    assert_eq!(numbered(&from(7), 1), Outcome::Unsourced);
    assert_eq!(numbered(&from(7), 2), Outcome::Unsourced, "and again, until it is known");
    assert_eq!(count(&from(7)), Outcome::Unsourced);
    scene.session.sources.put(7, b"text").unwrap();
    assert_eq!(numbered(&from(7), 3), Outcome::Known);
    assert_eq!(numbered(&Caller::new(1, 8), 4), Outcome::Known, "without a digest there is nothing to ask for");
    assert_eq!(scene.meanings().sites[&7].source, 7);
    assert_eq!(read(&scene.rings()[0]).len(), 5, "all of them are recorded");
}

#[test]
fn counted_calls_are_summed_over_threads_and_make_no_events() {
    const THREADS: u64 = 4;
    let _turn = turn();
    let scene = Scene::new(1 << 16);
    assert_eq!(count(&Caller::new(1, 1)), Outcome::Off);
    scene.session.resume();
    std::thread::scope(|scope| {
        for thread in 1..=THREADS {
            scope.spawn(move || {
                for _ in 0..1_000 * thread {
                    assert_eq!(count(&Caller::new(1, 1)), Outcome::Known);
                }
                assert_eq!(count(&Caller::new(1, 2)), Outcome::Known);
            });
        }
    });
    let sums = scene.session.counts.sums();
    assert_eq!((sums.len(), sums[&1], sums[&2]), (2, 10_000, THREADS));
    assert!(scene.meanings().sites.contains_key(&1));
    assert!(scene.rings().iter().all(|ring| read(ring).is_empty()));
}

#[test]
fn each_thread_has_its_own_ring_and_keeps_its_order() {
    const THREADS: u32 = 8;
    const EVENTS: u64 = 2_000;
    let _turn = turn();
    let scene = Scene::recording(1 << 20);
    let all_are_here = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for pid in 1..=THREADS {
            let all_are_here = &all_are_here;
            scope.spawn(move || {
                let caller = Caller::new(pid, 1);
                numbered(&caller, 0);
                all_are_here.wait();
                (1..EVENTS).for_each(|number| assert_eq!(numbered(&caller, number), Outcome::Known));
            });
        }
    });
    let rings = scene.rings();
    assert_eq!(rings.len(), THREADS as usize);
    let mut processes: Vec<u64> = Vec::new();
    for ring in rings {
        let seen = read(&ring);
        assert!(seen.iter().all(|one| one.process == seen[0].process), "two processes in one ring");
        assert!(seen.iter().map(|one| one.number).eq(0..EVENTS));
        assert!(seen.is_sorted_by_key(|one| one.ticks));
        processes.push(seen[0].process);
    }
    processes.sort();
    assert!(processes.into_iter().eq((1..=THREADS).map(pid_word)));
}

#[test]
fn the_ring_of_a_thread_that_ended_is_used_by_the_next() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    for number in 0..50 {
        in_a_thread(|| numbered(&Caller::new(1, 1), number));
    }
    let rings = scene.rings();
    assert_eq!(rings.len(), 1, "50 threads, one after the other");
    let seen = read(&rings[0]);
    assert!(seen.iter().map(|one| one.number).eq(0..50));
    assert!(seen.is_sorted_by_key(|one| one.ticks));
    let ends: Vec<u32> = scene.session.fresh_rings().map(|end| end.number).collect();
    assert_eq!(ends, [0], "the reading end is handed out once");
}

#[test]
fn a_ring_is_reused_for_its_own_kind_of_thread_alone() {
    struct Dirty;
    impl Origin for Dirty {
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
            Thread::Other
        }
    }
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    in_a_thread(|| numbered(&Caller::new(1, 1), 0));
    in_a_thread(|| record(Kind::Call, &Dirty, |pen| pen.number(1)));
    in_a_thread(|| numbered(&Caller::new(1, 1), 2));
    let numbers = |ring: &Path| read(ring).iter().map(|one| one.number).collect::<Vec<_>>();
    assert_eq!(scene.rings().iter().map(|ring| numbers(ring)).collect::<Vec<_>>(), [vec![0, 2], vec![1]]);
}

#[test]
fn what_a_full_ring_refuses_is_counted() {
    let _turn = turn();
    let scene = Scene::recording(4096);
    let caller = Caller::new(1, 1);
    let outcomes: Vec<Outcome> = (0..1_000).map(|number| numbered(&caller, number)).collect();
    let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Lost).count();
    let ring = &scene.rings()[0];
    let seen = read(ring);
    assert!(seen.iter().map(|one| one.number).eq(0..seen.len() as u64), "the oldest are kept");
    assert_eq!(seen.len() + refused, 1_000);
    assert_eq!(lost(ring), refused as u64);
    // A process whose first event was lost has not said who it is.
    assert_eq!(numbered(&Caller::new(2, 1), 0), Outcome::Lost);
    let mut end = scene.session.fresh_rings().next().unwrap();
    end.consumer.refresh();
    while end.consumer.peek().is_some() {
        end.consumer.advance();
    }
    end.consumer.release();
    assert_eq!(numbered(&Caller::new(2, 1), 1), Outcome::New);
}

#[test]
fn an_event_whose_site_denies_its_key_is_counted_and_not_recorded() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    let forged = Caller { literal: 8, ..Caller::new(1, 7) };
    assert_eq!(numbered(&forged, 0), Outcome::Lost);
    assert_eq!(scene.session.undefined(), 1);
    assert_eq!(numbered(&Caller::new(1, 9), 1), Outcome::New);
    assert_eq!(read(&scene.rings()[0]).len(), 1);
}

#[test]
fn a_thread_without_a_ring_loses_events_and_says_so() {
    let _turn = turn();
    let scene = Scene::recording(1 << 16);
    std::fs::remove_dir(scene.dir.path().join("rings")).unwrap();
    let caller = Caller::new(1, 1);
    assert!((0..3).all(|number| numbered(&caller, number) == Outcome::Lost));
    assert_eq!(scene.session.undefined(), 3);
}

/// A second process would see the files at any moment: so whenever a record can be read, so can its words.
#[test]
fn the_meaning_of_a_word_is_on_disk_before_the_record_that_uses_it() {
    const THREADS: u32 = 3;
    const EVENTS: u64 = 400;
    let _turn = turn();
    let scene = Scene::recording(1 << 20);
    let looks = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|pid| {
                scope.spawn(move || {
                    for number in 0..EVENTS {
                        // All threads meet new words and sites, at times the same ones.
                        let caller = Caller::new(pid * 1_000 + number as u32 % 50, number + 1);
                        let word = (number * 7 + u64::from(pid % 2)) << 6 | 11;
                        let outcome = record(Kind::Call, &caller, |pen| {
                            pen.number(number);
                            pen.word(word, || Definition::Atom(format!("atom_{word}")));
                        });
                        assert_ne!(outcome, Outcome::Lost);
                    }
                })
            })
            .collect();
        let mut looks = 0;
        loop {
            let last = threads.iter().all(|thread| thread.is_finished());
            // Rings first: the dictionary may know more by the time it is read, and never less.
            let files = scene.rings();
            // A ring that is still being made cannot be opened yet.
            let whole = files.iter().filter(|file| elixir_scope_ring::file::open(file).is_ok());
            let records: Vec<Seen> = whole.flat_map(|ring| read(ring)).collect();
            let meanings = scene.meanings();
            for one in &records {
                let pid = (one.process >> 4) as u32;
                assert_eq!(meanings.words.get(&one.process), Some(&process(pid)));
                assert_eq!(meanings.sites.get(&one.site), Some(&site(one.site)));
                let atom = Definition::Atom(format!("atom_{}", one.words[0]));
                assert_eq!(meanings.words.get(&one.words[0]), Some(&atom));
            }
            looks += 1;
            if last {
                assert_eq!(records.len() as u64, u64::from(THREADS) * EVENTS);
                return looks;
            }
        }
    });
    assert!(looks > 1, "it was looked at while the threads recorded");
}

#[test]
fn sessions_replace_each_other_while_threads_record() {
    const THREADS: u32 = 3;
    const SESSIONS: usize = 20;
    let _turn = turn();
    let scenes: Vec<Scene> = (0..SESSIONS).map(|_| Scene::new(1 << 22)).collect();
    let stop = AtomicBool::new(false);
    let progress: Vec<_> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    let relaxed = Ordering::Relaxed;
    scenes[0].session.resume();
    std::thread::scope(|scope| {
        for (pid, progress) in (1..).zip(&progress) {
            let stop = &stop;
            scope.spawn(move || {
                let caller = Caller::new(pid, 1);
                let mut number = 0;
                while !stop.load(relaxed) {
                    match numbered(&caller, number) {
                        Outcome::Known | Outcome::New | Outcome::Unsourced => number += 1,
                        // Rings are large, but a slow machine may fill one: then the number comes again.
                        Outcome::Lost | Outcome::Off => std::hint::spin_loop(),
                    }
                    progress.store(number, relaxed);
                }
            });
        }
        for (round, (before, after)) in scenes.iter().zip(&scenes[1..]).enumerate() {
            let seen: Vec<u64> = progress.iter().map(|progress| progress.load(relaxed)).collect();
            while progress.iter().zip(&seen).any(|(now, seen)| now.load(relaxed) < seen + 20) {
                std::thread::yield_now();
            }
            // Every second one is replaced without having been stopped.
            if round % 2 == 0 {
                before.session.stop();
            }
            after.session.resume();
            assert!(after.session.is_recording() && !before.session.is_recording());
        }
        stop.store(true, relaxed);
    });
    // Each number once, each session self-contained, and the sessions follow each other.
    for (pid, produced) in (1..=THREADS).zip(&progress) {
        let mut expected = 0..;
        for scene in &scenes {
            let meanings = scene.meanings();
            let mut records: Vec<Seen> = scene.rings().iter().flat_map(|ring| read(ring)).collect();
            records.retain(|one| one.process == pid_word(pid));
            records.sort_by_key(|one| one.ticks);
            for one in &records {
                assert_eq!(one.number, expected.next().unwrap());
                assert_eq!(meanings.words.get(&one.process), Some(&process(pid)));
                assert_eq!(meanings.sites.get(&one.site), Some(&site(1)));
            }
        }
        assert_eq!(expected.next(), Some(produced.load(relaxed)), "process {pid}");
    }
}

/// The drain of a recording that failed ends its session by itself, perhaps just when the next one begins.
#[test]
fn ending_a_session_never_takes_another_one_away() {
    const ROUNDS: usize = 50_000;
    let _turn = turn();
    let (old, new) = (Scene::new(1 << 16), Scene::new(1 << 16));
    let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wait_for = |counter: &AtomicUsize, round| {
        while counter.load(Ordering::Acquire) < round {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                wait_for(&begun, round);
                old.session.stop();
                done.store(round, Ordering::Release);
            }
        });
        let mut survived = true;
        for round in 1..=ROUNDS {
            old.session.resume();
            begun.store(round, Ordering::Release);
            // The window is a few instructions wide; look for it at different distances.
            (0..round % 60).for_each(|_| std::hint::spin_loop());
            new.session.resume();
            wait_for(&done, round);
            let found = current().is_some_and(|found| Arc::ptr_eq(&found, &new.session));
            survived &= found && new.session.is_recording();
        }
        assert!(survived, "the new session was taken away by the end of the old one");
    });
}
