//! Receipts: a replica's signed word on which payloads it holds, durably and hash-checked.
//!
//! A receipt says what has changed since the one before it; whoever keeps a signer's receipts, applied in order, knows all
//! the signer vouches for. The digest in it binds the whole set of headers the signer shares with the receiver.

use crate::id::{Hash, ReplicaId};
use crate::ledger::chain::ChainId;
use crate::ledger::entry::sha256;
use crate::ledger::identity::{self, Identity, Signature};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Names a receipt: the first bytes of its hash. All zero: none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct ReceiptId(pub [u8; 8]);

/// What of one chain is held.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The chain.
    pub chain: ChainId,
    /// Payloads before this are held …
    pub next: u64,
    /// … except these: from, and before.
    pub gaps: Vec<(u64, u64)>,
}

impl Held {
    /// Whether the payload at a place is held.
    #[must_use]
    pub fn covers(&self, seq: u64) -> bool {
        seq < self.next && !self.gaps.iter().any(|(from, to)| (*from..*to).contains(&seq))
    }

    /// How many payloads are held.
    #[must_use]
    pub fn count(&self) -> u64 {
        let gaps: u64 = self.gaps.iter().map(|(from, to)| to.saturating_sub(*from)).sum();
        self.next.saturating_sub(gaps)
    }
}

/// A signed receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// Who signs.
    pub signer: ReplicaId,
    /// To whom it is given.
    pub to: ReplicaId,
    /// When, by the signer's clock.
    pub at: Timestamp,
    /// The receipt it adds to; none: it stands alone.
    pub since: ReceiptId,
    /// Chains of which something else is held than `since` says, ascending.
    pub held: Vec<Held>,
    /// The signer's set digest over the scopes shared with `to`.
    pub digest: Hash,
    /// Over all of the above.
    #[serde(with = "super::chain::signature_bytes")]
    pub signature: Signature,
}

impl Receipt {
    /// Makes and signs a receipt.
    #[must_use]
    pub fn sign(identity: &Identity, to: ReplicaId, at: Timestamp, since: ReceiptId, mut held: Vec<Held>, digest: Hash) -> Self {
        held.sort_unstable();
        let mut receipt = Self { signer: identity.replica(), to, at, since, held, digest, signature: [0; 64] };
        receipt.signature = identity.sign("receipt", &receipt.body());
        receipt
    }

    /// Whether the signature holds.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        identity::verify(self.signer, "receipt", &self.body(), &self.signature)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ReceiptId {
        let hash = sha256(&[b"lamplight/receipt/1", &self.body()]);
        let mut id = [0; 8];
        id.copy_from_slice(&hash.0[..8]);
        ReceiptId(id)
    }

    fn body(&self) -> Vec<u8> {
        // Plain fields into memory: cannot fail.
        postcard::to_stdvec(&(self.signer, self.to, self.at, self.since, &self.held, self.digest)).unwrap_or_default()
    }
}
