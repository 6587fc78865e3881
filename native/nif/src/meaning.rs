//! What the machine words of the running VM stand for.

use crate::vm::{self, Env, Kind, OwnEnv, Word};
use elixir_scope_capture::Session;
use elixir_scope_event::{Definition, Pid, Site};
use elixir_scope_store::Meaning;
use parking_lot::Mutex;
use std::sync::Arc;

/// The meaning of a word that is an immediate: an atom, a local pid or a local port.
pub fn of(env: Env<'_>, word: Word) -> Option<Definition> {
    match env.kind(word) {
        Kind::Atom => Some(Definition::Atom(atom_text(env, word)?)),
        Kind::Pid => {
            env.external(word, |bytes| Some(Definition::Process(pid_numbers(bytes)?, bytes.to_vec())))?
        }
        _ => env.external(word, |bytes| Definition::Term(bytes.to_vec())),
    }
}

/// The text of an atom.
pub fn atom_text(env: Env<'_>, word: Word) -> Option<String> {
    // The interface gives Latin-1 text alone before OTP 26; the external format knows all atoms.
    env.external(word, |bytes| match bytes {
        [131, 100, _, _, text @ ..] | [131, 115, _, text @ ..] => {
            Some(text.iter().map(|byte| *byte as char).collect())
        }
        [131, 118, _, _, text @ ..] | [131, 119, _, text @ ..] => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    })?
}

/// The numbers in a pid of the external format, which end it: id, serial, creation.
fn pid_numbers(bytes: &[u8]) -> Option<Pid> {
    let tail = bytes.last_chunk::<12>()?;
    let number = |at: usize| u32::from_be_bytes([tail[at], tail[at + 1], tail[at + 2], tail[at + 3]]);
    // 88 is NEW_PID_EXT; the older form is not made by any VM that we load into.
    (bytes.get(1) == Some(&88)).then(|| Pid { id: number(0), serial: number(4) })
}

/// The meaning of words for the drain thread: asked of the VM itself, which never forgets an atom and can always
/// name a pid. Sites come from the dictionary.
pub struct Live {
    pub session: Arc<Session>,
    pub env: Mutex<OwnEnv>,
}

impl Meaning for Live {
    fn word(&self, word: u64) -> Option<Definition> {
        self.env.lock().with(|env| of(env, vm::word(word)))
    }

    fn site(&self, key: u64) -> Option<Arc<Site>> {
        self.session.dictionary.site(key)
    }
}
