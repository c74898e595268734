//! Documents: FHIR R4 resources that several replicas may edit at once.
//!
//! A document is a set of parts — geneses, automerge changes, acknowledgements — and what it shows is a pure function of
//! that set. The merge unit is a top-level element, whole, or an item of a list that [`shape`] opens: a dose or a period
//! merges as one or conflicts.
//!
//! ```text
//! Genesis, Change, Acknowledgement ──▶ add ──▶ parts ──▶ show ──▶ resource · version · conflicts
//!                                                 ├────▶ history ──▶ every version, in one order
//!                                                 └────▶ edit ──▶ a Change
//! ```
//!
//! Always: any order and any repeats of parts give the same JSON, version, conflicts and history; no value that was
//! written at the same time as another is lost, whatever a [`Policy`] shows; the wire form of an edit is automerge's own
//! change; raw automerge `save()` bytes are never compared.
//! Never here: whether a resource is valid FHIR (`fhir`), where it is kept.
//! Start at [`Document`], then [`POLICIES`].

mod canonical;
mod change;
mod digest;
mod history;
mod marks;
mod merge;
mod policy;
mod shape;
#[cfg(test)]
mod tests;

pub use canonical::canonical_json;
pub use digest::{StateDigest, state_digest};
pub use history::{History, Version};
pub use marks::{CONFLICT_CODE, CONFLICT_URL, RECORD_SYSTEM, is_in_conflict};
pub use merge::{Concurrent, Conflict, Origin};
pub use policy::{POLICIES, Policy, Table};

use crate::id::{Hash, ReplicaId, ResourceId, RunId};
use crate::ledger::body::{Acknowledgement, Change, DocumentEvent, Genesis};
use crate::ledger::entry::sha256;
use crate::ledger::hlc::Hlc;
use crate::time::Timestamp;
use automerge::{ActorId, AutoCommit, ChangeHash};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Largest resource, bytes of JSON.
pub const DOCUMENT_LIMIT: usize = 256 * 1024;
/// URL of the extension of `meta` that names who made a version.
pub const AUTHOR_URL: &str = "urn:lamplight:fhir:author";

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

/// The parts of one document, as a set. Of a part that comes in several entries the earliest entry counts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Document {
    /// By stamp, shape and JSON, of which the automerge change is made.
    geneses: BTreeMap<(Hlc, u16, String), Origin>,
    /// By their bytes.
    changes: BTreeMap<Vec<u8>, Origin>,
    acknowledgements: BTreeMap<(Timestamp, String), Origin>,
    updated: Hlc,
}

/// A document as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// The resource, without `meta.versionId` and `meta.lastUpdated`. Open conflicts are marked in it, see [`CONFLICT_URL`].
    pub json: Map<String, Value>,
    /// 16 hex digits made of the automerge heads; changes with every part.
    pub version: String,
    /// Stamp of the newest part.
    pub updated: Hlc,
    /// Elements with concurrent values, those settled by their policy among them.
    pub conflicts: Vec<Conflict>,
}

/// The automerge document of the parts, and whose each change is.
struct Built {
    doc: AutoCommit,
    origins: BTreeMap<ChangeHash, Origin>,
    /// The one genesis' change and the hash of its JSON: the version of a document that was never edited.
    untouched: Option<(ChangeHash, Hash)>,
}

impl Document {
    /// Takes in a part of this document. Order and repeats do not matter. [`Document::take`]
    /// with nobody named; a change names its author itself.
    ///
    /// # Errors
    /// [`DocumentError::Change`]: a change that cannot be read, or would not stay within its bounds; nothing was taken in.
    pub fn add(&mut self, hlc: Hlc, event: &DocumentEvent) -> Result<(), DocumentError> {
        self.take(&Origin { hlc, author: ReplicaId([0; 32]), run: RunId([0; 8]), user: String::new() }, event)
    }

    /// Takes in a part of this document and whose it is. Order and repeats do not matter.
    ///
    /// # Errors
    /// As [`Document::add`].
    pub fn take(&mut self, by: &Origin, event: &DocumentEvent) -> Result<(), DocumentError> {
        match event {
            DocumentEvent::Genesis(genesis) => note(&mut self.geneses, (by.hlc, genesis.shape, genesis.json.clone()), by.clone()),
            DocumentEvent::Change(change) => {
                let read: Vec<_> = change.changes.iter().map(|bytes| change::read(bytes)).collect::<Result<_, _>>()?;
                for (bytes, change) in change.changes.iter().zip(read) {
                    let (author, run) = named(change.actor_id()).unwrap_or((by.author, by.run));
                    note(&mut self.changes, bytes.clone(), Origin { author, run, ..by.clone() });
                }
            }
            DocumentEvent::Acknowledgement(ack) => note(&mut self.acknowledgements, (ack.at, ack.by.clone()), by.clone()),
        }
        self.updated = self.updated.max(by.hlc);
        Ok(())
    }

    /// The resource as it stands.
    ///
    /// # Errors
    /// No genesis yet, or parts of a newer program.
    pub fn show(&self, resource_type: &str) -> Result<Shown, DocumentError> {
        self.show_by(resource_type, &POLICIES)
    }

