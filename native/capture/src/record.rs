//! The one door of the hot path.

use crate::session::{RingStart, Session, Thread, current, generation, is_own};
use crate::{Pen, counts, session};
use ahash::AHashMap;
use elixir_scope_event::{Definition, Kind, Record, Site};
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
    session: Arc<Session>,
    thread: Thread,
    ring: Option<RingStart>,
    bytes: Vec<u8>,
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
    with_local(origin, |local| local.record(kind, origin, fill))
}

/// Counts one call of the origin's site, and records nothing of it.
#[inline]
pub fn count(origin: &impl Origin) -> Outcome {
    with_local(origin, |local| local.count(origin))
}

#[inline]
fn with_local(origin: &impl Origin, work: impl FnOnce(&mut Local) -> Outcome) -> Outcome {
    let generation = generation();
    if generation == 0 {
        return Outcome::Off;
    }
    LOCAL.with(|local| {
        // Held already only if the writer of a payload recorded, which no caller does.
        let Ok(mut local) = local.try_borrow_mut() else { return Outcome::Off };
        if !matches!(&*local, Some(local) if local.session.generation == generation) {
            *local = join(origin.thread());
        }
        match &mut *local {
            Some(local) => work(local),
            None => Outcome::Off,
        }
    })
}

/// Joins the calling thread to the session that records now.
#[cold]
fn join(thread: Thread) -> Option<Local> {
    let session = current()?;
    let ring = session.ring(thread).ok();
    Some(Local { session, thread, ring, bytes: Vec::with_capacity(4096), counters: AHashMap::new() })
}

impl Local {
    #[inline]
    fn record(&mut self, kind: Kind, origin: &impl Origin, fill: impl FnOnce(&mut Pen<'_>)) -> Outcome {
        let process = origin.process();
        if is_own(process) {
            return Outcome::Off;
        }
        let session = &*self.session;
        let ticks = session.clock.raw();
        self.bytes.clear();
        let mut pen = Pen { session, bytes: &mut self.bytes, undefined: false };
        fill(&mut pen);
        let mut undefined = pen.undefined;
        let site = origin.site();
        let new = process != 0 && !session.processes.contains(process);
        if new {
            undefined |= session.dictionary.define_word(process, origin.process_meaning()).is_err();
        }
        let mut sourced = true;
        if site != 0 && !session.sites.contains(site) {
            let defined = define_site(session, origin);
            undefined |= defined == Defined::Failed;
            sourced = defined != Defined::Unsourced;
        }
        let Some(ring) = self.ring.as_mut().filter(|_| !undefined) else {
            session.count_undefined();
            return Outcome::Lost;
        };
        let record = Record { kind, ticks, process, site, payload: &self.bytes };
        // A refusal is counted in the ring, and shown by the drain.
        let (tag, parts) = (kind as u32, [&record.head()[..], record.payload]);
        if let Err(why) = ring.producer.offer(tag, &parts)
            && !session.refused(ring, why, tag, &parts)
        {
            return Outcome::Lost;
        }
        if ring.producer.waiting() > ring.producer.capacity() / 2
            && ring.producer.look() > ring.producer.capacity() / 2
        {
            session.wake();
        }
        if new {
            session.processes.add(process);
            return Outcome::New;
        }
        if sourced { Outcome::Known } else { Outcome::Unsourced }
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
        let defined = define_site(&self.session, origin);
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Defined {
    Whole,
    /// The text of its source is not known yet, so it is looked at again at its next event.
    Unsourced,
    Failed,
}

#[cold]
fn define_site(session: &session::Session, origin: &impl Origin) -> Defined {
    // A site whose literal does not hold its own key would be looked up in vain later.
    let site = origin.site_meaning().filter(|site| site.key == origin.site());
    let Some(site) = site else { return Defined::Failed };
    let source = site.source;
    if session.dictionary.define_site(site).is_err() {
        return Defined::Failed;
    }
    if !session.sources.knows(source) {
        return Defined::Unsourced;
    }
    session.sites.add(origin.site());
    Defined::Whole
}
