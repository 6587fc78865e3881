//! The literal in rewritten code that says where an event comes from:
//! `{key, node, module, function, arity, file, line, column, kind, clause, source, names}`; of a function there may be one element
//! more, which is not recorded: for each argument a list of the names that clauses give it as a whole, from the first argument on; and of a place
//! that binds variables, for each of them a list of the keys, atoms or texts, under which the pattern finds it. By them
//! [`crate::redact`] finds values that are secret.

use crate::heap::{self, Boxed};
use crate::immediate::{self, Immediate};
use crate::meaning::atom_text;
use crate::vm::{Env, Word, list};
use elixir_scope_event::{NodeKind, Site};

/// The key alone; 0 when the term is no site.
#[inline]
pub fn key(env: Env<'_>, term: Word) -> u64 {
    if let Boxed::Tuple([key, ..]) = heap::read(env, term)
        && let Immediate::Small(key) = immediate::read(*key)
    {
        return u64::try_from(key).unwrap_or(0);
    }
    asked_key(env, term)
}

#[cold]
fn asked_key(env: Env<'_>, term: Word) -> u64 {
    let key = env.tuple(term).and_then(|site| env.integer(*site.first()?));
    key.and_then(|key| u64::try_from(key).ok()).unwrap_or(0)
}

/// All of it.
pub fn parse(env: Env<'_>, term: Word) -> Option<Site> {
    let [key, node, module, function, arity, file, line, column, kind, clause, source, names, more @ ..] =
        env.tuple(term)?
    else {
        return None;
    };
    if more.len() > 1 {
        return None;
    }
    let number = |word: &Word| env.integer(*word).and_then(|number| u64::try_from(number).ok());
    let small = |word: &Word| u32::try_from(number(word)?).ok();
    Some(Site {
        key: number(key)?,
        node: number(node)?,
        module: atom_text(env, *module)?,
        function: atom_text(env, *function)?,
        arity: u8::try_from(number(arity)?).ok()?,
        file: String::from_utf8_lossy(env.binary(*file)?).into_owned(),
        line: small(line)?,
        column: small(column)?,
        node_kind: NodeKind::from_name(&atom_text(env, *kind)?)?,
        clause: small(clause)?,
        source: number(source)?,
        names: list(env, *names).map(|name| atom_text(env, name)).collect::<Option<_>>()?,
    })
}
