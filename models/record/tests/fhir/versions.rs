use crate::ward::{BASE, entries, follow, request, with_patient};
use record::fhir::{Method, validate};
use serde_json::{Value, json};

#[test]
fn history_is_newest_first_by_page_and_each_version_reads_by_itself() {
    let (mut ward, patient) = with_patient();
    let path = format!("Patient/{patient}");
    let mut etags = vec![ward.get(&path).etag.expect("etag")];
    for (step, gender) in ["male", "other", "unknown", "female"].into_iter().enumerate() {
        let mut held = ward.get(&path).body.expect("body");
        held["gender"] = gender.into();
        let reply = ward.put(&path, held, Some(&etags[step]));
        assert_eq!(reply.status, 200);
        etags.push(reply.etag.expect("etag"));
    }
    let mut page = ward.get(&format!("{path}/_history?_count=2")).body.expect("body");
    assert_eq!((&page["type"], &page["total"]), (&json!("history"), &json!(5)));
    let mut told = Vec::new();
    loop {
        for entry in page["entry"].as_array().expect("entries") {
            assert_eq!(validate(&entry["resource"]), []);
            assert_eq!(entry["fullUrl"], format!("{BASE}/{path}"));
            assert_eq!(entry["response"]["lastModified"], entry["resource"]["meta"]["lastUpdated"]);
            assert!(entry["resource"]["meta"]["extension"][0]["valueString"].is_string(), "its author");
            told.push((
                entry["request"]["method"].as_str().expect("method").to_owned(),
                entry["response"]["etag"].as_str().expect("etag").to_owned(),
            ));
        }
        let Some(next) = follow(&page, "next") else { break };
        page = ward.get(&next).body.expect("body");
    }
    let (methods, versions): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    assert_eq!(methods, ["PUT", "PUT", "PUT", "PUT", "POST"]);
    etags.reverse();
    assert_eq!(versions, etags);
    let first = etags[4].trim_start_matches("W/").trim_matches('"');
    let reply = ward.get(&format!("{path}/_history/{first}"));
    assert_eq!((reply.status, reply.etag.as_ref()), (200, Some(&etags[4])));
    assert_eq!(reply.body.expect("body")["gender"], "female");
}

#[test]
fn since_leaves_out_what_is_older_and_what_is_not_there_says_so() {
    let (mut ward, patient) = with_patient();
    let path = format!("Patient/{patient}/_history");
    assert_eq!(entries(&ward.get(&format!("{path}?_since=2020")).body.expect("body")).len(), 1);
    let late = ward.get(&format!("{path}?_since=2126-01-01T00:00:00Z")).body.expect("body");
    assert_eq!((&late["total"], late.get("entry")), (&json!(0), None));
    for (path, status) in [
        (format!("{path}?_since=soon"), 400),
        (format!("{path}?_count=x"), 400),
        (format!("{path}/0000000000000000"), 404),
        ("Patient/nobody/_history".to_owned(), 404),
        ("Observation/1/_history".to_owned(), 404),
    ] {
        assert_eq!(ward.get(&path).status, status, "{path}");
    }
}

#[test]
fn if_match_takes_weak_strong_listed_and_any_versions() {
    let (mut ward, patient) = with_patient();
    let path = format!("Patient/{patient}");
    for (index, form) in ["{}", "\"{}\"", "W/\"{}\"", "W/\"0\", W/\"{}\"", "*"].iter().enumerate() {
        let held = ward.get(&path);
        let version = held.etag.expect("etag").trim_start_matches("W/").trim_matches('"').to_owned();
        let mut body = held.body.expect("body");
        body["birthDate"] = format!("196{index}-01-01").into();
        assert_eq!(ward.put(&path, body, Some(&form.replace("{}", &version))).status, 200, "{form}");
    }
    let held = ward.get(&path).body.expect("body");
    assert_eq!(ward.put(&path, held, Some("W/\"0\", \"1\"")).status, 412);
}

#[test]
fn an_error_stays_in_the_history_and_is_not_taken_back() {
    let (mut ward, patient) = with_patient();
    let issue = json!({"resourceType": "DetectedIssue", "status": "preliminary", "patient": {"reference": format!("Patient/{patient}")}});
    let mut held = ward.post("DetectedIssue", issue).body.expect("body");
    let path = format!("DetectedIssue/{}", held["id"].as_str().expect("id"));
    held["status"] = "entered-in-error".into();
    assert_eq!(ward.put(&path, held.clone(), None).status, 200);
    held["status"] = "preliminary".into();
    let refused = ward.put(&path, held, None);
    assert_eq!((refused.status, &refused.body.expect("body")["issue"][0]["expression"][0]), (422, &json!("DetectedIssue.status")));
    let history = ward.get(&format!("{path}/_history")).body.expect("body");
    let told: Vec<&Value> = entries(&history).iter().map(|version| &version["status"]).collect();
    assert_eq!(told, ["entered-in-error", "preliminary"]);
    assert_eq!(ward.answer(&request(Method::Delete, &path, None)).status, 405);
}
