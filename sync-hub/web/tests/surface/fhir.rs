use crate::clinic::{Clinic, PATIENT_NAME, USER, ask, get, post};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use web::audit::{Action, Outcome};

#[tokio::test]
async fn metadata_is_public_and_the_rest_asks_for_a_sign_in() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let metadata = get(&router, "/fhir/R4/metadata", None).await;
    assert_eq!(metadata.json()["resourceType"], "CapabilityStatement");
    assert!(metadata.header("content-type").starts_with("application/fhir+json"));
    let refused = get(&router, "/fhir/R4/Patient/1", None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["issue"][0]["code"], "login");
    assert!(refused.header("www-authenticate").starts_with("Bearer"));
    assert!(clinic.notes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_interaction_leaves_a_note_of_what_it_touched_and_no_query() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    get(&router, "/fhir/R4/Patient/1/_history/2", Some(&token)).await;
    get(&router, &format!("/fhir/R4/Patient?family={PATIENT_NAME}"), Some(&token)).await;
    post(&router, "/fhir/R4/Patient", &token, "application/fhir+json", r#"{"resourceType":"Patient"}"#).await;
    let notes = clinic.notes.lock().unwrap();
    let acts: Vec<_> = notes.iter().skip(1).map(|note| (note.action, note.what.join(","), note.outcome)).collect();
    assert_eq!(
        acts,
        [
            (Action::Read, "Patient/1".to_owned(), Outcome::Success),
            (Action::Search, "Patient".to_owned(), Outcome::Success),
            (Action::Create, "Patient".to_owned(), Outcome::Success),
        ]
    );
    assert!(notes.iter().all(|note| note.who.as_deref() == Some(USER)));
}

#[tokio::test]
async fn an_unchanged_resource_is_not_sent_twice() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let first = get(&router, "/fhir/R4/Patient/1", Some(&token)).await;
    assert_eq!(first.header("etag"), "W/\"7\"");
    let again = |etag: &'static str| {
        let request = Request::get("/fhir/R4/Patient/1").header("authorization", format!("Bearer {token}")).header("if-none-match", etag);
        request.body(Body::empty()).unwrap()
    };
    let unchanged = ask(&router, again("W/\"7\"")).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(ask(&router, again("W/\"6\"")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_malformed_resource_is_refused_with_its_place() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let answer = post(&router, "/fhir/R4/Patient", &token, "application/fhir+json", "{\"resourceType\":\"Patient\",\n\"name\":[{]}").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::BAD_REQUEST, "application/fhir+json"));
    let issue = &answer.json()["issue"][0];
    assert_eq!((&issue["severity"], &issue["code"]), (&json!("error"), &json!("structure")));
    assert!(issue["diagnostics"].as_str().unwrap().contains("line 2 column 10"), "{issue}");
    assert_eq!(issue["expression"], json!(["Patient.name[0]"]));

    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    let deep = post(&router, "/fhir/R4/Patient", &token, "application/fhir+json", deep).await;
    assert_eq!((deep.status, &deep.json()["issue"][0]["code"]), (StatusCode::BAD_REQUEST, &json!("too-long")));
    let xml = post(&router, "/fhir/R4/Patient", &token, "application/fhir+xml", "<Patient/>").await;
    assert_eq!((xml.status, &xml.json()["issue"][0]["code"]), (StatusCode::UNSUPPORTED_MEDIA_TYPE, &json!("not-supported")));
}
