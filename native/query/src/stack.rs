//! The calls that were open at a moment, and where a call began: walks backward over the events of one process.
//!
//! Seen backward, the end of a call comes first. So the ends are kept on a stack, and a call that is met takes its end away;
//! one that has none was open. A tail event is an end like the others: it gave the frame up.

use crate::filter::Filter;
use crate::index::Index;
use crate::row::Row;
use elixir_scope_event::{Kind, Pid, varint};

/// The open calls of a process.
#[derive(Clone, Debug)]
pub struct Open {
    /// The events that began them, innermost first.
    pub calls: Vec<Row>,
    /// Whether these are all: no event is missing since the last of them began, and the walk came to the beginning.
    pub whole: bool,
}

/// Events that are read at once.
const PAGE: usize = 1_024;

/// The ends that were met, by their sites.
#[derive(Default)]
struct Ends(Vec<Option<u64>>);

impl Ends {
    fn add(&mut self, event: &Row) {
        self.0.push(event.site);
    }

    /// Takes the end of a call away. Ends within it are of calls whose beginnings are missing. A call without an end of its
    /// own in one that has ended was left without that being seen.
    fn take(&mut self, call: &Row) -> bool {
        match self.0.iter().rposition(|site| *site == call.site) {
            Some(at) => self.0.truncate(at),
            None if self.0.is_empty() => return false,
            None => {}
        }
        true
    }
}

impl Index {
    /// The calls of a process that were open before the event of a number. At most so many of its events are looked at.
    pub fn open_calls(&self, pid: Pid, before: u64, most: usize) -> Open {
        let (mut calls, mut ends, mut now) = (Vec::new(), Ends::default(), None);
        let mut frames = self.frames_before(pid, before);
        for event in frames.by_ref().take(most) {
            let now = *now.get_or_insert(event.time);
            if event.kind != Kind::Call {
                ends.add(&event);
            } else if !ends.take(&event) {
                if self.has_gap(event.time, now) {
                    return Open { calls, whole: false };
                }
                calls.push(event);
            }
        }
        Open { calls, whole: frames.next().is_none() }
    }

    /// The event that began the call that the event of a number has ended: of a chain of tail calls, the first one.
    pub fn began(&self, pid: Pid, end: u64) -> Option<Row> {
        let end = self.event(end).filter(|event| event.kind != Kind::Call)?;
        let mut ends = Ends::default();
        ends.add(&end);
        let mut found: Option<Row> = None;
        for event in self.frames_before(pid, end.id) {
            if found.is_some() {
                // 0: to the call that was found.
                let given = event.kind == Kind::Tail && varint::take(&mut &event.payload[..]) == Ok(0);
                if !given {
                    break;
                }
                ends.add(&event);
                found = None;
            } else if event.kind != Kind::Call {
                ends.add(&event);
            } else if ends.take(&event) && ends.0.is_empty() {
                found = Some(event);
            }
        }
        found.filter(|call| !self.has_gap(call.time, end.time))
    }

    /// The events by which calls begin and end, newest first.
    fn frames_before(&self, pid: Pid, before: u64) -> impl Iterator<Item = Row> {
        let kinds = vec![Kind::Call, Kind::Return, Kind::Raise, Kind::Tail];
        let filter = Filter { kinds, processes: Some(vec![pid]), ..Filter::default() };
        let mut next = Some(before);
        // The first pages are small: most stacks are shallow.
        let mut size = 16;
        std::iter::from_fn(move || {
            let page = self.events_before(&filter, next?, size);
            size = (2 * size).min(PAGE);
            next = page.next;
            Some(page.rows)
        })
        .flatten()
    }
}
