//! Questions about a recording, on dirty schedulers. Elixir's side is `ElixirScope.Query`, which makes structs of
//! the tuples that come from here.
//!
//! An event is `{id, time, kind, pid | nil, site | nil, number, values}`; a site is
//! `{{module, function, arity}, {file, line, column, source}, {node, kind, clause, names}}`. What number and values mean is said by `event::Kind`.

use crate::atoms;
use crate::decode::Decoder;
use crate::session::Handle;
use crate::vm::{self, Word};
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Kind, Pid, Site, StateOrigin, varint};
use elixir_scope_query::{Base, Call, Ending, Filter, Index, Row, StateAnswer, States, state_number};
use elixir_scope_recorder::Recorder;
use elixir_scope_segment::Damage;
use rustler::{Encoder, Env, NifMap, ResourceArc, Term};

/// A filter as `ElixirScope.Query` writes it.
#[derive(NifMap)]
pub(crate) struct Wanted {
    kinds: Vec<String>,
    processes: Option<Vec<(u32, u32)>>,
    sites: Option<Vec<u64>>,
    since: u64,
    until: u64,
}

impl Wanted {
    pub(crate) fn filter(&self) -> Filter {
        let pids = |wanted: &Vec<(u32, u32)>| wanted.iter().copied().map(pid).collect();
        // States are of one kind to whoever asks.
        let kinds = self.kinds.iter().filter_map(|name| Kind::from_name(name)).flat_map(|kind| match kind {
            Kind::State => vec![Kind::State, Kind::Change, Kind::Anchor],
            kind => vec![kind],
        });
        Filter {
            kinds: kinds.collect(),
            processes: self.processes.as_ref().map(pids),
            sites: self.sites.clone(),
            since: Nanos(self.since),
            until: Nanos(self.until),
        }
    }
}

/// A process as Elixir names it: by the two numbers of its pid.
pub(crate) fn pid((id, serial): (u32, u32)) -> Pid {
    Pid { id, serial }
}

/// Makes terms of rows, with one decoder a segment. What many rows share is made once.
pub(crate) struct Reader<'a, 'i> {
    env: Env<'a>,
    index: &'i Index,
    decoders: AHashMap<usize, Decoder<'a>>,
    kinds: AHashMap<Kind, rustler::Atom>,
    pids: AHashMap<Pid, Term<'a>>,
    sites: AHashMap<u64, Term<'a>>,
    states: States<'i>,
    /// The states that were made, with their numbers, by the numbers of their events.
    made: AHashMap<u64, Option<(u64, Word)>>,
}

impl<'a, 'i> Reader<'a, 'i> {
    pub(crate) fn new(env: Env<'a>, index: &'i Index) -> Self {
        Reader {
            env,
            index,
            decoders: AHashMap::new(),
            kinds: AHashMap::new(),
            pids: AHashMap::new(),
            sites: AHashMap::new(),
            states: States::new(index),
            made: AHashMap::new(),
        }
    }

