//! From the store to the brain: what [`edge_core::Agent`] begins from.

use edge_core::{ALARMS, REPORTS, Recovered, ids_since, value_keys};
use protocol::commit::DocumentState;
use protocol::replica::{MANUAL, SeriesReader, Standing, Vitals};
use protocol::store::{DocumentFilter, StoreError, StoredDocument};
use protocol::{Store, Transaction};
use record::binding::{Bindings, Bound};
use record::document::Document;
use record::id::ReplicaId;
use record::ledger::grant::ScopeRole;
use record::series::decode_tick;
use record::time::{Now, Timestamp};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};

/// The small value that says since when a record that was put back has run.
pub const RESTORED_AT: &str = "restored_at";
/// Documents of one type looked at; a clinic past it needs the hub's tools.
const DOCUMENTS_MAX: usize = 20_000;
/// Documents read at once.
const PAGE_LEN: usize = 4_096;
/// How far back streamed values are read for the charts: longer than any stays fresh.
const STREAMED_US: i64 = 15 * 60 * 1_000_000;
/// How far back hand-entered values are read.
const SPOT_US: i64 = 12 * 3600 * 1_000_000;

/// Analysers send again what they hold for up to so long.
const SENT_AGAIN_US: i64 = 30 * 86_400 * 1_000_000;
/// Reports grow, and alarms stand, for up to a day.
const OPEN_US: i64 = 2 * 86_400 * 1_000_000;

/// Reads everything.
///
/// # Errors
/// The store cannot be read, or holds damaged bytes.
pub fn load(store: &mut dyn Store, me: ReplicaId, enrolled: bool, now: Now) -> Result<Recovered, StoreError> {
    let mut tx = store.begin()?;
    let tx = tx.as_mut();
    let bindings = tx.bindings()?;
    let mut current = Bindings::default();
    for (hlc, binding) in &bindings {
        current.apply(*hlc, binding.clone());
    }
    let mut recent = Vec::new();
    let mut series = SeriesReader::default();
    for binding in current.at(now.wall) {
        let Bound::Patient { patient, .. } = &binding.what else { continue };
        let vitals = |from| Vitals { patient: patient.clone(), waves: false, from, to: Timestamp(i64::MAX), device: None };
        recent.extend(series.numerics(tx, &vitals(now.wall.plus_micros(-STREAMED_US)))?);
        let manual = Vitals { device: MANUAL.parse().ok(), ..vitals(now.wall.plus_micros(-SPOT_US)) };
        recent.extend(series.numerics(tx, &manual)?);
    }
    recent.sort_by_key(|f| (f.measured, f.boot, f.first_seq));
    recent.dedup_by(|a, b| (a.boot, a.first_seq) == (b.boot, b.first_seq));
    let mut ticks = tx.ticks(false, 0)?;
    ticks.extend(tx.ticks(true, 0)?);
    ticks.sort_by_key(|(id, _)| *id);
    for (id, bytes) in &ticks {
        decode_tick(bytes).map_err(|e| damaged(&format!("journal tick {id}"), &e))?;
    }
    let mut closed = BTreeSet::new();
    for (_, binding) in &bindings {
        let Bound::Patient { patient, scope } = &binding.what else { continue };
        // One that has not come yet is not closed; one that came back lies in a scope.
        let gone = tx.scope(*scope)?.is_some_and(|s| s.access.is_erased() || (s.access.had(me) && !s.access.has(me)));
        if gone && tx.scopes_of(patient)?.is_empty() {
            closed.insert(patient.clone());
        }
    }
    Ok(Recovered {
        bindings,
        closed: closed.into_iter().collect(),
        patients: documents(tx, "Patient")?.iter().map(json).collect::<Result<_, _>>()?,
        scopes: tx.scopes()?.into_iter().filter_map(|s| Some((s.patient?, s.id))).collect(),
        devices: documents(tx, "Device")?.iter().map(json).collect::<Result<_, _>>()?,
        alerts: documents(tx, "DetectedIssue")?.iter().map(state).collect::<Result<_, _>>()?,
        statements: statements(tx, now.wall)?,
        values: values(tx)?,
        recent,
        ticks,
        sealed_through: tx.sealed_through(Timestamp(i64::MIN))?,
        // Without a hub there is nobody who would know more.
        restored: if enrolled { restored(tx, now.wall)? } else { None },
        configuration: configuration(tx, me)?,
    })
}

