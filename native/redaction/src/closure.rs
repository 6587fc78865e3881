//! Secrets in a function, as the VM writes it in the external term format.
//!
//! Nobody knows the names of the variables that a function closes over. So a text that it holds may be a secret unless it lies
//! under another name: as a value of a map, or in a pair that is an element of a list.

use crate::extent::begins_with_scheme;
use crate::scrub::{Secrecy, may_hold, scrub};
use crate::structs::Mentioned;

/// What is known of names.
pub trait Names {
    /// Whether a value under a name is a secret.
    fn is_secret(&mut self, name: &[u8]) -> bool;

    /// What a value under a name in a text is; `mentioned` is for that text.
    fn in_text(&mut self, name: &[u8], _text: &[u8], _mentioned: &mut Mentioned) -> Secrecy {
        self.is_secret(name).into()
    }

    /// Whether a struct of this module is not to be shown with this field.
    fn hides(&mut self, module: &[u8], field: &[u8]) -> bool;
}

/// Whether a term in the external format, which is a function, may hold a secret. What cannot be read may.
pub fn holds_secret(bytes: &[u8], names: &mut impl Names) -> bool {
    let Some((131, term)) = bytes.split_first().map(|(version, term)| (*version, term)) else { return true };
    // Looking for the module of a struct steps over its fields, so deep structs are stepped over again and again.
    let mut reader = Reader { bytes: term, steps: 4 * bytes.len() + 1_024 };
    let mut scratch = Vec::new();
    reader.walk(names, &mut scratch) != Some(false)
}

struct Reader<'a> {
    bytes: &'a [u8],
    steps: usize,
}

