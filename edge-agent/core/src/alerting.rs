//! The life of alerts: raised on a score or a value beyond its limit, acknowledged by a person, resolved by calm or by a person; never backwards.
//!
//! The durable documents are the state; what is to be written next is worked out afresh from them each time a commit
//! begins, so that a failed commit or a restart neither loses an alert nor raises it twice.
//!
//! Always: one alert at a time for a patient; a graver tier supersedes it, and an equal or lower one raises nothing
//! while it, or the episode a person closed, lasts: until the patient recovers or the stay ends, whatever restarts meanwhile. Where no
//! score watches, each limit calls once in that time.
//! A score that fell because values went missing is no recovery.

use crate::alert_document::{self, Grounds, Read, Resolution};
use crate::chart::Chart;
use crate::limiting::Limited;
use crate::patients::Patients;
use edge_api::alert::{AlertState, AlertView, Severity};
use protocol::commit::{DocumentState, Draft, Where};
use record::code::Code;
use record::id::{BedId, PatientId, ResourceId};
use record::time::{Monotonic, Timestamp};
use risk::{Assessment, NotForPatient, Parameter, Priority};
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
    /// Since when the patient has been in a bed here without a break.
    pub here_since: Timestamp,
    /// The moment it was judged at.
    pub at: Timestamp,
    pub result: Result<Assessment, NotForPatient>,
    pub limited: Limited,
    pub inputs: risk::Chart,
    /// Arrival of the bytes it rests on.
    pub trigger: Option<Monotonic>,
}

impl Scored {
    /// What it calls for: the graver of what the score says and what the limits say.
    fn tier(&self) -> Option<Priority> {
        self.result.as_ref().ok().and_then(|assessment| assessment.alert).max(self.limited.priority())
    }

    /// Whether all that an alert rests on can be judged: a value that went missing is no recovery. Limits that are no longer gone by
    /// say nothing.
    fn is_as_complete_as(&self, alert: &Alert) -> bool {
        let scored = match &self.result {
            Ok(assessment) => alert.parameters.iter().all(|word| counted(assessment, word)),
            // A score that is not for this patient says nothing of them, and did not when it called.
            Err(_) => true,
        };
        let Limited { known, judged, .. } = &self.limited;
        scored
            && alert
                .limits
                .iter()
                .all(|limit| judged.iter().any(|code| code.key() == *limit) || !known.iter().any(|code| code.key() == *limit))
    }
}

/// Every alert held, and how each patient's score has moved since.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    by_id: BTreeMap<ResourceId, Alert>,
    /// Arrival of the bytes that raised an alert, until it is durable.
    triggers: BTreeMap<ResourceId, Monotonic>,
    /// Since when patients with an alert that lasts have been calm.
    calm_since: BTreeMap<PatientId, Monotonic>,
    /// Limits that have called since a patient was last calm, where no score does: one that was answered does not silence the next.
    rung: BTreeMap<PatientId, BTreeSet<Code>>,
}

#[derive(Clone, PartialEq, Debug)]
struct Alert {
    id: ResourceId,
    view: AlertView,
    patient: PatientId,
    parameters: Vec<String>,
    /// Limits it was raised on, by their first code.
    limits: Vec<String>,
    extensions: Vec<Value>,
    resolved: Option<Timestamp>,
    /// A person closed it, and the patient has not recovered since.
    closed: bool,
}

impl Alerts {
    /// Takes in a DetectedIssue as it is durable. The view, if it changed.
    pub fn take(&mut self, state: &DocumentState, patients: &Patients, at: Timestamp, mono: Option<Monotonic>) -> Option<AlertView> {
        let read = alert_document::read(&state.json)?;
        let held = self.by_id.get(&state.id);
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
        let resolved = read.is_final.then(|| held.and_then(|a| a.resolved).or(read.changed).unwrap_or(at));
        // Whoever ends an alert without saying how is a person, by way of another program.
        let closed = read.is_final && matches!(read.resolution, None | Some(Resolution::Person));
        let changed = held.is_none_or(|a| a.view != view);
        let Read { patient, parameters, limits, extensions, .. } = read;
        self.by_id.insert(
            state.id.clone(),
            Alert { id: state.id.clone(), view: view.clone(), patient, parameters, limits, extensions, resolved, closed },
        );
        self.prune(at);
        changed.then_some(view)
    }

    /// Forgets the alerts of a patient whose record is no longer here; gives the open ones as over, for the screens.
    pub fn forget(&mut self, patient: &PatientId) -> Vec<AlertView> {
        let open = self.open_of(patient).map(|a| AlertView { state: AlertState::Resolved, ..a.view.clone() }).collect();
        self.by_id.retain(|_, alert| alert.patient != *patient);
        self.calm_since.remove(patient);
        self.rung.remove(patient);
        open
    }

