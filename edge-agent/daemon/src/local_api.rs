//! The agent's own routes: a table of paths, and for each what it asks of the brain or shows of the board.

use crate::board::Board;
use crate::event_loop::Told;
use crate::hub_link::{HubLink, sync_now};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Router, routing};
use edge_api::alert::{ACKNOWLEDGE, ALERTS, AlertAnswer, AlertView, RESOLVE};
use edge_api::bed::{AttachDevice, DEVICE, OBSERVATIONS, Observe, PATIENT, PlacePatient, Saved};
use edge_api::status::{STATUS, StatusView};
use edge_api::sync::{STATE, SYNC, SYNC_NOW, StateView, SyncView};
use edge_api::ward::{DEVICES, DeviceView, WARD, WardView};
use edge_core::{Actor, Command, CommandError, CommandReply};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use web::accounts::Role;
use web::audit::{Act, Action, Disclosed};
use web::json::Json;
use web::problem::Problem;
use web::recorder::Recorder;
use web::session::Session;

/// Longest wait for a sync session asked for by a person.
const SYNC_WAIT: Duration = Duration::from_secs(25);

/// What the routes reach.
#[derive(Clone)]
pub struct Reach {
    /// The picture.
    pub board: Arc<Board>,
    /// The loop.
    pub told: mpsc::Sender<Told>,
    /// The hub.
    pub hub: Arc<HubLink>,
    /// The record.
    pub recorder: Recorder,
}

/// Every route of the agent that needs a session.
pub fn routes(reach: Reach) -> Router {
    Router::new()
        .route(WARD, routing::get(ward))
        .route(DEVICES, routing::get(devices))
        .route(STATUS, routing::get(status))
        .route(PATIENT, routing::put(place))
        .route(DEVICE, routing::put(attach))
        .route(OBSERVATIONS, routing::post(observe))
        .route(ALERTS, routing::get(alerts))
        .route(ACKNOWLEDGE, routing::post(acknowledge))
        .route(RESOLVE, routing::post(resolve))
        .route(SYNC, routing::get(sync))
        .route(STATE, routing::get(state))
        .route(SYNC_NOW, routing::post(sync_at_once))
        .with_state(reach)
}

async fn ward(State(reach): State<Reach>, _: Session) -> (Disclosed, axum::Json<WardView>) {
    let ward = reach.board.ward();
    (disclosed(Action::Search, patients(&ward)), axum::Json(ward))
}

async fn devices(State(reach): State<Reach>, _: Session) -> axum::Json<Vec<DeviceView>> {
    axum::Json(reach.board.devices())
}

async fn status(State(reach): State<Reach>, _: Session) -> axum::Json<StatusView> {
    axum::Json(reach.board.status())
}

async fn alerts(State(reach): State<Reach>, _: Session) -> (Disclosed, axum::Json<Vec<AlertView>>) {
    let ward = reach.board.ward();
    (disclosed(Action::Search, ward.alerts.iter().map(|a| format!("DetectedIssue/{}", a.id)).collect()), axum::Json(ward.alerts))
}

async fn place(
    State(reach): State<Reach>,
    session: Session,
    Path(bed): Path<String>,
    Json(request): Json<PlacePatient>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    if request.since_ms.is_some() {
        // It moves what is filed already: for those who answer for the patients.
        session.require_role(&[Role::Nurse, Role::Admin])?;
    }
    let what = request.patient.iter().map(|p| format!("Patient/{p}")).collect();
    saved(&reach, &session, Command::PlacePatient { bed, request }, what).await
}

async fn attach(
    State(reach): State<Reach>,
    session: Session,
    Path((bed, device)): Path<(String, String)>,
    Json(request): Json<AttachDevice>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    let what = vec![format!("Device/{device}")];
    saved(&reach, &session, Command::AttachDevice { bed, device, request }, what).await
}

async fn observe(
    State(reach): State<Reach>,
    session: Session,
    Path(bed): Path<String>,
    Json(request): Json<Observe>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    let what = vec![format!("Patient/{}", request.patient)];
    saved(&reach, &session, Command::Observe { bed, request }, what).await
}

