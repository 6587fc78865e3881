//! Writing blocks to a new file.

use crate::builder::BlockBuilder;
use crate::layout::{ALIGN, BLOCK_HEAD, BlockHead, SEGMENT_HEAD, SegmentHead, VERSION};
use crate::reader::Segment;
use elixir_scope_mapping::Appender;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The one writer of a segment.
pub struct SegmentWriter {
    file: Appender,
    segment: Arc<Segment>,
    next_event: u64,
    next_definition: u32,
    front: Vec<u8>,
}

impl SegmentWriter {
    /// Makes a new segment with room for `capacity` bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path, capacity: usize, number: u32, first_event: u64) -> io::Result<Self> {
        let file = Appender::create(path, capacity.max(SEGMENT_HEAD + BLOCK_HEAD))?;
        Ok(Self::over(file, path, number, first_event, false))
    }

    /// As [`SegmentWriter::create`], for what is still needed of segments that are to be removed.
    ///
    /// # Errors
    /// What the system says.
    pub fn create_remnant(path: &Path, capacity: usize, number: u32) -> io::Result<Self> {
        let file = Appender::create(path, capacity.max(SEGMENT_HEAD + BLOCK_HEAD))?;
        Ok(Self::over(file, path, number, 0, true))
    }

    /// Makes a segment in memory, for what was found outside the files of a run. `path` names where that was.
    ///
    /// # Errors
    /// What the system says.
    pub fn in_memory(path: &Path, capacity: usize, number: u32, first_event: u64) -> io::Result<Self> {
        let file = Appender::in_memory(capacity.max(SEGMENT_HEAD + BLOCK_HEAD))?;
        Ok(Self::over(file, path, number, first_event, false))
    }

    fn over(mut file: Appender, path: &Path, number: u32, first_event: u64, remnant: bool) -> Self {
        let head = SegmentHead { version: VERSION, number, first_event, remnant, packed: false };
        assert!(file.append(&head.to_bytes(), &[]), "the file was made with room for its header");
        let segment = Arc::new(Segment::new(path.to_path_buf(), head, file.reader()));
        SegmentWriter { file, segment, next_event: first_event, next_definition: 0, front: Vec::new() }
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

    /// The next event has this number: in a remnant many are left out.
    pub fn skip_to(&mut self, event: u64) {
        self.next_event = event;
    }

    /// Writes the records as a block and empties the builder. `false`, and nothing is written or emptied, when the
    /// segment has no room for it.
    pub fn append(&mut self, builder: &mut BlockBuilder) -> bool {
        self.front.clear();
        let places = builder.front(&mut self.front);
        let (front, records) = (&self.front[..], builder.records());
        let mut sum = crc32fast::Hasher::new();
        sum.update(front);
        sum.update(records);
        let (earliest, latest, until) = builder.times();
        let head = BlockHead {
            body: (front.len() + records.len()) as u32,
            first_event: self.next_event,
            events: builder.events(),
            first_definition: self.next_definition,
            definitions: builder.defined(),
            front: front.len() as u32,
            places,
            unpacked: 0,
            earliest,
            latest,
            until,
            sum: sum.finalize(),
        };
        let padding = &[0; ALIGN][..head.span() - BLOCK_HEAD - head.body as usize];
        if !self.file.append(&head.to_bytes(), &[front, records, padding]) {
            return false;
        }
        self.next_event = head.end();
        self.next_definition += head.definitions;
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
