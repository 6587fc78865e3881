//! The thread that empties the rings of the running VM. Whoever asks for what they hold empties them himself.

use crate::drain::{Tap, drain};
use crate::housekeeping::Housekeeping;
use ahash::AHashMap;
use elixir_scope_capture::Session;
use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::{Kind, LossCause};
use elixir_scope_ring::Position;
use elixir_scope_store::{Keeper, Meaning, Retention, Run, RunPath, Shelf, StoreError, Writer};
use parking_lot::{Condvar, Mutex};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long events may wait to be written, unless a ring is half full or somebody asks.
const QUIET: Duration = Duration::from_millis(10);

/// How long it is waited for somebody who empties the rings, by those who have little time.
const PATIENCE: Duration = Duration::from_micros(500);

/// How often it is looked whether the line from ticks to time is to be corrected.
const ADJUST: Duration = Duration::from_secs(1);

/// How often a flight recording looks for rings and corrects the line, when nobody asks for anything.
const FLIGHT: Duration = ADJUST;

/// Bytes of a segment in memory for what is said at a failure.
const NOTES: usize = 4096;

/// Hears of what the user should hear of.
pub trait Observer: Send + Sync {
    /// Recording has stopped by itself, for this reason.
    fn stopped(&self, why: &str);

    /// Recording goes on, but old segments could not be packed or removed, for this reason.
    fn warned(&self, why: &str);
}

/// Counts of a recording so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Events in the store.
    pub events: u64,
    /// Events known to be lost.
    pub lost: u64,
    /// Why recording stopped by itself, if it did.
    pub failure: Option<String>,
    /// Of a flight recording that runs: how often it was written down, until when, and what the rings hold.
    pub flight: Option<Flight>,
}

/// The rings of a flight recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// How often they were written down.
    pub snapshots: u64,
    /// Everything that was written down had been captured by then.
    pub known_until: Nanos,
    /// Of all events since then none has been overwritten, as of the last look.
    pub covers_from: Nanos,
}

struct Shared {
    events: AtomicU64,
    lost: AtomicU64,
    /// Set before the session is stopped.
    stopping: AtomicBool,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    asked: u64,
    done: u64,
    /// When the recording was ended.
    stop: Option<Nanos>,
    ended: bool,
    failure: Option<String>,
    /// Somebody asked for what the rings of a flight recording hold.
    snapshot: bool,
    flight: Flight,
}

/// A recording in progress: its run, its session and its drain thread.
pub struct Recorder {
    session: Arc<Session>,
    run: RunPath,
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
    drain: Arc<Mutex<Option<Drain>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    housekeeping: Housekeeping,
}

