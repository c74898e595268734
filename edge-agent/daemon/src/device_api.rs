//! A technician's routes: scan, pair, move, exchange, command, record. Who may do what is decided here.

use crate::local_api::{self, ask, disclosed, saved};
use crate::recordings;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Router, routing};
use driver::command::Deed;
use edge_api::bed::{AttachDevice, Saved};
use edge_api::device::{
    BINDINGS, BeginPairing, COMMAND, COMMANDS, CONFIRM, CommandView, DEVICE, MOVE, MoveDevice, PAIRING, PAIRINGS, PASSKEY, PROFILES,
    Paired, PairingView, Passkey, ProfileView, RECORDING, RECORDING_STOP, RECORDINGS, ReachedBy, Record, RecordingView, SCAN, SWAP, Scan,
    ScanView, SendCommand, SpanView, SwapDevice,
};
use edge_core::{Command, CommandReply, Sighting};
use std::path::PathBuf;
use std::time::Duration;
use transport::Transport;
use web::accounts::Role;
use web::audit::{Action, Disclosed};
use web::json::Json;
use web::problem::Problem;
use web::session::Session;

/// Seconds of a scan.
const SCAN_S: u8 = 8;
const SCAN_S_MAX: u8 = 30;

/// What the routes reach.
#[derive(Clone)]
pub struct Reach {
    /// The brain and what it is asked with.
    pub asked: local_api::Reach,
    /// Radio and ports.
    pub transport: Transport,
    /// The data directory, where recordings lie.
    pub data: PathBuf,
}

type Answer<T> = Result<axum::Json<T>, Problem>;
/// With a note of who did it.
type Noted<T> = Result<(Disclosed, axum::Json<T>), Problem>;

/// Every route of this file; each needs a session.
pub fn routes(reach: Reach) -> Router {
    Router::new()
        .route(PROFILES, routing::get(profiles))
        .route(SCAN, routing::post(scan))
        .route(PAIRINGS, routing::get(pairings).post(begin))
        .route(PAIRING, routing::get(pairing).delete(cancel))
        .route(PASSKEY, routing::post(passkey))
        .route(CONFIRM, routing::post(confirm))
        .route(DEVICE, routing::delete(retire))
        .route(BINDINGS, routing::get(bindings))
        .route(MOVE, routing::post(move_to))
        .route(SWAP, routing::post(swap))
        .route(COMMANDS, routing::get(commands))
        .route(COMMAND, routing::post(command))
        .route(RECORDINGS, routing::get(list_recordings).post(record))
        .route(RECORDING_STOP, routing::post(stop_recording))
        .route(RECORDING, routing::get(recording).delete(destroy_recording))
        .with_state(reach)
}

async fn profiles(State(reach): State<Reach>, session: Session) -> Answer<Vec<ProfileView>> {
    let pick = |reply| if let CommandReply::Profiles(profiles) = reply { Some(profiles) } else { None };
    asked(&reach, &session, Command::ListProfiles, pick).await
}

async fn scan(State(reach): State<Reach>, session: Session, Json(request): Json<Scan>) -> Answer<ScanView> {
    session.require_role(&[Role::Nurse, Role::Technician, Role::Admin])?;
    let seconds = request.seconds.unwrap_or(SCAN_S);
    if !(1..=SCAN_S_MAX).contains(&seconds) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many", format!("seconds: 1 to {SCAN_S_MAX}")).about("seconds"));
    }
    let (mut sightings, problem) = match reach.transport.scan(Duration::from_secs(seconds.into())).await {
        Ok(seen) => (seen.into_iter().map(sighting).collect(), None),
        Err(down) => (Vec::new(), Some(format!("{down}. {}", down.next_step()))),
    };
    sightings.extend(tokio::task::spawn_blocking(ports).await.unwrap_or_default());
    let pick = |reply| if let CommandReply::Found(found) = reply { Some(found) } else { None };
    let axum::Json(found) = asked(&reach, &session, Command::Recognise(sightings), pick).await?;
    Ok(axum::Json(ScanView { found, problem }))
}

