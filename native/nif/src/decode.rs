//! Values back to terms.
//!
//! The bytes may come from a damaged or forged file: what does not follow the format is [`Malformed`], and what
//! would exhaust the VM (new atoms without bound) is shown as cut. The walk keeps its own stack.

use crate::atoms;
use crate::vm::{self, Env, Kind, Word};
use elixir_scope_event::value::{self, CutKind, Token};
use elixir_scope_event::{Definition, Malformed};
use elixir_scope_query::Defined;
use elixir_scope_query::Volume;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many atoms and functions that this VM did not have may be made by reading recordings. The VM dies when its
/// table of atoms is full (1,048,576 by default).
const NEW_ATOMS: usize = 200_000;

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Reads values of one segment.
pub struct Decoder<'a> {
    env: Env<'a>,
    /// Whose definitions the values refer to.
    volume: Option<Arc<Volume>>,
    /// Terms of definitions that were made already.
    made: ahash::AHashMap<u64, Word>,
    /// Whether anything was cut so far.
    has_cuts: Cell<bool>,
    /// What is shown as cut as a whole, by the words: states that share a term share that, too.
    wholes: RefCell<ahash::AHashMap<u64, Word>>,
}

/// Structs that would be taken for whole with a part of them cut, and whose own functions could not bear it.
const SOUND: [&str; 8] = [
    "Elixir.MapSet",
    "Elixir.Date",
    "Elixir.Time",
    "Elixir.NaiveDateTime",
    "Elixir.DateTime",
    "Elixir.Range",
    "Elixir.Regex",
    "Elixir.Version",
];

/// Characters of a cut charlist that are kept.
const KEPT: usize = 256;

/// A term that waits for what is inside it.
enum Open {
    Tuple(usize),
    List,
    /// A list whose elements are all there, so many; its tail comes next.
    Tail(usize),
    Map(usize),
}

impl<'a> Decoder<'a> {
    pub fn new(env: Env<'a>, volume: Option<Arc<Volume>>) -> Self {
        Decoder {
            env,
            volume,
            made: ahash::AHashMap::new(),
            has_cuts: Cell::new(false),
            wholes: RefCell::default(),
        }
    }

    /// Takes one value off the front. `state` is the term that a state token stands for, when it is known.
    pub fn take(&mut self, input: &mut &[u8], state: Option<Word>) -> Result<Word, Malformed> {
        // Terms that are made wait in `terms`; `open` says how many of them belong to what.
        let (mut terms, mut open): (Vec<Word>, Vec<(Open, usize)>) = (Vec::new(), Vec::new());
        loop {
            let token = value::take(input)?;
            // Every value takes a byte at least: a forged count cannot ask for more memory than the file has.
            let fits = |count: u64, input: &[u8]| {
                usize::try_from(count)
                    .ok()
                    .filter(|count| *count <= input.len())
                    .ok_or(Malformed("as many values"))
            };
            match token {
                Token::Tuple(count) => open.push((Open::Tuple(fits(count, input)?), terms.len())),
                Token::Map(count) => open.push((Open::Map(fits(count, input)? * 2), terms.len())),
                Token::List => open.push((Open::List, terms.len())),
                Token::End => match open.pop() {
                    Some((Open::List, from)) => {
                        let list = self.env.make_list(&terms[from..], self.env.make_nil());
                        terms.truncate(from);
                        terms.push(list);
                    }
                    _ => return Err(Malformed("a value, not the end of a list")),
                },
                Token::Tail => match open.pop() {
                    Some((Open::List, from)) => {
                        open.push((Open::Tail(terms.len() - from), from));
                        continue;
                    }
                    _ => return Err(Malformed("a value, not the tail of a list")),
                },
                Token::State => {
                    let lost = || self.cut(CutKind::Other, 0, &[]);
                    terms.push(state.unwrap_or_else(lost));
                }
                Token::StateElement(place) => {
                    let lost = || self.cut(CutKind::Other, 0, &[]);
                    let elements = state.and_then(|state| self.env.tuple(state));
                    let element = elements.and_then(|elements| elements.get(usize::try_from(place).ok()?));
                    terms.push(element.copied().unwrap_or_else(lost));
                }
                leaf => {
                    let word = self.leaf(leaf)?;
                    terms.push(word);
                }
            }
            self.close(&mut terms, &mut open)?;
            if let ([term], true) = (&terms[..], open.is_empty()) {
                return Ok(*term);
            }
        }
    }

