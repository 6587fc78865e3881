//! The dictionary file.

use ahash::{AHashMap, AHashSet};
use elixir_scope_clock::Piece;
use elixir_scope_event::{Definition, Site, codec};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A machine word of the VM, and what it is.
    Word(u64, Definition),
    /// A site; its key is in it.
    Site(Site),
    /// A piece of the line from ticks to time.
    Piece(Piece),
}

/// The writing side, shared by all threads of the VM.
pub struct Dictionary {
    file: Mutex<File>,
    sites: Mutex<AHashMap<u64, Arc<Site>>>,
}

impl Dictionary {
    /// Begins a new file.
    ///
    /// # Errors
    /// What the system says, also when the file exists.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Dictionary { file: Mutex::new(file), sites: Mutex::default() })
    }

    /// Writes the meaning of a word.
    ///
    /// # Errors
    /// What the system says: the word must not be used in a record then.
    pub fn define_word(&self, word: u64, meaning: Definition) -> io::Result<()> {
        self.append(&Entry::Word(word, meaning))
    }

    /// Writes a site, once.
    ///
    /// # Errors
    /// What the system says: the site must not be used in a record then.
    pub fn define_site(&self, site: Site) -> io::Result<()> {
        let mut sites = self.sites.lock();
        if !sites.contains_key(&site.key) {
            self.append(&Entry::Site(site.clone()))?;
            sites.insert(site.key, Arc::new(site));
        }
        Ok(())
    }

    /// Writes a piece of the timeline.
    ///
    /// # Errors
    /// What the system says.
    pub fn define_piece(&self, piece: Piece) -> io::Result<()> {
        self.append(&Entry::Piece(piece))
    }

    /// A site that was defined.
    pub fn site(&self, key: u64) -> Option<Arc<Site>> {
        self.sites.lock().get(&key).cloned()
    }

    fn append(&self, entry: &Entry) -> io::Result<()> {
        let body = codec::encode(entry);
        let mut bytes = Vec::with_capacity(8 + body.len());
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        let mut file = self.file.lock();
        let before = file.stream_position()?;
        // One write call an entry: a killed process leaves whole entries, or a torn last one.
        file.write_all(&bytes).inspect_err(|_| {
            // A full disk may have taken a part. It must not stay: what is written after it could not be read.
            let _ = file.set_len(before).and_then(|()| file.seek(SeekFrom::Start(before)));
        })
    }
}

/// What a dictionary file says.
#[derive(Default, Debug)]
pub struct Meanings {
    /// Words of the VM that wrote it.
    pub words: AHashMap<u64, Definition>,
    /// Sites by key.
    pub sites: AHashMap<u64, Site>,
    /// The timeline.
    pub pieces: Vec<Piece>,
    /// Where the file ends too early or is damaged: the offset of the first entry that cannot be read.
    pub damaged_at: Option<u64>,
}

/// Reads a dictionary file up to its end or to the first entry that is torn or damaged.
///
/// # Errors
/// What the system says.
pub fn read(path: &Path) -> io::Result<Meanings> {
    let bytes = std::fs::read(path)?;
    let mut meanings = Meanings::default();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let Some(entry) = take(&mut rest) else {
            meanings.damaged_at = Some((bytes.len() - rest.len()) as u64);
            break;
        };
        match entry {
            Entry::Word(word, meaning) => drop(meanings.words.insert(word, meaning)),
            Entry::Site(site) => drop(meanings.sites.insert(site.key, site)),
            Entry::Piece(piece) => meanings.pieces.push(piece),
        }
    }
    let mut seen = AHashSet::new();
    meanings.pieces.retain(|piece| seen.insert(piece.from.0));
    Ok(meanings)
}

/// Takes an entry off the front; `rest` is left alone when there is no whole one.
fn take(rest: &mut &[u8]) -> Option<Entry> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (sum, after) = after.split_first_chunk::<4>()?;
    let (body, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let entry = codec::decode(body).ok()?;
    *rest = after;
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(name: &str) -> Definition {
        Definition::Atom(name.into())
    }

    #[test]
    fn reads_a_prefix_of_whole_entries_whatever_the_file_was_cut_to() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("dictionary");
        let dictionary = Dictionary::create(&path).expect("created");
        for word in 1..=20 {
            dictionary.define_word(word, atom(&format!("atom_{word}"))).expect("written");
        }
        let whole = std::fs::read(&path).expect("read");
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).expect("written");
            let meanings = read(&path).expect("read");
            for word in 1..=meanings.words.len() as u64 {
                assert_eq!(meanings.words[&word], atom(&format!("atom_{word}")));
            }
            let end = entry_end(&whole, meanings.words.len());
            assert_eq!(meanings.damaged_at, (len > end).then_some(end as u64));
        }
    }

    fn entry_end(bytes: &[u8], entries: usize) -> usize {
        (0..entries)
            .fold(0, |at, _| at + 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize)
    }

    #[test]
    fn a_flipped_byte_ends_the_file_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("dictionary");
        let dictionary = Dictionary::create(&path).expect("created");
        dictionary.define_word(1, atom("first")).expect("written");
        dictionary.define_word(2, atom("second")).expect("written");
        let whole = std::fs::read(&path).expect("read");
        let second = entry_end(&whole, 1);
        for at in second..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).expect("written");
            let meanings = read(&path).expect("read");
            assert_eq!(meanings.words.len(), 1);
            assert_eq!(meanings.damaged_at, Some(second as u64));
        }
    }
}
