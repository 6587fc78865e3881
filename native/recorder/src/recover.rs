//! Opening what a dead VM left.

use crate::drain::{Tap, drain};
use elixir_scope_clock::{Nanos, Ticks, Timeline};
use elixir_scope_dictionary::Meanings;
use elixir_scope_event::{Definition, Kind, LossCause, Record, Site};
use elixir_scope_ring::file::Mapped;
use elixir_scope_ring::{Consumer, Position, file};
use elixir_scope_segment::{Damage, RingMark, Segment};
use elixir_scope_store::{Manifest, Meaning, RunPath, Shelf, StoreError, Writer};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of each segment in memory.
const MEMORY: usize = 64 << 20;

/// A run that can be read.
pub struct Recovered {
    /// Who recorded it.
    pub manifest: Manifest,
    /// Its segments, and those in memory with what the rings still held.
    pub shelf: Shelf,
    /// What could not be read of the files as a whole. Damage within a segment is found when it is scanned.
    pub damage: Vec<Damage>,
    /// Events found in the rings.
    pub from_rings: u64,
    /// Whether a VM is still recording it: then its rings are its own, and are not looked at.
    pub live: bool,
    /// Whether it was ended: its VM was not killed.
    pub ended: bool,
}

/// Opens a run. No file is changed.
///
/// # Errors
/// When the manifest cannot be read, or no segment of several can.
pub fn recover(run: &RunPath) -> Result<Recovered, StoreError> {
    let manifest = run.manifest()?;
    // Asked first: a VM that stops meanwhile removes its rings only after its last block is written.
    let live = run.is_live();
    // A run that was ended has no rings; a VM that was killed left them, and its last segment as it was.
    let ended = !live && !run.rings().is_dir();
    let (segments, damage) = open_segments(run, live, ended)?;
    if let (true, Some(first)) = (segments.is_empty(), damage.first()) {
        return Err(StoreError::Damaged(first.file.clone(), first.what.clone()));
    }
    let shelf = Shelf::of(segments);
    let mut recovered = Recovered { manifest, shelf, damage, from_rings: 0, live, ended };
    if !live && !ended {
        recovered.read_rings(run)?;
    }
    Ok(recovered)
}

/// The segments, oldest first, and what could not be opened.
type Opened = (Vec<Arc<Segment>>, Vec<Damage>);

fn open_segments(run: &RunPath, live: bool, ended: bool) -> Result<Opened, StoreError> {
    let (mut segments, mut damage) = (Vec::new(), Vec::new());
    // A folder that cannot be read would look like one without segments.
    std::fs::read_dir(run.segments()).map_err(StoreError::io("read the folder", run.segments()))?;
    let mut files = RunPath::files(&run.segments(), "seg");
    if !ended {
        files.pop_if(|last| Segment::never_began(last));
    }
    let last = files.len().saturating_sub(1);
    for (number, path) in files.iter().enumerate() {
        let opened = match live {
            true => Segment::open_growing(path),
            false if number == last && ended => Segment::open_sealed(path),
            false => Segment::open(path),
        };
        match opened {
            // A file under another's name would show its events in the wrong place, or twice.
            Ok(segment) if RunPath::number(path) != Some(segment.head().number) => {
                let what =
                    format!("expected the segment that the name says, found segment {}", segment.head().number);
                damage.push(self::damage(path, 0, what));
            }
            Ok(segment) => segments.push(Arc::new(segment)),
            // The VM that records has removed it since: what it put in the place of it is there now.
            Err(_) if live && !path.exists() => return open_segments(run, live, ended),
            Err(found) => damage.push(found),
        }
    }
    // A VM that was killed between writing a remnant and removing the one before it leaves both: the later one holds
    // all that is needed of what lay before it.
    if let Some(last) = segments.iter().rposition(|segment| segment.head().remnant) {
        segments.drain(..last);
    }
    if !live {
        damage.extend(missing_files(run, &files, &segments));
    }
    if let (true, Some(last)) = (ended, segments.last())
        && !ends_the_run(last)
    {
        let what = "expected the end of the recording in its last segment, it is not there";
        damage.push(self::damage(last.path(), last.len() as u64, what.into()));
    }
    Ok((segments, damage))
}

/// Segments number on from 1, or from a remnant.
fn missing_files(run: &RunPath, files: &[PathBuf], segments: &[Arc<Segment>]) -> Vec<Damage> {
    let remnant = segments.first().filter(|first| first.head().remnant).map_or(1, |first| first.head().number);
    let mut expected = remnant;
    let mut missing = Vec::new();
    for number in files.iter().filter_map(|file| RunPath::number(file)).filter(|number| *number >= remnant) {
        if number > expected {
            let what = format!("expected segments {expected} to {}, they are not there", number - 1);
            missing.push(damage(&run.segment(expected), 0, what));
        }
        expected = number.saturating_add(1);
    }
    missing
}

/// Whether the last event is the pause that a recording ends with. What is damaged there is told otherwise.
fn ends_the_run(segment: &Segment) -> bool {
    let mut last = None;
    for block in segment.scan(0) {
        match block {
            Ok(block) if block.head.events > 0 => {
                let place = block.places().flatten().last();
                last =
                    Some(place.is_some_and(|place| {
                        place.kind == Kind::Pause && place.ordinal + 1 == block.head.events
                    }));
            }
            Ok(_) => {}
            Err(_) => return true,
        }
    }
    last.unwrap_or(false)
}

