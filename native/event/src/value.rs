//! Erlang terms as a flat prefix code.
//!
//! A value is one token, followed by the values inside it. Numbers are [`varint`]s.
//!
//! | tag | token | followed by |
//! |---|---|---|
//! | 0 | nil (the empty list) | |
//! | 1 | integer | zigzag number |
//! | 2 | float | 8 bytes, little-endian IEEE 754 |
//! | 3 | binary | length, bytes |
//! | 4 | word, in rings alone | 8 bytes: an atom, pid or port as the VM holds it |
//! | 5 | reference to a definition, in segments alone | number |
//! | 6 | tuple | count, that many values |
//! | 7 | list | values up to `end` or `tail` |
//! | 8 | end of a proper list | |
//! | 9 | tail of an improper list | one value |
//! | 10 | map | count, that many pairs of values |
//! | 11 | external term | length, bytes in the external term format: large integers, references, functions, bit strings, foreign pids |
//! | 12 | the state: the same term as the process's most recent state event | |
//! | 13 | cut: a term that a limit kept out | [`CutKind`], true size (0: unknown), length, first bytes |
//! | 14 | integer, in rings alone | 8 bytes, little-endian two's complement |
//! | 21 | an element of the state, which is a tuple: the data of a state machine | its place, from 0 |
//!
//! A **patch** says what a value is, given another that it was before. It is a value, which takes the place of the old
//! one, or begins with one of these:
//!
//! | tag | token | followed by |
//! |---|---|---|
//! | 15 | map change | how many keys go, how many pairs change; keys that go; keys that change, each with the patch of its value |
//! | 16 | tuple change | count, that many places (as integers, from 0), each with the patch of what stands there |
//! | 17 | list change | steps along the old list, up to `end`, `tail` or `rest` |
//! | 18 | same: so many elements of the old list stay; elsewhere (1) all of it | number |
//! | 19 | drop: so many elements of the old list go | number |
//! | 20 | the rest of the old list stays, and ends the new one | |
//!
//! Another step along a list is a value, which is inserted, or a change token, which patches the next old element.

use crate::{Buffer, Kind, Malformed, Out, varint};

/// What was kept out, by a limit or by the rules of redaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CutKind {
    /// A binary; the size is in bytes and the first bytes are kept.
    Binary = 0,
    /// The rest of a list.
    List = 1,
    /// A tuple; the size is its number of elements.
    Tuple = 2,
    /// A map; the size is its number of keys.
    Map = 3,
    /// Any other term.
    Other = 4,
    /// A secret, or a function that may hold one: of that the name is kept. No limit has to do with it.
    Redacted = 5,
    /// A field that is no part of how a struct is shown. No limit has to do with it.
    LeftOut = 6,
}

impl CutKind {
    /// The word for it in Elixir.
    pub fn name(self) -> &'static str {
        ["binary", "list", "tuple", "map", "term", "redacted", "left_out"][self as usize]
    }

    fn from_number(number: u8) -> Option<Self> {
        const KINDS: [CutKind; 7] = [
            CutKind::Binary,
            CutKind::List,
            CutKind::Tuple,
            CutKind::Map,
            CutKind::Other,
            CutKind::Redacted,
            CutKind::LeftOut,
        ];
        KINDS.get(usize::from(number)).copied()
    }
}

