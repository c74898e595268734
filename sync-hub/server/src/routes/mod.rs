//! The hub's own routes: one row each.

mod alerts;
mod configuration;
mod enrol;
mod fleet;
mod patients;
mod quarantine;
mod session;
mod state;

use crate::hub::Hub;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::{Router, routing};
use hub_api::alert::ACKNOWLEDGE;
use hub_api::configuration::{CONFIGURATION, ROLL_BACK, ROLL_OUT};
use hub_api::enrol::ENROL;
use hub_api::fleet::{CLOSE, FLEET, INCIDENTS, REVOKE, SITE_STATE, SITES, STATE};
use hub_api::patient::{ERASE, ERASURES, ErasureView, REASON_MAX, TRANSFER, TRANSFERS, TransferView};
use hub_api::quarantine::{ACCEPT, QUARANTINE};
use hub_core::site::SiteName;
use protocol::StoreError;
use protocol::replica::Handover;
use record::id::{ReplicaId, ScopeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use web::Routes;
use web::problem::Problem;
use web::recorder::Busy;
use web::sync::SESSION;

/// Every route, by who stands at its door.
pub fn routes(hub: Arc<Hub>) -> Routes {
    let signed_in = Router::new()
        .route(FLEET, routing::get(fleet::get))
        .route(SITES, routing::post(fleet::add))
        .route(REVOKE, routing::post(fleet::revoke))
        .route(INCIDENTS, routing::get(fleet::incidents))
        .route(CLOSE, routing::post(fleet::close))
        .route(STATE, routing::get(state::get))
        .route(TRANSFER, routing::post(patients::transfer))
        .route(TRANSFERS, routing::get(patients::transfers))
        .route(ERASE, routing::post(patients::erase))
        .route(ERASURES, routing::get(patients::erasures))
        .route(QUARANTINE, routing::get(quarantine::list))
        .route(ACCEPT, routing::post(quarantine::accept))
        .route(CONFIGURATION, routing::get(configuration::list))
        .route(ROLL_OUT, routing::post(configuration::roll_out))
        .route(ROLL_BACK, routing::post(configuration::roll_back))
        .route(ACKNOWLEDGE, routing::post(alerts::acknowledge))
        .with_state(Arc::clone(&hub));
    let session = Router::new()
        .route(SESSION, routing::post(session::post))
        .route(SITE_STATE, routing::post(state::post))
        .layer(DefaultBodyLimit::max(protocol::wire::MESSAGE_LIMIT))
        .with_state(Arc::clone(&hub));
    let enrol = Router::new().route(ENROL, routing::post(enrol::post)).with_state(enrol::Counter::new(hub));
    Routes { signed_in, own_door: session.merge(enrol) }
}

/// A thread ended early.
fn stopped() -> Problem {
    Problem::unavailable("stopping", "the hub is stopping: try again")
}

/// The recorder did not take a job on, or did not end it.
fn unheard(busy: Busy) -> Problem {
    match busy {
        Busy::Full => Problem::unavailable("busy", busy.to_string()),
        Busy::Away => Problem::unavailable("store-away", busy.to_string()),
        Busy::Stopped => stopped(),
    }
}

/// Names of sites by replica.
struct Names(BTreeMap<ReplicaId, String>);

impl Names {
    /// A site's name; of whom no site has, the replica's id.
    fn of(&self, replica: ReplicaId) -> String {
        self.0.get(&replica).cloned().unwrap_or_else(|| replica.to_string())
    }

    fn all(&self, replicas: &[ReplicaId]) -> Vec<String> {
        replicas.iter().map(|replica| self.of(*replica)).collect()
    }

    fn transfer(&self, handover: Handover, arrived: bool) -> TransferView {
        TransferView {
            patient: handover.patient.map(|patient| patient.to_string()),
            to: self.of(handover.to),
            granted_ms: i64::try_from(handover.granted.wall_ms).unwrap_or(i64::MAX),
            arrived,
            left: self.all(&handover.left),
            outstanding: self.all(&handover.leaving),
        }
    }

    fn erasure(&self, scope: ScopeId, outstanding: &[ReplicaId]) -> ErasureView {
        ErasureView { scope: scope.to_string(), complete: outstanding.is_empty(), outstanding: self.all(outstanding) }
    }
}

async fn named(hub: &Arc<Hub>) -> Result<Names, Problem> {
    let mut names: BTreeMap<ReplicaId, String> = sites(hub).await?.into_iter().filter_map(|row| Some((row.replica?, row.site))).collect();
    names.insert(hub.replica, "hub".to_owned());
    Ok(Names(names))
}

/// The replica of a site that is enrolled.
async fn site_replica(hub: &Arc<Hub>, site: &str) -> Result<ReplicaId, Problem> {
    let row = sites(hub).await?.into_iter().find(|row| row.site == site);
    row.and_then(|row| row.replica).ok_or_else(|| unknown_site(site))
}

async fn sites(hub: &Arc<Hub>) -> Result<Vec<crate::register::SiteRow>, Problem> {
    let at = Arc::clone(hub);
    let rows = spawn_blocking(move || at.fleet().sites()).await.map_err(|_| stopped())?;
    rows.map_err(|error: StoreError| {
        tracing::warn!(%error, "the fleet cannot be read");
        Problem::unavailable("fleet-unavailable", "the fleet cannot be read; try again")
    })
}

fn unknown_site(site: &str) -> Problem {
    let shown: String = site.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown-site", format!("no site {shown} is enrolled here"))
}

fn reason_fits(reason: &str) -> Result<(), Problem> {
    let said = reason.trim().chars().count();
    if (1..=REASON_MAX).contains(&said) {
        return Ok(());
    }
    Err(Problem::bad_request("reason", format!("say why, in at most {REASON_MAX} characters")).about("reason"))
}

/// Tells a site that there is something for it. Only a courtesy: it syncs by itself too.
async fn wake(hub: &Arc<Hub>, replica: ReplicaId) {
    let Ok(rows) = sites(hub).await else { return };
    let name = rows.into_iter().find(|row| row.replica == Some(replica)).and_then(|row| row.site.parse::<SiteName>().ok());
    if let Some(name) = name
        && hub.wake.try_send(name).is_err()
    {
        tracing::debug!("too many sites wait to be woken");
    }
}
