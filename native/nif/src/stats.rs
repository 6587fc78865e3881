//! Figures of a recording, on dirty schedulers. Elixir's side is `ElixirScope.Query.Stats` and `ElixirScope.Query.Flames`.

use crate::atoms;
use crate::messages::{self, Asked};
use crate::queries::{Reader, Wanted};
use crate::session::Handle;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Gap, Pid};
use elixir_scope_query::{Figures, Function, Index, Label, Message, Node, Outcome, Stacked, Stats};
use rustler::{Encoder, Env, ResourceArc, Term};

/// `{{since, until}, functions, scheduled, kinds, processes, exits, other_exits, gaps, mailboxes}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn stats<'a>(env: Env<'a>, handle: ResourceArc<Handle>, wanted: Wanted, reached: u64) -> Term<'a> {
    let index = handle.recording.index();
    let stats = index.stats(&wanted.filter(), Stacked::Not, Nanos(reached));
    let mut reader = Reader::new(env, &index);
    let functions = stats.functions.iter().filter_map(|one| function(&mut reader, &index, one));
    let functions: Vec<Term<'a>> = functions.collect();
    let kinds: Vec<Term<'a>> =
        stats.kinds.iter().map(|(kind, count)| (reader.kind(*kind), count).encode(env)).collect();
    let processes = stats.processes.iter().map(|(pid, count)| (reader.pid(Some(*pid)), count).encode(env));
    let processes: Vec<Term<'a>> = processes.collect();
    let exits = stats.exits.iter().map(|(row, count)| (reader.event(row), count).encode(env));
    let exits: Vec<Term<'a>> = exits.collect();
    let mailboxes =
        stats.mailboxes.iter().map(|(pid, most, at)| (reader.pid(Some(*pid)), most, at.0).encode(env));
    let mailboxes: Vec<Term<'a>> = mailboxes.collect();
    let answer = [
        range(&stats).encode(env),
        functions.encode(env),
        stats.scheduled.encode(env),
        kinds.encode(env),
        processes.encode(env),
        exits.encode(env),
        stats.other_exits.encode(env),
        gaps(&stats.gaps).encode(env),
        mailboxes.encode(env),
    ];
    rustler::types::tuple::make_tuple(env, &answer)
}

/// `{from, to, count}` of the messages that lie in a range: how many from whom to whom.
#[rustler::nif(schedule = "DirtyCpu")]
fn message_pairs<'a>(env: Env<'a>, handle: ResourceArc<Handle>, asked: Asked) -> Vec<Term<'a>> {
    let index = handle.recording.index();
    let pairs = pairs(&messages::found(&handle, &index, &asked));
    let mut reader = Reader::new(env, &index);
    let pairs = pairs.into_iter().filter(|(_, count)| *count > 0);
    pairs.map(|((from, to), count)| (reader.pid(from), reader.pid(to), count).encode(env)).collect()
}

type Pair = (Option<Pid>, Option<Pid>);

/// Messages of a pair: those that are known, and the sendings and deliveries of which nobody knows which belongs to which.
#[derive(Default)]
struct Tally {
    known: u64,
    sent: u64,
    delivered: u64,
}

fn pairs(messages: &[Message]) -> AHashMap<Pair, u64> {
    let mut tallies: AHashMap<Pair, Tally> = AHashMap::new();
    for message in messages {
        let tally = tallies.entry((message.from, message.to)).or_default();
        match (message.outcome, message.sent) {
            (Outcome::Unknown, Some(_)) => tally.sent += 1,
            (Outcome::Unknown, None) => tally.delivered += 1,
            _ => tally.known += 1,
        }
    }
    // A delivery from nobody knows whom may be that of a sending which has none.
    let mut waiting: AHashMap<Option<Pid>, u64> = AHashMap::new();
    for ((from, to), tally) in &tallies {
        if from.is_some() {
            *waiting.entry(*to).or_default() += tally.sent.saturating_sub(tally.delivered);
        }
    }
    let count = |((from, to), tally): (Pair, Tally)| {
        let taken = if from.is_none() { waiting.get(&to).copied().unwrap_or(0) } else { 0 };
        ((from, to), tally.known + tally.sent.max(tally.delivered.saturating_sub(taken)))
    };
    tallies.into_iter().map(count).collect()
}

/// `{{since, until}, nodes, gaps}`: a node is `{parent, what, own, calls}`, where the parent is its place in the list, before the
/// node, and what is a function, a pid or `:missing`.
#[rustler::nif(schedule = "DirtyCpu")]
fn stacks<'a>(
    env: Env<'a>,
    handle: ResourceArc<Handle>,
    wanted: Wanted,
    reached: u64,
    by_process: bool,
) -> Term<'a> {
    let index = handle.recording.index();
    let stacked = if by_process { Stacked::ByProcess } else { Stacked::Merged };
    let stats = index.stats(&wanted.filter(), stacked, Nanos(reached));
    let mut reader = Reader::new(env, &index);
    let names = stats.functions.iter().map(|one| name(&mut reader, &index, one));
    let names: Vec<Term<'a>> = names.collect();
    let node = |node: &Node| {
        let what = match node.label {
            Label::Process(pid) => reader.pid(Some(pid)),
            Label::Function(function) => names[function as usize],
            Label::Missing => atoms::missing().encode(env),
        };
        (node.parent, what, node.own, node.calls).encode(env)
    };
    let nodes: Vec<Term<'a>> = stats.nodes.iter().map(node).collect();
    (range(&stats), nodes, gaps(&stats.gaps)).encode(env)
}

fn range(stats: &Stats) -> (u64, u64) {
    (stats.since.0, stats.until.0)
}

fn gaps(gaps: &[Gap]) -> Vec<(&str, u64, u64, u64)> {
    gaps.iter().map(|gap| (gap.cause.name(), gap.count, gap.from.0, gap.to.0)).collect()
}

fn name<'a>(reader: &mut Reader<'a, '_>, index: &Index, function: &Function) -> Term<'a> {
    match index.site(function.key) {
        Some(site) => reader.function(site),
        None => reader.pid(None),
    }
}

/// `{function, {calls, before, raised, open, unknown}, {total, own, running}, durations}` of one that was called in the range.
fn function<'a>(reader: &mut Reader<'a, '_>, index: &Index, function: &Function) -> Option<Term<'a>> {
    let Figures { calls, before, raised, open, unknown, total, own, running, durations } = &function.figures;
    if calls + before + raised + open + unknown + total == 0 {
        return None;
    }
    let mean = durations.sum.checked_div(u128::from(durations.count)).unwrap_or(0);
    let (p50, p99) = (durations.percentile(50), durations.percentile(99));
    let durations = (durations.count, durations.least, mean as u64, p50, p99, durations.most);
    let name = name(reader, index, function);
    let counts = (calls, before, raised, open, unknown);
    Some((name, counts, (total, own, running), durations).encode(reader.env()))
}
