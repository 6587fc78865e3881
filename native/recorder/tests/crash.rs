//! Death at every single write: of each byte of a block and of its head, and between any two steps of replacing segments. Whatever had been
//! captured is found, once and in order, and nothing is called damage.

mod common;

use common::{Words, manifest, numbers, pid_word};
use elixir_scope_clock::{Nanos, Piece, Ticks, Timeline};
use elixir_scope_dictionary::Dictionary;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Kind, LossCause, Record, varint};
use elixir_scope_query::{Filter, Index};
use elixir_scope_recorder::{Tap, drain};
use elixir_scope_ring::file::Mapped;
use elixir_scope_ring::{Position, Producer, file};
use elixir_scope_segment::Segment;
use elixir_scope_store::{Keeper, Limits, Meaning, Retention, Run, RunPath, Writer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LINE: Piece = Piece { from: Ticks(0), at: Nanos(0), rate: 1.0 };

/// A recording whose every step is made by hand.
struct Bench {
    run: Run,
    writer: Writer,
    producers: Vec<Producer<Mapped>>,
    taps: Vec<Tap>,
    pushed: u64,
}

impl Bench {
    fn new(dir: &Path, limits: Limits) -> Self {
        let run = Run::create(dir, "run", &manifest(Nanos(0))).unwrap();
        let dictionary = Dictionary::create(&run.path().dictionary()).unwrap();
        dictionary.define_piece(LINE).unwrap();
        for pid in 1..=3 {
            dictionary.define_word(pid_word(pid), Words.word(pid_word(pid)).unwrap()).unwrap();
        }
        (1..=5).for_each(|key| dictionary.define_site(common::site(key)).unwrap());
        for atom in 0..common::ATOMS {
            let word = common::atom_word(atom);
            dictionary.define_word(word, Words.word(word).unwrap()).unwrap();
        }
        let writer = Writer::create(run.path(), limits).unwrap();
        let (mut producers, mut taps) = (Vec::new(), Vec::new());
        for ring in 0..2 {
            let path = run.path().rings().join(format!("{ring}.ring"));
            let (producer, consumer) = file::create(&path, 1 << 14).unwrap();
            producers.push(producer);
            taps.push(Tap::new(ring, consumer, Position::default(), Nanos(0)));
        }
        Bench { run, writer, producers, taps, pushed: 0 }
    }

    /// Each process numbers its own events; it moves between the rings.
    fn push(&mut self, events: u64) {
        for _ in 0..events {
            let (pid, number) = ((self.pushed % 3) as u32 + 1, self.pushed / 3);
            let (mut payload, ticks) = (Vec::new(), Ticks(10 + self.pushed * 10));
            varint::put(&mut payload, number);
            value::put(&mut payload, Token::Word(common::atom_word(number % common::ATOMS)));
            let (process, site) = (pid_word(pid), u64::from(pid % 5 + 1));
            let record = Record { kind: Kind::Call, ticks, process, site, payload: &payload };
            let ring = (self.pushed / 5 % 2) as usize;
            self.producers[ring].push(Kind::Call as u32, &[&record.head(), &payload]).unwrap();
            self.pushed += 1;
        }
    }

    fn drain(&mut self) {
        self.taps.iter_mut().for_each(Tap::observe);
        let until = Ticks(self.pushed * 10 + 9);
        drain(&mut self.taps, until, &Timeline::new(LINE), &mut self.writer, &Words).unwrap();
    }

    fn files(&self) -> Files {
        files(self.run.path())
    }
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(run: &RunPath) -> Files {
    let folders = [run.dir().to_path_buf(), run.rings(), run.segments()];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths
        .map(|path| (path.strip_prefix(run.dir()).unwrap().to_path_buf(), std::fs::read(path).unwrap()))
        .collect()
}

fn damage_of(files: &Files) -> Vec<String> {
    let index = copied(files);
    index.damage().iter().map(|damage| damage.what.clone()).collect()
}

/// What someone finds who opens a copy of these files, in which nothing is damaged.
fn opened(files: &Files) -> Index {
    let index = copied(files);
    assert_eq!(index.damage(), []);
    index
}

fn copied(files: &Files) -> Index {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["rings", "segments"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    files.iter().for_each(|(name, bytes)| std::fs::write(dir.path().join(name), bytes).unwrap());
    let run = RunPath::find(dir.path()).unwrap();
    Index::clone(&common::open(&run).index())
}

fn shows_all(index: &Index, events: u64) {
    let found = numbers(index);
    assert_eq!(found.values().map(|numbers| numbers.len() as u64).sum::<u64>(), events);
    for numbers in found.values() {
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    }
}

#[test]
fn a_block_is_there_or_not_yet_at_whichever_byte_its_writer_died() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: 64 << 10, record_bytes: 0, ..Limits::default() };
    let mut bench = Bench::new(dir.path(), limits);
    bench.push(60);
    bench.drain();
    bench.push(40);
    let before = bench.files();
    bench.drain();
    let after = bench.files();
    let name = PathBuf::from("segments/000001.seg");
    let (old, new) = (&before[&name], &after[&name]);
    let begin = old.iter().zip(new).position(|(old, new)| old != new).unwrap();
    let end = new.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let head = 72;
    assert!(end - begin > 2 * head, "the block is worth testing");
    // The body is written first, then the head but for its first word, and that word in one store.
    let body = (begin + head..=end).map(|upto| (begin + head..upto, begin..begin));
    let heads = (begin + 8..=begin + head).map(|upto| (begin + head..end, begin + 8..upto));
    for (body, head) in body.chain(heads).chain([(begin + head..end, begin..begin + head)]) {
        let mut files = before.clone();
        let bytes = files.get_mut(&name).unwrap();
        for range in [body, head] {
            bytes[range.clone()].copy_from_slice(&new[range]);
        }
        let index = opened(&files);
        shows_all(&index, 100);
        assert_eq!(index.gaps(), []);
    }
    // The head was written and the room in one of the rings given back, in both, or in none.
    for rings in [vec![], vec!["rings/0.ring"], vec!["rings/1.ring"], vec!["rings/0.ring", "rings/1.ring"]] {
        let mut files = before.clone();
        for name in rings.iter().map(PathBuf::from).chain([name.clone()]) {
            files.insert(name.clone(), after[&name].clone());
        }
        let index = opened(&files);
        shows_all(&index, 100);
        assert_eq!(index.gaps(), []);
    }
}

#[test]
fn a_frame_that_was_not_published_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: 64 << 10, record_bytes: 0, ..Limits::default() };
    let mut bench = Bench::new(dir.path(), limits);
    bench.push(30);
    let before = bench.files();
    bench.push(1);
    let after = bench.files();
    let ring = PathBuf::from("rings/0.ring");
    let changed: Vec<usize> =
        (4096..after[&ring].len()).filter(|at| before[&ring][*at] != after[&ring][*at]).collect();
    for upto in 0..=changed.len() {
        let mut files = before.clone();
        for at in &changed[..upto] {
            files.get_mut(&ring).unwrap()[*at] = after[&ring][*at];
        }
        shows_all(&opened(&files), 30);
    }
    shows_all(&opened(&after), 31);
}

