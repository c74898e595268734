//! Taking in what a peer sends: headers verified chain by chain, payloads checked against them and applied. A stretch that is
//! refused stops its own chain only.

use super::apply::{Applying, Changes};
use super::configuration::Standing;
use super::{Known, Replica, shed};
use crate::access::Access;
use crate::commit::DocumentState;
use crate::store::{DeadLetter, Incident, Scope, State, Store, StoreError, Transaction};
use crate::wire::{Part, Refused as WireRefused};
use record::binding::Binding;
use record::id::{PatientId, ReplicaId, ScopeId};
use record::ledger::chain::ChainError;
use record::ledger::entry::{PAYLOAD_LIMIT, sha256};
use record::ledger::{ChainId, Head, Header, Hlc, Kind, Stretch};
use record::time::Now;
use std::collections::BTreeSet;

/// A stretch that was not taken, and why.
pub type Refused = WireRefused;

/// What came of what a peer sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Accepted {
    /// Entries whose headers are new here.
    pub entries: u64,
    /// Payloads that are new here.
    pub payloads: u64,
    /// Bytes of payloads that are new here, parts included.
    pub bytes: u64,
    /// Stretches not taken.
    pub refused: Vec<Refused>,
    /// Documents that changed.
    pub documents: Vec<DocumentState>,
    /// Versions of bindings that are new here.
    pub bindings: Vec<(Hlc, Binding)>,
    /// Patients whose record was closed: erased, or handed over.
    pub closed: Vec<PatientId>,
    /// What this replica's own site is to go by, if that changed.
    pub configured: Option<Standing>,
}

impl Accepted {
    /// Adds what came of a later message.
    pub fn extend(&mut self, later: Self) {
        self.entries += later.entries;
        self.payloads += later.payloads;
        self.bytes += later.bytes;
        self.refused.extend(later.refused);
        self.documents.extend(later.documents);
        self.bindings.extend(later.bindings);
        self.closed.extend(later.closed);
        self.configured = later.configured.or(self.configured.take());
    }

    /// Whether anything is new here.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.entries + self.payloads + self.bytes > 0
    }
}

impl Replica {
    /// Takes in stretches and parts of payloads; on return all that is not refused is durable.
    ///
    /// # Errors
    /// The store could not do it; nothing of it was kept.
    pub fn accept(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        peer: ReplicaId,
        stretches: &[Stretch],
        parts: &[Part],
    ) -> Result<Accepted, StoreError> {
        let mut tx = store.begin()?;
        let mut taking = Taking::new(self, tx.as_mut(), now, peer);
        taking.all(stretches, parts)?;
        let (known, accepted) = taking.finish();
        tx.commit()?;
        self.known = known;
        Ok(accepted)
    }
}

/// One transaction's taking in.
pub(crate) struct Taking<'a> {
    pub tx: &'a mut dyn Transaction,
    pub known: Known,
    replica: &'a Replica,
    now: Now,
    peer: ReplicaId,
    changes: Changes,
    accepted: Accepted,
    /// Scopes in which a payload came that had been missing.
    filled: BTreeSet<ScopeId>,
}

enum Stopped {
    Store(StoreError),
    /// Incident kind, if it is one, and the reason.
    Refused(Option<&'static str>, String),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn refused(kind: &'static str, error: &ChainError) -> Stopped {
    // A gap is what a lost batch looks like; the next session fills it.
    let incident = if matches!(error, ChainError::Gap { .. }) { None } else { Some(kind) };
    Stopped::Refused(incident, error.to_string())
}

impl<'a> Taking<'a> {
    pub fn new(replica: &'a Replica, tx: &'a mut dyn Transaction, now: Now, peer: ReplicaId) -> Self {
        Self {
            tx,
            known: replica.known.clone(),
            replica,
            now,
            peer,
            changes: Changes::default(),
            accepted: Accepted::default(),
            filled: BTreeSet::new(),
        }
    }

    pub fn finish(self) -> (Known, Accepted) {
        let mut accepted = self.accepted;
        accepted.documents = self.changes.documents;
        accepted.bindings = self.changes.bindings;
        accepted.closed = self.changes.closed;
        accepted.configured = self.changes.configured;
        (self.known, accepted)
    }

    /// Whether anything was new so far.
    pub fn is_new(&self) -> bool {
        self.accepted.is_new()
    }

    /// Everyone else who takes part where a payload came that had been missing: what they were signed for says less than is held now.
    pub fn untold(&self) -> BTreeSet<ReplicaId> {
        let me = self.replica.id();
        let scopes = self.filled.iter().filter_map(|scope| self.known.scopes.get(scope));
        scopes.flat_map(|scope| scope.access.grants()).map(|(member, ..)| member).filter(|m| *m != me && *m != self.peer).collect()
    }

