//! From entries to views: documents, bindings, the segment index, scope keys. The same for what is written here and for
//! what arrives; order and repeats do not matter.

use super::{Known, damaged};
use crate::commit::DocumentState;
use crate::store::{Applied, DeadLetter, Scope, SegmentRow, StoreError, StoredDocument, Transaction};
use record::binding::Binding;
use record::document::{self, Document, canonical_json};
use record::id::ScopeId;
use record::ledger::body::Body;
use record::ledger::grant::{self, Grant};
use record::ledger::seal::{self, Place};
use record::ledger::{Header, Hlc, Identity};
use record::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What applying entries changed, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub documents: Vec<DocumentState>,
    pub bindings: Vec<(Hlc, Binding)>,
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
pub(super) fn open(scopes: &BTreeMap<ScopeId, Scope>, header: &Header, payload: &[u8]) -> Result<Body, Closed> {
    let place = Place { author: header.author, run: header.run, scope: header.scope, seq: header.seq, kind: header.kind };
    let key = match header.key_id {
        0 => None,
        wanted => match scopes.get(&header.scope).and_then(|s| s.key.as_ref()) {
            Some((id, key)) if *id == wanted => Some(key),
            _ => return Err(Closed::NoKey),
        },
    };
    let canonical = seal::open(key, &place, payload).map_err(|e| Closed::Unreadable(e.to_string()))?;
    let (_, body) = Body::decode(&canonical).map_err(|e| Closed::Unreadable(e.to_string()))?;
    if body.kind() == header.kind {
        Ok(body)
    } else {
        Err(Closed::Unreadable("the header states another kind than the payload holds".to_owned()))
    }
}

/// Applies an entry that has just been appended: to the views, to the dead letters, or leaves it waiting for its key.
pub(super) fn entry(
    tx: &mut dyn Transaction,
    known: &mut Known,
    identity: &Identity,
    header: &Header,
    payload: &[u8],
    at: Timestamp,
    changes: &mut Changes,
) -> Result<Applied, StoreError> {
    // Kinds of a newer program: kept, relayed and digested, not understood.
    if header.kind.0 > record::ledger::Kind::ACKNOWLEDGEMENT.0 {
        return Ok(Applied::Done);
    }
    let chain = header.chain();
    match open(&known.scopes, header, payload) {
        Ok(body) => match self::body(tx, known, identity, header, &body, at, changes) {
            Ok(()) => Ok(Applied::Done),
            Err(Failed::Store(error)) => Err(error),
            Err(Failed::Content(reason)) => {
                tx.put_dead_letter(&DeadLetter { chain, seq: header.seq, reason })?;
                Ok(Applied::Dead)
            }
        },
        Err(Closed::NoKey) => Ok(Applied::Waiting),
        Err(Closed::Unreadable(reason)) => {
            tx.put_dead_letter(&DeadLetter { chain, seq: header.seq, reason })?;
            Ok(Applied::Dead)
        }
    }
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

pub(super) fn body(
    tx: &mut dyn Transaction,
    known: &mut Known,
    identity: &Identity,
    header: &Header,
    body: &Body,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<(), Failed> {
    match body {
        Body::RunStart(start) => known.learn_run(header.chain(), start),
        Body::Genesis(_) | Body::Change(_) | Body::Acknowledgement(_) => document(tx, known, header, body, changes)?,
        Body::Segment(segment) => tx.put_segment(&SegmentRow {
            chain: header.chain(),
            seq: header.seq,
            device: segment.device.to_string(),
            boot: segment.boot,
            waves: segment.is_waves(),
            start: segment.start,
            end: segment.end,
            next_seq: segment.next_seq(),
        })?,
        Body::Binding(binding) => {
            tx.put_binding(header.hlc, binding)?;
            changes.bindings.push((header.hlc, binding.clone()));
        }
        Body::Grant(grant) => take_grant(tx, known, identity, header, grant, at, changes)?,
        Body::Audit(_) => {}
    }
    Ok(())
}

fn document(tx: &mut dyn Transaction, known: &mut Known, header: &Header, body: &Body, changes: &mut Changes) -> Result<(), Failed> {
    let Some((resource_type, id)) = document::address(body) else { return Ok(()) };
    if !document::is_by(body, header.author, header.run) {
        return Err(Failed::Content(format!("a change of {resource_type}/{id} cannot be read, or is in another author's name")));
    }
    let held = tx.document(resource_type, id)?;
    let mut parts: Document = match &held {
        Some(held) if held.scope != header.scope => {
            return Err(Failed::Content(format!("{resource_type}/{id} lives in another scope")));
        }
        Some(held) => postcard::from_bytes(&held.parts).map_err(|e| damaged("documents.parts", &e))?,
        None => Document::default(),
    };
    parts.add(header.hlc, body).map_err(|e| Failed::Content(e.to_string()))?;
    let mut stored = StoredDocument {
        resource_type: resource_type.to_owned(),
        id: id.clone(),
        scope: header.scope,
        parts: postcard::to_stdvec(&parts).map_err(|e| damaged("documents.parts", &e))?,
        json: String::new(),
        version: String::new(),
        updated: header.hlc,
    };
    match parts.show(resource_type) {
        Ok(shown) => {
            let json = with_meta(shown.json, &shown.version, shown.updated);
            stored.json = canonical_json(&json);
            stored.version = shown.version.clone();
            stored.updated = shown.updated;
            if resource_type == "Patient" {
                claim_patient(tx, known, header.scope, id.as_str())?;
            }
            changes.documents.push(DocumentState {
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
    tx.put_document(&stored)?;
    Ok(())
}

fn claim_patient(tx: &mut dyn Transaction, known: &mut Known, scope: ScopeId, id: &str) -> Result<(), StoreError> {
    if let (Some(scope), Ok(patient)) = (known.scopes.get(&scope), id.parse())
        && scope.patient.is_none()
        && scope.role == Some(grant::ScopeRole::Patient)
    {
        let scope = Scope { patient: Some(patient), ..scope.clone() };
        tx.put_scope(&scope)?;
        known.learn_scope(scope);
    }
    Ok(())
}

fn take_grant(
    tx: &mut dyn Transaction,
    known: &mut Known,
    identity: &Identity,
    header: &Header,
    grant: &Grant,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<(), Failed> {
    if grant.to != identity.replica() {
        return Ok(());
    }
    let held = known.scopes.get(&grant.scope);
    if held.is_some_and(|s| s.key.is_some()) {
        return Ok(());
    }
    // Only whoever began a scope gives out its key here; a grant for a scope not seen yet begins it.
    if held.is_some_and(|s| s.creator != header.author) {
        return Err(Failed::Content("the grant is not by the scope's creator".to_owned()));
    }
    let key = grant::unwrap(grant, identity).map_err(|e| Failed::Content(e.to_string()))?;
    let scope = Scope { id: grant.scope, role: Some(grant.role), creator: header.author, key: Some((grant.key_id, key)), patient: None };
    tx.put_scope(&scope)?;
    known.learn_scope(scope);
    for waiting in tx.waiting(grant.scope)? {
        let applied = entry(tx, known, identity, &waiting.header, &waiting.payload, at, changes)?;
        tx.mark(waiting.header.chain(), waiting.header.seq, applied)?;
    }
    Ok(())
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
