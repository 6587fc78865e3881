//! Pairs of a million messages' events: sent round a ring of processes, and from many to one whose mailbox is long.

use criterion::{Criterion, criterion_group, criterion_main};
use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Pid, Record, Site};
use elixir_scope_query::{Index, Outcome, Vm, Wanted};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use std::sync::Arc;

const MESSAGES: u64 = 500_000;
const PROCESSES: u64 = 1_000;
const NIL: u64 = 0;

struct Words;

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        Some(match word {
            NIL => Definition::Atom("nil".into()),
            id => Definition::Process(Pid { id: id as u32, serial: 0 }, vec![]),
        })
    }

    fn site(&self, _key: u64) -> Option<Arc<Site>> {
        None
    }
}

struct Recorder {
    dir: tempfile::TempDir,
    writer: Writer,
    now: u64,
}

impl Recorder {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
        let run = Run::create(dir.path(), "run", &manifest).expect("a run");
        let writer = Writer::create(run.path(), Limits::default()).expect("a writer");
        let mut recorder = Recorder { dir, writer, now: 0 };
        for process in 1..=PROCESSES {
            recorder.event(process, Kind::Spawned, NIL, 0);
        }
        recorder
    }

    /// A message of a few values; the other end, and the digest.
    fn event(&mut self, process: u64, kind: Kind, other: u64, number: u64) {
        self.now += 1_000;
        let mut payload = vec![0];
        let tokens = [
            Token::Tuple(3),
            Token::Word(process),
            Token::Integer(number as i64),
            Token::Binary(b"what is in a message"),
            Token::Word(other),
            Token::Integer(number as i64 * 7_919),
        ];
        tokens.iter().for_each(|token| value::put(&mut payload, *token));
        let record = Record { kind, ticks: Ticks(0), process, site: 0, payload: &payload };
        self.writer.push(0, Nanos(self.now), &record, &Words).expect("a sound payload");
        if self.writer.is_due() {
            self.writer.commit().expect("committed");
        }
    }

    fn index(&mut self) -> Index {
        self.writer.commit().expect("committed");
        let mut index = Index::default();
        index.extend(&self.writer.shelf().segments());
        index
    }
}

/// Each message goes to the next process, which gets it at once.
fn ring(named: bool) -> (Recorder, Index) {
    let mut recorder = Recorder::new();
    for number in 0..MESSAGES {
        let (from, to) = (number % PROCESSES + 1, (number + 1) % PROCESSES + 1);
        recorder.event(from, Kind::Send, to, number % 100);
        recorder.event(to, Kind::Receive, if named { from } else { NIL }, number % 100);
    }
    let index = recorder.index();
    (recorder, index)
}

/// All send to one, which gets what lies there in lots of ten thousand.
fn mailbox() -> (Recorder, Index) {
    let mut recorder = Recorder::new();
    let sender = |number: u64| number % (PROCESSES - 1) + 2;
    for lot in 0..MESSAGES / 10_000 {
        let numbers = lot * 10_000..(lot + 1) * 10_000;
        numbers.clone().for_each(|number| recorder.event(sender(number), Kind::Send, 1, number % 10));
        numbers.for_each(|number| recorder.event(1, Kind::Receive, sender(number), number % 10));
    }
    let index = recorder.index();
    (recorder, index)
}

fn all(index: &Index, names_senders: bool) {
    let found = index.messages(&Wanted::default(), &Vm { node: "", names_senders });
    assert_eq!(found.len(), MESSAGES as usize);
    assert!(found.iter().all(|message| message.outcome == Outcome::Delivered));
}

fn messages(c: &mut Criterion) {
    let (named, unnamed, long) = (ring(true), ring(false), mailbox());
    let mut group = c.benchmark_group("500,000 messages");
    group.sample_size(10);
    group.bench_function("round a ring", |b| b.iter(|| all(&named.1, true)));
    group.bench_function("round a ring, without senders", |b| b.iter(|| all(&unnamed.1, false)));
    group.bench_function("to one with a long mailbox", |b| b.iter(|| all(&long.1, true)));
    group.bench_function("round a ring, a window of 1,000", |b| {
        let since = Nanos(named.0.now / 2);
        let wanted = Wanted { since, until: Nanos(since.0 + 2_000_000), ..Wanted::default() };
        b.iter(|| {
            let found = named.1.messages(&wanted, &Vm { node: "", names_senders: true });
            assert!((999..=1_001).contains(&found.len()));
        });
    });
    group.finish();
    assert!(named.0.dir.path().exists(), "the stores lie there until the end");
}

criterion_group!(benches, messages);
criterion_main!(benches);
