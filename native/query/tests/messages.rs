//! Pairs of sends and deliveries, against a program of which all is known.

use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, LossCause, Pid, Record, Site};
use elixir_scope_query::{Index, Message, Outcome, Passes, Vm, Wanted};
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const PROCESSES: usize = 4;
const NODE: &str = "shop@host";

/// Words: processes from 1 on, atoms from 100 on.
struct Words;

const ATOMS: [&str; 10] =
    ["nil", "$gen_call", "alias", "name", "watched", NODE, "away@host", "name_0", "name_1", "name_2"];

fn atom(text: &str) -> u64 {
    100 + ATOMS.iter().position(|atom| *atom == text).expect("a known atom") as u64
}

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        match word.checked_sub(100) {
            Some(atom) => Some(Definition::Atom(ATOMS[atom as usize].into())),
            None => Some(Definition::Process(Pid { id: word as u32, serial: 0 }, vec![])),
        }
    }

    fn site(&self, _key: u64) -> Option<Arc<Site>> {
        None
    }
}

fn pid(process: usize) -> Pid {
    Pid { id: process as u32 + 1, serial: 0 }
}

fn word(process: usize) -> Token<'static> {
    Token::Word(process as u64 + 1)
}

fn put_all(out: &mut Vec<u8>, tokens: &[Token<'_>]) {
    tokens.iter().for_each(|token| value::put(out, *token));
}

/// A reference in the external term format.
fn reference(number: u64) -> Vec<u8> {
    [&[131, 90, 0, 1][..], &number.to_be_bytes()].concat()
}

/// What a process does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// It sends one of a few contents, in one of the ways to name the receiver.
    Send {
        to: usize,
        content: u8,
        way: Way,
    },
    /// It calls: the receiver will answer to the alias when it is delivered the call.
    Call {
        to: usize,
    },
    /// What a process has sent to it is delivered, up to so many.
    Deliver {
        from: usize,
        count: usize,
    },
    /// Something that no process sent is delivered.
    Timer {
        content: u8,
    },
    /// It gives up the aliases of its calls.
    Forget,
    /// It takes a name.
    Register {
        name: u8,
    },
    Exit,
    /// It is watched from here on.
    Watch,
    Lose,
    Tell,
    Commit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Pid,
    Name,
    NameAndNode,
    OtherNode,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    process: usize,
    act: Act,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    /// Whether deliveries say whom they are from.
    named: bool,
    losses: bool,
    /// Whether processes live before they are watched.
    late: bool,
    timers: bool,
}

impl Given {
    fn vm(self) -> Vm<'static> {
        Vm { node: NODE, names_senders: self.named }
    }

    /// Whether messages of different processes come in the order in which they were sent, as they do in one VM. Where nothing is
    /// missing the pairs do not depend on it.
    fn arrival(self) -> bool {
        self.losses || self.late
    }
}

fn program(given: Given) -> impl Strategy<Value = Vec<Step>> {
    let way = prop_oneof![
        6 => Just(Way::Pid), 2 => Just(Way::Name), 1 => Just(Way::NameAndNode), 1 => Just(Way::OtherNode)
    ];
    let send = (0..PROCESSES, 0u8..3, way).prop_map(|(to, content, way)| Act::Send { to, content, way });
    let deliver = (0..PROCESSES, 1usize..4).prop_map(|(from, count)| Act::Deliver { from, count });
    let timer = (0u8..3).prop_map(|content| Act::Timer { content });
    let call = (0..PROCESSES).prop_map(|to| Act::Call { to });
    let register = (0u8..3).prop_map(|name| Act::Register { name });
    let mut acts = vec![
        (40, send.boxed()),
        (10, call.boxed()),
        (45, deliver.boxed()),
        (2, Just(Act::Forget).boxed()),
        (3, register.boxed()),
        (3, Just(Act::Commit).boxed()),
    ];
    if given.timers {
        acts.push((3, timer.boxed()));
    }
    // What was on the way to a process before it was watched must come, or nobody can know that it was.
    acts.push(if given.late { (4, Just(Act::Watch).boxed()) } else { (1, Just(Act::Exit).boxed()) });
    if given.losses {
        acts.extend([(2, Just(Act::Lose).boxed()), (4, Just(Act::Tell).boxed())]);
    }
    let act = proptest::strategy::Union::new_weighted(acts);
    let step = (0..PROCESSES, act).prop_map(|(process, act)| Step { process, act });
    proptest::collection::vec(step, 0..200)
}

