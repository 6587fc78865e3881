//! Every answer against a program whose every step is known.

mod common;

use common::{Act, End, PROCESSES, Plain, Recorded, Step, Truth, finds_the_chain, pid, plain, program, record};
use elixir_scope_clock::Nanos;
use elixir_scope_event::Kind;
use elixir_scope_query::{Call, Ending, Filter, Index, Row, StateAnswer, States};
use proptest::prelude::*;

/// Wishes, in terms of the program.
#[derive(Clone, Debug)]
struct Wish {
    kinds: Vec<Kind>,
    processes: Option<Vec<usize>>,
    sites: Option<Vec<u64>>,
    since: u64,
    until: u64,
}

fn wish() -> impl Strategy<Value = Wish> {
    let kinds = proptest::sample::subsequence(Kind::ALL, 0..4);
    let processes = proptest::option::of(proptest::sample::subsequence(vec![0, 1, 2], 0..=PROCESSES));
    let sites = proptest::option::of(proptest::sample::subsequence(vec![1, 2, 3], 0..=3));
    (kinds, processes, sites, 0u64..300, 0u64..600).prop_map(|(kinds, processes, sites, since, until)| Wish {
        kinds: kinds.to_vec(),
        processes,
        sites,
        since,
        until,
    })
}

impl Wish {
    fn filter(&self) -> Filter {
        let pids = |wanted: &Vec<usize>| wanted.iter().map(|process| pid(*process)).collect();
        Filter {
            kinds: self.kinds.clone(),
            processes: self.processes.as_ref().map(pids),
            sites: self.sites.clone(),
            since: Nanos(self.since),
            until: Nanos(self.until),
        }
    }

    fn wants(&self, event: &Plain) -> bool {
        let among = |wanted: &Option<Vec<usize>>| {
            wanted.as_ref().is_none_or(|wanted| event.process.is_some_and(|one| wanted.contains(&one)))
        };
        let at = |wanted: &Option<Vec<u64>>| {
            wanted.as_ref().is_none_or(|wanted| event.site.is_some_and(|one| wanted.contains(&one)))
        };
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && among(&self.processes)
            && at(&self.sites)
            && (self.since..=self.until).contains(&event.time)
    }
}

fn all(index: &Index, filter: &Filter) -> Vec<(u64, Plain)> {
    let page = index.events(filter, 0, usize::MAX);
    assert_eq!(page.next, None);
    page.rows.iter().map(|row| (row.id, plain(row))).collect()
}

