//! Reading: vitals out of segments and the unsealed tail, documents of a patient, as FHIR's reader wants them.

use super::{apply, damaged};
use crate::store::{DocumentFilter, Entry, Mask, Scope, SegmentRow, State, StoreError, StoredDocument, Transaction};
use record::binding::{Bindings, Owner};
use record::document::Document;
use record::fhir::{DocumentQuery, PatientView};
use record::id::{BedId, DeviceId, PatientId, ScopeId};
use record::ledger::ChainId;
use record::ledger::body::{Body, Refiling};
use record::observation::Quality;
use record::series::{Frame, decode_tick};
use record::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of segments asked of the store at once.
const SEGMENT_PAGE: usize = 4096;

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
    Ok(tx.scopes_of(patient)?.into_iter().map(|s| s.id).min())
}

/// The frames of a patient, measured time ascending: sealed ones, then those of the tail not sealed yet. Opens every segment
/// whole and reads all of the journal, which is what [`super::SeriesReader`] is held against.
///
/// # Errors
/// The store cannot be read, or holds damaged bytes.
pub fn frames_of(tx: &mut dyn Transaction, vitals: &Vitals) -> Result<Vec<Frame>, StoreError> {
    // Registered twice at once, a patient has two scopes: both are theirs.
    let scopes: BTreeMap<ScopeId, Scope> = tx.scopes_of(&vitals.patient)?.into_iter().map(|s| (s.id, s)).collect();
    if scopes.is_empty() {
        return Ok(Vec::new());
    }
    let within = |at: Timestamp| vitals.from <= at && at <= vitals.to;
    let asked = |device: &str| vitals.device.as_ref().is_none_or(|d| d.as_str() == device);
    let mut frames = Gathered::default();
    for id in scopes.keys() {
        let masks = tx.masks(*id)?;
        for row in all_segments(tx, *id, vitals.waves, vitals.from, vitals.to)?.into_iter().filter(|row| asked(&row.device)) {
            let what = || format!("segment {}/{}", row.chain.run, row.seq);
            let entry = tx.entry(row.chain, row.seq)?.ok_or_else(|| damaged(&what(), &"the entry is missing"))?;
            // Given up here, or kept elsewhere only: a gap, not damage.
            if entry.state != State::Done {
                continue;
            }
            let sealed = segment_frames(&scopes, &entry).map_err(|e| damaged(&what(), &e))?;
            let masked = |at| masks.iter().any(|m: &Mask| (m.chain, m.seq) == (row.chain, row.seq) && m.from <= at && at <= m.to);
            frames.extend(sealed.into_iter().filter(|f| within(f.measured) && !masked(f.measured)));
        }
    }
    frames.extend(tail(tx, vitals, &scopes)?.into_iter().filter(|f| within(f.measured) && asked(f.device.as_str())));
    Ok(frames.finish())
}

