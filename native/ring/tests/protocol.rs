//! The protocol on plain memory against plain models, for each policy, and each way in which rings of others have
//! failed. Miri runs these too: `cargo +nightly miri test -p elixir_scope_ring --test protocol`.

mod common;

use common::{body, drain, number, push, rest, tag};
use elixir_scope_ring::memory::{Counter, Heap, Memory, Word};
use elixir_scope_ring::protocol::{self, Policy};
use elixir_scope_ring::{Consumer, Gone, Producer, Refused};
use proptest::prelude::*;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Miri is some hundred times slower.
const MANY: u64 = if cfg!(miri) { 100 } else { 200_000 };

fn ring(capacity: u64, policy: Policy) -> (Producer<Heap>, Consumer<Heap>) {
    protocol::ends(Heap::at(capacity, 0, 0), policy)
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 2 } else { 200 };
    // Miri has no files for what failed.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn steps() -> impl Strategy<Value = Vec<(usize, u8)>> {
    // The length of a body, and a chance of one in four that the reader reads, some frames or all.
    proptest::collection::vec((0usize..248, any::<u8>()), 1..if cfg!(miri) { 30 } else { 400 })
}

/// Reads `count` frames.
fn take(consumer: &mut Consumer<Heap>, count: usize) -> Vec<(u32, Vec<u8>)> {
    consumer.refresh();
    let frames = (0..count)
        .map_while(|_| {
            let frame = consumer.peek()?;
            let frame = (frame.tag, frame.body.to_vec());
            consumer.advance();
            Some(frame)
        })
        .collect();
    consumer.release();
    frames
}

