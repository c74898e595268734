use crate::ward::{Ward, context, with_patient};
use record::fhir::conflicts::{Asked, Choice, Page, choose, list};
use record::fhir::{Reply, validate};
use serde_json::{Value, json};

fn asked(patient: Option<&str>, cursor: Option<String>, count: usize) -> Asked {
    Asked { patient: patient.map(|id| id.parse().expect("id")), cursor, count }
}

fn page(ward: &mut Ward, asked: &Asked) -> Page {
    list(asked, ward, &context()).unwrap_or_else(|never| match never {}).0
}

fn answer(ward: &mut Ward, id: &str, if_match: Option<&str>, element: &str, value: Value) -> Reply {
    let choice = Choice { element: element.to_owned(), value: value.as_object().expect("object").clone() };
    let outcome = choose("Patient", id, if_match, &choice, ward).unwrap_or_else(|never| match never {});
    ward.carry_out(outcome)
}

#[test]
fn what_waits_is_listed_with_authors_and_times_until_someone_chooses() {
    let (mut ward, patient) = with_patient();
    assert_eq!(page(&mut ward, &asked(None, None, 10)), Page { conflicts: Vec::new(), next: None });
    ward.at_once("Patient", patient.as_str(), &[(1, json!({"birthDate": "1961-01-01"})), (2, json!({"birthDate": "1962-01-01"}))]);
    let shown = ward.get(&format!("Patient/{patient}")).body.expect("body");
    assert_eq!(validate(&shown), [], "an ordinary client can read it");
    assert_eq!(shown["birthDate"], "1962-01-01");
    let found = page(&mut ward, &asked(Some(patient.as_str()), None, 10));
    let waiting = &found.conflicts[0];
    assert_eq!((waiting.resource.clone(), waiting.patient_name.as_deref()), (format!("Patient/{patient}"), Some("Ana Lima")));
    let element = &waiting.elements[0];
    assert_eq!((element.element.as_str(), element.policy, element.ask), ("birthDate", "latest", false));
    let told: Vec<(&Value, &str)> = element.values.iter().map(|one| (&one.value["birthDate"], one.user.as_str())).collect();
    assert_eq!(told, [(&json!("1962-01-01"), "user2"), (&json!("1961-01-01"), "user1")]);
    assert!(element.values.iter().all(|one| one.at.starts_with("20") && one.clock_trusted));
    assert!(page(&mut ward, &asked(Some("nobody"), None, 10)).conflicts.is_empty());

    let version = waiting.version.clone();
    let value = json!({"birthDate": "1961-01-01"});
    assert_eq!(answer(&mut ward, patient.as_str(), None, "birthDate", value.clone()).status, 428);
    assert_eq!(answer(&mut ward, patient.as_str(), Some("W/\"0\""), "birthDate", value.clone()).status, 412);
    assert_eq!(answer(&mut ward, patient.as_str(), Some(&version), "gender", json!({"gender": "male"})).status, 409);
    assert_eq!(answer(&mut ward, patient.as_str(), Some(&version), "birthDate", json!({"gender": "male"})).status, 422);
    assert_eq!(answer(&mut ward, patient.as_str(), Some(&version), "birthDate", json!({"birthDate": "then"})).status, 422);
    let done = answer(&mut ward, patient.as_str(), Some(&format!("W/\"{version}\"")), "birthDate", value.clone());
    assert_eq!((done.status, &done.body.as_ref().expect("body")["birthDate"]), (200, &json!("1961-01-01")));
    // A second tap, with the version of the first.
    let again = answer(&mut ward, patient.as_str(), Some(&version), "birthDate", value);
    assert_eq!((again.status, again.etag), (200, done.etag));
    assert_eq!(page(&mut ward, &asked(None, None, 10)), Page { conflicts: Vec::new(), next: None });
}

#[test]
fn what_a_client_sends_back_of_a_marked_resource_settles_nothing() {
    let (mut ward, patient) = with_patient();
    ward.at_once("Patient", patient.as_str(), &[(1, json!({"birthDate": "1961-01-01"})), (2, json!({"birthDate": "1962-01-01"}))]);
    let path = format!("Patient/{patient}");
    let mut shown = ward.get(&path).body.expect("body");
    shown["active"] = true.into();
    assert_eq!(ward.put(&path, shown, None).status, 200);
    let found = page(&mut ward, &asked(None, None, 10));
    assert_eq!(found.conflicts[0].elements[0].values.len(), 2);
    let shown = ward.get(&path).body.expect("body");
    assert_eq!(shown["extension"].as_array().map(Vec::len), Some(1), "marks are not kept and doubled");
}

