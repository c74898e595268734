//! Renders a laboratory report as a FHIR DiagnosticReport and its Observations.
//!
//! Always: a value keeps the digits and the unit that were sent; a unit is claimed as UCUM only where it is spelled so; a
//! test is claimed as LOINC only where the analyser sent LOINC; a result of control material, a calibrator or a
//! demonstration gives no document at all.

use super::observation::{LOINC, UCUM};
use crate::id::{DeviceId, PatientId};
use crate::laboratory::{LabCode, LabKind, LabReport, LabResult, LabStatus, LabValue};
use crate::time::Timestamp;
use crate::unit::Unit;
use serde_json::{Map, Value, json};

/// System of the codes that are an analyser's own; the analyser's name follows.
pub const LOCAL_CODES: &str = "urn:lamplight:laboratory:";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const SECTION: &str = "http://terminology.hl7.org/CodeSystem/v2-0074";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
/// Flags that mean the same in HL7 v3's value set.
const INTERPRETATIONS: &[&str] = &["L", "H", "LL", "HH", "A", "AA", "<", ">", "N"];

/// Whose report it is and how it is filed.
#[derive(Clone, Copy, Debug)]
pub struct Filing<'a> {
    /// Logical id of the DiagnosticReport; its Observations are `<id>-1`, `<id>-2`, ….
    pub id: &'a str,
    /// Whom the specimen was taken from, as a person confirmed.
    pub patient: &'a PatientId,
    /// The analyser.
    pub device: &'a DeviceId,
    /// When it arrived.
    pub issued: Timestamp,
}

/// The DiagnosticReport, then its Observations in the order sent. Empty for what is not about a patient, and for a
/// report without results.
#[must_use]
pub fn documents(report: &LabReport, filing: &Filing<'_>) -> Vec<Value> {
    if report.kind != LabKind::Patient || report.results.is_empty() {
        return Vec::new();
    }
    let observations = report.results.iter().enumerate().map(|(n, result)| observation(report, result, n + 1, filing));
    std::iter::once(diagnostic_report(report, filing)).chain(observations).collect()
}

fn diagnostic_report(report: &LabReport, filing: &Filing<'_>) -> Value {
    let mut out = head("DiagnosticReport", filing.id.to_owned(), filing);
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("status", report_status(report).into());
    put("category", json!([{"coding": [{"system": SECTION, "code": "LAB", "display": "Laboratory"}]}]));
    put("code", report.order.as_ref().map_or_else(|| json!({"text": "Laboratory report"}), |order| concept(report, order)));
    if let Some(at) = report.results.iter().filter_map(|result| result.at).max() {
        put("effectiveDateTime", at.rfc3339().into());
    }
    put("specimen", specimen(report).map_or(Value::Null, |specimen| json!([specimen])));
    put("result", (1..=report.results.len()).map(|n| json!({"reference": format!("Observation/{}-{n}", filing.id)})).collect());
    out.retain(|_, value| !value.is_null());
    Value::Object(out)
}

fn observation(report: &LabReport, result: &LabResult, n: usize, filing: &Filing<'_>) -> Value {
    let mut out = head("Observation", format!("{}-{n}", filing.id), filing);
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("status", status(result.status).into());
    put("category", json!([{"coding": [{"system": CATEGORY, "code": "laboratory", "display": "Laboratory"}]}]));
    put("code", concept(report, &result.test));
    if let Some(at) = result.at {
        put("effectiveDateTime", at.rfc3339().into());
    }
    put("device", json!({"reference": format!("Device/{}", filing.device)}));
    let (key, value) = value(result);
    put(key, value);
    if let Some(specimen) = specimen(report) {
        put("specimen", specimen);
    }
    let interpretation: Vec<Value> = result.flags.iter().map(|flag| interpretation(flag)).collect();
    if !interpretation.is_empty() {
        put("interpretation", interpretation.into());
    }
    if let Some(range) = &result.range {
        put("referenceRange", json!([{"text": range}]));
    }
    Value::Object(out)
}

fn head(kind: &str, id: String, filing: &Filing<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("resourceType".to_owned(), kind.into());
    out.insert("id".to_owned(), id.into());
    out.insert("subject".to_owned(), json!({"reference": format!("Patient/{}", filing.patient)}));
    out.insert("issued".to_owned(), filing.issued.rfc3339().into());
    out
}

fn specimen(report: &LabReport) -> Option<Value> {
    report.specimen.as_ref().map(|number| json!({"identifier": {"value": number}}))
}

/// A report is as final as the least final of its results.
fn report_status(report: &LabReport) -> &'static str {
    let any = |status| report.results.iter().any(|result| result.status == status);
    if any(LabStatus::Preliminary) {
        "preliminary"
    } else if any(LabStatus::Corrected) {
        "corrected"
    } else if report.results.iter().all(|result| result.status == LabStatus::Cancelled) {
        "cancelled"
    } else {
        "final"
    }
}

const fn status(status: LabStatus) -> &'static str {
    match status {
        LabStatus::Preliminary => "preliminary",
        LabStatus::Final => "final",
        LabStatus::Corrected => "corrected",
        LabStatus::Cancelled => "cancelled",
    }
}

