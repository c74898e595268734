//! An alert as it is kept: a FHIR R4 DetectedIssue whose extensions hold what a replay needs.

use crate::chart::Chart;
use crate::limiting::{Crossed, Limited};
use edge_api::alert::Severity;
use record::code::Code;
use record::id::{BedId, PatientId, ResourceId};
use record::ledger::entry::sha256;
use record::time::Timestamp;
use risk::{Assessment, Part, Priority, Score, Standing};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Extension of a DetectedIssue: JSON of everything the judgement rests on.
pub const EVIDENCE_URL: &str = "urn:lamplight:fhir:alert-evidence";
/// Extension of a resolved DetectedIssue: `recovered`, `superseded`, `person`, or `person-recovered` once the patient has
/// recovered from what a person closed.
pub const RESOLUTION_URL: &str = "urn:lamplight:fhir:alert-resolution";

/// Parameters that a text names at most; the score's page shows them all.
const NAMED_MAX: usize = 4;

/// How an alert ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resolution {
    /// The score has been below the bound for a while.
    Recovered,
    /// A graver alert took its place.
    Superseded,
    /// A person closed it.
    Person,
    /// A person closed it, and the patient has recovered since.
    PersonRecovered,
}

impl Resolution {
    const fn word(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Superseded => "superseded",
            Self::Person => "person",
            Self::PersonRecovered => "person-recovered",
        }
    }
}

/// What an alert is raised about.
pub(crate) struct Grounds<'a> {
    pub patient: &'a PatientId,
    pub bed: &'a BedId,
    pub at: Timestamp,
    /// None where the score is not for the patient.
    pub assessment: Option<&'a Assessment>,
    pub limited: &'a Limited,
    pub inputs: &'a risk::Chart,
    pub chart: &'a Chart,
}

pub(crate) const fn severity(priority: Priority) -> Severity {
    match priority {
        Priority::Medium => Severity::Medium,
        Priority::High => Severity::High,
    }
}

/// "*** NEWS2 at least 8: SpO₂ 88 %, Respiration rate 26 /min; missing Temperature; limits: SpO₂ 88 % below 90", or where the
/// score calls for nothing "** SpO₂ 88 % below 90 (Children of 2-3 years)".
pub(crate) fn text(priority: Priority, grounds: &Grounds<'_>) -> String {
    let marks = match priority {
        Priority::Medium => "**",
        Priority::High => "***",
    };
    let crossed: Vec<String> = grounds.limited.crossed.iter().take(NAMED_MAX).map(beyond).collect();
    let mut text = match grounds.assessment.filter(|assessment| assessment.alert.is_some()) {
        Some(assessment) => format!("{marks} {}", scored(assessment)),
        None => {
            let set = grounds.limited.rules.as_ref().map(|rules| rules.set.as_str()).unwrap_or_default();
            format!("{marks} {} ({set})", crossed.join(", "))
        }
    };
    if grounds.assessment.is_some_and(|assessment| assessment.alert.is_some()) && !crossed.is_empty() {
        let _ = write!(text, "; limits: {}", crossed.join(", "));
    }
    if grounds.inputs.subject.age_years.is_none() {
        text.push_str("; age unknown");
    }
    text
}

/// "SpO₂ 88 % below 90".
fn beyond(crossed: &Crossed) -> String {
    let Crossed { code, value, side, bound, .. } = crossed;
    let unit = code.unit().map(record::unit::Unit::shown).unwrap_or_default();
    format!("{} {value} {unit} {} {bound}", code.label(), side.word())
}

/// "NEWS2 at least 8: SpO₂ 88 %, Respiration rate 26 /min; missing Temperature".
fn scored(assessment: &Assessment) -> String {
    let mut text = format!("{} {}", assessment.score.to_uppercase(), assessment.total);
    let mut earning: Vec<&Part> = assessment.parts.iter().filter(|p| p.points().is_some_and(|points| points > 0)).collect();
    earning.sort_by_key(|part| std::cmp::Reverse(part.points()));
    let named: Vec<String> = earning.iter().take(NAMED_MAX).map(|part| format!("{} {}", part.parameter.label(), charted(part))).collect();
    let missing: Vec<&str> = assessment.missing().chain(assessment.stale()).map(|p| p.label()).collect();
    // Writing to a String cannot fail.
    if !named.is_empty() {
        let _ = write!(text, ": {}", named.join(", "));
    }
    if !missing.is_empty() {
        let _ = write!(text, "; missing {}", missing.join(", "));
    }
    text
}