    pub fn all(&mut self, stretches: &[Stretch], parts: &[Part]) -> Result<(), StoreError> {
        let mut stopped: Vec<ChainId> = Vec::new();
        for stretch in stretches {
            let Some(chain) = stretch.chain().filter(|chain| !stopped.contains(chain)) else { continue };
            match self.stretch(chain, stretch) {
                Ok(()) => {}
                Err(Stopped::Store(error)) => return Err(error),
                Err(Stopped::Refused(kind, reason)) => {
                    // What merely comes too early stops nothing: what it follows may be in the same message.
                    if let Some(kind) = kind {
                        stopped.push(chain);
                        let detail = format!("scope {}, run {}: {reason}", chain.scope, chain.run);
                        self.tx.put_incident(&Incident {
                            author: self.peer,
                            kind: kind.to_owned(),
                            detail,
                            at: self.now.wall,
                            closed: None,
                        })?;
                    }
                    let seq = stretch.headers.first().map_or(0, |h| h.seq);
                    self.accepted.refused.push(Refused { chain, seq, reason });
                }
            }
        }
        parts.iter().try_for_each(|part| self.part(part))
    }

    fn stretch(&mut self, chain: ChainId, stretch: &Stretch) -> Result<(), Stopped> {
        let begins = self.permit(chain, stretch)?;
        let head = self.known.heads.get(&chain).copied().unwrap_or_else(|| Head::empty(chain));
        let first = stretch.headers.first().map_or(0, |h| h.seq);
        if first > head.next {
            return Err(refused("broken-chain", &ChainError::Gap { expected: head.next, got: first }));
        }
        let before = match first.checked_sub(1) {
            None => chain.root(),
            Some(_) if first == head.next => head.hash,
            Some(seq) => {
                self.tx.header_hash(chain, seq)?.ok_or_else(|| refused("broken-chain", &ChainError::Gap { expected: seq, got: first }))?
            }
        };
        let end = stretch.verify(Head { chain, next: first, hash: before }).map_err(|e| refused("broken-chain", &e))?;
        // What is held already must be the very same entries; a payload that was missing may come with them.
        let (mut hash, mut late) = (before, Vec::new());
        for (header, payload) in stretch.headers.iter().zip(&stretch.payloads).take_while(|(h, _)| h.seq < head.next) {
            hash = header.hash(hash);
            if self.tx.header_hash(chain, header.seq)? != Some(hash) {
                return Err(refused("fork", &ChainError::Fork { seq: header.seq }));
            }
            if !payload.is_empty() {
                late.push((header, payload));
            }
        }
        for (header, payload) in late {
            let wanted = self.tx.entry(chain, header.seq)?.is_some_and(|e| matches!(e.state, State::Wanted | State::Absent));
            if wanted {
                self.payload(header, payload)?;
            }
        }
        if end.next <= head.next {
            return Ok(());
        }
        let skip = usize::try_from(head.next - first).unwrap_or(usize::MAX);
        let fresh = Stretch {
            headers: stretch.headers.get(skip..).unwrap_or_default().to_vec(),
            payloads: stretch.payloads.get(skip..).unwrap_or_default().to_vec(),
            signature: stretch.signature,
        };
        if let Some(scope) = begins {
            self.tx.put_scope(&scope)?;
            self.known.learn_scope(scope);
        }
        let arrival = self.tx.append(&fresh, end, State::Waiting, self.now.wall)?;
        self.known.learn_head(end, arrival);
        self.accepted.entries += fresh.headers.len() as u64;
        let named_only = fresh.payloads.iter().any(Vec::is_empty);
        let given_up = if named_only { shed::spans(self.tx, chain)? } else { Vec::new() };
        for (header, payload) in fresh.headers.iter().zip(&fresh.payloads) {
            self.known.hlc = self.known.hlc.observe(header.hlc, self.now);
            if let Some(state) = self.closed(header) {
                self.tx.mark(chain, header.seq, state)?;
            } else if !payload.is_empty() {
                self.accepted.payloads += 1;
                self.accepted.bytes += payload.len() as u64;
                let state = self.applying().entry(header, payload)?;
                if state != State::Waiting {
                    self.tx.mark(chain, header.seq, state)?;
                }
            } else if given_up.iter().any(|(from, to)| (*from..*to).contains(&header.seq)) {
                self.tx.mark(chain, header.seq, State::Shed)?;
            }
        }
        Ok(())
    }

    /// The state of an entry whose payload is not kept: its scope was erased, or has been left.
    fn closed(&self, header: &Header) -> Option<State> {
        let access = &self.known.scopes.get(&header.scope)?.access;
        let me = self.replica.id();
        match header.kind {
            kind if kind.outlives_scope() => None,
            _ if access.is_erased() => Some(State::Erased),
            // Whoever has left hears only of being asked back.
            Kind::GRANT => None,
            _ => access.has_left(me).then_some(State::Dropped),
        }
    }

    fn applying(&mut self) -> Applying<'_> {
        Applying { tx: self.tx, known: &mut self.known, identity: &self.replica.identity, now: self.now, changes: &mut self.changes }
    }

