//! What one recording shares between all threads of the VM.

use crate::{Counts, Overflow, Triggers};
use ahash::{AHashMap, AHashSet};
use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_queue::SegQueue;
use elixir_scope_clock::Clock;
use elixir_scope_dictionary::{Dictionary, Known, Sources};
use elixir_scope_event::Kind;
use elixir_scope_ring::file::{self, Mapped};
use elixir_scope_ring::{Consumer, Producer};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// What bounds the memory and the records of a session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the ring of a scheduler.
    pub scheduler_ring: u64,
    /// Bytes of the ring of any other thread.
    pub other_ring: u64,
    /// Bytes that the values of one event may take.
    pub value_bytes: usize,
    /// Bytes that a state may take.
    pub state_bytes: usize,
    /// How deep a term is walked.
    pub depth: usize,
    /// Elements of one tuple or map, and of all terms of one event together.
    pub elements: usize,
}

/// What kind of thread asks for a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// A scheduler that runs Elixir code.
    Scheduler,
    /// A dirty scheduler, or a thread that is none of the VM's schedulers.
    Other,
}

/// The reading end of a ring, with its number in the run.
pub struct RingEnd {
    /// The number, which is also the name of its file.
    pub number: u32,
    /// The end.
    pub consumer: Consumer<Mapped>,
}

/// A recording in progress, as the capturing threads see it.
pub struct Session {
    /// Tells sessions apart; never 0.
    pub(crate) generation: u64,
    /// The clock that stamps events.
    pub clock: Arc<Clock>,
    /// Where the meaning of words and sites goes.
    pub dictionary: Dictionary,
    /// Where the texts of the program's sources go.
    pub sources: Sources,
    /// Calls that are counted only.
    pub counts: Counts,
    /// What bounds it.
    pub limits: Limits,
    /// What happens when a ring is full.
    pub overflow: Overflow,
    /// When a flight recording writes itself down.
    pub triggers: Triggers,
    /// One of them has, since this was looked at last.
    pub(crate) triggered: AtomicBool,
    pub(crate) words: Known,
    /// Processes that have said who they are.
    pub(crate) processes: Known,
    /// Processes of which the VM has told something.
    pub(crate) watched: Known,
    pub(crate) sites: Known,
    /// Sites of which something is not to be recorded; these are not among `sites`.
    pub(crate) guarded: Known,
    /// Whether there are rules for what is not to be recorded.
    pub(crate) rules: AtomicBool,
    /// First events of processes that have not said yet who they are: without ticks that hold.
    pub(crate) held: Mutex<AHashMap<u64, (Kind, Vec<u8>)>>,
    rings: PathBuf,
    next_ring: AtomicU32,
    /// Ends that the drain has not taken yet.
    fresh: SegQueue<RingEnd>,
    /// Producers of threads that have ended.
    idle: Mutex<Vec<(Thread, RingStart)>>,
    /// Events lost because the meaning of a word could not be written, or a ring not be made.
    undefined: AtomicU64,
    drain: Mutex<Option<std::thread::Thread>>,
    woken: AtomicBool,
}

/// The writing end of a ring, with its number.
pub(crate) struct RingStart {
    pub(crate) producer: Producer<Mapped>,
}

/// How often states were to be told again, see [`Session::restate`].
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// A number that changes when states are to be told again.
pub fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// The generation of the session that is recording now; 0 when none is.
static CURRENT: AtomicU64 = AtomicU64::new(0);
static SESSION: ArcSwapOption<Session> = ArcSwapOption::const_empty();
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// Pids of ElixirScope's own processes, which are never recorded. 0: no process.
static OWN: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// From now on the process, which is the calling one, is one of ours.
pub fn own(process: u64) {
    // Whether a process is ours is asked only while the session does not know it.
    forget(process);
    // A process of ours that was started again takes the place of the oldest.
    let mut next = process;
    for place in &OWN {
        let held = place.swap(next, Ordering::Relaxed);
        if held == process {
            return;
        }
        next = held;
    }
}

/// Pids of processes that are not recorded for a while. 0: no process.
static MUTED: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// From now on nothing of the process, which is the calling one, is recorded, until [`unmute`]. The answer is `false` when
/// so many are muted that there is no room.
pub fn mute(process: u64) -> bool {
    let free = |place: &AtomicU64| {
        place.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed).is_ok() && process != 0
    };
    let muted = MUTED.iter().any(free);
    if muted {
        forget(process);
    }
    muted
}

