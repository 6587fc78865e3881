//! Places that passes over the messages have come to, so that the next one need not begin with the recording.
//!
//! What is on the way at a moment follows from what was before, and that does not change any more. A question about the time since
//! a moment goes on from the last place before it; the answer is the one that a pass from the beginning gives.

use super::walk::{Known, Walk};
use crate::index::Index;
use elixir_scope_clock::Nanos;
use elixir_scope_event::Gap;
use std::sync::Arc;

/// Places that are remembered of a recording: tests that run beside each other began at different times.
const PLACES: usize = 6;
/// A place with more messages on the way takes too much memory.
const HELD: usize = 1 << 16;

/// A place in a recording, and what the pass knows there.
pub struct Pass {
    pub(super) known: Known,
    /// The number of the first event that was not read.
    pub(super) next: u64,
    /// The latest time of those that were.
    pub(super) latest: Nanos,
    /// The gaps that had begun.
    gaps: Vec<Gap>,
    /// The segments that were read from, and whether each stood for removed ones.
    segments: Vec<(u64, bool)>,
}

impl Pass {
    pub(super) fn at(next: u64, latest: Nanos, walk: &Walk<'_>, index: &Index) -> Option<Pass> {
        let known = (walk.held() <= HELD).then(|| walk.known()).flatten()?;
        let mut gaps = index.gaps();
        gaps.truncate(known.passed);
        Some(Pass { known, next, latest, gaps, segments: segments(index, next) })
    }

    /// Whether all that was read is before a time.
    pub(super) fn leads_to(&self, since: Nanos) -> bool {
        self.latest < since
    }

    /// Whether what was read is still what there is: a gap may be told of late, and old segments are removed.
    pub(super) fn fits(&self, index: &Index) -> bool {
        let gaps = index.gaps();
        let passed = gaps.get(..self.known.passed) == Some(&self.gaps[..]);
        let later = gaps.get(self.known.passed).is_none_or(|gap| gap.from > self.latest);
        passed && later && segments(index, self.next) == self.segments
    }
}

fn segments(index: &Index, next: u64) -> Vec<(u64, bool)> {
    let begins = |volume: &crate::volume::Volume| {
        volume.parts.first().and_then(|part| part.blocks.first()).is_some_and(|block| block.first_event < next)
    };
    let read = index.volumes.iter().take_while(|volume| begins(volume));
    read.map(|volume| (volume.segment.head().number.into(), volume.segment.head().remnant)).collect()
}

/// The places that are remembered of one recording.
#[derive(Default)]
pub struct Passes(Vec<Arc<Pass>>);

impl Passes {
    /// Events between two places, at least: to read fewer costs less than to remember what is known.
    pub const APART: usize = 1_024;

    /// The last place before a time.
    pub fn before(&self, since: Nanos) -> Option<Arc<Pass>> {
        self.0.iter().filter(|place| place.leads_to(since)).max_by_key(|place| place.next).cloned()
    }

    /// Remembers one more. Mostly the last ones are asked for again.
    pub fn keep(&mut self, place: Pass) {
        self.0.retain(|known| known.next != place.next);
        self.0.push(Arc::new(place));
        self.0.sort_by_key(|place| place.next);
        if self.0.len() > PLACES {
            self.0.remove(0);
        }
    }
}
