use crate::clinic::{Clinic, PATIENT_NAME, ask, get, post};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn an_unknown_path_is_a_problem_and_below_fhir_an_operation_outcome() {
    let clinic = Clinic::open();
    let router = clinic.router();
    for path in ["/api/v1/nothing", "/api", "/sync/v1/nothing"] {
        let answer = get(&router, path, None).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::NOT_FOUND, "application/problem+json"));
        assert_eq!(answer.json()["instance"], path);
    }
    let answer = get(&router, "/fhir/R5/Patient", None).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::NOT_FOUND, "application/fhir+json"));
    assert_eq!(answer.json()["issue"][0]["code"], "not-found");
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_keeps_its_allow_header() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let answer = ask(&router, Request::put("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.header("allow").contains("GET"));
}

#[tokio::test]
async fn wrong_json_names_the_field_and_the_place() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let wrong = post(&router, "/api/v1/echo", &token, "application/json", "{\"beds\":[1,\"two\"]}").await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (StatusCode::BAD_REQUEST, &json!("beds[1]")));
    assert!(wrong.json()["detail"].as_str().unwrap().contains("line 1 column"));
    let deep = format!("{{\"beds\":{}{}}}", "[".repeat(70), "]".repeat(70));
    let deep = post(&router, "/api/v1/echo", &token, "application/json", deep).await;
    assert_eq!(deep.json()["type"], "urn:lamplight:problem:too-deep");
    let form = post(&router, "/api/v1/echo", &token, "text/plain", "{}").await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let large = post(&router, "/api/v1/echo", &token, "application/json", vec![b' '; web::surface::BODY_MAX + 1]).await;
    assert_eq!((large.status, large.header("content-type")), (StatusCode::PAYLOAD_TOO_LARGE, "application/problem+json"));
    let fhir = post(&router, "/fhir/R4/Patient", &token, "application/fhir+json", vec![b' '; web::fhir::BODY_MAX + 1]).await;
    assert_eq!((fhir.status, &fhir.json()["issue"][0]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too-long")));
    let announced = Request::post("/fhir/R4/Patient").header("content-length", "999999999").body(Body::empty()).unwrap();
    assert_eq!(ask(&router, announced).await.json()["resourceType"], "OperationOutcome");
}

#[tokio::test]
async fn a_fault_in_a_handler_is_a_500_that_says_nothing_of_the_patient() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let answer = get(&router, "/api/v1/fault", Some(&token)).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::INTERNAL_SERVER_ERROR, "application/problem+json"));
    assert!(!answer.text().contains(PATIENT_NAME));
}

#[tokio::test]
async fn without_a_note_in_the_audit_trail_no_patient_data_leave() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let shown = get(&router, "/api/v1/ward", Some(&token)).await;
    assert!(shown.text().contains(PATIENT_NAME));
    assert_eq!(clinic.notes.lock().unwrap().last().unwrap().what, ["Patient/1"]);
    clinic.audit_fails.store(true, Ordering::SeqCst);
    for path in ["/api/v1/ward", "/fhir/R4/Patient/1"] {
        let withheld = get(&router, path, Some(&token)).await;
        assert_eq!(withheld.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(!withheld.text().contains(PATIENT_NAME));
    }
}

#[tokio::test]
async fn only_the_stated_paths_answer_without_a_session() {
    let clinic = Clinic::open();
    let router = clinic.router();
    for open in ["/healthz", "/readyz", "/fhir/R4/metadata"] {
        assert_eq!(get(&router, open, None).await.status, StatusCode::OK, "{open}");
    }
    for shut in
        ["/metrics", "/api/v1/openapi.json", "/api/v1/ward", "/api/v1/session", "/fhir/R4/Patient", "/fhir/R4", "/fhir/R4/metadata/x"]
    {
        assert_eq!(get(&router, shut, None).await.status, StatusCode::UNAUTHORIZED, "{shut}");
    }
}

#[tokio::test]
async fn health_readiness_metrics_and_the_document_say_what_they_should() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let health = get(&router, "/healthz", None).await.json();
    assert_eq!(health, json!({ "status": "ok", "program": "edge-agent", "version": "0.1.0", "name": "hillside" }));
    clinic.unready.store(true, Ordering::SeqCst);
    let unready = get(&router, "/readyz", None).await;
    assert_eq!(
        (unready.status, &unready.json()["reasons"][0]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("the record is still being read"))
    );
    assert_eq!(get(&router, "/metrics", Some("scrape-me-please")).await.text(), "lamplight_up 1\n");
    assert_eq!(get(&router, "/metrics", Some("scrape-me")).await.status, StatusCode::UNAUTHORIZED);
    let token = clinic.token(&router).await;
    let document = get(&router, "/api/v1/openapi.json", Some(&token)).await.json();
    assert_eq!(document["info"]["title"], "Test program");
    assert!(document["paths"]["/api/v1/session"]["post"].is_object());
    assert!(document["components"]["schemas"]["Problem"].is_object());
}
