//! The store as FHIR reads it.

use crate::replica::{Vitals, documents_of, frames_of};
use crate::store::{StoreError, Transaction};
use record::fhir::{DocumentQuery, ObservationId, Reader, Vital, VitalsQuery, group};
use record::id::ResourceId;
use record::time::Timestamp;
use serde_json::Value;

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

    fn documents(&mut self, query: &DocumentQuery) -> Result<Vec<Value>, StoreError> {
        documents_of(self.0, query.resource_type, query.patient.as_ref(), query.after.clone(), query.limit)
    }

    fn vitals(&mut self, query: &VitalsQuery) -> Result<Vec<Vital>, StoreError> {
        let wanted = Vitals {
            patient: query.patient.clone(),
            waves: false,
            from: query.from,
            to: query.to.plus_micros(-1),
            device: query.device.clone(),
        };
        let frames = frames_of(self.0, &wanted)?;
        Ok(query.select(frames.iter().flat_map(|frame| group(frame, &query.patient))))
    }

    fn vital(&mut self, id: &ObservationId) -> Result<Option<Vital>, StoreError> {
        let at = id.measured;
        let patients: Vec<_> = self.0.scopes()?.into_iter().filter_map(|s| s.patient).collect();
        for patient in patients {
            let wanted = Vitals { patient: patient.clone(), waves: false, from: at, to: Timestamp(at.0), device: None };
            let frames = frames_of(self.0, &wanted)?;
            if let Some(vital) = frames.iter().flat_map(|f| group(f, &patient)).find(|v| v.id() == *id) {
                return Ok(Some(vital));
            }
        }
        Ok(None)
    }
}
