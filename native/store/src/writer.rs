//! From records in the VM's words to events in segments.

use crate::{Meaning, RunPath, Shelf, StoreError};
use ahash::AHashMap;
use elixir_scope_clock::{Nanos, Piece};
use elixir_scope_event::{Definition, Gap, Kind, LossCause, Malformed, Record, Site, value, varint};
use elixir_scope_segment::{BlockBuilder, Calibration, RingMark, SegmentWriter};
use std::path::PathBuf;
use std::sync::Arc;

/// How the store grows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a segment; its disk space is reserved when it begins.
    pub segment_bytes: usize,
    /// Bytes of the largest record: a quarter of the largest ring. Where it needs more, a segment is larger than
    /// `segment_bytes`. 0: segments are never larger.
    pub record_bytes: usize,
    /// A segment is sealed when it has been written to for so many nanoseconds, however short it is; `None`: never.
    pub segment_age: Option<u64>,
    /// A block is written when its records reach this many bytes, or when the rings are empty.
    pub block_bytes: usize,
}

impl Limits {
    /// What must be free for one more block: it ends with the record that makes it due, and the front and the definitions
    /// take as much again, with something to spare.
    fn reserve(&self) -> usize {
        2 * (self.block_bytes + self.record_bytes) + (1 << 19)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let (segment_bytes, record_bytes, block_bytes) = (16 << 20, 1 << 20, 64 << 10);
        Limits { segment_bytes, record_bytes, segment_age: None, block_bytes }
    }
}

/// The one writer of a run.
pub struct Writer {
    place: Place,
    limits: Limits,
    shelf: Arc<Shelf>,
    segment: SegmentWriter,
    number: u32,
    block: BlockBuilder,
    /// Numbers of the definitions of this segment, by machine word and by site key.
    words: AHashMap<u64, u32>,
    sites: AHashMap<u64, u32>,
    definitions: u32,
    payload: Vec<u8>,
    /// Until when the recording is complete, and until when it was when the segment got its first block.
    until: Nanos,
    began: Option<Nanos>,
}

enum Place {
    Files(RunPath),
    Memory(PathBuf),
}