/// Why the recording ends by itself.
enum Failure {
    Store(StoreError),
    Bug,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

/// What empties the rings: the thread's, until that has ended, and for one pass that of whoever asks.
struct Drain {
    session: Arc<Session>,
    shared: Arc<Shared>,
    /// What went wrong in a pass of somebody else than the thread. It is the thread that ends the recording.
    failed: Option<Failure>,
    /// Nobody makes a pass any more: the rings are gone, or something went wrong.
    over: bool,
    writer: Writer,
    meaning: Box<dyn Meaning + Send>,
    taps: Vec<Tap>,
    undefined: u64,
    /// What the store was told of the calls that are counted only, by site.
    counted: AHashMap<u64, u64>,
    /// Until when the last pass looked, and the one before it.
    since: Nanos,
    before: Nanos,
    /// The thread that packs and removes segments, and how many of them there were when it was woken last.
    keeper: Option<std::thread::Thread>,
    segments: usize,
    /// Whether events were lost since servers were asked to tell their states again.
    unsure: bool,
    /// When the rings of a flight recording were written down last because of a trigger.
    triggered: Option<Instant>,
    run: Run,
}

impl Recorder {
    /// Starts the thread and switches the session on.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        run: Run,
        session: Arc<Session>,
        writer: Writer,
        meaning: Box<dyn Meaning + Send>,
        observer: Arc<dyn Observer>,
        retention: Retention,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            events: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            progress: Mutex::default(),
            moved: Condvar::new(),
        });
        let (shelf, path) = (writer.shelf(), run.path().clone());
        let keeper = Keeper::new(path.clone(), Arc::clone(&shelf), retention);
        let housekeeping = Housekeeping::start(keeper, Arc::clone(&session.clock), Arc::clone(&observer));
        let housekeeping = housekeeping.map_err(StoreError::io("start a thread for", path.dir()))?;
        let mut drain = Drain {
            since: session.clock.now(),
            before: session.clock.now(),
            session: Arc::clone(&session),
            shared: Arc::clone(&shared),
            failed: None,
            over: false,
            writer,
            meaning,
            taps: Vec::new(),
            undefined: 0,
            counted: AHashMap::new(),
            keeper: None,
            segments: 0,
            unsure: false,
            triggered: None,
            run,
        };
        drain.keeper = housekeeping.thread();
        let begun = drain.since;
        shared.progress.lock().flight = Flight { snapshots: 0, known_until: begun, covers_from: begun };
        let drain = Arc::new(Mutex::new(Some(drain)));
        let body = {
            let (drain, session, shared) = (Arc::clone(&drain), Arc::clone(&session), Arc::clone(&shared));
            move || empty_rings(&drain, &session, &shared, &*observer)
        };
        let spawned = std::thread::Builder::new().name("elixir_scope".into()).spawn(body);
        let thread = spawned.map_err(StoreError::io("start the drain thread for", path.dir()))?;
        session.set_drain(thread.thread().clone());
        session.resume();
        Ok(Recorder {
            session,
            run: path,
            shelf,
            shared,
            drain,
            thread: Mutex::new(Some(thread)),
            housekeeping,
        })
    }

    /// The session that captures for it.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Where it is written.
    pub fn run(&self) -> &RunPath {
        &self.run
    }

    /// The segments for readers.
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Everything that was captured before this call is in the store after it, or the thread has ended. Of a flight
    /// recording the rings are only looked at: see [`Status::flight`].
    pub fn flush(&self) {
        // Who waits for it does it: to wake the thread, and to be woken, takes longer than a pass over what came since the last.
        let passed = !self.session.is_flight() && self.drain.lock().as_mut().is_some_and(Drain::pass_for_other);
        if !passed {
            self.ask(false);
        }
    }

    /// As [`Recorder::flush`], if that takes little: `false` where more than so many bytes are in the rings, where somebody else empties them and
    /// is not soon done, and of a flight recording.
    pub fn flush_soon(&self, most: u64) -> bool {
        let free = self.drain.try_lock_for(PATIENCE);
        let Some(mut drain) = free.filter(|_| !self.session.is_flight()) else { return false };
        match drain.as_mut() {
            Some(drain) => !drain.over && drain.waiting() <= most && drain.pass_for_other(),
            None => self.has_ended(),
        }
    }

    /// As [`Recorder::flush`], and writes down what the rings of a flight recording hold.
    pub fn snapshot(&self) {
        self.ask(true);
    }

    fn ask(&self, snapshot: bool) {
        let mut progress = self.shared.progress.lock();
        progress.asked += 1;
        progress.snapshot |= snapshot;
        let ticket = progress.asked;
        self.session.wake();
        while progress.done < ticket && !progress.ended {
            self.shared.moved.wait(&mut progress);
        }
    }

    /// Stops capturing, drains what is left, closes the run and waits for the thread.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Before the last event is taken: the thread may be busy for long before it comes to note the end.
        let now = self.session.clock.now();
        self.session.stop();
        self.shared.progress.lock().stop.get_or_insert(now);
        if let Some(thread) = self.thread.lock().take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        self.housekeeping.stop();
    }

    /// Whether it was stopped, or stopped by itself.
    pub fn has_ended(&self) -> bool {
        self.shared.progress.lock().ended
    }

    /// The counts so far.
    pub fn status(&self) -> Status {
        let (failure, ended, flight) = {
            let progress = self.shared.progress.lock();
            (progress.failure.clone(), progress.ended, progress.flight)
        };
        Status {
            events: self.shared.events.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
            failure,
            flight: (self.session.is_flight() && !ended).then_some(flight),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread does.
fn empty_rings(drain: &Mutex<Option<Drain>>, session: &Session, shared: &Shared, observer: &dyn Observer) {
    let until_stopped = || drain_until_stopped(drain, session, shared);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(until_stopped));
    let failure = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(Failure::Store(error))) => Some(error.to_string()),
        Ok(Err(Failure::Bug)) | Err(_) => {
            Some("the drain thread met a bug in ElixirScope and ended; please report it".to_string())
        }
    };
    session.stop();
    // From here on nobody makes a pass.
    let last = drain.lock().take();
    if let Some(why) = &failure {
        last.into_iter().for_each(Drain::give_up);
        observer.stopped(why);
    }
    let mut progress = shared.progress.lock();
    (progress.ended, progress.failure) = (true, failure);
    shared.moved.notify_all();
}

