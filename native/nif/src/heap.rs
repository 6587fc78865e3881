//! Tuples, list cells, small maps, small binaries and floats where they lie, without a call into the VM.
//!
//! Asking the VM for the pairs of a map of four keys takes ten calls; reading them takes ten loads. But how the VM lays
//! terms out is not part of its C interface, and a wrong guess would read what is no term. So this is used only when
//!
//! - the VM is of a release that is listed here, because its sources say that its layout is this one; and
//! - when the library was loaded, this VM made terms of every kind and size in question, and for each of them what was
//!   read here was what the C interface answered ([`learn`]).
//!
//! Otherwise, and for all other terms, the answer is [`Boxed::Unknown`] and the VM is asked.
//!
//! The layout, from `erts/emulator/beam/erl_term.h` and `erl_map.h` in the sources of OTP: the last two bits of a term
//! tell a list cell (1) and a boxed term (2) from an immediate; without its last three bits (the third marks literals in
//! some builds) it is the address. A cell is its head and its tail. A boxed term begins with a header. The last six bits
//! of a tuple's header are 0, the others its size (`make_arityval`); its elements follow. A map of up to 32 keys has
//! one certain header (`MAP_HEADER_FLATMAP`), its size, a tuple of its keys, and its values (`flatmap_t`). A float is
//! the header of one word (`HEADER_FLONUM`) and its bits. A binary of up to 64 bytes that the process holds itself is a
//! header, its size, and its bytes: `ErlHeapBin`, with the size in bytes, up to OTP 26; `ErlHeapBits`, with the size in
//! bits, since. The tags of maps and binaries and that unit are learned.
//!
//! A larger map is a tree (`hashmap_head_t`, a hash array mapped trie): its header has the tag of maps, in the next two bits
//! what sort of node it is, and in bits 16 to 31 which of 16 children it has; its head has its size before them. A node with
//! all 16, and one whose keys have the same hash, is a tuple; a pair is a list cell. Two versions of a map share all nodes
//! that did not change.

use crate::immediate;
use crate::vm::{Env, Word, bits};
use std::sync::atomic::{AtomicU64, Ordering};

/// Releases of OTP on which this is tested (25, 27, 29), and those between.
const RELEASES: [&str; 5] = ["25", "26", "27", "28", "29"];

/// The header of small maps, in any release so far: `MAP_SUBTAG` was 0xF at first, then 0xB.
const FLAT: [u64; 2] = [0x13C, 0x12C];

/// Keys of the largest map that is not a tree.
const FLAT_KEYS: usize = 32;

/// The header of a float.
const FLOAT: u64 = 0x58;

/// Bytes of the largest binary that a process holds itself.
const HEAP_BYTES: usize = 64;

/// The parts of the layout that differ between releases.
#[derive(Clone, Copy)]
struct Layout {
    /// The header of small maps.
    flat: u64,
    /// The last six bits of the header of small binaries.
    binary: u64,
    /// Their size, for each byte: 1 or 8.
    unit: u64,
    /// Whether trees were found to be as expected: 1 or 0.
    trees: u64,
}

impl Layout {
    #[inline]
    fn unpack(packed: u64) -> Self {
        let (binary, unit) = (packed >> 16 & 0xFF, packed >> 24 & 0xFF);
        Layout { flat: packed & 0xFFFF, binary, unit, trees: packed >> 32 }
    }

    fn pack(self) -> u64 {
        self.flat | self.binary << 16 | self.unit << 24 | self.trees << 32
    }
}

/// The layout that was learned; 0 when none was.
static LEARNED: AtomicU64 = AtomicU64::new(0);

/// What is used now: what was learned, or 0.
static USED: AtomicU64 = AtomicU64::new(0);

/// What was found where a term lies.
#[derive(Debug)]
pub enum Boxed<'a> {
    /// Head and tail of a list cell.
    Cell(Word, Word),
    /// The elements of a tuple.
    Tuple(&'a [Word]),
    /// The keys and the values of a map.
    Map(&'a [Word], &'a [Word]),
    /// The bytes of a binary.
    Binary(&'a [u8]),
    /// A float.
    Float(f64),
    /// Something else, or the layout is not known.
    Unknown,
}

/// What a term is.
#[inline]
pub fn read<'a>(env: Env<'a>, term: Word) -> Boxed<'a> {
    match USED.load(Ordering::Relaxed) {
        0 => Boxed::Unknown,
        // SAFETY: `learn` found that this VM lays terms out as `parse` takes it.
        packed => unsafe { parse(env, Layout::unpack(packed), term) },
    }
}

