//! Writing: drafts become sealed, signed entries in one durable transaction.

use super::apply::{self, Changes, Failed};
use super::{Known, Peer, Replica, own_scope};
use crate::commit::{Commit, Committed, OWN_VALUES};
use crate::entropy::{Entropy, bytes};
use crate::store::{State, Store, StoreError, Transaction};
use record::document::{self, DocumentError};
use record::id::{GroupId, PatientId, ReplicaId, ResourceId, RunId, ScopeId};
use record::ledger::body::{Act, Body, DocumentEvent, Erasure, RunStart};
use record::ledger::chain::STRETCH_LIMIT;
use record::ledger::entry::{VERSION, sha256};
use record::ledger::grant::{self, ScopeRole};
use record::ledger::seal::{self, Place, SealError};
use record::ledger::{ChainId, Head, Header, Identity, ScopeKey, Stretch};
use record::series::encode_tick;
use record::time::Now;
use std::collections::BTreeMap;

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
    /// The patient's record has been erased, or handed over to another site.
    #[error("the record of {0} is closed here: it was erased or handed over to another site")]
    Closed(String),
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

/// Payload bytes after which a stretch is signed and another begun.
const STRETCH_BYTES: usize = 256 << 10;
/// Bytes of document events after which an entry is closed and another begun.
const EVENTS_BYTES: usize = 256 << 10;

/// Entries of one chain, not yet signed.
struct Open {
    head: Head,
    headers: Vec<Header>,
    payloads: Vec<Vec<u8>>,
}

/// Document events of one scope that will be one entry.
#[derive(Default)]
struct Pending {
    events: Vec<DocumentEvent>,
    bytes: usize,
}

/// Makes entries of what is to be written; see the functions of `draft` for what each draft becomes.
pub(super) struct Writer<'a> {
    pub tx: &'a mut dyn Transaction,
    pub known: Known,
    pub identity: &'a Identity,
    pub run: RunId,
    program: &'a str,
    act: &'a Act,
    pub now: Now,
    group: Option<GroupId>,
    chains: BTreeMap<ChainId, Open>,
    pending: BTreeMap<ScopeId, Pending>,
    changes: Changes,
}

impl Replica {
    /// Writes a commit: what it does to the documents of a scope as one entry, every other draft as one, the tick into the
    /// journal; all in one durable transaction.
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
        self.write(store, now, entropy, &commit.act, |writer, entropy| {
            // One act of several entries is told as one; a document alone needs no such tie.
            let one_place = commit.drafts.windows(2).all(|two| two[0].place().is_some() && two[0].place() == two[1].place());
            writer.group = (commit.drafts.len() > 1 && !one_place).then(|| GroupId(bytes(entropy)));
            for draft in &commit.drafts {
                writer.draft(draft, entropy)?;
            }
            let tick = if commit.tick.is_empty() {
                None
            } else {
                let [numerics, waves] = encode_tick(&commit.tick);
                Some(writer.tx.put_tick(&numerics, &waves)?)
            };
            for (key, value) in commit.values.iter().filter(|(key, _)| key.starts_with(OWN_VALUES)) {
                writer.tx.put_value(key, value)?;
            }
            for (waves, through) in [false, true].into_iter().zip(commit.drop_ticks_through) {
                if let Some(through) = through {
                    writer.tx.drop_ticks(waves, through)?;
                }
            }
            Ok(tick)
        })
    }

    /// One durable transaction of a writer; gives what it wrote, with the tick that `work` yields.
    pub(super) fn write(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        entropy: &mut dyn Entropy,
        act: &Act,
        work: impl FnOnce(&mut Writer<'_>, &mut dyn Entropy) -> Result<Option<u64>, CommitError>,
    ) -> Result<Committed, CommitError> {
        let mut tx = store.begin()?;
        let (known, committed) = {
            let mut writer = Writer {
                tx: tx.as_mut(),
                known: self.known.clone(),
                identity: &self.identity,
                run: self.run,
                program: &self.program,
                act,
                now,
                group: None,
                chains: BTreeMap::new(),
                pending: BTreeMap::new(),
                changes: Changes::default(),
            };
            let tick = work(&mut writer, entropy)?;
            writer.finish(tick, entropy)?
        };
        tx.commit()?;
        self.known = known;
        Ok(committed)
    }
}

