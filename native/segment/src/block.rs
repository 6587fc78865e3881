//! The records of a block, read.
//!
//! A record is a definition (tag 0, length, bytes by `event::codec`) or an event:
//!
//! | field | bytes |
//! |---|---|
//! | kind | 1 |
//! | ring | number |
//! | distance in time to the event before | zigzag number |
//! | process: number of its definition plus one, 0 for none | number |
//! | site: likewise | number |
//! | length of the payload | number |
//! | payload | as many |

use crate::layout::{BlockHead, DEFINITION};
use elixir_scope_clock::Nanos;
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

/// An event of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its number in the run; numbers follow the order of the store.
    pub id: u64,
    /// What happened.
    pub kind: Kind,
    /// The ring it came through.
    pub ring: u32,
    /// When.
    pub time: Nanos,
    /// The number of its process's definition in this segment.
    pub process: Option<u32>,
    /// The number of its site's definition in this segment.
    pub site: Option<u32>,
    /// What the kind says it holds.
    pub payload: &'a [u8],
}

/// A record of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// The meaning of a number, from here on.
    Definition(u32, Definition),
    /// An event.
    Event(Event<'a>),
}

/// A block whose head is whole.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What the head says.
    pub head: BlockHead,
    /// Offset of the block in its segment.
    pub offset: usize,
    pub(crate) body: &'a [u8],
}

impl<'a> Block<'a> {
    /// The ring marks.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn marks(&self) -> Result<Vec<RingMark>, Malformed> {
        Ok(self.split()?.0)
    }

    /// The records, in order. After an error there are no more.
    pub fn items(&self) -> impl Iterator<Item = Result<Item<'a>, Malformed>> + use<'a> {
        let start = self.split().map(|(_, records)| records);
        let mut rest = start.unwrap_or_default();
        let mut failed = start.err();
        let (mut event, mut definition) = (self.head.first_event, self.head.first_definition);
        let mut time = self.head.base;
        std::iter::from_fn(move || {
            if let Some(error) = failed.take() {
                return Some(Err(error));
            }
            if rest.is_empty() {
                return None;
            }
            let item = take(&mut rest, event, definition, time);
            match &item {
                Ok(Item::Event(taken)) => (event, time) = (event.wrapping_add(1), taken.time),
                Ok(Item::Definition(..)) => definition = definition.wrapping_add(1),
                Err(_) => rest = &[],
            }
            Some(item)
        })
    }

    /// The events alone.
    pub fn events(&self) -> impl Iterator<Item = Result<Event<'a>, Malformed>> + use<'a> {
        self.items().filter_map(|item| match item {
            Ok(Item::Event(event)) => Some(Ok(event)),
            Ok(Item::Definition(..)) => None,
            Err(error) => Some(Err(error)),
        })
    }

    fn split(&self) -> Result<(Vec<RingMark>, &'a [u8]), Malformed> {
        let mut rest = self.body;
        let mut marks = Vec::new();
        for _ in 0..self.head.marks {
            marks.push(RingMark {
                ring: take_u32(&mut rest)?,
                tail: varint::take(&mut rest)?,
                lost_full: varint::take(&mut rest)?,
                lost_oversize: varint::take(&mut rest)?,
            });
        }
        Ok((marks, rest))
    }
}

fn take<'a>(rest: &mut &'a [u8], id: u64, definition: u32, before: Nanos) -> Result<Item<'a>, Malformed> {
    let (&tag, after) = rest.split_first().ok_or(Malformed("a record"))?;
    *rest = after;
    if tag == DEFINITION {
        return Ok(Item::Definition(definition, codec::decode(take_bytes(rest)?)?));
    }
    let kind = Kind::from_number(tag).ok_or(Malformed("a kind of event"))?;
    let ring = take_u32(rest)?;
    let time = Nanos(before.0.wrapping_add_signed(varint::unzigzag(varint::take(rest)?)));
    let (process, site) = (take_u32(rest)?.checked_sub(1), take_u32(rest)?.checked_sub(1));
    let payload = take_bytes(rest)?;
    Ok(Item::Event(Event { id, kind, ring, time, process, site, payload }))
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, Malformed> {
    u32::try_from(varint::take(rest)?).map_err(|_| Malformed("a number of 32 bits"))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(varint::take(rest)?).map_err(|_| Malformed("a length in memory"))?;
    let (bytes, after) = rest.split_at_checked(len).ok_or(Malformed("as many bytes as announced"))?;
    *rest = after;
    Ok(bytes)
}
