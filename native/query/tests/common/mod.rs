//! A made-up program whose every step is known, and a store that holds what of it was recorded.
#![allow(dead_code, reason = "each test file uses a part of it")]

use elixir_scope_clock::{Nanos, Ticks};
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, LossCause, Pid, Record, Site, StateOrigin, varint};
use elixir_scope_query::{Base, Index, Row, States, state_number};
use elixir_scope_segment::Segment;
use elixir_scope_store::{Limits, Manifest, Meaning, Run, Writer};
use proptest::prelude::*;
use std::sync::Arc;

pub const PROCESSES: usize = 3;

/// What a process, or the recording, does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Call(u64),
    Return,
    Raise,
    /// The frame goes to the function that is called next.
    Tail,
    /// The frame goes to code that nobody records.
    GiveUp,
    State(i64),
    /// The process says that this is its name.
    Introduce(u64),
    /// It leaves a bookmark.
    Mark(i64),
    /// From here on events are lost.
    Lose,
    /// Up to here, and the store is told.
    Tell,
    Pause,
    Resume,
    /// What there is goes into a block.
    Commit,
}

/// An act of a process, so many nanoseconds after the one before, stamped a little earlier than it was stored.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub process: usize,
    pub act: Act,
    pub passed: u64,
    pub late: u64,
}

pub fn program(losses: bool) -> impl Strategy<Value = Vec<Step>> {
    let often = prop_oneof![
        6 => (1u64..4).prop_map(Act::Call),
        5 => Just(Act::Return),
        1 => Just(Act::Raise),
        2 => Just(Act::Tail),
        1 => Just(Act::GiveUp),
        2 => (0i64..100).prop_map(Act::State),
        1 => (0u64..3).prop_map(Act::Introduce),
        1 => (0i64..3).prop_map(Act::Mark),
        2 => Just(Act::Commit),
    ];
    let seldom = prop_oneof![Just(Act::Lose), Just(Act::Tell), Just(Act::Pause), Just(Act::Resume)];
    let act = if losses { prop_oneof![20 => often, 1 => seldom].boxed() } else { often.boxed() };
    let step = (0..PROCESSES, act, 0u64..4, 0u64..3).prop_map(|(process, act, passed, late)| Step {
        process,
        act,
        passed,
        late,
    });
    proptest::collection::vec(step, 0..250)
}

/// An event as it must come back.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub kind: Kind,
    pub time: u64,
    pub process: Option<usize>,
    pub site: Option<u64>,
    pub payload: Vec<u8>,
}

/// How a call truly ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Open,
    /// By the event of this number; `None` when it was lost.
    By(Option<u64>, Kind),
    GivenUp,
}

/// A call as it truly was.
#[derive(Clone, Debug)]
pub struct TrueCall {
    /// The number of its event; `None` when that was lost.
    pub id: Option<u64>,
    pub began: u64,
    /// The innermost call around it whose event was recorded.
    pub parent: Option<usize>,
    /// The call that began the chain of tail calls which this one goes on with.
    pub chain: Option<usize>,
    pub tail: bool,
    pub end: End,
    pub ended: u64,
}

struct Frame {
    site: u64,
    call: usize,
    /// Calls that gave their frames up to this one.
    given: Vec<usize>,
}

/// All that happened, and what of it the store holds.
#[derive(Default)]
pub struct Truth {
    pub events: Vec<Plain>,
    pub calls: Vec<TrueCall>,
    /// Which process said when that this was its name.
    pub names: Vec<(usize, u64, u64)>,
    pub gaps: Vec<(u64, u64)>,
    pub paused: Option<u64>,
    pub now: u64,
    stacks: [Vec<Frame>; PROCESSES],
    tails: [Option<Vec<usize>>; PROCESSES],
    last: [u64; PROCESSES],
    losing: Option<u64>,
    lost: u64,
    /// How many states of each process were recorded.
    states: [u64; PROCESSES],
}

