//! What is known of the processes by a moment of the pass: since when their messages are recorded, their names and aliases.

use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::Pid;

/// Aliases are kept in two lots of so many.
const ALIASES: usize = 1 << 18;

/// A process.
#[derive(Clone, Debug)]
struct Known {
    pid: Pid,
    /// Since when its messages are recorded; `None`: not by now.
    since: Option<Nanos>,
    /// Since when they were recorded without a break; `None`: they are not.
    told: Option<Nanos>,
    /// It is not watched any more, until an introduction says that it is again.
    dismissed: bool,
    /// When it was made.
    made: Option<Nanos>,
    /// Whether its messages are recorded since it was made.
    whole: bool,
    /// When it was introduced as watched: what had been sent to it before had come.
    introduced: Option<Nanos>,
    /// When the latest message was sent that it was delivered, as far as that is sure.
    fresh: Option<Nanos>,
    /// Its last event.
    last: Nanos,
    ended: bool,
    names: Vec<u32>,
}

impl Known {
    fn new(pid: Pid) -> Self {
        let (since, made, introduced, fresh) = (None, None, None, None);
        Known {
            pid,
            since,
            told: None,
            dismissed: false,
            made,
            whole: false,
            introduced,
            fresh,
            last: Nanos(0),
            ended: false,
            names: Vec::new(),
        }
    }
}

/// All of them, each by a number of the pass.
#[derive(Clone, Default)]
pub(super) struct Processes {
    numbers: AHashMap<Pid, u32>,
    all: Vec<Known>,
    /// Who has a name; `None`: nobody.
    holders: AHashMap<u32, Option<u32>>,
    /// The end of the last gap.
    pub(super) broken: Option<Nanos>,
    /// Whose the aliases of calls are that are not answered yet.
    aliases: Aliases,
    /// The same of aliases that something was sent to.
    used: Aliases,
}

/// In two lots: the older one is forgotten when the newer one is full.
#[derive(Clone, Default)]
struct Aliases([AHashMap<u64, u32>; 2]);

impl Aliases {
    fn insert(&mut self, alias: u64, owner: u32) {
        let [newer, older] = &mut self.0;
        if newer.len() >= ALIASES {
            std::mem::swap(newer, older);
            newer.clear();
        }
        newer.insert(alias, owner);
    }

    fn get(&self, alias: u64) -> Option<u32> {
        let [newer, older] = &self.0;
        newer.get(&alias).or_else(|| older.get(&alias)).copied()
    }

    fn remove(&mut self, alias: u64) -> Option<u32> {
        let [newer, older] = &mut self.0;
        newer.remove(&alias).or_else(|| older.remove(&alias))
    }
}

impl Processes {
    /// The number of a process.
    pub(super) fn number(&mut self, pid: Pid) -> u32 {
        let next = self.all.len() as u32;
        let number = *self.numbers.entry(pid).or_insert(next);
        if number == next {
            self.all.push(Known::new(pid));
        }
        number
    }

    /// It made an event.
    pub(super) fn seen(&mut self, number: u32, time: Nanos) {
        let known = self.known_mut(number);
        known.last = known.last.max(time);
    }

    fn known(&self, number: u32) -> &Known {
        &self.all[number as usize]
    }

    fn known_mut(&mut self, number: u32) -> &mut Known {
        &mut self.all[number as usize]
    }

    pub(super) fn pid(&self, number: u32) -> Pid {
        self.known(number).pid
    }

    /// It sent a message, or was delivered one.
    pub(super) fn active(&mut self, number: u32, time: Nanos) {
        let known = self.known_mut(number);
        known.since.get_or_insert(time);
        if !known.dismissed {
            let since = known.made.filter(|_| known.whole).unwrap_or(time);
            known.told.get_or_insert(since);
        }
    }

    /// It was made. Its messages are recorded since then, unless an introduction says that it is watched later.
    pub(super) fn made(&mut self, number: u32, time: Nanos) {
        let known = self.known_mut(number);
        (known.made, known.whole) = (Some(time), true);
    }

