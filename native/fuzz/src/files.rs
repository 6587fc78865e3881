//! Files in memory.

use std::path::{Path, PathBuf};

/// A folder that is removed with the value.
pub struct Folder(tempfile::TempDir);

/// A new folder, in memory where the system has a file system for that.
pub fn folder() -> Folder {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Folder(made.expect("a temporary folder"))
}

impl Folder {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, in place of the one that had this name. A new one each time: a file must not be shortened
    /// while it is mapped.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).expect("memory for a small file");
        path
    }
}
