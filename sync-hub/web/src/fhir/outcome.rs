//! A [`Problem`] as a FHIR OperationOutcome.

use super::FHIR_JSON;
use crate::problem::Problem;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The OperationOutcome that says the same.
#[must_use]
pub fn operation_outcome(problem: &Problem) -> Value {
    let reason = problem.status.canonical_reason().unwrap_or("refused");
    let mut issue = json!({
        "severity": if problem.status == StatusCode::INTERNAL_SERVER_ERROR { "fatal" } else { "error" },
        "code": code(problem),
        "diagnostics": problem.detail.as_deref().unwrap_or(reason),
    });
    if let (Some(field), Some(issue)) = (&problem.field, issue.as_object_mut()) {
        issue.insert("expression".into(), json!([field]));
    }
    json!({ "resourceType": "OperationOutcome", "issue": [issue] })
}

/// From the value set `issue-type`.
fn code(problem: &Problem) -> &'static str {
    match problem.kind {
        "malformed-json" | "wrong-shape" => "structure",
        "too-deep" => "too-long",
        _ => match problem.status {
            StatusCode::UNAUTHORIZED => "login",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not-found",
            StatusCode::GONE => "deleted",
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => "conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "too-long",
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::NOT_ACCEPTABLE => "not-supported",
            StatusCode::TOO_MANY_REQUESTS => "throttled",
            StatusCode::SERVICE_UNAVAILABLE => "transient",
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "timeout",
            status if status.is_server_error() => "exception",
            _ => "invalid",
        },
    }
}

/// As an answer.
pub(crate) fn response(problem: &Problem) -> Response {
    let kind = (CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    let mut response = (problem.status, [kind], operation_outcome(problem).to_string()).into_response();
    problem.write_headers(response.headers_mut());
    response
}
