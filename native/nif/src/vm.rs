//! The C interface of the VM, with a safe face.
//!
//! Invariant of this file: an [`Env`] is made only from the environment of the NIF call that is running, or from
//! one that its owner keeps alive, and does not outlive it; a [`Word`] is used only with the environment that it
//! came from, save atoms and local pids, which are immediates and mean the same everywhere in the VM.

use rustler::sys::*;
use std::ffi::c_char;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// A term as the VM's machine word.
pub type Word = ErlNifTerm;

/// The word as a number.
#[inline]
pub fn bits(word: Word) -> u64 {
    // SAFETY: `ErlNifTerm` is a transparent `usize`.
    unsafe { std::mem::transmute::<Word, usize>(word) as u64 }
}

/// The word of a number that [`bits`] gave. It is a term only while that one is: use it for immediates alone.
#[inline]
pub fn word(bits: u64) -> Word {
    // SAFETY: `ErlNifTerm` is a transparent `usize`.
    unsafe { std::mem::transmute::<usize, Word>(bits as usize) }
}

/// What kind of term a word is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Atom,
    BitString,
    Float,
    Function,
    Integer,
    List,
    Map,
    Pid,
    Port,
    Tuple,
    Other,
}

/// The elements of a list, up to its tail.
pub fn list(env: Env<'_>, list: Word) -> impl Iterator<Item = Word> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (head, tail) = env.cell(rest)?;
        rest = tail;
        Some(head)
    })
}

/// An environment that terms live in.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    raw: *mut ErlNifEnv,
    lifetime: PhantomData<&'a ()>,
}

impl<'a> Env<'a> {
    /// # Safety
    /// `raw` is a live environment for all of `'a`, and used by one thread at a time.
    pub unsafe fn new(raw: *mut ErlNifEnv) -> Self {
        Env { raw, lifetime: PhantomData }
    }

    /// The environment of a rustler call.
    pub fn of(env: rustler::Env<'a>) -> Self {
        // SAFETY: rustler guarantees it for the lifetime of its own `Env`.
        unsafe { Env::new(env.as_c_arg()) }
    }

    /// What kind of term it is.
    #[inline]
    pub fn kind(self, term: Word) -> Kind {
        // The C enum is read as a number: a later VM may know kinds that the Rust enum does not.
        unsafe extern "C" {
            #[link_name = "enif_term_type"]
            fn term_type(env: *mut ErlNifEnv, term: Word) -> i32;
        }
        // SAFETY: invariant of this file.
        match unsafe { term_type(self.raw, term) } {
            1 => Kind::Atom,
            2 => Kind::BitString,
            3 => Kind::Float,
            4 => Kind::Function,
            5 => Kind::Integer,
            6 => Kind::List,
            7 => Kind::Map,
            8 => Kind::Pid,
            9 => Kind::Port,
            11 => Kind::Tuple,
            _ => Kind::Other,
        }
    }

    /// An integer of 64 bits.
    #[inline]
    pub fn integer(self, term: Word) -> Option<i64> {
        let mut number = 0i64;
        // SAFETY: invariant of this file; the target is a local.
        (unsafe { enif_get_int64(self.raw, term, &mut number) } != 0).then_some(number)
    }

    /// A float.
    #[inline]
    pub fn float(self, term: Word) -> Option<f64> {
        let mut number = 0f64;
        // SAFETY: invariant of this file; the target is a local.
        (unsafe { enif_get_double(self.raw, term, &mut number) } != 0).then_some(number)
    }

