//! The store as FHIR reads it.

use crate::replica::{Vitals, documents_of, frames_of, frames_where, parts_of};
use crate::store::{StoreError, Transaction};
use record::document::Document;
use record::fhir::{DocumentQuery, ObservationId, Reader, Vital, VitalsQuery, group};
use record::id::ResourceId;
use serde_json::Value;
use std::collections::BTreeSet;

/// How much time is looked at first for vitals.
const FIRST_LOOK_US: i64 = 3_600_000_000;
/// Past this much, all of it.
const LAST_LOOK_US: i64 = 512 * FIRST_LOOK_US;

/// A transaction that answers [`record::fhir::handle`]'s questions.
pub struct StoreReader<'a>(pub &'a mut dyn Transaction);

impl Reader for StoreReader<'_> {
    type Error = StoreError;

    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Value>, StoreError> {
        let found = self.0.document(resource_type, id)?.filter(|d| !d.json.is_empty());
        found
            .map(|d| {
                serde_json::from_str(&d.json).map_err(|e| StoreError::Damaged { what: format!("{resource_type}/{id}"), why: e.to_string() })
            })
            .transpose()
    }

    fn parts(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Document>, StoreError> {
        self.0.document(resource_type, id)?.filter(|d| !d.json.is_empty()).map(|d| parts_of(&d)).transpose()
    }

    fn documents(&mut self, query: &DocumentQuery) -> Result<Vec<Value>, StoreError> {
        documents_of(self.0, query)
    }

    /// Looks from the end asked for, further and further, until there are enough.
    fn vitals(&mut self, query: &VitalsQuery) -> Result<Vec<Vital>, StoreError> {
        let last = query.to.plus_micros(-1);
        let (first, last) = match query.after.map(|after| after.measured) {
            Some(after) if query.newest_first => (query.from, after.min(last)),
            Some(after) => (after.max(query.from), last),
            None => (query.from, last),
        };
        let mut span = FIRST_LOOK_US;
        loop {
            let all = span > LAST_LOOK_US || last.0.saturating_sub(first.0) <= span;
            let (from, to) = match (all, query.newest_first) {
                (true, _) => (first, last),
                (false, true) => (last.plus_micros(-span), last),
                (false, false) => (first, first.plus_micros(span)),
            };
            let wanted = Vitals { patient: query.patient.clone(), waves: false, from, to, device: query.device.clone() };
            let frames = frames_of(self.0, &wanted)?;
            let found = query.select(frames.iter().flat_map(|frame| group(frame, &query.patient)));
            if all || found.len() >= query.limit {
                return Ok(found);
            }
            span *= 8;
        }
    }

    fn vital(&mut self, id: &ObservationId) -> Result<Option<Vital>, StoreError> {
        let at = id.measured;
        // Whose it is cannot be told from the id; what is opened are the segments of its session at its time.
        let journal = self.0.ticks(false, 0)?;
        let unsealed = journal.iter().any(|(_, bytes)| bytes.windows(id.boot.0.len()).any(|part| part == id.boot.0));
        let patients: BTreeSet<_> = self.0.scopes()?.into_iter().filter_map(|s| s.patient).collect();
        for patient in patients {
            let wanted = Vitals { patient: patient.clone(), waves: false, from: at, to: at, device: None };
            let frames = frames_where(self.0, &wanted, Some(id.boot), unsealed)?;
            if let Some(vital) = frames.iter().flat_map(|f| group(f, &patient)).find(|v| v.id() == *id) {
                return Ok(Some(vital));
            }
        }
        Ok(None)
    }
}