/// One step of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// The empty list.
    Nil,
    /// An integer of at most 64 bits.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A binary.
    Binary(&'a [u8]),
    /// An immediate term of the running VM.
    Word(u64),
    /// The number of a definition of the segment.
    Reference(u64),
    /// A tuple of so many values.
    Tuple(u64),
    /// A list begins.
    List,
    /// A proper list ends.
    End,
    /// An improper list ends with the next value.
    Tail,
    /// A map of so many pairs.
    Map(u64),
    /// A term in the external term format.
    External(&'a [u8]),
    /// The process's most recent state.
    State,
    /// A term that a limit kept out: what it was, its true size (0: unknown), its first bytes.
    Cut(CutKind, u64, &'a [u8]),
    /// A map of which so many keys go and so many pairs change.
    MapChange(u64, u64),
    /// A tuple of which so many elements change.
    TupleChange(u64),
    /// A list that is made along another.
    ListChange,
    /// So many elements stay.
    Same(u64),
    /// So many elements go.
    Drop(u64),
    /// All that is left of the old list stays.
    Rest,
    /// An element of the process's most recent state.
    StateElement(u64),
}

/// Whether a patch that begins with this byte is none that takes the place of the old value.
#[inline]
pub fn is_change(tag: u8) -> bool {
    (15..=18).contains(&tag)
}

/// Appends one token.
///
/// Inlined, so that nothing but the branch of the token at hand is left of it where that is known.
#[inline(always)]
pub fn put(out: &mut impl Out, token: Token<'_>) {
    match token {
        Token::Nil => out.push(0),
        Token::Integer(number) => {
            out.push(1);
            varint::put(out, varint::zigzag(number));
        }
        Token::Float(number) => put_fixed(out, 2, number.to_bits()),
        Token::Binary(bytes) => put_bytes(out, 3, bytes),
        Token::Word(word) => put_fixed(out, 4, word),
        Token::Reference(number) => put_number(out, 5, number),
        Token::Tuple(count) => put_number(out, 6, count),
        Token::List => out.push(7),
        Token::End => out.push(8),
        Token::Tail => out.push(9),
        Token::Map(count) => put_number(out, 10, count),
        Token::External(bytes) => put_bytes(out, 11, bytes),
        Token::State => out.push(12),
        Token::Cut(kind, size, first) => {
            out.extend(&[13, kind as u8]);
            varint::put(out, size);
            varint::put(out, first.len() as u64);
            out.extend(first);
        }
        Token::MapChange(gone, changed) => {
            put_number(out, 15, gone);
            varint::put(out, changed);
        }
        Token::TupleChange(count) => put_number(out, 16, count),
        Token::ListChange => out.push(17),
        Token::Same(count) => put_number(out, 18, count),
        Token::Drop(count) => put_number(out, 19, count),
        Token::Rest => out.push(20),
        Token::StateElement(place) => put_number(out, 21, place),
    }
}

/// A token that is at most [`SHORT`] bytes long in a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Short {
    /// The empty list.
    Nil,
    /// An integer. One that is not small is written with 8 bytes, so that no loop depends on how large it is. [`take`]
    /// reads it as any other integer, and [`translate`] shortens it.
    Integer(i64),
    /// An immediate term of the running VM.
    Word(u64),
}

/// Bytes of the longest [`Short`].
pub const SHORT: usize = 9;

/// Appends tokens as long as `next` gives them, until room for several at once may not hold another,
/// and gives their number.
#[inline(always)]
pub fn put_short(out: &mut Buffer, mut next: impl FnMut() -> Option<Short>) -> usize {
    let room: &mut [u8; 8 * SHORT] = out.room();
    let (mut used, mut count) = (0, 0);
    while let Some(place) = room[used..].first_chunk_mut::<SHORT>() {
        used += match next() {
            None => break,
            Some(Short::Nil) => {
                place[0] = 0;
                1
            }
            Some(Short::Word(word)) => fixed(place, 4, word),
            Some(Short::Integer(number)) => integer(place, number),
        };
        count += 1;
    }
    out.take(used);
    count
}

/// Appends an integer in the form that rings have it in, see [`Short::Integer`].
#[inline(always)]
pub fn put_integer(out: &mut Buffer, number: i64) {
    let len = integer(out.room(), number);
    out.take(len);
}

#[inline(always)]
fn integer(place: &mut [u8; SHORT], number: i64) -> usize {
    match varint::zigzag(number) {
        zigzag @ 0..0x80 => {
            [place[0], place[1]] = [1, zigzag as u8];
            2
        }
        zigzag @ 0x80..0x4000 => {
            [place[0], place[1], place[2]] = [1, zigzag as u8 | 0x80, (zigzag >> 7) as u8];
            3
        }
        _ => fixed(place, 14, number as u64),
    }
}

#[inline(always)]
fn fixed(place: &mut [u8; SHORT], tag: u8, word: u64) -> usize {
    place[0] = tag;
    place[1..].copy_from_slice(&word.to_le_bytes());
    SHORT
}

#[inline(always)]
fn put_fixed(out: &mut impl Out, tag: u8, word: u64) {
    let mut bytes = [tag; 9];
    bytes[1..].copy_from_slice(&word.to_le_bytes());
    out.extend(&bytes);
}

#[inline]
fn put_number(out: &mut impl Out, tag: u8, number: u64) {
    out.push(tag);
    varint::put(out, number);
}

fn put_bytes(out: &mut impl Out, tag: u8, bytes: &[u8]) {
    put_number(out, tag, bytes.len() as u64);
    out.extend(bytes);
}

/// Takes one token off the front.
///
/// # Errors
/// When the bytes end within it or its tag is unknown; `input` is then unspecified.
#[inline]
pub fn take<'a>(input: &mut &'a [u8]) -> Result<Token<'a>, Malformed> {
    let (&tag, rest) = input.split_first().ok_or(Malformed("a value"))?;
    *input = rest;
    Ok(match tag {
        0 => Token::Nil,
        1 => Token::Integer(varint::unzigzag(varint::take(input)?)),
        2 => Token::Float(f64::from_bits(take_word(input)?)),
        3 => Token::Binary(take_bytes(input)?),
        4 => Token::Word(take_word(input)?),
        5 => Token::Reference(varint::take(input)?),
        6 => Token::Tuple(varint::take(input)?),
        7 => Token::List,
        8 => Token::End,
        9 => Token::Tail,
        10 => Token::Map(varint::take(input)?),
        11 => Token::External(take_bytes(input)?),
        12 => Token::State,
        13 => {
            let (&kind, rest) = input.split_first().ok_or(Malformed("the kind of a cut"))?;
            *input = rest;
            let kind = CutKind::from_number(kind).ok_or(Malformed("a kind of cut"))?;
            Token::Cut(kind, varint::take(input)?, take_bytes(input)?)
        }
        14 => Token::Integer(take_word(input)? as i64),
        15 => Token::MapChange(varint::take(input)?, varint::take(input)?),
        16 => Token::TupleChange(varint::take(input)?),
        17 => Token::ListChange,
        18 => Token::Same(varint::take(input)?),
        19 => Token::Drop(varint::take(input)?),
        20 => Token::Rest,
        21 => Token::StateElement(varint::take(input)?),
        _ => return Err(Malformed("the tag of a value")),
    })
}