    /// Makes the tuples, maps and tails that have all they wait for.
    fn close(&self, terms: &mut Vec<Word>, open: &mut Vec<(Open, usize)>) -> Result<(), Malformed> {
        while let Some((waiting, from)) = open.last() {
            let from = *from;
            let inside = &terms[from..];
            let made = match waiting {
                Open::Tuple(count) if inside.len() == *count => self.env.make_tuple(inside),
                // Keys that a limit has cut may be the same now.
                Open::Map(count) if inside.len() == *count => match self.env.make_map(inside) {
                    Some(map) => map,
                    None => self.cut(CutKind::Map, (*count / 2) as u64, &[]),
                },
                Open::Tail(count) if inside.len() == *count + 1 => {
                    self.env.make_list(&inside[..*count], inside[*count])
                }
                _ => return Ok(()),
            };
            open.pop();
            terms.truncate(from);
            terms.push(made);
        }
        Ok(())
    }

    /// Takes one patch off the front, and makes of `old` what it says. Where a part of `old` is cut, what the patch says of the
    /// inside of it cannot be known either: it stays cut.
    pub fn patch(&mut self, input: &mut &[u8], old: Word) -> Result<Word, Malformed> {
        self.patched(input, old, 0)
    }

    /// A forged patch must not nest without bound.
    fn patched(&mut self, input: &mut &[u8], old: Word, depth: usize) -> Result<Word, Malformed> {
        if !input.first().is_some_and(|tag| value::is_change(*tag)) {
            return self.take(input, None);
        }
        if depth > crate::diff::DEPTH {
            return Err(Malformed("a patch of fewer levels"));
        }
        if let Some(cut) = self.still_cut(old) {
            return match input.first() {
                Some(18) => value::skip(input).map(|()| old),
                _ => value::skip(input).map(|()| cut),
            };
        }
        match value::take(input)? {
            Token::MapChange(gone, changed) => self.patched_map(input, old, gone, changed, depth),
            Token::TupleChange(count) => {
                let mut elements = self.env.tuple(old).ok_or(Malformed("the patch of a tuple"))?.to_vec();
                for _ in 0..count {
                    let Token::Integer(place) = value::take(input)? else {
                        return Err(Malformed("a place in a tuple"));
                    };
                    let place = usize::try_from(place).ok().filter(|place| *place < elements.len());
                    let place = place.ok_or(Malformed("a place in a tuple"))?;
                    elements[place] = self.patched(input, elements[place], depth + 1)?;
                }
                Ok(self.env.make_tuple(&elements))
            }
            Token::ListChange => self.patched_list(input, old, depth),
            // The only one that is left.
            _ => Ok(old),
        }
    }

    fn patched_map(
        &mut self,
        input: &mut &[u8],
        old: Word,
        gone: u64,
        changed: u64,
        depth: usize,
    ) -> Result<Word, Malformed> {
        let malformed = Malformed("the patch of a map");
        let mut map = old;
        for _ in 0..gone {
            let key = self.take(input, None)?;
            map = self.env.map_remove(map, key).ok_or(malformed)?;
        }
        for _ in 0..changed {
            let key = self.take(input, None)?;
            let known = self.env.map_get(map, key);
            let is_change = input.first().is_some_and(|tag| value::is_change(*tag));
            let value = match known {
                // The key was cut, and so is what lies behind it.
                None if is_change => {
                    value::skip(input)?;
                    self.cut(CutKind::Other, 0, &[])
                }
                known => self.patched(input, known.unwrap_or(old), depth + 1)?,
            };
            map = self.env.map_put(map, key, value).ok_or(malformed)?;
        }
        Ok(map)
    }

    fn patched_list(&mut self, input: &mut &[u8], old: Word, depth: usize) -> Result<Word, Malformed> {
        let env = self.env;
        let (mut made, mut rest) = (Vec::new(), old);
        let tail = loop {
            let &tag = input.first().ok_or(Malformed("a step along a list"))?;
            if env.cell(rest).is_none()
                && matches!(tag, 15..=19)
                && let Some(cut) = self.still_cut(rest)
            {
                // What lies behind the cut is not known: nor is what the patch makes of it.
                skip_steps(input)?;
                break cut;
            }
            match value::take(&mut &input[..])? {
                Token::Same(count) | Token::Drop(count) => {
                    value::take(input)?;
                    let mut left = count;
                    while left > 0
                        && let Some((head, tail)) = env.cell(rest)
                    {
                        if tag == 18 {
                            made.push(head);
                        }
                        (rest, left) = (tail, left - 1);
                    }
                    if left > 0 {
                        let cut = self.still_cut(rest).ok_or(Malformed("an element of the old list"))?;
                        skip_steps(input)?;
                        break cut;
                    }
                }
                Token::MapChange(..) | Token::TupleChange(_) | Token::ListChange => {
                    let (head, tail) = env.cell(rest).ok_or(Malformed("an element of the old list"))?;
                    made.push(self.patched(input, head, depth + 1)?);
                    rest = tail;
                }
                Token::Rest => {
                    value::take(input)?;
                    break rest;
                }
                Token::End => {
                    value::take(input)?;
                    break env.make_nil();
                }
                Token::Tail => {
                    value::take(input)?;
                    break self.take(input, None)?;
                }
                _ => made.push(self.take(input, None)?),
            }
        };
        Ok(env.make_list(&made, tail))
    }

