//! Renders a laboratory report as a FHIR DiagnosticReport and its Observations.
//!
//! Always: a value keeps the digits and the unit that were sent; a unit is claimed as UCUM only where it can mean nothing
//! else; a test is claimed as LOINC only where the analyser sent LOINC or its profile says so; what is not about a patient
//! names none.

use super::observation::{LOINC, UCUM};
use crate::id::{DeviceId, PatientId};
use crate::laboratory::{LabCode, LabReport, LabResult, LabStatus, LabValue};
use crate::time::Timestamp;
use crate::unit::Unit;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// System of the codes that are an analyser's own; the analyser's name follows.
pub const LOCAL_CODES: &str = "urn:lamplight:laboratory:";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const SECTION: &str = "http://terminology.hl7.org/CodeSystem/v2-0074";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
/// Flags that mean the same in HL7 v3's value set.
const INTERPRETATIONS: &[&str] = &["L", "H", "LL", "HH", "A", "AA", "<", ">", "N"];

/// System of the identifier that tells one order on one specimen of one analyser from all others: a digest.
pub const ORDER: &str = "urn:lamplight:fhir:laboratory-order";
/// System of the identifiers of what was sent, one a transmission that changed the report: digests.
pub const TRANSMISSION: &str = "urn:lamplight:fhir:laboratory-transmission";
/// Extension of a report that is filed to no patient: why, as [`Unfiled::word`].
pub const UNFILED_URL: &str = "urn:lamplight:fhir:unfiled";

/// Why a report is filed to no patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfiled {
    /// Neither the specimen nor a patient has a number.
    NoNumber,
    /// Nobody here has the number.
    UnknownNumber,
    /// Several patients have the number.
    AmbiguousNumber,
    /// The specimen's number is one patient's and the message names another.
    Contradiction,
    /// The record of whom it names is no longer here.
    RecordClosed,
    /// Control material.
    Control,
    /// A calibrator.
    Calibration,
    /// Training or debugging.
    Demo,
    /// It could not be kept where it belongs.
    NotKept,
}

impl Unfiled {
    /// The word in the extension.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoNumber => "no-number",
            Self::UnknownNumber => "unknown-number",
            Self::AmbiguousNumber => "ambiguous-number",
            Self::Contradiction => "contradiction",
            Self::RecordClosed => "record-closed",
            Self::Control => "control-material",
            Self::Calibration => "calibration",
            Self::Demo => "demonstration",
            Self::NotKept => "not-kept",
        }
    }
}

/// Whose report it is and how it is filed.
#[derive(Clone, Copy, Debug)]
pub struct Filing<'a> {
    /// Logical id of the DiagnosticReport; its Observations are `<id>-1`, `<id>-2`, ….
    pub id: &'a str,
    /// Whom the specimen was taken from, or why that is nobody.
    pub patient: Result<&'a PatientId, Unfiled>,
    /// The analyser.
    pub device: &'a DeviceId,
    /// When it arrived.
    pub issued: Timestamp,
    /// LOINC codes by the analyser's own, as its profile has them.
    pub loinc: &'a BTreeMap<String, String>,
    /// Value of the identifier of system [`ORDER`].
    pub order: &'a str,
    /// Value of the identifier of system [`TRANSMISSION`].
    pub transmission: &'a str,
}

/// The DiagnosticReport of a report's results.
#[must_use]
pub fn diagnostic_report(report: &LabReport, filing: &Filing<'_>) -> Value {
    let mut out = head("DiagnosticReport", filing.id.to_owned(), filing);
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("identifier", json!([{"system": ORDER, "value": filing.order}, transmission(filing.transmission)]));
    put("status", status_of(report.results.iter().map(|result| status(result.status))).into());
    put("category", json!([{"coding": [{"system": SECTION, "code": "LAB", "display": "Laboratory"}]}]));
    put("code", report.order.as_ref().map_or_else(|| json!({"text": "Laboratory report"}), |order| concept(report, order, filing.loinc)));
    if let Some(at) = report.results.iter().filter_map(|result| result.at).max() {
        put("effectiveDateTime", at.rfc3339().into());
    }
    put("specimen", specimen(report).map_or(Value::Null, |specimen| json!([specimen])));
    put("result", (1..=report.results.len()).map(|n| json!({"reference": format!("Observation/{}-{n}", filing.id)})).collect());
    if let Err(why) = filing.patient {
        put("extension", json!([{"url": UNFILED_URL, "valueCode": why.word()}]));
    }
    out.retain(|_, value| !value.is_null());
    Value::Object(out)
}

