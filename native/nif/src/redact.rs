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
use elixir_scope_capture::Session;
use elixir_scope_event::value::CutKind;
use elixir_scope_redaction::{Keys, Names, holds_secret, may_hold, scrub};
use parking_lot::Mutex;
use rustler::NifMap;
use std::cell::Cell;
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
    /// Functions of which no value is recorded: by the names of module and function, with those within them.
    functions: AHashSet<(String, String, u8)>,
    /// The same as words.
    whole: AHashSet<Function>,
    /// Functions of whose arguments some are not recorded in stack frames, and in other tuples that say how they are called: those,
    /// and others that have secret arguments, from their first call on.
    frames: ArcSwap<AHashMap<Function, Mask>>,
    has_frames: AtomicBool,
}

/// What is not shown of a struct.
#[derive(Clone, Default)]
struct Shape {
    secret: Vec<Field>,
    view: View,
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
        for module in self.fields.iter().map(|(module, _)| module).chain(self.views.iter().map(|view| &view.0))
        {
            named.insert(text(module)?, structs[&bits(module)].clone());
        }
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
}

mod names {
    rustler::atoms! { marker = "__struct__" }
}

fn words() -> Words {
    Words { marker: names::marker().as_c_arg() }
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
    Plain = 1,
    Secret = 2,
    /// `__struct__`.
    Marker = 3,
}

/// Texts of which is remembered what they are.
const TEXTS: usize = 1 << 12;

/// Atoms of which two bits are kept in a word.
const ATOMS: u64 = 32;

/// Atoms with larger numbers are kept otherwise.
const NUMBERS: u64 = 1 << 24;

/// Letters of the longest charlist that is a key.
const LETTERS: usize = 64;

/// Characters of the longest charlist in which secrets are looked for.
const CHARLIST: usize = 4_096;

/// The rules as one thread keeps them.
pub struct Guard {
    generation: u64,
    rules: Option<Arc<Rules>>,
    /// Two bits for each atom: a [`Verdict`], or 0.
    atoms: Vec<u64>,
    /// Of atoms whose numbers are not known.
    others: AHashMap<u64, Verdict>,
    /// Hashes of texts; the last bit says whether it is the name of a secret.
    texts: Vec<u64>,
    hashes: RandomState,
    masks: AHashMap<u64, Mask>,
    /// For texts that are made anew. It holds nothing between them.
    scratch: Vec<u8>,
    letters: Vec<u8>,
}

thread_local! {
    static GUARD: Cell<Option<Box<Guard>>> = const { Cell::new(None) };
}

/// The calling thread's guard for a session, to be given back.
#[inline]
pub fn take(session: &Session) -> Box<Guard> {
    match GUARD.take() {
        Some(guard) if guard.generation == session.generation() => guard,
        _ => Guard::new(session.generation()),
    }
}

/// Gives it back.
#[inline]
pub fn give(guard: Box<Guard>) {
    GUARD.set(Some(guard));
}

/// Works with the calling thread's guard.
#[inline]
pub fn with<R>(session: &Session, work: impl FnOnce(&mut Guard) -> R) -> R {
    let mut guard = take(session);
    let result = work(&mut guard);
    give(guard);
    result
}

/// Which values of a site's events are not recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask {
    places: [u64; 4],
    /// None is.
    pub all: bool,
}

