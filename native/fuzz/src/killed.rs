//! The files of a small recording whose VM was killed: some of its events in segments, the last in rings.

use crate::folder;
use elixir_scope_clock::{Nanos, Piece, Ticks, Timeline};
use elixir_scope_dictionary::Dictionary;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Pid, Record, Site, varint};
use elixir_scope_recorder::{Tap, drain};
use elixir_scope_ring::{Position, file};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Files by their names within the run.
pub type Files = BTreeMap<String, Vec<u8>>;

const EVENTS: u64 = 48;
const DRAINED: u64 = 40;
const PROCESSES: u64 = 3;
const ATOM: u64 = 11;

struct Words;

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        Some(if word & 15 == 3 {
            Definition::Process(Pid { id: (word >> 4) as u32, serial: 0 }, vec![131, 106])
        } else {
            Definition::Atom("ok".into())
        })
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        let (module, function, file) = ("Elixir.Shop".into(), format!("f{key}"), "lib/shop.ex".into());
        let names = if key == 3 { vec!["item".into()] } else { vec![] };
        Some(Arc::new(Site {
            key,
            node: key,
            module,
            function,
            arity: 1,
            file,
            line: 7,
            names,
            ..Site::default()
        }))
    }
}

/// The recording: calls with their returns, raises, bindings and states of three processes.
pub fn killed() -> Files {
    let dir = folder();
    let manifest =
        Manifest { started: Nanos(1_000), os_pid: 1, node: "nonode@nohost".into(), vm: "none".into() };
    let run = Run::create(dir.path(), "run", &manifest).expect("a run");
    let dictionary = Dictionary::create(&run.path().dictionary()).expect("a dictionary");
    let line = Piece { from: Ticks(0), at: Nanos(0), rate: 1.0 };
    dictionary.define_piece(line).expect("written");
    for word in (1..=PROCESSES).map(|pid| pid << 4 | 3).chain([ATOM]) {
        dictionary.define_word(word, Words.word(word).expect("known")).expect("written");
    }
    for key in 1..=3 {
        dictionary.define_site(Site::clone(&Words.site(key).expect("known"))).expect("written");
    }
    let mut writer = Writer::create(
        run.path(),
        Limits { segment_bytes: 1024, record_bytes: 0, block_bytes: 200, ..Limits::default() },
    )
    .expect("a writer");
    let (mut producers, mut taps) = (Vec::new(), Vec::new());
    for ring in 0..2 {
        let (producer, consumer) =
            file::create(&run.path().rings().join(format!("{ring}.ring")), 4096).expect("a ring");
        producers.push(producer);
        taps.push(Tap::new(ring, consumer, Position::default(), Nanos(1_000)));
    }
    for number in 0..EVENTS {
        let (kind, site, payload) = event(number);
        let (ticks, process) = (Ticks(1_000 + number * 10), (number % PROCESSES + 1) << 4 | 3);
        let record = Record { kind, ticks, process, site, payload: &payload };
        producers[(number / 7 % 2) as usize].push(kind as u32, &[&record.head(), &payload]).expect("room");
        if number % 8 == 7 && number < DRAINED {
            taps.iter_mut().for_each(Tap::observe);
            drain(&mut taps, ticks, &Timeline::new(line), &mut writer, &Words).expect("drained");
        }
    }
    files(run.path().dir())
}

fn event(number: u64) -> (Kind, u64, Vec<u8>) {
    let (kind, site, first, tokens) = match number / PROCESSES % 5 {
        0 => (Kind::State, 1, 1, vec![Token::Map(1), Token::Word(ATOM), Token::Integer(number as i64)]),
        1 => (Kind::Call, 1, 2, vec![Token::State]),
        2 => (Kind::Binding, 3, 1, vec![Token::List, Token::Binary(b"item"), Token::Tail, Token::Nil]),
        3 if number.is_multiple_of(2) => (Kind::Raise, 1, 0, vec![Token::Word(ATOM), Token::Nil]),
        _ => (Kind::Return, 1, 1, vec![Token::Tuple(2), Token::Float(0.5), Token::External(&[131, 97, 1])]),
    };
    let mut payload = Vec::new();
    varint::put(&mut payload, first);
    tokens.into_iter().for_each(|token| value::put(&mut payload, token));
    (kind, site, payload)
}

fn files(run: &Path) -> Files {
    let mut files = Files::new();
    for folder in ["", "rings", "segments"] {
        for entry in std::fs::read_dir(run.join(folder)).expect("a folder of the run") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.strip_prefix(run).expect("within the run").display().to_string();
                files.insert(name, std::fs::read(path).expect("read"));
            }
        }
    }
    files
}
