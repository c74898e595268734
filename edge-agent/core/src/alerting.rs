//! The life of alerts: raised on a score, acknowledged by a person, resolved by calm or by a person; never backwards.
//!
//! The durable documents are the state; what is to be written next is worked out afresh from them each time a commit
//! begins, so that a failed commit or a restart neither loses an alert nor raises it twice.
//!
//! Always: one alert at a time for a patient; a graver tier supersedes it, and an equal or lower one raises nothing
//! while it, or the episode a person closed, lasts. A score that fell because values went missing is no recovery.

use crate::alert_document::{self, Grounds, Read, Resolution};
use crate::chart::Chart;
use crate::patients::Patients;
use edge_api::alert::{AlertState, AlertView, Severity};
use protocol::commit::{DocumentState, Draft, Where};
use record::id::{BedId, PatientId, ResourceId};
use record::time::{Monotonic, Timestamp};
use risk::{Assessment, NotForPatient, Parameter};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long a score must have been below its alerting bound, on values as complete as when the alert was raised, before
/// the alert counts as recovered. Long enough that a value at the edge does not ring twice a minute; design choice.
pub const CALM_BEFORE_RESOLVED_US: u64 = 60_000_000;
/// Alerts held; resolved ones are forgotten first.
pub(crate) const ALERTS_MAX: usize = 1024;
/// How long a resolved alert is still listed.
const LISTED_AFTER_US: i64 = 3_600_000_000;

/// A patient's score as of the last durable change.
#[derive(Debug)]
pub(crate) struct Scored {
    pub bed: BedId,
    pub result: Result<Assessment, NotForPatient>,
    pub inputs: risk::Chart,
    /// Arrival of the bytes it rests on.
    pub trigger: Option<Monotonic>,
}

/// Every alert held, and how each patient's score has moved since.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    by_id: BTreeMap<ResourceId, Alert>,
    /// Arrival of the bytes that raised an alert, until it is durable.
    triggers: BTreeMap<ResourceId, Monotonic>,
    episodes: BTreeMap<PatientId, Episode>,
}

#[derive(Clone, PartialEq, Debug)]
struct Alert {
    view: AlertView,
    patient: PatientId,
    parameters: Vec<String>,
    extensions: Vec<Value>,
    resolved: Option<Timestamp>,
}

/// One stay above the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Episode {
    /// The gravest alert of it that a person closed.
    closed: Option<Severity>,
    calm_since: Option<Monotonic>,
}

impl Alerts {
    /// Takes in a DetectedIssue as it is durable. The view, if it changed.
    pub fn take(&mut self, state: &DocumentState, patients: &Patients, at: Timestamp, mono: Option<Monotonic>) -> Option<AlertView> {
        let read = alert_document::read(&state.json)?;
        let held = self.by_id.get(&state.id);
        let was_open = held.is_some_and(|a| a.resolved.is_none());
        let latency = self.triggers.remove(&state.id).zip(mono).map(|(from, to)| i64::try_from(to.micros_since(from)).unwrap_or(i64::MAX));
        let view = AlertView {
            id: state.id.to_string(),
            bed: read.bed.clone(),
            patient: read.patient.to_string(),
            patient_name: patients.get(&read.patient).map(|p| p.name.clone()).unwrap_or_default(),
            severity: read.severity,
            state: match (read.is_final, &state.acknowledged) {
                (true, _) => AlertState::Resolved,
                (false, Some(_)) => AlertState::Acknowledged,
                (false, None) => AlertState::Created,
            },
            text: read.text.clone(),
            raised_ms: read.raised.millis(),
            acknowledged_by: state.acknowledged.as_ref().map(|(_, by)| by.clone()),
            acknowledged_ms: state.acknowledged.as_ref().map(|(at, _)| at.millis()),
            latency_us: latency.or_else(|| held.and_then(|a| a.view.latency_us)),
        };
        let resolved = read.is_final.then(|| held.and_then(|a| a.resolved).unwrap_or(at));
        if was_open && read.is_final && !matches!(read.resolution, Some(Resolution::Recovered | Resolution::Superseded)) {
            let episode = self.episodes.entry(read.patient.clone()).or_default();
            episode.closed = episode.closed.max(Some(read.severity));
        }
        let changed = held.is_none_or(|a| a.view != view);
        let Read { patient, parameters, extensions, .. } = read;
        self.by_id.insert(state.id.clone(), Alert { view: view.clone(), patient, parameters, extensions, resolved });
        self.prune(at);
        changed.then_some(view)
    }

    /// Notes a new score: whether the patient is calm, and since when.
    pub fn follow(&mut self, patient: &PatientId, scored: &Scored, now: Monotonic) {
        let Ok(assessment) = &scored.result else { return };
        let as_complete = self.open_of(patient).all(|alert| alert.parameters.iter().all(|word| counted(assessment, word)));
        let calm = assessment.alert.is_none() && as_complete;
        let unremarkable = calm && self.open_of(patient).next().is_none() && !self.episodes.contains_key(patient);
        if unremarkable {
            return;
        }
        let episode = self.episodes.entry(patient.clone()).or_default();
        episode.calm_since = if calm { episode.calm_since.or(Some(now)) } else { None };
    }

