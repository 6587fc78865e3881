//! Figures of a range of time: of functions, kinds of events, processes and exits, and the tree of stacks.
//!
//! One walk over the events, from the beginning: what was open when the range began shows only there. Before the range nothing
//! but the beginnings and ends of calls is looked at, behind it nothing at all.

use crate::counted::Counted;
use crate::filter::Filter;
use crate::index::Index;
use crate::mailboxes::{self, Mailbox, Post};
use crate::part::Defined;
use crate::row::Row;
use crate::stacks::{Figures, Stacks, Step};
use crate::tree::{Node, Tree};
use crate::volume::Volume;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Gap, Kind, Pid, Site, varint};
use elixir_scope_segment::Event;

/// Whether stacks are asked for, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacked {
    /// No stacks.
    Not,
    /// Those of all processes in one tree.
    Merged,
    /// Each process has its own root.
    ByProcess,
}

/// A function with its figures.
#[derive(Clone, Debug)]
pub struct Function {
    /// The key of a site of it.
    pub key: u64,
    /// Its figures.
    pub figures: Figures,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The range, within what is recorded.
    pub since: Nanos,
    /// Its end.
    pub until: Nanos,
    /// Those that were called, in the order in which they were seen.
    pub functions: Vec<Function>,
    /// Whether it is recorded when processes were on a scheduler.
    pub scheduled: bool,
    /// How many events of each kind lie in the range.
    pub kinds: Vec<(Kind, u64)>,
    /// The same of each process that made any.
    pub processes: Vec<(Pid, u64)>,
    /// Of the processes that were seen to take messages and had any: how many lay there at most, and when.
    pub mailboxes: Vec<(Pid, u64, Nanos)>,
    /// Exits by reason: one event of each, and how many there are. The same reason may be there more than once.
    pub exits: Vec<(Row, u64)>,
    /// Exits beyond those.
    pub other_exits: u64,
    /// Stacks, each behind the one around it.
    pub nodes: Vec<Node>,
    /// What is missing in the range.
    pub gaps: Vec<Gap>,
}

/// Reasons of exits that are kept apart.
const REASONS: usize = 1_000;

/// The place of what is not asked for.
const NONE: u32 = u32::MAX;

impl Index {
    /// The figures of the processes and the time of a filter; its kinds and sites are not looked at. `reached`: until when everything
    /// is known to be here, whether or not anything happened.
    pub fn stats(&self, filter: &Filter, stacked: Stacked, reached: Nanos) -> Stats {
        let (first, _) = self.span().unwrap_or_default();
        // Of a recording that has ended, or was paused and did not go on, nothing is known later.
        let known = self.until().max(reached);
        let known = self.paused().map_or(known, |paused| paused.min(known));
        let since = filter.since.max(first).min(known);
        let until = filter.until.min(known).max(since);
        let counted = Counted::new(since, until, self.gaps());
        let tree = (stacked != Stacked::Not).then(Tree::default);
        let wanted = Filter { kinds: vec![], sites: None, since: Nanos(0), until, ..filter.clone() };
        let mut walk = Walk {
            index: self,
            stacks: Stacks::new(counted, tree, stacked == Stacked::ByProcess),
            functions: AHashMap::new(),
            keys: Vec::new(),
            takers: Vec::new(),
            mailboxes: AHashMap::new(),
            pids: AHashMap::new(),
            kinds: vec![0; Kind::ALL.len() + 1],
            scheduled: false,
            exits: AHashMap::new(),
            other_exits: 0,
        };
        for (number, volume) in self.volumes.iter().enumerate() {
            walk.volume(number, volume, &wanted);
        }
        walk.finish()
    }
}

/// Kinds of events that say what is open, or lies in a mailbox.
const FRAMES: [Kind; 8] =
    [Kind::Call, Kind::Return, Kind::Raise, Kind::Tail, Kind::Schedule, Kind::Exit, Kind::Receive, Kind::Take];

struct Walk<'a> {
    index: &'a Index,
    stacks: Stacks,
    /// Functions by their names: of two versions of a module there are two sites.
    functions: AHashMap<(&'a str, &'a str, u8), u32>,
    keys: Vec<u64>,
    /// Whether a function is given a message.
    takers: Vec<bool>,
    mailboxes: AHashMap<u32, Mailbox>,
    pids: AHashMap<Pid, u32>,
    kinds: Vec<u64>,
    scheduled: bool,
    exits: AHashMap<(usize, Vec<u8>), (Row, u64)>,
    other_exits: u64,
}

/// What the numbers of a segment stand for, each looked up once.
#[derive(Default)]
struct Numbers {
    processes: Vec<Option<u32>>,
    sites: Vec<Option<(u64, u32)>>,
}

impl<'a> Walk<'a> {
    fn volume(&mut self, number: usize, volume: &'a Volume, wanted: &Filter) {
        let since = self.stacks.counted.since;
        let wanted = wanted.resolve(volume);
        let frames = FRAMES.iter().fold(0, |bits, kind| bits | 1 << *kind as u32);
        let mut numbers = Numbers::default();
        for block in volume.parts.iter().flat_map(|part| wanted.blocks(part)) {
            if block.latest < since && block.kinds & frames == 0 {
                continue;
            }
            let Some(block) = volume.read(block) else { continue };
            for event in block.events().flatten().filter(|event| wanted.matches(event)) {
                let in_range = event.time >= since;
                if in_range {
                    self.kinds[event.kind as usize] += 1;
                }
                let Some(process) = event.process else { continue };
                let process = self.process(&mut numbers, volume, process);
                if process == NONE {
                    continue;
                }
                if in_range {
                    self.stacks.processes[process as usize].events += 1;
                    if event.kind == Kind::Exit {
                        self.exit(number, &event);
                    }
                }
                if let Some(post) = mailboxes::post(volume, &event) {
                    self.post(process, event.time, post);
                }
                if let Some(step) = self.step_of(&mut numbers, volume, &event) {
                    if let Step::Call { function, .. } = step
                        && self.takers[function as usize]
                        && !self.stacks.is_open(process as usize)
                    {
                        self.post(process, event.time, Post::Taken);
                    }
                    self.stacks.step(process as usize, event.time, step);
                }
            }
        }
    }

