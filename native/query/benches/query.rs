//! Questions to a store of a million events: the state of a process at a moment, a window of a thousand events.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Pid, Record, Site};
use elixir_scope_query::{Filter, Index, StateAnswer};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use std::hint::black_box;
use std::sync::Arc;

const EVENTS: u64 = 1_000_000;
const PROCESSES: u64 = 100;

struct Words;

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        Some(Definition::Process(Pid { id: word as u32, serial: 0 }, vec![]))
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        let (module, function, file) = ("Elixir.Shop".into(), format!("f{key}"), "lib/shop.ex".into());
        Some(Arc::new(Site { key, node: key, module, function, arity: 2, file, line: 1, ..Site::default() }))
    }
}

/// Event `n` is at `n` microseconds; two of ten are states, the others calls and their returns.
fn store() -> (tempfile::TempDir, Writer) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
    let run = Run::create(dir.path(), "run", &manifest).expect("a run");
    let mut writer = Writer::create(run.path(), Limits::default()).expect("a writer");
    for number in 0..EVENTS {
        let kind = match number % 10 {
            0 | 9 => Kind::State,
            odd if odd % 2 == 1 => Kind::Call,
            _ => Kind::Return,
        };
        let mut payload = vec![1];
        if kind != Kind::Call {
            value::put(&mut payload, Token::Integer(number as i64));
        }
        let process = number / 10 % PROCESSES + 1;
        let record =
            Record { kind, ticks: Ticks(0), process, site: number.div_ceil(2) % 200 + 1, payload: &payload };
        writer.push(0, Nanos(number * 1_000), &record, &Words).expect("a sound payload");
        if writer.is_due() {
            writer.commit().expect("committed");
        }
    }
    writer.commit().expect("committed");
    (dir, writer)
}

/// The next of some moments that are spread over the recording.
fn moment(last: &mut u64) -> u64 {
    *last = (*last + 617_283_951) % (EVENTS * 1_000);
    *last
}

/// A process of the program.
fn pid(number: u64) -> Pid {
    Pid { id: (number % PROCESSES) as u32 + 1, serial: 0 }
}

fn query(c: &mut Criterion) {
    let (_dir, writer) = store();
    let segments = writer.shelf().segments();
    let mut index = Index::default();
    index.extend(&segments);
    let mut group = c.benchmark_group("query of a million events");
    let mut last = 0;
    group.bench_function("state_at", |b| {
        b.iter_batched(
            || moment(&mut last).max(EVENTS),
            |moment| match index.state_at(black_box(pid(moment)), Nanos(moment)) {
                StateAnswer::Known(row) => row,
                answer => panic!("expected a state, found {answer:?}"),
            },
            BatchSize::SmallInput,
        )
    });
    group.bench_function("window of 1,000 events", |b| {
        b.iter_batched(
            || Nanos(moment(&mut last) / 1_000 % (EVENTS - 1_000) * 1_000),
            |since| {
                let until = Nanos(since.0 + 999_000);
                let page = index.events(&Filter { since, until, ..Filter::default() }, 0, 2_000);
                assert_eq!(page.rows.len(), 1_000);
                page
            },
            BatchSize::SmallInput,
        )
    });
    group.bench_function("event by its number", |b| {
        b.iter_batched(
            || moment(&mut last) / 1_000,
            |id| index.event(black_box(id)).expect("an event").site,
            BatchSize::SmallInput,
        )
    });
    group.bench_function("calls that begin in 1,000 events", |b| {
        b.iter_batched(
            || Nanos(moment(&mut last) / 1_000 % (EVENTS - 1_000) * 1_000),
            |since| {
                let until = Nanos(since.0 + 999_000);
                index.calls(&Filter { since, until, ..Filter::default() }, 2_000)
            },
            BatchSize::SmallInput,
        )
    });
    group.sample_size(10);
    group.bench_function("index of all", |b| {
        b.iter(|| {
            let mut index = Index::default();
            index.extend(&segments);
            index
        })
    });
    group.finish();
}

criterion_group!(benches, query);
criterion_main!(benches);
