//! The index of some blocks that lie behind each other in one segment. Immutable once it is made.
//!
//! It is read from the fronts of the blocks. Two parts that lie behind each other can be made one, so that an index that grows
//! block by block stays a handful of parts (a logarithmic merge, as in O'Neil et al., "The log-structured merge-tree", 1996).

use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Gap, Kind, LossCause, Pid, varint};
use elixir_scope_segment::{Block, Damage, Event, Place, Segment};
use std::borrow::Cow;
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

/// Blocks of a process that is kept as a [`Brief`], at most.
const FEW: usize = 2;
/// Forms of pids in a part, at most.
const FORMS: usize = 16;
/// No block.
const NONE: u32 = u32::MAX;

/// A process with events in few blocks, and no state nor introduction: one of the many that are over soon. They take most
/// of the memory of an index, so this is small.
#[derive(Clone, Copy, Debug)]
struct Brief {
    number: u32,
    events: u32,
    blocks: [u32; FEW],
    first: Nanos,
    last: Nanos,
}

impl Brief {
    fn blocks(&self) -> &[u32] {
        &self.blocks[..self.blocks.iter().take_while(|block| **block != NONE).count()]
    }
}

/// What is known of a process in these blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'p> {
    pub(crate) events: u64,
    pub(crate) states: u64,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    pub(crate) blocks: &'p [u32],
    pub(crate) state_blocks: &'p [(u32, Nanos)],
    pub(crate) key_blocks: &'p [u32],
    pub(crate) introductions: &'p [(u32, Place)],
}

impl<'p> From<&'p ProcessPart> for Known<'p> {
    fn from(part: &'p ProcessPart) -> Self {
        let ProcessPart { events, states, first, last, blocks, state_blocks, key_blocks, introductions } = part;
        let (events, states, first, last) = (*events, *states, *first, *last);
        Known { events, states, first, last, blocks, state_blocks, key_blocks, introductions }
    }
}

impl<'p> From<&'p Brief> for Known<'p> {
    fn from(brief: &'p Brief) -> Self {
        let Brief { events, first, last, .. } = *brief;
        let (events, blocks) = (u64::from(events), brief.blocks());
        Known { events, states: 0, first, last, blocks, state_blocks: &[], key_blocks: &[], introductions: &[] }
    }
}

/// A definition, as it is kept.
#[derive(Clone, Copy)]
enum Slot {
    /// A process, and which of the forms its pid has.
    Process(Pid, u16),
    /// One of the others.
    Other(u32),
}

/// What pids of one VM have in common in the external term format: what stands before and behind their numbers.
#[derive(Clone, PartialEq, Eq)]
struct Form {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Form {
    /// The form of a pid, if its numbers stand where they should: before the creation, of four bytes or of one.
    fn of(pid: Pid, external: &[u8]) -> Option<Self> {
        let numbers = Self::numbers(pid);
        let begins = [4, 1].iter().filter_map(|creation| external.len().checked_sub(creation + numbers.len()));
        let begin = begins.into_iter().find(|begin| external[*begin..].starts_with(&numbers))?;
        let (before, rest) = external.split_at(begin);
        Some(Form { before: before.to_vec(), behind: rest[numbers.len()..].to_vec() })
    }

    fn numbers(pid: Pid) -> [u8; 8] {
        ((u64::from(pid.id) << 32) | u64::from(pid.serial)).to_be_bytes()
    }

