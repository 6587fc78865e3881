//! Packing a segment that was sealed: the same blocks, with their records compressed by zstd, one by one, so that each
//! can still be read alone. Their fronts stay as they are: an index is made without unpacking anything.

use crate::layout::{ALIGN, BLOCK_HEAD, BlockHead};
use crate::reader::Segment;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The least effort: on records it packs about as small as higher ones (see bench/RESULTS.md), and fastest.
const LEVEL: i32 = 1;

/// No block is larger: it ends with the record that makes it large enough, and a record is at most a quarter of a ring.
const MOST: usize = 512 << 20;

/// Writes a packed copy of a segment to a new file. `false`, and there is no file, when a block cannot be read: then what
/// there is stays as it is.
///
/// # Errors
/// What the system says; then there is no file either.
pub fn pack(segment: &Segment, path: &Path) -> io::Result<bool> {
    let written =
        File::create_new(path).and_then(|file| write(segment, BufWriter::with_capacity(1 << 20, file)));
    if !matches!(written, Ok(true)) {
        let _ = std::fs::remove_file(path);
    }
    written
}

fn write(segment: &Segment, mut file: BufWriter<File>) -> io::Result<bool> {
    let mut head = segment.head();
    head.packed = true;
    file.write_all(&head.to_bytes())?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    for block in segment.scan(0) {
        let Ok(block) = block else { return Ok(false) };
        let Ok(records) = block.records() else { return Ok(false) };
        let packed = compressor.compress(records)?;
        let (unpacked, records) = match packed.len() < records.len() {
            true => (records.len() as u32, &packed[..]),
            false => (0, records),
        };
        let mut sum = crc32fast::Hasher::new();
        sum.update(block.front);
        sum.update(records);
        let body = (block.front.len() + records.len()) as u32;
        let head = BlockHead { body, unpacked, sum: sum.finalize(), ..block.head };
        file.write_all(&head.to_bytes())?;
        file.write_all(block.front)?;
        file.write_all(records)?;
        file.write_all(&[0; ALIGN][..head.span() - BLOCK_HEAD - body as usize])?;
    }
    file.flush()?;
    segment.release();
    Ok(true)
}

/// The records of a block, as many bytes as its head says. `None` when they are not.
pub(crate) fn unpack(packed: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let mut records = Vec::new();
    // A forged head may ask for more than there is; that must not end the process.
    (bytes <= MOST).then(|| records.try_reserve_exact(bytes))?.ok()?;
    thread_local! {
        // Making one costs as much as unpacking a small block.
        static UNPACK: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let unpacked = UNPACK.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        decompressor.decompress_to_buffer(packed, &mut records).ok()
    })?;
    (unpacked == bytes).then_some(records)
}