    /// The resource as it stands, by a table of policies.
    ///
    /// # Errors
    /// As [`Document::show`].
    pub fn show_by(&self, resource_type: &str, table: &Table) -> Result<Shown, DocumentError> {
        let acknowledged = self.acknowledgements.keys().cloned().collect();
        // Most clinical resources are never edited: the genesis is what there is, and no automerge document is built.
        if let (1, true, Some(((_, shape, text), _))) = (self.geneses.len(), self.changes.is_empty(), self.geneses.first_key_value()) {
            shape::known(*shape)?;
            let mut json = shape::object(text)?;
            mitigate(&mut json, &acknowledged);
            let version = version(&sha256(&[text.as_bytes()]), &acknowledged);
            return Ok(Shown { json, version, updated: self.updated, conflicts: Vec::new() });
        }
        let mut built = self.build()?;
        let heads = built.doc.get_heads();
        Ok(built.show(resource_type, &heads, &acknowledged, self.updated, table))
    }

    /// Elements with concurrent values, those settled by their policy among them.
    ///
    /// # Errors
    /// As [`Document::show`].
    pub fn conflicts(&self, resource_type: &str) -> Result<Vec<Conflict>, DocumentError> {
        Ok(self.show(resource_type)?.conflicts)
    }

    /// Makes the change that sets elements (to `Null`: removes them), by `author` in `run`: it replaces every value of them
    /// that is here, and no other. A key as [`Conflict::element`] has it sets one item of a list. The document itself is
    /// changed once the entry made of it comes back through [`Document::add`].
    ///
    /// # Errors
    /// No genesis yet, or parts of a newer program.
    pub fn edit(&self, author: ReplicaId, run: RunId, hlc: Hlc, elements: &Map<String, Value>) -> Result<Vec<Vec<u8>>, DocumentError> {
        let mut built = self.build()?;
        let resource_type = self.resource_type();
        let heads = built.doc.get_heads();
        let (slots, shown) = built.unmarked(&resource_type, &heads, &POLICIES);
        built.doc.set_actor(ActorId::from([author.0.as_slice(), &run.0].concat()));
        shape::edit(&mut built.doc, hlc, &slots, &shown, &marks::unmarked(elements))?;
        let change = shape::commit(&mut built.doc)?;
        Ok(change.into_iter().collect())
    }

    /// Who acknowledged it first, and when.
    #[must_use]
    pub fn first_acknowledgement(&self) -> Option<(Timestamp, &str)> {
        self.acknowledgements.keys().next().map(|(at, by)| (*at, by.as_str()))
    }

