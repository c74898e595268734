//! Documents: FHIR R4 resources that several replicas may edit at once.
//!
//! A document is a set of parts — geneses, automerge changes, acknowledgements — and what it shows is a pure function of
//! that set. The merge unit is the *top-level element*, whole: a dose, a period, a name list merges as one or conflicts.
//!
//! Always: any order and any repeats of parts give the same JSON, version and conflicts; the wire form of an edit is
//! automerge's own change; raw automerge `save()` bytes are never compared.
//! Never here: whether a resource is valid FHIR (`fhir`), where it is kept.

mod canonical;
mod change;
mod policy;
mod shape;

pub use canonical::canonical_json;
pub use policy::{POLICIES, Policy};

use crate::id::{Hash, ReplicaId, ResourceId, RunId};
use crate::ledger::body::{Acknowledgement, Body, Change, Genesis};
use crate::ledger::entry::sha256;
use crate::ledger::hlc::Hlc;
use crate::time::Timestamp;
use automerge::{ActorId, AutoCommit, ReadDoc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Largest resource, bytes of JSON.
pub const DOCUMENT_LIMIT: usize = 256 * 1024;

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The resource is no JSON object.
    #[error("a resource must be a JSON object")]
    NotAnObject,
    /// Past [`DOCUMENT_LIMIT`].
    #[error("the resource has {0} bytes; at most {DOCUMENT_LIMIT} can be kept: move long text or data into Binary or DocumentReference")]
    TooLarge(usize),
    /// Built by a program newer than this one.
    #[error("shape {0} is not known to this version")]
    Shape(u16),
    /// A change automerge refuses.
    #[error("a change of the document cannot be read")]
    Change,
    /// Edited before it began.
    #[error("the document has no beginning yet")]
    NoGenesis,
}

/// The parts of one document, as a set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Document {
    geneses: BTreeSet<(Hlc, u16, String)>,
    changes: BTreeSet<Vec<u8>>,
    acknowledgements: BTreeSet<(Timestamp, String)>,
    updated: Hlc,
}

/// A document as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// The resource, without `meta.versionId` and `meta.lastUpdated`.
    pub json: Map<String, Value>,
    /// 16 hex digits made of the automerge heads; changes with every part.
    pub version: String,
    /// Stamp of the newest part.
    pub updated: Hlc,
    /// Elements with concurrent values.
    pub conflicts: Vec<Conflict>,
}

/// Concurrent values of one element, newest first; the first is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct Conflict {
    /// The top-level element.
    pub element: String,
    /// Every value.
    pub values: Vec<(Hlc, Value)>,
}

impl Document {
    /// Takes in a part of this document; anything else is ignored. Order and repeats do not matter.
    ///
    /// # Errors
    /// [`DocumentError::Change`]: a change that cannot be read, or would not stay within its bounds; nothing was taken in.
    pub fn add(&mut self, hlc: Hlc, body: &Body) -> Result<(), DocumentError> {
        match body {
            Body::Genesis(genesis) => {
                self.geneses.insert((hlc, genesis.shape, genesis.json.clone()));
            }
            Body::Change(change) => {
                for bytes in &change.changes {
                    change::read(bytes)?;
                }
                self.changes.extend(change.changes.iter().cloned());
            }
            Body::Acknowledgement(ack) => {
                self.acknowledgements.insert((ack.at, ack.by.clone()));
            }
            _ => return Ok(()),
        }
        self.updated = self.updated.max(hlc);
        Ok(())
    }

    /// The resource as it stands.
    ///
    /// # Errors
    /// No genesis yet, or parts of a newer program.
    pub fn show(&self, resource_type: &str) -> Result<Shown, DocumentError> {
        if self.geneses.is_empty() {
            return Err(DocumentError::NoGenesis);
        }
        let (mut json, conflicts, base) = match (self.geneses.len(), self.changes.is_empty(), self.geneses.first()) {
            // Most clinical resources are never edited: the genesis is what there is, and no automerge document is built.
            (1, true, Some((_, shape, text))) => {
                shape::known(*shape)?;
                (shape::object(text)?, Vec::new(), sha256(&[text.as_bytes()]))
            }
            _ => self.merged(resource_type)?,
        };
        if !self.acknowledgements.is_empty() {
            let mitigation = self.acknowledgements.iter().map(|(at, by)| {
                serde_json::json!({
                    "action": {"text": "Acknowledged"},
                    "date": at.rfc3339(),
                    "author": {"display": by},
                })
            });
            json.insert("mitigation".to_owned(), mitigation.collect());
        }
        let acknowledged = self.acknowledgements.iter().flat_map(|(at, by)| [at.0.to_be_bytes().to_vec(), by.as_bytes().to_vec()]);
        let version = sha256(&[&base.0, &acknowledged.flatten().collect::<Vec<u8>>()]);
        Ok(Shown { json, version: hex::encode(&version.0[..8]), updated: self.updated, conflicts })
    }

