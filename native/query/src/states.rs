//! The state of a process at a moment.

use crate::index::Index;
use crate::part::{Part, ProcessPart};
use crate::row::Row;
use crate::volume::Volume;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid};
use elixir_scope_segment::Place;

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
        // A process's own events are stored in the order of their times (see `recorder::drain`).
        let block =
            |known: &ProcessPart, _: &Part| known.state_blocks.partition_point(|(_, first)| *first <= time);
        match self.last_state(pid, block, |place, _| place.time <= time) {
            Some(row) if self.may_have_changed(row.time, time) => StateAnswer::Lost(row),
            Some(row) => StateAnswer::Known(row),
            None => self.first_state(pid).map_or(StateAnswer::Never, StateAnswer::Before),
        }
    }

    /// The state that a process had when the event numbered `id` was recorded: what a state token in that event's
    /// payload stands for.
    pub fn state_before(&self, pid: Pid, id: u64) -> Option<Row> {
        let block = |known: &ProcessPart, part: &Part| {
            let first =
                |number: u32| part.blocks.get(number as usize).map_or(u64::MAX, |block| block.first_event);
            known.state_blocks.partition_point(|(number, _)| first(*number) < id)
        };
        self.last_state(pid, block, |place, first| first + u64::from(place.ordinal) < id)
    }

    /// The last state whose place is wanted. `blocks` says how many of the blocks with states begin with one that may
    /// be; a place is asked about with the number of the first event of its block.
    fn last_state(
        &self,
        pid: Pid,
        blocks: impl Fn(&ProcessPart, &Part) -> usize,
        wanted: impl Fn(&Place, u64) -> bool,
    ) -> Option<Row> {
        for (number, volume) in self.volumes.iter().enumerate().rev() {
            let Some(process) = volume.process(pid) else { continue };
            for (part, known) in volume.parts_of(process).rev() {
                // The last of them, or where that holds none before the moment, the one before it.
                for (block, _) in known.state_blocks[..blocks(known, part)].iter().rev() {
                    if let Some(place) = last_place(volume, part, *block, process, &wanted) {
                        return self.row_at(number, part, *block, &place);
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

fn last_place(
    volume: &Volume,
    part: &Part,
    block: u32,
    process: u32,
    wanted: impl Fn(&Place, u64) -> bool,
) -> Option<Place> {
    let block = volume.read(part.blocks.get(block as usize)?)?;
    let states = block.places().flatten();
    let own = states.filter(|place| place.kind == Kind::State && place.process == Some(process));
    own.take_while(|place| wanted(place, block.head.first_event)).last()
}