/// The value as charted, with the unit a person reads.
pub(crate) fn charted(part: &Part) -> String {
    let Standing::Used(used) = &part.standing else { return String::new() };
    let words = matches!(used.code, Code::INSPIRED_OXYGEN | Code::CONSCIOUSNESS);
    let unit = used.code.unit().filter(|_| !words).map(record::unit::Unit::shown).unwrap_or_default();
    if unit.is_empty() { used.charted.clone() } else { format!("{} {unit}", used.charted) }
}

/// The DetectedIssue that begins an alert.
pub(crate) fn detected_issue(id: &ResourceId, priority: Priority, grounds: &Grounds<'_>) -> Value {
    let score = grounds.assessment.filter(|assessment| assessment.alert.is_some()).and_then(|assessment| risk::by_id(&assessment.score));
    let severity = match priority {
        Priority::Medium => "moderate",
        Priority::High => "high",
    };
    let mut devices: Vec<&str> =
        grounds.chart.watermark.keys().map(|(device, _)| device.as_str()).filter(|d| *d != crate::MANUAL).collect();
    devices.dedup();
    let mut issue = json!({
        "resourceType": "DetectedIssue",
        "id": id.as_str(),
        "status": "preliminary",
        "code": {"text": score.map_or("Alarm limit", Score::title)},
        "severity": severity,
        "patient": {"reference": format!("Patient/{}", grounds.patient)},
        "identifiedDateTime": grounds.at.rfc3339(),
        "detail": text(priority, grounds),
        "extension": [{"url": EVIDENCE_URL, "valueString": evidence(grounds).to_string()}],
    });
    // FHIR has no empty lists.
    if !devices.is_empty() {
        let implicated: Vec<Value> = devices.iter().map(|device| json!({"reference": format!("Device/{device}")})).collect();
        issue["implicated"] = implicated.into();
    }
    issue
}

/// The elements that end an alert.
pub(crate) fn resolved(extensions: &[Value], how: Resolution) -> Map<String, Value> {
    let of_another = |e: &&Value| e.get("url").and_then(Value::as_str) != Some(RESOLUTION_URL);
    let mut extensions: Vec<Value> = extensions.iter().filter(of_another).cloned().collect();
    extensions.push(json!({"url": RESOLUTION_URL, "valueString": how.word()}));
    let mut elements = Map::new();
    elements.insert("status".to_owned(), "final".into());
    elements.insert("extension".to_owned(), extensions.into());
    elements
}

/// An alert as read back.
pub(crate) struct Read {
    pub patient: PatientId,
    pub bed: String,
    pub severity: Severity,
    pub is_final: bool,
    /// `None` while open; how it ended, if it says so.
    pub resolution: Option<Resolution>,
    pub text: String,
    pub raised: Timestamp,
    /// When the document last changed, if it says so.
    pub changed: Option<Timestamp>,
    /// Words of the parameters that earned points.
    pub parameters: Vec<String>,
    /// First codes of the limits it was raised on.
    pub limits: Vec<String>,
    pub extensions: Vec<Value>,
}

