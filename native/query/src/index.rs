//! What is where. Built from blocks alone, and extended as they come.

use crate::row::{Row, Table};
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, LossCause, Pid, Site, varint};
use elixir_scope_segment::layout::BlockHead;
use elixir_scope_segment::{Block, Damage, Event, Item, Segment};
use std::sync::Arc;

/// Where an event lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) block: u32,
    pub(crate) id: u64,
    pub(crate) time: Nanos,
}

/// A block, by what can rule it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRef {
    pub(crate) segment: u32,
    pub(crate) offset: usize,
    pub(crate) first_event: u64,
    pub(crate) events: u32,
    pub(crate) earliest: Nanos,
    pub(crate) latest: Nanos,
}

impl BlockRef {
    /// Number of the event after its last.
    pub(crate) fn end(&self) -> u64 {
        self.first_event.saturating_add(u64::from(self.events))
    }
}

/// A process that made events.
#[derive(Clone, Debug)]
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
    pub(crate) introductions: Vec<Place>,
    pub(crate) states: Vec<Place>,
}

impl Process {
    /// How many states of it were recorded.
    pub fn states(&self) -> usize {
        self.states.len()
    }
}

/// An interval in which events are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub cause: LossCause,
    /// How many; 0 when that is unknown.
    pub count: u64,
    /// From when.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
}

/// The part of the index that belongs to one segment.
pub(crate) struct Volume {
    pub(crate) segment: Arc<Segment>,
    pub(crate) table: Table,
    /// By number of definition: the process or site of the index.
    processes: AHashMap<u32, usize>,
    sites: AHashMap<u32, usize>,
    scanned: usize,
}

/// What is where in a recording.
#[derive(Default)]
pub struct Index {
    pub(crate) volumes: Vec<Volume>,
    pub(crate) blocks: Vec<BlockRef>,
    processes: Vec<Process>,
    by_pid: AHashMap<Pid, usize>,
    sites: Vec<Site>,
    by_key: AHashMap<u64, usize>,
    gaps: Vec<Gap>,
    damage: Vec<Damage>,
    span: Option<(Nanos, Nanos)>,
    events: u64,
    paused: Option<Nanos>,
}

impl Index {
    /// Reads the blocks that are new.
    pub fn extend(&mut self, segments: &[Arc<Segment>]) {
        for segment in &segments[self.volumes.len().min(segments.len())..] {
            self.volumes.push(Volume {
                segment: Arc::clone(segment),
                table: Table::default(),
                processes: AHashMap::new(),
                sites: AHashMap::new(),
                scanned: 0,
            });
        }
        for number in 0..self.volumes.len() {
            if self.volumes[number].scanned < self.volumes[number].segment.len() {
                self.scan(number);
            }
        }
    }

    fn scan(&mut self, number: usize) {
        let segment = Arc::clone(&self.volumes[number].segment);
        let mut scan = segment.scan(self.volumes[number].scanned);
        for found in scan.by_ref() {
            match found {
                Ok(block) => self.add_block(number, &block),
                Err(damage) => self.add_damage(damage),
            }
        }
        self.volumes[number].scanned = scan.offset();
    }

    pub(crate) fn add_damage(&mut self, damage: Damage) {
        self.open_gap();
        self.damage.push(damage);
    }

    /// Nobody can say what was there: it reaches to the end of time until a block follows. Blocks overlap in time
    /// by as much as a thread was stopped between stamping an event and publishing it, so the blocks on both sides
    /// of a gap belong to it.
    fn open_gap(&mut self) {
        if self.gaps.last().is_none_or(|gap| gap.to != Nanos(u64::MAX)) {
            let before = self.blocks.iter().rfind(|block| block.events > 0);
            let from = before.map_or(Nanos(0), |block| block.earliest);
            self.gaps.push(Gap { cause: LossCause::Damage, count: 0, from, to: Nanos(u64::MAX) });
        }
    }

    /// A block follows: what is missing before it, by the numbers of its events, is missing up to its time.
    fn close_gap(&mut self, head: &BlockHead) {
        let missing = head.first_event.saturating_sub(self.events);
        if missing > 0 {
            self.open_gap();
        }
        if let Some(open) = self.gaps.last_mut().filter(|gap| gap.to == Nanos(u64::MAX)) {
            (open.to, open.count) = (head.latest.max(open.from), missing);
        }
    }

    fn add_block(&mut self, number: usize, block: &Block<'_>) {
        let head = block.head;
        if head.events > 0 {
            self.close_gap(&head);
            let (first, last) = self.span.unwrap_or((head.earliest, head.latest));
            self.span = Some((first.min(head.earliest), last.max(head.latest)));
        }
        self.events = head.first_event.saturating_add(u64::from(head.events));
        let at = self.blocks.len() as u32;
        self.blocks.push(BlockRef {
            segment: number as u32,
            offset: block.offset,
            first_event: head.first_event,
            events: head.events,
            earliest: head.earliest,
            latest: head.latest,
        });
        for item in block.items() {
            match item {
                Ok(Item::Definition(id, definition)) => self.add_definition(number, id, definition),
                Ok(Item::Event(event)) => self.add_event(number, at, &event),
                // Its checksum was right, so this is a bug of the writer or a forged file.
                Err(error) => self.add_damage(Damage {
                    file: self.volumes[number].segment.path().to_path_buf(),
                    offset: block.offset as u64,
                    bytes: u64::from(head.body),
                    what: error.to_string(),
                }),
            }
        }
    }

