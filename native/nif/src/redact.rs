//! The rules of redaction, as the walks over terms ask them.
//!
//! Rules belong to a session, and a thread keeps those of the session that it records for, with what they have said: two bits
//! for each atom (asked; what it is), and a small table of texts. So a key that was seen before costs a nanosecond, and nothing is
//! locked or allocated for it. Reading the name of an atom is what the first sight costs.

use crate::heap::{self, Boxed};
use crate::immediate::{self, Immediate};
use crate::meaning::atom_text;
use crate::vm::{self, Env, Kind, Word};
use ahash::{AHashMap, AHashSet, RandomState};
use arc_swap::ArcSwap;
use elixir_scope_capture::{Pen, Session, Slot, Table};
use elixir_scope_event::value::CutKind;
use elixir_scope_redaction::{
    Keys, Mentioned, Names, Secrecy, Structs, begins_with_scheme, holds_secret, may_hold, scrub,
};
use parking_lot::Mutex;
use rustler::NifMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The rules as Elixir gives them.
#[derive(NifMap)]
pub struct Asked<'a> {
    keys: Vec<String>,
    patterns: Vec<String>,
    fields: Vec<(rustler::Atom, rustler::Atom)>,
    functions: Vec<(rustler::Atom, rustler::Atom, u8)>,
    views: Vec<(rustler::Atom, rustler::Term<'a>, Vec<rustler::Atom>)>,
}

/// A function: module, name, arity.
type Function = (u64, u64, u8);

/// The rules of a session.
pub struct Rules {
    keys: Keys,
    /// By module.
    structs: AHashMap<u64, Shape>,
    /// The same by its name.
    named: AHashMap<String, Shape>,
    /// The same, as far as fields are secret, for texts.
    told: Structs,
    /// Functions of which no value is recorded: by the names of module and function, with those within them.
    functions: AHashSet<(String, String, u8)>,
    /// The same as words.
    whole: AHashSet<Function>,
    /// Functions of whose arguments some are not recorded in stack frames, and in other tuples that say how they are called: those,
    /// and others that have secret arguments, from their first call on. Also each `init/1`, with secret arguments or without.
    frames: ArcSwap<AHashMap<Function, Mask>>,
    has_frames: AtomicBool,
}

/// What is not shown of a struct.
#[derive(Clone, Default)]
struct Shape {
    secret: Vec<Field>,
    view: View,
    /// It is an address, in which there need not be a user: a secret field without one is shown.
    address: bool,
}

/// A field, as a word and by its name.
type Field = (u64, String);

#[derive(Clone, Default)]
enum View {
    #[default]
    All,
    Only(Vec<Field>),
    Except(Vec<Field>),
}

impl Shape {
    fn hides(&self, is: impl Fn(&Field) -> bool) -> Option<CutKind> {
        if self.secret.iter().any(&is) {
            return Some(CutKind::Redacted);
        }
        let shown = match &self.view {
            View::All => true,
            View::Only(fields) => fields.iter().any(is),
            View::Except(fields) => !fields.iter().any(is),
        };
        (!shown).then_some(CutKind::LeftOut)
    }

    /// How a field with a value is kept out.
    fn hides_value(&self, env: Env<'_>, key: Word, value: Word) -> Option<CutKind> {
        let hidden = self.hides(|(field, _)| *field == vm::bits(key));
        hidden.filter(|kind| *kind != CutKind::Redacted || !self.address || !has_no_user(env, key, value))
    }
}

/// Whether a secret field of an address holds no user: it is `nil`, or the authority of one without.
fn has_no_user(env: Env<'_>, key: Word, value: Word) -> bool {
    let authority = || vm::bits(key) == vm::bits(words().authority);
    env.kind(value) == Kind::Atom || authority() && env.binary(value).is_some_and(|text| !text.contains(&b'@'))
}

