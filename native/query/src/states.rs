//! The state of a process at a moment.

use crate::index::Index;
use crate::row::Row;
use elixir_scope_clock::Nanos;

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
    pub fn state_at(&self, process: usize, time: Nanos) -> StateAnswer {
        let Some(process) = self.processes().get(process) else { return StateAnswer::Never };
        // A process's own events are stored in the order of their times (see `recorder::drain`).
        let after = process.states.partition_point(|place| place.time <= time);
        match after.checked_sub(1).and_then(|at| self.row_at(process.states[at])) {
            Some(row) if self.has_gap(row.time, time) => StateAnswer::Lost(row),
            Some(row) => StateAnswer::Known(row),
            None => process.states.first().map_or(StateAnswer::Never, |first| StateAnswer::Before(first.time)),
        }
    }

    /// The state that a process had when the event numbered `id` was recorded: what a state token in that event's
    /// payload stands for.
    pub fn state_before(&self, process: usize, id: u64) -> Option<Row> {
        let states = &self.processes().get(process)?.states;
        let after = states.partition_point(|place| place.id < id);
        self.row_at(states[after.checked_sub(1)?])
    }

    /// What a process said of itself, oldest first.
    pub fn introductions(&self, process: usize) -> Vec<Row> {
        let places = self.processes().get(process).map(|process| &process.introductions[..]);
        places.unwrap_or_default().iter().filter_map(|place| self.row_at(*place)).collect()
    }
}
