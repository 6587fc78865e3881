//! Texts without the values that have names of secrets.
//!
//! | form | what is taken out |
//! |---|---|
//! | `name=value`, `name: value`, `name => value`, `{:name, value}`, `{"name", value}` | the value, up to a blank or a sign that ends it |
//! | the same with the name or the value in quotes, also quotes that are escaped once or more | what is between the quotes of the value |
//! | a value in brackets, `%{...}`, `#Name<...>`, `<<...>>` | all of it |
//! | `Name: Bearer value`, and the words for other schemes | also the word after the scheme |
//! | a header with cookies or an authorization, a passphrase | the rest of the line |
//! | `name%3Dvalue`, `%22name%22%3A%22value%22` | the value, up to an encoded sign that ends it |
//! | `Bearer value`, `Basic value`, and nothing else | the value, whatever the rules say |
//! | `scheme://user:value@host` | the value, whatever the rules say |
//!
//! A name is letters, digits, `_`, `-` and what is beyond ASCII; it may stand in brackets (`user[password]=`).

use crate::extent::{self, Form};
use crate::keys::LONGEST;

/// What stands where a secret stood.
pub const MARK: &[u8] = b"[redacted]";

/// Bytes between a name and the sign behind it that are stepped over at most.
const BETWEEN: usize = 24;

/// Whether a text has a sign that may stand between a name and its value.
#[inline]
pub fn may_hold(text: &[u8]) -> bool {
    match text.as_chunks::<16>() {
        ([], short) => may_short(short),
        (chunks, rest) => {
            let any = |bytes: &[u8; 16]| bytes.iter().fold(false, |any, byte| any | is_sign(*byte));
            chunks.iter().any(any) || !rest.is_empty() && text.last_chunk::<16>().is_some_and(any)
        }
    }
}

/// As [`may_hold`], for fewer than 16 bytes: eight at once.
#[inline]
fn may_short(text: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return has_sign(u64::from_le_bytes(*first)) | has_sign(u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return has_sign(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)));
    }
    text.iter().any(|byte| is_sign(*byte))
}

#[inline(always)]
fn has_sign(eight: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // Some byte is the sign when some byte of the difference is zero.
    let found = b"=:{%".iter().fold(0, |found, sign| {
        let difference = eight ^ (ONES * *sign as u64);
        found | difference.wrapping_sub(ONES) & !difference
    });
    found & (ONES << 7) != 0
}

#[inline(always)]
fn is_sign(byte: u8) -> bool {
    (byte == b'=') | (byte == b':') | (byte == b'{') | (byte == b'%')
}

/// Copies a text to `out` without its secrets and says `true`; leaves `out` empty and says `false` when it has none.
/// `is_secret` is asked about names.
pub fn scrub(text: &[u8], out: &mut Vec<u8>, mut is_secret: impl FnMut(&[u8]) -> bool) -> bool {
    out.clear();
    if let Some(secret) = extent::of_scheme(text) {
        out.extend_from_slice(&text[..secret.start]);
        out.extend_from_slice(MARK);
        return true;
    }
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        let Some(step) = text[at..].iter().position(|byte| is_sign(*byte) || *byte == b',') else { break };
        at += step;
        let (next, secret) = match sign(text, at) {
            Sign::None => (at + 1, None),
            Sign::Skip(next) => (next, None),
            Sign::User(next) => (next, extent::of_user(text, next)),
            Sign::Between(form, next) => {
                let name = name_before(text, copied, at, form);
                let form = name.and_then(|name| secret_form(name, form, &mut is_secret));
                (next, form.and_then(|form| extent::of_value(text, next, form)))
            }
        };
        at = match secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => {
                out.extend_from_slice(&text[copied..secret.start]);
                out.extend_from_slice(MARK);
                copied = secret.end;
                // It is behind `at`: else this would not come to an end.
                copied.max(at + 1)
            }
            None => next.max(at + 1),
        };
    }
    if copied == 0 {
        return false;
    }
    out.extend_from_slice(&text[copied..]);
    true
}

/// What a sign means, and where what follows it begins.
enum Sign {
    None,
    /// Nothing.
    Skip(usize),
    /// It may stand between a name and its value.
    Between(Form, usize),
    /// An address with a user begins.
    User(usize),
}

