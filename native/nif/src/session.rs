//! Starting and stopping a recording, and opening one.

use crate::atoms;
use crate::meaning::Live;
use crate::redact::{self, Rules};
use crate::vm::{self, OwnEnv};
use elixir_scope_capture::{self as capture, Overflow, Session, Triggers};
use elixir_scope_clock::Clock;
use elixir_scope_dictionary::{Dictionary, Sources};
use elixir_scope_event::Kind;
use elixir_scope_query::{Kin, Passes, Recording};
use elixir_scope_recorder::{Observer, Recorder, recover};
use elixir_scope_store::{Limits, Manifest, Retention, Run, RunPath, StoreError, Writer};
use parking_lot::Mutex;
use rustler::{Atom, Binary, Env, Error, LocalPid, NewBinary, NifMap, NifResult, OwnedEnv, ResourceArc, Term};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A recording as Elixir holds it. A live one ends when its handle is collected.
pub struct Handle {
    pub recording: Recording,
    pub recorder: Option<Recorder>,
    pub from_rings: u64,
    /// Whether it had been ended when it was opened: its VM was not killed.
    pub ended: bool,
    /// Whether another VM was recording it when it was opened.
    pub foreign: bool,
    /// Who belongs to whom, as far as anybody has asked.
    pub kin: Mutex<Kin>,
    /// How far passes over its messages have come.
    pub passes: Mutex<Passes>,
}

#[rustler::resource_impl]
impl rustler::Resource for Handle {}

// A panic within a query leaves its locks free (they do not poison) and its index short of some blocks at worst.
impl std::panic::RefUnwindSafe for Handle {}
impl std::panic::UnwindSafe for Handle {}

/// The clock of this VM.
pub fn clock() -> &'static Arc<Clock> {
    static CLOCK: OnceLock<Arc<Clock>> = OnceLock::new();
    CLOCK.get_or_init(|| Arc::new(Clock::new()))
}

/// An error for `ElixirScope.Error`: a reason and a sentence.
#[derive(rustler::NifTuple)]
pub struct Failure {
    reason: String,
    message: String,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure { reason: error.reason().into(), message: error.to_string() }
    }
}

/// The options of a recording, checked by `ElixirScope.Options` before they come here.
#[derive(NifMap)]
struct Start {
    dir: String,
    name: String,
    node: String,
    vm: String,
    keep: usize,
    retain_bytes: Option<u64>,
    retain_age: Option<u64>,
    pack: bool,
    ring_bytes: u64,
    segment_bytes: usize,
    value_bytes: usize,
    state_bytes: usize,
    depth: usize,
    elements: usize,
    /// Whether full rings overwrite, else for how many microseconds a thread waits for room.
    overwrite: bool,
    block: u64,
    trigger_raise: bool,
    trigger_exit: bool,
    trigger_ms: u64,
}

impl Start {
    fn overflow(&self) -> (Overflow, Triggers) {
        let overflow = match self.block {
            _ if self.overwrite => Overflow::Overwrite,
            0 => Overflow::DropNew,
            block => Overflow::Block(Duration::from_micros(block)),
        };
        let (errors, exits) = (self.trigger_raise, self.trigger_exit);
        (overflow, Triggers { errors, exits, interval: Duration::from_millis(self.trigger_ms) })
    }
}

/// `redact`, where it is not there or `nil`, says that nothing is redacted.
#[rustler::nif(schedule = "DirtyIo")]
fn start(options: Term<'_>) -> NifResult<Result<(ResourceArc<Handle>, String), Failure>> {
    let asked = match options.map_get(atoms::redact()) {
        Ok(asked) => asked.decode::<Option<redact::Asked<'_>>>()?,
        Err(_) => None,
    };
    let rules =
        asked.map(|asked| asked.rules(vm::Env::of(options.get_env())).ok_or(Error::BadArg)).transpose()?;
    Ok(begin(&options.decode()?, rules).map_err(Failure::from))
}

