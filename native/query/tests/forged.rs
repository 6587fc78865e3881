//! Segments whose checksums are right and whose numbers are not: someone made them, or the writer has a bug.

use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Pid, codec, varint};
use elixir_scope_query::{Filter, Index, States, Vm, Wanted};
use elixir_scope_segment::Segment;
use elixir_scope_segment::layout::{BlockHead, SegmentHead, VERSION};
use proptest::prelude::*;
use std::sync::Arc;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..10, any::<u64>(), u64::MAX - 2..=u64::MAX]
}

/// Numbers as they are written, most of them fit where they stand.
fn numbers(count: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![9 => 0u64..10, 1 => number()], count).prop_map(|numbers| {
        let mut out = Vec::new();
        numbers.iter().for_each(|number| varint::put(&mut out, *number));
        out
    })
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let event = (any::<u8>(), numbers(4), proptest::collection::vec(any::<u8>(), 0..20));
    let event = event.prop_map(|(kind, numbers, payload)| {
        let mut out = [vec![kind], numbers].concat();
        varint::put(&mut out, payload.len() as u64);
        [out, payload].concat()
    });
    prop_oneof![6 => event, 1 => any::<Vec<u8>>()]
}

/// What should be a front: right in its first parts, so that the others are reached.
fn front() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let list = |width: usize| {
        proptest::collection::vec(numbers(width), 0..3)
            .prop_map(|entries| [vec![entries.len() as u8], entries.concat()].concat())
    };
    let lies = proptest::option::of((any::<proptest::sample::Index>(), any::<u8>()));
    let ids = (0u32..3, proptest::collection::vec(0u32..3, 0..3));
    (ids, list(2), list(5), list(2), list(5), number(), lies).prop_map(
        |((serial, processes), kinds, entries, sites, places, time, lie)| {
            let mut out = vec![0; 33];
            for id in &processes {
                let bytes = codec::encode(&Definition::Process(Pid { id: *id, serial }, vec![]));
                varint::put(&mut out, bytes.len() as u64);
                out.extend(bytes);
            }
            let at = [kinds, entries, sites].concat();
            out.extend(at);
            let start = out.len() as u32;
            out.extend(places);
            // Where reading begins, so that the records are reached.
            out.extend([0; 4]);
            out.extend(time.to_le_bytes());
            if let Some((at, byte)) = lie {
                *at.get_mut(&mut out) = byte;
            }
            (start, out)
        },
    )
}

type Forged = ((u32, Vec<u8>), Vec<Vec<u8>>, Vec<u64>, Vec<Option<u64>>);

fn block() -> impl Strategy<Value = Forged> {
    let lie = proptest::option::weighted(0.1, number());
    let numbers = proptest::collection::vec(number(), 6);
    (front(), proptest::collection::vec(record(), 0..8), numbers, proptest::collection::vec(lie, 4))
}

fn bytes(blocks: &[Forged], first_event: u64, remnant: bool) -> Vec<u8> {
    let mut file =
        SegmentHead { version: VERSION, number: 1, first_event, remnant, packed: false }.to_bytes().to_vec();
    for ((places, front), records, numbers, lies) in blocks {
        let body = [front.clone(), records.concat()].concat();
        let said = |at: usize, truth: u32| lies[at].map_or(truth, |lie| lie as u32);
        let head = BlockHead {
            body: body.len() as u32,
            first_event: numbers[0],
            events: said(0, records.len() as u32),
            first_definition: numbers[1] as u32,
            definitions: numbers[2].min(3) as u32,
            front: said(1, front.len() as u32),
            places: said(2, *places),
            unpacked: said(3, 0),
            earliest: Nanos(numbers[3]),
            latest: Nanos(numbers[4]),
            until: Nanos(numbers[5]),
            sum: crc32fast::hash(&body),
        };
        file.extend_from_slice(&head.to_bytes());
        file.extend_from_slice(&body);
        file.resize(file.len().next_multiple_of(8), 0);
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn forged_blocks_are_read_or_refused(
        blocks in proptest::collection::vec(block(), 1..5),
        first in number(), from in number(), moment in number(), remnant: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000001.seg");
        std::fs::write(&path, bytes(&blocks, first, remnant)).unwrap();
        let mut index = Index::default();
        index.extend(&[Arc::new(Segment::open(&path).unwrap())]);
        let mut ids = vec![0, 1, from];
        for row in index.events(&Filter::default(), 0, usize::MAX).rows {
            let _ = index.event(row.id);
            ids.push(row.id);
        }
        ids.sort_unstable();
        let _ = index.rows(&ids);
        let _ = index.events(&Filter::default(), from, 3);
        for names_senders in [true, false] {
            let _ = index.messages(&Wanted::default(), &Vm { node: "shop@host", names_senders });
        }
        let pids = (0..3).flat_map(|id| (0..3).map(move |serial| Pid { id, serial }));
        let some = Filter { processes: Some(pids.clone().collect()), sites: Some(vec![1]), ..Filter::default() };
        let _ = (index.events(&some, 0, 10), index.calls(&some, 10), index.calls(&Filter::default(), usize::MAX));
        for pid in pids {
            let _ = (index.state_at(pid, Nanos(moment)), States::new(&index).before(pid, from));
            let _ = (index.introductions(pid), index.process(pid));
        }
        let _ = (index.has_gap(Nanos(from), Nanos(moment)), index.gaps(), index.bytes(), index.span());
        let _ = (index.processes(), index.sites().len(), index.named("name", Nanos(moment)), index.event(from));
    }
}