fn take_word(input: &mut &[u8]) -> Result<u64, Malformed> {
    let (word, rest) = input.split_first_chunk::<8>().ok_or(Malformed("8 bytes"))?;
    *input = rest;
    Ok(u64::from_le_bytes(*word))
}

fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(varint::take(input)?).map_err(|_| Malformed("a length in memory"))?;
    let (bytes, rest) = input.split_at_checked(len).ok_or(Malformed("as many bytes as announced"))?;
    *input = rest;
    Ok(bytes)
}

/// Copies a payload of a ring in the form of segments: each word is replaced by the number that `number` gives it, each
/// integer is as short as can be.
///
/// # Errors
/// When the payload is malformed; `out` then holds a part of it.
pub fn translate(
    payload: &[u8],
    out: &mut Vec<u8>,
    mut number: impl FnMut(u64) -> u64,
) -> Result<(), Malformed> {
    let mut input = payload;
    varint::put(out, varint::take(&mut input)?);
    while !input.is_empty() {
        match take(&mut input)? {
            Token::Word(word) => put(out, Token::Reference(number(word))),
            token => put(out, token),
        }
    }
    Ok(())
}

/// The small integers and the empty list among the machine words of a brief payload; all others are atoms, pids and ports.
/// The VM's layout of them is checked when the library is loaded: where it is another, no record is brief.
pub mod word {
    /// The last four bits of a small integer; the rest is the number.
    pub const SMALL: u64 = 0xF;
    /// The empty list.
    pub const NIL: u64 = 0x3B;
}

/// The number of the payload of a brief record, given how many values it has; `None` for a kind that is never brief.
#[inline]
pub fn brief_number(kind: Kind, values: usize) -> Option<u64> {
    match kind {
        Kind::Call => Some(values as u64 + 1),
        Kind::Return if values == 1 => Some(1),
        Kind::Binding => Some(values as u64),
        Kind::Take if values <= 1 => Some(values as u64),
        Kind::Wait if values == 0 => Some(0),
        _ => None,
    }
}

/// As [`translate`], for a brief payload.
///
/// # Errors
/// When the bytes are no words, or the kind is never brief.
#[inline]
pub fn translate_brief(
    kind: Kind,
    payload: &[u8],
    out: &mut Vec<u8>,
    mut number: impl FnMut(u64) -> u64,
) -> Result<(), Malformed> {
    let (words, rest) = payload.as_chunks::<8>();
    let first = brief_number(kind, words.len()).filter(|_| rest.is_empty());
    varint::put(out, first.ok_or(Malformed("the words of a brief record"))?);
    for word in words {
        match u64::from_le_bytes(*word) {
            small if small & 0xF == word::SMALL => put(out, Token::Integer(small as i64 >> 4)),
            word::NIL => put(out, Token::Nil),
            other => put(out, Token::Reference(number(other))),
        }
    }
    Ok(())
}

/// How many values a payload holds after its first number, and whether each is whole.
///
/// # Errors
/// When a token is malformed, or a tuple, map or list is not complete.
pub fn check(payload: &[u8]) -> Result<usize, Malformed> {
    let mut input = payload;
    varint::take(&mut input)?;
    let mut values = 0;
    while !input.is_empty() {
        skip(&mut input)?;
        values += 1;
    }
    Ok(values)
}

