//! What rewritten code calls. Written against the C interface: rustler's wrapper allocates for the arguments.
//!
//! | function | records |
//! |---|---|
//! | `enter(site, a1, ..., an)`, n up to 12 | a call with its arguments |
//! | `enter_list(site, args)` | a call with any number of arguments |
//! | `enter_bare(site)` | a call whose arguments are not wanted |
//! | `enter_callback(site, args, state)` | a call whose arguments hold the process's state |
//! | `leave(site, value)` | a return; gives the value back |
//! | `leave_callback(site, value, state)` | a return that holds the process's new state; gives the value back |
//! | `left(site)` | a return without its value |
//! | `raised(site, kind, reason, stack)` | an exception |
//! | `tail(site, ended)` | the frame is given to another function; gives `ended` back, whose first element is a positive number when that function is instrumented |
//! | `bind(site, v1, ..., vn)`, n from 1 to 12 | variables that were bound |
//! | `bind_list(site, values)` | any number of variables |
//! | `bind_callback(site, values, state)` | variables, in which the process's state may be |
//! | `wait(site)` | that a `receive` begins |
//! | `take(site, message)` | that it has taken a message |
//! | `expired(site)` | that it has stopped waiting, and took none |
//! | `state(site, origin, known, state)` | a state; answers what is known then, or `false` when it was not recorded |
//! | `count(site)` | one call more, without an event of its own |
//! | `introduce(map)` | who the process is |
//! | `introduce_other(pid, map)` | who another process is |
//! | `log(level, text, metadata)` | a line of the log |
//! | `log(level, text, metadata, pid)` | one that somebody else writes for a process |
//! | `telemetry(name, measurements, metadata)` | an event of `:telemetry` |
//! | `mark(label)` | a bookmark; answers `new` when it is the first event of the process, `false` when it was not recorded |
//!
//! What enters a function, counts it, waits, takes, logs or emits answers `ok`, or what is not known yet: `new` when this is the first event of the
//! process, `unsourced` when the text is missing that the site lies in. `ElixirScope.Capture.introduce/2` then says it.
//!
//! | function | records |
//! |---|---|
//! | `generation()` | nothing; a number that tells recordings apart (in its last 24 bits, when states are to be told again), 0 when off |
//! | `speak()` | the first event of the calling process, which is held until then: it may be recorded |
//! | `sensitive(on)` | nothing, from now on, of the calling process, nor what is sent to it; or it is recorded again |
//! | `sensitive_other(pid)` | nothing, from now on, of another process |
//! | `secret(key)` | nothing; answers whether a value under a key, an atom or a text, is a secret in the recording that runs |
//! | `own()` | nothing, from now on, of the calling process |
//! | `mute()` | nothing, of the calling process, until `unmute(pid)`; answers whether there was room for it |
//! | `unmute(pid)` | nothing; ends it. A process that has ended is to be unmuted too, since another may get its pid |
//! | `baseline()` | nothing; what a call of any of these costs at least |

