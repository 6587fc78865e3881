//! A ring in a mapped file.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `ESRING02` |
//! | 8 | 8 | capacity: bytes of data |
//! | 16 | 8 | policy: 0 drops the new, 1 overwrites the old |
//! | 64 | 8 | head, and frames written modulo 8 |
//! | 72 | 8 | frames written |
//! | 80 | 8 | lost: full |
//! | 88 | 8 | lost: oversize |
//! | 96 | 8 | floor, and frames overwritten modulo 8 |
//! | 104 | 8 | frames overwritten |
//! | 128 | 8 | tail, and frames below it modulo 8 |
//! | 136 | 8 | frames below the tail |
//! | 4096 | capacity | data |
//!
//! Head and tail lie on cache lines of their own, so that the two sides do not slow each other.

use crate::memory::{Counter, Memory};
use crate::protocol::{self, Policy};
use crate::{Consumer, Producer};
use elixir_scope_mapping::{SharedMap, preallocate};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: u64 = u64::from_le_bytes(*b"ESRING02");
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
    create_with(path, capacity, Policy::DropNew)
}

/// As [`create`], with a policy.
///
/// # Errors
/// What the system says.
pub fn create_with(
    path: &Path,
    capacity: u64,
    policy: Policy,
) -> io::Result<(Producer<Mapped>, Consumer<Mapped>)> {
    let capacity = capacity.max(MIN_CAPACITY).next_power_of_two();
    let file = preallocate(path, DATA as u64 + capacity)?;
    let memory = Mapped { map: SharedMap::writable(&file)?, capacity };
    memory.field(8).store(capacity, Ordering::Relaxed);
    memory.field(16).store(policy as u64, Ordering::Relaxed);
    // The magic is last: a file without it was never finished and holds nothing.
    memory.field(0).store(MAGIC, Ordering::Release);
    Ok(protocol::ends(memory, policy))
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
        return Err(invalid("expected the magic ESRING02 of a ring file"));
    }
    let len = memory.map.len() as u64;
    if !capacity.is_power_of_two() || capacity < MIN_CAPACITY || len < DATA as u64 + capacity {
        return Err(invalid("expected a ring capacity that fits the file"));
    }
    let policy = match memory.field(16).load(Ordering::Relaxed) {
        0 => Policy::DropNew,
        1 => Policy::Overwrite,
        _ => return Err(invalid("expected a policy of a ring")),
    };
    let [head, tail, floor] = [Counter::Head, Counter::Tail, Counter::Floor]
        .map(|counter| protocol::position(memory.observe(counter)));
    let oldest = if policy == Policy::Overwrite { floor } else { tail };
    // No ring lives so long that its positions come near the end of 64 bits.
    let lives = head < u64::MAX / 4 * 3;
    if !lives || tail > head || head.checked_sub(oldest).is_none_or(|held| held > capacity) {
        return Err(invalid("expected a head and a tail that lie in the ring"));
    }
    Ok(protocol::left_behind(Mapped { capacity, ..memory }, policy))
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

    #[inline]
    fn counter(&self, counter: Counter) -> &AtomicU64 {
        self.field(match counter {
            Counter::Head => 64,
            Counter::Written => 72,
            Counter::LostFull => 80,
            Counter::LostOversize => 88,
            Counter::Floor => 96,
            Counter::Overwritten => 104,
            Counter::Tail => 128,
            Counter::Seen => 136,
        })
    }
}

impl Memory for Mapped {
    type Word = AtomicU64;

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
    fn note(&self, counter: Counter, value: u64) {
        self.counter(counter).store(value, Ordering::Relaxed);
    }

    #[inline]
    fn publish(&self, counter: Counter, value: u64) {
        self.counter(counter).store(value, Ordering::Release);
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the map holds `capacity` bytes, a multiple of 8, after `DATA` and is page-aligned. They were
        // initialised when the file was made, and are touched as atomics while somebody may store into them.
        unsafe {
            let data = self.map.as_ptr().add(DATA).cast::<AtomicU64>();
            std::slice::from_raw_parts(data, (self.capacity / 8) as usize)
        }
    }

    #[inline]
    unsafe fn read(&self, offset: u64, len: u64) -> Cow<'_, [u8]> {
        let at = offset.min(self.capacity);
        let len = len.min(self.capacity - at);
        // SAFETY: the bytes lie in the data, which was initialised when the file was made, and the caller sees to it
        // that nobody stores there.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(DATA + at as usize), len as usize) };
        Cow::Borrowed(bytes)
    }
}

// SAFETY: all fields and words are atomics while two threads touch them; bytes are borrowed only where the protocol
// keeps the producer away.
unsafe impl Sync for Mapped {}
// SAFETY: the map is owned memory without ties to a thread.
unsafe impl Send for Mapped {}
