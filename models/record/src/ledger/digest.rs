//! Digests: one hash for a set of entries, computable by anyone who has the headers.
//!
//! A chain's head hash covers every header in it, so the set of heads stands for the set of entries.

use crate::id::{Hash, ScopeId};
use crate::ledger::chain::Head;
use crate::ledger::entry::sha256;
use std::collections::BTreeMap;

/// The digest of a set of entries: per scope, and over all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetDigest {
    /// Digest of each scope's entries.
    pub scopes: BTreeMap<ScopeId, Hash>,
    /// Over all of them.
    pub all: Hash,
}

/// Digests the entries behind these heads. Order and empty chains do not matter.
#[must_use]
pub fn set_digest<'a>(heads: impl IntoIterator<Item = &'a Head>) -> SetDigest {
    let mut by_scope: BTreeMap<ScopeId, Vec<&Head>> = BTreeMap::new();
    for head in heads {
        if head.next > 0 {
            by_scope.entry(head.chain.scope).or_default().push(head);
        }
    }
    let mut scopes = BTreeMap::new();
    for (scope, mut heads) in by_scope {
        heads.sort_unstable();
        heads.dedup();
        let mut bytes = Vec::with_capacity(heads.len() * 80);
        for head in heads {
            bytes.extend_from_slice(&head.chain.author.0);
            bytes.extend_from_slice(&head.chain.run.0);
            bytes.extend_from_slice(&head.next.to_be_bytes());
            bytes.extend_from_slice(&head.hash.0);
        }
        scopes.insert(scope, sha256(&[b"lamplight/scope-digest/1", &scope.0, &bytes]));
    }
    let joined: Vec<u8> = scopes.iter().flat_map(|(scope, hash)| scope.0.iter().chain(hash.0.iter()).copied()).collect();
    SetDigest { all: sha256(&[b"lamplight/set-digest/1", &joined]), scopes }
}