/// A message as it truly was.
#[derive(Clone, Debug, Default)]
struct Truth {
    /// The numbers of its events, where these were recorded.
    sent: Option<u64>,
    delivered: Option<u64>,
    /// Whether it was delivered, seen or not.
    came: bool,
    /// Whether it went to one that had ended, or to an alias, which may not be in use.
    nobody: bool,
    from: Option<usize>,
    to: Option<usize>,
}

#[derive(Clone, Copy)]
struct OnTheWay {
    message: usize,
    digest: i64,
    /// A call: its alias.
    call: Option<u64>,
    /// An answer: the alias that it goes to.
    answer: Option<u64>,
}

struct World {
    given: Given,
    writer: Writer,
    _dir: tempfile::TempDir,
    now: u64,
    next: u64,
    truth: Vec<Truth>,
    queues: BTreeMap<(usize, usize), VecDeque<OnTheWay>>,
    aliases: BTreeMap<u64, usize>,
    names: BTreeMap<u8, usize>,
    ended: BTreeSet<usize>,
    watched: BTreeSet<usize>,
    losing: Option<u64>,
    lost: u64,
}

impl World {
    fn new(given: Given) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest { started: Nanos(0), os_pid: 1, node: NODE.into(), vm: String::new() };
        let run = Run::create(dir.path(), "run", &manifest).unwrap();
        let limits = Limits { segment_bytes: 1 << 16, record_bytes: 0, ..Limits::default() };
        let writer = Writer::create(run.path(), limits).unwrap();
        let mut world = World {
            given,
            writer,
            _dir: dir,
            now: 10,
            next: 0,
            truth: Vec::new(),
            queues: BTreeMap::new(),
            aliases: BTreeMap::new(),
            names: BTreeMap::new(),
            ended: BTreeSet::new(),
            watched: BTreeSet::new(),
            losing: None,
            lost: 0,
        };
        if !given.late {
            for process in 0..PROCESSES {
                world.watched.insert(process);
                let mut payload = vec![0];
                put_all(&mut payload, &[word(9), Token::Nil]);
                world.event(process, Kind::Spawned, &payload);
            }
        }
        world
    }

    /// Records an event, if it is to be seen.
    fn event(&mut self, process: usize, kind: Kind, payload: &[u8]) -> Option<u64> {
        self.now += 10;
        if !self.watched.contains(&process) {
            return None;
        }
        if self.losing.is_some() {
            self.lost += 1;
            return None;
        }
        let record = Record { kind, ticks: Ticks(0), process: process as u64 + 1, site: 0, payload };
        self.writer.push(0, Nanos(self.now), &record, &Words).unwrap();
        self.next += 1;
        Some(self.next - 1)
    }

    fn step(&mut self, step: Step) {
        let process = step.process;
        if self.ended.contains(&process) && !matches!(step.act, Act::Lose | Act::Tell | Act::Commit) {
            return;
        }
        match step.act {
            Act::Send { to, content, way } => self.send_in(process, to, content, way),
            Act::Call { to } => {
                let alias = self.now;
                self.aliases.insert(alias, process);
                let mut message = Vec::new();
                let tokens = [
                    Token::Tuple(3),
                    Token::Word(atom("$gen_call")),
                    Token::Tuple(2),
                    word(process),
                    Token::List,
                    Token::Word(atom("alias")),
                    Token::Tail,
                    Token::External(&reference(alias)),
                    Token::Integer(0),
                ];
                put_all(&mut message, &tokens);
                self.send(process, Some(to), &message, alias as i64, word(to), Some(alias), None);
            }
            Act::Deliver { from, count } => {
                let mut left = count;
                while left > 0 && self.deliver(from, process) {
                    left -= 1;
                }
            }
            Act::Timer { content } => {
                let digest = i64::from(content);
                let delivered = self.receive(process, Token::Word(atom("nil")), &[1, content], digest);
                self.truth.push(Truth { delivered, came: true, to: Some(process), ..Truth::default() });
            }
            Act::Forget => self.aliases.retain(|_, owner| *owner != process),
            Act::Register { name } => {
                let holder = *self.names.entry(name).or_insert(process);
                if holder == process {
                    let mut payload = vec![0];
                    value::put(&mut payload, Token::Word(atom(&format!("name_{name}"))));
                    self.event(process, Kind::Name, &payload);
                }
            }
            Act::Exit => {
                self.event(process, Kind::Exit, &[0, 0]);
                self.ended.insert(process);
                self.names.retain(|_, holder| *holder != process);
                self.aliases.retain(|_, owner| *owner != process);
                self.queues.retain(|(_, to), _| *to != process);
            }
            Act::Watch => self.watch(process),
            Act::Lose => self.losing = self.losing.or(Some(self.now)),
            Act::Tell => {
                if let Some(from) = self.losing.take() {
                    self.now += 10;
                    let lost = std::mem::take(&mut self.lost);
                    self.writer.gap(0, LossCause::Full, lost, Nanos(from), Nanos(self.now));
                    self.next += 1;
                }
            }
            Act::Commit => self.writer.commit().unwrap(),
        }
    }

    /// What is on the way comes, then it is introduced with its name.
    fn watch(&mut self, process: usize) {
        if !self.watched.insert(process) {
            return;
        }
        self.now += 10;
        let since = self.now;
        for from in 0..PROCESSES {
            while self.deliver(from, process) {}
        }
        let name = self.names.iter().find(|(_, holder)| **holder == process).map(|(name, _)| *name);
        let mut payload = vec![0];
        let name = name.map_or(atom("nil"), |name| atom(&format!("name_{name}")));
        let tokens = [
            Token::Map(2),
            Token::Word(atom("watched")),
            Token::Integer(since as i64),
            Token::Word(atom("name")),
            Token::Word(name),
        ];
        put_all(&mut payload, &tokens);
        self.event(process, Kind::Process, &payload);
    }

    fn send_in(&mut self, process: usize, to: usize, content: u8, way: Way) {
        let message = [1, content];
        let named = self.names.iter().find(|(_, holder)| **holder == to).map(|(name, _)| *name);
        let digest = i64::from(content);
        match (way, named) {
            (Way::OtherNode, _) => {
                let bytes = [&[131, 88][..], &[0; 16]].concat();
                self.send(process, None, &message, digest, Token::External(&bytes), None, None);
            }
            (Way::Name | Way::NameAndNode, Some(name)) => {
                let mut target = Vec::new();
                let name = Token::Word(atom(&format!("name_{name}")));
                if way == Way::NameAndNode {
                    value::put(&mut target, Token::Tuple(2));
                }
                value::put(&mut target, name);
                if way == Way::NameAndNode {
                    value::put(&mut target, Token::Word(atom(NODE)));
                }
                self.send_to(process, Some(to), &message, digest, &target, None, None);
            }
            _ => self.send(process, Some(to), &message, digest, word(to), None, None),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all that a message is")]
    fn send(
        &mut self,
        from: usize,
        to: Option<usize>,
        message: &[u8],
        digest: i64,
        target: Token<'_>,
        call: Option<u64>,
        answer: Option<u64>,
    ) {
        let mut bytes = Vec::new();
        value::put(&mut bytes, target);
        self.send_to(from, to, message, digest, &bytes, call, answer);
    }

    #[allow(clippy::too_many_arguments, reason = "all that a message is")]
    fn send_to(
        &mut self,
        from: usize,
        to: Option<usize>,
        message: &[u8],
        digest: i64,
        target: &[u8],
        call: Option<u64>,
        answer: Option<u64>,
    ) {
        let missing = to.is_some_and(|to| self.ended.contains(&to));
        let mut payload = vec![u8::from(missing)];
        payload.extend_from_slice(message);
        payload.extend_from_slice(target);
        value::put(&mut payload, Token::Integer(digest));
        let sent = self.event(from, Kind::Send, &payload);
        let nobody = missing || answer.is_some();
        self.truth.push(Truth { sent, from: Some(from), to, nobody, ..Truth::default() });
        let on_the_way = OnTheWay { message: self.truth.len() - 1, digest, call, answer };
        if let Some(to) = to.filter(|_| !missing) {
            self.queues.entry((from, to)).or_default().push_back(on_the_way);
        }
    }

    /// Whose message was sent first of those that are on the way to a process.
    fn first_to(&self, to: usize) -> Option<usize> {
        let mine = self.queues.iter().filter(|((_, receiver), _)| *receiver == to);
        let firsts = mine.filter_map(|((from, _), queue)| Some((queue.front()?.message, *from)));
        firsts.min().map(|(_, from)| from)
    }

    /// The next message from one process to another comes, if there is one.
    fn deliver(&mut self, from: usize, to: usize) -> bool {
        let from = self.first_to(to).filter(|_| self.given.arrival()).unwrap_or(from);
        let Some(next) = self.queues.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return false };
        // An alias that is no more in use takes nothing.
        if next.answer.is_some_and(|alias| self.aliases.remove(&alias).is_none()) {
            return true;
        }
        let sender = if self.given.named { word(from) } else { Token::Word(atom("nil")) };
        let delivered = self.receive(to, sender, &[0], next.digest);
        let truth = &mut self.truth[next.message];
        (truth.delivered, truth.came) = (delivered, true);
        if let Some(alias) = next.call {
            self.answer(to, from, alias);
        }
        true
    }

    fn answer(&mut self, process: usize, caller: usize, alias: u64) {
        let mut message = Vec::new();
        let bytes = reference(alias);
        let tokens = [
            Token::Tuple(2),
            Token::List,
            Token::Word(atom("alias")),
            Token::Tail,
            Token::External(&bytes),
            Token::Integer(1),
        ];
        put_all(&mut message, &tokens);
        let to = (!self.ended.contains(&caller)).then_some(caller);
        let digest = alias as i64 + 1;
        self.send(process, to, &message, digest, Token::External(&bytes), None, Some(alias));
    }

    fn receive(&mut self, to: usize, from: Token<'_>, message: &[u8], digest: i64) -> Option<u64> {
        let mut payload = vec![0];
        // Whatever it is; the pass does not look.
        payload.extend_from_slice(if message.len() == 1 { &[0] } else { message });
        value::put(&mut payload, from);
        value::put(&mut payload, Token::Integer(digest));
        self.event(to, Kind::Receive, &payload)
    }
}

