//! One pass at a time, with made-up times: a tick is a nanosecond.

mod common;

use common::{Words, manifest, pid_word};
use elixir_scope_clock::{Nanos, Piece, Ticks, Timeline};
use elixir_scope_dictionary::Dictionary;
use elixir_scope_event::{Kind, LossCause, Record, varint};
use elixir_scope_query::{Gap, Index};
use elixir_scope_recorder::{Tap, drain, recover};
use elixir_scope_ring::file::{self, Mapped};
use elixir_scope_ring::{Policy, Position, Producer};
use elixir_scope_store::{Limits, Run, RunPath, Writer};

const PIECE: Piece = Piece { from: Ticks(0), at: Nanos(0), rate: 1.0 };

struct Bench {
    _dir: tempfile::TempDir,
    run: Option<Run>,
    writer: Writer,
    taps: Vec<Tap>,
    producers: Vec<Producer<Mapped>>,
}

impl Bench {
    fn new(rings: u32) -> Self {
        Self::with(rings, Limits::default())
    }

    fn with(rings: u32, limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::create(dir.path(), "run", &manifest(Nanos(1))).unwrap();
        let dictionary = Dictionary::create(&run.path().dictionary()).unwrap();
        dictionary.define_piece(PIECE).unwrap();
        for pid in 1..10 {
            use elixir_scope_store::Meaning;
            dictionary.define_word(pid_word(pid), Words.word(pid_word(pid)).unwrap()).unwrap();
        }
        let writer = Writer::create(run.path(), limits).unwrap();
        let mut bench = Bench { _dir: dir, writer, run: Some(run), taps: Vec::new(), producers: Vec::new() };
        for number in 0..rings {
            let (producer, consumer) = file::create(&bench.ring(number), 4096).unwrap();
            bench.producers.push(producer);
            bench.taps.push(Tap::new(number, consumer, Position::default(), Nanos(1)));
        }
        bench
    }

    fn ring(&self, number: u32) -> std::path::PathBuf {
        self.run.as_ref().unwrap().path().rings().join(format!("{number}.ring"))
    }

    /// Whether the ring took it.
    fn push(&mut self, ring: usize, pid: u32, ticks: u64, number: u64) -> bool {
        let mut payload = Vec::new();
        varint::put(&mut payload, number);
        let (ticks, process) = (Ticks(ticks), pid_word(pid));
        let record = Record { kind: Kind::Return, ticks, process, site: 0, payload: &payload };
        self.producers[ring].push(Kind::Return as u32, &[&record.head(), record.payload]).is_ok()
    }

    /// Fills the ring with events of one time; the answer is how many there were.
    fn fill(&mut self, ring: usize, ticks: u64) -> u64 {
        // The last one is refused, so the ring counts it as lost.
        (0..).take_while(|number| self.push(ring, 1, ticks, *number)).count() as u64
    }

    fn observe(&mut self) {
        self.taps.iter_mut().for_each(Tap::observe);
    }

    fn drain(&mut self, until: u64) -> u64 {
        let line = Timeline::new(PIECE);
        drain(&mut self.taps, Ticks(until), &line, &mut self.writer, &Words).unwrap().events
    }

    fn index(&self) -> Index {
        let mut index = Index::default();
        index.extend(&self.writer.shelf().segments());
        index
    }

    /// The lock is let go, as when the process ended.
    fn die(&mut self) -> RunPath {
        self.run.take().unwrap().path().clone()
    }
}

fn times(index: &Index) -> Vec<u64> {
    let rows = common::rows(index).into_iter();
    rows.filter(|row| row.kind == Kind::Return).map(|row| row.time.0).collect()
}

fn index_of(run: &RunPath) -> Index {
    let mut index = Index::default();
    index.extend(&recover(run).unwrap().shelf.segments());
    index
}

#[test]
fn rings_are_merged_by_time_and_what_is_later_waits() {
    let mut bench = Bench::new(3);
    for (ring, ticks) in [(0, 10), (0, 40), (0, 41), (1, 20), (1, 60), (2, 30), (2, 35), (2, 61)] {
        assert!(bench.push(ring, ring as u32 + 1, ticks, 0));
    }
    bench.observe();
    assert_eq!(bench.drain(60), 7);
    assert_eq!(times(&bench.index()), [10, 20, 30, 35, 40, 41, 60]);
    assert_eq!(bench.drain(100), 1);
    assert_eq!(times(&bench.index()).last(), Some(&61));
}

