//! The records of a block, read.
//!
//! A record is an event:
//!
//! | field | bytes |
//! |---|---|
//! | kind, and flags (see [`crate::layout`]) | 1 |
//! | ring, unless it is that of the record before | number |
//! | distance in time to the record before; 0 for the first, whose time the front tells | zigzag number |
//! | process: number of its definition plus one, 0 for none; unless it is that of the record before | number |
//! | site: likewise | number |
//! | length of the payload, unless that is a number alone | number |
//! | payload | as many |

use crate::front::{self, Front, Place, RingMark, Sync, take_bytes, take_u32};
use crate::layout::{BARE, BlockHead, KIND, SAME_PROCESS, SAME_RING, SYNC};
use crate::pack::unpack;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Malformed, varint};
use std::cell::OnceCell;

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

/// A block whose head is whole. Records that are packed are unpacked when they are looked at for the first time.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// What the head says.
    pub head: BlockHead,
    /// Offset of the block in its segment.
    pub offset: usize,
    pub(crate) front: &'a [u8],
    stored: &'a [u8],
    unpacked: OnceCell<Vec<u8>>,
}

impl<'a> Block<'a> {
    pub(crate) fn new(head: BlockHead, offset: usize, front: &'a [u8], stored: &'a [u8]) -> Self {
        Block { head, offset, front, stored, unpacked: OnceCell::new() }
    }

    /// The records.
    pub(crate) fn records(&self) -> Result<&[u8], Malformed> {
        if self.head.unpacked == 0 {
            return Ok(self.stored);
        }
        if self.unpacked.get().is_none() {
            let records = unpack(self.stored, self.head.unpacked as usize);
            let _ = self.unpacked.set(records.ok_or(Malformed("packed records"))?);
        }
        Ok(self.unpacked.get().map_or(&[], Vec::as_slice))
    }

    /// The ring marks.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn marks(&self) -> Result<Vec<RingMark>, Malformed> {
        front::marks(self.front)
    }

    /// What is in the block.
    ///
    /// # Errors
    /// When the bytes are malformed.
    pub fn front(&self) -> Result<Front, Malformed> {
        Front::parse(self.front, self.head.definitions, self.head.earliest)
    }

    /// The states, introductions, gaps, pauses and marks, in order. After an error there are no more.
    pub fn places(&self) -> impl Iterator<Item = Result<Place, Malformed>> + use<'a> {
        let rest = self.front.get(self.head.places as usize..).unwrap_or_default();
        front::places(rest, self.head.earliest)
    }

    /// The events, in order. After an error there are no more.
    pub fn events(&self) -> Events<'_> {
        self.events_at(0, front::sync(self.front, self.head.events, 0))
    }

    /// The event of a number, and those after it.
    pub fn events_after(&self, id: u64) -> impl Iterator<Item = Result<Event<'_>, Malformed>> {
        let ordinal = id.saturating_sub(self.head.first_event).min(u64::from(self.head.events)) as u32;
        let events =
            self.events_at(ordinal - ordinal % SYNC, front::sync(self.front, self.head.events, ordinal));
        events.skip_while(move |event| event.is_ok_and(|event| event.id < id))
    }

    fn events_at(&self, ordinal: u32, sync: Option<Sync>) -> Events<'_> {
        let Some(Sync { offset, time }) = sync else { return Events::none() };
        self.events_from_offset(ordinal, offset, time)
    }

    fn events_from_offset(&self, ordinal: u32, offset: u32, time: Nanos) -> Events<'_> {
        let id = self.head.first_event.wrapping_add(u64::from(ordinal));
        let records = self.records();
        let rest = records.map_or(&[][..], |records| records.get(offset as usize..).unwrap_or_default());
        let before = Context { id, ring: 0, time, process: None };
        Events { rest, before, known: Some(time), failed: records.err() }
    }

    /// The events before that of a number, newest first. After an error there are no more. They are read in runs of
    /// [`SYNC`]: whoever wants a few does not pay for the block.
    pub fn events_before(&self, id: u64) -> impl Iterator<Item = Result<Event<'_>, Malformed>> {
        let events = u64::from(self.head.events);
        let end = id.saturating_sub(self.head.first_event).min(events) as u32;
        let runs = (0..end.div_ceil(SYNC)).rev();
        // A front that is shorter than the count of events wants has no syncs of the first ones.
        let runs = runs.map_while(move |run| {
            let first = run * SYNC;
            let count = (end - first).min(SYNC) as usize;
            let sync = front::sync(self.front, self.head.events, first)?;
            let mut run: Vec<_> = self.events_at(first, Some(sync)).take(count).collect();
            run.reverse();
            Some(run)
        });
        runs.flatten()
    }

    /// The event at a place, and those after it.
    pub fn events_from(&self, place: &Place) -> Events<'_> {
        self.events_from_offset(place.ordinal, place.offset, place.time)
    }
}

/// A walk over the events of a block.
pub struct Events<'a> {
    rest: &'a [u8],
    before: Context,
    /// The time of the next event, where its distance to the one before says nothing.
    known: Option<Nanos>,
    /// Why there is nothing to read.
    failed: Option<Malformed>,
}

/// What a record leaves out.
#[derive(Clone, Copy)]
struct Context {
    id: u64,
    ring: u32,
    time: Nanos,
    process: Option<u32>,
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return self.failed.take().map(Err);
        }
        let event = self.take();
        if event.is_err() {
            self.rest = &[];
        }
        Some(event)
    }
}

impl<'a> Events<'a> {
    fn none() -> Self {
        let before = Context { id: 0, ring: 0, time: Nanos(0), process: None };
        Events { rest: &[], before, known: None, failed: None }
    }

    #[inline]
    fn take(&mut self) -> Result<Event<'a>, Malformed> {
        let Events { rest, before, known, .. } = self;
        let (&first, after) = rest.split_first().ok_or(Malformed("a record"))?;
        *rest = after;
        let kind = Kind::from_number(first & KIND).ok_or(Malformed("a kind of event"))?;
        let ring = if first & SAME_RING == 0 { take_u32(rest)? } else { before.ring };
        let distance = varint::unzigzag(varint::take(rest)?);
        let time = known.take().unwrap_or(Nanos(before.time.0.wrapping_add_signed(distance)));
        let process = if first & SAME_PROCESS == 0 { take_u32(rest)?.checked_sub(1) } else { before.process };
        let site = take_u32(rest)?.checked_sub(1);
        let payload = if first & BARE == 0 { take_bytes(rest)? } else { take_number(rest)? };
        let id = before.id;
        *before = Context { id: id.wrapping_add(1), ring, time, process };
        Ok(Event { id, kind, ring, time, process, site, payload })
    }
}

/// The bytes of one number.
fn take_number<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let whole = *rest;
    varint::take(rest)?;
    Ok(&whole[..whole.len() - rest.len()])
}

/// Whether a payload is one number and nothing else, written as short as it can be.
pub(crate) fn is_number(payload: &[u8]) -> bool {
    let mut rest = payload;
    varint::take(&mut rest).is_ok() && rest.is_empty()
}
