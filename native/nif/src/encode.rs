//! Terms to values, under limits.
//!
//! The walk keeps its own stack on the heap, so that a term of any depth is an ordinary input. Limits hold while
//! walking: what they keep out is marked as cut, with its true size where that is known.

use crate::heap::{self, Boxed};
use crate::immediate::{self, Immediate};
use crate::meaning;
use crate::redact::{self, Guard, Hidden, Mask};
use crate::vm::{self, Env, Kind, Pairs, Word};
use ahash::AHashMap;
use elixir_scope_capture::Pen;
use elixir_scope_dictionary::Known;
use elixir_scope_event::Definition;
use elixir_scope_event::value::{CutKind, SHORT, Short, Token};
use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;

/// Bytes of a cut binary that are kept.
const KEPT: usize = 256;

/// Bytes of the longest mark for a term that is cut without keeping any of it.
const MARK: usize = 5;

/// Bytes that an argument gets in any case; at most a quarter of the limit of all.
const LEAST_BYTES: usize = 128;

/// Likewise, in elements.
const LEAST_ELEMENTS: usize = 16;

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
    /// How often a limit kept something out.
    cuts: u32,
}

impl Budget {
    /// The budget of an event's arguments or return.
    pub fn values(pen: &Pen<'_>) -> Self {
        let limits = &pen.session().limits;
        Budget { bytes: limits.value_bytes, elements: limits.elements, depth: limits.depth, aside: 0, cuts: 0 }
    }

    /// The budget of a state.
    pub fn state(pen: &Pen<'_>) -> Self {
        let limits = &pen.session().limits;
        Budget { bytes: limits.state_bytes, elements: limits.elements, depth: limits.depth, aside: 0, cuts: 0 }
    }

    /// The budget of a patch of a state, which begins here: that of another state.
    pub fn patch(pen: &Pen<'_>) -> Self {
        let state = Self::state(pen);
        Budget { bytes: state.bytes.saturating_add(pen.len()), ..state }
    }

    /// Whether nothing more fits.
    #[inline]
    pub fn is_spent(&self, pen: &Pen<'_>) -> bool {
        self.elements == 0 || self.left(pen) == 0
    }

    /// Whether marks for so many changes fit.
    #[inline]
    pub fn fits(&self, pen: &Pen<'_>, changes: usize) -> bool {
        changes.saturating_mul(2 * MARK) <= self.left(pen) && changes <= self.elements
    }

    /// One more.
    pub fn count_cut(&mut self) {
        self.cuts += 1;
    }

    /// Leaves something for a term, whatever those before it have taken: whom a message is from is known also when the message
    /// is cut.
    pub fn at_least(&mut self, pen: &Pen<'_>) {
        let limits = &pen.session().limits;
        let bytes = LEAST_BYTES.min(limits.value_bytes / 4);
        self.bytes = self.bytes.max((pen.len() + self.aside).saturating_add(bytes));
        self.elements = self.elements.max(LEAST_ELEMENTS.min(limits.elements));
    }

    /// How often a limit kept something out so far.
    pub fn cuts(&self) -> u32 {
        self.cuts
    }

    /// No limit at all.
    pub fn unlimited() -> Self {
        Budget { bytes: usize::MAX, elements: usize::MAX, depth: usize::MAX, aside: 0, cuts: 0 }
    }

    #[inline]
    fn left(&self, pen: &Pen<'_>) -> usize {
        self.bytes.saturating_sub(pen.len() + self.aside)
    }

    /// How many tokens of one word fit in any case.
    #[inline]
    fn fitting(&self, pen: &Pen<'_>) -> usize {
        const { assert!(SHORT <= 16) };
        (self.left(pen) / 16).min(self.elements)
    }
}

/// A term that is being walked, and what of it comes next. Two registers, because it is moved for each term in a term.
#[derive(Clone, Copy)]
struct Open {
    term: Word,
    next: NonZeroUsize,
}

impl Open {
    /// A list; the term is what is left of it.
    const LIST: NonZeroUsize = NonZeroUsize::MAX;
    /// A large map: the last one of `Walk::large`.
    const LARGE: NonZeroUsize = NonZeroUsize::new(usize::MAX - 1).unwrap();
    /// A map or tuple of which not all values are recorded: the last one of `Walk::veiled`.
    const VEILED: NonZeroUsize = NonZeroUsize::new(usize::MAX - 2).unwrap();
    /// The arguments in a tuple that says how a function is called: likewise.
    const FRAME: NonZeroUsize = NonZeroUsize::new(usize::MAX - 3).unwrap();
    /// The first element of a tuple, or the first key of a map; then come its value, the second key, and so on.
    const FIRST: NonZeroUsize = NonZeroUsize::MIN;

