//! Figures against a plain model that looks at each nanosecond.

mod common;

use common::{Act, PROCESSES, Plain, Recorded, Step, pid, program, record};
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, varint};
use elixir_scope_query::{Filter, Index, Label, Stacked, Stats};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Of a function: calls, before, raised, open, unknown, total, own.
type Counts = [u64; 7];

#[derive(Debug, Default, PartialEq)]
struct Model {
    counts: BTreeMap<u64, Counts>,
    durations: BTreeMap<u64, Vec<u64>>,
    /// Own time by stack, with the process in front.
    stacks: BTreeMap<(usize, Vec<u64>), u64>,
}

/// A frame: the functions of its chain of tail calls with the times when their rounds began, and whether the next call goes on
/// with it.
type Frame = (Vec<(u64, u64)>, bool);

impl Model {
    fn of(events: &[Plain], wanted: Option<&[usize]>, since: u64, until: u64) -> Self {
        let mut model = Model::default();
        for process in (0..PROCESSES).filter(|one| wanted.is_none_or(|wanted| wanted.contains(one))) {
            let own = events.iter().filter(|event| event.process == Some(process) && event.time <= until);
            model.walk(process, own, since, until);
        }
        model
    }

    fn walk<'a>(&mut self, process: usize, events: impl Iterator<Item = &'a Plain>, since: u64, until: u64) {
        let (mut stack, mut at): (Vec<Frame>, u64) = (Vec::new(), since);
        for event in events {
            while at < event.time.min(until) {
                self.nanosecond(process, &stack);
                at += 1;
            }
            self.step(&mut stack, event, since);
        }
        for _ in at..until {
            self.nanosecond(process, &stack);
        }
        while let Some((chain, _)) = stack.pop() {
            chain.into_iter().for_each(|call| self.end(call, until, since, Some(3)));
        }
    }

    fn nanosecond(&mut self, process: usize, stack: &[Frame]) {
        let path: Vec<u64> = stack.iter().flat_map(|(chain, _)| chain).map(|(function, _)| *function).collect();
        let Some(top) = path.last() else { return };
        self.counts.entry(*top).or_default()[6] += 1;
        let mut each = path.clone();
        each.sort_unstable();
        each.dedup();
        each.into_iter().for_each(|function| self.counts.entry(function).or_default()[5] += 1);
        *self.stacks.entry((process, path)).or_default() += 1;
    }

    fn step(&mut self, stack: &mut Vec<Frame>, event: &Plain, since: u64) {
        let (site, time) = (event.site.unwrap_or(0), event.time);
        match event.kind {
            Kind::Call => {
                self.counts.entry(site).or_default()[0] += u64::from(time >= since);
                match stack.last_mut() {
                    Some((chain, pending)) if *pending => {
                        *pending = false;
                        match chain.iter().position(|(function, _)| *function == site) {
                            Some(place) => {
                                let ended: Vec<_> = chain.drain(place..).collect();
                                chain.push((site, time));
                                ended.into_iter().for_each(|call| self.end(call, time, since, None));
                            }
                            None => chain.push((site, time)),
                        }
                    }
                    _ => stack.push((vec![(site, time)], false)),
                }
            }
            Kind::Tail if varint::take(&mut &event.payload[..]) == Ok(0) => stack.last_mut().unwrap().1 = true,
            Kind::Return | Kind::Raise | Kind::Tail => {
                let counter = match event.kind {
                    Kind::Return => None,
                    Kind::Raise => Some(2),
                    _ => Some(4),
                };
                let (chain, _) = stack.pop().unwrap();
                chain.into_iter().for_each(|call| self.end(call, time, since, counter));
            }
            _ => {}
        }
    }

    fn end(&mut self, (function, began): (u64, u64), time: u64, since: u64, counter: Option<usize>) {
        if time < since {
            return;
        }
        let counts = self.counts.entry(function).or_default();
        counts[1] += u64::from(began < since);
        if let Some(counter) = counter {
            counts[counter] += 1;
        }
        if counter.is_none_or(|counter| counter == 2) {
            self.durations.entry(function).or_default().push(time - began);
        }
    }
}

fn filter(wanted: Option<&[usize]>, since: u64, until: u64) -> Filter {
    let processes = wanted.map(|wanted| wanted.iter().map(|process| pid(*process)).collect());
    Filter { processes, since: Nanos(since), until: Nanos(until), ..Filter::default() }
}

