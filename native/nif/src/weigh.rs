//! What the encoder makes of a term and what that costs, against the other ways to keep a term. Nothing is recorded.
//! Only tests and benches call these.

use crate::decode::Decoder;
use crate::diff::Difference;
use crate::encode::{self, Budget};
use crate::vm::{self, Env, OwnEnv, Word};
use crate::{heap, immediate};
use elixir_scope_capture::{Pen, Session, Slot, current};
use elixir_scope_event::{Buffer, value};
use rustler::{NewBinary, NifUnitEnum, Term};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Copies that lie in one environment before it is cleared.
const BATCH: u32 = 64;

/// A way to keep a term.
#[derive(Clone, Copy, NifUnitEnum)]
enum Way {
    /// Ours: the walk, into a buffer.
    Walk,
    /// A copy into an environment that many share: what the capturing thread pays for it.
    Copy,
    /// The same, with the walk over the copy and the freeing of it: what the drain thread pays is in it too.
    CopyAndWalk,
    /// The external term format.
    External,
}

/// Turns reading terms where they lie on or off, as far as the layout was learned; answers whether immediates and heap
/// terms, and the nodes of large maps, are read so now.
#[rustler::nif]
fn layout(used: bool) -> (bool, bool, bool) {
    (immediate::turn(used), heap::turn(used), heap::reads_nodes())
}

/// The payload of an event that holds the term alone. Something must be recording: the words get their meaning there.
#[rustler::nif]
fn encoded<'a>(
    env: rustler::Env<'a>,
    term: Term<'a>,
    limited: bool,
) -> Result<rustler::Binary<'a>, &'static str> {
    let session = recording()?;
    let (mut buffer, mut slot) = (Buffer::default(), Slot::default());
    walk(Env::of(env), &session, (&mut buffer, &mut slot), vm::word_of(term), limited);
    let mut binary = NewBinary::new(env, buffer.len());
    binary.as_mut_slice().copy_from_slice(buffer.as_slice());
    Ok(binary.into())
}

/// Nanoseconds that so many rounds take, and the bytes of one.
#[rustler::nif]
fn weigh<'a>(
    env: rustler::Env<'a>,
    way: Way,
    term: Term<'a>,
    rounds: u32,
    limited: bool,
) -> Result<(u64, usize), &'static str> {
    let (env, term) = (Env::of(env), vm::word_of(term));
    let session = recording()?;
    let (mut buffer, mut slot) = (Buffer::default(), Slot::default());
    walk(env, &session, (&mut buffer, &mut slot), term, limited);
    let mut bytes = buffer.len();
    let mut batch = OwnEnv::new();
    let mut copies = Vec::with_capacity(BATCH as usize);
    let mut time = Duration::ZERO;
    let mut left = rounds;
    while left > 0 {
        let count = left.min(BATCH);
        left -= count;
        let started = Instant::now();
        match way {
            Way::Walk => (0..count).for_each(|_| walk(env, &session, (&mut buffer, &mut slot), term, limited)),
            Way::External => {
                (0..count).for_each(|_| bytes = env.external(term, |bytes| black_box(bytes).len()).unwrap_or(0))
            }
            Way::Copy => {
                time += batch.with(|batch| {
                    let started = Instant::now();
                    (0..count).for_each(|_| _ = black_box(batch.copy(term)));
                    started.elapsed()
                });
                continue;
            }
            Way::CopyAndWalk => batch.with(|batch| {
                copies.extend((0..count).map(|_| batch.copy(term)));
                copies
                    .drain(..)
                    .for_each(|copy| walk(batch, &session, (&mut buffer, &mut slot), copy, limited));
            }),
        }
        time += started.elapsed();
    }
    Ok((time.as_nanos() as u64, bytes))
}

fn recording() -> Result<Arc<Session>, &'static str> {
    current().ok_or("nothing is recording; start a recording first")
}

#[inline(never)]
fn walk(env: Env<'_>, session: &Session, (buffer, slot): (&mut Buffer, &mut Slot), term: Word, limited: bool) {
    buffer.clear();
    let mut pen = Pen::new(session, session.clock.raw(), buffer, slot);
    let mut budget = if limited { Budget::values(&pen) } else { Budget::unlimited() };
    pen.number(1);
    encode::term(env, &mut pen, &mut budget, None, term);
}

/// The patch that makes a term of another, as a ring holds it. Something must be recording.
#[rustler::nif]
fn difference<'a>(
    env: rustler::Env<'a>,
    old: Term<'a>,
    new: Term<'a>,
) -> Result<rustler::Binary<'a>, &'static str> {
    let session = recording()?;
    let (mut buffer, mut slot) = (Buffer::default(), Slot::default());
    let mut pen = Pen::new(&session, session.clock.raw(), &mut buffer, &mut slot);
    let cut = crate::capture::cut();
    Difference::write(Env::of(env), &mut pen, cut, vm::word_of(old), vm::word_of(new));
    let mut binary = NewBinary::new(env, buffer.len());
    binary.as_mut_slice().copy_from_slice(buffer.as_slice());
    Ok(binary.into())
}

/// What a patch, which may be any bytes, makes of a term. Atoms, pids and ports in it have no meaning here.
#[rustler::nif(schedule = "DirtyCpu")]
fn patched<'a>(env: rustler::Env<'a>, old: Term<'a>, patch: rustler::Binary<'a>) -> Option<Term<'a>> {
    let mut payload = Vec::new();
    value::translate(&[&[0], patch.as_slice()].concat(), &mut payload, |_| 0).ok()?;
    let mut decoder = Decoder::new(Env::of(env), None);
    let made = decoder.patch(&mut &payload[1..], vm::word_of(old)).ok()?;
    Some(vm::term(env, made))
}