/// A node of a large map.
pub enum Node<'a> {
    /// A key and its value.
    Pair(Word, Word),
    /// Which of 16 children it has, and these.
    Branch(u16, &'a [Word]),
    /// Children of which it is not said where they belong: pairs whose keys have the same hash.
    Pairs(&'a [Word]),
}

/// What a large map, or a node of one that was read here, consists of.
#[inline]
pub fn node<'a>(env: Env<'a>, term: Word) -> Option<Node<'a>> {
    let layout = Layout::unpack(USED.load(Ordering::Relaxed));
    // SAFETY: `learn` found that this VM lays terms out as `branch` takes it.
    if layout.trees == 1 { unsafe { branch(env, layout, term) } } else { None }
}

/// # Safety
/// As of [`parse`]; what is no list cell and no tree is a node of one.
#[inline]
unsafe fn branch<'a>(_: Env<'a>, layout: Layout, term: Word) -> Option<Node<'a>> {
    let at = (bits(term) & !7) as *const Word;
    // SAFETY: as in `parse`; how many children follow is what the header says.
    unsafe {
        if bits(term) & 3 == 1 {
            return Some(Node::Pair(*at, *at.add(1)));
        }
        if bits(term) & 3 != 2 {
            return None;
        }
        let header = bits(*at);
        if header & 0x3F == 0 {
            let children = std::slice::from_raw_parts(at.add(1), header as usize >> 6);
            return Some(if children.len() == 16 {
                Node::Branch(u16::MAX, children)
            } else {
                Node::Pairs(children)
            });
        }
        if header & 0x3F != layout.flat & 0x3F {
            return None;
        }
        let present = (header >> 16) as u16;
        // 1 is a node, 2 a head with all children, 3 another head.
        let first = match header >> 6 & 3 {
            1 => at.add(1),
            2 | 3 => at.add(2),
            _ => return None,
        };
        Some(Node::Branch(present, std::slice::from_raw_parts(first, present.count_ones() as usize)))
    }
}

/// # Safety
/// The VM lays terms out as the head of this file says, with `layout` for what differs; `term` is a term of `env`.
#[inline]
unsafe fn parse<'a>(_: Env<'a>, layout: Layout, term: Word) -> Boxed<'a> {
    let at = (bits(term) & !7) as *const Word;
    // SAFETY: by the layout, the address of a cell or of a boxed term is that of as many words as are read. They live as
    // long as the term does, and nobody changes them: terms do not change, and the process is in this call, so that
    // its garbage is not collected.
    unsafe {
        match bits(term) & 3 {
            1 => Boxed::Cell(*at, *at.add(1)),
            2 => match bits(*at) {
                header if header & 0x3F == 0 => {
                    Boxed::Tuple(std::slice::from_raw_parts(at.add(1), header as usize >> 6))
                }
                header if header == layout.flat => {
                    let size = bits(*at.add(1)) as usize;
                    let keys = (bits(*at.add(2)) & !7) as *const Word;
                    if size > FLAT_KEYS || bits(*at.add(2)) & 3 != 2 || bits(*keys) != (size as u64) << 6 {
                        return Boxed::Unknown;
                    }
                    let values = std::slice::from_raw_parts(at.add(3), size);
                    Boxed::Map(std::slice::from_raw_parts(keys.add(1), size), values)
                }
                header if header & 0x3F == layout.binary => {
                    let size = bits(*at.add(1)) / layout.unit;
                    // A word for the size, and as many as hold the bytes.
                    let words = 1 + size.div_ceil(8);
                    if size * layout.unit != bits(*at.add(1)) || header >> 6 != words {
                        return Boxed::Unknown;
                    }
                    Boxed::Binary(std::slice::from_raw_parts(at.add(2).cast(), size as usize))
                }
                FLOAT => Boxed::Float(f64::from_bits(bits(*at.add(1)))),
                _ => Boxed::Unknown,
            },
            _ => Boxed::Unknown,
        }
    }
}

/// Whether terms are read here from now on, if the layout was learned; the answer is whether they are. Only tests and
/// benches turn it off.
pub fn turn(on: bool) -> bool {
    USED.store(if on { LEARNED.load(Ordering::Relaxed) } else { 0 }, Ordering::Relaxed);
    USED.load(Ordering::Relaxed) != 0
}