    pub(crate) fn env(&self) -> Env<'a> {
        self.env
    }

    fn decoder(&mut self, volume: usize) -> &mut Decoder<'a> {
        let (env, index) = (self.env, self.index);
        let new = || Decoder::new(vm::Env::of(env), index.volume(volume).cloned());
        self.decoders.entry(volume).or_insert_with(new)
    }

    /// The number of a payload and its values. Bytes that are malformed end the values.
    pub(crate) fn payload(&mut self, row: &Row) -> (u64, Vec<Term<'a>>) {
        let mut rest = &row.payload[..];
        let Ok(number) = varint::take(&mut rest) else { return (0, Vec::new()) };
        if row.kind.is_state() {
            let (origin, _) = StateOrigin::unpack(number);
            let state = self.state(row).map(|state| vm::term(self.env, self.shown(state)));
            return (origin as u64, state.into_iter().collect());
        }
        let state = if names_state(rest) { self.state_before(row) } else { None };
        let env = self.env;
        let decoder = self.decoder(row.volume);
        let mut values = Vec::new();
        while let (false, Ok(word)) = (rest.is_empty(), decoder.take(&mut rest, state)) {
            values.push(word);
        }
        (number, values.into_iter().map(|word| vm::term(env, self.shown(word))).collect())
    }

    /// A term as it is shown.
    fn shown(&self, word: Word) -> Word {
        match self.decoders.values().find(|decoder| decoder.has_cuts()) {
            Some(decoder) => decoder.shown(word),
            None => word,
        }
    }

    /// The state that a state token in a row's payload stands for, unless a later one may be among what is missing.
    fn state_before(&mut self, row: &Row) -> Option<Word> {
        let pid = row.process?;
        let (id, time) = self.states.before(pid, row.id)?;
        if self.index.may_have_changed(time, row.time) {
            return None;
        }
        match self.made.get(&id) {
            Some(known) => known.map(|(_, state)| state),
            None => self.states.row(pid, id).and_then(|row| self.state(&row)),
        }
    }

    /// The state that a state event tells; `None` when a part of what it is made of is missing.
    fn state(&mut self, row: &Row) -> Option<Word> {
        if let Some(known) = self.made.get(&row.id) {
            return known.map(|(_, state)| state);
        }
        let number = state_number(&row.payload);
        let state = self.make_state(row).zip(number).map(|(state, number)| (number, state));
        self.made.insert(row.id, state);
        state.map(|(_, state)| state)
    }

    fn make_state(&mut self, row: &Row) -> Option<Word> {
        let pid = row.process?;
        if row.kind == Kind::State {
            return self.keyframe(row);
        }
        // Most are asked for one after the other, or not far from each other.
        let made = &self.made;
        let number = |id: u64| made.get(&id).copied().flatten().map(|(number, _)| number);
        let chain = self.states.chain(pid, row.id, number)?;
        let state = match &chain.base {
            Base::Known(id) => self.made.get(id).copied().flatten()?.1,
            Base::Keyframe(keyframe) => self.state(keyframe)?,
            Base::Anchor { keyframe, anchor } => {
                let state = self.state(keyframe)?;
                self.patched(anchor, state, 1)?
            }
        };
        chain.changes.iter().try_fold(state, |state, change| self.patched(change, state, 0))
    }

    fn keyframe(&mut self, row: &Row) -> Option<Word> {
        let mut rest = &row.payload[..];
        varint::take(&mut rest).ok()?;
        self.decoder(row.volume).take(&mut rest, None).ok()
    }

    /// What the first patch of a change or an anchor makes of the state before; or, with 1, the second one of an anchor of
    /// the keyframe.
    fn patched(&mut self, row: &Row, old: Word, patch: usize) -> Option<Word> {
        let mut rest = &row.payload[..];
        varint::take(&mut rest).ok()?;
        // Before the second stand the first, and the number of the keyframe.
        (0..2 * patch).try_for_each(|_| value::skip(&mut rest)).ok()?;
        self.decoder(row.volume).patch(&mut rest, old).ok()
    }

    /// Whether a state event may have changed what lies at a path.
    fn touches(&mut self, row: &Row, path: &[Word]) -> bool {
        let mut rest = &row.payload[..];
        let begin = varint::take(&mut rest).and_then(|_| match row.kind {
            Kind::State => value::skip(&mut rest),
            _ => Ok(()),
        });
        // Of a keyframe it is told where that is less than all.
        if begin.is_err() || rest.is_empty() {
            return true;
        }
        self.decoder(row.volume).touches(&mut rest, path).unwrap_or(true)
    }

    pub(crate) fn event(&mut self, row: &Row) -> Term<'a> {
        let (number, values) = self.payload(row);
        let (pid, site) = (self.pid(row.process), self.site(row.site));
        let kind = self.kind(row.kind);
        (row.id, row.time.0, kind, pid, site, number, values).encode(self.env)
    }

    pub(crate) fn kind(&mut self, kind: Kind) -> rustler::Atom {
        // Looking an atom up takes a lock in the VM.
        let kind = if kind.is_state() { Kind::State } else { kind };
        let new = || rustler::Atom::from_str(self.env, kind.name()).expect("names of kinds are short");
        *self.kinds.entry(kind).or_insert_with(new)
    }

    pub(crate) fn pid(&mut self, pid: Option<Pid>) -> Term<'a> {
        let Some(pid) = pid else { return atoms::nil().encode(self.env) };
        if let Some(known) = self.pids.get(&pid) {
            return *known;
        }
        let Some(external) = self.index.external(pid) else { return atoms::nil().encode(self.env) };
        let word = self.decoder(0).external(&external);
        let term = vm::term(self.env, word);
        self.pids.insert(pid, term);
        term
    }

    fn site(&mut self, key: Option<u64>) -> Term<'a> {
        let Some(key) = key else { return atoms::nil().encode(self.env) };
        if let Some(known) = self.sites.get(&key) {
            return *known;
        }
        let Some(site) = self.index.site(key) else { return atoms::nil().encode(self.env) };
        let term = self.site_tuple(site);
        self.sites.insert(key, term);
        term
    }

    /// `{module, function, arity}`.
    pub(crate) fn function(&mut self, site: &Site) -> Term<'a> {
        let env = self.env;
        let decoder = self.decoder(0);
        let module = vm::term(env, decoder.atom(&site.module));
        let function = vm::term(env, decoder.atom(&site.function));
        (module, function, site.arity).encode(env)
    }

    fn site_tuple(&mut self, site: &Site) -> Term<'a> {
        let env = self.env;
        let function = self.function(site);
        let decoder = self.decoder(0);
        let names: Vec<_> = site.names.iter().map(|name| vm::term(env, decoder.atom(name))).collect();
        let kind = rustler::Atom::from_str(env, site.node_kind.name()).expect("names of kinds are short");
        let place = (&site.file, site.line, site.column, site.source);
        let node = (site.node, kind, site.clause, names);
        (function, place, node).encode(env)
    }

    pub(crate) fn call(&mut self, call: &Call) -> Term<'a> {
        let ending = match &call.ending {
            Ending::Open => atoms::open().encode(self.env),
            Ending::Unknown => atoms::unknown().encode(self.env),
            Ending::Returned(row) => (atoms::returned(), self.event(row)).encode(self.env),
            Ending::Raised(row) => (atoms::raised(), self.event(row)).encode(self.env),
        };
        (self.event(&call.begin), call.parent, call.chain, call.tail, ending).encode(self.env)
    }
}

