//! Terms to values, under limits.
//!
//! The walk keeps its own stack on the heap, so that a term of any depth is an ordinary input. Limits hold while
//! walking: what they keep out is marked as cut, with its true size where that is known.

use crate::immediate::{self, Immediate};
use crate::meaning;
use crate::vm::{self, Env, Kind, Pairs, Word};
use elixir_scope_capture::Pen;
use elixir_scope_event::Definition;
use elixir_scope_event::value::{CutKind, Token};
use std::cell::RefCell;

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

    fn left(&self, pen: &Pen<'_>) -> usize {
        self.bytes.saturating_sub(pen.len() + self.aside)
    }
}

/// A term that is being walked.
enum Open<'a> {
    Elements(&'a [Word]),
    List(Word),
    Pairs(Pairs<'a>),
    Value(Word),
}

/// Appends a term. Where `state` occurs in it as the very same term, a state token stands for it.
#[inline]
pub fn term(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, state: Option<Word>, word: Word) {
    // Most arguments are one word: they need no stack.
    if let Some(open) = step(env, pen, budget, state, word, 0) {
        nested(env, pen, budget, state, open);
    }
}

fn nested<'a>(env: Env<'a>, pen: &mut Pen<'_>, budget: &mut Budget, state: Option<Word>, open: Open<'a>) {
    thread_local! {
        // Holds no terms between calls: it is emptied before the call ends, and kept for its memory.
        static STACK: RefCell<Vec<Open<'static>>> = const { RefCell::new(Vec::new()) };
    }
    let mut stack: Vec<Open<'a>> = STACK.take().into_iter().map(|_| unreachable!("it is kept empty")).collect();
    stack.push(open);
    while let Some(top) = stack.last_mut() {
        let next = match top {
            Open::Elements([]) => None,
            Open::Elements(elements) => {
                let (first, rest) = elements.split_first().expect("not empty");
                *elements = rest;
                budget.aside -= MARK;
                Some(*first)
            }
            Open::Value(word) => {
                let word = *word;
                budget.aside -= MARK;
                stack.pop();
                let depth = stack.len();
                stack.extend(step(env, pen, budget, state, word, depth));
                continue;
            }
            Open::Pairs(pairs) => match pairs.next() {
                None => None,
                Some((key, value)) => {
                    budget.aside -= MARK;
                    stack.push(Open::Value(value));
                    Some(key)
                }
            },
            Open::List(rest) => match env.cell(*rest) {
                Some((head, tail)) if budget.elements > 0 && budget.left(pen) > 0 => {
                    *rest = tail;
                    Some(head)
                }
                Some(_) => {
                    budget.aside -= MARK;
                    pen.token(Token::Tail);
                    pen.token(Token::Cut(CutKind::List, 0, &[]));
                    None
                }
                None if env.kind(*rest) == Kind::List => {
                    budget.aside -= MARK;
                    pen.token(Token::End);
                    None
                }
                // What was set aside for the end of the list is now for its tail.
                None => {
                    let tail = *rest;
                    pen.token(Token::Tail);
                    stack.pop();
                    stack.push(Open::Value(tail));
                    continue;
                }
            },
        };
        match next {
            Some(word) => {
                let depth = stack.len();
                stack.extend(step(env, pen, budget, state, word, depth));
            }
            None => drop(stack.pop()),
        }
    }
    STACK.set(stack.into_iter().map(|_| unreachable!("the walk has ended")).collect());
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
    match immediate::read(word) {
        Immediate::Small(number) if left > 0 => {
            pen.token(Token::Integer(number));
            return None;
        }
        Immediate::Atom if left > 0 => {
            pen.word(vm::bits(word), || define(env, word));
            return None;
        }
        _ => {}
    }
    let shut = left == 0 || depth >= budget.depth;
    let kind = env.kind(word);
    match kind {
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
        Kind::List if shut => cut(pen, CutKind::List, 0),
        Kind::List => {
            budget.aside += MARK;
            pen.token(Token::List);
            Some(Open::List(word))
        }
        Kind::Tuple => {
            let elements = env.tuple(word).unwrap_or_default();
            let marks = elements.len() * MARK;
            if shut && !elements.is_empty() || marks > left || elements.len() > budget.elements {
                return cut(pen, CutKind::Tuple, elements.len());
            }
            budget.aside += marks;
            pen.token(Token::Tuple(elements.len() as u64));
            Some(Open::Elements(elements))
        }
        Kind::Map => {
            let size = env.map_size(word).unwrap_or(0);
            match env.pairs(word) {
                Some(pairs)
                    if (!shut || size == 0) && size * 2 * MARK <= left && size <= budget.elements / 2 =>
                {
                    budget.aside += size * 2 * MARK;
                    pen.token(Token::Map(size as u64));
                    Some(Open::Pairs(pairs))
                }
                _ => cut(pen, CutKind::Map, size),
            }
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
