//! What is done at a box: a desktop's command, a tick of its devices, the box's own work. Each is one commit, with what it means
//! to the model beside what it says to the replica.

use crate::model::{Begun, DocumentId, Given, Key, Model, Patient, Place, Sample, SampleId, Write};
use protocol::{Commit, Draft, Where};
use record::binding::Binding;
use record::id::{DeviceId, PatientId, ScopeId};
use record::ledger::Act as By;
use record::ledger::body::AuditEvent;
use record::series::Frame;
use record::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One act.
#[derive(Clone, Debug)]
pub enum Act {
    /// A patient is registered.
    Register(PatientId),
    /// A document is begun with a value in an element.
    Create {
        /// Where it is to live.
        place: Where,
        /// Which.
        document: DocumentId,
        /// The element that carries a value; empty: none.
        element: &'static str,
        /// The value.
        value: String,
    },
    /// An element is given another value, in place of those its author sees.
    Update {
        /// Which.
        document: DocumentId,
        /// The element.
        element: &'static str,
        /// Its new value.
        value: String,
        /// The values seen.
        replaces: BTreeSet<String>,
    },
    /// An alert is taken.
    Take {
        /// Which.
        alert: String,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Bindings are said, or said anew; samples sealed for the wrong patient are moved.
    Bind {
        /// The versions.
        bindings: Vec<Binding>,
        /// What is moved with them.
        moved: Option<Move>,
    },
    /// Devices have sent something.
    Tick(Vec<Frame>),
    /// The tail is sealed.
    Seal {
        /// The segments.
        drafts: Vec<Draft>,
        /// The newest tick in them.
        through: u64,
        /// Where each sample goes.
        placed: Vec<(SampleId, Place)>,
    },
    /// The box notes who read what.
    Audit(Timestamp),
    /// Several at once, all or nothing.
    Several(Vec<Act>),
}

/// Samples that go from one patient to another.
#[derive(Clone, Debug)]
pub struct Move {
    /// From whom.
    pub from: (usize, PatientId),
    /// To whom.
    pub to: (usize, PatientId),
    /// Of which device.
    pub device: DeviceId,
    /// Measured at or after.
    pub start: Timestamp,
    /// Measured at or before.
    pub end: Timestamp,
}

/// The element of a value, as FHIR has it.
#[must_use]
pub fn element_of(element: &str, value: &str) -> Value {
    match element {
        "code" | "medicationCodeableConcept" => json!({"text": value}),
        _ => value.into(),
    }
}

/// The value in an element.
#[must_use]
pub fn value_in(element: &Value) -> String {
    let text = element.get("text").unwrap_or(element);
    text.as_str().unwrap_or_default().to_owned()
}

/// The resource a document begins as.
fn resource(document: &DocumentId, element: &str, value: &str) -> Value {
    let mut object = match document.0 {
        "Task" => json!({"status": "requested", "intent": "order"}),
        "AllergyIntolerance" => json!({"clinicalStatus": {"text": "active"}, "patient": {"display": "in scope"}}),
        "MedicationRequest" => json!({"status": "active", "intent": "order", "subject": {"display": "in scope"}}),
        _ => json!({"status": "preliminary"}),
    };
    if let Some(object) = object.as_object_mut() {
        object.insert("resourceType".to_owned(), document.0.into());
        object.insert("id".to_owned(), document.1.clone().into());
        if !element.is_empty() {
            object.insert(element.to_owned(), element_of(element, value));
        }
    }
    object
}

impl Act {
    /// What the replica is asked to write.
    #[must_use]
    pub fn commit(&self) -> Commit {
        let mut commit = Commit { act: By { user: "nurse".to_owned(), ..By::default() }, ..Commit::default() };
        self.add_to(&mut commit);
        commit
    }

