//! What the pass reads of payloads: whom to, whom from, the digest, and of the message whether it is a call.

use super::process::Processes;
use crate::part::Defined;
use crate::volume::Volume;
use ahash::{AHashMap, RandomState};
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Pid, varint};

/// Where a message was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    Process(u32),
    Name(u32),
    /// The digest of a reference.
    Alias(u64),
    /// A port, or another node.
    Elsewhere,
}

/// Who the VM says sent what was delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    Process(u32),
    /// No process of this node: a timer, the runtime, another node.
    Elsewhere,
    /// It does not say.
    Unknown,
}

/// A send, without the message.
pub(super) struct Send {
    pub(super) target: Target,
    pub(super) digest: i64,
    /// There was no such process.
    pub(super) missing: bool,
    /// It holds what is made once, so there is no other one like it.
    pub(super) unique: bool,
    /// The alias that is to be answered to, and whose it is.
    pub(super) call: Option<(u64, u32)>,
}

/// A delivery, without the message.
pub(super) struct Receive {
    pub(super) origin: Origin,
    pub(super) digest: i64,
    /// As of a send, which may not have been seen.
    pub(super) call: Option<(u64, u32)>,
    /// It is the atom `timeout` alone, which the VM also tells when a `receive` gives up.
    pub(super) timeout: bool,
}

/// What a process was introduced as.
#[derive(Default)]
pub(super) struct About {
    /// Since when its messages are recorded.
    pub(super) watched: Option<Nanos>,
    /// Since when they are not.
    pub(super) unwatched: Option<Nanos>,
    pub(super) name: Option<u32>,
}

/// Atoms by numbers of the pass.
#[derive(Clone)]
pub(super) struct Names {
    atoms: AHashMap<String, u32>,
    hasher: RandomState,
}

/// The first atoms that there are. A node that has no name yet has the last of these.
const ATOMS: [&str; 9] =
    ["nil", "undefined", "$gen_call", "alias", "name", "watched", "unwatched", "timeout", "nonode@nohost"];
const NIL: u32 = 0;
const UNDEFINED: u32 = 1;
const GEN_CALL: u32 = 2;
const ALIAS: u32 = 3;
const NAME: u32 = 4;
const WATCHED: u32 = 5;
const UNWATCHED: u32 = 6;
const TIMEOUT: u32 = 7;
const NO_NODE: u32 = 8;
const NODE: u32 = 9;

impl Names {
    /// With the name of the node that recorded.
    pub(super) fn new(node: &str) -> Self {
        let mut atoms: AHashMap<String, u32> =
            ATOMS.iter().zip(0..).map(|(text, number)| ((*text).to_string(), number)).collect();
        atoms.entry(node.to_string()).or_insert(NODE);
        Names { atoms, hasher: RandomState::new() }
    }

    fn atom(&mut self, text: &str) -> u32 {
        if let Some(number) = self.atoms.get(text) {
            return *number;
        }
        let number = self.atoms.len() as u32 + NODE;
        self.atoms.insert(text.to_string(), number);
        number
    }
}

/// What a number of a segment stands for.
#[derive(Clone, Copy)]
enum Word {
    Process(u32),
    Atom(u32),
    Other,
}

/// The definitions of a segment, each looked up once.
pub(super) struct Words<'a> {
    volume: &'a Volume,
    pids: AHashMap<u32, Option<Pid>>,
    known: AHashMap<u64, Word>,
}

impl<'a> Words<'a> {
    pub(super) fn new(volume: &'a Volume) -> Self {
        Words { volume, pids: AHashMap::new(), known: AHashMap::new() }
    }

    pub(super) fn process(&mut self, number: Option<u32>) -> Option<Pid> {
        *self.pids.entry(number?).or_insert_with(|| self.volume.pid(number))
    }

    fn word(&mut self, number: u64, names: &mut Names, processes: &mut Processes) -> Word {
        let volume = self.volume;
        *self.known.entry(number).or_insert_with(|| match volume.definition(number) {
            Some(Defined::Process(pid, _)) => Word::Process(processes.number(pid)),
            Some(Defined::Other(Definition::Atom(text))) => Word::Atom(names.atom(text)),
            _ => Word::Other,
        })
    }

    fn atom(&mut self, rest: &mut &[u8], names: &mut Names, processes: &mut Processes) -> Option<u32> {
        match value::take(rest).ok()? {
            Token::Reference(number) => match self.word(number, names, processes) {
                Word::Atom(atom) => Some(atom),
                _ => None,
            },
            _ => None,
        }
    }

    /// `None`: the bytes do not follow the format.
    pub(super) fn send(
        &mut self,
        payload: &[u8],
        names: &mut Names,
        processes: &mut Processes,
    ) -> Option<Send> {
        let mut rest = payload;
        let missing = varint::take(&mut rest).ok()? != 0;
        let message = rest;
        value::skip(&mut rest).ok()?;
        let message = &message[..message.len() - rest.len()];
        let (target, alias) = self.target(&mut rest, names, processes)?;
        let digest = digest(&mut rest)?;
        let call = self.call(message, names, processes);
        let answers = alias.is_some_and(|alias| holds(message, alias));
        let unique = call.is_some() || answers;
        Some(Send { target, digest, missing, unique, call: call.flatten() })
    }