    /// Whether anything that was read was cut.
    pub fn has_cuts(&self) -> bool {
        self.has_cuts.get()
    }

    /// A term as it is shown: where a charlist, or a struct that is nothing without its parts, is cut in part, it is cut as a whole.
    /// Patches are for terms as they are; so this comes last. (Elixir 1.14 does not come to an end of printing an improper list of
    /// characters, and a set would show other members.)
    pub fn shown(&self, term: Word) -> Word {
        self.shown_at(term, 0).unwrap_or(term)
    }

    /// `None` when it is shown as it is.
    fn shown_at(&self, term: Word, depth: usize) -> Option<Word> {
        let env = self.env;
        if depth == crate::diff::DEPTH {
            return None;
        }
        match env.kind(term) {
            Kind::Tuple => {
                let elements = self.shown_all(env.tuple(term)?, depth)?;
                Some(env.make_tuple(&elements))
            }
            Kind::List => {
                let (mut elements, mut rest) = (Vec::new(), term);
                while let Some((head, tail)) = env.cell(rest) {
                    elements.push(head);
                    rest = tail;
                }
                if self.is_cut(rest)
                    && let Some(kept) =
                        elements.iter().map(|word| printable(env, *word)).collect::<Option<Vec<u8>>>()
                {
                    return Some(self.whole(term, CutKind::List, &kept[..kept.len().min(KEPT)]));
                }
                let elements = self.shown_all(&elements, depth)?;
                Some(env.make_list(&elements, rest))
            }
            Kind::Map => {
                if self.is_unsound(term) {
                    return Some(self.whole(term, CutKind::Other, &[]));
                }
                let pairs: Vec<Word> = env.pairs(term)?.flat_map(|(key, value)| [key, value]).collect();
                env.make_map(&self.shown_all(&pairs, depth)?)
            }
            _ => None,
        }
    }

    fn shown_all(&self, terms: &[Word], depth: usize) -> Option<Vec<Word>> {
        let mut shown: Option<Vec<Word>> = None;
        for (place, term) in terms.iter().enumerate() {
            if let Some(other) = self.shown_at(*term, depth + 1) {
                shown.get_or_insert_with(|| terms.to_vec())[place] = other;
            }
        }
        shown
    }

    /// Whether a map is a struct that is nothing without its parts, and one of them is cut.
    fn is_unsound(&self, map: Word) -> bool {
        let env = self.env;
        let mut pairs = env.pairs(map).into_iter().flatten();
        if !pairs.any(|(_, value)| self.is_cut(value)) {
            return false;
        }
        let name = env.map_get(map, self.atom("__struct__"));
        SOUND.iter().any(|sound| name == Some(self.atom(sound)))
    }

    /// A term that is cut as a whole.
    fn whole(&self, term: Word, kind: CutKind, kept: &[u8]) -> Word {
        *self.wholes.borrow_mut().entry(vm::bits(term)).or_insert_with(|| self.cut(kind, 0, kept))
    }

    fn is_cut(&self, term: Word) -> bool {
        let env = self.env;
        env.map_size(term) == Some(4)
            && env.map_get(term, self.atom("__struct__")) == Some(self.atom("Elixir.ElixirScope.Cut"))
    }

    /// Of a term that is cut: the same without its size, which may have changed. It is a term of its own, since states that share
    /// memory are known to be the same there.
    fn still_cut(&self, term: Word) -> Option<Word> {
        let (env, size) = (self.env, self.atom("size"));
        // What has no size yet would be given back as it is.
        let other = self.is_cut(term).then(|| env.map_put(term, size, size)).flatten()?;
        env.map_put(other, size, atoms::nil().to_term_word())
    }

