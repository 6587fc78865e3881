//! Values back to terms.
//!
//! The bytes may come from a damaged or forged file: what does not follow the format is [`Malformed`], and what
//! would exhaust the VM (new atoms without bound) is shown as cut. The walk keeps its own stack.

use crate::atoms;
use crate::vm::{Env, Word};
use elixir_scope_event::value::{self, CutKind, Token};
use elixir_scope_event::{Definition, Malformed};
use elixir_scope_query::Volume;
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
}

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
        Decoder { env, volume, made: ahash::AHashMap::new() }
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
                Open::Map(count) if inside.len() == *count => {
                    self.env.make_map(inside).ok_or(Malformed("a map with each key once"))?
                }
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
            Some(Definition::Atom(text)) => self.atom(text),
            Some(Definition::Process(_, bytes) | Definition::Term(bytes)) => self.external(bytes),
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

/// An atom's machine word.
pub trait AtomWord {
    fn to_term_word(self) -> Word;
}

impl AtomWord for rustler::Atom {
    fn to_term_word(self) -> Word {
        self.as_c_arg()
    }
}
