//! A file that grows at its end under one writer, and is read by many meanwhile.

use crate::{SharedMap, preallocate};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The committed bytes of a file that may still grow. Cheap to share; readers take no lock.
pub struct AppendMap {
    map: SharedMap,
    committed: AtomicUsize,
}

impl AppendMap {
    /// Opens a file that nobody writes any more: all of it is committed.
    ///
    /// # Errors
    /// What the system says; an empty file cannot be mapped.
    pub fn open(path: &Path) -> io::Result<Arc<Self>> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Self::open_prefix(&file, len as usize)
    }

    /// Opens the first `len` bytes of a file that another process still writes behind them. What lies further on
    /// is not mapped: it will be cut off when that process is done, and touching it then would be fatal.
    ///
    /// # Errors
    /// What the system says; nothing cannot be mapped.
    pub fn open_prefix(file: &File, len: usize) -> io::Result<Arc<Self>> {
        let map = SharedMap::readable(file, len)?;
        let committed = AtomicUsize::new(map.len());
        Ok(Arc::new(AppendMap { map, committed }))
    }

    /// Everything committed so far.
    pub fn bytes(&self) -> &[u8] {
        // Pairs with the release store in `Appender::append`: what lies below `len` has been written.
        let len = self.committed.load(Ordering::Acquire);
        // SAFETY: bytes below `committed` are initialised and never written again while the map lives (the one
        // `Appender` writes only above it), and `committed` never exceeds the length of the map.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr(), len) }
    }

    /// Says that the bytes will not be looked at for a while; see [`SharedMap::release`].
    pub fn release(&self) {
        self.map.release();
    }
}

/// The one writer of an [`AppendMap`]; it cannot be cloned.
pub struct Appender {
    file: Option<File>,
    shared: Arc<AppendMap>,
    len: usize,
    capacity: usize,
}

impl Appender {
    /// Makes a new file with room for `capacity` bytes.
    ///
    /// # Errors
    /// What the system says; with "no space" the file is not left behind.
    pub fn create(path: &Path, capacity: usize) -> io::Result<Self> {
        let file = preallocate(path, capacity as u64)?;
        let map = SharedMap::writable(&file)?;
        Ok(Appender::over(map, Some(file)))
    }

    /// Makes room for `capacity` bytes in memory alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn in_memory(capacity: usize) -> io::Result<Self> {
        Ok(Appender::over(SharedMap::anonymous(capacity)?, None))
    }

    fn over(map: SharedMap, file: Option<File>) -> Self {
        let capacity = map.len();
        let shared = Arc::new(AppendMap { map, committed: AtomicUsize::new(0) });
        Appender { file, shared, len: 0, capacity }
    }

    /// The side for readers.
    pub fn reader(&self) -> Arc<AppendMap> {
        Arc::clone(&self.shared)
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Writes a head and what follows it, and commits them together; `false`, and nothing written, when they do not
    /// fit. The first eight bytes of the head are written last, in one store: whoever finds them, in another process or
    /// after this one was killed, finds all. They must not all be zero, and the file's length be a multiple of eight.
    ///
    /// # Panics
    /// When the head has fewer than eight bytes, or would not begin at a multiple of eight.
    pub fn append(&mut self, head: &[u8], rest: &[&[u8]]) -> bool {
        let (first, more) = head.split_first_chunk::<8>().expect("a head of at least eight bytes");
        assert!(self.len.is_multiple_of(8), "a head begins at a multiple of eight");
        let total = head.len() + rest.iter().map(|part| part.len()).sum::<usize>();
        if total > self.room() {
            return false;
        }
        let mut at = self.len + head.len();
        for part in rest {
            self.write(at, part);
            at += part.len();
        }
        self.write(self.len + 8, more);
        self.store(self.len, u64::from_ne_bytes(*first));
        self.len += total;
        // Pairs with the acquire load in `AppendMap::bytes`.
        self.shared.committed.store(self.len, Ordering::Release);
        true
    }

    fn store(&mut self, at: usize, word: u64) {
        assert!(at >= self.len && at + 8 <= self.capacity && at.is_multiple_of(8));
        // SAFETY: as in `write`; the map begins at a page, so the word is aligned, and it is touched as an atomic alone
        // until it is committed.
        unsafe { AtomicU64::from_ptr(self.shared.map.as_ptr().add(at).cast()).store(word, Ordering::Release) };
    }

    fn write(&mut self, at: usize, part: &[u8]) {
        assert!(at >= self.len && at + part.len() <= self.capacity);
        // SAFETY: the target lies above `committed`, where no reader looks, and within the map, as was just
        // checked; there is one `Appender` a map, and it is borrowed mutably.
        unsafe {
            let target = self.shared.map.as_ptr().add(at);
            std::ptr::copy_nonoverlapping(part.as_ptr(), target, part.len());
        }
    }

    /// Gives back the reserved space that was not used. Readers keep what they have: they never look above the
    /// committed length.
    ///
    /// # Errors
    /// What the system says; the file is whole then, only longer than it need be.
    pub fn finish(&mut self) -> io::Result<()> {
        // From here on nothing fits: the map still reaches over the room that is given back.
        self.capacity = self.len;
        self.shared.release();
        self.file.as_ref().map_or(Ok(()), |file| file.set_len(self.len as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_what_was_committed_and_no_more() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("file");
        let mut writer = Appender::create(&path, 32).expect("created");
        let reader = writer.reader();
        assert_eq!(reader.bytes(), b"");
        assert!(writer.append(b"how do y", &[b"ou ", b"do?  "]));
        assert_eq!(reader.bytes(), b"how do you do?  ");
        assert!(!writer.append(&[0; 17], &[]), "17 bytes do not fit into the 16 left");
        assert_eq!(reader.bytes(), b"how do you do?  ");
        writer.finish().expect("finished");
        assert!(!writer.append(b"!!!!!!!!", &[]), "nothing fits a finished file");
        assert_eq!(std::fs::read(&path).expect("read"), b"how do you do?  ");
        assert_eq!(AppendMap::open(&path).expect("opened").bytes(), b"how do you do?  ");
    }

    #[test]
    fn a_file_that_exists_is_never_taken_over() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("file");
        std::fs::write(&path, b"mine").expect("written");
        assert!(Appender::create(&path, 16).is_err());
        assert_eq!(std::fs::read(&path).expect("read"), b"mine");
    }
}
