//! Little-endian base-128 numbers (LEB128), and the zigzag that makes small negative numbers short.

use crate::{Malformed, Out};

/// Appends a number, 1 to 10 bytes.
///
/// ```
/// use elixir_scope_event::varint;
/// let mut bytes = Vec::new();
/// varint::put(&mut bytes, 300);
/// assert_eq!(bytes, [0xAC, 0x02]);
/// assert_eq!(varint::take(&mut &bytes[..]), Ok(300));
/// ```
#[inline]
pub fn put(out: &mut impl Out, number: u64) {
    // Nearly all of them are lengths, counts and small integers.
    match number {
        0..0x80 => out.push(number as u8),
        0x80..0x4000 => out.extend(&[number as u8 | 0x80, (number >> 7) as u8]),
        _ => put_long(out, number),
    }
}

#[inline(never)]
fn put_long(out: &mut impl Out, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front.
///
/// # Errors
/// When the bytes end within it or it does not fit 64 bits; `input` is then unspecified.
#[inline]
pub fn take(input: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(Malformed("the rest of a number"))?;
        *input = rest;
        if shift == 63 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Malformed("a number of at most 64 bits"))
}

/// Maps 0, -1, 1, -2 ... to 0, 1, 2, 3 ...
#[inline]
pub fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(number: u64, signed: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            prop_assert!(bytes.len() <= 10);
            prop_assert_eq!(take(&mut &bytes[..]), Ok(number));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            while !rest.is_empty() && take(&mut rest).is_ok() {}
        }
    }
}
