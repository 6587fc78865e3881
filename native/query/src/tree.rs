//! Stacks of calls as a tree: each node is a stack, with the time that was spent in its innermost function itself.

use ahash::AHashMap;
use elixir_scope_event::Pid;

/// What stands at a place of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// The process, where stacks are kept apart by it.
    Process(Pid),
    /// A function, by its place in [`crate::Stats::functions`].
    Function(u32),
    /// Events are missing: what called the next one is not known.
    Missing,
}

/// A stack: its innermost place, and the stack around that.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node around it, by its place among all; it stands before this one.
    pub parent: Option<u32>,
    /// What it is.
    pub label: Label,
    /// Nanoseconds in it and in nothing that it called.
    pub own: u64,
    /// Calls that began there.
    pub calls: u64,
    depth: u32,
}

#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    children: AHashMap<(Option<u32>, Label), u32>,
}

/// Places of a stack. What is deeper counts to the last of them.
const DEPTH: u32 = 512;

impl Tree {
    /// The node of what is called in another, or first.
    pub(crate) fn child(&mut self, parent: Option<u32>, label: Label) -> u32 {
        let depth = parent.map_or(0, |parent| self.nodes[parent as usize].depth + 1);
        if let Some(parent) = parent.filter(|_| depth >= DEPTH) {
            return parent;
        }
        let nodes = &mut self.nodes;
        *self.children.entry((parent, label)).or_insert_with(|| {
            nodes.push(Node { parent, label, own: 0, calls: 0, depth });
            nodes.len() as u32 - 1
        })
    }
}