impl Asked<'_> {
    /// The rules; `None` when a word of them is not known.
    pub fn rules(&self, env: Env<'_>) -> Option<Rules> {
        let text = |atom: &rustler::Atom| atom_text(env, atom.as_c_arg());
        let bits = |atom: &rustler::Atom| vm::bits(atom.as_c_arg());
        let field = |atom: &rustler::Atom| Some((bits(atom), text(atom)?));
        let (mut structs, mut named) = (AHashMap::<u64, Shape>::new(), AHashMap::new());
        for (module, secret) in &self.fields {
            structs.entry(bits(module)).or_default().secret.push(field(secret)?);
        }
        for (module, how, fields) in &self.views {
            let mut fields = fields.iter().map(field).collect::<Option<Vec<_>>>()?;
            let how = atom_text(env, vm::word_of(*how))?;
            structs.entry(bits(module)).or_default().view = match how.as_str() {
                "only" => {
                    // Without it a struct is none.
                    fields.push((vm::bits(words().marker), "__struct__".into()));
                    View::Only(fields)
                }
                "except" => View::Except(fields),
                _ => return None,
            };
        }
        if let Some(shape) = structs.get_mut(&vm::bits(words().uri)) {
            shape.address = true;
        }
        for module in self.fields.iter().map(|(module, _)| module).chain(self.views.iter().map(|view| &view.0))
        {
            named.insert(text(module)?, structs[&bits(module)].clone());
        }
        let told = self.fields.iter().map(|(module, secret)| Some((text(module)?, text(secret)?)));
        let told = told.collect::<Option<Vec<_>>>()?;
        let functions = self.functions.iter();
        let functions = functions.map(|(module, name, arity)| Some((text(module)?, text(name)?, *arity)));
        let whole: AHashSet<Function> =
            self.functions.iter().map(|(module, name, arity)| (bits(module), bits(name), *arity)).collect();
        let all = Mask { all: true, ..Mask::default() };
        let frames: AHashMap<Function, Mask> = whole.iter().map(|function| (*function, all)).collect();
        Some(Rules {
            keys: Keys::new(self.keys.iter().map(String::as_str), self.patterns.iter().map(String::as_str)),
            structs,
            named,
            told: Structs::new(told.iter().map(|(module, field)| (module.as_str(), field.as_str()))),
            functions: functions.collect::<Option<_>>()?,
            whole,
            has_frames: AtomicBool::new(!frames.is_empty()),
            frames: ArcSwap::from_pointee(frames),
        })
    }
}

struct Words {
    /// `__struct__`.
    marker: Word,
    /// `URI`, and its field.
    uri: Word,
    authority: Word,
}

mod names {
    rustler::atoms! {
        marker = "__struct__", uri = "Elixir.URI", authority, proc_lib, init_p, generic = "gen", init_it, init, function, child_spec, start_link, supervisor,
        dynamic_supervisor = "Elixir.DynamicSupervisor",
        default_supervisor = "Elixir.Supervisor.Default",
        task_supervisor = "Elixir.Task.Supervisor",
        agent_server = "Elixir.Agent.Server"
    }
}

fn words() -> Words {
    Words {
        marker: names::marker().as_c_arg(),
        uri: names::uri().as_c_arg(),
        authority: names::authority().as_c_arg(),
    }
}

/// The rules of the last sessions, by their numbers.
static SESSIONS: Mutex<Vec<(u64, Option<Arc<Rules>>)>> = Mutex::new(Vec::new());

/// So many are kept: of those before, no thread is within an event any more.
const SESSIONS_KEPT: usize = 16;

/// Says which rules a session has. To be called before it begins to record.
pub fn publish(session: &Session, rules: Option<Rules>) {
    let mut sessions = SESSIONS.lock();
    if sessions.len() >= SESSIONS_KEPT {
        sessions.remove(0);
    }
    if rules.is_some() {
        session.set_rules();
    }
    sessions.push((session.generation(), rules.map(Arc::new)));
}

fn rules_of(generation: u64) -> Option<Arc<Rules>> {
    let sessions = SESSIONS.lock();
    let found = sessions.iter().find(|(own, _)| *own == generation).or(sessions.last());
    found.and_then(|(_, rules)| rules.clone())
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Verdict {
    Plain = PLAIN,
    Secret = SECRET,
    /// `__struct__`.
    Marker = MARKER,
}

const PLAIN: u64 = 1;
const SECRET: u64 = 2;
const MARKER: u64 = 3;

/// Of texts: the name of a secret.
const NAME: u64 = 1;
/// The name of a secret field of a struct.
const FIELD: u64 = 2;

/// Texts of which is remembered what they are.
const TEXTS: usize = 1 << 12;

/// Letters of the longest charlist that is a key.
const LETTERS: usize = 64;

/// Frames of a stack that are looked at.
const FRAMES: usize = 256;

/// Characters of the longest charlist in which secrets are looked for.
const CHARLIST: usize = 4_096;

/// The rules as one thread keeps them.
pub struct Guard {
    rules: Option<Arc<Rules>>,
    /// Of atoms as keys: a [`Verdict`] each. Both tables lie in the slot while nobody works with the guard.
    atoms: Table,
    /// Of atoms as modules of structs: plain when all is shown.
    modules: Table,
    /// Of atoms as keys whose numbers are not known, or large.
    others: AHashMap<u64, Verdict>,
    /// Hashes of texts; the last two bits say what it is as a name.
    texts: Vec<u64>,
    hashes: RandomState,
    masks: AHashMap<u64, Mask>,
    /// For texts that are made anew. It holds nothing between them.
    scratch: Vec<u8>,
    letters: Vec<u8>,
    mentioned: Mentioned,
}

/// The calling thread's guard, to be given back. A slot is that of one session.
pub fn take(session: &Session, slot: &mut Slot) -> Box<Guard> {
    let rest = slot.rest.take().and_then(|rest| rest.downcast().ok());
    let mut guard: Box<Guard> = rest.unwrap_or_else(|| Guard::new(session.generation()));
    std::mem::swap(&mut guard.atoms, &mut slot.keys);
    std::mem::swap(&mut guard.modules, &mut slot.modules);
    guard
}

/// Gives it back.
pub fn give(slot: &mut Slot, mut guard: Box<Guard>) {
    std::mem::swap(&mut guard.atoms, &mut slot.keys);
    std::mem::swap(&mut guard.modules, &mut slot.modules);
    slot.rest = Some(guard);
}

/// Works with the calling thread's guard.
pub fn with<R>(pen: &mut Pen<'_>, work: impl FnOnce(&mut Guard, &mut Pen<'_>) -> R) -> R {
    let (session, slot) = pen.session_and_slot();
    let mut guard = take(session, slot);
    let result = work(&mut guard, pen);
    give(pen.slot(), guard);
    result
}