/// What a state is made of by its number: those of the keyframe, of the anchor, and of the changes since.
pub fn made_of(number: u64) -> (u64, Option<u64>, Vec<u64>) {
    let keyframe = number - number % 7;
    let anchor = [5, 3].map(|place| keyframe + place).into_iter().find(|anchor| *anchor <= number);
    (keyframe, anchor, (anchor.unwrap_or(keyframe) + 1..=number).collect())
}

/// The state event of a number.
fn state_event(number: u64, state: i64) -> (Kind, Vec<u8>) {
    let mut payload = Vec::new();
    varint::put(&mut payload, StateOrigin::Callback.pack(number));
    value::put(&mut payload, Token::Integer(state));
    let (keyframe, anchor, _) = made_of(number);
    if anchor == Some(number) {
        value::put(&mut payload, Token::Integer(keyframe as i64));
        value::put(&mut payload, Token::Integer(state));
        return (Kind::Anchor, payload);
    }
    (if number == keyframe { Kind::State } else { Kind::Change }, payload)
}

impl Truth {
    /// Does the step; the answer is the event to store, if it was recorded.
    pub fn step(&mut self, step: Step) -> Option<Plain> {
        self.now += step.passed;
        let (now, process) = (self.now, step.process);
        let recording = |kind, payload| Some(Plain { kind, time: now, process: None, site: None, payload });
        match step.act {
            Act::Commit => return None,
            Act::Lose => {
                self.losing = self.losing.or(Some(now));
                return None;
            }
            Act::Tell => {
                let from = self.losing.take()?;
                self.gaps.push((from, now));
                let mut payload = vec![LossCause::Full as u8];
                for number in [std::mem::take(&mut self.lost), from, now] {
                    value::put(&mut payload, Token::Integer(number as i64));
                }
                let gap = Plain { kind: Kind::Gap, time: from, process: None, site: None, payload };
                return self.store(gap);
            }
            Act::Pause => {
                self.paused = self.paused.or(Some(now));
                return recording(Kind::Pause, vec![0]).and_then(|event| self.store(event));
            }
            Act::Resume => {
                self.gaps.extend(self.paused.take().map(|from| (from, now)));
                return recording(Kind::Resume, vec![0]).and_then(|event| self.store(event));
            }
            _ => {}
        }
        let silent = self.losing.is_some() || self.paused.is_some();
        let late = if silent { 0 } else { step.late };
        let time = now.saturating_sub(late).max(self.last[process]);
        self.last[process] = time;
        let id = (!silent).then_some(self.events.len() as u64);
        let (kind, site, payload) = self.act(process, step.act, time, id)?;
        if silent {
            self.lost += 1;
            return None;
        }
        if let Act::Introduce(name) = step.act {
            self.names.push((process, name, time));
        }
        self.store(Plain { kind, time, process: Some(process), site, payload })
    }

    fn store(&mut self, event: Plain) -> Option<Plain> {
        let named = event.kind == Kind::Process;
        self.events.push(Plain { payload: if named { Vec::new() } else { event.payload.clone() }, ..event });
        Some(event)
    }

