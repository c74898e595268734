//! Whose a laboratory report is, and what it changes of what is kept already.
//!
//! Always: a report is filed to a patient only where its numbers name exactly one here; what is not about a patient, never. A
//! transmission that is kept changes nothing when it comes again, in whatever order. A final result is replaced only by one
//! that says so or that was measured at the same moment: another measurement is another report.

use crate::association::Association;
use crate::patients::Patients;
use crate::statements::new_dated_id;
use protocol::{Draft, Entropy, Where};
use record::document::canonical_json;
use record::fhir::laboratory::{FOUND, Filing, ORDER, TRANSMISSION, Unfiled, diagnostic_report, observation, status_of, transmission};
use record::id::{DeviceId, PatientId, ResourceId};
use record::laboratory::{LabKind, LabReport, LabResult, LabStatus};
use record::ledger::entry::sha256;
use record::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What ids of reports begin with; see [`crate::ids_since`].
pub const REPORTS: &str = "lab";
/// Reports remembered.
const REPORTS_MAX: usize = 4_096;
/// Transmissions remembered.
const TRANSMISSIONS_MAX: usize = 65_536;
/// Transmissions named in one report.
const NAMED_MAX: usize = 32;
/// Results of one report.
const RESULTS_MAX: usize = 2_048;
/// For so long results are added to a report. Specimen numbers begin anew each day on some analysers.
const OPEN_US: i64 = 24 * 3_600 * 1_000_000;
/// A shorter number of a specimen is a running number of the analyser's.
const SPECIMEN_LEN_MIN: usize = 5;

/// What is kept of laboratories, as far as it is needed.
#[derive(Debug, Default)]
pub(crate) struct Laboratory {
    reports: BTreeMap<ResourceId, Held>,
    /// Which report holds a transmission.
    seen: BTreeMap<String, (ResourceId, Option<PatientId>)>,
    seen_order: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Held {
    order: String,
    issued: Timestamp,
    patient: Option<PatientId>,
    status: String,
    transmissions: Vec<String>,
    /// By their number in the report.
    results: BTreeMap<usize, HeldResult>,
}

/// An Observation, as far as it tells results apart.
#[derive(Clone, PartialEq, Debug)]
struct HeldResult {
    test: String,
    found: String,
    at: Option<String>,
    status: String,
}

/// A report that waits to be kept.
pub(crate) struct Incoming<'a> {
    pub report: &'a LabReport,
    pub device: &'a DeviceId,
    pub heard: Timestamp,
    pub loinc: &'a BTreeMap<String, String>,
    /// It could not be kept where it belongs.
    pub refused: bool,
}

