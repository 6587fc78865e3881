//! The stacks of calls of all processes, and the time that passes in them.
//!
//! Time is that of [`Counted`]. Of a stretch between two events of a process, all of it is the own time of the innermost open
//! call. A function's total time is that in which at least one call of it is open in the process, so recursion counts once.
//!
//! **Tail calls.** A function that gives its frame to another one is taken to last until that one ends, as with
//! [`crate::Call`]. So a chain of tail calls stands on the stack like nested calls ([`Link::given`]). When the chain comes
//! back to a function that it already holds, that is the next round of a loop: what it called since has ended there, and so has the
//! round before. So a loop of any length takes one place.
//!
//! **Where events are missing** every open call becomes doubtful ([`Doubt`]): what is known of it is the time before. When
//! an event of the very call follows, it was open since the end of the gap for certain, and that time counts too. Nothing is
//! counted that is not certain, so all figures are lower bounds; but a tail call among what is missing cannot be seen: what it ended
//! then counts on, and what it began takes no time.

use crate::counted::Counted;
use crate::spread::Spread;
use crate::tree::{Label, Tree};
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::Pid;

/// The figures of one function. Times are in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Calls that began in the range.
    pub calls: u64,
    /// Calls that began before it and went on in it.
    pub before: u64,
    /// Calls that an exception ended in the range.
    pub raised: u64,
    /// Calls that had not ended when the range did, or when their process did.
    pub open: u64,
    /// Calls of which the end is not known.
    pub unknown: u64,
    /// In it, with all that it called.
    pub total: u64,
    /// In it alone.
    pub own: u64,
    /// Of that, on a scheduler, as far as it is recorded.
    pub running: u64,
    /// How long those took, from their beginnings, that ended in the range.
    pub durations: Spread,
}

/// What an event means for the stack of its process. Functions are places in [`Stacks::figures`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Call {
        site: u64,
        function: u32,
    },
    Return(u64),
    Raise(u64),
    /// The frame goes to the function that is called next.
    Tail(u64),
    /// The frame goes to code that nobody records.
    GiveUp(u64),
    /// The process is given a scheduler.
    In,
    /// It loses it.
    Out,
    /// It ends.
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Returned,
    Raised,
    Open,
    Unknown,
}

/// Time in one's own, and the part of it on a scheduler.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    time: u64,
    running: u64,
}

/// An open call, or one that gave its frame to the one above it.
struct Link {
    site: u64,
    function: u32,
    node: u32,
    /// When the call, or this round of the loop, began.
    began: Nanos,
    /// Whether nothing is missing since then.
    whole: bool,
    /// Whether it is not known to have been open when the range began.
    hazy: bool,
    /// What had passed when it began.
    start: u64,
    own: Own,
    /// It gave its frame to the next link.
    given: bool,
    /// The next call of the same function below.
    outer: Option<u32>,
    doubt: Option<Doubt>,
}

/// What is known of a call since a gap. Times are what had passed.
struct Doubt {
    /// When the first gap began: until then it was open.
    sure: u64,
    /// When the last one ended: since then it is open, if an event of it is seen before the next gap.
    resumed: u64,
    /// Its own since then.
    own: Own,
    /// Since `sure`, covered by ended calls of the same function above it.
    again: u64,
    /// Likewise since `resumed`.
    fresh: u64,
}

#[derive(Default)]
struct Open {
    links: Vec<Link>,
    /// The topmost link of each function.
    latest: AHashMap<u32, u32>,
    /// A call that was not seen to begin gave its frame to the next one, and has the time until then.
    stray: bool,
}

pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) events: u64,
    /// When an event of it was seen last.
    seen: Option<Nanos>,
    /// What had passed then.
    passed: u64,
    /// Whether it is on a scheduler; `None` when nobody said.
    on: Option<bool>,
    /// Of the many processes few have open calls.
    open: Option<Box<Open>>,
}

pub(crate) struct Stacks {
    pub(crate) counted: Counted,
    pub(crate) figures: Vec<Figures>,
    pub(crate) tree: Option<Tree>,
    pub(crate) by_process: bool,
    pub(crate) processes: Vec<Process>,
    /// Of processes that have none now.
    #[expect(clippy::vec_box, reason = "the boxes go to processes and come back")]
    spare: Vec<Box<Open>>,
}

/// How many of them are kept.
const SPARE: usize = 64;

