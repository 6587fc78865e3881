//! A run whose files are damaged, opened and asked everything: no panic, nothing that did not happen, and nothing
//! missing without a gap.

mod common;

use common::{Words, manifest, pid_word, rows};
use elixir_scope_clock::{Nanos, Piece, Ticks, Timeline};
use elixir_scope_dictionary::Dictionary;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Kind, Pid, Record, varint};
use elixir_scope_query::{Filter, Index, Recording, StateAnswer, States};
use elixir_scope_recorder::{Tap, drain, recover};
use elixir_scope_ring::{Position, file};
use elixir_scope_store::{Limits, Meaning, Run, RunPath, Writer};
use proptest::prelude::*;
use proptest::sample::Index as Pick;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

const EVENTS: u64 = 500;
/// The last of them are still in the rings.
const DRAINED: u64 = 440;
const PROCESSES: u64 = 3;

/// The files of a run that was killed, by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Event `number`: at this time, of this process, and every fifth a state. A tick is a nanosecond.
fn time(number: u64) -> u64 {
    1_000 + number * 10
}

fn pid(number: u64) -> u32 {
    (number % PROCESSES) as u32 + 1
}

fn is_state(number: u64) -> bool {
    number.is_multiple_of(5)
}

fn killed() -> &'static Files {
    static KILLED: OnceLock<Files> = OnceLock::new();
    KILLED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::create(dir.path(), "run", &manifest(Nanos(time(0)))).unwrap();
        let dictionary = Dictionary::create(&run.path().dictionary()).unwrap();
        let line = Piece { from: Ticks(0), at: Nanos(0), rate: 1.0 };
        dictionary.define_piece(line).unwrap();
        (1..=PROCESSES as u32)
            .map(pid_word)
            .for_each(|word| dictionary.define_word(word, Words.word(word).unwrap()).unwrap());
        dictionary.define_site(common::site(1)).unwrap();
        let limits = Limits { segment_bytes: 2048, record_bytes: 0, block_bytes: 300, ..Limits::default() };
        let mut writer = Writer::create(run.path(), limits).unwrap();
        let (mut producers, mut taps) = (Vec::new(), Vec::new());
        for ring in 0..2 {
            let path = run.path().rings().join(format!("{ring}.ring"));
            let (producer, consumer) = file::create(&path, 1 << 14).unwrap();
            producers.push(producer);
            taps.push(Tap::new(ring, consumer, Position::default(), Nanos(time(0))));
        }
        for number in 0..EVENTS {
            let mut payload = vec![];
            varint::put(&mut payload, 1);
            value::put(&mut payload, Token::Integer(number as i64));
            let kind = if is_state(number) { Kind::State } else { Kind::Return };
            let (ticks, process) = (Ticks(time(number)), pid_word(pid(number)));
            let record = Record { kind, ticks, process, site: 1, payload: &payload };
            // A process moves between the rings.
            producers[(number / 7 % 2) as usize].push(kind as u32, &[&record.head(), &payload]).unwrap();
            if number % 25 == 24 && number < DRAINED {
                taps.iter_mut().for_each(Tap::observe);
                drain(&mut taps, ticks, &Timeline::new(line), &mut writer, &Words).unwrap();
            }
        }
        let mut files = Files::new();
        for folder in ["", "rings", "segments"] {
            for entry in std::fs::read_dir(run.path().dir().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let name = path.strip_prefix(run.path().dir()).unwrap().display().to_string();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        files
    })
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Harm {
    Flip(Pick, u8),
    Cut(Pick),
    Zero(Pick, usize),
    Grow(Vec<u8>),
    Replace(Vec<u8>),
    Remove,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        8 => (any::<Pick>(), 1u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        2 => any::<Pick>().prop_map(Harm::Cut),
        2 => (any::<Pick>(), 1usize..600).prop_map(|(at, len)| Harm::Zero(at, len)),
        1 => any::<Vec<u8>>().prop_map(Harm::Grow),
        1 => any::<Vec<u8>>().prop_map(Harm::Replace),
        1 => Just(Harm::Remove),
    ]
}

