//! The front of a block: what is in the block, so that nobody has to read its records to know.
//!
//! | field | bytes |
//! |---|---|
//! | piece of the line from ticks to time: first tick, time at it, nanoseconds a tick | 8, 8, 8 |
//! | what the system clock said when the block was written | 8 |
//! | ring marks | count, then 4 numbers each |
//! | definitions, as many as the head says | length, bytes by `event::codec` |
//! | kinds | count, then kind (1 byte) and number of events each |
//! | processes | count, then definition, events, states, first time, distance to the last each |
//! | sites | count, then definition and events each |
//! | places | count, then distances in number and bytes to the place before, kind (1 byte), process, zigzag distance in time each |
//! | of the first event and of every 128th after it: where its record begins among the records, and its time | 4, 8 |
//!
//! The parts are written in this order, and an index is built by reading it once, front to back.

use crate::layout::SYNC;
use elixir_scope_clock::{Nanos, Piece, Ticks};
use elixir_scope_event::{Definition, Kind, Malformed, codec, varint};

/// How far a ring had been read when a block was written, and what the ring had lost by then. After a crash, what
/// lies beyond it in the ring is not in the store yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingMark {
    /// The ring's number in its run.
    pub ring: u32,
    /// Bytes read from it.
    pub tail: u64,
    /// Events it had refused because it was full.
    pub lost_full: u64,
    /// Events it had refused because they were too large.
    pub lost_oversize: u64,
}

/// What the times of a block were made with, and the system clock at that moment: how far it has been set since the
/// recording began is the difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The piece of the line from ticks to time.
    pub piece: Piece,
    /// The system clock.
    pub wall: Nanos,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { piece: Piece { from: Ticks(0), at: Nanos(0), rate: 1.0 }, wall: Nanos(0) }
    }
}

/// A process in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// The number of its definition.
    pub process: u32,
    /// Its events.
    pub events: u32,
    /// Those of them that are states.
    pub states: u32,
    /// The time of the first.
    pub first: Nanos,
    /// The time of the last.
    pub last: Nanos,
}

/// A site in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteEntry {
    /// The number of its definition.
    pub site: u32,
    /// Its events.
    pub events: u32,
}

/// A state, an introduction, a gap, a pause or a mark, which can be found without reading the records before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// How many events of the block come before it.
    pub ordinal: u32,
    /// Where its record begins among the records.
    pub offset: u32,
    /// What it is.
    pub kind: Kind,
    /// The number of its process's definition.
    pub process: Option<u32>,
    /// Its time.
    pub time: Nanos,
}

/// The front of a block, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Front {
    /// What its times were made with.
    pub calibration: Calibration,
    /// How far each ring had been read.
    pub marks: Vec<RingMark>,
    /// The definitions.
    pub definitions: Vec<Definition>,
    /// How many events of which kind.
    pub kinds: Vec<(Kind, u32)>,
    /// The processes.
    pub processes: Vec<ProcessEntry>,
    /// The sites.
    pub sites: Vec<SiteEntry>,
}

impl Front {
    /// Reads everything but the places. `earliest` is the block's.
    pub(crate) fn parse(front: &[u8], definitions: u32, earliest: Nanos) -> Result<Self, Malformed> {
        let mut rest = front;
        let calibration = take_calibration(&mut rest)?;
        let marks = take_marks(&mut rest)?;
        let mut found = Front { calibration, marks, ..Front::default() };
        for _ in 0..definitions {
            found.definitions.push(codec::decode(take_bytes(&mut rest)?)?);
        }
        for _ in 0..varint::take(&mut rest)? {
            found.kinds.push((take_kind(&mut rest)?, take_u32(&mut rest)?));
        }
        for _ in 0..varint::take(&mut rest)? {
            let (process, events, states) = (take_u32(&mut rest)?, take_u32(&mut rest)?, take_u32(&mut rest)?);
            let first = Nanos(earliest.0.wrapping_add(varint::take(&mut rest)?));
            let last = Nanos(first.0.wrapping_add(varint::take(&mut rest)?));
            found.processes.push(ProcessEntry { process, events, states, first, last });
        }
        for _ in 0..varint::take(&mut rest)? {
            found.sites.push(SiteEntry { site: take_u32(&mut rest)?, events: take_u32(&mut rest)? });
        }
        Ok(found)
    }

