//! Sealing a payload: canonical bytes → compressed → encrypted, once, by its author.
//!
//! Key = HKDF-SHA256(scope key, salt = author ‖ run), nonce = seq, so that no nonce repeats under a key: a restored
//! backup starts a new run. The additional data bind the payload to its place in its chain.

use crate::id::{Hash, ReplicaId, RunId, ScopeId};
use crate::ledger::entry::{Kind, PAYLOAD_LIMIT, sha256};
use ring::{aead, hkdf};
use serde::{Deserialize, Serialize};

/// Largest canonical payload, bytes.
pub const CANONICAL_LIMIT: usize = 4 << 20;

/// The secret that opens a scope's payloads.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeKey(pub [u8; 32]);

impl std::fmt::Debug for ScopeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScopeKey(…)")
    }
}

/// Where a payload stands: what binds it to its chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Author.
    pub author: ReplicaId,
    /// Run.
    pub run: RunId,
    /// Scope.
    pub scope: ScopeId,
    /// Sequence number.
    pub seq: u64,
    /// Kind.
    pub kind: Kind,
}

/// Why a payload could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Past the limit; shown with its size.
    #[error("payload of {0} bytes is past the limit of {PAYLOAD_LIMIT}")]
    TooLarge(usize),
    /// The key does not open it: another key, or altered bytes.
    #[error("the scope key does not open this payload")]
    Closed,
    /// Opened, but not what its author sealed.
    #[error("the payload opens to damaged content: {0}")]
    Damaged(&'static str),
}

/// Seals canonical bytes. `key` absent leaves them readable by anyone: only for what protects itself (grants).
///
/// # Errors
/// [`SealError::TooLarge`].
pub fn seal(key: Option<&ScopeKey>, place: &Place, canonical: &[u8]) -> Result<Vec<u8>, SealError> {
    if canonical.len() > CANONICAL_LIMIT {
        return Err(SealError::TooLarge(canonical.len()));
    }
    let compressed = zstd::bulk::compress(canonical, 3).map_err(|_| SealError::TooLarge(canonical.len()))?;
    let mut bytes = Vec::with_capacity(compressed.len() + 48);
    bytes.extend_from_slice(&sha256(&[canonical]).0);
    bytes.extend_from_slice(&compressed);
    if let Some(key) = key {
        let key = payload_key(key, place)?;
        key.seal_in_place_append_tag(nonce(place.seq), aead::Aad::from(binding(place)), &mut bytes).map_err(|_| SealError::Closed)?;
    }
    if bytes.len() > PAYLOAD_LIMIT as usize {
        return Err(SealError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// Opens a sealed payload and checks the hash inside.
///
/// # Errors
/// [`SealError::Closed`] for a wrong key or altered bytes, [`SealError::Damaged`] for what its author should not have sealed.
pub fn open(key: Option<&ScopeKey>, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut bytes = sealed.to_vec();
    let plain: &[u8] = match key {
        Some(key) => payload_key(key, place)?
            .open_in_place(nonce(place.seq), aead::Aad::from(binding(place)), &mut bytes)
            .map_err(|_| SealError::Closed)?,
        None => &bytes,
    };
    let (hash, compressed) = plain.split_at_checked(32).ok_or(SealError::Damaged("too short"))?;
    let canonical = zstd::bulk::decompress(compressed, CANONICAL_LIMIT).map_err(|_| SealError::Damaged("not compressed as stated"))?;
    if sha256(&[&canonical]) == Hash(hash.try_into().map_err(|_| SealError::Damaged("hash"))?) {
        Ok(canonical)
    } else {
        Err(SealError::Damaged("hash inside does not match"))
    }
}

fn payload_key(key: &ScopeKey, place: &Place) -> Result<aead::LessSafeKey, SealError> {
    let salt = [place.author.0.as_slice(), &place.run.0].concat();
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&key.0);
    let okm = derived.expand(&[b"lamplight/payload/1"], &aead::AES_256_GCM).map_err(|_| SealError::Closed)?;
    Ok(aead::LessSafeKey::new(aead::UnboundKey::from(okm)))
}

fn nonce(seq: u64) -> aead::Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&seq.to_be_bytes());
    aead::Nonce::assume_unique_for_key(bytes)
}

// The scope is part of the key; HKDF's salt leaves it out, so that one chain's place is bound whole here.
fn binding(place: &Place) -> Vec<u8> {
    [place.scope.0.as_slice(), &place.seq.to_be_bytes(), &place.kind.0.to_be_bytes()].concat()
}
