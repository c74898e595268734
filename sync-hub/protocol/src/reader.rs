//! The store as FHIR reads it.

use crate::replica::{SeriesReader, Sought, documents_of, parts_of};
use crate::store::{StoreError, Transaction};
use record::document::Document;
use record::fhir::{DocumentQuery, ObservationId, Reader, Vital, VitalsQuery, group_excerpt, together};
use record::id::ResourceId;
use serde_json::Value;
use std::collections::BTreeSet;

/// How much time is looked at first for vitals.
const FIRST_LOOK_US: i64 = 300_000_000;
/// Past this much, all of it.
const LAST_LOOK_US: i64 = 4096 * FIRST_LOOK_US;

/// A transaction that answers [`record::fhir::handle`]'s questions.
pub struct StoreReader<'a> {
    tx: &'a mut dyn Transaction,
    series: &'a mut SeriesReader,
}

impl<'a> StoreReader<'a> {
    /// Reads documents and vitals as of this transaction; `series` has read this store through this connection only, or nothing.
    pub fn new(tx: &'a mut dyn Transaction, series: &'a mut SeriesReader) -> Self {
        Self { tx, series }
    }
}

impl Reader for StoreReader<'_> {
    type Error = StoreError;

    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Value>, StoreError> {
        let found = self.tx.document(resource_type, id)?.filter(|d| !d.json.is_empty());
        found
            .map(|d| {
                serde_json::from_str(&d.json).map_err(|e| StoreError::Damaged { what: format!("{resource_type}/{id}"), why: e.to_string() })
            })
            .transpose()
    }

    fn parts(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Document>, StoreError> {
        self.tx.document(resource_type, id)?.filter(|d| !d.json.is_empty()).map(|d| parts_of(&d)).transpose()
    }

    fn documents(&mut self, query: &DocumentQuery) -> Result<Vec<Value>, StoreError> {
        documents_of(self.tx, query)
    }

    /// Looks from the end asked for, further and further, until there are enough.
    fn vitals(&mut self, query: &VitalsQuery) -> Result<Vec<Vital>, StoreError> {
        let last = query.to.plus_micros(-1);
        let (first, last) = match query.after.map(|after| after.measured) {
            Some(after) if query.newest_first => (query.from, after.min(last)),
            Some(after) => (after.max(query.from), last),
            None => (query.from, last),
        };
        let codes = query.codes.as_deref().map(together);
        let mut span = FIRST_LOOK_US;
        loop {
            let all = span > LAST_LOOK_US || last.0.saturating_sub(first.0) <= span;
            let (from, to) = match (all, query.newest_first) {
                (true, _) => (first, last),
                (false, true) => (last.plus_micros(-span), last),
                (false, false) => (first, first.plus_micros(span)),
            };
            let (patient, device) = (&query.patient, query.device.as_ref());
            let sought = Sought { patient, from, to, codes: codes.as_deref(), device, boot: None };
            let excerpts = self.series.excerpts(self.tx, &sought)?;
            let found = query.select(excerpts.iter().flat_map(|excerpt| group_excerpt(excerpt, patient)));
            if all || found.len() >= query.limit {
                return Ok(found);
            }
            span *= 8;
        }
    }

    fn vital(&mut self, id: &ObservationId) -> Result<Option<Vital>, StoreError> {
        // Whose it is cannot be told from the id; what is opened are the segments of its session at its time.
        let patients: BTreeSet<_> = self.tx.scopes()?.into_iter().filter_map(|s| s.patient).collect();
        for patient in patients {
            let (from, to) = (id.measured, id.measured);
            let sought = Sought { patient: &patient, from, to, codes: None, device: None, boot: Some(id.boot) };
            let excerpts = self.series.excerpts(self.tx, &sought)?;
            if let Some(vital) = excerpts.iter().flat_map(|excerpt| group_excerpt(excerpt, &patient)).find(|v| v.id() == *id) {
                return Ok(Some(vital));
            }
        }
        Ok(None)
    }
}
