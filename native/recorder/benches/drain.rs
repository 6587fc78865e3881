//! From filled rings into the store: events a second of one drain thread, events with immediate arguments alone.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use elixir_scope_clock::{Nanos, Piece, Ticks, Timeline};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Pid, Record, Site};
use elixir_scope_recorder::{Tap, drain};
use elixir_scope_ring::{Position, file};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use std::sync::Arc;

const RINGS: u32 = 2;
const EVENTS: u64 = 100_000;

struct Words;

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        Some(match word & 15 {
            3 => Definition::Process(Pid { id: (word >> 4) as u32, serial: 0 }, vec![0; 20]),
            _ => Definition::Atom(format!("atom_{word}")),
        })
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        let (module, function, file) = ("Elixir.Shop".into(), format!("f{key}"), "lib/shop.ex".into());
        Some(Arc::new(Site { key, node: key, module, function, arity: 2, file, line: 1, ..Site::default() }))
    }
}

/// Rings in their folder, full of calls with two arguments, an atom and a small integer, and their returns.
fn filled() -> (tempfile::TempDir, Writer, Vec<Tap>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
    let run = Run::create(dir.path(), "run", &manifest).expect("a run");
    let writer = Writer::create(run.path(), Limits::default()).expect("a writer");
    let (mut producers, mut taps) = (Vec::new(), Vec::new());
    for ring in 0..RINGS {
        let path = run.path().rings().join(format!("{ring}.ring"));
        let (producer, consumer) = file::create(&path, 8 << 20).expect("a ring");
        producers.push(producer);
        taps.push(Tap::new(ring, consumer, Position::default(), Nanos(0)));
    }
    for number in 0..EVENTS {
        let mut payload = Vec::new();
        let kind = if number % 2 == 0 { Kind::Call } else { Kind::Return };
        payload.push(if kind == Kind::Call { 3 } else { 1 });
        value::put(&mut payload, Token::Word((number % 64) << 6 | 11));
        if kind == Kind::Call {
            value::put(&mut payload, Token::Integer(number as i64 % 1_000));
        }
        // A scheduler runs a process for a while: runs of events from one ring.
        let (ring, process) = ((number / 50 % u64::from(RINGS)) as usize, number / 50 % 1_000);
        let (ticks, process) = (Ticks(number * 200), process << 4 | 3);
        let record = Record { kind, ticks, process, site: number / 2 % 200 + 1, payload: &payload };
        producers[ring].push(kind as u32, &[&record.head(), &payload]).expect("room");
    }
    (dir, writer, taps)
}

fn drain_rate(c: &mut Criterion) {
    let line = Timeline::new(Piece { from: Ticks(0), at: Nanos(0), rate: 0.5 });
    let mut group = c.benchmark_group("drain");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(20);
    group.bench_function("rings into the store", |b| {
        b.iter_batched(
            filled,
            |(dir, mut writer, mut taps)| {
                taps.iter_mut().for_each(Tap::observe);
                let found = drain(&mut taps, Ticks(u64::MAX), &line, &mut writer, &Words).expect("drained");
                assert_eq!((found.events, found.lost), (EVENTS, 0));
                (dir, writer, taps)
            },
            BatchSize::PerIteration,
        )
    });
    group.finish();
    let (_dir, mut writer, mut taps) = filled();
    drain(&mut taps, Ticks(u64::MAX), &line, &mut writer, &Words).expect("drained");
    let bytes: usize = writer.shelf().segments().iter().map(|segment| segment.len()).sum();
    println!("drain: {:.1} bytes an event on disk", bytes as f64 / EVENTS as f64);
}

criterion_group!(benches, drain_rate);
criterion_main!(benches);
