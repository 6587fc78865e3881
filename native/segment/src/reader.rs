//! Reading a segment, while it grows or after its writer is gone.

use crate::block::Block;
use crate::layout::{ALIGN, BLOCK_HEAD, BLOCK_MAGIC, BlockHead, SEGMENT_HEAD, SegmentHead};
use elixir_scope_clock::Nanos;
use elixir_scope_mapping::AppendMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A part of a segment that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The first byte that cannot be read.
    pub offset: u64,
    /// How many bytes were passed over.
    pub bytes: u64,
    /// What was expected there, and what came.
    pub what: String,
}

/// One segment. Cheap to share.
pub struct Segment {
    path: PathBuf,
    head: SegmentHead,
    map: Arc<AppendMap>,
    /// Whether its writer has given back the room that it did not use: then nothing follows the last block.
    sealed: bool,
}

impl Segment {
    pub(crate) fn new(path: PathBuf, head: SegmentHead, map: Arc<AppendMap>) -> Self {
        Segment { path, head, map, sealed: false }
    }

    /// Opens a file that its writer has sealed.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_sealed(path: &Path) -> Result<Self, Damage> {
        Ok(Segment { sealed: true, ..Self::open(path)? })
    }

    /// Opens a file that nobody writes any more. Its writer may have been killed: then it ends in the zeroes that it
    /// was made of, or in a block that was not finished.
    ///
    /// # Errors
    /// A [`Damage`] of the whole file, when it cannot be opened or its header is wrong.
    pub fn open(path: &Path) -> Result<Self, Damage> {
        Self::over(path, AppendMap::open(path))
    }

    /// Opens a file that another process may still write: the blocks that are whole now, and no more later.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_growing(path: &Path) -> Result<Self, Damage> {
        let map = File::open(path).and_then(|file| AppendMap::open_prefix(&file, whole_blocks(&file)?));
        Self::over(path, map)
    }

    /// Whether a file was made for a segment by a process that died before it wrote the header: it never held
    /// anything.
    pub fn never_began(path: &Path) -> bool {
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut start));
        read.is_ok() && start.iter().all(|byte| *byte == 0)
    }

    fn over(path: &Path, map: io::Result<Arc<AppendMap>>) -> Result<Self, Damage> {
        let damage = |bytes, what| Damage { file: path.to_path_buf(), offset: 0, bytes, what };
        let map = map.map_err(|error| damage(0, format!("expected to map the file: {error}")))?;
        let head = SegmentHead::parse(map.bytes()).map_err(|what| damage(map.bytes().len() as u64, what))?;
        Ok(Segment::new(path.to_path_buf(), head, map))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the header says.
    pub fn head(&self) -> SegmentHead {
        self.head
    }

    /// Bytes that can be read now.
    pub fn len(&self) -> usize {
        self.map.bytes().len()
    }

    /// Whether there is no block yet.
    pub fn is_empty(&self) -> bool {
        self.len() <= SEGMENT_HEAD
    }

    /// Says that it will not be read for a while: it takes no memory until it is.
    pub fn release(&self) {
        self.map.release();
    }

    /// The latest time of an event, by the heads of its blocks alone.
    pub fn latest(&self) -> Nanos {
        let (bytes, mut offset, mut latest) = (self.map.bytes(), SEGMENT_HEAD, Nanos(0));
        while let Some(head) = bytes.get(offset..).and_then(BlockHead::parse) {
            latest = latest.max(head.latest);
            offset += head.span();
        }
        latest
    }

    /// The block at an offset that [`Segment::scan`] gave; its checksum is not looked at again.
    pub fn block(&self, offset: usize) -> Option<Block<'_>> {
        let bytes = self.map.bytes().get(offset..)?;
        let head = BlockHead::parse(bytes)?;
        let body = bytes.get(BLOCK_HEAD..)?.get(..head.body as usize)?;
        block(head, offset, body).ok()
    }

    /// The blocks from `offset` on (0: all), checked, with whatever damage lies between them. The last item of a
    /// whole scan leaves [`Scan::offset`] at the place to go on from when the segment has grown.
    pub fn scan(&self, offset: usize) -> Scan<'_> {
        Scan { segment: self, bytes: self.map.bytes(), offset: offset.max(SEGMENT_HEAD) }
    }
}

/// A block of its parts.
fn block(head: BlockHead, offset: usize, body: &[u8]) -> Result<Block<'_>, &'static str> {
    let (front, records) = body
        .split_at_checked(head.front as usize)
        .ok_or("expected the front of a block to lie within its body, it does not")?;
    Ok(Block::new(head, offset, front, records))
}

/// Where the last block ends whose head is whole. Read, not mapped: the file may become shorter behind it.
fn whole_blocks(file: &File) -> io::Result<usize> {
    let mut end = SEGMENT_HEAD as u64;
    let mut head = [0; BLOCK_HEAD];
    while file.read_exact_at(&mut head, end).is_ok() {
        let Some(block) = BlockHead::parse(&head) else { break };
        end += block.span() as u64;
    }
    Ok(end.min(file.metadata()?.len()) as usize)
}

/// A walk over the blocks of a segment.
pub struct Scan<'a> {
    segment: &'a Segment,
    bytes: &'a [u8],
    offset: usize,
}

impl Scan<'_> {
    /// Where the bytes end that it looks at.
    pub fn end(&self) -> usize {
        self.bytes.len()
    }

    /// Where the next block is looked for.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<Block<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if rest.is_empty() || self.ends_here(rest) {
            return None;
        }
        let mut pass = None;
        let what = match BlockHead::parse(rest) {
            None => "expected the head of a block, its magic or checksum does not match",
            Some(head) => match rest.get(BLOCK_HEAD..).and_then(|body| body.get(..head.body as usize)) {
                None => "expected the whole body of a block, the file ends within it",
                Some(body) if crc32fast::hash(body) != head.sum => {
                    pass = Some(head.span().min(rest.len()));
                    "expected the checksum of a block's body to match, it does not"
                }
                Some(body) => {
                    let found = block(head, self.offset, body);
                    let next = self.bytes.len().min(self.offset + head.span());
                    match found {
                        Ok(block) => {
                            self.offset = next;
                            return Some(Ok(block));
                        }
                        Err(what) => {
                            pass = Some(next - self.offset);
                            what
                        }
                    }
                }
            },
        };
        let found = pass.unwrap_or_else(|| self.resume(rest));
        let damage = Damage {
            file: self.segment.path.clone(),
            offset: self.offset as u64,
            bytes: found as u64,
            what: what.into(),
        };
        self.offset += found;
        Some(Err(damage))
    }
}

impl Scan<'_> {
    /// Whether the writer came no further: a block is written before the first word of its head, so that is still zero, and
    /// nothing whole follows. A head that was lost later has blocks behind it, or lies in a file that was sealed.
    fn ends_here(&self, rest: &[u8]) -> bool {
        let unwritten = rest.iter().take(8).all(|byte| *byte == 0);
        unwritten && !self.segment.sealed && self.resume(rest) == rest.len()
    }

    /// Bytes to pass over: up to the next head of a block that is whole, or to the end.
    fn resume(&self, rest: &[u8]) -> usize {
        // Blocks begin at multiples of ALIGN in the file. The magic is looked at first: the room that a killed writer
        // left is megabytes of zeroes.
        let mut starts = (ALIGN - self.offset % ALIGN..rest.len()).step_by(ALIGN);
        let begins =
            |at: &usize| rest[*at..].starts_with(&BLOCK_MAGIC) && BlockHead::parse(&rest[*at..]).is_some();
        starts.find(begins).unwrap_or(rest.len())
    }
}
