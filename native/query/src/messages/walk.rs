//! The pass.

use super::inbox::{Inbox, Sent, Stream};
use super::parse::{Names, Origin, Send, Target, Words};
use super::process::Processes;
use super::{Message, Outcome, Vm, Wanted};
use crate::index::Index;
use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Gap, Kind};
use elixir_scope_segment::Event;
use std::collections::VecDeque;

/// Messages that are on the way at once, at most.
const HELD: usize = 1 << 20;
/// Messages that are on the way from one process to another, of which no event says that it is watched.
const UNPROVEN: usize = 4_096;
/// Messages at once whose receiver is not known.
const FLOATING: usize = 1 << 16;

/// A message whose receiver is not known.
#[derive(Clone, Copy)]
struct Floating {
    sent: Sent,
    /// The name that it went to; `None`: an alias.
    name: Option<u32>,
    /// The alias.
    alias: Option<u64>,
    /// It may be one that was delivered.
    doubted: bool,
}

/// A delivery.
#[derive(Clone, Copy)]
struct Arrival {
    id: u64,
    time: Nanos,
    digest: i64,
    to: u32,
    /// Perhaps no message: see [`super::parse::Receive::timeout`].
    timeout: bool,
}

/// What the pass knows at a place of the recording, whatever is asked for.
#[derive(Clone)]
pub(super) struct Known {
    /// How many gaps have begun.
    pub(super) passed: usize,
    names: Names,
    processes: Processes,
    inboxes: AHashMap<u32, Inbox>,
    /// How many messages are on the way.
    pub(super) held: usize,
    floating: AHashMap<i64, Vec<Floating>>,
    afloat: VecDeque<(i64, u64)>,
}

