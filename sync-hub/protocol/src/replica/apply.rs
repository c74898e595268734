//! From entries to views: documents, bindings, the segment index, keys and memberships. The same for what is written here
//! and for what arrives; order and repeats do not matter.

use super::configuration::{self, Standing};
use super::{Known, damaged, shed};
use crate::commit::DocumentState;
use crate::store::{DeadLetter, Incident, Mask, Scope, SegmentRow, State, StoreError, StoredDocument, Transaction};
use record::binding::Binding;
use record::document::{self, Conflict, Document, Origin, canonical_json};
use record::fhir::identity;
use record::id::{PatientId, ScopeId};
use record::ledger::body::{Act, Body, DocumentEvent, Erasure, Membership, Refiling, RunStart, Span};
use record::ledger::configuration::Configuration;
use record::ledger::grant::{self, Grant, ScopeRole};
use record::ledger::seal::{self, Place};
use record::ledger::{ChainId, Header, Hlc, Identity, ScopeKey};
use record::series::Segment;
use record::time::{Now, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of a scope taken up at once when its key arrives.
const WAITING_LIMIT: usize = 1_000_000;

/// What applying entries changed, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub documents: Vec<DocumentState>,
    pub bindings: Vec<(Hlc, Binding)>,
    /// Patients whose record is no longer here.
    pub closed: Vec<PatientId>,
    /// What this replica's own site is to go by, if that changed.
    pub configured: Option<Standing>,
}

/// Why a payload does not yield a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// Its key is not here (yet).
    NoKey,
    /// It never will: the reason for the dead letter.
    Unreadable(String),
}

/// Opens and reads a payload.
pub(super) fn open(scopes: &BTreeMap<ScopeId, Scope>, header: &Header, payload: &[u8]) -> Result<(Act, Body), Closed> {
    let (key, place) = key_and_place(scopes, header)?;
    let canonical = seal::open(key, &place, payload).map_err(|e| Closed::Unreadable(e.to_string()))?;
    let (act, body) = Body::decode(&canonical).map_err(|e| Closed::Unreadable(e.to_string()))?;
    let states = body.kind() == header.kind;
    if states { Ok((act, body)) } else { Err(Closed::Unreadable("the header states another kind than the payload holds".to_owned())) }
}

/// What opens an entry's payload: its scope's key, none if it is open to anyone; and where it stands.
pub(super) fn key_and_place<'a>(scopes: &'a BTreeMap<ScopeId, Scope>, header: &Header) -> Result<(Option<&'a ScopeKey>, Place), Closed> {
    let place = Place { author: header.author, run: header.run, scope: header.scope, seq: header.seq, kind: header.kind };
    let key = match header.key_id {
        0 if header.kind.is_open() => None,
        0 => return Err(Closed::Unreadable("the payload is not sealed".to_owned())),
        wanted => match scopes.get(&header.scope).and_then(|s| s.key.as_ref()) {
            Some((id, key)) if *id == wanted => Some(key),
            _ => return Err(Closed::NoKey),
        },
    };
    Ok((key, place))
}

/// Why a body could not be applied.
pub(super) enum Failed {
    Store(StoreError),
    Content(String),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One transaction's applying.
pub(super) struct Applying<'a> {
    pub tx: &'a mut dyn Transaction,
    pub known: &'a mut Known,
    pub identity: &'a Identity,
    pub now: Now,
    pub changes: &'a mut Changes,
}