#[test]
fn a_new_value_may_be_chosen_and_a_life_is_asked_about() {
    let (mut ward, patient) = with_patient();
    ward.at_once("Patient", patient.as_str(), &[(1, json!({"deceasedBoolean": true})), (2, json!({"deceasedBoolean": false}))]);
    let found = page(&mut ward, &asked(None, None, 10));
    let element = &found.conflicts[0].elements[0];
    assert_eq!((element.element.as_str(), element.ask), ("deceased[x]", true));
    let version = found.conflicts[0].version.clone();
    let reply = answer(&mut ward, patient.as_str(), Some(&version), "deceased[x]", json!({"deceasedDateTime": "2026-11-22"}));
    let body = reply.body.expect("body");
    assert_eq!((reply.status, &body["deceasedDateTime"], body.get("deceasedBoolean")), (200, &json!("2026-11-22"), None));
}

#[test]
fn pages_hold_what_was_asked_for_and_lead_to_the_next() {
    let (mut ward, _) = with_patient();
    for n in 0..5 {
        let patient =
            ward.post("Patient", json!({"resourceType": "Patient", "birthDate": format!("198{n}-0{n}-1{n}").replace("-00-", "-07-")}));
        let id = patient.body.expect("body")["id"].as_str().expect("id").to_owned();
        ward.at_once("Patient", &id, &[(1, json!({"gender": "male"})), (2, json!({"gender": "female"}))]);
    }
    let (mut cursor, mut told) = (None, Vec::new());
    loop {
        let found = page(&mut ward, &asked(None, cursor, 2));
        assert!(found.conflicts.len() <= 2);
        told.extend(found.conflicts.into_iter().map(|one| one.resource));
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5);
}

#[test]
fn a_dose_and_an_allergy_in_conflict_are_shown_whole_asked_about_and_still_valid() {
    let (mut ward, patient) = with_patient();
    let reference = json!({"reference": format!("Patient/{patient}")});
    let active = json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]});
    let order = json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": reference,
        "medicationCodeableConcept": {"text": "amoxicillin"},
        "dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 250, "unit": "mg"}}]}],
    });
    let allergy = json!({
        "resourceType": "AllergyIntolerance", "patient": reference, "clinicalStatus": active, "code": {"text": "penicillin"},
        "reaction": [{"manifestation": [{"text": "rash"}]}],
    });
    let mut made = |kind: &str, body: Value| {
        let reply = ward.post(kind, body);
        assert_eq!(reply.status, 201, "{:?}", reply.body);
        reply.body.expect("body")["id"].as_str().expect("id").to_owned()
    };
    let (order, allergy) = (made("MedicationRequest", order), made("AllergyIntolerance", allergy));
    let dose = |mg: u32| json!({"dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": mg, "unit": "mg"}}]}]});
    ward.at_once("MedicationRequest", &order, &[(1, dose(500)), (2, dose(125))]);
    let reaction = |text: &str| json!({"reaction": [{"manifestation": [{"text": text}]}]});
    ward.at_once("AllergyIntolerance", &allergy, &[(1, reaction("anaphylaxis")), (2, json!({"reaction": null}))]);
    for (path, list) in [(format!("MedicationRequest/{order}"), "dosageInstruction"), (format!("AllergyIntolerance/{allergy}"), "reaction")]
    {
        let shown = ward.get(&path).body.expect("body");
        assert_eq!(validate(&shown), [], "{path}");
        assert_eq!(shown[list].as_array().map(Vec::len), Some(if list == "reaction" { 1 } else { 2 }), "{path}");
    }
    let found = page(&mut ward, &asked(Some(patient.as_str()), None, 10));
    let asks: Vec<(&str, bool)> = found.conflicts.iter().map(|one| (one.elements[0].element.as_str(), one.elements[0].ask)).collect();
    assert_eq!(asks, [("reaction", true), ("dosageInstruction", true)]);
    assert!(found.conflicts.iter().all(|one| one.patient == Some(format!("Patient/{patient}"))));
}