/// Between the clock and the look at the rings a thread may lose an event: its gap must reach that far.
#[test]
fn a_loss_after_the_clock_was_read_lies_within_its_gap() {
    let mut bench = Bench::new(1);
    bench.observe();
    let kept = bench.fill(0, 100);
    assert!(!bench.push(0, 1, 100, 0));
    // The clock had been read before all this.
    assert_eq!(bench.drain(50), 0);
    bench.observe();
    assert_eq!(bench.drain(200), kept);
    let index = bench.index();
    assert!(index.has_gap(Nanos(100), Nanos(100)), "{:?}", index.gaps());
    assert_eq!(index.gaps().iter().map(|gap| gap.count).sum::<u64>(), 2);
}

/// A thread was stopped after it had stamped its events, for a whole pass, and then found no room for the last.
#[test]
fn a_loss_that_was_stamped_before_the_last_pass_lies_within_its_gap() {
    let mut bench = Bench::new(1);
    for until in [20, 100] {
        bench.observe();
        bench.drain(until);
    }
    bench.fill(0, 30);
    bench.observe();
    bench.drain(200);
    let index = bench.index();
    assert!(matches!(index.gaps()[..], [Gap { cause: LossCause::Full, count: 1, .. }]));
    assert!(index.has_gap(Nanos(30), Nanos(30)), "{:?}", index.gaps());
}

#[test]
fn a_quiet_time_before_a_loss_is_no_part_of_its_gap() {
    let mut bench = Bench::new(1);
    bench.push(0, 1, 10, 0);
    for until in [100, 200, 300, 400] {
        bench.observe();
        bench.drain(until);
    }
    bench.fill(0, 450);
    bench.observe();
    bench.drain(500);
    let index = bench.index();
    assert!(index.has_gap(Nanos(450), Nanos(450)));
    assert!(
        !index.has_gap(Nanos(1), Nanos(299)) && !index.has_gap(Nanos(501), Nanos(600)),
        "{:?}",
        index.gaps()
    );
}

#[test]
fn what_was_kept_is_not_found_again_when_its_room_was_not_given_back() {
    let mut bench = Bench::new(2);
    for number in 0..40 {
        assert!(bench.push((number % 2) as usize, 1, 10 + number, number));
    }
    bench.observe();
    // The process dies after the commit and before the rings' tails move: their files are as they were before.
    let rings: Vec<Vec<u8>> = (0..2).map(|ring| std::fs::read(bench.ring(ring)).unwrap()).collect();
    assert_eq!(bench.drain(29), 20);
    let files: Vec<_> = (0..2).map(|ring| bench.ring(ring)).collect();
    let run = bench.die();
    files.iter().zip(rings).for_each(|(file, bytes)| std::fs::write(file, bytes).unwrap());
    let found = recover(&run).unwrap();
    assert_eq!((found.from_rings, found.damage.len()), (20, 0));
    assert_eq!(times(&index_of(&run)), (10..50).collect::<Vec<_>>());
}

#[test]
fn a_loss_that_the_dead_process_had_not_told_is_told_by_recovery() {
    let mut bench = Bench::new(1);
    bench.push(0, 1, 10, 0);
    bench.observe();
    bench.drain(20);
    let kept = bench.fill(0, 100);
    let index = index_of(&bench.die());
    assert_eq!(times(&index).len() as u64, 1 + kept);
    assert!(matches!(index.gaps()[..], [Gap { cause: LossCause::Full, count: 1, .. }]));
    assert!(index.has_gap(Nanos(100), Nanos(100)), "{:?}", index.gaps());
    assert_eq!(index.span(), Some((Nanos(10), Nanos(100))));
}

/// Blocks of a pass are committed while it goes on, each with the marks of the rings.
#[test]
fn a_loss_is_told_once_also_when_the_process_dies_within_a_pass() {
    let limits = Limits { block_bytes: 50, ..Limits::default() };
    let mut bench = Bench::with(1, limits);
    let kept = bench.fill(0, 30);
    bench.observe();
    bench.drain(100);
    let run = bench.die();
    // Cut the segment after each of its blocks: that is what a death within the pass leaves.
    let segment = elixir_scope_segment::Segment::open(&run.segment(1)).unwrap();
    let ends: Vec<usize> = segment.scan(0).map(|block| block.unwrap().offset).collect();
    assert!(ends.len() > 5);
    let (whole, ring) = (std::fs::read(run.segment(1)).unwrap(), run.rings().join("0.ring"));
    let mut released = std::fs::read(&ring).unwrap();
    released[128..136].fill(0);
    std::fs::write(&ring, released).unwrap();
    for end in ends {
        let mut bytes = whole.clone();
        bytes[end..].fill(0);
        std::fs::write(run.segment(1), bytes).unwrap();
        let index = index_of(&run);
        assert_eq!(times(&index).len() as u64, kept, "cut at {end}");
        assert_eq!(index.gaps().iter().map(|gap| gap.count).sum::<u64>(), 1, "cut at {end}");
        assert!(index.has_gap(Nanos(30), Nanos(30)));
    }
}

