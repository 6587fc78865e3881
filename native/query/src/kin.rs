//! Who belongs to whom: the processes that one process made, directly or not.
//!
//! It grows with the recording: each introduction, birth and link is read once, by whoever asks next, so the cost of a question is that
//! of the processes it finds and of what is new, however many have ended since the recording began.

use crate::filter::Filter;
use crate::index::Index;
use crate::part::Defined;
use crate::row::Row;
use ahash::{AHashMap, AHashSet};
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, LinkAction, Malformed, Pid, varint};

/// Keys of an introduction under which those stand whom a process belongs to.
const RELATIVES: [&str; 3] = ["parents", "ancestors", "callers"];
/// The function that all processes of OTP begin with; its arguments begin with the parent and the ancestors.
const OTP: [&str; 2] = ["proc_lib", "init_p"];

/// Relations between the processes of one recording, as far as they were read.
#[derive(Default)]
pub struct Kin {
    /// Number of the first event that was not read.
    next: u64,
    /// Those that made a process, or for whom it was made.
    makers: AHashMap<Pid, Vec<Pid>>,
    /// The same, turned round.
    made: AHashMap<Pid, Vec<Pid>>,
    /// When processes were made, where that was seen.
    born: AHashMap<Pid, Nanos>,
    links: AHashMap<Pid, Vec<Pid>>,
}

impl Kin {
    /// Events of a recording that were not read, at most.
    pub fn unread(&self, index: &Index) -> u64 {
        index.next_event().saturating_sub(self.next)
    }

    /// Reads what is new in a recording.
    pub fn extend(&mut self, index: &Index) {
        let kinds = vec![Kind::Process, Kind::Spawned, Kind::Link];
        let page = index.events(&Filter { kinds, ..Filter::default() }, self.next, usize::MAX);
        for row in &page.rows {
            // What is malformed tells nothing.
            let _ = self.read(index, row);
        }
        // Another one may have read further since this index was made.
        self.next = self.next.max(index.next_event());
    }

    fn read(&mut self, index: &Index, row: &Row) -> Result<(), Malformed> {
        let Some(process) = row.process else { return Ok(()) };
        let words = Words { index, volume: row.volume };
        let mut rest = &row.payload[..];
        let number = varint::take(&mut rest)?;
        match row.kind {
            Kind::Process => words.introduced(&mut rest, |maker| self.made_by(process, maker)),
            Kind::Spawned => {
                self.born.insert(process, row.time);
                words.spawned(&mut rest, |maker| self.made_by(process, maker))
            }
            Kind::Link if number == LinkAction::Link as u64 || number == LinkAction::Linked as u64 => words
                .pids(&mut rest, |other| {
                    add(&mut self.links, process, other);
                    add(&mut self.links, other, process);
                }),
            _ => Ok(()),
        }
    }

    fn made_by(&mut self, process: Pid, maker: Pid) {
        if process != maker {
            add(&mut self.makers, process, maker);
            add(&mut self.made, maker, process);
        }
    }

    /// The processes in `seeds`, those that they made, and those that are linked to one of them: of links only such count as were made
    /// after `since`, which must have been seen, and do not come from one of `others`. A server that lives longer may be linked to many.
    /// `None` where there are more than `most`.
    pub fn family(&self, seeds: &[Pid], others: &[Pid], since: Nanos, most: usize) -> Option<Vec<Pid>> {
        let mut members: AHashSet<Pid> = seeds.iter().copied().collect();
        let mut waiting = seeds.to_vec();
        while let Some(pid) = waiting.pop() {
            let made = self.made.get(&pid).into_iter().flatten();
            let links = self.links.get(&pid).into_iter().flatten();
            let linked = links.filter(|other| self.may_join(**other, others, since));
            for joining in made.chain(linked) {
                if members.insert(*joining) {
                    waiting.push(*joining);
                }
                if members.len() > most {
                    return None;
                }
            }
        }
        let mut members: Vec<Pid> = members.into_iter().collect();
        members.sort_unstable();
        Some(members)
    }

    /// When a process was made, where that was seen.
    pub fn born(&self, pid: Pid) -> Option<Nanos> {
        self.born.get(&pid).copied()
    }

    fn may_join(&self, linked: Pid, others: &[Pid], since: Nanos) -> bool {
        self.born.get(&linked).is_some_and(|born| *born >= since) && !self.comes_from(linked, others)
    }

    fn comes_from(&self, pid: Pid, others: &[Pid]) -> bool {
        let mut seen = AHashSet::from([pid]);
        let mut waiting = vec![pid];
        while let Some(pid) = waiting.pop() {
            if others.contains(&pid) {
                return true;
            }
            let makers = self.makers.get(&pid).into_iter().flatten();
            waiting.extend(makers.copied().filter(|maker| seen.insert(*maker)));
        }
        false
    }
}

/// Each once. A process says who it is a few times at most.
fn add(lists: &mut AHashMap<Pid, Vec<Pid>>, key: Pid, pid: Pid) {
    let list = lists.entry(key).or_default();
    // Of one that makes very many the last are compared: the same is told of a process within a short time.
    if !list.iter().rev().take(64).any(|known| *known == pid) {
        list.push(pid);
    }
}

/// What numbers in payloads of one segment stand for.
struct Words<'a> {
    index: &'a Index,
    volume: usize,
}

impl<'a> Words<'a> {
    fn pid(&self, number: u64) -> Option<Pid> {
        self.index.volume(self.volume)?.pid(u32::try_from(number).ok())
    }

    fn atom(&self, token: &Token<'_>) -> Option<&'a str> {
        let Token::Reference(number) = token else { return None };
        match self.index.volume(self.volume)?.definition(*number)? {
            Defined::Other(Definition::Atom(name)) => Some(name),
            _ => None,
        }
    }

    /// Finds the processes in one value.
    fn pids(&self, rest: &mut &[u8], mut found: impl FnMut(Pid)) -> Result<(), Malformed> {
        let mut value = *rest;
        value::skip(rest)?;
        value = &value[..value.len() - rest.len()];
        while !value.is_empty() {
            if let Token::Reference(number) = value::take(&mut value)?
                && let Some(pid) = self.pid(number)
            {
                found(pid);
            }
        }
        Ok(())
    }

    fn introduced(&self, rest: &mut &[u8], mut found: impl FnMut(Pid)) -> Result<(), Malformed> {
        let Token::Map(pairs) = value::take(rest)? else { return Ok(()) };
        for _ in 0..pairs {
            let key = value::take(rest)?;
            match self.atom(&key) {
                Some(key) if RELATIVES.contains(&key) => self.pids(rest, &mut found)?,
                Some(_) => value::skip(rest)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The parent, and of a process of OTP the ancestors that its first call names.
    fn spawned(&self, rest: &mut &[u8], mut found: impl FnMut(Pid)) -> Result<(), Malformed> {
        self.pids(rest, &mut found)?;
        if value::take(rest)? != Token::Tuple(3) {
            return Ok(());
        }
        for name in OTP {
            if self.atom(&value::take(rest)?) != Some(name) {
                return Ok(());
            }
        }
        if value::take(rest)? == Token::List {
            self.pids(rest, &mut found)?;
            self.pids(rest, &mut found)?;
        }
        Ok(())
    }
}