fn sign(text: &[u8], at: usize) -> Sign {
    let rest = &text[at + 1..];
    match text[at] {
        b'=' => {
            let more = rest.iter().take_while(|byte| matches!(byte, b'=' | b'>' | b'~')).count();
            Sign::Between(Form::Word, at + 1 + more)
        }
        b':' => match rest {
            [b':', ..] => Sign::Skip(at + 2),
            [b'/', b'/', ..] => Sign::User(at + 3),
            [b'=', ..] => Sign::Between(Form::Word, at + 2),
            _ => Sign::Between(Form::Colon, at + 1),
        },
        b',' => Sign::Between(Form::Pair, at + 1),
        b'%' => {
            // What was encoded more than once has `%25` for each `%`.
            let again = rest.chunks(2).take_while(|pair| pair == b"25").count() * 2;
            match rest.get(again..again + 2) {
                Some([b'3', b'D' | b'd' | b'A' | b'a']) => {
                    Sign::Between(Form::Encoded(again / 2), at + again + 3)
                }
                _ => Sign::None,
            }
        }
        _ => Sign::None,
    }
}

/// What may be a name.
struct Name<'a> {
    text: &'a [u8],
    /// The same with what may be the digits of something encoded, or its own beginning: behind a `%` nobody knows.
    whole: &'a [u8],
    /// The first letter may belong to an escape before it, such as `\n`.
    escaped: bool,
}

/// The name that ends before a sign, not farther back than `from`.
fn name_before(text: &[u8], from: usize, sign: usize, form: Form) -> Option<Name<'_>> {
    let mut end = sign;
    let floor = from.max(sign.saturating_sub(BETWEEN));
    let mut quoted = false;
    while end > floor {
        match text[end - 1] {
            b' ' | b'\t' if !quoted => end -= 1,
            b'"' | b'\'' | b'`' | b'\\' => {
                quoted = true;
                end -= 1;
            }
            b']' => end -= 1,
            _ if ends_encoded(&text[floor..end]) => end -= 3,
            _ => break,
        }
    }
    let letters = text[from..end].iter().rev().take(LONGEST).take_while(|byte| is_letter(**byte)).count();
    let mut start = end - letters;
    if letters == 0 {
        return None;
    }
    let whole = &text[start..end];
    // The digits of what is encoded before the name are no part of it.
    if start > from && text[start - 1] == b'%' {
        let again = text[start..end].chunks(2).take_while(|pair| pair == b"25").count();
        start = (start + 2 * again + 2).min(end);
    }
    let before = text[from..start].split_last();
    let escaped = before.is_some_and(|(last, _)| *last == b'\\');
    // As in the time of day.
    if text[start..end].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let dashes = text[start..end].iter().take_while(|byte| **byte == b'-').count();
    let is_name = form != Form::Pair || before.is_some_and(|(last, rest)| opens_pair(*last, rest));
    is_name.then_some(Name { text: &text[start + dashes..end], whole, escaped })
}

/// Whether a name is the first of a pair, behind this: an atom, or in quotes, directly behind a brace.
fn opens_pair(last: u8, rest: &[u8]) -> bool {
    let rest = trim_escapes(rest);
    let rest = rest.strip_suffix(b":").or(rest.strip_suffix(b"~c")).unwrap_or(rest);
    matches!(last, b':' | b'"' | b'\'') && rest.ends_with(b"{")
}

fn trim_escapes(text: &[u8]) -> &[u8] {
    let escapes = text.iter().rev().take(16).take_while(|byte| **byte == b'\\').count();
    &text[..text.len() - escapes]
}

/// Whether a text ends with an encoded quote or bracket.
fn ends_encoded(text: &[u8]) -> bool {
    matches!(text, [.., b'%', b'2', b'2' | b'7'] | [.., b'%', b'5', b'D' | b'd'])
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || byte >= 0x80
}

