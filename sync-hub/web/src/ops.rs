//! For whoever keeps the program running: `/healthz`, `/readyz` (public), `/metrics` (session or scrape token).

use crate::guard::{Presented, bearer};
use crate::json::Json;
use crate::problem::{Problem, ProblemDocument};
use crate::secret::Secret;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Whether the program can do its work.
pub trait Ready: Send + Sync + 'static {
    /// Why not, one sentence each, without patient data; empty when ready. Answers at once.
    fn reasons(&self) -> Vec<String>;
}

/// Renders the program's measurements in Prometheus' text format. Answers at once.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What is running.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`: it answers.
    pub status: String,
    /// `edge-agent` or `sync-hub`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The name it was given, such as `hillside`.
    pub name: String,
}

/// Whether it can do its work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not-ready`.
    pub status: String,
    /// Why not.
    pub reasons: Vec<String>,
}

/// What the routes need.
#[derive(Clone)]
pub(crate) struct Ops {
    pub health: Health,
    pub ready: Arc<dyn Ready>,
    pub metrics: Metrics,
    pub scrape_token: Option<Secret>,
}

pub(crate) fn routes(ops: Ops) -> Router {
    Router::new()
        .route("/healthz", routing::get(healthz))
        .route("/readyz", routing::get(readyz))
        .route("/metrics", routing::get(metrics))
        .with_state(Arc::new(ops))
}

/// It answers.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, body = Health)))]
pub(crate) async fn healthz(State(ops): State<Arc<Ops>>) -> Json<Health> {
    Json(ops.health.clone())
}

/// It can do its work.
#[utoipa::path(get, path = "/readyz", tag = "operation", security(()), responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn readyz(State(ops): State<Arc<Ops>>) -> (StatusCode, Json<Readiness>) {
    let reasons = ops.ready.reasons();
    let (code, status) = if reasons.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not-ready") };
    (code, Json(Readiness { status: status.into(), reasons }))
}

/// Measurements as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 401, body = ProblemDocument, description = "neither a session nor the scrape token"),
))]
pub(crate) async fn metrics(State(ops): State<Arc<Ops>>, request: Request) -> Result<Response, Problem> {
    // Hashes are compared, so the time taken says nothing about the token.
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    let scraper = ops.scrape_token.as_ref().zip(bearer(request.headers()));
    let scraper = scraper.is_some_and(|(token, sent)| hash(token.reveal()).as_ref() == hash(&sent).as_ref());
    if !scraper {
        request.extensions().get::<Presented>().unwrap_or(&Presented::Nothing).required()?;
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind)], (ops.metrics)()).into_response())
}
