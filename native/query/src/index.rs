//! What is where in a run, at one moment. Built from blocks alone, and extended as they come.

use crate::breaks::Breaks;
use crate::part::{Defined, Known, Part};
use crate::row::Row;
use crate::volume::Volume;
use ahash::{AHashMap, AHashSet};
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Gap, Pid, Site};
use elixir_scope_segment::{Damage, Event, Place, Segment};
use elixir_scope_store::RunPath;
use std::borrow::Cow;
use std::sync::Arc;

/// A process that made events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its numbers.
    pub pid: Pid,
    /// Its pid in the external term format.
    pub external: Vec<u8>,
    /// When it was seen first.
    pub first: Nanos,
    /// When it was seen last.
    pub last: Nanos,
    /// Its events.
    pub events: u64,
    /// Those of them that are states.
    pub states: u64,
}

/// What is where in a recording. A copy is cheap, and shows the recording as it was then.
#[derive(Clone)]
pub struct Index {
    pub(crate) volumes: Vec<Arc<Volume>>,
    breaks: Breaks,
    /// The parts that tell of gaps.
    gapped: Vec<Arc<Part>>,
    span: Option<(Nanos, Nanos)>,
    until: Nanos,
    next_event: u64,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            volumes: Vec::new(),
            breaks: Breaks::since(Nanos(0)),
            gapped: Vec::new(),
            span: None,
            until: Nanos(0),
            next_event: 0,
        }
    }
}

impl Index {
    /// An index of nothing yet, of a recording that began at a time.
    pub fn since(began: Nanos) -> Self {
        Index { breaks: Breaks::since(began), ..Index::default() }
    }

    /// Whether there is anything in the segments that this index does not know.
    pub fn is_behind(&self, segments: &[Arc<Segment>]) -> bool {
        self.volumes.len() != segments.len()
            || self.volumes.iter().zip(segments).any(|(volume, segment)| {
                !Arc::ptr_eq(&volume.segment, segment) || volume.scanned < segment.len()
            })
    }

    /// Bytes of the segments that this index does not know; all of them where segments have gone.
    pub(crate) fn unread(&self, segments: &[Arc<Segment>]) -> usize {
        let known = |number: usize, segment: &Arc<Segment>| {
            self.volumes
                .get(number)
                .filter(|volume| Arc::ptr_eq(&volume.segment, segment))
                .map(|volume| volume.scanned)
        };
        let left = segments.iter().enumerate().map(|(number, segment)| (segment.len(), known(number, segment)));
        if left.clone().take(self.volumes.len()).any(|(_, known)| known.is_none())
            || segments.len() < self.volumes.len()
        {
            return left.map(|(bytes, _)| bytes).sum();
        }
        left.map(|(bytes, known)| bytes.saturating_sub(known.unwrap_or(0))).sum()
    }

    /// Whether at most so many events, in blocks of at most so many bytes, may not be older than a time.
    pub fn has_few_since(&self, since: Nanos, events: u64, bytes: usize) -> bool {
        let (mut found, mut behind) = (0, 0);
        for volume in self.volumes.iter().rev() {
            for block in volume.parts.iter().rev().flat_map(|part| part.blocks.iter().rev()) {
                if block.latest < since {
                    return true;
                }
                found += u64::from(block.events);
                if found > events || behind + volume.bytes.saturating_sub(block.offset) > bytes {
                    return false;
                }
            }
            behind += volume.bytes;
        }
        true
    }

    /// Reads the blocks that are new, and forgets the segments that are not there any more.
    pub fn extend(&mut self, segments: &[Arc<Segment>]) {
        let old = std::mem::take(&mut self.volumes);
        let goes_on = old.len() <= segments.len()
            && old.iter().zip(segments).all(|(volume, segment)| Arc::ptr_eq(&volume.segment, segment));
        let mut kept = old.into_iter().peekable();
        for segment in segments {
            while kept.next_if(|volume| volume.segment.head().number < segment.head().number).is_some() {}
            let known = kept.next_if(|volume| Arc::ptr_eq(&volume.segment, segment));
            self.volumes.push(known.unwrap_or_else(|| Arc::new(Volume::new(segment))));
        }
        for (number, segment) in segments.iter().enumerate() {
            if self.volumes[number].scanned < segment.len()
                && let Some(part) = Arc::make_mut(&mut self.volumes[number]).extend()
                && goes_on
            {
                self.add(&part, segment.head().remnant);
            }
        }
        if !goes_on {
            self.start_over();
        }
        let parts = self.volumes.iter().flat_map(|volume| &volume.parts);
        self.gapped = parts.filter(|part| part.has_gaps()).cloned().collect();
    }