/// The form of the value, if the name is that of a secret.
fn secret_form(name: Name<'_>, form: Form, is_secret: &mut impl FnMut(&[u8]) -> bool) -> Option<Form> {
    let mut secret = |text: &[u8]| !text.is_empty() && is_secret(text);
    let found = secret(name.text)
        || secret(name.whole)
        || name.escaped && secret(name.text.get(1..).unwrap_or_default());
    if !found {
        return None;
    }
    let lower = name.text.to_ascii_lowercase();
    let has = |part: &[u8]| lower.windows(part.len()).any(|window| window == part);
    let line = form == Form::Colon && (has(b"cookie") || has(b"authorization") || has(b"passphrase"));
    Some(if line { Form::Line } else { form })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new(
            ["pwd", "ssn", "token", "cookie", "set_cookie", "authorization", "passphrase"],
            ["*password*", "*_token", "*_api_key"],
        )
    }

    fn scrubbed(text: &str) -> String {
        let (mut out, keys) = (Vec::new(), keys());
        match (may_hold(text.as_bytes()) || extent::begins_with_scheme(text.as_bytes()))
            && scrub(text.as_bytes(), &mut out, |name| keys.is_secret(name))
        {
            true => String::from_utf8(out).expect("what was text is text"),
            false => text.to_string(),
        }
    }

    #[test]
    fn the_forms_in_which_a_value_stands_behind_its_name() {
        for (text, expected) in [
            ("password=abc", "password=[redacted]"),
            ("a=1&password=abc&b=2", "a=1&password=[redacted]&b=2"),
            ("x%password=abc", "x%password=[redacted]"),
            ("user[password]=abc&x=1", "user[password]=[redacted]&x=1"),
            ("user%5Bssn%5D=abc&x=1", "user%5Bssn%5D=[redacted]&x=1"),
            ("a%5Bssn%5D%3Dabc%26x%3D1&y=2", "a%5Bssn%5D%3D[redacted]%26x%3D1&y=2"),
            ("next=%2F%3Ftoken%3Dab%2526c%26x%3D1", "next=%2F%3Ftoken%3D[redacted]%26x%3D1"),
            ("r=%253Ftoken%253Dabc%2526x", "r=%253Ftoken%253D[redacted]%2526x"),
            (
                "%7B%22password%22%3A%22a%2Cb%22%2C%22c%22%3A1%7D",
                "%7B%22password%22%3A%22[redacted]%22%2C%22c%22%3A1%7D",
            ),
            ("password: abc, user: bob", "password: [redacted], user: bob"),
            ("password : abc def", "password : [redacted] def"),
            ("{\"password\": \"a\\\"b, c\", \"x\": 1}", "{\"password\": \"[redacted]\", \"x\": 1}"),
            ("{\"password\":\"abc\",\"x\":1}", "{\"password\":\"[redacted]\",\"x\":1}"),
            ("%{\"password\" => \"abc\", \"x\" => 1}", "%{\"password\" => \"[redacted]\", \"x\" => 1}"),
            (
                "%{:\"api-x\" => 1, password: \"a\\\\\", x: 1}",
                "%{:\"api-x\" => 1, password: \"[redacted]\", x: 1}",
            ),
            ("\"%{password: \\\"a\\\\\\\"b\\\", x: 1}\"", "\"%{password: \\\"[redacted]\\\", x: 1}\""),
            (
                "\"{\\\"password\\\":\\\"abc\\\",\\\"x\\\":1}\"",
                "\"{\\\"password\\\":\\\"[redacted]\\\",\\\"x\\\":1}\"",
            ),
            ("password=\"a b\" x=1", "password=\"[redacted]\" x=1"),
            ("--password='a b' -x", "--password='[redacted]' -x"),
            ("--ssn=12", "--ssn=[redacted]"),
            ("SSN=12\nx=1", "SSN=[redacted]\nx=1"),
            ("\\nssn=12\\nx=1", "\\nssn=[redacted]\\nx=1"),
            ("Authorization: Bearer abc.def\r\nHost: x", "Authorization: [redacted]\r\nHost: x"),
            ("authorization=Basic abc== x", "authorization=[redacted] x"),
            ("Cookie: a=b; c=\"d e\"; f=g\nHost: x", "Cookie: [redacted]\nHost: x"),
            ("\"Set-Cookie: a=b; Path=/\", x", "\"Set-Cookie: [redacted]\", x"),
            ("my_token: token abc, x", "my_token: [redacted], x"),
            ("{:password, \"abc\"}", "{:password, \"[redacted]\"}"),
            ("[{\"x-api-key\", \"abc\"}, {\"x\", \"y\"}]", "[{\"x-api-key\", \"[redacted]\"}, {\"x\", \"y\"}]"),
            ("[{~c\"cookie\", ~c\"abc\"}, {:x, 1}]", "[{~c\"cookie\", ~c\"[redacted]\"}, {:x, 1}]"),
            ("password: ~c\"abc\", x: 1", "password: ~c\"[redacted]\", x: 1"),
            ("password: 'abc', x: 1", "password: '[redacted]', x: 1"),
            ("password: [1, 2, [3]], x: 1", "password: [redacted], x: 1"),
            ("password: %{a: \"}\", b: %X{}}, x: 1", "password: [redacted], x: 1"),
            ("password: #Some<a => \"b\", c: <<1>>>, x: 1", "password: [redacted], x: 1"),
            ("password: <<1, 2>>, x: 1", "password: [redacted], x: 1"),
            ("password: nil", "password: [redacted]"),
            ("password == \"abc\"", "password == \"[redacted]\""),
            ("passwordHash := abc;", "passwordHash := [redacted];"),
            ("ecto://bob:s3:c@r@db.example/x?y=1", "ecto://bob:[redacted]@db.example/x?y=1"),
            ("password=\"abc", "password=\"[redacted]"),
            ("password=abc password=def", "password=[redacted] password=[redacted]"),
            ("accessToken=abc", "accessToken=[redacted]"),
            ("Bearer abc.def-ghi", "Bearer [redacted]"),
            ("basic dXNlcjpwYXNz", "basic [redacted]"),
            ("password=<abc>", "password=[redacted]>"),
        ] {
            assert_eq!(scrubbed(text), expected);
            assert_eq!(scrubbed(expected), expected, "once is enough");
        }
    }

    #[test]
    fn other_text_stays() {
        for text in [
            "",
            "=",
            "password",
            "password=",
            "password: ",
            "password=&x=1",
            "the password, they said: none",
            "tokens: 12, tokenizer=x",
            "10:20:30 https://example.org:4000/a?b=c%20d%3De",
            "@spec login(password :: String.t()) :: token",
            "Elixir.Token::x",
            "a => b, {:ok, \"x\"}, {\"accept\", \"x\"}",
            "user@host:path=1",
            "%{name: \"password\", x: 1}",
            "{:x, :password, 1}",
            "%",
            "%3D%3D",
            "mailto:bob@example.org",
            "Bearer token",
            "Basic knowledge of it",
        ] {
            assert_eq!(scrubbed(text), text);
        }
    }

    #[test]
    fn a_sign_is_found_wherever_it_stands() {
        for len in 0..70 {
            assert!(!may_hold(&vec![b'x'; len]));
            for at in 0..len {
                for sign in [b'=', b':', b'{', b'%'] {
                    let mut text = vec![b'x'; len];
                    text[at] = sign;
                    assert!(may_hold(&text), "{at} of {len}");
                }
            }
        }
    }

    /// A name in another case and with other dashes.
    fn name() -> impl Strategy<Value = String> {
        let names =
            ["password", "user_password", "token", "auth_token", "x_api_key", "ssn", "PASSWORD_HASH", "pwd"];
        (proptest::sample::select(names.to_vec()), any::<u64>()).prop_map(|(name, bits)| {
            let other = |(at, letter): (usize, char)| match letter {
                // Capitals within a word would take it apart.
                '_' if bits >> at & 1 == 1 => '-',
                letter if bits >> 63 == 1 => letter.to_ascii_uppercase(),
                letter => letter,
            };
            name.chars().enumerate().map(other).collect()
        })
    }

    /// A value with quotes escaped, and all of that as often as is asked for.
    fn quoted(value: &str, levels: usize) -> String {
        (0..levels).fold(value.to_string(), |text, _| {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        })
    }

    /// What is around has no sign that could be one of the value.
    fn around() -> impl Strategy<Value = String> {
        "([a-z]{1,8} [0-9]{2}:[0-9]{2} |x=1, |\\[info\\] |path=/a/b?c=d&|%\\{a: 1, |日本 ){0,4}"
    }

    proptest! {
        #[test]
        fn a_secret_in_quotes_never_stays(before in around(), name in name(), secret in "\\PC{0,8}s3cr3t\\PC{0,8}",
                                          form in 0usize..6, levels in 0usize..3, after in around()) {
            let value = quoted(&secret, 1);
            let inner = match form {
                0 => format!("{name}={value}"),
                1 => format!("{name}: {value}"),
                2 => format!("\"{name}\": {value}"),
                3 => format!("\"{name}\" => {value}"),
                4 => format!("{{\"{name}\", {value}}}"),
                _ => format!("{{:{name}, {value}}}"),
            };
            // Atoms with dashes are in quotes.
            prop_assume!(form != 5 || !name.contains('-'));
            let text = format!("{before}{}, {after}", quoted(&inner, levels));
            let clean = scrubbed(&text);
            prop_assert!(!clean.contains("s3cr3t"), "{text}\n{clean}");
            let marked = format!("{before}{}, {after}", quoted(&inner.replace(&value, "\"[redacted]\""), levels));
            prop_assert_eq!(clean, marked);
        }

        #[test]
        fn a_secret_that_is_a_word_never_stays(before in around(), name in name(), secret in "[a-zA-Z0-9+/=_.!$*~:@^|?-]{0,9}s3cr3t[a-zA-Z0-9+/=_.!$*~:@^|?-]{0,9}",
                                               form in 0usize..5, after in around()) {
            let (text, marked) = match form {
                0 => ("=", " "),
                1 => ("=", "&"),
                2 => (": ", ", "),
                3 => (" = ", "; "),
                _ => (" => ", "} "),
            };
            let made = |value: &str| format!("{before}{name}{text}{value}{marked}{after}");
            // What begins with signs of the same kind belongs to them.
            prop_assume!(!secret.starts_with(['=', '~', ':', '>']));
            prop_assert_eq!(scrubbed(&made(&secret)), made("[redacted]"));
        }

        #[test]
        fn a_text_of_which_the_end_is_cut_off_keeps_no_part_of_a_secret(
            before in around(), name in name(), secret in "[a-z0-9]{12}", cut in 1usize..12, levels in 0usize..2,
        ) {
            let text = quoted(&format!("{before}{name}: {}", quoted(&secret, 1)), levels);
            let begin = text.find(&secret).unwrap();
            let clean = scrubbed(&text[..begin + cut]);
            prop_assert!(clean.ends_with("[redacted]") && !clean.contains(&secret[..cut.max(5).min(cut)]) || cut < 5, "{clean}");
        }

        #[test]
        fn any_bytes_are_read(text: Vec<u8>) {
            let (mut out, keys) = (Vec::new(), keys());
            let found = scrub(&text, &mut out, |name| keys.is_secret(name));
            prop_assert_eq!(found, !out.is_empty());
        }

        #[test]
        fn signs_and_names_in_any_order_are_read(parts in proptest::collection::vec(proptest::sample::select(&[
            "password", "=", ":", "=>", "\"", "\\", "'", "{", "}", "[", "]", "<<", ">>", "%", "%{", "%3D", "%25", "%22", "22", " ", ",",
            "cookie", "://", "@", "x", "#", "~", "\n", "Bearer", "+", "é",
        ][..]), 0..40)) {
            let text = parts.concat();
            let clean = scrubbed(&text);
            // What is a name stays, and everything is read to its end.
            prop_assert!(clean.len() <= text.len() + 10 * parts.len());
        }

        #[test]
        fn a_text_without_names_of_secrets_stays(text in "([a-z]{1,6}(=|: |\" => \"|%3D|, )[a-z0-9]{1,5}(&|, |\"|\\}|\n)){0,8}") {
            let keys = Keys::new(["no-such-name"], ["*no_such_name*"]);
            let mut out = Vec::new();
            prop_assert!(!scrub(text.as_bytes(), &mut out, |name| keys.is_secret(name)) && out.is_empty());
        }
    }
}
