//! The one place that knows which library turns structures into bytes. Only cold structures go through it:
//! definitions and manifests, never events.

use crate::Malformed;
use serde::{Serialize, de::DeserializeOwned};

/// The longest structure that is believed, so that a damaged length cannot ask for all memory.
const LIMIT: usize = 1 << 24;

/// The bytes of a structure.
///
/// ```
/// use elixir_scope_event::{Definition, codec};
/// let atom = Definition::Atom("ok".into());
/// assert_eq!(codec::decode::<Definition>(&codec::encode(&atom)), Ok(atom));
/// ```
pub fn encode<T: Serialize>(structure: &T) -> Vec<u8> {
    let config = bincode::config::standard();
    bincode::serde::encode_to_vec(structure, config)
        .expect("our structures hold nothing that cannot be encoded")
}

/// The structure of the bytes, all of which must be used.
///
/// # Errors
/// When the bytes are not of this structure.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((structure, used)) if used == bytes.len() => Ok(structure),
        _ => Err(Malformed("the bytes of a structure")),
    }
}