    /// The bytes of a binary; `None` for other terms and for bit strings of broken bytes.
    #[inline]
    pub fn binary(self, term: Word) -> Option<&'a [u8]> {
        let mut binary = MaybeUninit::<ErlNifBinary>::uninit();
        // SAFETY: invariant of this file; the VM fills the struct when it returns true, and the bytes live as long
        // as the term does, which is for the call.
        unsafe {
            if enif_inspect_binary(self.raw, term, binary.as_mut_ptr()) == 0 {
                return None;
            }
            let binary = binary.assume_init();
            // An empty binary may come with a null address.
            Some(if binary.size == 0 { &[] } else { std::slice::from_raw_parts(binary.data, binary.size) })
        }
    }

    /// The elements of a tuple.
    #[inline]
    pub fn tuple(self, term: Word) -> Option<&'a [Word]> {
        let (mut arity, mut elements) = (0, std::ptr::null());
        // SAFETY: invariant of this file; on true the VM gives the address of `arity` terms that live for the call.
        unsafe {
            if enif_get_tuple(self.raw, term, &mut arity, &mut elements) == 0 {
                return None;
            }
            Some(if arity == 0 { &[] } else { std::slice::from_raw_parts(elements, arity as usize) })
        }
    }

    /// Head and tail of a list that is not empty.
    #[inline]
    pub fn cell(self, term: Word) -> Option<(Word, Word)> {
        let (mut head, mut tail) = (Word::default(), Word::default());
        // SAFETY: invariant of this file; the targets are locals.
        (unsafe { enif_get_list_cell(self.raw, term, &mut head, &mut tail) } != 0).then_some((head, tail))
    }

    /// Number of keys of a map.
    #[inline]
    pub fn map_size(self, term: Word) -> Option<usize> {
        let mut size = 0;
        // SAFETY: invariant of this file; the target is a local.
        (unsafe { enif_get_map_size(self.raw, term, &mut size) } != 0).then_some(size)
    }

    /// The value of a key of a map.
    #[inline]
    pub fn map_get(self, map: Word, key: Word) -> Option<Word> {
        let mut value = Word::default();
        // SAFETY: invariant of this file; the target is a local.
        (unsafe { enif_get_map_value(self.raw, map, key, &mut value) } != 0).then_some(value)
    }

    /// A map with one pair more, or another value for a key; `None` when it is no map.
    pub fn map_put(self, map: Word, key: Word, value: Word) -> Option<Word> {
        let mut made = Word::default();
        // SAFETY: invariant of this file; the target is a local.
        (unsafe { enif_make_map_put(self.raw, map, key, value, &mut made) } != 0).then_some(made)
    }

    /// A map without a key; `None` when it is no map.
    pub fn map_remove(self, map: Word, key: Word) -> Option<Word> {
        let mut made = Word::default();
        // SAFETY: invariant of this file; the target is a local.
        (unsafe { enif_make_map_remove(self.raw, map, key, &mut made) } != 0).then_some(made)
    }

    /// Whether two terms are the same value, as `===` says.
    #[inline]
    pub fn identical(self, one: Word, other: Word) -> bool {
        // SAFETY: invariant of this file.
        one == other || unsafe { enif_is_identical(one, other) } != 0
    }

    /// A walk over the pairs of a map.
    pub fn pairs(self, term: Word) -> Option<Pairs<'a>> {
        let mut iterator = MaybeUninit::<ErlNifMapIterator>::uninit();
        let head = ErlNifMapIteratorEntry::ERL_NIF_MAP_ITERATOR_HEAD;
        // SAFETY: invariant of this file; on true the VM has filled the iterator.
        unsafe {
            let made = enif_map_iterator_create(self.raw, term, iterator.as_mut_ptr(), head) != 0;
            made.then(|| Pairs { env: self, iterator: iterator.assume_init() })
        }
    }

    /// Whether it is the pid of a process of this node: then it is one machine word.
    #[inline]
    pub fn is_local_pid(self, term: Word) -> bool {
        let mut pid = MaybeUninit::<ErlNifPid>::uninit();
        // SAFETY: invariant of this file; the target is a local.
        unsafe { enif_get_local_pid(self.raw, term, pid.as_mut_ptr()) != 0 }
    }

    /// Whether it is a port of this node: then it is one machine word.
    #[inline]
    pub fn is_local_port(self, term: Word) -> bool {
        let mut port = MaybeUninit::<ErlNifPort>::uninit();
        // SAFETY: invariant of this file; the target is a local.
        unsafe { enif_get_local_port(self.raw, term, port.as_mut_ptr()) != 0 }
    }

    /// The pid of the calling process; `None` outside of a process.
    #[inline]
    pub fn caller(self) -> Option<Word> {
        let mut pid = MaybeUninit::<ErlNifPid>::uninit();
        // SAFETY: invariant of this file; the VM fills the struct when it returns other than null.
        unsafe {
            let known = !enif_self(self.raw, pid.as_mut_ptr()).is_null();
            known.then(|| enif_make_pid(self.raw, pid.assume_init()))
        }
    }

    /// Whether the process of a local pid lives.
    pub fn lives(self, pid: Word) -> bool {
        let mut found = MaybeUninit::<ErlNifPid>::uninit();
        // SAFETY: invariant of this file; a local pid is an immediate, and on true the VM has filled the struct.
        unsafe {
            enif_get_local_pid(self.raw, pid, found.as_mut_ptr()) != 0
                && enif_is_process_alive(self.raw, found.as_ptr()) != 0
        }
    }

    /// What the VM prints of a term, cut to `N` bytes; of a function its module and number, not what it closes over.
    pub fn printed<const N: usize>(self, term: Word) -> ([u8; N], usize) {
        unsafe extern "C" {
            fn enif_snprintf(out: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
        }
        let mut out = [0; N];
        // SAFETY: invariant of this file; `%T` takes a term, and at most N bytes are written, the last of them a zero.
        let whole = unsafe { enif_snprintf(out.as_mut_ptr().cast(), N, c"%T".as_ptr(), term) };
        (out, usize::try_from(whole).unwrap_or(0).min(N.saturating_sub(1)))
    }

    /// Calls `f` with the term in the external term format.
    pub fn external<R>(self, term: Word, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut binary = MaybeUninit::<ErlNifBinary>::uninit();
        // SAFETY: invariant of this file; on true the VM hands over a binary that is released below, also when `f`
        // panics.
        unsafe {
            if enif_term_to_binary(self.raw, term, binary.as_mut_ptr()) == 0 {
                return None;
            }
            let owned = Owned(binary.assume_init());
            Some(f(std::slice::from_raw_parts(owned.0.data, owned.0.size)))
        }
    }

    /// The term of bytes in the external term format. With `safe`, `None` when it would make new atoms or functions.
    pub fn read_external(self, bytes: &[u8], safe: bool) -> Option<Word> {
        // A compressed term can ask for gigabytes with a few bytes; we never write one.
        if bytes.get(1) == Some(&80) {
            return None;
        }
        let options = if safe { 0x2000_0000 } else { 0 };
        let mut term = Word::default();
        // SAFETY: invariant of this file; the VM checks the bytes and answers 0 when they are no term.
        let read = unsafe { enif_binary_to_term(self.raw, bytes.as_ptr(), bytes.len(), &mut term, options) };
        (read != 0).then_some(term)
    }

    /// A copy of a term of another environment. Large binaries are shared, not copied.
    pub fn copy(self, term: Word) -> Word {
        // SAFETY: invariant of this file.
        unsafe { enif_make_copy(self.raw, term) }
    }

    /// An integer.
    pub fn make_integer(self, number: i64) -> Word {
        // SAFETY: invariant of this file.
        unsafe { enif_make_int64(self.raw, number) }
    }

    /// A float; `None` when the VM has no such number.
    pub fn make_float(self, number: f64) -> Option<Word> {
        // SAFETY: invariant of this file; the VM takes finite numbers alone.
        number.is_finite().then(|| unsafe { enif_make_double(self.raw, number) })
    }

    /// A binary.
    pub fn make_binary(self, bytes: &[u8]) -> Word {
        let mut term = Word::default();
        // SAFETY: invariant of this file; the VM gives room for `bytes.len()` bytes.
        unsafe {
            let target = enif_make_new_binary(self.raw, bytes.len(), &mut term);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
        term
    }

    /// A tuple.
    pub fn make_tuple(self, elements: &[Word]) -> Word {
        // SAFETY: invariant of this file.
        unsafe { enif_make_tuple_from_array(self.raw, elements.as_ptr(), elements.len() as u32) }
    }

    /// A list that ends with `tail`.
    pub fn make_list(self, elements: &[Word], tail: Word) -> Word {
        // SAFETY: invariant of this file.
        elements.iter().rev().fold(tail, |tail, head| unsafe { enif_make_list_cell(self.raw, *head, tail) })
    }

    /// The empty list.
    pub fn make_nil(self) -> Word {
        // SAFETY: invariant of this file.
        unsafe { enif_make_list_from_array(self.raw, std::ptr::null(), 0) }
    }

    /// Bytes of a binary, as a binary that shares them. They must lie within it.
    pub fn make_part(self, binary: Word, from: usize, len: usize) -> Word {
        assert!(self.binary(binary).is_some_and(|bytes| from + len <= bytes.len()));
        // SAFETY: invariant of this file; the part lies within the binary.
        unsafe { enif_make_sub_binary(self.raw, binary, from, len) }
    }

    /// A new reference.
    pub fn make_reference(self) -> Word {
        // SAFETY: invariant of this file.
        unsafe { enif_make_ref(self.raw) }
    }

    /// A map of keys and values in turn; `None` when a key comes twice.
    pub fn make_map(self, pairs: &[Word]) -> Option<Word> {
        let keys: Vec<_> = pairs.iter().step_by(2).copied().collect();
        let values: Vec<_> = pairs.iter().skip(1).step_by(2).copied().collect();
        let mut map = Word::default();
        let (len, keys, values) = (values.len(), keys.as_ptr(), values.as_ptr());
        // SAFETY: invariant of this file; both arrays hold at least `len` terms.
        let made = unsafe { enif_make_map_from_arrays(self.raw, keys, values, len, &mut map) };
        (made != 0).then_some(map)
    }
}

/// A word as rustler's term. The word must have been made in the same environment.
pub fn term<'a>(env: rustler::Env<'a>, word: Word) -> rustler::Term<'a> {
    // SAFETY: invariant of this file.
    unsafe { rustler::Term::new(env, word) }
}

