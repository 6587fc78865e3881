//! A ring in a mapped file.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `ESRING01` |
//! | 8 | 8 | capacity: bytes of data |
//! | 64 | 8 | head |
//! | 72 | 8 | lost: full |
//! | 80 | 8 | lost: oversize |
//! | 128 | 8 | tail |
//! | 4096 | capacity | data |
//!
//! Head and tail lie on cache lines of their own, so that the two sides do not slow each other.

use crate::memory::{Counter, Memory};
use crate::{Consumer, Producer, protocol};
use elixir_scope_mapping::{SharedMap, preallocate};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: u64 = u64::from_le_bytes(*b"ESRING01");
const DATA: usize = 4096;

/// The memory of a ring in a file.
pub struct Mapped {
    map: SharedMap,
    capacity: u64,
}

/// The smallest ring: a quarter of it must hold a frame of some size.
pub const MIN_CAPACITY: u64 = 4096;

/// Makes a ring of `capacity` bytes (rounded up to a power of two, at least [`MIN_CAPACITY`]) in a new file.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path, capacity: u64) -> io::Result<(Producer<Mapped>, Consumer<Mapped>)> {
    let capacity = capacity.max(MIN_CAPACITY).next_power_of_two();
    let file = preallocate(path, DATA as u64 + capacity)?;
    let memory = Mapped { map: SharedMap::writable(&file)?, capacity };
    memory.field(8).store(capacity, Ordering::Relaxed);
    // The magic is last: a file without it was never finished and holds nothing.
    memory.field(0).store(MAGIC, Ordering::Release);
    Ok(protocol::ends(memory))
}

/// Opens the ring of a process that is gone, to read what it still holds. The file is not changed.
///
/// # Errors
/// What the system says; `UnexpectedEof` when the file was never finished, so that nothing was ever pushed;
/// `InvalidData` when it is no ring.
pub fn open(path: &Path) -> io::Result<Consumer<Mapped>> {
    let file = File::open(path)?;
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_string());
    let len = file.metadata()?.len();
    if len == 0 {
        return Err(unfinished());
    }
    if len < (DATA as u64) + MIN_CAPACITY {
        return Err(invalid("expected a ring file, found a shorter file"));
    }
    // The protocol writes the tail when it gives room back: into a copy, since the file is not ours.
    let map = SharedMap::private(&file)?;
    let memory = Mapped { map, capacity: MIN_CAPACITY };
    let (magic, capacity) = (memory.field(0).load(Ordering::Acquire), memory.field(8).load(Ordering::Relaxed));
    if magic == 0 && memory.counter(Counter::Head).load(Ordering::Acquire) == 0 {
        return Err(unfinished());
    }
    if magic != MAGIC {
        return Err(invalid("expected the magic ESRING01 of a ring file"));
    }
    let len = memory.map.len() as u64;
    if !capacity.is_power_of_two() || capacity < MIN_CAPACITY || len < DATA as u64 + capacity {
        return Err(invalid("expected a ring capacity that fits the file"));
    }
    let [head, tail] = [Counter::Head, Counter::Tail].map(|counter| memory.observe(counter));
    let waiting = head.checked_sub(tail);
    if waiting.is_none_or(|waiting| waiting > capacity) || !(head | tail).is_multiple_of(8) {
        return Err(invalid("expected a head and a tail that lie in the ring"));
    }
    Ok(Consumer::new(Arc::new(Mapped { capacity, ..memory })))
}

fn unfinished() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "expected a ring, its making was not finished")
}

impl Mapped {
    fn field(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= DATA);
        // SAFETY: the map is at least `DATA` bytes long (both constructors see to it) and page-aligned, and the
        // fields are touched as atomics alone.
        unsafe { AtomicU64::from_ptr(self.map.as_ptr().add(offset).cast()) }
    }

    fn counter(&self, counter: Counter) -> &AtomicU64 {
        self.field(match counter {
            Counter::Head => 64,
            Counter::LostFull => 72,
            Counter::LostOversize => 80,
            Counter::Tail => 128,
        })
    }
}

impl Memory for Mapped {
    #[inline]
    fn capacity(&self) -> u64 {
        self.capacity
    }

    #[inline]
    fn own(&self, counter: Counter) -> u64 {
        self.counter(counter).load(Ordering::Relaxed)
    }

    #[inline]
    fn observe(&self, counter: Counter) -> u64 {
        self.counter(counter).load(Ordering::Acquire)
    }

    #[inline]
    fn publish(&self, counter: Counter, value: u64) {
        self.counter(counter).store(value, Ordering::Release);
    }

    #[inline]
    unsafe fn write(&self, offset: u64, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() as u64 <= self.capacity);
        // SAFETY: the caller keeps within the capacity, which the map holds after `DATA`, and keeps others away.
        unsafe {
            let target = self.map.as_ptr().add(DATA + offset as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }

    #[inline]
    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        debug_assert!(offset + len <= self.capacity);
        // SAFETY: as in `write`; the bytes were initialised when the file was made.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(DATA + offset as usize), len as usize) };
        Cow::Borrowed(bytes)
    }
}

// SAFETY: all shared fields are atomics, and the data is divided between the two ends by the protocol.
unsafe impl Sync for Mapped {}
// SAFETY: the map is owned memory without ties to a thread.
unsafe impl Send for Mapped {}
