//! The calls that were open at a moment, and where a call began: walks backward over the events of one process.
//!
//! Seen backward, the end of a call comes first. So the ends are kept on a stack, and a call that is met takes its end away;
//! one that has none was open. A tail event is an end like the others: it gave the frame up.

use crate::filter::Filter;
use crate::index::Index;
use crate::row::Row;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid, varint};
use elixir_scope_segment::Event;
use std::ops::ControlFlow;

/// The open calls of a process.
#[derive(Clone, Debug)]
pub struct Open {
    /// The events that began them, innermost first.
    pub calls: Vec<Row>,
    /// Whether these are all: no event is missing since the last of them began, and the walk came to the beginning.
    pub whole: bool,
}

/// The ends that were met, by the keys of their sites.
#[derive(Default)]
struct Ends {
    met: Vec<Option<u64>>,
    /// The keys of the sites of each volume, each looked up once.
    keys: AHashMap<(usize, u32), Option<u64>>,
}

impl Ends {
    fn key(&mut self, index: &Index, volume: usize, event: &Event<'_>) -> Option<u64> {
        let number = event.site?;
        *self.keys.entry((volume, number)).or_insert_with(|| index.volumes[volume].key(Some(number)))
    }

    fn add(&mut self, index: &Index, volume: usize, event: &Event<'_>) {
        let key = self.key(index, volume, event);
        self.met.push(key);
    }

    /// Where the end of a call stands.
    fn find(&mut self, index: &Index, volume: usize, call: &Event<'_>) -> Option<usize> {
        let key = self.key(index, volume, call);
        self.met.iter().rposition(|end| *end == key)
    }

    /// Takes the end of a call away. Ends within it are of calls whose beginnings are missing. A call without an end of its
    /// own in one that has ended was left without that being seen.
    fn take(&mut self, index: &Index, volume: usize, call: &Event<'_>) -> bool {
        match self.find(index, volume, call) {
            Some(at) => self.met.truncate(at),
            None if self.met.is_empty() => return false,
            None => {}
        }
        true
    }
}

/// The events by which calls of a process begin and end.
fn frames(pid: Pid) -> Filter {
    let kinds = vec![Kind::Call, Kind::Return, Kind::Raise, Kind::Tail];
    Filter { kinds, processes: Some(vec![pid]), ..Filter::default() }
}

impl Index {
    /// The calls of a process that were open before the event of a number. At most so many of its events are looked at.
    pub fn open_calls(&self, pid: Pid, before: u64, most: usize) -> Open {
        let (mut calls, mut ends, mut now, mut left) = (Vec::new(), Ends::default(), None, most);
        let walked = self.walk_back(&frames(pid), before, |volume, event| {
            let Some(rest) = left.checked_sub(1) else { return ControlFlow::Break(()) };
            left = rest;
            let now = *now.get_or_insert(event.time);
            if event.kind != Kind::Call {
                ends.add(self, volume, event);
            } else if !ends.take(self, volume, event) {
                if self.has_gap(event.time, now) {
                    return ControlFlow::Break(());
                }
                calls.push(self.row(volume, event));
            }
            ControlFlow::Continue(())
        });
        Open { calls, whole: walked.is_continue() }
    }

    /// The innermost call that was open before each of some events of a process, in one walk: `(event, beginning of the call)`. The
    /// numbers are those of the events, in any order. Those are left out around which no call was open, or nobody knows of one.
    pub fn around(&self, pid: Pid, mut numbers: Vec<u64>, most: usize) -> Vec<(u64, Row)> {
        numbers.sort_unstable();
        numbers.dedup();
        let (mut found, mut ends, mut left) = (Vec::new(), Ends::default(), most);
        // Events whose call is looked for, each with its time and how many ends were met that are later.
        let mut asked: Vec<(u64, Nanos, usize)> = Vec::new();
        let Some(before) = numbers.last().copied() else { return found };
        let _ = self.walk_back(&frames(pid), before, |volume, event| {
            let Some(rest) = left.checked_sub(1) else { return ControlFlow::Break(()) };
            left = rest;
            while numbers.last().is_some_and(|number| *number > event.id) {
                asked.extend(numbers.pop().map(|number| (number, event.time, ends.met.len())));
            }
            if event.kind != Kind::Call {
                ends.add(self, volume, event);
                return ControlFlow::Continue(());
            }
            // What ended later than an event is asked for, or never, was open at it.
            let met = ends.met.len();
            let ended = ends.find(self, volume, event);
            let open = |later: usize| ended.map_or(later == met, |at| at < later);
            let row = asked.last().filter(|asked| open(asked.2)).map(|_| self.row(volume, event));
            while let Some((number, since, _)) = asked.pop_if(|asked| open(asked.2)) {
                if let Some(row) = row.as_ref().filter(|_| !self.has_gap(event.time, since)) {
                    found.push((number, row.clone()));
                }
            }
            ended.into_iter().for_each(|at| ends.met.truncate(at));
            if numbers.is_empty() && asked.is_empty() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// The event that began the call that the event of a number has ended: of a chain of tail calls, the first one.
    pub fn began(&self, pid: Pid, end: u64) -> Option<Row> {
        let (mut ends, mut found, mut ended) = (Ends::default(), None::<Row>, None);
        let _ = self.walk_back(&frames(pid), end.checked_add(1)?, |volume, event| {
            match ended {
                None if event.id == end && event.kind != Kind::Call => ended = Some(event.time),
                // No event of that process, or none that ends a call.
                None => return ControlFlow::Break(()),
                // 0: to the call that was found, which went on with what this one began.
                Some(_) if found.is_some() && !is_followed(event) => return ControlFlow::Break(()),
                Some(_) if event.kind == Kind::Call => {
                    if ends.take(self, volume, event) && ends.met.is_empty() {
                        found = Some(self.row(volume, event));
                    }
                    return ControlFlow::Continue(());
                }
                Some(_) => found = None,
            }
            ends.add(self, volume, event);
            ControlFlow::Continue(())
        });
        found.filter(|call| ended.is_some_and(|ended| !self.has_gap(call.time, ended)))
    }
}

/// Whether it is the end of a function that gave its frame to an instrumented one.
fn is_followed(event: &Event<'_>) -> bool {
    event.kind == Kind::Tail && varint::take(&mut &event.payload[..]) == Ok(0)
}
