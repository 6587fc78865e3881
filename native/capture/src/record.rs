//! The one door of the hot path.

use crate::brief::{Brief, TOKENS};
use crate::session::{RingStart, Session, Thread, current, generation, is_own};
use crate::{Pen, Slot, counts};
use ahash::AHashMap;
use elixir_scope_dictionary::Known;
use elixir_scope_event::{BRIEF, Buffer, Definition, Kind, Out, Record, Site, value};
use elixir_scope_ring::file::Mapped;
use elixir_scope_ring::{Producer, Refused};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Where an event comes from, as the edge to the VM knows it. The definitions are asked for at first sight only.
pub trait Origin {
    /// The pid of the calling process as a machine word; 0 for none.
    fn process(&self) -> u64;

    /// What that pid is.
    fn process_meaning(&self) -> Definition;

    /// The key of the site; 0 for none.
    fn site(&self) -> u64;

    /// What the key stands for; `None` when the site is malformed.
    fn site_meaning(&self) -> Option<Site>;

    /// What kind of thread is calling.
    fn thread(&self) -> Thread;

    /// Whether something of the site is not to be recorded in this session. Who writes the payload is told by
    /// [`Pen::is_guarded`].
    fn is_guarded(&self, _session: &Session, _slot: &mut Slot) -> bool {
        false
    }

    /// Whether the event, when it is the first of its process, is to wait until the process has said who it is: until its next
    /// event, whatever that is. A process may say instead that nothing of it is to be recorded.
    fn waits(&self) -> bool {
        false
    }