/// What a run needs on disk before anything is recorded.
fn furnish(options: &Start, path: &RunPath, clock: &Clock) -> Result<(Dictionary, Writer), StoreError> {
    let dictionary =
        Dictionary::create(&path.dictionary()).map_err(StoreError::io("make", path.dictionary()))?;
    // The last piece may not hold yet; the one before it does.
    for piece in clock.timeline().pieces().iter().rev().take(2).rev() {
        dictionary.define_piece(*piece).map_err(StoreError::io("write", path.dictionary()))?;
    }
    // Segments go whole: an eighth of what is kept is the most that is removed too early.
    let eighth =
        options.retain_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes / 8).unwrap_or(usize::MAX));
    let limits = Limits {
        segment_bytes: options.segment_bytes.min(eighth),
        record_bytes: (options.ring_bytes / 4) as usize,
        segment_age: options.retain_age.map(|age| age / 8),
        ..Limits::default()
    };
    Ok((dictionary, Writer::create(path, limits)?))
}

fn begin(options: &Start, rules: Option<Rules>) -> Result<(ResourceArc<Handle>, String), StoreError> {
    let clock = Arc::clone(clock());
    let manifest = Manifest {
        started: clock.now(),
        os_pid: std::process::id(),
        node: options.node.clone(),
        vm: options.vm.clone(),
    };
    let run = Run::create(&PathBuf::from(&options.dir), &options.name, &manifest)?;
    run.remove_old(options.keep, options.retain_bytes);
    let path = run.path().clone();
    let (dictionary, writer) = match furnish(options, &path, &clock) {
        Ok(made) => made,
        Err(error) => {
            run.cancel();
            return Err(error);
        }
    };
    let retention = Retention { bytes: options.retain_bytes, age: options.retain_age, pack: options.pack };
    // A ring takes frames of a quarter of its size; what is cut must fit with its marks.
    let frame = (options.ring_bytes / 4) as usize - 8192;
    let limits = capture::Limits {
        scheduler_ring: options.ring_bytes,
        other_ring: (options.ring_bytes / 8).max(64 << 10),
        value_bytes: options.value_bytes.min(frame),
        state_bytes: options.state_bytes.min(frame),
        depth: options.depth,
        elements: options.elements,
    };
    let sources = Sources::new(path.sources());
    let overflow = options.overflow();
    let session = Session::with_overflow(clock, dictionary, sources, path.rings(), limits, overflow);
    redact::publish(&session, rules);
    let meaning = Live { session: Arc::clone(&session), env: Mutex::new(OwnEnv::new()) };
    let shelf = writer.shelf();
    let recorder = Recorder::start(
        run,
        session,
        writer,
        Box::new(meaning),
        Arc::new(Notify(path.dir().display().to_string())),
        retention,
    )?;
    let recording = Recording::new(path.clone(), manifest, Vec::new(), shelf);
    let handle = Handle {
        recording,
        recorder: Some(recorder),
        from_rings: 0,
        ended: false,
        foreign: false,
        kin: Mutex::default(),
        passes: Mutex::default(),
    };
    Ok((ResourceArc::new(handle), path.dir().display().to_string()))
}

/// The process that is told what happens to recordings.
static HEARER: Mutex<Option<LocalPid>> = Mutex::new(None);

/// From now on that is the calling process: `ElixirScope.Recorder`, which may be begun anew while a recording runs.
#[rustler::nif]
fn hear(env: Env<'_>) -> Atom {
    *HEARER.lock() = Some(env.pid());
    atoms::ok()
}

/// Tells it of the recording at a path.
struct Notify(String);

impl Notify {
    fn tell(&self, what: Atom, why: &str) {
        let Some(hearer) = *HEARER.lock() else { return };
        let message = |_: Env<'_>| (what, self.0.clone(), why.to_string());
        // The process may be gone; then nobody asks.
        let _ = OwnedEnv::new().send_and_clear(&hearer, message);
    }
}

impl Observer for Notify {
    fn stopped(&self, why: &str) {
        self.tell(atoms::elixir_scope_stopped(), why);
    }

    fn warned(&self, why: &str) {
        self.tell(atoms::elixir_scope_warned(), why);
    }
}

