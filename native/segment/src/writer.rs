//! Building blocks and writing them to a new file.

use crate::block::RingMark;
use crate::layout::{ALIGN, BLOCK_HEAD, BlockHead, DEFINITION, SEGMENT_HEAD, SegmentHead, VERSION};
use crate::reader::Segment;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Kind, codec, varint};
use elixir_scope_mapping::Appender;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Collects records until they are written as one block. Its memory is used again.
#[derive(Default)]
pub struct BlockBuilder {
    records: Vec<u8>,
    body: Vec<u8>,
    marks: Vec<RingMark>,
    events: u32,
    definitions: u32,
    times: Option<Times>,
}

#[derive(Clone, Copy)]
struct Times {
    base: Nanos,
    last: Nanos,
    earliest: Nanos,
    latest: Nanos,
}

impl BlockBuilder {
    /// Adds a definition. Its number is the count of definitions before it in the segment.
    pub fn define(&mut self, definition: &Definition) {
        self.records.push(DEFINITION);
        let bytes = codec::encode(definition);
        varint::put(&mut self.records, bytes.len() as u64);
        self.records.extend_from_slice(&bytes);
        self.definitions += 1;
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
        let start = Times { base: time, last: time, earliest: time, latest: time };
        let times = self.times.get_or_insert(start);
        let distance = time.0.wrapping_sub(times.last.0) as i64;
        times.last = time;
        times.earliest = times.earliest.min(time);
        times.latest = times.latest.max(time);
        let out = &mut self.records;
        out.push(kind as u8);
        varint::put(out, u64::from(ring));
        varint::put(out, varint::zigzag(distance));
        varint::put(out, process.map_or(0, |number| u64::from(number) + 1));
        varint::put(out, site.map_or(0, |number| u64::from(number) + 1));
        varint::put(out, payload.len() as u64);
        out.extend_from_slice(payload);
        self.events += 1;
    }

    /// Says how far a ring has been read with the events so far. The last word counts.
    pub fn mark(&mut self, mark: RingMark) {
        self.marks.retain(|known| known.ring != mark.ring);
        self.marks.push(mark);
    }

    /// Bytes of the records so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Events so far.
    pub fn events(&self) -> u32 {
        self.events
    }

    fn clear(&mut self) {
        self.records.clear();
        self.marks.clear();
        (self.events, self.definitions, self.times) = (0, 0, None);
    }
}

/// The one writer of a segment.
pub struct SegmentWriter {
    file: Appender,
    segment: Arc<Segment>,
    next_event: u64,
    next_definition: u32,
}

impl SegmentWriter {
    /// Makes a new segment with room for `capacity` bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path, capacity: usize, number: u32, first_event: u64) -> io::Result<Self> {
        let file = Appender::create(path, capacity.max(SEGMENT_HEAD + BLOCK_HEAD))?;
        Ok(Self::over(file, path, number, first_event))
    }

    /// Makes a segment in memory, for what was found outside the files of a run. `path` names where that was.
    ///
    /// # Errors
    /// What the system says.
    pub fn in_memory(path: &Path, capacity: usize, number: u32, first_event: u64) -> io::Result<Self> {
        let file = Appender::in_memory(capacity.max(SEGMENT_HEAD + BLOCK_HEAD))?;
        Ok(Self::over(file, path, number, first_event))
    }

    fn over(mut file: Appender, path: &Path, number: u32, first_event: u64) -> Self {
        let head = SegmentHead { version: VERSION, number, first_event };
        assert!(file.append(&head.to_bytes(), &[]), "the file was made with room for its header");
        let segment = Arc::new(Segment::new(path.to_path_buf(), head, file.reader()));
        SegmentWriter { file, segment, next_event: first_event, next_definition: 0 }
    }

    /// The side for readers; it sees each block as soon as it is written.
    pub fn segment(&self) -> Arc<Segment> {
        Arc::clone(&self.segment)
    }

    /// Number of the next event.
    pub fn next_event(&self) -> u64 {
        self.next_event
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.file.len()
    }

    /// Whether no block was written yet.
    pub fn is_empty(&self) -> bool {
        self.file.len() <= SEGMENT_HEAD
    }

    /// Writes the records as a block and empties the builder. `false`, and nothing is written or emptied, when the
    /// segment has no room for it.
    pub fn append(&mut self, builder: &mut BlockBuilder) -> bool {
        builder.body.clear();
        for mark in &builder.marks {
            for number in [u64::from(mark.ring), mark.tail, mark.lost_full, mark.lost_oversize] {
                varint::put(&mut builder.body, number);
            }
        }
        builder.body.extend_from_slice(&builder.records);
        let zero = Times { base: Nanos(0), last: Nanos(0), earliest: Nanos(0), latest: Nanos(0) };
        let times = builder.times.unwrap_or(zero);
        let head = BlockHead {
            body: builder.body.len() as u32,
            first_event: self.next_event,
            events: builder.events,
            first_definition: self.next_definition,
            definitions: builder.definitions,
            base: times.base,
            earliest: times.earliest,
            latest: times.latest,
            marks: builder.marks.len() as u32,
            sum: crc32fast::hash(&builder.body),
        };
        let padding = [0; ALIGN];
        let padding = &padding[..head.span() - BLOCK_HEAD - builder.body.len()];
        if !self.file.append(&head.to_bytes(), &[&builder.body, padding]) {
            return false;
        }
        self.next_event = self.next_event.saturating_add(u64::from(builder.events));
        self.next_definition += builder.definitions;
        builder.clear();
        true
    }

    /// Closes the file: the room that was not used is given back.
    ///
    /// # Errors
    /// What the system says; the segment is whole all the same.
    pub fn seal(&mut self) -> io::Result<()> {
        self.file.finish()
    }
}