    fn external(&self, pid: Pid) -> Vec<u8> {
        [&self.before[..], &Self::numbers(pid), &self.behind].concat()
    }
}

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defined<'p> {
    /// A process, and its pid in the external term format.
    Process(Pid, Cow<'p, [u8]>),
    /// Anything else.
    Other(&'p Definition),
}

/// What interrupts the recording, found before or in a block.
#[derive(Clone, Debug)]
pub(crate) enum Incident {
    /// Bytes that cannot be read lie before the block.
    Damage(Damage),
    /// Events of the block name processes or sites that were defined in bytes that cannot be read.
    Unnamed(BlockRef),
    Pause(Nanos),
    Resume(Nanos),
}

/// See the head of this file.
#[derive(Clone, Default)]
pub(crate) struct Part {
    pub(crate) blocks: Vec<BlockRef>,
    /// Definitions that follow each other, after the number of the first.
    definitions: Vec<(u32, Vec<Slot>)>,
    /// Those of them that are no processes.
    others: Vec<Arc<Definition>>,
    forms: Vec<Form>,
    /// Ascending.
    pids: Vec<(Pid, u32)>,
    keys: AHashMap<u64, u32>,
    /// Those that are not brief.
    processes: AHashMap<u32, ProcessPart>,
    /// Ascending, by their numbers.
    briefs: Vec<Brief>,
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
    /// Bytes here or before in the segment cannot be read.
    torn: bool,
}

impl Part {
    /// Reads the blocks of a segment from an offset on; beside the part it answers where to go on when the segment has
    /// grown, and where its last block ends. `before` are the parts before.
    pub(crate) fn scan(segment: &Segment, offset: usize, before: &[Arc<Part>]) -> (Self, usize, usize) {
        let mut part = Part { torn: before.iter().any(|part| part.torn), ..Part::default() };
        let mut scan = segment.scan(offset);
        for found in scan.by_ref() {
            match found {
                Ok(block) => part.add(&block, segment, before),
                Err(damage) => part.incident(Incident::Damage(damage)),
            }
        }
        part.sort_gaps();
        part.tidy();
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
        self.torn |= matches!(incident, Incident::Damage(_));
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
        let mut slots = Vec::with_capacity(front.definitions.len());
        for (ordinal, definition) in (0..).zip(front.definitions) {
            // Of a forged head any number may come.
            let number = head.first_definition.wrapping_add(ordinal);
            match &definition {
                Definition::Process(pid, _) => self.pids.push((*pid, number)),
                Definition::Site(site) => drop(self.keys.insert(site.key, number)),
                _ => {}
            }
            slots.push(self.slot(definition));
        }
        self.define(head.first_definition, slots);
        let defined = |number: u32| self.defines(number) || before.iter().any(|part| part.defines(number));
        let sites = front.sites.iter().map(|entry| entry.site);
        let mut named = front.processes.iter().map(|entry| entry.process).chain(sites);
        let unnamed = self.torn && !named.all(defined);
        for entry in front.processes {
            let (number, events, first, last) = (entry.process, entry.events, entry.first, entry.last);
            if entry.states > 0 {
                self.process_mut(number).states += u64::from(entry.states);
            }
            self.briefs.push(Brief { number, events, blocks: [at, NONE], first, last });
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
        let block = BlockRef { offset: block.offset, first_event, events, earliest, latest, until, kinds };
        if unnamed {
            self.incident(Incident::Unnamed(block));
        }
        self.blocks.push(block);
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
                let name = event()
                    .and_then(|event| name_of(&event, &|number| self.atom(before, number).map(String::from)));
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

    fn atom<'p>(&'p self, before: &'p [Arc<Part>], number: u32) -> Option<&'p str> {
        let found = self.definition(number).or_else(|| before.iter().find_map(|part| part.definition(number)));
        match found? {
            Defined::Other(Definition::Atom(name)) => Some(name),
            _ => None,
        }
    }

    fn slot(&mut self, definition: Definition) -> Slot {
        if let Definition::Process(pid, external) = &definition
            && let Some(form) = Form::of(*pid, external)
            && let Some(number) = self.form(&form)
        {
            return Slot::Process(*pid, number);
        }
        self.others.push(Arc::new(definition));
        Slot::Other(self.others.len() as u32 - 1)
    }

    /// The number of a form. There is one of each VM; of bytes that nobody wrote there may be any.
    fn form(&mut self, form: &Form) -> Option<u16> {
        let known = self.forms.iter().position(|known| known == form);
        let number = known.unwrap_or(self.forms.len());
        if known.is_none() && number < FORMS {
            self.forms.push(form.clone());
        }
        (number < FORMS).then_some(number as u16)
    }

    /// Adds definitions that follow each other.
    fn define(&mut self, first: u32, mut slots: Vec<Slot>) {
        match self.definitions.last_mut() {
            Some((start, run)) if start.checked_add(run.len() as u32) == Some(first) => run.append(&mut slots),
            _ if slots.is_empty() => {}
            _ => self.definitions.push((first, slots)),
        }
    }

    /// The same slot, of another part.
    fn adopt(&mut self, next: &Part, slot: Slot) -> Slot {
        match slot {
            Slot::Process(pid, form) => {
                let form = &next.forms[usize::from(form)];
                match self.form(form) {
                    Some(number) => Slot::Process(pid, number),
                    None => self.slot(Definition::Process(pid, form.external(pid))),
                }
            }
            Slot::Other(number) => {
                self.others.push(Arc::clone(&next.others[number as usize]));
                Slot::Other(self.others.len() as u32 - 1)
            }
        }
    }

    /// Puts in order what was added, and makes it small.
    fn tidy(&mut self) {
        // Of a pid that is defined twice the later one counts.
        self.pids.reverse();
        self.pids.sort_by_key(|(pid, _)| *pid);
        self.pids.dedup_by_key(|(pid, _)| *pid);
        self.pids.shrink_to_fit();
        self.tidy_processes();
        self.definitions.iter_mut().for_each(|(_, slots)| slots.shrink_to_fit());
        self.others.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }

    /// One entry of each process.
    fn tidy_processes(&mut self) {
        let mut all = std::mem::take(&mut self.briefs);
        all.sort_by_key(|brief| brief.number);
        let mut kept = 0;
        let mut begin = 0;
        while begin < all.len() {
            let Brief { number, .. } = all[begin];
            let same = all[begin..].iter().take_while(|brief| brief.number == number).count();
            let group = begin..begin + same;
            begin = group.end;
            match join(&all[group.clone()]).filter(|_| !self.processes.contains_key(&number)) {
                Some(brief) => {
                    all[kept] = brief;
                    kept += 1;
                }
                None => self.process_mut(number).add(&all[group]),
            }
        }
        all.truncate(kept);
        all.shrink_to_fit();
        self.briefs = all;
    }

    /// Adds the part that lies behind this one.
    pub(crate) fn absorb(&mut self, next: &Part) {
        let shift = self.blocks.len() as u32;
        self.blocks.extend_from_slice(&next.blocks);
        for (first, slots) in &next.definitions {
            let slots = slots.iter().map(|slot| self.adopt(next, *slot)).collect();
            self.define(*first, slots);
        }
        self.pids.extend_from_slice(&next.pids);
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
        let behind = |block: u32| if block == NONE { NONE } else { block + shift };
        let briefs = next.briefs.iter().map(|brief| Brief { blocks: brief.blocks.map(behind), ..*brief });
        self.briefs.extend(briefs);
        self.tidy();
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
        self.torn |= next.torn;
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
    pub(crate) fn definition(&self, number: u32) -> Option<Defined<'_>> {
        let after = self.definitions.partition_point(|(first, _)| *first <= number);
        let (first, run) = &self.definitions[after.checked_sub(1)?];
        Some(self.defined(*run.get((number - first) as usize)?))
    }

    fn defines(&self, number: u32) -> bool {
        let after = self.definitions.partition_point(|(first, _)| *first <= number);
        let before = after.checked_sub(1).map(|at| &self.definitions[at]);
        before.is_some_and(|(first, run)| ((number - first) as usize) < run.len())
    }

    fn defined(&self, slot: Slot) -> Defined<'_> {
        match slot {
            Slot::Process(pid, form) => {
                Defined::Process(pid, Cow::Owned(self.forms[usize::from(form)].external(pid)))
            }
            Slot::Other(number) => match &*self.others[number as usize] {
                Definition::Process(pid, external) => Defined::Process(*pid, Cow::Borrowed(external)),
                other => Defined::Other(other),
            },
        }
    }

    /// The process with a number, if it is defined in these blocks.
    pub(crate) fn pid_of(&self, number: u32) -> Option<Pid> {
        let after = self.definitions.partition_point(|(first, _)| *first <= number);
        let (first, run) = &self.definitions[after.checked_sub(1)?];
        match *run.get((number - first) as usize)? {
            Slot::Process(pid, _) => Some(pid),
            Slot::Other(number) => match &*self.others[number as usize] {
                Definition::Process(pid, _) => Some(*pid),
                _ => None,
            },
        }
    }

    /// All definitions but those of processes, in order.
    pub(crate) fn others(&self) -> impl ExactSizeIterator<Item = &Definition> {
        self.others.iter().map(|definition| &**definition)
    }

    /// The definition of a process, if it is in these blocks.
    pub(crate) fn pid(&self, pid: Pid) -> Option<u32> {
        let place = self.pids.binary_search_by_key(&pid, |(pid, _)| *pid).ok()?;
        Some(self.pids[place].1)
    }

    /// The definition of a site, if it is in these blocks.
    pub(crate) fn key(&self, key: u64) -> Option<u32> {
        self.keys.get(&key).copied()
    }

    /// The process with the definition of this number.
    pub(crate) fn process(&self, number: u32) -> Option<Known<'_>> {
        let brief = || {
            let place = self.briefs.binary_search_by_key(&number, |brief| brief.number).ok()?;
            Some(Known::from(&self.briefs[place]))
        };
        self.processes.get(&number).map(Known::from).or_else(brief)
    }

    /// All processes that are defined anywhere in the segment and have events in these blocks.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (u32, Known<'_>)> {
        let processes = self.processes.iter().map(|(number, process)| (*number, Known::from(process)));
        processes.chain(self.briefs.iter().map(|brief| (brief.number, Known::from(brief))))
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

impl ProcessPart {
    fn add(&mut self, briefs: &[Brief]) {
        for brief in briefs {
            self.events += u64::from(brief.events);
            self.first = self.first.min(brief.first);
            self.last = self.last.max(brief.last);
            self.blocks.extend_from_slice(brief.blocks());
        }
        self.blocks.sort_unstable();
    }
}

/// The entries of one process, if they fit in one.
fn join(briefs: &[Brief]) -> Option<Brief> {
    let (one, rest) = briefs.split_first()?;
    let mut all = *one;
    for brief in rest {
        let (used, more) = (all.blocks().len(), brief.blocks());
        all.blocks.get_mut(used..used + more.len())?.copy_from_slice(more);
        all.events = all.events.checked_add(brief.events)?;
        (all.first, all.last) = (all.first.min(brief.first), all.last.max(brief.last));
    }
    Some(all)
}

/// The name in what a process said of itself: the value of the key `name` of the map, when it is an atom.
fn name_of(event: &Event<'_>, text: &dyn Fn(u32) -> Option<String>) -> Option<String> {
    let mut rest = event.payload;
    varint::take(&mut rest).ok()?;
    let atom = |rest: &mut &[u8]| match value::take(rest).ok()? {
        Token::Reference(number) => text(u32::try_from(number).ok()?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_over_soon_takes_few_bytes() {
        let entries = size_of::<Brief>() + size_of::<Slot>() + size_of::<(Pid, u32)>();
        assert!(entries <= 64, "{entries} bytes");
    }

    #[test]
    fn a_pid_is_written_as_it_was_read() {
        let mut part = Part::default();
        let pid = |number| Pid { id: number, serial: number / 3 };
        let new = |pid: Pid| {
            let head = [131, 88, 119, 1, b'a'];
            [&head[..], &pid.id.to_be_bytes(), &pid.serial.to_be_bytes(), &[1, 2, 3, 4]].concat()
        };
        let old =
            |pid: Pid| [&[103, 119, 0][..], &pid.id.to_be_bytes(), &pid.serial.to_be_bytes(), &[1]].concat();
        let odd = |_: Pid| vec![1, 2];
        let forms: [&dyn Fn(Pid) -> Vec<u8>; 4] = [&new, &old, &odd, &|_| vec![]];
        let written: Vec<_> =
            (0..400).map(|number| (pid(number), forms[number as usize % forms.len()](pid(number)))).collect();
        let slots =
            written.iter().map(|(pid, bytes)| part.slot(Definition::Process(*pid, bytes.clone()))).collect();
        part.define(7, slots);
        // As well in a part that it is merged into.
        let mut merged = Part::default();
        let another = merged.slot(Definition::Process(pid(1), old(pid(1))));
        merged.define(6, vec![another]);
        merged.absorb(&part);
        for (number, (pid, bytes)) in (7..).zip(&written) {
            for part in [&part, &merged] {
                assert_eq!(part.pid_of(number), Some(*pid));
                let Some(Defined::Process(known, external)) = part.definition(number) else {
                    panic!("a process")
                };
                assert_eq!((known, &external[..]), (*pid, &bytes[..]));
            }
        }
        assert_eq!(merged.forms.len(), 2);
    }
}
