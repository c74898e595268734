//! The hub's own routes: one row each.

mod alerts;
mod enrol;
mod fleet;
mod session;

use crate::hub::Hub;
use axum::extract::DefaultBodyLimit;
use axum::{Router, routing};
use hub_api::alert::ACKNOWLEDGE;
use hub_api::enrol::ENROL;
use hub_api::fleet::{FLEET, INCIDENTS, REVOKE, SITES};
use std::sync::Arc;
use web::Routes;
use web::problem::Problem;

/// Path of a session's messages.
pub const SESSION: &str = "/sync/v1/session";

/// Every route, by who stands at its door.
pub fn routes(hub: Arc<Hub>) -> Routes {
    let signed_in = Router::new()
        .route(FLEET, routing::get(fleet::get))
        .route(SITES, routing::post(fleet::add))
        .route(REVOKE, routing::post(fleet::revoke))
        .route(INCIDENTS, routing::get(fleet::incidents))
        .route(ACKNOWLEDGE, routing::post(alerts::acknowledge))
        .with_state(Arc::clone(&hub));
    let session = Router::new()
        .route(SESSION, routing::post(session::post))
        .layer(DefaultBodyLimit::max(protocol::wire::MESSAGE_LIMIT))
        .with_state(Arc::clone(&hub));
    let enrol = Router::new().route(ENROL, routing::post(enrol::post)).with_state(enrol::Counter::new(hub));
    Routes { signed_in, own_door: session.merge(enrol) }
}

/// A thread ended early.
fn stopped() -> Problem {
    Problem::unavailable("stopping", "the hub is stopping: try again")
}