    fn at(term: Word, place: usize) -> Self {
        Open { term, next: Self::FIRST.saturating_add(place) }
    }

    fn place(self) -> usize {
        self.next.get() - 1
    }
}

/// A walk over the pairs of a large map, and the value that comes before the next key. And the module, if the map is a struct of
/// which something is not shown.
type Large<'a> = (Pairs<'a>, Option<Next>, Option<Word>);

/// What comes next of a map.
#[derive(Clone, Copy)]
enum Next {
    Term(Word),
    /// A value that is not recorded.
    Cut(CutKind),
}

/// A term of which not all is recorded.
#[derive(Clone, Copy)]
enum Veiled {
    /// A map or tuple, and the place of the key or value that comes next.
    Parts(Hidden, usize),
    /// Arguments that are left of a function's, the place of the next one, and which are not recorded.
    Arguments(Word, usize, Mask),
}

thread_local! {
    // They hold nothing between walks, and are kept for their memory.
    static OPEN: Cell<Vec<Open>> = const { Cell::new(Vec::new()) };
    static LARGE: Cell<Vec<Large<'static>>> = const { Cell::new(Vec::new()) };
    static VEILED: Cell<Vec<Veiled>> = const { Cell::new(Vec::new()) };
}

/// Appends a term. Where `state` occurs in it as the very same term, a state token stands for it; likewise for the second
/// element of a state that is a pair, as that of a state machine is: its callbacks are given its data, not the pair.
#[inline(always)]
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
fn whole(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, state: Option<Word>, word: Word) {
    let data = state.and_then(|state| data_of(env, state));
    let guards = pen.has_rules();
    let mut walk = Walk { env, pen, budget, state, data, large: Vec::new(), veiled: Vec::new(), guards };
    if let Some(top) = walk.step(word, 0) {
        walk.run(top);
    }
}

/// Appends what an exception is, but nothing that it says of values: of a struct its module, of other terms those that are one word.
pub fn exception(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, reason: Word) {
    if env.kind(reason) == Kind::Atom {
        return term(env, pen, budget, None, reason);
    }
    let Some(pairs) = env.pairs(reason).filter(|_| redact::is_struct(env, reason)) else {
        return redacted(pen, budget);
    };
    pen.token(Token::Map(env.map_size(reason).unwrap_or(0) as u64));
    for (key, value) in pairs {
        term(env, pen, budget, None, key);
        match env.kind(value) {
            Kind::Atom => term(env, pen, budget, None, value),
            _ => redacted(pen, budget),
        }
    }
}

/// Appends a list of arguments, of which some are not recorded. It is no longer than functions have arguments.
pub fn masked_list(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, list: Word, mask: Mask) {
    pen.token(Token::List);
    for (place, word) in vm::list(env, list).enumerate() {
        match (mask.within(place), env.tuple(word)) {
            (Some(inner), Some(elements)) => masked_tuple(env, pen, budget, elements, inner),
            (Some(inner), None) => masked_list(env, pen, budget, word, inner),
            (None, _) if mask.hides(place) => redacted(pen, budget),
            (None, _) => term(env, pen, budget, None, word),
        }
    }
    pen.token(Token::End);
}

/// Likewise a tuple.
fn masked_tuple(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, elements: &[Word], mask: Mask) {
    pen.token(Token::Tuple(elements.len() as u64));
    budget.aside += elements.len() * MARK;
    for (place, element) in elements.iter().enumerate() {
        budget.aside -= MARK;
        match mask.hides(place) {
            true => redacted(pen, budget),
            false => term(env, pen, budget, None, *element),
        }
    }
}

/// Appends a mark for a value that is not recorded because it is a secret.
pub fn redacted(pen: &mut Pen<'_>, budget: &mut Budget) {
    budget.elements = budget.elements.saturating_sub(1);
    pen.token(Token::Cut(CutKind::Redacted, 0, &[]));
}

