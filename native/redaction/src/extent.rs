//! Where a value in a text ends.

use crate::scrub::MARK;
use std::ops::Range;

/// What stands between a name and its value, as far as it says where the value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `=`, `=>`: a value that is not in quotes is one word.
    Word,
    /// `:`: likewise.
    Colon,
    /// `=>`: it may end its line.
    Arrow,
    /// `,` in a pair.
    Pair,
    /// `,` in a pair of Erlang whose first is an atom without a sign of its own, which might be a variable as well: its value is in
    /// quotes or brackets, or a number.
    Tuple,
    /// `%3D`, `%3A`, encoded so many times more.
    Encoded(usize),
    /// `:` of a header, whose value is the line.
    Line,
}

/// Blanks before a value that are stepped over.
const BLANKS: usize = 16;

/// The same with line breaks.
const BREAKS: usize = 512;

/// Words before the secret itself.
const SCHEMES: [&[u8]; 9] =
    [b"bearer", b"basic", b"token", b"digest", b"apikey", b"negotiate", b"ntlm", b"hawk", b"bot"];

/// Whether a text is no more than a scheme and a secret.
#[inline]
pub fn begins_with_scheme(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'B' | b'b')) && of_scheme(text).is_some()
}

/// What stands behind the scheme in such a text.
pub fn of_scheme(text: &[u8]) -> Option<Range<usize>> {
    let from = [&b"bearer "[..], b"basic "].into_iter().find_map(|scheme| {
        let begins = text.get(..scheme.len())?.eq_ignore_ascii_case(scheme);
        begins.then_some(scheme.len())
    })?;
    // Shorter ones, and more than one, are words.
    let one = text.len() >= from + 8 && text[from..].iter().all(|byte| byte.is_ascii_graphic());
    (one && !text[from..].starts_with(MARK)).then_some(from..text.len())
}

/// The value that begins at a place, or behind blanks there.
pub fn of_value(text: &[u8], from: usize, form: Form) -> Option<Range<usize>> {
    if let Form::Encoded(again) = form {
        return Some(encoded(text, from, again));
    }
    let blanks = text[from..].iter().take(BLANKS).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let behind = behind_breaks(text, from);
    if behind > from + blanks {
        let lasts = matches!(form, Form::Arrow | Form::Pair | Form::Tuple);
        match value(text, behind)? {
            Value::Quoted(inside) => return Some(inside),
            Value::Closed(whole) => return Some(whole),
            // Else the next line is another one.
            Value::Bare if lasts => return bare(text, behind, form),
            Value::Bare => {}
        }
    }
    let from = from + blanks;
    match value(text, from)? {
        Value::Quoted(inside) => Some(inside),
        Value::Closed(whole) => Some(whole),
        Value::Bare => bare(text, from, form),
    }
}

fn bare(text: &[u8], from: usize, form: Form) -> Option<Range<usize>> {
    let number = || text.get(from).is_some_and(u8::is_ascii_digit);
    match form {
        Form::Line => Some(from..line(text, from)),
        Form::Tuple if !number() => None,
        _ => Some(from..words(text, from)),
    }
}

/// Where blanks and line breaks end, also those of a text that was inspected.
fn behind_breaks(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < text.len().min(from + BREAKS) {
        at += match text[at] {
            byte if byte.is_ascii_whitespace() => 1,
            b'\\' => match escapes(&text[at..]) {
                escapes if matches!(text.get(at + escapes), Some(b'n' | b'r')) => escapes + 1,
                _ => break,
            },
            _ => break,
        };
    }
    at
}

/// The password of a user in an address, which begins at a place: `user:password@host`.
pub fn of_user(text: &[u8], from: usize) -> Option<Range<usize>> {
    let ends = |byte: &u8| {
        matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'\\' | b'<' | b'>') || byte.is_ascii_whitespace()
    };
    let len = text[from..].iter().position(ends).unwrap_or(text.len() - from);
    let authority = &text[from..from + len];
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority[..at].iter().position(|byte| *byte == b':')?;
    Some(from + colon + 1..from + at)
}

enum Value {
    /// What is between quotes.
    Quoted(Range<usize>),
    /// Brackets with all that is in them.
    Closed(Range<usize>),
    Bare,
}