/// The same, where nothing is written yet.
pub fn with_slot<R>(session: &Session, slot: &mut Slot, work: impl FnOnce(&mut Guard) -> R) -> R {
    let mut guard = take(session, slot);
    let result = work(&mut guard);
    give(slot, guard);
    result
}

/// Whether all of a map is shown, which was read where it lies: its keys are atoms that are known to be no names of secrets,
/// and it is a struct of which all is shown, or none.
#[inline]
pub fn is_plain(slot: &Slot, keys: &[Word], values: &[Word]) -> bool {
    keys.iter().zip(values).all(|(key, value)| {
        match immediate::small_atom(*key).map(|atom| slot.keys.at(atom)) {
            Some(PLAIN) => true,
            Some(MARKER) => {
                immediate::small_atom(*value).is_some_and(|module| slot.modules.at(module) == PLAIN)
            }
            _ => false,
        }
    })
}

/// Whether the first of a pair is known to be no name of a secret, without a look at more than the word.
#[inline]
pub fn is_plain_key(slot: &Slot, key: Word) -> bool {
    match immediate::small_atom(key).filter(|_| immediate::is_used()) {
        Some(atom) => matches!(slot.keys.at(atom), PLAIN | MARKER),
        None => matches!(immediate::read(key), Immediate::Small(_)),
    }
}

/// Which values of a site's events are not recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask {
    places: [u64; 4],
    /// None is.
    pub all: bool,
    /// Texts that are returned are not: the function is called as secrets are.
    pub texts: bool,
    /// Where what it says of lies, in the arguments: see [`Mask::within`].
    way: [Option<u8>; 3],
}

/// The place of the arguments of the function that a process of OTP runs, among those of the one that it begins with.
const BEGUN: u8 = 4;

impl Mask {
    /// That of what a function returns: all of it, or its texts.
    pub fn returned(all: bool, texts: bool) -> Self {
        Mask { all, texts, ..Mask::default() }
    }

    /// That of a list or tuple of which the value at one place is not recorded.
    fn of(place: u8) -> Self {
        let mut mask = Mask::default();
        mask.hide(place.into());
        mask
    }

    /// That of a list or tuple at whose place lies what this one is of.
    fn behind(self, place: u8) -> Self {
        let [first, second, _] = self.way;
        Mask { way: [Some(place), first, second], ..self }
    }

    fn hide(&mut self, place: usize) {
        if let Some(places) = self.places.get_mut(place / 64) {
            *places |= 1 << (place % 64);
        }
    }

    /// The mask of the value at a place, where that is a list of arguments of another function, or a tuple of which a part is not
    /// recorded.
    pub fn within(&self, place: usize) -> Option<Mask> {
        let [first, second, third] = self.way;
        (first.map(usize::from) == Some(place)).then_some(Mask { way: [second, third, None], ..*self })
    }

    /// Whether the value at a place is not recorded.
    pub fn hides(&self, place: usize) -> bool {
        self.way[0].is_none() && self.shuts(place)
    }

    /// The same of the first places of a tuple.
    pub fn hidden(&self) -> Hidden {
        Hidden { secret: self.places[0] as u32, left_out: 0 }
    }

