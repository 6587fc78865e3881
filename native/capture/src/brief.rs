//! A record whose payload is a number and a few short tokens: most calls and returns.
//!
//! It is put together in words, so that the ring reads each as it was written. Read from a buffer of bytes, where every
//! token begins anywhere, the processor would wait for the bytes to reach its cache.

use elixir_scope_event::value::{SHORT, Short, bits};
use elixir_scope_event::{HEAD, Record};

/// Tokens that such a record holds at most.
pub const BRIEF: usize = 13;

/// Bytes of the number and of the tokens, at most.
pub(crate) const PAYLOAD: usize = 1 + BRIEF * SHORT;

/// Words of the record. A token may end one word beyond the last that it fills.
const WORDS: usize = (HEAD + PAYLOAD).div_ceil(8) + 1;

/// Such a record in the making.
pub(crate) struct Brief {
    words: [u64; WORDS],
}

impl Default for Brief {
    fn default() -> Self {
        Brief { words: [0; WORDS] }
    }
}

impl Brief {
    /// Makes a record of a number below 128 and at most [`BRIEF`] tokens, which `next` gives as long as there are some;
    /// `None` when it gives fewer than `count`. The answer is its length in bytes, and its words in little-endian order, the
    /// last one filled up with zeroes.
    #[inline(always)]
    pub(crate) fn make(
        &mut self,
        record: &Record<'_>,
        number: u8,
        count: usize,
        mut next: impl FnMut(usize) -> Option<Short>,
    ) -> Option<(u64, &[u64])> {
        debug_assert!(number < 0x80 && count <= BRIEF);
        [self.words[0], self.words[1], self.words[2]] = [record.ticks.0, record.process, record.site];
        let mut at = HEAD / 8;
        // What does not fill a word yet, and how many bits of it.
        let (mut begun, mut filled) = (u64::from(number), 8);
        for place in 0..count.min(BRIEF) {
            for (value, more) in bits(next(place)?) {
                begun |= value << filled;
                if filled + more >= 64 {
                    self.words[at] = begun;
                    at += 1;
                    // Not one shift: by 64 bits there is none.
                    begun = value >> 1 >> (63 - filled);
                    filled = filled + more - 64;
                } else {
                    filled += more;
                }
            }
        }
        self.words[at] = begun;
        Some(((at * 8 + filled as usize / 8) as u64, &self.words))
    }
}
