//! Shapes: how a genesis becomes an automerge document. Every shape's builder is kept for ever.
//!
//! Shape 1: the root map holds one string a top-level element: 21 characters of [`Hlc`], then the element's canonical
//! JSON. The writer's stamp travels with the value, so that concurrent values can be ordered without their changes.

use super::{DocumentError, canonical_json};
use crate::ledger::entry::sha256;
use crate::ledger::hlc::Hlc;
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value};

/// The shape new documents get.
pub(super) const CURRENT: u16 = 1;
const STAMP_LENGTH: usize = 21;

pub(super) fn known(shape: u16) -> Result<(), DocumentError> {
    if shape == CURRENT { Ok(()) } else { Err(DocumentError::Shape(shape)) }
}

pub(super) fn object(text: &str) -> Result<Map<String, Value>, DocumentError> {
    serde_json::from_str(text).map_err(|_| DocumentError::NotAnObject)
}

/// Builds the automerge document of a genesis. The same genesis gives the same change, whoever builds it.
pub(super) fn build(shape: u16, hlc: Hlc, text: &str) -> Result<AutoCommit, DocumentError> {
    known(shape)?;
    let actor = sha256(&[b"lamplight/genesis/1", hlc.to_string().as_bytes(), text.as_bytes()]);
    let mut doc = AutoCommit::new().with_actor(ActorId::from(actor.0));
    put(&mut doc, hlc, &object(text)?)?;
    commit(&mut doc)?;
    Ok(doc)
}

pub(super) fn put(doc: &mut AutoCommit, hlc: Hlc, elements: &Map<String, Value>) -> Result<(), DocumentError> {
    let mut sorted: Vec<_> = elements.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in sorted {
        doc.put(ROOT, key.as_str(), format!("{hlc}{}", canonical_json(value))).map_err(|_| DocumentError::Change)?;
    }
    Ok(())
}

/// Commits what was put, at time zero: a change must not depend on who builds it when. `None` if nothing changed.
pub(super) fn commit(doc: &mut AutoCommit) -> Result<Option<Vec<u8>>, DocumentError> {
    if doc.commit_with(CommitOptions::default().with_time(0)).is_none() {
        return Ok(None);
    }
    doc.get_last_local_change().map(|change| Some(change.raw_bytes().to_vec())).ok_or(DocumentError::Change)
}

/// Every concurrent value of an element.
pub(super) fn values(doc: &AutoCommit, element: &str) -> Vec<(Hlc, Value)> {
    let all = doc.get_all(ROOT, element).unwrap_or_default();
    let mut values: Vec<(Hlc, Value)> = Vec::with_capacity(all.len());
    for (value, _) in all {
        let automerge::Value::Scalar(scalar) = value else { continue };
        let ScalarValue::Str(text) = scalar.as_ref() else { continue };
        let (Some(stamp), Some(json)) = (text.get(..STAMP_LENGTH), text.get(STAMP_LENGTH..)) else { continue };
        let (Ok(stamp), Ok(json)) = (stamp.parse(), serde_json::from_str(json)) else { continue };
        if !values.iter().any(|(_, v)| *v == json) {
            values.push((stamp, json));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_1_builds_the_same_change_for_ever() {
        let hlc = Hlc { trusted: true, wall_ms: 1_700_000_000_000, counter: 1 };
        let mut doc = build(1, hlc, r#"{"gender":"female","id":"p1","resourceType":"Patient"}"#).expect("build");
        let heads: Vec<String> = doc.get_heads().iter().map(ToString::to_string).collect();
        insta::assert_json_snapshot!(heads);
    }

    #[test]
    fn a_shape_of_a_newer_program_is_refused_by_name() {
        assert_eq!(build(9, Hlc::default(), "{}").err(), Some(DocumentError::Shape(9)));
    }
}
