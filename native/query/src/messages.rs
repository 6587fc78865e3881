//! Messages: each send with its delivery.
//!
//! One pass over the events in their order. Signals between two processes keep their order, and a send stands before its
//! delivery. So where nothing is missing the first send of a process to another that has the digest of a delivery, and was not
//! delivered yet, is the one. Where something may be missing a pair is given only when it can be no other; what remains is
//! [`Outcome::Unknown`]:
//!
//! - **unseen sends**: what a process sent before it was watched, or in a gap, may be delivered afterwards. There is none left
//!   between two processes once the receiver was delivered anything that was sent later, by anyone: what arrived before goes
//!   before. The same holds for a receiver that was introduced or made later. Until then two equal messages are not told apart.
//! - **unseen deliveries**: what was sent before the receiver was watched, or in or before a gap, may have been delivered already.
//! - before OTP 27 no delivery says whom it is from. Then it is the only process with such a message on the way to
//!   there; of several nobody knows.
//!
//! The VM tells a `receive` that gives up as a delivery of the atom `timeout` from nobody. It is no message, unless one of that
//! content may be on the way.
//!
//! A message that holds what is made once (the tag of a call, the alias that it is sent to) is its own proof. Once a pair is
//! sure, whatever the same process had sent to the other one before is delivered, or never will be.
//!
//! Of a message the pass reads its digest and whom it is to, not the message. Memory is bounded by what is on the way:
//! a million messages at most, and 4,096 from each to a process that was not seen to be watched. What goes beyond is unknown.

mod inbox;
mod parse;
mod pass;
mod process;
mod walk;

use crate::filter::Filter;
use crate::index::Index;
use crate::row::Row;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid};
use parse::Words;
use std::sync::Arc;
use walk::Walk;

pub use pass::{Pass, Passes};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was delivered.
    Delivered,
    /// It was not, by the end of the recording or of its receiver, which may have ended without looking at it.
    Pending,
    /// There is no such process, or it ended before the sending.
    Nobody,
    /// Deliveries to its receiver are not recorded.
    Unwatched,
    /// Events are missing, or its like came from several processes: nobody knows.
    Unknown,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The event of its sending, by number and time, if that was seen.
    pub sent: Option<(u64, Nanos)>,
    /// The event of its delivery.
    pub delivered: Option<(u64, Nanos)>,
    /// Who sent it.
    pub from: Option<Pid>,
    /// Whom it was for.
    pub to: Option<Pid>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Which messages are asked for. A message lies where it was sent, or where it was delivered when its sending was not seen.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Not earlier than.
    pub since: Nanos,
    /// Not later than.
    pub until: Nanos,
    /// Also those that were sent before and delivered within.
    pub delivered: bool,
    /// Only from these.
    pub from: Option<Vec<Pid>>,
    /// Only to these.
    pub to: Option<Vec<Pid>>,
    /// Only with one of these at one end.
    pub with: Option<Vec<Pid>>,
    /// The first so many.
    pub limit: usize,
}

/// The VM that recorded.
#[derive(Clone, Copy, Debug)]
pub struct Vm<'a> {
    /// The name of its node.
    pub node: &'a str,
    /// Whether its deliveries say whom they are from, unless it is nobody: since OTP 27.
    pub names_senders: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        let (since, until) = (Nanos(0), Nanos(u64::MAX));
        Wanted { since, until, delivered: false, from: None, to: None, with: None, limit: usize::MAX }
    }
}

impl Wanted {
    fn within(&self, time: Nanos) -> bool {
        (self.since..=self.until).contains(&time)
    }

    /// Whether it is asked for as far as is known; an end that is not known may be any.
    fn may_want(&self, from: Option<Pid>, to: Option<Pid>) -> bool {
        let one_of = |wanted: &Option<Vec<Pid>>, pid: Option<Pid>| {
            wanted.as_ref().is_none_or(|pids| pid.is_none_or(|pid| pids.contains(&pid)))
        };
        let either = self.with.is_none() || one_of(&self.with, from) || one_of(&self.with, to);
        one_of(&self.from, from) && one_of(&self.to, to) && either
    }

