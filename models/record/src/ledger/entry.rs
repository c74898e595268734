//! The header of an entry: everything about it that anyone may see.

use crate::id::{GroupId, Hash, ReplicaId, RunId, ScopeId};
use crate::ledger::hlc::Hlc;
use ring::digest;
use serde::{Deserialize, Serialize};

/// Version written into every header.
pub const VERSION: u8 = 1;
/// Largest sealed payload, bytes.
pub const PAYLOAD_LIMIT: u32 = 1 << 20;

/// What an entry is. Numbers are for ever; a reader that does not know one keeps and relays the entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Kind(pub u16);

impl Kind {
    /// First entry of a run: names the heads it continues.
    pub const RUN_START: Self = Self(1);
    /// What one commit does to documents of the scope.
    pub const DOCUMENTS: Self = Self(2);
    /// A segment of numerics.
    pub const NUMERICS: Self = Self(3);
    /// A segment of waveforms.
    pub const WAVES: Self = Self(4);
    /// A device–bed or bed–patient interval.
    pub const BINDING: Self = Self(5);
    /// The scope's key wrapped for a replica.
    pub const GRANT: Self = Self(6);
    /// Audit events.
    pub const AUDIT: Self = Self(7);
    /// Samples that were filed to the wrong patient: a mask where they are, a copy where they belong.
    pub const REFILING: Self = Self(8);
    /// Payloads given up on a full disk.
    pub const SHED: Self = Self(9);
    /// A membership that ends, or has been left.
    pub const MEMBERSHIP: Self = Self(10);
    /// The scope's key and content are to be destroyed, or have been.
    pub const ERASURE: Self = Self(11);
    /// A replica whose writes count no longer, and up to where they did.
    pub const REVOCATION: Self = Self(12);
    /// What a hub wants a site to go by, or what came of it there.
    pub const CONFIGURATION: Self = Self(13);
    /// The highest number this program understands.
    pub const NEWEST: Self = Self::CONFIGURATION;

    /// Whether this program knows what such entries say. Others are kept, relayed and digested.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 <= Self::NEWEST.0
    }

    /// Whether the payload is open to whoever holds it: it protects itself, or must outlive the scope's key. A run begins in a
    /// destroyed scope, too: to sign that it is destroyed.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::RUN_START | Self::GRANT | Self::ERASURE)
    }

    /// Whether the payload stays when its scope is erased or left. Wrapped keys do not.
    #[must_use]
    pub const fn outlives_scope(self) -> bool {
        matches!(self, Self::ERASURE)
    }

    /// Order in which payloads travel: alerts and documents, numerics, waveforms. Lower goes first.
    #[must_use]
    pub const fn priority(self) -> u8 {
        match self {
            Self::WAVES => 2,
            Self::NUMERICS | Self::REFILING => 1,
            _ => 0,
        }
    }
}

/// The open part of an entry. The previous header's hash is derived, never sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Format version.
    pub v: u8,
    /// Who wrote it.
    pub author: ReplicaId,
    /// In which process lifetime.
    pub run: RunId,
    /// About what.
    pub scope: ScopeId,
    /// 0, 1, 2 … without gaps within (author, run, scope).
    pub seq: u64,
    /// Which of the scope's keys seals the payload; 0: the payload is open, see [`Kind::is_open`].
    pub key_id: u32,
    /// What it is.
    pub kind: Kind,
    /// When, for ordering concurrent values.
    pub hlc: Hlc,
    /// Ties entries of several scopes into one act.
    pub group: Option<GroupId>,
    /// SHA-256 over the sealed payload.
    pub payload_hash: Hash,
    /// Bytes of the sealed payload.
    pub len: u32,
}

impl Header {
    /// The canonical bytes: postcard of the fields in order.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // Serialising plain fields into memory cannot fail.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// This header's hash, which covers all before it through `previous`.
    #[must_use]
    pub fn hash(&self, previous: Hash) -> Hash {
        sha256(&[b"lamplight/header/1", &previous.0, &self.bytes()])
    }
}

/// SHA-256 over the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Hash(out)
}
