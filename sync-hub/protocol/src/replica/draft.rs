//! What each draft of a commit becomes.

use super::damaged;
use super::read::segment_frames;
use super::write::{CommitError, Writer};
use crate::commit::{Draft, Where};
use crate::entropy::{Entropy, bytes};
use crate::store::{State, StoreError};
use record::document::{self, Document};
use record::fhir::PatientView;
use record::id::{DeviceId, ResourceId, ScopeId, new_resource_id};
use record::ledger::body::{Acknowledgement, Body, Change, DocumentEvent, Refiling};
use record::ledger::configuration::Configuration;
use record::ledger::grant::ScopeRole;
use record::observation::Quality;
use record::series::{Frame, Segment, SegmentKind};
use record::time::Timestamp;
use serde_json::{Map, Value};

/// Most segments that one refiling touches.
const REFILE_LIMIT: usize = 4096;

impl Writer<'_> {
    pub fn draft(&mut self, draft: &Draft, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        match draft {
            Draft::Create { place, resource } => self.create(place, resource, entropy),
            Draft::Update { resource_type, id, elements, if_match } => {
                self.update(resource_type, id, elements, if_match.as_deref(), entropy)
            }
            Draft::Acknowledge { alert, by, at } => {
                self.flush_document("DetectedIssue", alert, entropy)?;
                let held = self.tx.document("DetectedIssue", alert)?;
                let scope = held.ok_or_else(|| CommitError::UnknownDocument(format!("DetectedIssue/{alert}")))?.scope;
                let event = Acknowledgement { alert: alert.clone(), by: by.clone(), at: *at };
                self.event(scope, DocumentEvent::Acknowledgement(event), entropy)
            }
            Draft::Bind(binding) => {
                let scope = self.place(&Where::Site)?;
                self.add(scope, &Body::Binding(binding.clone()), entropy)
            }
            Draft::Segment { place, segment } => {
                let scope = self.place(place)?;
                self.add(scope, &Body::Segment(segment.clone()), entropy)
            }
            Draft::Refile { from, to, device, start, end } => {
                let (from, to) = (self.place(from)?, self.place(to)?);
                for waves in [false, true] {
                    self.refile(from, to, waves, device, (*start, *end), entropy)?;
                }
                Ok(())
            }
            Draft::Report(report) => {
                let scope = self.place(&Where::Site)?;
                self.add(scope, &Body::Configuration(Configuration::Report(report.clone())), entropy)
            }
            Draft::Audit(events) => {
                let scope = self.own(ScopeRole::Audit)?;
                self.add(scope, &Body::Audit(events.clone()), entropy)
            }
        }
    }

    fn create(&mut self, place: &Where, resource: &Value, entropy: &mut dyn Entropy) -> Result<(), CommitError> {
        let resource_type = resource.get("resourceType").and_then(Value::as_str).ok_or(CommitError::Resource("resourceType"))?;
        let id = match resource.get("id") {
            Some(id) => id.as_str().and_then(|id| id.parse().ok()).ok_or(CommitError::Resource("id"))?,
            None => new_resource_id(bytes(entropy)),
        };
        let scope = if resource_type == "Patient" { None } else { Some(self.place(place)?) };
        let pending = scope.is_some_and(|scope| self.is_pending(scope, resource_type, &id));
        if pending || self.tx.document(resource_type, &id)?.is_some_and(|d| !d.json.is_empty()) {
            return Err(CommitError::Exists(format!("{resource_type}/{id}")));
        }
        let genesis = DocumentEvent::Genesis(document::genesis(resource_type, &id, resource)?);
        match scope {
            Some(scope) => self.event(scope, genesis, entropy),
            None => {
                let scope = self.begin(ScopeRole::Patient, entropy)?;
                self.event(scope, genesis, entropy)?;
                // What follows in this commit may name the patient.
                self.flush(scope, entropy)
            }
        }
    }

    fn update(
        &mut self,
        resource_type: &str,
        id: &ResourceId,
        elements: &Map<String, Value>,
        if_match: Option<&str>,
        entropy: &mut dyn Entropy,
    ) -> Result<(), CommitError> {
        let what = format!("{resource_type}/{id}");
        self.flush_document(resource_type, id, entropy)?;
        let held = self.tx.document(resource_type, id)?.filter(|d| !d.json.is_empty());
        let held = held.ok_or_else(|| CommitError::UnknownDocument(what.clone()))?;
        if let Some(expected) = if_match.filter(|v| *v != held.version) {
            return Err(CommitError::Version { what, expected: expected.to_owned(), actual: held.version });
        }
        let parts: Document = postcard::from_bytes(&held.parts).map_err(|e| damaged("documents.parts", &e))?;
        let hlc = self.known.hlc.tick(self.now);
        let changes = parts.edit(self.identity.replica(), self.run, hlc, elements)?;
        if changes.is_empty() {
            return Ok(());
        }
        let change = Change { resource_type: resource_type.to_owned(), id: id.clone(), changes };
        self.event(held.scope, DocumentEvent::Change(change), entropy)
    }

    /// Masks a device's samples in one scope and seals copies of them in another.
    fn refile(
        &mut self,
        from: ScopeId,
        to: ScopeId,
        waves: bool,
        device: &DeviceId,
        (start, end): (Timestamp, Timestamp),
        entropy: &mut dyn Entropy,
    ) -> Result<(), CommitError> {
        let kind = if waves { SegmentKind::Waves } else { SegmentKind::Numerics };
        let rows = self.tx.segments(from, waves, start, end, REFILE_LIMIT)?;
        if rows.len() == REFILE_LIMIT {
            return Err(CommitError::Content(format!("more than {REFILE_LIMIT} segments would be moved: correct a shorter time")));
        }
        let masks = self.tx.masks(from)?;
        // Demonstration data are filed to nobody real.
        let unassigned = self.own(ScopeRole::Unassigned)?;
        let real = self.is_real_patient(to)?;
        for row in rows.into_iter().filter(|row| row.device == device.as_str()) {
            let what = || format!("segment {}/{}", row.chain.run, row.seq);
            let entry = self.tx.entry(row.chain, row.seq)?.ok_or_else(|| damaged(&what(), &"the entry is missing"))?;
            if entry.state != State::Done {
                return Err(CommitError::Content(format!(
                    "{} is not held here ({}): its samples cannot be moved",
                    what(),
                    entry.state.word()
                )));
            }
            let mut frames = segment_frames(&self.known.scopes, &entry).map_err(|e| damaged(&what(), &e))?;
            let masked = |at| masks.iter().any(|m| (m.chain, m.seq) == (row.chain, row.seq) && m.from <= at && at <= m.to);
            frames.retain(|frame| start <= frame.measured && frame.measured <= end && !masked(frame.measured));
            let (demo, moved): (Vec<Frame>, Vec<Frame>) = frames.into_iter().partition(|frame| real && is_demo(frame));
            if moved.is_empty() && (demo.is_empty() || from == unassigned) {
                continue;
            }
            // What stays is masked with the rest, and copied back.
            for (scope, frames) in [(to, moved), (unassigned, demo)] {
                if !frames.is_empty() {
                    let segment = Segment::build(kind, &frames).map_err(|e| CommitError::Content(e.to_string()))?;
                    self.add(scope, &Body::Refiling(Refiling::Copy { chain: row.chain, seq: row.seq, segment }), entropy)?;
                }
            }
            let mask = Refiling::Mask { chain: row.chain, seq: row.seq, from: start, to: end };
            self.add(from, &Body::Refiling(mask), entropy)?;
        }
        Ok(())
    }

    /// Whether a scope is that of a patient who is not tagged test.
    fn is_real_patient(&mut self, scope: ScopeId) -> Result<bool, CommitError> {
        let Some(patient) = self.known.scopes.get(&scope).and_then(|s| s.patient.clone()) else { return Ok(false) };
        let held = self.tx.document("Patient", &patient.into())?;
        Ok(!held.is_some_and(|held| serde_json::from_str(&held.json).is_ok_and(|json: Value| PatientView(&json).is_test())))
    }

    pub fn own(&self, role: ScopeRole) -> Result<ScopeId, CommitError> {
        let own = self.known.own(self.identity.replica(), role);
        own.ok_or_else(|| StoreError::Other(format!("this replica has no {role:?} scope")).into())
    }

    fn place(&self, place: &Where) -> Result<ScopeId, CommitError> {
        match place {
            Where::Site => self.own(ScopeRole::Site),
            Where::Unassigned => self.own(ScopeRole::Unassigned),
            Where::Patient(patient) => {
                self.known.patients.get(patient).copied().ok_or_else(|| CommitError::UnknownPatient(patient.clone()))
            }
        }
    }
}

fn is_demo(frame: &Frame) -> bool {
    frame.numerics.iter().any(|n| n.quality == Quality::Demo) || frame.waves.iter().any(|w| w.demo)
}
