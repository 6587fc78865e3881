//! The states of one process, one after the other: which is recorded whole, and which by its difference.
//!
//! What a process remembers lies in its own process dictionary as `{last, keyframe, ledger}`: the state that was recorded last
//! and the last one that was recorded whole, which are terms that the process shares with its present state, and a binary with
//! [`Ledger`].
//!
//! | the state is recorded | when |
//! |---|---|
//! | whole (a keyframe) | it is the first; or no tuple, list or map; or the differences since the last keyframe take more than [`WORTH`] times its bytes; or it is a flight recording and the last one is [`FLIGHT_AGE`] old |
//! | by two differences (an anchor) | the last anchor or keyframe is [`ANCHOR_AGE`] old, or [`ANCHOR_COUNT`] changes |
//! | by its difference to the last (a change) | otherwise |
//!
//! So the bytes of keyframes are less than half of those of differences, and what a state is made of lies in three places and the
//! few milliseconds between two anchors. A keyframe that a limit has cut is no base for anchors: the process would
//! keep all of that term; a new keyframe takes their place.

use crate::diff::Difference;
use crate::encode::{self, Budget};
use crate::heap::{self, Boxed};
use crate::vm::{Env, Kind as Sort, Word};
use elixir_scope_capture::Pen;
use elixir_scope_clock::Ticks;
use elixir_scope_event::{Kind, StateOrigin};

/// So many times the bytes of a keyframe may the differences take that follow it.
const WORTH: u64 = 2;

/// A keyframe of fewer bytes counts as one of so many.
const SMALL: u64 = 128;

/// Nanoseconds after which an anchor is due.
const ANCHOR_AGE: u64 = 10_000_000;

/// Changes after which an anchor is due.
const ANCHOR_COUNT: u64 = 64;

/// Nanoseconds after which a flight recording, which forgets the oldest, takes a new keyframe.
const FLIGHT_AGE: u64 = 1_000_000_000;

/// What was recorded of a process.
pub struct Known {
    /// The state that was recorded last.
    last: Word,
    /// The state that was recorded whole last.
    keyframe: Word,
    ledger: Ledger,
}

/// What is counted.
#[derive(Clone, Copy, Default)]
struct Ledger {
    /// The number of the next state.
    next: u64,
    /// The number of the last keyframe.
    keyframe: u64,
    /// Its bytes.
    bytes: u64,
    /// Whether a limit has cut it: 1 or 0.
    cut: u64,
    /// The bytes of the differences since.
    since: u64,
    /// The changes since the last anchor.
    changes: u64,
    /// When that was; or the keyframe, if that is later.
    anchored: u64,
    /// When the keyframe was.
    begun: u64,
}

const WORDS: usize = 8;

impl Ledger {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let words: &[[u8; 8]; WORDS] = words.try_into().ok()?;
        let [next, keyframe, length, cut, since, changes, anchored, begun] = words.map(u64::from_ne_bytes);
        Some(Ledger { next, keyframe, bytes: length, cut, since, changes, anchored, begun })
    }

    fn write(self) -> [u8; 8 * WORDS] {
        let Ledger { next, keyframe, bytes, cut, since, changes, anchored, begun } = self;
        let words = [next, keyframe, bytes, cut, since, changes, anchored, begun];
        let mut out = [0; 8 * WORDS];
        out.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(cell, word)| *cell = word.to_ne_bytes());
        out
    }
}

impl Known {
    /// From what the process keeps; `None` when nothing was recorded of it.
    pub fn read(env: Env<'_>, kept: Word) -> Option<Self> {
        let elements = match heap::read(env, kept) {
            Boxed::Tuple(elements) => elements,
            _ => env.tuple(kept)?,
        };
        let &[last, keyframe, ledger] = elements else { return None };
        let ledger = match heap::read(env, ledger) {
            Boxed::Binary(bytes) => Ledger::read(bytes)?,
            _ => Ledger::read(env.binary(ledger)?)?,
        };
        Some(Known { last, keyframe, ledger })
    }

    /// For the process to keep.
    pub fn write(&self, env: Env<'_>) -> Word {
        env.make_tuple(&[self.last, self.keyframe, env.make_binary(&self.ledger.write())])
    }
}

/// Writes the payload of the next state, and gives its kind and what is known then.
pub fn write(
    env: Env<'_>,
    pen: &mut Pen<'_>,
    known: Option<&Known>,
    cut: Word,
    origin: StateOrigin,
    state: Word,
) -> (Kind, Known) {
    let ticks = pen.ticks();
    let number = known.map_or(0, |known| known.ledger.next);
    pen.number(origin.pack(number));
    let kind = known.map_or(Kind::State, |known| known.kind(env, pen, state));
    let begin = pen.len();
    if let (Some(Known { last, keyframe, ledger }), Kind::Change | Kind::Anchor) = (known, kind) {
        Difference::write(env, pen, cut, *last, state);
        let mut ledger = Ledger { next: number + 1, changes: ledger.changes + 1, ..*ledger };
        if kind == Kind::Anchor {
            pen.integer(ledger.keyframe as i64);
            Difference::write(env, pen, cut, *keyframe, state);
            ledger = Ledger { changes: 0, anchored: ticks.0, ..ledger };
        }
        ledger.since += (pen.len() - begin) as u64;
        return (kind, Known { last: state, keyframe: *keyframe, ledger });
    }
    let mut budget = Budget::state(pen);
    encode::term(env, pen, &mut budget, None, state);
    let ledger = Ledger {
        next: number + 1,
        keyframe: number,
        bytes: (pen.len() - begin) as u64,
        cut: u64::from(budget.cuts() > 0),
        anchored: ticks.0,
        begun: ticks.0,
        ..Ledger::default()
    };
    // What changed is told of a keyframe too, where that is less than all.
    if let Some(known) = known.filter(|known| is_walked(env, known.last) && is_walked(env, state)) {
        Difference::write(env, pen, cut, known.last, state);
    }
    // A term that was not recorded whole is not kept for its own sake.
    let keyframe = if ledger.cut == 0 { state } else { env.make_nil() };
    (Kind::State, Known { last: state, keyframe, ledger })
}

/// Whether parts of a term may change.
fn is_walked(env: Env<'_>, term: Word) -> bool {
    match heap::read(env, term) {
        Boxed::Cell(..) | Boxed::Tuple(_) | Boxed::Map(..) => true,
        Boxed::Unknown => matches!(env.kind(term), Sort::Tuple | Sort::Map) || env.cell(term).is_some(),
        _ => false,
    }
}

impl Known {
    /// The kind that the next state gets.
    fn kind(&self, env: Env<'_>, pen: &Pen<'_>, state: Word) -> Kind {
        let (session, ledger) = (pen.session(), &self.ledger);
        let age = |since: u64| {
            let nanos = |ticks| session.clock.nanos(ticks).0;
            nanos(pen.ticks()).saturating_sub(nanos(Ticks(since)))
        };
        if !is_walked(env, state) || ledger.since > WORTH * ledger.bytes.max(SMALL) {
            return Kind::State;
        }
        if session.is_flight() && age(ledger.begun) > FLIGHT_AGE {
            return Kind::State;
        }
        if ledger.changes + 1 < ANCHOR_COUNT && age(ledger.anchored) < ANCHOR_AGE {
            return Kind::Change;
        }
        if ledger.cut == 1 { Kind::State } else { Kind::Anchor }
    }
}