/// Every segment of a scope that overlaps `from..=to`, newest start first, however many there are.
pub(super) fn all_segments(
    tx: &mut dyn Transaction,
    scope: ScopeId,
    waves: bool,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<SegmentRow>, StoreError> {
    let mut rows = tx.segments(scope, waves, from, to, SEGMENT_PAGE)?;
    let (mut asked, mut page) = (SEGMENT_PAGE, rows.len());
    while page == asked
        && let Some(oldest) = rows.last().map(|row| row.start)
    {
        // Those that begin with the last one may be on both pages.
        let held: BTreeSet<(ChainId, u64)> =
            rows.iter().rev().take_while(|row| row.start == oldest).map(|row| (row.chain, row.seq)).collect();
        asked = SEGMENT_PAGE + held.len();
        let more = tx.segments(scope, waves, from, oldest, asked)?;
        page = more.len();
        rows.extend(more.into_iter().filter(|row| !held.contains(&(row.chain, row.seq))));
    }
    Ok(rows)
}

/// Frames of several segments and the journal, or parts of them.
pub(super) struct Gathered<T>(Vec<T>);

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: AsRef<Frame>> Gathered<T> {
    pub fn extend(&mut self, frames: impl IntoIterator<Item = T>) {
        self.0.extend(frames);
    }

    /// By time, each once: a box restored from a backup seals its tail again, and later gets back the segments it had sealed
    /// before.
    pub fn finish(self) -> Vec<T> {
        let Self(mut frames) = self;
        frames.sort_by(|a, b| {
            let (a, b) = (a.as_ref(), b.as_ref());
            (a.measured, &a.device, a.boot, a.first_seq).cmp(&(b.measured, &b.device, b.boot, b.first_seq))
        });
        frames.dedup_by(|a, b| {
            let (a, b) = (T::as_ref(a), T::as_ref(b));
            (&a.device, a.boot, a.first_seq) == (&b.device, b.boot, b.first_seq)
        });
        frames
    }
}

/// The frames sealed in an entry: a segment, or a copy of one.
pub(super) fn segment_frames(scopes: &BTreeMap<ScopeId, Scope>, entry: &Entry) -> Result<Vec<Frame>, String> {
    match apply::open(scopes, &entry.header, &entry.payload) {
        Ok((_, Body::Segment(segment) | Body::Refiling(Refiling::Copy { segment, .. }))) => segment.frames().map_err(|e| e.to_string()),
        Ok(_) => Err("it holds no segment".to_owned()),
        Err(_) => Err("it does not open".to_owned()),
    }
}

/// Frames of the journal that belong to the patient and lie in no segment yet.
fn tail(tx: &mut dyn Transaction, vitals: &Vitals, scopes: &BTreeMap<ScopeId, Scope>) -> Result<Vec<Frame>, StoreError> {
    let ticks = tx.ticks(vitals.waves, 0)?;
    if ticks.is_empty() {
        return Ok(Vec::new());
    }
    let mut bindings = Bindings::default();
    for (hlc, binding) in tx.bindings()? {
        bindings.apply(hlc, binding);
    }
    let sealed: BTreeMap<_, u64> =
        tx.sealed_through(Timestamp(i64::MIN))?.into_iter().map(|(device, boot, waves, next)| ((device, boot, waves), next)).collect();
    let test = is_test(tx, &vitals.patient)?;
    let mut frames = Vec::new();
    for (id, bytes) in ticks {
        for frame in decode_tick(&bytes).map_err(|e| damaged(&format!("journal tick {id}"), &e))? {
            let through = sealed.get(&(frame.device.to_string(), frame.boot, vitals.waves)).copied().unwrap_or(0);
            if frame.first_seq >= through && owns(&bindings, scopes, &frame, &frame.device, test) {
                frames.push(frame);
            }
        }
    }
    Ok(frames)
}

/// Whether a patient is tagged test: nobody else is filed demonstration data.
pub(super) fn is_test(tx: &mut dyn Transaction, patient: &PatientId) -> Result<bool, StoreError> {
    let stored = tx.document("Patient", &patient.clone().into())?;
    Ok(stored.is_some_and(|stored| serde_json::from_str(&stored.json).is_ok_and(|json: Value| PatientView(&json).is_test())))
}

/// Whether an unsealed frame of a device belongs to the patient of these scopes.
pub(super) fn owns(bindings: &Bindings, scopes: &BTreeMap<ScopeId, Scope>, frame: &Frame, device: &DeviceId, test: bool) -> bool {
    let in_bed = |bed: &BedId| bindings.patient_in(bed, frame.measured).is_some_and(|(_, owner)| scopes.contains_key(&owner));
    let ours = owner_in(bindings, scopes, device, frame.measured) || (is_by_hand(device) && frame.bed.as_ref().is_some_and(in_bed));
    // Demonstration data are filed to nobody real; their segment will go to the unassigned scope.
    let demo = || frame.numerics.iter().any(|n| n.quality == Quality::Demo) || frame.waves.iter().any(|w| w.demo);
    ours && (test || !demo())
}

/// Whether what a device measured at a moment belongs to the patient of these scopes.
pub(super) fn owner_in(bindings: &Bindings, scopes: &BTreeMap<ScopeId, Scope>, device: &DeviceId, at: Timestamp) -> bool {
    matches!(bindings.owner(device, at), Owner::Patient { scope, .. } if scopes.contains_key(&scope))
}

/// The device id of what people measure by hand: it reads for whatever bed the frame names.
pub const MANUAL: &str = "manual";

/// Whether a device stands for people.
pub(super) fn is_by_hand(device: &DeviceId) -> bool {
    device.as_str() == MANUAL
}

/// The parts of a stored document.
///
/// # Errors
/// Damaged bytes.
pub fn parts_of(document: &StoredDocument) -> Result<Document, StoreError> {
    postcard::from_bytes(&document.parts).map_err(|e| damaged(&format!("documents {}/{}", document.resource_type, document.id), &e))
}

/// Documents that answer a query, ids ascending.
///
/// # Errors
/// The store cannot be read, or holds damaged bytes.
pub fn documents_of(tx: &mut dyn Transaction, query: &DocumentQuery) -> Result<Vec<Value>, StoreError> {
    let filter = DocumentFilter {
        resource_type: query.resource_type.to_owned(),
        scope: None,
        conflicted: query.conflicted,
        keys: query.keys.clone(),
        after: query.after.clone(),
        limit: query.limit,
    };
    let mut found = Vec::new();
    if query.patients.is_empty() {
        found = tx.documents(&filter)?;
    } else {
        // Registered twice, or merged from several, a person has several scopes; each gives its first in order of ids.
        for patient in &query.patients {
            for scope in tx.scopes_of(patient)? {
                found.extend(tx.documents(&DocumentFilter { scope: Some(scope.id), ..filter.clone() })?);
            }
        }
        found.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        found.truncate(query.limit);
    }
    let json = |d: StoredDocument| serde_json::from_str(&d.json).map_err(|e| damaged(&format!("{}/{}", d.resource_type, d.id), &e));
    found.into_iter().map(json).collect()
}
