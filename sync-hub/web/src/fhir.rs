//! `/fhir/R4`: HTTP on one side, [`FhirService`] on the other. Knows no resource; knows headers, limits, sessions and audit.

pub mod outcome;
pub mod request;

use crate::accounts::Role;
use crate::audit::{Act, Action, Auditor};
use crate::guard::Presented;
use crate::listener::Peer;
use crate::problem::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_LOCATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::future::BoxFuture;
pub use request::FhirRequest;
use serde_json::Value;
use std::sync::Arc;

/// Where FHIR begins.
pub const BASE: &str = "/fhir/R4";
/// Media type of FHIR in JSON.
pub const FHIR_JSON: &str = "application/fhir+json";
/// Longest request body, in bytes.
pub const BODY_MAX: usize = 256 * 1024;

/// Seconds after which a service that is away is asked again.
const RETRY_S: u64 = 5;

/// Who may write. Whoever may write may read, so that a refusal may name what is there already.
const WRITES: &[Role] = &[Role::Nurse, Role::Operator, Role::Admin];

/// The program's FHIR.
pub trait FhirService: Send + Sync + 'static {
    /// Answers one interaction. A refusal is a reply whose body is an OperationOutcome.
    fn handle(&self, request: FhirRequest) -> BoxFuture<'_, FhirReply>;
}

/// What a [`FhirService`] answers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FhirReply {
    /// HTTP status.
    pub status: StatusCode,
    /// A resource, if any.
    pub body: Option<Value>,
    /// The version, as it goes into `W/"…"`; without the quotes.
    pub version: Option<String>,
    /// `meta.lastUpdated`, as an HTTP date.
    pub last_modified: Option<String>,
    /// Where a created resource is, relative to the base: `Patient/1/_history/2`.
    pub location: Option<String>,
    /// References of the records shown or changed, for the audit note; empty: the path says it.
    pub touched: Vec<String>,
    /// The service has made the audit note durable together with the act itself. Otherwise the note is written before the
    /// reply is sent, and a write whose note fails is answered 503 although it was done.
    pub audited: bool,
}

#[derive(Clone)]
struct Door {
    service: Arc<dyn FhirService>,
    auditor: Auditor,
}

/// The routes below [`BASE`]. Expects [`Presented`] among the request's extensions.
pub fn routes(service: Arc<dyn FhirService>, auditor: Auditor) -> Router {
    Router::new()
        .route("/fhir/R4", any(enter))
        .route("/fhir/R4/", any(enter))
        .route("/fhir/R4/{*path}", any(enter))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Door { service, auditor })
}

async fn enter(State(door): State<Door>, request: Request) -> Response {
    door.answer(request).await.unwrap_or_else(IntoResponse::into_response)
}

impl Door {
    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let presented = request.extensions().get::<Presented>().cloned().unwrap_or(Presented::Nothing);
        let peer = request.extensions().get::<Peer>().cloned();
        let unless = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let head = request.method() == Method::HEAD;
        let public = request::is_metadata(&request);
        if !public {
            presented.required()?;
        }
        let session = presented.session().cloned();
        let asked = FhirRequest::read(request, session.clone()).await?;
        let (action, what, base_url) = (action_of(&asked), target_of(&asked), asked.base_url.clone());
        if let Some(writer) = session.as_ref().filter(|_| matches!(action, Action::Create | Action::Update | Action::Delete))
            && let Err(refusal) = writer.require_role(WRITES)
        {
            self.auditor.note(session.as_ref(), peer.as_ref(), Act::refused(action, what)).await?;
            return Err(refusal);
        }
        let reply = self.service.handle(asked).await;
        if !public && !reply.audited {
            let what = if reply.touched.is_empty() { what } else { reply.touched.clone() };
            let refused = reply.status.is_client_error() || reply.status.is_server_error();
            let act = if refused { Act::refused(action, what) } else { Act::done(action, what) };
            self.auditor.note(session.as_ref(), peer.as_ref(), act).await?;
        }
        Ok(render(reply, &base_url, unless.as_deref().filter(|_| action == Action::Read), head))
    }
}

/// What the interaction does, as the audit trail names it.
fn action_of(request: &FhirRequest) -> Action {
    let searching = request.path.last().is_some_and(|last| matches!(last.as_str(), "_search" | "$match"));
    match request.method {
        // Of two patients links are changed, none is made.
        Method::POST if request.path.last().is_some_and(|last| matches!(last.as_str(), "$merge" | "$unmerge")) => Action::Update,
        Method::POST if !searching => Action::Create,
        Method::PUT | Method::PATCH => Action::Update,
        Method::DELETE => Action::Delete,
        _ if request.path.len() >= 2 && !searching => Action::Read,
        _ => Action::Search,
    }
}

/// `Patient/1` of `Patient/1/_history/2`; `Patient` of a search.
fn target_of(request: &FhirRequest) -> Vec<String> {
    let named: Vec<&str> = request.path.iter().take(2).map(String::as_str).filter(|part| !part.starts_with(['_', '$'])).collect();
    if named.is_empty() { Vec::new() } else { vec![named.join("/")] }
}

fn render(reply: FhirReply, base_url: &str, unless: Option<&str>, head: bool) -> Response {
    let etag = reply.version.map(|version| format!("W/\"{version}\""));
    let unchanged = reply.status == StatusCode::OK
        && etag.as_deref().zip(unless).is_some_and(|(etag, unless)| unless.split(',').any(|one| same_version(one, etag)));
    let status = if unchanged { StatusCode::NOT_MODIFIED } else { reply.status };
    let body = match reply.body {
        Some(value) if !unchanged && !head => Body::from(value.to_string()),
        _ => Body::empty(),
    };
    let mut response = (status, [(CONTENT_TYPE, HeaderValue::from_static("application/fhir+json; charset=utf-8"))], body).into_response();
    let mut set = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    let location = reply.location.map(|location| format!("{base_url}/{location}"));
    set(RETRY_AFTER, (status == StatusCode::SERVICE_UNAVAILABLE).then(|| RETRY_S.to_string()));
    set(ETAG, etag);
    set(LAST_MODIFIED, reply.last_modified);
    set(CONTENT_LOCATION, location.clone());
    set(LOCATION, location);
    response
}

/// Weak comparison: `W/"1"`, `"1"`.
fn same_version(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    one.trim() == "*" || bare(one) == bare(other)
}
