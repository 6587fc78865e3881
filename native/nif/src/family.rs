//! Questions of a test about its own processes: `ElixirScope.Case.Scope` asks them.
//!
//! Each is there twice: for a dirty scheduler, as those of [`crate::queries`], and for the scheduler of the test, which answers `:long`
//! where that would take too long there.

use crate::atoms;
use crate::queries::{Missing, Reader, gaps_between, pid, state, state_then};
use crate::session::{Handle, clock};
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Pid, Site};
use elixir_scope_query::{Filter, Index, Kin};
use rustler::{Encoder, Env, NifMap, ResourceArc, Term};
use std::sync::Arc;

/// The processes of a test, as `ElixirScope.Case.Scope` asks for them.
#[derive(NifMap)]
struct Test {
    /// Its own process and those that it allows.
    seeds: Vec<(u32, u32)>,
    /// Those that made it, as they have made other tests.
    makers: Vec<(u32, u32)>,
    since: u64,
}

/// Those that are in the recording, and when the first of the seeds was made, where that was seen; `None`: more than `most`.
fn members(kin: &mut Kin, index: &Index, test: &Test, most: usize) -> Option<(Vec<Pid>, Option<u64>)> {
    let pids = |numbers: &[(u32, u32)]| numbers.iter().copied().map(pid).collect::<Vec<_>>();
    let seeds = pids(&test.seeds);
    kin.extend(index);
    let born = seeds.first().and_then(|first| kin.born(*first)).map(|time| time.0);
    let mut members = kin.family(&seeds, &pids(&test.makers), Nanos(test.since), most)?;
    members.retain(|member| index.external(*member).is_some());
    Some((members, born))
}

type Members<'a> = (Vec<(Term<'a>, (u32, u32))>, Option<u64>);

fn told<'a>(reader: &mut Reader<'a, '_>, (members, born): (Vec<Pid>, Option<u64>)) -> Members<'a> {
    let told = members.into_iter().map(|member| (reader.pid(Some(member)), (member.id, member.serial)));
    (told.collect(), born)
}

/// The keys of the sites of a function, and whether its calls are only counted. Of an application there are many sites, so nothing is
/// made of the others.
fn named(index: &Index, (module, function, arity): (&str, &str, u8)) -> Vec<(u64, bool)> {
    let named = |site: &Site| site.arity == arity && site.function == function && site.module == module;
    let counted = |site: &Site| site.node_kind.name() == "counted";
    index.sites_where(named).into_iter().map(|site| (site.key, counted(site))).collect()
}

/// What is done on a scheduler, at most.
mod most {
    /// Bytes that are written down, and indexed.
    pub(super) const NEW: usize = 128 << 10;
    /// Events since the test began, and bytes of their blocks.
    pub(super) const EVENTS: u64 = 2048;
    pub(super) const BYTES: usize = 256 << 10;
    /// Processes.
    pub(super) const MEMBERS: usize = 256;
    /// See `Index::breadth`.
    pub(super) const BREADTH: usize = 32 << 10;
    /// How long another question is waited for.
    pub(super) const WAIT: std::time::Duration = std::time::Duration::from_micros(500);
}

/// Everything that was captured before, for a question of a test that is answered on a scheduler: to wake a dirty one takes longer than most
/// of these answers, which are about some hundred events. `None` where it may take more than about a millisecond; then a dirty one is
/// asked. Other questions always are: this writes to the disk.
fn soon(handle: &Handle, since: u64) -> Option<Arc<Index>> {
    if handle.recorder.as_ref().is_some_and(|recorder| !recorder.flush_soon(most::NEW as u64)) {
        return None;
    }
    let index = handle.recording.index_soon(most::NEW)?;
    let small =
        index.has_few_since(Nanos(since), most::EVENTS, most::BYTES) && index.breadth() <= most::BREADTH;
    small.then_some(index)
}

/// What is missing between two times, as `gaps`; and when nothing was recorded, as the recording had not begun yet, or does not go on now.
/// 0 is its beginning, whenever that was.
fn missing_between(handle: &Handle, index: &Index, from: u64, to: u64) -> Vec<Missing> {
    let began = handle.recording.manifest.started.0;
    let mut missing = gaps_between(index, from, to);
    if (1..began).contains(&from) {
        missing.insert(0, ("absent", 0, from, began.min(to)));
    }
    let rests = match state(handle) {
        state if state == atoms::running() => return missing,
        state if state == atoms::paused() => "paused",
        state if state == atoms::failed() => "failed",
        _ => "stopped",
    };
    let since = index.paused().unwrap_or(index.until()).0.max(from);
    let now = clock().now().0.min(to);
    if since <= now {
        missing.push((rests, 0, since, now));
    }
    missing
}

/// The same once everything that was captured is in the recording.
#[rustler::nif(schedule = "DirtyIo")]
fn missing(handle: ResourceArc<Handle>, from: u64, to: u64) -> Vec<Missing> {
    if let Some(recorder) = &handle.recorder {
        recorder.flush();
    }
    missing_between(&handle, &handle.recording.index(), from, to)
}

