//! A recording that can be asked.

use crate::index::Index;
use arc_swap::ArcSwap;
use elixir_scope_segment::{Damage, Segment};
use elixir_scope_store::{Manifest, RunPath, Shelf};
use std::sync::Arc;

/// A run, live or not, with its index.
pub struct Recording {
    /// Where it lies.
    pub run: RunPath,
    /// Who recorded it.
    pub manifest: Manifest,
    shelf: Arc<Shelf>,
    index: ArcSwap<Index>,
}

impl Recording {
    /// Reads what is in the store. `damage` names the files that could not be read at all.
    pub fn new(run: RunPath, manifest: Manifest, damage: Vec<Damage>, shelf: Arc<Shelf>) -> Self {
        let mut index = Index::since(manifest.started);
        index.extend(&shelf.segments());
        damage.into_iter().for_each(|found| index.add_damage(found));
        Recording { run, manifest, shelf, index: ArcSwap::from_pointee(index) }
    }

    /// The index, with everything that is in the store now. Nobody waits: neither the drain nor other queries, and what
    /// was given does not change any more. Two that ask at once may both read the blocks that are new.
    pub fn index(&self) -> Arc<Index> {
        self.read(|_, _| true).expect("it is read in any case")
    }

    /// The same where no more than so many bytes of blocks are new.
    pub fn index_soon(&self, most: usize) -> Option<Arc<Index>> {
        self.read(|known, segments| known.unread(segments) <= most)
    }

    fn read(&self, may: impl Fn(&Index, &[Arc<Segment>]) -> bool) -> Option<Arc<Index>> {
        let known = self.index.load_full();
        let segments = self.shelf.segments();
        if !known.is_behind(&segments) {
            return Some(known);
        }
        if !may(&known, &segments) {
            return None;
        }
        let mut index = Index::clone(&known);
        index.extend(&segments);
        let index = Arc::new(index);
        self.index.store(Arc::clone(&index));
        Some(index)
    }
}