/// Appends a term, but no text that it is, or that is an element of it when it is a tuple.
pub fn without_texts(env: Env<'_>, pen: &mut Pen<'_>, budget: &mut Budget, state: Option<Word>, word: Word) {
    let is_text = |word: &Word| env.kind(*word) == Kind::BitString;
    if is_text(&word) {
        return redacted(pen, budget);
    }
    let mut is_pair = |elements: &[Word]| match elements {
        [key, value] => redact::with(pen, |guard, _| guard.is_secret_pair(env, *key, *value)),
        _ => false,
    };
    let elements = env.tuple(word).filter(|elements| elements.iter().any(is_text) && !is_pair(elements));
    let Some(elements) = elements else { return term(env, pen, budget, state, word) };
    if !budget.fits(pen, elements.len()) || budget.depth == 0 {
        budget.count_cut();
        return pen.token(Token::Cut(CutKind::Tuple, elements.len() as u64, &[]));
    }
    pen.token(Token::Tuple(elements.len() as u64));
    budget.aside += elements.len() * MARK;
    budget.depth -= 1;
    for element in elements {
        budget.aside -= MARK;
        match is_text(element) {
            true => redacted(pen, budget),
            false => term(env, pen, budget, state, *element),
        }
    }
    budget.depth += 1;
}

/// The second element of a pair, if it is more than a word.
fn data_of(env: Env<'_>, state: Word) -> Option<Word> {
    let elements = match heap::read(env, state) {
        Boxed::Tuple(elements) => elements,
        Boxed::Unknown => env.tuple(state)?,
        _ => return None,
    };
    let &[_, data] = elements else { return None };
    is_walked(env, data).then_some(data)
}

/// Whether a term is more than a word, and one that a token may stand for.
pub fn is_walked(env: Env<'_>, term: Word) -> bool {
    matches!(env.kind(term), Kind::Tuple | Kind::Map | Kind::BitString) || env.cell(term).is_some()
}

/// The token of a word that is a term by itself, if it needs no definition any more.
#[inline(always)]
pub fn short(known: &Known, word: Word) -> Option<Short> {
    match immediate::read(word) {
        Immediate::Small(number) => Some(Short::Integer(number)),
        Immediate::Word => known.contains(vm::bits(word)).then(|| Short::Word(vm::bits(word))),
        Immediate::Nil => Some(Short::Nil),
        Immediate::Unknown => None,
    }
}

/// The word itself, if it is a term by itself and needs no definition any more.
#[inline(always)]
pub fn known(known: &Known, word: Word) -> Option<u64> {
    let own = vm::bits(word);
    match immediate::read(word) {
        Immediate::Small(_) | Immediate::Nil => Some(own),
        Immediate::Word => known.contains(own).then_some(own),
        Immediate::Unknown => None,
    }
}

