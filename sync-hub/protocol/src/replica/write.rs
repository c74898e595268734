//! Writing: drafts become sealed, signed entries in one durable transaction.

use super::apply::{self, Changes, Failed};
use super::{Known, PEERS, Peer, Replica};
use crate::commit::{Commit, Committed, Draft, Where};
use crate::entropy::{Entropy, bytes};
use crate::store::{Applied, Scope, Store, StoreError, Transaction};
use record::document::{self, Document, DocumentError};
use record::id::{GroupId, PatientId, RunId, ScopeId, new_resource_id};
use record::ledger::body::{Acknowledgement, Act, Body, Change, RunStart};
use record::ledger::chain::STRETCH_LIMIT;
use record::ledger::entry::{VERSION, sha256};
use record::ledger::grant::{self, ScopeRole};
use record::ledger::seal::{self, Place, SealError};
use record::ledger::{ChainId, Head, Header, Identity, ScopeKey, Stretch};
use record::series::encode_tick;
use record::time::Now;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why nothing of a commit was written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No such patient here.
    #[error("no patient {0} is known here")]
    UnknownPatient(PatientId),
    /// No such document here.
    #[error("no {0} is known here")]
    UnknownDocument(String),
    /// The id is taken.
    #[error("{0} exists already")]
    Exists(String),
    /// Somebody else has written since.
    #[error("{what} is at version {actual}, not {expected}: read it again and repeat the change")]
    Version {
        /// Which document.
        what: String,
        /// As stated by the writer.
        expected: String,
        /// As it is.
        actual: String,
    },
    /// The resource cannot be kept.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The resource has no usable type or id.
    #[error("the resource's {0} is missing or malformed")]
    Resource(&'static str),
    /// Too large to seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A grant cannot be made.
    #[error(transparent)]
    Grant(#[from] grant::GrantError),
    /// The content cannot be applied.
    #[error("{0}")]
    Content(String),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Failed> for CommitError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Store(error) => Self::Store(error),
            Failed::Content(why) => Self::Content(why),
        }
    }
}

/// Payload bytes after which a stretch is signed and another begun: what must cross a slow line in one piece.
const STRETCH_BYTES: usize = 256 << 10;

/// Entries of one chain, not yet signed.
struct Open {
    head: Head,
    headers: Vec<Header>,
    payloads: Vec<Vec<u8>>,
}

struct Writer<'a> {
    tx: &'a mut dyn Transaction,
    known: Known,
    identity: &'a Identity,
    run: RunId,
    program: &'a str,
    act: &'a Act,
    now: Now,
    group: Option<GroupId>,
    chains: BTreeMap<ChainId, Open>,
    changes: Changes,
}

impl Replica {
    /// Writes a commit: every draft as an entry, the tick into the journal, all in one durable transaction.
    ///
    /// # Errors
    /// Nothing was written; the reason names the draft's subject.
    pub fn commit(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        commit: &Commit,
    ) -> Result<Committed, CommitError> {
        let mut tx = store.begin()?;
        let (known, committed) = {
            let group = (commit.drafts.len() > 1).then(|| GroupId(bytes(entropy)));
            let mut writer = self.writer(tx.as_mut(), &commit.act, now, group);
            for draft in &commit.drafts {
                writer.draft(draft, entropy)?;
            }
            let tick = if commit.tick.is_empty() { None } else { Some(writer.tx.put_tick(&encode_tick(&commit.tick))?) };
            if let Some(through) = commit.drop_ticks_through {
                writer.tx.drop_ticks(through)?;
            }
            writer.finish(tick)?
        };
        tx.commit()?;
        self.known = known;
        Ok(committed)
    }

    /// Grants every scope of this replica to a peer, now and from now on.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn admit(&mut self, store: &mut dyn Store, now: Now, entropy: &mut dyn Entropy, peer: Peer) -> Result<Committed, CommitError> {
        let mut tx = store.begin()?;
        let (known, committed) = {
            let act = Act::system();
            let mut writer = self.writer(tx.as_mut(), &act, now, None);
            writer.known.peers.retain(|p| p.replica != peer.replica);
            writer.known.peers.push(peer);
            let peers = postcard::to_stdvec(&writer.known.peers).map_err(|e| super::damaged("values.peers", &e))?;
            writer.tx.put_value(PEERS, &peers)?;
            let me = writer.identity.replica();
            let own: Vec<Scope> = writer.known.scopes.values().filter(|s| s.creator == me).cloned().collect();
            for scope in own {
                writer.grant(&scope, peer, entropy)?;
            }
            writer.finish(None)?
        };
        tx.commit()?;
        self.known = known;
        Ok(committed)
    }

    fn writer<'a>(&'a self, tx: &'a mut dyn Transaction, act: &'a Act, now: Now, group: Option<GroupId>) -> Writer<'a> {
        Writer {
            tx,
            known: self.known.clone(),
            identity: &self.identity,
            run: self.run,
            program: &self.program,
            act,
            now,
            group,
            chains: BTreeMap::new(),
            changes: Changes::default(),
        }
    }
}

