//! Segments against a plain list of events, and against every kind of damage.

use elixir_scope_clock::{Nanos, Piece, Ticks};
use elixir_scope_event::{Definition, Kind};
use elixir_scope_segment::layout::{SYNC, SegmentHead, VERSION};
use elixir_scope_segment::{BlockBuilder, Calibration, RingMark, Segment, SegmentWriter, pack};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
struct Plain {
    kind: Kind,
    ring: u32,
    time: u64,
    process: Option<u32>,
    site: Option<u32>,
    payload: Vec<u8>,
}

fn plain() -> impl Strategy<Value = Plain> {
    let number = proptest::option::of(0u32..u32::MAX - 1);
    let kind = proptest::sample::select(Kind::ALL);
    (kind, any::<u32>(), any::<u64>(), number.clone(), number, any::<Vec<u8>>()).prop_map(
        |(kind, ring, time, process, site, payload)| Plain { kind, ring, time, process, site, payload },
    )
}

fn write(dir: &std::path::Path, blocks: &[Vec<Plain>]) -> std::path::PathBuf {
    let path = dir.join("1.seg");
    let mut writer = SegmentWriter::create(&path, 1 << 20, 1, 100).expect("created");
    let mut builder = BlockBuilder::default();
    for (number, block) in blocks.iter().enumerate() {
        builder.define(&Definition::Atom(format!("atom_{number}")));
        for event in block {
            let ids = (event.process, event.site);
            builder.event(event.kind, event.ring, Nanos(event.time), ids, &event.payload);
        }
        let piece = Piece { from: Ticks(7), at: Nanos(number as u64), rate: 0.5 };
        builder.calibrate(Calibration { piece, wall: Nanos(9) });
        builder.complete(Nanos(number as u64));
        builder.mark(RingMark { ring: 3, tail: number as u64, lost_full: 1, lost_oversize: 2 });
        assert!(writer.append(&mut builder));
        assert!(builder.is_empty());
    }
    writer.seal().expect("sealed");
    path
}