impl Harm {
    fn apply(&self, name: &String, files: &mut Files) {
        let Some(bytes) = files.get_mut(name).filter(|bytes| !bytes.is_empty()) else { return };
        match self {
            Harm::Flip(at, bits) => *at.get_mut(bytes) ^= bits,
            Harm::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Harm::Zero(at, len) => {
                let start = at.index(bytes.len());
                let end = bytes.len().min(start + len);
                bytes[start..end].fill(0);
            }
            Harm::Grow(more) => bytes.extend_from_slice(more),
            Harm::Replace(other) => *bytes = other.clone(),
            Harm::Remove => drop(files.remove(name)),
        }
    }
}

fn write(dir: &Path, files: &Files) -> Option<RunPath> {
    for folder in ["rings", "segments"] {
        std::fs::create_dir(dir.join(folder)).unwrap();
    }
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    RunPath::find(dir).ok()
}

fn opened(run: &RunPath) -> Option<Recording> {
    let found = recover(run).ok()?;
    Some(Recording::new(run.clone(), found.manifest, found.damage, Arc::new(found.shelf)))
}

/// Everything that can be asked, for what it may break.
fn ask_everything(index: &Index) {
    for row in rows(index) {
        for token in tokens(&row.payload) {
            if let Token::Reference(number) = token {
                let _ = index.volume(row.volume).and_then(|volume| volume.definition(number));
            }
        }
        let _ = value::check(&row.payload);
    }
    let filter = Filter { since: Nanos(time(100)), ..Filter::default() };
    let _ = (index.calls(&Filter::default(), usize::MAX), index.calls(&filter, 10));
    for pid in index.processes().iter().map(|process| process.pid).chain([Pid { id: 9, serial: 9 }]) {
        for number in (0..EVENTS + 20).step_by(20) {
            let _ = (index.state_at(pid, Nanos(time(number))), States::new(index).before(pid, number));
        }
        let _ = (index.introductions(pid), index.process(pid), index.named("name", Nanos(u64::MAX)));
    }
    let _ =
        (index.gaps(), index.damage(), index.sites(), index.span(), index.has_gap(Nanos(0), Nanos(u64::MAX)));
    for id in (0..EVENTS + 20).step_by(7) {
        assert!(index.event(id).is_none_or(|row| row.id == id));
    }
    let _ = index.events(&filter, EVENTS / 2, 10);
}

fn tokens(mut payload: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    if varint::take(&mut payload).is_ok() {
        while !payload.is_empty() {
            match value::take(&mut payload) {
                Ok(token) => tokens.push(token),
                Err(_) => break,
            }
        }
    }
    tokens
}

fn number(payload: &[u8]) -> u64 {
    match tokens(payload)[..] {
        [Token::Integer(number)] => number as u64,
        ref other => panic!("expected one number, found {other:?}"),
    }
}

/// The index shows the truth, or less of it with a gap where the rest is.
fn shows_the_truth_and_its_gaps(index: &Index) {
    let mut missing: Vec<bool> = vec![true; EVENTS as usize];
    for row in rows(index).iter().filter(|row| row.kind != Kind::Gap) {
        let number = number(&row.payload);
        assert_eq!(row.time, Nanos(time(number)));
        assert_eq!(row.kind == Kind::State, is_state(number));
        // Whose it was, and what, may be among what is damaged: whoever asks for these does not find it.
        let shown = row.process.map(|pid| pid.id);
        assert!(shown.is_none_or(|shown| shown == pid(number)), "event {number} of another process");
        let named = shown.is_some() && row.site.is_some();
        assert!(named || index.has_gap(row.time, row.time), "event {number}: {row:?}, {:?}", index.gaps());
        assert!(std::mem::take(&mut missing[number as usize]), "event {number} twice");
    }
    for number in (0..EVENTS).filter(|number| missing[*number as usize]) {
        let at = Nanos(time(number));
        assert!(index.has_gap(at, at), "event {number} is missing without a gap: {:?}", index.gaps());
    }
    for id in 1..=PROCESSES as u32 {
        for number in 0..EVENTS {
            let moment = Nanos(time(number) + 5);
            if let StateAnswer::Known(row) = index.state_at(Pid { id, serial: 0 }, moment) {
                let truly = (0..=number).rfind(|number| is_state(*number) && pid(*number) == id);
                assert_eq!(Some(self::number(&row.payload)), truly, "state of {id} after event {number}");
            }
        }
    }
}