/// Whether a state token is among the values.
fn names_state(mut values: &[u8]) -> bool {
    while !values.is_empty() {
        match value::take(&mut values) {
            Ok(Token::State | Token::StateElement(_)) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[rustler::nif(schedule = "DirtyCpu")]
fn events<'a>(env: Env<'a>, handle: ResourceArc<Handle>, wanted: Wanted, from: u64, limit: usize) -> Term<'a> {
    let index = handle.recording.index();
    let page = index.events(&wanted.filter(), from, limit);
    let mut reader = Reader::new(env, &index);
    let events: Vec<Term<'a>> = page.rows.iter().map(|row| reader.event(row)).collect();
    (events, page.next).encode(env)
}

/// Newest first.
#[rustler::nif(schedule = "DirtyCpu")]
fn events_before<'a>(
    env: Env<'a>,
    handle: ResourceArc<Handle>,
    wanted: Wanted,
    before: u64,
    limit: usize,
) -> Term<'a> {
    let index = handle.recording.index();
    let page = index.events_before(&wanted.filter(), before, limit);
    let mut reader = Reader::new(env, &index);
    let events: Vec<Term<'a>> = page.rows.iter().map(|row| reader.event(row)).collect();
    (events, page.next).encode(env)
}

/// How many events match.
#[rustler::nif(schedule = "DirtyCpu")]
fn count_events(handle: ResourceArc<Handle>, wanted: Wanted) -> u64 {
    handle.recording.index().count(&wanted.filter())
}