    fn act(
        &mut self,
        process: usize,
        act: Act,
        time: u64,
        id: Option<u64>,
    ) -> Option<(Kind, Option<u64>, Vec<u8>)> {
        // A tail call is followed by the call that it is.
        let act = match (act, &self.tails[process]) {
            (Act::State(_) | Act::Introduce(_) | Act::Mark(_) | Act::Call(_), _) | (_, None) => act,
            _ => Act::Call(1 + time % 3),
        };
        match act {
            Act::State(state) => {
                let (kind, payload) = state_event(self.states[process], state);
                // One that is lost is not counted: the next one is told by its difference to the one before.
                self.states[process] += u64::from(id.is_some());
                Some((kind, None, payload))
            }
            Act::Mark(label) => {
                let mut payload = vec![0];
                value::put(&mut payload, Token::Integer(label));
                Some((Kind::Mark, None, payload))
            }
            Act::Introduce(name) => {
                let mut payload = vec![0];
                value::put(&mut payload, Token::Map(2));
                for word in [LABEL, name_word(name), NAME, name_word(name)] {
                    value::put(&mut payload, Token::Word(word));
                }
                Some((Kind::Process, None, payload))
            }
            Act::Call(site) => {
                let around = self.stacks[process].iter().rev().map(|frame| frame.call);
                let parent = around.into_iter().find(|call| self.calls[*call].id.is_some());
                let given = self.tails[process].take().unwrap_or_default();
                self.calls.push(TrueCall {
                    id,
                    began: time,
                    parent,
                    chain: given.first().copied(),
                    tail: false,
                    end: End::Open,
                    ended: u64::MAX,
                });
                self.stacks[process].push(Frame { site, call: self.calls.len() - 1, given });
                Some((Kind::Call, Some(site), vec![1]))
            }
            _ => {
                let Frame { site, call, given } = self.stacks[process].pop()?;
                let calls = [given, vec![call]].concat();
                let (kind, end) = match act {
                    Act::Return => (Kind::Return, Some(End::By(id, Kind::Return))),
                    Act::Raise => (Kind::Raise, Some(End::By(id, Kind::Raise))),
                    Act::GiveUp => (Kind::Tail, Some(End::GivenUp)),
                    _ => (Kind::Tail, None),
                };
                if kind == Kind::Tail {
                    calls.iter().for_each(|call| self.calls[*call].tail = true);
                }
                match end {
                    Some(end) => {
                        for call in calls {
                            (self.calls[call].end, self.calls[call].ended) = (end, time);
                        }
                    }
                    None => self.tails[process] = Some(calls),
                }
                Some((kind, Some(site), vec![u8::from(act == Act::GiveUp)]))
            }
        }
    }

    /// The calls of a process that were open before the event of a number, innermost first. Nothing was lost.
    pub fn open_before(&self, process: usize, before: u64) -> Vec<u64> {
        let mut open: Vec<(Option<u64>, u64)> = Vec::new();
        for (id, event) in (0..before).zip(&self.events).filter(|(_, event)| event.process == Some(process)) {
            match event.kind {
                Kind::Call => open.push((event.site, id)),
                Kind::Return | Kind::Raise | Kind::Tail => drop(open.pop()),
                _ => {}
            }
        }
        open.into_iter().rev().map(|(_, id)| id).collect()
    }

    /// Whether the store knows that events may be missing between two times.
    pub fn has_gap(&self, from: u64, to: u64) -> bool {
        self.paused.is_some_and(|since| since < to) || self.gaps.iter().any(|gap| gap.0 <= to && gap.1 >= from)
    }
}

struct Words;

/// The atoms `name` and `label`, as words.
const NAME: u64 = 1_000;
const LABEL: u64 = 1_001;

/// The atom of a name, as a word.
fn name_word(name: u64) -> u64 {
    1_002 + name
}

impl Meaning for Words {
    fn word(&self, word: u64) -> Option<Definition> {
        let atom = |text: String| Some(Definition::Atom(text));
        match word {
            NAME => return atom("name".into()),
            LABEL => return atom("label".into()),
            1_002.. => return atom(format!("name_{}", word - 1_002)),
            _ => {}
        }
        Some(Definition::Process(Pid { id: word as u32, serial: 0 }, vec![]))
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        let (module, function, file) = ("Elixir.M".into(), format!("f{key}"), "m.ex".into());
        Some(Arc::new(Site { key, node: key, module, function, arity: 0, file, line: 1, ..Site::default() }))
    }
}

/// The program's recording, and the index of it: built at once, and step by step as blocks came.
pub struct Recorded {
    pub truth: Truth,
    pub index: Index,
    pub grown: Index,
    pub segments: Vec<Arc<Segment>>,
}

pub fn record(program: &[Step], segment_bytes: usize) -> Recorded {
    record_and(program, segment_bytes, |_, _, _| {})
}

