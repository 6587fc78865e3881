//! Who recorded a run.

use crate::StoreError;
use elixir_scope_clock::Nanos;
use elixir_scope_event::codec;
use elixir_scope_segment::layout::{VERSION, other_version};
use serde::{Deserialize, Serialize};
use std::path::Path;

const MAGIC: [u8; 8] = *b"ESRUNMAN";

/// What is known when a run begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it began.
    pub started: Nanos,
    /// The recording program's process in its operating system.
    pub os_pid: u32,
    /// The node's name, such as `nonode@nohost`.
    pub node: String,
    /// The VM, such as `Elixir 1.14.0 (OTP 25)`.
    pub vm: String,
}

impl Manifest {
    /// Writes the manifest: magic, format version, length, checksum, structure.
    pub(crate) fn write(&self, path: &Path) -> Result<(), StoreError> {
        let body = codec::encode(self);
        let head = [VERSION, body.len() as u32, crc32fast::hash(&body)].map(u32::to_le_bytes).concat();
        std::fs::write(path, [&MAGIC[..], &head, &body].concat()).map_err(StoreError::io("write", path))
    }

    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let bytes = std::fs::read(path).map_err(StoreError::io("read", path))?;
        let damaged = |what: String| StoreError::Damaged(path.to_path_buf(), what);
        let field = |at: usize| {
            let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>());
            bytes
                .map(|bytes| u32::from_le_bytes(*bytes))
                .ok_or_else(|| damaged("expected a longer file".into()))
        };
        if !bytes.starts_with(&MAGIC) {
            return Err(damaged("expected the magic ESRUNMAN of a manifest".into()));
        }
        let (version, len, sum) = (field(8)?, field(12)? as usize, field(16)?);
        if version != VERSION {
            return Err(StoreError::Version(path.to_path_buf(), other_version(version)));
        }
        let body = bytes.get(20..).filter(|body| body.len() == len && crc32fast::hash(body) == sum);
        let body =
            body.ok_or_else(|| damaged("expected the manifest's checksum to match, it does not".into()))?;
        codec::decode(body).map_err(|error| damaged(error.to_string()))
    }
}
