//! What can go wrong with a run, in words for its user.

use std::io;
use std::path::PathBuf;

/// Why a run cannot be made or read.
#[derive(Debug)]
pub enum StoreError {
    /// The system refused an operation on a path.
    Io {
        /// What was tried, such as `make the folder`.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is no run there.
    NotFound(PathBuf),
    /// The path is a run itself, where a folder for runs was expected.
    IsRun(PathBuf),
    /// The run is being recorded by a VM.
    InUse(PathBuf),
    /// Another version of the format: the file, and what can open it.
    Version(PathBuf, String),
    /// A file does not hold what it should: the file, what was expected, what came.
    Damaged(PathBuf, String),
}

impl StoreError {
    /// Wraps an error of the system.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| StoreError::Io { doing, path, error }
    }

    /// A word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            StoreError::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => "not_writable",
            StoreError::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => "disk_full",
            StoreError::Io { .. } => "io",
            StoreError::NotFound(_) => "not_found",
            StoreError::IsRun(_) => "is_run",
            StoreError::InUse(_) => "in_use",
            StoreError::Version(..) => "other_version",
            StoreError::Damaged(..) => "damaged",
        }
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Io { doing, path, error } => write!(f, "could not {doing} {}: {error}", path.display()),
            StoreError::NotFound(path) => {
                write!(f, "expected a recording at {}, found none", path.display())
            }
            StoreError::IsRun(path) => {
                write!(f, "expected a folder for recordings, {} is itself a recording", path.display())
            }
            StoreError::InUse(path) => write!(f, "{} is a recording that a VM is making now", path.display()),
            StoreError::Version(path, what) | StoreError::Damaged(path, what) => {
                write!(f, "{}: {what}", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}