    fn shuts(&self, place: usize) -> bool {
        self.all || self.places.get(place / 64).is_some_and(|places| places >> (place % 64) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        !self.texts && !self.hides_arguments()
    }

    fn hides_arguments(&self) -> bool {
        self.all || self.places != [0; 4]
    }
}

/// What is not recorded of a struct or map at its places: bits for at most 32 of them.
#[derive(Clone, Copy, Default)]
pub struct Hidden {
    secret: u32,
    left_out: u32,
}

impl Hidden {
    /// How the value at a place is kept out.
    #[inline]
    pub fn at(self, place: usize) -> Option<CutKind> {
        if self.secret >> place & 1 == 1 {
            Some(CutKind::Redacted)
        } else {
            (self.left_out >> place & 1 == 1).then_some(CutKind::LeftOut)
        }
    }

    /// Whether all is shown.
    pub fn is_empty(self) -> bool {
        self.secret | self.left_out == 0
    }
}

impl Guard {
    #[cold]
    fn new(generation: u64) -> Box<Self> {
        Box::new(Guard {
            rules: rules_of(generation),
            atoms: Table::default(),
            modules: Table::default(),
            others: AHashMap::new(),
            texts: Vec::new(),
            hashes: RandomState::new(),
            masks: AHashMap::new(),
            scratch: Vec::new(),
            letters: Vec::new(),
            mentioned: Mentioned::default(),
        })
    }

    /// What is known of an atom; 0: nothing.
    #[inline(always)]
    fn known(&self, key: Word) -> u64 {
        match immediate::small_atom(key).filter(|_| immediate::is_used()) {
            Some(atom) => self.atoms.at(atom),
            None => 0,
        }
    }

    /// Whether a value under this key is a secret: an atom or a text.
    #[inline]
    pub fn is_secret(&mut self, env: Env<'_>, key: Word) -> bool {
        match self.known(key) {
            0 => self.verdict(env, key) == Verdict::Secret,
            verdict => verdict == SECRET,
        }
    }

    /// Whether the second of a pair is a secret, by the first. In lists of headers keys may be charlists.
    #[inline]
    pub fn is_secret_pair(&mut self, env: Env<'_>, key: Word, value: Word) -> bool {
        let secret = match heap::read(env, key) {
            Boxed::Cell(..) => self.is_secret_charlist(env, key),
            Boxed::Unknown if immediate::read(key) == Immediate::Unknown && env.kind(key) == Kind::List => {
                self.is_secret_charlist(env, key)
            }
            _ => self.is_secret(env, key),
        };
        secret && !is_nil(env, value)
    }

    fn verdict(&mut self, env: Env<'_>, key: Word) -> Verdict {
        match immediate::read(key) {
            Immediate::Small(_) | Immediate::Nil => return Verdict::Plain,
            Immediate::Word if env.kind(key) != Kind::Atom => return Verdict::Plain,
            Immediate::Word => return self.of_atom(env, key),
            Immediate::Unknown => {}
        }
        let text = match heap::read(env, key) {
            Boxed::Binary(text) => Some(text),
            Boxed::Unknown => match env.kind(key) {
                Kind::Atom => return self.of_atom(env, key),
                Kind::BitString => env.binary(key),
                _ => None,
            },
            _ => None,
        };
        match text.is_some_and(|text| self.is_secret_text(text)) {
            true => Verdict::Secret,
            false => Verdict::Plain,
        }
    }

    fn of_atom(&mut self, env: Env<'_>, atom: Word) -> Verdict {
        match self.known(atom) {
            PLAIN => return Verdict::Plain,
            SECRET => return Verdict::Secret,
            MARKER => return Verdict::Marker,
            _ => {}
        }
        if let Some(verdict) = self.others.get(&vm::bits(atom)) {
            return *verdict;
        }
        self.ask(env, atom)
    }

    #[cold]
    fn ask(&mut self, env: Env<'_>, atom: Word) -> Verdict {
        let secret =
            |text: String| self.rules.as_ref().is_some_and(|rules| rules.keys.is_secret(text.as_bytes()));
        let verdict = if atom == words().marker {
            Verdict::Marker
        } else if atom_text(env, atom).is_some_and(secret) {
            Verdict::Secret
        } else {
            Verdict::Plain
        };
        match immediate::small_atom(atom).filter(|_| immediate::is_used()) {
            Some(atom) => self.atoms.set(atom, verdict as u64),
            None => _ = self.others.insert(vm::bits(atom), verdict),
        }
        verdict
    }

    /// Whether a text is the name of a secret.
    fn is_secret_text(&mut self, text: &[u8]) -> bool {
        self.of_text(text) == NAME
    }

