//! Terms to values, under limits.
//!
//! The walk keeps its own stack on the heap, so that a term of any depth is an ordinary input. Limits hold while
//! walking: what they keep out is marked as cut, with its true size where that is known.

use crate::heap::{self, Boxed};
use crate::immediate::{self, Immediate};
use crate::meaning;
use crate::vm::{self, Env, Kind, Pairs, Word};
use elixir_scope_capture::Pen;
use elixir_scope_event::Definition;
use elixir_scope_event::value::{CutKind, Token};
use std::cell::Cell;

/// Bytes of a cut binary that are kept.
const KEPT: usize = 256;

/// Bytes of the longest mark for a term that is cut without keeping any of it.
const MARK: usize = 5;

/// What is left of the limits of one event.
///
/// A tuple or map says how many values follow before they are walked, and each of them will take a mark at least; so
/// may the end of a list. That much is set aside when it is opened: whatever the shape of a term, its payload is
/// hardly longer than the limit.
pub struct Budget {
    bytes: usize,
    elements: usize,
    depth: usize,
    aside: usize,
}

impl Budget {
    /// The budget of an event's arguments or return.
    pub fn values(pen: &Pen<'_>) -> Self {
        let limits = &pen.session().limits;
        Budget { bytes: limits.value_bytes, elements: limits.elements, depth: limits.depth, aside: 0 }
    }

    /// The budget of a state.
    pub fn state(pen: &Pen<'_>) -> Self {
        let limits = &pen.session().limits;
        Budget { bytes: limits.state_bytes, elements: limits.elements, depth: limits.depth, aside: 0 }
    }

    #[inline]
    fn left(&self, pen: &Pen<'_>) -> usize {
        self.bytes.saturating_sub(pen.len() + self.aside)
    }
}

/// A term that is being walked: what of it comes next. Small, because it is moved for each term in a term.
#[derive(Clone, Copy)]
enum Open<'a> {
    Elements(&'a [Word]),
    List(Word),
    /// Keys and values of a map. There is a value more than keys when the value of the last key comes next.
    Map(&'a [Word], &'a [Word]),
    /// A large map: the last one of `Walk::large`.
    Large,
}

/// A walk over the pairs of a large map, and the value that comes before the next key.
type Large<'a> = (Pairs<'a>, Option<Word>);

thread_local! {
    // They hold nothing between walks, and are kept for their memory.
    static OPEN: Cell<Vec<Open<'static>>> = const { Cell::new(Vec::new()) };
    static LARGE: Cell<Vec<Large<'static>>> = const { Cell::new(Vec::new()) };
}

/// Appends a term. Where `state` occurs in it as the very same term, a state token stands for it.
#[inline]
pub fn term(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, state: Option<Word>, word: Word) {
    if budget.left(pen) > 0 {
        // Most arguments are one word. No state is, see `capture::boxed`.
        match immediate::read(word) {
            Immediate::Small(number) => {
                budget.elements = budget.elements.saturating_sub(1);
                return pen.integer(number);
            }
            Immediate::Word => {
                budget.elements = budget.elements.saturating_sub(1);
                return pen.word(vm::bits(word), || define(env, word));
            }
            _ => {}
        }
    }
    Walk { env, pen, budget, state, large: Vec::new() }.run(word);
}

/// The walk over one term.
struct Walk<'a, 'w, 'p> {
    env: Env<'a>,
    pen: &'w mut Pen<'p>,
    budget: &'w mut Budget,
    state: Option<Word>,
    large: Vec<Large<'a>>,
}

/// What is left for a term.
#[derive(Clone, Copy)]
struct Room {
    /// Bytes.
    left: usize,
    /// Whether nothing in it is walked.
    shut: bool,
}

impl<'a> Walk<'a, '_, '_> {
    #[inline(never)]
    fn run(&mut self, word: Word) {
        let Some(mut top) = self.step(word, 0) else { return };
        // Terms around the one at the top. Most terms are flat and need none.
        let mut stack: Vec<Open<'a>> = Vec::new();
        loop {
            match self.go_on(&mut top, stack.len() + 1) {
                Some(inner) => {
                    if stack.capacity() == 0 {
                        stack = emptied(OPEN.take());
                    }
                    stack.push(std::mem::replace(&mut top, inner));
                }
                None => match stack.pop() {
                    Some(outer) => top = outer,
                    None => break,
                },
            }
        }
        if stack.capacity() > 0 {
            OPEN.set(emptied(stack));
        }
        if self.large.capacity() > 0 {
            LARGE.set(emptied(std::mem::take(&mut self.large)));
        }
    }