use crate::atoms;
use crate::decode::AtomWord;
use crate::encode::{self, Budget};
use crate::redact::{self, Mask};
use crate::state::{self, Known};
use crate::vm::{self, Env, Word};
use crate::{meaning, site};
use elixir_scope_capture::{
    Origin, Outcome, Pen, Session, Slot, Thread, count as count_call, record, record_as, record_brief,
};
use elixir_scope_dictionary::Known as WordSet;
use elixir_scope_event::{Definition, Kind, Site, StateOrigin};
use rustler::sys::{ErlNifEnv, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Atoms as words, made once: looking one up by name takes a lock in the VM.
struct Words {
    ok: Word,
    new: Word,
    unsourced: Word,
    r#true: Word,
    r#false: Word,
    error: Word,
    exit: Word,
    cut: Word,
}

static WORDS: OnceLock<Words> = OnceLock::new();

mod kinds {
    rustler::atoms! { exit, r#true = "true", r#false = "false", cut = "Elixir.ElixirScope.Cut" }
}

/// Makes the atoms; the load of the library calls it.
pub fn prepare() {
    words();
}

/// The atoms that were made.
pub fn atoms() -> [Word; 9] {
    let Words { ok, new, unsourced, r#true, r#false, error, exit, cut } = words();
    [*ok, *new, *unsourced, *r#true, *r#false, *error, *exit, *cut, atoms::nil().to_term_word()]
}

/// `ElixirScope.Cut`.
pub fn cut() -> Word {
    words().cut
}

fn words() -> &'static Words {
    WORDS.get_or_init(|| Words {
        ok: atoms::ok().to_term_word(),
        new: atoms::new().to_term_word(),
        unsourced: atoms::unsourced().to_term_word(),
        r#true: kinds::r#true().to_term_word(),
        r#false: kinds::r#false().to_term_word(),
        error: atoms::error().to_term_word(),
        exit: kinds::exit().to_term_word(),
        cut: kinds::cut().to_term_word(),
    })
}

/// Whose event it is.
pub struct Caller<'a> {
    env: Env<'a>,
    process: Option<Word>,
    site: Option<Word>,
    /// Whether the answer can ask it to say who it is.
    speaks: bool,
    /// Whether it then says so at once.
    waits: bool,
}

impl<'a> Caller<'a> {
    /// The caller of a capture function.
    #[inline]
    fn new(env: Env<'a>, site: Option<Word>) -> Self {
        Caller { env, process: env.caller(), site, speaks: true, waits: false }
    }

    /// The caller of a capture function that is answered by saying what is not known yet.
    #[inline]
    fn entering(env: Env<'a>, site: Word) -> Self {
        Caller { waits: true, ..Self::new(env, Some(site)) }
    }

    /// The same, of one that stands at no place of the code.
    #[inline]
    fn emitting(env: Env<'a>) -> Self {
        Caller { waits: true, ..Self::new(env, None) }
    }

    /// A process of which somebody else tells something; `None`: no process.
    #[inline]
    pub fn told(env: Env<'a>, process: Option<Word>) -> Self {
        Caller { env, process, site: None, speaks: false, waits: false }
    }
}

impl Origin for Caller<'_> {
    #[inline]
    fn process(&self) -> u64 {
        self.process.map_or(0, vm::bits)
    }

    fn process_meaning(&self) -> Definition {
        let meaning = self.process.and_then(|process| meaning::of(self.env, process));
        meaning.unwrap_or(Definition::Unknown(self.process()))
    }

    #[inline]
    fn site(&self) -> u64 {
        self.site.map_or(0, |site| site::key(self.env, site))
    }

    fn site_meaning(&self) -> Option<Site> {
        site::parse(self.env, self.site?)
    }

    fn thread(&self) -> Thread {
        if vm::on_scheduler() { Thread::Scheduler } else { Thread::Other }
    }

    fn is_guarded(&self, session: &Session, slot: &mut Slot) -> bool {
        let ask = |site| redact::with_slot(session, slot, |guard| guard.is_guarded(self.env, site));
        self.site.is_some_and(ask)
    }

    fn waits(&self) -> bool {
        self.waits
    }

    #[inline]
    fn speaks(&self) -> bool {
        self.speaks
    }
}

pub type Args<'a> = &'a [Word];

/// Defines a C function around `body` and registers it for the given arities.
macro_rules! capture {
    ($name:ident, [$($arity:literal),+], $fallback:expr, $body:expr) => {
        unsafe extern "C" fn $name(env: *mut ErlNifEnv, argc: c_int, argv: *const Word) -> Word {
            // SAFETY: the VM calls with a live environment and `argc` terms, for the length of this call.
            let (env, args) = unsafe { (Env::new(env), std::slice::from_raw_parts(argv, argc as usize)) };
            let body: fn(Env<'_>, Args<'_>) -> Word = $body;
            // A panic would be a bug; the traced program goes on all the same.
            catch_unwind(AssertUnwindSafe(|| body(env, args))).unwrap_or_else(|_| {
                let fallback: fn(Args<'_>) -> Word = $fallback;
                fallback(args)
            })
        }
        $(rustler::codegen_runtime::inventory::submit!(rustler::Nif {
            name: concat!(stringify!($name), "\0").as_ptr().cast(),
            arity: $arity,
            flags: 0,
            raw_func: $name,
        });)+
    };
}
pub(crate) use capture;

#[inline]
fn answer(outcome: Outcome) -> Word {
    let words = words();
    match outcome {
        Outcome::New => words.new,
        Outcome::Unsourced => words.unsourced,
        Outcome::Off | Outcome::Known | Outcome::Lost => words.ok,
    }
}

fn ok(_: Args<'_>) -> Word {
    words().ok
}

fn call(env: Env<'_>, site: Word, fill: impl FnOnce(&mut Pen<'_>)) -> Word {
    answer(record(Kind::Call, &Caller::entering(env, site), fill))
}

/// The elements of a list of arguments; no function has more than 255.
fn elements(env: Env<'_>, arguments: Word) -> impl Iterator<Item = Word> {
    vm::list(env, arguments).take(255)
}

/// What of a site's events is not recorded.
#[inline]
fn mask(env: Env<'_>, pen: &mut Pen<'_>, site: Word) -> Mask {
    match pen.is_guarded() {
        true => redact::with(pen, |guard, _| guard.mask(env, site)),
        false => Mask::default(),
    }
}

/// A list of arguments after their number; `nil` when they are not wanted.
fn arguments(env: Env<'_>, pen: &mut Pen<'_>, site: Word, list: Word, state: Option<Word>) {
    if env.kind(list) != vm::Kind::List {
        return pen.number(0);
    }
    pen.number(elements(env, list).count() as u64 + 1);
    let mask = mask(env, pen, site);
    let mut budget = Budget::values(pen);
    for (place, word) in elements(env, list).enumerate() {
        budget.at_least(pen);
        match mask.hides(place) {
            true => encode::redacted(pen, &mut budget),
            false => encode::term(env, pen, &mut budget, state, word),
        }
    }
}

/// Values of a site. What a `receive` takes has no name.
#[inline]
fn values(env: Env<'_>, pen: &mut Pen<'_>, kind: Kind, site: Word, words: &[Word]) {
    let mut budget = Budget::values(pen);
    if pen.is_guarded() && kind != Kind::Take {
        return guarded(env, pen, &mut budget, site, words);
    }
    for word in words {
        encode::term(env, pen, &mut budget, None, *word);
    }
}

#[cold]
fn guarded(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, site: Word, words: &[Word]) {
    let mask = mask(env, pen, site);
    for (place, word) in words.iter().enumerate() {
        match mask.hides(place) {
            true => encode::redacted(pen, budget),
            false => encode::term(env, pen, budget, None, *word),
        }
    }
}

/// A state that is one word is written as itself: a token for it would only be longer, and stand for every equal
/// word in the arguments.
fn boxed(env: Env<'_>, state: Word) -> Option<Word> {
    encode::is_walked(env, state).then_some(state)
}

/// Records a number and values that are arguments of the capture function. The number is that of a brief record of so many.
#[inline(always)]
fn given(env: Env<'_>, kind: Kind, site: Word, number: u8, words: &[Word]) -> Outcome {
    let caller =
        Caller { waits: matches!(kind, Kind::Call | Kind::Wait | Kind::Take), ..Caller::new(env, Some(site)) };
    let word = |known: &WordSet, place: usize| encode::known(known, words[place]);
    record_brief(kind, &caller, words.len(), word, |pen| {
        pen.number(u64::from(number));
        values(env, pen, kind, site, words);
    })
}

/// As [`given`], for the return of a function: it is recorded or not, whatever the names of its arguments are.
#[inline(always)]
fn given_back(env: Env<'_>, site: Word, value: Word) {
    let caller = Caller::new(env, Some(site));
    let word = |known: &WordSet, _: usize| encode::known(known, value);
    record_brief(Kind::Return, &caller, 1, word, |pen| back(env, pen, site, value, None));
}

#[inline]
fn back(env: Env<'_>, pen: &mut Pen<'_>, site: Word, value: Word, state: Option<Word>) {
    pen.number(1);
    let mut budget = Budget::values(pen);
    match mask(env, pen, site) {
        Mask { all: true, .. } => encode::redacted(pen, &mut budget),
        Mask { texts: true, .. } => encode::without_texts(env, pen, &mut budget, state, value),
        _ => encode::term(env, pen, &mut budget, state, value),
    }
}

capture!(enter, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], ok, |env, args| {
    answer(given(env, Kind::Call, args[0], args.len() as u8, &args[1..]))
});

