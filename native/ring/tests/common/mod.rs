//! Frames whose bytes follow from their number, so that a test can check every one that it reads.
#![allow(dead_code, reason = "each test file uses a part of it")]

use elixir_scope_ring::memory::Memory;
use elixir_scope_ring::{Consumer, Producer, Refused};

/// The tag of frame `number`: any but those that are reserved.
pub fn tag(number: u64) -> u32 {
    (number % 254) as u32 + 1
}

/// The body of frame `number`: its number as far as there is room, and bytes made of it.
pub fn body(number: u64, len: usize) -> Vec<u8> {
    let mut body: Vec<u8> = (0..len as u64).map(|at| (number * 31 + at * 7) as u8).collect();
    let head = len.min(8);
    body[..head].copy_from_slice(&number.to_le_bytes()[..head]);
    body
}

/// Pushes frame `number` in two parts.
pub fn push<M: Memory>(producer: &mut Producer<M>, number: u64, len: usize) -> Result<(), Refused> {
    let body = body(number, len);
    let (first, second) = body.split_at(len * (number as usize % 4) / 3 % (len + 1));
    producer.push(tag(number), &[first, second])
}

/// All frames that can be read now; their room is given back.
pub fn drain<M: Memory>(consumer: &mut Consumer<M>) -> Vec<(u32, Vec<u8>)> {
    consumer.refresh();
    let frames = rest(consumer);
    consumer.release();
    frames
}

/// All frames up to where the reader looked last.
pub fn rest<M: Memory>(consumer: &mut Consumer<M>) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some(frame) = consumer.peek() {
        frames.push((frame.tag, frame.body.to_vec()));
        consumer.advance();
    }
    frames
}

/// The number in a frame of at least eight bytes, after a look at all of it.
pub fn number((found, bytes): &(u32, Vec<u8>)) -> u64 {
    let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    assert_eq!(*bytes, body(number, bytes.len()), "frame {number}");
    assert_eq!(*found, tag(number), "frame {number}");
    number
}
