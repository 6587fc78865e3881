//! What a number or a machine word stands for.

use crate::NodeKind;
use serde::{Deserialize, Serialize};

/// A place in the code that makes events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Content address: the same in every VM that runs this very code. Never 0.
    pub key: u64,
    /// The AST node; it keeps its number when other functions of the file change.
    pub node: u64,
    /// The module's atom as text, such as `Elixir.Cart`.
    pub module: String,
    /// The function's atom as text; an anonymous one has a name made from the function around it.
    pub function: String,
    /// Number of arguments.
    pub arity: u8,
    /// Source file, as the compiler knew it.
    pub file: String,
    /// Line: of a function's first clause, of the place that binds.
    pub line: u32,
    /// Column in that line, from 1; 0 when the compiler does not know columns.
    pub column: u32,
    /// What kind of node it is.
    pub node_kind: NodeKind,
    /// Which clause of the function, from 1; 0 for all of them.
    pub clause: u32,
    /// The digest of the file's text as it was compiled; 0 when the text is not known.
    pub source: u64,
    /// Of a place that binds variables: what the user calls them. Empty for functions.
    pub names: Vec<String>,
}

/// The numbers of a local process, as in `#PID<0.id.serial>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pid {
    /// The middle number.
    pub id: u32,
    /// The last number.
    pub serial: u32,
}

/// The meaning of a word or of a number in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Definition {
    /// An atom.
    Atom(String),
    /// A local process, and its pid in the external term format.
    Process(Pid, Vec<u8>),
    /// Another term that is one machine word (a local port), in the external term format.
    Term(Vec<u8>),
    /// A place in the code.
    Site(Site),
    /// Nobody knows any more: the dictionary of a dead VM was damaged. The word or key itself.
    Unknown(u64),
}
