//! Writing the payload of one event.

use crate::Session;
use elixir_scope_event::Definition;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::varint;

/// Collects the payload of an event in the thread's buffer.
pub struct Pen<'a> {
    pub(crate) session: &'a Session,
    pub(crate) bytes: &'a mut Vec<u8>,
    pub(crate) undefined: bool,
}

impl Pen<'_> {
    /// The session that records.
    pub fn session(&self) -> &Session {
        self.session
    }

    /// Bytes so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number at the front of the payload.
    #[inline]
    pub fn number(&mut self, number: u64) {
        varint::put(self.bytes, number);
    }

    /// One token of a value; words go through [`Pen::word`].
    #[inline]
    pub fn token(&mut self, token: Token<'_>) {
        value::put(self.bytes, token);
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
