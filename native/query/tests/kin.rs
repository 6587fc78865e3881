//! Whose processes belong together, against a plain model that knows no index.

use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, LinkAction, Pid, Record, Site, varint};
use elixir_scope_query::{Index, Kin};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Processes are words from 1 on.
const PROCESSES: u64 = 8;
const ATOMS: [&str; 7] = ["parents", "ancestors", "callers", "name", "label", "proc_lib", "init_p"];
const FIRST_ATOM: u64 = 1_000;

/// Something that is told of a process.
#[derive(Clone, Debug)]
enum Told {
    /// It says who it is: under keys, by their places in [`ATOMS`], lists of processes.
    Introduced(Vec<(usize, Vec<u64>)>),
    /// Its parent, and where `otp` its first call with parent and ancestors.
    Spawned {
        parent: u64,
        otp: bool,
        ancestors: Vec<u64>,
    },
    Link(LinkAction, u64),
    /// What there is goes into a block, and the question is asked.
    Commit,
}

#[derive(Clone, Debug)]
struct Step {
    process: u64,
    told: Told,
    passed: u64,
}

fn some() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(1..=PROCESSES, 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        Just(LinkAction::Link),
        Just(LinkAction::Linked),
        Just(LinkAction::Unlink),
        Just(LinkAction::Unlinked)
    ];
    let told = prop_oneof![
        3 => proptest::collection::vec((0usize..5, some()), 0..4).prop_map(Told::Introduced),
        4 => (1..=PROCESSES, any::<bool>(), some())
            .prop_map(|(parent, otp, ancestors)| Told::Spawned { parent, otp, ancestors }),
        3 => (action, 1..=PROCESSES).prop_map(|(action, other)| Told::Link(action, other)),
        2 => Just(Told::Commit),
    ];
    (1..=PROCESSES, told, 0u64..4).prop_map(|(process, told, passed)| Step { process, told, passed })
}

/// All relations as pairs.
#[derive(Default)]
struct Model {
    /// Process and maker.
    made: BTreeSet<(u64, u64)>,
    links: BTreeSet<(u64, u64)>,
    born: BTreeMap<u64, u64>,
}

impl Model {
    fn take(&mut self, process: u64, told: &Told, now: u64) {
        match told {
            Told::Introduced(pairs) => {
                let relatives = pairs.iter().filter(|(key, _)| *key < 3);
                self.made.extend(relatives.flat_map(|(_, pids)| pids.iter().map(|pid| (process, *pid))));
            }
            Told::Spawned { parent, otp, ancestors } => {
                self.born.insert(process, now);
                self.made.insert((process, *parent));
                if *otp {
                    self.made.extend(ancestors.iter().map(|pid| (process, *pid)));
                }
            }
            Told::Link(LinkAction::Link | LinkAction::Linked, other) => {
                self.links.extend([(process, *other), (*other, process)]);
            }
            Told::Link(..) | Told::Commit => {}
        }
    }

    /// Grows until nothing changes.
    fn closed(&self, mut members: BTreeSet<u64>, joins: impl Fn(u64, u64) -> bool) -> BTreeSet<u64> {
        loop {
            let inside =
                |one: u64| (1..=PROCESSES).any(|member| members.contains(&member) && joins(member, one));
            let more: Vec<u64> = (1..=PROCESSES).filter(|one| !members.contains(one) && inside(*one)).collect();
            if more.is_empty() {
                return members;
            }
            members.extend(more);
        }
    }

    fn family(&self, seeds: &[u64], others: &[u64], since: u64) -> Vec<Pid> {
        let of_others =
            self.closed(others.iter().copied().collect(), |maker, one| self.made.contains(&(one, maker)));
        let may_join =
            |one: u64| self.born.get(&one).is_some_and(|born| *born >= since) && !of_others.contains(&one);
        let joins = |member: u64, one: u64| {
            self.made.contains(&(one, member)) || self.links.contains(&(member, one)) && may_join(one)
        };
        self.closed(seeds.iter().copied().collect(), joins).into_iter().map(pid).collect()
    }
}

fn pid(word: u64) -> Pid {
    Pid { id: word as u32, serial: 0 }
}