/// The earliest time of the last so many events that match; `nil` when there are not so many.
#[rustler::nif(schedule = "DirtyCpu")]
fn earliest(handle: ResourceArc<Handle>, wanted: Wanted, count: usize) -> Option<u64> {
    handle.recording.index().earliest_of_last(&wanted.filter(), count).map(|time| time.0)
}

/// Events of a process that are looked at for the calls that are open: a fraction of a second.
const FRAMES: usize = 5_000_000;

/// `{calls, whole}`: the events that began the calls which were open before the event of a number, innermost first, and
/// whether these are all.
#[rustler::nif(schedule = "DirtyCpu")]
fn open_calls<'a>(env: Env<'a>, handle: ResourceArc<Handle>, process: (u32, u32), before: u64) -> Term<'a> {
    let index = handle.recording.index();
    let open = index.open_calls(pid(process), before, FRAMES);
    let mut reader = Reader::new(env, &index);
    let calls: Vec<Term<'a>> = open.calls.iter().map(|row| reader.event(row)).collect();
    (calls, open.whole).encode(env)
}

/// `{pairs, calls}`: the numbers of events, each with that of the event which began the innermost call around it, and those events.
#[rustler::nif(schedule = "DirtyCpu")]
fn around<'a>(
    env: Env<'a>,
    handle: ResourceArc<Handle>,
    process: (u32, u32),
    numbers: Vec<u64>,
) -> (Vec<(u64, u64)>, Vec<Term<'a>>) {
    let index = handle.recording.index();
    let found = index.around(pid(process), numbers, FRAMES);
    let pairs = found.iter().map(|(number, call)| (*number, call.id)).collect();
    let mut reader = Reader::new(env, &index);
    let mut calls: Vec<&Row> = found.iter().map(|(_, call)| call).collect();
    calls.sort_unstable_by_key(|call| call.id);
    calls.dedup_by_key(|call| call.id);
    (pairs, calls.into_iter().map(|call| reader.event(call)).collect())
}

/// The event that began the call which the event of a number has ended.
#[rustler::nif(schedule = "DirtyCpu")]
fn began<'a>(env: Env<'a>, handle: ResourceArc<Handle>, process: (u32, u32), end: u64) -> Term<'a> {
    let index = handle.recording.index();
    let mut reader = Reader::new(env, &index);
    let began = index.began(pid(process), end).map(|row| reader.event(&row));
    began.encode(env)
}

/// `{cause, count, from, to}` of what is missing between two times, both included, by time.
#[rustler::nif(schedule = "DirtyCpu")]
fn gaps(handle: ResourceArc<Handle>, from: u64, to: u64) -> Vec<Missing> {
    gaps_between(&handle.recording.index(), from, to)
}

pub(crate) type Missing = (&'static str, u64, u64, u64);

pub(crate) fn gaps_between(index: &Index, from: u64, to: u64) -> Vec<Missing> {
    let touched = index.gaps().into_iter().filter(|gap| gap.touches(Nanos(from), Nanos(to)));
    touched.map(|gap| (gap.cause.name(), gap.count, gap.from.0, gap.to.0)).collect()
}

/// The bookmarks.
#[rustler::nif(schedule = "DirtyCpu")]
fn marks<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> Term<'a> {
    let index = handle.recording.index();
    let mut reader = Reader::new(env, &index);
    index.marks().iter().map(|row| reader.event(row)).collect::<Vec<_>>().encode(env)
}

#[rustler::nif(schedule = "DirtyCpu")]
fn calls<'a>(env: Env<'a>, handle: ResourceArc<Handle>, wanted: Wanted, limit: usize) -> Term<'a> {
    let index = handle.recording.index();
    let calls = index.calls(&wanted.filter(), limit);
    let mut reader = Reader::new(env, &index);
    calls.iter().map(|call| reader.call(call)).collect::<Vec<_>>().encode(env)
}

#[rustler::nif(schedule = "DirtyCpu")]
fn state_at<'a>(env: Env<'a>, handle: ResourceArc<Handle>, process: (u32, u32), time: u64) -> Term<'a> {
    state_then(env, &handle.recording.index(), pid(process), Nanos(time))
}