impl Writer<'_> {
    fn draft(&mut self, draft: &Draft, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        match draft {
            Draft::Create { place, resource } => self.create(place, resource, entropy),
            Draft::Update { resource_type, id, elements, if_match } => {
                let what = format!("{resource_type}/{id}");
                let held = self.tx.document(resource_type, id)?.filter(|d| !d.json.is_empty());
                let held = held.ok_or_else(|| CommitError::UnknownDocument(what.clone()))?;
                if let Some(expected) = if_match.as_ref().filter(|v| **v != held.version) {
                    return Err(CommitError::Version { what, expected: expected.clone(), actual: held.version });
                }
                let parts: Document = postcard::from_bytes(&held.parts).map_err(|e| super::damaged("documents.parts", &e))?;
                let hlc = self.known.hlc.tick(self.now);
                let changes = parts.edit(self.identity.replica(), self.run, hlc, elements)?;
                if changes.is_empty() {
                    return Ok(());
                }
                let change = Change { resource_type: resource_type.clone(), id: id.clone(), changes };
                self.add(held.scope, &Body::Change(change))
            }
            Draft::Acknowledge { alert, by, at } => {
                let held = self.tx.document("DetectedIssue", alert)?;
                let scope = held.ok_or_else(|| CommitError::UnknownDocument(format!("DetectedIssue/{alert}")))?.scope;
                self.add(scope, &Body::Acknowledgement(Acknowledgement { alert: alert.clone(), by: by.clone(), at: *at }))
            }
            Draft::Bind(binding) => {
                let scope = self.place(&Where::Site)?;
                self.add(scope, &Body::Binding(binding.clone()))
            }
            Draft::Segment { place, segment } => {
                let scope = self.place(place)?;
                self.add(scope, &Body::Segment(segment.clone()))
            }
            Draft::Audit(events) => {
                let scope = self.own(ScopeRole::Audit)?;
                self.add(scope, &Body::Audit(events.clone()))
            }
        }
    }

    fn create(&mut self, place: &Where, resource: &Value, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let resource_type = resource.get("resourceType").and_then(Value::as_str).ok_or(CommitError::Resource("resourceType"))?;
        let id = match resource.get("id") {
            Some(id) => id.as_str().and_then(|id| id.parse().ok()).ok_or(CommitError::Resource("id"))?,
            None => new_resource_id(bytes(entropy)),
        };
        if self.tx.document(resource_type, &id)?.is_some_and(|d| !d.json.is_empty()) {
            return Err(CommitError::Exists(format!("{resource_type}/{id}")));
        }
        let genesis = document::genesis(resource_type, &id, resource)?;
        let scope = if resource_type == "Patient" { self.begin_patient(entropy)? } else { self.place(place)? };
        self.add(scope, &Body::Genesis(genesis))
    }

    fn begin_patient(&mut self, entropy: &mut dyn Entropy) -> Result<ScopeId, CommitError> {
        let scope = Scope {
            id: ScopeId(bytes(entropy)),
            role: Some(ScopeRole::Patient),
            creator: self.identity.replica(),
            key: Some((1, ScopeKey(bytes(entropy)))),
            patient: None,
        };
        self.tx.put_scope(&scope)?;
        self.known.learn_scope(scope.clone());
        // To itself too: a replica restored from a backup finds the keys of scopes begun since in its own site scope.
        let me = Peer { replica: self.identity.replica(), seal_public: self.identity.seal_public() };
        for peer in std::iter::once(me).chain(self.known.peers.clone()) {
            self.grant(&scope, peer, entropy)?;
        }
        Ok(scope.id)
    }

    fn grant(&mut self, scope: &Scope, peer: Peer, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let (Some((key_id, key)), Some(role)) = (&scope.key, scope.role) else { return Ok(()) };
        let grant = grant::wrap(scope.id, role, *key_id, key, peer.replica, &peer.seal_public, bytes(entropy))?;
        let site = self.own(ScopeRole::Site)?;
        self.add(site, &Body::Grant(grant))
    }

    fn own(&self, role: ScopeRole) -> Result<ScopeId, CommitError> {
        let own = self.known.own(self.identity.replica(), role);
        own.ok_or_else(|| StoreError::Other(format!("this replica has no {role:?} scope")).into())
    }

    fn place(&self, place: &Where) -> Result<ScopeId, CommitError> {
        match place {
            Where::Site => self.own(ScopeRole::Site),
            Where::Unassigned => self.own(ScopeRole::Unassigned),
            Where::Patient(patient) => {
                self.known.patients.get(patient).copied().ok_or_else(|| CommitError::UnknownPatient(patient.clone()))
            }
        }
    }

    /// Adds an entry to this run's chain of the scope, beginning the chain if need be, and applies it to the views.
    fn add(&mut self, scope: ScopeId, body: &Body) -> Result<(), CommitError> {
        let chain = ChainId { scope, author: self.identity.replica(), run: self.run };
        if !self.chains.contains_key(&chain) {
            let head = self.known.heads.get(&chain).copied().unwrap_or_else(|| Head::empty(chain));
            self.chains.insert(chain, Open { head, headers: Vec::new(), payloads: Vec::new() });
            if head.next == 0 {
                // Runs that a later run already continues need not be named again: what that one says covers them.
                let known = &self.known;
                let uncovered = |h: &&Head| known.continued.get(&h.chain).is_none_or(|next| *next < h.next);
                let earlier = known.heads.values().filter(|h| h.chain.scope == scope && h.chain.author == chain.author);
                let start = RunStart { continues: earlier.filter(uncovered).copied().collect(), program: self.program.to_owned() };
                self.add(scope, &Body::RunStart(start))?;
            }
        }
        self.known.hlc = self.known.hlc.tick(self.now);
        let Some(open) = self.chains.get_mut(&chain) else { return Ok(()) };
        let place = Place { author: chain.author, run: chain.run, scope, seq: open.head.next, kind: body.kind() };
        let key = self.known.scopes.get(&scope).and_then(|s| s.key.clone());
        // A grant protects itself and must be readable by whoever has no key yet.
        let key = if matches!(body, Body::Grant(_)) { None } else { key };
        let payload = seal::seal(key.as_ref().map(|(_, key)| key), &place, &body.encode(self.act))?;
        let header = Header {
            v: VERSION,
            author: chain.author,
            run: chain.run,
            scope,
            seq: open.head.next,
            key_id: key.as_ref().map_or(0, |(id, _)| *id),
            kind: body.kind(),
            hlc: self.known.hlc,
            group: self.group,
            payload_hash: sha256(&[&payload]),
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        };
        open.head = Head { chain, next: open.head.next + 1, hash: header.hash(open.head.hash) };
        open.headers.push(header.clone());
        open.payloads.push(payload);
        apply::body(self.tx, &mut self.known, self.identity, &header, body, self.now.wall, &mut self.changes)?;
        Ok(())
    }

    fn finish(mut self, tick: Option<u64>) -> Result<(Known, Committed), CommitError> {
        let mut committed = Committed { tick, documents: self.changes.documents, ..Committed::default() };
        for (chain, open) in self.chains {
            let mut head = self.known.heads.get(&chain).copied().unwrap_or_else(|| Head::empty(chain));
            committed.entries += open.headers.len() as u64;
            let mut stretch = Stretch { headers: Vec::new(), payloads: Vec::new(), signature: [0; 64] };
            let (mut bytes, mut left) = (0, open.headers.len());
            for (header, payload) in open.headers.into_iter().zip(open.payloads) {
                head = Head { chain, next: header.seq + 1, hash: header.hash(head.hash) };
                bytes += payload.len();
                left -= 1;
                stretch.headers.push(header);
                stretch.payloads.push(payload);
                if left == 0 || bytes >= STRETCH_BYTES || stretch.headers.len() == STRETCH_LIMIT {
                    stretch.signature = self.identity.sign_head(head.hash);
                    self.tx.append(&stretch, head, Applied::Done, self.now.wall)?;
                    (stretch.headers, stretch.payloads, bytes) = (Vec::new(), Vec::new(), 0);
                }
            }
            Arc::make_mut(&mut self.known.heads).insert(chain, head);
            committed.heads.push(head);
        }
        Ok((self.known, committed))
    }
}
