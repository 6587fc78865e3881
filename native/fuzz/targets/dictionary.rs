//! A dictionary of any bytes: a prefix of it is read, and the end of that is known.
#![no_main]

use elixir_scope_clock::{Ticks, Timeline};
use elixir_scope_fuzz::{Folder, folder};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static FOLDER: LazyLock<Folder> = LazyLock::new(folder);

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.write("dictionary", bytes);
    let meanings = elixir_scope_dictionary::read(&path).expect("the file can be read");
    let end = meanings.damaged_at.unwrap_or(bytes.len() as u64);
    assert!(end <= bytes.len() as u64);
    // What stands before the end is whole, and nothing else.
    let path = FOLDER.write("prefix", &bytes[..end as usize]);
    let prefix = elixir_scope_dictionary::read(&path).expect("the file can be read");
    assert_eq!(prefix.damaged_at, None);
    assert_eq!((prefix.words.len(), prefix.sites.len()), (meanings.words.len(), meanings.sites.len()));
    if let Some(line) = Timeline::from_pieces(meanings.pieces) {
        let _ = [0, 1, 1 << 40, u64::MAX].map(|ticks| line.nanos(Ticks(ticks)));
    }
});
