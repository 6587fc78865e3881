//! The index of one segment.

use crate::part::{BlockRef, Defined, Known, Part};
use elixir_scope_event::{Definition, Pid};
use elixir_scope_segment::{Block, Segment};
use std::sync::Arc;

/// A segment, with the index of its blocks so far. Cheap to copy; a copy may grow without the other.
#[derive(Clone)]
pub struct Volume {
    pub(crate) segment: Arc<Segment>,
    /// In the order of their blocks.
    pub(crate) parts: Vec<Arc<Part>>,
    /// Bytes of the segment that were looked at. Of one that was not sealed the last are no block.
    pub(crate) scanned: usize,
    /// Bytes up to the end of the last block.
    pub(crate) bytes: usize,
}

impl Volume {
    pub(crate) fn new(segment: &Arc<Segment>) -> Self {
        Volume { segment: Arc::clone(segment), parts: Vec::new(), scanned: 0, bytes: 0 }
    }

    /// Reads the blocks that are new, if there are any; the answer is the part that they make.
    pub(crate) fn extend(&mut self) -> Option<Arc<Part>> {
        if self.scanned >= self.segment.len() {
            return None;
        }
        let (part, scanned, bytes) = Part::scan(&self.segment, self.scanned, &self.parts);
        (self.scanned, self.bytes) = (scanned, bytes);
        // A whole segment was read for the first time: of most of it nobody will ask.
        if self.parts.is_empty() {
            self.segment.release();
        }
        if part.weight() == 0 {
            return None;
        }
        let new = Arc::new(part);
        self.parts.push(Arc::clone(&new));
        // Each part is at least twice as heavy as the one behind it: there are few, and each block is merged seldom.
        while let [.., one, next] = &self.parts[..]
            && one.weight() < 2 * next.weight()
        {
            let mut merged = Part::clone(one);
            merged.absorb(next);
            self.parts.truncate(self.parts.len() - 2);
            self.parts.push(Arc::new(merged));
        }
        Some(new)
    }

    /// The definition with a number.
    pub fn definition(&self, number: u64) -> Option<Defined<'_>> {
        let number = u32::try_from(number).ok()?;
        self.parts.iter().find_map(|part| part.definition(number))
    }

    /// The number of a process's definition.
    pub(crate) fn process(&self, pid: Pid) -> Option<u32> {
        self.parts.iter().find_map(|part| part.pid(pid))
    }

    /// The number of a site's definition.
    pub(crate) fn site(&self, key: u64) -> Option<u32> {
        self.parts.iter().find_map(|part| part.key(key))
    }

    /// The process with the definition of a number.
    pub(crate) fn pid(&self, number: Option<u32>) -> Option<Pid> {
        let number = number?;
        self.parts.iter().find_map(|part| part.pid_of(number))
    }

    /// The key of the site with the definition of a number.
    pub(crate) fn key(&self, number: Option<u32>) -> Option<u64> {
        match self.definition(u64::from(number?)) {
            Some(Defined::Other(Definition::Site(site))) => Some(site.key),
            _ => None,
        }
    }

    /// What is known of a process in each part that knows it.
    pub(crate) fn parts_of(&self, process: u32) -> impl DoubleEndedIterator<Item = (&Part, Known<'_>)> {
        self.parts.iter().filter_map(move |part| Some((&**part, part.process(process)?)))
    }

    /// The block that holds an event.
    pub(crate) fn holds(&self, id: u64) -> Option<&BlockRef> {
        let part = &self.parts[self.parts.partition_point(|part| part.end() <= id)..].first()?;
        let block = part.blocks[part.blocks.partition_point(|block| block.end() <= id)..].first()?;
        (block.first_event <= id).then_some(block)
    }

    /// The block itself.
    pub(crate) fn read(&self, block: &BlockRef) -> Option<Block<'_>> {
        self.segment.block(block.offset)
    }
}
