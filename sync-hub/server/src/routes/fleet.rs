//! The operator's page: the fleet, adding and revoking sites, incidents.

use super::{reason_fits, stopped, unheard};
use crate::clock;
use crate::fleet_view::{self, ViewError};
use crate::hub::Hub;
use crate::register::{self, RegisterError};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub_api::fleet::{AddSite, CloseIncident, FleetView, IncidentView, RevokeSite, SiteCode, SiteRow};
use hub_core::membership::RevokeRefusal;
use protocol::StoreError;
use protocol::store::Closing;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use web::accounts::Role;
use web::audit::{Act, Action, Disclosed};
use web::json::Json;
use web::problem::Problem;
use web::session::Session;

const LOOKS: [Role; 3] = [Role::Operator, Role::Admin, Role::Auditor];
const CHANGES: [Role; 2] = [Role::Operator, Role::Admin];

pub async fn get(State(hub): State<Arc<Hub>>, session: Session) -> Result<axum::Json<FleetView>, Problem> {
    session.require_role(&LOOKS)?;
    fleet_view::fleet(&hub).await.map(axum::Json).map_err(|error| unseen(&error))
}

pub async fn incidents(State(hub): State<Arc<Hub>>, session: Session) -> Result<axum::Json<Vec<IncidentView>>, Problem> {
    session.require_role(&LOOKS)?;
    fleet_view::incidents(&hub).await.map(axum::Json).map_err(|error| unseen(&error))
}

pub async fn close(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Path(id): Path<String>,
    Json(asked): Json<CloseIncident>,
) -> Result<(Disclosed, axum::Json<IncidentView>), Problem> {
    session.require_role(&CHANGES)?;
    reason_fits(&asked.reason)?;
    let (wanted, by) = (id.clone(), session.user);
    let closed = hub.recorder.write(move |desk| {
        let mut tx = desk.store.begin()?;
        let Some(incident) = tx.incidents()?.into_iter().find(|incident| incident.id() == wanted) else { return Ok(false) };
        if incident.closed.is_none() {
            tx.close_incident(&incident, &Closing { at: desk.now.wall, by, reason: asked.reason.trim().to_owned() })?;
            tx.commit()?;
        }
        Ok::<_, StoreError>(true)
    });
    let known = closed.await.map_err(unheard)?.map_err(|error| unseen(&error.into()))?;
    let all = if known { fleet_view::incidents(&hub).await.map_err(|error| unseen(&error))? } else { Vec::new() };
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        Problem::new(StatusCode::NOT_FOUND, "unknown-incident", format!("no incident {shown} is known here"))
    };
    let view = all.into_iter().find(|incident| incident.id == id).ok_or_else(unknown)?;
    Ok((Disclosed(Act::done(Action::Update, vec![format!("Incident/{id}")])), axum::Json(view)))
}

pub async fn add(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Json(asked): Json<AddSite>,
) -> Result<(StatusCode, Disclosed, axum::Json<SiteCode>), Problem> {
    session.require_role(&CHANGES)?;
    let mut entropy = [0; hub_api::code::HALF];
    clock::dice(&mut entropy);
    let added =
        spawn_blocking(move || register::add(&mut hub.fleet(), &hub.authority, &asked.site, &session.user, entropy, clock::now().wall));
    let code = added.await.map_err(|_| stopped())?.map_err(|error| refused(&error))?;
    let noted = Disclosed(Act::done(Action::Create, vec![format!("Site/{}", code.site)]));
    Ok((StatusCode::CREATED, noted, axum::Json(code)))
}

/// The heads are read on the recorder, after the end is durable: nothing can be accepted in between unseen.
pub async fn revoke(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Path(site): Path<String>,
    Json(asked): Json<RevokeSite>,
) -> Result<(Disclosed, axum::Json<SiteRow>), Problem> {
    session.require_role(&CHANGES)?;
    let (user, name, at) = (session.user, site.clone(), Arc::clone(&hub));
    let ended = hub.recorder.write(move |desk| {
        let heads = |replica| register::heads_of(desk.store, replica);
        register::revoke(&mut at.fleet(), &name, &asked.confirm, &asked.reason, &user, desk.now.wall, heads)
    });
    ended.await.map_err(unheard)?.map_err(|error| refused(&error))?;
    tracing::warn!(site, "membership ended");
    let fleet = fleet_view::fleet(&hub).await.map_err(|error| unseen(&error))?;
    fleet_view::cut_revoked(&hub).await.map_err(|error| unseen(&error))?;
    let row = fleet.sites.into_iter().find(|row| row.site == site).ok_or_else(|| Problem::of(StatusCode::NOT_FOUND))?;
    Ok((Disclosed(Act::done(Action::Delete, vec![format!("Site/{site}")])), axum::Json(row)))
}

fn unseen(error: &ViewError) -> Problem {
    tracing::warn!(%error, "the fleet cannot be looked at");
    Problem::unavailable("fleet-unavailable", "the fleet cannot be read; try again")
}

fn refused(error: &RegisterError) -> Problem {
    match error {
        RegisterError::Name(_) => Problem::bad_request("site-name", error.to_string()).about("site"),
        RegisterError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, "unknown-site", error.to_string()),
        RegisterError::Revoked(_) => Problem::new(StatusCode::CONFLICT, "revoked", error.to_string()).about("site"),
        RegisterError::Revoke(refusal) => {
            let field = if *refusal == RevokeRefusal::Unconfirmed { "confirm" } else { "reason" };
            Problem::bad_request("not-confirmed", refusal.to_string()).about(field)
        }
        RegisterError::Store(StoreError::Full(_)) => Problem::unavailable("full", "the disk is full"),
        other => {
            tracing::error!(error = %other, "the fleet cannot be changed");
            Problem::unavailable("fleet-unavailable", "the fleet cannot be written; nothing was changed")
        }
    }
}