/// Whether the nodes of large maps are read here.
pub fn reads_nodes() -> bool {
    Layout::unpack(USED.load(Ordering::Relaxed)).trees == 1
}

/// Finds out whether this VM lays terms out as expected. Called when the library is loaded, after the immediates were
/// learned; `others` are terms of all kinds.
pub fn learn(env: Env<'_>, others: &[Word]) {
    LEARNED.store(layout(env, others).unwrap_or(0), Ordering::Relaxed);
    turn(true);
}

/// The layout, packed, if all is as expected.
fn layout(env: Env<'_>, others: &[Word]) -> Option<u64> {
    if size_of::<Word>() != 8 || !crate::vm::release().is_some_and(|own| RELEASES.contains(&own.as_str())) {
        return None;
    }
    let numbers: Vec<Word> = (0..=100).map(|number| env.make_integer(number)).collect();
    // Before anything is read: a term is boxed as expected when the VM gives the address that is expected.
    let lies = |tuple: Word| {
        bits(tuple) & 3 == 2
            && env.tuple(tuple).is_some_and(|elements| elements.as_ptr() as u64 == (bits(tuple) & !7) + 8)
    };
    let tuples: Vec<Word> = (1..=numbers.len()).map(|size| env.make_tuple(&numbers[..size])).collect();
    let cells: Vec<Word> = numbers.iter().map(|head| env.make_list(&[*head], env.make_nil())).collect();
    let maps: Option<Vec<Word>> = (0..=50).map(|size| env.make_map(&numbers[..2 * size])).collect();
    let maps = maps?;
    if !tuples.iter().all(|tuple| lies(*tuple)) || !cells.iter().all(|cell| bits(*cell) & 3 == 1) {
        return None;
    }
    if !maps.iter().all(|map| bits(*map) & 3 == 2) {
        return None;
    }
    let binaries: Vec<Word> =
        (0..=2 * HEAP_BYTES).map(|size| env.make_binary(&[7; 2 * HEAP_BYTES][..size])).collect();
    let floats = [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE].map(|number| env.make_float(number));
    let floats: Vec<Word> = floats.into_iter().flatten().collect();
    if !binaries.iter().chain(&floats).all(|term| bits(*term) & 3 == 2) {
        return None;
    }
    let word = |term: Word, place| {
        // SAFETY: a map and a binary of a process are boxed terms of two words at least.
        unsafe { bits(*((bits(term) & !7) as *const Word).add(place)) }
    };
    let (binary, unit) = (word(binaries[1], 0) & 0x3F, word(binaries[1], 1));
    let layout = Layout { flat: word(maps[1], 0), binary, unit, trees: 0 };
    if !FLAT.contains(&layout.flat) || !matches!((layout.binary, layout.unit), (0x24, 1) | (0x20, 8)) {
        return None;
    }
    let mut nested = env.make_nil();
    let nested = (0..50).flat_map(|depth| {
        nested = env.make_list(&[env.make_tuple(&[nested, maps[depth % 40]]), nested], numbers[depth]);
        [nested, env.make_tuple(&[nested; 3]), env.make_list(&tuples, nested)]
            .into_iter()
            .chain(env.make_map(&[nested, numbers[depth], maps[depth], nested]))
            .collect::<Vec<_>>()
    });
    let made = tuples.iter().chain(&cells).chain(&maps).chain(&binaries).chain(&floats).chain(others).copied();
    let agreed = made.chain(nested).all(|term| agrees(env, layout, term));
    agreed.then(|| Layout { trees: u64::from(reads_trees(env, layout, &numbers)), ..layout }.pack())
}

/// Whether large maps are as expected: of each, the pairs that are read are those that the C interface gives.
fn reads_trees(env: Env<'_>, layout: Layout, numbers: &[Word]) -> bool {
    let keys = |count: i64| {
        (0..count).map(move |key| match key % 3 {
            0 => env.make_integer(key << 40),
            1 => env.make_tuple(&[env.make_integer(key), numbers[1]]),
            _ => env.make_binary(&key.to_be_bytes()),
        })
    };
    [33, 34, 40, 50, 64, 100, 300, 1_000, 3_000].into_iter().all(|count| {
        let pairs: Vec<Word> = keys(count).zip(0..).flat_map(|(key, at)| [key, env.make_integer(at)]).collect();
        let Some(map) = env.make_map(&pairs) else { return false };
        // One more and one less: made of the same nodes.
        let more = env.map_put(map, numbers[7], numbers[8]);
        let less = env.map_remove(map, pairs[0]);
        [Some(map), more, less].into_iter().flatten().all(|map| reads_tree(env, layout, map))
    })
}