    /// It is watched since a time, and says so later. One that is watched since it was made says it too, when more is watched.
    pub(super) fn introduced(&mut self, number: u32, since: Nanos, time: Nanos) {
        let known = self.known_mut(number);
        (known.since, known.introduced, known.whole) = (Some(since), Some(time), false);
        known.dismissed = false;
        known.told.get_or_insert(since);
    }

    /// It is not watched any more. What follows was recorded before the VM heard of that.
    pub(super) fn dismissed(&mut self, number: u32) {
        let known = self.known_mut(number);
        (known.told, known.whole, known.dismissed) = (None, false, true);
    }

    pub(super) fn end(&mut self, number: u32) {
        self.known_mut(number).ended = true;
        for name in std::mem::take(&mut self.known_mut(number).names) {
            if self.holders.get(&name) == Some(&Some(number)) {
                self.holders.insert(name, None);
            }
        }
    }

    pub(super) fn ended(&self, number: u32) -> bool {
        self.known(number).ended
    }

    /// Whether its messages were recorded at any time.
    pub(super) fn proven(&self, number: u32) -> bool {
        self.known(number).since.is_some()
    }

    /// Whether its deliveries are recorded since a time.
    pub(super) fn watched_since(&self, number: u32, time: Nanos) -> bool {
        let known = self.known(number);
        known.told.is_some_and(|told| known.whole || told <= time)
    }

    /// Until when it may have sent what was lost.
    pub(super) fn lost_sends(&self, number: u32) -> Option<Nanos> {
        let made = self.known(number).made;
        self.broken.filter(|broken| made.is_none_or(|made| *broken >= made))
    }

    /// Until when it may have sent what was not seen, because it was not watched.
    pub(super) fn unseen_sends(&self, number: u32) -> Option<Nanos> {
        let known = self.known(number);
        known.since.filter(|_| !known.whole).map(before)
    }

    /// Until when it may have been delivered what was not seen.
    pub(super) fn unseen_deliveries(&self, number: u32) -> Option<Nanos> {
        self.broken.max(self.unseen_sends(number))
    }

    /// Whether all that was sent to it by a time has come.
    pub(super) fn caught_up(&self, number: u32, time: Option<Nanos>) -> bool {
        let Known { fresh, introduced, made, .. } = self.known(number);
        time.is_none() || *fresh.max(introduced).max(made) > time
    }

    /// It was delivered what was sent at a time.
    pub(super) fn refresh(&mut self, number: u32, sent: Nanos) {
        let known = self.known_mut(number);
        known.fresh = known.fresh.max(Some(sent));
    }

    pub(super) fn register(&mut self, number: u32, name: u32) {
        self.holders.insert(name, Some(number));
        let names = &mut self.known_mut(number).names;
        if !names.contains(&name) {
            names.push(name);
        }
    }

    pub(super) fn unregister(&mut self, name: u32) {
        self.holders.insert(name, None);
    }

    /// Who has a name. Behind a gap it is still the one that had it before, if that made an event since: names go with
    /// their processes.
    pub(super) fn holder(&self, name: u32) -> Option<u32> {
        let holder = self.holders.get(&name).copied().flatten()?;
        (Some(self.known(holder).last) > self.broken).then_some(holder)
    }

    /// Whether a process may have a name: no other one is known to.
    pub(super) fn may_hold(&self, number: u32, name: u32) -> bool {
        self.holder(name).is_none_or(|holder| holder == number)
    }

    /// An alias leads to a process.
    pub(super) fn own(&mut self, alias: u64, owner: u32) {
        self.aliases.insert(alias, owner);
    }

    /// Something was delivered through an alias.
    pub(super) fn used(&mut self, alias: u64, owner: u32) {
        self.used.insert(alias, owner);
    }

    /// Where an alias leads, and whether it was used before: one that belongs to a call is answered once, so it may lead nowhere.
    pub(super) fn owner(&mut self, alias: u64) -> Option<(u32, bool)> {
        match self.aliases.remove(alias) {
            Some(owner) => {
                self.used(alias, owner);
                Some((owner, false))
            }
            None => self.used.get(alias).map(|owner| (owner, true)),
        }
    }
}

fn before(time: Nanos) -> Nanos {
    Nanos(time.0.saturating_sub(1))
}
