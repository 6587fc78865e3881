//! The difference of a state and the one before, as a patch (see [`elixir_scope_event::value`]).
//!
//! Terms do not change, and a new state is made of parts of the old one. The garbage collector keeps what a process's terms
//! share. So where the two are the same machine word they are the same term, and nothing below has to be looked at: the
//! walk costs the size of the change. Where words differ but hold the same, that is found out, and costs a look at both.
//!
//! What a limit keeps out is marked as cut, as in values. A key is never cut: then its whole map is.
//!
//! What the rules of redaction keep out is marked in the same way, and does not make a patch less than whole. A text or a list of characters
//! from which they take something has another length where it was recorded, so it is never patched, but written anew.

use crate::encode::{self, Budget};
use crate::heap::{self, Boxed, Node};
use crate::immediate::{self, Immediate};
use crate::redact::{self, Guard};
use crate::vm::{Env, Kind, Word};
use elixir_scope_capture::Pen;
use elixir_scope_event::value::{self, CutKind, Token};

/// Levels of a patch; what lies deeper is written as a value. A reader walks as many by recursion.
pub const DEPTH: usize = 64;

/// Terms that are looked at for one difference. One that would take more has cuts in it.
const STEPS: usize = 1 << 20;

/// How far along a list an element is looked for that is not where it was.
const AHEAD: usize = 16;

/// How often.
const SEARCHES: usize = 256;

/// A pair of a map that changed: key, old value, new value.
type Change = (Word, Option<Word>, Option<Word>);

/// The walk over two terms.
pub struct Difference<'a, 'w, 'p> {
    env: Env<'a>,
    pen: &'w mut Pen<'p>,
    budget: Budget,
    steps: usize,
    /// `ElixirScope.Cut`: a program's own is not taken apart, for in a patched state one stands for what is not known.
    cut: Word,
    /// Whether there are rules of redaction.
    guards: bool,
}

impl<'a, 'w, 'p> Difference<'a, 'w, 'p> {
    /// Appends the patch that makes `new` of `old`; the answer is whether it is whole: no limit has cut any of it.
    pub fn write(env: Env<'a>, pen: &'w mut Pen<'p>, cut: Word, old: Word, new: Word) -> bool {
        let budget = Budget::patch(pen);
        let guards = redact::with(pen.session(), |guard| guard.is_on());
        let mut difference = Difference { env, pen, budget, steps: STEPS, cut, guards };
        difference.patch(old, new, 0);
        difference.steps > 0 && difference.budget.cuts() == 0
    }

    /// Asks the rules.
    fn guard<R>(&self, ask: impl FnOnce(&mut Guard) -> R) -> R {
        redact::with(self.pen.session(), ask)
    }

    /// What stands where the rules keep a value out.
    fn keep_out(&mut self, kind: CutKind) {
        self.pen.token(Token::Cut(kind, 0, &[]));
    }

    fn kept_out(&mut self, kind: CutKind, size: u64) {
        self.budget.count_cut();
        self.pen.token(Token::Cut(kind, size, &[]));
    }

    fn patch(&mut self, old: Word, new: Word, depth: usize) {
        if old == new {
            return self.pen.token(Token::Same(1));
        }
        if self.is_over() {
            return self.kept_out(CutKind::Other, 0);
        }
        if depth == DEPTH {
            return self.value(new);
        }
        match (heap::read(self.env, old), heap::read(self.env, new)) {
            (Boxed::Tuple(olds), Boxed::Tuple(news)) if olds.len() == news.len() => {
                self.tuple(olds, news, new, depth);
            }
            (Boxed::Map(keys, olds), Boxed::Map(same, news)) if std::ptr::eq(keys, same) => {
                if self.is_cut(olds) || self.is_cut(news) {
                    return self.value(new);
                }
                let pairs = keys.iter().zip(olds).zip(news).filter(|((_, old), new)| old != new);
                let changes = pairs.map(|((key, old), new)| (*key, Some(*old), Some(*new)));
                self.map(changes.clone().count(), changes, new, depth);
            }
            (Boxed::Map(_, olds), Boxed::Map(_, news)) if self.is_cut(olds) || self.is_cut(news) => {
                self.value(new)
            }
            (Boxed::Map(keys, olds), Boxed::Map(others, news)) => {
                let changes = self.flat(keys, olds, others, news);
                self.map(changes.len(), changes.into_iter(), new, depth);
            }
            (Boxed::Cell(..), Boxed::Cell(..)) => self.list(old, new, depth),
            (Boxed::Map(..) | Boxed::Unknown, Boxed::Map(..) | Boxed::Unknown) => self.asked(old, new, depth),
            _ if self.same(old, new) => self.pen.token(Token::Same(1)),
            _ => self.value(new),
        }
    }

