//! What a replica keeps in memory of its store.

use super::{Peer, PeerRole, damaged};
use crate::entropy::{Entropy, bytes};
use crate::store::{Scope, StoreError, Transaction};
use crate::wire::LogId;
use record::id::{PatientId, ReplicaId, ScopeId};
use record::ledger::grant::ScopeRole;
use record::ledger::{ChainId, Head, Hlc, Kind};
use record::time::Now;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Name of the small value that holds [`Known::peers`].
pub(super) const PEERS: &str = "peers";
/// Name of the small value that holds [`Known::log`].
pub const LOG: &str = "log";

/// Replaced only once a transaction is durable. The maps are shared until changed, so that a tick that writes no entries
/// copies nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub hlc: Hlc,
    /// Names the arrival log; a store restored from a backup gets another.
    pub log: LogId,
    /// Arrival number of the newest entry.
    pub end: u64,
    pub heads: Arc<BTreeMap<ChainId, Head>>,
    /// Arrival number of each chain's newest entry.
    pub arrivals: Arc<BTreeMap<ChainId, u64>>,
    pub scopes: Arc<BTreeMap<ScopeId, Scope>>,
    pub patients: Arc<BTreeMap<PatientId, ScopeId>>,
    pub peers: Vec<Peer>,
    /// How far a later run says this chain went.
    pub continued: Arc<BTreeMap<ChainId, u64>>,
}

impl Known {
    pub fn load(tx: &mut dyn Transaction, me: ReplicaId, now: Now, entropy: &mut dyn Entropy) -> Result<Self, StoreError> {
        let mut known = Self::default();
        for scope in tx.scopes()? {
            known.learn_scope(scope);
        }
        let (mut heads, mut arrivals, mut continued) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for chain in tx.chains()? {
            let id = chain.head.chain;
            if chain.head.next > 0 {
                heads.insert(id, chain.head);
                arrivals.insert(id, chain.arrival);
                known.end = known.end.max(chain.arrival);
                // The writer's clock may have stepped back while it was down; stamps must still rise.
                known.hlc = if id.author == me { known.hlc.max(chain.hlc) } else { known.hlc.observe(chain.hlc, now) };
            }
            if chain.continued > 0 {
                continued.insert(id, chain.continued);
            }
        }
        (known.heads, known.arrivals, known.continued) = (Arc::new(heads), Arc::new(arrivals), Arc::new(continued));
        if let Some(bytes) = tx.value(PEERS)? {
            known.peers = postcard::from_bytes(&bytes).map_err(|e| damaged("values.peers", &e))?;
        }
        known.log = match tx.value(LOG)?.as_deref().map(<[u8; 4]>::try_from) {
            Some(Ok(log)) => LogId(log),
            _ => {
                let log: [u8; 4] = bytes(entropy);
                tx.put_value(LOG, &log)?;
                LogId(log)
            }
        };
        Ok(known)
    }

    pub fn own(&self, me: ReplicaId, role: ScopeRole) -> Option<ScopeId> {
        self.scopes.values().find(|s| s.creator == me && s.role == Some(role)).map(|s| s.id)
    }

    /// This replica's hub; none if it is one, or is not enrolled.
    pub fn hub(&self) -> Option<ReplicaId> {
        self.peers.iter().find(|p| p.role == PeerRole::Hub).map(|p| p.replica)
    }

    /// Whether both take part in a scope. Of a scope whose grants have not come yet, its first author does.
    pub fn is_shared(&self, scope: &Scope, me: ReplicaId, peer: ReplicaId) -> bool {
        if scope.access.is_unknown() { scope.creator == peer } else { scope.access.has(me) && scope.access.has(peer) }
    }

    /// Whether a chain is to be on both: they share its scope, and its author has ever taken part there. Between a hub and whoever has
    /// left a scope also what that one wrote in it: restored from before it left, it may have written more.
    pub fn shares(&self, chain: ChainId, me: ReplicaId, peer: ReplicaId) -> bool {
        self.scopes.get(&chain.scope).is_some_and(|scope| {
            let shared = self.is_shared(scope, me, peer) && self.takes_part(chain);
            shared || self.is_of_past_member(scope, chain.author, me, peer)
        })
    }

    /// Whether a peer may hold payloads of a chain: it takes part in the scope, or wrote it while it did.
    pub fn may_serve(&self, chain: ChainId, me: ReplicaId, peer: ReplicaId) -> bool {
        self.scopes.get(&chain.scope).is_some_and(|scope| {
            scope.access.is_unknown() || scope.access.has(peer) || self.is_of_past_member(scope, chain.author, me, peer)
        })
    }