/// As [`record`], with something done after each commit.
pub fn record_and(
    program: &[Step],
    segment_bytes: usize,
    mut after: impl FnMut(&Run, &Writer, &Truth),
) -> Recorded {
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest { started: Nanos(0), os_pid: 1, node: String::new(), vm: String::new() };
    let run = Run::create(dir.path(), "run", &manifest).unwrap();
    let mut writer =
        Writer::create(run.path(), Limits { segment_bytes, record_bytes: 0, ..Limits::default() }).unwrap();
    let (mut truth, mut grown) = (Truth::default(), Index::default());
    // Commit at the end, after what was lost has been told.
    let end = [Act::Tell, Act::Commit].map(|act| Step { process: 0, act, passed: 1, late: 0 });
    for step in program.iter().chain(&end) {
        if let Some(event) = truth.step(*step) {
            push(&mut writer, &event);
        }
        if step.act == Act::Commit {
            writer.commit().unwrap();
            after(&run, &writer, &truth);
            grown.extend(&writer.shelf().segments());
        }
    }
    let mut index = Index::default();
    let segments = writer.shelf().segments().to_vec();
    index.extend(&segments);
    Recorded { truth, index, grown, segments }
}

fn push(writer: &mut Writer, event: &Plain) {
    let process = event.process.map_or(0, |process| process as u64 + 1);
    let Plain { kind, time, payload, .. } = event;
    match (kind, event.process) {
        (Kind::Gap, None) => {
            let mut rest = &payload[1..];
            let mut number = || match value::take(&mut rest) {
                Ok(Token::Integer(number)) => number as u64,
                other => panic!("expected a number, found {other:?}"),
            };
            let (count, from, to) = (number(), Nanos(number()), Nanos(number()));
            writer.gap(0, LossCause::Full, count, from, to);
        }
        (_, None) => writer.note(*kind, Nanos(*time)),
        _ => {
            let site = event.site.unwrap_or(0);
            let record = Record { kind: *kind, ticks: Ticks(0), process, site, payload };
            writer.push(0, Nanos(*time), &record, &Words).unwrap();
        }
    }
}

/// The pid of a process of the program.
pub fn pid(process: usize) -> Pid {
    Pid { id: process as u32 + 1, serial: 0 }
}

/// A row as an event of the program.
pub fn plain(row: &Row) -> Plain {
    let process = row.process.map(|pid| pid.id as usize - 1);
    assert!(varint::take(&mut &row.payload[..]).is_ok());
    // What a name is called in a segment is another matter.
    let payload = if row.kind == Kind::Process { Vec::new() } else { row.payload.clone() };
    Plain { kind: row.kind, time: row.time.0, process, site: row.site, payload }
}

/// What a state is made of is found, and is that.
pub fn finds_the_chain(index: &Index, row: &Row) {
    let number = |row: &Row| state_number(&row.payload).expect("a state has a number");
    let (pid, id) = (row.process.expect("a state has a process"), row.id);
    let chain = States::new(index).chain(pid, id, |_| None).expect("no part of it is missing");
    let changes = || chain.changes.iter().map(number).collect::<Vec<_>>();
    let (found, last) = match &chain.base {
        Base::Keyframe(keyframe) => ((number(keyframe), None, changes()), keyframe.id),
        Base::Anchor { keyframe, anchor } => ((number(keyframe), Some(number(anchor)), changes()), anchor.id),
        Base::Known(_) => panic!("nothing was known"),
    };
    assert_eq!(found, made_of(number(row)));
    assert_eq!(chain.changes.last().map_or(last, |change| change.id), id);
    // What is at hand need not be made.
    if let [before, .., _] = &chain.changes[..] {
        let has = |id| (id == before.id).then(|| number(before));
        let shorter = States::new(index).chain(pid, id, has).expect("no part of it is missing");
        assert!(matches!(shorter.base, Base::Known(known) if known == before.id));
        assert_eq!(shorter.changes.len() + 1, chain.changes.len());
    }
}