    /// Keeps and applies the payload of an entry whose header is held; the caller has checked its hash.
    fn payload(&mut self, header: &Header, payload: &[u8]) -> Result<(), StoreError> {
        let chain = header.chain();
        self.tx.put_payload(chain, header.seq, payload, State::Waiting)?;
        self.tx.drop_dead_letter(chain, header.seq)?;
        self.accepted.payloads += 1;
        self.filled.insert(chain.scope);
        let state = self.applying().entry(header, payload)?;
        if state != State::Waiting {
            self.tx.mark(chain, header.seq, state)?;
        }
        Ok(())
    }

    /// A piece of a wanted payload: kept until it is whole, then checked and applied. Pieces that do not follow are left out;
    /// whoever sent them is asked again from where we are.
    fn part(&mut self, part: &Part) -> Result<(), StoreError> {
        let Some(entry) = self.tx.entry(part.chain, part.seq)? else { return Ok(()) };
        if !matches!(entry.state, State::Wanted | State::Absent) || entry.header.len > PAYLOAD_LIMIT {
            return Ok(());
        }
        let mut bytes = if part.offset == 0 { Vec::new() } else { self.tx.part(part.chain, part.seq)? };
        if bytes.len() as u64 != part.offset || bytes.len() + part.bytes.len() > entry.header.len as usize {
            return Ok(());
        }
        bytes.extend_from_slice(&part.bytes);
        self.accepted.bytes += part.bytes.len() as u64;
        if bytes.len() < entry.header.len as usize {
            return self.tx.put_part(part.chain, part.seq, &bytes);
        }
        if sha256(&[&bytes]) == entry.header.payload_hash {
            return self.payload(&entry.header, &bytes);
        }
        // Begun again from its first byte.
        let detail = format!("scope {}, run {}, entry {}: other bytes than its header names", part.chain.scope, part.chain.run, part.seq);
        self.tx.put_incident(&Incident {
            author: self.peer,
            kind: "unreadable-payload".to_owned(),
            detail,
            at: self.now.wall,
            closed: None,
        })?;
        self.tx.mark(part.chain, part.seq, State::Wanted)
    }

    /// The peer does not have a payload and will not. Whoever has a hub asks it before giving up: a neighbour may have dropped
    /// what the hub holds.
    pub fn absent(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError> {
        if self.tx.entry(chain, seq)?.is_none_or(|entry| entry.state != State::Wanted) {
            return Ok(());
        }
        self.tx.mark(chain, seq, State::Absent)?;
        // Whoever has left a scope has dropped it; those who take part are asked yet.
        let me = self.replica.id();
        let asked_yet = |access: &Access| access.has_left(self.peer) && access.members().any(|member| member != me);
        if self.known.scopes.get(&chain.scope).is_some_and(|scope| asked_yet(&scope.access)) {
            return Ok(());
        }
        if self.known.is_before_hub() || self.known.hub().is_some_and(|hub| hub != self.peer) {
            return Ok(());
        }
        let reason = format!("its payload is not held by {} any more", self.peer);
        self.tx.put_dead_letter(&DeadLetter { chain, seq, reason: reason.clone() })?;
        let detail = format!("scope {}, run {}, entry {seq}: {reason}", chain.scope, chain.run);
        self.tx.put_incident(&Incident { author: chain.author, kind: "absent-payload".to_owned(), detail, at: self.now.wall, closed: None })
    }

    /// Whether this stretch may be taken; gives the scope to begin if it is seen for the first time. Its key comes with its
    /// grants. Once a scope is known, who brings an entry does not matter, only who wrote it: a neighbour may bring what the
    /// creator wrote before its own grant, which stands further on in the same chain, has been read here.
    fn permit(&self, chain: ChainId, stretch: &Stretch) -> Result<Option<Scope>, Stopped> {
        let me = self.replica.id();
        let from_hub = self.known.hub() == Some(self.peer);
        let Some(scope) = self.known.scopes.get(&chain.scope) else {
            let neighbour = self.known.peers.iter().any(|p| p.replica == self.peer);
            // A member relays what another one began; whose it is, the scope's id tells.
            let relayed = self.known.is_hub(me, me) && chain.scope.is_begun_by(chain.author);
            if chain.author == self.peer || from_hub || neighbour || relayed {
                let (id, creator) = (chain.scope, chain.author);
                return Ok(Some(Scope { id, role: None, creator, key: None, patient: None, access: Access::default() }));
            }
            return Err(Stopped::Refused(None, format!("scope {} is not known here", chain.scope)));
        };
        if chain.author != me && !self.known.takes_part(chain) {
            return Err(Stopped::Refused(None, format!("{} is not known to take part in scope {}", chain.author, chain.scope)));
        }
        match stretch.headers.iter().find(|h| !self.known.may_write(scope, me, h.author, h.kind)) {
            Some(header) => {
                let kind = if self.known.is_before_hub() { None } else { Some("broken-chain") };
                Err(Stopped::Refused(kind, format!("entry {}: kind {} is the site's own to write", header.seq, header.kind.0)))
            }
            None => Ok(None),
        }
    }
}
