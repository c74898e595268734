//! Writes one example of everything that is rendered below the build's temporary folder, for validators of others to judge,
//! and holds each against this crate's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "fhir/ward.rs"]
mod ward;

use record::code::{CODES, Code};
use record::fhir::{Method, resources, validate};
use record::observation::{NoValue, Quality};
use record::series::Numeric;
use record::unit::Unit;
use serde_json::{Value, json};
use ward::{absent, frame, numeric, request, with_patient};

fn examples() -> Vec<(String, Value)> {
    let (mut ward, patient) = with_patient();
    let reference = json!({"reference": format!("Patient/{patient}")});
    let body = |reply: record::fhir::Reply| reply.body.expect("body");
    let device = body(ward.post(
        "Device",
        json!({"resourceType": "Device", "status": "active", "manufacturer": "Acme", "deviceName": [{"name": "OX-1", "type": "model-name"}]}),
    ));
    let encounter = body(ward.post(
        "Encounter",
        json!({
            "resourceType": "Encounter", "status": "in-progress", "subject": reference, "period": {"start": "2026-11-22T08:00:00Z"},
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP", "display": "inpatient encounter"},
        }),
    ));
    let alert = body(ward.post(
        "DetectedIssue",
        json!({
            "resourceType": "DetectedIssue", "status": "preliminary", "severity": "high", "patient": reference,
            "identifiedDateTime": "2026-11-22T10:00:00Z", "code": {"text": "NEWS2 at least 8"},
            "detail": "NEWS2 at least 8: SpO₂ 88 %, RR 26 /min",
        }),
    ));
    let id = patient.as_str();
    ward.chart(
        id,
        &frame(
            "2026-11-22T10:00:00Z",
            0,
            vec![
                numeric(Code::SPO2, "97", Unit::Percent),
                Numeric { quality: Quality::Questionable, ..numeric(Code::PULSE_RATE, "71", Unit::PerMinute) },
                numeric(Code::NIBP_SYSTOLIC, "121", Unit::MmHg),
                numeric(Code::NIBP_DIASTOLIC, "79", Unit::MmHg),
                numeric(Code::NIBP_MEAN, "93", Unit::MmHg),
                numeric(Code::ABP_SYSTOLIC, "118", Unit::MmHg),
                absent(Code::ABP_DIASTOLIC, NoValue::OutOfRange, Unit::MmHg),
                Numeric { quality: Quality::Demo, ..numeric(Code::TEMPERATURE, "36.60", Unit::Celsius) },
                numeric(Code::CONSCIOUSNESS, "0", Unit::Score),
                numeric(Code::Mdc(131_843), "1.2", Unit::Millimetre),
            ],
        ),
    );
    // Every code of the table, and every way of having no value.
    for (index, row) in (0u64..).zip(CODES) {
        let code = Code::from_key(row.key).expect("key");
        ward.chart(id, &frame("2026-11-22T10:01:00Z", 100 + index, vec![numeric(code, "42", row.unit)]));
    }
    let reasons = [NoValue::SensorOff, NoValue::NotMeasured, NoValue::OutOfRange, NoValue::Artefact, NoValue::Fault("equipment".into())];
    for (index, why) in (0u64..).zip(reasons) {
        ward.chart(id, &frame("2026-11-22T10:02:00Z", 200 + index, vec![absent(Code::SPO2, why, Unit::Percent)]));
    }
    let mut all = vec![
        ("capability-statement".to_owned(), body(ward.get("metadata"))),
        ("patient".to_owned(), body(ward.get(&format!("Patient/{patient}")))),
        ("device".to_owned(), device),
        ("encounter".to_owned(), encounter),
        ("detected-issue".to_owned(), alert),
        ("bundle-patient".to_owned(), body(ward.get("Patient?family=li"))),
        ("bundle-empty".to_owned(), body(ward.get("Patient?family=nobody"))),
        ("bundle-observation-page".to_owned(), body(ward.get(&format!("Observation?patient={patient}&_count=3")))),
        ("outcome-validation".to_owned(), body(ward.post("Patient", json!({"resourceType": "Patient", "gender": "F", "foo": 1})))),
        ("outcome-not-found".to_owned(), body(ward.get("Patient/nobody"))),
        ("outcome-delete".to_owned(), body(ward.answer(&request(Method::Delete, "Patient/p1", None)))),
    ];
    let found = body(ward.get(&format!("Observation?patient={patient}&_count=200&_sort=date")));
    for (index, observation) in ward::entries(&found).into_iter().enumerate() {
        all.push((format!("observation-{index:02}"), observation.clone()));
    }
    all
}

#[test]
fn everything_that_is_rendered_is_valid_and_left_for_others_to_judge() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("fhir-examples");
    std::fs::create_dir_all(&folder).expect("folder");
    let all = examples();
    assert!(all.len() > 50);
    for (name, resource) in &all {
        let text = serde_json::to_string_pretty(resource).expect("json");
        std::fs::write(folder.join(format!("{name}.json")), text).expect("write");
        let kind = resource["resourceType"].as_str().expect("type");
        if resources::find(kind).is_some() {
            assert_eq!(validate(resource), [], "{name}");
        }
        for entry in ward::entries(resource) {
            assert_eq!(validate(entry), [], "{name}");
        }
    }
    println!("examples are in {}", folder.display());
}