/// The word of rustler's term.
pub fn word_of(term: rustler::Term<'_>) -> Word {
    term.as_c_arg()
}

struct Owned(ErlNifBinary);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it was handed over by `enif_term_to_binary`, once.
        unsafe { enif_release_binary(&mut self.0) }
    }
}

/// A walk over the pairs of a map.
pub struct Pairs<'a> {
    env: Env<'a>,
    iterator: ErlNifMapIterator,
}

impl Iterator for Pairs<'_> {
    type Item = (Word, Word);

    #[inline]
    fn next(&mut self) -> Option<(Word, Word)> {
        let (mut key, mut value) = (Word::default(), Word::default());
        // SAFETY: the iterator was made in this environment and is destroyed in `drop` alone.
        unsafe {
            if enif_map_iterator_get_pair(self.env.raw, &mut self.iterator, &mut key, &mut value) == 0 {
                return None;
            }
            enif_map_iterator_next(self.env.raw, &mut self.iterator);
        }
        Some((key, value))
    }
}

impl Drop for Pairs<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made by `enif_map_iterator_create`, once.
        unsafe { enif_map_iterator_destroy(self.env.raw, &mut self.iterator) }
    }
}

/// Whether the calling thread is a scheduler that runs Elixir code.
pub fn on_scheduler() -> bool {
    // SAFETY: it may be called by any thread.
    unsafe { enif_thread_type() == 1 }
}

