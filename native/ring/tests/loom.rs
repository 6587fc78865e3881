//! The protocol under every interleaving and every reordering that the memory model allows.
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p elixir_scope_ring --release --test loom`.
#![cfg(loom)]

use elixir_scope_ring::memory::{Counter, Memory};
use elixir_scope_ring::protocol;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use std::borrow::Cow;

const CAPACITY: u64 = 64;

/// Eight cells of eight bytes: loom reports any two accesses to one cell that are not ordered by the counters.
struct Model {
    counters: [AtomicU64; 4],
    cells: Vec<UnsafeCell<[u8; 8]>>,
}

impl Model {
    fn new() -> Self {
        Model {
            counters: std::array::from_fn(|_| AtomicU64::new(0)),
            cells: (0..CAPACITY / 8).map(|_| UnsafeCell::new([0; 8])).collect(),
        }
    }
}

// SAFETY: that is what the test is to show; loom panics where it does not hold.
unsafe impl Sync for Model {}
// SAFETY: nothing in it is tied to a thread.
unsafe impl Send for Model {}

impl Memory for Model {
    fn capacity(&self) -> u64 {
        CAPACITY
    }

    fn own(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    fn observe(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Acquire)
    }

    fn publish(&self, counter: Counter, value: u64) {
        self.counters[counter as usize].store(value, Ordering::Release);
    }

    unsafe fn write(&self, offset: u64, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let at = offset as usize + index;
            // SAFETY: loom checks that nobody else is in this cell.
            self.cells[at / 8].with_mut(|cell| unsafe { (*cell)[at % 8] = *byte });
        }
    }

    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let byte = |at: u64| {
            // SAFETY: loom checks that nobody writes this cell.
            self.cells[at as usize / 8].with(|cell| unsafe { (*cell)[at as usize % 8] })
        };
        Cow::Owned((offset..offset + len).map(byte).collect())
    }
}

#[test]
fn frames_arrive_whole_in_order_or_are_counted() {
    loom::model(|| {
        let (mut producer, mut consumer) = protocol::ends(Model::new());
        // Five frames of 16 bytes into a ring of four: the producer wraps, and may find the ring full.
        let writer = loom::thread::spawn(move || {
            (1..=5u32).filter(|tag| producer.push(*tag, &[&[*tag as u8; 8]]).is_ok()).collect::<Vec<_>>()
        });
        let mut seen = Vec::new();
        let mut read = |consumer: &mut protocol::Consumer<Model>| {
            consumer.refresh();
            while let Some(frame) = consumer.peek() {
                assert_eq!(frame.body[..], [frame.tag as u8; 8]);
                seen.push(frame.tag);
                consumer.advance();
            }
            consumer.release();
        };
        read(&mut consumer);
        read(&mut consumer);
        let written = writer.join().expect("the writer ends");
        read(&mut consumer);
        let lost = consumer.position().lost_full;
        assert_eq!(seen, written);
        assert_eq!(written.len() as u64 + lost, 5);
    });
}