    /// Writes it, with places; the answer is where those begin.
    pub(crate) fn write(
        out: &mut Vec<u8>,
        calibration: &Calibration,
        marks: &[RingMark],
        definitions: &[u8],
        contents: &Contents<'_>,
        earliest: Nanos,
    ) -> u32 {
        let Calibration { piece, wall } = calibration;
        for word in [piece.from.0, piece.at.0, piece.rate.to_bits(), wall.0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        varint::put(out, marks.len() as u64);
        for mark in marks {
            for number in [u64::from(mark.ring), mark.tail, mark.lost_full, mark.lost_oversize] {
                varint::put(out, number);
            }
        }
        out.extend_from_slice(definitions);
        let kinds = || Kind::ALL.iter().zip(Kind::ALL.iter().map(|kind| contents.kinds[*kind as usize]));
        let kinds = || kinds().filter(|(_, events)| *events > 0);
        varint::put(out, kinds().count() as u64);
        for (kind, events) in kinds() {
            out.push(*kind as u8);
            varint::put(out, u64::from(events));
        }
        varint::put(out, contents.processes.len() as u64);
        for entry in contents.processes {
            for number in [entry.process, entry.events, entry.states] {
                varint::put(out, u64::from(number));
            }
            varint::put(out, entry.first.0.wrapping_sub(earliest.0));
            varint::put(out, entry.last.0.wrapping_sub(entry.first.0));
        }
        varint::put(out, contents.sites.len() as u64);
        for entry in contents.sites {
            varint::put(out, u64::from(entry.site));
            varint::put(out, u64::from(entry.events));
        }
        let places = out.len() as u32;
        varint::put(out, contents.places.len() as u64);
        let mut before = (0, 0, earliest);
        for place in contents.places {
            varint::put(out, u64::from(place.ordinal - before.0));
            varint::put(out, u64::from(place.offset - before.1));
            out.push(place.kind as u8);
            varint::put(out, place.process.map_or(0, |number| u64::from(number) + 1));
            varint::put(out, varint::zigzag(place.time.0.wrapping_sub(before.2.0) as i64));
            before = (place.ordinal, place.offset, place.time);
        }
        for sync in contents.syncs {
            out.extend_from_slice(&sync.offset.to_le_bytes());
            out.extend_from_slice(&sync.time.0.to_le_bytes());
        }
        places
    }
}

/// What the front says of the records.
pub(crate) struct Contents<'a> {
    pub(crate) kinds: &'a [u32; 32],
    pub(crate) processes: &'a [ProcessEntry],
    pub(crate) sites: &'a [SiteEntry],
    pub(crate) places: &'a [Place],
    pub(crate) syncs: &'a [Sync],
}

/// Where reading can begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    pub(crate) offset: u32,
    pub(crate) time: Nanos,
}

/// Bytes of a sync.
const SYNC_BYTES: usize = 12;

/// The sync of an event, or of the last one before it that has one; `events` are those of the block.
pub(crate) fn sync(front: &[u8], events: u32, ordinal: u32) -> Option<Sync> {
    let from_end = events.div_ceil(SYNC).checked_sub(ordinal / SYNC)? as usize;
    let start = front.len().checked_sub(from_end * SYNC_BYTES)?;
    let (offset, rest) = front[start..].split_first_chunk::<4>()?;
    let time = rest.first_chunk::<8>()?;
    Some(Sync { offset: u32::from_le_bytes(*offset), time: Nanos(u64::from_le_bytes(*time)) })
}

/// The ring marks alone.
pub(crate) fn marks(front: &[u8]) -> Result<Vec<RingMark>, Malformed> {
    let mut rest = front;
    take_calibration(&mut rest)?;
    take_marks(&mut rest)
}

/// The places; `rest` begins with them. After an error there are no more.
pub(crate) fn places(rest: &[u8], earliest: Nanos) -> impl Iterator<Item = Result<Place, Malformed>> {
    let mut rest = rest;
    let count = varint::take(&mut rest);
    let mut failed = count.err();
    let mut left = count.unwrap_or_default();
    let mut before = (0u32, 0u32, earliest);
    std::iter::from_fn(move || {
        if let Some(error) = failed.take() {
            return Some(Err(error));
        }
        left = left.checked_sub(1)?;
        let place = take_place(&mut rest, before);
        match &place {
            Ok(place) => before = (place.ordinal, place.offset, place.time),
            Err(_) => left = 0,
        }
        Some(place)
    })
}

fn take_place(rest: &mut &[u8], before: (u32, u32, Nanos)) -> Result<Place, Malformed> {
    let too_far = Malformed("a place within its block");
    Ok(Place {
        ordinal: before.0.checked_add(take_u32(rest)?).ok_or(too_far)?,
        offset: before.1.checked_add(take_u32(rest)?).ok_or(too_far)?,
        kind: take_kind(rest)?,
        process: take_u32(rest)?.checked_sub(1),
        time: Nanos(before.2.0.wrapping_add_signed(varint::unzigzag(varint::take(rest)?))),
    })
}

fn take_calibration(rest: &mut &[u8]) -> Result<Calibration, Malformed> {
    let mut word = || {
        let (word, after) = rest.split_first_chunk::<8>().ok_or(Malformed("a calibration"))?;
        *rest = after;
        Ok(u64::from_le_bytes(*word))
    };
    let piece = Piece { from: Ticks(word()?), at: Nanos(word()?), rate: f64::from_bits(word()?) };
    Ok(Calibration { piece, wall: Nanos(word()?) })
}

fn take_marks(rest: &mut &[u8]) -> Result<Vec<RingMark>, Malformed> {
    let mut marks = Vec::new();
    for _ in 0..varint::take(rest)? {
        marks.push(RingMark {
            ring: take_u32(rest)?,
            tail: varint::take(rest)?,
            lost_full: varint::take(rest)?,
            lost_oversize: varint::take(rest)?,
        });
    }
    Ok(marks)
}

fn take_kind(rest: &mut &[u8]) -> Result<Kind, Malformed> {
    let (&kind, after) = rest.split_first().ok_or(Malformed("a kind of event"))?;
    *rest = after;
    Kind::from_number(kind).ok_or(Malformed("a kind of event"))
}

pub(crate) fn take_u32(rest: &mut &[u8]) -> Result<u32, Malformed> {
    u32::try_from(varint::take(rest)?).map_err(|_| Malformed("a number of 32 bits"))
}

pub(crate) fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(varint::take(rest)?).map_err(|_| Malformed("a length in memory"))?;
    let (bytes, after) = rest.split_at_checked(len).ok_or(Malformed("as many bytes as announced"))?;
    *rest = after;
    Ok(bytes)
}
