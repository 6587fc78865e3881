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

/// A term that is being walked.
enum Open<'a> {
    Elements(&'a [Word]),
    List(Word),
    /// Keys and values of a map. There is a value more than keys when the value of the last key comes next.
    Map(&'a [Word], &'a [Word]),
    /// A large map, and the value that comes next.
    Pairs(Pairs<'a>, Option<Word>),
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
    whole(env, pen, budget, state, word);
}

#[inline(never)]
fn whole<'a>(env: Env<'a>, pen: &mut Pen<'_>, budget: &mut Budget, state: Option<Word>, word: Word) {
    thread_local! {
        // Holds no terms between calls: it is emptied before the call ends, and kept for its memory.
        static STACK: Cell<Vec<Open<'static>>> = const { Cell::new(Vec::new()) };
    }
    let Some(mut top) = step(env, pen, budget, state, word, 0) else { return };
    // Terms around the one at the top. Most terms are flat and need none.
    let mut stack: Vec<Open<'a>> = Vec::new();
    loop {
        match go_on(env, pen, budget, state, &mut top, stack.len() + 1) {
            Some(inner) => {
                if stack.capacity() == 0 {
                    stack = STACK.take().into_iter().map(|_| unreachable!("it is kept empty")).collect();
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
        STACK.set(stack.into_iter().map(|_| unreachable!("the walk has ended")).collect());
    }
}

/// Goes on with a term that is being walked, until something in it is to be walked itself, or the term has ended.
/// `depth`: how many terms are being walked, this one among them.
#[inline]
fn go_on<'a>(
    env: Env<'a>,
    pen: &mut Pen<'_>,
    budget: &mut Budget,
    state: Option<Word>,
    top: &mut Open<'a>,
    depth: usize,
) -> Option<Open<'a>> {
    loop {
        let next = match top {
            Open::Elements([]) => return None,
            Open::Elements([first, rest @ ..]) => {
                let first = *first;
                *top = Open::Elements(rest);
                budget.aside -= MARK;
                first
            }
            Open::Map(keys, values) => match (*keys, *values) {
                (_, []) => return None,
                ([key, keys_left @ ..], values) if keys.len() == values.len() => {
                    let key = *key;
                    *keys = keys_left;
                    budget.aside -= MARK;
                    key
                }
                (_, [value, values_left @ ..]) => {
                    let value = *value;
                    *values = values_left;
                    budget.aside -= MARK;
                    value
                }
            },
            Open::Pairs(pairs, waiting) => {
                budget.aside -= MARK;
                match waiting.take() {
                    Some(value) => value,
                    None => match pairs.next() {
                        Some((key, value)) => {
                            *waiting = Some(value);
                            key
                        }
                        None => {
                            budget.aside += MARK;
                            return None;
                        }
                    },
                }
            }
            Open::List(rest) => match cell(env, *rest) {
                Some((head, tail)) if budget.elements > 0 && budget.left(pen) > 0 => {
                    *rest = tail;
                    head
                }
                Some(_) => {
                    budget.aside -= MARK;
                    pen.token(Token::Tail);
                    pen.token(Token::Cut(CutKind::List, 0, &[]));
                    return None;
                }
                None if is_nil(env, *rest) => {
                    budget.aside -= MARK;
                    pen.token(Token::End);
                    return None;
                }
                // What was set aside for the end of the list is now for its tail, which takes the list's place.
                None => {
                    let tail = *rest;
                    budget.aside -= MARK;
                    pen.token(Token::Tail);
                    *top = step(env, pen, budget, state, tail, depth - 1)?;
                    continue;
                }
            },
        };
        if let Some(inner) = step(env, pen, budget, state, next, depth) {
            return Some(inner);
        }
    }
}

#[inline]
fn cell(env: Env<'_>, list: Word) -> Option<(Word, Word)> {
    match heap::read(env, list) {
        Boxed::Cell(head, tail) => Some((head, tail)),
        Boxed::Unknown if immediate::read(list) == Immediate::Unknown => env.cell(list),
        _ => None,
    }
}

#[inline]
fn is_nil(env: Env<'_>, list: Word) -> bool {
    match immediate::read(list) {
        Immediate::Unknown => env.kind(list) == Kind::List,
        found => found == Immediate::Nil,
    }
}

/// Appends what a term begins with, and gives what is inside it, if it is to be walked.
#[inline]
fn step<'a>(
    env: Env<'a>,
    pen: &mut Pen<'_>,
    budget: &mut Budget,
    state: Option<Word>,
    word: Word,
    depth: usize,
) -> Option<Open<'a>> {
    budget.elements = budget.elements.saturating_sub(1);
    if state == Some(word) {
        pen.token(Token::State);
        return None;
    }
    let left = budget.left(pen);
    if left > 0 {
        match immediate::read(word) {
            Immediate::Small(number) => {
                pen.token(Token::Integer(number));
                return None;
            }
            Immediate::Word => {
                pen.word(vm::bits(word), || define(env, word));
                return None;
            }
            Immediate::Nil => {
                pen.token(Token::Nil);
                return None;
            }
            Immediate::Unknown => {}
        }
    }
    let room = Room { left, shut: left == 0 || depth >= budget.depth };
    match heap::read(env, word) {
        Boxed::Cell(..) => list(pen, budget, room, word),
        Boxed::Tuple(elements) => tuple(pen, budget, room, elements),
        Boxed::Map(keys, values) => map(pen, budget, room, keys.len(), || Some(Open::Map(keys, values))),
        Boxed::Unknown => asked(env, pen, budget, room, word),
    }
}