fn run(program: &[Step], given: Given) -> (Vec<Truth>, Index) {
    let mut world = World::new(given);
    let end = [Act::Tell, Act::Commit].map(|act| Step { process: 0, act });
    let all = (0..PROCESSES * PROCESSES)
        .map(|pair| (pair / PROCESSES, pair % PROCESSES))
        .map(|(from, process)| Step { process, act: Act::Deliver { from, count: usize::MAX } });
    let rest: Vec<Step> = if given.late { all.collect() } else { Vec::new() };
    program.iter().chain(&rest).chain(&end).for_each(|step| world.step(*step));
    let mut index = Index::default();
    index.extend(&world.writer.shelf().segments());
    (world.truth, index)
}

fn id(event: Option<(u64, Nanos)>) -> Option<u64> {
    event.map(|(id, _)| id)
}

/// Every event belongs to one message, and no pair is wrong.
fn holds(truth: &[Truth], found: &[Message], given: Given) {
    let sent: BTreeMap<u64, &Truth> = truth.iter().filter_map(|one| Some((one.sent?, one))).collect();
    let delivered: BTreeMap<u64, &Truth> = truth.iter().filter_map(|one| Some((one.delivered?, one))).collect();
    let mut sends: Vec<u64> = found.iter().filter_map(|message| id(message.sent)).collect();
    sends.sort_unstable();
    assert_eq!(sends, sent.keys().copied().collect::<Vec<_>>(), "each send once");
    let mut deliveries: Vec<u64> = found.iter().filter_map(|message| id(message.delivered)).collect();
    deliveries.sort_unstable();
    assert_eq!(deliveries, delivered.keys().copied().collect::<Vec<_>>(), "each delivery once");
    for message in found {
        let (send, delivery) = (id(message.sent), id(message.delivered));
        match (send, delivery) {
            (Some(send), Some(delivery)) => {
                assert_eq!(sent[&send].delivered, Some(delivery), "{message:?}");
                assert_eq!(message.outcome, Outcome::Delivered);
                assert_eq!(message.to, sent[&send].to.map(pid));
                assert_eq!(message.from, sent[&send].from.map(pid));
            }
            (None, Some(delivery)) => {
                let true_one = delivered[&delivery];
                assert_eq!(message.to, true_one.to.map(pid));
                if message.outcome == Outcome::Delivered {
                    assert_eq!(true_one.sent, None, "{message:?}");
                } else {
                    assert_eq!(message.outcome, Outcome::Unknown);
                }
            }
            (Some(send), None) => {
                let true_one = sent[&send];
                match message.outcome {
                    Outcome::Pending => assert!(!true_one.came, "{message:?}"),
                    Outcome::Nobody => assert!(!true_one.came && true_one.nobody, "{message:?}"),
                    Outcome::Unwatched => assert_eq!(true_one.delivered, None, "{message:?}"),
                    Outcome::Unknown => assert!(given.losses || given.late || !given.named, "{message:?}"),
                    Outcome::Delivered => panic!("delivered without an event: {message:?}"),
                }
            }
            (None, None) => panic!("a message without an event"),
        }
    }
}

