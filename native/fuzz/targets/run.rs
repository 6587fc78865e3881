//! A whole recording of a killed program, with changes to its files: it is refused, or recovered and asked everything.
//!
//! The input is a list of changes. Each begins with three bytes (which file and what to do, where in two), and the place
//! wraps around the file.
//!
//! With a folder in `SEEDS` this program writes the seeds of the other targets there.
#![no_main]

use elixir_scope_fuzz::{Files, ask, folder, killed, write_seeds};
use elixir_scope_query::Recording;
use elixir_scope_recorder::recover;
use elixir_scope_store::RunPath;
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static KILLED: LazyLock<Files> = LazyLock::new(killed);

fn seeds() {
    if let Some(corpus) = std::env::var_os("SEEDS") {
        write_seeds(Path::new(&corpus));
    }
}

fuzz_target!(init: seeds(), |changes: &[u8]| {
    let mut files = KILLED.clone();
    change(&mut files, changes);
    let dir = folder();
    for folder in ["rings", "segments"] {
        std::fs::create_dir(dir.path().join(folder)).expect("a folder in memory");
    }
    for (name, bytes) in &files {
        dir.write(name, bytes);
    }
    let Ok(run) = RunPath::find(dir.path()) else { return };
    let Ok(found) = recover(&run) else { return };
    let recording = Recording::new(run, found.manifest, found.damage, Arc::new(found.shelf));
    ask(&recording.index());
});

fn change(files: &mut Files, mut changes: &[u8]) {
    let names: Vec<String> = files.keys().cloned().collect();
    while let Some(([which, low, high], rest)) = changes.split_first_chunk::<3>() {
        changes = rest;
        let Some(bytes) = files.get_mut(&names[usize::from(which >> 3) % names.len()]) else { continue };
        if bytes.is_empty() {
            continue;
        }
        let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len();
        match which & 7 {
            0 => bytes.truncate(at),
            1 => bytes[at..].fill(0),
            // So many bytes in place of those that are there.
            with => {
                let (new, rest) =
                    changes.split_at(changes.len().min(usize::from(with) - 1).min(bytes.len() - at));
                bytes[at..at + new.len()].copy_from_slice(new);
                changes = rest;
            }
        }
    }
}
