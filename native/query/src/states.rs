//! The state of a process at a moment.

use crate::index::Index;
use crate::part::BlockRef;
use crate::row::Row;
use crate::volume::Volume;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid};
use elixir_scope_segment::{Block, Place};
use std::collections::VecDeque;
use std::rc::Rc;

/// What is known of a state.
#[derive(Clone, Debug)]
pub enum StateAnswer {
    /// It was this, from this event's time on.
    Known(Row),
    /// The process has states, the first of them at this time, which is later.
    Before(Nanos),
    /// No state of the process was ever recorded.
    Never,
    /// Events are missing between the last known state, which this is, and the moment that was asked for.
    Lost(Row),
}

impl Index {
    /// The state that a process had at a time: the last one recorded up to and including then.
    pub fn state_at(&self, pid: Pid, time: Nanos) -> StateAnswer {
        match self.last_state(pid, time) {
            Some(row) if self.may_have_changed(row.time, time) => StateAnswer::Lost(row),
            Some(row) => StateAnswer::Known(row),
            None => self.first_state(pid).map_or(StateAnswer::Never, StateAnswer::Before),
        }
    }

    /// The last state up to and including a time. A process's own events are stored in the order of their times (see
    /// `recorder::drain`).
    fn last_state(&self, pid: Pid, time: Nanos) -> Option<Row> {
        for (number, volume) in self.volumes.iter().enumerate().rev() {
            let Some(process) = volume.process(pid) else { continue };
            for (part, known) in volume.parts_of(process).rev() {
                let begun = known.state_blocks.partition_point(|(_, first)| *first <= time);
                // The last of them, or where that cannot be read, the one before it.
                for (block, _) in known.state_blocks[..begun].iter().rev() {
                    let Some(block) = part.blocks.get(*block as usize).and_then(|block| volume.read(block))
                    else {
                        continue;
                    };
                    let own = states_of(&block).filter(|(of, ..)| *of == process).map(|(_, _, place)| place);
                    if let Some(place) = own.take_while(|place| place.time <= time).last() {
                        let event = block.events_from(&place).next()?.ok()?;
                        return Some(self.row(number, &event));
                    }
                }
            }
        }
        None
    }

    fn first_state(&self, pid: Pid) -> Option<Nanos> {
        self.volumes.iter().find_map(|volume| {
            let mut parts = volume.parts_of(volume.process(pid)?);
            parts.find_map(|(_, known)| known.state_blocks.first().map(|(_, first)| *first))
        })
    }
}

/// The states that state tokens stand for, looked up for one event after the other. What was found last is kept: events that
/// are asked about in turn mostly have the same state, or the next one of the same block.
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
    /// By the number of their process's definition, with the numbers of their events.
    states: AHashMap<u32, Vec<(u64, Place)>>,
}

/// The states of a process in one block.
struct Window<'i> {
    held: Rc<Held<'i>>,
    process: u32,
    /// No state behind the block has a lower number.
    end: u64,
}

impl Window<'_> {
    fn places(&self) -> &[(u64, Place)] {
        self.held.states.get(&self.process).map_or(&[], |places| places)
    }

    /// Whether the last state before the event of a number is in it.
    fn covers(&self, id: u64) -> bool {
        self.places().first().is_some_and(|(first, _)| *first < id) && id <= self.end
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
        if !self.windows.get(&pid).is_some_and(|window| window.covers(id)) {
            let window = self.window(pid, id)?;
            self.windows.insert(pid, window);
        }
        let places = self.windows.get(&pid)?.places();
        let (number, place) = places[..places.partition_point(|(state, _)| *state < id)].last()?;
        Some((*number, place.time))
    }

    /// The state event that [`States::before`] has named.
    pub fn row(&self, pid: Pid, id: u64) -> Option<Row> {
        let window = self.windows.get(&pid)?;
        let at = window.places().binary_search_by_key(&id, |(state, _)| *state).ok()?;
        let event = window.held.block.events_from(&window.places()[at].1).next()?.ok()?;
        Some(self.index.row(window.held.volume, &event))
    }

    /// The block with the last state before the event of a number.
    fn window(&mut self, pid: Pid, id: u64) -> Option<Window<'i>> {
        let mut end = u64::MAX;
        for (number, volume) in self.index.volumes.iter().enumerate().rev() {
            let first = volume.segment.head().first_event;
            if first >= id && !volume.segment.head().remnant {
                end = end.min(first);
                continue;
            }
            let Some(process) = volume.process(pid) else { continue };
            for (part, known) in volume.parts_of(process).rev() {
                let first =
                    |block: u32| part.blocks.get(block as usize).map_or(u64::MAX, |block| block.first_event);
                let begun = known.state_blocks.partition_point(|(block, _)| first(*block) < id);
                end = end.min(known.state_blocks.get(begun).map_or(u64::MAX, |(block, _)| first(*block)));
                // The last of them, or where that holds none before the event, the one before it.
                for (block, _) in known.state_blocks[..begun].iter().rev() {
                    let Some(block) = part.blocks.get(*block as usize) else { continue };
                    let Some(held) = self.hold(number, volume, block) else { continue };
                    let window = Window { held, process, end };
                    if window.covers(id) {
                        return Some(window);
                    }
                    end = window.places().first().map_or(end, |(first, _)| end.min(*first));
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
        let mut states: AHashMap<u32, Vec<(u64, Place)>> = AHashMap::new();
        for (process, id, place) in states_of(&block) {
            states.entry(process).or_default().push((id, place));
        }
        let held = Rc::new(Held { volume, block, states });
        self.blocks.truncate(BLOCKS - 1);
        self.blocks.push_front(Rc::clone(&held));
        Some(held)
    }
}

/// The states in a block, with the definitions of their processes and the numbers of their events.
fn states_of(block: &Block<'_>) -> impl Iterator<Item = (u32, u64, Place)> {
    let states = block.places().flatten().filter(|place| place.kind == Kind::State);
    let first = block.head.first_event;
    states
        .filter_map(move |place| Some((place.process?, first.saturating_add(u64::from(place.ordinal)), place)))
}