pub(crate) fn state_then<'a>(env: Env<'a>, index: &Index, process: Pid, time: Nanos) -> Term<'a> {
    let mut reader = Reader::new(env, index);
    match index.state_at(process, time) {
        StateAnswer::Known(row) if reader.state(&row).is_some() => {
            (atoms::known(), reader.event(&row)).encode(env)
        }
        StateAnswer::Known(row) => (atoms::lost(), reader.event(&row)).encode(env),
        StateAnswer::Lost(row) => (atoms::lost(), reader.event(&row)).encode(env),
        StateAnswer::Before(first) => (atoms::before(), first.0).encode(env),
        StateAnswer::Never => atoms::never().encode(env),
    }
}

/// States looked at in one call, at most.
const LOOKED_AT: usize = 1 << 20;

/// `{states, next}`: up to `limit` states of a process that may have changed what lies at a path, the newest first, each as an
/// event; `next` is the number to go on before, or `nil`.
#[rustler::nif(schedule = "DirtyCpu")]
fn states<'a>(
    env: Env<'a>,
    handle: ResourceArc<Handle>,
    process: (u32, u32),
    path: Vec<Term<'a>>,
    (since, until): (u64, u64),
    before: Option<u64>,
    limit: usize,
) -> Term<'a> {
    let index = handle.recording.index();
    let mut reader = Reader::new(env, &index);
    let (pid, path) = (pid(process), path.into_iter().map(vm::word_of).collect::<Vec<_>>());
    let mut next = match before {
        Some(id) => reader.states.before(pid, id),
        None => reader.states.at(pid, Nanos(until)),
    };
    let mut rows = Vec::new();
    for _ in 0..LOOKED_AT {
        let Some((id, _)) = next.filter(|(_, time)| time.0 >= since && rows.len() < limit) else { break };
        rows.extend(reader.states.row(pid, id).filter(|row| path.is_empty() || reader.touches(row, &path)));
        next = reader.states.before(pid, id);
    }
    // Each is made of the one before it.
    let mut events: Vec<Term<'a>> = rows.iter().rev().map(|row| reader.event(row)).collect();
    events.reverse();
    let next = next.filter(|(_, time)| time.0 >= since).map(|(id, _)| id.saturating_add(1));
    (events, next).encode(env)
}

/// Whether a process is in the recording.
#[rustler::nif(schedule = "DirtyCpu")]
fn has_process(handle: ResourceArc<Handle>, process: (u32, u32)) -> bool {
    handle.recording.index().external(pid(process)).is_some()
}

/// The last process that had a name when it was seen first, and was seen by a time.
#[rustler::nif(schedule = "DirtyCpu")]
fn named(handle: ResourceArc<Handle>, name: String, time: u64) -> Option<(u32, u32)> {
    let found = handle.recording.index().named(&name, Nanos(time));
    found.map(|Pid { id, serial }| (id, serial))
}

/// `{pid, first, last, events, states, introductions}` of every process.
#[rustler::nif(schedule = "DirtyCpu")]
fn processes<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> Term<'a> {
    let index = handle.recording.index();
    let mut reader = Reader::new(env, &index);
    let process = |process: elixir_scope_query::Process| {
        let rows = index.introductions(process.pid);
        let introductions: Vec<Term<'a>> = rows.iter().map(|row| reader.event(row)).collect();
        let (first, last) = (process.first.0, process.last.0);
        (reader.pid(Some(process.pid)), first, last, process.events, process.states, introductions).encode(env)
    };
    index.processes().into_iter().map(process).collect::<Vec<_>>().encode(env)
}

/// `{first, last, events}` of some processes, and `nil` of one that is not in the recording.
#[rustler::nif(schedule = "DirtyCpu")]
fn seen(handle: ResourceArc<Handle>, processes: Vec<(u32, u32)>) -> Vec<Option<(u64, u64, u64)>> {
    let index = handle.recording.index();
    let seen = |process: elixir_scope_query::Process| (process.first.0, process.last.0, process.events);
    processes.into_iter().map(|numbers| index.process(pid(numbers)).map(seen)).collect()
}