    fn process(&mut self, numbers: &mut Numbers, volume: &Volume, number: u32) -> u32 {
        if let Some(known) = numbers.processes.get(number as usize).copied().flatten() {
            return known;
        }
        let Some(pid) = volume.pid(Some(number)) else { return NONE };
        let stacks = &mut self.stacks;
        let place = *self.pids.entry(pid).or_insert_with(|| stacks.add_process(pid) as u32);
        // A number has a definition, so there are as many as there are definitions.
        let at = number as usize;
        numbers.processes.resize(numbers.processes.len().max(at + 1), None);
        numbers.processes[at] = Some(place);
        place
    }

    fn post(&mut self, process: u32, time: Nanos, post: Post) {
        self.mailboxes.entry(process).or_default().step(&self.stacks.counted, time, post);
    }

    fn step_of(&mut self, numbers: &mut Numbers, volume: &'a Volume, event: &Event<'_>) -> Option<Step> {
        match event.kind {
            Kind::Call | Kind::Return | Kind::Raise | Kind::Tail => {
                let (site, function) = self.site(numbers, volume, event.site?)?;
                Some(match event.kind {
                    Kind::Call => Step::Call { site, function },
                    Kind::Return => Step::Return(site),
                    Kind::Raise => Step::Raise(site),
                    _ if varint::take(&mut &event.payload[..]) == Ok(0) => Step::Tail(site),
                    _ => Step::GiveUp(site),
                })
            }
            Kind::Schedule => {
                self.scheduled = true;
                let on = varint::take(&mut &event.payload[..]) == Ok(0);
                Some(if on { Step::In } else { Step::Out })
            }
            Kind::Exit => Some(Step::Exit),
            _ => None,
        }
    }

    fn site(&mut self, numbers: &mut Numbers, volume: &'a Volume, number: u32) -> Option<(u64, u32)> {
        if let Some(known) = numbers.sites.get(number as usize).copied().flatten() {
            return Some(known);
        }
        let Some(Defined::Other(Definition::Site(site))) = volume.definition(u64::from(number)) else {
            return None;
        };
        let found = (site.key, self.function(site));
        let at = number as usize;
        numbers.sites.resize(numbers.sites.len().max(at + 1), None);
        numbers.sites[at] = Some(found);
        Some(found)
    }

    fn function(&mut self, site: &'a Site) -> u32 {
        let name = (&site.module[..], &site.function[..], site.arity);
        let (keys, takers, figures) = (&mut self.keys, &mut self.takers, &mut self.stacks.figures);
        *self.functions.entry(name).or_insert_with(|| {
            keys.push(site.key);
            takers.push(mailboxes::takes(&site.function, site.arity));
            figures.push(Figures::default());
            keys.len() as u32 - 1
        })
    }

    fn exit(&mut self, number: usize, event: &Event<'_>) {
        // Reasons of one segment are equal when their bytes are.
        let key = (number, event.payload.to_vec());
        if let Some((_, count)) = self.exits.get_mut(&key) {
            *count += 1;
        } else if self.exits.len() < REASONS {
            let row = self.index.row(number, event);
            self.exits.insert(key, (row, 1));
        } else {
            self.other_exits += 1;
        }
    }

    fn finish(mut self) -> Stats {
        self.stacks.finish();
        let Stacks { counted, figures, tree, processes, .. } = self.stacks;
        let (since, until) = (counted.since, counted.until);
        let mut mailboxes: Vec<_> = self
            .mailboxes
            .into_iter()
            .filter_map(|(process, mailbox)| {
                let (most, at) = mailbox.most(&counted)?;
                Some((processes[process as usize].pid, most, at))
            })
            .collect();
        mailboxes.sort_by_key(|(pid, most, at)| (u64::MAX - most, *at, *pid));
        let functions = self.keys.into_iter().zip(figures);
        let kinds = Kind::ALL.iter().map(|kind| (*kind, self.kinds[*kind as usize]));
        let processes = processes.into_iter().map(|process| (process.pid, process.events));
        let mut exits: Vec<_> = self.exits.into_values().collect();
        exits.sort_by_key(|(row, _)| row.id);
        let gaps = self.index.gaps();
        Stats {
            since,
            until,
            functions: functions.map(|(key, figures)| Function { key, figures }).collect(),
            scheduled: self.scheduled,
            kinds: kinds.filter(|(_, count)| *count > 0).collect(),
            processes: processes.filter(|(_, count)| *count > 0).collect(),
            mailboxes,
            exits,
            other_exits: self.other_exits,
            nodes: tree.map_or(Vec::new(), |tree| tree.nodes),
            gaps: gaps.into_iter().filter(|gap| gap.touches(since, until)).collect(),
        }
    }
}
