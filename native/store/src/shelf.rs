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
        let mut segments = Vec::clone(&self.segments.load());
        segments.push(segment);
        self.segments.store(Arc::new(segments));
    }
}
