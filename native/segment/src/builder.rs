//! Collecting the records of a block, and what its front says of them.

use crate::block::is_number;
use crate::front::{Calibration, Contents, Front, Place, ProcessEntry, RingMark, SiteEntry, Sync};
use crate::layout::{BARE, SAME_PROCESS, SAME_RING, SYNC};
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Kind, codec, varint};

/// Collects records until they are written as one block. Its memory is used again.
#[derive(Default)]
pub struct BlockBuilder {
    calibration: Calibration,
    marks: Vec<RingMark>,
    definitions: Vec<u8>,
    defined: u32,
    records: Vec<u8>,
    events: u32,
    before: Option<Before>,
    span: Option<(Nanos, Nanos)>,
    until: Nanos,
    kinds: [u32; 32],
    processes: Entries<ProcessEntry>,
    sites: Entries<SiteEntry>,
    places: Vec<Place>,
    syncs: Vec<Sync>,
}

#[derive(Clone, Copy)]
struct Before {
    ring: u32,
    process: Option<u32>,
    time: Nanos,
}

/// Entries by number of definition.
struct Entries<T> {
    list: Vec<T>,
    by_number: AHashMap<u32, u32>,
    /// The entry that was asked for last: events of one process come together.
    last: Option<(u32, u32)>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries { list: Vec::new(), by_number: AHashMap::new(), last: None }
    }
}

impl<T> Entries<T> {
    #[inline]
    fn get(&mut self, number: u32, new: impl FnOnce() -> T) -> &mut T {
        let at = match self.last {
            Some((last, at)) if last == number => at,
            _ => *self.by_number.entry(number).or_insert_with(|| {
                self.list.push(new());
                self.list.len() as u32 - 1
            }),
        };
        self.last = Some((number, at));
        &mut self.list[at as usize]
    }

    fn clear(&mut self) {
        self.list.clear();
        self.by_number.clear();
        self.last = None;
    }
}

impl BlockBuilder {
    /// Adds a definition. Its number is the count of definitions before it in the segment.
    pub fn define(&mut self, definition: &Definition) {
        let bytes = codec::encode(definition);
        varint::put(&mut self.definitions, bytes.len() as u64);
        self.definitions.extend_from_slice(&bytes);
        self.defined += 1;
    }

    /// Adds an event. `process` and `site` are numbers of definitions of the segment.
    #[inline]
    pub fn event(
        &mut self,
        kind: Kind,
        ring: u32,
        time: Nanos,
        (process, site): (Option<u32>, Option<u32>),
        payload: &[u8],
    ) {
        let placed = kind.is_state()
            || matches!(kind, Kind::Process | Kind::Gap | Kind::Pause | Kind::Resume | Kind::Mark);
        let synced = self.events.is_multiple_of(SYNC);
        let (ordinal, offset) = (self.events, self.records.len() as u32);
        if placed {
            self.places.push(Place { ordinal, offset, kind, process, time });
        }
        if synced {
            self.syncs.push(Sync { offset, time });
        }
        let before = self.before.filter(|_| !placed && !synced);
        let same_ring = before.is_some_and(|before| before.ring == ring);
        let same_process = before.is_some_and(|before| before.process == process);
        let bare = is_number(payload);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let out = &mut self.records;
        out.push(kind as u8 | flag(same_ring, SAME_RING) | flag(same_process, SAME_PROCESS) | flag(bare, BARE));
        if !same_ring {
            varint::put(out, u64::from(ring));
        }
        // The time of the first is told by the front alone: which time is the earliest is not known yet.
        let distance = self.before.map_or(0, |before| time.0.wrapping_sub(before.time.0) as i64);
        varint::put(out, varint::zigzag(distance));
        if !same_process {
            varint::put(out, process.map_or(0, |number| u64::from(number) + 1));
        }
        varint::put(out, site.map_or(0, |number| u64::from(number) + 1));
        if !bare {
            varint::put(out, payload.len() as u64);
        }
        out.extend_from_slice(payload);
        self.before = Some(Before { ring, process, time });
        self.events += 1;
        self.enter(kind, time, process, site);
    }

    #[inline]
    fn enter(&mut self, kind: Kind, time: Nanos, process: Option<u32>, site: Option<u32>) {
        let (earliest, latest) = self.span.unwrap_or((time, time));
        self.span = Some((earliest.min(time), latest.max(time)));
        self.kinds[kind as usize] += 1;
        if let Some(process) = process {
            let new = || ProcessEntry { process, events: 0, states: 0, first: time, last: time };
            let entry = self.processes.get(process, new);
            entry.events += 1;
            entry.states += u32::from(kind.is_state());
            entry.first = entry.first.min(time);
            entry.last = entry.last.max(time);
        }
        if let Some(site) = site {
            self.sites.get(site, || SiteEntry { site, events: 0 }).events += 1;
        }
    }

    /// Says how far a ring has been read with the events so far. The last word counts.
    pub fn mark(&mut self, mark: RingMark) {
        self.marks.retain(|known| known.ring != mark.ring);
        self.marks.push(mark);
    }

    /// Says what times are made with from now on.
    pub fn calibrate(&mut self, calibration: Calibration) {
        self.calibration = calibration;
    }

    /// Says until when the recording is complete with the events so far.
    pub fn complete(&mut self, until: Nanos) {
        self.until = self.until.max(until);
    }

    /// Bytes of the records and definitions so far.
    pub fn len(&self) -> usize {
        self.records.len() + self.definitions.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.defined == 0
    }

    /// Events so far.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Definitions so far.
    pub(crate) fn defined(&self) -> u32 {
        self.defined
    }

    /// The records so far.
    pub(crate) fn records(&self) -> &[u8] {
        &self.records
    }

    /// The earliest and the latest time, and until when the recording is complete.
    pub(crate) fn times(&self) -> (Nanos, Nanos, Nanos) {
        let (earliest, latest) = self.span.unwrap_or((self.until, self.until));
        (earliest, latest, self.until)
    }

    /// Writes the front; the answer is where its places begin.
    pub(crate) fn front(&self, out: &mut Vec<u8>) -> u32 {
        let BlockBuilder { kinds, processes, sites, places, syncs, .. } = self;
        let contents = Contents { kinds, processes: &processes.list, sites: &sites.list, places, syncs };
        Front::write(out, &self.calibration, &self.marks, &self.definitions, &contents, self.times().0)
    }

    /// Forgets what was written. What holds on, the calibration and until when all is complete, stays.
    pub(crate) fn clear(&mut self) {
        self.marks.clear();
        self.definitions.clear();
        self.records.clear();
        self.places.clear();
        self.syncs.clear();
        self.processes.clear();
        self.sites.clear();
        (self.defined, self.events, self.kinds) = (0, 0, [0; 32]);
        (self.before, self.span) = (None, None);
    }
}
