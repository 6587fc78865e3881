//! Writing the payload of one event.

use crate::Session;
use elixir_scope_clock::Ticks;
use elixir_scope_dictionary::Known;
use elixir_scope_event::value::{self, Short, Token};
use elixir_scope_event::varint;
use elixir_scope_event::{Buffer, Definition};

/// Collects the payload of an event in a buffer, behind what lies there already.
pub struct Pen<'a> {
    session: &'a Session,
    bytes: &'a mut Buffer,
    /// Where the payload begins.
    from: usize,
    ticks: Ticks,
    /// Whether the meaning of a word could not be written.
    pub(crate) undefined: bool,
    /// Whether something of the site is not to be recorded.
    pub(crate) guarded: bool,
}

impl<'a> Pen<'a> {
    /// A pen that appends to `bytes` the payload of an event that happened then.
    #[inline]
    pub fn new(session: &'a Session, ticks: Ticks, bytes: &'a mut Buffer) -> Self {
        let from = bytes.len();
        Pen { session, bytes, from, ticks, undefined: false, guarded: false }
    }

    /// The session that records.
    #[inline]
    pub fn session(&self) -> &Session {
        self.session
    }

    /// Bytes so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.from
    }

    /// The bytes behind so many.
    pub fn behind(&self, at: usize) -> &[u8] {
        self.bytes.as_slice().get(self.from + at..).unwrap_or_default()
    }

    /// A byte of it.
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.as_slice().get(self.from + at).copied()
    }

    /// Forgets what was written behind so many bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.from + len);
    }

    /// When the event happened.
    #[inline]
    pub fn ticks(&self) -> Ticks {
        self.ticks
    }

    /// Whether something of the event's site is not to be recorded, as [`crate::Origin::is_guarded`] has said.
    #[inline]
    pub fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at the front of the payload.
    #[inline]
    pub fn number(&mut self, number: u64) {
        varint::put(self.bytes, number);
    }

    /// One token of a value; words go through [`Pen::word`], integers through
    /// [`Pen::integer`].
    #[inline(always)]
    pub fn token(&mut self, token: Token<'_>) {
        value::put(self.bytes, token);
    }

    /// An integer.
    #[inline(always)]
    pub fn integer(&mut self, number: i64) {
        value::put_integer(self.bytes, number);
    }

    /// Tokens as long as `next` gives them and room for a few lasts; the answer is their number. `next` is told which
    /// words have a meaning in the dictionary: only those it may give.
    #[inline(always)]
    pub fn short(&mut self, mut next: impl FnMut(&Known) -> Option<Short>) -> usize {
        value::put_short(self.bytes, || next(&self.session.words))
    }

    /// A machine word of the VM. Its meaning is asked for, and written to the dictionary, the first time.
    #[inline]
    pub fn word(&mut self, word: u64, meaning: impl FnOnce() -> Definition) {
        if !self.session.words.contains(word) {
            self.define(word, meaning());
        }
        value::put(self.bytes, Token::Word(word));
    }

    #[cold]
    fn define(&mut self, word: u64, meaning: Definition) {
        match self.session.dictionary.define_word(word, meaning) {
            Ok(()) => self.session.words.add(word),
            Err(_) => self.undefined = true,
        }
    }
}
