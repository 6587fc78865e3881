//! What is still needed of segments that are to be removed.
//!
//! Whoever asks for the state of a process at a time that is kept may need one that was recorded long before. So the
//! segments at the beginning of a run are not just removed: a remnant takes their place, with the last state of each
//! process, who it said it was, bookmarks, and what was missing. Everything in it has the number and time that it had. When more is removed,
//! the old remnant is removed with it, and what is still needed of it goes into the new one.

use crate::StoreError;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Gap, Kind, LossCause, Pid, varint};
use elixir_scope_segment::{Block, BlockBuilder, Event, Place, Segment, SegmentWriter};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// So many bookmarks are kept, the newest.
const MARKS: usize = 1_000;

/// An event that is kept. Definitions that it refers to are here, in the order of their first use.
struct Kept {
    kind: Kind,
    ring: u32,
    time: Nanos,
    process: Option<Definition>,
    site: Option<Definition>,
    payload: Vec<u8>,
    definitions: Vec<Definition>,
}

#[derive(Default)]
struct Survivors {
    /// The last state of each process, oldest first: the keyframe that it is made of, and what changed since.
    states: AHashMap<Pid, Vec<(u64, Kept)>>,
    /// What each process said of itself last.
    introductions: AHashMap<Pid, (u64, Kept)>,
    /// Bookmarks.
    marks: BTreeMap<u64, Kept>,
    /// What is missing, one interval for each cause: it may be longer than what was lost, never shorter.
    gaps: BTreeMap<LossCause, Gap>,
    /// Since when recording is paused.
    paused: Option<Nanos>,
    /// The number of the event after the last that is removed.
    end: u64,
}

/// Writes the remnant of some segments, oldest first, to a new file. States take at most `budget` bytes, the latest ones.
///
/// # Errors
/// What the system says; then there is no file.
pub(crate) fn write(path: &Path, removed: &[Arc<Segment>], budget: usize) -> Result<(), StoreError> {
    let mut survivors = Survivors::default();
    removed.iter().for_each(|segment| survivors.take(segment));
    let number = removed.last().map_or(0, |segment| segment.head().number);
    let written = survivors.write(path, number, budget);
    written.map_err(|error| {
        let _ = std::fs::remove_file(path);
        StoreError::io("write the remnant", path)(error)
    })
}

impl Survivors {
    fn take(&mut self, segment: &Segment) {
        let mut definitions = Vec::new();
        for block in segment.scan(0).flatten() {
            let Ok(front) = block.front() else { continue };
            // Definitions of a damaged block leave a hole.
            let first = block.head.first_definition as usize;
            if first <= definitions.len() + segment.len() {
                definitions.resize(first, Definition::Unknown(0));
            }
            definitions.extend(front.definitions);
            self.take_block(&block, &definitions);
            if !segment.head().remnant && block.head.events > 0 {
                let (count, from, to) = (u64::from(block.head.events), block.head.earliest, block.head.latest);
                self.miss(Gap { cause: LossCause::Removed, count, from, to });
            }
            self.end = block.head.end();
        }
    }

    fn take_block(&mut self, block: &Block<'_>, definitions: &[Definition]) {
        // Of each process what its last state is made of.
        let mut states: AHashMap<_, Vec<Place>> = AHashMap::new();
        for place in block.places().flatten() {
            match place.kind {
                kind if kind.is_state() => {
                    let chain = states.entry(place.process).or_default();
                    shorten(chain, kind, |place| place.kind);
                    chain.push(place);
                }
                _ => {
                    if let Some(Ok(event)) = block.events_from(&place).next() {
                        self.take_other(&event, definitions);
                    }
                }
            }
        }
        for place in states.into_values().flatten() {
            let event = block.events_from(&place).next().and_then(Result::ok);
            if let Some((pid, kept)) = event.and_then(|event| keep(&event, definitions)) {
                let chain = self.states.entry(pid).or_default();
                shorten(chain, place.kind, |(_, kept)| kept.kind);
                chain.push(kept);
            }
        }
    }

    fn take_other(&mut self, event: &Event<'_>, definitions: &[Definition]) {
        match event.kind {
            Kind::Process => {
                if let Some((pid, kept)) = keep(event, definitions) {
                    self.introductions.insert(pid, kept);
                }
            }
            Kind::Mark => {
                self.marks.extend(keep(event, definitions).map(|(_, kept)| kept));
                if self.marks.len() > MARKS {
                    self.marks.pop_first();
                }
            }
            Kind::Pause => drop(self.paused.get_or_insert(event.time)),
            Kind::Resume => {
                if let Some(from) = self.paused.take() {
                    self.miss(Gap { cause: LossCause::Paused, count: 0, from, to: event.time });
                }
            }
            Kind::Gap => Gap::parse(event.payload).into_iter().for_each(|gap| self.miss(gap)),
            _ => {}
        }
    }

    fn miss(&mut self, gap: Gap) {
        let known = self.gaps.entry(gap.cause).or_insert(Gap { count: 0, ..gap.clone() });
        known.count = known.count.saturating_add(gap.count);
        (known.from, known.to) = (known.from.min(gap.from), known.to.max(gap.to));
    }

    /// Gaps and a pause as events, which have no process.
    fn notes(&self) -> Vec<Kept> {
        let note = |kind, time, payload| {
            let (process, site, definitions) = (None, None, Vec::new());
            Kept { kind, ring: u32::MAX, time, process, site, payload, definitions }
        };
        let gaps = self.gaps.values().map(|gap| note(Kind::Gap, gap.from, gap.payload()));
        gaps.chain(self.paused.map(|since| note(Kind::Pause, since, vec![0]))).collect()
    }

