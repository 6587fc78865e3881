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
    words: [[u8; 8]; WORDS],
}

impl Default for Brief {
    fn default() -> Self {
        Brief { words: [[0; 8]; WORDS] }
    }
}

impl Brief {
    /// Makes a record of a number below 128 and at most [`BRIEF`] tokens, which `next` gives as long as there are some;
    /// `None` when it gives fewer than `count`.
    #[inline(always)]
    pub(crate) fn make(
        &mut self,
        record: &Record<'_>,
        number: u8,
        count: usize,
        mut next: impl FnMut(usize) -> Option<Short>,
    ) -> Option<&[u8]> {
        debug_assert!(number < 0x80 && count <= BRIEF);
        let head = record.head();
        let (head, _) = head.as_chunks::<8>();
        self.words[..head.len()].copy_from_slice(head);
        let mut at = head.len();
        // What does not fill a word yet, and how many bits of it.
        let (mut begun, mut filled) = (u64::from(number), 8);
        for place in 0..count.min(BRIEF) {
            for (value, more) in bits(next(place)?) {
                begun |= value << filled;
                if filled + more >= 64 {
                    self.words[at] = begun.to_le_bytes();
                    at += 1;
                    // Not one shift: by 64 bits there is none.
                    begun = value >> 1 >> (63 - filled);
                    filled = filled + more - 64;
                } else {
                    filled += more;
                }
            }
        }
        self.words[at] = begun.to_le_bytes();
        self.words.as_flattened().get(..at * 8 + filled as usize / 8)
    }
}