    /// Goes on with a term that is being walked, until something in it is to be walked itself, or the term has ended.
    /// `depth`: how many terms are being walked, this one among them.
    #[inline]
    fn go_on(&mut self, top: &mut Open<'a>, depth: usize) -> Option<Open<'a>> {
        loop {
            match *top {
                Open::Elements(mut rest) => {
                    while let [next, after @ ..] = rest {
                        rest = after;
                        if let Some(inner) = self.expected(*next, depth) {
                            *top = Open::Elements(rest);
                            return Some(inner);
                        }
                    }
                    return None;
                }
                Open::Map(mut keys, mut values) => {
                    while let [value, after @ ..] = values {
                        let next = match keys {
                            [key, keys_after @ ..] if keys.len() == values.len() => {
                                keys = keys_after;
                                key
                            }
                            _ => {
                                values = after;
                                value
                            }
                        };
                        if let Some(inner) = self.expected(*next, depth) {
                            *top = Open::Map(keys, values);
                            return Some(inner);
                        }
                    }
                    return None;
                }
                Open::Large => {
                    while let Some(next) = self.large.last_mut().and_then(next_of_large) {
                        if let Some(inner) = self.expected(next, depth) {
                            return Some(inner);
                        }
                    }
                    self.large.pop();
                    return None;
                }
                Open::List(mut rest) => {
                    while let Some((head, tail)) = self.cell(rest) {
                        if self.budget.elements == 0 || self.budget.left(self.pen) == 0 {
                            self.budget.aside -= MARK;
                            self.pen.token(Token::Tail);
                            self.pen.token(Token::Cut(CutKind::List, 0, &[]));
                            return None;
                        }
                        rest = tail;
                        if let Some(inner) = self.inside(head, depth) {
                            *top = Open::List(rest);
                            return Some(inner);
                        }
                    }
                    self.budget.aside -= MARK;
                    if self.is_nil(rest) {
                        self.pen.token(Token::End);
                        return None;
                    }
                    // What was set aside for the end of the list is now for its tail, which takes the list's place.
                    self.pen.token(Token::Tail);
                    *top = self.inside(rest, depth - 1)?;
                }
            }
        }
    }

    /// As [`Walk::inside`], for a term that a mark was set aside for.
    #[inline(always)]
    fn expected(&mut self, word: Word, depth: usize) -> Option<Open<'a>> {
        self.budget.aside -= MARK;
        self.inside(word, depth)
    }