/// The identifier of what was sent.
#[must_use]
pub fn transmission(digest: &str) -> Value {
    json!({"system": TRANSMISSION, "value": digest})
}

/// The Observation of one result, the `n`th of its report counted from 1.
#[must_use]
pub fn observation(report: &LabReport, result: &LabResult, n: usize, filing: &Filing<'_>) -> Value {
    let mut out = head("Observation", format!("{}-{n}", filing.id), filing);
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("status", status(result.status).into());
    put("category", json!([{"coding": [{"system": CATEGORY, "code": "laboratory", "display": "Laboratory"}]}]));
    put("code", concept(report, &result.test, filing.loinc));
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

/// The elements that say what was found: a result is the same where they are, whatever its status.
pub const FOUND: &[&str] =
    &["code", "effectiveDateTime", "valueQuantity", "valueString", "dataAbsentReason", "interpretation", "referenceRange"];

fn head(kind: &str, id: String, filing: &Filing<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("resourceType".to_owned(), kind.into());
    out.insert("id".to_owned(), id.into());
    match filing.patient {
        Ok(patient) => out.insert("subject".to_owned(), json!({"reference": format!("Patient/{patient}")})),
        Err(Unfiled::Control | Unfiled::Calibration) => {
            out.insert("subject".to_owned(), json!({"reference": format!("Device/{}", filing.device)}))
        }
        Err(_) => None,
    };
    out.insert("issued".to_owned(), filing.issued.rfc3339().into());
    out
}

fn specimen(report: &LabReport) -> Option<Value> {
    report.specimen.as_ref().map(|number| json!({"identifier": {"value": number}}))
}

/// A report is as final as the least final of its results, whose statuses these are.
#[must_use]
pub fn status_of<'a>(results: impl Iterator<Item = &'a str> + Clone) -> &'static str {
    let any = |wanted: &str| results.clone().any(|status| status == wanted);
    if any("preliminary") {
        "preliminary"
    } else if any("amended") {
        "amended"
    } else if any("corrected") {
        "corrected"
    } else if results.clone().all(|status| status == "cancelled") {
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

/// The code as LOINC where the analyser sends that or its profile says so, and the analyser's own.
fn concept(report: &LabReport, test: &LabCode, loinc: &BTreeMap<String, String>) -> Value {
    let mut codings = Vec::new();
    if let Some(code) = loinc.get(&test.code).filter(|_| !test.loinc) {
        codings.push(json!({"system": LOINC, "code": code}));
    }
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
    codings.push(coding);
    json!({"coding": codings, "text": test.name.as_ref().unwrap_or(&test.code)})
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
                if let Some(code) = ucum(unit) {
                    quantity.insert("system".to_owned(), UCUM.into());
                    quantity.insert("code".to_owned(), code.into());
                }
            }
            ("valueQuantity", Value::Object(quantity))
        }
        LabValue::Text(text) => ("valueString", text.as_str().into()),
        LabValue::Absent => ("dataAbsentReason", json!({"coding": [{"system": ABSENT, "code": "not-performed"}], "text": "not-measured"})),
    }
}

/// How analysers write powers, and the units they send, as UCUM spells them.
const UNITS: &[&str] = &[
    "10*3/uL", "10*6/uL", "10*9/L", "10*12/L", "/uL", "/L", "fL", "pg", "ng", "ug", "g/L", "g/dL", "mg/L", "ug/L", "ug/mL", "ug/dL",
    "ng/L", "ng/mL", "ng/dL", "pg/mL", "mol/L", "umol/L", "nmol/L", "pmol/L", "meq/L", "U/L", "U/mL", "kU/L", "mm/h", "s", "min",
];
/// International units, whose UCUM spelling no analyser uses.
const INTERNATIONAL: &[(&str, &str)] =
    &[("IU/L", "[IU]/L"), ("IU/mL", "[IU]/mL"), ("mIU/L", "m[IU]/L"), ("mIU/mL", "m[IU]/mL"), ("uIU/mL", "u[IU]/mL"), ("mmHg", "mm[Hg]")];