capture!(enter_list, [2], ok, |env, args| call(env, args[0], |pen| arguments(
    env, pen, args[0], args[1], None
)));

capture!(enter_bare, [1], ok, |env, args| call(env, args[0], |pen| pen.number(0)));

capture!(enter_callback, [3], ok, |env, args| {
    call(env, args[0], |pen| arguments(env, pen, args[0], args[1], boxed(env, args[2])))
});

fn returned(env: Env<'_>, site: Word, value: Word, state: Option<Word>) -> Word {
    record(Kind::Return, &Caller::new(env, Some(site)), |pen| back(env, pen, site, value, state));
    value
}

capture!(leave, [2], |args| args[1], |env, args| {
    given_back(env, args[0], args[1]);
    args[1]
});

capture!(leave_callback, [3], |args| args[1], |env, args| {
    returned(env, args[0], args[1], boxed(env, args[2]))
});

fn bare(env: Env<'_>, kind: Kind, site: Word, number: u64) -> Word {
    answer(record(kind, &Caller::new(env, Some(site)), |pen| pen.number(number)))
}

/// An event of the recording itself, noted by the calling process.
pub fn note(env: rustler::Env<'_>, kind: Kind) {
    record(kind, &Caller::told(Env::of(env), None), |pen| pen.number(0));
}