    fn add_definition(&mut self, number: usize, id: u32, definition: Definition) {
        match &definition {
            Definition::Process(pid, external) => {
                let process = self.process_numbered(*pid, external);
                self.volumes[number].processes.insert(id, process);
            }
            Definition::Site(site) => {
                let index = *self.by_key.entry(site.key).or_insert_with(|| {
                    self.sites.push(site.clone());
                    self.sites.len() - 1
                });
                self.volumes[number].sites.insert(id, index);
            }
            _ => {}
        }
        let segment_bytes = self.volumes[number].segment.len();
        let table = Arc::make_mut(&mut self.volumes[number].table);
        let hole = Arc::new(Definition::Unknown(0));
        // Definitions of a damaged block leave holes; a forged number must not ask for all memory. A definition is
        // longer than a byte.
        if (id as usize) < segment_bytes {
            if table.len() <= id as usize {
                table.resize(id as usize + 1, hole);
            }
            table[id as usize] = Arc::new(definition);
        }
    }

    fn process_numbered(&mut self, pid: Pid, external: &[u8]) -> usize {
        *self.by_pid.entry(pid).or_insert_with(|| {
            self.processes.push(Process {
                pid,
                external: external.to_vec(),
                first: Nanos(u64::MAX),
                last: Nanos(0),
                events: 0,
                introductions: Vec::new(),
                states: Vec::new(),
            });
            self.processes.len() - 1
        })
    }

    fn add_event(&mut self, number: usize, block: u32, event: &Event<'_>) {
        match event.kind {
            Kind::Gap => self.gaps.extend(read_gap(event.payload)),
            // The end of a recording is a pause too, and may follow one.
            Kind::Pause => drop(self.paused.get_or_insert(event.time)),
            Kind::Resume => {
                let pause = |from| Gap { cause: LossCause::Paused, count: 0, from, to: event.time };
                // Kept before the last gap, which may be one that is still open.
                let at = self.gaps.len().saturating_sub(1);
                self.gaps.splice(at..at, self.paused.take().map(pause));
            }
            _ => {}
        }
        let Some(process) = self.process_of(number, event) else { return };
        let place = Place { segment: number as u32, block, id: event.id, time: event.time };
        let process = &mut self.processes[process];
        process.first = process.first.min(event.time);
        process.last = process.last.max(event.time);
        process.events += 1;
        match event.kind {
            Kind::State => process.states.push(place),
            Kind::Process => process.introductions.push(place),
            _ => {}
        }
    }

    pub(crate) fn process_of(&self, volume: usize, event: &Event<'_>) -> Option<usize> {
        self.volumes[volume].processes.get(&event.process?).copied()
    }

    pub(crate) fn site_of(&self, volume: usize, event: &Event<'_>) -> Option<usize> {
        self.volumes[volume].sites.get(&event.site?).copied()
    }

    pub(crate) fn row(&self, volume: usize, event: &Event<'_>) -> Row {
        Row {
            id: event.id,
            time: event.time,
            kind: event.kind,
            process: self.process_of(volume, event),
            site: self.site_of(volume, event),
            segment: volume,
            payload: event.payload.to_vec(),
        }
    }

    /// The event at a place.
    pub(crate) fn row_at(&self, place: Place) -> Option<Row> {
        let volume = place.segment as usize;
        let offset = self.blocks.get(place.block as usize)?.offset;
        let block = self.volumes.get(volume)?.segment.block(offset)?;
        let event = block.events().flatten().find(|event| event.id == place.id)?;
        Some(self.row(volume, &event))
    }

    /// The definitions that rows of a segment refer to.
    pub fn table(&self, segment: usize) -> Table {
        self.volumes.get(segment).map(|volume| Arc::clone(&volume.table)).unwrap_or_default()
    }

    /// All processes, in the order in which they were seen.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process with these numbers.
    pub fn process(&self, pid: Pid) -> Option<usize> {
        self.by_pid.get(&pid).copied()
    }

    /// All sites, in the order in which they were seen.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// What is missing, in the order in which it was found.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether events may be missing between two times, both included.
    pub fn has_gap(&self, from: Nanos, to: Nanos) -> bool {
        self.paused.is_some_and(|since| since < to)
            || self.gaps.iter().any(|gap| gap.from <= to && gap.to >= from)
    }

    /// What could not be read.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Bytes of the segments up to the end of their last blocks.
    pub fn bytes(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.scanned as u64).sum()
    }

    /// The earliest and the latest time of an event.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        self.span
    }

    /// Number of the next event.
    pub fn next_event(&self) -> u64 {
        self.events
    }
}

fn read_gap(mut payload: &[u8]) -> Option<Gap> {
    let cause = LossCause::from_number(u8::try_from(varint::take(&mut payload).ok()?).ok()?)?;
    let mut number = || match value::take(&mut payload) {
        Ok(Token::Integer(number)) => Some(number as u64),
        _ => None,
    };
    Some(Gap { cause, count: number()?, from: Nanos(number()?), to: Nanos(number()?) })
}