/// The release of OTP that runs, such as `25`.
pub fn release() -> Option<String> {
    let mut info = MaybeUninit::<ErlNifSysInfo>::zeroed();
    // SAFETY: the VM fills as much of the struct as it is told that there is; its texts are never freed.
    unsafe {
        enif_system_info(info.as_mut_ptr(), size_of::<ErlNifSysInfo>());
        let text = info.assume_init().otp_release;
        (!text.is_null()).then(|| std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// An environment of its own, for terms outside of a call.
pub struct OwnEnv(*mut ErlNifEnv);

impl OwnEnv {
    /// A new one.
    pub fn new() -> Self {
        // SAFETY: it may be called by any thread.
        OwnEnv(unsafe { enif_alloc_env() })
    }

    /// Works in it, and forgets the terms made in it.
    pub fn with<R>(&mut self, f: impl FnOnce(Env<'_>) -> R) -> R {
        // SAFETY: it is alive, and borrowed mutably, so no other thread uses it.
        let result = f(unsafe { Env::new(self.0) });
        // SAFETY: as above; no term of it is left in `result`, whose type does not know the environment.
        unsafe { enif_clear_env(self.0) };
        result
    }
}

impl Drop for OwnEnv {
    fn drop(&mut self) {
        // SAFETY: it was made by `enif_alloc_env`, once.
        unsafe { enif_free_env(self.0) }
    }
}

// SAFETY: an environment without a process may be used by any thread, one at a time.
unsafe impl Send for OwnEnv {}
