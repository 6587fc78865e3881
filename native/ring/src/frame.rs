//! One frame: what its head says, and how the parts of a body become words.

/// The tag of a filler; no caller may use it. Nor 0: zeroes are no frame.
pub(crate) const FILLER: u32 = 0xFF;

/// Bytes of head before each body.
pub(crate) const HEAD: u64 = 8;

/// The word before each body: length (32 bits), tag (8), checksum (24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) len: u64,
    pub(crate) tag: u32,
    pub(crate) sum: u32,
}

impl Head {
    #[inline]
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.sum) << 40 | u64::from(self.tag & 0xFF) << 32 | (self.len & 0xFFFF_FFFF)
    }

    #[inline]
    pub(crate) fn unpack(word: u64) -> Self {
        Head { len: word & 0xFFFF_FFFF, tag: (word >> 32) as u32 & 0xFF, sum: (word >> 40) as u32 }
    }

    /// Bytes from this frame to the next.
    #[inline]
    pub(crate) fn span(self) -> u64 {
        span(self.len)
    }
}

/// Bytes of a frame with a body of so many.
#[inline]
pub(crate) fn span(len: u64) -> u64 {
    HEAD + len.next_multiple_of(8)
}

/// Gives the joined parts as words, the last one filled up with zeroes.
#[inline]
pub(crate) fn words(parts: &[&[u8]], mut put: impl FnMut(u64)) {
    // What did not fill a word yet, and how many bits of it.
    let (mut begun, mut bits) = (0u64, 0u32);
    for part in parts {
        let (whole, rest) = part.as_chunks::<8>();
        if bits == 0 {
            whole.iter().for_each(|word| put(u64::from_le_bytes(*word)));
        } else {
            for word in whole {
                let word = u64::from_le_bytes(*word);
                put(begun | word << bits);
                begun = word >> (64 - bits);
            }
        }
        if rest.is_empty() {
            continue;
        }
        let (word, more) = (short(rest), rest.len() as u32 * 8);
        begun |= word << bits;
        if bits + more >= 64 {
            put(begun);
            begun = if bits == 0 { 0 } else { word >> (64 - bits) };
            bits = bits + more - 64;
        } else {
            bits += more;
        }
    }
    if bits > 0 {
        put(begun);
    }
}

/// One to seven bytes as the low end of a word. Reads overlap instead of looping.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [low, high] = [low, high].map(|half| u64::from(u32::from_le_bytes(*half)));
        return low | high << ((len - 4) * 8);
    }
    let byte = |at: usize| u64::from(bytes[at]) << (at * 8);
    byte(0) | byte(len / 2) | byte(len - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back() {
        for head in [
            Head { len: 0, tag: 1, sum: 0 },
            Head { len: 40, tag: FILLER, sum: 0xFF_FFFF },
            Head { len: 0xFFFF_FFFF, tag: 7, sum: 0x12_3456 },
        ] {
            assert_eq!(Head::unpack(head.pack()), head);
        }
    }

    #[test]
    fn parts_are_joined_wherever_they_are_cut() {
        for len in 0..=40usize {
            let body: Vec<u8> = (1..=len as u8).collect();
            let mut padded = body.clone();
            padded.resize(len.next_multiple_of(8), 0);
            for first in 0..=len {
                for second in first..=len {
                    let mut joined = Vec::new();
                    let parts = [&body[..first], &body[first..second], &body[second..]];
                    words(&parts, |word| joined.extend_from_slice(&word.to_le_bytes()));
                    assert_eq!(joined, padded, "{len} bytes cut at {first} and {second}");
                }
            }
        }
    }
}