/// An entry of the dictionary that was not finished is one that no record needs; one that a record needs is missed.
#[test]
fn a_dictionary_that_ends_within_an_entry_is_damage_only_where_a_record_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: 64 << 10, record_bytes: 0, ..Limits::default() };
    let mut bench = Bench::new(dir.path(), limits);
    bench.push(30);
    let mut files = bench.files();
    let dictionary = files.get_mut(Path::new("dictionary")).unwrap();
    dictionary.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3, 4, 5]);
    shows_all(&opened(&files), 30);
    // The timeline and the first processes are left.
    files.get_mut(Path::new("dictionary")).unwrap().truncate(80);
    let damage = damage_of(&files);
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].starts_with("expected an entry of the dictionary"));
}

#[test]
fn a_folder_of_segments_that_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path(), Limits { record_bytes: 0, ..Limits::default() });
    let run = bench.run.path().clone();
    drop(bench);
    std::fs::remove_dir_all(run.segments()).unwrap();
    let error = elixir_scope_recorder::recover(&run).err().expect("refused");
    assert!(error.to_string().contains("could not read the folder"), "{error}");
}

/// A segment is replaced in steps: a draft is written, takes the name of the last that it stands for, and the others go.
#[test]
fn at_no_step_of_replacing_segments_anything_is_missing_or_there_twice() {
    let limits = Limits { segment_bytes: 4096, record_bytes: 0, block_bytes: 200, ..Limits::default() };
    for retention in [
        Retention { pack: true, ..Retention::default() },
        Retention { bytes: Some(9_000), ..Retention::default() },
        Retention { bytes: Some(6_000), pack: true, ..Retention::default() },
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(dir.path(), limits);
        let mut keeper = Keeper::new(bench.run.path().clone(), bench.writer.shelf(), retention);
        for round in 0..12 {
            bench.push(40);
            bench.drain();
            let before = bench.files();
            let kept_before = opened(&before);
            keeper.tidy(Nanos(bench.pushed * 10), false).unwrap();
            let after = bench.files();
            // Any part of a draft may be there, of whatever it was to become.
            for name in after.keys().filter(|name| !before.contains_key(*name) || before[*name] != after[*name])
            {
                let draft = name.with_extension("draft");
                for len in [0, after[name].len() / 2, after[name].len()] {
                    let mut files = before.clone();
                    files.insert(draft.clone(), after[name][..len].to_vec());
                    same(&opened(&files), &kept_before);
                }
            }
            // The draft has its name, and of the others any number, oldest first, are gone already.
            let gone: Vec<_> = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
            let kept_after = opened(&after);
            for left in 0..=gone.len() {
                let mut files = after.clone();
                for name in &gone[left..] {
                    files.insert(name.clone(), before[name].clone());
                }
                same(&opened(&files), &kept_after);
            }
            if retention.bytes.is_none() {
                shows_all(&kept_after, (round + 1) * 40);
            }
        }
        let removed = opened(&bench.files()).gaps().iter().any(|gap| gap.cause == LossCause::Removed);
        assert_eq!(removed, retention.bytes.is_some());
        let packed = RunPath::files(&bench.run.path().segments(), "seg");
        let packed = packed.iter().filter(|path| Segment::open(path).unwrap().head().packed).count();
        assert_eq!(packed > 0, retention.pack);
    }
}

