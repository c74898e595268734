//! Reading: vitals out of segments and the unsealed tail, documents of a patient, as FHIR's reader wants them.

use super::{apply, damaged};
use crate::store::{DocumentFilter, Scope, StoreError, StoredDocument, Transaction};
use record::binding::{Bindings, Owner};
use record::document::Document;
use record::fhir::PatientView;
use record::id::{DeviceId, PatientId, ScopeId};
use record::ledger::body::Body;
use record::observation::Quality;
use record::series::{Frame, decode_tick};
use record::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most segments opened for one question.
const SEGMENT_LIMIT: usize = 4096;

/// Which frames of a patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vitals {
    /// Who.
    pub patient: PatientId,
    /// Waves, else numerics.
    pub waves: bool,
    /// Measured at or after.
    pub from: Timestamp,
    /// Measured at or before.
    pub to: Timestamp,
    /// Of this device only.
    pub device: Option<DeviceId>,
}

/// The scope of a patient, from the store.
///
/// # Errors
/// The store cannot be read.
pub fn patient_scope(tx: &mut dyn Transaction, patient: &PatientId) -> Result<Option<ScopeId>, StoreError> {
    Ok(tx.scopes()?.into_iter().find(|s| s.patient.as_ref() == Some(patient)).map(|s| s.id))
}

/// The frames of a patient, measured time ascending: sealed ones, then those of the tail not sealed yet.
///
/// # Errors
/// The store cannot be read, or holds damaged bytes.
pub fn frames_of(tx: &mut dyn Transaction, vitals: &Vitals) -> Result<Vec<Frame>, StoreError> {
    let scopes: BTreeMap<ScopeId, Scope> = tx.scopes()?.into_iter().map(|s| (s.id, s)).collect();
    let Some(scope) = scopes.values().find(|s| s.patient.as_ref() == Some(&vitals.patient)).map(|s| s.id) else {
        return Ok(Vec::new());
    };
    let within = |at: Timestamp| vitals.from <= at && at <= vitals.to;
    let mut frames = Vec::new();
    let asked = |device: &str| vitals.device.as_ref().is_none_or(|d| d.as_str() == device);
    for row in tx.segments(scope, vitals.waves, vitals.from, vitals.to, SEGMENT_LIMIT)? {
        if !asked(&row.device) {
            continue;
        }
        let what = || format!("segment {}/{}", row.chain.run, row.seq);
        let entry = tx.entry(row.chain, row.seq)?.ok_or_else(|| damaged(&what(), &"the entry is missing"))?;
        let Ok(Body::Segment(segment)) = apply::open(&scopes, &entry.header, &entry.payload) else {
            return Err(damaged(&what(), &"it does not open"));
        };
        let sealed = segment.frames().map_err(|e| damaged(&what(), &e))?;
        frames.extend(sealed.into_iter().filter(|f| within(f.measured)));
    }
    frames.extend(tail(tx, vitals, scope)?.into_iter().filter(|f| within(f.measured) && asked(f.device.as_str())));
    frames.sort_by(|a, b| (a.measured, &a.device, a.boot, a.first_seq).cmp(&(b.measured, &b.device, b.boot, b.first_seq)));
    // A box restored from a backup seals its tail again, and later gets back the segments it had sealed before.
    frames.dedup_by(|a, b| (&a.device, a.boot, a.first_seq) == (&b.device, b.boot, b.first_seq));
    Ok(frames)
}

/// Frames of the journal that belong to the patient and lie in no segment yet.
fn tail(tx: &mut dyn Transaction, vitals: &Vitals, scope: ScopeId) -> Result<Vec<Frame>, StoreError> {
    let ticks = tx.ticks()?;
    if ticks.is_empty() {
        return Ok(Vec::new());
    }
    let mut bindings = Bindings::default();
    for (hlc, binding) in tx.bindings()? {
        bindings.apply(hlc, binding);
    }
    let sealed: BTreeMap<_, u64> =
        tx.sealed_through(Timestamp(i64::MIN))?.into_iter().map(|(device, boot, waves, next)| ((device, boot, waves), next)).collect();
    let test = match tx.document("Patient", &vitals.patient.clone().into())? {
        Some(stored) => serde_json::from_str(&stored.json).is_ok_and(|json: Value| PatientView(&json).is_test()),
        None => false,
    };
    let mut frames = Vec::new();
    for (id, bytes) in ticks {
        for mut frame in decode_tick(&bytes).map_err(|e| damaged(&format!("journal tick {id}"), &e))? {
            let through = sealed.get(&(frame.device.to_string(), frame.boot, vitals.waves)).copied().unwrap_or(0);
            let ours = matches!(bindings.owner(&frame.device, frame.measured), Owner::Patient { scope: owner, .. } if owner == scope)
                || frame.bed.as_ref().is_some_and(|bed| frame.device.as_str() == MANUAL && in_bed(&bindings, bed, &frame, scope));
            // Demonstration data are filed to nobody real; their segment will go to the unassigned scope.
            let demo = frame.numerics.iter().any(|n| n.quality == Quality::Demo) || frame.waves.iter().any(|w| w.demo);
            if !ours || (demo && !test) {
                continue;
            }
            if vitals.waves {
                frame.first_seq += frame.numerics.len() as u64;
                frame.numerics.clear();
            } else {
                frame.waves.clear();
            }
            if !frame.is_empty() && frame.first_seq >= through {
                frames.push(frame);
            }
        }
    }
    Ok(frames)
}

/// The device id of what people measure by hand: it reads for whatever bed the frame names.
pub const MANUAL: &str = "manual";

fn in_bed(bindings: &Bindings, bed: &record::id::BedId, frame: &Frame, scope: ScopeId) -> bool {
    bindings.patient_in(bed, frame.measured).is_some_and(|(_, owner)| owner == scope)
}

/// The parts of a stored document.
///
/// # Errors
/// Damaged bytes.
pub fn parts_of(document: &StoredDocument) -> Result<Document, StoreError> {
    postcard::from_bytes(&document.parts).map_err(|e| damaged(&format!("documents {}/{}", document.resource_type, document.id), &e))
}

/// Documents of a type, in one patient's scope if given, ids ascending.
///
/// # Errors
/// The store cannot be read, or holds damaged bytes.
pub fn documents_of(
    tx: &mut dyn Transaction,
    resource_type: &str,
    patient: Option<&PatientId>,
    after: Option<String>,
    limit: usize,
) -> Result<Vec<Value>, StoreError> {
    let scope = match patient {
        None => None,
        Some(patient) => match patient_scope(tx, patient)? {
            Some(scope) => Some(scope),
            None => return Ok(Vec::new()),
        },
    };
    let filter = DocumentFilter { resource_type: resource_type.to_owned(), scope, after, limit };
    let found = tx.documents(&filter)?;
    found.into_iter().map(|d| serde_json::from_str(&d.json).map_err(|e| damaged(&format!("{resource_type}/{}", d.id), &e))).collect()
}
