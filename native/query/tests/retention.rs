//! A run whose oldest segments are removed while it is recorded, or packed, against a plain list of what happened.

mod common;

use common::{Act, PROCESSES, Plain, Recorded, Step, finds_the_chain, pid, plain, program, record_and};
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, LossCause};
use elixir_scope_query::{Filter, Index, StateAnswer};
use elixir_scope_segment::Segment;
use elixir_scope_store::{Keeper, Retention, RunPath};
use proptest::prelude::*;
use std::sync::Arc;

/// Where the recording begins that is kept: the number of its first event.
fn horizon(index: &Index) -> u64 {
    let removed = index.gaps().into_iter().find(|gap| gap.cause == LossCause::Removed);
    removed.map_or(0, |gap| gap.count)
}

/// All events from the horizon on, and the states of any time since.
fn shows_what_is_kept(recorded: &Recorded, index: &Index) {
    let truth = &recorded.truth;
    let from = horizon(index);
    let shown = index.events(&Filter::default(), from, usize::MAX).rows;
    let shown: Vec<_> = shown.iter().map(|row| (row.id, plain(row))).collect();
    let numbered: Vec<(u64, Plain)> = (0..).zip(truth.events.iter().cloned()).collect();
    assert_eq!(shown, numbered[from as usize..]);
    // What is left of the others is as it was.
    for row in index.events(&Filter::default(), 0, usize::MAX).rows.iter().take_while(|row| row.id < from) {
        assert!(matches!(row.kind, Kind::Gap | Kind::Pause) || plain(row) == truth.events[row.id as usize]);
        assert_eq!(index.event(row.id).map(|row| row.payload), Some(row.payload.clone()));
    }
    let marks = |row: &(u64, Plain)| row.1.kind == Kind::Mark;
    let bookmarks: Vec<_> = index.marks().iter().map(|row| (row.id, plain(row))).collect();
    assert_eq!(bookmarks, numbered.iter().filter(|row| marks(row)).cloned().collect::<Vec<_>>());
    let kept = shown.iter().map(|(_, event)| event.time).min().unwrap_or(u64::MAX);
    let end = truth.now;
    for process in 0..PROCESSES {
        for moment in (0..=end).step_by(1 + end as usize / 60) {
            let state = numbered.iter().rfind(|(_, event)| {
                event.kind.is_state() && event.process == Some(process) && event.time <= moment
            });
            match (index.state_at(pid(process), Nanos(moment)), state) {
                (StateAnswer::Known(row), Some((id, state))) => {
                    assert_eq!((row.id, &plain(&row)), (*id, state));
                    if moment >= kept {
                        finds_the_chain(index, &row);
                    }
                    assert!(!truth.has_gap(state.time, moment));
                }
                (StateAnswer::Lost(_), Some((_, state))) => {
                    // Of what is removed it is known less exactly what was missing.
                    assert!(truth.has_gap(state.time, moment) || moment < kept);
                }
                (StateAnswer::Before(first), expected) => {
                    assert!(first.0 > moment);
                    assert!(expected.is_none() || index.has_gap(Nanos(moment), Nanos(moment)));
                }
                (StateAnswer::Never, expected) => assert!(expected.is_none()),
                (answer, expected) => panic!("{answer:?} for {expected:?}, kept from {kept}"),
            }
        }
    }
}

fn files(run: &RunPath) -> Vec<std::path::PathBuf> {
    RunPath::files(&run.segments(), "seg")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_whole_and_no_state_is_cut_off(
        program in program(true), bytes in 500u64..6_000, pack: bool, losses: bool,
    ) {
        let program: Vec<Step> = program.into_iter().filter(|step| losses || step.act != Act::Lose).collect();
        let mut keeper = None;
        let mut reopened = Index::default();
        let recorded = record_and(&program, 3_000, |run, writer, truth| {
            let retention = Retention { bytes: Some(bytes), age: None, pack };
            let keeper = keeper.get_or_insert_with(|| Keeper::new(run.path().clone(), writer.shelf(), retention));
            keeper.tidy(Nanos(truth.now), false).unwrap();
            let segments = writer.shelf().segments();
            let held: u64 = segments.iter().map(|segment| segment.len() as u64).sum();
            // All but the last can go; the remnant is small, and never removed.
            let least = segments.iter().rev().take(1).map(|segment| segment.len() as u64).sum::<u64>();
            let remnant: u64 =
                segments.iter().filter(|segment| segment.head().remnant).map(|segment| segment.len() as u64).sum();
            assert!(held <= bytes + least + remnant, "{held} of {bytes}");
            let names: Vec<_> = segments.iter().map(|segment| segment.path().to_path_buf()).collect();
            assert_eq!(names, files(run.path()));
            reopened = Index::default();
            let opened = names.iter().map(|name| Arc::new(Segment::open(name).unwrap())).collect::<Vec<_>>();
            reopened.extend(&opened);
        });
        let mut index = Index::default();
        index.extend(&recorded.segments);
        shows_what_is_kept(&recorded, &index);
        shows_what_is_kept(&recorded, &recorded.grown);
        shows_what_is_kept(&recorded, &reopened);
    }

    #[test]
    fn what_is_too_old_goes_in_whole_segments(program in program(false), age in 1u64..400) {
        let mut keeper = None;
        let recorded = record_and(&program, 3_000, |run, writer, truth| {
            let retention = Retention { bytes: None, age: Some(age), pack: false };
            let keeper = keeper.get_or_insert_with(|| Keeper::new(run.path().clone(), writer.shelf(), retention));
            keeper.tidy(Nanos(truth.now), false).unwrap();
            let segments = writer.shelf().segments();
            let (_, sealed) = segments.split_last().unwrap();
            let kept = sealed.iter().filter(|segment| !segment.head().remnant);
            // They are removed from the front: one that is old may lie behind one that is not.
            assert!(kept.take(1).all(|segment| segment.latest().0 + age >= truth.now));
        });
        shows_what_is_kept(&recorded, &recorded.index);
    }
}

/// The states of a process that rests are not forgotten, however much others do.
#[test]
fn the_state_of_a_process_that_rests_outlives_the_segment_that_it_was_recorded_in() {
    let step = |process, act| Step { process, act, passed: 10, late: 0 };
    let mut program = vec![step(0, Act::State(7)), step(0, Act::Commit)];
    for number in 0..2_000 {
        program.extend([step(1, Act::Call(1)), step(1, Act::Return), step(1, Act::State(number))]);
        if number % 10 == 0 {
            program.push(step(1, Act::Commit));
        }
    }
    let mut keeper = None;
    let recorded = record_and(&program, 4_000, |run, writer, truth| {
        let retention = Retention { bytes: Some(20_000), age: None, pack: true };
        let keeper = keeper.get_or_insert_with(|| Keeper::new(run.path().clone(), writer.shelf(), retention));
        keeper.tidy(Nanos(truth.now), false).unwrap();
    });
    assert!(horizon(&recorded.grown) > 3_000, "{:?}", recorded.grown.gaps());
    let end = Nanos(recorded.truth.now);
    let StateAnswer::Known(row) = recorded.grown.state_at(pid(0), end) else { panic!("expected a state") };
    assert_eq!((row.id, row.time), (0, Nanos(10)));
    assert_eq!(recorded.grown.process(pid(0)).map(|process| process.states), Some(1));
    shows_what_is_kept(&recorded, &recorded.grown);
}