/// The walk over one term.
struct Walk<'a, 'w, 'p> {
    env: Env<'a>,
    pen: &'w mut Pen<'p>,
    budget: &'w mut Budget,
    state: Option<Word>,
    /// The second element of the state.
    data: Option<Word>,
    large: Vec<Large<'a>>,
    /// What is not recorded of the maps and calls around.
    veiled: Vec<Veiled>,
    /// Whether there are rules of redaction.
    guards: bool,
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
    fn run(&mut self, mut top: Open) {
        // Terms around the one at the top. Most terms are flat and need none.
        let mut stack: Vec<Open> = Vec::new();
        loop {
            match self.go_on(&mut top, stack.len() + 1) {
                Some(inner) => {
                    if stack.capacity() == 0 {
                        stack = OPEN.take();
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
            OPEN.set(stack);
        }
        if self.large.capacity() > 0 {
            let large = std::mem::take(&mut self.large);
            LARGE.set(large.into_iter().map(|_| unreachable!("the walk has ended")).collect());
        }
        if self.veiled.capacity() > 0 {
            VEILED.set(std::mem::take(&mut self.veiled));
        }
    }

    /// Goes on with a term that is being walked, until something in it is to be walked itself, or the term has ended.
    /// `depth`: how many terms are being walked, this one among them.
    #[inline(always)]
    fn go_on(&mut self, top: &mut Open, depth: usize) -> Option<Open> {
        loop {
            match top.next {
                Open::LIST => {
                    let mut rest = top.term;
                    loop {
                        let mut count = 0;
                        if self.is_row(rest) {
                            let mut fitting = self.budget.fitting(self.pen);
                            count = self.pen.short(|known| {
                                let Boxed::Cell(head, tail) = heap::read(self.env, rest) else { return None };
                                let token = short(known, head).filter(|_| fitting > 0)?;
                                (rest, fitting) = (tail, fitting - 1);
                                Some(token)
                            });
                        }
                        self.budget.elements -= count;
                        if count > 0 {
                            continue;
                        }
                        let Some((head, tail)) = self.cell(rest) else { break };
                        if self.budget.elements == 0 || self.budget.left(self.pen) == 0 {
                            self.budget.aside -= MARK;
                            self.pen.token(Token::Tail);
                            self.cut(CutKind::List, 0);
                            return None;
                        }
                        rest = tail;
                        if let Some(inner) = self.inside(head, depth) {
                            top.term = rest;
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
                Open::LARGE => {
                    while let Some(next) = self.next_of_large() {
                        if let Some(inner) = self.expected_next(next, depth) {
                            return Some(inner);
                        }
                    }
                    self.large.pop();
                    return None;
                }
                Open::FRAME => {
                    while let Some(Veiled::Arguments(rest, place, mask)) = self.veiled.last_mut() {
                        let Some((head, tail)) = self.env.cell(*rest) else { break };
                        let (hides, within) = (mask.hides(*place), mask.within(*place));
                        (*rest, *place) = (tail, *place + 1);
                        if let Some(inner) = within {
                            if let Some(elements) = self.env.tuple(head) {
                                match self.veiled_part(head, elements, inner.hidden(), depth) {
                                    Some(open) => return Some(open),
                                    None => continue,
                                }
                            }
                            self.budget.aside += MARK;
                            self.pen.token(Token::List);
                            self.veil_with(Veiled::Arguments(head, 0, inner));
                            // A list has nothing behind its arguments.
                            return Some(Open { term: head, next: Open::FRAME });
                        }
                        if hides {
                            self.keep_out(CutKind::Redacted);
                        } else if let Some(inner) = self.inside(head, depth) {
                            return Some(inner);
                        }
                    }
                    self.veiled.pop();
                    self.budget.aside -= MARK;
                    self.pen.token(Token::End);
                    // What stands behind the arguments.
                    let elements = self.env.tuple(top.term).unwrap_or_default();
                    if elements.len() < 4 {
                        return None;
                    }
                    *top = Open::at(top.term, 3);
                }
                Open::VEILED => {
                    while let Some(next) = self.next_of_veiled(top.term) {
                        if let Some(inner) = self.expected_next(next, depth) {
                            return Some(inner);
                        }
                    }
                    self.veiled.pop();
                    return None;
                }
                _ => {
                    let (keys, values) = match heap::read(self.env, top.term) {
                        Boxed::Map(keys, values) => (keys, values),
                        Boxed::Tuple(elements) => (&[][..], elements),
                        _ => (&[][..], self.env.tuple(top.term).unwrap_or_default()),
                    };
                    let (mut place, end) = (top.place(), keys.len() + values.len());
                    loop {
                        place = self.row(keys, values, place);
                        if place == end {
                            return None;
                        }
                        place += 1;
                        if let Some(inner) = self.expected(in_turn(keys, values, place - 1), depth) {
                            *top = Open::at(top.term, place);
                            return Some(inner);
                        }
                    }
                }
            }
        }
    }

    /// Appends words that are terms by themselves, from a place of a tuple or map on, as long as there are some and
    /// room for a few at once lasts. Gives the place after them.
    #[inline(always)]
    fn row(&mut self, keys: &[Word], values: &[Word], from: usize) -> usize {
        let end = keys.len() + values.len();
        if from == end || immediate::read(in_turn(keys, values, from)) == Immediate::Unknown {
            return from;
        }
        let end = end.min(from.saturating_add(self.budget.fitting(self.pen)));
        let mut place = from;
        let count = self.pen.short(|known| {
            let token = if place < end { short(known, in_turn(keys, values, place)) } else { None }?;
            place += 1;
            Some(token)
        });
        self.budget.elements -= count;
        self.budget.aside -= count * MARK;
        place
    }

    /// As [`Walk::inside`], for a term that a mark was set aside for.
    #[inline(always)]
    fn expected(&mut self, word: Word, depth: usize) -> Option<Open> {
        self.budget.aside -= MARK;
        self.inside(word, depth)
    }

    /// Appends what a term begins with, and gives what is inside it, if it is to be walked.
    #[inline(always)]
    fn inside(&mut self, word: Word, depth: usize) -> Option<Open> {
        if self.budget.left(self.pen) > 0 {
            match immediate::read(word) {
                Immediate::Small(number) => self.pen.integer(number),
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
    fn step(&mut self, word: Word, depth: usize) -> Option<Open> {
        self.budget.elements = self.budget.elements.saturating_sub(1);
        if self.state == Some(word) {
            self.pen.token(Token::State);
            return None;
        }
        if self.data == Some(word) {
            self.pen.token(Token::StateElement(1));
            return None;
        }
        let left = self.budget.left(self.pen);
        let room = Room { left, shut: left == 0 || depth >= self.budget.depth };
        match heap::read(self.env, word) {
            Boxed::Cell(..) => self.list(room, word),
            // Most tuples are a row of words: they need not be opened.
            Boxed::Tuple(elements) => {
                if self.guards
                    && let Some(veil) = self.veil(elements)
                {
                    return self.veiled_tuple(room, word, elements, veil);
                }
                self.tuple(room, word, elements.len())?;
                let place = self.row(&[], elements, 0);
                (place < elements.len()).then_some(Open::at(word, place))
            }
            Boxed::Map(keys, values) => {
                if self.guards && !redact::is_plain(self.pen.slot(), keys, values) {
                    return self.veiled_map(room, word, keys, values);
                }
                self.map(room, keys.len(), |_| true).then_some(Open::at(word, 0))
            }
            Boxed::Binary(bytes) => self.binary(room.left, bytes),
            Boxed::Float(number) if room.left > 0 => self.token(Token::Float(number)),
            Boxed::Float(_) => self.cut(CutKind::Other, 0),
            Boxed::Unknown => self.asked(room, word),
        }
    }

    /// Whether the first elements of a list are a word each: then it pays to write them under one check.
    #[inline]
    fn is_row(&self, mut list: Word) -> bool {
        (0..2).all(|_| match heap::read(self.env, list) {
            Boxed::Cell(head, tail) => {
                list = tail;
                immediate::read(head) != Immediate::Unknown
            }
            _ => false,
        })
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
    fn list(&mut self, room: Room, list: Word) -> Option<Open> {
        if room.shut {
            return self.cut(CutKind::List, 0);
        }
        if self.guards && self.scrubbed_list(list) {
            return None;
        }
        self.budget.aside += MARK;
        self.pen.token(Token::List);
        Some(Open { term: list, next: Open::LIST })
    }

    #[inline]
    fn tuple(&mut self, room: Room, tuple: Word, size: usize) -> Option<Open> {
        let marks = size * MARK;
        if room.shut && size > 0 || marks > room.left || size > self.budget.elements {
            return self.cut(CutKind::Tuple, size);
        }
        self.budget.aside += marks;
        self.pen.token(Token::Tuple(size as u64));
        (size > 0).then_some(Open::at(tuple, 0))
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
            self.large = LARGE.take().into_iter().map(|_| unreachable!("it is kept empty")).collect();
        }
        let env = self.env;
        let module = if self.guards { self.guard(|guard| guard.module(env, map)) } else { None };
        self.large.push((pairs, None, module));
        true
    }

    fn next_of_large(&mut self) -> Option<Next> {
        let (pairs, value, module) = self.large.last_mut()?;
        if let Some(value) = value.take() {
            return Some(value);
        }
        let (key, next) = pairs.next()?;
        let hides = match self.guards && !(module.is_none() && redact::is_plain_key(self.pen.slot(), key)) {
            true => redact::with(self.pen, |guard, _| guard.hides(self.env, *module, key, next)),
            false => None,
        };
        *value = Some(hides.map_or(Next::Term(next), Next::Cut));
        Some(Next::Term(key))
    }

    fn next_of_veiled(&mut self, term: Word) -> Option<Next> {
        let Some(Veiled::Parts(hidden, place)) = self.veiled.last_mut() else { return None };
        let (keys, values) = match heap::read(self.env, term) {
            Boxed::Map(keys, values) => (keys, values),
            _ => (&[][..], self.env.tuple(term)?),
        };
        let from = *place;
        if from == keys.len() + values.len() {
            return None;
        }
        *place += 1;
        let value = match keys {
            [] => Some(from),
            _ => (from % 2 == 1).then_some(from / 2),
        };
        Some(match value.and_then(|value| hidden.at(value)) {
            Some(kind) => Next::Cut(kind),
            None => Next::Term(in_turn(keys, values, from)),
        })
    }

    #[inline]
    fn expected_next(&mut self, next: Next, depth: usize) -> Option<Open> {
        match next {
            Next::Term(word) => self.expected(word, depth),
            Next::Cut(kind) => {
                self.budget.aside -= MARK;
                self.keep_out(kind)
            }
        }
    }

    /// Asks the rules.
    fn guard<R>(&mut self, ask: impl FnOnce(&mut Guard) -> R) -> R {
        redact::with(self.pen, |guard, _| ask(guard))
    }

    /// Marks what the rules keep out. That is no cut of a limit: what comes later may stand on it.
    fn keep_out(&mut self, kind: CutKind) -> Option<Open> {
        self.budget.elements = self.budget.elements.saturating_sub(1);
        self.token(Token::Cut(kind, 0, &[]))
    }

    /// A map of whose keys not all are known to be no names of secrets.
    #[inline(never)]
    fn veiled_map(&mut self, room: Room, map: Word, keys: &[Word], values: &[Word]) -> Option<Open> {
        let env = self.env;
        let hidden = self.guard(|guard| guard.hidden(env, keys, values));
        if !self.map(room, keys.len(), |_| true) {
            return None;
        }
        if hidden.is_empty() {
            return Some(Open::at(map, 0));
        }
        self.veil_with(Veiled::Parts(hidden, 0));
        Some(Open { term: map, next: Open::VEILED })
    }

    fn veil_with(&mut self, veiled: Veiled) {
        if self.veiled.capacity() == 0 {
            self.veiled = VEILED.take();
        }
        self.veiled.push(veiled);
    }

    /// What is not recorded of a tuple that is a pair with a secret, or with a stack, or that says how a function is called.
    #[inline]
    fn veil(&mut self, elements: &[Word]) -> Option<Mask> {
        let env = self.env;
        match elements {
            [key, _] if redact::is_plain_key(self.pen.slot(), *key) => None,
            [key, value] => self.guard(|guard| {
                let secret = guard.is_secret_pair(env, *key, *value).then(Mask::default);
                secret.or_else(|| guard.is_stack_of_hidden(env, *value).then(|| Mask::returned(true, false)))
            }),
            [module, function, arguments] | [module, function, arguments, _]
                if redact::may_be_called(*module, *function) && env.cell(*arguments).is_some() =>
            {
                self.guard(|guard| guard.frame(env, elements))
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn veiled_tuple(&mut self, room: Room, tuple: Word, elements: &[Word], mask: Mask) -> Option<Open> {
        self.tuple(room, tuple, elements.len())?;
        if let ([_, _], true) = (elements, mask.all) {
            // A reason, and the stack.
            self.budget.aside -= MARK;
            self.keep_out(CutKind::Redacted);
            return Some(Open::at(tuple, 1));
        }
        if let [key, _] = elements {
            self.budget.aside -= 2 * MARK;
            match self.env.kind(*key) {
                Kind::List => self.letters(*key),
                _ => _ = self.inside(*key, usize::MAX),
            }
            return self.keep_out(CutKind::Redacted);
        }
        // What was set aside for the arguments is now for the end of their list.
        self.budget.aside -= 2 * MARK;
        self.inside(elements[0], usize::MAX);
        self.inside(elements[1], usize::MAX);
        self.pen.token(Token::List);
        self.veil_with(Veiled::Arguments(elements[2], 0, mask));
        Some(Open { term: tuple, next: Open::FRAME })
    }

    /// A tuple among arguments, of which a part is not recorded.
    fn veiled_part(&mut self, tuple: Word, elements: &[Word], hidden: Hidden, depth: usize) -> Option<Open> {
        let left = self.budget.left(self.pen);
        let room = Room { left, shut: left == 0 || depth >= self.budget.depth };
        self.tuple(room, tuple, elements.len())?;
        self.veil_with(Veiled::Parts(hidden, 0));
        Some(Open { term: tuple, next: Open::VEILED })
    }

    /// A short list of characters.
    fn letters(&mut self, list: Word) {
        let (env, pen) = (self.env, &mut *self.pen);
        pen.token(Token::List);
        vm::list(env, list).filter_map(|letter| env.integer(letter)).for_each(|letter| pen.integer(letter));
        pen.token(Token::End);
    }

    /// Appends a list of characters without its secrets, if it has any, and says whether it has.
    #[inline]
    fn scrubbed_list(&mut self, list: Word) -> bool {
        self.cell(list).is_some_and(|(head, _)| redact::is_character(self.env, head)) && self.scrub_list(list)
    }

    #[inline(never)]
    fn scrub_list(&mut self, list: Word) -> bool {
        let (env, budget) = (self.env, &mut *self.budget);
        let mut write = |pen: &mut Pen<'_>, letters: &[u8]| {
            pen.token(Token::List);
            let fitting = budget.fitting(pen);
            for letter in letters.iter().take(fitting) {
                pen.integer((*letter).into());
            }
            budget.elements -= letters.len().min(fitting);
            if letters.len() <= fitting {
                return pen.token(Token::End);
            }
            budget.cuts += 1;
            pen.token(Token::Tail);
            pen.token(Token::Cut(CutKind::List, 0, &[]));
        };
        redact::with(self.pen, |guard, pen| guard.scrubbed_list(env, list, |letters| write(pen, letters)))
    }

    #[inline]
    fn binary(&mut self, left: usize, bytes: &[u8]) -> Option<Open> {
        if self.guards && self.scrubbed(left, bytes) {
            return None;
        }
        if bytes.len() <= left {
            return self.token(Token::Binary(bytes));
        }
        let kept = &bytes[..bytes.len().min(KEPT).min(left)];
        self.budget.cuts += 1;
        self.token(Token::Cut(CutKind::Binary, bytes.len() as u64, kept))
    }

    /// Appends a text without its secrets, if it has any in what is recorded of it, and says whether it has.
    #[inline]
    fn scrubbed(&mut self, left: usize, bytes: &[u8]) -> bool {
        let kept = if bytes.len() <= left { bytes } else { &bytes[..bytes.len().min(KEPT).min(left)] };
        redact::is_searched(kept) && self.scrub(left, bytes, kept)
    }

    #[inline(never)]
    fn scrub(&mut self, left: usize, bytes: &[u8], kept: &[u8]) -> bool {
        let budget = &mut *self.budget;
        let mut write = |pen: &mut Pen<'_>, text: &[u8]| {
            if bytes.len() <= left && text.len() <= left {
                return pen.token(Token::Binary(text));
            }
            budget.cuts += 1;
            pen.token(Token::Cut(CutKind::Binary, bytes.len() as u64, &text[..text.len().min(KEPT).min(left)]));
        };
        redact::with(self.pen, |guard, pen| guard.scrubbed(kept, |text| write(pen, text)))
    }

    /// As [`Walk::step`], for a term that the VM has to be asked about.
    #[inline(never)]
    fn asked(&mut self, room: Room, word: Word) -> Option<Open> {
        let (env, left) = (self.env, room.left);
        match env.kind(word) {
            Kind::Atom | Kind::Integer | Kind::Pid | Kind::Port | Kind::Float if left == 0 => {
                self.cut(CutKind::Other, 0)
            }
            Kind::Atom => self.word(word),
            Kind::Integer => match env.integer(word) {
                Some(number) => {
                    self.pen.integer(number);
                    None
                }
                None => self.external(left, word),
            },
            Kind::Pid if env.is_local_pid(word) => self.word(word),
            Kind::Port if env.is_local_port(word) => self.word(word),
            Kind::Float => self.token(Token::Float(env.float(word).unwrap_or(f64::NAN))),
            Kind::BitString => match env.binary(word) {
                Some(bytes) => self.binary(left, bytes),
                None => self.external(left, word),
            },
            Kind::List if env.cell(word).is_none() => self.token(Token::Nil),
            Kind::List => self.list(room, word),
            Kind::Tuple => {
                let elements = env.tuple(word).unwrap_or_default();
                match self.guards.then(|| self.veil(elements)).flatten() {
                    Some(veil) => self.veiled_tuple(room, word, elements, veil),
                    None => self.tuple(room, word, elements.len()),
                }
            }
            Kind::Map => {
                let size = env.map_size(word).unwrap_or(0);
                self.map(room, size, |walk| walk.open_large(word))
                    .then_some(Open { term: word, next: Open::LARGE })
            }
            // References, functions, pids and ports of other nodes.
            Kind::Pid | Kind::Port | Kind::Function | Kind::Other => self.external(left, word),
        }
    }

    #[inline(always)]
    fn token(&mut self, token: Token<'_>) -> Option<Open> {
        self.pen.token(token);
        None
    }

    fn word(&mut self, word: Word) -> Option<Open> {
        self.pen.word(vm::bits(word), || define(self.env, word));
        None
    }

    #[cold]
    fn cut(&mut self, kind: CutKind, size: usize) -> Option<Open> {
        self.budget.cuts += 1;
        self.token(Token::Cut(kind, size as u64, &[]))
    }

    /// A term that only the VM can take apart. It does that as a whole, however large the term is: a function with all
    /// that it closes over, a bit string, a large integer. So one that was too large is remembered, and those like it are cut
    /// without asking, for a while.
    #[cold]
    fn external(&mut self, left: usize, word: Word) -> Option<Open> {
        let kind = self.env.kind(word);
        if SHUNNED.with_borrow(|shunned| !shunned.is_empty()) && shun(alike(self.env, kind, word)) {
            return self.cut_external(kind, 0, word);
        }
        let pen = &mut *self.pen;
        let guards = self.guards && kind == Kind::Function;
        let mut secret = false;
        let written = self.env.external(word, |bytes| {
            let fits = bytes.len() <= left;
            secret = guards && fits && redact::with(pen, |guard, _| guard.is_in_function(bytes));
            if fits && !secret {
                pen.token(Token::External(bytes));
            }
            (fits, bytes.len())
        });
        match written {
            Some((true, _)) if secret => {
                let (name, len) = self.env.printed::<128>(word);
                self.token(Token::Cut(CutKind::Redacted, 0, &name[..len]))
            }
            Some((true, _)) => None,
            Some((false, size)) => {
                if size > TOLERATED {
                    SHUNNED.with_borrow_mut(|shunned| {
                        // Programs have few such places; that this stays small matters more than which are kept.
                        if shunned.len() >= 1_000 {
                            shunned.clear();
                        }
                        shunned.insert(alike(self.env, kind, word), AGAIN)
                    });
                }
                self.cut_external(kind, size, word)
            }
            None => self.cut(CutKind::Other, 0),
        }
    }

    /// Of a function its name is kept.
    fn cut_external(&mut self, kind: Kind, size: usize, word: Word) -> Option<Open> {
        if kind != Kind::Function {
            return self.cut(CutKind::Other, size);
        }
        self.budget.cuts += 1;
        let (name, len) = self.env.printed::<128>(word);
        self.token(Token::Cut(CutKind::Other, size as u64, &name[..len]))
    }
}

/// Bytes in the external term format that cost too little to be remembered.
const TOLERATED: usize = 16 << 10;

/// So often a term like one that was too large is cut unseen, before it is looked at again.
const AGAIN: u32 = 1_023;

/// What terms have in common that are likely to be as large as each other: functions their name, which is that of the
/// place where they are made; others their kind.
type Alike = [u8; 256];

thread_local! {
    /// What was too large, and how often it will be cut unseen.
    static SHUNNED: RefCell<AHashMap<Alike, u32>> = RefCell::default();
}

fn alike(env: Env<'_>, kind: Kind, word: Word) -> Alike {
    if kind == Kind::Function {
        return env.printed(word).0;
    }
    let mut alike = [0; 256];
    alike[0] = kind as u8;
    alike
}

/// Whether a term like this one is to be cut unseen.
fn shun(alike: Alike) -> bool {
    SHUNNED.with_borrow_mut(|shunned| match shunned.get_mut(&alike) {
        Some(0) => {
            shunned.remove(&alike);
            false
        }
        Some(left) => {
            *left -= 1;
            true
        }
        None => false,
    })
}

/// What stands at a place of a tuple (which has no keys), or of a map: a key and its value in turn.
#[inline(always)]
fn in_turn(keys: &[Word], values: &[Word], place: usize) -> Word {
    match keys {
        [] => values[place],
        _ if place.is_multiple_of(2) => keys[place / 2],
        _ => values[place / 2],
    }
}

fn define(env: Env<'_>, word: Word) -> Definition {
    meaning::of(env, word).unwrap_or(Definition::Unknown(vm::bits(word)))
}
