//! Events by what they are.

use crate::index::{BlockRef, Index};
use crate::row::Row;
use elixir_scope_clock::Nanos;
use elixir_scope_event::Kind;
use elixir_scope_segment::Event;

/// Which events are asked for. The default asks for all.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Kinds; none named: all.
    pub kinds: Vec<Kind>,
    /// Processes by number in the index; `None`: all and none.
    pub processes: Option<Vec<usize>>,
    /// Sites by number in the index; `None`: all and none.
    pub sites: Option<Vec<usize>>,
    /// Not earlier than.
    pub since: Nanos,
    /// Not later than.
    pub until: Nanos,
}

impl Default for Filter {
    fn default() -> Self {
        Filter { kinds: Vec::new(), processes: None, sites: None, since: Nanos(0), until: Nanos(u64::MAX) }
    }
}

impl Filter {
    /// Whether a block can hold an event that is asked for.
    pub(crate) fn may_match(&self, block: &BlockRef) -> bool {
        block.events > 0 && block.latest >= self.since && block.earliest <= self.until
    }

    pub(crate) fn matches(&self, index: &Index, volume: usize, event: &Event<'_>) -> bool {
        let within = |wanted: &Option<Vec<usize>>, found: Option<usize>| {
            wanted.as_ref().is_none_or(|wanted| found.is_some_and(|found| wanted.contains(&found)))
        };
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.since..=self.until).contains(&event.time)
            && within(&self.processes, index.process_of(volume, event))
            && within(&self.sites, index.site_of(volume, event))
    }
}

/// Some of the events, and where to go on.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events, in the order of the store.
    pub rows: Vec<Row>,
    /// The number of the event to go on from; `None` when there are no more.
    pub next: Option<u64>,
}

impl Index {
    /// Up to `limit` events that match, from the event numbered `from` on.
    pub fn events(&self, filter: &Filter, from: u64, limit: usize) -> Page {
        let mut rows = Vec::new();
        let start = self.blocks.partition_point(|block| block.end() <= from);
        for block_ref in self.blocks[start..].iter().filter(|block| filter.may_match(block)) {
            let volume = block_ref.segment as usize;
            let Some(block) = self.volumes[volume].segment.block(block_ref.offset) else { continue };
            for event in block.events().flatten() {
                if event.id < from || !filter.matches(self, volume, &event) {
                    continue;
                }
                if rows.len() == limit {
                    return Page { rows, next: Some(event.id) };
                }
                rows.push(self.row(volume, &event));
            }
        }
        Page { rows, next: None }
    }
}
