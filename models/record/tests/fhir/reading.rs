use crate::ward::{self, Ward, absent, frame, numeric, request, with_patient};
use record::code::Code;
use record::fhir::{Method, validate};
use record::observation::NoValue;
use record::unit::Unit;
use serde_json::Value;

#[test]
fn metadata_names_every_type_of_the_table_and_needs_no_record() {
    let body = Ward::default().get("metadata").body.expect("body");
    assert_eq!(body["fhirVersion"], "4.0.1");
    let types: Vec<&str> = body["rest"][0]["resource"].as_array().expect("list").iter().filter_map(|r| r["type"].as_str()).collect();
    assert_eq!(
        types,
        [
            "Patient",
            "Encounter",
            "Device",
            "DetectedIssue",
            "AllergyIntolerance",
            "MedicationRequest",
            "DiagnosticReport",
            "Communication",
            "Observation"
        ]
    );
}

#[test]
fn a_blood_pressure_is_one_observation_with_its_parts_and_reads_back_by_its_id() {
    let mut ward = Ward::default();
    let numerics = vec![
        numeric(Code::NIBP_SYSTOLIC, "121", Unit::MmHg),
        absent(Code::NIBP_DIASTOLIC, NoValue::Artefact, Unit::MmHg),
        numeric(Code::NIBP_MEAN, "93", Unit::MmHg),
    ];
    ward.chart("p1", &frame("2026-11-22T10:00:00.250Z", 5, numerics));
    let found = ward.get("Observation?patient=p1").body.expect("body");
    let observation = &ward::entries(&found)[0];
    assert_eq!(validate(observation), []);
    assert_eq!(observation["code"]["coding"][0]["code"], "85354-9");
    let component: Vec<String> =
        observation["component"].as_array().expect("parts").iter().map(|c| c["code"]["text"].to_string()).collect();
    assert_eq!(component.len(), 3);
    assert_eq!(observation["component"][1]["dataAbsentReason"]["coding"][0]["code"], "error");
    assert_eq!(observation["effectiveDateTime"], "2026-11-22T10:00:00.250Z");
    assert_eq!(observation["issued"], "2026-11-22T10:00:00.290Z");
    let id = observation["id"].as_str().expect("id");
    let read = ward.ask(&request(Method::Get, &format!("Observation/{id}"), None));
    assert!(read.touched.contains(&"Patient/p1".to_owned()), "the audit trail names the patient: {:?}", read.touched);
    assert_eq!(ward.get(&format!("Observation/{id}")).body.as_ref(), Some(*observation));
}

#[test]
fn what_is_not_there_is_404_and_what_cannot_be_an_id_is_400() {
    let mut ward = Ward::default();
    for (path, status) in [
        ("Patient/nobody", 404),
        ("Observation/1", 404),
        ("Patient/a_b", 400),
        ("Medication/1", 404),
        ("Patient/p1/_history/1", 404),
        ("Patient/p1/$everything", 404),
    ] {
        let reply = ward.get(path);
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.body.expect("body")["resourceType"], "OperationOutcome", "{path}");
    }
}

#[test]
fn nothing_is_deleted_and_vitals_are_not_written_here_and_both_say_what_to_do() {
    let (mut ward, patient) = with_patient();
    let advice = |reply: record::fhir::Reply| (reply.status, text(reply.body.expect("body")));
    let (status, text) = advice(ward.answer(&request(Method::Delete, &format!("Patient/{patient}"), None)));
    assert_eq!(status, 405);
    assert!(text.contains("entered-in-error"), "{text}");
    for (method, path) in [(Method::Post, "Observation"), (Method::Put, "Observation/1"), (Method::Delete, "Observation/1")] {
        let (status, text) = advice(ward.answer(&request(method, path, Some(serde_json::json!({"resourceType": "Observation"})))));
        assert_eq!(status, 405);
        assert!(text.contains("POST /api/v1/beds/{bed}/observations"), "{text}");
    }
}

fn text(outcome: Value) -> String {
    outcome["issue"][0]["details"]["text"].as_str().expect("text").to_owned()
}
