use crate::ward::{Ward, entries, frame, numeric, with_patient};
use record::code::Code;
use record::fhir::validate;
use record::unit::Unit;
use serde_json::{Value, json};

fn ana() -> Value {
    json!({"resourceType": "Patient", "birthDate": "1960-05-01", "name": [{"family": "Lima", "given": ["Ana"]}]})
}

fn parameters(source: &str, target: &str) -> Value {
    json!({"resourceType": "Parameters", "parameter": [
        {"name": "source-patient", "valueReference": {"reference": format!("Patient/{source}")}},
        {"name": "target-patient", "valueReference": {"reference": format!("Patient/{target}")}},
    ]})
}

fn id(reply: record::fhir::Reply) -> String {
    reply.body.expect("body")["id"].as_str().expect("id").to_owned()
}

/// A ward with Ana, and with Ana again.
fn twice() -> (Ward, String, String) {
    let (mut ward, patient) = with_patient();
    let second = id(ward.post("Patient?_confirm-new=true", ana()));
    (ward, patient.to_string(), second)
}

#[test]
fn a_patient_who_is_here_already_is_asked_about_before_being_made_again() {
    let (mut ward, patient) = with_patient();
    let refused = ward.post("Patient", json!({"resourceType": "Patient", "birthDate": "1960-01-05", "name": [{"text": "LIMA, Ána"}]}));
    assert_eq!(refused.status, 409);
    let issue = refused.body.expect("body")["issue"][0].clone();
    assert_eq!(issue["code"], "duplicate");
    assert!(issue["details"]["text"].as_str().expect("text").contains(patient.as_str()));
    let number = json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "17"}], "name": [{"family": "Okoro"}]});
    assert_eq!(ward.post("Patient", number.clone()).status, 409);
    assert_eq!(ward.post("Patient?_confirm-new=true", number).status, 201);
    assert_eq!(
        ward.post("Patient", json!({"resourceType": "Patient", "birthDate": "1990-01-05", "name": [{"text": "Ana Lima"}]})).status,
        201
    );
}

#[test]
fn match_gives_scores_and_grades_best_first() {
    let (mut ward, patient) = with_patient();
    ward.post("Patient", json!({"resourceType": "Patient", "birthDate": "1999", "name": [{"family": "Lima", "given": ["Ana"]}]}));
    ward.post("Patient", json!({"resourceType": "Patient", "name": [{"family": "Ana"}, {"family": "Kamau"}]}));
    let ask = |ward: &mut Ward, extra: Value| {
        let mut list = vec![json!({"name": "resource", "resource": ana()})];
        list.extend(extra.as_array().cloned().unwrap_or_default());
        ward.post("Patient/$match", json!({"resourceType": "Parameters", "parameter": list})).body.expect("body")
    };
    let bundle = ask(&mut ward, json!([]));
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("searchset"), &json!(1)));
    let first = &bundle["entry"][0];
    assert_eq!(first["resource"]["id"], patient.as_str());
    assert_eq!(first["search"]["extension"][0]["valueCode"], "probable");
    assert!(first["search"]["score"].as_f64().expect("score") > 0.9);
    assert_eq!(ask(&mut ward, json!([{"name": "onlyCertainMatches", "valueBoolean": true}]))["total"], 0);
    assert_eq!(ward.post("Patient/$match", json!({"resourceType": "Parameters"})).status, 400);
    assert_eq!(ward.post("Device/$match", json!({"resourceType": "Parameters"})).status, 405);
}

#[test]
fn a_merge_links_both_and_what_is_kept_about_either_is_found_through_the_one_that_stays() {
    let (mut ward, stays, goes) = twice();
    let class = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"});
    for who in [&stays, &goes] {
        let encounter =
            json!({"resourceType": "Encounter", "status": "planned", "class": class, "subject": {"reference": format!("Patient/{who}")}});
        assert_eq!(ward.post("Encounter", encounter).status, 201);
    }
    ward.chart(&stays, &frame("2026-11-22T10:00:00Z", 1, vec![numeric(Code::SPO2, "97", Unit::Percent)]));
    ward.chart(&goes, &frame("2026-11-22T10:01:00Z", 9, vec![numeric(Code::SPO2, "91", Unit::Percent)]));
    let before = (ward.get(&format!("Patient/{stays}")).body.expect("body"), ward.get(&format!("Patient/{goes}")).body.expect("body"));

    let merged = ward.post("Patient/$merge", parameters(&goes, &stays));
    assert_eq!((merged.status, id(merged)), (200, stays.clone()));
    let link = |ward: &mut Ward, who: &str| ward.get(&format!("Patient/{who}")).body.expect("body")["link"].clone();
    assert_eq!(link(&mut ward, &stays), json!([{"other": {"reference": format!("Patient/{goes}")}, "type": "replaces"}]));
    assert_eq!(link(&mut ward, &goes), json!([{"other": {"reference": format!("Patient/{stays}")}, "type": "replaced-by"}]));
    assert_eq!(validate(&ward.get(&format!("Patient/{goes}")).body.expect("body")), []);
    for query in ["Encounter?patient=", "Observation?patient=", "Observation?_sort=date&patient="] {
        assert_eq!(entries(&ward.get(&format!("{query}{stays}")).body.expect("body")).len(), 2, "{query}");
        assert_eq!(entries(&ward.get(&format!("{query}{goes}")).body.expect("body")).len(), 1, "{query}");
    }
    let page = ward.get(&format!("Observation?_count=1&patient={stays}")).body.expect("body");
    let next = crate::ward::follow(&page, "next").expect("next");
    assert_eq!(entries(&ward.get(&next).body.expect("body")).len(), 1);
    // Once more changes nothing; in a circle or to a second one is refused.
    let etag = ward.get(&format!("Patient/{stays}")).etag;
    assert_eq!(ward.post("Patient/$merge", parameters(&goes, &stays)).etag, etag);
    assert_eq!(ward.post("Patient/$merge", parameters(&stays, &goes)).status, 409);
    assert_eq!(ward.post("Patient/$merge", parameters(&stays, &stays)).status, 422);
    assert_eq!(ward.post("Patient/$merge", parameters("nobody", &stays)).status, 404);
    // The replaced one is no candidate any more.
    let refused = ward.post("Patient", ana()).body.expect("body");
    assert_eq!(refused["issue"].as_array().expect("issues").len(), 1);

    assert_eq!(ward.post("Patient/$unmerge", parameters(&goes, &stays)).status, 200);
    let plain = |mut patient: Value| {
        patient.as_object_mut().expect("object").remove("meta");
        patient
    };
    assert_eq!(plain(ward.get(&format!("Patient/{stays}")).body.expect("body")), plain(before.0));
    assert_eq!(plain(ward.get(&format!("Patient/{goes}")).body.expect("body")), plain(before.1));
    assert_eq!(ward.post("Patient/$unmerge", parameters(&goes, &stays)).status, 409);
}
