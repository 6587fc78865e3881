//! The protocol under every interleaving and every reordering that the memory model allows.
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p elixir_scope_ring --release --test loom`.
#![cfg(loom)]

use elixir_scope_ring::memory::{Counter, Memory, Word};
use elixir_scope_ring::protocol::{self, Policy};
use elixir_scope_ring::{Consumer, Gone};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering, fence};
use std::borrow::Cow;

const CAPACITY: u64 = 64;

/// A cell: loom reports any two accesses to it that are not ordered by the counters.
#[derive(Default)]
struct Cell(UnsafeCell<u64>);

// SAFETY: that is what the test is to show; loom panics where it does not hold.
unsafe impl Sync for Cell {}
// SAFETY: nothing in it is tied to a thread.
unsafe impl Send for Cell {}

impl Word for Cell {
    fn store(&self, word: u64) {
        // SAFETY: loom checks that nobody else is in this cell.
        self.0.with_mut(|cell| unsafe { *cell = word });
    }

    fn load(&self) -> u64 {
        // SAFETY: loom checks that nobody writes this cell.
        self.0.with(|cell| unsafe { *cell })
    }
}

/// A relaxed atomic: a load gives any word that the memory model lets it give, old ones too.
#[derive(Default)]
struct Atomic(AtomicU64);

impl Word for Atomic {
    fn store(&self, word: u64) {
        self.0.store(word, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Model<W> {
    counters: [AtomicU64; Counter::COUNT],
    words: Vec<W>,
}

fn model<W: Word + Default>() -> Model<W> {
    let words = (0..CAPACITY / 8).map(|_| W::default()).collect();
    Model { counters: std::array::from_fn(|_| AtomicU64::new(0)), words }
}

impl<W: Word> Memory for Model<W> {
    type Word = W;

    fn capacity(&self) -> u64 {
        CAPACITY
    }

    fn own(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    fn observe(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Acquire)
    }

    fn note(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Relaxed);
    }

    fn publish(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Release);
    }

    fn words(&self) -> &[W] {
        &self.words
    }

    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let words = self.words[(offset / 8) as usize..].iter().map(W::load);
        let words = words.take(len.div_ceil(8) as usize);
        Cow::Owned(words.flat_map(u64::to_le_bytes).take(len as usize).collect())
    }

    fn release(&self) {
        fence(Ordering::Release);
    }

    fn acquire(&self) {
        fence(Ordering::Acquire);
    }
}

/// Reads what is there; each frame is the one that its tag says.
fn read<W: Word>(consumer: &mut Consumer<Model<W>>, seen: &mut Vec<u32>) {
    consumer.refresh();
    while let Some(frame) = consumer.peek() {
        assert_eq!(frame.body[..], [frame.tag as u8; 8]);
        seen.push(frame.tag);
        consumer.advance();
    }
    consumer.release();
}

#[test]
fn frames_arrive_whole_in_order_or_are_counted() {
    loom::model(|| {
        let (mut producer, mut consumer) = protocol::ends(model::<Cell>(), Policy::DropNew);
        // Five frames of 16 bytes into a ring of four: the producer wraps, and may find the ring full.
        let writer = loom::thread::spawn(move || {
            (1..=5u32).filter(|tag| producer.push(*tag, &[&[*tag as u8; 8]]).is_ok()).collect::<Vec<_>>()
        });
        let mut seen = Vec::new();
        read(&mut consumer, &mut seen);
        read(&mut consumer, &mut seen);
        let written = writer.join().expect("the writer ends");
        read(&mut consumer, &mut seen);
        let lost = consumer.position().lost_full;
        assert_eq!(seen, written);
        assert_eq!(written.len() as u64 + lost, 5);
    });
}

/// The producer laps the reader: what is read is whole and in order, and the rest is counted, each frame once.
#[test]
fn a_lapped_reader_reads_whole_frames_and_knows_how_many_it_lost() {
    let mut builder = loom::model::Builder::new();
    // More switches of threads than these are tried in no useful time.
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let (mut producer, mut consumer) = protocol::ends(model::<Atomic>(), Policy::Overwrite);
        // A full ring, before the threads begin.
        (1..=4u32).for_each(|tag| producer.push(tag, &[&[tag as u8; 8]]).expect("there always is room"));
        let writer = loom::thread::spawn(move || {
            (5..=7u32).for_each(|tag| producer.push(tag, &[&[tag as u8; 8]]).expect("there always is room"));
        });
        let mut seen = Vec::new();
        let mut look = |consumer: &mut Consumer<Model<Atomic>>| {
            consumer.refresh();
            while let Some(frame) = consumer.peek() {
                assert_eq!(frame.body[..], [frame.tag as u8; 8]);
                let tag = frame.tag;
                seen.push(tag);
                // Each that is missing was counted by the time that a later one was shown.
                assert_eq!(u64::from(tag), seen.len() as u64 + consumer.gone().overwritten);
                consumer.advance();
            }
            consumer.release();
        };
        look(&mut consumer);
        writer.join().expect("the writer ends");
        look(&mut consumer);
        let gone = consumer.gone();
        assert_eq!(gone, Gone { overwritten: gone.overwritten, ..Gone::default() });
        assert_eq!(seen.len() as u64 + gone.overwritten, 7);
    });
}
