//! A replica: its identity, what it holds, and the two ways anything is added — [`Replica::commit`] for what is written here,
//! [`Replica::take_in`] for what peers send.

mod accept;
mod apply;
mod configuration;
mod draft;
pub(crate) mod duties;
mod index;
mod known;
mod membership;
mod read;
mod series;
mod shed;
mod unsealed;
mod write;

pub use accept::{Accepted, Refused};
pub use configuration::{CONFIGURATIONS_MAX, ConfigureError, Standing, standing};
pub use duties::{Retention, Scrubbed};
pub use membership::{Handover, MembershipError, Transfer};
pub use read::{MANUAL, Vitals, documents_of, frames_of, parts_of, patient_scope};
pub use series::{Asked, SeriesReader};
pub use write::CommitError;

use read::is_by_hand;
pub(crate) use series::Sought;

pub(crate) use accept::Taking;
pub(crate) use known::Known;
pub use known::LOG;

use crate::entropy::{Entropy, bytes};
use crate::store::{DocumentFilter, Scope, Store, StoreError};
use record::binding::Bindings;
use record::document::{StateDigest, state_digest};
use record::fhir::resources::RESOURCES;
use record::id::{PatientId, ReplicaId, RunId, ScopeId};
use record::ledger::grant::ScopeRole;
use record::ledger::{ChainId, Head, Identity, ScopeKey, SetDigest, set_digest};
use record::time::Now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Documents read at once for a state digest.
const DIGEST_BATCH: usize = 1000;

/// Another replica that is granted every scope of this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub replica: ReplicaId,
    /// Its X25519 public key.
    pub seal_public: [u8; 32],
    /// What it is to this one.
    pub role: PeerRole,
}

/// What a peer is to a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PeerRole {
    /// Its hub: may open scopes of other sites to it, end memberships, order erasures, revoke.
    Hub,
    /// Another box of the same clinic.
    Neighbour,
}

/// A replica of the ledger, over a store given with each call.
#[derive(Debug)]
pub struct Replica {
    pub(crate) identity: Identity,
    pub(crate) run: RunId,
    pub(crate) program: String,
    pub(crate) known: Known,
    /// Peers that have heard in this run which program this is.
    pub(crate) introduced: BTreeSet<ReplicaId>,
}

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
        let mut known = Known::load(tx.as_mut(), me, now, entropy)?;
        known.hlc = known.hlc.tick(now);
        for role in [ScopeRole::Site, ScopeRole::Unassigned, ScopeRole::Audit] {
            if known.own(me, role).is_none() {
                let scope = own_scope(ScopeId::begun_by(me, bytes(entropy)), role, me, ScopeKey(bytes(entropy)), known.hlc);
                tx.put_scope(&scope)?;
                known.learn_scope(scope);
            }
        }
        tx.commit()?;
        Ok(Self { identity, run, program: program.to_owned(), known, introduced: BTreeSet::new() })
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

    /// A scope as it is known.
    #[must_use]
    pub fn scope(&self, scope: ScopeId) -> Option<&Scope> {
        self.known.scopes.get(&scope)
    }

    /// How far a chain is known.
    #[must_use]
    pub fn head(&self, chain: ChainId) -> Option<Head> {
        self.known.heads.get(&chain).copied()
    }

    /// The replica that began a scope.
    #[must_use]
    pub fn creator_of(&self, scope: ScopeId) -> Option<ReplicaId> {
        self.known.scopes.get(&scope).map(|s| s.creator)
    }

    /// Heads of every chain of the scopes in which both this replica and `peer` take part.
    #[must_use]
    pub fn shared_heads(&self, peer: ReplicaId) -> Vec<Head> {
        self.known.shared_heads(self.id(), peer)
    }

    /// The set digest over the scopes in which both this replica and `peer` take part.
    #[must_use]
    pub fn digest(&self, peer: ReplicaId) -> SetDigest {
        set_digest(&self.shared_heads(peer))
    }

    /// What the documents of the scopes shared with `peer` show, and how many they are: equal on both ends once both hold the same
    /// set, by one version of the policies. Of scopes without a key here, and after an erasure, nothing can be compared: `None`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn state_digest(&self, store: &mut dyn Store, peer: ReplicaId) -> Result<Option<(StateDigest, u64)>, StoreError> {
        let me = self.id();
        let shared: Vec<&Scope> = self.known.scopes.values().filter(|s| self.known.is_shared(s, me, peer)).collect();
        if shared.iter().any(|s| s.access.is_erased() || s.key.is_none()) {
            return Ok(None);
        }
        let mut tx = store.begin()?;
        let mut shown = Vec::new();
        for scope in shared {
            for row in RESOURCES {
                let mut filter = DocumentFilter { resource_type: row.name.to_owned(), scope: Some(scope.id), ..DocumentFilter::default() };
                filter.limit = DIGEST_BATCH;
                loop {
                    let batch = tx.documents(&filter)?;
                    let full = batch.len() == filter.limit;
                    filter.after = batch.last().map(|d| d.id.to_string());
                    shown.extend(batch.into_iter().map(|d| (row.name, d.id, d.json)));
                    if !full {
                        break;
                    }
                }
            }
        }
        let digest = state_digest(shown.iter().map(|(kind, id, json)| (*kind, id.as_str(), json.as_str())));
        Ok(Some((digest, shown.len() as u64)))
    }

    /// Entries this replica has written, in all its runs.
    #[must_use]
    pub fn written(&self) -> u64 {
        let me = self.id();
        self.known.heads.values().filter(|h| h.chain.author == me).map(|h| h.next).sum()
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

/// A scope as its creator begins it.
fn own_scope(id: ScopeId, role: ScopeRole, me: ReplicaId, key: ScopeKey, at: record::ledger::Hlc) -> Scope {
    let mut access = crate::access::Access::default();
    access.grant(me, at, me);
    Scope { id, role: Some(role), creator: me, key: Some((1, key)), patient: None, access }
}

/// What an entry says, if it is here and can be read.
pub(crate) fn read_body(known: &Known, entry: &crate::store::Entry) -> Option<record::ledger::Body> {
    if entry.state.holds() { apply::open(&known.scopes, &entry.header, &entry.payload).ok().map(|(_, body)| body) } else { None }
}

fn damaged(what: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), why: why.to_string() }
}
