//! Where each field lies. Numbers are little-endian.

use elixir_scope_clock::Nanos;

/// The version of the format that this code writes, and the only one that it reads.
pub const VERSION: u32 = 3;

/// What to do about bytes of another version of the format.
pub fn other_version(found: u32) -> String {
    let advice = match found {
        1 | 2 => "ElixirScope 0.1 wrote it and opens it",
        newer if newer > VERSION => "a newer ElixirScope wrote it and opens it",
        _ => "no ElixirScope wrote it",
    };
    format!("expected format version {VERSION}, found {found}: {advice}")
}

/// The first bytes of a segment file.
pub const SEGMENT_MAGIC: [u8; 8] = *b"ESSEGMNT";

/// The first bytes of a block.
pub const BLOCK_MAGIC: [u8; 4] = *b"ESBK";

/// Bytes of the header of a segment.
pub const SEGMENT_HEAD: usize = 32;

/// Bytes of the head of a block.
pub const BLOCK_HEAD: usize = 72;

/// Blocks begin at multiples of this.
pub const ALIGN: usize = 8;

/// Set in the first byte of a record: it came through the same ring as the one before.
pub const SAME_RING: u8 = 0x20;

/// Likewise: of the same process.
pub const SAME_PROCESS: u8 = 0x40;

/// Likewise: its payload is a number and nothing else, and has no length.
pub const BARE: u8 = 0x80;

/// The rest of that byte: the kind.
pub const KIND: u8 = 0x1F;

/// At least every so many events one can be read without those before it.
pub const SYNC: u32 = 128;

/// The header of a segment.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | magic `ESSEGMNT` |
/// | 8 | 4 | format version |
/// | 12 | 4 | number of the segment in its run, from 1 |
/// | 16 | 8 | number of the first event |
/// | 24 | 4 | flags: 1 a remnant, 2 packed |
/// | 28 | 4 | CRC-32 of bytes 0 to 27 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Format version.
    pub version: u32,
    /// Number of the segment in its run, from 1.
    pub number: u32,
    /// Number of its first event.
    pub first_event: u64,
    /// Whether it holds what is still needed of segments that were removed, and not all events of its time.
    pub remnant: bool,
    /// Whether its records were packed after it had been sealed.
    pub packed: bool,
}

impl SegmentHead {
    /// The bytes of the header.
    pub fn to_bytes(self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[0..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_event.to_le_bytes());
        bytes[24] = u8::from(self.remnant) | u8::from(self.packed) << 1;
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
            return Err(other_version(version));
        }
        if sum != crc32fast::hash(&head[..28]) {
            return Err("expected the header's checksum to match, it does not".into());
        }
        let flags = u32_at(head, 24);
        Ok(SegmentHead {
            version,
            number: u32_at(head, 12),
            first_event: u64_at(head, 16),
            remnant: flags & 1 != 0,
            packed: flags & 2 != 0,
        })
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
/// | 24 | 4 | definitions |
/// | 28 | 4 | bytes of the front, with which the body begins; the rest are the records |
/// | 32 | 4 | offset of the places within the front |
/// | 36 | 4 | bytes of the records when they are unpacked; 0: they are not packed |
/// | 40 | 8 | earliest time |
/// | 48 | 8 | latest time |
/// | 56 | 8 | until when the recording is complete with this block |
/// | 64 | 4 | CRC-32 of the body |
/// | 68 | 4 | CRC-32 of bytes 0 to 67 |
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
    /// Bytes of the front.
    pub front: u32,
    /// Offset of the places within the front.
    pub places: u32,
    /// Bytes of the records when they are unpacked; 0: they are not packed.
    pub unpacked: u32,
    /// Earliest time.
    pub earliest: Nanos,
    /// Latest time.
    pub latest: Nanos,
    /// Until when the recording is complete with this block.
    pub until: Nanos,
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
        bytes[24..28].copy_from_slice(&self.definitions.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.front.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.places.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.unpacked.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.earliest.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.latest.0.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.until.0.to_le_bytes());
        bytes[64..68].copy_from_slice(&self.sum.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..68]);
        bytes[68..72].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The head at the front of the bytes, when its magic and checksum are right.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<BLOCK_HEAD>()?;
        if head[0..4] != BLOCK_MAGIC || u32_at(head, 68) != crc32fast::hash(&head[..68]) {
            return None;
        }
        Some(BlockHead {
            body: u32_at(head, 4),
            first_event: u64_at(head, 8),
            events: u32_at(head, 16),
            first_definition: u32_at(head, 20),
            definitions: u32_at(head, 24),
            front: u32_at(head, 28),
            places: u32_at(head, 32),
            unpacked: u32_at(head, 36),
            earliest: Nanos(u64_at(head, 40)),
            latest: Nanos(u64_at(head, 48)),
            until: Nanos(u64_at(head, 56)),
            sum: u32_at(head, 64),
        })
    }

    /// Number of the event after the last of the block.
    pub fn end(&self) -> u64 {
        self.first_event.saturating_add(u64::from(self.events))
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
