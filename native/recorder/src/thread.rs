//! The thread that empties the rings of the running VM.

use crate::drain::{Tap, drain};
use elixir_scope_capture::Session;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, LossCause};
use elixir_scope_ring::Position;
use elixir_scope_store::{Meaning, Run, RunPath, Shelf, StoreError, Writer};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a quiet scheduler's events may wait to be seen by another OS process.
const QUIET: Duration = Duration::from_millis(10);

/// How often the line from ticks to time is corrected.
const ADJUST: Duration = Duration::from_secs(1);

/// Hears of what the user should hear of.
pub trait Observer: Send {
    /// Recording has stopped by itself, for this reason.
    fn stopped(&self, why: &str);
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
}

struct Shared {
    events: AtomicU64,
    lost: AtomicU64,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    asked: u64,
    done: u64,
    stop: bool,
    ended: bool,
    failure: Option<String>,
}

/// A recording in progress: its run, its session and its drain thread.
pub struct Recorder {
    session: Arc<Session>,
    run: RunPath,
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread owns.
struct Drain {
    session: Arc<Session>,
    shared: Arc<Shared>,
    writer: Writer,
    meaning: Box<dyn Meaning + Send>,
    observer: Box<dyn Observer>,
    taps: Vec<Tap>,
    undefined: u64,
    since: Nanos,
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
        observer: Box<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            events: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            progress: Mutex::default(),
            moved: Condvar::new(),
        });
        let (shelf, path) = (writer.shelf(), run.path().clone());
        let mut drain = Drain {
            since: session.clock.now(),
            session: Arc::clone(&session),
            shared: Arc::clone(&shared),
            writer,
            meaning,
            observer,
            taps: Vec::new(),
            undefined: 0,
            run,
        };
        let spawned = std::thread::Builder::new().name("elixir_scope".into()).spawn(move || drain.run());
        let thread = spawned.map_err(StoreError::io("start the drain thread for", path.dir()))?;
        session.set_drain(thread.thread().clone());
        session.resume();
        Ok(Recorder { session, run: path, shelf, shared, thread: Mutex::new(Some(thread)) })
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

    /// Waits until everything that was captured before this call is in the store, or the thread has ended.
    pub fn flush(&self) {
        let mut progress = self.shared.progress.lock();
        progress.asked += 1;
        let ticket = progress.asked;
        self.session.wake();
        while progress.done < ticket && !progress.ended {
            self.shared.moved.wait(&mut progress);
        }
    }

    /// Stops capturing, drains what is left, closes the run and waits for the thread.
    pub fn stop(&self) {
        self.session.stop();
        self.shared.progress.lock().stop = true;
        if let Some(thread) = self.thread.lock().take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }

    /// Whether it was stopped, or stopped by itself.
    pub fn has_ended(&self) -> bool {
        self.shared.progress.lock().ended
    }

    /// The counts so far.
    pub fn status(&self) -> Status {
        Status {
            events: self.shared.events.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
            failure: self.shared.progress.lock().failure.clone(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Drain {
    fn run(&mut self) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.drain_until_stopped()));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the drain thread met a bug in ElixirScope and ended; please report it".to_string()),
        };
        self.session.stop();
        if let Some(why) = &failure {
            let pending = u64::from(self.writer.pending());
            self.shared.lost.fetch_add(pending, Ordering::Relaxed);
            self.observer.stopped(why);
        }
        let mut progress = self.shared.progress.lock();
        (progress.ended, progress.failure) = (true, failure);
        self.shared.moved.notify_all();
    }

    fn drain_until_stopped(&mut self) -> Result<(), StoreError> {
        let mut adjusted = Instant::now();
        loop {
            let (asked, stop) = {
                let progress = self.shared.progress.lock();
                (progress.asked, progress.stop)
            };
            self.session.awake();
            let found = self.pass()?;
            {
                let mut progress = self.shared.progress.lock();
                progress.done = asked;
                self.shared.moved.notify_all();
            }
            if stop {
                return self.close();
            }
            if adjusted.elapsed() >= ADJUST {
                adjusted = Instant::now();
                let piece = self.session.clock.adjust();
                let written = self.session.dictionary.define_piece(piece);
                written.map_err(StoreError::io("write", self.run.path().dictionary()))?;
            }
            if found == 0 && self.shared.progress.lock().asked == asked {
                // A wake-up between the look at `asked` and this line is kept by the park token.
                std::thread::park_timeout(QUIET);
            }
        }
    }

    /// One look at all rings.
    fn pass(&mut self) -> Result<u64, StoreError> {
        let until = self.session.clock.raw();
        let fresh = self
            .session
            .fresh_rings()
            .map(|end| Tap::new(end.number, end.consumer, Position::default(), self.since));
        self.taps.extend(fresh);
        let line = self.session.clock.timeline();
        let undefined = self.session.undefined();
        let new = undefined - self.undefined;
        if new > 0 {
            self.writer.gap(u32::MAX, LossCause::Disk, new, self.since, line.nanos(until));
            self.undefined = undefined;
        }
        let found = drain(&mut self.taps, until, &line, &mut self.writer, &*self.meaning)?;
        self.since = line.nanos(until);
        self.shared.events.store(self.writer.next_event(), Ordering::Relaxed);
        self.shared.lost.fetch_add(found.lost + new, Ordering::Relaxed);
        Ok(found.events)
    }

    /// The rings are empty: the run needs neither them nor the dictionary any more.
    fn close(&mut self) -> Result<(), StoreError> {
        self.writer.note(Kind::Pause, self.since);
        self.writer.seal()?;
        let path = self.run.path();
        let removed =
            std::fs::remove_dir_all(path.rings()).and_then(|()| std::fs::remove_file(path.dictionary()));
        removed.map_err(StoreError::io("remove the emptied rings of", path.dir()))
    }
}
