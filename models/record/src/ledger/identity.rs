//! A replica's keys: Ed25519 to sign chains and receipts, X25519 to be given scope keys.

use crate::id::{Hash, ReplicaId};
use hpke::{Deserializable, Kem as _, Serializable};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

pub(crate) type SealKem = hpke::kem::X25519HkdfSha256;

/// An Ed25519 signature.
pub type Signature = [u8; 64];

/// A replica's private keys, derived from one 32-byte seed that the program keeps safe.
pub struct Identity {
    signing: Ed25519KeyPair,
    seal_private: <SealKem as hpke::Kem>::PrivateKey,
    seal_public: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Identity").field(&self.replica()).finish()
    }
}

/// A seed or key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the identity key is not usable")]
pub struct IdentityError;

impl Identity {
    /// The identity of a seed.
    ///
    /// # Errors
    /// Never for 32 bytes of entropy; kept because the primitive may refuse.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, IdentityError> {
        let signing = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| IdentityError)?;
        let (seal_private, public) = SealKem::derive_keypair(crate::ledger::entry::sha256(&[b"lamplight/seal-key/1", seed]).0.as_slice());
        let mut seal_public = [0; 32];
        seal_public.copy_from_slice(&public.to_bytes());
        Ok(Self { signing, seal_private, seal_public })
    }

    /// The public name: the Ed25519 public key.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.signing.public_key().as_ref());
        ReplicaId(bytes)
    }

    /// The X25519 public key others wrap scope keys for.
    #[must_use]
    pub const fn seal_public(&self) -> [u8; 32] {
        self.seal_public
    }

    pub(crate) const fn seal_private(&self) -> &<SealKem as hpke::Kem>::PrivateKey {
        &self.seal_private
    }

    /// Signs bytes for one purpose; a signature for one purpose never passes for another.
    #[must_use]
    pub fn sign(&self, purpose: &str, bytes: &[u8]) -> Signature {
        let mut out = [0; 64];
        out.copy_from_slice(self.signing.sign(&framed(purpose, bytes)).as_ref());
        out
    }

    /// Signs a chain's head.
    #[must_use]
    pub fn sign_head(&self, head: Hash) -> Signature {
        self.sign("head", &head.0)
    }
}

/// Whether `signature` is `replica`'s over these bytes for this purpose.
#[must_use]
pub fn verify(replica: ReplicaId, purpose: &str, bytes: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, replica.0).verify(&framed(purpose, bytes), signature).is_ok()
}

fn framed(purpose: &str, bytes: &[u8]) -> Vec<u8> {
    [b"lamplight/sign/1/", purpose.as_bytes(), b"\0", bytes].concat()
}

pub(crate) fn seal_public_key(bytes: &[u8; 32]) -> Option<<SealKem as hpke::Kem>::PublicKey> {
    <SealKem as hpke::Kem>::PublicKey::from_bytes(bytes).ok()
}