    /// What a text is as a name: nothing, [`NAME`] or [`FIELD`].
    fn of_text(&mut self, text: &[u8]) -> u64 {
        let Some(rules) = &self.rules else { return 0 };
        if self.texts.is_empty() {
            self.texts = vec![0; TEXTS];
        }
        let hash = self.hashes.hash_one(text);
        let known = &mut self.texts[hash as usize >> 2 & (TEXTS - 1)];
        if *known | 3 != hash | 3 {
            let secret = rules.keys.is_secret(text);
            let is = if secret { NAME } else { u64::from(rules.told.is_field(text)) * FIELD };
            *known = hash & !3 | is;
        }
        *known & 3
    }

    fn is_secret_charlist(&mut self, env: Env<'_>, list: Word) -> bool {
        let mut letters = std::mem::take(&mut self.letters);
        let secret = characters(env, list, LETTERS, &mut letters) && self.is_secret_text(&letters);
        self.letters = letters;
        secret
    }

    /// What is not recorded of a map of at most 32 keys.
    pub fn hidden(&mut self, env: Env<'_>, keys: &[Word], values: &[Word]) -> Hidden {
        let mut hidden = Hidden::default();
        let mut module = None;
        for (place, (key, value)) in keys.iter().zip(values).enumerate() {
            match self.verdict(env, *key) {
                Verdict::Plain => {}
                Verdict::Secret => hidden.secret |= u32::from(!is_nil(env, *value)) << place,
                Verdict::Marker => module = Some(*value),
            }
        }
        if let Some(atom) = module.and_then(immediate::small_atom).filter(|_| immediate::is_used())
            && self.modules.at(atom) == 0
        {
            let shown = module.is_none_or(|module| self.shape(module).is_none());
            self.modules.set(atom, if shown { PLAIN } else { SECRET });
        }
        if let Some(shape) = module.and_then(|module| self.shape(module)) {
            for (place, key) in keys.iter().enumerate() {
                match shape.hides_value(env, *key, values[place]) {
                    Some(CutKind::Redacted) => hidden.secret |= 1 << place,
                    Some(_) => hidden.left_out |= 1 << place,
                    None => {}
                }
            }
        }
        hidden
    }

    fn shape(&self, module: Word) -> Option<&Shape> {
        self.rules.as_ref()?.structs.get(&vm::bits(module))
    }

    /// The module of a struct of which something is not shown.
    pub fn module(&self, env: Env<'_>, map: Word) -> Option<Word> {
        let rules = self.rules.as_ref()?;
        let module = env.map_get(map, words().marker).filter(|_| !rules.structs.is_empty())?;
        rules.structs.contains_key(&vm::bits(module)).then_some(module)
    }

    /// How the value under a key of a map is kept out; `module` is what [`Guard::module`] says of the map.
    pub fn hides(&mut self, env: Env<'_>, module: Option<Word>, key: Word, value: Word) -> Option<CutKind> {
        if matches!(immediate::read(key), Immediate::Small(_)) {
            return None;
        }
        if self.is_secret(env, key) && !is_nil(env, value) {
            return Some(CutKind::Redacted);
        }
        self.shape(module?)?.hides_value(env, key, value)
    }

    /// Whether a tuple says how a function is called, and some of the arguments are not recorded: `{module, function, arguments}`,
    /// or the same with a place in the code.
    #[inline]
    pub fn frame(&self, env: Env<'_>, elements: &[Word]) -> Option<Mask> {
        match elements {
            [module, function, arguments] | [module, function, arguments, _] => {
                self.arguments(env, *module, *function, *arguments)
            }
            _ => None,
        }
    }

    /// Which arguments of a function are not recorded, where they are not those of an event of its own.
    #[inline]
    pub fn arguments(&self, env: Env<'_>, module: Word, function: Word, arguments: Word) -> Option<Mask> {
        let rules = self.rules.as_ref()?;
        env.cell(arguments)?;
        let is = |word: Word, name: rustler::Atom| vm::bits(word) == vm::bits(name.as_c_arg());
        let known = |module: Word, function: Word, arguments: Word| {
            if is(module, names::generic()) && is(function, names::init_it()) {
                return rules.server(env, arguments);
            }
            if !rules.has_frames.load(Ordering::Relaxed) {
                return None;
            }
            let arity = u8::try_from(vm::list(env, arguments).take(256).count()).ok()?;
            let named = rules.frame(module, function, arity).filter(Mask::hides_arguments);
            let within =
                || rules.is_within(env, module, function).then_some(Mask { all: true, ..Mask::default() });
            named.or_else(within)
        };
        // How processes of OTP begin: the function that they run is among the arguments.
        if is(module, names::proc_lib()) && is(function, names::init_p()) {
            let mut inner = vm::list(env, arguments).skip(2);
            return known(inner.next()?, inner.next()?, inner.next()?).map(|mask| mask.behind(BEGUN));
        }
        known(module, function, arguments)
    }

