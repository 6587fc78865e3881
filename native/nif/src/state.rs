//! The states of one process, one after the other: which is recorded whole, and which by its difference.
//!
//! What a process remembers lies in its own process dictionary as `{last, keyframe, ledger}`: the state that was recorded last
//! and the last one that was recorded whole, which are terms that the process shares with its present state, and a binary with
//! [`Ledger`].
//!
//! | the state is recorded | when |
//! |---|---|
//! | whole (a keyframe) | it is the first; or no tuple, list or map; or a limit cuts the difference, or has cut all of the last keyframe; or the differences since the last keyframe take more than [`WORTH`] times its bytes; or it is told again, because events are missing or a flight recording will have forgotten what it was made of |
//! | by two differences (an anchor) | the last anchor or keyframe is [`ANCHOR_AGE`] old; or [`ANCHOR_COUNT`] changes, if they take as many bytes as that anchor |
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

/// An anchor is due later when the last one had so many bytes that making it took more than a hundredth of the time since:
/// nanoseconds for each.
const ANCHOR_COST: u64 = 200;

/// Changes after which an anchor is due.
const ANCHOR_COUNT: u32 = 64;

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
    /// When the last anchor was, in ticks; or the keyframe, if that is later.
    anchored: u64,
    /// The bytes of the differences since the keyframe.
    since: u32,
    /// The bytes of the last anchor, and those of the changes since.
    anchor: u32,
    passed: u32,
    /// The changes since, doubled; one more when a limit has cut the keyframe.
    changes: u32,
}

/// As long as a binary that a process holds itself.
const BYTES: usize = 48;

impl Ledger {
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let [next, keyframe, length, anchored, first, second] = *bytes.as_chunks::<8>().0.first_chunk::<6>()?;
        let word = u64::from_ne_bytes;
        let (first, second) = (word(first), word(second));
        Some(Ledger {
            next: word(next),
            keyframe: word(keyframe),
            bytes: word(length),
            anchored: word(anchored),
            since: first as u32,
            anchor: (first >> 32) as u32,
            passed: second as u32,
            changes: (second >> 32) as u32,
        })
    }

    fn write(self) -> [u8; BYTES] {
        let Ledger { next, keyframe, bytes, anchored, since, anchor, passed, changes } = self;
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let words = [next, keyframe, bytes, anchored, pair(since, anchor), pair(passed, changes)];
        let mut out = [0; BYTES];
        out.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(cell, word)| *cell = word.to_ne_bytes());
        out
    }

    fn is_cut(&self) -> bool {
        self.changes & 1 == 1
    }

    /// With one change more, of so many bytes.
    fn changed(self, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Ledger {
            next: self.next + 1,
            since: self.since.saturating_add(bytes),
            passed: self.passed.saturating_add(bytes),
            changes: self.changes.saturating_add(2),
            ..self
        }
    }

    /// With an anchor of so many bytes.
    fn anchored(self, bytes: usize, at: Ticks) -> Self {
        let anchor = u32::try_from(bytes).unwrap_or(u32::MAX);
        let since = self.since.saturating_add(anchor);
        Ledger { since, anchor, passed: 0, changes: self.changes & 1, anchored: at.0, ..self }
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
    // A process that has forgotten what it had recorded counts from elsewhere, so that both counts are not taken for one.
    let number = known.map_or(ticks.0 >> 8 & 0x3FFF, |known| known.ledger.next);
    pen.number(origin.pack(number));
    let kind = match (known, origin) {
        (None, _) | (_, StateOrigin::Restated) => Kind::State,
        (Some(known), _) => known.kind(env, pen, state),
    };
    let begin = pen.len();
    if let (Some(Known { last, keyframe, ledger }), Kind::Change | Kind::Anchor) = (known, kind) {
        let mut whole = Difference::write(env, pen, cut, *last, state);
        let mut ledger = ledger.changed(pen.len() - begin);
        if kind == Kind::Anchor {
            pen.integer(ledger.keyframe as i64);
            let begin = pen.len();
            whole &= Difference::write(env, pen, cut, *keyframe, state);
            ledger = ledger.anchored(pen.len() - begin, ticks);
        }
        if whole {
            return (kind, Known { last: state, keyframe: *keyframe, ledger });
        }
        // On what is cut no later difference can stand. A keyframe may have room for the rest.
        pen.truncate(begin);
    }
    let mut budget = Budget::state(pen);
    encode::term(env, pen, &mut budget, None, state);
    let ledger = Ledger {
        next: number + 1,
        keyframe: number,
        bytes: (pen.len() - begin) as u64,
        changes: u32::from(budget.cuts() > 0),
        anchored: ticks.0,
        ..Ledger::default()
    };
    // What changed is told of a keyframe too, where that is less than all.
    if let Some(known) = known.filter(|known| is_walked(env, known.last) && is_walked(env, state)) {
        let begin = pen.len();
        if !Difference::write(env, pen, cut, known.last, state) {
            pen.truncate(begin);
        }
    }
    // A term that was not recorded whole is not kept for its own sake.
    let keyframe = if ledger.is_cut() { env.make_nil() } else { state };
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
        let nanos = |ticks| session.clock.nanos(ticks).0;
        let age = |since: u64| nanos(pen.ticks()).saturating_sub(nanos(Ticks(since)));
        // Of one that is cut as a whole, nothing can be made.
        let nothing = ledger.is_cut() && ledger.bytes < SMALL;
        if nothing || !is_walked(env, state) || u64::from(ledger.since) > WORTH * ledger.bytes.max(SMALL) {
            return Kind::State;
        }
        let many = ledger.changes / 2 >= ANCHOR_COUNT && ledger.passed >= ledger.anchor;
        if !many && age(ledger.anchored) < ANCHOR_AGE.max(ANCHOR_COST * u64::from(ledger.anchor)) {
            return Kind::Change;
        }
        if ledger.is_cut() { Kind::State } else { Kind::Anchor }
    }
}