impl Writer<'_> {
    /// Begins a scope of this replica's own and grants it to everyone who has all of them.
    pub fn begin(&mut self, role: ScopeRole, entropy: &mut dyn Entropy) -> Result<ScopeId, CommitError> {
        let me = self.identity.replica();
        let scope = own_scope(ScopeId::begun_by(me, bytes(entropy)), role, me, ScopeKey(bytes(entropy)), self.known.hlc);
        let id = scope.id;
        self.tx.put_scope(&scope)?;
        self.known.learn_scope(scope);
        for peer in self.known.peers.clone() {
            if !self.known.is_revoked(me, peer.replica) {
                self.grant(id, &peer, entropy)?;
            }
        }
        Ok(id)
    }

    /// Wraps a scope's key for a peer, in the scope itself.
    pub fn grant(&mut self, scope: ScopeId, peer: &Peer, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let Some((opening, true)) = self.known.scopes.get(&scope).and_then(|s| Some((s.opening()?, !s.access.is_erased()))) else {
            return Ok(());
        };
        // A grant given again must come after the one before it, however its giver's clock stands.
        let before = self.known.scopes.get(&scope).and_then(|s| s.access.granted(peer.replica));
        self.known.hlc = self.known.hlc.max(before.unwrap_or_default());
        let grant = grant::wrap(&opening, peer.replica, &peer.seal_public, bytes(entropy))?;
        self.add(scope, &Body::Grant(grant), entropy)
    }

    /// Orders all who take part to destroy a scope.
    pub fn order_erasure(&mut self, scope: ScopeId, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let members = self.known.scopes.get(&scope).map(|s| s.access.all()).unwrap_or_default();
        self.add(scope, &Body::Erasure(Erasure::Ordered { members }), entropy)
    }

    /// Adds an event to the entry that the commit will make of this scope's documents.
    pub fn event(&mut self, scope: ScopeId, event: DocumentEvent, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let bytes = match &event {
            DocumentEvent::Genesis(genesis) => genesis.json.len(),
            DocumentEvent::Change(change) => change.changes.iter().map(Vec::len).sum(),
            DocumentEvent::Acknowledgement(_) => 64,
        };
        if self.pending.get(&scope).is_some_and(|pending| pending.bytes + bytes > EVENTS_BYTES) {
            self.flush(scope, entropy)?;
        }
        let pending = self.pending.entry(scope).or_default();
        pending.bytes += bytes;
        pending.events.push(event);
        Ok(())
    }

    /// Writes the events that wait for a scope, so that what follows can build on them.
    pub fn flush(&mut self, scope: ScopeId, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        match self.pending.remove(&scope) {
            Some(pending) => self.add(scope, &Body::Documents(pending.events), entropy),
            None => Ok(()),
        }
    }

    /// Whether events wait for a document.
    pub fn is_pending(&self, scope: ScopeId, resource_type: &str, id: &ResourceId) -> bool {
        let same = |event: &DocumentEvent| document::address(event) == (resource_type, id);
        self.pending.get(&scope).is_some_and(|pending| pending.events.iter().any(same))
    }

    /// Writes the events that wait for a document's scope, so that what follows sees the document as it will be.
    pub fn flush_document(&mut self, resource_type: &str, id: &ResourceId, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let scopes: Vec<ScopeId> = self.pending.keys().copied().collect();
        for scope in scopes {
            if self.is_pending(scope, resource_type, id) {
                self.flush(scope, entropy)?;
            }
        }
        Ok(())
    }

    /// Adds an entry to this run's chain of the scope, beginning the chain if need be, and applies it to the views.
    pub fn add(&mut self, scope: ScopeId, body: &Body, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let me = self.identity.replica();
        let chain = ChainId { scope, author: me, run: self.run };
        if !self.chains.contains_key(&chain) {
            let head = self.known.heads.get(&chain).copied().unwrap_or_else(|| Head::empty(chain));
            let site = self.own(ScopeRole::Site)?;
            let spine = ChainId { scope: site, ..chain };
            if scope != site && !self.known.heads.contains_key(&spine) && !self.chains.contains_key(&spine) {
                // A run tells in the site scope what it continues before it writes anywhere, so that a restored backup shows.
                self.begin_run(spine, entropy)?;
            }
            self.chains.insert(chain, Open { head, headers: Vec::new(), payloads: Vec::new() });
            if head.next == 0 {
                self.begin_run(chain, entropy)?;
            }
        }
        self.known.hlc = self.known.hlc.tick(self.now);
        let key = if body.kind().is_open() { None } else { Some(self.key_of(scope)?) };
        let Some(open) = self.chains.get_mut(&chain) else { return Ok(()) };
        let place = Place { author: chain.author, run: chain.run, scope, seq: open.head.next, kind: body.kind() };
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
        let mut apply =
            apply::Applying { tx: self.tx, known: &mut self.known, identity: self.identity, now: self.now, changes: &mut self.changes };
        apply.body(&header, self.act, body)?;
        Ok(())
    }

    /// The first entries of this run in a scope: what it continues; and in a new scope its creator's own grant, which names the
    /// creator, and where a replica restored from a backup finds the key.
    fn begin_run(&mut self, chain: ChainId, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let (me, scope) = (chain.author, chain.scope);
        self.chains.entry(chain).or_insert_with(|| Open { head: Head::empty(chain), headers: Vec::new(), payloads: Vec::new() });
        let of_scope = || self.known.heads.range(first_of(scope)..).take_while(|(id, _)| id.scope == scope).map(|(_, head)| head);
        let first = of_scope().next().is_none();
        // Runs that a later run already continues need not be named again: what that one says covers them.
        let uncovered = |h: &&Head| self.known.continued.get(&h.chain).is_none_or(|next| *next < h.next);
        let continues = of_scope().filter(|h| h.chain.author == me).filter(uncovered).copied().collect();
        let site = self.known.own(me, ScopeRole::Site) == Some(scope);
        let written = site.then(|| self.known.heads.values().filter(|h| h.chain.author == me).map(|h| h.next).sum());
        // In an erased scope there is no key to say it with.
        if self.known.scopes.get(&scope).is_some_and(|s| s.key.is_some()) {
            let start = RunStart { continues, program: self.program.to_owned(), written };
            self.add(scope, &Body::RunStart(start), entropy)?;
        }
        if first {
            let own = Peer { replica: me, seal_public: self.identity.seal_public(), role: super::PeerRole::Neighbour };
            self.grant(scope, &own, entropy)?;
        }
        Ok(())
    }

    fn key_of(&self, scope: ScopeId) -> Result<(u32, ScopeKey), CommitError> {
        let key = self.known.scopes.get(&scope).and_then(|s| s.key.clone());
        key.ok_or_else(|| CommitError::Closed(format!("scope {scope}")))
    }

    fn finish(mut self, tick: Option<u64>, entropy: &mut dyn Entropy) -> Result<(Known, Committed), CommitError> {
        for scope in self.pending.keys().copied().collect::<Vec<_>>() {
            self.flush(scope, entropy)?;
        }
        let mut committed = Committed { tick, documents: self.changes.documents, closed: self.changes.closed, ..Committed::default() };
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
                    let arrival = self.tx.append(&stretch, head, State::Done, self.now.wall)?;
                    self.known.learn_head(head, arrival);
                    (stretch.headers, stretch.payloads, bytes) = (Vec::new(), Vec::new(), 0);
                }
            }
            committed.heads.push(head);
            if self.known.scopes.get(&chain.scope).is_some_and(|s| s.access.is_erased()) {
                self.tx.clear(chain.scope, State::Erased)?;
            }
        }
        Ok((self.known, committed))
    }
}

fn first_of(scope: ScopeId) -> ChainId {
    ChainId { scope, author: ReplicaId([0; 32]), run: RunId([0; 8]) }
}