capture!(left, [1], ok, |env, args| bare(env, Kind::Return, args[0], 0));

capture!(tail, [2], |args| args[1], |env, args| {
    let tag = env.tuple(args[1]).and_then(|ended| env.integer(*ended.first()?));
    bare(env, Kind::Tail, args[0], u64::from(tag.is_none_or(|tag| tag < 0)));
    args[1]
});

capture!(raised, [4], ok, |env, args| {
    let words = words();
    let kind = if args[1] == words.error {
        0
    } else if args[1] == words.exit {
        1
    } else {
        2
    };
    let outcome = record(Kind::Raise, &Caller::new(env, Some(args[0])), |pen| {
        pen.number(kind);
        let mut budget = Budget::values(pen);
        let hidden = pen.has_rules() && redact::with(pen, |guard, _| guard.is_stack_of_hidden(env, args[3]));
        match hidden || mask(env, pen, args[0]).all {
            true => encode::exception(env, pen, &mut budget, args[2]),
            false => encode::term(env, pen, &mut budget, None, args[2]),
        }
        encode::term(env, pen, &mut budget, None, args[3]);
    });
    if outcome != Outcome::Off
        && let Some(session) = elixir_scope_capture::current()
    {
        session.raised(kind);
    }
    answer(outcome)
});

capture!(bind, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], ok, |env, args| {
    answer(given(env, Kind::Binding, args[0], args.len() as u8 - 1, &args[1..]))
});

capture!(bind_list, [2], ok, |env, args| {
    bound(env, args[0], vm::list(env, args[1]).count(), vm::list(env, args[1]), None)
});

capture!(bind_callback, [3], ok, |env, args| {
    bound(env, args[0], vm::list(env, args[1]).count(), vm::list(env, args[1]), boxed(env, args[2]))
});

fn bound(
    env: Env<'_>,
    site: Word,
    count: usize,
    values: impl Iterator<Item = Word>,
    state: Option<Word>,
) -> Word {
    answer(record(Kind::Binding, &Caller::new(env, Some(site)), |pen| {
        pen.number(count as u64);
        let mask = mask(env, pen, site);
        let mut budget = Budget::values(pen);
        for (place, word) in values.enumerate() {
            match mask.hides(place) {
                true => encode::redacted(pen, &mut budget),
                false => encode::term(env, pen, &mut budget, state, word),
            }
        }
    }))
}

capture!(wait, [1], ok, |env, args| answer(given(env, Kind::Wait, args[0], 0, &[])));

capture!(take, [2], ok, |env, args| answer(given(env, Kind::Take, args[0], 1, &args[1..])));

capture!(expired, [1], ok, |env, args| answer(given(env, Kind::Take, args[0], 0, &[])));

capture!(state, [4], |_| words().r#false, |env, args| {
    let origin = env.integer(args[1]).and_then(|number| u8::try_from(number).ok());
    let origin = origin.and_then(StateOrigin::from_number).unwrap_or(StateOrigin::Callback);
    let known = Known::read(env, args[2]);
    let mut next = None;
    // It may be the first event of the process, but its answer has no room for that: the next one says so.
    let caller = Caller { speaks: false, ..Caller::new(env, Some(args[0])) };
    let outcome = record_as(&caller, |pen| {
        let (kind, known) = state::write(env, pen, known.as_ref(), words().cut, origin, args[3]);
        next = Some(known);
        kind
    });
    let kept = matches!(outcome, Outcome::Known | Outcome::New | Outcome::Unsourced);
    next.filter(|_| kept).map_or(words().r#false, |known| known.write(env))
});

