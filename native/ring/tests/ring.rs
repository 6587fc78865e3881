//! Rings in files: what a dead process leaves, and what damage does to it.

mod common;

use common::{drain, number, push, rest};
use elixir_scope_ring::{Consumer, Gone, Policy, Producer, file};
use std::path::{Path, PathBuf};

type Ends = (Producer<file::Mapped>, Consumer<file::Mapped>);

const DATA: usize = 4096;
const POLICIES: [Policy; 2] = [Policy::DropNew, Policy::Overwrite];

fn ring(capacity: u64, policy: Policy) -> (tempfile::TempDir, PathBuf, Ends) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("0.ring");
    let ends = file::create_with(&path, capacity, policy).expect("a ring");
    (dir, path, ends)
}

/// The numbers of the frames of a dead ring, each looked at as a whole, and what is missing.
fn open(path: &Path) -> (Vec<u64>, Gone) {
    let mut reader = file::open(path).expect("opened");
    reader.refresh();
    let numbers = rest(&mut reader).iter().map(number).collect();
    (numbers, reader.gone())
}

fn frame_at(number: u64) -> usize {
    40 * number as usize % 4096
}

/// Frames of 40 bytes: they lap a ring of 4096 bytes, and a filler of 16 bytes lies at its end.
fn push_all(producer: &mut Producer<file::Mapped>, numbers: std::ops::Range<u64>) -> Vec<u64> {
    numbers.filter(|number| push(producer, *number, 32).is_ok()).collect()
}

#[test]
fn a_dead_process_leaves_its_frames_in_the_file() {
    for policy in POLICIES {
        let (_dir, path, (mut producer, mut consumer)) = ring(4096, policy);
        push_all(&mut producer, 0..10);
        // The reader keeps three, and dies before it gives their room back.
        consumer.refresh();
        (0..3).for_each(|_| consumer.advance());
        let kept = consumer.position().tail;
        drop((producer, consumer));
        let mut reader = file::open(&path).expect("opened");
        reader.skip_to(kept);
        let numbers: Vec<u64> = rest(&mut reader).iter().map(number).collect();
        assert_eq!(numbers, (3..10).collect::<Vec<_>>());
        assert_eq!(reader.gone(), Gone::default());
    }
}

#[test]
fn what_was_overwritten_since_the_last_reading_is_counted_when_the_process_is_dead() {
    let (_dir, path, (mut producer, mut consumer)) = ring(4096, Policy::Overwrite);
    push_all(&mut producer, 0..50);
    assert_eq!(drain(&mut consumer).len(), 50);
    let kept = consumer.position().tail;
    push_all(&mut producer, 50..1000);
    let mut reader = file::open(&path).expect("opened");
    reader.skip_to(kept);
    let numbers: Vec<u64> = rest(&mut reader).iter().map(number).collect();
    assert_eq!(numbers, (1000 - numbers.len() as u64..1000).collect::<Vec<_>>());
    assert_eq!(reader.gone(), Gone { overwritten: 950 - numbers.len() as u64, ..Gone::default() });
    // The reader kept more before it died than it could say in the ring: how many, nobody knows.
    let mut reader = file::open(&path).expect("opened");
    reader.skip_to(kept + 40);
    assert_eq!(rest(&mut reader).len(), numbers.len());
    assert_eq!(reader.gone(), Gone { uncounted: 1, ..Gone::default() });
}

/// Every byte of the data, with every kind of change: no frame is shown that was not pushed, the others are, and those
/// that are missing are counted.
#[test]
fn a_flipped_byte_of_the_data_takes_one_frame_and_that_is_counted() {
    for policy in POLICIES {
        let (dir, path, (mut producer, mut consumer)) = ring(4096, policy);
        // Into the second lap, so that older frames lie behind the head.
        push_all(&mut producer, 0..60);
        drain(&mut consumer);
        let pushed = push_all(&mut producer, 60..150);
        let whole = std::fs::read(&path).expect("read");
        let (before, gone) = open(&path);
        assert_eq!((before.len() as u64, gone), (90, Gone::default()));
        let damaged = dir.path().join("damaged");
        for (at, flip) in (DATA..DATA + 4096).zip([1u8, 0x80, 0xFF, 0x10].into_iter().cycle()) {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            std::fs::write(&damaged, &bytes).expect("written");
            let (numbers, gone) = open(&damaged);
            let missing = pushed.len() - numbers.len();
            assert!(numbers.iter().all(|number| pushed.contains(number)), "{policy:?}, byte {at}");
            assert!(numbers.is_sorted() && missing <= 1, "{policy:?}, byte {at}: {missing} are missing");
            assert_eq!((gone.damaged, gone.uncounted), (missing as u64, 0), "{policy:?}, byte {at}");
        }
    }
}

/// Many frames in a row, all bytes of them.
#[test]
fn damage_to_many_frames_is_counted_exactly() {
    let (_dir, path, (mut producer, mut consumer)) = ring(4096, Policy::DropNew);
    push_all(&mut producer, 0..60);
    drain(&mut consumer);
    push_all(&mut producer, 60..150);
    for value in [0, 0xFF] {
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[DATA + frame_at(70) + 4..DATA + frame_at(80)].fill(value);
        let file = path.with_extension("damaged");
        std::fs::write(&file, &bytes).expect("written");
        let (numbers, gone) = open(&file);
        assert_eq!(numbers, (60..70).chain(80..150).collect::<Vec<_>>());
        assert_eq!((gone.damaged, gone.uncounted), (10, 0));
    }
}