    /// Whether the result of a function is not recorded; what is known of the arguments is a list of them, or how many there are.
    pub fn hides_result(&self, env: Env<'_>, module: Word, function: Word, arguments: Word) -> bool {
        let Some(rules) = self.rules.as_ref().filter(|rules| !rules.whole.is_empty()) else { return false };
        let count = || i64::try_from(vm::list(env, arguments).take(256).count()).ok();
        let arity = env.integer(arguments).or_else(count).and_then(|arity| u8::try_from(arity).ok());
        arity.is_some_and(|arity| rules.whole.contains(&(vm::bits(module), vm::bits(function), arity)))
    }

    /// Whether a list is a stack that names a function of which no value is recorded: what it has raised may be made of them.
    pub fn is_stack_of_hidden(&self, env: Env<'_>, list: Word) -> bool {
        let Some(rules) = self.rules.as_ref().filter(|rules| !rules.whole.is_empty()) else { return false };
        vm::list(env, list).take(FRAMES).any(|frame| match env.tuple(frame) {
            Some(&[module, function, arguments, _]) => {
                self.hides_result(env, module, function, arguments) || rules.is_within(env, module, function)
            }
            _ => false,
        })
    }

    /// Whether a rule says of a function, or of one that this is within, that none of its values is recorded.
    fn hides_function(&self, env: Env<'_>, module: Word, function: Word, arity: Word) -> bool {
        let Some(rules) = self.rules.as_ref().filter(|rules| !rules.functions.is_empty()) else { return false };
        let arity = env.integer(arity).and_then(|arity| u8::try_from(arity).ok());
        let names = atom_text(env, module).zip(atom_text(env, function)).zip(arity);
        names.is_some_and(|((module, function), arity)| rules.hides(module, function, arity))
    }

    /// Whether texts that a function returns are not recorded: it, or the one that it is within, is called as secrets are.
    fn hides_texts(&mut self, env: Env<'_>, function: Word) -> bool {
        self.is_secret(env, function)
            || atom_text(env, function).is_some_and(|name| {
                around(&name).is_some_and(|(outer, _)| self.is_secret_text(outer.as_bytes()))
            })
    }

    /// What of a site's events is not recorded; the site is the literal in the code.
    pub fn mask(&mut self, env: Env<'_>, site: Word) -> Mask {
        let key = crate::site::key(env, site);
        if let Some(mask) = self.masks.get(&key) {
            return *mask;
        }
        let mask = self.asked_mask(env, site).unwrap_or_default();
        self.masks.insert(key, mask);
        mask
    }

    fn asked_mask(&mut self, env: Env<'_>, site: Word) -> Option<Mask> {
        let elements = env.tuple(site)?;
        let &[_, _, module, function, arity, _, _, _, kind, _, _, names, ref rest @ ..] = elements else {
            return None;
        };
        let (all, texts) = (self.hides_function(env, module, function, arity), self.hides_texts(env, function));
        let mut mask = Mask::returned(all, texts);
        for (place, name) in vm::list(env, names).enumerate() {
            if self.is_secret(env, name) {
                mask.hide(place);
            }
        }
        let arguments = rest.first().copied();
        for (place, names) in arguments.into_iter().flat_map(|all| vm::list(env, all)).enumerate() {
            if vm::list(env, names).any(|name| self.is_secret(env, name)) {
                mask.hide(place);
            }
        }
        let is_called = |name: rustler::Atom| {
            let is = |word: Word, name: rustler::Atom| vm::bits(word) == vm::bits(name.as_c_arg());
            is(function, name) && env.integer(arity) == Some(1) && is(kind, names::function())
        };
        // Of variables they are keys. Of `init/1` it counts also that none is secret.
        let hides = arguments.is_some() && env.cell(names).is_none() && mask.hides_arguments();
        if hides || is_called(names::init()) {
            self.hide_frames(env, (module, function, arity), mask);
        }
        // It says how that will be called.
        if hides && is_called(names::child_spec()) {
            self.hide_frames(env, (module, names::start_link().as_c_arg(), arity), mask);
        }
        Some(mask)
    }

    /// Whether something of a site's events is not recorded.
    pub fn is_guarded(&mut self, env: Env<'_>, site: Word) -> bool {
        self.rules.is_some() && !self.mask(env, site).is_empty()
    }