#[rustler::nif(schedule = "DirtyIo")]
fn stop(handle: ResourceArc<Handle>) -> Atom {
    if let Some(recorder) = &handle.recorder {
        recorder.stop();
    }
    atoms::ok()
}

/// On a thread that runs nothing else meanwhile: the rings are emptied first, so the ring of this thread has room for the note. One
/// that is dropped would leave the pause unsaid, or without an end.
#[rustler::nif(schedule = "DirtyIo")]
fn pause(env: Env<'_>, handle: ResourceArc<Handle>) -> Atom {
    if let Some(recorder) = handle.recorder.as_ref().filter(|recorder| recorder.session().is_recording()) {
        recorder.flush();
        crate::capture::note(env, Kind::Pause);
        recorder.session().pause();
    }
    atoms::ok()
}

/// As [`pause`].
#[rustler::nif(schedule = "DirtyIo")]
fn resume(env: Env<'_>, handle: ResourceArc<Handle>) -> Atom {
    let paused = |recorder: &&Recorder| !recorder.has_ended() && !recorder.session().is_recording();
    if let Some(recorder) = handle.recorder.as_ref().filter(paused) {
        // What they have said of themselves meanwhile was not heard.
        recorder.session().forget_processes();
        recorder.flush();
        recorder.session().resume();
        crate::capture::note(env, Kind::Resume);
    }
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn flush(handle: ResourceArc<Handle>) -> Atom {
    if let Some(recorder) = &handle.recorder {
        recorder.flush();
    }
    atoms::ok()
}

#[rustler::nif(schedule = "DirtyIo")]
fn snapshot(handle: ResourceArc<Handle>) -> Atom {
    if let Some(recorder) = &handle.recorder {
        recorder.snapshot();
    }
    atoms::ok()
}

/// Of a flight recording that runs: how often it was written down, until when it is known, and since when nothing has
/// been overwritten, as of the last [`flush`].
#[rustler::nif]
fn flight(handle: ResourceArc<Handle>) -> Option<(u64, u64, u64)> {
    let flight = handle.recorder.as_ref()?.status().flight?;
    Some((flight.snapshots, flight.known_until.0, flight.covers_from.0))
}

#[rustler::nif]
fn now() -> u64 {
    clock().now().0
}

#[rustler::nif(schedule = "DirtyIo")]
fn open(path: String) -> Result<(ResourceArc<Handle>, String), Failure> {
    let run = RunPath::find(&PathBuf::from(path))?;
    let found = recover(&run)?;
    let dir = run.dir().display().to_string();
    let recording = Recording::new(run, found.manifest, found.damage, Arc::new(found.shelf));
    let handle = Handle {
        recording,
        recorder: None,
        from_rings: found.from_rings,
        ended: found.ended,
        foreign: found.live,
        kin: Mutex::default(),
        passes: Mutex::default(),
    };
    Ok((ResourceArc::new(handle), dir))
}

/// A text of the program's sources, packed, from a process that has met a function of it.
#[rustler::nif(schedule = "DirtyIo")]
fn put_source(digest: u64, packed: Binary<'_>) -> Atom {
    if let Some(session) = capture::current() {
        // A recording without the text is still a recording; whoever asks for the text is told that it is not there.
        let _ = session.sources.put(digest, packed.as_slice());
    }
    atoms::ok()
}

/// What was put under a digest.
#[rustler::nif(schedule = "DirtyIo")]
fn source<'a>(env: Env<'a>, handle: ResourceArc<Handle>, digest: u64) -> Result<Binary<'a>, String> {
    let bytes = elixir_scope_dictionary::source(&handle.recording.run.sources(), digest);
    bytes.map(|bytes| new_binary(env, &bytes)).map_err(|error| error.to_string())
}

fn new_binary<'a>(env: Env<'a>, bytes: &[u8]) -> Binary<'a> {
    let mut binary = NewBinary::new(env, bytes.len());
    binary.as_mut_slice().copy_from_slice(bytes);
    binary.into()
}
