//! A record whose values are a few immediates: most calls and returns.
//!
//! Its payload is their machine words as they are. So it is put together and written in words, and the drain makes tokens
//! of them.

use elixir_scope_event::{HEAD, Record};

/// Values that such a record holds at most.
pub const BRIEF: usize = 13;

/// Bytes that so many values may take as tokens: a limit below that is kept by the one who writes tokens.
pub(crate) const TOKENS: usize = 1 + BRIEF * elixir_scope_event::value::SHORT;

/// Words before the values.
const FIRST: usize = HEAD / 8;

/// Such a record in the making.
#[derive(Default)]
pub(crate) struct Brief {
    words: [u64; FIRST + BRIEF],
}

impl Brief {
    /// Takes the values; `false` when there are too many, or `word` does not give one of them.
    #[inline(always)]
    pub(crate) fn take(&mut self, count: usize, mut word: impl FnMut(usize) -> Option<u64>) -> bool {
        if count > BRIEF {
            return false;
        }
        for (place, cell) in self.words[FIRST..][..count].iter_mut().enumerate() {
            let Some(word) = word(place) else { return false };
            *cell = word;
        }
        true
    }

    /// The words of a record with the values that were taken, and its length in bytes.
    #[inline(always)]
    pub(crate) fn words(&mut self, record: &Record<'_>, count: usize) -> (u64, &[u64]) {
        [self.words[0], self.words[1], self.words[2]] = [record.ticks.0, record.process, record.site];
        let len = FIRST + count.min(BRIEF);
        (len as u64 * 8, &self.words[..len])
    }
}
