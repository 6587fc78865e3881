//! Every question.

use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::varint;
use elixir_scope_query::{Filter, Index, Row, States, Vm, Wanted};
use elixir_scope_segment::Segment;

/// Reads everything in a segment: blocks, fronts and events.
pub fn read_segment(segment: &Segment) {
    for block in segment.scan(0).flatten() {
        let _ = block.marks();
        let _ = block.front();
        block.events().for_each(drop);
        block.events_after(block.head.first_event.saturating_add(200)).for_each(drop);
        block.events_before(block.head.first_event.saturating_add(200)).for_each(drop);
        block.places().flatten().for_each(|place| block.events_from(&place).for_each(drop));
        assert!(segment.block(block.offset).is_some(), "a block that a scan gave is there");
    }
}

/// Puts every question to an index, at the times that it holds and beside them.
pub fn ask(index: &Index) {
    let all = index.events(&Filter::default(), 0, 10_000).rows;
    let backward = index.events_before(&Filter::default(), u64::MAX, 10_000).rows;
    backward.iter().take(100).for_each(|row| {
        let _ = (
            index.events_before(&Filter::default(), row.id, 3),
            row.process.map(|pid| index.began(pid, row.id)),
        );
    });
    all.iter().for_each(|row| walk(index, row));
    all.iter().take(100).for_each(|row| drop(index.event(row.id)));
    all.iter().filter(|row| row.kind.is_state()).take(200).for_each(|row| {
        let _ = row.process.map(|pid| States::new(index).chain(pid, row.id, |_| None));
    });
    let pids: Vec<_> = index.processes().iter().map(|process| process.pid).collect();
    let keys: Vec<_> = index.sites().iter().map(|site| site.key).collect();
    (0..index.segments().0).for_each(|volume| drop(index.verify(volume)));
    let (first, last) = index.span().unwrap_or_default();
    for moment in [Nanos(0), first, Nanos(first.0 / 2 + last.0 / 2), last, Nanos(u64::MAX)] {
        let _ = index.named("name", moment);
        for pid in pids.iter().take(50) {
            let _ = (index.state_at(*pid, moment), States::new(index).before(*pid, moment.0));
            let _ = (index.introductions(*pid), index.process(*pid));
            let filter = Filter { processes: Some(vec![*pid]), since: moment, ..Filter::default() };
            let _ = (index.events(&filter, 0, 10), index.calls(&filter, 10));
            let _ = (index.events_before(&filter, u64::MAX, 10), index.open_calls(*pid, moment.0, 10_000));
        }
        for (site, since) in keys.iter().copied().take(2).zip([moment, Nanos(0)]) {
            let filter = Filter { sites: Some(vec![site]), since, until: moment, ..Filter::default() };
            let _ = (index.events(&filter, moment.0, 10), index.calls(&filter, 10));
        }
        let _ = index.has_gap(moment, last);
    }
    let _ = index.calls(&Filter::default(), 10_000);
    for names_senders in [true, false] {
        let _ = index.messages(&Wanted::default(), &Vm { node: "shop@host", names_senders });
    }
    let ids: Vec<u64> = all.iter().map(|row| row.id).step_by(3).collect();
    let _ = index.rows(&ids);
    let _ = (index.marks(), index.count(&Filter::default()));
    let _ = (index.gaps(), index.damage(), index.sites(), index.bytes(), index.next_event());
}

fn walk(index: &Index, row: &Row) {
    let _ = value::check(&row.payload);
    let mut rest = &row.payload[..];
    if varint::take(&mut rest).is_err() {
        return;
    }
    while let (false, Ok(token)) = (rest.is_empty(), value::take(&mut rest)) {
        if let Token::Reference(number) = token {
            let _ = index.volume(row.volume).and_then(|volume| volume.definition(number));
        }
    }
}