fn counts(stats: &Stats) -> BTreeMap<u64, Counts> {
    let counts = stats.functions.iter().map(|function| {
        let one = &function.figures;
        (function.key, [one.calls, one.before, one.raised, one.open, one.unknown, one.total, one.own])
    });
    counts.filter(|(_, counts)| counts.iter().any(|count| *count > 0)).collect()
}

/// The stacks with their own times; without the process when they are merged.
fn stacks(stats: &Stats) -> BTreeMap<(Option<usize>, Vec<u64>), u64> {
    let mut found = BTreeMap::new();
    for node in stats.nodes.iter().filter(|node| node.own > 0) {
        let (mut path, mut process, mut one) = (Vec::new(), None, Some(node));
        while let Some(node) = one {
            match node.label {
                Label::Function(function) => path.push(stats.functions[function as usize].key),
                Label::Process(pid) => process = Some(pid.id as usize - 1),
                Label::Missing => path.push(0),
            }
            one = node.parent.map(|parent| &stats.nodes[parent as usize]);
        }
        path.reverse();
        assert!(found.insert((process, path), node.own).is_none(), "a stack is there twice");
    }
    found
}

fn own(stats: &Stats) -> (u64, u64) {
    let functions = stats.functions.iter().map(|function| function.figures.own).sum();
    (functions, stats.nodes.iter().map(|node| node.own).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_a_loss_figures_are_those_of_each_nanosecond(
        program in program(false), wanted in proptest::option::of(proptest::sample::subsequence(vec![0, 1, 2], 0..=PROCESSES)),
        since in 0u64..300, length in 0u64..400, small: bool,
    ) {
        let Recorded { truth, index, grown, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let stats = index.stats(&filter(wanted.as_deref(), since, since + length), Stacked::ByProcess, Nanos(0));
        prop_assert!(stats.gaps.is_empty());
        let (from, to) = (stats.since.0, stats.until.0);
        prop_assert!((since <= from || from == to) && from <= to && to <= (since + length).max(from));
        let mut model = Model::of(&truth.events, wanted.as_deref(), from, to);
        model.counts.retain(|_, counts| counts.iter().any(|count| *count > 0));
        prop_assert_eq!(counts(&stats), model.counts);
        let model_stacks: BTreeMap<_, _> =
            model.stacks.iter().map(|((process, path), own)| ((Some(*process), path.clone()), *own)).collect();
        prop_assert_eq!(stacks(&stats), model_stacks);
        for function in &stats.functions {
            let spread = &function.figures.durations;
            let mut expected = model.durations.remove(&function.key).unwrap_or_default();
            expected.sort_unstable();
            prop_assert_eq!((spread.count, spread.sum), (expected.len() as u64, u128::from(expected.iter().sum::<u64>())));
            if let (Some(least), Some(most)) = (expected.first(), expected.last()) {
                prop_assert_eq!((spread.least, spread.most), (*least, *most));
                let exact = expected[expected.len().div_ceil(2) - 1];
                prop_assert!(spread.percentile(50).abs_diff(exact) <= exact / 100);
            }
        }
        let merged = index.stats(&filter(wanted.as_deref(), since, since + length), Stacked::Merged, Nanos(0));
        let mut together = BTreeMap::new();
        for ((_, path), own) in model.stacks {
            *together.entry((None, path)).or_default() += own;
        }
        prop_assert_eq!(stacks(&merged), together);
        let again = grown.stats(&filter(wanted.as_deref(), since, since + length), Stacked::Not, Nanos(0));
        prop_assert_eq!(counts(&again), counts(&stats));
        let within = |event: &&Plain| {
            let asked = |wanted: &Vec<usize>| event.process.is_some_and(|process| wanted.contains(&process));
            (from..=to).contains(&event.time) && wanted.as_ref().is_none_or(asked)
        };
        let events = truth.events.iter().filter(within).count() as u64;
        prop_assert_eq!(stats.kinds.iter().map(|(_, count)| count).sum::<u64>(), events);
        let by_process: BTreeMap<_, _> = stats.processes.iter().map(|(pid, count)| (pid.id as usize - 1, *count)).collect();
        for process in 0..PROCESSES {
            let own = truth.events.iter().filter(within).filter(|event| event.process == Some(process)).count() as u64;
            prop_assert_eq!(by_process.get(&process).copied().unwrap_or(0), own);
        }
    }

    #[test]
    fn where_events_are_missing_no_figure_is_more_than_it_truly_was(
        program in program(true), since in 0u64..200, length in 0u64..400, tails: bool,
    ) {
        let act = |act| if act == Act::Tail && !tails { Act::Return } else { act };
        let lossy: Vec<_> = program.iter().map(|step| Step { late: 0, act: act(step.act), ..*step }).collect();
        let whole: Vec<_> = lossy.iter().map(|step| match step.act {
            Act::Lose | Act::Tell | Act::Pause | Act::Resume => Step { act: Act::Commit, ..*step },
            _ => *step,
        }).collect();
        let index: Index = record(&lossy, 2_000).index;
        let truth = record(&whole, 1 << 20).truth;
        let stats = index.stats(&filter(None, since, since + length), Stacked::ByProcess, Nanos(0));
        let model = Model::of(&truth.events, None, stats.since.0, stats.until.0);
        for (function, found) in counts(&stats) {
            let truly = model.counts.get(&function).copied().unwrap_or_default();
            let [calls, before, raised, _open, _unknown, total, own] = found;
            prop_assert!(calls <= truly[0], "{function}: {found:?} of {truly:?}");
            // Tail calls among what is missing cannot be seen. A chain may have come back to a function which it began with, so that
            // a call in it ends earlier; and a call may have begun that has not ended when the next event is one of a chain.
            let bound = before <= truly[1] && raised <= truly[2] && total <= truly[5] && own <= truly[6];
            prop_assert!(tails || bound, "{function}: {found:?} of {truly:?}");
            prop_assert!(own <= total, "{function}: {found:?}");
        }
        let (functions, nodes) = own(&stats);
        prop_assert_eq!(functions, nodes);
    }
}

fn steps(acts: &[Act]) -> Vec<Step> {
    acts.iter().map(|act| Step { process: 0, act: *act, passed: 10, late: 0 }).collect()
}

fn figures(acts: &[Act]) -> BTreeMap<u64, Counts> {
    counts(&record(&steps(acts), 1 << 20).index.stats(&filter(None, 0, u64::MAX), Stacked::Merged, Nanos(0)))
}

/// The model must know what it says: a hand-made case of each kind.
#[test]
fn recursion_counts_its_time_once() {
    let acts = [Act::Call(1), Act::Call(1), Act::Call(2), Act::Return, Act::Return, Act::Return];
    let found = figures(&acts);
    assert_eq!(found[&1], [2, 0, 0, 0, 0, 50, 40]);
    assert_eq!(found[&2], [1, 0, 0, 0, 0, 10, 10]);
}

#[test]
fn a_tail_call_lies_in_its_caller_and_a_loop_comes_back() {
    // 1 -> 2 -> 3 -> 2 -> raise: 2 loops, and 3 has ended when it comes back.
    let acts =
        [Act::Call(1), Act::Tail, Act::Call(2), Act::Tail, Act::Call(3), Act::Tail, Act::Call(2), Act::Raise];
    let found = figures(&acts);
    assert_eq!(found[&1], [1, 0, 1, 0, 0, 70, 20]);
    assert_eq!(found[&2], [2, 0, 1, 0, 0, 50, 30]);
    assert_eq!(found[&3], [1, 0, 0, 0, 0, 20, 20]);
}

#[test]
fn a_call_over_a_gap_counts_on_both_sides_once_its_end_is_seen() {
    let seen = [Act::Call(1), Act::Lose, Act::Tell, Act::Call(2), Act::Return, Act::Return];
    let found = figures(&seen);
    // 10 called, 20 to 30 missing, 40 to 50 in 2, 60 ended.
    assert_eq!(found[&1], [1, 0, 0, 0, 0, 40, 30]);
    let unseen = [Act::Call(1), Act::Lose, Act::Tell, Act::Call(2), Act::Return];
    let found = figures(&unseen);
    assert_eq!(found[&1], [1, 0, 0, 0, 1, 10, 10]);
    assert_eq!(found[&2], [1, 0, 0, 0, 0, 10, 10]);
}
