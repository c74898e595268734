//! A replica: its identity, what it holds, and the two ways anything is added — [`Replica::commit`] and [`Replica::accept`].

mod accept;
mod apply;
mod read;
mod write;

pub use accept::{Accepted, Refused, Source};
pub use read::{MANUAL, Vitals, documents_of, frames_of, parts_of, patient_scope};
pub use write::CommitError;

use crate::entropy::{Entropy, bytes};
use crate::store::{Scope, Store, StoreError, Transaction};
use record::binding::Bindings;
use record::id::{Hash, PatientId, ReplicaId, RunId, ScopeId};
use record::ledger::body::Body;
use record::ledger::grant::ScopeRole;
use record::ledger::receipt::Receipt;
use record::ledger::{ChainId, Head, Hlc, Identity, ScopeKey, SetDigest, set_digest};
use record::time::Now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Another replica that is granted every scope of this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub replica: ReplicaId,
    /// Its X25519 public key.
    pub seal_public: [u8; 32],
}

/// A replica of the ledger, over a store given with each call.
#[derive(Debug)]
pub struct Replica {
    identity: Identity,
    run: RunId,
    program: String,
    known: Known,
}

/// What is kept in memory of the store; replaced only once a transaction is durable. The maps are shared until changed, so
/// that a tick that writes no entries copies nothing.
#[derive(Clone, Debug, Default)]
struct Known {
    hlc: Hlc,
    heads: Arc<BTreeMap<ChainId, Head>>,
    scopes: Arc<BTreeMap<ScopeId, Scope>>,
    patients: Arc<BTreeMap<PatientId, ScopeId>>,
    peers: Vec<Peer>,
    /// How far a later run says this chain went.
    continued: Arc<BTreeMap<ChainId, u64>>,
}

const PEERS: &str = "peers";

impl Replica {
    /// Opens the replica kept in `store`; at first boot begins its site, unassigned and audit scopes. `run` must be fresh.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn open(
        store: &mut dyn Store,
        identity: Identity,
        run: RunId,
        program: &str,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, StoreError> {
        let me = identity.replica();
        let mut tx = store.begin()?;
        let mut known = Known::load(tx.as_mut(), me, now)?;
        known.hlc = known.hlc.tick(now);
        for role in [ScopeRole::Site, ScopeRole::Unassigned, ScopeRole::Audit] {
            if known.own(me, role).is_none() {
                let scope = Scope {
                    id: ScopeId(bytes(entropy)),
                    role: Some(role),
                    creator: me,
                    key: Some((1, ScopeKey(bytes(entropy)))),
                    patient: None,
                };
                tx.put_scope(&scope)?;
                known.learn_scope(scope);
            }
        }
        tx.commit()?;
        Ok(Self { identity, run, program: program.to_owned(), known })
    }

    /// This replica's id.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.identity.replica()
    }

    /// Its keys.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// This process lifetime.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// Program version, as written into first entries.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Replicas that are granted every scope.
    #[must_use]
    pub fn peers(&self) -> &[Peer] {
        &self.known.peers
    }

    /// The scope of a patient.
    #[must_use]
    pub fn scope_of(&self, patient: &PatientId) -> Option<ScopeId> {
        self.known.patients.get(patient).copied()
    }

    /// How far a chain is held.
    #[must_use]
    pub fn head(&self, chain: ChainId) -> Option<Head> {
        self.known.heads.get(&chain).copied()
    }

    /// The replica that began a scope.
    #[must_use]
    pub fn creator_of(&self, scope: ScopeId) -> Option<ReplicaId> {
        self.known.scopes.get(&scope).map(|s| s.creator)
    }

    /// Heads of every chain in the scopes that `site` began: what is shared between that site and its hub.
    #[must_use]
    pub fn shared_heads(&self, site: ReplicaId) -> Vec<Head> {
        self.known.heads.values().filter(|h| self.creator_of(h.chain.scope) == Some(site)).copied().collect()
    }

    /// The set digest over the scopes that `site` began.
    #[must_use]
    pub fn digest(&self, site: ReplicaId) -> SetDigest {
        set_digest(&self.shared_heads(site))
    }

    /// A signed receipt to `to` for all chains in the scopes that `site` began.
    #[must_use]
    pub fn receipt(&self, site: ReplicaId, to: ReplicaId, now: Now) -> Receipt {
        let heads = self.shared_heads(site);
        let digest: Hash = set_digest(&heads).all;
        Receipt::sign(&self.identity, to, now.wall, heads, digest)
    }

    /// Entries this replica has written, in all its runs.
    #[must_use]
    pub fn written(&self) -> u64 {
        let me = self.id();
        self.known.heads.values().filter(|h| h.chain.author == me).map(|h| h.next).sum()
    }

    /// How many of the entries this replica has written lie within a receipt.
    #[must_use]
    pub fn covered(&self, receipt: &Receipt) -> u64 {
        let me = self.id();
        let held = receipt.heads.iter().filter(|h| h.chain.author == me);
        held.map(|h| self.known.heads.get(&h.chain).map_or(0, |own| own.next.min(h.next))).sum()
    }

    /// All bindings, from the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn bindings(store: &mut dyn Store) -> Result<Bindings, StoreError> {
        let mut bindings = Bindings::default();
        for (hlc, binding) in store.begin()?.bindings()? {
            bindings.apply(hlc, binding);
        }
        Ok(bindings)
    }
}

impl Known {
    fn load(tx: &mut dyn Transaction, me: ReplicaId, now: Now) -> Result<Self, StoreError> {
        let mut known = Self::default();
        for scope in tx.scopes()? {
            known.learn_scope(scope);
        }
        let mut heads = BTreeMap::new();
        for head in tx.heads()? {
            heads.insert(head.chain, head);
        }
        known.heads = Arc::new(heads);
        if let Some(bytes) = tx.value(PEERS)? {
            known.peers = postcard::from_bytes(&bytes).map_err(|e| damaged("values.peers", &e))?;
        }
        for head in known.heads.values().copied().collect::<Vec<_>>() {
            if let Some(entry) = tx.entry(head.chain, 0)?
                && let Ok(Body::RunStart(start)) = apply::open(&known.scopes, &entry.header, &entry.payload)
            {
                known.learn_run(head.chain, &start);
            }
            // The writer's clock may have stepped back while it was down; stamps must still rise.
            if let Some(last) = tx.entry(head.chain, head.next.saturating_sub(1))? {
                let stamp = last.header.hlc;
                known.hlc = if head.chain.author == me { known.hlc.max(stamp) } else { known.hlc.observe(stamp, now) };
            }
        }
        Ok(known)
    }

    fn own(&self, me: ReplicaId, role: ScopeRole) -> Option<ScopeId> {
        self.scopes.values().find(|s| s.creator == me && s.role == Some(role)).map(|s| s.id)
    }

    fn learn_scope(&mut self, scope: Scope) {
        if let Some(patient) = &scope.patient {
            Arc::make_mut(&mut self.patients).insert(patient.clone(), scope.id);
        }
        Arc::make_mut(&mut self.scopes).insert(scope.id, scope);
    }

    fn learn_run(&mut self, chain: ChainId, start: &record::ledger::body::RunStart) {
        for head in &start.continues {
            if head.chain.author == chain.author && head.chain.scope == chain.scope && head.chain.run != chain.run {
                let next = Arc::make_mut(&mut self.continued).entry(head.chain).or_default();
                *next = (*next).max(head.next);
            }
        }
    }
}

fn damaged(what: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), why: why.to_string() }
}