/// Pids of processes of which nothing is recorded because they said so.
static SENSITIVE: LazyLock<ArcSwap<AHashSet<u64>>> = LazyLock::new(ArcSwap::default);

/// How many there are: mostly none, and then nothing else is looked at.
static SENSITIVES: AtomicUsize = AtomicUsize::new(0);

/// Who writes the set holds this.
static CHANGING: Mutex<()> = Mutex::new(());

/// As many as are kept before it is looked which of them live.
const SENSITIVES_KEPT: usize = 256;

/// From now on nothing of the process, which is the calling one, is recorded, nor what is sent to it; or it is again. `lives` is
/// asked now and then about others, which may have ended.
pub fn sensitive(process: u64, on: bool, lives: impl Fn(u64) -> bool) {
    let changing = CHANGING.lock();
    let mut pids = AHashSet::clone(&SENSITIVE.load());
    if pids.len() >= SENSITIVES_KEPT && pids.len().is_power_of_two() {
        pids.retain(|pid| lives(*pid));
    }
    if on {
        pids.insert(process);
    } else {
        pids.remove(&process);
    }
    SENSITIVES.store(pids.len(), Ordering::Relaxed);
    SENSITIVE.store(Arc::new(pids));
    drop(changing);
    forget(process);
    if let Some(session) = current().filter(|_| on) {
        // What was to wait is one of those.
        session.held.lock().remove(&process);
    }
}

/// Whether a process is one of those.
#[inline]
pub fn is_sensitive(process: u64) -> bool {
    SENSITIVES.load(Ordering::Relaxed) > 0 && SENSITIVE.load().contains(&process)
}

fn forget(process: u64) {
    if let Some(session) = current() {
        session.processes.remove(process);
        session.watched.remove(process);
    }
}

