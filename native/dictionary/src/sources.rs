//! The texts of source files, as they were compiled.
//!
//! Each text is one file of the run, named by its digest, so that it is there once however many modules and
//! functions come from it. What the bytes are (packed, and how) is the business of whoever puts and reads them.

use ahash::AHashSet;
use parking_lot::Mutex;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The writing side, shared by all threads of the VM.
pub struct Sources {
    dir: PathBuf,
    known: Mutex<AHashSet<u64>>,
}

impl Sources {
    /// Texts go to the folder `dir`, which is made with the first of them.
    pub fn new(dir: PathBuf) -> Self {
        Sources { dir, known: Mutex::default() }
    }

    /// Whether a text was put, or needs not be: 0 stands for a text that nobody knows.
    pub fn knows(&self, digest: u64) -> bool {
        digest == 0 || self.known.lock().contains(&digest)
    }

    /// Writes a text, once. One that cannot be written is not asked for again.
    ///
    /// # Errors
    /// What the system says.
    pub fn put(&self, digest: u64, bytes: &[u8]) -> io::Result<()> {
        if digest == 0 || !self.known.lock().insert(digest) {
            return Ok(());
        }
        fs::create_dir_all(&self.dir)?;
        let path = path(&self.dir, digest);
        // Under its name it is whole.
        let begun = path.with_extension("new");
        fs::write(&begun, bytes)?;
        fs::rename(begun, path)
    }
}

/// The bytes that were put under a digest into the folder of a run.
///
/// # Errors
/// What the system says; [`io::ErrorKind::NotFound`] when there are none.
pub fn source(dir: &Path, digest: u64) -> io::Result<Vec<u8>> {
    fs::read(path(dir, digest))
}

fn path(dir: &Path, digest: u64) -> PathBuf {
    dir.join(format!("{digest:016x}.z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_once_and_found_by_its_digest() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path().join("sources");
        let sources = Sources::new(folder.clone());
        assert!(sources.knows(0));
        assert!(!sources.knows(7));
        sources.put(7, b"defmodule Cart").expect("written");
        assert!(sources.knows(7));
        sources.put(7, b"something else").expect("nothing to do");
        assert_eq!(source(&folder, 7).expect("read"), b"defmodule Cart");
        assert_eq!(source(&folder, 8).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(&folder).expect("read").count(), 1);
    }

    #[test]
    fn a_text_that_cannot_be_written_is_an_error_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("sources");
        fs::write(&file, b"a file in the way").expect("written");
        let sources = Sources::new(file);
        assert!(sources.put(7, b"defmodule Cart").is_err());
        assert!(sources.knows(7));
        assert!(sources.put(7, b"defmodule Cart").is_ok());
    }
}
