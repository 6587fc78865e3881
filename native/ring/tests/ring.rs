//! The ring against a plain queue, and each way in which rings of others have failed.

use elixir_scope_ring::{Refused, file};
use proptest::prelude::*;
use std::collections::VecDeque;

type Ends = (elixir_scope_ring::Producer<file::Mapped>, elixir_scope_ring::Consumer<file::Mapped>);

fn ring(capacity: u64) -> (tempfile::TempDir, Ends) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let ends = file::create(&dir.path().join("0.ring"), capacity).expect("a ring");
    (dir, ends)
}

fn drain(consumer: &mut elixir_scope_ring::Consumer<file::Mapped>) -> Vec<(u32, Vec<u8>)> {
    consumer.refresh();
    let mut frames = Vec::new();
    while let Some(frame) = consumer.peek() {
        frames.push((frame.tag, frame.body.to_vec()));
        consumer.advance();
    }
    consumer.release();
    frames
}

proptest! {
    #[test]
    fn behaves_as_a_queue_and_counts_what_it_refuses(
        steps in proptest::collection::vec((0usize..900, any::<bool>()), 1..400)
    ) {
        let (_dir, (mut producer, mut consumer)) = ring(4096);
        let (mut model, mut refused) = (VecDeque::new(), 0u64);
        for (number, (len, read)) in steps.into_iter().enumerate() {
            let body = vec![number as u8; len];
            match producer.push(number as u32, &[&body[..len / 2], &body[len / 2..]]) {
                Ok(()) => model.push_back((number as u32, body)),
                Err(Refused::Full) => refused += 1,
                Err(Refused::Oversize) => panic!("{len} bytes fit a quarter of the ring"),
            }
            if read {
                prop_assert_eq!(drain(&mut consumer), model.drain(..).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(drain(&mut consumer), model.drain(..).collect::<Vec<_>>());
        prop_assert_eq!(consumer.position().lost_full, refused);
    }
}

#[test]
fn wraps_at_every_offset() {
    let (_dir, (mut producer, mut consumer)) = ring(4096);
    for len in (0..=1016).cycle().take(20_000) {
        producer.push(len as u32, &[&vec![len as u8; len]]).expect("the ring is empty");
        assert_eq!(drain(&mut consumer), [(len as u32, vec![len as u8; len])]);
    }
}

#[test]
fn a_frame_larger_than_the_ring_is_refused_and_counted_and_nothing_hangs() {
    let (_dir, (mut producer, mut consumer)) = ring(4096);
    assert_eq!(producer.push(1, &[&[0; 1017]]), Err(Refused::Oversize));
    assert_eq!(producer.push(1, &[&[0; 1 << 20]]), Err(Refused::Oversize));
    producer.push(2, &[b"small"]).expect("room");
    assert_eq!(drain(&mut consumer), [(2, b"small".to_vec())]);
    assert_eq!(consumer.position().lost_oversize, 2);
}

#[test]
fn a_dead_process_leaves_its_frames_in_the_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("0.ring");
    let (mut producer, mut consumer) = file::create(&path, 4096).expect("a ring");
    for number in 0..10u32 {
        producer.push(number, &[&number.to_le_bytes()]).expect("room");
    }
    // The reader keeps three, and dies before it gives their room back.
    consumer.refresh();
    (0..3).for_each(|_| consumer.advance());
    let kept = consumer.position().tail;
    drop((producer, consumer));

    let mut reader = file::open(&path).expect("opened");
    reader.skip_to(kept);
    let tags: Vec<u32> = std::iter::from_fn(|| {
        let tag = reader.peek()?.tag;
        reader.advance();
        Some(tag)
    })
    .collect();
    assert_eq!(tags, (3..10).collect::<Vec<_>>());
}

#[test]
fn any_damage_to_the_file_is_an_error_or_a_shorter_ring() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("0.ring");
    let (mut producer, _consumer) = file::create(&path, 4096).expect("a ring");
    for number in 0..20u32 {
        producer.push(number, &[&[7; 40]]).expect("room");
    }
    let whole = std::fs::read(&path).expect("read");
    for (at, value) in (0..136).chain(4096..4600).flat_map(|at| [(at, 0xFF), (at, 0), (at, 0x81)]) {
        let mut bytes = whole.clone();
        bytes[at] = value;
        let damaged = dir.path().join("damaged");
        std::fs::write(&damaged, &bytes).expect("written");
        if let Ok(mut reader) = file::open(&damaged) {
            reader.refresh();
            let mut frames = 0;
            while reader.peek().is_some() {
                reader.advance();
                frames += 1;
            }
            assert!(frames <= 4096 / 8);
        }
    }
    for len in [0, 1, 64, 4096, 8191] {
        let short = dir.path().join("short");
        std::fs::write(&short, &whole[..len]).expect("written");
        assert!(file::open(&short).is_err(), "{len} bytes are no ring");
    }
}

#[test]
fn two_threads_pass_every_frame_in_order() {
    const FRAMES: u32 = 200_000;
    let (_dir, (mut producer, mut consumer)) = ring(1 << 14);
    let writer = std::thread::spawn(move || {
        let mut sent = 0;
        while sent < FRAMES {
            match producer.push(sent, &[&sent.to_le_bytes(), &vec![sent as u8; (sent % 60) as usize]]) {
                Ok(()) => sent += 1,
                Err(_) => std::hint::spin_loop(),
            }
        }
    });
    let mut expected = 0;
    while expected < FRAMES {
        for (tag, body) in drain(&mut consumer) {
            assert_eq!(tag, expected);
            assert_eq!(body[..4], expected.to_le_bytes());
            assert!(body[4..].iter().all(|byte| *byte == expected as u8));
            expected += 1;
        }
    }
    writer.join().expect("the writer ends");
}

#[test]
fn a_position_beyond_an_older_copy_of_the_ring_leaves_nothing_to_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("0.ring");
    let (mut producer, mut consumer) = file::create(&path, 4096).expect("a ring");
    (0..3).for_each(|number| producer.push(number, &[&[0; 8]]).expect("room"));
    let copy = dir.path().join("copy.ring");
    std::fs::copy(&path, &copy).expect("copied");
    (3..9).for_each(|number| producer.push(number, &[&[0; 8]]).expect("room"));
    drain(&mut consumer);
    let mut older = file::open(&copy).expect("opened");
    older.skip_to(consumer.position().tail);
    assert!(older.peek().is_none(), "all of the copy's frames had been kept");
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
    let path = dir.path().join("0.ring");
    drop(file::create(&path, 4096).expect("a ring"));
    let whole = std::fs::read(&path).expect("read");
    for (head, tail) in [(8, u64::MAX - 7), (0, 8), (4096 + 8, 0), (12, 0), (16, 4)] {
        let mut bytes = whole.clone();
        bytes[64..72].copy_from_slice(&u64::to_le_bytes(head));
        bytes[128..136].copy_from_slice(&u64::to_le_bytes(tail));
        std::fs::write(&path, bytes).expect("written");
        let error = file::open(&path).err().expect("refused");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "head {head}, tail {tail}");
    }
}
