//! The states of a process, at a moment and one after the other.
//!
//! A state is stored as a keyframe, or as the patch that makes it of the state before (a change), or as that and the patch
//! that makes it of the last keyframe (an anchor). So what a state is made of is a keyframe, at most one anchor, and the changes
//! since: three places to look at, and the blocks of the few milliseconds that lie between two anchors.

use crate::index::Index;
use crate::part::{BlockRef, Known, Part};
use crate::row::Row;
use crate::volume::Volume;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Kind, Pid, StateOrigin, varint};
use elixir_scope_segment::{Block, Place};
use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// What is known of a state.
#[derive(Clone, Debug)]
pub enum StateAnswer {
    /// It was the one of this event, from its time on.
    Known(Row),
    /// The process has states, the first of them at this time, which is later.
    Before(Nanos),
    /// No state of the process was ever recorded.
    Never,
    /// Events are missing between the last known state, which this is, and the moment that was asked for.
    Lost(Row),
}

/// What a state is made of: rows of the same process.
#[derive(Clone, Debug)]
pub struct Chain {
    /// What it begins with.
    pub base: Base,
    /// Changes (or anchors, of which only the first patch counts) since, oldest first.
    pub changes: Vec<Row>,
}

/// What a chain begins with.
#[derive(Clone, Debug)]
pub enum Base {
    /// A keyframe.
    Keyframe(Row),
    /// An anchor, whose second patch makes its state of the keyframe's.
    Anchor {
        /// The keyframe.
        keyframe: Row,
        /// The anchor.
        anchor: Row,
    },
    /// The state of the event of this number, which the caller has.
    Known(u64),
}

/// Up to where a state is looked for.
#[derive(Clone, Copy)]
enum Bound {
    /// A time, included.
    Time(Nanos),
    /// The number of an event, not included.
    Event(u64),
}

impl Bound {
    fn holds(self, id: u64, time: Nanos) -> bool {
        match self {
            Bound::Time(until) => time <= until,
            Bound::Event(end) => id < end,
        }
    }
}

/// The number of a state among those of its process, by the payload of its event.
pub fn number(payload: &[u8]) -> Option<u64> {
    let packed = varint::take(&mut &payload[..]).ok()?;
    Some(StateOrigin::unpack(packed).1)
}

/// The number of the keyframe that an anchor's second patch goes with, by its payload.
fn keyframe_of(payload: &[u8]) -> Option<u64> {
    let mut rest = payload;
    varint::take(&mut rest).ok()?;
    value::skip(&mut rest).ok()?;
    match value::take(&mut rest).ok()? {
        Token::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

impl Index {
    /// The state that a process had at a time: the last one recorded up to and including then. What it is made of says
    /// [`States::chain`].
    pub fn state_at(&self, pid: Pid, time: Nanos) -> StateAnswer {
        let mut states = States::new(self);
        let found = states.at(pid, time);
        match found.and_then(|(id, _)| states.row(pid, id)) {
            Some(row) if self.may_have_changed(row.time, time) => StateAnswer::Lost(row),
            Some(row) => StateAnswer::Known(row),
            None => self.first_state(&mut states, pid).map_or(StateAnswer::Never, StateAnswer::Before),
        }
    }

    /// The first state that can be told.
    fn first_state(&self, states: &mut States<'_>, pid: Pid) -> Option<Nanos> {
        self.volumes.iter().enumerate().find_map(|(number, volume)| {
            if volume.segment.head().remnant {
                return states.rest(number, pid).map(|(_, time)| time);
            }
            let mut parts = volume.parts_of(volume.process(pid)?);
            parts.find_map(|(_, known)| known.state_blocks.first().map(|(_, first)| *first))
        })
    }
}

/// The states of an index, looked up for one question after the other. What was found last is kept: events that are asked
/// about in turn mostly have the same state, or the next one of the same block.
pub struct States<'i> {
    index: &'i Index,
    windows: AHashMap<Pid, Window<'i>>,
    /// The blocks that were read last: each is read, and unpacked, once for all its processes.
    blocks: VecDeque<Rc<Held<'i>>>,
}

/// Blocks that are kept.
const BLOCKS: usize = 16;

/// A block with all its states.
struct Held<'i> {
    volume: usize,
    block: Block<'i>,
    /// With the numbers of their processes' definitions and of their events.
    states: Vec<(u32, u64, Place)>,
    /// How many processes were asked about; then their states are put in order once.
    asked: Cell<u32>,
    by_process: OnceCell<AHashMap<u32, Vec<(u64, Place)>>>,
}

/// Processes of a block for which it is looked through.
const LOOKED_THROUGH: u32 = 4;