capture!(count, [1], ok, |env, args| answer(count_call(&Caller::new(env, Some(args[0])))));

capture!(introduce, [1], ok, |env, args| {
    answer(record(Kind::Process, &Caller::new(env, None), |pen| {
        pen.number(0);
        encode::term(env, pen, &mut Budget::values(pen), None, args[0]);
    }))
});

capture!(introduce_other, [2], ok, |env, args| {
    if env.is_local_pid(args[0]) {
        record(Kind::Process, &Caller::told(env, Some(args[0])), |pen| {
            pen.number(0);
            encode::term(env, pen, &mut Budget::values(pen), None, args[1]);
        });
    }
    words().ok
});

capture!(mark, [1], |_| words().r#false, |env, args| {
    let outcome = record(Kind::Mark, &Caller::emitting(env), |pen| {
        pen.number(0);
        encode::term(env, pen, &mut Budget::values(pen), None, args[0]);
    });
    match outcome {
        Outcome::New => words().new,
        Outcome::Known | Outcome::Unsourced => words().ok,
        Outcome::Off | Outcome::Lost => words().r#false,
    }
});

/// Three values that belong to no place in the code.
fn placeless(env: Env<'_>, kind: Kind, caller: &Caller<'_>, args: Args<'_>) -> Word {
    answer(record(kind, caller, |pen| {
        pen.number(0);
        let mut budget = Budget::values(pen);
        for word in args {
            budget.at_least(pen);
            encode::term(env, pen, &mut budget, None, *word);
        }
    }))
}

capture!(log, [3, 4], ok, |env, args| {
    let caller = match args.get(3) {
        Some(process) if !env.is_local_pid(*process) => return words().ok,
        Some(process) => Caller::told(env, Some(*process)),
        None => Caller::emitting(env),
    };
    placeless(env, Kind::Log, &caller, &args[..3])
});

capture!(telemetry, [3], ok, |env, args| { placeless(env, Kind::Telemetry, &Caller::emitting(env), args) });

capture!(generation, [0], ok, |env, _| {
    // 34 bits for the recordings of a VM, of what is one word to it: the last 24 say when states are to be told again.
    let generation = elixir_scope_capture::generation();
    let epoch = if generation == 0 { 0 } else { elixir_scope_capture::epoch() & 0xFF_FFFF };
    env.make_integer((generation << 24 | epoch) as i64)
});

capture!(secret, [1], |_| words().r#true, |env, args| {
    let ask = |session: &Session, slot: &mut Slot| {
        redact::with_slot(session, slot, |guard| guard.is_secret(env, args[0]))
    };
    let secret = elixir_scope_capture::ask(&Caller::new(env, None), ask);
    if secret == Some(true) { words().r#true } else { words().r#false }
});

capture!(own, [0], ok, |env, _| {
    elixir_scope_capture::own(env.caller().map_or(0, vm::bits));
    words().ok
});

capture!(speak, [0], ok, |env, _| {
    elixir_scope_capture::release(&Caller::new(env, None));
    words().ok
});

capture!(sensitive, [1], ok, |env, args| {
    if let Some(process) = env.caller() {
        sensitive_process(env, process, args[0] == words().r#true);
    }
    words().ok
});

capture!(sensitive_other, [1], ok, |env, args| {
    if env.is_local_pid(args[0]) {
        sensitive_process(env, args[0], true);
    }
    words().ok
});

fn sensitive_process(env: Env<'_>, process: Word, on: bool) {
    elixir_scope_capture::sensitive(vm::bits(process), on, |pid| env.lives(vm::word(pid)));
}

capture!(mute, [0], |_| words().r#false, |env, _| {
    let muted = env.caller().is_some_and(|process| elixir_scope_capture::mute(vm::bits(process)));
    if muted { words().r#true } else { words().r#false }
});

capture!(unmute, [1], ok, |_, args| {
    elixir_scope_capture::unmute(vm::bits(args[0]));
    words().ok
});

capture!(baseline, [0], ok, |_, _| words().ok);
