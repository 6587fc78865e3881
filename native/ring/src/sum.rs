//! The checksum of a frame.
//!
//! A sum of words, each multiplied by an odd constant of its own, of which the top 24 bits are kept. The products do
//! not wait for each other, so a frame of 40 bytes costs the processor a few nanoseconds.
//!
//! Why a flipped bit is always seen: a change of one word by `d` changes the sum by `d * constant`, modulo 2^64. The top
//! 24 bits are the same before and after only if that lies within 2^40 of 0 (or of 2^64). The constants are chosen so
//! that this never is so when the change lies within one byte, and a test tries all of them. The same holds for the
//! position: a frame that an earlier lap left at this place is not taken for one of this lap. Any other change is
//! missed once in 2^24 times.

/// Constants are used again after so many words. Two words that lie so far apart could change places unseen, which is
/// no damage that a disk or a half-written frame makes.
const PERIOD: usize = 256;

const HEAD: u64 = MADE[PERIOD];
const POSITION: u64 = MADE[PERIOD + 1];
static CONSTANTS: [u64; PERIOD] = *MADE.first_chunk().expect("more than a period was made");

/// Odd numbers made by SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
const MADE: [u64; PERIOD + 2] = {
    let mut constants = [0; PERIOD + 2];
    // The first seed with which all of them do what is said above.
    let mut state: u64 = 0;
    let mut at = 0;
    while at < constants.len() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        constants[at] = (mixed ^ (mixed >> 31)) | 1;
        at += 1;
    }
    constants
};

/// A checksum in the making.
pub(crate) struct Sum {
    total: u64,
    at: usize,
}

impl Sum {
    /// Begins with the length of the body, the tag and where the frame begins.
    #[inline]
    pub(crate) fn begin(len: u64, tag: u32, position: u64) -> Self {
        let head = (u64::from(tag) << 32 | len).wrapping_mul(HEAD);
        Sum { total: head.wrapping_add(position.wrapping_mul(POSITION)), at: 0 }
    }

    /// Goes on with the next word of the body.
    #[inline]
    pub(crate) fn add(&mut self, word: u64) {
        self.total = self.total.wrapping_add(word.wrapping_mul(CONSTANTS[self.at % PERIOD]));
        self.at += 1;
    }

    /// The checksum, 24 bits.
    #[inline]
    pub(crate) fn end(self) -> u32 {
        (self.total >> 40) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a change of a word by `change << shift` is seen whatever the rest of the frame is.
    fn is_seen(constant: u64, change: u64, shift: u32) -> bool {
        let moved = (change << shift).wrapping_mul(constant);
        moved.min(moved.wrapping_neg()) >= 1 << 40
    }

    fn sees_bytes(constant: u64) -> bool {
        (1..=255).all(|change| (0..8).all(|byte| is_seen(constant, change, byte * 8)))
    }

    #[test]
    fn a_change_within_one_byte_is_always_seen() {
        assert!(MADE.iter().all(|constant| sees_bytes(*constant)));
    }

    #[test]
    fn a_frame_of_one_of_the_last_laps_is_always_seen() {
        // A lap is at least 4096 bytes and at most 1 GiB.
        assert!((12..=30).all(|shift| (1..=255).all(|laps| is_seen(POSITION, laps, shift))));
    }

    #[test]
    fn each_part_counts() {
        let sum = |len, tag, position, words: &[u64]| {
            let mut sum = Sum::begin(len, tag, position);
            words.iter().for_each(|word| sum.add(*word));
            sum.end()
        };
        let first = sum(16, 1, 64, &[1, 2]);
        assert_eq!(first, sum(16, 1, 64, &[1, 2]));
        let others = [
            sum(15, 1, 64, &[1, 2]),
            sum(16, 2, 64, &[1, 2]),
            sum(16, 1, 128, &[1, 2]),
            sum(16, 1, 64, &[2, 1]),
            sum(16, 1, 64, &[1, 3]),
        ];
        assert!(others.iter().all(|other| *other != first && *other < 1 << 24));
    }
}
