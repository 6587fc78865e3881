//! The index of some blocks that lie behind each other in one segment. Immutable once it is made.
//!
//! It is read from the fronts of the blocks. Two parts that lie behind each other can be made one, so that an index that grows
//! block by block stays a handful of parts (a logarithmic merge, as in O'Neil et al., "The log-structured merge-tree", 1996).

use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Gap, Kind, LossCause, Pid, varint};
use elixir_scope_segment::{Block, Damage, Event, Place, Segment};
use std::sync::Arc;

/// A block, by what can rule it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRef {
    pub(crate) offset: usize,
    pub(crate) first_event: u64,
    pub(crate) events: u32,
    pub(crate) earliest: Nanos,
    pub(crate) latest: Nanos,
    pub(crate) until: Nanos,
    /// A bit for each kind.
    pub(crate) kinds: u32,
}

impl BlockRef {
    /// Number of the event after its last.
    pub(crate) fn end(&self) -> u64 {
        self.first_event.saturating_add(u64::from(self.events))
    }
}

/// A process in these blocks. Blocks are named by their place in the part.
#[derive(Clone, Debug)]
pub(crate) struct ProcessPart {
    pub(crate) events: u64,
    pub(crate) states: u64,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    pub(crate) blocks: Vec<u32>,
    /// Blocks with states, and the time of the first one in each.
    pub(crate) state_blocks: Vec<(u32, Nanos)>,
    /// Those of them with a keyframe.
    pub(crate) key_blocks: Vec<u32>,
    pub(crate) introductions: Vec<(u32, Place)>,
}

/// What interrupts the recording, found before or in a block.
#[derive(Clone, Debug)]
pub(crate) enum Incident {
    /// Bytes that cannot be read lie before the block.
    Damage(Damage),
    Pause(Nanos),
    Resume(Nanos),
}

/// See the head of this file.
#[derive(Clone, Default)]
pub(crate) struct Part {
    pub(crate) blocks: Vec<BlockRef>,
    /// Definitions that follow each other, after the number of the first.
    definitions: Vec<(u32, Vec<Arc<Definition>>)>,
    pids: AHashMap<Pid, u32>,
    keys: AHashMap<u64, u32>,
    processes: AHashMap<u32, ProcessPart>,
    sites: AHashMap<u32, Vec<u32>>,
    /// Processes by the names that they had when they were seen first.
    names: AHashMap<String, Vec<(Nanos, u32)>>,
    /// Losses that were told of, by their beginnings, each with the latest end of those up to it.
    gaps: Vec<(Gap, Nanos)>,
    /// What is missing because segments were removed.
    removed: Option<Gap>,
    /// Bookmarks, with the numbers of their blocks.
    pub(crate) marks: Vec<(u32, Place)>,
    /// With the number of the block; that may be one more than there are.
    pub(crate) incidents: Vec<(u32, Incident)>,
}

impl Part {
    /// Reads the blocks of a segment from an offset on; beside the part it answers where to go on when the segment has
    /// grown, and where its last block ends. `before` are the parts before.
    pub(crate) fn scan(segment: &Segment, offset: usize, before: &[Arc<Part>]) -> (Self, usize, usize) {
        let mut part = Part::default();
        let mut scan = segment.scan(offset);
        for found in scan.by_ref() {
            match found {
                Ok(block) => part.add(&block, segment, before),
                Err(damage) => part.incident(Incident::Damage(damage)),
            }
        }
        part.sort_gaps();
        (part, scan.end(), scan.offset())
    }

    /// Number of the event after its last; 0 when it has none.
    pub(crate) fn end(&self) -> u64 {
        self.blocks.last().map_or(0, BlockRef::end)
    }

    /// How many blocks and incidents: what merging it costs.
    pub(crate) fn weight(&self) -> usize {
        self.blocks.len() + self.incidents.len()
    }

    fn incident(&mut self, incident: Incident) {
        self.incidents.push((self.blocks.len() as u32, incident));
    }

