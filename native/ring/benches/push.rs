//! What a push costs, against copying the same bytes into a plain buffer.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring");
    for len in [24usize, 64, 256] {
        let body = vec![7u8; len];
        let mut plain = vec![0u8; 1 << 20];
        let mut at = 0;
        group.bench_function(format!("baseline copy of {len} bytes"), |b| {
            b.iter(|| {
                at = (at + len) & ((1 << 19) - 1);
                plain[at..at + len].copy_from_slice(black_box(&body));
            })
        });
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.ring");
        let overwrite = elixir_scope_ring::Policy::Overwrite;
        let (mut producer, _) =
            elixir_scope_ring::file::create_with(&path, 1 << 20, overwrite).expect("a ring");
        group.bench_function(format!("push {len} bytes, overwriting"), |b| {
            b.iter(|| producer.push(1, black_box(&[&body[..]])))
        });
        let path = dir.path().join("0.ring");
        let (mut producer, mut consumer) = elixir_scope_ring::file::create(&path, 1 << 20).expect("a ring");
        let mut count = 0u32;
        group.bench_function(format!("push {len} bytes, and read it"), |b| {
            b.iter(|| {
                count += 1;
                if count.is_multiple_of(1_000) {
                    consumer.refresh();
                    while consumer.peek().is_some() {
                        consumer.advance();
                    }
                    consumer.release();
                }
                producer.push(1, black_box(&[&body[..]]))
            })
        });
    }
    group.finish();
}

criterion_group!(benches, push);
criterion_main!(benches);