/// How a term begins.
enum Term<'a> {
    Atom(&'a [u8]),
    /// A binary, or a list of bytes, as the format has them; and whether it is read as a text.
    Text(&'a [u8]),
    Tuple(usize),
    /// A list of so many elements, and a tail.
    List(usize),
    /// So many pairs.
    Map(usize),
    /// So many terms follow that say what a function is, then so many that it closes over.
    Function(usize),
    /// So many terms follow, none of which can be a secret.
    Plain(usize),
}

/// What the next terms are.
#[derive(Clone, Copy)]
enum Next<'a> {
    /// Values; whether they lie under a name, and whether they are elements of a list.
    Values { count: usize, named: bool, listed: bool },
    /// A key of a map, of a struct if the module is known; so many keys are left with it.
    Keys { count: usize, module: Option<&'a [u8]>, named: bool },
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self, len: usize) -> Option<usize> {
        Some(self.take(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn counted(&mut self, len: usize) -> Option<&'a [u8]> {
        let count = self.number(len)?;
        self.take(count)
    }

    fn term(&mut self) -> Option<Term<'a>> {
        self.steps = self.steps.checked_sub(1)?;
        let plain = |_: &[u8]| Term::Plain(0);
        Some(match self.take(1)?[0] {
            100 | 118 => Term::Atom(self.counted(2)?),
            115 | 119 => Term::Atom(self.counted(1)?),
            109 => Term::Text(self.counted(4)?),
            107 => match self.counted(2)? {
                text if text.iter().all(|byte| matches!(byte, 7..=13 | 27 | 32..=126)) => Term::Text(text),
                _ => Term::Plain(0),
            },
            // Bits that end within a byte are a text but for the last of them.
            77 => {
                let len = self.number(4)?;
                self.take(1)?;
                Term::Text(self.take(len)?)
            }
            104 => Term::Tuple(self.number(1)?),
            105 => Term::Tuple(self.number(4)?),
            108 => Term::List(self.number(4)?),
            116 => Term::Map(self.number(4)?),
            112 => {
                self.take(4 + 1 + 16 + 4)?;
                Term::Function(self.number(4)?)
            }
            97 => plain(self.take(1)?),
            98 => plain(self.take(4)?),
            99 => plain(self.take(31)?),
            70 => plain(self.take(8)?),
            106 => Term::Plain(0),
            110 => {
                let len = self.number(1)?;
                plain(self.take(1 + len)?)
            }
            111 => {
                let len = self.number(4)?;
                plain(self.take(len.checked_add(1)?)?)
            }
            // Pids, ports and references: the name of a node, then numbers.
            tag @ (88 | 89 | 102 | 103 | 120) => {
                self.atom()?;
                plain(self.take(match tag {
                    88 | 120 => 12,
                    89 => 8,
                    102 => 5,
                    _ => 9,
                })?)
            }
            tag @ (90 | 114) => {
                let words = self.number(2)?;
                self.atom()?;
                plain(self.take(words * 4 + if tag == 90 { 4 } else { 1 })?)
            }
            // A function with a name.
            113 => Term::Plain(3),
            _ => return None,
        })
    }

    fn atom(&mut self) -> Option<&'a [u8]> {
        match self.term()? {
            Term::Atom(text) => Some(text),
            _ => None,
        }
    }

    /// Steps over so many terms.
    fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            let more = match self.term()? {
                Term::Tuple(inside) | Term::Plain(inside) => inside,
                Term::List(inside) => inside.checked_add(1)?,
                Term::Map(inside) => inside.checked_mul(2)?,
                Term::Function(inside) => inside.checked_add(4)?,
                Term::Atom(_) | Term::Text(_) => 0,
            };
            count = (count - 1).checked_add(more)?;
        }
        Some(())
    }

    /// The module of a struct, of whose so many pairs nothing was read yet.
    fn module(&mut self, pairs: usize) -> Option<Option<&'a [u8]>> {
        let begin = self.bytes;
        let mut module = None;
        for _ in 0..pairs {
            let key = self.bytes;
            if matches!(self.term()?, Term::Atom(b"__struct__")) {
                if let Term::Atom(name) = self.term()? {
                    module = Some(name);
                }
                break;
            }
            self.bytes = key;
            self.skip(2)?;
        }
        self.bytes = begin;
        Some(module)
    }

    /// Whether there may be a secret; `None` when the bytes are no term, or too deep a one.
    fn walk(&mut self, names: &mut impl Names, scratch: &mut Vec<u8>) -> Option<bool> {
        let mut open = vec![Next::Values { count: 1, named: false, listed: false }];
        while let Some(next) = open.last_mut() {
            match next {
                Next::Values { count: 0, .. } | Next::Keys { count: 0, .. } => {
                    open.pop();
                }
                Next::Values { count, named, listed } => {
                    *count -= 1;
                    let (named, listed) = (*named, *listed);
                    if self.value(named, listed, names, scratch, &mut open)? {
                        return Some(true);
                    }
                }
                Next::Keys { count, module, named } => {
                    *count -= 1;
                    let (module, named) = (*module, *named);
                    let begin = self.bytes;
                    match self.term()? {
                        Term::Atom(name) | Term::Text(name) => {
                            if module.is_some_and(|module| names.hides(module, name))
                                || self.secret(name, names)?
                            {
                                return Some(true);
                            }
                            open.push(Next::Values { count: 1, named: true, listed: false });
                        }
                        _ => {
                            self.bytes = begin;
                            open.push(Next::Values { count: 2, named, listed: false });
                        }
                    }
                }
            }
        }
        Some(!self.bytes.is_empty())
    }

    /// Whether a secret stands behind a name. An empty list is none.
    fn secret(&mut self, name: &[u8], names: &mut impl Names) -> Option<bool> {
        Some(*self.bytes.first()? != 106 && names.is_secret(name))
    }

    /// Reads what a value begins with; the answer is whether it may be a secret.
    fn value(
        &mut self,
        named: bool,
        listed: bool,
        names: &mut impl Names,
        scratch: &mut Vec<u8>,
        open: &mut Vec<Next<'a>>,
    ) -> Option<bool> {
        let values = |count| Next::Values { count, named, listed: false };
        match self.term()? {
            Term::Atom(_) => {}
            Term::Text(text) => {
                let searched = may_hold(text) || begins_with_scheme(text);
                let mut mentioned = Mentioned::default();
                let holds = searched && scrub(text, scratch, |name| names.in_text(name, text, &mut mentioned));
                return Some(!text.is_empty() && (!named || holds));
            }
            Term::Tuple(2) => {
                let begin = self.bytes;
                if let Term::Atom(name) | Term::Text(name) = self.term()? {
                    if self.secret(name, names)? {
                        return Some(true);
                    }
                    if listed {
                        open.push(Next::Values { count: 1, named: true, listed: false });
                        return Some(false);
                    }
                }
                self.bytes = begin;
                open.push(values(2));
            }
            Term::Tuple(count) | Term::Plain(count) => open.push(values(count)),
            Term::List(count) => {
                // The tail is read last.
                open.push(values(1));
                open.push(Next::Values { count, named, listed: true });
            }
            Term::Map(count) => {
                let module = self.module(count)?;
                open.push(Next::Keys { count, module, named });
            }
            Term::Function(count) => {
                self.skip(4)?;
                open.push(Next::Values { count, named: false, listed: false });
            }
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keys, Structs};
    use proptest::prelude::*;

    struct Rules(Keys);

    impl Names for Rules {
        fn is_secret(&mut self, name: &[u8]) -> bool {
            self.0.is_secret(name)
        }

        fn hides(&mut self, module: &[u8], field: &[u8]) -> bool {
            (module, field) == (b"Elixir.User", b"mail")
        }

        fn in_text(&mut self, name: &[u8], text: &[u8], mentioned: &mut Mentioned) -> Secrecy {
            let users = Structs::new([("Elixir.User", "mail")]);
            users.secrecy(name, text, mentioned).max(self.is_secret(name).into())
        }
    }

    fn rules() -> Rules {
        Rules(Keys::new(["password"], ["*_token"]))
    }

    fn atom(text: &str) -> Vec<u8> {
        [&[119, text.len() as u8], text.as_bytes()].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [&[109], &(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
    }

    fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
        [&[104, parts.len() as u8][..], &parts.concat()].concat()
    }

    fn list(parts: &[Vec<u8>]) -> Vec<u8> {
        [&[108], &(parts.len() as u32).to_be_bytes()[..], &parts.concat(), &[106]].concat()
    }

    fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let inside: Vec<u8> = pairs.iter().flat_map(|(key, value)| [&key[..], value].concat()).collect();
        [&[116], &(pairs.len() as u32).to_be_bytes()[..], &inside].concat()
    }

    /// A function that closes over these.
    fn closing_over(parts: &[Vec<u8>]) -> Vec<u8> {
        let pid = [&[88][..], &atom("node@host"), &[0; 12]].concat();
        let head = [vec![0; 16], vec![0; 4], (parts.len() as u32).to_be_bytes().to_vec()].concat();
        let what = [atom("Elixir.Some"), vec![97, 3], vec![98, 1, 2, 3, 4], pid].concat();
        [&[112, 0, 0, 0, 0, 1][..], &head, &what, &parts.concat()].concat()
    }

    fn holds(parts: &[Vec<u8>]) -> bool {
        holds_secret(&[vec![131], closing_over(parts)].concat(), &mut rules())
    }

    #[test]
    fn what_lies_under_a_name_that_is_no_secrets_may_stay() {
        let user =
            |field: &str| map(&[(atom("__struct__"), atom("Elixir.User")), (atom(field), text("ada@x"))]);
        for clean in [
            vec![],
            vec![vec![97, 7], atom("password"), vec![106], vec![107, 0, 3, 1, 2, 3], text("")],
            vec![map(&[(atom("name"), text("ada")), (text("city"), tuple(&[text("x"), text("y")]))])],
            vec![list(&[tuple(&[atom("name"), text("ada")]), tuple(&[text("accept"), list(&[text("x")])])])],
            vec![map(&[(atom("password"), vec![106]), (vec![97, 1], vec![97, 2])])],
            vec![user("name")],
            vec![map(&[(atom("line"), text("%User{name: \"ada\"}"))])],
            vec![map(&[(atom("line"), text("mail: \"ada@x\""))])],
            vec![closing_over(&[vec![97, 1]])],
            vec![[vec![113], atom("Elixir.String"), atom("trim"), vec![97, 1]].concat()],
        ] {
            assert!(!holds(&clean), "{clean:?}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_found() {
        let user = map(&[(atom("mail"), text("ada@x")), (atom("__struct__"), atom("Elixir.User"))]);
        for secret in [
            text("hunter2"),
            vec![107, 0, 3, b'a', b'b', b'c'],
            [vec![77, 0, 0, 0, 2, 3], vec![b'x', 0xE0]].concat(),
            tuple(&[atom("ok"), text("hunter2")]),
            list(&[text("hunter2")]),
            tuple(&[atom("password"), vec![97, 1]]),
            list(&[tuple(&[text("Password"), vec![97, 1]])]),
            map(&[(atom("access_token"), vec![97, 1])]),
            map(&[(vec![97, 1], text("hunter2"))]),
            map(&[(tuple(&[text("hunter2")]), vec![97, 1])]),
            map(&[(atom("line"), text("password=hunter2"))]),
            map(&[(atom("line"), text("%User{mail: \"ada@x\"}"))]),
            map(&[(atom("inner"), list(&[map(&[(text("password"), text("x"))])]))]),
            map(&[(atom("f"), closing_over(&[text("hunter2")]))]),
            user,
        ] {
            assert!(holds(&[vec![97, 1], secret.clone()]), "{secret:?}");
        }
    }

    #[test]
    fn depth_needs_no_stack_and_no_endless_time() {
        let mut deep = vec![97, 1];
        for _ in 0..2_000 {
            deep = map(&[(atom("a"), vec![97, 1]), (atom("b"), deep)]);
        }
        assert!(holds(&[deep]), "it takes too many steps to say that it holds none");
        let lists = [[108, 0, 0, 0, 1].repeat(100_000), vec![106], vec![106; 100_000]].concat();
        assert!(!holds(&[lists]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, at in 0usize..80, byte: u8) {
            holds_secret(&bytes, &mut rules());
            let mut broken = [vec![131], closing_over(&[map(&[(atom("a"), text("b")), (atom("c"), list(&[text("d")]))])])].concat();
            let at = at % broken.len();
            broken[at] = byte;
            holds_secret(&broken, &mut rules());
            prop_assert!(holds_secret(&broken[..at], &mut rules()), "half a term");
        }
    }
}