fn how_many(step: u8) -> usize {
    match step {
        0..=31 => usize::MAX,
        32..=63 => usize::from(step) - 32,
        _ => 0,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn dropping_the_new_is_a_queue_that_counts_what_it_refuses(steps in steps()) {
        let (mut producer, mut consumer) = ring(1024, Policy::DropNew);
        let (mut model, mut refused) = (VecDeque::new(), 0u64);
        for (count, (len, step)) in (0..).zip(steps) {
            match push(&mut producer, count, len) {
                Ok(()) => model.push_back((tag(count), body(count, len))),
                Err(Refused::Full) => refused += 1,
                Err(Refused::Oversize) => panic!("{len} bytes fit a quarter of the ring"),
            }
            let read = take(&mut consumer, how_many(step));
            let expected: Vec<_> = model.drain(..read.len()).collect();
            prop_assert_eq!(read, expected);
        }
        prop_assert_eq!(drain(&mut consumer), model.drain(..).collect::<Vec<_>>());
        prop_assert_eq!(consumer.position().lost_full, refused);
        prop_assert_eq!(consumer.gone(), Gone::default());
    }

    /// As a producer does that waits for room: nothing is counted, and nothing is lost.
    #[test]
    fn what_is_offered_again_when_there_is_room_is_not_lost(steps in steps()) {
        let (mut producer, mut consumer) = ring(1024, Policy::DropNew);
        let (mut read, mut pushed) = (Vec::new(), Vec::new());
        for (count, (len, step)) in (0..).zip(steps) {
            let frame = body(count, len);
            while producer.offer(tag(count), &[&frame]).is_err() {
                read.extend(take(&mut consumer, how_many(step).max(1)));
            }
            pushed.push((tag(count), frame));
        }
        read.extend(drain(&mut consumer));
        prop_assert_eq!(read, pushed);
        prop_assert_eq!(consumer.position().lost_full, 0);
    }

    #[test]
    fn overwriting_keeps_the_latest_and_counts_what_it_overwrote(steps in steps()) {
        let (mut producer, mut consumer) = ring(1024, Policy::Overwrite);
        let (mut pushed, mut next) = (Vec::new(), 0);
        let mut look = |consumer: &mut Consumer<Heap>, pushed: &[(u32, Vec<u8>)], count: usize| {
            let before = consumer.gone().overwritten;
            let read = take(consumer, count);
            let lost = (consumer.gone().overwritten - before) as usize;
            if read.is_empty() {
                return;
            }
            // Together with what followed it, and with fillers, the last one that is missing filled the ring.
            if lost > 0 {
                let span = |frame: &(u32, Vec<u8>)| 8 + frame.1.len().next_multiple_of(8);
                let spans: usize = pushed[next + lost - 1..].iter().map(span).sum();
                assert!(spans > 1024 - 256, "{lost} frames were given up for {spans} bytes");
            }
            next += lost;
            assert_eq!(read, pushed[next..next + read.len()]);
            next += read.len();
        };
        for (count, (len, step)) in (0..).zip(steps) {
            push(&mut producer, count, len).expect("there always is room");
            pushed.push((tag(count), body(count, len)));
            look(&mut consumer, &pushed, how_many(step));
        }
        look(&mut consumer, &pushed, usize::MAX);
        prop_assert_eq!(next, pushed.len());
    }
}

#[test]
fn wraps_at_every_offset() {
    for policy in [Policy::DropNew, Policy::Overwrite] {
        let (mut producer, mut consumer) = ring(1024, policy);
        for (count, len) in (0..MANY / 10).zip((0..=248).cycle()) {
            push(&mut producer, count, len).expect("the ring is empty");
            assert_eq!(drain(&mut consumer), [(tag(count), body(count, len))]);
        }
        assert_eq!(consumer.gone(), Gone::default());
    }
}

#[test]
fn a_frame_larger_than_the_ring_is_refused_and_counted_and_nothing_hangs() {
    for policy in [Policy::DropNew, Policy::Overwrite] {
        let (mut producer, mut consumer) = ring(1024, policy);
        for len in [249, 1024, 5000] {
            assert_eq!(push(&mut producer, 0, len), Err(Refused::Oversize));
        }
        push(&mut producer, 1, 248).expect("a quarter of the ring fits");
        assert_eq!(drain(&mut consumer), [(tag(1), body(1, 248))]);
        assert_eq!(consumer.position().lost_oversize, 3);
    }
}

#[test]
fn a_lapped_reader_is_told_how_many_frames_it_lost() {
    let (mut producer, mut consumer) = ring(1024, Policy::Overwrite);
    for laps in [1, 2, 100] {
        let before = consumer.gone().overwritten;
        let frames = laps * 1024 / 24;
        (0..frames).for_each(|number| push(&mut producer, number, 16).expect("room"));
        // Half of them, then it is lapped in the middle.
        let mut read = take(&mut consumer, 10);
        (frames..2 * frames).for_each(|number| push(&mut producer, number, 16).expect("room"));
        read.extend(drain(&mut consumer));
        let numbers: Vec<u64> = read.iter().map(number).collect();
        assert!(numbers.is_sorted() && numbers.last() == Some(&(2 * frames - 1)));
        let lost = consumer.gone().overwritten - before;
        assert_eq!(numbers.len() as u64 + lost, 2 * frames);
    }
    assert_eq!(consumer.gone().uncounted, 0);
}

#[test]
fn a_reader_that_is_lapped_while_it_holds_a_frame_has_that_frame_whole() {
    let (mut producer, mut consumer) = ring(1024, Policy::Overwrite);
    (0..20).for_each(|number| push(&mut producer, number, 40).expect("room"));
    consumer.refresh();
    let held = consumer.peek().map(|frame| (frame.tag, frame.body.to_vec()));
    (20..200).for_each(|number| push(&mut producer, number, 40).expect("room"));
    assert_eq!(held, consumer.peek().map(|frame| (frame.tag, frame.body.to_vec())));
    consumer.advance();
    consumer.refresh();
    let numbers: Vec<u64> = rest(&mut consumer).iter().map(number).collect();
    assert_eq!(1 + numbers.len() as u64 + consumer.gone().overwritten, 200);
    assert_eq!(numbers.last(), Some(&199));
}

/// 64 bits of position and of count, and nothing in between.
#[test]
fn counts_go_on_beyond_32_bits_and_near_63() {
    for start in [(1 << 32) - 512, (1 << 63) - 512, (1 << 63) + 512] {
        for policy in [Policy::DropNew, Policy::Overwrite] {
            let (mut producer, mut consumer) = protocol::ends(Heap::at(1024, start, start), policy);
            for count in 0..200 {
                push(&mut producer, count, 20).expect("room");
                if count % 10 == 9 {
                    let numbers: Vec<u64> = drain(&mut consumer).iter().map(number).collect();
                    assert_eq!(numbers, (count - 9..=count).collect::<Vec<_>>());
                }
            }
            assert_eq!(consumer.position().tail, start + 200 * 32);
            (0..200).for_each(|number| _ = push(&mut producer, number, 20));
            let read = drain(&mut consumer).len() as u64;
            assert_eq!(read + consumer.position().lost_full + consumer.gone().overwritten, 200);
            assert_eq!(consumer.gone().uncounted, 0);
        }
    }
}

/// How many stores a producer has left to live.
type Life = Rc<Cell<usize>>;

fn is_alive(life: &Life) -> bool {
    let left = life.get();
    life.set(left.saturating_sub(1));
    left > 0
}

/// Memory of a producer that can be stopped after any of its stores.
#[derive(Clone)]
struct Mortal {
    counters: Rc<Heap>,
    words: Rc<[MortalWord]>,
    life: Life,
}

struct MortalWord(Cell<u64>, Life);

impl Word for MortalWord {
    fn store(&self, word: u64) {
        if is_alive(&self.1) {
            self.0.set(word);
        }
    }
    fn load(&self) -> u64 {
        self.0.get()
    }
}

impl Mortal {
    fn new(capacity: u64) -> Self {
        let life = Life::new(Cell::new(usize::MAX));
        let words = (0..capacity / 8).map(|_| MortalWord(Cell::new(0), life.clone())).collect();
        Mortal { counters: Rc::new(Heap::at(capacity, 0, 0)), words, life }
    }
}

impl Memory for Mortal {
    type Word = MortalWord;

    fn capacity(&self) -> u64 {
        self.counters.capacity()
    }
    fn own(&self, counter: Counter) -> u64 {
        self.counters.own(counter)
    }
    fn observe(&self, counter: Counter) -> u64 {
        self.counters.observe(counter)
    }
    fn note(&self, counter: Counter, value: u64) {
        if is_alive(&self.life) {
            self.counters.note(counter, value);
        }
    }
    fn publish(&self, counter: Counter, value: u64) {
        if is_alive(&self.life) {
            self.counters.publish(counter, value);
        }
    }
    fn words(&self) -> &[MortalWord] {
        &self.words
    }
    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let words = self.words[(offset / 8) as usize..].iter().map(Word::load);
        let words = words.take(len.div_ceil(8) as usize);
        Cow::Owned(words.flat_map(u64::to_le_bytes).take(len as usize).collect())
    }
}

