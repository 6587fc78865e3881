//! What the VM tells of processes that are watched: an `erl_tracer`, whose functions the VM calls in the place where something
//! happens, in the thread that does it. They write into the ring of that thread, as rewritten code does: there is no
//! tracer process, and no message.
//!
//! | function | answers or records |
//! |---|---|
//! | `enabled(tag, state, tracee)` | `trace` or `discard` |
//! | `trace(tag, state, tracee, term, options)` | one event |
//! | `watch(number, kinds)` | nothing; which number the tracer's state is to have from now on, 0 for none, and a bit for each kind |
//! | `forget()` | nothing; from now on each process that runs instrumented code says again who it is |
//!
//! The state of the tracer is a number that tells watches apart. So what an earlier recording has set up in the VM says nothing
//! any more.
//!
//! A message is recorded with a digest of its bytes as they lie in the ring, where atoms and pids stand as words of this VM. So
//! the same message has the same digest when it is sent and when it is delivered, under the same limits.

use crate::capture::{Args, Caller, capture};
use crate::decode::AtomWord;
use crate::encode::{self, Budget};
use crate::redact::{self, Mask};
use crate::vm::{self, Env, Word};
use elixir_scope_capture::{Pen, generation, is_muted, is_ours, is_sensitive, record};
use elixir_scope_event::{Kind, LinkAction};
use rustler::sys::{ErlNifEnv, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number that the tracer's state has now, as a word; 0 when nothing is watched.
static WATCH: AtomicU64 = AtomicU64::new(0);

/// The recording that it is for: an earlier one's watch says nothing to a later one.
static RECORDING: AtomicU64 = AtomicU64::new(0);

/// A bit for each number of a [`Kind`] that is recorded.
static KINDS: AtomicU32 = AtomicU32::new(0);

mod names {
    rustler::atoms! {
        trace, discard, nil,
        send, receive, call, spawn, spawned, exit, link, unlink, register, unregister, open, closed,
        missing = "send_to_non_existing_process",
        linked = "getting_linked",
        unlinked = "getting_unlinked",
        returned = "return_from",
        raised = "exception_from",
        scheduled = "in",
        descheduled = "out",
        scheduled_exiting = "in_exiting",
        descheduled_exiting = "out_exiting",
        descheduled_exited = "out_exited",
        minor_start = "gc_minor_start",
        minor_end = "gc_minor_end",
        major_start = "gc_major_start",
        major_end = "gc_major_end",
        status = "trace_status",
        extra,
        result = "match_spec_result",
        ours = "$elixir_scope",
        parent,
        dictionary,
        initial_call,
        label_module = "proc_lib",
        label_elixir = "Elixir.Process",
        label_function = "set_label",
    }
}

/// What a tag of the VM is: a kind, and the number of its payload.
type Meaning = (Word, Kind, u64);

struct Words {
    /// Those that come most often stand first.
    tags: [Meaning; 26],
    trace: Word,
    discard: Word,
    nil: Word,
    status: Word,
    extra: Word,
    result: Word,
    ours: Word,
    /// What a process that says who it is asks of others.
    asked: [Word; 3],
    /// The functions that give the calling process a label.
    labels: [(Word, Word); 2],
}

static WORDS: OnceLock<Words> = OnceLock::new();

/// Makes the atoms; the load of the library calls it.
pub fn prepare() {
    words();
}

fn words() -> &'static Words {
    WORDS.get_or_init(|| {
        use names::*;
        Words {
            tags: [
                (send(), Kind::Send, 0),
                (receive(), Kind::Receive, 0),
                (call(), Kind::Traced, 0),
                (scheduled(), Kind::Schedule, 0),
                (descheduled(), Kind::Schedule, 1),
                (spawn(), Kind::Spawn, 0),
                (spawned(), Kind::Spawned, 0),
                (exit(), Kind::Exit, 0),
                (link(), Kind::Link, LinkAction::Link as u64),
                (unlink(), Kind::Link, LinkAction::Unlink as u64),
                (linked(), Kind::Link, LinkAction::Linked as u64),
                (unlinked(), Kind::Link, LinkAction::Unlinked as u64),
                (register(), Kind::Name, 0),
                (unregister(), Kind::Name, 1),
                (missing(), Kind::Send, 1),
                (returned(), Kind::Traced, 1),
                (raised(), Kind::Traced, 2),
                (scheduled_exiting(), Kind::Schedule, 0),
                (descheduled_exiting(), Kind::Schedule, 1),
                (descheduled_exited(), Kind::Schedule, 2),
                (minor_start(), Kind::Collect, 0),
                (minor_end(), Kind::Collect, 1),
                (major_start(), Kind::Collect, 2),
                (major_end(), Kind::Collect, 3),
                (open(), Kind::Port, 0),
                (closed(), Kind::Port, 1),
            ]
            .map(|(tag, kind, number)| (tag.to_term_word(), kind, number)),
            trace: trace().to_term_word(),
            discard: discard().to_term_word(),
            nil: nil().to_term_word(),
            status: status().to_term_word(),
            extra: extra().to_term_word(),
            result: result().to_term_word(),
            ours: ours().to_term_word(),
            asked: [parent(), dictionary(), initial_call()].map(AtomWord::to_term_word),
            labels: [label_module(), label_elixir()]
                .map(|module| (module.to_term_word(), label_function().to_term_word())),
        }
    })
}