/// What becomes of a result.
enum Becomes {
    Same,
    New,
    /// Replaces this one, which then has this status.
    Replaces(usize, &'static str),
}

/// Whose a report is.
///
/// # Errors
/// Why that cannot be told.
pub(crate) fn whose(report: &LabReport, patients: &Patients, association: &Association) -> Result<PatientId, Unfiled> {
    match report.kind {
        LabKind::Patient => {}
        LabKind::Control => return Err(Unfiled::Control),
        LabKind::Calibration => return Err(Unfiled::Calibration),
        LabKind::Demo => return Err(Unfiled::Demo),
    }
    if report.patient_ids.is_empty() && report.specimen.is_none() {
        return Err(Unfiled::NoNumber);
    }
    let stated: BTreeSet<&PatientId> = report.patient_ids.iter().flat_map(|number| patients.with_number(number)).collect();
    let specimen = report.specimen.as_deref().filter(|number| number.chars().count() >= SPECIMEN_LEN_MIN);
    let on_label: BTreeSet<&PatientId> = specimen.into_iter().flat_map(|number| patients.with_number(number)).collect();
    let found = if report.patient_ids.is_empty() { &on_label } else { &stated };
    if !found.is_empty() && !on_label.is_empty() && on_label != *found {
        return Err(Unfiled::Contradiction);
    }
    let mut found = found.iter();
    match (found.next(), found.next()) {
        (None, _) => Err(Unfiled::UnknownNumber),
        (Some(_), Some(_)) => Err(Unfiled::AmbiguousNumber),
        (Some(patient), None) if association.scopes.contains_key(*patient) => Ok((*patient).clone()),
        (Some(_), None) => Err(Unfiled::RecordClosed),
    }
}

impl Laboratory {
    /// Takes in a DiagnosticReport or an Observation as it is kept.
    pub fn take(&mut self, resource: &Value) {
        let text = |key: &str| resource.get(key).and_then(Value::as_str);
        let Some(id) = text("id").filter(|id| id.split('-').next() == Some(REPORTS)) else { return };
        if text("resourceType") == Some("Observation") {
            let Some((report, n)) = id.rsplit_once('-') else { return };
            if let (Ok(report), Ok(n)) = (report.parse(), n.parse()) {
                self.reports.entry(report).or_default().results.insert(n, HeldResult::of(resource));
            }
        } else if let Ok(id) = id.parse::<ResourceId>() {
            let identifiers = resource.get("identifier").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let of = |system: &'static str| {
                let own = identifiers.iter().filter(move |i| i.get("system").and_then(Value::as_str) == Some(system));
                own.filter_map(|i| i.get("value").and_then(Value::as_str).map(str::to_owned))
            };
            let held = self.reports.entry(id.clone()).or_default();
            held.order = of(ORDER).next().unwrap_or_default();
            held.issued = text("issued").and_then(|at| Timestamp::parse(at).ok()).unwrap_or_default();
            let subject = resource.pointer("/subject/reference").and_then(Value::as_str);
            held.patient = subject.and_then(|text| text.strip_prefix("Patient/")?.parse().ok());
            held.status = text("status").unwrap_or_default().to_owned();
            held.transmissions = of(TRANSMISSION).collect();
            let known: Vec<_> = held.transmissions.iter().map(|digest| (digest.clone(), (id.clone(), held.patient.clone()))).collect();
            for (digest, place) in known {
                if self.seen.insert(digest.clone(), place).is_none() {
                    self.seen_order.push_back(digest);
                }
            }
        }
        while self.reports.len() > REPORTS_MAX {
            self.reports.pop_first();
        }
        while self.seen_order.len() > TRANSMISSIONS_MAX {
            self.seen_order.pop_front().map(|oldest| self.seen.remove(&oldest));
        }
    }

    /// What has to be written so that a report is kept; nothing if it is.
    pub fn drafts(&self, incoming: &Incoming<'_>, patients: &Patients, association: &Association, entropy: &mut dyn Entropy) -> Vec<Draft> {
        let Incoming { report, device, heard, loinc, refused } = *incoming;
        if report.results.is_empty() {
            return Vec::new();
        }
        let whose = if refused { Err(Unfiled::NotKept) } else { whose(report, patients, association) };
        let (order, digest) = digests(device, report);
        let patient = whose.as_ref().ok();
        let known = self.seen.get(&digest).filter(|_| is_recognisable(report));
        // What was filed to nobody may be somebody's by now.
        if known.is_some_and(|(_, of)| of.is_some() || patient.is_none()) {
            return Vec::new();
        }
        let begun = new_dated_id(REPORTS, heard, protocol::entropy::bytes(entropy));
        let filing = |id| Filing {
            id,
            patient: whose.as_ref().map_err(|why| *why),
            device,
            issued: heard,
            loinc,
            order: &order,
            transmission: &digest,
        };
        let mut drafts = Vec::new();
        // Reports of this order on this specimen, the latest first.
        let alike = self.reports.iter().rev().filter(|(_, held)| report.specimen.is_some() && held.takes(&order, heard));
        let alike: Vec<(&ResourceId, &Held)> = alike.collect();
        if known.is_none()
            && let Some((id, held)) = alike.iter().find(|(_, held)| held.patient.as_ref() == patient)
            && let Some(becomes) = held.compare(report, &filing(id.as_str()))
        {
            return held.changed(id, report, &becomes, &filing(id.as_str()));
        }
        // What was filed to nobody and is somebody's after all is put right.
        let nobodys = || alike.iter().find(|(_, held)| held.patient.is_none()).map(|(id, _)| *id);
        let stray = known.map(|(id, _)| id).or_else(nobodys).filter(|_| patient.is_some());
        if let Some((id, held)) = stray.and_then(|id| self.reports.get_key_value(id)) {
            drafts.extend(held.withdrawn(id));
        }
        let place = patient.map_or(Where::Unassigned, |patient| Where::Patient(patient.clone()));
        let create = |resource| Draft::Create { place: place.clone(), resource };
        let filing = filing(begun.as_str());
        drafts.push(create(diagnostic_report(report, &filing)));
        drafts.extend(report.results.iter().enumerate().map(|(n, result)| create(observation(report, result, n + 1, &filing))));
        drafts
    }
}