    /// What follows from the order of the parts is put together anew: segments were removed, or others took their places.
    fn start_over(&mut self) {
        let fresh = Index { volumes: std::mem::take(&mut self.volumes), ..Index::since(self.breaks.began()) };
        *self = fresh;
        for volume in self.volumes.clone() {
            volume.parts.iter().for_each(|part| self.add(part, volume.segment.head().remnant));
        }
    }

    fn add(&mut self, part: &Part, remnant: bool) {
        self.breaks.add(part, remnant);
        for block in &part.blocks {
            self.until = self.until.max(block.until);
            self.next_event = block.end();
            if block.events > 0 {
                let (first, last) = self.span.unwrap_or((block.earliest, block.latest));
                self.span = Some((first.min(block.earliest), last.max(block.latest)));
            }
        }
    }

    /// A file of the run that cannot be read at all.
    pub(crate) fn add_damage(&mut self, damage: Damage) {
        let before = |last: &Arc<Volume>| match RunPath::number(&damage.file) {
            Some(number) => {
                last.segment.path().parent() == damage.file.parent() && number < last.segment.head().number
            }
            None => false,
        };
        let end = !self.volumes.last().is_some_and(before);
        self.breaks.add_file(damage, end);
    }

    /// The definitions that rows of a volume refer to.
    pub fn volume(&self, number: usize) -> Option<&Arc<Volume>> {
        self.volumes.get(number)
    }

    pub(crate) fn row(&self, volume: usize, event: &Event<'_>) -> Row {
        let definitions = &self.volumes[volume];
        Row {
            id: event.id,
            time: event.time,
            kind: event.kind,
            process: definitions.pid(event.process),
            site: definitions.key(event.site),
            volume,
            payload: event.payload.to_vec(),
        }
    }

    /// The event at a place of a block of a part.
    pub(crate) fn row_at(&self, volume: usize, part: &Part, block: u32, place: &Place) -> Option<Row> {
        let block = self.volumes[volume].read(part.blocks.get(block as usize)?)?;
        let event = block.events_from(place).next()?.ok()?;
        Some(self.row(volume, &event))
    }

    /// The event with a number.
    pub fn event(&self, id: u64) -> Option<Row> {
        let found = self.volumes.iter().enumerate().rev();
        let (volume, block) =
            found.into_iter().find_map(|(number, volume)| Some((number, volume.holds(id)?)))?;
        let block = self.volumes[volume].read(block)?;
        let found = block.events_after(id).next()?.ok().filter(|event| event.id == id)?;
        Some(self.row(volume, &found))
    }

    /// The process with these numbers.
    pub fn process(&self, pid: Pid) -> Option<Process> {
        let mut found: Option<Process> = None;
        for volume in &self.volumes {
            let Some(number) = volume.process(pid) else { continue };
            let Some(Defined::Process(_, external)) = volume.definition(u64::from(number)) else { continue };
            let process = found.get_or_insert_with(|| Process::new(pid, external.into_owned()));
            volume.parts_of(number).for_each(|(_, part)| process.add(&part));
        }
        found
    }

