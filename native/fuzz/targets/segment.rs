//! The file of a segment with any bytes: it is refused, or read to its end, and answers every question.
#![no_main]

use elixir_scope_fuzz::{Folder, ask, folder, read_segment};
use elixir_scope_query::Index;
use elixir_scope_segment::Segment;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static FOLDER: LazyLock<Folder> = LazyLock::new(folder);

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.write("000001.seg", bytes);
    let _ = Segment::never_began(&path);
    if let Ok(growing) = Segment::open_growing(&path) {
        read_segment(&growing);
    }
    let Ok(segment) = Segment::open(&path) else { return };
    read_segment(&segment);
    let mut index = Index::default();
    index.extend(&[Arc::new(segment)]);
    ask(&index);
});
