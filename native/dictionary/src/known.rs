//! Which words were written to the dictionary already.

use std::sync::atomic::{AtomicU64, Ordering};

/// A direct-mapped cache of words. A word found in it is in the dictionary file; a word not found may be: two words
/// that share a place push each other out, and are then written again, which is harmless.
pub struct Known {
    slots: Box<[AtomicU64]>,
}

impl Known {
    /// A cache of so many words, rounded up to a power of two; 8 bytes each.
    pub fn new(slots: usize) -> Self {
        let slots = (0..slots.next_power_of_two()).map(|_| AtomicU64::new(0)).collect();
        Known { slots }
    }

    /// Whether the word was added and not pushed out since. Zero is no word and never known.
    #[inline]
    pub fn contains(&self, word: u64) -> bool {
        // Pairs with the release store in `add`: the dictionary was written before.
        word != 0 && self.slot(word).load(Ordering::Acquire) == word
    }

    /// Adds a word, whose meaning has been written.
    pub fn add(&self, word: u64) {
        self.slot(word).store(word, Ordering::Release);
    }

    /// Forgets a word.
    pub fn remove(&self, word: u64) {
        let _ = self.slot(word).compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Forgets all words.
    pub fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
    }

    #[inline]
    fn slot(&self, word: u64) -> &AtomicU64 {
        // Fibonacci hashing: the tag bits of a word are the same for all atoms and for all pids.
        let index = word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &self.slots[index as usize & (self.slots.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_was_added_until_it_is_pushed_out() {
        let known = Known::new(2);
        assert!(!known.contains(0));
        for word in 1..100 {
            assert!(!known.contains(word));
            known.add(word);
            assert!(known.contains(word));
        }
        known.remove(98);
        assert!(!known.contains(98) && known.contains(99), "another word is not forgotten with it");
        assert!((1..100).filter(|word| known.contains(*word)).count() <= 2);
        known.clear();
        assert!(!known.contains(99));
    }
}
