use crate::ward::{BASE, request, with_patient};
use record::fhir::{Intent, Method, Place, Step};
use serde_json::{Value, json};

fn encounter(subject: &str) -> Value {
    json!({
        "resourceType": "Encounter", "status": "in-progress", "subject": {"reference": subject},
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
    })
}

#[test]
fn a_created_resource_has_an_id_a_version_and_a_location() {
    let (mut ward, patient) = with_patient();
    let reply = ward.post("Encounter", encounter(&format!("Patient/{patient}")));
    assert_eq!(reply.status, 201);
    let body = reply.body.expect("body");
    let version = body["meta"]["versionId"].as_str().expect("version");
    assert_eq!(reply.etag, Some(format!("W/\"{version}\"")));
    assert_eq!(reply.location, Some(format!("{BASE}/Encounter/{}/_history/{version}", body["id"].as_str().expect("id"))));
    assert!(reply.last_modified.is_some());
    assert_eq!(ward.get(&format!("Encounter?patient={patient}")).body.expect("body")["total"], 1);
}

#[test]
fn an_encounter_goes_to_the_scope_of_its_patient_who_must_be_known() {
    let (mut ward, patient) = with_patient();
    for reference in [format!("Patient/{patient}"), format!("{BASE}/Patient/{patient}")] {
        let outcome = ward.ask(&request(Method::Post, "Encounter", Some(encounter(&reference))));
        let Step::Write(Intent::Create { place, .. }) = outcome.step else { panic!("{:?}", outcome.step) };
        assert_eq!(place, Place::Patient(patient.clone()));
        assert_eq!(outcome.touched, [format!("Patient/{patient}")]);
    }
    for reference in ["Patient/nobody", "Group/g1", "urn:uuid:9e2a7f2c-0f1e-4f5b-8a52-0d7c9b1a2b3c", "http://elsewhere/fhir/Patient/p1"] {
        let reply = ward.post("Encounter", encounter(reference));
        assert_eq!(reply.status, 422, "{reference}");
        assert_eq!(reply.body.expect("body")["issue"][0]["expression"][0], "Encounter.subject");
    }
    let mut without = encounter("Patient/x");
    without.as_object_mut().expect("object").remove("subject");
    assert_eq!(ward.post("Encounter", without).status, 422);
    let issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "patient": {"reference": "Patient/nobody"}});
    let text = ward.post("DetectedIssue", issue).body.expect("body")["issue"][0]["details"]["text"].to_string();
    assert!(text.contains("unknown patient"), "{text}");
}

#[test]
fn an_update_against_an_old_version_is_refused_and_changes_nothing() {
    let (mut ward, patient) = with_patient();
    let path = format!("Patient/{patient}");
    let first = ward.get(&path);
    let mut changed = first.body.clone().expect("body");
    changed["gender"] = "other".into();
    let second = ward.put(&path, changed.clone(), first.etag.as_deref());
    assert_eq!(second.status, 200);
    assert_ne!(second.etag, first.etag);
    changed["gender"] = "male".into();
    let refused = ward.put(&path, changed, first.etag.as_deref());
    assert_eq!(refused.status, 412);
    assert_eq!(ward.get(&path).body.expect("body")["gender"], "other");
}

#[test]
fn an_update_names_only_what_differs_and_one_that_changes_nothing_writes_nothing() {
    let (mut ward, patient) = with_patient();
    let path = format!("Patient/{patient}");
    let held = ward.get(&path).body.expect("body");
    let mut new = held.clone();
    new["active"] = true.into();
    new.as_object_mut().expect("object").remove("birthDate");
    let outcome = ward.ask(&request(Method::Put, &path, Some(new)));
    let Step::Write(Intent::Update(update)) = outcome.step else { panic!("{:?}", outcome.step) };
    assert_eq!(Value::Object(update.elements), json!({"active": true, "birthDate": null}));
    let Step::Reply(reply) = ward.ask(&request(Method::Put, &path, Some(held))).step else { panic!("written") };
    assert_eq!(reply.status, 200);
}

#[test]
fn updates_do_not_create_rename_or_move() {
    let (mut ward, patient) = with_patient();
    let other = ward.post("Patient", json!({"resourceType": "Patient"})).body.expect("body")["id"].as_str().expect("id").to_owned();
    assert_eq!(ward.put("Patient/new", json!({"resourceType": "Patient", "id": "new"}), None).status, 404);
    assert_eq!(ward.put(&format!("Patient/{patient}"), json!({"resourceType": "Patient", "id": other}), None).status, 400);
    let mut held = ward.post("Encounter", encounter(&format!("Patient/{patient}"))).body.expect("body");
    held["subject"]["reference"] = format!("Patient/{other}").into();
    let path = format!("Encounter/{}", held["id"].as_str().expect("id"));
    assert_eq!(ward.put(&path, held, None).status, 422);
}

#[test]
fn a_conditional_create_makes_one_and_only_one() {
    let (mut ward, patient) = with_patient();
    let mut again = request(Method::Post, "Patient", Some(json!({"resourceType": "Patient"})));
    let condition = |value: &str| Some(vec![("identifier".to_owned(), value.to_owned())]);
    again.if_none_exist = condition("urn:mrn|17");
    let reply = ward.answer(&again);
    assert_eq!((reply.status, reply.location), (200, Some(format!("{BASE}/Patient/{patient}"))));
    again.if_none_exist = condition("urn:mrn|18");
    assert_eq!(ward.answer(&again).status, 201);
    again.if_none_exist = Some(vec![("shoe-size".to_owned(), "42".to_owned())]);
    assert_eq!(ward.answer(&again).status, 400);
    ward.post("Patient?_confirm-new=true", json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "17"}]}));
    again.if_none_exist = condition("urn:mrn|17");
    assert_eq!(ward.answer(&again).status, 412);
}

#[test]
fn a_body_that_is_not_the_resource_is_refused_with_its_place() {
    let (mut ward, _) = with_patient();
    for (body, place) in [
        (json!({"resourceType": "Device"}), "resourceType"),
        (json!({"resourceType": "Patient", "gender": "F"}), "Patient.gender"),
        (json!({"resourceType": "Patient", "foo": 1}), "Patient.foo"),
    ] {
        let reply = ward.post("Patient", body);
        assert_eq!(reply.status, 400);
        assert_eq!(reply.body.expect("body")["issue"][0]["expression"][0], place);
    }
    assert_eq!(ward.answer(&request(Method::Post, "Patient", None)).status, 400);
    assert_eq!(ward.post("Patient", json!([1])).status, 400);
    let long = json!({"resourceType": "Device", "note": [{"text": "x".repeat(300 * 1024)}]});
    assert_eq!(ward.post("Device", long).status, 413);
}
