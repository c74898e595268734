//! Grants: a scope's key wrapped (HPKE: X25519, HKDF-SHA256, AES-256-GCM) for one replica.

use crate::id::{ReplicaId, ScopeId};
use crate::ledger::identity::{Identity, SealKem, seal_public_key};
use crate::ledger::seal::ScopeKey;
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

type Aead = hpke::aead::AesGcm256;
type Kdf = hpke::kdf::HkdfSha256;
type Encapped = <SealKem as hpke::Kem>::EncappedKey;

/// What a scope is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum ScopeRole {
    /// The clinic: devices, bindings, grants.
    Site,
    /// One patient.
    Patient,
    /// Samples no binding claims.
    Unassigned,
    /// One replica's own audit.
    Audit,
}

/// A grant: lies in scope *site*, in the open, because only its receiver can unwrap it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The scope whose key this is.
    pub scope: ScopeId,
    /// What that scope is about.
    pub role: ScopeRole,
    /// Which of the scope's keys.
    pub key_id: u32,
    /// For whom.
    pub to: ReplicaId,
    /// HPKE encapsulated key.
    pub encapsulated: Vec<u8>,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// Why a grant could not be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the grant cannot be {0}")]
pub struct GrantError(&'static str);

/// Wraps `key` for a replica. `entropy` must be fresh: it makes the ephemeral key.
///
/// # Errors
/// A public key that is none.
pub fn wrap(
    scope: ScopeId,
    role: ScopeRole,
    key_id: u32,
    key: &ScopeKey,
    to: ReplicaId,
    seal_public: &[u8; 32],
    entropy: [u8; 32],
) -> Result<Grant, GrantError> {
    let public = seal_public_key(seal_public).ok_or(GrantError("made: bad public key"))?;
    let mut rng = rand_chacha::ChaCha20Rng::from_seed(entropy);
    let (encapsulated, wrapped) =
        hpke::single_shot_seal_with_rng::<Aead, Kdf, SealKem>(&OpModeS::Base, &public, &info(scope, key_id), &key.0, &to.0, &mut rng)
            .map_err(|_| GrantError("made"))?;
    Ok(Grant { scope, role, key_id, to, encapsulated: encapsulated.to_bytes().to_vec(), wrapped })
}

/// Unwraps a grant addressed to `identity`.
///
/// # Errors
/// A grant for somebody else, or altered.
pub fn unwrap(grant: &Grant, identity: &Identity) -> Result<ScopeKey, GrantError> {
    if grant.to != identity.replica() {
        return Err(GrantError("used: it is for another replica"));
    }
    let encapsulated = Encapped::from_bytes(&grant.encapsulated).map_err(|_| GrantError("used: bad encapsulated key"))?;
    let key = hpke::single_shot_open::<Aead, Kdf, SealKem>(
        &OpModeR::Base,
        identity.seal_private(),
        &encapsulated,
        &info(grant.scope, grant.key_id),
        &grant.wrapped,
        &grant.to.0,
    )
    .map_err(|_| GrantError("used: it does not open"))?;
    Ok(ScopeKey(key.try_into().map_err(|_| GrantError("used: wrong key length"))?))
}

fn info(scope: ScopeId, key_id: u32) -> Vec<u8> {
    [b"lamplight/grant/1".as_slice(), &scope.0, &key_id.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_replica_named_can_unwrap_a_grant() {
        let hub = Identity::from_seed(&[1; 32]).expect("identity");
        let other = Identity::from_seed(&[2; 32]).expect("identity");
        let key = ScopeKey([7; 32]);
        let grant = wrap(ScopeId([3; 16]), ScopeRole::Patient, 1, &key, hub.replica(), &hub.seal_public(), [9; 32]).expect("wrap");
        assert_eq!(unwrap(&grant, &hub), Ok(key));
        assert!(unwrap(&grant, &other).is_err());
        let altered = Grant { scope: ScopeId([4; 16]), ..grant };
        assert!(unwrap(&altered, &hub).is_err(), "a grant moved to another scope must not open");
    }
}