impl Mask {
    /// Whether the value at a place is not recorded.
    pub fn hides(&self, place: usize) -> bool {
        self.all || self.places.get(place / 64).is_some_and(|places| places >> (place % 64) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        !self.all && self.places == [0; 4]
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
            generation,
            rules: rules_of(generation),
            atoms: Vec::new(),
            others: AHashMap::new(),
            texts: Vec::new(),
            hashes: RandomState::new(),
            masks: AHashMap::new(),
            scratch: Vec::new(),
            letters: Vec::new(),
        })
    }

    /// Whether there are any rules.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether all of these are atoms that are known to be no names of secrets.
    #[inline]
    pub fn are_plain(&self, keys: &[Word]) -> bool {
        keys.iter().all(|key| self.known(*key) == Some(Verdict::Plain as u64))
    }

    /// What is known of an atom.
    #[inline(always)]
    fn known(&self, key: Word) -> Option<u64> {
        let number = immediate::atom_number(key)?;
        self.atoms.get((number / ATOMS) as usize).map(|bits| bits >> (number % ATOMS * 2) & 3)
    }

    /// Whether a value under this key is a secret: an atom or a text.
    #[inline]
    pub fn is_secret(&mut self, env: Env<'_>, key: Word) -> bool {
        match self.known(key) {
            Some(verdict @ 1..) => verdict == Verdict::Secret as u64,
            _ => self.verdict(env, key) == Verdict::Secret,
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
            Immediate::Word if immediate::atom_number(key).is_none() => return Verdict::Plain,
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
            Some(1) => return Verdict::Plain,
            Some(2) => return Verdict::Secret,
            Some(3) => return Verdict::Marker,
            _ => {}
        }
        let number = immediate::atom_number(atom).filter(|number| *number < NUMBERS);
        if number.is_none()
            && let Some(verdict) = self.others.get(&vm::bits(atom))
        {
            return *verdict;
        }
        self.ask(env, atom, number)
    }

    #[cold]
    fn ask(&mut self, env: Env<'_>, atom: Word, number: Option<u64>) -> Verdict {
        let secret =
            |text: String| self.rules.as_ref().is_some_and(|rules| rules.keys.is_secret(text.as_bytes()));
        let verdict = if atom == words().marker {
            Verdict::Marker
        } else if atom_text(env, atom).is_some_and(secret) {
            Verdict::Secret
        } else {
            Verdict::Plain
        };
        match number {
            Some(number) => {
                let at = (number / ATOMS) as usize;
                if self.atoms.len() <= at {
                    self.atoms.resize((at + 1).next_power_of_two(), 0);
                }
                self.atoms[at] |= (verdict as u64) << (number % ATOMS * 2);
            }
            None => {
                self.others.insert(vm::bits(atom), verdict);
            }
        }
        verdict
    }

    /// Whether a text is the name of a secret.
    fn is_secret_text(&mut self, text: &[u8]) -> bool {
        let Some(rules) = &self.rules else { return false };
        if self.texts.is_empty() {
            self.texts = vec![0; TEXTS];
        }
        let hash = self.hashes.hash_one(text);
        let known = &mut self.texts[hash as usize >> 1 & (TEXTS - 1)];
        if *known | 1 != hash | 1 {
            *known = hash & !1 | u64::from(rules.keys.is_secret(text));
        }
        *known & 1 == 1
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
        if let Some(shape) = module.and_then(|module| self.shape(module)) {
            for (place, key) in keys.iter().enumerate() {
                match shape.hides(|(field, _)| *field == vm::bits(*key)) {
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
        if self.is_secret(env, key) && !is_nil(env, value) {
            return Some(CutKind::Redacted);
        }
        self.shape(module?)?.hides(|(field, _)| *field == vm::bits(key))
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
        let rules = self.rules.as_ref().filter(|rules| rules.has_frames.load(Ordering::Relaxed))?;
        env.cell(arguments)?;
        let arity = u8::try_from(vm::list(env, arguments).take(256).count()).ok()?;
        rules.frames.load().get(&(vm::bits(module), vm::bits(function), arity)).copied()
    }

    /// Whether the result of a function is not recorded; what is known of the arguments is a list of them, or how many there are.
    pub fn hides_result(&self, env: Env<'_>, module: Word, function: Word, arguments: Word) -> bool {
        let Some(rules) = self.rules.as_ref().filter(|rules| !rules.whole.is_empty()) else { return false };
        let count = || i64::try_from(vm::list(env, arguments).take(256).count()).ok();
        let arity = env.integer(arguments).or_else(count).and_then(|arity| u8::try_from(arity).ok());
        arity.is_some_and(|arity| rules.whole.contains(&(vm::bits(module), vm::bits(function), arity)))
    }

    /// Whether a rule says of a function, or of one that this is within, that none of its values is recorded.
    fn hides_function(&self, env: Env<'_>, module: Word, function: Word, arity: Word) -> bool {
        let Some(rules) = self.rules.as_ref().filter(|rules| !rules.functions.is_empty()) else { return false };
        let arity = env.integer(arity).and_then(|arity| u8::try_from(arity).ok());
        let names = atom_text(env, module).zip(atom_text(env, function)).zip(arity);
        names.is_some_and(|((module, function), arity)| rules.hides(module, function, arity))
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
        let &[_, _, module, function, arity, _, _, _, _, _, _, names, ref rest @ ..] = elements else {
            return None;
        };
        let mut mask = Mask { all: self.hides_function(env, module, function, arity), ..Mask::default() };
        let mut hide = |place: usize| {
            if let Some(places) = mask.places.get_mut(place / 64) {
                *places |= 1 << (place % 64);
            }
        };
        for (place, name) in vm::list(env, names).enumerate() {
            if self.is_secret(env, name) {
                hide(place);
            }
        }
        let arguments = rest.first().copied();
        for (place, names) in arguments.into_iter().flat_map(|all| vm::list(env, all)).enumerate() {
            if vm::list(env, names).any(|name| self.is_secret(env, name)) {
                hide(place);
            }
        }
        if arguments.is_some() && !mask.is_empty() {
            self.hide_frames(env, (module, function, arity), mask);
        }
        Some(mask)
    }

    /// Whether something of a site's events is not recorded.
    pub fn is_guarded(&mut self, env: Env<'_>, site: Word) -> bool {
        self.is_on() && !self.mask(env, site).is_empty()
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
        may_hold(text) && self.scrub(text, write)
    }

    #[inline(never)]
    fn scrub(&mut self, text: &[u8], write: impl FnOnce(&[u8])) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        let found = scrub(text, &mut scratch, |name| self.is_secret_text(name));
        if found {
            write(&scratch);
        }
        self.scratch = scratch;
        found
    }

    /// As [`Guard::scrubbed`], for a list of characters, which must begin with one.
    pub fn scrubbed_list(&mut self, env: Env<'_>, list: Word, write: impl FnOnce(&[u8])) -> bool {
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

    fn hides(&mut self, module: &[u8], field: &[u8]) -> bool {
        let (Ok(module), Ok(field)) = (std::str::from_utf8(module), std::str::from_utf8(field)) else {
            return false;
        };
        let shape = self.rules.as_ref().and_then(|rules| rules.named.get(module));
        shape.is_some_and(|shape| shape.hides(|(_, name)| name == field).is_some())
    }
}

impl Rules {
    /// Also an anonymous function's, whose name begins with those of the function that it is in, as `login/2-fn-1`.
    fn hides(&self, module: String, function: String, arity: u8) -> bool {
        let within = function.split_once("-fn-").and_then(|(outer, _)| outer.rsplit_once('/'));
        let within = within.and_then(|(name, arity)| Some((name.to_string(), arity.parse().ok()?)));
        let (function, arity) = within.unwrap_or((function, arity));
        self.functions.contains(&(module, function, arity))
    }
}

/// An empty list is no secret; and the values of a set's elements, which may be called as secrets are, are such.
fn is_nil(env: Env<'_>, value: Word) -> bool {
    match immediate::read(value) {
        Immediate::Unknown => env.kind(value) == Kind::List && env.cell(value).is_none(),
        found => found == Immediate::Nil,
    }
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
    let mut rest = list;
    loop {
        let cell = match heap::read(env, rest) {
            Boxed::Cell(head, tail) => Some((head, tail)),
            Boxed::Unknown => env.cell(rest),
            _ => None,
        };
        let Some((head, tail)) = cell else { return is_nil(env, rest) };
        match character(env, head) {
            Some(letter) if letters.len() < most => letters.push(letter),
            _ => return false,
        }
        rest = tail;
    }
}