    /// Whether the process can be asked to say who it is when this is its first event. When the VM tells of a process, and it
    /// does so before and beside its own events, there is nobody to ask.
    fn speaks(&self) -> bool {
        true
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is recorded now.
    Off,
    /// It was recorded.
    Known,
    /// It was recorded, and it is the first event of its process, which should say who it is.
    New,
    /// It was recorded, and the text of the source that it comes from is not known yet.
    Unsourced,
    /// It could not be recorded, and was counted.
    Lost,
}

/// What a thread keeps between events.
struct Local {
    /// The session's.
    generation: u64,
    session: Arc<Session>,
    thread: Thread,
    ring: Option<RingStart>,
    /// The record that is being made: its head, then its payload.
    bytes: Buffer,
    slot: Slot,
    brief: Brief,
    counters: AHashMap<u64, Arc<AtomicU64>>,
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(ring) = self.ring.take() {
            self.session.leave_ring(self.thread, ring);
        }
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Records one event of the calling process; `fill` writes its payload.
#[inline]
pub fn record(kind: Kind, origin: &impl Origin, fill: impl FnOnce(&mut Pen<'_>)) -> Outcome {
    with_local(origin, Outcome::Off, |local| local.record(kind, origin, fill))
}

/// As [`record`], for an event whose kind `fill` decides.
#[inline]
pub fn record_as(origin: &impl Origin, fill: impl FnOnce(&mut Pen<'_>) -> Kind) -> Outcome {
    with_local(origin, Outcome::Off, |local| local.record_as(origin, fill))
}

/// Records one event whose values are so many immediates; `word` gives them by their place, and is told which words have a
/// meaning already: of atoms, pids and ports it may give only those. When it does not give one, or the process or site is not
/// known, `fill` writes the payload, as for [`record`].
#[inline(always)]
pub fn record_brief(
    kind: Kind,
    origin: &impl Origin,
    count: usize,
    word: impl FnMut(&Known, usize) -> Option<u64>,
    fill: impl FnOnce(&mut Pen<'_>),
) -> Outcome {
    with_local(origin, Outcome::Off, |local| {
        local.record_brief(kind, origin, count, word).unwrap_or_else(|| local.record(kind, origin, fill))
    })
}

/// Asks something of what the calling thread keeps for the session that records now; `None` when none does. Nothing is recorded.
pub fn ask<R>(origin: &impl Origin, work: impl FnOnce(&Session, &mut Slot) -> R) -> Option<R> {
    with_local(origin, None, |local| Some(work(&local.session, &mut local.slot)))
}

/// Counts one call of the origin's site, and records nothing of it.
#[inline]
pub fn count(origin: &impl Origin) -> Outcome {
    with_local(origin, Outcome::Off, |local| local.count(origin))
}

#[inline]
fn with_local<R>(origin: &impl Origin, off: R, work: impl FnOnce(&mut Local) -> R) -> R {
    let generation = generation();
    if generation == 0 {
        return off;
    }
    LOCAL.with(|local| {
        // Held already only if the writer of a payload recorded, which no caller does.
        let Ok(mut local) = local.try_borrow_mut() else { return off };
        if !matches!(&*local, Some(local) if local.generation == generation) {
            join(&mut local, origin.thread());
        }
        match &mut *local {
            Some(local) => work(local),
            None => off,
        }
    })
}

/// Joins the calling thread to the session that records now.
#[cold]
fn join(local: &mut Option<Local>, thread: Thread) {
    // The ring of the session before is given back first.
    *local = None;
    *local = current().map(|session| Local {
        generation: session.generation,
        thread,
        ring: session.ring(thread).ok(),
        bytes: Buffer::default(),
        slot: Slot::default(),
        brief: Brief::default(),
        counters: AHashMap::new(),
        session,
    });
}

/// What the first look at a process or a site found.
struct Met {
    /// The process is one of ours: nothing of it is recorded.
    own: bool,
    /// The process was not known.
    new: bool,
    /// The text of the site's source is not known yet.
    unsourced: bool,
    /// A meaning could not be written.
    undefined: bool,
    /// Something of the site is not to be recorded.
    guarded: bool,
}

impl Met {
    /// Both are known.
    const BEFORE: Met = Met { own: false, new: false, unsourced: false, undefined: false, guarded: false };
}

impl Local {
    #[inline]
    fn record(&mut self, kind: Kind, origin: &impl Origin, fill: impl FnOnce(&mut Pen<'_>)) -> Outcome {
        self.record_as(origin, |pen| {
            fill(pen);
            kind
        })
    }

    #[inline]
    fn record_as(&mut self, origin: &impl Origin, fill: impl FnOnce(&mut Pen<'_>) -> Kind) -> Outcome {
        let session = &*self.session;
        let (process, site) = (origin.process(), origin.site());
        let processes = session.known_processes(origin.speaks());
        let known = processes.contains(process) && session.sites.contains(site);
        let met = if known { Met::BEFORE } else { meet(session, origin, (process, site), &mut self.slot) };
        if met.own {
            return Outcome::Off;
        }
        let ticks = session.clock.raw();
        self.bytes.clear();
        // The kind is no part of the head.
        self.bytes.extend(&Record { kind: Kind::Call, ticks, process, site, payload: &[] }.head());
        let mut pen = Pen::new(session, ticks, &mut self.bytes, &mut self.slot);
        pen.guarded = met.guarded;
        let kind = fill(&mut pen);
        let undefined = met.undefined | pen.undefined;
        let Some(ring) = self.ring.as_mut().filter(|_| !undefined) else {
            session.count_undefined();
            return Outcome::Lost;
        };
        let bytes = self.bytes.as_slice();
        if met.new && origin.speaks() && begin(session, ring, origin, (process, kind, bytes)) == Begun::Waits {
            return Outcome::New;
        }
        let pushed = push(session, ring, |producer| producer.offer(kind as u32, &[bytes]));
        if pushed == Outcome::Lost {
            return Outcome::Lost;
        }
        if met.new {
            processes.add(process);
            return Outcome::New;
        }
        if met.unsourced { Outcome::Unsourced } else { Outcome::Known }
    }

    #[inline(always)]
    fn record_brief(
        &mut self,
        kind: Kind,
        origin: &impl Origin,
        count: usize,
        mut word: impl FnMut(&Known, usize) -> Option<u64>,
    ) -> Option<Outcome> {
        let session = &*self.session;
        let (process, site) = (origin.process(), origin.site());
        let known = session.processes.contains(process) && session.sites.contains(site);
        let brief = value::brief_number(kind, count).is_some() && session.limits.value_bytes >= TOKENS;
        if !known || !brief || !self.brief.take(count, |place| word(&session.words, place)) {
            return None;
        }
        let ring = self.ring.as_mut()?;
        let record = Record { kind, ticks: session.clock.raw(), process, site, payload: &[] };
        let (len, words) = self.brief.words(&record, count);
        Some(push(session, ring, |producer| producer.offer_words(kind as u32 | BRIEF, len, words)))
    }

    #[inline]
    fn count(&mut self, origin: &impl Origin) -> Outcome {
        if is_own(origin.process()) {
            return Outcome::Off;
        }
        let site = origin.site();
        if let Some(counter) = self.counters.get(&site) {
            counts::add(counter);
            return Outcome::Known;
        }
        self.begin_count(site, origin)
    }

    #[cold]
    fn begin_count(&mut self, site: u64, origin: &impl Origin) -> Outcome {
        let (defined, _) = define_site(&self.session, origin, &mut self.slot);
        if site == 0 || defined == Defined::Failed {
            self.session.count_undefined();
            return Outcome::Lost;
        }
        let counter = self.session.counts.counter(site);
        counts::add(&counter);
        self.counters.insert(site, counter);
        if defined == Defined::Unsourced { Outcome::Unsourced } else { Outcome::Known }
    }
}

/// First events that wait at most.
const WAITING: usize = 4_096;

/// What becomes of an event of a process that is not known.
#[derive(PartialEq, Eq)]
enum Begun {
    /// It waits.
    Waits,
    /// It is to be published, and what has waited was.
    Goes,
}

/// The first event of a process waits, if it may, for the second.
#[cold]
fn begin(
    session: &Session,
    ring: &mut RingStart,
    origin: &impl Origin,
    (process, kind, bytes): (u64, Kind, &[u8]),
) -> Begun {
    let mut all = session.held.lock();
    let held = all.remove(&process);
    if held.is_none() && origin.waits() {
        // Of so many that ended before they said who they are, and of whose end nobody told, one goes.
        if let Some(other) = all.keys().next().copied().filter(|_| all.len() >= WAITING) {
            all.remove(&other);
            session.count_undefined();
        }
        all.insert(process, (kind, bytes.to_vec()));
        return Begun::Waits;
    }
    drop(all);
    if let Some(held) = held {
        push_held(session, ring, held, bytes);
    }
    Begun::Goes
}

/// Publishes what has waited, with the ticks of the record that it has waited for: a ring's events follow each other in time.
fn push_held(session: &Session, ring: &mut RingStart, (kind, mut held): (Kind, Vec<u8>), later: &[u8]) {
    if let (Some(then), Some(now)) = (held.first_chunk_mut::<8>(), later.first_chunk::<8>()) {
        *then = *now;
    }
    push(session, ring, |producer| producer.offer(kind as u32, &[&held]));
}

/// Publishes the first event of a process, if it waits: the process may be recorded, or has ended and did not ask for more.
pub fn release(origin: &impl Origin) {
    with_local(origin, (), |local| {
        let held = local.session.held.lock().remove(&origin.process());
        if let (Some(held), Some(ring)) = (held, &mut local.ring) {
            let ticks = local.session.clock.raw();
            let now = Record { kind: Kind::Call, ticks, process: 0, site: 0, payload: &[] }.head();
            push_held(&local.session, ring, held, &now);
        }
    });
}

/// Whether the first event of a process is held: it is being asked who it is.
pub fn is_held(process: u64) -> bool {
    current().is_some_and(|session| session.held.lock().contains_key(&process))
}

/// Publishes a record.
#[inline]
fn push(
    session: &Session,
    ring: &mut RingStart,
    mut offer: impl FnMut(&mut Producer<Mapped>) -> Result<(), Refused>,
) -> Outcome {
    // A refusal is counted in the ring, and shown by the drain.
    if let Err(why) = offer(&mut ring.producer)
        && !session.refused(ring, why, offer)
    {
        return Outcome::Lost;
    }
    if ring.producer.waiting() > ring.producer.capacity() / 2 {
        wake(session, ring);
    }
    Outcome::Known
}

/// Looks at a process or a site that may be new, and writes what they mean.
#[cold]
fn meet(session: &Session, origin: &impl Origin, (process, site): (u64, u64), slot: &mut Slot) -> Met {
    // A process of ours is never added to those that are known, so it always comes here.
    if is_own(process) {
        return Met { own: true, ..Met::BEFORE };
    }
    let new = process != 0 && !session.known_processes(origin.speaks()).contains(process);
    let undefined = new && session.dictionary.define_word(process, origin.process_meaning()).is_err();
    let guarded = session.guarded.contains(site);
    let (defined, guarded) = match site == 0 || guarded || session.sites.contains(site) {
        true => (Defined::Whole, guarded),
        false => define_site(session, origin, slot),
    };
    let unsourced = defined == Defined::Unsourced;
    Met { own: false, new, unsourced, undefined: undefined | (defined == Defined::Failed), guarded }
}

/// Wakes the drain if the ring is still half full. A ring that overwrites is half round since the last time: before the
/// keyframes are overwritten that states are made of, servers are to tell theirs again.
#[cold]
fn wake(session: &Session, ring: &mut RingStart) {
    if ring.producer.look() > ring.producer.capacity() / 2 {
        match session.is_flight() {
            true => session.restate(),
            false => session.wake(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Defined {
    Whole,
    /// The text of its source is not known yet, so it is looked at again at its next event.
    Unsourced,
    Failed,
}

/// Says what a site means, and whether it is guarded.
#[cold]
fn define_site(session: &Session, origin: &impl Origin, slot: &mut Slot) -> (Defined, bool) {
    let guarded = origin.is_guarded(session, slot);
    // A site whose literal does not hold its own key would be looked up in vain later.
    let site = origin.site_meaning().filter(|site| site.key == origin.site());
    let Some(site) = site else { return (Defined::Failed, guarded) };
    let source = site.source;
    if session.dictionary.define_site(site).is_err() {
        return (Defined::Failed, guarded);
    }
    if !session.sources.knows(source) {
        return (Defined::Unsourced, guarded);
    }
    if guarded { &session.guarded } else { &session.sites }.add(origin.site());
    (Defined::Whole, guarded)
}