#[test]
fn a_block_that_is_gone_leaves_a_gap_before_what_the_rings_hold() {
    let mut bench = Bench::new(1);
    for ticks in [10, 20, 30] {
        bench.push(0, 1, ticks, 0);
        bench.observe();
        bench.drain(ticks);
    }
    bench.push(0, 1, 40, 0);
    let run = bench.die();
    let segment = elixir_scope_segment::Segment::open(&run.segment(1)).unwrap();
    let last = segment.scan(0).last().unwrap().unwrap().offset;
    let mut bytes = std::fs::read(run.segment(1)).unwrap();
    bytes[last..].fill(0);
    std::fs::write(run.segment(1), bytes).unwrap();
    // The ring gave room back for the event at 30, so it had been kept; yet no block holds it.
    let index = index_of(&run);
    assert_eq!(times(&index), [10, 20, 40]);
    assert!(index.has_gap(Nanos(30), Nanos(30)), "{:?}", index.gaps());
}

#[test]
fn a_frame_that_cannot_be_read_is_a_gap_and_not_the_quiet_end_of_the_ring() {
    let mut bench = Bench::new(1);
    (1..=9).for_each(|number| assert!(bench.push(0, 1, number * 10, number)));
    let file = bench.ring(0);
    let run = bench.die();
    let mut bytes = std::fs::read(&file).unwrap();
    // The length in the head of the fifth frame of 40 bytes.
    bytes[4096 + 4 * 40] = 0xFF;
    std::fs::write(&file, bytes).unwrap();
    let found = recover(&run).unwrap();
    assert_eq!(found.damage.len(), 1);
    assert_eq!(found.damage[0].file, file);
    // One event is missing, between the two around it. What opening finds damaged is a gap too.
    let index = index_of(&run);
    assert_eq!(times(&index), [10, 20, 30, 40, 60, 70, 80, 90]);
    let gap = Gap { cause: LossCause::Damage, count: 1, from: Nanos(40), to: Nanos(60) };
    assert!(index.gaps().contains(&gap), "{:?}", index.gaps());
}

/// A ring that overwrites: what is gone is a gap between the last event that was kept and the first that is there, with
/// its number, each time that it is read, and once more when the process is dead.
#[test]
fn what_a_flight_recording_overwrote_is_counted_between_what_it_shows() {
    let mut bench = Bench::new(0);
    let path = bench.ring(0);
    let (producer, consumer) = file::create_with(&path, 4096, Policy::Overwrite).unwrap();
    bench.producers.push(producer);
    bench.taps.push(Tap::new(0, consumer, Position::default(), Nanos(1)));
    let record = |bench: &mut Bench, numbers: std::ops::RangeInclusive<u64>| {
        numbers.for_each(|number| assert!(bench.push(0, 1, number * 10, number)));
    };
    record(&mut bench, 1..=500);
    bench.observe();
    let first = bench.drain(5_000);
    record(&mut bench, 501..=1_000);
    bench.observe();
    let second = bench.drain(10_000);
    record(&mut bench, 1_001..=1_500);
    let index = index_of(&bench.die());
    let times = times(&index);
    let third = times.len() as u64 - first - second;
    assert!([first, second, third].iter().all(|count| (80..=102).contains(count)));
    let last = |until: u64, count: u64| (until - count + 1..=until).map(|number| number * 10);
    assert!(times.iter().copied().eq(last(500, first).chain(last(1_000, second)).chain(last(1_500, third))));
    let gap = |from, until, kept| Gap {
        cause: LossCause::Overwritten,
        count: 500 - kept,
        from: Nanos(from),
        to: Nanos((until - kept + 1) * 10),
    };
    let gaps = [gap(1, 500, first), gap(5_000, 1_000, second), gap(10_000, 1_500, third)];
    assert_eq!(index.gaps(), gaps);
}

#[test]
fn a_ring_whose_making_was_not_finished_is_no_damage() {
    let mut bench = Bench::new(1);
    bench.push(0, 1, 10, 0);
    let rings = bench.run.as_ref().unwrap().path().rings();
    std::fs::write(rings.join("1.ring"), []).unwrap();
    std::fs::write(rings.join("2.ring"), [0; 8192]).unwrap();
    let found = recover(&bench.die()).unwrap();
    assert_eq!((found.from_rings, found.damage), (1, vec![]));
}
