//! Calls put together from the events of their beginning and end.
//!
//! For each process, keep a stack of open frames. A call event pushes a frame, and a return or an exception of the
//! same site pops it. A tail event gives the frame up: the calls in it now end when the call made next ends, so that
//! a chain of tail calls of any length takes one frame.
//!
//! Where events are missing, two different calls of one function could be taken for one. So a call whose time
//! touches a gap is shown with its end unknown.

use crate::filter::Filter;
use crate::index::Index;
use crate::row::Row;
use crate::volume::Volume;
use ahash::{AHashMap, AHashSet};
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid, varint};
use elixir_scope_segment::Event;

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It has not ended by the end of the recording.
    Open,
    /// It returned; the event holds the value.
    Returned(Row),
    /// An exception left it; the event holds it.
    Raised(Row),
    /// It ended, but the event that says how is missing, or cannot be told from that of another call.
    Unknown,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub struct Call {
    /// The event of its beginning; the payload holds the arguments.
    pub begin: Row,
    /// The number of the call event of the innermost recorded call around it; `None` when there is none or, because
    /// events are missing, nobody knows.
    pub parent: Option<u64>,
    /// The number of the call event that began the chain of tail calls which this call goes on with; `None` when it
    /// was no tail call or, because events are missing, nobody knows.
    pub chain: Option<u64>,
    /// Whether it ended by a tail call; the ending is then that of the function called.
    pub tail: bool,
    /// How it ended.
    pub ending: Ending,
}

struct Frame {
    site: Option<u64>,
    id: u64,
    /// The call event that began the chain of tail calls, its own when it is the first; `None` when nobody knows.
    chain: Option<u64>,
    time: Nanos,
    /// Calls of the answer that end when this frame ends, by place in the answer.
    calls: Vec<usize>,
}

#[derive(Default)]
struct Stack {
    frames: Vec<Frame>,
    /// What a tail call gave up; the next call takes it over.
    carried: Option<Carried>,
    /// When a call, or the end of one, was seen last.
    seen: Option<Nanos>,
}

struct Carried {
    calls: Vec<usize>,
    chain: Option<u64>,
    since: Nanos,
}

/// The kinds of events that calls are put together from.
const FRAMES: [Kind; 4] = [Kind::Call, Kind::Return, Kind::Raise, Kind::Tail];

/// See [`Index::calls`].
const HANDFUL: usize = 8;

impl Index {
    /// Up to `limit` calls whose beginning matches the filter, in the order of their beginnings. The kinds of the
    /// filter are not looked at.
    pub fn calls(&self, filter: &Filter, limit: usize) -> Vec<Call> {
        let wanted = Filter { kinds: vec![Kind::Call], ..filter.clone() };
        // Of other processes nothing has to be known. Of a handful it takes longer to find out which of them are others.
        let processes = match (&filter.sites, &filter.processes) {
            (None, processes) => processes.clone(),
            (Some(_), Some(processes)) if processes.len() <= HANDFUL => Some(processes.clone()),
            (Some(_), _) => Some(self.callers(&wanted, limit)),
        };
        let read = Filter { kinds: FRAMES.to_vec(), processes, since: filter.since, ..Filter::default() };
        let mut walk = Walk::new(self, filter.since == Nanos(0), limit);
        'all: for (number, volume) in self.volumes.iter().enumerate() {
            let (read, wanted) = (read.resolve(volume), wanted.resolve(volume));
            let mut names = Names::new(volume);
            for block in volume.parts.iter().flat_map(|part| read.blocks(part)) {
                let full = walk.answer.len() >= limit || block.earliest > filter.until;
                if full && walk.open == 0 {
                    break 'all;
                }
                let Some(block) = volume.read(block) else { continue };
                for event in block.events().flatten() {
                    if FRAMES.contains(&event.kind)
                        && read.wants_process(event.process)
                        && let Some(pid) = names.pid(event.process)
                    {
                        walk.take(number, &event, pid, names.key(event.site), wanted.matches(&event));
                    }
                }
            }
        }
        walk.finish()
    }

    /// The processes that made the first `limit` events of a filter.
    fn callers(&self, wanted: &Filter, limit: usize) -> Vec<Pid> {
        let (mut pids, mut left) = (AHashSet::new(), limit);
        for volume in &self.volumes {
            let resolved = wanted.resolve(volume);
            for block in volume.parts.iter().flat_map(|part| resolved.blocks(part)) {
                let Some(block) = volume.read(block) else { continue };
                for event in block.events().flatten().filter(|event| resolved.matches(event)) {
                    if left == 0 {
                        return pids.into_iter().collect();
                    }
                    left -= 1;
                    pids.extend(volume.pid(event.process));
                }
            }
        }
        pids.into_iter().collect()
    }
}

/// What the numbers of a segment stand for, each looked up once.
struct Names<'a> {
    volume: &'a Volume,
    pids: AHashMap<u32, Option<Pid>>,
    keys: AHashMap<u32, Option<u64>>,
}

impl<'a> Names<'a> {
    fn new(volume: &'a Volume) -> Self {
        Names { volume, pids: AHashMap::new(), keys: AHashMap::new() }
    }

    fn pid(&mut self, number: Option<u32>) -> Option<Pid> {
        *self.pids.entry(number?).or_insert_with(|| self.volume.pid(number))
    }

    fn key(&mut self, number: Option<u32>) -> Option<u64> {
        *self.keys.entry(number?).or_insert_with(|| self.volume.key(number))
    }
}