    fn wants(&self, message: &Message) -> bool {
        let named = |wanted: &Option<Vec<Pid>>, pid: Option<Pid>| {
            wanted.as_ref().is_none_or(|pids| pid.is_some_and(|pid| pids.contains(&pid)))
        };
        let either = self.with.is_none() || named(&self.with, message.from) || named(&self.with, message.to);
        let lies = message.sent.or(message.delivered).is_some_and(|(_, time)| self.within(time));
        let came = self.delivered && message.delivered.is_some_and(|(_, time)| self.within(time));
        (lies || came) && named(&self.from, message.from) && named(&self.to, message.to) && either
    }
}

/// Events between two that are asked for, up to which reading goes on from the one to the other.
const FAR: u64 = 512;

/// The kinds of events that messages are put together from.
const KINDS: [Kind; 6] = [Kind::Send, Kind::Receive, Kind::Process, Kind::Spawned, Kind::Exit, Kind::Name];

impl Index {
    /// The messages that are asked for, in the order of their sending.
    ///
    /// The pass begins with the recording, because what is on the way at a moment follows from what was before; it ends when
    /// what is asked for is decided.
    pub fn messages(&self, wanted: &Wanted, vm: &Vm<'_>) -> Vec<Message> {
        self.messages_from(wanted, vm, None, usize::MAX).0
    }

    /// The same messages, from a place on that an earlier pass of this recording has come to before anything that is asked for (see
    /// [`Passes`]), and a place to remember if at least so many events lie between the two.
    pub fn messages_from(
        &self,
        wanted: &Wanted,
        vm: &Vm<'_>,
        place: Option<Arc<Pass>>,
        apart: usize,
    ) -> (Vec<Message>, Option<Pass>) {
        let read = Filter { kinds: KINDS.to_vec(), ..Filter::default() };
        let place = place.filter(|place| place.leads_to(wanted.since) && place.fits(self));
        let (next, mut latest) = place.as_ref().map_or((0, Nanos(0)), |place| (place.next, place.latest));
        let mut walk = match &place {
            Some(place) => Walk::resume(place.known.clone(), self, wanted, vm),
            None => Walk::new(self, wanted, vm),
        };
        // So many events were before what is asked for; `None`: it has begun.
        let mut before = Some(0);
        let mut found = None;
        'all: for volume in &self.volumes {
            let resolved = read.resolve(volume);
            let mut words = Words::new(volume);
            let blocks = volume.parts.iter().flat_map(|part| resolved.blocks(part));
            for block in blocks.filter(|block| block.end() > next) {
                if walk.is_done(block.earliest) {
                    break 'all;
                }
                let Some(block) = volume.read(block) else { continue };
                for event in block.events_after(next).flatten().filter(|event| resolved.matches(event)) {
                    if let Some(count) = before {
                        if event.time < wanted.since {
                            before = Some(count + 1);
                            latest = latest.max(event.time);
                        } else {
                            before = None;
                            found = if count < apart { None } else { Pass::at(event.id, latest, &walk, self) };
                        }
                    }
                    walk.event(&event, &mut words);
                }
            }
        }
        (walk.finish(), found)
    }

    /// The events with these numbers, which ascend. Each block is read once.
    pub fn rows(&self, ids: &[u64]) -> Vec<Row> {
        let mut rows = Vec::with_capacity(ids.len());
        let mut left = ids;
        for (number, volume) in self.volumes.iter().enumerate() {
            for known in volume.parts.iter().flat_map(|part| &part.blocks) {
                let here = left.partition_point(|id| *id < known.end());
                let (mut asked, rest) = left.split_at(here);
                left = rest;
                let Some(block) = (!asked.is_empty()).then(|| volume.read(known)).flatten() else { continue };
                while let [first, ..] = asked {
                    // Those that lie close are found on the way, others from the nearest place where reading can begin.
                    for event in block.events_after(*first).flatten() {
                        match asked {
                            [id, rest @ ..] if *id == event.id => {
                                rows.push(self.row(number, &event));
                                asked = rest;
                            }
                            [id, ..] if id.saturating_sub(event.id) > FAR => break,
                            [_, ..] => {}
                            [] => break,
                        }
                    }
                    if asked.first() == Some(first) {
                        asked = &asked[1..];
                    }
                }
            }
        }
        rows
    }
}
