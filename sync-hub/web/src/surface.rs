//! Puts it all together: a program hands in its parts and its own routes, and gets one router.

use crate::accounts::Accounts;
use crate::audit::{Audit, Auditor, disclosures};
use crate::fhir::FhirService;
use crate::given::{Clock, Entropy};
use crate::live::Live;
use crate::ops::{Health, Metrics, Ops, Ready};
use crate::problem::{Problem, dialect};
use crate::secret::Secret;
use crate::session::Sessions;
use crate::sign_in::{self, Desk, SESSION};
use crate::{fhir, guard, harden, live, openapi, ops, site};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// Longest body a route takes unless it sets its own `DefaultBodyLimit`, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// Longest body any route can allow itself, in bytes.
pub const BODY_HARD_MAX: usize = 16 * 1024 * 1024;
/// Time for a request until its answer begins. Open WebSockets are not requests.
pub const REQUEST_MAX: Duration = Duration::from_secs(30);

/// What a program hands in.
pub struct Surface {
    /// Reads the clocks.
    pub clock: Clock,
    /// Randomness for tokens.
    pub entropy: Arc<dyn Entropy>,
    /// Who may sign in.
    pub accounts: Arc<dyn Accounts>,
    /// Who is signed in; kept by the program too, to end sessions.
    pub sessions: Arc<Sessions>,
    /// The audit trail.
    pub audit: Arc<dyn Audit>,
    /// `/fhir/R4`.
    pub fhir: Arc<dyn FhirService>,
    /// `/api/v1/live`, where there is one.
    pub live: Option<Live>,
    /// `/readyz`.
    pub ready: Arc<dyn Ready>,
    /// `/metrics`.
    pub metrics: Metrics,
    /// Lets a scraper read `/metrics` without a session.
    pub scrape_token: Option<Secret>,
    /// The built screens.
    pub ui_dir: Option<PathBuf>,
    /// The program's own OpenAPI document.
    pub openapi: utoipa::openapi::OpenApi,
    /// `edge-agent` or `sync-hub`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The name it was given.
    pub name: String,
}

/// A program's own routes, state already applied, without fallbacks.
#[derive(Default)]
pub struct Routes {
    /// Need a session, all of them; handlers take [`crate::session::Session`] as an argument.
    pub signed_in: Router,
    /// Check by themselves who is asking: client certificates (`/sync/v1`), enrolment codes.
    pub own_door: Router,
}

impl Surface {
    /// The whole surface.
    ///
    /// # Panics
    /// Two routes claim one path, or a program's router has a fallback: seen at the first start, never at a request.
    pub fn router(self, routes: Routes) -> Router {
        let auditor = Auditor::new(self.audit, Arc::clone(&self.clock));
        let desk = Arc::new(Desk::new(Arc::clone(&self.clock), self.entropy, self.accounts, auditor.clone(), self.sessions));
        let document = Arc::new(openapi::merged(self.openapi));

        let signed_in = Router::new()
            .route(SESSION, routing::get(sign_in::get).delete(sign_in::delete))
            .with_state(Arc::clone(&desk))
            .route(openapi::OPENAPI, routing::get(move || async move { axum::Json(document.as_ref()).into_response() }))
            .merge(routes.signed_in)
            .route_layer(from_fn(guard::signed_in));
        let health = Health { status: "ok".into(), program: self.program, version: self.version, name: self.name };
        let open = Router::new()
            .route(SESSION, routing::post(sign_in::post))
            .with_state(Arc::clone(&desk))
            .merge(ops::routes(Ops { health, ready: self.ready, metrics: self.metrics, scrape_token: self.scrape_token }))
            .merge(fhir::routes(self.fhir, auditor.clone()))
            .merge(routes.own_door);
        let open = match self.live {
            Some(live) => open.merge(live::routes(live, Arc::clone(&desk), auditor.clone())),
            None => open,
        };

        // Innermost first: each layer sees what those above it in this list answered.
        signed_in
            .merge(open)
            .fallback_service(site::routes(self.ui_dir))
            .layer(from_fn_with_state(auditor, disclosures))
            .layer(from_fn_with_state(desk, guard::present))
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .layer(RequestBodyLimitLayer::new(BODY_HARD_MAX))
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_MAX))
            .layer(CatchPanicLayer::custom(on_panic))
            .layer(from_fn(dialect))
            .layer(from_fn(harden::harden))
            .layer(from_fn_with_state(self.clock, note_request))
    }
}

/// Says nothing of why: the panic's text may hold what was being worked on.
fn on_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", "a fault in the program ended this request; it is in the log").into_response()
}

/// Logs the route's pattern, never the address: addresses hold patient ids.
async fn note_request(State(clock): State<Clock>, request: Request, next: Next) -> Response {
    let began = clock().mono;
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    tracing::debug!(%method, route, status = response.status().as_u16(), us = clock().mono.micros_since(began), "answered");
    response
}
