//! The segments that can be read.

use arc_swap::ArcSwap;
use elixir_scope_segment::Segment;
use std::sync::Arc;

/// The segments of a run in order, published to readers without a lock. Each segment itself shows its blocks as
/// they are written.
#[derive(Default)]
pub struct Shelf {
    segments: ArcSwap<Vec<Arc<Segment>>>,
}

impl Shelf {
    /// A shelf of segments that exist.
    pub fn of(segments: Vec<Arc<Segment>>) -> Self {
        Shelf { segments: ArcSwap::from_pointee(segments) }
    }

    /// The segments as they are now; later changes do not show in what was given.
    pub fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        self.segments.load_full()
    }

    /// Adds a segment at the end.
    pub fn push(&self, segment: Arc<Segment>) {
        self.segments.rcu(|segments| {
            let mut segments = Vec::clone(segments);
            segments.push(Arc::clone(&segment));
            segments
        });
    }

    /// Puts a segment in the place of some that follow each other, which must be there.
    pub fn replace(&self, old: &[Arc<Segment>], new: &Arc<Segment>) {
        self.segments.rcu(|segments| {
            let mut segments = Vec::clone(segments);
            let first = old.first().and_then(|old| segments.iter().position(|found| Arc::ptr_eq(found, old)));
            if let Some(first) = first {
                segments.splice(first..first + old.len(), [Arc::clone(new)]);
            }
            segments
        });
    }
}
