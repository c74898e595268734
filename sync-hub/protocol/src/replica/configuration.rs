//! What sites are to go by, and what they say came of it: rolled out by the hub, reported by the site, as entries of the site's
//! scope. Kept as the newest few of them, whatever order they came in.

use super::write::CommitError;
use super::{Replica, damaged};
use crate::commit::Committed;
use crate::entropy::Entropy;
use crate::store::{Store, StoreError, Transaction};
use record::id::{ReplicaId, ScopeId};
use record::ledger::configuration::{Configuration, Report, Rollout};
use record::ledger::grant::ScopeRole;
use record::ledger::{Act, Body, Hlc};
use record::time::Now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rollouts of a site that are remembered: what it may fall back to, and be rolled back to.
pub const CONFIGURATIONS_MAX: usize = 8;
/// Most bytes of a bundle.
const TEXT_MAX: usize = 64 * 1024;

/// How a site stands with what it is to go by.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// What was rolled out to it, newest first.
    pub rollouts: Vec<(Hlc, Rollout)>,
    /// What it last said of that, and when.
    pub report: Option<(Hlc, Report)>,
}

impl Standing {
    /// What it is to go by.
    #[must_use]
    pub fn newest(&self) -> Option<&Rollout> {
        self.rollouts.first().map(|(_, rollout)| rollout)
    }

    /// The last of what it was to go by that says something else than the newest.
    #[must_use]
    pub fn before(&self) -> Option<&Rollout> {
        let newest = self.newest()?.digest();
        self.rollouts.iter().map(|(_, rollout)| rollout).find(|rollout| rollout.digest() != newest)
    }
}

/// Why nothing was rolled out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// Its scope is not open here.
    #[error("nothing has come from {0} yet: it has to sync once before anything can be rolled out to it")]
    Unheard(String),
    /// Nothing was written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Replica {
    /// Tells sites what to go by: all of them or none.
    ///
    /// # Errors
    /// A site whose scope is not open here; nothing was written.
    pub fn roll_out(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        act: &Act,
        rollouts: &[(ReplicaId, Rollout)],
    ) -> Result<Committed, ConfigureError> {
        let mut wanted = Vec::new();
        for (site, rollout) in rollouts {
            let scope = self.site_scope(*site).ok_or_else(|| ConfigureError::Unheard(rollout.site.clone()))?;
            wanted.push((scope, Body::Configuration(Configuration::Rollout(rollout.clone()))));
        }
        let written = self.write(store, now, entropy, act, |writer, entropy| {
            for (scope, body) in &wanted {
                writer.add(*scope, body, entropy)?;
            }
            Ok(None)
        });
        Ok(written?)
    }

    /// A site's own scope, once its key is here.
    #[must_use]
    pub fn site_scope(&self, site: ReplicaId) -> Option<ScopeId> {
        let own = |s: &&crate::store::Scope| s.creator == site && s.role == Some(ScopeRole::Site) && s.key.is_some();
        self.known.scopes.values().find(own).map(|s| s.id)
    }
}

/// How the site that a scope is of stands.
///
/// # Errors
/// The store cannot be read.
pub fn standing(tx: &mut dyn Transaction, site: ScopeId) -> Result<Standing, StoreError> {
    match tx.value(&key(site))? {
        Some(bytes) => postcard::from_bytes(&bytes).map_err(|e| damaged("values.configuration", &e)),
        None => Ok(Standing::default()),
    }
}

/// Takes in an event; what then stands, if that is something else than before.
pub(super) fn take(tx: &mut dyn Transaction, site: ScopeId, at: Hlc, event: &Configuration) -> Result<Option<Standing>, StoreError> {
    let before = standing(tx, site)?;
    let mut after = before.clone();
    match event {
        Configuration::Rollout(rollout) if rollout.text.len() > TEXT_MAX => {
            // A hub that is sound never sends one. What is read again and again stays small; that it came is not forgotten.
            let cut = Rollout { text: String::new(), requires: u16::MAX, ..rollout.clone() };
            after.rollouts.push((at, cut));
        }
        Configuration::Rollout(rollout) => after.rollouts.push((at, rollout.clone())),
        Configuration::Report(report) => {
            after.report = after.report.filter(|(held, _)| *held > at).or_else(|| Some((at, report.clone())));
        }
    }
    after.rollouts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.text.cmp(&b.1.text)));
    // Of one text the newest. What the site says it goes by stays, however many came after it that it could not use.
    let mut seen = BTreeSet::new();
    after.rollouts.retain(|(_, rollout)| seen.insert((rollout.digest(), rollout.site.clone())));
    let runs = after.report.as_ref().and_then(|(_, report)| report.runs.1);
    let mut place = 0;
    after.rollouts.retain(|(_, rollout)| {
        place += 1;
        place <= CONFIGURATIONS_MAX || Some(rollout.digest()) == runs
    });
    if after == before {
        return Ok(None);
    }
    // Plain fields into memory: cannot fail.
    tx.put_value(&key(site), &postcard::to_stdvec(&after).unwrap_or_default())?;
    Ok(Some(after))
}

fn key(site: ScopeId) -> String {
    format!("configuration/{site}")
}