fn reads_tree(env: Env<'_>, layout: Layout, map: Word) -> bool {
    let Some(asked) = env.pairs(map) else { return false };
    let mut asked: Vec<_> = asked.map(|(key, value)| (bits(key), bits(value))).collect();
    let (mut found, mut open) = (Vec::new(), vec![map]);
    if asked.len() <= FLAT_KEYS {
        return true;
    }
    while let Some(term) = open.pop() {
        // SAFETY: as in `agrees`; the term is a large map or was found in one.
        match unsafe { branch(env, layout, term) } {
            Some(Node::Pair(key, value)) => found.push((bits(key), bits(value))),
            Some(Node::Branch(_, children) | Node::Pairs(children)) => open.extend_from_slice(children),
            None => return false,
        }
        if found.len() + open.len() > 16 * asked.len() {
            return false;
        }
    }
    asked.sort_unstable();
    found.sort_unstable();
    asked == found
}

/// Whether the C interface answers what is read.
fn agrees(env: Env<'_>, layout: Layout, term: Word) -> bool {
    // SAFETY: the release is one whose sources were read, and addresses were found to be as expected.
    match unsafe { parse(env, layout, term) } {
        Boxed::Cell(head, tail) => env.cell(term) == Some((head, tail)),
        Boxed::Tuple(elements) => env.tuple(term) == Some(elements),
        Boxed::Map(keys, values) => {
            let pairs = keys.iter().copied().zip(values.iter().copied());
            env.map_size(term) == Some(keys.len()) && env.pairs(term).is_some_and(|asked| asked.eq(pairs))
        }
        // The same address and length, not only the same bytes.
        Boxed::Binary(bytes) => {
            env.binary(term).is_some_and(|asked| std::ptr::eq(asked, bytes) || asked.is_empty())
        }
        Boxed::Float(number) => env.float(term).is_some_and(|asked| asked.to_bits() == number.to_bits()),
        Boxed::Unknown => {
            env.tuple(term).is_none()
                && env.cell(term).is_none()
                && env.map_size(term).is_none_or(|size| size > FLAT_KEYS)
        }
    }
}

/// Terms of every kind that is no immediate, and of every form that the VM keeps such a kind in.
pub fn samples(env: Env<'_>) -> Vec<Word> {
    let numbers = [env.make_integer(1), env.make_integer(2)];
    let bytes = [0; 300];
    let binaries = (0..=300).map(|size| env.make_binary(&bytes[..size]));
    let bignums = [i64::MAX, i64::MIN, 1 << 62, 1 << 59, -(1 << 59) - 1].map(|number| env.make_integer(number));
    let large = env.make_binary(&bytes);
    // Bit strings, large bignums of both signs, an exported function.
    let external: [&[u8]; 4] = [
        &[131, 77, 0, 0, 0, 2, 3, 255, 224],
        &[131, 110, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        &[131, 110, 16, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        &[131, 113, 119, 5, b'l', b'i', b's', b't', b's', 119, 3, b'm', b'a', b'p', 97, 2],
    ];
    let read = external.into_iter().filter_map(|bytes| env.read_external(bytes, false));
    let foreign = env.caller().into_iter().flat_map(|own| {
        [(88, &[1u32, 0][..]), (89, &[1][..])]
            .into_iter()
            .filter_map(move |(tag, numbers)| immediate::node_term(env, own, tag, numbers, 1))
    });
    let floats =
        [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE].into_iter().filter_map(|number| env.make_float(number));
    [
        env.make_list(&numbers, env.make_nil()),
        env.make_tuple(&[]),
        env.make_tuple(&numbers),
        env.make_reference(),
    ]
    .into_iter()
    .chain(binaries)
    .chain(bignums)
    .chain([env.make_part(large, 1, 9), env.make_part(large, 100, 190)])
    .chain(read)
    .chain(foreign)
    .chain(floats)
    .chain(env.make_map(&[]))
    .chain(env.make_map(&numbers))
    .collect()
}