impl Applying<'_> {
    /// Applies an entry whose payload is here: to the views, to the dead letters, or leaves it waiting for its key. Gives the
    /// state it is then in.
    pub fn entry(&mut self, header: &Header, payload: &[u8]) -> Result<State, StoreError> {
        let chain = header.chain();
        if let Some(scope) = self.known.scopes.get(&header.scope) {
            if scope.access.is_revoked(chain, header.seq) {
                return Ok(State::Quarantined);
            }
            if scope.access.is_erased() && !header.kind.outlives_scope() {
                return Ok(State::Erased);
            }
        }
        // Kinds of a newer program: kept, relayed and digested, not understood.
        if !header.kind.is_known() {
            return Ok(State::Done);
        }
        let reason = match open(&self.known.scopes, header, payload) {
            Ok((act, body)) => match self.body(header, &act, &body) {
                Ok(()) => return Ok(State::Done),
                Err(Failed::Store(error)) => return Err(error),
                Err(Failed::Content(reason)) => reason,
            },
            Err(Closed::NoKey) => return Ok(State::Waiting),
            Err(Closed::Unreadable(reason)) => reason,
        };
        self.tx.put_dead_letter(&DeadLetter { chain, seq: header.seq, reason })?;
        let detail = format!("scope {}, run {}, entry {}", chain.scope, chain.run, header.seq);
        // What a hub may write is refused by a box that does not know its hub yet, and taken up once it does.
        if !self.known.is_before_hub() {
            self.raise(chain, "unreadable-payload", detail)?;
        }
        Ok(State::Dead)
    }

    pub fn body(&mut self, header: &Header, act: &Act, body: &Body) -> Result<(), Failed> {
        let chain = header.chain();
        match body {
            Body::RunStart(start) => self.run_start(chain, start)?,
            Body::Documents(events) => {
                // One bad event does not hold up the others of its entry.
                let mut failed = None;
                for (index, event) in events.iter().enumerate() {
                    match self.document(header, act, event) {
                        Err(Failed::Content(why)) => failed = failed.or(Some(format!("event {index}: {why}"))),
                        other => other?,
                    }
                }
                return failed.map_or(Ok(()), |why| Err(Failed::Content(why)));
            }
            Body::Segment(segment) => self.segment(header, segment)?,
            Body::Binding(binding) => {
                // Bed 1 of a neighbour is not bed 1 here. A hub, which reads for no bed, lists them all.
                let me = self.identity.replica();
                if header.scope.is_begun_by(me) || self.known.is_hub(me, me) {
                    self.tx.put_binding(header.hlc, binding)?;
                    self.changes.bindings.push((header.hlc, binding.clone()));
                }
            }
            Body::Grant(grant) => self.grant(header, grant)?,
            Body::Audit(_) => {}
            Body::Refiling(Refiling::Mask { chain, seq, from, to }) => {
                if chain.scope != header.scope {
                    return Err(Failed::Content("it masks a segment of another scope".to_owned()));
                }
                self.tx.put_mask(&Mask { chain: *chain, seq: *seq, from: *from, to: *to })?;
            }
            Body::Refiling(Refiling::Copy { segment, .. }) => self.segment(header, segment)?,
            Body::Shed(spans) => self.shed(header, spans)?,
            Body::Membership(event) => self.membership(header, event)?,
            Body::Erasure(event) => self.erasure(header, event)?,
            Body::Revocation(revocation) => {
                if !self.known.is_hub(self.identity.replica(), header.author) && !header.scope.is_begun_by(header.author) {
                    return Err(Failed::Content("only the hub and the scope's creator revoke".to_owned()));
                }
                self.change_scope(header.scope, |scope| scope.access.revoke(revocation.replica, &revocation.heads))?;
                self.released(header.scope)?;
            }
            Body::Configuration(event) => self.configuration(header, event)?,
        }
        Ok(())
    }

    /// A neighbour's configuration is an entry here and no view: it concerns its own box and the hub.
    fn configuration(&mut self, header: &Header, event: &Configuration) -> Result<(), Failed> {
        let me = self.identity.replica();
        let by_hub = self.known.is_hub(me, header.author);
        match event {
            Configuration::Rollout(_) if !by_hub => return Err(Failed::Content("only the hub says what a site is to go by".to_owned())),
            Configuration::Report(_) if !header.scope.is_begun_by(header.author) => {
                return Err(Failed::Content("only the site itself says what it goes by".to_owned()));
            }
            _ => {}
        }
        let own = header.scope.is_begun_by(me);
        if own || self.known.is_hub(me, me) {
            let standing = configuration::take(self.tx, header.scope, header.hlc, event)?;
            self.changes.configured = standing.filter(|_| own).or(self.changes.configured.take());
        }
        Ok(())
    }

    fn run_start(&mut self, chain: ChainId, start: &RunStart) -> Result<(), StoreError> {
        for head in &start.continues {
            if head.chain.author == chain.author && head.chain.scope == chain.scope && head.chain.run != chain.run {
                self.tx.set_continued(head.chain, head.next)?;
                let next = Arc::make_mut(&mut self.known.continued).entry(head.chain).or_default();
                *next = (*next).max(head.next);
            }
        }
        Ok(())
    }

    fn segment(&mut self, header: &Header, segment: &Segment) -> Result<(), Failed> {
        // A segment that cannot be read is one dead letter, and not the failure of every question about its time.
        segment.view().check().map_err(|e| Failed::Content(e.to_string()))?;
        Ok(self.tx.put_segment(&SegmentRow {
            chain: header.chain(),
            seq: header.seq,
            device: segment.device.to_string(),
            boot: segment.boot,
            waves: segment.is_waves(),
            start: segment.start,
            end: segment.end,
            next_seq: segment.next_seq(),
        })?)
    }

    fn document(&mut self, header: &Header, act: &Act, event: &DocumentEvent) -> Result<(), Failed> {
        let (resource_type, id) = document::address(event);
        if !document::is_by(event, header.author, header.run) {
            return Err(Failed::Content(format!("a change of {resource_type}/{id} cannot be read, or is in another author's name")));
        }
        let held = self.tx.document(resource_type, id)?;
        let mut parts: Document = match &held {
            Some(held) if held.scope != header.scope => {
                return Err(Failed::Content(format!("{resource_type}/{id} lives in another scope")));
            }
            Some(held) => postcard::from_bytes(&held.parts).map_err(|e| damaged("documents.parts", &e))?,
            None => Document::default(),
        };
        let origin = Origin { hlc: header.hlc, author: header.author, run: header.run, user: act.user.clone() };
        parts.take(&origin, event).map_err(|e| Failed::Content(e.to_string()))?;
        let mut stored = StoredDocument {
            resource_type: resource_type.to_owned(),
            id: id.clone(),
            scope: header.scope,
            parts: postcard::to_stdvec(&parts).map_err(|e| damaged("documents.parts", &e))?,
            json: String::new(),
            version: String::new(),
            updated: header.hlc,
            conflicted: false,
            keys: Vec::new(),
        };
        match parts.show(resource_type) {
            Ok(shown) => {
                let json = with_meta(shown.json, &shown.version, shown.updated);
                stored.json = canonical_json(&json);
                stored.version = shown.version.clone();
                stored.updated = shown.updated;
                stored.conflicted = shown.conflicts.iter().any(Conflict::is_open);
                if resource_type == "Patient" {
                    stored.keys = identity::keys(&json);
                    self.claim_patient(header.scope, id.as_str())?;
                }
                self.changes.documents.push(DocumentState {
                    resource_type: resource_type.to_owned(),
                    id: id.clone(),
                    json,
                    version: shown.version,
                    acknowledged: parts.first_acknowledgement().map(|(at, by)| (at, by.to_owned())),
                });
            }
            // Its genesis is still on its way: the parts are kept, there is nothing to show.
            Err(document::DocumentError::NoGenesis) => {}
            Err(error) => return Err(Failed::Content(error.to_string())),
        }
        self.tx.put_document(&stored)?;
        Ok(())
    }

    fn claim_patient(&mut self, scope: ScopeId, id: &str) -> Result<(), StoreError> {
        let claims = |s: &&Scope| s.patient.is_none() && s.role == Some(ScopeRole::Patient);
        match (self.known.scopes.get(&scope).filter(claims), id.parse::<PatientId>()) {
            (Some(_), Ok(patient)) => self.change_scope(scope, |scope| scope.patient = Some(patient)),
            _ => Ok(()),
        }
    }

    /// A grant names a member; the one for this replica also brings the key.
    fn grant(&mut self, header: &Header, grant: &Grant) -> Result<(), Failed> {
        let me = self.identity.replica();
        let trusted = |known: &Known| {
            header.author == grant.creator
                || known.is_hub(me, header.author)
                || known.peers.iter().any(|peer| peer.replica == header.author)
        };
        let held = self.known.scopes.get(&header.scope).filter(|s| !s.access.is_unknown());
        if !header.scope.is_begun_by(grant.creator) {
            return Err(Failed::Content("the grant names a creator who has not begun the scope".to_owned()));
        }
        if !trusted(self.known) || held.is_some_and(|s| s.creator != grant.creator) {
            return Err(Failed::Content("the grant is neither by the scope's creator nor by the hub".to_owned()));
        }
        let (was_member, had_key) = self.known.scopes.get(&header.scope).map_or((false, false), |s| (s.access.has(me), s.key.is_some()));
        self.change_scope(header.scope, |scope| {
            scope.creator = grant.creator;
            scope.role = scope.role.or(Some(grant.role));
            scope.access.grant(grant.to, header.hlc, header.author);
        })?;
        let scope = self.known.scopes.get(&header.scope);
        let wanted = scope.is_some_and(|s| s.access.has(me) && !s.access.is_erased());
        if grant.to != me || had_key || !wanted {
            return Ok(());
        }
        let key = grant::unwrap(grant, header.scope, self.identity).map_err(|e| Failed::Content(e.to_string()))?;
        self.change_scope(header.scope, |scope| scope.key = Some((grant.key_id, key)))?;
        if !was_member {
            // Whoever comes back to a scope it had left starts it anew.
            self.tx.clear(header.scope, State::Wanted)?;
        }
        self.retry_scope(header.scope, State::Waiting)?;
        Ok(())
    }

    fn shed(&mut self, header: &Header, spans: &[Span]) -> Result<(), Failed> {
        for span in spans {
            if span.chain.scope != header.scope || span.chain.author != header.author {
                return Err(Failed::Content("it gives up entries of another scope or author".to_owned()));
            }
            for (seq, state) in self.tx.lacking(span.chain)? {
                if (span.from..span.to).contains(&seq) && matches!(state, State::Wanted | State::Absent) {
                    self.tx.mark(span.chain, seq, State::Shed)?;
                    self.tx.drop_dead_letter(span.chain, seq)?;
                }
            }
            shed::remember(self.tx, self.known, *span)?;
            let detail = format!("scope {}, run {}, entries {} to {}", span.chain.scope, span.chain.run, span.from, span.to);
            self.raise(header.chain(), "shed", detail)?;
        }
        Ok(())
    }

    fn membership(&mut self, header: &Header, event: &Membership) -> Result<(), Failed> {
        let me = self.identity.replica();
        match event {
            Membership::Ends { replica, granted } => {
                if !header.scope.is_begun_by(header.author) && !self.known.is_hub(me, header.author) {
                    return Err(Failed::Content("only the hub and the scope's creator end a membership".to_owned()));
                }
                self.change_scope(header.scope, |scope| scope.access.end(*replica, *granted))?;
            }
            Membership::Left { scopes } => {
                for (scope, granted) in scopes {
                    self.change_scope(*scope, |scope| scope.access.leave(header.author, *granted))?;
                    if header.author == me && self.known.scopes.get(scope).is_some_and(|s| !s.access.has(me)) {
                        self.leave(*scope)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn erasure(&mut self, header: &Header, event: &Erasure) -> Result<(), Failed> {
        match event {
            Erasure::Done => self.change_scope(header.scope, |scope| scope.access.erased(header.author))?,
            Erasure::Ordered { members } => {
                let me = self.identity.replica();
                if !header.scope.is_begun_by(header.author) && !self.known.is_hub(me, header.author) {
                    return Err(Failed::Content("only the hub and the scope's creator order an erasure".to_owned()));
                }
                self.change_scope(header.scope, |scope| scope.access.order_erasure(header.author, members))?;
                self.close(header.scope, State::Erased)?;
            }
        }
        Ok(())
    }

    /// Closes a scope this replica has left. What it wrote there and its hub has not signed for it keeps until then: restored from
    /// before it left, it may have written more.
    fn leave(&mut self, scope: ScopeId) -> Result<(), StoreError> {
        let me = self.identity.replica();
        let mut untold = Vec::new();
        if let Some(hub) = self.known.hub() {
            for head in self.known.heads.values().filter(|h| h.chain.scope == scope && h.chain.author == me) {
                let held = self.tx.held_of(hub, me, head.chain)?;
                for seq in (0..head.next).filter(|seq| held.as_ref().is_none_or(|held| !held.covers(*seq))) {
                    untold.extend(self.tx.entry(head.chain, seq)?.filter(|entry| entry.state.holds()));
                }
            }
        }
        self.close(scope, State::Dropped)?;
        for entry in untold {
            self.tx.put_payload(entry.header.chain(), entry.header.seq, &entry.payload, State::Waiting)?;
        }
        Ok(())
    }

    /// Forgets a scope's key and content.
    fn close(&mut self, scope: ScopeId, state: State) -> Result<(), StoreError> {
        self.tx.clear(scope, state)?;
        let patient = self.known.scopes.get(&scope).and_then(|s| s.patient.clone());
        self.changes.closed.extend(patient);
        self.change_scope(scope, |scope| (scope.key, scope.patient) = (None, None))
    }

    /// Takes up again what a changed revocation lets through.
    fn released(&mut self, scope: ScopeId) -> Result<(), StoreError> {
        self.retry_scope(scope, State::Quarantined)
    }

    /// Applies entries of a scope that are in a state, oldest arrival first.
    fn retry_scope(&mut self, scope: ScopeId, state: State) -> Result<(), StoreError> {
        for waiting in self.tx.in_state(state, Some(scope), WAITING_LIMIT)? {
            self.retry(waiting.header.chain(), waiting.header.seq)?;
        }
        Ok(())
    }

    /// Applies an entry again; gives the state it is then in.
    pub fn retry(&mut self, chain: ChainId, seq: u64) -> Result<Option<State>, StoreError> {
        let Some(entry) = self.tx.entry(chain, seq)?.filter(|entry| entry.state.holds()) else { return Ok(None) };
        let state = self.entry(&entry.header, &entry.payload)?;
        if state != entry.state {
            self.tx.mark(chain, seq, state)?;
        }
        Ok(Some(state))
    }

    /// Changes what is known of a scope; one not known yet is begun by its first mention.
    fn change_scope(&mut self, id: ScopeId, change: impl FnOnce(&mut Scope)) -> Result<(), StoreError> {
        let mut scope = match self.known.scopes.get(&id) {
            Some(scope) => scope.clone(),
            None => Scope {
                id,
                role: None,
                creator: self.identity.replica(),
                key: None,
                patient: None,
                access: crate::access::Access::default(),
            },
        };
        change(&mut scope);
        if self.known.scopes.get(&id) != Some(&scope) {
            self.tx.put_scope(&scope)?;
            self.known.learn_scope(scope);
        }
        Ok(())
    }

    pub fn raise(&mut self, chain: ChainId, kind: &str, detail: String) -> Result<(), StoreError> {
        self.tx.put_incident(&Incident { author: chain.author, kind: kind.to_owned(), detail, at: self.now.wall, closed: None })
    }
}

fn with_meta(mut object: serde_json::Map<String, Value>, version: &str, updated: Hlc) -> Value {
    let at = Timestamp::from_millis(i64::try_from(updated.wall_ms).unwrap_or(i64::MAX)).rfc3339();
    let meta = object.entry("meta").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("versionId".to_owned(), version.into());
        meta.insert("lastUpdated".to_owned(), at.into());
    }
    Value::Object(object)
}
