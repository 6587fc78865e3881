//! Segments whose checksums are right and whose numbers are not: someone made them, or the writer has a bug.

use elixir_scope_clock::Nanos;
use elixir_scope_event::{Definition, Pid, codec, varint};
use elixir_scope_query::{Filter, Index};
use elixir_scope_segment::Segment;
use elixir_scope_segment::layout::{BlockHead, SegmentHead, VERSION};
use proptest::prelude::*;
use std::sync::Arc;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..10, any::<u64>(), u64::MAX - 2..=u64::MAX]
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let definition = (0u32..3).prop_map(|id| {
        let bytes = codec::encode(&Definition::Process(Pid { id, serial: 0 }, vec![]));
        let mut out = vec![0];
        varint::put(&mut out, bytes.len() as u64);
        [out, bytes].concat()
    });
    let event =
        (1u8..10, proptest::collection::vec(number(), 4), proptest::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(kind, numbers, payload)| {
                let mut out = vec![kind];
                // Ring, distance, process, site: rings and numbers of definitions mostly fit 32 bits.
                for (number, mask) in numbers.iter().zip([0xFF, u64::MAX, 0x3, 0x3]) {
                    varint::put(&mut out, number & mask);
                }
                varint::put(&mut out, payload.len() as u64);
                [out, payload].concat()
            });
    prop_oneof![2 => definition, 6 => event, 1 => any::<Vec<u8>>()]
}

type Forged = (Vec<Vec<u8>>, Vec<u64>);

fn block() -> impl Strategy<Value = Forged> {
    (proptest::collection::vec(record(), 0..8), proptest::collection::vec(number(), 8))
}

fn bytes(blocks: &[Forged], first_event: u64) -> Vec<u8> {
    let mut file = SegmentHead { version: VERSION, number: 1, first_event }.to_bytes().to_vec();
    for (records, numbers) in blocks {
        let body = records.concat();
        let head = BlockHead {
            body: body.len() as u32,
            first_event: numbers[0],
            events: numbers[1] as u32,
            first_definition: numbers[2] as u32,
            definitions: numbers[3] as u32,
            base: Nanos(numbers[4]),
            earliest: Nanos(numbers[5]),
            latest: Nanos(numbers[6]),
            marks: (numbers[7] & 1) as u32,
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
        blocks in proptest::collection::vec(block(), 1..5), first in number(), from in number(), moment in number(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000001.seg");
        std::fs::write(&path, bytes(&blocks, first)).unwrap();
        let mut index = Index::default();
        index.extend(&[Arc::new(Segment::open(&path).unwrap())]);
        for row in index.events(&Filter::default(), 0, usize::MAX).rows {
            // A number of a definition must not ask for more memory than the file holds.
            prop_assert!(index.table(row.segment).len() <= bytes(&blocks, first).len());
        }
        let _ = index.events(&Filter::default(), from, 3);
        let _ = index.calls(&Filter::default(), usize::MAX);
        for process in 0..=index.processes().len() {
            let _ = (index.state_at(process, Nanos(moment)), index.state_before(process, from));
            let _ = index.introductions(process);
        }
        let _ = (index.has_gap(Nanos(from), Nanos(moment)), index.bytes(), index.span());
    }
}
