//! Sealing for one replica: a fresh key wrapped for it (HPKE: X25519, HKDF-SHA256, AES-256-GCM), and frames under such a key.

use crate::id::ReplicaId;
use crate::ledger::identity::{Identity, SealKem, seal_public_key};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use rand_core::SeedableRng;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

type Aead = hpke::aead::AesGcm256;
type Kdf = hpke::kdf::HkdfSha256;
type Encapped = <SealKem as hpke::Kem>::EncappedKey;

/// A key wrapped for one replica.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wrapped {
    /// HPKE encapsulated key.
    pub encapsulated: Vec<u8>,
    /// The key, sealed.
    pub sealed: Vec<u8>,
}

/// Why a key could not be wrapped or unwrapped, or a frame not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EnvelopeError(&'static str);

/// Wraps a key for a replica; `info` binds it to its use. `entropy` must be fresh: it makes the ephemeral key.
///
/// # Errors
/// A public key that is none.
pub fn wrap(key: &[u8; 32], to: ReplicaId, seal_public: &[u8; 32], info: &[u8], entropy: [u8; 32]) -> Result<Wrapped, EnvelopeError> {
    let public = seal_public_key(seal_public).ok_or(EnvelopeError("bad public key"))?;
    let mut rng = rand_chacha::ChaCha20Rng::from_seed(entropy);
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<Aead, Kdf, SealKem>(&OpModeS::Base, &public, info, key, &to.0, &mut rng)
        .map_err(|_| EnvelopeError("the key cannot be wrapped"))?;
    Ok(Wrapped { encapsulated: encapsulated.to_bytes().to_vec(), sealed })
}

/// Unwraps a key wrapped for `identity` with the same `info`.
///
/// # Errors
/// A key for somebody else or for another use, or altered.
pub fn unwrap(wrapped: &Wrapped, info: &[u8], identity: &Identity) -> Result<[u8; 32], EnvelopeError> {
    let encapsulated = Encapped::from_bytes(&wrapped.encapsulated).map_err(|_| EnvelopeError("bad encapsulated key"))?;
    let to = identity.replica();
    let opened =
        hpke::single_shot_open::<Aead, Kdf, SealKem>(&OpModeR::Base, identity.seal_private(), &encapsulated, info, &wrapped.sealed, &to.0);
    let key = opened.map_err(|_| EnvelopeError("it does not open"))?;
    key.try_into().map_err(|_| EnvelopeError("wrong key length"))
}

/// Bytes that sealing adds to a frame.
pub const TAG_BYTES: usize = 16;

/// A key for a row of frames, used for that row alone: a frame's number is its nonce, and the last one is marked, so that none
/// can be left out, moved or added, nor the row cut short.
pub struct FrameKey(LessSafeKey);

impl FrameKey {
    /// From its bytes.
    ///
    /// # Errors
    /// Never for 32 bytes; kept because the primitive may refuse.
    pub fn new(key: &[u8; 32]) -> Result<Self, EnvelopeError> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| EnvelopeError("the key cannot be used"))?)))
    }

    /// Seals a frame in place.
    ///
    /// # Errors
    /// Past what the cipher seals at once, which is 64 GiB.
    pub fn seal(&self, number: u32, last: bool, frame: &mut Vec<u8>) -> Result<(), EnvelopeError> {
        self.0.seal_in_place_append_tag(nonce(number, last), Aad::empty(), frame).map_err(|_| EnvelopeError("the frame cannot be sealed"))
    }

    /// Opens a frame in place; gives its content.
    ///
    /// # Errors
    /// Altered, moved, or under another key.
    pub fn open<'a>(&self, number: u32, last: bool, frame: &'a mut [u8]) -> Result<&'a [u8], EnvelopeError> {
        let opened = self.0.open_in_place(nonce(number, last), Aad::empty(), frame);
        opened.map(|content| &*content).map_err(|_| EnvelopeError("the frame does not open"))
    }
}

fn nonce(number: u32, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[7..11].copy_from_slice(&number.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_opens_at_its_place_alone() {
        let key = FrameKey::new(&[7; 32]).expect("key");
        let mut sealed = b"frame".to_vec();
        key.seal(3, false, &mut sealed).expect("sealed");
        for (number, last, opens) in [(3, false, true), (3, true, false), (2, false, false)] {
            assert_eq!(key.open(number, last, &mut sealed.clone()).is_ok(), opens, "{number} {last}");
        }
    }

    #[test]
    fn a_key_is_unwrapped_by_its_receiver_for_its_use_alone() {
        let [a, b] = [1, 2].map(|seed| Identity::from_seed(&[seed; 32]).expect("identity"));
        let wrapped = wrap(&[5; 32], a.replica(), &a.seal_public(), b"this", [9; 32]).expect("wrapped");
        assert_eq!(unwrap(&wrapped, b"this", &a), Ok([5; 32]));
        assert!(unwrap(&wrapped, b"that", &a).is_err());
        assert!(unwrap(&wrapped, b"this", &b).is_err());
    }
}
