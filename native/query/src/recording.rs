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
    shelf: Arc<Shelf>,
    index: Mutex<Index>,
}

impl Recording {
    /// Reads what is in the store. `damage` names the files that could not be read at all.
    pub fn new(run: RunPath, manifest: Manifest, damage: Vec<Damage>, shelf: Arc<Shelf>) -> Self {
        let mut index = Index::default();
        index.extend(&shelf.segments());
        damage.into_iter().for_each(|found| index.add_damage(found));
        Recording { run, manifest, shelf, index: Mutex::new(index) }
    }

    /// The index, with everything that is in the store now. Other queries wait while it is held.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        let mut index = self.index.lock();
        index.extend(&self.shelf.segments());
        index
    }
}