/// What is left for a term.
#[derive(Clone, Copy)]
struct Room {
    /// Bytes.
    left: usize,
    /// Whether nothing in it is walked.
    shut: bool,
}

#[inline]
fn list<'a>(pen: &mut Pen<'_>, budget: &mut Budget, room: Room, list: Word) -> Option<Open<'a>> {
    if room.shut {
        return cut(pen, CutKind::List, 0);
    }
    budget.aside += MARK;
    pen.token(Token::List);
    Some(Open::List(list))
}

#[inline]
fn tuple<'a>(pen: &mut Pen<'_>, budget: &mut Budget, room: Room, elements: &'a [Word]) -> Option<Open<'a>> {
    let marks = elements.len() * MARK;
    if room.shut && !elements.is_empty() || marks > room.left || elements.len() > budget.elements {
        return cut(pen, CutKind::Tuple, elements.len());
    }
    budget.aside += marks;
    pen.token(Token::Tuple(elements.len() as u64));
    Some(Open::Elements(elements))
}

#[inline]
fn map<'a>(
    pen: &mut Pen<'_>,
    budget: &mut Budget,
    room: Room,
    size: usize,
    pairs: impl FnOnce() -> Option<Open<'a>>,
) -> Option<Open<'a>> {
    let marks = size * 2 * MARK;
    let fits = (!room.shut || size == 0) && marks <= room.left && size <= budget.elements / 2;
    let Some(open) = fits.then(pairs).flatten() else { return cut(pen, CutKind::Map, size) };
    budget.aside += marks;
    pen.token(Token::Map(size as u64));
    Some(open)
}

/// As [`step`], for a term that the VM has to be asked about.
#[inline(never)]
fn asked<'a>(
    env: Env<'a>,
    pen: &mut Pen<'_>,
    budget: &mut Budget,
    room: Room,
    word: Word,
) -> Option<Open<'a>> {
    let left = room.left;
    match env.kind(word) {
        Kind::Atom | Kind::Integer | Kind::Pid | Kind::Port | Kind::Float if left == 0 => {
            cut(pen, CutKind::Other, 0)
        }
        Kind::Atom => {
            pen.word(vm::bits(word), || define(env, word));
            None
        }
        Kind::Integer => match env.integer(word) {
            Some(number) => {
                pen.token(Token::Integer(number));
                None
            }
            None => external(env, pen, left, word),
        },
        Kind::Pid if env.is_local_pid(word) => {
            pen.word(vm::bits(word), || define(env, word));
            None
        }
        Kind::Port if env.is_local_port(word) => {
            pen.word(vm::bits(word), || define(env, word));
            None
        }
        Kind::Float => {
            pen.token(Token::Float(env.float(word).unwrap_or(f64::NAN)));
            None
        }
        Kind::BitString => match env.binary(word) {
            Some(bytes) if bytes.len() <= left => {
                pen.token(Token::Binary(bytes));
                None
            }
            Some(bytes) => {
                let kept = &bytes[..bytes.len().min(KEPT).min(left)];
                pen.token(Token::Cut(CutKind::Binary, bytes.len() as u64, kept));
                None
            }
            None => external(env, pen, left, word),
        },
        Kind::List if env.cell(word).is_none() => {
            pen.token(Token::Nil);
            None
        }
        Kind::List => list(pen, budget, room, word),
        Kind::Tuple => tuple(pen, budget, room, env.tuple(word).unwrap_or_default()),
        Kind::Map => {
            let size = env.map_size(word).unwrap_or(0);
            map(pen, budget, room, size, || Some(Open::Pairs(env.pairs(word)?, None)))
        }
        // References, functions, pids and ports of other nodes.
        Kind::Pid | Kind::Port | Kind::Other => external(env, pen, left, word),
    }
}

fn define(env: Env<'_>, word: Word) -> Definition {
    meaning::of(env, word).unwrap_or(Definition::Unknown(vm::bits(word)))
}

#[cold]
fn cut(pen: &mut Pen<'_>, kind: CutKind, size: usize) -> Option<Open<'static>> {
    pen.token(Token::Cut(kind, size as u64, &[]));
    None
}

#[cold]
fn external(env: Env<'_>, pen: &mut Pen<'_>, left: usize, word: Word) -> Option<Open<'static>> {
    let written = env.external(word, |bytes| match bytes.len() <= left {
        true => pen.token(Token::External(bytes)),
        false => pen.token(Token::Cut(CutKind::Other, bytes.len() as u64, &[])),
    });
    if written.is_none() {
        pen.token(Token::Cut(CutKind::Other, 0, &[]));
    }
    None
}