/// Steps over one value or patch and everything in it, without recursion.
///
/// # Errors
/// When the value is malformed or not complete.
pub fn skip(input: &mut &[u8]) -> Result<(), Malformed> {
    // Each level holds how many values it still waits for; `None` is a list, which waits for its end.
    let mut open: Vec<Option<u64>> = vec![Some(1)];
    while let Some(level) = open.last_mut() {
        if *level == Some(0) {
            open.pop();
            continue;
        }
        let in_list = level.is_none();
        if let Some(left) = level {
            *left -= 1;
        }
        match take(input)? {
            Token::Tuple(count) => open.push(Some(count)),
            Token::Map(count) => {
                open.push(Some(count.checked_mul(2).ok_or(Malformed("a map that fits memory"))?));
            }
            Token::MapChange(gone, changed) => {
                let inside = changed.checked_mul(2).and_then(|pairs| pairs.checked_add(gone));
                open.push(Some(inside.ok_or(Malformed("a map that fits memory"))?));
            }
            Token::TupleChange(count) => {
                open.push(Some(count.checked_mul(2).ok_or(Malformed("a tuple that fits memory"))?));
            }
            Token::List | Token::ListChange => open.push(None),
            Token::End | Token::Rest if in_list => {
                open.pop();
            }
            Token::Tail if in_list => {
                open.pop();
                open.push(Some(1));
            }
            Token::End | Token::Rest | Token::Tail => {
                return Err(Malformed("a value, not the end of a list"));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just(vec![0]),
            any::<i64>().prop_map(|n| bytes(Token::Integer(n))),
            any::<f64>().prop_map(|n| bytes(Token::Float(n))),
            any::<Vec<u8>>().prop_map(|b| bytes(Token::Binary(&b))),
            any::<u64>().prop_map(|w| bytes(Token::Word(w))),
            any::<Vec<u8>>().prop_map(|b| bytes(Token::Cut(CutKind::Map, 9, &b))),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let many = proptest::collection::vec(inner, 0..6);
            prop_oneof![
                many.clone().prop_map(|all| [bytes(Token::Tuple(all.len() as u64)), all.concat()].concat()),
                many.clone().prop_map(|all| [bytes(Token::List), all.concat(), vec![8]].concat()),
                many.prop_map(|all| [bytes(Token::List), all.concat(), vec![9, 0]].concat()),
            ]
        })
    }

    fn bytes(token: Token<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, token);
        out
    }

    proptest! {
        #[test]
        fn words_become_references_and_nothing_else_changes(value in tokens()) {
            let payload = [vec![1], value].concat();
            let (mut there, mut words) = (Vec::new(), Vec::new());
            translate(&payload, &mut there, |word| { words.push(word); words.len() as u64 - 1 }).unwrap();
            prop_assert_eq!(check(&there), Ok(1));
            // Put the words back by hand: the payload must be the one we began with.
            let mut back = vec![1];
            let mut input = &there[1..];
            while !input.is_empty() {
                match take(&mut input).unwrap() {
                    Token::Reference(number) => put(&mut back, Token::Word(words[number as usize])),
                    token => put(&mut back, token),
                }
            }
            prop_assert_eq!(back, payload);
        }

        #[test]
        fn short_tokens_are_those_of_put(
            tokens in proptest::collection::vec(
                prop_oneof![
                    Just(Short::Nil),
                    any::<i64>().prop_map(Short::Integer),
                    (-20_000i64..20_000).prop_map(Short::Integer),
                    any::<u64>().prop_map(Short::Word),
                ],
                0..40,
            )
        ) {
            let (mut payload, mut left) = (Buffer::default(), &tokens[..]);
            payload.push(1);
            while !left.is_empty() {
                let (before, mut next) = (payload.len(), left.iter());
                let count = put_short(&mut payload, || next.next().copied());
                prop_assert!((1..=left.len()).contains(&count));
                prop_assert!(payload.len() - before <= count * SHORT);
                left = &left[count..];
            }
            let expected: Vec<u8> = tokens.iter().flat_map(|token| bytes(match *token {
                Short::Nil => Token::Nil,
                Short::Integer(number) => Token::Integer(number),
                Short::Word(word) => Token::Reference(word),
            })).collect();
            let mut there = Vec::new();
            translate(payload.as_slice(), &mut there, |word| word).unwrap();
            prop_assert_eq!(there, [vec![1], expected].concat());
        }

        #[test]
        fn any_bytes_are_walked_or_refused(payload: Vec<u8>) {
            let _ = check(&payload);
            let _ = translate(&payload, &mut Vec::new(), |word| word);
        }

        #[test]
        fn a_shortened_value_is_refused(value in tokens(), cut in 1usize..8) {
            let short = &value[..value.len().saturating_sub(cut)];
            prop_assert!(skip(&mut &short[..]).is_err());
        }
    }

    #[test]
    fn a_million_levels_need_no_stack() {
        let deep = [vec![1], vec![7; 1_000_000], vec![8; 1_000_000]].concat();
        assert_eq!(check(&deep), Ok(1));
    }
}
