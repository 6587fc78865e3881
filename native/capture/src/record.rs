//! The one door of the hot path.

use crate::session::{RingStart, Session, Thread, current, generation, is_own};
use crate::{Pen, session};
use elixir_scope_event::{Definition, Kind, Record, Site};
use std::cell::RefCell;
use std::sync::Arc;

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
    /// It could not be recorded, and was counted.
    Lost,
}

/// What a thread keeps between events.
struct Local {
    session: Arc<Session>,
    thread: Thread,
    ring: Option<RingStart>,
    bytes: Vec<u8>,
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
    let generation = generation();
    if generation == 0 {
        return Outcome::Off;
    }
    LOCAL.with(|local| {
        // Held already only if `fill` recorded, which no caller does.
        let Ok(mut local) = local.try_borrow_mut() else { return Outcome::Off };
        if !matches!(&*local, Some(local) if local.session.generation == generation) {
            *local = join(origin.thread());
        }
        match &mut *local {
            Some(local) => local.record(kind, origin, fill),
            None => Outcome::Off,
        }
    })
}

/// Joins the calling thread to the session that records now.
#[cold]
fn join(thread: Thread) -> Option<Local> {
    let session = current()?;
    let ring = session.ring(thread).ok();
    Some(Local { session, thread, ring, bytes: Vec::with_capacity(4096) })
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
        if site != 0 && !session.sites.contains(site) {
            undefined |= !define_site(session, origin);
        }
        let Some(ring) = self.ring.as_mut().filter(|_| !undefined) else {
            session.count_undefined();
            return Outcome::Lost;
        };
        let record = Record { kind, ticks, process, site, payload: &self.bytes };
        // A refusal is counted in the ring, and shown by the drain.
        if ring.producer.push(kind as u32, &[&record.head(), record.payload]).is_err() {
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
        Outcome::Known
    }
}

#[cold]
fn define_site(session: &session::Session, origin: &impl Origin) -> bool {
    let defined = origin.site_meaning().is_some_and(|site| {
        // A site whose literal does not hold its own key would be looked up in vain later.
        site.key == origin.site() && session.dictionary.define_site(site).is_ok()
    });
    if defined {
        session.sites.add(origin.site());
    }
    defined
}