    fn add(&mut self, block: &Block<'_>, segment: &Segment, before: &[Arc<Part>]) {
        let head = block.head;
        let at = self.blocks.len() as u32;
        // Its checksum was right, so a front that cannot be read is a bug of the writer or a forged file.
        let unreadable = |what: String| {
            let (file, offset) = (segment.path().to_path_buf(), block.offset as u64);
            Incident::Damage(Damage { file, offset, bytes: u64::from(head.body), what })
        };
        let front = match block.front() {
            Ok(front) => front,
            Err(error) => return self.incident(unreadable(error.to_string())),
        };
        let definitions: Vec<_> = front.definitions.into_iter().map(Arc::new).collect();
        for (ordinal, definition) in (0..).zip(&definitions) {
            // Of a forged head any number may come.
            let number = head.first_definition.wrapping_add(ordinal);
            match &**definition {
                Definition::Process(pid, _) => drop(self.pids.insert(*pid, number)),
                Definition::Site(site) => drop(self.keys.insert(site.key, number)),
                _ => {}
            }
        }
        self.define(head.first_definition, definitions);
        for entry in front.processes {
            let process = self.process_mut(entry.process);
            process.events += u64::from(entry.events);
            process.states += u64::from(entry.states);
            process.first = process.first.min(entry.first);
            process.last = process.last.max(entry.last);
            process.blocks.push(at);
        }
        for entry in front.sites {
            self.sites.entry(entry.site).or_default().push(at);
        }
        for place in block.places() {
            match place {
                Ok(place) => self.add_place(block, at, &place, before),
                Err(error) => self.incident(unreadable(error.to_string())),
            }
        }
        let kinds = front.kinds.iter().fold(0, |bits, (kind, _)| bits | 1 << *kind as u32);
        let (first_event, events) = (head.first_event, head.events);
        let (earliest, latest, until) = (head.earliest, head.latest, head.until);
        self.blocks.push(BlockRef {
            offset: block.offset,
            first_event,
            events,
            earliest,
            latest,
            until,
            kinds,
        });
    }

    fn add_place(&mut self, block: &Block<'_>, at: u32, place: &Place, before: &[Arc<Part>]) {
        let event = || block.events_from(place).next().and_then(Result::ok);
        match (place.kind, place.process) {
            (kind, Some(process)) if kind.is_state() => {
                let process = self.process_mut(process);
                if process.state_blocks.last().is_none_or(|(block, _)| *block != at) {
                    process.state_blocks.push((at, place.time));
                }
                if kind == Kind::State && process.key_blocks.last() != Some(&at) {
                    process.key_blocks.push(at);
                }
            }
            (Kind::Process, Some(process)) => {
                let name = event().and_then(|event| name_of(&event, &|number| self.look_up(before, number)));
                if let Some(name) = name {
                    self.names.entry(name).or_default().push((place.time, process));
                }
                self.process_mut(process).introductions.push((at, *place));
            }
            (Kind::Gap, _) => {
                if let Some(gap) = event().and_then(|event| Gap::parse(event.payload)) {
                    match gap.cause {
                        LossCause::Removed => self.removed = Some(gap),
                        _ => self.gaps.push((gap, Nanos(0))),
                    }
                }
            }
            (Kind::Mark, _) => self.marks.push((at, *place)),
            (Kind::Pause, _) => self.incident(Incident::Pause(place.time)),
            (Kind::Resume, _) => self.incident(Incident::Resume(place.time)),
            _ => {}
        }
    }

    fn process_mut(&mut self, number: u32) -> &mut ProcessPart {
        self.processes.entry(number).or_insert_with(|| ProcessPart {
            events: 0,
            states: 0,
            first: Nanos(u64::MAX),
            last: Nanos(0),
            blocks: Vec::new(),
            state_blocks: Vec::new(),
            key_blocks: Vec::new(),
            introductions: Vec::new(),
        })
    }

    fn look_up(&self, before: &[Arc<Part>], number: u32) -> Option<Arc<Definition>> {
        let found = self.definition(number).or_else(|| before.iter().find_map(|part| part.definition(number)));
        found.cloned()
    }

    /// Adds definitions that follow each other.
    fn define(&mut self, first: u32, mut definitions: Vec<Arc<Definition>>) {
        match self.definitions.last_mut() {
            Some((start, run)) if start.checked_add(run.len() as u32) == Some(first) => {
                run.append(&mut definitions);
            }
            _ if definitions.is_empty() => {}
            _ => self.definitions.push((first, definitions)),
        }
    }

