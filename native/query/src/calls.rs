//! Calls put together from the events of their beginning and end.
//!
//! For each process, keep a stack of open frames. A call event pushes a frame, and a return or an exception of the
//! same site pops it. A tail event gives the frame up: the calls in it now end when the call made next ends, so that
//! a chain of tail calls of any length takes one frame.
//!
//! Where events are missing, two different calls of one function could be taken for one. So a call whose time
//! touches a gap is shown with its end unknown.

use crate::events::Filter;
use crate::index::Index;
use crate::row::Row;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, varint};

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
    site: Option<usize>,
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

impl Index {
    /// Up to `limit` calls whose beginning matches the filter, in the order of their beginnings. The kinds of the
    /// filter are not looked at.
    pub fn calls(&self, filter: &Filter, limit: usize) -> Vec<Call> {
        let wanted = Filter { kinds: vec![Kind::Call], ..filter.clone() };
        let mut answer: Vec<Call> = Vec::new();
        let mut open = 0usize;
        let mut stacks: AHashMap<usize, Stack> = AHashMap::new();
        let after_start = |block: &&crate::index::BlockRef| block.events > 0 && block.latest >= filter.since;
        for block_ref in self.blocks.iter().filter(after_start) {
            let full = answer.len() >= limit || block_ref.earliest > filter.until;
            if full && open == 0 {
                break;
            }
            let volume = block_ref.segment as usize;
            let Some(block) = self.volumes[volume].segment.block(block_ref.offset) else { continue };
            for event in block.events().flatten() {
                let Some(process) = self.process_of(volume, &event) else { continue };
                let about_process = filter.processes.as_ref().is_none_or(|wanted| wanted.contains(&process));
                if !about_process {
                    continue;
                }
                let stack = stacks.entry(process).or_default();
                // A state may be noted between a tail call and the call that it is.
                let frames = matches!(event.kind, Kind::Call | Kind::Return | Kind::Raise | Kind::Tail);
                let seen = if frames { stack.seen.replace(event.time) } else { stack.seen };
                let site = self.site_of(volume, &event);
                if matches!(event.kind, Kind::Return | Kind::Raise | Kind::Tail) {
                    // The function called last ended without having been seen.
                    stack.drop_carried(&mut answer, &mut open);
                }
                match event.kind {
                    Kind::Call => {
                        let carried = stack.carried.is_some();
                        let (mut calls, chain) = stack.take_carried(self, event.time, &mut answer, &mut open);
                        if answer.len() < limit && wanted.matches(self, volume, &event) {
                            calls.push(answer.len());
                            open += 1;
                            answer.push(Call {
                                begin: self.row(volume, &event),
                                parent: stack.parent(self, event.time),
                                chain,
                                tail: false,
                                ending: Ending::Open,
                            });
                        }
                        // Without a tail event before it this call begins a chain, if nothing is missing there.
                        let since = seen.or((filter.since == Nanos(0)).then_some(Nanos(0)));
                        let first = since.is_some_and(|since| !self.has_gap(since, event.time));
                        let chain = if carried { chain } else { first.then_some(event.id) };
                        stack.frames.push(Frame { site, id: event.id, chain, time: event.time, calls });
                    }
                    Kind::Return | Kind::Raise => {
                        let Some(at) = stack.frames.iter().rposition(|frame| frame.site == site) else {
                            continue;
                        };
                        for frame in stack.frames.drain(at + 1..) {
                            close(frame.calls, &mut answer, &mut open, |_| Ending::Unknown);
                        }
                        let frame = stack.frames.pop().expect("it was found");
                        if frame.calls.is_empty() {
                            continue;
                        }
                        let row = self.row(volume, &event);
                        close(frame.calls, &mut answer, &mut open, |call| {
                            if self.has_gap(call.begin.time, row.time) {
                                Ending::Unknown
                            } else if row.kind == Kind::Return {
                                Ending::Returned(row.clone())
                            } else {
                                Ending::Raised(row.clone())
                            }
                        });
                    }
                    Kind::Tail => {
                        // 1: to code that is not instrumented, so nobody will say how it ended.
                        let followed = varint::take(&mut &event.payload[..]) == Ok(0);
                        let Some(at) = stack.frames.iter().rposition(|frame| frame.site == site) else {
                            // Its own call is missing, and so is what the next call goes on with.
                            let unknown = Carried { calls: Vec::new(), chain: None, since: event.time };
                            stack.carried = followed.then_some(unknown);
                            continue;
                        };
                        for frame in stack.frames.drain(at + 1..) {
                            close(frame.calls, &mut answer, &mut open, |_| Ending::Unknown);
                        }
                        let frame = stack.frames.pop().expect("it was found");
                        let sure = |call: &usize| !self.has_gap(answer[*call].begin.time, event.time);
                        let (calls, unsure): (Vec<_>, Vec<_>) = frame.calls.into_iter().partition(sure);
                        close(unsure, &mut answer, &mut open, |_| Ending::Unknown);
                        for call in &calls {
                            answer[*call].tail = true;
                        }
                        if followed {
                            // Another call of the same function may be the one that ended.
                            let chain = frame.chain.filter(|_| !self.has_gap(frame.time, event.time));
                            stack.carried = Some(Carried { calls, chain, since: event.time });
                        } else {
                            close(calls, &mut answer, &mut open, |_| Ending::Unknown);
                        }
                    }
                    _ => {}
                }
            }
        }
        let end = self.span().map_or(Nanos(0), |(_, last)| last);
        for call in answer.iter_mut().filter(|call| matches!(call.ending, Ending::Open)) {
            if self.has_gap(call.begin.time, end) {
                call.ending = Ending::Unknown;
            }
        }
        answer
    }
}

impl Stack {
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