async fn acknowledge(
    State(reach): State<Reach>,
    session: Session,
    Path(alert): Path<String>,
    Json(answer): Json<AlertAnswer>,
) -> Result<(Disclosed, axum::Json<AlertView>), Problem> {
    let what = vec![format!("DetectedIssue/{alert}")];
    alert_answer(&reach, &session, Command::AcknowledgeAlert { alert, answer }, what).await
}

async fn resolve(
    State(reach): State<Reach>,
    session: Session,
    Path(alert): Path<String>,
    Json(answer): Json<AlertAnswer>,
) -> Result<(Disclosed, axum::Json<AlertView>), Problem> {
    let what = vec![format!("DetectedIssue/{alert}")];
    alert_answer(&reach, &session, Command::ResolveAlert { alert, answer }, what).await
}

async fn sync(State(reach): State<Reach>, _: Session) -> axum::Json<SyncView> {
    axum::Json(reach.hub.view.borrow().clone())
}

async fn state(State(reach): State<Reach>, _: Session) -> Result<axum::Json<StateView>, Problem> {
    crate::state::view(&reach.recorder).await.map(axum::Json).map_err(|error| {
        tracing::error!(%error, "the state digest cannot be worked out");
        Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

async fn sync_at_once(State(reach): State<Reach>, _: Session) -> Result<impl IntoResponse, Problem> {
    match sync_now(&reach.hub, SYNC_WAIT).await {
        Ok(view) => Ok(axum::Json(view)),
        Err(error) => Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "sync-slow", error.to_string())),
    }
}

/// What a command saved, and whom the audit names.
///
/// # Errors
/// As [`ask`].
pub async fn saved(
    reach: &Reach,
    session: &Session,
    command: Command,
    what: Vec<String>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    match ask(reach, session, command).await? {
        CommandReply::Saved(saved) => Ok((disclosed(Action::Create, what), axum::Json(saved))),
        _ => Err(Problem::of(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

async fn alert_answer(
    reach: &Reach,
    session: &Session,
    command: Command,
    what: Vec<String>,
) -> Result<(Disclosed, axum::Json<AlertView>), Problem> {
    match ask(reach, session, command).await? {
        CommandReply::Alert(alert) => Ok((disclosed(Action::Update, what), axum::Json(*alert))),
        _ => Err(Problem::of(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

/// Hands a command to the brain and waits until it is durable or refused.
///
/// # Errors
/// The role may not, or the brain refuses.
pub async fn ask(reach: &Reach, session: &Session, command: Command) -> Result<CommandReply, Problem> {
    session.require_role(&[Role::Nurse, Role::Technician, Role::Admin])?;
    let (answer, waiting) = oneshot::channel();
    let actor = Actor { user: session.user.clone(), session: session.id.clone() };
    let ended = || Problem::unavailable("stopping", "the appliance is stopping: nothing was saved");
    reach.told.send(Told::Ask { actor, command, answer }).await.map_err(|_| ended())?;
    waiting.await.map_err(|_| ended())?.map_err(|error| refused(&error))
}

fn refused(error: &CommandError) -> Problem {
    let status = match error {
        CommandError::UnknownBed { .. }
        | CommandError::UnknownDevice { .. }
        | CommandError::UnknownAlert { .. }
        | CommandError::UnknownPairing
        | CommandError::UnknownCommand { .. } => StatusCode::NOT_FOUND,
        CommandError::WrongPatient { .. }
        | CommandError::DeviceElsewhere { .. }
        | CommandError::DeviceUnbound { .. }
        | CommandError::PairedAlready { .. }
        | CommandError::Configured { .. }
        | CommandError::NotReady { .. }
        | CommandError::NotConnected { .. }
        | CommandError::AlreadyResolved { .. } => StatusCode::CONFLICT,
        CommandError::CommandOff { .. } => StatusCode::FORBIDDEN,
        CommandError::DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
        CommandError::Busy { .. } | CommandError::NotSaved { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, error.kind(), error.to_string())
}

/// What the audit is told.
pub fn disclosed(action: Action, what: Vec<String>) -> Disclosed {
    Disclosed(Act::done(action, what))
}

fn patients(ward: &WardView) -> Vec<String> {
    ward.beds.iter().filter_map(|b| b.patient.as_ref()).map(|p| format!("Patient/{}", p.id)).collect()
}
