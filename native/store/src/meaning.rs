//! Where the meaning of words comes from.

use elixir_scope_event::{Definition, Site};
use std::sync::Arc;

/// Says what the words in records stand for: the running VM, or the dictionary of one that is gone.
pub trait Meaning {
    /// What a machine word is; `None` when nobody knows any more.
    fn word(&self, word: u64) -> Option<Definition>;

    /// The site with a key.
    fn site(&self, key: u64) -> Option<Arc<Site>>;
}
