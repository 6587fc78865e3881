//! Where bytes are appended.

/// Bytes that grow at their end.
pub trait Out {
    /// Appends one byte.
    fn push(&mut self, byte: u8);

    /// Appends bytes.
    fn extend(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    #[inline]
    fn push(&mut self, byte: u8) {
        Vec::push(self, byte);
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Bytes that are made again and again in the same memory. Behind them lies room that was written before, so that
/// several tokens can be put there under one check, as in no vector.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// Forgets the bytes, and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets the bytes behind so many.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Room behind the bytes, which [`Buffer::take`] takes.
    #[inline]
    pub fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.bytes.len() - self.len < N {
            self.grow(N);
        }
        self.bytes[self.len..].first_chunk_mut().expect("there is room now")
    }

    /// Appends as many bytes as were written into the room.
    ///
    /// # Panics
    /// When there is less room.
    #[inline]
    pub fn take(&mut self, len: usize) {
        assert!(len <= self.bytes.len() - self.len);
        self.len += len;
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        self.bytes.resize((self.len + more).next_power_of_two().max(4096), 0);
    }
}

impl Out for Buffer {
    #[inline]
    fn push(&mut self, byte: u8) {
        *self.room() = [byte];
        self.len += 1;
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        if self.bytes.len() - self.len < bytes.len() {
            self.grow(bytes.len());
        }
        let room = &mut self.bytes[self.len..][..bytes.len()];
        // A call that copies costs more than a short text does: its two halves may overlap.
        match bytes.len() {
            8..=16 => halves::<8>(room, bytes),
            4..8 => halves::<4>(room, bytes),
            _ => room.copy_from_slice(bytes),
        }
        self.len += bytes.len();
    }
}

/// Copies at least `N` and at most twice as many bytes.
#[inline(always)]
fn halves<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>())
        && let Some(place) = to.first_chunk_mut::<N>()
    {
        *place = *first;
        if let Some(place) = to.last_chunk_mut::<N>() {
            *place = *last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_a_vector_holds(parts in proptest::collection::vec(any::<Vec<u8>>(), 0..200)) {
            let (mut buffer, mut vector) = (Buffer::default(), Vec::new());
            for round in 0..3 {
                buffer.clear();
                vector.clear();
                for part in &parts {
                    Out::push(&mut buffer, round);
                    vector.push(round);
                    buffer.extend(part);
                    vector.extend_from_slice(part);
                    let room: &mut [u8; 70] = buffer.room();
                    room[..2].copy_from_slice(&[round, 7]);
                    buffer.take(2);
                    vector.extend_from_slice(&[round, 7]);
                }
                prop_assert_eq!(buffer.as_slice(), &vector[..]);
                prop_assert_eq!((buffer.len(), buffer.is_empty()), (vector.len(), vector.is_empty()));
            }
        }
    }
}