impl Held<'_> {
    fn of(&self, process: u32) -> Vec<(u64, Place)> {
        self.asked.set(self.asked.get().saturating_add(1));
        if self.asked.get() <= LOOKED_THROUGH {
            let own = self.states.iter().filter(|(of, ..)| *of == process);
            return own.map(|(_, id, place)| (*id, *place)).collect();
        }
        let ordered = self.by_process.get_or_init(|| {
            let mut ordered: AHashMap<u32, Vec<_>> = AHashMap::new();
            self.states.iter().for_each(|(of, id, place)| ordered.entry(*of).or_default().push((*id, *place)));
            ordered
        });
        ordered.get(&process).cloned().unwrap_or_default()
    }

    fn row(&self, index: &Index, place: &Place) -> Option<Row> {
        let event = self.block.events_from(place).next()?.ok()?;
        Some(index.row(self.volume, &event))
    }
}

/// The states of a process in one block.
struct Window<'i> {
    held: Rc<Held<'i>>,
    places: Vec<(u64, Place)>,
    /// No state behind the block has a lower number.
    end: u64,
}

impl Window<'_> {
    /// Whether the last state before the event of a number is in it.
    fn covers(&self, id: u64) -> bool {
        self.places.first().is_some_and(|(first, _)| *first < id) && id <= self.end
    }

    fn place(&self, id: u64) -> Option<&Place> {
        let at = self.places.binary_search_by_key(&id, |(state, _)| *state).ok()?;
        Some(&self.places[at].1)
    }
}

impl<'i> States<'i> {
    /// Of an index.
    pub fn new(index: &'i Index) -> Self {
        States { index, windows: AHashMap::new(), blocks: VecDeque::new() }
    }

    /// The number and the time of the last state of a process before the event of a number: what a state token in that
    /// event's payload stands for.
    pub fn before(&mut self, pid: Pid, id: u64) -> Option<(u64, Nanos)> {
        self.find(pid, Bound::Event(id))
    }

    /// The number and the time of the last state of a process up to and including a time.
    pub fn at(&mut self, pid: Pid, time: Nanos) -> Option<(u64, Nanos)> {
        let found = self.find(pid, Bound::Time(time))?;
        let volume = self.windows.get(&pid)?.held.volume;
        let remnant = self.index.volumes[volume].segment.head().remnant;
        // Those before it are there because it is made of them; what was between them is gone.
        (!remnant || self.rest(volume, pid) == Some(found)).then_some(found)
    }

    /// The last state of a process in a volume.
    fn rest(&mut self, number: usize, pid: Pid) -> Option<(u64, Nanos)> {
        let volume = &self.index.volumes[number];
        let process = volume.process(pid)?;
        let (part, known) = volume.parts_of(process).rev().find(|(_, known)| !known.state_blocks.is_empty())?;
        let (block, _) = known.state_blocks.last()?;
        let held = self.hold(number, volume, part.blocks.get(*block as usize)?)?;
        held.of(process).last().map(|(id, place)| (*id, place.time))
    }

    /// The state event of a process that has a number.
    pub fn row(&mut self, pid: Pid, id: u64) -> Option<Row> {
        let known = self.windows.get(&pid).is_some_and(|window| window.place(id).is_some());
        if !known {
            self.find(pid, Bound::Event(id.saturating_add(1)))?;
        }
        let window = self.windows.get(&pid)?;
        window.held.row(self.index, window.place(id)?)
    }

    /// What the state of an event is made of; `None` when a part of it is missing. `has` says which states before it need not
    /// be made, by the numbers of their events, and which number among its process's they have.
    pub fn chain(&mut self, pid: Pid, id: u64, has: impl Fn(u64) -> Option<u64>) -> Option<Chain> {
        let mut changes: Vec<Row> = Vec::new();
        let mut end = id.saturating_add(1);
        let chain = |base, mut changes: Vec<Row>| {
            changes.reverse();
            Some(Chain { base, changes })
        };
        loop {
            let (before, _) = self.find(pid, Bound::Event(end))?;
            // Each is the next one of that before it, so that none is missing.
            let expected = match changes.last() {
                Some(later) => Some(number(&later.payload)?.checked_sub(1)?),
                None => None,
            };
            if let (Some(expected), Some(found)) = (expected, has(before)) {
                return if found == expected { chain(Base::Known(before), changes) } else { None };
            }
            let row = self.row(pid, before)?;
            if expected.is_some() && expected != number(&row.payload) {
                return None;
            }
            match row.kind {
                Kind::State => return chain(Base::Keyframe(row), changes),
                Kind::Anchor => {
                    let keyframe = self.keyframe(pid, before)?;
                    let goes_with = keyframe_of(&row.payload)? == number(&keyframe.payload)?;
                    let base = Base::Anchor { keyframe, anchor: row };
                    return if goes_with { chain(base, changes) } else { None };
                }
                _ => changes.push(row),
            }
            end = before;
        }
    }