/// Since when a record that was put back has run; noted at its first start.
fn restored(tx: &mut dyn Transaction, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    if tx.value(edge_store::RESTORED_FROM)?.is_none_or(|name| name.is_empty()) {
        return Ok(None);
    }
    let since = tx.value(RESTORED_AT)?.and_then(|bytes| bytes.try_into().ok()).map(|bytes| Timestamp(i64::from_be_bytes(bytes)));
    if since.is_none() {
        tx.put_value(RESTORED_AT, &now.0.to_be_bytes())?;
    }
    Ok(Some(since.unwrap_or(now)))
}

/// What the hub wants this ward to go by: it lies in this box's own site scope.
fn configuration(tx: &mut dyn Transaction, me: ReplicaId) -> Result<Standing, StoreError> {
    let own = tx.scopes()?.into_iter().find(|s| s.creator == me && s.role == Some(ScopeRole::Site));
    own.map_or_else(|| Ok(Standing::default()), |scope| protocol::replica::standing(tx, scope.id))
}

/// What devices have stated lately, as far as what they send next may rest on it.
fn statements(tx: &mut dyn Transaction, now: Timestamp) -> Result<Vec<Value>, StoreError> {
    let mut found = Vec::new();
    for (resource_type, kind, back_us) in
        [("DiagnosticReport", REPORTS, SENT_AGAIN_US), ("Observation", REPORTS, OPEN_US), ("Communication", ALARMS, OPEN_US)]
    {
        let mut after = Some(ids_since(kind, now.plus_micros(-back_us)));
        let mut newest: VecDeque<StoredDocument> = VecDeque::new();
        // Ids ascend with time: where there are too many, the oldest are left out.
        loop {
            let filter = DocumentFilter { resource_type: resource_type.to_owned(), after, limit: PAGE_LEN, ..DocumentFilter::default() };
            let page = tx.documents(&filter)?;
            let is_last = page.len() < PAGE_LEN;
            after = page.last().map(|document| document.id.to_string());
            newest.extend(page);
            newest.drain(..newest.len().saturating_sub(DOCUMENTS_MAX));
            if is_last {
                break;
            }
        }
        found.extend(newest.iter().map(json).collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

/// Which records each device has sent.
fn values(tx: &mut dyn Transaction) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    for device in documents(tx, "Device")? {
        let Ok(device) = device.id.as_str().parse() else { continue };
        for key in value_keys(&device) {
            found.extend(tx.value(&key)?.map(|value| (key, value)));
        }
    }
    Ok(found)
}

fn documents(tx: &mut dyn Transaction, resource_type: &str) -> Result<Vec<StoredDocument>, StoreError> {
    tx.documents(&DocumentFilter { resource_type: resource_type.to_owned(), limit: DOCUMENTS_MAX, ..DocumentFilter::default() })
}

fn json(document: &StoredDocument) -> Result<Value, StoreError> {
    serde_json::from_str(&document.json).map_err(|e| damaged(&format!("{}/{}", document.resource_type, document.id), &e))
}

fn state(document: &StoredDocument) -> Result<DocumentState, StoreError> {
    let parts: Document = protocol::replica::parts_of(document)?;
    Ok(DocumentState {
        resource_type: document.resource_type.clone(),
        id: document.id.clone(),
        json: json(document)?,
        version: document.version.clone(),
        acknowledged: parts.first_acknowledgement().map(|(at, by)| (at, by.to_owned())),
    })
}

fn damaged(what: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.to_owned(), why: why.to_string() }
}