impl Held {
    /// Whether what is sent of an order now still belongs to it.
    fn takes(&self, order: &str, now: Timestamp) -> bool {
        let in_force = !matches!(self.status.as_str(), "entered-in-error" | "");
        in_force && self.order == order && now.micros_since(self.issued) < OPEN_US
    }

    /// What becomes of each result of a report; `None` if it is another report.
    fn compare(&self, report: &LabReport, filing: &Filing<'_>) -> Option<Vec<Becomes>> {
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        let mut becomes = Vec::new();
        for result in &report.results {
            let new = HeldResult::of(&observation(report, result, 0, filing));
            // A test that is named twice is told apart by its turn.
            let held = self.results.iter().find(|(n, held)| held.test == new.test && !taken.contains(n));
            let Some((n, held)) = held else {
                becomes.push(Becomes::New);
                continue;
            };
            taken.insert(*n);
            becomes.push(held.becomes(*n, &new, result)?);
        }
        let grown = self.results.len() + becomes.iter().filter(|b| matches!(b, Becomes::New)).count();
        (grown <= RESULTS_MAX).then_some(becomes)
    }

    fn changed(&self, id: &ResourceId, report: &LabReport, becomes: &[Becomes], filing: &Filing<'_>) -> Vec<Draft> {
        let mut statuses: BTreeMap<usize, &str> = self.results.iter().map(|(n, held)| (*n, held.status.as_str())).collect();
        let mut next = self.results.keys().next_back().map_or(1, |last| last + 1);
        let mut drafts = Vec::new();
        let place = filing.patient.map_or(Where::Unassigned, |patient| Where::Patient(patient.clone()));
        for (result, becomes) in report.results.iter().zip(becomes) {
            match becomes {
                Becomes::Same => {}
                Becomes::New => {
                    drafts.push(Draft::Create { place: place.clone(), resource: observation(report, result, next, filing) });
                    statuses.insert(next, result_status(result.status));
                    next += 1;
                }
                Becomes::Replaces(n, status) => {
                    let rendered = observation(report, result, *n, filing);
                    let mut elements: Map<String, Value> =
                        FOUND.iter().map(|key| ((*key).to_owned(), rendered.get(*key).cloned().unwrap_or_default())).collect();
                    elements.insert("status".to_owned(), (*status).into());
                    elements.insert("issued".to_owned(), filing.issued.rfc3339().into());
                    statuses.insert(*n, status);
                    drafts.extend(format!("{id}-{n}").parse().ok().map(|id| update("Observation", id, elements)));
                }
            }
        }
        let mut elements = Map::new();
        let mut named: Vec<Value> = vec![json!({"system": ORDER, "value": self.order})];
        let transmissions = self.transmissions.iter().map(String::as_str).chain([filing.transmission]);
        let skipped = (self.transmissions.len() + 1).saturating_sub(NAMED_MAX);
        named.extend(transmissions.skip(skipped).map(transmission));
        elements.insert("identifier".to_owned(), named.into());
        if !drafts.is_empty() {
            let amended = matches!(self.status.as_str(), "amended" | "corrected");
            let status = if amended { "amended" } else { status_of(statuses.values().copied()) };
            elements.insert("status".to_owned(), status.into());
            elements.insert("issued".to_owned(), filing.issued.rfc3339().into());
            let results = statuses.keys().map(|n| json!({"reference": format!("Observation/{id}-{n}")}));
            elements.insert("result".to_owned(), results.collect());
            if let Some(at) = report.results.iter().filter_map(|result| result.at).max() {
                elements.insert("effectiveDateTime".to_owned(), at.rfc3339().into());
            }
        }
        drafts.push(update("DiagnosticReport", id.clone(), elements));
        drafts
    }