    /// The target, and the bytes of the alias.
    fn target<'p>(
        &mut self,
        rest: &mut &'p [u8],
        names: &mut Names,
        processes: &mut Processes,
    ) -> Option<(Target, Option<&'p [u8]>)> {
        let target = match value::take(rest).ok()? {
            Token::Reference(number) => match self.word(number, names, processes) {
                Word::Process(process) => Target::Process(process),
                Word::Atom(name) => Target::Name(name),
                Word::Other => Target::Elsewhere,
            },
            Token::External(bytes) if is_reference(bytes) => {
                return Some((Target::Alias(names.hasher.hash_one(bytes)), Some(bytes)));
            }
            Token::External(_) => Target::Elsewhere,
            Token::Tuple(2) => {
                let name = self.atom(rest, names, processes)?;
                let node = self.atom(rest, names, processes)?;
                if matches!(node, NODE | NO_NODE) { Target::Name(name) } else { Target::Elsewhere }
            }
            _ => return None,
        };
        Some((target, None))
    }

    /// Of a call made with OTP its alias and the process that has it, if there is an alias.
    fn call(
        &mut self,
        message: &[u8],
        names: &mut Names,
        processes: &mut Processes,
    ) -> Option<Option<(u64, u32)>> {
        let mut rest = message;
        if value::take(&mut rest) != Ok(Token::Tuple(3))
            || self.atom(&mut rest, names, processes)? != GEN_CALL
            || value::take(&mut rest) != Ok(Token::Tuple(2))
        {
            return None;
        }
        let caller = match value::take(&mut rest).ok()? {
            Token::Reference(number) => match self.word(number, names, processes) {
                Word::Process(process) => Some(process),
                _ => return None,
            },
            _ => None,
        };
        match value::take(&mut rest).ok()? {
            Token::External(bytes) if is_reference(bytes) => Some(None),
            Token::List => {
                let tagged = self.atom(&mut rest, names, processes)? == ALIAS;
                match (value::take(&mut rest).ok()?, value::take(&mut rest).ok()?) {
                    (Token::Tail, Token::External(bytes)) if tagged && is_reference(bytes) => {
                        Some(caller.map(|caller| (names.hasher.hash_one(bytes), caller)))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What is read of a delivery.
    pub(super) fn receive(
        &mut self,
        payload: &[u8],
        names: &mut Names,
        processes: &mut Processes,
    ) -> Option<Receive> {
        let mut rest = payload;
        varint::take(&mut rest).ok()?;
        let message = rest;
        value::skip(&mut rest).ok()?;
        let call = self.call(&message[..message.len() - rest.len()], names, processes).flatten();
        let timeout = self.atom(&mut &message[..], names, processes) == Some(TIMEOUT);
        let origin = match value::take(&mut rest).ok()? {
            Token::Reference(number) => match self.word(number, names, processes) {
                Word::Process(process) => Origin::Process(process),
                Word::Atom(NIL | UNDEFINED) => Origin::Unknown,
                _ => Origin::Elsewhere,
            },
            _ => Origin::Elsewhere,
        };
        Some(Receive { origin, digest: digest(&mut rest)?, call, timeout })
    }

    pub(super) fn introduction(
        &mut self,
        payload: &[u8],
        names: &mut Names,
        processes: &mut Processes,
    ) -> About {
        let mut about = About::default();
        let mut rest = payload;
        if varint::take(&mut rest).is_err() {
            return about;
        }
        let Ok(Token::Map(pairs)) = value::take(&mut rest) else { return about };
        for _ in 0..pairs {
            match self.atom(&mut rest, names, processes) {
                Some(WATCHED) => {
                    if let Ok(Token::Integer(time)) = value::take(&mut &rest[..]) {
                        about.watched = Some(Nanos(time as u64));
                    }
                }
                Some(UNWATCHED) => {
                    if let Ok(Token::Integer(time)) = value::take(&mut &rest[..]) {
                        about.unwatched = Some(Nanos(time as u64));
                    }
                }
                Some(NAME) => {
                    let mut name = rest;
                    about.name = self.atom(&mut name, names, processes).filter(|name| *name != NIL);
                }
                Some(_) => {}
                None => return about,
            }
            if value::skip(&mut rest).is_err() {
                return about;
            }
        }
        about
    }

    /// Whether a name was given, and which.
    pub(super) fn name(
        &mut self,
        payload: &[u8],
        names: &mut Names,
        processes: &mut Processes,
    ) -> Option<(bool, u32)> {
        let mut rest = payload;
        let given = varint::take(&mut rest).ok()? == 0;
        Some((given, self.atom(&mut rest, names, processes)?))
    }
}

fn digest(rest: &mut &[u8]) -> Option<i64> {
    match value::take(rest).ok()? {
        Token::Integer(digest) => Some(digest),
        _ => None,
    }
}

/// Whether bytes are a reference in the external term format.
fn is_reference(bytes: &[u8]) -> bool {
    matches!(bytes, [131, 90 | 114, ..])
}

/// Whether a message has a reference in it.
fn holds(message: &[u8], reference: &[u8]) -> bool {
    message.windows(reference.len()).any(|window| window == reference)
}
