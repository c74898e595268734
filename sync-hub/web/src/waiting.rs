//! What a program answers before it can do its work: that it lives, why it is not ready, and "try again" to all else.

use crate::harden::harden;
use crate::ops::{Health, Readiness};
use crate::problem::{Problem, dialect};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::{Json, Router, routing};

/// Answers `/healthz` with `health`, `/readyz` with 503 and `reason`, anything else with 503 and when to come back.
pub fn router(health: Health, reason: &'static str) -> Router {
    let unready = move || async move {
        let readiness = Readiness { status: "not-ready".into(), reasons: vec![reason.to_owned()] };
        (StatusCode::SERVICE_UNAVAILABLE, Json(readiness))
    };
    Router::new()
        .route("/healthz", routing::get(move || async move { Json(health) }))
        .route("/readyz", routing::get(unready))
        .fallback(move || async move { Problem::unavailable("starting", reason) })
        .layer(from_fn(dialect))
        .layer(from_fn(harden))
}
