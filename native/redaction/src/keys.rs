//! Names of secrets.

use ahash::AHashSet;

/// Bytes of the longest name that is looked for in a text; of a longer one only so many are looked at, up to its end.
pub const LONGEST: usize = 128;

/// Which names are those of secrets. Names are compared in lower case, with `-` and a blank as `_`, without a `!` at the end; `accessToken` is
/// also `access_token`. Of `user[token]` each part counts, of `auth.token` the last one too; but `Shop.Token` is a module.
#[derive(Debug, Default)]
pub struct Keys {
    whole: AHashSet<Box<[u8]>>,
    patterns: Vec<Pattern>,
}

/// The parts of a text between its stars, each of which stands for any text.
#[derive(Debug)]
struct Pattern(Vec<Vec<u8>>);

impl Pattern {
    fn matches(&self, name: &[u8]) -> bool {
        let [first, inner @ .., last] = &self.0[..] else {
            return self.0.first().is_none_or(|whole| whole == name);
        };
        let Some(mut rest) = name.strip_prefix(&first[..]).and_then(|rest| rest.strip_suffix(&last[..])) else {
            return false;
        };
        inner.iter().all(|part| match find(rest, part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

impl Keys {
    /// Whole names, and patterns, in which a star stands for any text.
    pub fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let whole = names.into_iter().map(|name| normal(name.as_bytes()).into_boxed_slice()).collect();
        let parts = |pattern: &str| pattern.split('*').map(|part| normal(part.as_bytes())).collect();
        Keys { whole, patterns: patterns.into_iter().map(|pattern| Pattern(parts(pattern))).collect() }
    }

    /// Whether a value under this name is a secret.
    pub fn is_secret(&self, name: &[u8]) -> bool {
        let is_one = |name: &[u8]| {
            let name = name.strip_suffix(b"!").unwrap_or(name);
            self.knows(&normal(name)) || split(name).is_some_and(|name| self.knows(&normal(&name)))
        };
        is_one(name) || parts(name).any(is_one)
    }

    fn knows(&self, name: &[u8]) -> bool {
        self.whole.contains(name) || self.patterns.iter().any(|pattern| pattern.matches(name))
    }
}

/// The parts of a name that stands for a place in something larger.
fn parts(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = name.split(|byte| matches!(byte, b'[' | b']')).filter(|part| !part.is_empty());
    parts.flat_map(move |part| {
        let last = part.rsplit(|byte| *byte == b'.').next().filter(|last| last.len() < part.len());
        let last = last.filter(|last| !last.is_empty() && !part[0].is_ascii_uppercase());
        [(part.len() < name.len()).then_some(part), last].into_iter().flatten()
    })
}

/// As names are compared.
fn normal(name: &[u8]) -> Vec<u8> {
    let dash = |byte: u8| if matches!(byte, b'-' | b' ') { b'_' } else { byte };
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().bytes().map(dash).collect(),
        _ => name.iter().map(|byte| dash(byte.to_ascii_lowercase())).collect(),
    }
}

/// A name whose words begin with capitals, with `_` between them; `None` when there is nothing to put between.
fn split(name: &[u8]) -> Option<Vec<u8>> {
    let begins = |at: usize| {
        let (before, here) = (name[at - 1], name[at]);
        let after = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        here.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || before.is_ascii_digit() || before.is_ascii_uppercase() && after)
    };
    let mut apart = Vec::with_capacity(name.len() + 4);
    for (at, byte) in name.iter().enumerate() {
        if at > 0 && begins(at) {
            apart.push(b'_');
        }
        apart.push(*byte);
    }
    (apart.len() > name.len()).then_some(apart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new(
            ["password", "Set-Cookie", "api_key", "ssn"],
            ["*password*", "*_token", "secret_*", "a*b*c", "*_PIN"],
        )
    }

    #[test]
    fn names_are_compared_without_case_and_dashes() {
        for name in [
            "password",
            "PASSWORD",
            "Set-Cookie",
            "set_cookie",
            "API-Key",
            "Api Key",
            "api key",
            "user_password_hash",
            "access_token",
            "X-Auth-Token",
            "accessToken",
            "ACCESSToken",
            "apiKey",
            "APIKey",
            "secret_base",
            "secret_",
            "abc",
            "aXbYc",
            "card_pin",
            "fetch_token!",
            "user[api_key]",
            "ssn[]",
            "ssn[0][a]",
            "auth.ssn",
            "auth.user[a.apiKey]",
        ] {
            assert!(keys().is_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "tokens",
            "token",
            "sn",
            "ssns",
            "pass",
            "word",
            "ab",
            "acb",
            "pin",
            "secret",
            "cookie",
            "user[ssns]",
            "ssn.length",
            "Elixir.Shop.Ssn",
            "Shop.Ssn",
            "[]",
            ".",
            "ssn.",
        ] {
            assert!(!keys().is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn parts_of_a_pattern_do_not_overlap() {
        let keys = Keys::new([], ["ab*ba"]);
        assert!(keys.is_secret(b"abba") && keys.is_secret(b"ab-ba"));
        assert!(!keys.is_secret(b"aba"));
        assert!(Keys::new([], ["*"]).is_secret(b""));
        assert!(Keys::new([], ["whole"]).is_secret(b"WHOLE") && !Keys::new([], ["whole"]).is_secret(b"whole_"));
        assert!(Keys::new(["Größe"], []).is_secret("GRÖSSE".replace("SS", "ß").as_bytes()));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_is_made_of_it(parts in proptest::collection::vec("[a-z_]{0,4}", 1..5),
                                                between in proptest::collection::vec("[a-z_]{0,4}", 4)) {
            let pattern = parts.join("*");
            let keys = Keys::new([], [pattern.as_str()]);
            let mut name = parts[0].clone();
            for (part, text) in parts[1..].iter().zip(&between) {
                name.push_str(text);
                name.push_str(part);
            }
            prop_assert!(keys.is_secret(name.as_bytes()));
        }

        #[test]
        fn any_bytes_are_compared(name: Vec<u8>) {
            keys().is_secret(&name);
        }
    }
}
