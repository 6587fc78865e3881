//! The file of a ring with any bytes: it is refused, or gives at most as many frames as it has room for.
//!
//! The input is the counters, then the data: the file around them is made here, so that not one in a thousand mutations
//! is needed to find the magic. With a first byte of 255 the rest is the file itself.
#![no_main]

use elixir_scope_event::Record;
use elixir_scope_fuzz::{Folder, folder};
use elixir_scope_ring::file;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static FOLDER: LazyLock<Folder> = LazyLock::new(folder);
const CAPACITY: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let Some((&form, input)) = input.split_first() else { return };
    let path = FOLDER.write("0.ring", &if form == u8::MAX { input.to_vec() } else { ring(input) });
    let Ok(mut consumer) = file::open(&path) else { return };
    let before = consumer.position();
    if form & 1 == 1 {
        consumer.skip_to(before.tail.wrapping_add(u64::from(form) << 3));
    }
    let waiting = consumer.refresh();
    let mut frames = 0;
    while let Some(frame) = consumer.peek() {
        let _ = Record::parse(frame.tag, &frame.body);
        consumer.advance();
        frames += 1;
        assert!(frames * 8 <= waiting, "more frames than {waiting} bytes hold");
    }
    consumer.release();
    assert!(consumer.position().tail >= before.tail);
});

/// Head, tail, losses and data of a sound file.
fn ring(input: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 2 * CAPACITY];
    file[..8].copy_from_slice(b"ESRING01");
    file[8..16].copy_from_slice(&(CAPACITY as u64).to_le_bytes());
    let mut rest = input;
    for at in [64, 128, 72, 80] {
        // Two bytes move a counter within the ring, and rarely out of it.
        let Some((number, after)) = rest.split_first_chunk::<2>() else { return file };
        file[at..at + 8].copy_from_slice(&(u64::from(u16::from_le_bytes(*number)) << 3).to_le_bytes());
        rest = after;
    }
    let len = rest.len().min(CAPACITY);
    file[CAPACITY..CAPACITY + len].copy_from_slice(&rest[..len]);
    file
}