    fn write(self, path: &Path, number: u32, budget: usize) -> std::io::Result<()> {
        let notes = self.notes();
        let mut events: BTreeMap<u64, Kept> = self.introductions.into_values().collect();
        events.extend(self.marks);
        let mut states: Vec<_> = self.states.into_values().collect();
        states.sort_by_key(|chain| std::cmp::Reverse(chain.last().map(|(id, _)| *id)));
        let mut left = budget;
        let fitting = states.into_iter().map_while(|chain| {
            left = left.checked_sub(chain.iter().map(|(_, kept)| kept.payload.len()).sum())?;
            Some(chain)
        });
        events.extend(fitting.flatten());
        // Notes take the numbers of events that are removed: the last that are free.
        while (events.len() + notes.len()) as u64 > self.end && events.pop_first().is_some() {}
        let free: Vec<u64> =
            (0..self.end).rev().filter(|id| !events.contains_key(id)).take(notes.len()).collect();
        events.extend(free.into_iter().zip(notes));
        let capacity = events.values().map(Kept::room).sum::<usize>() + 4096;
        let mut file = SegmentWriter::create_remnant(path, capacity, number)?;
        let (mut block, mut numbers) = (BlockBuilder::default(), AHashMap::new());
        let mut next = None;
        for (id, kept) in &events {
            if next != Some(*id) {
                append(&mut file, &mut block)?;
                file.skip_to(*id);
            }
            kept.add(&mut block, &mut numbers);
            next = Some(id + 1);
        }
        append(&mut file, &mut block)?;
        file.seal()
    }
}

fn append(file: &mut SegmentWriter, block: &mut BlockBuilder) -> std::io::Result<()> {
    if block.is_empty() || file.append(block) {
        return Ok(());
    }
    Err(std::io::Error::other("expected room for what is kept"))
}

/// Takes out of the events that a state is made of those that the next one makes needless: a keyframe all, an anchor all but
/// the keyframe.
fn shorten<T>(chain: &mut Vec<T>, next: Kind, kind: impl Fn(&T) -> Kind) {
    match next {
        Kind::State => chain.clear(),
        Kind::Anchor => {
            let key = chain.iter().take_while(|known| kind(known) == Kind::State).count().min(1);
            chain.truncate(key);
        }
        _ => {}
    }
}

/// The event, with what its payload refers to.
fn keep(event: &Event<'_>, definitions: &[Definition]) -> Option<(Pid, (u64, Kept))> {
    let named = |number: Option<u32>| definitions.get(number? as usize).cloned();
    let process = named(event.process);
    let Some(Definition::Process(pid, _)) = process else { return None };
    let (mut payload, mut used) = (Vec::new(), Vec::new());
    let mut rest = event.payload;
    varint::put(&mut payload, varint::take(&mut rest).ok()?);
    while !rest.is_empty() {
        match value::take(&mut rest).ok()? {
            Token::Reference(number) => {
                let definition = usize::try_from(number).ok().and_then(|number| definitions.get(number));
                value::put(&mut payload, Token::Reference(used.len() as u64));
                used.push(definition.cloned().unwrap_or(Definition::Unknown(0)));
            }
            token => value::put(&mut payload, token),
        }
    }
    let Event { id, kind, ring, time, site, .. } = *event;
    let kept = Kept { kind, ring, time, process, site: named(site), payload, definitions: used };
    Some((pid, (id, kept)))
}

impl Kept {
    /// Bytes that it takes at most, with a block and definitions of its own.
    fn room(&self) -> usize {
        let definition = |definition: &Definition| match definition {
            Definition::Atom(text) => text.len() + 16,
            Definition::Process(_, bytes) | Definition::Term(bytes) => bytes.len() + 32,
            Definition::Site(site) => {
                let names: usize = site.names.iter().map(|name| name.len() + 8).sum();
                site.module.len() + site.function.len() + site.file.len() + names + 128
            }
            Definition::Unknown(_) => 16,
        };
        let all = self.definitions.iter().chain(&self.process).chain(&self.site);
        // A reference may take up to five bytes where it was one.
        512 + self.payload.len() + 4 * self.definitions.len() + all.map(definition).sum::<usize>()
    }

    fn add(&self, block: &mut BlockBuilder, numbers: &mut AHashMap<Definition, u32>) {
        let mut number = |definition: &Definition| match numbers.get(definition) {
            Some(number) => *number,
            None => {
                block.define(definition);
                let number = numbers.len() as u32;
                numbers.insert(definition.clone(), number);
                number
            }
        };
        let ids = (self.process.as_ref().map(&mut number), self.site.as_ref().map(&mut number));
        let used: Vec<u32> = self.definitions.iter().map(number).collect();
        let (mut payload, mut rest) = (Vec::new(), &self.payload[..]);
        varint::put(&mut payload, varint::take(&mut rest).unwrap_or(0));
        while let Ok(token) = value::take(&mut rest) {
            match token {
                Token::Reference(own) => {
                    value::put(&mut payload, Token::Reference(u64::from(used[own as usize])));
                }
                token => value::put(&mut payload, token),
            }
        }
        block.event(self.kind, self.ring, self.time, ids, &payload);
    }
}