/// Everything that can be read: events by number, and how many damages were passed over.
fn read(segment: &Segment) -> (Vec<(u64, Plain)>, usize) {
    let (mut events, mut damages) = (Vec::new(), 0);
    for block in segment.scan(0) {
        let Ok(block) = block else {
            damages += 1;
            continue;
        };
        for event in block.events() {
            let event = event.expect("a block with a right checksum is well formed");
            let (kind, ring, time) = (event.kind, event.ring, event.time.0);
            let payload = event.payload.to_vec();
            events.push((
                event.id,
                Plain { kind, ring, time, process: event.process, site: event.site, payload },
            ));
        }
    }
    (events, damages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read(blocks in proptest::collection::vec(proptest::collection::vec(plain(), 0..20), 0..8)) {
        let dir = tempfile::tempdir().unwrap();
        let segment = Segment::open(&write(dir.path(), &blocks)).unwrap();
        let (events, damages) = read(&segment);
        let expected: Vec<_> = blocks.concat().into_iter().enumerate().map(|(n, e)| (100 + n as u64, e)).collect();
        prop_assert_eq!(events, expected);
        prop_assert_eq!(damages, 0);
        for (number, block) in segment.scan(0).enumerate() {
            let block = block.unwrap();
            prop_assert_eq!(block.marks().unwrap()[0].tail, number as u64);
            prop_assert_eq!(block.head.first_definition, number as u32);
            prop_assert_eq!(block.head.until, Nanos(number as u64));
            prop_assert_eq!(block.front().unwrap().definitions, [Definition::Atom(format!("atom_{number}"))]);
        }
    }

    #[test]
    fn the_front_says_what_is_in_the_records(
        blocks in proptest::collection::vec(proptest::collection::vec(plain(), 0..400), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let segment = Segment::open_sealed(&write(dir.path(), &blocks)).unwrap();
        for (block, events) in segment.scan(0).zip(&blocks) {
            let block = block.unwrap();
            let front = block.front().unwrap();
            let number = |kind: Kind| events.iter().filter(|event| event.kind == kind).count() as u32;
            let kinds = Kind::ALL.iter().map(|kind| (*kind, number(*kind)));
            prop_assert_eq!(front.kinds, kinds.filter(|(_, events)| *events > 0).collect::<Vec<_>>());
            prop_assert_eq!(front.processes.iter().map(|entry| entry.events as usize).sum::<usize>(),
                events.iter().filter(|event| event.process.is_some()).count());
            for entry in &front.processes {
                let own: Vec<_> = events.iter().filter(|event| event.process == Some(entry.process)).collect();
                let times = || own.iter().map(|event| event.time);
                prop_assert_eq!(entry.events as usize, own.len());
                prop_assert_eq!(entry.states as usize, own.iter().filter(|event| event.kind.is_state()).count());
                prop_assert_eq!((entry.first.0, entry.last.0), (times().min().unwrap(), times().max().unwrap()));
            }
            for entry in &front.sites {
                let own = events.iter().filter(|event| event.site == Some(entry.site)).count();
                prop_assert_eq!(entry.events as usize, own);
            }
            prop_assert_eq!(front.sites.iter().map(|entry| entry.events as usize).sum::<usize>(),
                events.iter().filter(|event| event.site.is_some()).count());
            // From every place on the events are read as they are from the first.
            let all: Vec<_> = block.events().map(Result::unwrap).collect();
            let mut before: Vec<_> = block.events_before(u64::MAX).map(Result::unwrap).collect();
            before.reverse();
            prop_assert_eq!(&before, &all);
            // A count of events that cannot be is not gone through: there is a sync of twelve bytes for each run.
            let mut forged = block.clone();
            forged.head.events = u32::MAX;
            let most = forged.head.front.div_ceil(12) * SYNC;
            prop_assert!(forged.events_before(u64::MAX).count() <= most as usize);
            let mut placed = Vec::new();
            for place in block.places() {
                let place = place.unwrap();
                let rest: Vec<_> = block.events_from(&place).map(Result::unwrap).collect();
                prop_assert_eq!(&rest[..], &all[place.ordinal as usize..]);
                prop_assert_eq!(place.kind, rest[0].kind);
                prop_assert_eq!((place.process, place.time), (rest[0].process, rest[0].time));
                placed.push(place.ordinal);
            }
            for (ordinal, event) in (0u32..).zip(events) {
                let wanted = event.kind.is_state() || matches!(event.kind, Kind::Process | Kind::Gap);
                prop_assert!(!wanted || placed.contains(&ordinal));
                let after: Vec<_> = block.events_after(all[ordinal as usize].id).map(Result::unwrap).collect();
                prop_assert_eq!(&after[..], &all[ordinal as usize..]);
            }
        }
    }

    #[test]
    fn a_packed_segment_reads_as_it_did(
        blocks in proptest::collection::vec(proptest::collection::vec(plain(), 0..60), 0..6), repeat: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        // What repeats is packed; what does not is kept as it is.
        let blocks: Vec<_> = blocks.into_iter().map(|block| {
            let times = if repeat { 20 } else { 1 };
            block.iter().cycle().take(block.len() * times).cloned().collect::<Vec<_>>()
        }).collect();
        let path = write(dir.path(), &blocks);
        let (segment, packed) = (Segment::open(&path).unwrap(), dir.path().join("packed"));
        prop_assert!(pack(&segment, &packed).unwrap());
        let packed = Segment::open_sealed(&packed).unwrap();
        prop_assert_eq!(packed.head(), SegmentHead { packed: true, ..segment.head() });
        prop_assert_eq!(read(&packed), read(&segment));
        for (one, other) in packed.scan(0).zip(segment.scan(0)) {
            let (one, other) = (one.unwrap(), other.unwrap());
            prop_assert_eq!(one.front().unwrap(), other.front().unwrap());
            prop_assert_eq!(one.places().collect::<Vec<_>>(), other.places().collect::<Vec<_>>());
        }
        prop_assert!(!repeat || blocks.concat().is_empty() || packed.len() < segment.len());
    }

    #[test]
    fn any_bytes_open_or_are_refused(bytes: Vec<u8>, keep_head: bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &[]);
        let head = if keep_head { std::fs::read(&path).unwrap() } else { Vec::new() };
        std::fs::write(&path, [head, bytes].concat()).unwrap();
        if let Ok(segment) = Segment::open(&path) {
            read(&segment);
        }
    }
}

fn sample() -> Vec<Vec<Plain>> {
    let event = |n: u64| Plain {
        kind: Kind::Call,
        ring: 0,
        time: 1_000 + n,
        process: Some(0),
        site: None,
        payload: vec![n as u8; 5],
    };
    (0..6).map(|block| (0..3).map(|n| event(block * 3 + n)).collect()).collect()
}

#[test]
fn a_flipped_byte_costs_its_own_block_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &sample());
    let whole = std::fs::read(&path).unwrap();
    let (all, _) = read(&Segment::open(&path).unwrap());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        let Ok(segment) = Segment::open(&path) else {
            assert!(at < 32, "only the header can make the whole file unreadable");
            continue;
        };
        let (events, damages) = read(&segment);
        assert!(events.iter().all(|event| all.contains(event)), "a wrong event after a flip at {at}");
        // A flip in the padding between blocks changes nothing.
        assert!((events.len() == 15 && damages == 1) || (events.len() == 18 && damages == 0), "flip at {at}");
    }
}

