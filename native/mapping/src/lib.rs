//! Files mapped into memory.
//!
//! One of the three rooms with `unsafe` (the others are the ring and the edge to the VM). It hands out two things:
//! a [`SharedMap`], raw memory that two threads agree on by other means (the ring), and an [`AppendMap`], which
//! grows at its end under one writer while any number of readers look at what was committed.
//!
//! **Assumed of the outside:** no other program shortens a file while it is mapped. The kernel answers a touch
//! beyond a file's end with SIGBUS; that is why files are preallocated before they are mapped, so that a full disk
//! is an error when the file is made and not a signal later.

mod append;
mod shared;

pub use append::{AppendMap, Appender};
pub use shared::SharedMap;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a file of `len` bytes of zeroes whose blocks are all reserved on the disk.
///
/// # Errors
/// What the system says: no such folder, no permission, no space, the file exists.
pub fn preallocate(path: &Path, len: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    reserve(&file, len).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        // Some file systems cannot reserve; there a full disk shows itself late, as on other systems.
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(len),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}