impl Recovered {
    fn read_rings(&mut self, run: &RunPath) -> Result<(), StoreError> {
        let path = run.dictionary();
        let meanings = match elixir_scope_dictionary::read(&path) {
            Ok(meanings) => meanings,
            Err(error) => {
                self.damage.push(damage(&path, 0, format!("expected the dictionary: {error}")));
                return Ok(());
            }
        };
        let torn = meanings.damaged_at;
        let Some(line) = Timeline::from_pieces(meanings.pieces.clone()) else {
            self.damage.push(damage(&path, 0, "expected a piece of the timeline".into()));
            return Ok(());
        };
        let (marks, last, first_event) = self.last_marks();
        let (mut taps, mut until, mut missing) = (Vec::new(), Ticks(0), Vec::new());
        for path in RunPath::files(&run.rings(), "ring") {
            let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()) else {
                self.damage.push(damage(&path, 0, "expected a ring's number as the name".into()));
                continue;
            };
            // Twice: a consumer does not go back.
            match file::open(&path).and_then(|found| Ok((extent(found), file::open(&path)?))) {
                Ok((extent, mut consumer)) => {
                    let told = marks.get(&number).map_or(Position::default(), position);
                    if consumer.position().tail > told.tail {
                        let what = "expected in a segment what was read of this ring, it is not there";
                        self.damage.push(damage(&path, 0, what.into()));
                        missing.push(number);
                    }
                    consumer.skip_to(told.tail);
                    let oldest = extent.map_or(last, |(first, _)| line.nanos(first).min(last));
                    until = until.max(extent.map_or(Ticks(0), |(_, latest)| latest));
                    let mut tap = Tap::new(number, consumer, told, oldest);
                    tap.observe();
                    taps.push(tap);
                }
                // The VM was killed while it made this ring.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
                Err(error) => self.damage.push(damage(&path, 0, error.to_string())),
            }
        }
        let shelf = Arc::new(std::mem::take(&mut self.shelf));
        let mut writer = Writer::in_memory(run.rings(), MEMORY, Arc::clone(&shelf), first_event)?;
        let end = line.nanos(until).max(last);
        for ring in missing {
            // Room is given back for what was kept, and that cannot be found.
            writer.gap(ring, LossCause::Damage, 0, last, end);
        }
        let dead = Dead { meanings, missed: Cell::new(false) };
        let found = drain(&mut taps, until, &line, &mut writer, &dead)?;
        // An entry is written before the first record that needs it: one that the VM was killed in, nobody needs.
        if let (Some(offset), true) = (torn, dead.missed.get()) {
            let what = "expected an entry of the dictionary; some of what the rings hold shows no name";
            self.damage.push(damage(&run.dictionary(), offset, what.into()));
            // Whose events these are, and of what, nobody knows: that is missing wherever somebody is asked for.
            writer.gap(u32::MAX, LossCause::Damage, 0, last, end);
        }
        for tap in &taps {
            let bytes = tap.gone().bytes;
            if bytes > 0 {
                let path = run.rings().join(format!("{}.ring", tap.ring()));
                self.damage
                    .push(Damage { bytes, ..damage(&path, 0, "expected whole frames in the ring".into()) });
            }
        }
        writer.commit()?;
        drop(writer);
        self.from_rings = found.events;
        self.shelf = Shelf::of(shelf.segments().to_vec());
        Ok(())
    }

    /// The last mark of each ring, the latest time, and the number of the next event.
    fn last_marks(&self) -> (BTreeMap<u32, RingMark>, Nanos, u64) {
        let (mut marks, mut last, mut next) = (BTreeMap::new(), self.manifest.started, 0);
        // Each block that has marks has one for every ring, so the last segment with blocks says it all.
        for segment in self.shelf.segments().iter().rev() {
            for block in segment.scan(0).flatten() {
                last = last.max(block.head.latest).max(block.head.until);
                next = block.head.end();
                for mark in block.marks().unwrap_or_default() {
                    marks.insert(mark.ring, mark);
                }
            }
            if !marks.is_empty() {
                break;
            }
        }
        (marks, last, next)
    }
}

/// The earliest and the latest time in a ring.
fn extent(mut consumer: Consumer<Mapped>) -> Option<(Ticks, Ticks)> {
    consumer.refresh();
    let mut extent = None;
    while let Some(frame) = consumer.peek() {
        if let Ok(Record { ticks, .. }) = Record::parse(frame.tag, &frame.body) {
            let (first, last) = extent.unwrap_or((ticks, ticks));
            extent = Some((ticks.min(first), ticks.max(last)));
        }
        consumer.advance();
    }
    extent
}

fn position(mark: &RingMark) -> Position {
    Position { tail: mark.tail, lost_full: mark.lost_full, lost_oversize: mark.lost_oversize }
}

fn damage(file: &Path, offset: u64, what: String) -> Damage {
    Damage { file: file.to_path_buf(), offset, bytes: 0, what }
}

/// The meaning of the words of a VM that is gone.
struct Dead {
    meanings: Meanings,
    /// Whether anything was asked for that is not there.
    missed: Cell<bool>,
}

impl Dead {
    fn found<T>(&self, found: Option<T>) -> Option<T> {
        self.missed.set(self.missed.get() || found.is_none());
        found
    }
}

impl Meaning for Dead {
    fn word(&self, word: u64) -> Option<Definition> {
        self.found(self.meanings.words.get(&word).cloned())
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        self.found(self.meanings.sites.get(&key).cloned().map(Arc::new))
    }
}