fn same(one: &Index, other: &Index) {
    let all = |index: &Index| format!("{:?}", index.events(&Filter::default(), 0, usize::MAX).rows);
    // The numbers of volumes differ where a packed one stands for one that is not; what is in them does not.
    assert_eq!(all(one), all(other));
    assert_eq!(one.gaps(), other.gaps());
}

/// Files under wrong names, or not there: named as damage, and no event twice or in the wrong place.
#[test]
fn segments_that_are_swapped_copied_or_gone_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: 4096, record_bytes: 0, block_bytes: 200, ..Limits::default() };
    let mut bench = Bench::new(dir.path(), limits);
    for _ in 0..12 {
        bench.push(40);
        bench.drain();
    }
    bench.writer.note(Kind::Pause, Nanos(480 * 10 + 10));
    bench.writer.seal().unwrap();
    let mut files = bench.files();
    // Ended: no rings, no dictionary.
    files.retain(|name, _| name.starts_with("segments") || name.ends_with("manifest"));
    let names: Vec<PathBuf> = files.keys().filter(|name| name.starts_with("segments")).cloned().collect();
    assert!(names.len() > 3);
    let ended = |files: &Files| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("segments")).unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(dir.path().join(name), bytes).unwrap());
        Index::clone(&common::open(&RunPath::find(dir.path()).unwrap()).index())
    };
    let whole = ended(&files);
    assert_eq!((whole.damage(), whole.gaps()), (&[][..], vec![]));
    shows_all(&whole, 480);

    let check = |files: &Files, damages: usize| {
        let index = ended(files);
        assert_eq!(index.damage().len(), damages, "{:?}", index.damage());
        let rows = index.events(&Filter::default(), 0, usize::MAX).rows;
        assert!(rows.is_sorted_by(|one, next| one.id < next.id), "an event twice, or out of order");
        let shown: Vec<u64> = rows.iter().map(|row| row.id).collect();
        let times = whole.events(&Filter::default(), 0, usize::MAX).rows;
        for row in times.iter().filter(|row| row.kind == Kind::Call && !shown.contains(&row.id)) {
            assert!(index.has_gap(row.time, row.time), "event {} is missing without a gap", row.id);
        }
    };
    let mut swapped = files.clone();
    swapped.insert(names[1].clone(), files[&names[2]].clone());
    swapped.insert(names[2].clone(), files[&names[1]].clone());
    check(&swapped, 2);
    let mut copied = files.clone();
    copied.insert(PathBuf::from(format!("segments/{:06}.seg", names.len() + 1)), files[&names[1]].clone());
    check(&copied, 1);
    for gone in [0, 1, names.len() - 1] {
        let mut fewer = files.clone();
        fewer.remove(&names[gone]);
        check(&fewer, 1);
    }
}
