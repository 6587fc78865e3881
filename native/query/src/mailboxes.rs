//! How long mailboxes were: deliveries that nothing had taken yet.
//!
//! What takes a message is seen of instrumented code: a `receive`, or the outermost call of a callback that is given one. A reply is
//! taken by the call that waits for it, and some messages by OTP, all unseen; so they do not count. Nor does `:timeout` from nobody,
//! which the VM tells when a `receive` gives up. What was there before the process
//! was watched is not known, and after a gap nothing is: the count begins anew, so it is a lower bound, but for what other code that is not
//! instrumented takes.

use crate::counted::Counted;
use crate::part::Defined;
use crate::volume::Volume;
use elixir_scope_clock::Nanos;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, varint};
use elixir_scope_segment::Event;

/// The mailbox of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mailbox {
    length: u64,
    /// When its length was known last.
    seen: Option<Nanos>,
    /// Whether anything was seen that it took.
    taken: bool,
    /// The greatest length in the range, and when.
    most: Option<(u64, Nanos)>,
}

/// What a step means for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Post {
    Delivered,
    Taken,
}

impl Mailbox {
    pub(crate) fn step(&mut self, counted: &Counted, time: Nanos, post: Post) {
        let seen = self.seen.replace(time);
        if time > counted.since {
            // What it was when the range began.
            self.note(counted.since, seen.is_some_and(|seen| seen <= counted.since));
        }
        if seen.is_some_and(|seen| counted.broken(seen, time).is_some()) {
            self.length = 0;
        }
        match post {
            Post::Delivered => self.length += 1,
            Post::Taken => (self.length, self.taken) = (self.length.saturating_sub(1), true),
        }
        self.note(time, time >= counted.since);
    }

    fn note(&mut self, time: Nanos, within: bool) {
        if within && self.most.is_none_or(|(most, _)| self.length > most) {
            self.most = Some((self.length, time));
        }
    }

    /// The greatest length and when it was, where anything lay there and something was seen to be taken.
    pub(crate) fn most(mut self, counted: &Counted) -> Option<(u64, Nanos)> {
        if self.seen.is_some_and(|seen| seen <= counted.since && counted.broken(seen, counted.since).is_none())
        {
            self.note(counted.since, true);
        }
        self.most.filter(|(most, _)| self.taken && *most > 0)
    }
}

/// Whether a function is a callback that is given a message.
pub(crate) fn takes(function: &str, arity: u8) -> bool {
    matches!((function, arity), ("handle_call", 3) | ("handle_cast" | "handle_info", 2))
}

/// What a `receive` event, or the end of a `receive`, means for the mailbox of its process.
pub(crate) fn post(volume: &Volume, event: &Event<'_>) -> Option<Post> {
    let mut rest = event.payload;
    let number = varint::take(&mut rest).ok()?;
    let post = match event.kind {
        Kind::Receive => Post::Delivered,
        Kind::Take if number == 1 => Post::Taken,
        _ => return None,
    };
    (!is_unseen(volume, rest)).then_some(post)
}

/// Messages that OTP takes by itself, by the first element of the tuple and its size: those of `sys`, and the answers to what
/// writes, reads files and loads code.
const UNSEEN: [(u64, &str); 4] = [(3, "system"), (3, "io_reply"), (3, "file_reply"), (2, "code_server")];

/// Whether a message is taken where nobody sees it: one of these, or `{reference, reply}`, `{[:alias | reference], reply}`. Or none
/// at all: `:timeout`, with nobody or nothing behind it.
fn is_unseen(volume: &Volume, mut rest: &[u8]) -> bool {
    let size = match value::take(&mut rest) {
        Ok(Token::Tuple(size)) => size,
        Ok(token) if atom(volume, token) == Some("timeout") => {
            let sender = value::take(&mut rest).ok().and_then(|token| atom(volume, token));
            return matches!(sender, Some("nil" | "undefined"));
        }
        _ => return false,
    };
    match value::take(&mut rest) {
        Ok(Token::External(bytes)) => size == 2 && is_reference(bytes),
        Ok(Token::List) => {
            size == 2 && value::take(&mut rest).is_ok_and(|token| atom(volume, token) == Some("alias"))
        }
        Ok(token) => atom(volume, token).is_some_and(|first| UNSEEN.contains(&(size, first))),
        Err(_) => false,
    }
}

fn atom<'v>(volume: &'v Volume, token: Token<'_>) -> Option<&'v str> {
    let Token::Reference(number) = token else { return None };
    match volume.definition(number)? {
        Defined::Other(Definition::Atom(atom)) => Some(atom),
        _ => None,
    }
}

/// The external term format: `NEWER_REFERENCE_EXT` and `NEW_REFERENCE_EXT`, with or without the version in front.
fn is_reference(bytes: &[u8]) -> bool {
    let tag = if bytes.first() == Some(&131) { bytes.get(1) } else { bytes.first() };
    matches!(tag, Some(90 | 114))
}