pub(super) struct Walk<'a> {
    index: &'a Index,
    wanted: &'a Wanted,
    /// Whether deliveries say whom they are from.
    named: bool,
    /// What is missing, by its beginning.
    gaps: Vec<Gap>,
    /// How many of them have begun.
    passed: usize,
    names: Names,
    processes: Processes,
    inboxes: AHashMap<u32, Inbox>,
    held: usize,
    floating: AHashMap<i64, Vec<Floating>>,
    /// In the order of their sending.
    afloat: VecDeque<(i64, u64)>,
    answer: Vec<Message>,
    /// How many that may be asked for are not decided.
    open: usize,
    /// How many that are asked for have begun.
    begun: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(index: &'a Index, wanted: &'a Wanted, vm: &Vm<'_>) -> Self {
        Walk {
            index,
            wanted,
            named: vm.names_senders,
            gaps: index.gaps(),
            passed: 0,
            names: Names::new(vm.node),
            processes: Processes::default(),
            inboxes: AHashMap::new(),
            held: 0,
            floating: AHashMap::new(),
            afloat: VecDeque::new(),
            answer: Vec::new(),
            open: 0,
            begun: 0,
        }
    }

    /// Goes on from a place where nothing that is asked for had begun.
    pub(super) fn resume(known: Known, index: &'a Index, wanted: &'a Wanted, vm: &Vm<'_>) -> Self {
        let Known { passed, names, processes, inboxes, held, floating, afloat } = known;
        Walk { passed, names, processes, inboxes, held, floating, afloat, ..Walk::new(index, wanted, vm) }
    }

    /// What is known here. `None` where something that is asked for has begun.
    pub(super) fn known(&self) -> Option<Known> {
        (self.open == 0 && self.begun == 0 && self.answer.is_empty()).then(|| Known {
            passed: self.passed,
            names: self.names.clone(),
            processes: self.processes.clone(),
            inboxes: self.inboxes.clone(),
            held: self.held,
            floating: self.floating.clone(),
            afloat: self.afloat.clone(),
        })
    }

    /// How many messages are on the way.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether nothing from a time on can change what is asked for.
    pub(super) fn is_done(&self, earliest: Nanos) -> bool {
        self.open == 0 && (earliest > self.wanted.until || self.begun >= self.wanted.limit)
    }

    pub(super) fn event(&mut self, event: &Event<'_>, words: &mut Words<'_>) {
        while let Some(gap) = self.gaps.get(self.passed).filter(|gap| gap.from <= event.time) {
            self.processes.broken = self.processes.broken.max(Some(gap.to));
            self.passed += 1;
        }
        let Some(pid) = words.process(event.process) else { return };
        let Walk { names, processes, .. } = self;
        let process = processes.number(pid);
        let (id, time) = (event.id, event.time);
        processes.seen(process, time);
        match event.kind {
            Kind::Send => {
                if let Some(send) = words.send(event.payload, names, processes) {
                    self.send(process, id, time, &send);
                }
            }
            Kind::Receive => {
                if let Some(receive) = words.receive(event.payload, names, processes) {
                    receive.call.into_iter().for_each(|(alias, owner)| processes.own(alias, owner));
                    let (digest, timeout) = (receive.digest, receive.timeout);
                    self.receive(receive.origin, Arrival { id, time, digest, to: process, timeout });
                }
            }
            Kind::Process => {
                let about = words.introduction(event.payload, names, processes);
                if about.unwatched.is_some() {
                    processes.dismissed(process);
                }
                about.watched.into_iter().for_each(|since| processes.introduced(process, since, time));
                about.name.into_iter().for_each(|name| processes.register(process, name));
            }
            Kind::Spawned => processes.made(process, time),
            Kind::Exit => self.exit(process, time),
            Kind::Name => match words.name(event.payload, names, processes) {
                Some((true, name)) => processes.register(process, name),
                Some((false, name)) => processes.unregister(name),
                None => {}
            },
            _ => {}
        }
    }

    fn send(&mut self, from: u32, id: u64, time: Nanos, send: &Send) {
        self.processes.active(from, time);
        if let Some((alias, owner)) = send.call {
            self.processes.own(alias, owner);
        }
        let (to, again) = match send.target {
            Target::Process(to) => (Some(to), false),
            Target::Name(name) => (self.processes.holder(name), false),
            Target::Alias(alias) => match self.processes.owner(alias) {
                // Without a proof of its own it would be taken for one that comes in another way.
                Some((_, true)) if !send.unique => (None, true),
                Some((owner, again)) => (Some(owner), again),
                None => (None, false),
            },
            Target::Elsewhere => (None, false),
        };
        let open = self.may_want(from, to, time);
        let alias = if let Target::Alias(alias) = send.target { Some(alias) } else { None };
        let (digest, unique) = (send.digest, send.unique);
        let sent = Sent { id, time, digest, from, unique, alias: alias.is_some(), again, open };
        self.open += usize::from(open);
        // Whom it is to may be seen later.
        let known = to.is_some() || (self.wanted.to.is_none() && self.wanted.with.is_none());
        self.begun += usize::from(open && known);
        match (to, send.target) {
            (Some(to), _) if send.missing || self.processes.ended(to) => {
                self.settle(&sent, Some(to), None, Outcome::Nobody);
            }
            (None, _) if send.missing => {
                self.settle(&sent, None, None, Outcome::Nobody);
            }
            (None, Target::Elsewhere) => {
                self.settle(&sent, None, None, Outcome::Unwatched);
            }
            (Some(to), _) => self.hold(sent, to),
            (None, Target::Name(name)) => {
                self.float(Floating { sent, name: Some(name), alias, doubted: false });
            }
            (None, _) => self.float(Floating { sent, name: None, alias, doubted: false }),
        }
    }

    fn may_want(&self, from: u32, to: Option<u32>, time: Nanos) -> bool {
        let (from, to) = (self.processes.pid(from), to.map(|to| self.processes.pid(to)));
        self.begun < self.wanted.limit && self.wanted.within(time) && self.wanted.may_want(Some(from), to)
    }

    /// It is on the way to a process.
    fn hold(&mut self, sent: Sent, to: u32) {
        let Walk { processes, inboxes, named, .. } = self;
        let inbox = inboxes.entry(to).or_default();
        inbox.sweep(|from| processes.ended(from));
        if !*named {
            inbox.note(sent.digest, sent.from);
        }
        let stream = inbox.stream(sent.from);
        let proven = processes.proven(to);
        if self.held >= HELD || (!proven && stream.len() >= UNPROVEN) {
            self.forget_oldest(sent.from, to);
        }
        let inbox = self.inboxes.entry(to).or_default();
        if inbox.join(sent.digest, sent.from, sent.id) {
            self.settle(&sent, Some(to), None, Outcome::Unknown);
            return;
        }
        inbox.stream(sent.from).push(sent);
        self.held += 1;
    }

    fn stream(&mut self, from: u32, to: u32) -> Option<&mut Stream> {
        self.inboxes.get_mut(&to)?.streams.get_mut(&from)
    }

    /// Makes room.
    fn forget_oldest(&mut self, from: u32, to: u32) {
        let Some(stream) = self.stream(from, to) else { return };
        if let Some(oldest) = stream.pop() {
            stream.forgotten = stream.forgotten.max(Some(oldest.time));
            self.held -= 1;
            let proven = self.processes.proven(to);
            let outcome = if proven { Outcome::Unknown } else { Outcome::Unwatched };
            self.settle(&oldest, Some(to), None, outcome);
        }
    }

    fn float(&mut self, floating: Floating) {
        if self.afloat.len() >= FLOATING
            && let Some((digest, id)) = self.afloat.pop_front()
            && let Some(oldest) = self.land(digest, id)
        {
            self.lose(&oldest, oldest.sent.time);
        }
        self.afloat.push_back((floating.sent.digest, floating.sent.id));
        self.floating.entry(floating.sent.digest).or_default().push(floating);
    }

    /// Takes a message off whose receiver was not known.
    fn land(&mut self, digest: i64, id: u64) -> Option<Floating> {
        let lot = self.floating.get_mut(&digest)?;
        let found = lot.remove(lot.iter().position(|one| one.sent.id == id)?);
        if lot.is_empty() {
            self.floating.remove(&digest);
        }
        Some(found)
    }

    /// The receiver of a message did not show by a time: its deliveries are not recorded, or were not seen. An alias whose owner is
    /// not known may have led nowhere.
    fn lose(&mut self, floating: &Floating, time: Nanos) {
        let unknown =
            floating.doubted || floating.alias.is_some() || self.index.has_gap(floating.sent.time, time);
        let outcome = if unknown { Outcome::Unknown } else { Outcome::Unwatched };
        self.settle(&floating.sent, None, None, outcome);
    }

    fn receive(&mut self, origin: Origin, arrival: Arrival) {
        self.processes.active(arrival.to, arrival.time);
        match origin {
            Origin::Process(from) => self.deliver(from, arrival),
            Origin::Elsewhere => self.appear(None, arrival, Outcome::Delivered),
            Origin::Unknown if arrival.timeout && !self.is_expected(arrival) => {}
            Origin::Unknown => {
                let (inbox, named) = (self.inboxes.get_mut(&arrival.to), self.named);
                let senders = inbox.map(|inbox| inbox.senders(arrival.digest, named)).unwrap_or_default();
                match senders[..] {
                    _ if named => self.find(&senders, arrival),
                    [] => self.deliver_afloat(None, arrival),
                    [from] => self.deliver(from, arrival),
                    _ => self.mix(&senders, arrival),
                }
            }
        }
    }

    /// Whether a message of that content may be on the way to the process from one that would not be named.
    fn is_expected(&mut self, arrival: Arrival) -> bool {
        let Arrival { digest, to, .. } = arrival;
        if self.named {
            return false;
        }
        let lot = self.floating.get(&digest).map_or(&[][..], Vec::as_slice);
        if lot.iter().any(|one| self.may_reach(one, to)) {
            return true;
        }
        let Some(inbox) = self.inboxes.get_mut(&to) else { return false };
        inbox
            .senders(digest, false)
            .into_iter()
            .any(|from| inbox.stream(from).line(digest).is_some_and(|line| line.is_open()))
    }

    /// The VM says of all but some whom they are from: of timers and its own, which nobody has sent.
    fn find(&mut self, senders: &[u32], arrival: Arrival) {
        match senders.iter().copied().find(|from| self.is_unique(*from, arrival)) {
            Some(from) => self.deliver(from, arrival),
            None => match self.floating.get(&arrival.digest).and_then(|lot| lot.first()) {
                Some(first) if first.sent.unique => self.deliver_afloat(None, arrival),
                _ => self.appear(None, arrival, Outcome::Delivered),
            },
        }
    }

    /// Whether what a process has sent of that content is made once.
    fn is_unique(&self, from: u32, arrival: Arrival) -> bool {
        let stream = self.inboxes.get(&arrival.to).and_then(|inbox| inbox.streams.get(&from));
        stream.and_then(|stream| stream.first(arrival.digest)).is_some_and(|sent| sent.unique)
    }

    /// A message of a process is delivered.
    fn deliver(&mut self, from: u32, arrival: Arrival) {
        let Arrival { digest, to, .. } = arrival;
        let (sound, settled) = self.is_settled(from, to);
        let unseen = self.processes.unseen_deliveries(to);
        let sender = self.named.then_some(from);
        let Some(stream) = self.stream(from, to) else { return self.deliver_afloat(sender, arrival) };
        if settled {
            stream.settle();
        }
        let first = stream.first(digest);
        let Some(line) = stream.line(digest) else { return self.deliver_afloat(sender, arrival) };
        if let Some(muddle) = &mut line.muddle {
            // One of them, if there is no other way that it can have come.
            muddle.left -= usize::from(settled && muddle.left > 0);
            return self.doubt(from, arrival, settled);
        }
        let alone = line.len() == 1;
        let Some(first) = first else {
            // One more than were seen: those before may have been others.
            let parted = stream.part(digest);
            self.part(parted, to);
            self.doubt_floats(from, u64::MAX, arrival);
            return self.appear(Some(from), arrival, Outcome::Unknown);
        };
        // Where it may have come unseen, any other one may be this.
        let certain = Some(first.time) > unseen;
        let before = if certain { first.id } else { u64::MAX };
        let floats = !first.unique && self.doubt_floats(from, before, arrival);
        let mine = alone || certain;
        match settled {
            _ if first.unique => self.pair(arrival, from),
            _ if floats || !mine || !sound => self.muddle(from, arrival, settled && !floats),
            true => self.pair(arrival, from),
            false => self.pair_loosely(arrival, from),
        }
    }

    /// A delivery of a content of which nobody knows what has come.
    fn doubt(&mut self, from: u32, arrival: Arrival, settled: bool) {
        self.doubt_floats(from, u64::MAX, arrival);
        if settled && let Some(inbox) = self.inboxes.get_mut(&arrival.to) {
            inbox.came(arrival.digest);
        }
        self.appear(Some(from), arrival, Outcome::Unknown);
    }

    /// Whether all that a process sent to another one has come of what was lost, and of what was sent before it was watched.
    fn is_settled(&mut self, from: u32, to: u32) -> (bool, bool) {
        let forgotten = self.stream(from, to).and_then(|stream| stream.forgotten);
        let lost = self.processes.lost_sends(from).max(forgotten);
        let sound = self.processes.caught_up(to, lost);
        (sound, sound && self.processes.caught_up(to, self.processes.unseen_sends(from)))
    }

    /// The first message of that content is the one, for sure.
    fn pair(&mut self, arrival: Arrival, from: u32) {
        let to = arrival.to;
        let Some(sent) = self.stream(from, to).and_then(|stream| stream.take(arrival.digest)) else { return };
        self.held -= 1;
        self.settle(&sent, Some(to), Some((arrival.id, arrival.time)), Outcome::Delivered);
        // Without its sender another one like it may have come first.
        if !self.named && !sent.unique {
            return;
        }
        self.refresh(to, sent.time);
        let mut over = Vec::new();
        if let Some(stream) = self.stream(from, to) {
            stream.is_sure(sent.id);
            over.extend(std::iter::from_fn(|| stream.pop_before(sent.id)));
        }
        self.held -= over.len();
        for lost in over {
            let outcome = if lost.alias { Outcome::Nobody } else { Outcome::Unknown };
            let outcome = self.fate(&lost, to, arrival.time, outcome);
            self.settle(&lost, Some(to), None, outcome);
        }
    }

    /// A process was delivered what was sent at a time, for sure.
    fn refresh(&mut self, to: u32, sent: Nanos) {
        self.processes.refresh(to, sent);
        let wrong = self.inboxes.get_mut(&to).map(|inbox| inbox.contradict(sent));
        self.part(wrong.unwrap_or_default(), to);
    }

    /// As `pair`, as far as is known.
    fn pair_loosely(&mut self, arrival: Arrival, from: u32) {
        let to = arrival.to;
        let Some(sent) = self.stream(from, to).and_then(|stream| stream.take(arrival.digest)) else { return };
        self.held -= 1;
        let pair = self.settle(&sent, Some(to), Some((arrival.id, arrival.time)), Outcome::Delivered);
        let inbox = self.inboxes.entry(to).or_default();
        inbox.loosen(sent.time);
        inbox.stream(from).loosen(&sent, pair);
    }

    /// Any of the messages of that content may be the one; with `certain` it is one of these.
    fn muddle(&mut self, from: u32, arrival: Arrival, certain: bool) {
        self.doubt_floats(from, u64::MAX, arrival);
        let Some(stream) = self.stream(from, arrival.to) else { return };
        let those = stream.confuse(arrival.digest, |count| count - usize::from(certain));
        self.unknown(&those, arrival.to);
        self.appear(Some(from), arrival, Outcome::Unknown);
    }

    /// Several processes have sent that content, and the delivery does not say which one.
    fn mix(&mut self, senders: &[u32], arrival: Arrival) {
        let Arrival { digest, to, .. } = arrival;
        if let Some(from) = senders.iter().copied().find(|from| self.is_unique(*from, arrival)) {
            return self.deliver(from, arrival);
        }
        let settled = senders.iter().filter(|from| self.is_settled(**from, to).1).count() == senders.len();
        for from in senders {
            self.doubt_floats(*from, u64::MAX, arrival);
            let Some(stream) = self.stream(*from, to) else { continue };
            // Which of them is over nobody knows: as many as there are may come of each.
            let those = stream.confuse(digest, |count| count);
            self.inboxes.entry(to).or_default().mix(digest, *from);
            self.unknown(&those, to);
        }
        if settled {
            self.inboxes.entry(to).or_default().came(digest);
        }
        self.appear(None, arrival, Outcome::Unknown);
    }

    fn unknown(&mut self, those: &[Sent], to: u32) {
        self.held -= those.len();
        for sent in those {
            self.settle(sent, Some(to), None, Outcome::Unknown);
        }
    }

    /// Whether messages of that content went to a name or an alias that may be the receiver's, and may have come before the one
    /// of a number. Of these nobody knows any more.
    fn doubt_floats(&mut self, from: u32, id: u64, arrival: Arrival) -> bool {
        let Walk { floating, processes, named, .. } = self;
        let Some(lot) = floating.get_mut(&arrival.digest) else { return false };
        let mut found = false;
        for one in lot.iter_mut() {
            let reaches = one.name.is_none_or(|name| processes.may_hold(arrival.to, name));
            let before = if one.sent.from == from { one.sent.id < id } else { !*named };
            if before && reaches {
                (one.doubted, found) = (true, true);
            }
        }
        found
    }

    fn may_reach(&self, floating: &Floating, to: u32) -> bool {
        floating.name.is_none_or(|name| self.processes.may_hold(to, name))
    }

    /// None of that content is on the way to the process by what is known; one may have gone to a name or an alias of it.
    fn deliver_afloat(&mut self, from: Option<u32>, arrival: Arrival) {
        let to = arrival.to;
        let lot = self.floating.get(&arrival.digest).map_or(&[][..], Vec::as_slice);
        let mine = |one: &&Floating| from.is_none_or(|from| one.sent.from == from) && self.may_reach(one, to);
        let fitting: Vec<Floating> = lot.iter().filter(mine).copied().collect();
        let Some(first) = fitting.first().copied() else {
            return self.appear(from, arrival, Outcome::Delivered);
        };
        let holds = first.name.is_some_and(|name| self.processes.holder(name) == Some(to));
        let (_, settled) = self.is_settled(first.sent.from, to);
        let alone = fitting.len() == 1 && !first.doubted;
        if !first.sent.unique && !(alone && settled && (from.is_some() || holds)) {
            let lot = self.floating.entry(arrival.digest).or_default();
            lot.iter_mut().for_each(|one| one.doubted = true);
            return self.appear(from, arrival, Outcome::Unknown);
        }
        self.land(arrival.digest, first.sent.id);
        first.alias.into_iter().for_each(|alias| self.processes.used(alias, to));
        if first.sent.unique || from.is_some() {
            self.refresh(to, first.sent.time);
        }
        self.settle(&first.sent, Some(to), Some((arrival.id, arrival.time)), Outcome::Delivered);
    }

    fn exit(&mut self, process: u32, time: Nanos) {
        self.processes.end(process);
        let Some(mut inbox) = self.inboxes.remove(&process) else { return };
        for sent in inbox.drain() {
            self.held -= 1;
            // It came to a process that lived, and that has not looked at it.
            let outcome = self.fate(&sent, process, time, pending(&sent));
            self.settle(&sent, Some(process), None, outcome);
        }
    }

    /// What became of a message that was not delivered by a time, where nothing is missing `otherwise`.
    fn fate(&self, sent: &Sent, to: u32, time: Nanos, otherwise: Outcome) -> Outcome {
        if !self.processes.watched_since(to, sent.time) {
            Outcome::Unwatched
        } else if self.index.has_gap(sent.time, time) {
            Outcome::Unknown
        } else {
            otherwise
        }
    }

    /// A message is decided; the answer is its place among those that are asked for.
    fn settle(
        &mut self,
        sent: &Sent,
        to: Option<u32>,
        delivered: Option<(u64, Nanos)>,
        outcome: Outcome,
    ) -> Option<usize> {
        self.open -= usize::from(sent.open);
        let (from, to) = (Some(self.processes.pid(sent.from)), to.map(|to| self.processes.pid(to)));
        self.tell(Message { sent: Some((sent.id, sent.time)), delivered, from, to, outcome })
    }

    /// A delivery whose sending was not seen, or which is one of several.
    fn appear(&mut self, from: Option<u32>, arrival: Arrival, outcome: Outcome) {
        let pid = |number| self.processes.pid(number);
        let (from, to) = (from.filter(|_| self.named).map(pid), Some(pid(arrival.to)));
        let message = Message { sent: None, delivered: Some((arrival.id, arrival.time)), from, to, outcome };
        let told = self.tell(message);
        self.begun += usize::from(told.is_some());
    }

    fn tell(&mut self, message: Message) -> Option<usize> {
        self.wanted.wants(&message).then(|| {
            self.answer.push(message);
            self.answer.len() - 1
        })
    }

    /// Pairs are none, as it turns out: nobody knows what their ends belong to.
    fn part(&mut self, (pairs, those): (Vec<usize>, Vec<Sent>), to: u32) {
        self.unknown(&those, to);
        for pair in pairs {
            let message = &mut self.answer[pair];
            message.outcome = Outcome::Unknown;
            let delivered = message.delivered.take();
            let other = Message { sent: None, delivered, ..message.clone() };
            self.tell(other);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Message> {
        let end = self.index.until();
        for (to, mut inbox) in std::mem::take(&mut self.inboxes) {
            for sent in inbox.drain() {
                let outcome = self.fate(&sent, to, end, pending(&sent));
                self.settle(&sent, Some(to), None, outcome);
            }
        }
        for floating in std::mem::take(&mut self.floating).into_values().flatten() {
            self.lose(&floating, end);
        }
        self.answer.sort_by_key(|message| message.sent.or(message.delivered).map(|(id, time)| (time, id)));
        self.answer.truncate(self.wanted.limit);
        self.answer
    }
}

/// What became of a message that was not delivered: through an alias that was used before it may have come to nobody.
fn pending(sent: &Sent) -> Outcome {
    if sent.again { Outcome::Unknown } else { Outcome::Pending }
}
