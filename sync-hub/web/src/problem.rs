//! How a refusal reads: RFC 9457 problem documents, and FHIR OperationOutcomes below `/fhir`.
//!
//! Handlers return a [`Problem`]; [`dialect`] renders every refusal once, at the edge, also those of axum and tower-http
//! that were never a `Problem`.

use crate::fhir::outcome;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Media type of a [`ProblemDocument`].
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Longest foreign refusal text that is kept as `detail`, in bytes.
const DETAIL_MAX: usize = 2048;

/// A refusal: what is wrong, where, and when to try again. Never holds a secret; may hold what the same caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Machine-readable name, the last part of `type`; empty for plain statuses.
    pub kind: &'static str,
    /// What is wrong, for a person.
    pub detail: Option<String>,
    /// The offending field, header or query parameter (`rates[2].value`); below `/fhir` a FHIRPath expression.
    pub field: Option<String>,
    /// Seconds after which a retry makes sense.
    pub retry_after_s: Option<u64>,
}

/// A [`Problem`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `about:blank`, or `urn:lamplight:problem:<kind>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Seconds after which a retry makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// The offending field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A refusal that says no more than its status.
    #[must_use]
    pub const fn of(status: StatusCode) -> Self {
        Self { status, kind: "", detail: None, field: None, retry_after_s: None }
    }
    /// A named refusal with its reason.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: Some(detail.into()), field: None, retry_after_s: None }
    }
    /// 400: what was sent cannot be read or accepted.
    #[must_use]
    pub fn bad_request(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, detail)
    }
    /// 401: no session, or one that is over.
    #[must_use]
    pub fn unauthorized(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, kind, detail)
    }
    /// 403: known, and not allowed.
    #[must_use]
    pub fn forbidden(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, kind, detail)
    }
    /// 503: a part this request needs is not working; a retry may succeed.
    #[must_use]
    pub fn unavailable(kind: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail).retry_after(5)
    }
    /// What the store could not do: 503 where it is away and may be back in a moment, else 500. Why is for the log.
    #[must_use]
    pub fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::Away { .. } => {
                Self::unavailable("store-away", "what keeps the record is not reached at this moment: try again soon")
            }
            _ => Self::of(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
    /// The same, naming the offending field.
    #[must_use]
    pub fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
    /// The same, saying when to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
    /// The wire form for a request to `instance`.
    #[must_use]
    pub fn document(&self, instance: Option<String>) -> ProblemDocument {
        ProblemDocument {
            kind: if self.kind.is_empty() { "about:blank".into() } else { format!("urn:lamplight:problem:{}", self.kind) },
            title: self.status.canonical_reason().unwrap_or("Refused").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance,
            retry_after_s: self.retry_after_s,
            field: self.field.clone(),
        }
    }
    /// The headers that belong to it.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"lamplight\""));
        }
    }
    fn render(&self, instance: Option<String>) -> Response {
        let mut response = (self.status, axum::Json(self.document(instance))).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        self.write_headers(response.headers_mut());
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(self);
        response
    }
}

/// Renders every refusal as the path's readers expect it. Belongs outside everything that can refuse.
pub async fn dialect(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if speaks_for_itself(&response) => return response,
        None => {
            let (parts, body) = response.into_parts();
            let problem = adopt(parts.status, body).await;
            // The refusal's own headers (Allow, Sec-WebSocket-Version) outlive its body.
            let mut rendered = in_dialect(&problem, path);
            for (name, value) in &parts.headers {
                if name != CONTENT_TYPE && name != axum::http::header::CONTENT_LENGTH {
                    rendered.headers_mut().insert(name, value.clone());
                }
            }
            return rendered;
        }
    };
    in_dialect(&problem, path)
}

fn in_dialect(problem: &Problem, path: String) -> Response {
    if path == "/fhir" || path.starts_with("/fhir/") { outcome::response(problem) } else { problem.render(Some(path)) }
}

/// Documents and pages that a handler wrote on purpose.
fn speaks_for_itself(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    kind.contains("json") || kind.starts_with("text/html")
}

/// A refusal made elsewhere: its short text becomes the detail, unless it is ours to be silent about (5xx).
async fn adopt(status: StatusCode, body: Body) -> Problem {
    let mut problem = Problem::of(status);
    problem.detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => Some("this path does not answer that method".into()),
        StatusCode::NOT_FOUND => Some("nothing is kept at this path".into()),
        StatusCode::PAYLOAD_TOO_LARGE => Some("the request body is larger than this path accepts".into()),
        StatusCode::GATEWAY_TIMEOUT => Some("the request took too long and was given up".into()),
        _ if status.is_server_error() => None,
        _ => to_bytes(body, DETAIL_MAX).await.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()).filter(|text| !text.is_empty()),
    };
    problem
}