    /// The arguments of a function are secret wherever they are told.
    fn hide_frames(&self, env: Env<'_>, (module, function, arity): (Word, Word, Word), mask: Mask) {
        let Some(rules) = &self.rules else { return };
        let Some(arity) = env.integer(arity).and_then(|arity| u8::try_from(arity).ok()) else { return };
        rules.frames.rcu(|frames| {
            let mut frames = AHashMap::clone(frames);
            frames.insert((vm::bits(module), vm::bits(function), arity), mask);
            frames
        });
        rules.has_frames.store(true, Ordering::Relaxed);
    }

    /// Calls `write` with a text without its secrets, if it has any, and says whether it has.
    #[inline]
    pub fn scrubbed(&mut self, text: &[u8], write: impl FnOnce(&[u8])) -> bool {
        is_searched(text) && self.scrub(text, write)
    }

    #[inline(never)]
    fn scrub(&mut self, text: &[u8], write: impl FnOnce(&[u8])) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut mentioned = std::mem::take(&mut self.mentioned);
        mentioned.forget();
        let found = scrub(text, &mut scratch, |name| self.in_text(name, text, &mut mentioned));
        if found {
            write(&scratch);
        }
        self.scratch = scratch;
        self.mentioned = mentioned;
        found
    }

    /// As [`Guard::scrubbed`], for a list of characters, which must begin with one.
    pub fn scrubbed_list(&mut self, env: Env<'_>, list: Word, write: impl FnOnce(&[u8])) -> bool {
        if !has_sign(env, list) {
            return false;
        }
        let mut letters = std::mem::take(&mut self.letters);
        let found = characters(env, list, CHARLIST, &mut letters) && self.scrubbed(&letters, write);
        self.letters = letters;
        found
    }

    /// Whether a function in the external term format may hold a secret.
    pub fn is_in_function(&mut self, external: &[u8]) -> bool {
        holds_secret(external, self)
    }
}

impl Names for Guard {
    fn is_secret(&mut self, name: &[u8]) -> bool {
        self.is_secret_text(name)
    }

    #[inline]
    fn in_text(&mut self, name: &[u8], text: &[u8], mentioned: &mut Mentioned) -> Secrecy {
        match (self.of_text(name), &self.rules) {
            (FIELD, Some(rules)) => rules.told.secrecy(name, text, mentioned),
            (is, _) => (is == NAME).into(),
        }
    }

    fn hides(&mut self, module: &[u8], field: &[u8]) -> bool {
        let (Ok(module), Ok(field)) = (std::str::from_utf8(module), std::str::from_utf8(field)) else {
            return false;
        };
        let shape = self.rules.as_ref().and_then(|rules| rules.named.get(module));
        shape.is_some_and(|shape| shape.hides(|(_, name)| name == field).is_some())
    }
}

/// What of the arguments of a server's `init/1` is seen before that was called: nothing in it can be a secret that only a name
/// would tell, as an atom, a process, or a function, which has a rule of its own.
fn is_open(env: Env<'_>, given: Word) -> bool {
    match env.kind(given) {
        Kind::Integer | Kind::Float | Kind::BitString | Kind::Tuple | Kind::Map => false,
        Kind::List => env.cell(given).is_none(),
        Kind::Atom | Kind::Function | Kind::Pid | Kind::Port | Kind::Other => true,
    }
}

impl Rules {
    fn frame(&self, module: Word, function: Word, arity: u8) -> Option<Mask> {
        let has_frames = self.has_frames.load(Ordering::Relaxed);
        has_frames
            .then(|| self.frames.load().get(&(vm::bits(module), vm::bits(function), arity)).copied())
            .flatten()
    }

    /// Which of the arguments of `gen:init_it` is not recorded: what `init/1` is given, `[.., module, given, options]`. While
    /// `init/1` was not called, nobody knows what it calls that, so it is kept out. Of a supervisor it is a part of what its
    /// own module is given.
    fn server(&self, env: Env<'_>, arguments: Word) -> Option<Mask> {
        let count = vm::list(env, arguments).take(8).count();
        let place = u8::try_from(count).ok().filter(|count| matches!(count, 6 | 7))? - 2;
        let mut rest = vm::list(env, arguments).skip(count - 3);
        let (module, given) = (rest.next()?, rest.next()?);
        let is = |module: Word, name: rustler::Atom| vm::bits(module) == vm::bits(name.as_c_arg());
        match env.tuple(given) {
            Some(&[_name, inner, given]) if is(module, names::supervisor()) => {
                self.given(env, inner, given, 2).map(|mask| mask.behind(place))
            }
            Some(&[inner, given, _name]) if is(module, names::dynamic_supervisor()) => {
                self.given(env, inner, given, 1).map(|mask| mask.behind(place))
            }
            _ => self.given(env, module, given, place),
        }
    }