/// Reads a DetectedIssue; `None` if it is no alert of a patient.
pub(crate) fn read(resource: &Value) -> Option<Read> {
    let text = |key: &str| resource.get(key).and_then(Value::as_str);
    let patient = resource.pointer("/patient/reference")?.as_str()?.strip_prefix("Patient/")?.parse().ok()?;
    let extensions = resource.get("extension").and_then(Value::as_array).cloned().unwrap_or_default();
    let extension = |url: &str| {
        let found = extensions.iter().find(|e| e.get("url").and_then(Value::as_str) == Some(url));
        found.and_then(|e| e.get("valueString")).and_then(Value::as_str)
    };
    let evidence: Value = extension(EVIDENCE_URL).and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
    let parts = evidence.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let earning = parts.iter().filter(|p| p.get("points").and_then(Value::as_u64).is_some_and(|points| points > 0));
    let crossed = evidence.pointer("/limits/crossed").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let resolution = match extension(RESOLUTION_URL) {
        Some("recovered") => Some(Resolution::Recovered),
        Some("superseded") => Some(Resolution::Superseded),
        Some("person") => Some(Resolution::Person),
        Some("person-recovered") => Some(Resolution::PersonRecovered),
        _ => None,
    };
    Some(Read {
        patient,
        bed: evidence.get("bed").and_then(Value::as_str).unwrap_or_default().to_owned(),
        severity: match text("severity") {
            Some("high") => Severity::High,
            Some("low") => Severity::Low,
            _ => Severity::Medium,
        },
        is_final: !matches!(text("status")?, "registered" | "preliminary" | "partial"),
        resolution,
        text: text("detail").unwrap_or_default().to_owned(),
        raised: text("identifiedDateTime").and_then(|t| Timestamp::parse(t).ok()).unwrap_or_default(),
        changed: resource.pointer("/meta/lastUpdated").and_then(Value::as_str).and_then(|t| Timestamp::parse(t).ok()),
        parameters: earning.filter_map(|p| p.get("parameter").and_then(Value::as_str).map(str::to_owned)).collect(),
        limits: crossed.iter().filter_map(|c| c.get("limit").and_then(Value::as_str).map(str::to_owned)).collect(),
        extensions: extensions.clone(),
    })
}

fn evidence(grounds: &Grounds<'_>) -> Value {
    let Grounds { bed, at, assessment, limited, inputs, chart, .. } = grounds;
    let inputs = serde_json::to_value(inputs).unwrap_or_default();
    let state = record::document::canonical_json(&inputs);
    let parts = assessment.iter().flat_map(|assessment| &assessment.parts).map(|part| {
        let mut row = json!({"parameter": part.parameter.key()});
        match &part.standing {
            Standing::Used(used) => {
                row["points"] = used.points.into();
                row["value"] = used.charted.as_str().into();
                row["code"] = used.code.to_string().into();
                row["age_s"] = used.age_s.into();
            }
            Standing::Stale { .. } => row["absent"] = "stale".into(),
            Standing::Ahead { .. } => row["absent"] = "ahead".into(),
            Standing::Missing => row["absent"] = "missing".into(),
        }
        row
    });
    let watermark = chart.watermark.iter().map(|((device, boot), next)| {
        let boot: String = boot.0.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"device": device.as_str(), "boot": boot, "next_seq": next})
    });
    let mut evidence = json!({
        "bed": bed.as_str(),
        "at_us": at.0,
        "parts": parts.collect::<Vec<_>>(),
        "watermark": watermark.collect::<Vec<_>>(),
        "state_sha256": sha256(&[state.as_bytes()]).to_string(),
        "state": inputs,
    });
    if let Some(assessment) = assessment {
        evidence["score"] = assessment.score.as_ref().into();
        evidence["rules"] = assessment.rules_version.as_ref().into();
        evidence["rules_sha256"] = risk::by_id(&assessment.score).map(Score::rules_hash).into();
        evidence["total"] = assessment.total.points().into();
        evidence["exact"] = assessment.total.is_exact().into();
    }
    if let Some(rules) = &limited.rules {
        let crossed = limited.crossed.iter().map(|crossed| {
            let Crossed { limit, code, value, side, bound, .. } = crossed;
            json!({"limit": limit.key(), "code": code.to_string(), "value": value.to_string(), side.word(): bound.to_string()})
        });
        evidence["limits"] = json!({
            "bundle": rules.bundle,
            "set": rules.set,
            "rules_sha256": rules.sha256,
            "crossed": crossed.collect::<Vec<_>>(),
        });
    }
    evidence
}