/// A walk over the events of a recording, in order.
struct Walk<'a> {
    index: &'a Index,
    /// Whether it began with the first event of all.
    from_start: bool,
    limit: usize,
    answer: Vec<Call>,
    /// How many of the answer have not ended.
    open: usize,
    stacks: AHashMap<Pid, Stack>,
}

impl<'a> Walk<'a> {
    fn new(index: &'a Index, from_start: bool, limit: usize) -> Self {
        Walk { index, from_start, limit, answer: Vec::new(), open: 0, stacks: AHashMap::new() }
    }

    fn take(&mut self, volume: usize, event: &Event<'_>, pid: Pid, site: Option<u64>, wanted: bool) {
        let Walk { index, answer, open, .. } = self;
        let stack = self.stacks.entry(pid).or_default();
        let seen = stack.seen.replace(event.time);
        if event.kind != Kind::Call {
            // The function called last ended without having been seen.
            stack.drop_carried(answer, open);
        }
        match event.kind {
            Kind::Call => {
                let carried = stack.carried.is_some();
                let (mut calls, chain) = stack.take_carried(index, event.time, answer, open);
                if wanted && answer.len() < self.limit {
                    calls.push(answer.len());
                    *open += 1;
                    answer.push(Call {
                        begin: index.row(volume, event),
                        parent: stack.parent(index, event.time),
                        chain,
                        tail: false,
                        ending: Ending::Open,
                    });
                }
                // Without a tail event before it this call begins a chain, if nothing is missing there.
                let since = seen.or(self.from_start.then_some(Nanos(0)));
                let first = since.is_some_and(|since| !index.has_gap(since, event.time));
                let chain = if carried { chain } else { first.then_some(event.id) };
                stack.frames.push(Frame { site, id: event.id, chain, time: event.time, calls });
            }
            Kind::Return | Kind::Raise => {
                let Some(frame) = stack.leave(site, answer, open) else { return };
                if frame.calls.is_empty() {
                    return;
                }
                let row = index.row(volume, event);
                close(frame.calls, answer, open, |call| {
                    if index.has_gap(call.begin.time, row.time) {
                        Ending::Unknown
                    } else if row.kind == Kind::Return {
                        Ending::Returned(row.clone())
                    } else {
                        Ending::Raised(row.clone())
                    }
                });
            }
            _ => {
                // 1: to code that is not instrumented, so nobody will say how it ended.
                let followed = varint::take(&mut &event.payload[..]) == Ok(0);
                let Some(frame) = stack.leave(site, answer, open) else {
                    // Its own call is missing, and so is what the next call goes on with.
                    let unknown = Carried { calls: Vec::new(), chain: None, since: event.time };
                    stack.carried = followed.then_some(unknown);
                    return;
                };
                let sure = |call: &usize| !index.has_gap(answer[*call].begin.time, event.time);
                let (calls, unsure): (Vec<_>, Vec<_>) = frame.calls.into_iter().partition(sure);
                close(unsure, answer, open, |_| Ending::Unknown);
                for call in &calls {
                    answer[*call].tail = true;
                }
                if followed {
                    // Another call of the same function may be the one that ended.
                    let chain = frame.chain.filter(|_| !index.has_gap(frame.time, event.time));
                    stack.carried = Some(Carried { calls, chain, since: event.time });
                } else {
                    close(calls, answer, open, |_| Ending::Unknown);
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Call> {
        let end = self.index.span().map_or(Nanos(0), |(_, last)| last);
        for call in self.answer.iter_mut().filter(|call| matches!(call.ending, Ending::Open)) {
            if self.index.has_gap(call.begin.time, end) {
                call.ending = Ending::Unknown;
            }
        }
        self.answer
    }
}

impl Stack {
    /// Takes off the frame of a site, which ends. Those within it ended without having been seen.
    fn leave(&mut self, site: Option<u64>, answer: &mut [Call], open: &mut usize) -> Option<Frame> {
        let at = self.frames.iter().rposition(|frame| frame.site == site)?;
        for frame in self.frames.drain(at + 1..) {
            close(frame.calls, answer, open, |_| Ending::Unknown);
        }
        self.frames.pop()
    }

    /// The innermost open call, unless its end may be among events that are missing.
    fn parent(&self, index: &Index, now: Nanos) -> Option<u64> {
        self.frames.last().filter(|frame| !index.has_gap(frame.time, now)).map(|frame| frame.id)
    }

    fn drop_carried(&mut self, answer: &mut [Call], open: &mut usize) {
        if let Some(carried) = self.carried.take() {
            close(carried.calls, answer, open, |_| Ending::Unknown);
        }
    }

    fn take_carried(
        &mut self,
        index: &Index,
        now: Nanos,
        answer: &mut [Call],
        open: &mut usize,
    ) -> (Vec<usize>, Option<u64>) {
        match self.carried.take() {
            None => (Vec::new(), None),
            Some(carried) if index.has_gap(carried.since, now) => {
                close(carried.calls, answer, open, |_| Ending::Unknown);
                (Vec::new(), None)
            }
            Some(carried) => (carried.calls, carried.chain),
        }
    }
}

fn close(calls: Vec<usize>, answer: &mut [Call], open: &mut usize, ending: impl Fn(&Call) -> Ending) {
    for call in calls {
        answer[call].ending = ending(&answer[call]);
        *open -= 1;
    }
}