    fn given(&self, env: Env<'_>, module: Word, given: Word, place: u8) -> Option<Mask> {
        let own = [names::agent_server(), names::default_supervisor(), names::task_supervisor()];
        let hides = match self.frame(module, names::init().as_c_arg(), 1) {
            Some(mask) => mask.hides_arguments(),
            // Of those it is known what they are given: functions, and how to start children.
            None => !is_open(env, given) && !own.iter().any(|own| vm::bits(module) == vm::bits(own.as_c_arg())),
        };
        hides.then(|| Mask::of(place))
    }

    /// Whether this is a part of a function of which no value is recorded, as the compiler calls it: `-login/2-fun-1-`.
    fn is_within(&self, env: Env<'_>, module: Word, function: Word) -> bool {
        if self.functions.is_empty() || env.kind(module) != Kind::Atom || env.kind(function) != Kind::Atom {
            return false;
        }
        let Some(text) = atom_text(env, function) else { return false };
        let Some(part) = text.strip_prefix('-') else { return false };
        let is_part = |name: &str, arity: u8| {
            let rest = part.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
            rest.and_then(|rest| rest.split_once('-')).is_some_and(|(count, _)| count.parse() == Ok(arity))
        };
        let mut named = self.functions.iter().filter(|(_, name, arity)| is_part(name, *arity)).peekable();
        named.peek().is_some()
            && atom_text(env, module).is_some_and(|module| named.any(|named| named.0 == module))
    }

    /// Also an anonymous function's.
    fn hides(&self, module: String, function: String, arity: u8) -> bool {
        let outer = around(&function).map(|(name, arity)| (name.to_string(), arity));
        let (function, arity) = outer.unwrap_or((function, arity));
        self.functions.contains(&(module, function, arity))
    }
}

/// The function that an anonymous one is in: its name begins with that, as `login/2-fn-1`.
fn around(function: &str) -> Option<(&str, u8)> {
    let (name, arity) = function.split_once("-fn-")?.0.rsplit_once('/')?;
    Some((name, arity.parse().ok()?))
}

/// An empty list is no secret; and the values of a set's elements, which may be called as secrets are, are such.
fn is_nil(env: Env<'_>, value: Word) -> bool {
    match immediate::read(value) {
        Immediate::Unknown => env.kind(value) == Kind::List && env.cell(value).is_none(),
        found => found == Immediate::Nil,
    }
}

/// Whether a term is a struct.
pub fn is_struct(env: Env<'_>, term: Word) -> bool {
    env.map_get(term, words().marker).is_some()
}

/// Whether two words may be those of a module and a function. Other words than atoms are rare there.
#[inline]
pub fn may_be_called(module: Word, function: Word) -> bool {
    !immediate::is_used() || immediate::is_atom(module) && immediate::is_atom(function)
}

/// Whether secrets are looked for in a text.
#[inline]
pub fn is_searched(text: &[u8]) -> bool {
    may_hold(text) || begins_with_scheme(text)
}

/// Whether a word may begin a list of characters.
#[inline]
pub fn is_character(env: Env<'_>, word: Word) -> bool {
    character(env, word).is_some()
}

#[inline]
fn character(env: Env<'_>, word: Word) -> Option<u8> {
    let number = match immediate::read(word) {
        Immediate::Small(number) => number,
        Immediate::Unknown => env.integer(word)?,
        _ => return None,
    };
    matches!(number, 9..=13 | 32..=126).then_some(number as u8)
}

/// Reads a list of at most so many characters; `false` for anything else.
fn characters(env: Env<'_>, list: Word, most: usize, letters: &mut Vec<u8>) -> bool {
    letters.clear();
    each_character(env, list, most, |letter| letters.push(letter))
}

/// Whether a list of characters, and of nothing else, has a sign that may stand between a name and its value.
fn has_sign(env: Env<'_>, list: Word) -> bool {
    let mut found = false;
    each_character(env, list, CHARLIST, |letter| found |= may_hold(&[letter])) && found
}

fn each_character(env: Env<'_>, list: Word, most: usize, mut each: impl FnMut(u8)) -> bool {
    let (mut rest, mut left) = (list, most);
    loop {
        let cell = match heap::read(env, rest) {
            Boxed::Cell(head, tail) => Some((head, tail)),
            Boxed::Unknown => env.cell(rest),
            _ => None,
        };
        let Some((head, tail)) = cell else { return is_nil(env, rest) };
        match character(env, head).filter(|_| left > 0) {
            Some(letter) => each(letter),
            None => return false,
        }
        (rest, left) = (tail, left - 1);
    }
}