fn sighting(seen: transport::Seen) -> Sighting {
    let by = ReachedBy::Bluetooth { address: seen.address };
    Sighting { by, name: seen.name, rssi_dbm: seen.rssi, services: seen.services }
}

/// Serial ports by their stable names.
fn ports() -> Vec<Sighting> {
    let sighting = |port: transport::Port| Sighting {
        name: port.path.file_name().map(|name| name.to_string_lossy().into_owned()),
        by: ReachedBy::Serial { path: port.path.display().to_string() },
        rssi_dbm: None,
        services: Vec::new(),
    };
    transport::ports().into_iter().map(sighting).collect()
}

async fn begin(State(reach): State<Reach>, session: Session, Json(request): Json<BeginPairing>) -> Noted<PairingView> {
    let axum::Json(begun) = asked(&reach, &session, Command::BeginPairing(request), one_pairing).await?;
    // It opens a link to wherever the person said.
    let what = vec![format!("Device/{}", begun.device), format!("Pairing/{}", begun.id)];
    Ok((disclosed(Action::Create, what), axum::Json(begun)))
}

async fn pairings(State(reach): State<Reach>, session: Session) -> Answer<Vec<PairingView>> {
    let pick = |reply| if let CommandReply::Pairings(pairings) = reply { Some(pairings) } else { None };
    asked(&reach, &session, Command::ListPairings, pick).await
}

async fn pairing(State(reach): State<Reach>, session: Session, Path(pairing): Path<String>) -> Answer<PairingView> {
    asked(&reach, &session, Command::ShowPairing(pairing), one_pairing).await
}

async fn cancel(State(reach): State<Reach>, session: Session, Path(pairing): Path<String>) -> Result<(Disclosed, StatusCode), Problem> {
    let pick = |reply| matches!(reply, CommandReply::Cancelled).then_some(());
    let what = vec![format!("Pairing/{pairing}")];
    let axum::Json(()) = asked(&reach, &session, Command::CancelPairing(pairing), pick).await?;
    Ok((disclosed(Action::Delete, what), StatusCode::NO_CONTENT))
}

async fn passkey(
    State(reach): State<Reach>,
    session: Session,
    Path(pairing): Path<String>,
    Json(request): Json<Passkey>,
) -> Noted<PairingView> {
    let what = vec![format!("Pairing/{pairing}")];
    let view = asked(&reach, &session, Command::GivePasskey { pairing, request }, one_pairing).await?;
    Ok((disclosed(Action::Update, what), view))
}

async fn confirm(State(reach): State<Reach>, session: Session, Path(pairing): Path<String>) -> Answer<Paired> {
    let pick = |reply| if let CommandReply::Paired(paired) = reply { Some(paired) } else { None };
    asked(&reach, &session, Command::ConfirmPairing(pairing), pick).await
}

async fn retire(
    State(reach): State<Reach>,
    session: Session,
    Path(device): Path<String>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    session.require_role(&[Role::Technician, Role::Admin])?;
    let what = vec![format!("Device/{device}")];
    saved(&reach.asked, &session, Command::RetireDevice(device), what).await
}

async fn bindings(State(reach): State<Reach>, session: Session, Path(device): Path<String>) -> Answer<Vec<SpanView>> {
    let pick = |reply| if let CommandReply::Bindings(spans) = reply { Some(spans) } else { None };
    asked(&reach, &session, Command::ListBindings(device), pick).await
}

async fn move_to(
    State(reach): State<Reach>,
    session: Session,
    Path(device): Path<String>,
    Json(MoveDevice { bed }): Json<MoveDevice>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    let what = vec![format!("Device/{device}")];
    let request = AttachDevice { move_from_other_bed: true };
    saved(&reach.asked, &session, Command::AttachDevice { bed, device, request }, what).await
}

async fn swap(
    State(reach): State<Reach>,
    session: Session,
    Path(device): Path<String>,
    Json(request): Json<SwapDevice>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    let what = vec![format!("Device/{device}"), format!("Device/{}", request.with)];
    saved(&reach.asked, &session, Command::SwapDevice { device, request }, what).await
}