    /// The last keyframe of a process before the event of a number.
    fn keyframe(&mut self, pid: Pid, id: u64) -> Option<Row> {
        let index = self.index;
        for (number, volume) in index.volumes.iter().enumerate().rev() {
            let Some(process) = volume.process(pid) else { continue };
            for (part, known) in volume.parts_of(process).rev() {
                let begun = known.key_blocks.partition_point(|block| first_event(part, *block) < id);
                for block in known.key_blocks[..begun].iter().rev() {
                    let held =
                        part.blocks.get(*block as usize).and_then(|block| self.hold(number, volume, block));
                    let Some(held) = held else { continue };
                    let own = held.of(process);
                    let found = own.iter().rev().find(|(of, place)| *of < id && place.kind == Kind::State);
                    if let Some((_, place)) = found {
                        return held.row(index, place);
                    }
                }
            }
        }
        None
    }

    /// Number and time of the last state of a process within a bound. A process's own events are stored in the order of
    /// their times (see `recorder::drain`).
    fn find(&mut self, pid: Pid, bound: Bound) -> Option<(u64, Nanos)> {
        let covered = match (bound, self.windows.get(&pid)) {
            (Bound::Event(id), Some(window)) => window.covers(id),
            _ => false,
        };
        if !covered {
            let window = self.window(pid, bound)?;
            self.windows.insert(pid, window);
        }
        let places = &self.windows.get(&pid)?.places;
        let within = places.partition_point(|(id, place)| bound.holds(*id, place.time));
        let (id, place) = places[..within].last()?;
        Some((*id, place.time))
    }

    /// The block with the last state of a process within a bound.
    fn window(&mut self, pid: Pid, bound: Bound) -> Option<Window<'i>> {
        let mut end = u64::MAX;
        let index = self.index;
        for (number, volume) in index.volumes.iter().enumerate().rev() {
            let head = volume.segment.head();
            if !head.remnant && !bound.holds(head.first_event, Nanos(0)) {
                end = end.min(head.first_event);
                continue;
            }
            let Some(process) = volume.process(pid) else { continue };
            for (part, known) in volume.parts_of(process).rev() {
                let begun = begun(part, &known, bound);
                let next = known.state_blocks.get(begun);
                end = end.min(next.map_or(u64::MAX, |(block, _)| first_event(part, *block)));
                // The last of them, or where that holds none within the bound or cannot be read, the one before it.
                for (block, _) in known.state_blocks[..begun].iter().rev() {
                    let Some(block) = part.blocks.get(*block as usize) else { continue };
                    let Some(held) = self.hold(number, volume, block) else { continue };
                    let window = Window { places: held.of(process), held, end };
                    match window.places.first() {
                        Some((first, place)) if bound.holds(*first, place.time) => return Some(window),
                        Some((first, _)) => end = end.min(*first),
                        None => {}
                    }
                }
            }
        }
        None
    }

    fn hold(&mut self, volume: usize, of: &'i Volume, block: &BlockRef) -> Option<Rc<Held<'i>>> {
        let same = |held: &&Rc<Held<'i>>| held.volume == volume && held.block.offset == block.offset;
        if let Some(held) = self.blocks.iter().find(same) {
            return Some(Rc::clone(held));
        }
        let block = of.read(block)?;
        let states = states_of(&block).collect();
        let (asked, by_process) = (Cell::new(0), OnceCell::new());
        let held = Rc::new(Held { volume, block, states, asked, by_process });
        self.blocks.truncate(BLOCKS - 1);
        self.blocks.push_front(Rc::clone(&held));
        Some(held)
    }
}

fn first_event(part: &Part, block: u32) -> u64 {
    part.blocks.get(block as usize).map_or(u64::MAX, |block| block.first_event)
}

/// How many of the blocks with states begin within a bound.
fn begun(part: &Part, known: &Known<'_>, bound: Bound) -> usize {
    known.state_blocks.partition_point(|(block, first)| match bound {
        Bound::Time(until) => *first <= until,
        Bound::Event(id) => first_event(part, *block) < id,
    })
}

/// The states in a block, with the definitions of their processes and the numbers of their events.
fn states_of(block: &Block<'_>) -> impl Iterator<Item = (u32, u64, Place)> {
    let states = block.places().flatten().filter(|place| place.kind.is_state());
    let first = block.head.first_event;
    states
        .filter_map(move |place| Some((place.process?, first.saturating_add(u64::from(place.ordinal)), place)))
}