/// The UCUM code of a unit as sent, where it can only mean that.
fn ucum(sent: &str) -> Option<&'static str> {
    if let Some(known) = Unit::from_ucum(sent) {
        return Some(known.ucum());
    }
    // Both characters for micro.
    let plain = sent.trim().replace(['\u{b5}', '\u{3bc}'], "u").replace("10^", "10*").replace("10e", "10*").replace("x10*", "10*");
    let international = INTERNATIONAL.iter().find(|(written, _)| *written == plain).map(|(_, code)| *code);
    UNITS.iter().copied().find(|unit| *unit == plain).or(international)
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
    use crate::laboratory::LabKind;

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
            patient_ids: Vec::new(),
            order: Some(LabCode::new("CBC", "")),
            kind: LabKind::Patient,
            results: vec![result, text, glucose, none],
        }
    }
    fn documents_as(report: &LabReport, why: Option<Unfiled>) -> Vec<Value> {
        let device: DeviceId = "analyser".parse().expect("id");
        let issued = Timestamp::parse("2026-01-28T09:02:00Z").expect("time");
        let patient: PatientId = "p1".parse().expect("id");
        let loinc = BTreeMap::from([("WBC".to_owned(), "6690-2".to_owned())]);
        let patient = why.map_or(Ok(&patient), Err);
        let filing = Filing { id: "r1", patient, device: &device, issued, loinc: &loinc, order: "o", transmission: "t" };
        let results = report.results.iter().enumerate().map(|(n, result)| observation(report, result, n + 1, &filing));
        std::iter::once(diagnostic_report(report, &filing)).chain(results).collect()
    }
    fn documents_of(report: &LabReport) -> Vec<Value> {
        documents_as(report, None)
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
        assert_eq!(white["code"]["coding"][0], json!({"system": LOINC, "code": "6690-2"}), "as the profile says");
        assert_eq!(white["code"]["coding"][1]["system"], "urn:lamplight:laboratory:acme-a1");
        assert_eq!(white["valueQuantity"]["code"], "10*3/uL");
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
    fn what_is_not_a_patients_names_none_and_says_why() {
        for (why, subject) in [
            (Unfiled::Control, json!({"reference": "Device/analyser"})),
            (Unfiled::UnknownNumber, Value::Null),
            (Unfiled::Demo, Value::Null),
        ] {
            let documents = documents_as(&report(), Some(why));
            assert!(documents.iter().all(|document| document["subject"] == subject), "{why:?}");
            assert_eq!(documents[0]["extension"][0]["valueCode"], why.word());
        }
    }

    #[test]
    fn a_unit_is_ucum_only_where_it_can_mean_nothing_else() {
        assert_eq!(
            ["10^9/L", "x10^3/\u{b5}L", "mIU/mL", "mg/dL"].map(ucum),
            [Some("10*9/L"), Some("10*3/uL"), Some("m[IU]/mL"), Some("mg/dL")]
        );
        assert_eq!(["K/uL", "cells", ""].map(ucum), [None; 3]);
    }

    #[test]
    fn a_report_is_as_final_as_its_least_final_result() {
        let mut report = report();
        report.results[2].status = LabStatus::Preliminary;
        assert_eq!(documents_of(&report)[0]["status"], "preliminary");
    }

    #[test]
    fn every_document_is_one_by_the_structure_of_fhir() {
        let unfiled = documents_as(&report(), Some(Unfiled::Control));
        for document in documents_of(&report()).iter().chain(&unfiled) {
            let issues = super::super::validate(document);
            assert!(issues.is_empty(), "{issues:?}");
        }
    }
}