    /// Terms of which the VM has to be asked what they are.
    fn asked(&mut self, old: Word, new: Word, depth: usize) {
        let env = self.env;
        match (env.kind(old), env.kind(new)) {
            (Kind::Tuple, Kind::Tuple)
                if env.tuple(old).map(<[Word]>::len) == env.tuple(new).map(<[Word]>::len) =>
            {
                let [olds, news] = [old, new].map(|tuple| env.tuple(tuple).unwrap_or_default());
                self.tuple(olds, news, new, depth);
            }
            (Kind::List, Kind::List) if env.cell(old).is_some() && env.cell(new).is_some() => {
                self.list(old, new, depth);
            }
            (Kind::Map, Kind::Map) if !self.is_own_cut(old) && !self.is_own_cut(new) => {
                let mut changes = Vec::new();
                if !self.trees(old, new, &mut changes, 0) {
                    changes.clear();
                    self.pairs(old, new, &mut changes);
                }
                self.map(changes.len(), changes.into_iter(), new, depth);
            }
            _ if self.same(old, new) => self.pen.token(Token::Same(1)),
            _ => self.value(new),
        }
    }

    fn value(&mut self, new: Word) {
        encode::term(self.env, self.pen, &mut self.budget, None, new);
    }

    /// Whether no more is looked at or written.
    fn is_over(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps == 0 || self.budget.is_spent(self.pen)
    }

    /// Whether two terms that are different words hold the same, without a walk where one is not needed.
    fn same(&self, old: Word, new: Word) -> bool {
        match (immediate::read(old), immediate::read(new)) {
            (Immediate::Unknown, Immediate::Unknown) => self.env.identical(old, new),
            // Different words of one-word terms are different terms.
            _ => old == new,
        }
    }

    fn is_cut(&self, values: &[Word]) -> bool {
        values.len() == 4 && values.contains(&self.cut)
    }

    fn is_own_cut(&self, map: Word) -> bool {
        let env = self.env;
        env.map_size(map) == Some(4)
            && env.pairs(map).is_some_and(|mut pairs| pairs.any(|(_, value)| value == self.cut))
    }

