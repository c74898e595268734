//! Handing a patient's record over to another site, and erasing it.

use super::{named, reason_fits, site_replica, stopped, unheard, wake};
use crate::hub::Hub;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub_api::patient::{Erase, ErasureView, Transfer, TransferView};
use protocol::replica::{self, Handover, MembershipError};
use protocol::store::StoreError;
use protocol::{Peer, PeerRole};
use record::id::{PatientId, ReplicaId};
use record::ledger::Act as By;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use web::accounts::Role;
use web::audit::{Act, Action, Disclosed};
use web::json::Json;
use web::problem::Problem;
use web::recorder::Desk;
use web::session::Session;

const LOOKS: [Role; 3] = [Role::Operator, Role::Admin, Role::Auditor];
const CHANGES: [Role; 2] = [Role::Operator, Role::Admin];

pub async fn transfer(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Path(id): Path<String>,
    Json(asked): Json<Transfer>,
) -> Result<(Disclosed, axum::Json<TransferView>), Problem> {
    session.require_role(&CHANGES)?;
    reason_fits(&asked.reason)?;
    let patient: PatientId = id.parse().map_err(|_| unknown(&id))?;
    let to = site_replica(&hub, &asked.to).await?;
    let (at, name) = (Arc::clone(&hub), asked.to.clone());
    let seal_public = spawn_blocking(move || at.fleet().seal_key(&name)).await.map_err(|_| stopped())?;
    let seal_public = seal_public.map_err(|error| unwritten(&error))?.ok_or_else(|| super::unknown_site(&asked.to))?;
    let peer = Peer { replica: to, seal_public, role: PeerRole::Neighbour };
    let act = By { user: session.user, session: session.id, reason: asked.reason.trim().to_owned() };
    let (of, keep) = (patient.clone(), asked.keep);
    let done = hub.recorder.write(move |desk| hand_over(desk, &act, &of, &peer, keep)).await;
    let (handover, arrived, others) = done.map_err(unheard)?.map_err(|error| refused(&error))?;
    for replica in others {
        wake(&hub, replica).await;
    }
    let names = named(&hub).await?;
    let what = vec![format!("Patient/{patient}"), format!("Site/{}", asked.to)];
    Ok((Disclosed(Act::done(Action::Update, what)), axum::Json(names.transfer(handover, arrived))))
}

/// Whoever else has the record is told to leave, unless they keep it. Asked again it changes nothing more.
fn hand_over(
    desk: Desk<'_>,
    act: &By,
    patient: &PatientId,
    to: &Peer,
    keep: bool,
) -> Result<(Handover, bool, Vec<ReplicaId>), MembershipError> {
    let me = desk.replica.id();
    let scope = desk.replica.scope_of(patient).ok_or_else(|| MembershipError::UnknownPatient(patient.clone()))?;
    let access = desk.replica.scope(scope).map(|scope| scope.access.clone()).unwrap_or_default();
    let others: Vec<ReplicaId> = access.members().filter(|member| *member != me && *member != to.replica).collect();
    let leaving: Vec<ReplicaId> = others.iter().copied().filter(|other| !keep && !access.ends(*other)).collect();
    let granted = desk.replica.handovers().into_iter().any(|one| one.scope == scope && one.to == to.replica);
    if !granted || !leaving.is_empty() {
        desk.replica.hand_over(desk.store, desk.now, desk.entropy, act, replica::Transfer { patient, to, leaving: &leaving })?;
    }
    let arrived = desk.replica.has_arrived(desk.store, scope, to.replica).map_err(|e| MembershipError::Commit(e.into()))?;
    let handover = desk.replica.handovers().into_iter().find(|one| one.scope == scope && one.to == to.replica);
    let handover = handover.ok_or_else(|| MembershipError::Closed(patient.clone()))?;
    Ok((handover, arrived, others.into_iter().chain([to.replica]).collect()))
}

pub async fn transfers(State(hub): State<Arc<Hub>>, session: Session) -> Result<(Disclosed, axum::Json<Vec<TransferView>>), Problem> {
    session.require_role(&LOOKS)?;
    let found = hub.recorder.write(|desk| {
        let mut found = Vec::new();
        for handover in desk.replica.handovers() {
            let arrived = desk.replica.has_arrived(desk.store, handover.scope, handover.to)?;
            found.push((handover, arrived));
        }
        Ok::<_, StoreError>(found)
    });
    let found = found.await.map_err(unheard)?.map_err(|error| unwritten(&error))?;
    let names = named(&hub).await?;
    let views: Vec<TransferView> = found.into_iter().map(|(handover, arrived)| names.transfer(handover, arrived)).collect();
    let what = views.iter().filter_map(|view| view.patient.as_ref()).map(|patient| format!("Patient/{patient}")).collect();
    Ok((Disclosed(Act::done(Action::Search, what)), axum::Json(views)))
}

pub async fn erase(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Path(id): Path<String>,
    Json(asked): Json<Erase>,
) -> Result<(Disclosed, axum::Json<ErasureView>), Problem> {
    session.require_role(&CHANGES)?;
    reason_fits(&asked.reason)?;
    if asked.confirm != id {
        return Err(Problem::bad_request("not-confirmed", "type the patient's id again to confirm").about("confirm"));
    }
    let patient: PatientId = id.parse().map_err(|_| unknown(&id))?;
    let act = By { user: session.user, session: session.id, reason: asked.reason.trim().to_owned() };
    let of = patient.clone();
    let done = hub.recorder.write(move |desk| {
        let scope = desk.replica.scope_of(&of).ok_or_else(|| MembershipError::UnknownPatient(of.clone()))?;
        desk.replica.erase(desk.store, desk.now, desk.entropy, &act, &of)?;
        Ok((scope, desk.replica.erasures().into_iter().find(|(of, _)| *of == scope).map(|(_, left)| left).unwrap_or_default()))
    });
    let (scope, outstanding) = done.await.map_err(unheard)?.map_err(|error: MembershipError| refused(&error))?;
    tracing::warn!(%scope, "an erasure was ordered");
    hub.forget_alerts().await.map_err(|error| unwritten(&error))?;
    for replica in &outstanding {
        wake(&hub, *replica).await;
    }
    let view = named(&hub).await?.erasure(scope, &outstanding);
    Ok((Disclosed(Act::done(Action::Delete, vec![format!("Patient/{patient}")])), axum::Json(view)))
}

pub async fn erasures(State(hub): State<Arc<Hub>>, session: Session) -> Result<axum::Json<Vec<ErasureView>>, Problem> {
    session.require_role(&LOOKS)?;
    let found = hub.recorder.write(|desk| desk.replica.erasures()).await.map_err(unheard)?;
    let names = named(&hub).await?;
    Ok(axum::Json(found.iter().map(|(scope, outstanding)| names.erasure(*scope, outstanding)).collect()))
}

fn unknown(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown-patient", format!("no patient {shown} is known here"))
}

fn refused(error: &MembershipError) -> Problem {
    match error {
        MembershipError::UnknownPatient(_) => Problem::new(StatusCode::NOT_FOUND, "unknown-patient", error.to_string()),
        MembershipError::Closed(_) => Problem::new(StatusCode::CONFLICT, "closed", error.to_string()),
        MembershipError::Commit(error) => unwritten(error),
    }
}

fn unwritten(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a membership was not changed");
    Problem::unavailable("store", "the hub cannot write: nothing was changed")
}