fn is_recorded(kind: Kind) -> bool {
    KINDS.load(Ordering::Relaxed) & 1 << kind as u32 != 0
}

fn meaning(tag: Word) -> Option<(Kind, u64)> {
    let found = words().tags.iter().find(|(known, _, _)| *known == tag);
    found.map(|(_, kind, number)| (*kind, *number))
}

capture!(enabled, [3], |_| words().discard, |_, args| {
    let words = words();
    let &[tag, state, tracee] = args else { return words.discard };
    // A number of another watch, or a process of ours. It is not answered with `remove`: OTP 25 then goes on with the tracer that it
    // has just taken from the process, and ends with SIGSEGV in a few of a hundred starts of a recording on a busy VM.
    if vm::bits(state) != WATCH.load(Ordering::Relaxed) || is_ours(vm::bits(tracee)) {
        return words.discard;
    }
    if tag == words.status {
        return words.trace;
    }
    let recording = generation();
    let recorded = recording != 0 && recording == RECORDING.load(Ordering::Relaxed);
    let wanted = recorded && meaning(tag).is_some_and(|(kind, _)| is_recorded(kind));
    if wanted { words.trace } else { words.discard }
});

capture!(trace, [5], |_| words().discard, |env, args| {
    if let &[tag, _state, tracee, term, options] = args
        && let Some((kind, number)) = meaning(tag)
    {
        Told { env, tracee, term, options }.record(kind, number);
    }
    words().discard
});

capture!(watch, [2], |args| args[0], |env, args| {
    let kinds = env.integer(args[1]).and_then(|kinds| u32::try_from(kinds).ok()).unwrap_or(0);
    KINDS.store(kinds, Ordering::Relaxed);
    RECORDING
        .store(elixir_scope_capture::current().map_or(0, |session| session.generation()), Ordering::Relaxed);
    WATCH.store(vm::bits(args[0]), Ordering::Relaxed);
    args[0]
});

capture!(forget, [0], |_| words().nil, |_, _| {
    if let Some(session) = elixir_scope_capture::current() {
        session.forget_processes();
    }
    words().nil
});

/// What the VM tells with one call.
struct Told<'a> {
    env: Env<'a>,
    tracee: Word,
    term: Word,
    options: Word,
}