    fn is_of_past_member(&self, scope: &Scope, author: ReplicaId, me: ReplicaId, peer: ReplicaId) -> bool {
        let hub = if author == me { peer } else { me };
        (author == me || author == peer) && self.is_hub(me, hub) && scope.access.has_left(author)
    }

    pub fn shared_heads(&self, me: ReplicaId, peer: ReplicaId) -> Vec<Head> {
        let mut heads = Vec::new();
        // Chains lie ordered by scope: each scope is judged once.
        let mut judged: Option<(&Scope, bool)> = None;
        for head in self.heads.values() {
            let chain = head.chain;
            let (scope, shared) = match judged {
                Some((scope, shared)) if scope.id == chain.scope => (scope, shared),
                _ => {
                    let Some(scope) = self.scopes.get(&chain.scope) else { continue };
                    (scope, self.is_shared(scope, me, peer))
                }
            };
            judged = Some((scope, shared));
            if (shared && self.takes_part(chain)) || self.is_of_past_member(scope, chain.author, me, peer) {
                heads.push(*head);
            }
        }
        heads
    }

    /// Whether a chain's author has ever taken part in its scope. What a stranger wrote there before the scope's grants were
    /// known is kept from everybody: others refuse it.
    pub fn takes_part(&self, chain: ChainId) -> bool {
        let scope = self.scopes.get(&chain.scope);
        let counts = |s: &Scope| s.access.is_unknown() || s.id.is_begun_by(chain.author) || s.access.had(chain.author);
        // The grant to the hub may be gone with a scope that was erased; what the hub says of it counts.
        scope.is_some_and(|s| counts(s) || self.hub() == Some(chain.author))
    }

    /// Whether an author may write entries of a kind into a scope.
    pub fn may_write(&self, scope: &Scope, me: ReplicaId, author: ReplicaId, kind: Kind) -> bool {
        /// What a hub writes into a site's scopes: documents, answers to alerts, who takes part, and what the site is to go by.
        const FROM_HUB: &[Kind] =
            &[Kind::RUN_START, Kind::DOCUMENTS, Kind::GRANT, Kind::MEMBERSHIP, Kind::ERASURE, Kind::REVOCATION, Kind::CONFIGURATION];
        if scope.id.is_begun_by(author) || !kind.is_known() {
            return true;
        }
        if self.is_hub(me, author) {
            return FROM_HUB.contains(&kind);
        }
        let patient = matches!(scope.role, Some(ScopeRole::Patient) | None);
        (patient && (scope.access.is_unknown() || scope.access.had(author)))
            || (scope.access.had(author) && matches!(kind, Kind::RUN_START | Kind::DOCUMENTS | Kind::ERASURE))
    }

    /// Whether a replica has been revoked in a scope of our own, where only the hub and we can say so.
    pub fn is_revoked(&self, me: ReplicaId, replica: ReplicaId) -> bool {
        self.scopes.values().any(|s| s.creator == me && s.access.has_revoked(replica))
    }

    /// Whether a replica is the hub: ours, or this one itself, which then has been admitted nowhere.
    pub fn is_hub(&self, me: ReplicaId, replica: ReplicaId) -> bool {
        self.hub().map_or(replica == me && self.peers.is_empty(), |hub| replica == hub)
    }

    /// Whether this box has neighbours and no hub yet: it cannot know then what is the hub's to write.
    pub fn is_before_hub(&self) -> bool {
        self.hub().is_none() && !self.peers.is_empty()
    }

    pub fn learn_scope(&mut self, scope: Scope) {
        let before = self.scopes.get(&scope.id).and_then(|s| s.patient.clone());
        if before != scope.patient {
            let patients = Arc::make_mut(&mut self.patients);
            if let Some(patient) = before {
                patients.remove(&patient);
            }
            if let Some(patient) = &scope.patient {
                let held = patients.entry(patient.clone()).or_insert(scope.id);
                // Two scopes that claim one patient: the same one on every replica.
                *held = (*held).min(scope.id);
            }
        }
        Arc::make_mut(&mut self.scopes).insert(scope.id, scope);
    }

    pub fn learn_head(&mut self, head: Head, arrival: u64) {
        self.end = self.end.max(arrival);
        Arc::make_mut(&mut self.heads).insert(head.chain, head);
        Arc::make_mut(&mut self.arrivals).insert(head.chain, arrival);
    }
}
