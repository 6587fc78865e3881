//! A ring that was filled and read in any way, then its file with changes at any places: what was not changed comes back
//! whole; what was changed is refused, or gives at most as many frames as it has room for.
//!
//! The input is a list of steps, each with its number first:
//!
//! | number | step |
//! |---|---|
//! | below 128 | push a frame of four times so many bytes, the first of them from the input |
//! | below 192 | read so many frames less 128, and give their room back |
//! | others | change up to 7 bytes of the file: two bytes say where |
#![no_main]

use elixir_scope_event::Record;
use elixir_scope_fuzz::{Folder, folder};
use elixir_scope_ring::file;
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::sync::LazyLock;

static FOLDER: LazyLock<Folder> = LazyLock::new(folder);
const CAPACITY: u64 = 4096;

/// What stands where in the file, as the steps say.
type Changes<'a> = Vec<(usize, &'a [u8])>;

fuzz_target!(|input: &[u8]| {
    let (frames, changes) = make(input);
    let mut bytes = std::fs::read(FOLDER.path().join("made.ring")).expect("just made");
    let len = bytes.len();
    for (at, new) in &changes {
        let at = at % len;
        let new = &new[..new.len().min(len - at)];
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    let path = FOLDER.write("0.ring", &bytes);
    let Ok(mut consumer) = file::open(&path) else {
        return assert!(!changes.is_empty(), "a sound ring is refused");
    };
    let waiting = consumer.refresh();
    let mut found = Vec::new();
    while let Some(frame) = consumer.peek() {
        let _ = Record::parse(frame.tag, &frame.body);
        found.push((frame.tag, frame.body.to_vec()));
        consumer.advance();
        assert!(found.len() as u64 * 8 <= waiting, "more frames than {waiting} bytes hold");
    }
    consumer.release();
    if changes.is_empty() {
        assert_eq!(found, frames);
    }
});

/// Writes the file `made.ring`; gives the frames that it holds, and what is to be changed.
fn make(mut input: &[u8]) -> (Vec<(u32, Vec<u8>)>, Changes<'_>) {
    let path = FOLDER.path().join("made.ring");
    let _ = std::fs::remove_file(&path);
    let (mut producer, mut consumer) = file::create(&path, CAPACITY).expect("memory for a ring");
    let (mut frames, mut changes) = (VecDeque::new(), Changes::new());
    let mut take = |len: usize| {
        let (taken, rest) = input.split_at(len.min(input.len()));
        input = rest;
        taken
    };
    while let [step] = *take(1) {
        match step {
            0..128 => {
                let len = usize::from(step) * 4;
                let mut body = take(len.min(8)).to_vec();
                body.resize(len, step);
                let tag = 1 + u32::from(step % 12);
                if producer.push(tag, &[&body]).is_ok() {
                    frames.push_back((tag, body));
                }
            }
            128..192 => {
                consumer.refresh();
                for _ in 128..step {
                    let seen = consumer.peek().map(|frame| (frame.tag, frame.body.to_vec()));
                    assert_eq!(seen, frames.pop_front());
                    consumer.advance();
                }
                consumer.release();
            }
            192.. => {
                let at = take(2).iter().fold(0, |at, byte| at << 8 | usize::from(*byte));
                changes.push((at, take(usize::from(step) % 8)));
            }
        }
    }
    (frames.into(), changes)
}
