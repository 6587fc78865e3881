//! A recording that can be asked.

use crate::index::Index;
use elixir_scope_segment::Damage;
use elixir_scope_store::{Manifest, RunPath, Shelf};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// A run, live or not, with its index.
pub struct Recording {
    /// Where it lies.
    pub run: RunPath,
    /// Who recorded it.
    pub manifest: Manifest,
    /// Files that could not be read at all.
    pub damage: Vec<Damage>,
    shelf: Arc<Shelf>,
    index: Mutex<Index>,
}

impl Recording {
    /// Begins with an empty index.
    pub fn new(run: RunPath, manifest: Manifest, damage: Vec<Damage>, shelf: Arc<Shelf>) -> Self {
        Recording { run, manifest, damage, shelf, index: Mutex::default() }
    }

    /// The index, with everything that is in the store now. Other queries wait while it is held.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        let mut index = self.index.lock();
        index.extend(&self.shelf.segments());
        index
    }
}