    /// Appends what a term begins with, and gives what is inside it, if it is to be walked.
    #[inline(always)]
    fn inside(&mut self, word: Word, depth: usize) -> Option<Open<'a>> {
        if self.budget.left(self.pen) > 0 {
            match immediate::read(word) {
                Immediate::Small(number) => self.pen.token(Token::Integer(number)),
                Immediate::Word => self.pen.word(vm::bits(word), || define(self.env, word)),
                Immediate::Nil => self.pen.token(Token::Nil),
                Immediate::Unknown => return self.step(word, depth),
            }
            self.budget.elements = self.budget.elements.saturating_sub(1);
            return None;
        }
        self.step(word, depth)
    }

    /// As [`Walk::inside`], for terms that are more than a word.
    #[inline(never)]
    fn step(&mut self, word: Word, depth: usize) -> Option<Open<'a>> {
        self.budget.elements = self.budget.elements.saturating_sub(1);
        if self.state == Some(word) {
            self.pen.token(Token::State);
            return None;
        }
        let left = self.budget.left(self.pen);
        let room = Room { left, shut: left == 0 || depth >= self.budget.depth };
        match heap::read(self.env, word) {
            Boxed::Cell(..) => self.list(room, word),
            Boxed::Tuple(elements) => self.tuple(room, elements),
            Boxed::Map(keys, values) => {
                self.map(room, keys.len(), |_| true).then_some(Open::Map(keys, values))
            }
            Boxed::Unknown => self.asked(room, word),
        }
    }

    #[inline]
    fn cell(&self, list: Word) -> Option<(Word, Word)> {
        match heap::read(self.env, list) {
            Boxed::Cell(head, tail) => Some((head, tail)),
            Boxed::Unknown if immediate::read(list) == Immediate::Unknown => self.env.cell(list),
            _ => None,
        }
    }

    #[inline]
    fn is_nil(&self, list: Word) -> bool {
        match immediate::read(list) {
            Immediate::Unknown => self.env.kind(list) == Kind::List,
            found => found == Immediate::Nil,
        }
    }

    #[inline]
    fn list(&mut self, room: Room, list: Word) -> Option<Open<'a>> {
        if room.shut {
            return self.cut(CutKind::List, 0);
        }
        self.budget.aside += MARK;
        self.pen.token(Token::List);
        Some(Open::List(list))
    }

    #[inline]
    fn tuple(&mut self, room: Room, elements: &'a [Word]) -> Option<Open<'a>> {
        let marks = elements.len() * MARK;
        if room.shut && !elements.is_empty() || marks > room.left || elements.len() > self.budget.elements {
            return self.cut(CutKind::Tuple, elements.len());
        }
        self.budget.aside += marks;
        self.pen.token(Token::Tuple(elements.len() as u64));
        Some(Open::Elements(elements))
    }

    /// Begins a map of so many keys if it is to be walked and `open` succeeds, and says whether it did.
    #[inline]
    fn map(&mut self, room: Room, size: usize, open: impl FnOnce(&mut Self) -> bool) -> bool {
        let marks = size * 2 * MARK;
        let fits = (!room.shut || size == 0) && marks <= room.left && size <= self.budget.elements / 2;
        if !fits || !open(self) {
            self.cut(CutKind::Map, size);
            return false;
        }
        self.budget.aside += marks;
        self.pen.token(Token::Map(size as u64));
        true
    }

    fn open_large(&mut self, map: Word) -> bool {
        let Some(pairs) = self.env.pairs(map) else { return false };
        if self.large.capacity() == 0 {
            self.large = emptied(LARGE.take());
        }
        self.large.push((pairs, None));
        true
    }

    /// As [`Walk::step`], for a term that the VM has to be asked about.
    #[inline(never)]
    fn asked(&mut self, room: Room, word: Word) -> Option<Open<'a>> {
        let (env, left) = (self.env, room.left);
        match env.kind(word) {
            Kind::Atom | Kind::Integer | Kind::Pid | Kind::Port | Kind::Float if left == 0 => {
                self.cut(CutKind::Other, 0)
            }
            Kind::Atom => self.word(word),
            Kind::Integer => match env.integer(word) {
                Some(number) => self.token(Token::Integer(number)),
                None => self.external(left, word),
            },
            Kind::Pid if env.is_local_pid(word) => self.word(word),
            Kind::Port if env.is_local_port(word) => self.word(word),
            Kind::Float => self.token(Token::Float(env.float(word).unwrap_or(f64::NAN))),
            Kind::BitString => match env.binary(word) {
                Some(bytes) if bytes.len() <= left => self.token(Token::Binary(bytes)),
                Some(bytes) => {
                    let kept = &bytes[..bytes.len().min(KEPT).min(left)];
                    self.token(Token::Cut(CutKind::Binary, bytes.len() as u64, kept))
                }
                None => self.external(left, word),
            },
            Kind::List if env.cell(word).is_none() => self.token(Token::Nil),
            Kind::List => self.list(room, word),
            Kind::Tuple => self.tuple(room, env.tuple(word).unwrap_or_default()),
            Kind::Map => {
                let size = env.map_size(word).unwrap_or(0);
                self.map(room, size, |walk| walk.open_large(word)).then_some(Open::Large)
            }
            // References, functions, pids and ports of other nodes.
            Kind::Pid | Kind::Port | Kind::Other => self.external(left, word),
        }
    }

    #[inline(always)]
    fn token(&mut self, token: Token<'_>) -> Option<Open<'a>> {
        self.pen.token(token);
        None
    }

    fn word(&mut self, word: Word) -> Option<Open<'a>> {
        self.pen.word(vm::bits(word), || define(self.env, word));
        None
    }

    #[cold]
    fn cut(&mut self, kind: CutKind, size: usize) -> Option<Open<'a>> {
        self.token(Token::Cut(kind, size as u64, &[]))
    }

    #[cold]
    fn external(&mut self, left: usize, word: Word) -> Option<Open<'a>> {
        let pen = &mut *self.pen;
        let written = self.env.external(word, |bytes| match bytes.len() <= left {
            true => pen.token(Token::External(bytes)),
            false => pen.token(Token::Cut(CutKind::Other, bytes.len() as u64, &[])),
        });
        match written {
            Some(()) => None,
            None => self.cut(CutKind::Other, 0),
        }
    }
}

fn next_of_large(large: &mut Large<'_>) -> Option<Word> {
    if let Some(value) = large.1.take() {
        return Some(value);
    }
    let (key, value) = large.0.next()?;
    large.1 = Some(value);
    Some(key)
}

/// The memory of a vector that holds nothing, for elements of another lifetime.
fn emptied<A, B>(vector: Vec<A>) -> Vec<B> {
    vector.into_iter().map(|_| unreachable!("it holds nothing")).collect()
}

fn define(env: Env<'_>, word: Word) -> Definition {
    meaning::of(env, word).unwrap_or(Definition::Unknown(vm::bits(word)))
}