/// Ends what [`mute`] began.
pub fn unmute(process: u64) {
    for place in MUTED.iter().filter(|place| place.load(Ordering::Relaxed) == process) {
        let _ = place.compare_exchange(process, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Whether a process is one of ours.
#[inline]
pub fn is_ours(process: u64) -> bool {
    process != 0 && among(&OWN, process)
}

/// Whether a process is muted.
#[inline]
pub fn is_muted(process: u64) -> bool {
    process != 0 && among(&MUTED, process)
}

/// Whether nothing of a process is recorded.
#[inline]
pub(crate) fn is_own(process: u64) -> bool {
    process != 0 && (among(&OWN, process) || among(&MUTED, process) || is_sensitive(process))
}

#[inline]
fn among(pids: &[AtomicU64], process: u64) -> bool {
    pids.iter().any(|pid| pid.load(Ordering::Relaxed) == process)
}

/// The session that is recording now.
pub fn current() -> Option<Arc<Session>> {
    SESSION.load_full()
}

/// A number that tells sessions apart, of the one that records now; 0 when none does. It is the one load that a
/// switched-off capture costs.
#[inline]
pub fn generation() -> u64 {
    // Pairs with the release store in `Session::resume`: a thread that sees the number finds the session.
    CURRENT.load(Ordering::Acquire)
}

impl Session {
    /// A session whose rings lie in the folder `rings`. Nothing is recorded until [`Session::resume`].
    pub fn new(
        clock: Arc<Clock>,
        dictionary: Dictionary,
        sources: Sources,
        rings: PathBuf,
        limits: Limits,
    ) -> Arc<Self> {
        Self::with_overflow(clock, dictionary, sources, rings, limits, (Overflow::DropNew, Triggers::default()))
    }

    /// As [`Session::new`], with what happens when a ring is full.
    pub fn with_overflow(
        clock: Arc<Clock>,
        dictionary: Dictionary,
        sources: Sources,
        rings: PathBuf,
        limits: Limits,
        (overflow, triggers): (Overflow, Triggers),
    ) -> Arc<Self> {
        Arc::new(Session {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            clock,
            dictionary,
            sources,
            counts: Counts::default(),
            limits,
            overflow,
            triggers,
            triggered: AtomicBool::new(false),
            words: Known::new(1 << 16),
            processes: Known::new(1 << 14),
            watched: Known::new(1 << 14),
            sites: Known::new(1 << 14),
            guarded: Known::new(1 << 12),
            rules: AtomicBool::new(false),
            held: Mutex::default(),
            rings,
            next_ring: AtomicU32::new(0),
            fresh: SegQueue::new(),
            idle: Mutex::default(),
            undefined: AtomicU64::new(0),
            drain: Mutex::default(),
            woken: AtomicBool::new(false),
        })
    }

    /// Tells it apart from all other sessions, as [`generation`] does while it records.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Says that there are rules for what is not to be recorded; before it records.
    pub fn set_rules(&self) {
        self.rules.store(true, Ordering::Relaxed);
    }

    /// Records from now on, in place of any other session.
    pub fn resume(self: &Arc<Self>) {
        self.restate();
        SESSION.store(Some(Arc::clone(self)));
        CURRENT.store(self.generation, Ordering::Release);
    }

    /// Has each server tell its state again with its next callback, as a keyframe: events are missing, or will be.
    pub fn restate(&self) {
        EPOCH.fetch_add(1, Ordering::Relaxed);
    }

    /// Records nothing from now on, until [`Session::resume`]. A thread that is within [`crate::record`] may still
    /// finish the event that it began.
    pub fn pause(&self) {
        let _ = CURRENT.compare_exchange(self.generation, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Ends it: as [`Session::pause`], and no thread finds it any more.
    pub fn stop(&self) {
        self.pause();
        // Their processes ended before they could say who they are; or whether they may be recorded.
        let held = self.held.lock().drain().count();
        self.undefined.fetch_add(held as u64, Ordering::Relaxed);
        let held = SESSION.load();
        if held.as_ref().is_some_and(|session| session.generation == self.generation) {
            // Unless another session took its place meanwhile.
            SESSION.compare_and_swap(&held, None);
        }
    }

    /// Whether events are taken now.
    pub fn is_recording(&self) -> bool {
        generation() == self.generation
    }

    /// From now on each process says again who it is.
    pub fn forget_processes(&self) {
        self.processes.clear();
    }

    /// The processes that are known already, to those that speak for themselves or to the VM.
    #[inline]
    pub(crate) fn known_processes(&self, speaks: bool) -> &Known {
        if speaks { &self.processes } else { &self.watched }
    }

    /// The ring ends made since the last call.
    pub fn fresh_rings(&self) -> impl Iterator<Item = RingEnd> {
        std::iter::from_fn(|| self.fresh.pop())
    }

    /// Whether the rings overwrite, and are drained only when somebody asks.
    pub fn is_flight(&self) -> bool {
        self.overflow == Overflow::Overwrite
    }

    /// Whether a trigger was pulled since [`Session::disarm`].
    pub fn is_triggered(&self) -> bool {
        self.triggered.load(Ordering::Acquire)
    }

    /// What triggered until now is being written down.
    pub fn disarm(&self) {
        self.triggered.store(false, Ordering::Release);
    }

    /// Events lost so far without having reached a ring.
    pub fn undefined(&self) -> u64 {
        self.undefined.load(Ordering::Relaxed)
    }

    pub(crate) fn count_undefined(&self) {
        self.undefined.fetch_add(1, Ordering::Relaxed);
    }

    /// A ring for the calling thread: one that an ended thread left, or a new one.
    pub(crate) fn ring(&self, thread: Thread) -> io::Result<RingStart> {
        let mut idle = self.idle.lock();
        if let Some(at) = idle.iter().position(|(kind, _)| *kind == thread) {
            return Ok(idle.swap_remove(at).1);
        }
        drop(idle);
        let bytes = match thread {
            Thread::Scheduler => self.limits.scheduler_ring,
            Thread::Other => self.limits.other_ring,
        };
        let number = self.next_ring.fetch_add(1, Ordering::Relaxed);
        let path = self.rings.join(format!("{number}.ring"));
        let (producer, consumer) = file::create_with(&path, bytes, self.overflow.policy())?;
        self.fresh.push(RingEnd { number, consumer });
        Ok(RingStart { producer })
    }

    pub(crate) fn leave_ring(&self, thread: Thread, ring: RingStart) {
        self.idle.lock().push((thread, ring));
    }

    /// Says which thread is to be woken when a ring is half full.
    pub fn set_drain(&self, thread: std::thread::Thread) {
        *self.drain.lock() = Some(thread);
    }

    /// Wakes the drain, once until it says [`Session::awake`].
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.drain.lock().as_ref()
        {
            thread.unpark();
        }
    }

    /// The drain looks at the rings now; from here on it may be woken again.
    pub fn awake(&self) {
        // A swap, not a store: a producer that found the drain woken has published its head before (release in
        // `wake`), and the look at the rings that follows must find it.
        self.woken.swap(false, Ordering::AcqRel);
    }
}