    fn tuple(&mut self, old: &[Word], new: &[Word], whole: Word, depth: usize) {
        let (mut hid, mut hides) = (false, false);
        if self.guards {
            let env = self.env;
            if self.guard(|guard| guard.frame(env, old).or(guard.frame(env, new)).is_some()) {
                return self.value(whole);
            }
            let pair = |pair: &[Word]| match pair {
                [key, value] => self.guard(|guard| guard.is_secret_pair(env, *key, *value)),
                _ => false,
            };
            (hid, hides) = (pair(old), pair(new));
        }
        let changed = old.iter().zip(new).filter(|(old, new)| old != new).count();
        if !self.budget.fits(self.pen, changed) {
            return self.kept_out(CutKind::Tuple, new.len() as u64);
        }
        self.pen.token(Token::TupleChange(changed as u64));
        for (place, (old, new)) in old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new) {
            self.pen.integer(place as i64);
            match place {
                1 if hides => self.keep_out(CutKind::Redacted),
                1 if hid => self.value(*new),
                _ => self.patch(*old, *new, depth + 1),
            }
        }
    }

    /// The pairs that differ of two small maps with different keys. Keys stand in the same order in both.
    fn flat(&mut self, keys: &[Word], olds: &[Word], others: &[Word], news: &[Word]) -> Vec<Change> {
        let mut changes = Vec::with_capacity(8);
        let mut kept = [false; 64];
        let mut from = 0;
        for (key, new) in others.iter().zip(news) {
            // From the key behind the last one that was found, round to it.
            let found = (0..keys.len())
                .map(|step| (from + step) % keys.len())
                .find(|at| keys[*at] == *key || self.same(keys[*at], *key));
            match found {
                Some(at) => {
                    kept[at % 64] = true;
                    from = at + 1;
                    if olds[at] != *new {
                        changes.push((*key, Some(olds[at]), Some(*new)));
                    }
                }
                None => changes.push((*key, None, Some(*new))),
            }
        }
        let gone = keys.iter().zip(olds).zip(kept).filter(|(_, kept)| !kept);
        changes.extend(gone.map(|((key, old), _)| (*key, Some(*old), None)));
        changes
    }

    /// The pairs that differ of two large maps, as far as their nodes are not the same; `false` when they are not to be
    /// read so.
    fn trees(&mut self, old: Word, new: Word, changes: &mut Vec<Change>, level: usize) -> bool {
        if old == new {
            return true;
        }
        self.steps = self.steps.saturating_sub(1);
        // No tree is as deep; nor is it read when it would be cut.
        if level > 32 || self.steps == 0 {
            return false;
        }
        match (heap::node(self.env, old), heap::node(self.env, new)) {
            (Some(Node::Branch(had, olds)), Some(Node::Branch(has, news))) if had == has => {
                let differ = olds.iter().zip(news).filter(|(old, new)| old != new);
                differ.fold(true, |read, (old, new)| read && self.trees(*old, *new, changes, level + 1))
            }
            (Some(Node::Branch(had, olds)), Some(Node::Branch(has, news))) => {
                let (mut olds, mut news) = (olds.iter(), news.iter());
                (0..16).all(|bit| {
                    let old = (had >> bit & 1 == 1).then(|| olds.next()).flatten();
                    let new = (has >> bit & 1 == 1).then(|| news.next()).flatten();
                    match (old, new) {
                        (Some(old), Some(new)) => self.trees(*old, *new, changes, level + 1),
                        (Some(old), None) => {
                            self.leaves(*old, level, &mut |key, old| changes.push((key, Some(old), None)))
                        }
                        (None, Some(new)) => {
                            self.leaves(*new, level, &mut |key, new| changes.push((key, None, Some(new))))
                        }
                        (None, None) => true,
                    }
                })
            }
            (Some(Node::Pair(key, old)), Some(Node::Pair(other, new)))
                if key == other || self.same(key, other) =>
            {
                if old != new {
                    changes.push((key, Some(old), Some(new)));
                }
                true
            }
            (Some(_), Some(_)) => {
                let (mut olds, mut news) = (Vec::new(), Vec::new());
                let read = self.leaves(old, level, &mut |key, value| olds.push((key, value)))
                    && self.leaves(new, level, &mut |key, value| news.push((key, value)));
                for (key, new) in news {
                    let at = olds.iter().position(|(old, _)| *old == key || self.same(*old, key));
                    match at.map(|at| olds.swap_remove(at)) {
                        Some((_, old)) if old == new => {}
                        found => changes.push((key, found.map(|(_, old)| old), Some(new))),
                    }
                }
                changes.extend(olds.into_iter().map(|(key, old)| (key, Some(old), None)));
                read
            }
            _ => false,
        }
    }

    /// All pairs below a node.
    fn leaves(&mut self, node: Word, level: usize, found: &mut dyn FnMut(Word, Word)) -> bool {
        self.steps = self.steps.saturating_sub(1);
        if level > 32 || self.steps == 0 {
            return false;
        }
        match heap::node(self.env, node) {
            Some(Node::Pair(key, value)) => {
                found(key, value);
                true
            }
            Some(Node::Branch(_, children) | Node::Pairs(children)) => {
                children.iter().all(|child| self.leaves(*child, level + 1, found))
            }
            None => false,
        }
    }

    /// The pairs that differ of two maps, each asked for.
    fn pairs(&mut self, old: Word, new: Word, changes: &mut Vec<Change>) {
        let env = self.env;
        for (key, value) in env.pairs(new).into_iter().flatten().take(self.steps) {
            match env.map_get(old, key) {
                Some(known) if known == value => {}
                known => changes.push((key, known, Some(value))),
            }
        }
        for (key, value) in env.pairs(old).into_iter().flatten().take(self.steps) {
            if env.map_get(new, key).is_none() {
                changes.push((key, Some(value), None));
            }
        }
        let sizes = [old, new].map(|map| env.map_size(map).unwrap_or(0));
        self.steps = self.steps.saturating_sub(sizes.iter().sum());
    }

    /// A map of which these pairs differ. Which go is said first: so a key may go and come.
    fn map(&mut self, count: usize, changes: impl Iterator<Item = Change> + Clone, map: Word, depth: usize) {
        let size = self.env.map_size(map).unwrap_or(0) as u64;
        if self.steps == 0 || !self.budget.fits(self.pen, count) {
            return self.kept_out(CutKind::Map, size);
        }
        let begin = self.pen.len();
        let gone = changes.clone().filter(|(_, _, new)| new.is_none());
        self.pen.token(Token::MapChange(gone.clone().count() as u64, (count - gone.clone().count()) as u64));
        let cuts = self.budget.cuts();
        for (key, ..) in gone {
            self.value(key);
        }
        let mut whole = self.budget.cuts() == cuts;
        let env = self.env;
        let module = if self.guards { self.guard(|guard| guard.module(env, map)) } else { None };
        for (key, old, new) in changes.filter_map(|(key, old, new)| Some((key, old, new?))) {
            if !whole {
                break;
            }
            let cuts = self.budget.cuts();
            self.value(key);
            whole = self.budget.cuts() == cuts;
            let hides = |value| self.guard(|guard| guard.hides(env, module, key, value));
            let (hid, hides) = match self.guards {
                true => (old.and_then(hides), hides(new)),
                false => (None, None),
            };
            match (hides, old.filter(|_| hid.is_none())) {
                (Some(kind), _) => self.keep_out(kind),
                (None, Some(old)) => self.patch(old, new, depth + 1),
                (None, None) => self.value(new),
            }
        }
        if !whole {
            self.pen.truncate(begin);
            self.kept_out(CutKind::Map, size);
        }
    }

    fn cell(&self, list: Word) -> Option<(Word, Word)> {
        match heap::read(self.env, list) {
            Boxed::Cell(head, tail) => Some((head, tail)),
            Boxed::Unknown => self.env.cell(list),
            _ => None,
        }
    }

    fn list(&mut self, mut old: Word, mut new: Word, depth: usize) {
        if self.guards && (self.is_scrubbed(old) || self.is_scrubbed(new)) {
            return self.value(new);
        }
        self.pen.token(Token::ListChange);
        let (mut same, mut searches) = (0, SEARCHES);
        loop {
            if old == new {
                self.steps_along(&mut same);
                return self.pen.token(Token::Rest);
            }
            if self.is_over() {
                self.steps_along(&mut same);
                self.pen.token(Token::Tail);
                return self.kept_out(CutKind::List, 0);
            }
            match (self.cell(old), self.cell(new)) {
                (Some((was, old_rest)), Some((is, new_rest))) if was == is => {
                    same += 1;
                    (old, new) = (old_rest, new_rest);
                }
                (Some((was, old_rest)), Some((is, new_rest))) => {
                    self.steps_along(&mut same);
                    if let Some(count) = self.search(&mut searches, old, is) {
                        self.pen.token(Token::Drop(count as u64));
                        (0..count).for_each(|_| old = self.cell(old).map_or(old, |(_, rest)| rest));
                    } else if self.search(&mut searches, new, was).is_some() {
                        self.value(is);
                        new = new_rest;
                    } else {
                        let begin = self.pen.len();
                        self.patch(was, is, depth + 1);
                        // A value was inserted; the one that it stands for goes.
                        if !self.pen.byte(begin).is_some_and(value::is_change) {
                            self.pen.token(Token::Drop(1));
                        }
                        (old, new) = (old_rest, new_rest);
                    }
                }
                (None, Some((is, rest))) => {
                    self.steps_along(&mut same);
                    self.value(is);
                    new = rest;
                }
                (_, None) => {
                    self.steps_along(&mut same);
                    if immediate::read(new) == Immediate::Nil || self.env.kind(new) == Kind::List {
                        return self.pen.token(Token::End);
                    }
                    self.pen.token(Token::Tail);
                    return self.value(new);
                }
            }
        }
    }

    /// Whether something is taken out of a list of characters.
    fn is_scrubbed(&self, list: Word) -> bool {
        let env = self.env;
        self.cell(list).is_some_and(|(head, _)| redact::is_character(env, head))
            && self.guard(|guard| guard.scrubbed_list(env, list, |_| ()))
    }

    fn steps_along(&mut self, same: &mut u64) {
        if *same > 0 {
            self.pen.token(Token::Same(std::mem::take(same)));
        }
    }

    /// How many elements along a list one is found that is the same word.
    fn search(&self, searches: &mut usize, list: Word, element: Word) -> Option<usize> {
        *searches = searches.checked_sub(1)?;
        let mut rest = list;
        for count in 0..AHEAD {
            let (head, tail) = self.cell(rest)?;
            if head == element {
                return Some(count);
            }
            rest = tail;
        }
        None
    }
}