    /// Makes the change that sets elements (to `Null`: removes them), by `author` in `run`. The document itself is
    /// changed once the entry made of it comes back through [`Document::add`].
    ///
    /// # Errors
    /// No genesis yet, or parts of a newer program.
    pub fn edit(&self, author: ReplicaId, run: RunId, hlc: Hlc, elements: &Map<String, Value>) -> Result<Vec<Vec<u8>>, DocumentError> {
        let mut doc = self.build()?;
        doc.set_actor(ActorId::from([author.0.as_slice(), &run.0].concat()));
        shape::put(&mut doc, hlc, elements)?;
        let change = shape::commit(&mut doc)?;
        Ok(change.into_iter().collect())
    }

    /// Who acknowledged it first, and when.
    #[must_use]
    pub fn first_acknowledgement(&self) -> Option<(Timestamp, &str)> {
        self.acknowledgements.first().map(|(at, by)| (*at, by.as_str()))
    }

    fn build(&self) -> Result<AutoCommit, DocumentError> {
        if self.geneses.is_empty() {
            return Err(DocumentError::NoGenesis);
        }
        let mut doc = AutoCommit::new();
        for (hlc, shape, text) in &self.geneses {
            let mut one = shape::build(*shape, *hlc, text)?;
            doc.merge(&mut one).map_err(|_| DocumentError::Change)?;
        }
        let changes = self.changes.iter().map(|bytes| change::read(bytes)).collect::<Result<Vec<_>, _>>()?;
        Ok(change::apply(doc, changes))
    }

    fn merged(&self, resource_type: &str) -> Result<Merged, DocumentError> {
        let mut doc = self.build()?;
        let mut json = Map::new();
        let mut conflicts = Vec::new();
        for element in doc.keys(automerge::ROOT).collect::<Vec<_>>() {
            let mut values = shape::values(&doc, &element);
            if values.is_empty() {
                continue;
            }
            policy::order(resource_type, &element, &mut values);
            if let Some((_, shown)) = values.first()
                && !shown.is_null()
            {
                json.insert(element.clone(), shown.clone());
            }
            if values.len() > 1 {
                conflicts.push(Conflict { element, values });
            }
        }
        let mut heads = doc.get_heads();
        heads.sort_unstable();
        let heads: Vec<u8> = heads.iter().flat_map(|h| h.0).collect();
        Ok((json, conflicts, sha256(&[&heads])))
    }
}

/// Elements, conflicts, and a hash of the automerge heads.
type Merged = (Map<String, Value>, Vec<Conflict>, Hash);

/// The genesis of a resource: checked for size, `meta.versionId` and `meta.lastUpdated` dropped, `id` and type fixed.
///
/// # Errors
/// Not an object, or too large.
pub fn genesis(resource_type: &str, id: &ResourceId, resource: &Value) -> Result<Genesis, DocumentError> {
    let mut object = resource.as_object().ok_or(DocumentError::NotAnObject)?.clone();
    object.insert("resourceType".to_owned(), resource_type.into());
    object.insert("id".to_owned(), id.as_str().into());
    strip_meta(&mut object);
    let json = canonical_json(&Value::Object(object));
    if json.len() > DOCUMENT_LIMIT {
        return Err(DocumentError::TooLarge(json.len()));
    }
    Ok(Genesis { resource_type: resource_type.to_owned(), id: id.clone(), shape: shape::CURRENT, json })
}