struct Words;

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        match word.checked_sub(FIRST_ATOM) {
            Some(atom) => ATOMS.get(atom as usize).map(|name| Definition::Atom((*name).into())),
            None => Some(Definition::Process(pid(word), vec![])),
        }
    }

    fn site(&self, _key: u64) -> Option<Arc<Site>> {
        None
    }
}

fn atom(name: &str) -> Token<'static> {
    Token::Word(FIRST_ATOM + ATOMS.iter().position(|atom| *atom == name).expect("it is one of them") as u64)
}

fn list(payload: &mut Vec<u8>, pids: &[u64]) {
    if pids.is_empty() {
        return value::put(payload, Token::Nil);
    }
    value::put(payload, Token::List);
    pids.iter().for_each(|pid| value::put(payload, Token::Word(*pid)));
    value::put(payload, Token::End);
}

/// The event that tells it.
fn event(told: &Told) -> Option<(Kind, Vec<u8>)> {
    let mut payload = Vec::new();
    let kind = match told {
        Told::Introduced(pairs) => {
            varint::put(&mut payload, 0);
            value::put(&mut payload, Token::Map(pairs.len() as u64));
            for (key, pids) in pairs {
                value::put(&mut payload, atom(ATOMS[*key]));
                list(&mut payload, pids);
            }
            Kind::Process
        }
        Told::Spawned { parent, otp, ancestors } => {
            varint::put(&mut payload, 0);
            value::put(&mut payload, Token::Word(*parent));
            // Module, function and arguments: the parent and the ancestors are the first two where the function is that of OTP.
            value::put(&mut payload, Token::Tuple(3));
            value::put(&mut payload, atom("proc_lib"));
            value::put(&mut payload, atom(if *otp { "init_p" } else { "name" }));
            value::put(&mut payload, Token::List);
            value::put(&mut payload, Token::Word(*parent));
            list(&mut payload, ancestors);
            value::put(&mut payload, Token::Nil);
            value::put(&mut payload, Token::End);
            Kind::Spawned
        }
        Told::Link(action, other) => {
            varint::put(&mut payload, *action as u64);
            value::put(&mut payload, Token::Word(*other));
            Kind::Link
        }
        Told::Commit => return None,
    };
    Some((kind, payload))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_family_is_that_of_the_model(
        steps in proptest::collection::vec(step(), 0..60),
        seeds in proptest::collection::vec(1..=PROCESSES, 1..3),
        others in proptest::collection::vec(1..=PROCESSES, 0..3),
        since in 0u64..100, small: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
        let run = Run::create(dir.path(), "run", &manifest).unwrap();
        let segment_bytes = if small { 4_000 } else { 1 << 20 };
        let limits = Limits { segment_bytes, record_bytes: 0, ..Limits::default() };
        let mut writer = Writer::create(run.path(), limits).unwrap();
        let pids = |words: &[u64]| words.iter().copied().map(pid).collect::<Vec<_>>();
        let (mut model, mut index, mut kin, mut now) = (Model::default(), Index::default(), Kin::default(), 0);
        let end = Step { process: 1, told: Told::Commit, passed: 1 };
        for Step { process, told, passed } in steps.iter().chain([&end]) {
            now += passed;
            model.take(*process, told, now);
            match event(told) {
                Some((kind, payload)) => {
                    let record = Record { kind, ticks: Ticks(0), process: *process, site: 0, payload: &payload };
                    writer.push(0, Nanos(now), &record, &Words).unwrap();
                }
                None => {
                    writer.commit().unwrap();
                    index.extend(&writer.shelf().segments());
                    // Reads what is new; read anew the answer is the same.
                    kin.extend(&index);
                    let expected = model.family(&seeds, &others, since);
                    let family = |kin: &Kin, most| kin.family(&pids(&seeds), &pids(&others), Nanos(since), most);
                    prop_assert_eq!(family(&kin, usize::MAX), Some(expected.clone()));
                    let none_joined = seeds.iter().collect::<BTreeSet<_>>().len() == expected.len();
                    prop_assert_eq!(family(&kin, 3).is_some(), expected.len() <= 3 || none_joined);
                    let mut anew = Kin::default();
                    anew.extend(&index);
                    prop_assert_eq!(family(&anew, usize::MAX), Some(expected));
                    for one in 1..=PROCESSES {
                        prop_assert_eq!(kin.born(pid(one)).map(|born| born.0), model.born.get(&one).copied());
                    }
                }
            }
        }
    }
}
