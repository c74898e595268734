//! Receipts: a replica's signed word that it holds, durably and hash-checked, the payloads up to these heads.

use crate::id::{Hash, ReplicaId};
use crate::ledger::chain::Head;
use crate::ledger::identity::{self, Identity, Signature};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A signed receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Who signs.
    pub signer: ReplicaId,
    /// To whom it was given.
    pub to: ReplicaId,
    /// When, by the signer's clock.
    pub at: Timestamp,
    /// Up to where each chain is held: all payloads before `next`.
    pub heads: Vec<Head>,
    /// The signer's set digest over the scopes shared with `to`.
    pub digest: Hash,
    /// Over all of the above.
    #[serde(with = "super::chain::signature_bytes")]
    pub signature: Signature,
}

impl Receipt {
    /// Makes and signs a receipt.
    #[must_use]
    pub fn sign(identity: &Identity, to: ReplicaId, at: Timestamp, mut heads: Vec<Head>, digest: Hash) -> Self {
        heads.sort_unstable();
        let signer = identity.replica();
        let signature = identity.sign("receipt", &body(signer, to, at, &heads, digest));
        Self { signer, to, at, heads, digest, signature }
    }

    /// Whether the signature holds.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        identity::verify(self.signer, "receipt", &body(self.signer, self.to, self.at, &self.heads, self.digest), &self.signature)
    }
}

fn body(signer: ReplicaId, to: ReplicaId, at: Timestamp, heads: &[Head], digest: Hash) -> Vec<u8> {
    // Plain fields into memory: cannot fail.
    postcard::to_stdvec(&(signer, to, at, heads, digest)).unwrap_or_default()
}