/// The elements of `new` that differ from `old`, absent ones as `Null`: what an update must set.
#[must_use]
pub fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut new = new.clone();
    strip_meta(&mut new);
    let mut out: Map<String, Value> = new.iter().filter(|(k, v)| old.get(*k) != Some(*v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    for key in old.keys() {
        // Acknowledgements are events, shown as mitigations; an update neither adds nor drops them.
        if !new.contains_key(key) && key != "mitigation" {
            out.insert(key.clone(), Value::Null);
        }
    }
    out
}

/// Whether every change of a body is in the name of the author and run whose entry carries it: nobody edits as another.
#[must_use]
pub fn is_by(body: &Body, author: ReplicaId, run: RunId) -> bool {
    let Body::Change(Change { changes, .. }) = body else { return true };
    let actor = [author.0.as_slice(), &run.0].concat();
    changes.iter().all(|bytes| change::read(bytes).is_ok_and(|change| change.actor_id().to_bytes() == actor))
}

/// The document a body belongs to, as (type, id).
#[must_use]
pub fn address(body: &Body) -> Option<(&str, &ResourceId)> {
    match body {
        Body::Genesis(Genesis { resource_type, id, .. }) | Body::Change(Change { resource_type, id, .. }) => Some((resource_type, id)),
        Body::Acknowledgement(Acknowledgement { alert, .. }) => Some(("DetectedIssue", alert)),
        _ => None,
    }
}

fn strip_meta(object: &mut Map<String, Value>) {
    if let Some(Value::Object(meta)) = object.get_mut("meta") {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if meta.is_empty() {
            object.remove("meta");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn stamp(n: u64) -> Hlc {
        Hlc { trusted: true, wall_ms: n, counter: 0 }
    }
    fn author(n: u8) -> (ReplicaId, RunId) {
        (ReplicaId([n; 32]), RunId([n; 8]))
    }
    fn elements(value: Value) -> Map<String, Value> {
        value.as_object().expect("object").clone()
    }
    fn begin() -> Body {
        Body::Genesis(
            genesis("Patient", &"p1".parse().expect("id"), &json!({"gender": "female", "birthDate": "1960-01-01"})).expect("genesis"),
        )
    }
    fn document_of(body: Body) -> Document {
        let mut document = Document::default();
        document.add(stamp(1), &body).expect("add");
        document
    }
    fn edit(document: &Document, by: u8, at: u64, value: Value) -> (Hlc, Body) {
        let (replica, run) = author(by);
        let changes = document.edit(replica, run, stamp(at), &elements(value)).expect("edit");
        (stamp(at), Body::Change(Change { resource_type: "Patient".to_owned(), id: "p1".parse().expect("id"), changes }))
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let mut document = Document::default();
        document.add(stamp(1), &begin()).expect("add");
        let (at, body) = edit(&document, 1, 2, json!({"gender": "male"}));
        document.add(at, &body).expect("add");
        let shown = document.show("Patient").expect("show");
        assert_eq!(shown.json["gender"], "male");
        assert_eq!(shown.json["birthDate"], "1960-01-01");
        assert!(shown.conflicts.is_empty());
    }

    #[test]
    fn concurrent_edits_of_one_element_are_both_kept_and_the_later_is_shown() {
        let mut document = Document::default();
        document.add(stamp(1), &begin()).expect("add");
        let early = edit(&document, 1, 5, json!({"birthDate": "1961-01-01"}));
        let late = edit(&document, 2, 6, json!({"birthDate": "1962-01-01"}));
        document.add(late.0, &late.1).expect("add");
        document.add(early.0, &early.1).expect("add");
        let shown = document.show("Patient").expect("show");
        assert_eq!(shown.json["birthDate"], "1962-01-01");
        assert_eq!(shown.conflicts.len(), 1);
        assert_eq!(shown.conflicts[0].values.len(), 2);
    }

    #[test]
    fn a_status_never_goes_backwards_even_if_the_older_value_was_written_later() {
        let mut document = Document::default();
        let body = Body::Genesis(genesis("DetectedIssue", &"a1".parse().expect("id"), &json!({"status": "registered"})).expect("genesis"));
        document.add(stamp(1), &body).expect("add");
        let make = |by, at, status: &str| {
            let (replica, run) = author(by);
            let changes = document.edit(replica, run, stamp(at), &elements(json!({"status": status}))).expect("edit");
            (stamp(at), Body::Change(Change { resource_type: "DetectedIssue".to_owned(), id: "a1".parse().expect("id"), changes }))
        };
        let (resolved, acknowledged) = (make(1, 2, "final"), make(2, 9, "preliminary"));
        let mut document = document.clone();
        document.add(acknowledged.0, &acknowledged.1).expect("add");
        document.add(resolved.0, &resolved.1).expect("add");
        assert_eq!(document.show("DetectedIssue").expect("show").json["status"], "final");
    }

    #[test]
    fn acknowledging_twice_is_one_mitigation_each_and_the_first_is_named() {
        let begun = genesis("DetectedIssue", &"a1".parse().expect("id"), &json!({"status": "preliminary"}));
        let mut document = document_of(Body::Genesis(begun.expect("genesis")));
        let ack = |by: &str, at| {
            Body::Acknowledgement(Acknowledgement { alert: "a1".parse().expect("id"), by: by.to_owned(), at: Timestamp(at) })
        };
        for body in [ack("berta", 20), ack("ana", 10), ack("ana", 10)] {
            document.add(stamp(3), &body).expect("add");
        }
        assert_eq!(document.first_acknowledgement(), Some((Timestamp(10), "ana")));
        assert_eq!(document.show("DetectedIssue").expect("show").json["mitigation"].as_array().map(Vec::len), Some(2));
    }

    /// Two different changes, each of which one author states as its first of one run.
    fn misfits() -> [(Hlc, Body); 2] {
        let base = document_of(begin());
        [edit(&base, 1, 2, json!({"gender": "male"})), edit(&base, 1, 3, json!({"gender": "other"}))]
    }

    #[test]
    fn a_change_that_cannot_be_read_is_not_taken_in() {
        let (at, body) = misfits()[0].clone();
        let Body::Change(mut change) = body else { panic!("a change") };
        change.changes.push(b"no change".to_vec());
        let mut document = Document::default();
        assert_eq!(document.add(at, &Body::Change(change)), Err(DocumentError::Change));
        assert_eq!(document, Document::default());
    }

    #[test]
    fn changes_that_exclude_each_other_do_not_hide_the_document_and_all_replicas_leave_out_the_same_one() {
        let [one, other] = misfits();
        let show = |parts: [(Hlc, Body); 3]| {
            let mut document = Document::default();
            for (at, body) in parts {
                document.add(at, &body).expect("add");
            }
            let (at, later) = edit(&document_of(begin()), 2, 9, json!({"active": true}));
            document.add(at, &later).expect("add");
            document.show("Patient").expect("show")
        };
        let shown = show([one.clone(), other.clone(), (stamp(1), begin())]);
        assert_eq!(shown, show([(stamp(1), begin()), other, one]));
        assert_eq!((&shown.json["active"], &shown.json["birthDate"]), (&json!(true), &json!("1960-01-01")));
    }

    #[test]
    fn a_resource_past_the_limit_is_refused_with_advice() {
        let big = json!({"text": "x".repeat(DOCUMENT_LIMIT)});
        let error = genesis("Patient", &"p1".parse().expect("id"), &big).expect_err("too large");
        assert!(error.to_string().contains("Binary"));
    }

    proptest! {
        #[test]
        fn a_damaged_change_is_refused_or_leaves_the_document_to_be_shown(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let [(at, body), (_, other)] = misfits();
            let Body::Change(mut change) = body else { panic!("a change") };
            for (index, byte) in damage {
                let bytes = &mut change.changes[0];
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            let mut document = document_of(begin());
            let _ = document.add(at, &Body::Change(change));
            document.add(at, &other).expect("add");
            document.show("Patient").expect("show");
            document.edit(author(2).0, author(2).1, stamp(9), &elements(json!({"active": true}))).expect("edit");
        }

        #[test]
        fn any_order_and_any_repeats_of_parts_show_the_same(order in proptest::collection::vec(0usize..5, 5..20)) {
            let mut base = Document::default();
            base.add(stamp(1), &begin()).expect("add");
            let one = edit(&base, 1, 2, json!({"gender": "male"}));
            let mut seen = base.clone();
            seen.add(one.0, &one.1).expect("add");
            let parts = [
                (stamp(1), begin()),
                one,
                edit(&seen, 1, 3, json!({"birthDate": "1970-01-01", "active": true})),
                edit(&base, 2, 4, json!({"gender": "other"})),
                edit(&base, 3, 4, json!({"gender": null})),
            ];
            let mut all = Document::default();
            for (at, body) in &parts { all.add(*at, body).expect("add"); }
            let mut shuffled = Document::default();
            for index in order.iter().copied().chain(0..5) { shuffled.add(parts[index].0, &parts[index].1).expect("add"); }
            prop_assert_eq!(all.show("Patient").expect("show"), shuffled.show("Patient").expect("show"));
        }
    }
}
