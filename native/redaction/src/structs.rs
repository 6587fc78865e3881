//! Fields of structs that are secret, in texts.
//!
//! `%Shop.Customer{iban: "x"}` says in a text what it is. So the name of such a field counts as that of a secret where the text also has the
//! name of the struct: as Elixir inspects it, or as Erlang writes the atom, `'Elixir.Shop.Customer'`. A text is searched for those when it
//! has the name of a field in front of a sign, and once.

use crate::scrub::Secrecy;
use ahash::AHashMap;

/// Structs with secret fields.
#[derive(Debug, Default)]
pub struct Structs {
    /// As they stand in texts, with their numbers.
    names: AHashMap<Box<[u8]>, u32>,
    /// What the values are, by the names of the fields, and in which structs.
    fields: AHashMap<Box<[u8]>, Vec<(u32, Secrecy)>>,
}

/// The structs that a text names, once that was asked.
#[derive(Debug, Default)]
pub struct Mentioned {
    asked: bool,
    structs: Vec<u32>,
}

impl Mentioned {
    /// To be called before another text. What was allocated is kept.
    pub fn forget(&mut self) {
        self.asked = false;
        self.structs.clear();
    }
}

impl Structs {
    /// Modules, and one of their fields each.
    pub fn new<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut structs = Structs::default();
        for (module, field) in fields {
            let secrecy = match (module, field) {
                ("Elixir.URI", "authority") => Secrecy::User,
                ("Elixir.URI", _) => Secrecy::Given,
                _ => Secrecy::Secret,
            };
            let number = u32::try_from(structs.names.len()).unwrap_or(u32::MAX);
            let number = *structs.names.entry(own(module.as_bytes()).into()).or_insert(number);
            structs.fields.entry(field.as_bytes().into()).or_default().push((number, secrecy));
        }
        structs
    }

    /// Whether a struct has a secret field of this name.
    #[inline]
    pub fn is_field(&self, name: &[u8]) -> bool {
        self.fields.contains_key(name)
    }

    /// What a value under a name in a text is, by the structs that the text names.
    pub fn secrecy(&self, name: &[u8], text: &[u8], mentioned: &mut Mentioned) -> Secrecy {
        let Some(fields) = self.fields.get(name) else { return Secrecy::Plain };
        if !mentioned.asked {
            mentioned.asked = true;
            self.find(text, &mut mentioned.structs);
        }
        let in_text = fields.iter().filter(|(number, _)| mentioned.structs.contains(number));
        in_text.map(|(_, secrecy)| *secrecy).max().unwrap_or(Secrecy::Plain)
    }

    fn find(&self, text: &[u8], found: &mut Vec<u32>) {
        let is_named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || *byte >= 0x80;
        for name in text.split(|byte| !is_named(byte)).filter(|name| !name.is_empty()) {
            match self.names.get(own(name)) {
                Some(number) if !found.contains(number) => found.push(*number),
                _ => {}
            }
        }
    }
}

/// A module without what Elixir does not show.
fn own(module: &[u8]) -> &[u8] {
    module.strip_prefix(b"Elixir.").unwrap_or(module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub;

    fn scrubbed(text: &str) -> String {
        let structs = Structs::new([
            ("Elixir.Shop.Customer", "iban"),
            ("Elixir.Shop.Customer", "vip?"),
            ("Elixir.Card", "number"),
            ("shop_card", "number"),
            ("Elixir.URI", "userinfo"),
            ("Elixir.URI", "authority"),
        ]);
        let (mut out, mut mentioned) = (Vec::new(), Mentioned::default());
        match scrub(text.as_bytes(), &mut out, |name| structs.secrecy(name, text.as_bytes(), &mut mentioned)) {
            true => String::from_utf8(out).expect("what was text is text"),
            false => text.to_string(),
        }
    }

    #[test]
    fn a_field_is_secret_where_its_struct_is_named() {
        for (text, expected) in [
            (
                "%Shop.Customer{iban: \"x\", name: \"ann\"}",
                "%Shop.Customer{iban: \"[redacted]\", name: \"ann\"}",
            ),
            ("#Shop.Customer<iban: \"x\", n: 1>", "#Shop.Customer<iban: \"[redacted]\", n: 1>"),
            ("#Shop.Customer<\\n iban: x>", "#Shop.Customer<\\n iban: [redacted]>"),
            ("\"%Shop.Customer{iban: \\\"x\\\", n: 1}\"", "\"%Shop.Customer{iban: \\\"[redacted]\\\", n: 1}\""),
            ("%{__struct__: Shop.Customer, iban: 'x'}", "%{__struct__: Shop.Customer, iban: '[redacted]'}"),
            ("%Shop.Customer{vip?: true, n: 1}", "%Shop.Customer{vip?: [redacted], n: 1}"),
            (
                "#{iban => <<\"x\">>,\n  '__struct__' => 'Elixir.Shop.Customer',n => 1}",
                "#{iban => [redacted],\n  '__struct__' => 'Elixir.Shop.Customer',n => 1}",
            ),
            (
                "#{'__struct__' => 'Elixir.Shop.Customer','vip?' => true}",
                "#{'__struct__' => 'Elixir.Shop.Customer','vip?' => [redacted]}",
            ),
            ("%:shop_card{number: 7}", "%:shop_card{number: [redacted]}"),
            (
                "[%Card{number: 7}, %Shop.Customer{iban: 7}]",
                "[%Card{number: [redacted]}, %Shop.Customer{iban: [redacted]}]",
            ),
            (
                "%URI{userinfo: \"ann:x\", authority: \"ann:x@h\", path: nil}",
                "%URI{userinfo: \"[redacted]\", authority: \"[redacted]\", path: nil}",
            ),
        ] {
            assert_eq!(scrubbed(text), expected);
            assert_eq!(scrubbed(expected), expected, "once is enough");
        }
    }

    #[test]
    fn elsewhere_it_is_a_name_as_any() {
        for text in [
            "iban: \"x\"",
            "%{iban: \"x\"}",
            "%Shop.Customers{iban: \"x\"}",
            "%My.Shop.Customer{iban: \"x\"}",
            "%Shop.Customer.Address{iban: \"x\"}",
            "%Shop.Customer{number: 1, Iban: 2}",
            "%URI{userinfo: nil, authority: \"example.org\"}",
            "#{'__struct__' => 'Elixir.URI',userinfo => nil,authority => undefined}",
            "%Card{iban: 1}",
            "",
        ] {
            assert_eq!(scrubbed(text), text);
        }
    }
}
