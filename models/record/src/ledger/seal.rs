//! Sealing a payload: canonical bytes → packed → encrypted, once, by its author. A byte inside says how it is packed.
//!
//! Key = HKDF-SHA256(scope key, salt = author ‖ run), nonce = seq, so that no nonce repeats under a key: a restored
//! backup starts a new run. The additional data bind the payload to its place in its chain.

use crate::id::{ReplicaId, RunId, ScopeId};
use crate::ledger::entry::{Kind, PAYLOAD_LIMIT, sha256};
use ring::{aead, hkdf};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

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
    let mut bytes = Vec::with_capacity(canonical.len() + 64);
    bytes.extend_from_slice(&said(canonical));
    pack(place.kind, canonical, &mut bytes)?;
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
    let (hash, packed) = plain.split_at_checked(HASH_BYTES).ok_or(SealError::Damaged("too short"))?;
    let canonical = unpack(packed)?;
    if hash == said(&canonical) { Ok(canonical) } else { Err(SealError::Damaged("hash inside does not match")) }
}

/// Chains whose keys an [`Opener`] keeps.
const KEYS_KEPT: usize = 1024;

/// Opens again what has been opened before, keeping the keys of the chains it meets: to derive one takes longer than to open
/// an hour of a monitor.
#[derive(Default)]
pub struct Opener {
    keys: HashMap<(ScopeId, ReplicaId, RunId), (ScopeKey, aead::LessSafeKey)>,
}

impl Opener {
    /// Opens a payload that [`open`] has accepted when it was taken in. The hash inside is left unlooked at: it guards against
    /// an author who sealed other content than stated, which has been ruled out then; that the bytes are still the same is
    /// what the seal's tag says.
    ///
    /// # Errors
    /// As [`open`].
    pub fn reopen(&mut self, key: &ScopeKey, place: &Place, sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let chain = (place.scope, place.author, place.run);
        if self.keys.get(&chain).is_none_or(|(held, _)| held != key) {
            if self.keys.len() >= KEYS_KEPT {
                self.keys.clear();
            }
            self.keys.insert(chain, (key.clone(), payload_key(key, place)?));
        }
        let (_, payload_key) = self.keys.get(&chain).ok_or(SealError::Closed)?;
        let mut bytes = sealed;
        let length =
            payload_key.open_in_place(nonce(place.seq), aead::Aad::from(binding(place)), &mut bytes).map_err(|_| SealError::Closed)?.len();
        bytes.truncate(length);
        if bytes.get(HASH_BYTES) == Some(&STORED) && bytes.len() - HASH_BYTES - 1 <= CANONICAL_LIMIT {
            bytes.drain(..=HASH_BYTES);
            return Ok(bytes);
        }
        unpack(bytes.get(HASH_BYTES..).ok_or(SealError::Damaged("too short"))?)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener({} keys)", self.keys.len())
    }
}

/// Bytes of the hash inside: it tells one content from another where the seal and the hash over it have held already.
const HASH_BYTES: usize = 16;

fn said(canonical: &[u8]) -> [u8; HASH_BYTES] {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&sha256(&[canonical]).0[..HASH_BYTES]);
    hash
}

/// As they are: segments have codecs of their own, and what is random does not shrink.
const STORED: u8 = 0;
/// zstd, behind the length of the canonical bytes (four bytes, big-endian).
const ZSTD: u8 = 1;

fn pack(kind: Kind, canonical: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
    if !matches!(kind, Kind::NUMERICS | Kind::WAVES) {
        let compressed = zstd::bulk::compress(canonical, 3).map_err(|_| SealError::TooLarge(canonical.len()))?;
        if compressed.len() + 4 < canonical.len() {
            let len = u32::try_from(canonical.len()).map_err(|_| SealError::TooLarge(canonical.len()))?;
            out.push(ZSTD);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&compressed);
            return Ok(());
        }
    }
    out.push(STORED);
    out.extend_from_slice(canonical);
    Ok(())
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, SealError> {
    match packed.split_first() {
        Some((&STORED, canonical)) if canonical.len() <= CANONICAL_LIMIT => Ok(canonical.to_vec()),
        Some((&ZSTD, rest)) => {
            let (len, compressed) = rest.split_first_chunk::<4>().ok_or(SealError::Damaged("too short"))?;
            // The stated length bounds what is allocated, the limit bounds the statement.
            let len =
                usize::try_from(u32::from_be_bytes(*len)).ok().filter(|n| *n <= CANONICAL_LIMIT).ok_or(SealError::Damaged("too long"))?;
            let canonical = zstd::bulk::decompress(compressed, len).map_err(|_| SealError::Damaged("not compressed as stated"))?;
            if canonical.len() == len { Ok(canonical) } else { Err(SealError::Damaged("shorter than stated")) }
        }
        _ => Err(SealError::Damaged("packed in a way this version does not know")),
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
