//! Messages as terms.

use crate::atoms;
use crate::queries::{Reader, pid};
use crate::session::Handle;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::Pid;
use elixir_scope_query::{Index, Message, Outcome, Passes, Row, Vm, Wanted};
use rustler::{Encoder, Env, NifMap, ResourceArc, Term};

/// Which messages, as `ElixirScope.Query.Messages` writes it.
#[derive(NifMap)]
pub(crate) struct Asked {
    since: u64,
    until: u64,
    delivered: bool,
    from: Option<Vec<(u32, u32)>>,
    to: Option<Vec<(u32, u32)>>,
    with: Option<Vec<(u32, u32)>>,
    limit: u64,
}

impl Asked {
    fn wanted(&self) -> Wanted {
        let pids = |numbers: &Option<Vec<(u32, u32)>>| {
            numbers.as_ref().map(|numbers| numbers.iter().copied().map(pid).collect::<Vec<Pid>>())
        };
        Wanted {
            since: Nanos(self.since),
            until: Nanos(self.until),
            delivered: self.delivered,
            from: pids(&self.from),
            to: pids(&self.to),
            with: pids(&self.with),
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX),
        }
    }
}

/// `{sent, delivered, from, to, outcome, content, target}` of each message, in the order of their sending; `sent` and `delivered` are
/// `{id, time}` or `nil`.
#[rustler::nif(schedule = "DirtyCpu")]
fn messages<'a>(env: Env<'a>, handle: ResourceArc<Handle>, asked: Asked) -> Term<'a> {
    let index = handle.recording.index();
    let found = found(&handle, &index, &asked);
    let mut ids: Vec<u64> = found.iter().filter_map(event).collect();
    ids.sort_unstable();
    let rows: AHashMap<u64, Row> = index.rows(&ids).into_iter().map(|row| (row.id, row)).collect();
    let mut reader = Reader::new(env, &index);
    let terms = found.iter().map(|message| {
        let row = event(message).and_then(|id| rows.get(&id));
        let (_, values) = row.map(|row| reader.payload(row)).unwrap_or_default();
        let nil = atoms::nil().encode(env);
        let content = values.first().copied().unwrap_or(nil);
        let target = values.get(1).copied().filter(|_| message.sent.is_some()).unwrap_or(nil);
        let (from, to) = (reader.pid(message.from), reader.pid(message.to));
        (at(message.sent), at(message.delivered), from, to, outcome(message), content, target).encode(env)
    });
    terms.collect::<Vec<Term<'a>>>().encode(env)
}

/// The release of OTP in what a recording says of its VM, `Elixir 1.18.4 (OTP 27)`; 0 when it does not say.
fn otp(vm: &str) -> u32 {
    let number = vm.rsplit_once("(OTP ").map_or("", |(_, rest)| rest.trim_end_matches(')'));
    number.parse().unwrap_or(0)
}

/// The messages that are asked for.
pub(crate) fn found(handle: &Handle, index: &Index, asked: &Asked) -> Vec<Message> {
    let manifest = &handle.recording.manifest;
    let vm = Vm { node: &manifest.node, names_senders: otp(&manifest.vm) >= 27 };
    let wanted = asked.wanted();
    let place = handle.passes.lock().before(wanted.since);
    let (found, place) = index.messages_from(&wanted, &vm, place, Passes::APART);
    place.into_iter().for_each(|place| handle.passes.lock().keep(place));
    found
}

/// The event that a message is read from.
fn event(message: &Message) -> Option<u64> {
    message.sent.or(message.delivered).map(|(id, _)| id)
}

fn at(event: Option<(u64, Nanos)>) -> Option<(u64, u64)> {
    event.map(|(id, time)| (id, time.0))
}

fn outcome(message: &Message) -> rustler::Atom {
    match message.outcome {
        Outcome::Delivered => atoms::delivered(),
        Outcome::Pending => atoms::pending(),
        Outcome::Nobody => atoms::nobody(),
        Outcome::Unwatched => atoms::unwatched(),
        Outcome::Unknown => atoms::unknown(),
    }
}
