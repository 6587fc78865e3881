//! What the writer makes of its limits.

use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Record, Site};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Shelf, Writer};
use std::sync::Arc;

/// A word is an atom of a thousand letters: 9 bytes in a ring.
struct Long;

impl Meaning for Long {
    fn word(&self, word: u64) -> Option<Definition> {
        Some(Definition::Atom(format!("{word:0>1000}")))
    }

    fn site(&self, _key: u64) -> Option<Arc<Site>> {
        None
    }
}

fn push(writer: &mut Writer, number: u64) {
    let mut payload = vec![1];
    value::put(&mut payload, Token::Word(number));
    let record = Record { kind: Kind::Return, ticks: Ticks(0), process: 0, site: 0, payload: &payload };
    writer.push(0, Nanos(number), &record, &Long).unwrap();
    if writer.is_due() {
        writer.commit().unwrap();
    }
}

/// Whether each segment defines what its events refer to, and how many events there are.
fn events(shelf: &Shelf) -> u64 {
    let mut events = 0;
    for segment in shelf.segments().iter() {
        let mut atoms = Vec::new();
        assert_eq!(segment.head().first_event, events);
        for block in segment.scan(0).map(Result::unwrap) {
            atoms.extend(block.front().unwrap().definitions);
            for event in block.events().map(Result::unwrap) {
                let Ok(Token::Reference(atom)) = value::take(&mut &event.payload[1..]) else { panic!() };
                assert_eq!(atoms[atom as usize], Definition::Atom(format!("{events:0>1000}")));
                events += 1;
            }
        }
    }
    events
}

/// Recovery does not know how much room the meaning of what it finds will take.
#[test]
fn segments_in_memory_follow_each_other_as_those_in_files_do() {
    let shelf = Arc::new(Shelf::default());
    let mut writer = Writer::in_memory("rings".into(), 1 << 20, Arc::clone(&shelf), 0).unwrap();
    (0..3_000).for_each(|number| push(&mut writer, number));
    writer.commit().unwrap();
    assert!(shelf.segments().len() > 2);
    assert_eq!(events(&shelf), 3_000);
}

#[test]
fn a_block_that_no_segment_takes_is_an_error_and_what_was_written_stays() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
    let run = Run::create(dir.path(), "run", &manifest).unwrap();
    let limits = Limits { segment_bytes: 4096, record_bytes: 0, block_bytes: 1 << 20, ..Limits::default() };
    let mut writer = Writer::create(run.path(), limits).unwrap();
    push(&mut writer, 0);
    writer.commit().unwrap();
    (1..9).for_each(|number| push(&mut writer, number));
    assert_eq!(writer.commit().unwrap_err().reason(), "damaged");
    assert_eq!((writer.pending(), writer.next_event()), (8, 1));
    assert_eq!(events(&writer.shelf()), 1);
}

/// Else the last segment would be empty, and whoever opens the run would miss its end.
#[test]
fn what_ends_a_run_is_in_its_last_segment_however_old_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
    let run = Run::create(dir.path(), "run", &manifest).unwrap();
    let mut writer = Writer::create(run.path(), Limits { segment_age: Some(10), ..Limits::default() }).unwrap();
    push(&mut writer, 0);
    writer.complete(Nanos(5));
    writer.commit().unwrap();
    writer.complete(Nanos(50));
    writer.note(Kind::Pause, Nanos(50));
    writer.seal().unwrap();
    let segments = writer.shelf().segments().to_vec();
    let blocks: Vec<_> = segments.iter().map(|segment| segment.scan(0).count()).collect();
    assert_eq!(blocks, [2]);
}