impl Stacks {
    pub(crate) fn new(counted: Counted, tree: Option<Tree>, by_process: bool) -> Self {
        Stacks { counted, figures: Vec::new(), tree, by_process, processes: Vec::new(), spare: Vec::new() }
    }

    /// A process, by its place from now on.
    pub(crate) fn add_process(&mut self, pid: Pid) -> usize {
        self.processes.push(Process { pid, events: 0, seen: None, passed: 0, on: None, open: None });
        self.processes.len() - 1
    }

    /// Whether a process has open calls, as far as is known.
    pub(crate) fn is_open(&self, process: usize) -> bool {
        self.processes[process].open.is_some()
    }

    /// A step of a process. Its steps come in order, none later than the end of the range.
    pub(crate) fn step(&mut self, process: usize, time: Nanos, step: Step) {
        let mut open = self.processes[process].open.take();
        if open.is_none() && matches!(step, Step::Call { .. }) {
            open = Some(self.spare.pop().unwrap_or_default());
        }
        let one = &mut self.processes[process];
        let time = one.seen.map_or(time, |seen| seen.max(time));
        one.pass(&self.counted, time, open.as_deref_mut(), step);
        let now = one.passed;
        let Some(mut stack) = open else { return };
        let pid = one.pid;
        Walk { stacks: self, pid, time, now, stack: &mut stack }.step(step);
        if !stack.links.is_empty() {
            self.processes[process].open = Some(stack);
        } else if self.spare.len() < SPARE {
            self.spare.push(stack);
        }
    }

    /// All that is still open is, when the range ends.
    pub(crate) fn finish(&mut self) {
        for process in 0..self.processes.len() {
            if self.processes[process].open.is_some() {
                self.step(process, self.counted.until, Step::Exit);
            }
        }
    }
}

impl Process {
    /// Time passes, up to a step.
    fn pass(&mut self, counted: &Counted, time: Nanos, open: Option<&mut Open>, step: Step) {
        let (now, broken) = (counted.at(time), self.seen.and_then(|seen| counted.broken(seen, time)));
        // Who is put off a scheduler was on it.
        let on = self.on.unwrap_or(step == Step::Out);
        if let Some(open) = open
            && let Some(top) = open.links.len().checked_sub(1)
        {
            match broken {
                None => open.links[top].add(now - self.passed, on),
                Some((sure, resumed)) => {
                    open.links[top].add(sure - self.passed, self.on == Some(true));
                    open.links.iter_mut().for_each(|link| link.doubt(sure, resumed));
                    open.links[top].add(now - resumed, false);
                }
            }
        }
        if broken.is_some() {
            self.on = None;
        }
        match step {
            Step::In => self.on = Some(true),
            Step::Out | Step::Exit => self.on = Some(false),
            _ => {}
        }
        (self.seen, self.passed) = (Some(time), now);
    }
}

impl Link {
    fn add(&mut self, time: u64, on: bool) {
        let own = self.doubt.as_mut().map_or(&mut self.own, |doubt| &mut doubt.own);
        own.time += time;
        own.running += if on { time } else { 0 };
    }

    fn doubt(&mut self, sure: u64, resumed: u64) {
        self.whole = false;
        self.hazy |= sure == 0;
        let (sure, again) = self.doubt.as_ref().map_or((sure, 0), |doubt| (doubt.sure, doubt.again));
        self.doubt = Some(Doubt { sure, resumed, own: Own::default(), again, fresh: 0 });
    }

    /// How much of the time up to `now` a call of the function is known to have been open, by this link and those that ended
    /// above it.
    fn covered(&self, confirmed: bool, now: u64) -> u64 {
        match &self.doubt {
            None => now - self.start,
            Some(doubt) => doubt.sure - self.start + doubt.covered(confirmed, now),
        }
    }
}

impl Doubt {
    /// Likewise since `sure`.
    fn covered(&self, confirmed: bool, now: u64) -> u64 {
        if confirmed { self.again - self.fresh + now - self.resumed } else { self.again }
    }

    /// Likewise since `resumed`.
    fn covered_since(&self, confirmed: bool, now: u64) -> u64 {
        if confirmed { now - self.resumed } else { self.fresh }
    }
}

/// A step in the stack of one process.
struct Walk<'a> {
    stacks: &'a mut Stacks,
    pid: Pid,
    time: Nanos,
    now: u64,
    stack: &'a mut Open,
}