/// What is known of a test: the index, and its processes with the time when the first of them was made.
type Known = (Arc<Index>, (Vec<Pid>, Option<u64>));

fn known_soon(handle: &Handle, test: &Test) -> Option<Known> {
    let index = soon(handle, test.since)?;
    let mut kin = handle.kin.try_lock_for(most::WAIT).filter(|kin| kin.unread(&index) <= most::EVENTS)?;
    let members = members(&mut kin, &index, test, most::MEMBERS)?;
    Some((index, members))
}

/// The same however long it takes.
fn known(handle: &Handle, test: &Test) -> Known {
    if let Some(recorder) = &handle.recorder {
        recorder.flush();
    }
    let index = handle.recording.index();
    let members = members(&mut handle.kin.lock(), &index, test, usize::MAX);
    (index, members.expect("there is no limit"))
}

/// `{state, until, {processes, born}, gaps}` once everything that was captured is in the recording: its state; until when it is known;
/// `{pid, numbers}` of some processes and those that they made, directly or not, as far as they are in the recording (see
/// [`elixir_scope_query::Kin::family`]), with the time when the first of the seeds was made, where that was seen; and what is [`missing`]
/// since the test began.
#[rustler::nif(schedule = "DirtyIo")]
fn family(env: Env<'_>, handle: ResourceArc<Handle>, test: Test) -> Term<'_> {
    family_of(env, &handle, known(&handle, &test), &test)
}

/// The same, or `:long`.
#[rustler::nif]
fn family_soon(env: Env<'_>, handle: ResourceArc<Handle>, test: Test) -> Term<'_> {
    match known_soon(&handle, &test) {
        Some(known) => family_of(env, &handle, known, &test),
        None => atoms::long().encode(env),
    }
}

fn family_of<'a>(env: Env<'a>, handle: &Handle, (index, members): Known, test: &Test) -> Term<'a> {
    let family = told(&mut Reader::new(env, &index), members);
    let missing = missing_between(handle, &index, test.since, u64::MAX);
    (state(handle), index.until().0, family, missing).encode(env)
}

/// `{key, whether its calls are only counted}` of the sites of a function.
#[rustler::nif(schedule = "DirtyCpu")]
fn sites_of(handle: ResourceArc<Handle>, module: &str, function: &str, arity: u8) -> Vec<(u64, bool)> {
    named(&handle.recording.index(), (module, function, arity))
}

/// `{state, until, family, missing, sites, calls}`: as [`family`] does, with the sites of a function as [`sites_of`] gives them, and its calls in
/// these processes since the test began. One question where there could be three: each waits for a thread, on a busy machine longer
/// than it takes.
#[rustler::nif(schedule = "DirtyIo")]
fn family_calls<'a>(
    env: Env<'a>,
    handle: ResourceArc<Handle>,
    test: Test,
    function: (&str, &str, u8),
) -> Term<'a> {
    calls_of(env, &handle, known(&handle, &test), &test, function)
}

/// The same, or `:long`.
#[rustler::nif]
fn family_calls_soon<'a>(
    env: Env<'a>,
    handle: ResourceArc<Handle>,
    test: Test,
    function: (&str, &str, u8),
) -> Term<'a> {
    match known_soon(&handle, &test) {
        Some(known) => calls_of(env, &handle, known, &test, function),
        None => atoms::long().encode(env),
    }
}

fn calls_of<'a>(
    env: Env<'a>,
    handle: &Handle,
    (index, (members, born)): Known,
    test: &Test,
    function: (&str, &str, u8),
) -> Term<'a> {
    let sites = named(&index, function);
    let mut calls = Vec::new();
    if !sites.is_empty() && !members.is_empty() {
        let filter = Filter {
            processes: Some(members.clone()),
            sites: Some(sites.iter().map(|(key, _)| *key).collect()),
            since: Nanos(test.since),
            ..Filter::default()
        };
        calls = index.calls(&filter, usize::MAX);
    }
    let mut reader = Reader::new(env, &index);
    let calls: Vec<Term<'a>> = calls.iter().map(|call| reader.call(call)).collect();
    let family = told(&mut reader, (members, born));
    let missing = missing_between(handle, &index, test.since, u64::MAX);
    (state(handle), index.until().0, family, missing, sites, calls).encode(env)
}

/// The state of a process that began in a test, as it is now, with everything that was captured before: as `state_at`, or `:long`.
#[rustler::nif]
fn state_soon(env: Env<'_>, handle: ResourceArc<Handle>, process: (u32, u32), since: u64) -> Term<'_> {
    let process = pid(process);
    // All that its state is made of is among what is few then.
    let began = |index: &Index| index.process(process).is_some_and(|process| process.first >= Nanos(since));
    let index = soon(&handle, since).filter(|index| began(index));
    // Asked after everything that was captured was written down: so what is known now is known until then.
    let runs = handle.recorder.as_ref().is_some_and(|recorder| recorder.session().is_recording());
    let index = index.filter(|_| runs);
    index.map_or(atoms::long().encode(env), |index| state_then(env, &index, process, index.until()))
}
