//! What a query hands out.

use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid};

/// An event with what is needed to read it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number in the run.
    pub id: u64,
    /// When.
    pub time: Nanos,
    /// What happened.
    pub kind: Kind,
    /// Its process.
    pub process: Option<Pid>,
    /// The key of its site.
    pub site: Option<u64>,
    /// The volume of the index whose definitions the payload refers to.
    pub volume: usize,
    /// What the kind says it holds.
    pub payload: Vec<u8>,
}