#[test]
fn a_damaged_segment_is_not_packed_and_a_flip_in_a_packed_one_costs_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[[sample().concat(), sample().concat()].concat(), sample().concat()]);
    let packed = dir.path().join("packed");
    let segment = Segment::open(&path).unwrap();
    assert!(pack(&segment, &packed).unwrap());
    let (all, _) = read(&segment);
    let whole = std::fs::read(&packed).unwrap();
    for at in 32..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&packed, &bytes).unwrap();
        let (events, damages) = read(&Segment::open_sealed(&packed).unwrap());
        assert!(events.iter().all(|event| all.contains(event)), "a wrong event after a flip at {at}");
        assert!(events.len() == all.len() || damages == 1, "flip at {at}");
    }
    std::fs::remove_file(&packed).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(!pack(&Segment::open(&path).unwrap(), &packed).unwrap());
    assert!(!packed.exists());
}

#[test]
fn a_file_cut_anywhere_shows_the_blocks_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &sample());
    let whole = std::fs::read(&path).unwrap();
    let (all, _) = read(&Segment::open(&path).unwrap());
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        match Segment::open(&path) {
            Err(damage) => assert!(len < 32 && !damage.what.is_empty()),
            Ok(segment) => assert!(all.starts_with(&read(&segment).0)),
        }
    }
}

#[test]
fn a_file_that_was_not_sealed_ends_where_its_zeroes_begin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.seg");
    let mut writer = SegmentWriter::create(&path, 1 << 16, 1, 0).unwrap();
    let mut builder = BlockBuilder::default();
    builder.event(Kind::Tail, 0, Nanos(5), (None, None), &[0]);
    assert!(writer.append(&mut builder));
    let (live, open) = (writer.segment(), Segment::open(&path).unwrap());
    assert_eq!(read(&live), read(&open));
    assert_eq!(read(&open).0.len(), 1);
}

#[test]
fn another_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 9;
    std::fs::write(&path, &bytes).unwrap();
    let damage = Segment::open(&path).err().expect("refused");
    let newer = "a newer ElixirScope wrote it and opens it";
    assert_eq!(damage.what, format!("expected format version {VERSION}, found 9: {newer}"));
    bytes[8] = 2;
    std::fs::write(&path, &bytes).unwrap();
    let damage = Segment::open(&path).err().expect("refused");
    assert!(damage.what.ends_with("found 2: ElixirScope 0.1 wrote it and opens it"), "{}", damage.what);
}

/// A block is written before its head: what a killed writer had not finished is no damage. A head that was there is.
#[test]
fn zeroes_end_a_file_only_where_its_writer_may_have_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &sample());
    let offsets: Vec<usize> = {
        let segment = Segment::open(&path).unwrap();
        segment.scan(0).map(|block| block.unwrap().offset).collect()
    };
    let whole = std::fs::read(&path).unwrap();
    for (number, offset) in offsets.iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[*offset..offset + 72].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let last = number + 1 == offsets.len();
        let damages = usize::from(!last);
        assert_eq!(read(&Segment::open(&path).unwrap()).1, damages, "head {number}");
        let (events, damages) = read(&Segment::open_sealed(&path).unwrap());
        assert_eq!((events.len(), damages), (15, 1), "head {number} of a sealed file");
    }
}
