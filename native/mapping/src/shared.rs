//! Raw shared memory behind a file.

use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;

/// Memory shared by whoever maps the same file. It gives an address and a length; who may touch what, and when, is
/// the caller's protocol.
pub struct SharedMap {
    map: MmapRaw,
    shares_file: bool,
}

impl SharedMap {
    /// Maps the whole file for reading and writing.
    ///
    /// # Errors
    /// What the system says; an empty file cannot be mapped.
    pub fn writable(file: &File) -> io::Result<Self> {
        Ok(SharedMap { map: MmapRaw::map_raw(file)?, shares_file: true })
    }

    /// Maps the first `len` bytes of a file for reading alone.
    ///
    /// # Errors
    /// What the system says; nothing cannot be mapped.
    pub fn readable(file: &File, len: usize) -> io::Result<Self> {
        Ok(SharedMap { map: MmapOptions::new().len(len).map_raw_read_only(file)?, shares_file: true })
    }

    /// Maps the whole file as a private copy: what is written stays in memory, and never reaches the file.
    ///
    /// # Errors
    /// What the system says; an empty file cannot be mapped.
    pub fn private(file: &File) -> io::Result<Self> {
        // SAFETY: memmap2 asks for this because another program may change a mapped file; see the crate's page
        // for what is assumed. The bytes are used through raw pointers alone.
        let map = unsafe { MmapOptions::new().map_copy(file)? };
        Ok(SharedMap { map: map.into(), shares_file: false })
    }

    /// Memory without a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        Ok(SharedMap { map: MmapOptions::new().len(len.max(1)).map_anon()?.into(), shares_file: false })
    }

    /// Says that the bytes will not be looked at for a while: they leave the memory of this process, and come back from
    /// the file when they are. Nothing that was written is lost. Only for maps that share a file; others are left alone.
    pub fn release(&self) {
        #[cfg(target_os = "linux")]
        if self.shares_file {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the range is this map's own. Of a map that shares a file this drops the page table's entries, and
            // the page cache keeps the bytes (madvise(2), MADV_DONTNEED).
            let _ = unsafe { madvise(self.map.as_mut_ptr().cast(), self.map.len(), Advice::LinuxDontNeed) };
        }
    }

    /// The first byte. Writing through it is allowed for a map that is not [`SharedMap::readable`] alone.
    pub fn as_ptr(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether nothing is mapped (it never is: an empty file cannot be mapped).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
