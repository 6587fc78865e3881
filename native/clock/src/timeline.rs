//! The function from ticks to nanoseconds.

use serde::{Deserialize, Serialize};

/// A reading of the raw counter. Only a [`Timeline`] of the same boot gives it a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticks(pub u64);

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nanos(pub u64);

/// From the tick `from` on, time is `at` plus `rate` nanoseconds a tick, until the next piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// The first tick of this piece.
    pub from: Ticks,
    /// The time at that tick.
    pub at: Nanos,
    /// Nanoseconds a tick.
    pub rate: f64,
}

impl Piece {
    fn nanos(&self, ticks: Ticks) -> Nanos {
        let span = ticks.0.wrapping_sub(self.from.0) as i64;
        Nanos(self.at.0.saturating_add_signed((span as f64 * self.rate) as i64))
    }
}

/// Pieces in the order of their first ticks. Ticks before the first piece continue it backwards.
///
/// ```
/// use elixir_scope_clock::{Nanos, Piece, Ticks, Timeline};
/// let slow = Piece { from: Ticks(100), at: Nanos(1_000), rate: 1.0 };
/// let line = Timeline::new(slow).bend(Ticks(200), 0.5);
/// assert_eq!(line.nanos(Ticks(150)), Nanos(1_050));
/// assert_eq!(line.nanos(Ticks(300)), Nanos(1_150));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    pieces: Vec<Piece>,
}

impl Timeline {
    /// A line of one piece.
    pub fn new(first: Piece) -> Self {
        Timeline { pieces: vec![first] }
    }

    /// A line of the pieces that were read back from a recording; `None` when there are none.
    pub fn from_pieces(mut pieces: Vec<Piece>) -> Option<Self> {
        pieces.sort_by_key(|piece| piece.from);
        (!pieces.is_empty()).then_some(Timeline { pieces })
    }

    /// The time of a tick.
    pub fn nanos(&self, ticks: Ticks) -> Nanos {
        self.at(ticks).nanos(ticks)
    }

    /// The piece that holds for a tick.
    pub fn at(&self, ticks: Ticks) -> Piece {
        // Nearly always one of the last two: the last one may not hold yet.
        let recent = self.pieces.iter().rev().take(2).find(|piece| piece.from <= ticks);
        *recent.unwrap_or_else(|| {
            let later = self.pieces.partition_point(|piece| piece.from <= ticks);
            &self.pieces[later.saturating_sub(1)]
        })
    }

    /// The same line up to `from`, going on from there at another rate. It neither jumps nor turns back.
    pub fn bend(&self, from: Ticks, rate: f64) -> Self {
        let mut pieces = self.pieces.clone();
        pieces.push(Piece { from, at: self.nanos(from), rate });
        Timeline { pieces }
    }

    /// The piece that was added last.
    pub fn last(&self) -> Piece {
        *self.pieces.last().expect("a timeline is made with one piece and never shrinks")
    }

    /// All pieces, oldest first.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_tick_finds_its_piece() {
        let piece = |number: u64| Piece { from: Ticks(number * 100), at: Nanos(number * 1_000), rate: 10.0 };
        let line = Timeline::from_pieces((1..=50).rev().map(piece).collect()).expect("pieces");
        for ticks in 0..6_000 {
            let holds = (ticks / 100).clamp(1, 50);
            assert_eq!(line.at(Ticks(ticks)), piece(holds), "tick {ticks}");
            assert_eq!(line.nanos(Ticks(ticks)), Nanos(ticks * 10));
        }
    }
}
