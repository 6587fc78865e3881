//! Which events are asked for.

use crate::part::{BlockRef, Part};
use crate::volume::Volume;
use elixir_scope_clock::Nanos;
use elixir_scope_event::{Kind, Pid};
use elixir_scope_segment::Event;

/// Which events are asked for. The default asks for all.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Kinds; none named: all.
    pub kinds: Vec<Kind>,
    /// Processes; `None`: all and none.
    pub processes: Option<Vec<Pid>>,
    /// Sites by their keys; `None`: all and none.
    pub sites: Option<Vec<u64>>,
    /// Not earlier than.
    pub since: Nanos,
    /// Not later than.
    pub until: Nanos,
}

impl Default for Filter {
    fn default() -> Self {
        Filter { kinds: Vec::new(), processes: None, sites: None, since: Nanos(0), until: Nanos(u64::MAX) }
    }
}

/// A filter in the numbers of one segment.
pub(crate) struct Resolved {
    /// A bit for each kind.
    kinds: u32,
    /// Ascending.
    processes: Option<Vec<u32>>,
    sites: Option<Vec<u32>>,
    since: Nanos,
    until: Nanos,
}

impl Filter {
    pub(crate) fn resolve(&self, volume: &Volume) -> Resolved {
        let kinds = self.kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u32);
        let sorted = |mut numbers: Vec<u32>| {
            numbers.sort_unstable();
            numbers
        };
        let processes = self.processes.as_ref();
        let processes = processes.map(|pids| pids.iter().filter_map(|pid| volume.process(*pid)).collect());
        let sites = self.sites.as_ref();
        let sites = sites.map(|keys| keys.iter().filter_map(|key| volume.site(*key)).collect());
        Resolved {
            kinds: if self.kinds.is_empty() { u32::MAX } else { kinds },
            processes: processes.map(sorted),
            sites: sites.map(sorted),
            since: self.since,
            until: self.until,
        }
    }
}

impl Resolved {
    /// The blocks of a part that can hold an event that is asked for, in order.
    pub(crate) fn blocks<'p>(&self, part: &'p Part) -> Vec<&'p BlockRef> {
        let of_processes = self.processes.as_ref().map(|numbers| {
            let known = numbers.iter().filter_map(|number| part.process(*number));
            union(known.map(|process| process.blocks))
        });
        let of_sites =
            self.sites.as_ref().map(|numbers| union(numbers.iter().map(|number| part.site(*number))));
        let numbers = match (of_processes, of_sites) {
            (Some(some), Some(others)) => {
                Some(some.into_iter().filter(|number| others.binary_search(number).is_ok()).collect())
            }
            (some, others) => some.or(others),
        };
        let may_match = |block: &&BlockRef| {
            block.kinds & self.kinds != 0 && block.latest >= self.since && block.earliest <= self.until
        };
        match numbers {
            Some(numbers) => {
                let blocks = numbers.iter().filter_map(|number: &u32| part.blocks.get(*number as usize));
                blocks.filter(may_match).collect()
            }
            None => part.blocks.iter().filter(may_match).collect(),
        }
    }

    #[inline]
    pub(crate) fn wants_process(&self, process: Option<u32>) -> bool {
        let Some(wanted) = &self.processes else { return true };
        process.is_some_and(|process| wanted.binary_search(&process).is_ok())
    }

    #[inline]
    pub(crate) fn matches(&self, event: &Event<'_>) -> bool {
        let at_site = |wanted: &Vec<u32>| event.site.is_some_and(|site| wanted.binary_search(&site).is_ok());
        self.kinds & 1 << event.kind as u32 != 0
            && (self.since..=self.until).contains(&event.time)
            && self.wants_process(event.process)
            && self.sites.as_ref().is_none_or(at_site)
    }
}

/// The numbers of several ascending lists, each once, ascending.
fn union<'a>(lists: impl Iterator<Item = &'a [u32]>) -> Vec<u32> {
    let mut lists = lists.filter(|list| !list.is_empty());
    let mut all = lists.next().map_or(Vec::new(), <[u32]>::to_vec);
    let first = all.len();
    lists.for_each(|list| all.extend_from_slice(list));
    if all.len() > first {
        all.sort_unstable();
        all.dedup();
    }
    all
}