    /// Notes a new score: whether the patient is calm, and since when.
    pub fn follow(&mut self, patient: &PatientId, scored: &Scored, now: Monotonic) {
        let calm =
            scored.tier().is_none() && !scored.limited.any_beyond && self.open_of(patient).all(|alert| scored.is_as_complete_as(alert));
        let lasts = self.open_of(patient).next().is_some() || self.closed_of(patient, scored).next().is_some();
        if calm && lasts {
            self.calm_since.entry(patient.clone()).or_insert(now);
        } else {
            self.calm_since.remove(patient);
        }
        if !lasts {
            self.rung.remove(patient);
        }
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
        let calm_since = self.calm_since.get(patient);
        match scored.tier() {
            Some(priority)
                if Some(alert_document::severity(priority)) > self.gravest(patient, scored) || self.has_unrung(patient, scored) =>
            {
                self.rung.entry(patient.clone()).or_default().extend(scored.limited.crossed.iter().map(|crossed| crossed.limit));
                let mut drafts: Vec<Draft> = self.open_of(patient).map(|a| a.resolve(Resolution::Superseded)).collect();
                let id = id();
                let Scored { bed, at, limited, inputs, .. } = scored;
                let grounds = Grounds { patient, bed, at: *at, assessment: scored.result.as_ref().ok(), limited, inputs, chart };
                let resource = alert_document::detected_issue(&id, priority, &grounds);
                drafts.push(Draft::Create { place: Where::Patient(patient.clone()), resource });
                if self.triggers.len() >= ALERTS_MAX {
                    self.triggers.pop_first();
                }
                if let Some(trigger) = scored.trigger {
                    self.triggers.insert(id, trigger);
                }
                drafts
            }
            None if calm_since.is_some_and(|since| now.micros_since(*since) >= CALM_BEFORE_RESOLVED_US) => {
                let open = self.open_of(patient).map(|a| a.resolve(Resolution::Recovered));
                let closed = self.closed_of(patient, scored).map(|a| a.resolve(Resolution::PersonRecovered));
                let drafts: Vec<Draft> = open.chain(closed).collect();
                if drafts.is_empty() {
                    self.calm_since.remove(patient);
                }
                drafts
            }
            _ => Vec::new(),
        }
    }

    /// Whether a limit is crossed that nothing has called for yet, and no score watches over the patient.
    fn has_unrung(&self, patient: &PatientId, scored: &Scored) -> bool {
        let rung = |limit: Code| {
            let key = limit.key();
            let mut lasting = self.open_of(patient).chain(self.closed_of(patient, scored));
            self.rung.get(patient).is_some_and(|rung| rung.contains(&limit)) || lasting.any(|alert| alert.limits.contains(&key))
        };
        scored.result.is_err() && scored.limited.crossed.iter().any(|crossed| !rung(crossed.limit))
    }

    /// When an alert may next count as recovered.
    pub fn wake_at(&self) -> Option<Monotonic> {
        self.calm_since.values().map(|since| since.plus_micros(CALM_BEFORE_RESOLVED_US)).min()
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

    /// Alerts of the episode that goes on which a person closed. What was closed in an earlier stay silences nothing in this.
    fn closed_of(&self, patient: &PatientId, scored: &Scored) -> impl Iterator<Item = &Alert> {
        let since = scored.here_since.millis();
        self.by_id.values().filter(move |a| a.closed && a.patient == *patient && a.view.raised_ms >= since)
    }

    /// The gravest tier that has been rung for in the episode that goes on.
    fn gravest(&self, patient: &PatientId, scored: &Scored) -> Option<Severity> {
        self.open_of(patient).chain(self.closed_of(patient, scored)).map(|a| a.view.severity).max()
    }

    fn prune(&mut self, at: Timestamp) {
        if self.by_id.len() <= ALERTS_MAX {
            return;
        }
        self.by_id.retain(|_, a| a.closed || a.resolved.is_none_or(|when| at.micros_since(when) <= LISTED_AFTER_US));
        while self.by_id.len() > ALERTS_MAX {
            let oldest = self.by_id.iter().min_by_key(|(_, a)| (a.resolved.is_none(), a.view.raised_ms)).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.by_id.remove(&oldest);
        }
        let held: BTreeSet<&PatientId> = self.by_id.values().map(|a| &a.patient).collect();
        self.calm_since.retain(|patient, _| held.contains(patient));
    }
}

impl Alert {
    fn resolve(&self, how: Resolution) -> Draft {
        Draft::Update {
            resource_type: "DetectedIssue".to_owned(),
            id: self.id.clone(),
            elements: alert_document::resolved(&self.extensions, how),
            if_match: None,
        }
    }
}

fn counted(assessment: &Assessment, word: &str) -> bool {
    let part = assessment.parts.iter().find(|p| Parameter::key(p.parameter) == word);
    part.is_none_or(|p| p.points().is_some())
}
