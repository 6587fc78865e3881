//! Small integers and atoms without a call into the VM.
//!
//! How the VM lays such words out is not part of its C interface. So it is not taken for granted: when the library is
//! loaded, [`learn`] compares the layout that is known of the VMs of today with words that this VM makes, at
//! every power of two and at the edges. Only when all of them agree is a word read here; in any other VM each is asked for,
//! as all other terms are. Nothing is ever followed to memory on the strength of this.

use crate::vm::{Env, Kind, Word, bits};
use std::sync::atomic::{AtomicBool, Ordering};

/// The last four bits of a small integer; the rest is the number.
const SMALL: u64 = 0xF;
/// The last six bits of an atom.
const ATOM: u64 = 0xB;
/// Bits of the number in a small integer.
const SMALL_BITS: u32 = 60;

static KNOWN: AtomicBool = AtomicBool::new(false);

/// What a word was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immediate {
    /// A small integer.
    Small(i64),
    /// An atom.
    Atom,
    /// Something else, or the layout is not known.
    Unknown,
}

/// What a word is, as far as the word alone tells.
#[inline]
pub fn read(word: Word) -> Immediate {
    if KNOWN.load(Ordering::Relaxed) { parse(bits(word)) } else { Immediate::Unknown }
}

#[inline]
fn parse(word: u64) -> Immediate {
    if word & 0xF == SMALL {
        Immediate::Small(word as i64 >> 4)
    } else if word & 0x3F == ATOM {
        Immediate::Atom
    } else {
        Immediate::Unknown
    }
}

/// Finds out whether this VM lays words out as expected. Called when the library is loaded.
pub fn learn(env: Env<'_>, atoms: &[Word]) {
    let small = -(1i64 << (SMALL_BITS - 1))..1 << (SMALL_BITS - 1);
    let numbers = (0..63).flat_map(|shift| [1i64 << shift, (1 << shift) - 1]).chain([i64::MAX, i64::MIN]);
    let numbers = numbers.flat_map(|number| [number, number.wrapping_neg(), !number]);
    let integers = numbers.into_iter().all(|number| {
        let expected = if small.contains(&number) { Immediate::Small(number) } else { Immediate::Unknown };
        parse(bits(env.make_integer(number))) == expected
    });
    let atoms = atoms.iter().all(|atom| env.kind(*atom) == Kind::Atom && parse(bits(*atom)) == Immediate::Atom);
    let pair = [env.make_nil(), env.make_integer(1)];
    let others = [
        Some(env.make_nil()),
        Some(env.make_list(&pair, env.make_nil())),
        Some(env.make_tuple(&[])),
        Some(env.make_tuple(&pair)),
        Some(env.make_binary(b"")),
        Some(env.make_binary(b"a binary")),
        env.make_float(1.5),
        env.make_map(&[]),
        env.make_map(&pair),
        env.caller(),
    ];
    let others = others.into_iter().flatten().all(|word| parse(bits(word)) == Immediate::Unknown);
    KNOWN.store(integers && atoms && others, Ordering::Relaxed);
}