    /// Adds the part that lies behind this one.
    pub(crate) fn absorb(&mut self, next: &Part) {
        let shift = self.blocks.len() as u32;
        self.blocks.extend_from_slice(&next.blocks);
        for (first, definitions) in &next.definitions {
            self.define(*first, definitions.clone());
        }
        self.pids.extend(&next.pids);
        self.keys.extend(&next.keys);
        for (number, more) in &next.processes {
            let process = self.process_mut(*number);
            process.events += more.events;
            process.states += more.states;
            process.first = process.first.min(more.first);
            process.last = process.last.max(more.last);
            process.blocks.extend(more.blocks.iter().map(|block| block + shift));
            process.state_blocks.extend(more.state_blocks.iter().map(|(block, time)| (block + shift, *time)));
            process.key_blocks.extend(more.key_blocks.iter().map(|block| block + shift));
            let introductions = more.introductions.iter().map(|(block, place)| (block + shift, *place));
            process.introductions.extend(introductions);
        }
        for (number, blocks) in &next.sites {
            self.sites.entry(*number).or_default().extend(blocks.iter().map(|block| block + shift));
        }
        for (name, processes) in &next.names {
            self.names.entry(name.clone()).or_default().extend_from_slice(processes);
        }
        self.marks.extend(next.marks.iter().map(|(block, place)| (block + shift, *place)));
        self.gaps.extend_from_slice(&next.gaps);
        self.sort_gaps();
        self.removed = next.removed.clone().or(self.removed.take());
        self.incidents.extend(next.incidents.iter().map(|(block, incident)| (block + shift, incident.clone())));
    }

    fn sort_gaps(&mut self) {
        self.gaps.sort_by_key(|(gap, _)| gap.from);
        let mut latest = Nanos(0);
        for (gap, reach) in &mut self.gaps {
            latest = latest.max(gap.to);
            *reach = latest;
        }
    }

    /// Whether any gap is told of here.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty() || self.removed.is_some()
    }

    /// What is missing by what is told here.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.removed.iter().chain(self.gaps.iter().map(|(gap, _)| gap))
    }

    /// Whether a loss that is told of here touches an interval, both ends included.
    pub(crate) fn lost(&self, from: Nanos, to: Nanos) -> bool {
        let begun = self.gaps.partition_point(|(gap, _)| gap.from <= to);
        begun.checked_sub(1).is_some_and(|last| self.gaps[last].1 >= from)
    }

    /// Whether what was removed touches an interval.
    pub(crate) fn removed(&self, from: Nanos, to: Nanos) -> bool {
        self.removed.as_ref().is_some_and(|gap| gap.touches(from, to))
    }

    /// The definition with a number, if it is in these blocks.
    pub(crate) fn definition(&self, number: u32) -> Option<&Arc<Definition>> {
        let after = self.definitions.partition_point(|(first, _)| *first <= number);
        let (first, run) = &self.definitions[after.checked_sub(1)?];
        run.get((number - first) as usize)
    }

    /// All definitions, in order.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.definitions.iter().flat_map(|(_, run)| run)
    }

    /// The definition of a process, if it is in these blocks.
    pub(crate) fn pid(&self, pid: Pid) -> Option<u32> {
        self.pids.get(&pid).copied()
    }

    /// The definition of a site, if it is in these blocks.
    pub(crate) fn key(&self, key: u64) -> Option<u32> {
        self.keys.get(&key).copied()
    }

    /// The process with the definition of this number.
    pub(crate) fn process(&self, number: u32) -> Option<&ProcessPart> {
        self.processes.get(&number)
    }

    /// All processes that are defined anywhere in the segment and have events in these blocks.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (u32, &ProcessPart)> {
        self.processes.iter().map(|(number, process)| (*number, process))
    }

    /// The blocks with events of a site.
    pub(crate) fn site(&self, number: u32) -> &[u32] {
        self.sites.get(&number).map_or(&[], |blocks| blocks)
    }

    /// Who said that this was its name, and when, oldest first.
    pub(crate) fn named(&self, name: &str) -> &[(Nanos, u32)] {
        self.names.get(name).map_or(&[], |found| found)
    }
}

/// The name in what a process said of itself: the value of the key `name` of the map, when it is an atom.
fn name_of(event: &Event<'_>, definition: &dyn Fn(u32) -> Option<Arc<Definition>>) -> Option<String> {
    let mut rest = event.payload;
    varint::take(&mut rest).ok()?;
    let atom = |rest: &mut &[u8]| match value::take(rest).ok()? {
        Token::Reference(number) => match &*definition(u32::try_from(number).ok()?)? {
            Definition::Atom(name) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    };
    let Ok(Token::Map(pairs)) = value::take(&mut rest) else { return None };
    for _ in 0..pairs {
        let key = atom(&mut rest)?;
        if key == "name" {
            return atom(&mut rest).filter(|name| name != "nil");
        }
        value::skip(&mut rest).ok()?;
    }
    None
}