#[test]
fn any_damage_to_the_head_is_an_error_or_shows_nothing_that_was_not_pushed() {
    for policy in POLICIES {
        let (dir, path, (mut producer, _consumer)) = ring(4096, policy);
        let pushed = push_all(&mut producer, 0..150);
        let whole = std::fs::read(&path).expect("read");
        let damaged = dir.path().join("damaged");
        for (at, value) in (0..144).flat_map(|at| [(at, 0xFF), (at, 0), (at, 0x81)]) {
            let mut bytes = whole.clone();
            bytes[at] = value;
            std::fs::write(&damaged, &bytes).expect("written");
            if let Ok(mut reader) = file::open(&damaged) {
                reader.refresh();
                let numbers: Vec<u64> = rest(&mut reader).iter().map(number).collect();
                assert!(numbers.is_sorted() && numbers.iter().all(|number| pushed.contains(number)));
            }
        }
        for len in [0, 1, 64, 4096, 8191] {
            std::fs::write(&damaged, &whole[..len]).expect("written");
            assert!(file::open(&damaged).is_err(), "{len} bytes are no ring");
        }
    }
}

/// A head that was set back to an earlier frame: the count of frames shows that some are missing.
#[test]
fn frames_above_a_damaged_head_are_counted() {
    let (_dir, path, (mut producer, _consumer)) = ring(4096, Policy::DropNew);
    push_all(&mut producer, 0..20);
    let mut bytes = std::fs::read(&path).expect("read");
    // The low bits, which are the count modulo 8, are those of 20 frames.
    bytes[64..72].copy_from_slice(&(16 * 40 + 20 % 8u64).to_le_bytes());
    std::fs::write(&path, &bytes).expect("written");
    let (numbers, gone) = open(&path);
    assert_eq!(numbers, (0..16).collect::<Vec<_>>());
    assert_eq!(gone, Gone { damaged: 4, ..Gone::default() });
}

#[test]
fn a_frame_of_an_earlier_lap_is_not_taken_for_one_of_this_lap() {
    let (_dir, path, (mut producer, mut consumer)) = ring(4096, Policy::DropNew);
    let old = push_all(&mut producer, 0..102);
    assert_eq!(old.len(), 102);
    let stale = std::fs::read(&path).expect("read");
    drain(&mut consumer);
    push_all(&mut producer, 102..150);
    // Some frames of the second lap never reached the disk.
    let mut bytes = std::fs::read(&path).expect("read");
    let (from, to) = (DATA + frame_at(3), DATA + frame_at(6));
    bytes[from..to].copy_from_slice(&stale[from..to]);
    std::fs::write(&path, &bytes).expect("written");
    let (numbers, gone) = open(&path);
    assert!(numbers.iter().all(|number| !(105..108).contains(number) && *number >= 102), "{numbers:?}");
    assert_eq!(numbers.len() as u64 + gone.damaged, 48);
}

#[test]
fn a_position_beyond_an_older_copy_of_the_ring_leaves_nothing_to_read() {
    for policy in POLICIES {
        let (dir, path, (mut producer, mut consumer)) = ring(4096, policy);
        push_all(&mut producer, 0..3);
        let copy = dir.path().join("copy.ring");
        std::fs::copy(&path, &copy).expect("copied");
        push_all(&mut producer, 3..9);
        drain(&mut consumer);
        let mut older = file::open(&copy).expect("opened");
        older.skip_to(consumer.position().tail);
        assert!(older.peek().is_none(), "all of the copy's frames had been kept");
    }
}

#[test]
fn a_ring_whose_making_was_not_finished_is_told_from_a_damaged_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("0.ring");
    let kind = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        file::open(&path).err().expect("refused").kind()
    };
    assert_eq!(kind(&[]), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(kind(&[0; 8192]), std::io::ErrorKind::UnexpectedEof);
    let mut used = [0; 8192];
    used[64] = 8;
    assert_eq!(kind(&used), std::io::ErrorKind::InvalidData, "something was pushed, so the magic was there");
}

#[test]
fn counters_that_no_ring_can_have_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (policy, oldest) in [(Policy::DropNew, 128), (Policy::Overwrite, 96)] {
        let path = dir.path().join(format!("{oldest}.ring"));
        drop(file::create_with(&path, 4096, policy).expect("a ring"));
        let whole = std::fs::read(&path).expect("read");
        for (head, tail) in [(8, u64::MAX - 7), (0, 8), (4096 + 8, 0)] {
            let mut bytes = whole.clone();
            bytes[64..72].copy_from_slice(&u64::to_le_bytes(head));
            bytes[oldest..oldest + 8].copy_from_slice(&u64::to_le_bytes(tail));
            std::fs::write(&path, bytes).expect("written");
            let error = file::open(&path).err().expect("refused");
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "head {head}, tail {tail}");
        }
    }
}

#[test]
fn the_file_of_a_dead_process_is_not_changed() {
    let (_dir, path, (mut producer, _consumer)) = ring(4096, Policy::Overwrite);
    push_all(&mut producer, 0..500);
    let before = std::fs::read(&path).expect("read");
    let mut reader = file::open(&path).expect("opened");
    assert!(!drain(&mut reader).is_empty());
    assert_eq!(std::fs::read(&path).expect("read"), before);
}
