//! Terms of one machine word, without a call into the VM: small integers, atoms, pids and ports of this node, `[]`.
//!
//! How the VM lays such words out is not part of its C interface. So it is not taken for granted: when the library is
//! loaded, [`learn`] compares the layout that is known of the VMs of today with words that this VM makes, at
//! every power of two and at the edges. Only when all of them agree is a word read here; in any other VM each is asked for,
//! as all other terms are. Nothing is followed to memory here; that is for [`crate::heap`].
//!
//! The layout is that of `erts/emulator/beam/erl_term.h` in the sources of OTP (`_TAG_IMMED1_*`, `_TAG_IMMED2_*`).

use crate::vm::{Env, Kind, Word, bits};
use elixir_scope_event::value::word::{NIL, SMALL};
use std::sync::atomic::{AtomicBool, Ordering};

/// The last four bits of a pid of this node.
const PID: u64 = 0x3;
/// The last four bits of a port of this node.
const PORT: u64 = 0x7;
/// The last six bits of an atom.
const ATOM: u64 = 0xB;
/// Bits of the number in a small integer.
const SMALL_BITS: u32 = 60;

/// Whether this VM lays words out as expected.
static LEARNED: AtomicBool = AtomicBool::new(false);

/// Whether words are read here now.
static USED: AtomicBool = AtomicBool::new(false);

/// What a word was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immediate {
    /// A small integer.
    Small(i64),
    /// An atom, or a pid or port of this node: the word means the same in all processes.
    Word,
    /// The empty list.
    Nil,
    /// Something else, or the layout is not known.
    Unknown,
}

/// What a word is, as far as the word alone tells.
#[inline]
pub fn read(word: Word) -> Immediate {
    if USED.load(Ordering::Relaxed) { parse(bits(word)) } else { Immediate::Unknown }
}

/// The number of an atom, if the word is known to be one. Atoms are numbered on from 0.
#[inline]
pub fn atom_number(word: Word) -> Option<u64> {
    let own = bits(word);
    (own & 0x3F == ATOM && USED.load(Ordering::Relaxed)).then_some(own >> 6)
}

#[inline]
fn parse(word: u64) -> Immediate {
    if word & 0xF == SMALL {
        Immediate::Small(word as i64 >> 4)
    } else if word & 0x3F == ATOM || matches!(word & 0xF, PID | PORT) {
        Immediate::Word
    } else if word == NIL {
        Immediate::Nil
    } else {
        Immediate::Unknown
    }
}

/// Finds out whether this VM lays words out as expected, and says so. Called when the library is loaded; `others` are
/// terms of all kinds that are no immediates.
pub fn learn(env: Env<'_>, atoms: &[Word], others: &[Word]) -> bool {
    let small = -(1i64 << (SMALL_BITS - 1))..1 << (SMALL_BITS - 1);
    let numbers = (0..63).flat_map(|shift| [1i64 << shift, (1 << shift) - 1]).chain([i64::MAX, i64::MIN]);
    let numbers = numbers.flat_map(|number| [number, number.wrapping_neg(), !number]);
    let integers = numbers.into_iter().all(|number| {
        let expected = if small.contains(&number) { Immediate::Small(number) } else { Immediate::Unknown };
        parse(bits(env.make_integer(number))) == expected
    });
    let is_word = |word: &Word, kind| env.kind(*word) == kind && parse(bits(*word)) == Immediate::Word;
    let atoms = atoms.iter().all(|atom| is_word(atom, Kind::Atom));
    let (pids, ports) = locals(env);
    let pids = !pids.is_empty() && pids.iter().all(|pid| is_word(pid, Kind::Pid) && env.is_local_pid(*pid));
    let ports =
        !ports.is_empty() && ports.iter().all(|port| is_word(port, Kind::Port) && env.is_local_port(*port));
    let nil = parse(bits(env.make_nil())) == Immediate::Nil;
    let others = others.iter().all(|word| parse(bits(*word)) == Immediate::Unknown);
    LEARNED.store(integers && atoms && pids && ports && nil && others, Ordering::Relaxed);
    turn(true)
}

/// Whether words are read here from now on, if the layout was learned; the answer is whether they are. Only tests and
/// benches turn it off.
pub fn turn(on: bool) -> bool {
    USED.store(on && LEARNED.load(Ordering::Relaxed), Ordering::Relaxed);
    USED.load(Ordering::Relaxed)
}

/// Pids and ports of this node, whether or not they exist: made of the calling process's pid, with other numbers.
fn locals(env: Env<'_>) -> (Vec<Word>, Vec<Word>) {
    let Some(own) = env.caller() else { return (Vec::new(), Vec::new()) };
    let pids = (0..15).filter_map(|shift| node_term(env, own, 88, &[1u32 << shift, 0], 0));
    let ports = (0..15).filter_map(|shift| node_term(env, own, 89, &[1u32 << shift], 0));
    ([own].into_iter().chain(pids).collect(), ports.collect())
}

/// A pid (tag 88) or port (89) in the external term format, of the node that `pid` is of, with the given numbers and
/// another creation of that node if `creation` is not 0.
pub fn node_term(env: Env<'_>, pid: Word, tag: u8, numbers: &[u32], creation: u32) -> Option<Word> {
    let bytes = env.external(pid, <[u8]>::to_vec)?;
    // 131, the tag, the node's name, two numbers, the creation.
    let (name, end) = (bytes.get(2..bytes.len().checked_sub(12)?)?, bytes.last_chunk::<4>()?);
    let creation = u32::from_be_bytes(*end) ^ creation;
    let numbers: Vec<u8> = numbers.iter().chain([&creation]).flat_map(|number| number.to_be_bytes()).collect();
    env.read_external(&[&[131, tag], name, &numbers].concat(), false)
}