fn concept(report: &LabReport, test: &LabCode) -> Value {
    let system = if test.loinc {
        LOINC.to_owned()
    } else {
        let analyser = report.analyser.as_deref().unwrap_or("analyser");
        let plain: String = analyser.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        format!("{LOCAL_CODES}{plain}")
    };
    let mut coding = json!({"system": system, "code": test.code});
    if let (Some(name), Some(object)) = (&test.name, coding.as_object_mut()) {
        object.insert("display".to_owned(), name.as_str().into());
    }
    json!({"coding": [coding], "text": test.name.as_ref().unwrap_or(&test.code)})
}

fn value(result: &LabResult) -> (&'static str, Value) {
    match &result.value {
        LabValue::Number(bound, number) => {
            let mut quantity = Map::new();
            quantity.insert("value".to_owned(), number.to_json());
            if let Some(comparator) = bound.comparator() {
                quantity.insert("comparator".to_owned(), comparator.into());
            }
            if let Some(unit) = &result.unit {
                quantity.insert("unit".to_owned(), unit.as_str().into());
                if let Some(known) = Unit::from_ucum(unit) {
                    quantity.insert("system".to_owned(), UCUM.into());
                    quantity.insert("code".to_owned(), known.ucum().into());
                }
            }
            ("valueQuantity", Value::Object(quantity))
        }
        LabValue::Text(text) => ("valueString", text.as_str().into()),
        LabValue::Absent => ("dataAbsentReason", json!({"coding": [{"system": ABSENT, "code": "not-performed"}], "text": "not-measured"})),
    }
}

fn interpretation(flag: &str) -> Value {
    if INTERPRETATIONS.contains(&flag) {
        json!({"coding": [{"system": INTERPRETATION, "code": flag}], "text": flag})
    } else {
        json!({"text": flag})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> LabReport {
        let result = LabResult {
            test: LabCode::new("WBC", "White cells"),
            value: LabValue::parse("<6.20"),
            unit: Some("10^3/uL".to_owned()),
            range: Some("4.0-10.0".to_owned()),
            flags: vec!["H".to_owned(), "!".to_owned()],
            status: LabStatus::Final,
            at: Timestamp::parse("2026-01-28T09:01:00Z").ok(),
        };
        let text = LabResult { test: LabCode::new("94500-6", "SARS-CoV-2 RNA"), value: LabValue::parse("Not detected"), ..result.clone() };
        let glucose =
            LabResult { test: LabCode::new("GLU", ""), value: LabValue::parse("5.0"), unit: Some("mmol/L".to_owned()), ..result.clone() };
        let none = LabResult { test: LabCode::new("RBC", ""), value: LabValue::Absent, ..result.clone() };
        LabReport {
            analyser: Some("Acme A1".to_owned()),
            specimen: Some("S1".to_owned()),
            order: Some(LabCode::new("CBC", "")),
            kind: LabKind::Patient,
            results: vec![result, text, glucose, none],
        }
    }
    fn documents_of(report: &LabReport) -> Vec<Value> {
        let device: DeviceId = "analyser".parse().expect("id");
        let issued = Timestamp::parse("2026-01-28T09:02:00Z").expect("time");
        let patient: PatientId = "p1".parse().expect("id");
        documents(report, &Filing { id: "r1", patient: &patient, device: &device, issued })
    }

    #[test]
    fn a_report_names_its_observations_and_each_keeps_what_was_sent() {
        let documents = documents_of(&report());
        assert_eq!(documents.len(), 5);
        assert_eq!(documents[0]["result"][3]["reference"], "Observation/r1-4");
        assert_eq!(
            (documents[0]["status"].as_str(), documents[0]["effectiveDateTime"].as_str()),
            (Some("final"), Some("2026-01-28T09:01:00.000Z"))
        );
        let white = &documents[1];
        assert_eq!(white["valueQuantity"]["value"].to_string(), "6.20");
        assert_eq!((&white["valueQuantity"]["comparator"], &white["valueQuantity"]["unit"]), (&json!("<"), &json!("10^3/uL")));
        assert_eq!(white["code"]["coding"][0]["system"], "urn:lamplight:laboratory:acme-a1");
        assert_eq!(white["specimen"]["identifier"]["value"], "S1");
        assert_eq!(white["interpretation"][0]["coding"][0]["code"], "H");
        assert_eq!(white["interpretation"][1], json!({"text": "!"}));
        assert_eq!(
            (documents[2]["code"]["coding"][0]["system"].as_str(), documents[2]["valueString"].as_str()),
            (Some(LOINC), Some("Not detected"))
        );
        assert_eq!(documents[3]["valueQuantity"]["code"], "mmol/L");
        assert_eq!(documents[4]["dataAbsentReason"]["text"], "not-measured");
    }

    #[test]
    fn what_is_not_a_patients_gives_no_document() {
        for kind in [LabKind::Control, LabKind::Calibration, LabKind::Demo] {
            assert!(documents_of(&LabReport { kind, ..report() }).is_empty());
        }
        assert!(documents_of(&LabReport { results: Vec::new(), ..report() }).is_empty());
    }

    #[test]
    fn a_report_is_as_final_as_its_least_final_result() {
        let mut report = report();
        report.results[2].status = LabStatus::Preliminary;
        assert_eq!(documents_of(&report)[0]["status"], "preliminary");
    }

    #[test]
    fn every_observation_is_one_by_the_structure_of_fhir() {
        for document in documents_of(&report()).iter().skip(1) {
            let issues = super::super::validate(document);
            assert!(issues.is_empty(), "{issues:?}");
        }
    }
}