    fn resource_type(&self) -> String {
        let first = self.geneses.keys().next().and_then(|(_, _, text)| shape::object(text).ok());
        first.and_then(|object| object.get("resourceType")?.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn build(&self) -> Result<Built, DocumentError> {
        let mut doc = AutoCommit::new();
        let mut origins = BTreeMap::new();
        let mut untouched = None;
        for ((hlc, shape, text), by) in &self.geneses {
            let mut one = shape::build(*shape, *hlc, text)?;
            for head in one.get_heads() {
                origins.insert(head, by.clone());
                untouched = Some((head, sha256(&[text.as_bytes()])));
            }
            doc.merge(&mut one).map_err(|_| DocumentError::Change)?;
        }
        if self.geneses.is_empty() {
            return Err(DocumentError::NoGenesis);
        }
        // Of changes that exclude each other the first by stamp is taken, on every replica.
        let mut by_stamp: Vec<(&Origin, &Vec<u8>)> = self.changes.iter().map(|(bytes, by)| (by, bytes)).collect();
        by_stamp.sort_unstable();
        let mut changes = Vec::with_capacity(by_stamp.len());
        for (by, bytes) in by_stamp {
            let change = change::read(bytes)?;
            origins.insert(change.hash(), by.clone());
            changes.push(change);
        }
        let doc = change::apply(doc, changes);
        Ok(Built { doc, origins, untouched: untouched.filter(|_| self.geneses.len() == 1) })
    }
}

impl Built {
    /// The slots at some heads, ordered, and the resource they show.
    fn unmarked(&mut self, resource_type: &str, heads: &[ChangeHash], table: &Table) -> (shape::Slots, Map<String, Value>) {
        let mut slots = shape::slots_at(&mut self.doc, heads);
        merge::ordered(resource_type, &mut slots, table);
        let (json, _) = self.merged(resource_type, &slots, table);
        (slots, json)
    }

    fn merged(&self, resource_type: &str, slots: &shape::Slots, table: &Table) -> (Map<String, Value>, Vec<Conflict>) {
        merge::merged(resource_type, slots, table, |change, at| {
            let nobody = || Origin { hlc: at, author: ReplicaId([0; 32]), run: RunId([0; 8]), user: String::new() };
            let by = change.and_then(|change| self.origins.get(&change).cloned()).unwrap_or_else(nobody);
            Concurrent { value: Map::new(), at, change: Hash(change.map_or([0; 32], |change| change.0)), by }
        })
    }

    fn show(
        &mut self,
        resource_type: &str,
        heads: &[ChangeHash],
        acknowledged: &BTreeSet<(Timestamp, String)>,
        updated: Hlc,
        table: &Table,
    ) -> Shown {
        let mut slots = shape::slots_at(&mut self.doc, heads);
        merge::ordered(resource_type, &mut slots, table);
        let (mut json, conflicts) = self.merged(resource_type, &slots, table);
        marks::mark(&mut json, &conflicts);
        mitigate(&mut json, acknowledged);
        Shown { json, version: self.version(heads, acknowledged), updated, conflicts }
    }

    /// The version at some heads.
    fn version(&self, heads: &[ChangeHash], acknowledged: &BTreeSet<(Timestamp, String)>) -> String {
        match &self.untouched {
            Some((genesis, text)) if heads == [*genesis] => version(text, acknowledged),
            _ => {
                let mut heads = heads.to_vec();
                heads.sort_unstable();
                let heads: Vec<u8> = heads.iter().flat_map(|head| head.0).collect();
                version(&sha256(&[&heads]), acknowledged)
            }
        }
    }
}

fn version(base: &Hash, acknowledged: &BTreeSet<(Timestamp, String)>) -> String {
    let acknowledged = acknowledged.iter().flat_map(|(at, by)| [at.0.to_be_bytes().to_vec(), by.as_bytes().to_vec()]);
    let version = sha256(&[&base.0, &acknowledged.flatten().collect::<Vec<u8>>()]);
    hex::encode(&version.0[..8])
}

/// Acknowledgements are shown as what was done about an alert.
fn mitigate(json: &mut Map<String, Value>, acknowledged: &BTreeSet<(Timestamp, String)>) {
    if acknowledged.is_empty() {
        return;
    }
    let mitigation = acknowledged
        .iter()
        .map(|(at, by)| serde_json::json!({"action": {"text": "Acknowledged"}, "date": at.rfc3339(), "author": {"display": by}}));
    json.insert("mitigation".to_owned(), mitigation.collect());
}

fn note<K: Ord>(parts: &mut BTreeMap<K, Origin>, part: K, by: Origin) {
    let held = parts.entry(part).or_insert_with(|| by.clone());
    if by < *held {
        *held = by;
    }
}

/// The author and run that an actor stands for.
fn named(actor: &ActorId) -> Option<(ReplicaId, RunId)> {
    let (author, run) = actor.to_bytes().split_at_checked(32)?;
    Some((ReplicaId(author.try_into().ok()?), RunId(run.try_into().ok()?)))
}

/// The genesis of a resource: checked for size, what the record itself writes dropped, `id` and type fixed.
///
/// # Errors
/// Not an object, or too large.
pub fn genesis(resource_type: &str, id: &ResourceId, resource: &Value) -> Result<Genesis, DocumentError> {
    let mut object = resource.as_object().ok_or(DocumentError::NotAnObject)?.clone();
    object.insert("resourceType".to_owned(), resource_type.into());
    object.insert("id".to_owned(), id.as_str().into());
    marks::unmark(&mut object);
    let json = canonical_json(&Value::Object(object));
    if json.len() > DOCUMENT_LIMIT {
        return Err(DocumentError::TooLarge(json.len()));
    }
    Ok(Genesis { resource_type: resource_type.to_owned(), id: id.clone(), shape: shape::CURRENT, json })
}

/// The elements of `new` that differ from `old`, absent ones as `Null`: what an update must set. What the record itself
/// writes into either does not count.
#[must_use]
pub fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let (mut old, mut new) = (old.clone(), new.clone());
    marks::unmark(&mut old);
    marks::unmark(&mut new);
    let mut out: Map<String, Value> = new.iter().filter(|(k, v)| old.get(*k) != Some(*v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    for key in old.keys() {
        // Acknowledgements are events, shown as mitigations; an update neither adds nor drops them.
        if !new.contains_key(key) && key != "mitigation" {
            out.insert(key.clone(), Value::Null);
        }
    }
    out
}

/// Drops from a resource what the record itself writes: version, time, author, marks of conflicts.
pub fn strip(resource: &mut Map<String, Value>) {
    marks::unmark(resource);
}

/// Whether every change of an event is in the name of the author and run whose entry carries it: nobody edits as another.
#[must_use]
pub fn is_by(event: &DocumentEvent, author: ReplicaId, run: RunId) -> bool {
    let DocumentEvent::Change(Change { changes, .. }) = event else { return true };
    let actor = [author.0.as_slice(), &run.0].concat();
    changes.iter().all(|bytes| change::read(bytes).is_ok_and(|change| change.actor_id().to_bytes() == actor))
}

/// The document an event happens to, as (type, id).
#[must_use]
pub fn address(event: &DocumentEvent) -> (&str, &ResourceId) {
    match event {
        DocumentEvent::Genesis(Genesis { resource_type, id, .. }) | DocumentEvent::Change(Change { resource_type, id, .. }) => {
            (resource_type, id)
        }
        DocumentEvent::Acknowledgement(Acknowledgement { alert, .. }) => ("DetectedIssue", alert),
    }
}