impl Told<'_> {
    fn record(&self, kind: Kind, number: u64) {
        match kind {
            Kind::Send => {
                let to = self.extra();
                if !is_ours(vm::bits(to)) && !is_sensitive(vm::bits(to)) {
                    self.message(kind, number, to);
                }
            }
            Kind::Receive => {
                let from = self.option(words().result).filter(|from| self.env.kind(*from) == vm::Kind::Pid);
                let from = from.unwrap_or(words().nil);
                if !is_ours(vm::bits(from)) && !self.answer_of_ours() && !self.answer_to_us() {
                    self.message(kind, number, from);
                }
            }
            // What a process of ours makes is one of ours, and so is what one makes that is muted. It is told where it begins, so nothing of
            // it was recorded before.
            Kind::Spawned if is_ours(vm::bits(self.term)) || is_muted(vm::bits(self.term)) => {
                elixir_scope_capture::mute(vm::bits(self.tracee));
            }
            // Another process may get its pid.
            Kind::Exit => {
                // Of one whose flag `sensitive` is set the VM would not tell.
                elixir_scope_capture::release(&Caller::told(self.env, Some(self.tracee)));
                self.values(kind, self.tracee, number, &[self.term]);
                elixir_scope_capture::unmute(vm::bits(self.tracee));
            }
            Kind::Spawn | Kind::Spawned => self.values(kind, self.tracee, number, &[self.term, self.extra()]),
            Kind::Traced => self.call(number),
            // A port is no process: its opening is told of the process that opened it.
            Kind::Port if number == 0 => self.values(kind, self.term, 0, &[self.tracee, self.extra()]),
            Kind::Port => self.values(kind, words().nil, number, &[self.tracee, self.term]),
            _ => self.values(kind, self.tracee, number, &[self.term]),
        }
    }

    /// Whether the message is `{tag, {:"$elixir_scope", _}}`: before OTP 27 the VM does not say who sent it, so what processes of ours
    /// answer does.
    fn answer_of_ours(&self) -> bool {
        match self.env.tuple(self.term) {
            Some(&[_tag, answer]) => matches!(self.env.tuple(answer), Some(&[ours, _]) if ours == words().ours),
            _ => false,
        }
    }

    /// Whether it is `{tag, {item, _}}`, of a process that is just saying who it is: it asks the processes that made it for such items
    /// (`ElixirScope.Capture`), in one call, and the VM answers with a message. Of one key of a dictionary the item is `{:dictionary, key}`.
    fn answer_to_us(&self) -> bool {
        let Some(&[_tag, answer]) = self.env.tuple(self.term) else { return false };
        let Some(&[item, _]) = self.env.tuple(answer) else { return false };
        let item = match self.env.tuple(item) {
            Some(&[item, _key]) => item,
            _ => item,
        };
        words().asked.contains(&item) && elixir_scope_capture::is_held(vm::bits(self.tracee))
    }

    /// The message stands first, so that the same is left of the limits for it on both sides.
    fn message(&self, kind: Kind, number: u64, other: Word) {
        self.write(kind, self.tracee, number, |pen| {
            let from = pen.len();
            let mut budget = Budget::values(pen);
            encode::term(self.env, pen, &mut budget, None, self.term);
            let digest = DIGEST.hash_one(pen.behind(from)) as u32;
            budget.at_least(pen);
            encode::term(self.env, pen, &mut budget, None, other);
            pen.integer(digest.into());
        });
    }

    fn call(&self, number: u64) {
        let Some(&[module, function, arguments]) = self.env.tuple(self.term) else { return };
        // A call of one of ours is no doing of the program.
        if self.env.cell(arguments).is_some_and(|(first, _)| is_ours(vm::bits(first))) {
            return;
        }
        let label = number == 0 && words().labels.contains(&(module, function));
        match self.env.cell(arguments).filter(|_| label) {
            Some((label, _)) => self.values(Kind::Label, self.tracee, 0, &[label]),
            None => {
                let extra = self.extra();
                let (number, results) = match (number, self.env.tuple(extra)) {
                    (0, _) => (0, &[][..]),
                    (2, Some(results @ &[_class, _reason])) => (2, results),
                    _ => (1, &[extra][..]),
                };
                self.traced(number, [module, function, arguments], results);
            }
        }
    }

    fn traced(&self, number: u64, function: [Word; 3], results: &[Word]) {
        let (env, [module, name, arguments]) = (self.env, function);
        self.write(Kind::Traced, self.tracee, number, |pen| {
            let (mask, result) = match pen.has_rules() {
                true => redact::with(pen, |guard, _| {
                    let all = number == 1 && guard.hides_result(env, module, name, arguments);
                    let texts = number == 1 && guard.is_secret(env, name);
                    (guard.arguments(env, module, name, arguments), Mask::returned(all, texts))
                }),
                false => (None, Mask::default()),
            };
            let mut budget = Budget::values(pen);
            for (place, value) in function.iter().chain(results).enumerate() {
                budget.at_least(pen);
                match (place, mask) {
                    (2, Some(mask)) => encode::masked_list(env, pen, &mut budget, arguments, mask),
                    (3, _) if result.all => encode::redacted(pen, &mut budget),
                    (3, _) if result.texts => encode::without_texts(env, pen, &mut budget, None, *value),
                    _ => encode::term(env, pen, &mut budget, None, *value),
                }
            }
        });
    }

    fn values(&self, kind: Kind, process: Word, number: u64, values: &[Word]) {
        self.write(kind, process, number, |pen| {
            let mut budget = Budget::values(pen);
            for value in values {
                budget.at_least(pen);
                encode::term(self.env, pen, &mut budget, None, *value);
            }
        });
    }

    fn write(&self, kind: Kind, process: Word, number: u64, fill: impl FnOnce(&mut Pen<'_>)) {
        let process = self.env.is_local_pid(process).then_some(process);
        record(kind, &Caller::told(self.env, process), |pen| {
            pen.number(number);
            fill(pen);
        });
    }

    fn extra(&self) -> Word {
        self.option(words().extra).unwrap_or(words().nil)
    }

    fn option(&self, key: Word) -> Option<Word> {
        self.env.map_get(self.options, key)
    }
}

/// The same for all that one VM records, whatever thread asks.
static DIGEST: ahash::RandomState = ahash::RandomState::with_seeds(1, 2, 3, 4);
