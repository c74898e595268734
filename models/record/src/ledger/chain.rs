//! Chains: verifying a stretch against what came before it.

use crate::id::{Hash, ReplicaId, RunId, ScopeId};
use crate::ledger::entry::{Header, PAYLOAD_LIMIT, VERSION, sha256};
use crate::ledger::identity::{self, Signature};
use serde::{Deserialize, Serialize};

/// Most entries in one stretch: a commit larger than this is signed in several.
pub const STRETCH_LIMIT: usize = 1024;

/// Names a chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ChainId {
    /// What it is about.
    pub scope: ScopeId,
    /// Who writes it.
    pub author: ReplicaId,
    /// In which process lifetime.
    pub run: RunId,
}

impl ChainId {
    /// The hash before the first header.
    #[must_use]
    pub fn root(&self) -> Hash {
        sha256(&[b"lamplight/chain/1", &self.author.0, &self.run.0, &self.scope.0])
    }
}

/// How far a chain is known: entries 0 … next−1 hash to `hash`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The sequence number that would come next: how many entries there are.
    pub next: u64,
    /// Hash of the last header, or the chain's root.
    pub hash: Hash,
}

impl Head {
    /// A chain of which nothing is known.
    #[must_use]
    pub fn empty(chain: ChainId) -> Self {
        Self { chain, next: 0, hash: chain.root() }
    }
}

/// Consecutive entries of one chain, ending at a signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stretch {
    /// Headers in order, at least one.
    pub headers: Vec<Header>,
    /// The sealed payloads, one a header; empty where not sent (yet).
    pub payloads: Vec<Vec<u8>>,
    /// Over the hash of the last header.
    #[serde(with = "signature_bytes")]
    pub signature: Signature,
}

/// Why a stretch was refused. That chain stops there; others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No headers, too many, or as many payloads as headers is not so.
    #[error("a stretch must hold 1 to {STRETCH_LIMIT} headers and as many payloads")]
    Shape,
    /// A header of another chain than the first.
    #[error("entry {seq}: belongs to another chain than the stretch")]
    Mixed {
        /// Its sequence number.
        seq: u64,
    },
    /// A format this program does not know.
    #[error("entry {seq}: format version {v} is not known here")]
    Version {
        /// Its sequence number.
        seq: u64,
        /// The version stated.
        v: u8,
    },
    /// Entries are missing before this stretch.
    #[error("entry {got} does not follow: entry {expected} is next")]
    Gap {
        /// What must come next.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// An entry already held, with other content: two writers used one chain.
    #[error("entry {seq}: differs from the entry already held at that place")]
    Fork {
        /// The place.
        seq: u64,
    },
    /// The signature is not the author's over these headers.
    #[error("entries to {seq}: the author's signature does not match")]
    Signature {
        /// The last entry covered.
        seq: u64,
    },
    /// Payload bytes that are not those the header names.
    #[error("entry {seq}: payload does not match its hash")]
    Payload {
        /// The place.
        seq: u64,
    },
    /// A payload past the limit.
    #[error("entry {seq}: payload of {len} bytes is past the limit of {PAYLOAD_LIMIT}")]
    Oversized {
        /// The place.
        seq: u64,
        /// Bytes stated.
        len: u32,
    },
}

impl Stretch {
    /// The chain it belongs to.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        self.headers.first().map(Header::chain)
    }

    /// Checks form, continuity from `head`, signature and payload hashes; gives the new head.
    ///
    /// # Errors
    /// The first thing wrong, by sequence number.
    pub fn verify(&self, head: Head) -> Result<Head, ChainError> {
        if self.headers.is_empty() || self.headers.len() > STRETCH_LIMIT || self.headers.len() != self.payloads.len() {
            return Err(ChainError::Shape);
        }
        let mut at = head;
        for (header, payload) in self.headers.iter().zip(&self.payloads) {
            let seq = header.seq;
            if header.v != VERSION {
                return Err(ChainError::Version { seq, v: header.v });
            }
            if header.chain() != at.chain {
                return Err(ChainError::Mixed { seq });
            }
            if seq != at.next {
                return Err(ChainError::Gap { expected: at.next, got: seq });
            }
            if header.len > PAYLOAD_LIMIT {
                return Err(ChainError::Oversized { seq, len: header.len });
            }
            if !payload.is_empty() && (payload.len() != header.len as usize || sha256(&[payload]) != header.payload_hash) {
                return Err(ChainError::Payload { seq });
            }
            at = Head { chain: at.chain, next: seq.saturating_add(1), hash: header.hash(at.hash) };
        }
        if identity::verify(at.chain.author, "head", &at.hash.0, &self.signature) {
            Ok(at)
        } else {
            Err(ChainError::Signature { seq: at.next.saturating_sub(1) })
        }
    }
}

impl Header {
    /// The chain this header belongs to.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        ChainId { scope: self.scope, author: self.author, run: self.run }
    }
}

pub(crate) mod signature_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        let (a, b) = bytes.split_at(32);
        (<[u8; 32]>::try_from(a).unwrap_or_default(), <[u8; 32]>::try_from(b).unwrap_or_default()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        let (a, b): ([u8; 32], [u8; 32]) = Deserialize::deserialize(deserializer)?;
        let mut out = [0; 64];
        out[..32].copy_from_slice(&a);
        out[32..].copy_from_slice(&b);
        Ok(out)
    }
}
