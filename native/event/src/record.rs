//! One event as it lies in a ring.

use crate::{Kind, Malformed};
use elixir_scope_clock::Ticks;

/// Bytes of a record before its payload.
pub const HEAD: usize = 24;

/// Set in the tag of a frame whose payload is brief: no number and no tokens, but a machine word for each value, all of them
/// immediates. What the number is follows from the kind (see [`crate::value::translate_brief`]).
pub const BRIEF: u32 = 0x40;

/// An event in the words of the running VM. A ring frame holds `kind` as its tag and the rest as its body:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 8 | `ticks` |
/// | 8 | 8 | `process`, a machine word |
/// | 16 | 8 | `site`, a content address (0: none) |
/// | 24 | n | `payload` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What happened.
    pub kind: Kind,
    /// When.
    pub ticks: Ticks,
    /// To which process: its pid as the VM's machine word.
    pub process: u64,
    /// At which site of the code: the key of its definition, or 0.
    pub site: u64,
    /// What the kind says it holds.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The bytes before the payload.
    #[inline]
    #[must_use]
    pub fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[0..8].copy_from_slice(&self.ticks.0.to_le_bytes());
        head[8..16].copy_from_slice(&self.process.to_le_bytes());
        head[16..24].copy_from_slice(&self.site.to_le_bytes());
        head
    }

    /// Reads a ring frame. Whether its payload is brief is said by the tag alone.
    ///
    /// # Errors
    /// When the tag is no kind or the body is shorter than the head.
    #[inline]
    pub fn parse(tag: u32, body: &'a [u8]) -> Result<Self, Malformed> {
        let kind =
            u8::try_from(tag & !BRIEF).ok().and_then(Kind::from_number).ok_or(Malformed("a kind of event"))?;
        let (head, payload) = body.split_at_checked(HEAD).ok_or(Malformed("the head of a record"))?;
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes of 24"));
        Ok(Record { kind, ticks: Ticks(word(0)), process: word(8), site: word(16), payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back() {
        let record =
            Record { kind: Kind::Return, ticks: Ticks(7), process: u64::MAX, site: 3, payload: b"xyz" };
        let body = [&record.head()[..], record.payload].concat();
        assert_eq!(Record::parse(Kind::Return as u32, &body), Ok(record));
        assert!(Record::parse(Kind::Return as u32, &body[..23]).is_err());
        assert!(Record::parse(0, &body).is_err());
        assert!(Record::parse(u32::MAX, &body).is_err());
    }
}
