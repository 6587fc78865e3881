//! A disk that takes a part of an entry and then no more.

use elixir_scope_dictionary::{Dictionary, read};
use elixir_scope_event::Definition;
use std::path::PathBuf;
use std::process::Command;

/// Where the child writes.
const CHILD: &str = "ELIXIR_SCOPE_FULL_DISK";

fn atom(len: usize) -> Definition {
    Definition::Atom("a".repeat(len))
}

/// The same test, run by a shell that allows files of one block (512 or 1,024 bytes, as the shell counts them).
#[test]
fn a_part_of_an_entry_does_not_hide_the_entries_after_it() {
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_full(&PathBuf::from(path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dictionary");
    let this = std::env::current_exe().unwrap();
    // Without the trap the system would kill the child for writing beyond the limit.
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact \"$1\"";
    let test = "a_part_of_an_entry_does_not_hide_the_entries_after_it";
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(this)
        .arg(test)
        .env(CHILD, &path)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let meanings = read(&path).unwrap();
    assert_eq!(meanings.damaged_at, None);
    let mut words: Vec<u64> = meanings.words.keys().copied().collect();
    words.sort();
    assert_eq!(words, [1, 3]);
}

fn write_until_full(path: &std::path::Path) {
    let dictionary = Dictionary::create(path).unwrap();
    dictionary.define_word(1, atom(300)).unwrap();
    dictionary.define_word(2, atom(1_000)).expect_err("it does not fit");
    dictionary.define_word(3, atom(50)).expect("it fits, when the part of the other is gone");
}