    /// What must be written for a patient, given their score. Asked only while no commit is under way.
    pub fn wanted(
        &mut self,
        patient: &PatientId,
        scored: &Scored,
        chart: &Chart,
        now: Monotonic,
        id: impl FnOnce() -> ResourceId,
    ) -> Vec<Draft> {
        let Ok(assessment) = &scored.result else { return Vec::new() };
        let Some(score) = risk::by_id(&assessment.score) else { return Vec::new() };
        let episode = self.episodes.get(patient).copied();
        if assessment.alert.is_none() && episode.is_none() {
            return Vec::new();
        }
        let episode = episode.unwrap_or_default();
        let open = self.open_of(patient).map(|a| a.view.severity).max();
        match assessment.alert {
            Some(priority) if Some(alert_document::severity(priority)) > open.max(episode.closed) => {
                let mut drafts = self.resolve_open(patient, Resolution::Superseded);
                let id = id();
                let grounds = Grounds { patient, bed: &scored.bed, assessment, inputs: &scored.inputs, chart };
                let resource = alert_document::detected_issue(&id, priority, score, &grounds);
                drafts.push(Draft::Create { place: Where::Patient(patient.clone()), resource });
                if self.triggers.len() >= ALERTS_MAX {
                    self.triggers.pop_first();
                }
                if let Some(trigger) = scored.trigger {
                    self.triggers.insert(id, trigger);
                }
                drafts
            }
            None if episode.calm_since.is_some_and(|since| now.micros_since(since) >= CALM_BEFORE_RESOLVED_US) => {
                let drafts = self.resolve_open(patient, Resolution::Recovered);
                if drafts.is_empty() {
                    self.episodes.remove(patient);
                }
                drafts
            }
            _ => Vec::new(),
        }
    }

    /// When an alert may next count as recovered.
    pub fn wake_at(&self) -> Option<Monotonic> {
        self.episodes.values().filter_map(|e| e.calm_since).map(|since| since.plus_micros(CALM_BEFORE_RESOLVED_US)).min()
    }

    /// The elements that let a person close an alert.
    pub fn close(&self, id: &ResourceId) -> Option<serde_json::Map<String, Value>> {
        self.by_id.get(id).map(|alert| alert_document::resolved(&alert.extensions, Resolution::Person))
    }

    pub fn view(&self, id: &ResourceId) -> Option<&AlertView> {
        self.by_id.get(id).map(|alert| &alert.view)
    }

    pub fn patient_of(&self, id: &ResourceId) -> Option<&PatientId> {
        self.by_id.get(id).map(|alert| &alert.patient)
    }

    /// Open alerts, gravest and oldest first, then those resolved within the hour.
    pub fn list(&self, patients: &Patients, at: Timestamp, with_resolved: bool) -> Vec<AlertView> {
        let listed = |a: &&Alert| a.resolved.is_none_or(|when| with_resolved && at.micros_since(when) <= LISTED_AFTER_US);
        let mut views: Vec<AlertView> = self.by_id.values().filter(listed).map(|a| a.view.clone()).collect();
        for view in &mut views {
            // The record may have learnt the name after the alert.
            view.patient_name = patients.name(&view.patient);
        }
        views.sort_by_key(|v| (v.state == AlertState::Resolved, std::cmp::Reverse(v.severity), v.raised_ms, v.id.clone()));
        views
    }

    fn open_of(&self, patient: &PatientId) -> impl Iterator<Item = &Alert> {
        self.by_id.values().filter(move |a| a.resolved.is_none() && a.patient == *patient)
    }

    fn resolve_open(&self, patient: &PatientId, how: Resolution) -> Vec<Draft> {
        let open = self.by_id.iter().filter(|(_, a)| a.resolved.is_none() && a.patient == *patient);
        let update = |(id, alert): (&ResourceId, &Alert)| Draft::Update {
            resource_type: "DetectedIssue".to_owned(),
            id: id.clone(),
            elements: alert_document::resolved(&alert.extensions, how),
            if_match: None,
        };
        open.map(update).collect()
    }

    fn prune(&mut self, at: Timestamp) {
        if self.by_id.len() <= ALERTS_MAX {
            return;
        }
        self.by_id.retain(|_, a| a.resolved.is_none_or(|when| at.micros_since(when) <= LISTED_AFTER_US));
        while self.by_id.len() > ALERTS_MAX {
            let oldest = self.by_id.iter().min_by_key(|(_, a)| (a.resolved.is_none(), a.view.raised_ms)).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.by_id.remove(&oldest);
        }
        let held: BTreeSet<&PatientId> = self.by_id.values().map(|a| &a.patient).collect();
        self.episodes.retain(|patient, _| held.contains(patient));
    }
}

fn counted(assessment: &Assessment, word: &str) -> bool {
    let part = assessment.parts.iter().find(|p| Parameter::key(p.parameter) == word);
    part.is_none_or(|p| p.points().is_some())
}
