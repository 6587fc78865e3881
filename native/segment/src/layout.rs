//! Where each field lies. Numbers are little-endian.

use elixir_scope_clock::Nanos;

/// The version of the format that this code writes, and the only one that it reads.
pub const VERSION: u32 = 2;

/// The first bytes of a segment file.
pub const SEGMENT_MAGIC: [u8; 8] = *b"ESSEGMNT";

/// The first bytes of a block.
pub const BLOCK_MAGIC: [u8; 4] = *b"ESBK";

/// Bytes of the header of a segment.
pub const SEGMENT_HEAD: usize = 32;

/// Bytes of the head of a block.
pub const BLOCK_HEAD: usize = 64;

/// Blocks begin at multiples of this.
pub const ALIGN: usize = 8;

/// The tag of a definition among the records of a block; event kinds have the other numbers.
pub const DEFINITION: u8 = 0;

/// The header of a segment.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | magic `ESSEGMNT` |
/// | 8 | 4 | format version |
/// | 12 | 4 | number of the segment in its run, from 1 |
/// | 16 | 8 | number of the first event |
/// | 24 | 4 | zero |
/// | 28 | 4 | CRC-32 of bytes 0 to 27 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Format version.
    pub version: u32,
    /// Number of the segment in its run, from 1.
    pub number: u32,
    /// Number of its first event.
    pub first_event: u64,
}

impl SegmentHead {
    /// The bytes of the header.
    pub fn to_bytes(self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[0..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_event.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..28]);
        bytes[28..32].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The header of a file, or what was expected instead.
    ///
    /// # Errors
    /// A sentence that says what was expected and what came.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let head = bytes.first_chunk::<SEGMENT_HEAD>();
        let head =
            head.ok_or_else(|| format!("expected a header of {SEGMENT_HEAD} bytes, found {}", bytes.len()))?;
        if head[0..8] != SEGMENT_MAGIC {
            return Err(format!(
                "expected the magic ESSEGMNT, found {:?}",
                head[0..8].escape_ascii().to_string()
            ));
        }
        let (version, sum) = (u32_at(head, 8), u32_at(head, 28));
        if version != VERSION {
            return Err(format!("expected format version {VERSION}, found {version}"));
        }
        if sum != crc32fast::hash(&head[..28]) {
            return Err("expected the header's checksum to match, it does not".into());
        }
        Ok(SegmentHead { version, number: u32_at(head, 12), first_event: u64_at(head, 16) })
    }
}

/// The head of a block.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `ESBK` |
/// | 4 | 4 | bytes of the body |
/// | 8 | 8 | number of the first event |
/// | 16 | 4 | events |
/// | 20 | 4 | number of the first definition |
/// | 24 | 8 | time of the first event; each event gives its distance to the one before |
/// | 32 | 8 | earliest time |
/// | 40 | 8 | latest time |
/// | 48 | 4 | ring marks |
/// | 52 | 4 | CRC-32 of the body |
/// | 56 | 4 | definitions |
/// | 60 | 4 | CRC-32 of bytes 0 to 59 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// Bytes of the body.
    pub body: u32,
    /// Number of the first event.
    pub first_event: u64,
    /// Events in the block.
    pub events: u32,
    /// Number of the first definition.
    pub first_definition: u32,
    /// Definitions in the block.
    pub definitions: u32,
    /// Time of the first event.
    pub base: Nanos,
    /// Earliest time.
    pub earliest: Nanos,
    /// Latest time.
    pub latest: Nanos,
    /// Ring marks at the front of the body.
    pub marks: u32,
    /// CRC-32 of the body.
    pub sum: u32,
}

impl BlockHead {
    /// The bytes of the head.
    pub fn to_bytes(self) -> [u8; BLOCK_HEAD] {
        let mut bytes = [0; BLOCK_HEAD];
        bytes[0..4].copy_from_slice(&BLOCK_MAGIC);
        bytes[4..8].copy_from_slice(&self.body.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first_event.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.events.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.first_definition.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.earliest.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.latest.0.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.marks.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.sum.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.definitions.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..60]);
        bytes[60..64].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The head at the front of the bytes, when its magic and checksum are right.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<BLOCK_HEAD>()?;
        if head[0..4] != BLOCK_MAGIC || u32_at(head, 60) != crc32fast::hash(&head[..60]) {
            return None;
        }
        Some(BlockHead {
            body: u32_at(head, 4),
            first_event: u64_at(head, 8),
            events: u32_at(head, 16),
            first_definition: u32_at(head, 20),
            base: Nanos(u64_at(head, 24)),
            earliest: Nanos(u64_at(head, 32)),
            latest: Nanos(u64_at(head, 40)),
            marks: u32_at(head, 48),
            sum: u32_at(head, 52),
            definitions: u32_at(head, 56),
        })
    }

    /// Bytes from this block's first byte to the next block's.
    pub fn span(&self) -> usize {
        BLOCK_HEAD + (self.body as usize).next_multiple_of(ALIGN)
    }
}

fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}