    /// The pid of a process in the external term format.
    pub fn external(&self, pid: Pid) -> Option<Cow<'_, [u8]>> {
        self.volumes.iter().find_map(|volume| match volume.definition(u64::from(volume.process(pid)?)) {
            Some(Defined::Process(_, external)) => Some(external),
            _ => None,
        })
    }

    /// All processes, in the order in which they were seen.
    pub fn processes(&self) -> Vec<Process> {
        let mut found: AHashMap<Pid, Process> = AHashMap::new();
        for volume in &self.volumes {
            for (number, part) in volume.parts.iter().flat_map(|part| part.processes()) {
                if let Some(Defined::Process(pid, external)) = volume.definition(u64::from(number)) {
                    found.entry(pid).or_insert_with(|| Process::new(pid, external.into_owned())).add(&part);
                }
            }
        }
        let mut processes: Vec<_> = found.into_values().collect();
        processes.sort_by_key(|process| (process.first, process.pid));
        processes
    }

    /// How many processes there are. Nothing is made of each.
    pub fn process_count(&self) -> usize {
        let mut pids = Vec::new();
        for volume in &self.volumes {
            let numbers = volume.parts.iter().flat_map(|part| part.processes()).map(|(number, _)| number);
            pids.extend(numbers.filter_map(|number| volume.pid(Some(number))));
            pids.sort_unstable();
            pids.dedup();
        }
        pids.len()
    }

    /// The last process that had a name when it was seen first, and was seen by `time`.
    pub fn named(&self, name: &str, time: Nanos) -> Option<Pid> {
        let parts = self.volumes.iter().flat_map(|volume| volume.parts.iter().map(move |part| (volume, part)));
        let named = parts.flat_map(|(volume, part)| {
            part.named(name).iter().filter_map(|(since, number)| Some((*since, volume.pid(Some(*number))?)))
        });
        named.filter(|(since, _)| *since <= time).max_by_key(|(since, _)| *since).map(|(_, pid)| pid)
    }

    /// What a process said of itself, oldest first.
    pub fn introductions(&self, pid: Pid) -> Vec<Row> {
        let mut rows = Vec::new();
        for (number, volume) in self.volumes.iter().enumerate() {
            let Some(process) = volume.process(pid) else { continue };
            for (part, known) in volume.parts_of(process) {
                let introductions = known.introductions.iter();
                rows.extend(
                    introductions.filter_map(|(block, place)| self.row_at(number, part, *block, place)),
                );
            }
        }
        rows
    }

    /// The bookmarks, in the order of the store.
    pub fn marks(&self) -> Vec<Row> {
        let parts = self.volumes.iter().enumerate();
        let parts = parts.flat_map(|(number, volume)| volume.parts.iter().map(move |part| (number, part)));
        let marks = parts.flat_map(|(number, part)| part.marks.iter().map(move |mark| (number, part, mark)));
        marks.filter_map(|(number, part, (block, place))| self.row_at(number, part, *block, place)).collect()
    }

    /// All sites, in the order in which they were seen.
    pub fn sites(&self) -> Vec<&Site> {
        self.sites_where(|_| true)
    }

    /// Some of them.
    pub fn sites_where(&self, wanted: impl Fn(&Site) -> bool) -> Vec<&Site> {
        let mut seen = AHashSet::new();
        let definitions = self.volumes.iter().flat_map(|volume| &volume.parts).flat_map(|part| part.others());
        let sites = definitions.filter_map(|definition| match definition {
            Definition::Site(site) => Some(site),
            _ => None,
        });
        sites.filter(|site| wanted(site) && seen.insert(site.key)).collect()
    }

    /// The site with a key.
    pub fn site(&self, key: u64) -> Option<&Site> {
        self.volumes.iter().find_map(|volume| match volume.definition(u64::from(volume.site(key)?)) {
            Some(Defined::Other(Definition::Site(site))) => Some(site),
            _ => None,
        })
    }

    /// How many definitions, but for those of processes, and gaps there are: what goes through all of them takes that long.
    pub fn breadth(&self) -> usize {
        let parts = self.volumes.iter().flat_map(|volume| &volume.parts);
        let gaps = self.gapped.iter().map(|part| part.gaps().count()).sum::<usize>();
        parts.map(|part| part.others().len()).sum::<usize>() + self.breaks.gaps.len() + gaps
    }

    /// What is missing, by time.
    pub fn gaps(&self) -> Vec<Gap> {
        let told = self.gapped.iter().flat_map(|part| part.gaps());
        let mut gaps: Vec<_> = self.breaks.gaps.iter().chain(told).cloned().collect();
        gaps.sort_by_key(|gap| (gap.from, gap.to, gap.cause));
        gaps
    }

    /// Whether events may be missing between two times, both included.
    pub fn has_gap(&self, from: Nanos, to: Nanos) -> bool {
        self.may_have_changed(from, to) || self.gapped.iter().any(|part| part.removed(from, to))
    }

    /// Whether a state that was known at `from` may have changed by `to` without being seen. Of segments that were
    /// removed the last states are kept.
    pub fn may_have_changed(&self, from: Nanos, to: Nanos) -> bool {
        self.breaks.touch(from, to) || self.gapped.iter().any(|part| part.lost(from, to))
    }

    /// Since when recording is paused, or has ended.
    pub fn paused(&self) -> Option<Nanos> {
        self.breaks.paused
    }

    /// What could not be read.
    pub fn damage(&self) -> &[Damage] {
        &self.breaks.damage
    }

    /// Bytes of the segments up to the end of their last blocks.
    pub fn bytes(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.bytes as u64).sum()
    }

    /// How many segments there are, and how many of them are packed.
    pub fn segments(&self) -> (usize, usize) {
        let packed = self.volumes.iter().filter(|volume| volume.segment.head().packed).count();
        (self.volumes.len(), packed)
    }

    /// The earliest and the latest time of an event.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        self.span
    }

    /// Until when the recording is complete: what happened before is in it, or in one of its gaps.
    pub fn until(&self) -> Nanos {
        self.span.map_or(self.until, |(_, last)| last.max(self.until))
    }

    /// Number of the next event.
    pub fn next_event(&self) -> u64 {
        self.next_event
    }
}

impl Process {
    fn new(pid: Pid, external: Vec<u8>) -> Self {
        let (first, last) = (Nanos(u64::MAX), Nanos(0));
        Process { pid, external, first, last, events: 0, states: 0 }
    }

    fn add(&mut self, part: &Known<'_>) {
        self.events += part.events;
        self.states += part.states;
        self.first = self.first.min(part.first);
        self.last = self.last.max(part.last);
    }
}
