//! What the other targets begin with, written in the format of today.

use crate::killed;
use std::path::Path;

/// Writes a folder for each target below this one.
pub fn write_seeds(corpus: &Path) {
    for (name, bytes) in killed() {
        let (target, form): (&str, &[u8]) = match name.split('/').next() {
            Some("segments") => ("segment", &[]),
            Some("dictionary") => ("dictionary", &[]),
            // See the target: a whole file.
            Some("rings") => ("ring", &[255]),
            _ => continue,
        };
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("seed-{}", name.replace('/', "-")));
        std::fs::write(file, [form, &bytes].concat()).expect("written");
    }
}
