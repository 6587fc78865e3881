//! What is known of the processes by a moment of the pass: since when their messages are recorded, their names and aliases.

use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use elixir_scope_event::Pid;

/// Aliases of which no answer came are kept in two lots of so many; the older lot is forgotten when the newer one is full.
const ALIASES: usize = 1 << 18;

/// A process.
#[derive(Clone, Debug)]
struct Known {
    pid: Pid,
    /// Since when its messages are recorded; `None`: not by now.
    since: Option<Nanos>,
    /// When it was made, if its messages are recorded since then.
    born: Option<Nanos>,
    /// When it was introduced as watched: what had been sent to it before had come.
    introduced: Option<Nanos>,
    /// When the latest message was sent that it was delivered, as far as that is sure.
    fresh: Option<Nanos>,
    ended: bool,
    names: Vec<u32>,
}

/// All of them, each by a number of the pass.
#[derive(Default)]
pub(super) struct Processes {
    numbers: AHashMap<Pid, u32>,
    all: Vec<Known>,
    /// Who has a name; `None`: nobody.
    holders: AHashMap<u32, Option<u32>>,
    aliases: [AHashMap<u64, u32>; 2],
}

impl Processes {
    /// The number of a process.
    pub(super) fn number(&mut self, pid: Pid) -> u32 {
        let next = self.all.len() as u32;
        let number = *self.numbers.entry(pid).or_insert(next);
        if number == next {
            let (since, born, introduced, fresh) = (None, None, None, None);
            self.all.push(Known { pid, since, born, introduced, fresh, ended: false, names: Vec::new() });
        }
        number
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
        self.known_mut(number).since.get_or_insert(time);
    }

    /// It was made, and is watched.
    pub(super) fn born(&mut self, number: u32, time: Nanos) {
        let known = self.known_mut(number);
        (known.born, known.since) = (Some(time), None);
    }

    /// It is watched from here on.
    pub(super) fn introduced(&mut self, number: u32, time: Nanos) {
        let known = self.known_mut(number);
        (known.since, known.introduced, known.born) = (Some(time), Some(time), None);
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

    /// Whether its deliveries were recorded at a time.
    pub(super) fn watched_at(&self, number: u32, time: Nanos) -> bool {
        let known = self.known(number);
        known.since.is_some_and(|since| known.born.unwrap_or(since) <= time)
    }

    /// Until when it may have sent what was not seen; `broken` is the end of the last gap.
    pub(super) fn unseen_sends(&self, number: u32, broken: Option<Nanos>) -> Option<Nanos> {
        let known = self.known(number);
        match known.born {
            Some(born) => broken.filter(|broken| *broken >= born),
            None => broken.max(known.since.map(before)),
        }
    }

    /// Until when it may have been delivered what was not seen.
    pub(super) fn unseen_deliveries(&self, number: u32, broken: Option<Nanos>) -> Option<Nanos> {
        let known = self.known(number);
        broken.max(if known.born.is_some() { None } else { known.since.map(before) })
    }

    /// Whether all that was sent to it by a time has come.
    pub(super) fn caught_up(&self, number: u32, time: Option<Nanos>) -> bool {
        let Known { fresh, introduced, born, .. } = self.known(number);
        time.is_none() || *fresh.max(introduced).max(born) > time
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

    /// Who has a name.
    pub(super) fn holder(&self, name: u32) -> Option<u32> {
        self.holders.get(&name).copied().flatten()
    }

    /// Whether a process may have a name: no other one is known to.
    pub(super) fn may_hold(&self, number: u32, name: u32) -> bool {
        self.holder(name).is_none_or(|holder| holder == number)
    }

    /// An alias leads to a process.
    pub(super) fn own(&mut self, alias: u64, owner: u32) {
        if self.aliases[0].len() >= ALIASES {
            self.aliases.swap(0, 1);
            self.aliases[0].clear();
        }
        self.aliases[0].insert(alias, owner);
    }

    /// Where an alias leads. It is forgotten: one that belongs to a call is answered once.
    pub(super) fn owner(&mut self, alias: u64) -> Option<u32> {
        let [newer, older] = &mut self.aliases;
        newer.remove(&alias).or_else(|| older.remove(&alias))
    }
}

fn before(time: Nanos) -> Nanos {
    Nanos(time.0.saturating_sub(1))
}