/// `None`: nothing is there.
fn value(text: &[u8], from: usize) -> Option<Value> {
    let rest = &text[from..];
    let (sigil, quoted) = match rest {
        [] => return None,
        [b'~', letter, quoted @ ..] if letter.is_ascii_alphabetic() => (2, quoted),
        _ => (0, rest),
    };
    let escapes = escapes(quoted);
    Some(match quoted.get(escapes) {
        Some(quote @ (b'"' | b'\'')) => {
            let begin = from + sigil + escapes + 1;
            Value::Quoted(begin..closing(text, begin, *quote, escapes))
        }
        _ => {
            let name = match rest {
                [b'%' | b'#', name @ ..] => {
                    1 + name
                        .iter()
                        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
                        .count()
                }
                _ => 0,
            };
            match &rest[name..] {
                [b'[' | b'{', ..] => Value::Closed(from..from + name + brackets(&rest[name..])),
                [b'<', ..] if name > 0 || rest.starts_with(b"<<") => {
                    Value::Closed(from..from + name + brackets(&rest[name..]))
                }
                _ => Value::Bare,
            }
        }
    })
}

fn escapes(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b'\\').count()
}

/// Where the quote is that ends what it begins, or the text does. Quotes that were escaped so often (that stand behind so many
/// backslashes) have 2, 4, 8, ... times as many in front when a backslash of the text itself is before them; others belong to the text. One with
/// fewer ends what is around.
fn closing(text: &[u8], begin: usize, quote: u8, escapes: usize) -> usize {
    let (mut at, mut before) = (begin, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => before += 1,
            byte if *byte == quote && (before < escapes || before % (2 * (escapes + 1)) == escapes) => {
                return at - escapes.min(before);
            }
            _ => before = 0,
        }
        at += 1;
    }
    text.len()
}

/// The length of brackets with all that is in them, or of the rest of the text when they are not closed.
fn brackets(text: &[u8]) -> usize {
    let (mut at, mut open) = (0, 0usize);
    while at < text.len() {
        match text[at] {
            b'[' | b'{' | b'(' | b'<' => open += 1,
            // An arrow closes nothing.
            b'>' if at > 0 && matches!(text[at - 1], b'=' | b'-') => {}
            b']' | b'}' | b')' | b'>' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return at + 1;
                }
            }
            quote @ b'"' => {
                let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                let end = closing(text, at + 1, quote, escapes);
                at = end + text[end..].iter().position(|byte| *byte == quote).unwrap_or(text.len() - end);
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// Where a line ends, or the quotes do that it stands in. Quotes behind `=` are its own.
fn line(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\r' | b'\n' => return at,
            b'=' => {
                let escapes = escapes(&text[at + 1..]);
                if let Some(quote @ (b'"' | b'\'')) = text.get(at + 1 + escapes) {
                    let end = closing(text, at + 2 + escapes, *quote, escapes);
                    // The quote and what escapes it; nothing, at the end of the text.
                    at = (end + escapes).min(text.len().saturating_sub(1));
                }
            }
            b'"' | b'\\' => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The end of a word; and of the next one, when the first is that of a scheme.
fn words(text: &[u8], from: usize) -> usize {
    let end = word(text, from);
    let scheme = text[from..end].to_ascii_lowercase();
    let blanks = text[end..].iter().take_while(|byte| **byte == b' ').count();
    if blanks > 0 && SCHEMES.contains(&&scheme[..]) { word(text, end + blanks) } else { end }
}

/// The end of a word that is not in quotes. What begins it does not end it, but for signs between words.
fn word(text: &[u8], from: usize) -> usize {
    let between = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'&' | 0);
    let ends = |byte: u8| matches!(byte, b'"' | b'\'' | b'\\' | b')' | b']' | b'}' | b'<' | b'>' | b'`');
    let mut bytes = text[from..].iter().enumerate();
    let end = bytes.find(|(at, byte)| between(**byte) || *at > 0 && ends(**byte));
    end.map_or(text.len(), |(len, _)| from + len)
}

/// A value in a text that is encoded as in an address, and again so often: up to a sign that ends it and is encoded as often at most.
fn encoded(text: &[u8], from: usize, again: usize) -> Range<usize> {
    let end = word(text, from);
    // The length of a sign that is one of these.
    let sign = |at: usize, signs: &[&[u8; 2]]| {
        let rest = text[at..end].strip_prefix(b"%")?;
        let more = rest.chunks(2).take_while(|pair| pair == b"25").count();
        let pair = rest.get(2 * more..2 * more + 2)?.to_ascii_uppercase();
        (more <= again && signs.iter().any(|sign| sign[..] == pair[..])).then_some(3 + 2 * more)
    };
    let from = from + usize::from(text[from..end].starts_with(b"+"));
    let quotes = [b"22", b"27"];
    let quote = sign(from, &quotes);
    let from = from + quote.unwrap_or(0);
    if text[from..].starts_with(MARK) {
        return from..from + MARK.len();
    }
    let ends = [b"26", b"3B", b"2C", b"22", b"7D", b"5D", b"0A", b"0D"];
    let ends = if quote.is_some() { &quotes[..] } else { &ends[..] };
    from..(from..end).find(|at| sign(*at, ends).is_some()).unwrap_or(end)
}
