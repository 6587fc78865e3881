//! What the other targets begin with, written in the format of today.

use crate::killed;
use std::path::Path;

/// Writes a folder for each target below this one.
pub fn write_seeds(corpus: &Path) {
    for (name, bytes) in killed() {
        let target = match name.split('/').next() {
            Some("segments") => "segment",
            Some("dictionary") => "dictionary",
            _ => continue,
        };
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("seed-{}", name.replace('/', "-")));
        std::fs::write(file, bytes).expect("written");
    }
}