#[test]
fn the_run_is_whole_before_it_is_harmed() {
    let dir = tempfile::tempdir().unwrap();
    let recording = opened(&write(dir.path(), killed()).unwrap()).unwrap();
    let index = recording.index();
    shows_the_truth_and_its_gaps(&index);
    assert_eq!((index.next_event(), index.gaps().len(), index.damage().len()), (EVENTS, 0, 0));
    assert!(killed().keys().filter(|name| name.ends_with(".seg")).count() > 4);
    let found = recover(&RunPath::find(dir.path()).unwrap()).unwrap();
    assert!(found.from_rings >= EVENTS - DRAINED);
}

/// Killed after it had reserved the room of its next segment, or just its name, and before it wrote the header.
#[test]
fn a_segment_that_never_began_is_no_damage() {
    let last = killed().keys().rfind(|name| name.ends_with(".seg")).unwrap();
    let number: u32 = last.trim_start_matches("segments/").trim_end_matches(".seg").parse().unwrap();
    for bytes in [vec![], vec![0; 1 << 16]] {
        let mut files = killed().clone();
        files.insert(format!("segments/{:06}.seg", number + 1), bytes.clone());
        let dir = tempfile::tempdir().unwrap();
        let recording = opened(&write(dir.path(), &files).unwrap()).unwrap();
        let index = recording.index();
        shows_the_truth_and_its_gaps(&index);
        assert_eq!((index.next_event(), index.gaps().len(), index.damage().len()), (EVENTS, 0, 0));
        // The first of all: then everything is still in the rings.
        let mut files = Files::from([("segments/000001.seg".to_string(), bytes)]);
        files.extend(killed().iter().filter(|(name, _)| !name.ends_with(".seg")).map(|(name, bytes)| {
            let mut bytes = bytes.clone();
            if name.ends_with(".ring") {
                // Nothing was given back.
                bytes[128..136].fill(0);
            }
            (name.clone(), bytes)
        }));
        let dir = tempfile::tempdir().unwrap();
        let recording = opened(&write(dir.path(), &files).unwrap()).expect("rings can be read");
        let index = recording.index();
        assert_eq!((index.gaps().len(), index.damage().len()), (0, 0), "{:?}", index.damage());
        assert!(index.next_event() > 0);
    }
}

#[test]
fn two_damaged_blocks_one_after_the_other_are_one_gap_that_ends() {
    let mut files = killed().clone();
    let dir = tempfile::tempdir().unwrap();
    let whole = opened(&write(dir.path(), &files).unwrap()).unwrap();
    drop(whole);
    let path = dir.path().join("segments/000002.seg");
    let segment = elixir_scope_segment::Segment::open(&path).unwrap();
    let offsets: Vec<usize> = segment.scan(0).map(|block| block.unwrap().offset).collect();
    let bytes = files.get_mut("segments/000002.seg").unwrap();
    offsets[1..3].iter().for_each(|offset| bytes[offset + 80] ^= 1);
    let harmed = tempfile::tempdir().unwrap();
    let recording = opened(&write(harmed.path(), &files).unwrap()).unwrap();
    let index = recording.index();
    shows_the_truth_and_its_gaps(&index);
    assert_eq!((index.damage().len(), index.gaps().len()), (2, 1), "{:?}", index.gaps());
    assert!(!index.has_gap(Nanos(time(EVENTS - 50)), Nanos(time(EVENTS))), "{:?}", index.gaps());
}

