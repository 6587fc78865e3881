//! What a query hands out.

use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Kind};
use std::sync::Arc;

/// The definitions of a segment, by number. Growing segments share what they had.
pub type Table = Arc<Vec<Arc<Definition>>>;

/// An event with what is needed to read it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number in the run.
    pub id: u64,
    /// When.
    pub time: Nanos,
    /// What happened.
    pub kind: Kind,
    /// Its process, by number in the index.
    pub process: Option<usize>,
    /// Its site, by number in the index.
    pub site: Option<usize>,
    /// The segment whose definitions the payload refers to, by number in the index.
    pub segment: usize,
    /// What the kind says it holds.
    pub payload: Vec<u8>,
}