impl Walk<'_> {
    fn step(&mut self, step: Step) {
        if !matches!(step, Step::In | Step::Out) && std::mem::take(&mut self.stack.stray) {
            self.discard();
        }
        match step {
            Step::Call { site, function } => self.call(site, function),
            Step::Return(site) => self.leave(site, Outcome::Returned),
            Step::Raise(site) => self.leave(site, Outcome::Raised),
            Step::GiveUp(site) => self.leave(site, Outcome::Unknown),
            Step::Tail(site) => self.tail(site),
            Step::Exit => self.drop_to(0, Outcome::Open),
            Step::In | Step::Out => {}
        }
    }

    fn call(&mut self, site: u64, function: u32) {
        let links = &self.stack.links;
        if links.last().is_some_and(|top| top.given && top.doubt.is_some()) {
            // What the tail call began may have ended among what is missing.
            self.drop_chain();
        }
        let links = &self.stack.links;
        let chain = links.iter().rposition(|link| !link.given).map_or(0, |below| below + 1);
        match links[chain..].iter().position(|link| link.function == function) {
            Some(at) => self.round(chain + at, site),
            None => self.push(site, function),
        }
    }

    fn push(&mut self, site: u64, function: u32) {
        let at = self.stack.links.len() as u32;
        let node = self.node_of_call(function);
        let outer = self.stack.latest.insert(function, at);
        let (began, start) = (self.time, self.now);
        self.stack.links.push(Link {
            site,
            function,
            node,
            began,
            whole: true,
            hazy: false,
            start,
            own: Own::default(),
            given: false,
            outer,
            doubt: None,
        });
        self.count_call(function, node);
    }

    /// The chain has come back to one of its functions.
    fn round(&mut self, at: usize, site: u64) {
        self.drop_to(at + 1, Outcome::Returned);
        self.end_call(at, Outcome::Returned, self.stack.links[at].doubt.is_none());
        if self.stack.links[at].doubt.is_some() {
            self.settle(at, false);
        }
        let link = &mut self.stack.links[at];
        (link.site, link.given, link.began) = (site, false, self.time);
        (link.whole, link.hazy) = (true, false);
        let (function, node) = (link.function, link.node);
        self.count_call(function, node);
    }

    fn count_call(&mut self, function: u32, node: u32) {
        if self.time >= self.stacks.counted.since {
            self.stacks.figures[function as usize].calls += 1;
            if let Some(tree) = &mut self.stacks.tree {
                tree.nodes[node as usize].calls += 1;
            }
        }
    }

    fn leave(&mut self, site: u64, outcome: Outcome) {
        let Some(at) = self.ending(site) else { return };
        self.drop_to(at + 1, Outcome::Unknown);
        self.close(outcome, true);
        self.end_chain(outcome);
    }

    fn tail(&mut self, site: u64) {
        let Some(at) = self.ending(site) else {
            self.stack.stray = !self.stack.links.is_empty();
            return;
        };
        self.drop_to(at + 1, Outcome::Unknown);
        if self.stack.links[at].doubt.is_some() {
            self.settle(at, true);
        }
        self.stack.links[at].given = true;
    }

    /// The link of the call that an event of a site ends.
    fn ending(&mut self, site: u64) -> Option<usize> {
        if self.stack.links.last().is_some_and(|top| top.given) {
            // What the tail call began ended without having been seen.
            self.drop_chain();
        }
        let found = self.stack.links.iter().rposition(|link| !link.given && link.site == site);
        if found.is_none() {
            self.discard();
        }
        found
    }

    /// A call that was not seen to begin took the time since the gap.
    fn discard(&mut self) {
        if let Some(doubt) = self.stack.links.last_mut().and_then(|top| top.doubt.as_mut()) {
            doubt.own = Own::default();
        }
    }

    /// Ends the chain that waits for the call it goes on with.
    fn drop_chain(&mut self) {
        self.end_chain(Outcome::Unknown);
    }

    /// Ends the calls at the top that gave up their frames.
    fn end_chain(&mut self, outcome: Outcome) {
        while let Some(top) = self.stack.links.last()
            && top.given
        {
            let sure = top.doubt.is_none();
            self.close(if sure { outcome } else { Outcome::Unknown }, sure);
        }
    }

    /// Ends all links from a place on.
    fn drop_to(&mut self, at: usize, outcome: Outcome) {
        while self.stack.links.len() > at {
            let sure = self.stack.links.last().is_some_and(|top| top.doubt.is_none());
            self.close(if sure { outcome } else { Outcome::Unknown }, sure);
        }
    }

    /// Takes the topmost link off.
    fn close(&mut self, outcome: Outcome, confirmed: bool) {
        let at = self.stack.links.len() - 1;
        self.end_call(at, outcome, confirmed);
        self.credit(at, confirmed);
        if let Some(link) = self.stack.links.pop() {
            match link.outer {
                Some(outer) => self.stack.latest.insert(link.function, outer),
                None => self.stack.latest.remove(&link.function),
            };
        }
    }

    /// Counts the end of a call, or of a round of it.
    fn end_call(&mut self, at: usize, outcome: Outcome, confirmed: bool) {
        let link = &self.stack.links[at];
        let since = self.stacks.counted.since;
        let before = link.began < since;
        if self.time < since || (before && link.hazy && !confirmed) {
            return;
        }
        let figures = &mut self.stacks.figures[link.function as usize];
        figures.before += u64::from(before && !link.hazy);
        match outcome {
            Outcome::Returned => {}
            Outcome::Raised => figures.raised += 1,
            Outcome::Open => figures.open += 1,
            Outcome::Unknown => figures.unknown += 1,
        }
        if link.whole && matches!(outcome, Outcome::Returned | Outcome::Raised) {
            figures.durations.add(self.time.0 - link.began.0);
        }
    }

    /// Counts the time of a link that ends, or begins anew.
    fn credit(&mut self, at: usize, confirmed: bool) {
        let now = self.now;
        let link = &self.stack.links[at];
        let (function, start, covered) = (link.function, link.start, link.covered(confirmed, now));
        let Stacks { figures, tree, .. } = &mut *self.stacks;
        figures[function as usize].add(link.own);
        if let Some(tree) = tree {
            tree.nodes[link.node as usize].own += link.own.time;
        }
        if let Some(doubt) = link.doubt.as_ref().filter(|_| confirmed) {
            let late = doubt.own;
            figures[function as usize].add(late);
            self.add_late(at, late.time);
        }
        let link = &self.stack.links[at];
        let doubt = link.doubt.as_ref();
        let since = doubt.map(|doubt| (doubt.covered(confirmed, now), doubt.covered_since(confirmed, now)));
        match link.outer {
            None => self.stacks.figures[function as usize].total += covered,
            Some(outer) => {
                if let Some(around) = &mut self.stack.links[outer as usize].doubt {
                    let (again, fresh) = since.filter(|_| start < around.resumed).unwrap_or((covered, covered));
                    around.again += if start >= around.sure { covered } else { again };
                    around.fresh += fresh;
                }
            }
        }
    }

    /// Adds what came after a gap to the tree; where what lies below is still doubtful, the stack is not known.
    fn add_late(&mut self, at: usize, time: u64) {
        let node = self.node_now(at);
        if let Some(tree) = &mut self.stacks.tree {
            tree.nodes[node as usize].own += time;
        }
    }

    /// An event has shown, or not, that a doubtful call was open: it goes on as one that began now.
    fn settle(&mut self, at: usize, confirmed: bool) {
        self.credit(at, confirmed);
        let (start, node) = (self.now, self.node_now(at));
        let link = &mut self.stack.links[at];
        (link.start, link.node, link.own, link.doubt) = (start, node, Own::default(), None);
    }

    /// The node of a call that begins.
    fn node_of_call(&mut self, function: u32) -> u32 {
        let (top, label) = (self.stack.links.last(), Label::Function(function));
        let Some(tree) = &mut self.stacks.tree else { return 0 };
        let parent = match top {
            Some(top) if top.doubt.is_none() => Some(top.node),
            top => {
                let root = self.stacks.by_process.then(|| tree.child(None, Label::Process(self.pid)));
                if top.is_some() { Some(tree.child(root, Label::Missing)) } else { root }
            }
        };
        tree.child(parent, label)
    }

    /// The node of an open call as it is known since the last gap.
    fn node_now(&mut self, at: usize) -> u32 {
        let links = &self.stack.links;
        let (node, label) = (links[at].node, Label::Function(links[at].function));
        if links[..at].iter().all(|link| link.doubt.is_none()) {
            return node;
        }
        let Some(tree) = &mut self.stacks.tree else { return 0 };
        let root = self.stacks.by_process.then(|| tree.child(None, Label::Process(self.pid)));
        let missing = tree.child(root, Label::Missing);
        tree.child(Some(missing), label)
    }
}

impl Figures {
    fn add(&mut self, own: Own) {
        self.own += own.time;
        self.running += own.running;
    }
}