    fn withdrawn(&self, id: &ResourceId) -> Vec<Draft> {
        let elements = || Map::from_iter([("status".to_owned(), Value::from("entered-in-error"))]);
        let results = self.results.keys().filter_map(|n| format!("{id}-{n}").parse().ok());
        let mut drafts: Vec<Draft> = results.map(|id| update("Observation", id, elements())).collect();
        drafts.push(update("DiagnosticReport", id.clone(), elements()));
        drafts
    }
}

impl HeldResult {
    fn of(observation: &Value) -> Self {
        let found: Map<String, Value> = FOUND.iter().filter_map(|key| Some(((*key).to_owned(), observation.get(*key)?.clone()))).collect();
        let text = |key: &str| observation.get(key).and_then(Value::as_str).map(str::to_owned);
        // The analyser's own code is the last.
        let codings = observation.pointer("/code/coding").and_then(Value::as_array);
        let code = codings.and_then(|codings| codings.last()?.get("code")?.as_str());
        Self {
            test: code.unwrap_or_default().to_owned(),
            found: sha256(&[canonical_json(&Value::Object(found)).as_bytes()]).to_string(),
            at: text("effectiveDateTime"),
            status: text("status").unwrap_or_default(),
        }
    }

    fn becomes(&self, n: usize, new: &Self, result: &LabResult) -> Option<Becomes> {
        let was_preliminary = self.status == "preliminary";
        let is_preliminary = result.status == LabStatus::Preliminary;
        if self.found == new.found && (!was_preliminary || is_preliminary) {
            return Some(Becomes::Same);
        }
        if was_preliminary {
            return Some(Becomes::Replaces(n, result_status(result.status)));
        }
        let replaces = result.status == LabStatus::Corrected || self.at == new.at;
        (replaces && !is_preliminary).then_some(Becomes::Replaces(n, "amended"))
    }
}

const fn result_status(status: LabStatus) -> &'static str {
    match status {
        LabStatus::Preliminary => "preliminary",
        LabStatus::Final => "final",
        LabStatus::Corrected => "corrected",
        LabStatus::Cancelled => "cancelled",
    }
}

/// Whether an equal report can only be the same one: without any number or moment two patients' may be equal.
fn is_recognisable(report: &LabReport) -> bool {
    report.specimen.is_some() || !report.patient_ids.is_empty() || report.results.iter().any(|result| result.at.is_some())
}

/// What tells the order of a report and the report itself from others, in hex.
fn digests(device: &DeviceId, report: &LabReport) -> (String, String) {
    let order = json!([device.as_str(), report.analyser, report.specimen, report.patient_ids, report.order, report.kind]);
    let all = json!([device.as_str(), report]);
    let digest = |value: &Value| sha256(&[canonical_json(value).as_bytes()]).to_string().chars().take(32).collect();
    (digest(&order), digest(&all))
}

fn update(resource_type: &str, id: ResourceId, elements: Map<String, Value>) -> Draft {
    Draft::Update { resource_type: resource_type.to_owned(), id, elements, if_match: None }
}
