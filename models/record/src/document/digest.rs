//! The state digest: whether two replicas that can read a set of documents show the same.

use super::policy::POLICIES;
use crate::id::Hash;
use crate::ledger::entry::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A digest over documents as shown. Compared only between equal policy versions, and never after an erasure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StateDigest {
    /// Version of the policy table that chose what is shown.
    pub policy: u32,
    /// SHA-256 over type, id and canonical JSON of each, by type and id.
    pub hash: Hash,
}

/// `1:` and the hash in hex.
impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.policy, self.hash)
    }
}

/// The digest of documents given as (type, id, canonical JSON as shown), in any order.
#[must_use]
pub fn state_digest<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> StateDigest {
    let each: BTreeMap<(&str, &str), Hash> =
        documents.into_iter().map(|(kind, id, json)| ((kind, id), sha256(&[json.as_bytes()]))).collect();
    let mut all = Vec::with_capacity(each.len() * 80);
    for ((kind, id), hash) in each {
        for part in [kind, "/", id, "\0"] {
            all.extend_from_slice(part.as_bytes());
        }
        all.extend_from_slice(&hash.0);
    }
    StateDigest { policy: POLICIES.version, hash: sha256(&[b"lamplight/state/1", &all]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_documents_does_not_matter_and_every_byte_does() {
        let (a, b) = (("Patient", "1", "{}"), ("Patient", "2", "{\"a\":1.10}"));
        assert_eq!(state_digest([a, b]), state_digest([b, a]));
        assert_ne!(state_digest([a, b]), state_digest([a, ("Patient", "2", "{\"a\":1.1}")]));
        assert_ne!(state_digest([a]), state_digest([a, b]));
        assert!(state_digest([a]).to_string().starts_with("1:"));
    }
}