async fn commands(State(reach): State<Reach>, session: Session, Path(device): Path<String>) -> Answer<Vec<CommandView>> {
    let pick = |reply| if let CommandReply::Commands(commands) = reply { Some(commands) } else { None };
    asked(&reach, &session, Command::ListCommands(device), pick).await
}

async fn command(
    State(reach): State<Reach>,
    session: Session,
    Path((device, command)): Path<(String, String)>,
    Json(request): Json<SendCommand>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    let deed = catalogue::commands::all().into_iter().find(|one| one.id == command).map(|one| one.deed);
    session.require_role(match deed {
        // What presses on a patient's arm is a nurse's to begin.
        Some(Deed::Inflates) => &[Role::Nurse, Role::Admin],
        Some(Deed::Erases | Deed::Resets | Deed::SetsClock) | None => &[Role::Technician, Role::Admin],
    })?;
    let what = vec![format!("Device/{device}")];
    saved(&reach.asked, &session, Command::SendCommand { device, command, request }, what).await
}

async fn record(
    State(reach): State<Reach>,
    session: Session,
    Path(device): Path<String>,
    Json(request): Json<Record>,
) -> Answer<RecordingView> {
    session.require_role(&[Role::Technician, Role::Admin])?;
    let pick = |reply| if let CommandReply::Recording(recording) = reply { Some(recording) } else { None };
    asked(&reach, &session, Command::Record { device, request }, pick).await
}

async fn stop_recording(
    State(reach): State<Reach>,
    session: Session,
    Path(device): Path<String>,
) -> Result<(Disclosed, axum::Json<Saved>), Problem> {
    session.require_role(&[Role::Technician, Role::Admin])?;
    let what = vec![format!("Device/{device}")];
    saved(&reach.asked, &session, Command::StopRecording(device), what).await
}

async fn list_recordings(State(reach): State<Reach>, session: Session, Path(device): Path<String>) -> Answer<Vec<RecordingView>> {
    session.require_role(&[Role::Technician, Role::Admin])?;
    let held = reach.asked.board.devices().into_iter().find(|held| held.id == device);
    let (data, of) = (reach.data.clone(), device.clone());
    let mut listed = blocking(move || recordings::list(&data, &of).map_err(anyhow::Error::from)).await?;
    // The newest is the one under way, if one is.
    if let Some(last) = listed.last_mut() {
        last.until_ms = held.and_then(|held| held.recording_until_ms);
    }
    Ok(axum::Json(listed))
}

async fn recording(
    State(reach): State<Reach>,
    session: Session,
    Path((device, recording)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    session.require_role(&[Role::Technician, Role::Admin])?;
    let what = vec![format!("Device/{device}"), format!("Recording/{recording}")];
    let text = blocking(move || recordings::read(&reach.data, &device, &recording)).await?;
    Ok((disclosed(Action::Read, what), text))
}

async fn destroy_recording(
    State(reach): State<Reach>,
    session: Session,
    Path((device, recording)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    session.require_role(&[Role::Technician, Role::Admin])?;
    let what = vec![format!("Device/{device}"), format!("Recording/{recording}")];
    blocking(move || recordings::destroy(&reach.data, &device, &recording)).await?;
    Ok((disclosed(Action::Delete, what), StatusCode::NO_CONTENT))
}

/// What a command answers, without a note of its own: nothing of a patient is in it, or the brain has audited it.
async fn asked<T>(reach: &Reach, session: &Session, command: Command, pick: impl FnOnce(CommandReply) -> Option<T>) -> Answer<T> {
    let reply = ask(&reach.asked, session, command).await?;
    pick(reply).map(axum::Json).ok_or_else(|| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))
}

fn one_pairing(reply: CommandReply) -> Option<PairingView> {
    if let CommandReply::Pairing(pairing) = reply { Some(*pairing) } else { None }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Problem::of(StatusCode::INTERNAL_SERVER_ERROR))?;
    done.map_err(|error| Problem::new(StatusCode::NOT_FOUND, "unknown-recording", error.to_string()))
}