fn drain_until_stopped(
    drain: &Mutex<Option<Drain>>,
    session: &Session,
    shared: &Shared,
) -> Result<(), Failure> {
    let turn = |last: bool, with: &dyn Fn(&mut Drain) -> Result<(), StoreError>| -> Result<(), Failure> {
        let mut held = drain.lock();
        let drain = held.as_mut().expect("it is taken when this is done");
        // Until it went well, so that after a panic it stays so.
        drain.over = true;
        drain.failed.take().map_or(Ok(()), Err)?;
        with(drain)?;
        drain.over = last;
        Ok(())
    };
    let mut adjusted = Instant::now();
    loop {
        let (asked, stop, snapshot) = {
            let mut progress = shared.progress.lock();
            (progress.asked, progress.stop, std::mem::take(&mut progress.snapshot))
        };
        session.awake();
        turn(false, &|drain| drain.look(snapshot || stop.is_some()))?;
        // Who waits is told by the end.
        if let Some(end) = stop {
            return turn(true, &|drain| drain.close(end));
        }
        {
            let mut progress = shared.progress.lock();
            progress.done = asked;
            shared.moved.notify_all();
        }
        if adjusted.elapsed() >= ADJUST {
            adjusted = Instant::now();
            turn(false, &|drain| drain.adjust())?;
        }
        let asked_again = {
            let progress = shared.progress.lock();
            progress.asked != asked || progress.stop.is_some()
        };
        if !asked_again {
            // Also when events were found: a block for every handful of them would cost more than they do. A
            // wake-up between the look at `asked` and this line is kept by the park token.
            std::thread::park_timeout(if session.is_flight() { FLIGHT } else { QUIET });
        }
    }
}