impl Writer {
    /// Begins the first segment of a run.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(run: &RunPath, limits: Limits) -> Result<Self, StoreError> {
        let room = if limits.record_bytes > 0 { 2 * limits.reserve() } else { 0 };
        let limits = Limits { segment_bytes: limits.segment_bytes.max(room), ..limits };
        Self::begin(Place::Files(run.clone()), limits, Arc::default(), 1, 0)
    }

    /// Begins segments in memory of `bytes` each, which go on after the segments of a shelf and are put there.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn in_memory(name: PathBuf, bytes: usize, shelf: Arc<Shelf>, first: u64) -> Result<Self, StoreError> {
        let number = shelf.segments().len() as u32 + 1;
        let limits = Limits { segment_bytes: bytes, ..Limits::default() };
        Self::begin(Place::Memory(name), limits, shelf, number, first)
    }

    fn begin(
        place: Place,
        limits: Limits,
        shelf: Arc<Shelf>,
        number: u32,
        first: u64,
    ) -> Result<Self, StoreError> {
        let segment = place.segment(limits.segment_bytes, number, first)?;
        shelf.push(segment.segment());
        Ok(Writer {
            place,
            limits,
            shelf,
            segment,
            number,
            block: BlockBuilder::default(),
            words: AHashMap::new(),
            sites: AHashMap::new(),
            definitions: 0,
            payload: Vec::new(),
            until: Nanos(0),
            began: None,
        })
    }

    /// The segments for readers.
    pub fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf)
    }

    /// Adds a record of a ring. It is in the store after the next [`Writer::commit`].
    ///
    /// # Errors
    /// When the payload is malformed: the record is left out.
    #[inline]
    pub fn push(
        &mut self,
        ring: u32,
        time: Nanos,
        record: &Record<'_>,
        meaning: &dyn Meaning,
    ) -> Result<(), Malformed> {
        self.add(ring, time, record, meaning, |writer, payload| {
            value::translate(record.payload, payload, |word| u64::from(writer.word(word, meaning)))
        })
    }

    /// As [`Writer::push`], for a record whose payload is brief.
    ///
    /// # Errors
    /// As [`Writer::push`].
    #[inline]
    pub fn push_brief(
        &mut self,
        ring: u32,
        time: Nanos,
        record: &Record<'_>,
        meaning: &dyn Meaning,
    ) -> Result<(), Malformed> {
        self.add(ring, time, record, meaning, |writer, payload| {
            let number = |word| u64::from(writer.word(word, meaning));
            value::translate_brief(record.kind, record.payload, payload, number)
        })
    }

    #[inline]
    fn add(
        &mut self,
        ring: u32,
        time: Nanos,
        record: &Record<'_>,
        meaning: &dyn Meaning,
        translate: impl FnOnce(&mut Self, &mut Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let walked = translate(self, &mut payload);
        let process = (record.process != 0).then(|| self.word(record.process, meaning));
        let site = self.site(record.site, meaning);
        if walked.is_ok() {
            self.block.event(record.kind, ring, time, (process, site), &payload);
        }
        self.payload = payload;
        walked
    }

    /// Adds the fact that events are missing. Its time is the beginning of the gap.
    pub fn gap(&mut self, ring: u32, cause: LossCause, count: u64, from: Nanos, to: Nanos) {
        let gap = Gap { cause, count, from, to };
        self.block.event(Kind::Gap, ring, from, (None, None), &gap.payload());
    }

    /// Adds the fact that a site was called so often since this was said last.
    pub fn count(&mut self, site: u64, count: u64, time: Nanos, meaning: &dyn Meaning) {
        let site = self.site(site, meaning);
        let mut payload = Vec::new();
        varint::put(&mut payload, count);
        self.block.event(Kind::Count, u32::MAX, time, (None, site), &payload);
    }

    /// Adds an event of the recording itself, without a process.
    pub fn note(&mut self, kind: Kind, time: Nanos) {
        self.block.event(kind, u32::MAX, time, (None, None), &[0]);
    }

    /// Says what times are made with from now on, and what the system clock says.
    pub fn calibrate(&mut self, piece: Piece, wall: Nanos) {
        self.block.calibrate(Calibration { piece, wall });
    }

    /// Says that everything that happened before this time has been pushed.
    pub fn complete(&mut self, until: Nanos) {
        self.block.complete(until);
        self.until = self.until.max(until);
    }

    /// Writes a block even when nothing was pushed: whoever opens the run later knows how long nothing happened.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn beat(&mut self) -> Result<(), StoreError> {
        self.write()
    }

    /// Says how far a ring has been read with the records pushed so far.
    pub fn mark(&mut self, mark: RingMark) {
        self.block.mark(mark);
    }

    /// Whether the block is large enough to be written.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.block.len() >= self.limits.block_bytes
    }

    /// Events that were pushed and not committed.
    pub fn pending(&self) -> u32 {
        self.block.events()
    }

    /// Whether a commit would write anything.
    pub fn is_pending(&self) -> bool {
        !self.block.is_empty()
    }

    /// How many segments were begun.
    pub fn segments(&self) -> usize {
        self.number as usize
    }

    /// Number of the next event to be committed.
    pub fn next_event(&self) -> u64 {
        self.segment.next_event()
    }

    /// Writes what was pushed. Readers see it from now on.
    ///
    /// # Errors
    /// When a new segment is needed and cannot be made: what was pushed is kept, and may be tried again.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.block.is_empty() { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.append()?;
        self.began.get_or_insert(self.until);
        self.roll()
    }

    fn append(&mut self) -> Result<(), StoreError> {
        if !self.segment.append(&mut self.block) {
            // Numbers of definitions hold within one segment. A block never waits for a new segment: room for the
            // largest is left at the end of each (see `roll`), so this is a segment that was made too small.
            return Err(StoreError::Damaged(
                self.segment.segment().path().to_path_buf(),
                "expected room for a block in the segment; make segments larger".into(),
            ));
        }
        Ok(())
    }

    /// Begins a new segment when the present one may not take another block.
    fn roll(&mut self) -> Result<(), StoreError> {
        // Half a segment is left free at most.
        let reserve = self.limits.reserve().min(self.limits.segment_bytes / 2);
        let full = self.segment.len() + reserve > self.limits.segment_bytes;
        let age = self.began.map_or(0, |began| self.until.0.saturating_sub(began.0));
        let old = self.limits.segment_age.is_some_and(|most| age >= most);
        if !full && !old {
            return Ok(());
        }
        let next = self.place.segment(self.limits.segment_bytes, self.number + 1, self.segment.next_event())?;
        self.number += 1;
        self.shelf.push(next.segment());
        let mut full = std::mem::replace(&mut self.segment, next);
        let path = full.segment().path().to_path_buf();
        self.words.clear();
        self.sites.clear();
        (self.definitions, self.began) = (0, None);
        full.seal().map_err(StoreError::io("seal", path))
    }

    /// Says in the segment that is open that nothing follows, since the disk takes no more: there is room for that. It is not
    /// known how much is missing. `false` when something else waits to be written.
    pub fn give_up(&mut self, now: Nanos) -> bool {
        if !self.block.is_empty() {
            return false;
        }
        self.gap(u32::MAX, LossCause::Disk, 0, now, now);
        self.note(Kind::Pause, now);
        self.segment.append(&mut self.block)
    }

    /// Gives back the room of the last segment that was not used. Nothing may be written afterwards.
    ///
    /// # Errors
    /// What the system says.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        // However full or old the segment is, no other one follows: what ends the run is to be in the last.
        if self.is_pending() {
            self.append()?;
        }
        let path = self.segment.segment().path().to_path_buf();
        self.segment.seal().map_err(StoreError::io("seal", path))
    }

    #[inline]
    fn word(&mut self, word: u64, meaning: &dyn Meaning) -> u32 {
        if let Some(number) = self.words.get(&word) {
            return *number;
        }
        let number = self.define(&meaning.word(word).unwrap_or(Definition::Unknown(word)));
        self.words.insert(word, number);
        number
    }

    #[inline]
    fn site(&mut self, key: u64, meaning: &dyn Meaning) -> Option<u32> {
        if key == 0 {
            return None;
        }
        if let Some(number) = self.sites.get(&key) {
            return Some(*number);
        }
        let site = meaning.site(key).map(|site| Definition::Site(Site::clone(&site)));
        let number = self.define(&site.unwrap_or(Definition::Unknown(key)));
        self.sites.insert(key, number);
        Some(number)
    }

    #[cold]
    fn define(&mut self, definition: &Definition) -> u32 {
        self.block.define(definition);
        self.definitions += 1;
        self.definitions - 1
    }
}

impl Place {
    fn segment(&self, bytes: usize, number: u32, first: u64) -> Result<SegmentWriter, StoreError> {
        match self {
            Place::Files(run) => {
                let path = run.segment(number);
                SegmentWriter::create(&path, bytes, number, first)
                    .map_err(StoreError::io("make the segment", path))
            }
            Place::Memory(name) => {
                let made = SegmentWriter::in_memory(name, bytes, number, first);
                made.map_err(StoreError::io("find memory for", name))
            }
        }
    }
}