    fn add_to(&self, commit: &mut Commit) {
        match self {
            Self::Register(patient) => {
                let resource = json!({"resourceType": "Patient", "id": patient.as_str(), "name": [{"family": "Test"}]});
                commit.drafts.push(Draft::Create { place: Where::Site, resource });
            }
            Self::Create { place, document, element, value } => {
                commit.drafts.push(Draft::Create { place: place.clone(), resource: resource(document, element, value) });
            }
            Self::Update { document, element, value, .. } => {
                let elements: Map<String, Value> = [((*element).to_owned(), element_of(element, value))].into_iter().collect();
                let Ok(id) = document.1.parse() else { return };
                commit.drafts.push(Draft::Update { resource_type: document.0.to_owned(), id, elements, if_match: None });
            }
            Self::Take { alert, by, at } => {
                let Ok(alert) = alert.parse() else { return };
                commit.drafts.push(Draft::Acknowledge { alert, by: by.clone(), at: *at });
            }
            Self::Bind { bindings, moved } => {
                commit.drafts.extend(bindings.iter().cloned().map(Draft::Bind));
                commit.drafts.extend(moved.iter().map(|m| Draft::Refile {
                    from: Where::Patient(m.from.1.clone()),
                    to: Where::Patient(m.to.1.clone()),
                    device: m.device.clone(),
                    start: m.start,
                    end: m.end,
                }));
            }
            Self::Tick(frames) => commit.tick.clone_from(frames),
            Self::Seal { drafts, through, .. } => {
                commit.drafts.clone_from(drafts);
                commit.drop_ticks_through = [Some(*through); 2];
            }
            Self::Audit(at) => commit.drafts.push(Draft::Audit(vec![AuditEvent {
                at: *at,
                user: "nurse".to_owned(),
                session: String::new(),
                action: "read".to_owned(),
                what: Vec::new(),
                ok: true,
            }])),
            Self::Several(acts) => acts.iter().for_each(|act| act.add_to(commit)),
        }
    }

    /// Tells the model that the act stands. `scope_of` knows the scopes of patients and sites.
    pub fn note(&self, model: &mut Model, key: Key, write: Write, scope_of: &dyn Fn(&Where) -> Option<ScopeId>) {
        let number = model.writes.len();
        model.writes.push(write);
        self.note_in(model, key, number, scope_of);
    }

    fn note_in(&self, model: &mut Model, key: Key, write: usize, scope_of: &dyn Fn(&Where) -> Option<ScopeId>) {
        match self {
            Self::Register(patient) => {
                let Some(scope) = scope_of(&Where::Patient(patient.clone())) else { return };
                model.patients.push(Patient { id: patient.clone(), scope, creator: key, write, erased: Vec::new(), moves: Vec::new() });
                let begun = Begun { scope, write, taken: Vec::new() };
                model.documents.insert(("Patient", patient.to_string()), begun);
            }
            Self::Create { place, document, element, value } => {
                let Some(scope) = scope_of(place) else { return };
                model.documents.insert(document.clone(), Begun { scope, write, taken: Vec::new() });
                if !element.is_empty() {
                    let given = Given { document: document.clone(), element, write, replaces: BTreeSet::new() };
                    model.given.insert(value.clone(), given);
                }
            }
            Self::Update { document, element, value, replaces } => {
                let given = Given { document: document.clone(), element, write, replaces: replaces.clone() };
                model.given.insert(value.clone(), given);
            }
            Self::Take { alert, by, at } => {
                if let Some(begun) = model.documents.get_mut(&("DetectedIssue", alert.clone())) {
                    begun.taken.push((*at, by.clone(), write));
                }
            }
            Self::Bind { bindings, moved } => {
                model.bindings.entry(key).or_default().extend(bindings.iter().map(|b| (write, b.clone())));
                if let Some(m) = moved {
                    let current: Vec<SampleId> =
                        model.samples.iter().filter(|(_, s)| concerns(model, s, m)).map(|(id, _)| id.clone()).collect();
                    for id in current {
                        if let Some(sample) = model.samples.get_mut(&id) {
                            sample.placed.push((write, Place::Patient(m.to.0)));
                        }
                    }
                }
            }
            Self::Tick(frames) => {
                for frame in frames {
                    let id = (frame.device.to_string(), frame.boot, frame.first_seq);
                    model.samples.insert(id, Sample { frame: frame.clone(), key, placed: Vec::new(), lost: false });
                }
            }
            Self::Seal { placed, .. } => {
                for (id, place) in placed {
                    // Sealed again from a restored tail, after its patient's record has left the box: it is with the patient already,
                    // and once more among what nobody claims.
                    let has_left = |of: &Place| matches!(of, Place::Patient(p) if model.has_left(*p, key));
                    let repeated =
                        *place == Place::Unassigned && model.samples.get(id).and_then(|s| model.place(s)).as_ref().is_some_and(has_left);
                    if let Some(sample) = model.samples.get_mut(id).filter(|_| !repeated) {
                        sample.placed.push((write, *place));
                    }
                }
            }
            Self::Audit(_) => {}
            Self::Several(acts) => acts.iter().for_each(|act| act.note_in(model, key, write, scope_of)),
        }
    }
}

fn concerns(model: &Model, sample: &Sample, m: &Move) -> bool {
    let at = sample.frame.measured;
    model.place(sample) == Some(Place::Patient(m.from.0)) && sample.frame.device == m.device && m.start <= at && at <= m.end
}