    /// Whether a patch touches what lies at a path: the keys of maps, and places in tuples as integers or `{:elem, place}`.
    /// Steps along lists are not told apart.
    pub fn touches(&mut self, input: &mut &[u8], path: &[Word]) -> Result<bool, Malformed> {
        let Some((step, path)) = path.split_first() else {
            let same = matches!(value::take(&mut &input[..])?, Token::Same(_));
            value::skip(input)?;
            return Ok(!same);
        };
        let mut touched = false;
        let mut rest = *input;
        match value::take(&mut rest)? {
            Token::MapChange(gone, changed) => {
                for _ in 0..gone {
                    let key = self.take(&mut rest, None)?;
                    touched |= self.env.identical(key, *step);
                }
                for _ in 0..changed {
                    let key = self.take(&mut rest, None)?;
                    match self.env.identical(key, *step) {
                        true => touched |= self.touches(&mut rest, path)?,
                        false => value::skip(&mut rest)?,
                    }
                }
                *input = rest;
            }
            Token::TupleChange(count) => {
                let wanted = match self.env.tuple(*step) {
                    Some([_, place]) => self.env.integer(*place),
                    _ => self.env.integer(*step),
                };
                for _ in 0..count {
                    let place = match value::take(&mut rest)? {
                        Token::Integer(place) => place,
                        _ => return Err(Malformed("a place in a tuple")),
                    };
                    match wanted.is_none_or(|wanted| wanted == place) {
                        true => touched |= self.touches(&mut rest, path)?,
                        false => value::skip(&mut rest)?,
                    }
                }
                *input = rest;
            }
            Token::Same(_) => value::skip(input)?,
            _ => {
                value::skip(input)?;
                touched = true;
            }
        }
        Ok(touched)
    }

    fn leaf(&mut self, token: Token<'_>) -> Result<Word, Malformed> {
        let env = self.env;
        Ok(match token {
            Token::Nil => env.make_nil(),
            Token::Integer(number) => env.make_integer(number),
            Token::Float(number) => env.make_float(number).ok_or(Malformed("a finite float"))?,
            Token::Binary(bytes) => env.make_binary(bytes),
            Token::External(bytes) => self.external(bytes),
            Token::Cut(kind, size, kept) => self.cut(kind, size, kept),
            Token::Reference(number) => match self.made.get(&number) {
                Some(word) => *word,
                None => {
                    let word = self.definition(number);
                    self.made.insert(number, word);
                    word
                }
            },
            _ => return Err(Malformed("a value of a segment")),
        })
    }

    /// The term of a definition.
    pub fn definition(&self, number: u64) -> Word {
        match self.volume.as_ref().and_then(|volume| volume.definition(number)) {
            Some(Defined::Other(Definition::Atom(text))) => self.atom(text),
            Some(Defined::Other(Definition::Term(bytes))) => self.external(bytes),
            Some(Defined::Process(_, bytes)) => self.external(&bytes),
            _ => self.cut(CutKind::Other, 0, &[]),
        }
    }

    /// The atom of a text.
    pub fn atom(&self, text: &str) -> Word {
        let bytes = match u8::try_from(text.len()) {
            Ok(len) => [&[131, 119, len], text.as_bytes()].concat(),
            Err(_) => [&[131, 118], &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat(),
        };
        self.external(&bytes)
    }

    /// A term in the external format; cut when it is none, or when too many new atoms were made already.
    pub fn external(&self, bytes: &[u8]) -> Word {
        if let Some(word) = self.env.read_external(bytes, true) {
            return word;
        }
        let allowed = MADE.fetch_add(1, Ordering::Relaxed) < NEW_ATOMS;
        let made = allowed.then(|| self.env.read_external(bytes, false)).flatten();
        made.unwrap_or_else(|| self.cut(CutKind::Other, bytes.len() as u64, &[]))
    }

    /// `%ElixirScope.Cut{}`.
    fn cut(&self, kind: CutKind, size: u64, kept: &[u8]) -> Word {
        self.has_cuts.set(true);
        let env = self.env;
        let atom =
            |text: &str| env.read_external(&[&[131, 119, text.len() as u8], text.as_bytes()].concat(), false);
        let nil = atoms::nil().to_term_word();
        let size = if size == 0 { nil } else { env.make_integer(size as i64) };
        let pairs = [
            (atom("__struct__"), atom("Elixir.ElixirScope.Cut")),
            (atom("kind"), atom(kind.name())),
            (atom("size"), Some(size)),
            (atom("kept"), Some(env.make_binary(kept))),
        ];
        let words: Vec<Word> =
            pairs.into_iter().flat_map(|(key, value)| [key.unwrap_or(nil), value.unwrap_or(nil)]).collect();
        env.make_map(&words).unwrap_or(nil)
    }
}

/// A character that charlists are printed with.
fn printable(env: Env<'_>, word: Word) -> Option<u8> {
    match env.integer(word)? {
        number @ (7..=13 | 27 | 32..=126) => Some(number as u8),
        _ => None,
    }
}

/// Steps along a list, up to its end.
fn skip_steps(input: &mut &[u8]) -> Result<(), Malformed> {
    loop {
        match value::take(&mut &input[..])? {
            Token::Rest | Token::End => return value::take(input).map(drop),
            Token::Tail => {
                value::take(input)?;
                return value::skip(input);
            }
            _ => value::skip(input)?,
        }
    }
}

/// An atom's machine word.
pub trait AtomWord {
    fn to_term_word(self) -> Word;
}

impl AtomWord for rustler::Atom {
    fn to_term_word(self) -> Word {
        self.as_c_arg()
    }
}