/// What is gone leaves no bytes that could be wrong: the rings tell of it.
#[test]
fn the_last_segment_that_is_gone_is_damage_and_a_gap() {
    let mut files = killed().clone();
    let last = files.keys().rfind(|name| name.ends_with(".seg")).unwrap().clone();
    files.remove(&last);
    let dir = tempfile::tempdir().unwrap();
    let index = opened(&write(dir.path(), &files).unwrap()).unwrap().index();
    shows_the_truth_and_its_gaps(&index);
    assert!(!index.damage().is_empty());
}

/// Also where it is more than a block.
#[test]
fn what_a_torn_dictionary_leaves_without_a_name_lies_in_a_gap() {
    const COUNT: u64 = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let run = Run::create(dir.path(), "run", &manifest(Nanos(time(0)))).unwrap();
    let dictionary = Dictionary::create(&run.path().dictionary()).unwrap();
    dictionary.define_piece(Piece { from: Ticks(0), at: Nanos(0), rate: 1.0 }).unwrap();
    dictionary.define_site(common::site(1)).unwrap();
    let (mut producer, _consumer) = file::create(&run.path().rings().join("0.ring"), 1 << 20).unwrap();
    for number in 0..COUNT {
        let mut payload = vec![1];
        value::put(&mut payload, Token::Binary(&[7; 100]));
        let record = Record {
            kind: Kind::Return,
            ticks: Ticks(time(number)),
            process: pid_word(1),
            site: 1,
            payload: &payload,
        };
        producer.push(record.kind as u32, &[&record.head(), &payload]).unwrap();
    }
    let path = run.path().clone();
    Writer::create(&path, Limits::default()).unwrap().seal().unwrap();
    drop(run);
    let whole = std::fs::read(path.dictionary()).unwrap();
    std::fs::write(path.dictionary(), &whole[..whole.len() - 1]).unwrap();
    let index = opened(&path).unwrap().index();
    assert_eq!((index.damage().len(), rows(&index).len()), (1, COUNT as usize + 1));
    for row in rows(&index).iter().filter(|row| row.kind != Kind::Gap) {
        assert!(index.has_gap(row.time, row.time), "event {}: {:?}", row.id, index.gaps());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_segments_show_nothing_wrong_and_hide_nothing(
        harms in proptest::collection::vec((any::<Pick>(), harm()), 1..4)
    ) {
        let mut files = killed().clone();
        let names: Vec<String> = files.keys().filter(|name| name.ends_with(".seg")).cloned().collect();
        harms.iter().for_each(|(pick, harm)| harm.apply(pick.get(&names), &mut files));
        let dir = tempfile::tempdir().unwrap();
        let recording = opened(&write(dir.path(), &files).unwrap()).expect("other segments can be read");
        let index = recording.index();
        ask_everything(&index);
        shows_the_truth_and_its_gaps(&index);
    }

    #[test]
    fn whatever_the_files_hold_opening_and_asking_ends(
        harms in proptest::collection::vec((any::<Pick>(), harm()), 1..8)
    ) {
        let mut files = killed().clone();
        let names: Vec<String> = files.keys().cloned().collect();
        harms.iter().for_each(|(pick, harm)| harm.apply(pick.get(&names), &mut files));
        let dir = tempfile::tempdir().unwrap();
        if let Some(recording) = write(dir.path(), &files).and_then(|run| opened(&run)) {
            ask_everything(&recording.index());
        }
    }

    #[test]
    fn whatever_the_counters_of_a_ring_say_opening_ends(
        counters in proptest::collection::vec(prop_oneof![any::<u64>(), 0u64..1 << 15, u64::MAX - 64..=u64::MAX], 4),
        whole: bool,
    ) {
        let mut files = killed().clone();
        let ring = files.get_mut("rings/0.ring").unwrap();
        for (at, counter) in [64, 128, 72, 80].into_iter().zip(counters) {
            let counter = if whole { counter & !7 } else { counter };
            ring[at..at + 8].copy_from_slice(&counter.to_le_bytes());
        }
        let dir = tempfile::tempdir().unwrap();
        let recording = opened(&write(dir.path(), &files).unwrap()).expect("segments can be read");
        ask_everything(&recording.index());
    }
}
