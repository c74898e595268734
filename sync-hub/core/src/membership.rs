//! The end of a membership: what was accepted last, and what is said to whoever writes on.

use crate::site::SiteName;
use protocol::store::Incident;
use record::id::ReplicaId;
use record::ledger::Head;
use record::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest reason, characters.
pub const REASON_MAX: usize = 512;

/// A membership that an operator ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// From when on.
    pub at: Timestamp,
    /// By which user.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last entries accepted, by chain. Whatever comes after them is refused.
    pub heads: Vec<Head>,
}

/// Why a membership cannot be ended as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeRefusal {
    /// The name was not typed again.
    #[error("type the site's name again to confirm")]
    Unconfirmed,
    /// No reason.
    #[error("say why, in at most {REASON_MAX} characters")]
    Reason,
}

/// Checks what an operator typed.
///
/// # Errors
/// [`RevokeRefusal`].
pub fn check(site: &SiteName, confirm: &str, reason: &str) -> Result<(), RevokeRefusal> {
    if confirm != site.as_str() {
        return Err(RevokeRefusal::Unconfirmed);
    }
    if reason.trim().is_empty() || reason.chars().count() > REASON_MAX {
        return Err(RevokeRefusal::Reason);
    }
    Ok(())
}

impl Revocation {
    /// What the site is told.
    #[must_use]
    pub fn sentence(&self, site: &SiteName) -> String {
        format!("membership of {site} ended at {}: {}", self.at, self.reason)
    }

    /// The incident of a site that goes on writing. One incident however often it tries.
    #[must_use]
    pub fn incident(&self, site: &SiteName, author: ReplicaId, now: Timestamp) -> Incident {
        let entries: u64 = self.heads.iter().map(|head| head.next).sum();
        let detail = format!("{site} goes on writing although its membership ended at {}; {entries} entries were accepted before", self.at);
        Incident { author, kind: "revoked-writes".to_owned(), detail, at: now, closed: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_ends_only_with_its_name_typed_again_and_a_reason() {
        let site: SiteName = "hillside".parse().unwrap();
        assert_eq!(check(&site, "hillsid", "stolen"), Err(RevokeRefusal::Unconfirmed));
        assert_eq!(check(&site, "hillside", "  "), Err(RevokeRefusal::Reason));
        assert_eq!(check(&site, "hillside", &"x".repeat(REASON_MAX + 1)), Err(RevokeRefusal::Reason));
        assert_eq!(check(&site, "hillside", "stolen"), Ok(()));
    }
}
