//! Events by what they are.

use crate::filter::Filter;
use crate::index::Index;
use crate::part::BlockRef;
use crate::row::Row;
use elixir_scope_clock::Nanos;
use elixir_scope_segment::Event;
use std::ops::ControlFlow;

/// Some of the events, and where to go on.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events: in the order of the store, or newest first.
    pub rows: Vec<Row>,
    /// What to give as `from`, or `before`, to go on; `None` when there are no more.
    pub next: Option<u64>,
}

impl Index {
    /// Up to `limit` events that match, from the event numbered `from` on. Nothing behind the last of them is read.
    pub fn events(&self, filter: &Filter, from: u64, limit: usize) -> Page {
        let mut rows = Vec::new();
        for (number, volume) in self.volumes.iter().enumerate() {
            if volume.parts.last().is_none_or(|part| part.end() <= from) {
                continue;
            }
            let wanted = filter.resolve(volume);
            for part in volume.parts.iter().filter(|part| part.end() > from) {
                for block in wanted.blocks(part).into_iter().filter(|block| block.end() > from) {
                    let Some(block) = volume.read(block) else { continue };
                    for event in block.events_after(from).flatten().filter(|event| wanted.matches(event)) {
                        rows.push(self.row(number, &event));
                        if rows.len() >= limit {
                            return Page { rows, next: event.id.checked_add(1) };
                        }
                    }
                }
            }
        }
        Page { rows, next: None }
    }

    /// Up to `limit` events that match and have a lower number than `before`, newest first. Nothing older than the last of
    /// them is read.
    pub fn events_before(&self, filter: &Filter, before: u64, limit: usize) -> Page {
        let mut rows = Vec::new();
        let rest = self.walk_back(filter, before, |volume, event| {
            rows.push(self.row(volume, event));
            if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(event.id) }
        });
        Page { rows, next: rest.break_value() }
    }

    /// Shows the events that match and have a lower number than `before`, newest first, with the numbers of their volumes.
    pub(crate) fn walk_back<B>(
        &self,
        filter: &Filter,
        before: u64,
        mut visit: impl FnMut(usize, &Event<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let begins = |block: &&BlockRef| block.first_event < before;
        for (number, volume) in self.volumes.iter().enumerate().rev() {
            let wanted = filter.resolve(volume);
            for part in volume.parts.iter().rev() {
                if part.blocks.first().is_none_or(|block| !begins(&block)) {
                    continue;
                }
                for block in wanted.blocks(part).into_iter().rev().filter(begins) {
                    let Some(block) = volume.read(block) else { continue };
                    for event in block.events_before(before).flatten().filter(|event| wanted.matches(event)) {
                        visit(number, &event)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The earliest time of the last `count` events that match; `None` when there are not so many.
    pub fn earliest_of_last(&self, filter: &Filter, count: usize) -> Option<Nanos> {
        let (mut left, mut earliest) = (count, Nanos(u64::MAX));
        let found = self.walk_back(filter, u64::MAX, |_, event| {
            (left, earliest) = (left.saturating_sub(1), earliest.min(event.time));
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(earliest) }
        });
        found.break_value()
    }

    /// How many events match.
    pub fn count(&self, filter: &Filter) -> u64 {
        let mut count = 0;
        for volume in &self.volumes {
            let wanted = filter.resolve(volume);
            for block in volume.parts.iter().flat_map(|part| wanted.blocks(part)) {
                if let Some(block) = volume.read(block) {
                    count += block.events().flatten().filter(|event| wanted.matches(event)).count() as u64;
                }
            }
        }
        count
    }
}
