//! What sites go by: who runs which bundle, rolling out and back.

use super::{reason_fits, sites, unheard};
use crate::configuring::{self, Refused, Wish};
use crate::hub::Hub;
use axum::extract::State;
use axum::http::StatusCode;
use hub_api::configuration::{ConfigurationView, RollBack, RollOut, RolledOut};
use hub_core::configuration::{Target, TargetError};
use record::ledger::Act as By;
use std::sync::Arc;
use web::accounts::Role;
use web::audit::{Act, Action, Disclosed};
use web::json::Json;
use web::problem::Problem;
use web::session::Session;

const LOOKS: [Role; 3] = [Role::Operator, Role::Admin, Role::Auditor];
const CHANGES: [Role; 2] = [Role::Operator, Role::Admin];

pub async fn list(State(hub): State<Arc<Hub>>, session: Session) -> Result<axum::Json<Vec<ConfigurationView>>, Problem> {
    session.require_role(&LOOKS)?;
    let rows = sites(&hub).await?;
    let found = hub.recorder.read(move |store| configuring::views(store.begin()?.as_mut(), &rows)).await;
    found.map(axum::Json).map_err(|error| {
        tracing::error!(%error, "what sites go by cannot be read");
        Problem::of_store(&error)
    })
}

pub async fn roll_out(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Json(asked): Json<RollOut>,
) -> Result<(Disclosed, axum::Json<RolledOut>), Problem> {
    let RollOut { to, bundle, reason } = asked;
    carry_out(&hub, session, &to, &reason, Wish::RollOut(bundle)).await
}

pub async fn roll_back(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Json(asked): Json<RollBack>,
) -> Result<(Disclosed, axum::Json<RolledOut>), Problem> {
    let RollBack { to, reason } = asked;
    carry_out(&hub, session, &to, &reason, Wish::RollBack).await
}

async fn carry_out(
    hub: &Arc<Hub>,
    session: Session,
    to: &str,
    reason: &str,
    wish: Wish,
) -> Result<(Disclosed, axum::Json<RolledOut>), Problem> {
    session.require_role(&CHANGES)?;
    reason_fits(reason)?;
    let to: Target = to.parse().map_err(|error: TargetError| refused(&error.into()))?;
    let meant = configuring::meant(&to, &sites(hub).await?, &hub.config.groups).map_err(|error| refused(&error))?;
    let act = By { user: session.user, session: session.id, reason: reason.trim().to_owned() };
    let done = hub.recorder.write(move |desk| configuring::carry_out(desk, &act, &meant, &wish)).await;
    let done = done.map_err(unheard)?.map_err(|error| refused(&error))?;
    hub.wake_named(&done.sites);
    let what = done.sites.iter().map(|site| format!("Site/{site}")).collect();
    Ok((Disclosed(Act::done(Action::Update, what)), axum::Json(done)))
}

fn refused(error: &Refused) -> Problem {
    match error {
        Refused::Target(_) => Problem::bad_request("unknown-target", error.to_string()).about("to"),
        Refused::Bundle(_) => Problem::bad_request("unusable-bundle", error.to_string()).about("bundle"),
        Refused::Nobody(_) => Problem::new(StatusCode::CONFLICT, "nobody", error.to_string()).about("to"),
        Refused::Configure(_) | Refused::Store(_) => {
            tracing::error!(%error, "nothing was rolled out");
            Problem::unavailable("store", "the hub cannot write: nothing was rolled out")
        }
    }
}