/// An ending in words that can be compared.
fn ending(call: &Call) -> (&'static str, Option<u64>) {
    match &call.ending {
        Ending::Open => ("open", None),
        Ending::Unknown => ("unknown", None),
        Ending::Returned(row) => ("returned", Some(row.id)),
        Ending::Raised(row) => ("raised", Some(row.id)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_are_those_that_a_plain_list_gives(
        program in program(true), wish in wish(), limit in 1usize..40, small: bool,
    ) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let filter = wish.filter();
        let numbered = (0..).zip(truth.events.iter().cloned());
        let expected: Vec<(u64, Plain)> = numbered.filter(|(_, event)| wish.wants(event)).collect();
        prop_assert_eq!(&all(&index, &filter), &expected);
        let (mut paged, mut from) = (Vec::new(), Some(0));
        while let Some(start) = from {
            let page = index.events(&filter, start, limit);
            prop_assert!(page.rows.len() == limit || page.next.is_none());
            paged.extend(page.rows.iter().map(|row| (row.id, plain(row))));
            from = page.next;
        }
        prop_assert_eq!(&paged, &expected);
        let (mut backward, mut before) = (Vec::new(), Some(u64::MAX));
        while let Some(start) = before {
            let page = index.events_before(&filter, start, limit);
            prop_assert!(page.rows.len() == limit || page.next.is_none());
            backward.extend(page.rows.iter().map(|row| (row.id, plain(row))));
            before = page.next;
        }
        backward.reverse();
        prop_assert_eq!(backward, expected);
        prop_assert_eq!(index.count(&filter), paged.len() as u64);
    }

    #[test]
    fn from_any_event_backward_and_forward_are_each_others_mirror(program in program(true), small: bool) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let filter = Filter::default();
        for id in (0..truth.events.len() as u64).step_by(7) {
            let ids = |rows: Vec<Row>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
            let after = ids(index.events(&filter, id, 3).rows);
            prop_assert_eq!(after, (id..truth.events.len() as u64).take(3).collect::<Vec<_>>());
            let before = ids(index.events_before(&filter, id, 3).rows);
            prop_assert_eq!(before, (0..id).rev().take(3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_open_calls_of_a_moment_are_those_that_had_begun_and_not_ended(program in program(false), small: bool) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        for id in (0..=truth.events.len() as u64).step_by(5) {
            for process in 0..PROCESSES {
                let open = index.open_calls(pid(process), id, usize::MAX);
                prop_assert!(open.whole);
                let expected = truth.open_before(process, id);
                prop_assert_eq!(open.calls.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn the_innermost_calls_of_many_moments_are_found_in_one_walk(program in program(false), small: bool) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let numbers: Vec<u64> = (0..=truth.events.len() as u64).step_by(3).collect();
        for process in 0..PROCESSES {
            let mut found = index.around(pid(process), numbers.clone(), usize::MAX);
            found.sort_by_key(|(number, _)| *number);
            let innermost = |id: &u64| truth.open_before(process, *id).first().map(|call| (*id, *call));
            let expected: Vec<(u64, u64)> = numbers.iter().filter_map(innermost).collect();
            prop_assert_eq!(found.iter().map(|(number, call)| (*number, call.id)).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn where_a_call_began_is_found_from_its_end(program in program(false), small: bool) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        for (at, call) in truth.calls.iter().enumerate() {
            let End::By(Some(end), _) = call.end else { continue };
            let process = truth.events[end as usize].process.unwrap();
            // The calls that the same event ends are a chain: the first of them began it.
            let first = truth.calls[call.chain.unwrap_or(at)].id;
            prop_assert_eq!(index.began(pid(process), end).map(|row| row.id), first);
        }
    }

    #[test]
    fn bookmarks_are_found_in_order(program in program(true), small: bool) {
        let Recorded { truth, index, grown, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let numbered = (0..).zip(truth.events.iter().cloned());
        let expected: Vec<(u64, Plain)> = numbered.filter(|(_, event)| event.kind == Kind::Mark).collect();
        for index in [&index, &grown] {
            let marks: Vec<_> = index.marks().iter().map(|row| (row.id, plain(row))).collect();
            prop_assert_eq!(&marks, &expected);
        }
    }

    #[test]
    fn an_event_is_found_by_its_number(program in program(true), small: bool) {
        let Recorded { truth, index, grown, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        for (id, event) in (0..).zip(&truth.events) {
            for index in [&index, &grown] {
                let row = index.event(id).expect("it was recorded");
                prop_assert_eq!((row.id, &plain(&row)), (id, event));
            }
        }
        prop_assert!(index.event(truth.events.len() as u64).is_none());
    }

    #[test]
    fn of_each_process_it_is_known_what_it_did_and_who_it_said_it_was(
        program in program(true), small: bool, moments in proptest::collection::vec(0u64..600, 5),
    ) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let mut seen = 0;
        for process in 0..PROCESSES {
            let own: Vec<_> = (0..).zip(&truth.events).filter(|(_, event)| event.process == Some(process)).collect();
            let Some(found) = index.process(pid(process)) else {
                prop_assert!(own.is_empty());
                continue;
            };
            seen += 1;
            let states = own.iter().filter(|(_, event)| event.kind.is_state()).count() as u64;
            let times = || own.iter().map(|(_, event)| event.time);
            prop_assert_eq!((found.events, found.states), (own.len() as u64, states));
            prop_assert_eq!((found.first.0, found.last.0), (times().min().unwrap(), times().max().unwrap()));
            let said = own.iter().filter(|(_, event)| event.kind == Kind::Process).map(|(id, _)| *id);
            let introductions = index.introductions(pid(process));
            prop_assert_eq!(introductions.iter().map(|row| row.id).collect::<Vec<u64>>(), said.collect::<Vec<u64>>());
        }
        prop_assert_eq!(index.processes().len(), seen);
        prop_assert_eq!(index.process_count(), seen);
        for (name, moment) in (0..3).flat_map(|name| moments.iter().map(move |moment| (name, *moment))) {
            let said = truth.names.iter().filter(|(_, said, time)| *said == name && *time <= moment);
            let latest = said.clone().map(|(_, _, time)| *time).max();
            // Of several at one time any may be meant.
            let expected: Vec<_> =
                said.filter(|(_, _, time)| Some(*time) == latest).map(|(process, ..)| pid(*process)).collect();
            let found = index.named(&format!("name_{name}"), Nanos(moment));
            prop_assert!(found.map_or(expected.is_empty(), |found| expected.contains(&found)));
        }
        prop_assert_eq!(index.named("label", Nanos(u64::MAX)), None);
    }

    #[test]
    fn a_state_is_the_last_one_up_to_the_moment(
        program in program(true), moments in proptest::collection::vec(0u64..600, 20),
    ) {
        let Recorded { truth, index, .. } = record(&program, 1 << 20);
        for (process, moment) in (0..PROCESSES).flat_map(|process| moments.iter().map(move |moment| (process, *moment))) {
            let states: Vec<(u64, &Plain)> = (0..)
                .zip(&truth.events)
                .filter(|(_, event)| event.kind.is_state() && event.process == Some(process))
                .collect();
            let expected = states.iter().rfind(|(_, event)| event.time <= moment);
            match (index.state_at(pid(process), Nanos(moment)), expected) {
                (StateAnswer::Known(row), Some((id, state))) => {
                    prop_assert_eq!((row.id, &plain(&row)), (*id, *state));
                    finds_the_chain(&index, &row);
                    prop_assert!(!truth.has_gap(state.time, moment));
                }
                (StateAnswer::Lost(row), Some((id, state))) => {
                    prop_assert_eq!(row.id, *id);
                    prop_assert!(truth.has_gap(state.time, moment));
                }
                (StateAnswer::Before(first), None) => prop_assert_eq!(first.0, states[0].1.time),
                (StateAnswer::Never, None) => prop_assert!(states.is_empty()),
                (answer, expected) => prop_assert!(false, "{answer:?} for {expected:?}"),
            }
        }
    }

    #[test]
    fn the_state_before_an_event_is_the_last_one_with_a_lower_number(program in program(true), small: bool) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let mut states = States::new(&index);
        for process in 0..PROCESSES {
            let mut before = None;
            for (id, event) in (0u64..).zip(&truth.events) {
                let alone = States::new(&index).before(pid(process), id);
                prop_assert_eq!(alone.map(|(state, _)| state), before);
                prop_assert_eq!(states.before(pid(process), id).map(|(state, _)| state), before);
                let row = before.and_then(|state| states.row(pid(process), state));
                prop_assert_eq!(row.map(|row| row.id), before);
                if event.kind.is_state() && event.process == Some(process) {
                    before = Some(id);
                }
            }
        }
    }

    #[test]
    fn without_a_loss_every_call_is_shown_as_it_was(program in program(false), small: bool) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let shown = index.calls(&Filter::default(), usize::MAX);
        prop_assert_eq!(shown.len(), truth.calls.len());
        for (shown, call) in shown.iter().zip(&truth.calls) {
            prop_assert_eq!(Some(shown.begin.id), call.id);
            prop_assert_eq!(shown.parent, call.parent.and_then(|parent| truth.calls[parent].id));
            prop_assert_eq!(shown.tail, call.tail);
            prop_assert_eq!(shown.chain, call.chain.and_then(|first| truth.calls[first].id));
            let expected = match call.end {
                End::Open => ("open", None),
                End::By(id, Kind::Return) => ("returned", id),
                End::By(id, _) => ("raised", id),
                End::GivenUp => ("unknown", None),
            };
            prop_assert_eq!(ending(shown), expected);
        }
    }

    #[test]
    fn where_events_are_missing_no_call_is_shown_as_it_was_not(program in program(true)) {
        let Recorded { truth, index, .. } = record(&program, 1 << 20);
        let shown = index.calls(&Filter::default(), usize::MAX);
        let recorded: Vec<_> = truth.calls.iter().filter(|call| call.id.is_some()).collect();
        prop_assert_eq!(shown.len(), recorded.len());
        let end = truth.events.iter().map(|event| event.time).max().unwrap_or(0);
        for (shown, call) in shown.iter().zip(recorded) {
            prop_assert_eq!(Some(shown.begin.id), call.id);
            let parent = call.parent.map(|parent| &truth.calls[parent]);
            let apart = parent.is_some_and(|parent| truth.has_gap(parent.began, call.began));
            prop_assert!(shown.parent == parent.and_then(|parent| parent.id) || (shown.parent.is_none() && apart));
            let first = call.chain.and_then(|first| truth.calls[first].id);
            prop_assert!(shown.chain == first || shown.chain.is_none());
            // What is known ends with a pause that goes on.
            let hidden = truth.paused.is_some_and(|since| call.ended >= since);
            let touched = hidden || truth.has_gap(call.began, call.ended.min(end));
            prop_assert!(shown.tail == call.tail || (!shown.tail && touched));
            match (ending(shown), call.end) {
                (("returned", id), End::By(by, Kind::Return)) => prop_assert_eq!(id, by),
                (("raised", id), End::By(by, Kind::Raise)) => prop_assert_eq!(id, by),
                (("open", None), End::Open) | (("unknown", None), End::GivenUp) => {}
                (("unknown", None), _) => prop_assert!(touched, "{call:?} has no gap"),
                (("open", None), _) => prop_assert!(hidden, "{call:?} ended"),
                (ending, truly) => prop_assert!(false, "{ending:?} for {truly:?}"),
            }
        }
    }

    #[test]
    fn a_filter_and_a_limit_leave_calls_out_and_change_none(
        program in program(true), wish in wish(), limit in 0usize..20,
    ) {
        let Recorded { index, .. } = record(&program, 2_000);
        let every = index.calls(&Filter::default(), usize::MAX);
        let filter = wish.filter();
        let matching = index.calls(&filter, usize::MAX);
        let wanted = |call: &&Call| Wish { kinds: vec![], ..wish.clone() }.wants(&plain(&call.begin));
        let expected: Vec<&Call> = every.iter().filter(wanted).collect();
        prop_assert_eq!(matching.len(), expected.len());
        for (shown, expected) in matching.iter().zip(expected) {
            prop_assert_eq!(shown.begin.id, expected.begin.id);
            prop_assert_eq!(ending(shown), ending(expected));
            prop_assert_eq!(shown.tail, expected.tail);
            prop_assert!(shown.chain == expected.chain || (shown.chain.is_none() && wish.since > 0));
            // Around a call may be one that began before the time that was asked for.
            prop_assert!(shown.parent == expected.parent || (shown.parent.is_none() && wish.since > 0));
        }
        let few = index.calls(&filter, limit);
        prop_assert_eq!(few.len(), matching.len().min(limit));
        for (few, one) in few.iter().zip(&matching) {
            prop_assert_eq!((few.begin.id, few.parent, few.tail), (one.begin.id, one.parent, one.tail));
            prop_assert_eq!(ending(few), ending(one));
        }
    }

    #[test]
    fn that_few_events_came_since_a_time_is_said_where_it_is_so(
        program in program(false), since in 0u64..4_000, most in 0u64..200, small: bool,
    ) {
        let Recorded { truth, index, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        let after = truth.events.iter().filter(|event| event.time >= since).count() as u64;
        if index.has_few_since(Nanos(since), most, usize::MAX) {
            prop_assert!(after <= most, "{after} of {}", truth.events.len());
        }
        prop_assert!(index.has_few_since(Nanos(since), index.next_event(), usize::MAX));
        prop_assert_eq!(index.has_few_since(Nanos(since), u64::MAX, 0), after == 0);
    }

    #[test]
    fn an_index_that_grew_is_one_that_was_built_at_once(program in program(true), small: bool) {
        let Recorded { truth, index, grown, .. } = record(&program, if small { 2_000 } else { 1 << 20 });
        prop_assert_eq!(all(&index, &Filter::default()), all(&grown, &Filter::default()));
        prop_assert_eq!(index.gaps(), grown.gaps());
        prop_assert_eq!((index.span(), index.next_event()), (grown.span(), grown.next_event()));
        prop_assert_eq!(index.sites(), grown.sites());
        prop_assert_eq!(index.processes(), grown.processes());
        for (from, to) in [(0, 50), (100, 101), (200, 600), (599, 600)] {
            let answer = index.has_gap(Nanos(from), Nanos(to));
            prop_assert_eq!(answer, grown.has_gap(Nanos(from), Nanos(to)));
            prop_assert_eq!(answer, truth.has_gap(from, to));
        }
    }
}

fn steps(acts: &[Act]) -> Vec<Step> {
    acts.iter().map(|act| Step { process: 0, act: *act, passed: 10, late: 0 }).collect()
}

#[test]
fn a_recording_that_ends_while_paused_is_unknown_from_the_pause_on() {
    let Recorded { index, .. } = record(&steps(&[Act::State(1), Act::Pause, Act::Pause]), 1 << 20);
    // 10: the state; 20: paused by the user; 30: the end.
    assert!(!index.has_gap(Nanos(10), Nanos(20)));
    assert!(index.has_gap(Nanos(21), Nanos(29)));
    assert!(matches!(index.state_at(pid(0), Nanos(25)), StateAnswer::Lost(_)));
}

#[test]
fn a_call_whose_return_may_be_lost_is_not_shown_as_open() {
    let acts = [Act::Call(1), Act::Lose, Act::Return, Act::Tell, Act::Call(2)];
    let Recorded { index, truth, .. } = record(&steps(&acts), 1 << 20);
    assert!(matches!(truth.calls[0].end, End::By(None, Kind::Return)));
    let calls = index.calls(&Filter::default(), usize::MAX);
    assert_eq!(ending(&calls[0]), ("unknown", None));
    assert_eq!((ending(&calls[1]), calls[1].parent), (("open", None), None), "the first may be over");
}

#[test]
fn a_chain_of_tail_calls_ends_as_its_last_call_does() {
    let acts = [Act::Call(1), Act::Tail, Act::Call(2), Act::Tail, Act::Call(3), Act::Raise];
    let Recorded { index, .. } = record(&steps(&acts), 1 << 20);
    let calls = index.calls(&Filter::default(), usize::MAX);
    assert!(calls.iter().all(|call| ending(call) == ("raised", Some(5)) && call.parent.is_none()));
    assert_eq!(calls.iter().map(|call| call.tail).collect::<Vec<_>>(), [true, true, false]);
}

/// The program's own model must know what it says: a hand-made case of each kind.
#[test]
fn the_model_tells_what_happened() {
    let mut truth = Truth::default();
    let acts =
        [Act::Call(1), Act::Call(2), Act::Lose, Act::Return, Act::Tell, Act::Tail, Act::Call(3), Act::GiveUp];
    let stored = steps(&acts).into_iter().filter_map(|step| truth.step(step)).count();
    assert_eq!((stored, truth.gaps.as_slice()), (6, &[(30, 50)][..]));
    assert_eq!(truth.calls[0].end, End::GivenUp);
    assert_eq!((truth.calls[1].end, truth.calls[1].parent), (End::By(None, Kind::Return), Some(0)));
    assert_eq!((truth.calls[2].end, truth.calls[2].parent), (End::GivenUp, None));
}