/// It dies after each of the stores of its last push in turn: in the middle of the body, after the floor was moved,
/// between the count and the head. What had been pushed before is there, nothing else is, and every count is exact.
#[test]
fn a_producer_that_dies_within_a_push_leaves_what_it_had_published() {
    for policy in [Policy::DropNew, Policy::Overwrite] {
        for (before, lens) in [(3, [40, 16]), (17, [100, 200]), (18, [8, 240]), (40, [24, 24]), (41, [0, 240])]
        {
            let mut published = 0;
            for stores in 0.. {
                let memory = Mortal::new(1024);
                let (mut producer, _) = protocol::ends(memory.clone(), policy);
                // Those that find no room are refused.
                let kept: Vec<u64> = (0..before)
                    .filter(|count| push(&mut producer, *count, 8 + lens[*count as usize % 2]).is_ok())
                    .collect();
                let head = memory.observe(Counter::Head);
                memory.life.set(stores);
                let _ = push(&mut producer, before, 8 + lens[0]);
                let died = memory.life.get() == 0;
                memory.life.set(usize::MAX);

                let is_out = memory.observe(Counter::Head) != head;
                published += u64::from(is_out);
                let mut reader = protocol::left_behind(memory, policy);
                reader.refresh();
                let numbers: Vec<u64> = rest(&mut reader).iter().map(number).collect();
                let expected: Vec<u64> = kept.iter().copied().chain(is_out.then_some(before)).collect();
                assert!(
                    expected.ends_with(&numbers),
                    "{policy:?}, {before}, after {stores} stores: {numbers:?}"
                );
                let lost = (expected.len() - numbers.len()) as u64;
                assert_eq!(reader.gone(), Gone { overwritten: lost, ..Gone::default() }, "{policy:?} {stores}");
                if !died {
                    break;
                }
            }
            // The last of its stores publishes: with just so many stores, and when it was let be. Or there was no room.
            let once = (1..=2).contains(&published);
            assert!(once || policy == Policy::DropNew && published == 0, "{policy:?}: {published}");
        }
    }
}

