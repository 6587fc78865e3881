//! Segments against a plain list of events, and against every kind of damage.

use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Kind};
use elixir_scope_segment::layout::VERSION;
use elixir_scope_segment::{BlockBuilder, Item, RingMark, Segment, SegmentWriter};
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
            let first = block.items().next().unwrap().unwrap();
            prop_assert_eq!(first, Item::Definition(number as u32, Definition::Atom(format!("atom_{number}"))));
        }
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
    assert_eq!(damage.what, format!("expected format version {VERSION}, found 9"));
}
