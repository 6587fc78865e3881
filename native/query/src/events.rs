//! Events by what they are.

use crate::filter::Filter;
use crate::index::Index;
use crate::row::Row;

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
        for (number, volume) in self.volumes.iter().enumerate() {
            if volume.parts.last().is_none_or(|part| part.end() <= from) {
                continue;
            }
            let wanted = filter.resolve(volume);
            for part in volume.parts.iter().filter(|part| part.end() > from) {
                for block in wanted.blocks(part).into_iter().filter(|block| block.end() > from) {
                    let Some(block) = volume.read(block) else { continue };
                    for event in block.events_after(from).flatten() {
                        if !wanted.matches(&event) {
                            continue;
                        }
                        if rows.len() == limit {
                            return Page { rows, next: Some(event.id) };
                        }
                        rows.push(self.row(number, &event));
                    }
                }
            }
        }
        Page { rows, next: None }
    }
}