const WHOLE: Given = Given { named: true, losses: false, late: false, timers: true };

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_complete_recording_pairs_exactly(program in program(WHOLE)) {
        let (truth, index) = run(&program, WHOLE);
        let found = index.messages(&Wanted::default(), &WHOLE.vm());
        holds(&truth, &found, WHOLE);
        let pairs = truth.iter().filter(|one| one.sent.is_some() && one.delivered.is_some()).count();
        let known = found.iter().filter(|one| one.sent.is_some() && one.delivered.is_some()).count();
        prop_assert_eq!(known, pairs);
        prop_assert!(found.iter().all(|one| one.outcome != Outcome::Unknown));
    }

    #[test]
    fn where_events_are_missing_no_pair_is_wrong(program in program(Given { losses: true, ..WHOLE })) {
        let given = Given { losses: true, ..WHOLE };
        let (truth, index) = run(&program, given);
        holds(&truth, &index.messages(&Wanted::default(), &given.vm()), given);
    }

    #[test]
    fn without_senders_no_pair_is_wrong(program in program(Given { named: false, timers: false, ..WHOLE })) {
        let given = Given { named: false, timers: false, ..WHOLE };
        let (truth, index) = run(&program, given);
        holds(&truth, &index.messages(&Wanted::default(), &given.vm()), given);
    }

    #[test]
    fn without_senders_and_with_losses_no_pair_is_wrong(
        program in program(Given { named: false, timers: false, losses: true, ..WHOLE })
    ) {
        let given = Given { named: false, timers: false, losses: true, ..WHOLE };
        let (truth, index) = run(&program, given);
        holds(&truth, &index.messages(&Wanted::default(), &given.vm()), given);
    }

    #[test]
    fn processes_that_are_watched_late_are_paired_rightly(program in program(Given { late: true, ..WHOLE })) {
        let given = Given { late: true, ..WHOLE };
        let (truth, index) = run(&program, given);
        holds(&truth, &index.messages(&Wanted::default(), &given.vm()), given);
    }

    #[test]
    fn a_window_is_a_part_of_the_whole(
        program in program(WHOLE), since in 0u64..3_000, length in 0u64..1_000, one in 0..PROCESSES, limit in 1usize..20
    ) {
        let (_, index) = run(&program, WHOLE);
        let all = index.messages(&Wanted::default(), &WHOLE.vm());
        let time = |message: &Message| message.sent.or(message.delivered).expect("an event").1;
        let (since, until) = (Nanos(since), Nanos(since + length));
        let inside = |message: &&Message| (since..=until).contains(&time(message));
        let window = Wanted { since, until, ..Wanted::default() };
        let expected: Vec<_> = all.iter().filter(inside).cloned().collect();
        prop_assert_eq!(&index.messages(&window, &WHOLE.vm()), &expected);
        let some = Wanted { limit, ..window.clone() };
        prop_assert_eq!(&index.messages(&some, &WHOLE.vm())[..], &expected[..limit.min(expected.len())]);
        let with = Some(pid(one));
        let mine = Wanted { with: Some(vec![pid(one)]), ..window.clone() };
        let expected_mine: Vec<_> =
            expected.iter().filter(|message| message.from == with || message.to == with).cloned().collect();
        prop_assert_eq!(index.messages(&mine, &WHOLE.vm()), expected_mine);
        let also = Wanted { delivered: true, ..window };
        let came = |message: &&Message| message.delivered.is_some_and(|(_, time)| (since..=until).contains(&time));
        let expected: Vec<_> = all.iter().filter(|message| inside(message) || came(message)).cloned().collect();
        prop_assert_eq!(index.messages(&also, &WHOLE.vm()), expected);
    }

    #[test]
    fn a_pass_that_goes_on_from_a_place_gives_what_one_from_the_beginning_gives(
        program in program(Given { losses: true, ..WHOLE }),
        named: bool,
        late: bool,
        asked in proptest::collection::vec((0u64..3_000, 0u64..2_000, any::<bool>()), 1..20),
        // When gaps began that are told of long after.
        gaps in proptest::collection::vec(proptest::option::weighted(0.2, 0u64..3_000), 20),
    ) {
        let given = Given { named, late, timers: named, losses: true };
        let mut world = World::new(given);
        let mut index = Index::default();
        let mut passes = Passes::default();
        let each = program.len() / asked.len() + 1;
        let mut asked = asked.into_iter();
        // What was asked while the recording was short is known when it is long.
        for (steps, gap) in program.chunks(each).zip(gaps) {
            steps.iter().for_each(|step| world.step(*step));
            if let Some(from) = gap.filter(|from| *from < world.now) {
                world.writer.gap(0, LossCause::Full, 1, Nanos(from), Nanos(from + 10));
                world.next += 1;
            }
            world.step(Step { process: 0, act: Act::Tell });
            world.step(Step { process: 0, act: Act::Commit });
            index.extend(&world.writer.shelf().segments());
            let Some((since, length, delivered)) = asked.next() else { continue };
            let since = Nanos(since.min(world.now));
            let wanted = Wanted { since, until: Nanos(since.0 + length), delivered, ..Wanted::default() };
            let place = passes.before(since);
            let (found, place) = index.messages_from(&wanted, &given.vm(), place, 1);
            place.into_iter().for_each(|place| passes.keep(place));
            prop_assert_eq!(found, index.messages(&wanted, &given.vm()));
        }
    }

    #[test]
    fn rows_are_found_by_their_numbers(program in program(WHOLE), chosen in proptest::collection::vec(0u64..1_000, 0..30)) {
        let (_, index) = run(&program, WHOLE);
        let ids: Vec<u64> = chosen.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let expected: Vec<u64> = ids.iter().copied().filter(|id| index.event(*id).is_some()).collect();
        let found: Vec<u64> = index.rows(&ids).iter().map(|row| row.id).collect();
        prop_assert_eq!(found, expected);
    }
}