impl Drain {
    /// Whether a pass of somebody else than the thread went well. Its panic goes no further: that is the VM's.
    fn pass_for_other(&mut self) -> bool {
        // What comes last is the thread's: it notes since when nothing is known.
        if self.over || self.shared.stopping.load(Ordering::Acquire) {
            return false;
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.pass()));
        self.failed = match outcome {
            Ok(passed) => passed.err().map(Failure::Store),
            Err(_) => Some(Failure::Bug),
        };
        self.over = self.failed.is_some();
        !self.over
    }

    /// Bytes in the rings.
    fn waiting(&mut self) -> u64 {
        self.take_fresh_rings();
        self.taps.iter_mut().map(Tap::refresh).sum()
    }

    /// One turn of the thread. `write`: also of a flight recording the rings are written down.
    fn look(&mut self, write: bool) -> Result<(), StoreError> {
        if !self.session.is_flight() {
            return self.pass();
        }
        let write = write || self.is_triggered();
        if write {
            self.session.disarm();
            self.pass()?;
        } else {
            self.take_fresh_rings();
        }
        self.tell_flight(write);
        Ok(())
    }

    /// Once in a while.
    fn adjust(&mut self) -> Result<(), StoreError> {
        // States may have been among what was lost. Not more often: to tell them takes room, which was short.
        if std::mem::take(&mut self.unsure) {
            self.session.restate();
        }
        if let Some(piece) = self.session.clock.adjust() {
            let written = self.session.dictionary.define_piece(piece);
            written.map_err(StoreError::io("write", self.run.path().dictionary()))?;
        }
        // Of a flight recording nothing is known to be whole before it is written down.
        if self.session.is_flight() { Ok(()) } else { self.writer.beat() }
    }

    /// Whether something happened because of which the rings are written down, and that is due.
    fn is_triggered(&mut self) -> bool {
        let interval = self.session.triggers.interval;
        let due = self.session.is_triggered() && self.triggered.is_none_or(|last| last.elapsed() >= interval);
        if due {
            self.triggered = Some(Instant::now());
        }
        due
    }

    /// Publishes what is known of the rings of a flight recording.
    fn tell_flight(&mut self, written: bool) {
        let covers: Option<Ticks> = self.taps.iter_mut().filter_map(Tap::covers_from).max();
        let covers = covers.map(|ticks| self.session.clock.nanos(ticks));
        let flight = &mut self.shared.progress.lock().flight;
        if written {
            (flight.snapshots, flight.known_until) = (flight.snapshots + 1, self.since);
        }
        flight.covers_from = covers.unwrap_or_default().max(flight.known_until);
    }

    /// One look at all rings.
    fn pass(&mut self) -> Result<(), StoreError> {
        // Losses are looked at before the clock, so that they lie before `until`.
        self.take_fresh_rings();
        self.taps.iter_mut().for_each(Tap::observe);
        let undefined = self.session.undefined();
        let until = self.session.clock.raw();
        // Rings are looked for after the clock, so that none is missing that holds an event before `until`.
        self.take_fresh_rings();
        let line = self.session.clock.timeline();
        let now = line.nanos(until);
        let new = undefined - std::mem::replace(&mut self.undefined, undefined);
        if new > 0 {
            self.writer.gap(u32::MAX, LossCause::Disk, new, self.before, now);
        }
        self.take_counts(now);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.writer.calibrate(line.last(), Nanos(wall.as_nanos() as u64));
        let found = drain(&mut self.taps, until, &line, &mut self.writer, &*self.meaning)?;
        (self.before, self.since) = (self.since, now);
        let segments = self.writer.segments();
        if std::mem::replace(&mut self.segments, segments) != segments {
            self.keeper.iter().for_each(std::thread::Thread::unpark);
        }
        self.shared.events.store(self.writer.next_event(), Ordering::Relaxed);
        self.shared.lost.fetch_add(found.lost + new, Ordering::Relaxed);
        self.unsure |= found.lost + new > 0;
        Ok(())
    }

    fn take_counts(&mut self, now: Nanos) {
        for (site, sum) in self.session.counts.sums() {
            let told = self.counted.entry(site).or_default();
            let new = sum - std::mem::replace(told, sum);
            if new > 0 {
                self.writer.count(site, new, now, &*self.meaning);
            }
        }
    }

    fn take_fresh_rings(&mut self) {
        for end in self.session.fresh_rings() {
            self.taps.push(Tap::new(end.number, end.consumer, Position::default(), self.since));
        }
    }

    /// Shows those who read this recording now that it ends with a gap. What the rings hold is lost to them alone:
    /// the rings and the dictionary stay, and whoever opens the run later finds it.
    fn give_up(mut self) {
        let now = self.session.clock.now();
        let left: u64 = self.taps.iter_mut().map(Tap::count).sum();
        let lost = u64::from(self.writer.pending()) + left;
        self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        // Whoever opens the run later sees why it ends.
        self.writer.give_up(now);
        let (rings, shelf) = (self.run.path().rings(), self.writer.shelf());
        let noted = Writer::in_memory(rings, NOTES, shelf, self.writer.next_event()).and_then(|mut writer| {
            if lost > 0 {
                writer.gap(u32::MAX, LossCause::Disk, lost, self.before, now);
            }
            writer.note(Kind::Pause, now);
            writer.commit()
        });
        // Without memory for this the failure itself is still told.
        drop(noted);
    }

    /// The rings are empty: the run needs neither them nor the dictionary any more.
    fn close(&mut self, end: Nanos) -> Result<(), StoreError> {
        self.writer.note(Kind::Pause, end.min(self.since));
        self.writer.seal()?;
        let path = self.run.path();
        let removed = [std::fs::remove_dir_all(path.rings()), std::fs::remove_file(path.dictionary())];
        // Whoever removed the folder of the run meanwhile has done the work.
        let failed =
            removed.into_iter().filter_map(Result::err).find(|error| error.kind() != ErrorKind::NotFound);
        failed.map_or(Ok(()), |error| Err(StoreError::io("remove the emptied rings of", path.dir())(error)))
    }
}
