//! What becomes of segments that are sealed.

use crate::remnant;
use crate::{RunPath, Shelf, StoreError};
use ahash::AHashSet;
use elixir_scope_clock::Nanos;
use elixir_scope_segment::{Segment, pack};
use std::path::Path;
use std::sync::Arc;

/// How much of a run is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of all segments together; `None`: all.
    pub bytes: Option<u64>,
    /// Nanoseconds since the last event of a segment; `None`: for ever.
    pub age: Option<u64>,
    /// Whether segments are packed once they are sealed.
    pub pack: bool,
}

/// Bytes of states that a remnant holds at most, when there is no limit that it could be a part of.
const STATES: u64 = 64 << 20;

/// Packs the sealed segments of a run, and removes the oldest.
pub struct Keeper {
    run: RunPath,
    shelf: Arc<Shelf>,
    retention: Retention,
    /// Segments that are damaged and stay as they are.
    unpackable: AHashSet<u32>,
}

impl Keeper {
    /// For a run whose segments are on a shelf.
    pub fn new(run: RunPath, shelf: Arc<Shelf>, retention: Retention) -> Self {
        Keeper { run, shelf, retention, unpackable: AHashSet::new() }
    }

    /// Does what there is to do at a time. The last segment is written to until the run has `ended`.
    ///
    /// # Errors
    /// What the system says: it can be tried again, and what there was is there.
    pub fn tidy(&mut self, now: Nanos, ended: bool) -> Result<(), StoreError> {
        // Removed first: what goes need not be packed. And once more, for what packing has gained or not.
        self.remove(now, ended)?;
        if self.retention.pack {
            self.pack(ended)?;
        }
        Ok(())
    }

    /// Segments that nobody writes to. Those in memory belong to no file.
    fn sealed(&self, ended: bool) -> Vec<Arc<Segment>> {
        let mut segments = self.shelf.segments().to_vec();
        if !ended {
            segments.pop();
        }
        segments.retain(|segment| segment.path().starts_with(self.run.segments()));
        segments
    }

    fn pack(&mut self, ended: bool) -> Result<(), StoreError> {
        for old in self.sealed(ended) {
            let head = old.head();
            if head.packed || head.remnant || self.unpackable.contains(&head.number) {
                continue;
            }
            let draft = self.draft(head.number)?;
            if pack(&old, &draft).map_err(StoreError::io("pack a segment into", &draft))? {
                self.put(&draft, &[old])?;
            } else {
                self.unpackable.insert(head.number);
            }
        }
        Ok(())
    }

    fn remove(&mut self, now: Nanos, ended: bool) -> Result<(), StoreError> {
        let sealed = self.sealed(ended);
        let count = self.surplus(&sealed, now);
        let Some(last) = sealed[..count].last().filter(|last| !last.head().remnant) else { return Ok(()) };
        let removed = &sealed[..count];
        let draft = self.draft(last.head().number)?;
        let budget = self.retention.bytes.map_or(STATES, |bytes| bytes / 8);
        remnant::write(&draft, removed, usize::try_from(budget).unwrap_or(usize::MAX))?;
        self.put(&draft, removed)
    }

    /// How many of the first segments are too much.
    fn surplus(&self, sealed: &[Arc<Segment>], now: Nanos) -> usize {
        let mut bytes: u64 = self.shelf.segments().iter().map(|segment| segment.len() as u64).sum();
        let mut count = 0;
        for segment in sealed {
            let too_many = self.retention.bytes.is_some_and(|most| bytes > most);
            let too_old = || {
                let age = now.0.saturating_sub(segment.latest().0);
                self.retention.age.is_some_and(|most| age > most)
            };
            // A remnant goes with the segment behind it, or stays.
            if !too_many && !segment.head().remnant && !too_old() {
                break;
            }
            bytes = bytes.saturating_sub(segment.len() as u64);
            count += 1;
        }
        let behind = sealed[..count].iter().rposition(|segment| !segment.head().remnant);
        behind.map_or(0, |last| last + 1)
    }

    /// The path of a draft. One that a failure left is removed.
    fn draft(&self, number: u32) -> Result<std::path::PathBuf, StoreError> {
        let draft = self.run.draft(number);
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &draft)(error))
            }
            _ => Ok(draft),
        }
    }

    /// Puts a draft in the place of some segments that follow each other. It takes the name of the last of them in one
    /// step, and the others are removed after that: at no moment is anything missing.
    fn put(&self, draft: &Path, old: &[Arc<Segment>]) -> Result<(), StoreError> {
        let Some((last, others)) = old.split_last() else { return Ok(()) };
        std::fs::rename(draft, last.path()).map_err(StoreError::io("rename", draft))?;
        let opened = Segment::open_sealed(last.path());
        let new = opened.map_err(|damage| StoreError::Damaged(damage.file, damage.what))?;
        // What reading its head has brought in is more than the head.
        new.release();
        self.shelf.replace(old, &Arc::new(new));
        for segment in others {
            let removed = std::fs::remove_file(segment.path());
            removed.map_err(StoreError::io("remove", segment.path()))?;
        }
        Ok(())
    }
}
