//! Grants: a scope's key wrapped (HPKE: X25519, HKDF-SHA256, AES-256-GCM) for one replica.

use crate::id::{ReplicaId, ScopeId};
use crate::ledger::envelope::{self, EnvelopeError, Wrapped};
use crate::ledger::identity::Identity;
use crate::ledger::seal::ScopeKey;
use serde::{Deserialize, Serialize};

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

/// A grant: lies in the scope it opens, so that whoever holds the scope knows its members and erasing the scope erases
/// every wrapped key; in the open, because its receiver has no key yet and only its receiver can unwrap it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// What the scope is about.
    pub role: ScopeRole,
    /// Who began it.
    pub creator: ReplicaId,
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
pub enum GrantError {
    /// Not made.
    #[error("the grant cannot be made: {0}")]
    Made(EnvelopeError),
    /// For another replica.
    #[error("the grant cannot be used: it is for another replica")]
    Foreign,
    /// Not opened.
    #[error("the grant cannot be used: {0}")]
    Used(EnvelopeError),
}

/// What is granted: a scope and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// The scope.
    pub scope: ScopeId,
    /// What it is about.
    pub role: ScopeRole,
    /// Who began it.
    pub creator: ReplicaId,
    /// Number of the key.
    pub key_id: u32,
    /// The key.
    pub key: ScopeKey,
}

/// Wraps a scope's key for a replica. `entropy` must be fresh: it makes the ephemeral key.
///
/// # Errors
/// A public key that is none.
pub fn wrap(opening: &Opening, to: ReplicaId, seal_public: &[u8; 32], entropy: [u8; 32]) -> Result<Grant, GrantError> {
    let Opening { scope, role, creator, key_id, key } = opening;
    let Wrapped { encapsulated, sealed: wrapped } =
        envelope::wrap(&key.0, to, seal_public, &info(*scope, *creator, *key_id), entropy).map_err(GrantError::Made)?;
    Ok(Grant { role: *role, creator: *creator, key_id: *key_id, to, encapsulated, wrapped })
}

/// Unwraps a grant of `scope` addressed to `identity`.
///
/// # Errors
/// A grant for somebody else, or altered.
pub fn unwrap(grant: &Grant, scope: ScopeId, identity: &Identity) -> Result<ScopeKey, GrantError> {
    if grant.to != identity.replica() {
        return Err(GrantError::Foreign);
    }
    let wrapped = Wrapped { encapsulated: grant.encapsulated.clone(), sealed: grant.wrapped.clone() };
    let key = envelope::unwrap(&wrapped, &info(scope, grant.creator, grant.key_id), identity).map_err(GrantError::Used)?;
    Ok(ScopeKey(key))
}

fn info(scope: ScopeId, creator: ReplicaId, key_id: u32) -> Vec<u8> {
    [b"lamplight/grant/1".as_slice(), &scope.0, &creator.0, &key_id.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_replica_named_can_unwrap_a_grant() {
        let hub = Identity::from_seed(&[1; 32]).expect("identity");
        let other = Identity::from_seed(&[2; 32]).expect("identity");
        let key = ScopeKey([7; 32]);
        let (scope, role, creator) = (ScopeId([3; 16]), ScopeRole::Patient, other.replica());
        let opening = Opening { scope, role, creator, key_id: 1, key: key.clone() };
        let grant = wrap(&opening, hub.replica(), &hub.seal_public(), [9; 32]).expect("wrap");
        assert_eq!(unwrap(&grant, scope, &hub), Ok(key));
        assert!(unwrap(&grant, scope, &other).is_err());
        assert!(unwrap(&grant, ScopeId([4; 16]), &hub).is_err(), "a grant moved to another scope must not open");
        let altered = Grant { creator: hub.replica(), ..grant };
        assert!(unwrap(&altered, scope, &hub).is_err(), "nor one that names another creator");
    }
}
