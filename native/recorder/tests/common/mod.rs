//! A made-up program for a recorder: numbered events of numbered processes. What a word means can be told from the
//! word, so that a test can check every definition.
#![allow(dead_code, reason = "each test file uses a part of it")]

use elixir_scope_capture::{Limits as Bounds, Origin, Outcome, Session, Thread, record};
use elixir_scope_clock::{Clock, Nanos};
use elixir_scope_dictionary::{Dictionary, Sources};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Pid, Site, varint};
use elixir_scope_query::{Defined, Filter, Index, Recording, Row};
use elixir_scope_recorder::{Observer, Recorder, recover};
use elixir_scope_store::{Limits, Manifest, Meaning, Retention, Run, RunPath, Writer};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// Which session records is a fact of the whole process: one test at a time.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn pid_word(pid: u32) -> u64 {
    u64::from(pid) << 4 | 3
}

pub fn atom_word(number: u64) -> u64 {
    number << 6 | 11
}

pub fn site(key: u64) -> Site {
    let (module, function) = ("Elixir.Shop".into(), format!("function_{key}"));
    Site { key, node: key, module, function, arity: 1, file: "lib/shop.ex".into(), line: 7, ..Site::default() }
}

/// What the VM would say of any of these words.
pub struct Words;

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        Some(if word & 15 == 3 {
            let pid = (word >> 4) as u32;
            Definition::Process(Pid { id: pid, serial: 0 }, pid.to_be_bytes().to_vec())
        } else {
            Definition::Atom(format!("atom_{}", word >> 6))
        })
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        Some(Arc::new(site(key)))
    }
}

/// A process that makes an event.
pub struct Caller(pub u32);

impl Origin for Caller {
    fn process(&self) -> u64 {
        pid_word(self.0)
    }

    fn process_meaning(&self) -> Definition {
        Words.word(self.process()).unwrap()
    }

    fn site(&self) -> u64 {
        u64::from(self.0 % 5 + 1)
    }

    fn site_meaning(&self) -> Option<Site> {
        Some(site(self.site()))
    }

    fn thread(&self) -> Thread {
        Thread::Scheduler
    }
}

/// How many atoms the events use in turn.
pub const ATOMS: u64 = 50;

/// Records the event of this number, with an atom that follows from it.
pub fn event(pid: u32, number: u64) -> Outcome {
    record(Kind::Call, &Caller(pid), |pen| {
        pen.number(number);
        let word = atom_word(number % ATOMS);
        pen.word(word, || Words.word(word).unwrap());
    })
}

/// As [`event`], again and again until there is room in the ring.
pub fn event_for_sure(pid: u32, number: u64) {
    while event(pid, number) == Outcome::Lost {
        std::thread::yield_now();
    }
}

/// Keeps what it hears.
#[derive(Clone, Default)]
pub struct Ear(pub Arc<Mutex<Vec<String>>>);

impl Observer for Ear {
    fn stopped(&self, why: &str) {
        self.0.lock().unwrap().push(why.to_string());
    }

    fn warned(&self, why: &str) {
        self.0.lock().unwrap().push(format!("warned: {why}"));
    }
}

/// What a recording is made with.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub ring: u64,
    pub segment: usize,
    pub block: usize,
    pub retention: Retention,
}

impl Default for Sizes {
    fn default() -> Self {
        let retention = Retention { pack: true, ..Retention::default() };
        Sizes { ring: 1 << 20, segment: 16 << 20, block: 64 << 10, retention }
    }
}

/// A recording in progress.
pub struct Scene {
    pub recorder: Recorder,
    pub recording: Recording,
    pub ear: Ear,
    pub clock: Arc<Clock>,
}

pub fn manifest(started: Nanos) -> Manifest {
    Manifest { started, os_pid: std::process::id(), node: "nonode@nohost".into(), vm: "none".into() }
}

impl Scene {
    /// Begins a recording named `run` in a folder.
    pub fn start(dir: &Path, sizes: Sizes) -> Self {
        let clock = Arc::new(Clock::new());
        let manifest = manifest(clock.now());
        let run = Run::create(dir, "run", &manifest).unwrap();
        let path = run.path().clone();
        let dictionary = Dictionary::create(&path.dictionary()).unwrap();
        dictionary.define_piece(clock.timeline().last()).unwrap();
        let limits = Limits {
            segment_bytes: sizes.segment,
            record_bytes: 0,
            block_bytes: sizes.block,
            ..Limits::default()
        };
        let writer = Writer::create(&path, limits).unwrap();
        let bounds = Bounds {
            scheduler_ring: sizes.ring,
            other_ring: sizes.ring,
            value_bytes: 1 << 16,
            state_bytes: 1 << 16,
            depth: 10,
            elements: 100,
        };
        let session =
            Session::new(Arc::clone(&clock), dictionary, Sources::new(path.sources()), path.rings(), bounds);
        let (shelf, ear) = (writer.shelf(), Ear::default());
        let recorder =
            Recorder::start(run, session, writer, Box::new(Words), Arc::new(ear.clone()), sizes.retention)
                .unwrap();
        let recording = Recording::new(path, manifest, Vec::new(), shelf);
        Scene { recorder, recording, ear, clock }
    }
}

/// Opens a run that nobody records any more.
pub fn open(run: &RunPath) -> Recording {
    let found = recover(run).unwrap();
    assert!(!found.live);
    Recording::new(run.clone(), found.manifest, found.damage, Arc::new(found.shelf))
}

/// All events, in the order of the store.
pub fn rows(index: &Index) -> Vec<Row> {
    index.events(&Filter::default(), 0, usize::MAX).rows
}

/// The numbers of each process's events in the order of the store, after a look at everything else that is known
/// of them: times that never go back within a process, atoms and sites that are the right ones.
pub fn numbers(index: &Index) -> BTreeMap<u32, Vec<u64>> {
    let mut found: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    let mut last: BTreeMap<u32, Nanos> = BTreeMap::new();
    for row in rows(index).iter().filter(|row| row.kind == Kind::Call) {
        let pid = row.process.expect("all calls have a process").id;
        let key = row.site.expect("all calls have a site");
        assert_eq!(index.site(key), Some(&site(u64::from(pid % 5 + 1))));
        let before = last.insert(pid, row.time).unwrap_or_default();
        assert!(before <= row.time, "time goes back in process {pid} from {before:?} to {:?}", row.time);
        let mut payload = &row.payload[..];
        let number = varint::take(&mut payload).unwrap();
        let Ok(Token::Reference(atom)) = value::take(&mut payload) else { panic!("expected an atom") };
        let atom = index.volume(row.volume).unwrap().definition(atom);
        assert_eq!(atom, Some(Defined::Other(&Definition::Atom(format!("atom_{}", number % ATOMS)))));
        found.entry(pid).or_default().push(number);
    }
    found
}

/// Runs at the end of its block, however that is left.
pub struct AtEnd<F: Fn()>(pub F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