#[test]
fn two_threads_pass_every_frame_in_order() {
    let (mut producer, mut consumer) = ring(1 << 12, Policy::DropNew);
    let writer = std::thread::spawn(move || {
        for count in 0..MANY {
            let body = body(count, 8 + (count % 60) as usize);
            while producer.offer(tag(count), &[&body]).is_err() {
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < MANY {
        let frames = drain(&mut consumer);
        if frames.is_empty() {
            std::thread::yield_now();
        }
        for frame in frames {
            assert_eq!(number(&frame), expected);
            expected += 1;
        }
    }
    writer.join().expect("the writer ends");
    assert_eq!(consumer.position().lost_full, 0);
}

/// A reader that is lapped again and again: what it reads is whole and in order, and with what it is told to have lost
/// that is everything.
#[test]
fn a_thread_that_overwrites_and_one_that_reads_account_for_every_frame() {
    let (mut producer, mut consumer) = ring(1 << 12, Policy::Overwrite);
    let writer = std::thread::spawn(move || {
        (0..MANY).for_each(|count| push(&mut producer, count, 8 + (count % 60) as usize).expect("room"));
    });
    let (mut next, mut told) = (0, 0);
    while next < MANY {
        consumer.refresh();
        while let Some(frame) = consumer.peek() {
            let found = number(&(frame.tag, frame.body.to_vec()));
            let gone = consumer.gone();
            assert_eq!(found, next + gone.overwritten - told);
            assert_eq!(gone, Gone { overwritten: gone.overwritten, ..Gone::default() });
            (next, told) = (found + 1, gone.overwritten);
            consumer.advance();
        }
        consumer.release();
    }
    writer.join().expect("the writer ends");
}

/// A body given as words is the frame that its bytes make, in a sound ring and after its producer is gone.
#[test]
fn a_body_of_words_is_the_frame_of_its_bytes() {
    for len in 0..=60usize {
        let (mut producer, mut consumer) = ring(4096, Policy::DropNew);
        let bytes: Vec<u8> = (1..=len as u8).collect();
        let mut padded = bytes.clone();
        padded.resize(len.next_multiple_of(8), 0);
        let words: Vec<u64> = padded.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        producer.offer(7, &[&bytes]).unwrap();
        producer.offer_words(7, len as u64, &words).unwrap();
        assert_eq!(take(&mut consumer, 3), [(7, bytes.clone()), (7, bytes)], "{len} bytes");
    }
    let (mut producer, _consumer) = ring(4096, Policy::DropNew);
    assert_eq!(producer.offer_words(7, 4096, &[0; 512]), Err(Refused::Oversize));
}
