//! Calls that are counted, not recorded.
//!
//! Each thread adds to counters of its own, one a site, which nobody else writes; the drain looks at all of them and
//! takes what came since it looked last.

use ahash::AHashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a thread called a site.
type Counter = Arc<AtomicU64>;

/// All counters of a session.
#[derive(Default)]
pub struct Counts {
    counters: Mutex<Vec<(u64, Counter)>>,
}

impl Counts {
    /// A counter of a thread for a site.
    pub(crate) fn counter(&self, site: u64) -> Counter {
        let counter = Counter::default();
        self.counters.lock().push((site, Arc::clone(&counter)));
        counter
    }

    /// The sums so far, by site.
    pub fn sums(&self) -> AHashMap<u64, u64> {
        let mut sums = AHashMap::new();
        for (site, counter) in &*self.counters.lock() {
            *sums.entry(*site).or_default() += counter.load(Ordering::Relaxed);
        }
        sums
    }
}

/// Adds one; the calling thread is the only one that writes this counter.
#[inline]
pub(crate) fn add(counter: &Counter) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