/// `{key, site}` of every site.
#[rustler::nif(schedule = "DirtyCpu")]
fn sites<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> Term<'a> {
    let index = handle.recording.index();
    let mut reader = Reader::new(env, &index);
    let site = |site: &Site| (site.key, reader.site_tuple(site)).encode(env);
    index.sites().into_iter().map(site).collect::<Vec<_>>().encode(env)
}

pub(crate) fn state(handle: &Handle) -> rustler::Atom {
    match &handle.recorder {
        None if handle.foreign => atoms::running(),
        None => atoms::stopped(),
        Some(recorder) if recorder.status().failure.is_some() => atoms::failed(),
        Some(recorder) if recorder.session().is_recording() => atoms::running(),
        Some(recorder) if recorder.has_ended() => atoms::stopped(),
        Some(_) => atoms::paused(),
    }
}

/// `{state, started, until when the recording is known}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn bounds<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> Term<'a> {
    let last = handle.recording.index().until().0;
    (state(&handle), handle.recording.manifest.started.0, last).encode(env)
}

/// `{blocks, events, bytes of payload, problems}` of one of the segments, read from end to end; `nil` behind the last.
#[rustler::nif(schedule = "DirtyCpu")]
fn verify<'a>(env: Env<'a>, handle: ResourceArc<Handle>, segment: usize) -> Term<'a> {
    let index = handle.recording.index();
    if segment >= index.segments().0 {
        return atoms::nil().encode(env);
    }
    let found = index.verify(segment);
    let problems: Vec<_> = found.problems.iter().map(damaged).collect();
    (found.blocks, found.events, found.payload, problems).encode(env)
}

fn damaged(found: &Damage) -> (String, u64, u64, &str) {
    (found.file.display().to_string(), found.offset, found.bytes, &found.what)
}

/// What is known of a recording as a whole.
#[rustler::nif(schedule = "DirtyCpu")]
fn summary<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> Term<'a> {
    let index = handle.recording.index();
    let gaps: Vec<_> =
        index.gaps().iter().map(|gap| (gap.cause.name(), gap.count, gap.from.0, gap.to.0)).collect();
    let damage: Vec<_> = index.damage().iter().map(damaged).collect();
    let manifest = &handle.recording.manifest;
    let failure = handle.recorder.as_ref().and_then(|recorder| recorder.status().failure);
    let span = index.span().map(|(first, last)| (first.0, last.0));
    // Of the other sites each is a place within a function.
    let functions = index.sites().iter().filter(|site| site.names.is_empty()).count();
    let fields = [
        ("state", state(&handle).encode(env)),
        ("failure", failure.encode(env)),
        ("started", manifest.started.0.encode(env)),
        ("os_pid", manifest.os_pid.encode(env)),
        ("node", manifest.node.encode(env)),
        ("vm", manifest.vm.encode(env)),
        ("events", index.next_event().encode(env)),
        ("processes", index.process_count().encode(env)),
        ("functions", functions.encode(env)),
        ("segments", index.segments().0.encode(env)),
        ("packed", index.segments().1.encode(env)),
        ("bytes", index.bytes().encode(env)),
        ("span", span.encode(env)),
        ("gaps", gaps.encode(env)),
        ("damage", damage.encode(env)),
        ("from_rings", handle.from_rings.encode(env)),
        ("ended", (handle.ended || handle.recorder.as_ref().is_some_and(Recorder::has_ended)).encode(env)),
    ];
    let key = |name: &str| rustler::Atom::from_str(env, name).expect("names of fields are short").encode(env);
    let (keys, values): (Vec<_>, Vec<_>) = fields.into_iter().map(|(name, value)| (key(name), value)).unzip();
    Term::map_from_term_arrays(env, &keys, &values).unwrap_or_else(|_| atoms::nil().encode(env))
}
