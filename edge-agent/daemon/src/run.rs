//! `edge-agent run`: everything put together, in the order it must start.

use crate::accounts::Kept;
use crate::audit_trail::Trail;
use crate::board::Board;
use crate::bundles::Bundles;
use crate::clock::{self, SystemEntropy};
use crate::config::Config;
use crate::duties::{self, Duties};
use crate::event_loop::{EventLoop, Hands, Told};
use crate::hub_link;
use crate::local_api::{self, Reach};
use crate::recordings::Recordings;
use crate::session_line::{Brought, Line};
use crate::{STORE, VERSION, device_api, lan, links, live_link, recovery};
use anyhow::Context;
use axum::Router;
use edge_core::{Agent, Input, Limits, Settings};
use edge_store::{DataDir, SqliteReader, SqliteStore};
use protocol::{Commit, Draft, PeerRole, Replica, Store};
use record::id::{DeviceId, PatientId, RunId};
use record::ledger::Identity;
use record::time::Now;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use transport::{Spec, Transport};
use utoipa::OpenApi;
use web::bundles::spool::{self, Work};
use web::given::Clock;
use web::listener::{ConnectionLimits, serve};
use web::live::{Live, LiveLimits};
use web::ops::Ready;
use web::recorder::Recorder;
use web::records::Records;
use web::secret::Secret;
use web::session::{SessionLimits, Sessions};
use web::{Routes, Surface};

/// Longest wait for the last segments at the end.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Told of things that wait for the event loop.
const TOLD: usize = 256;
/// Between looks for audit events that commands left.
const AUDIT_EVERY: Duration = Duration::from_secs(1);
/// A ward board is looked at all day without a touch.
const SESSION_IDLE_S: u64 = 12 * 3600;
/// How long a listener may take to say where it is bound before the ready line goes without it.
const LISTENING_WAIT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or Ctrl-C; then seals and ends. Gives the thread that writes the record, which ends once nothing of the
/// runtime is left.
///
/// # Errors
/// Anything that keeps it from starting, named.
pub async fn run(config: Config) -> anyhow::Result<Arc<JoinHandle<()>>> {
    let started = clock::now();
    let profiles = links::profiles(&config)?;
    let mut attached = links::attach(&config, &profiles)?;
    let directory = DataDir::open_or_create(&config.data, &mut clock::dice)?;
    tracing::warn!(keys = %config.data.join("keys").display(), "the master key is a plain file: whoever takes this disk can open the record; encrypt the disk");
    let mut store = SqliteStore::open(&directory.store_path(STORE), directory.store_key())?;
    let accounts = store.accounts()?;
    let mut run = [0; 8];
    clock::dice(&mut run);
    let run = RunId(run);
    let identity = Identity::from_seed(directory.identity_seed())?;
    let program = format!("edge-agent/{VERSION}");
    let replica = Replica::open(&mut store, identity, run, &program, clock::now(), &mut clock::dice)?;
    let mut configured = HashMap::new();
    for device in &mut attached {
        let id = links::record_id(&device.setting.id, replica.id())?;
        configured.insert(id.clone(), std::mem::replace(&mut device.setting.id, id));
    }
    let enrolled = replica.peers().iter().any(|peer| peer.role == PeerRole::Hub);
    let recovered = recovery::load(&mut store, replica.id(), enrolled, clock::now())?;
    let reader = reader(&directory);
    let settings = Settings {
        site: config.name.clone(),
        replica: replica.id(),
        version: VERSION.to_owned(),
        run,
        beds: config.beds.clone(),
        seal_every_s: config.seal_every_s,
        seal_waves_every_s: config.seal_waves_every_s,
        devices: attached.iter().map(|a| a.setting.clone()).collect(),
        profiles,
        device_commands: config.device_commands.clone(),
        limits: Limits::default(),
    };
    let damage = Arc::new(OnceLock::new());
    tokio::spawn(look_for_damage(directory.store_path(STORE), *directory.store_key(), Arc::clone(&damage)));
    let clock: Clock = Arc::new(clock::now);
    let (recorder, writing) = Recorder::start(replica, Box::new(store), reader, Arc::clone(&clock), Arc::new(SystemEntropy))?;
    let writing = Arc::new(writing);

    let (brought, brought_queue) = mpsc::channel::<Brought>(16);
    let (enrolled, enrolment) = watch::channel(None);
    let every = Duration::from_secs(u64::from(config.sync_every_s));
    let line = Line { recorder: recorder.clone(), brought: brought.clone() };
    let hub = Arc::new(hub_link::start(line.clone(), config.data.clone(), every, enrolled).await?);
    let door = lan::bind(&config.lan).await?;
    let lan_at = door.as_ref().map(TcpListener::local_addr).transpose()?;
    let neighbours = lan::run(config.lan.clone(), door, every, line, config.data.clone(), enrolment.clone(), Arc::clone(&hub.told));
    tokio::spawn(neighbours);
    let hands = web::bundles::Hands { recorder: recorder.clone(), identity: Arc::new(Identity::from_seed(directory.identity_seed())?) };
    let bundles = Bundles { hands, data: config.data.clone(), heard: Some((brought, Arc::clone(&hub.nudge))) };
    let work: Work = Arc::new(move |ask, file, told| bundles.work(ask, file, told).map_err(|error| format!("{error:#}")));
    tokio::spawn(spool::serve(config.data.clone(), || clock::now().wall, work));

    let (agent, first) = Agent::new(settings, recovered, clock::now());
    let board = Arc::new(Board::new(agent.ward(clock::now())));
    let (told, told_queue) = mpsc::channel::<Told>(TOLD);
    let (telemetry, telemetry_queue) = mpsc::channel(256);
    let (listening, mut bound) = watch::channel(HashMap::new());
    let (stop, stopping) = watch::channel(false);
    let (transport, heard) = Transport::new(clock::now);
    let mut devices = HashMap::new();
    let mut listeners = 0;
    for device in attached {
        listeners += usize::from(matches!(device.spec, Spec::Mllp(_)));
        devices.insert(transport.open(device.spec), device.setting.id);
    }
    let (full, something_brought) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hands = Hands {
        transport: transport.clone(),
        recorder: recorder.clone(),
        board: Arc::clone(&board),
        telemetry,
        full: Arc::clone(&full),
        listening,
        recordings: Recordings::new(&config.data),
    };
    let event_loop = EventLoop::new(agent, first, hands, devices);
    let looping = tokio::spawn(event_loop.run(heard, told_queue, hub.view.clone(), stopping.clone()));
    tokio::spawn(live_link::run(telemetry_queue, enrolment, config.data.clone(), Arc::clone(&hub.nudge)));
    tokio::spawn(bring(brought_queue, recorder.clone(), told.clone(), Arc::clone(&something_brought)));
    let duties = Duties {
        recorder: recorder.clone(),
        told: told.clone(),
        data: config.data.clone(),
        ballast: directory.ballast(),
        retention: config.retention.into(),
        full,
        brought: something_brought,
    };
    tokio::spawn(duties.run());
    let trail = Arc::new(Trail::new(recorder.clone()));
    let commands = edge_store::Accounts::open(&directory.store_path(STORE), directory.store_key())?;
    tokio::spawn(audit_of_commands(commands, recorder.clone(), Arc::clone(&trail)));

    let changed = told.clone();
    let records = Arc::new(Records {
        recorder: recorder.clone(),
        clock: Arc::clone(&clock),
        program: "edge-agent",
        version: VERSION,
        changed: Arc::new(move |replica, documents| {
            for input in news(replica, Brought { documents, ..Brought::default() }) {
                // The loop never waits for the writer, so this wait ends; the loop's end is the program's end.
                let _ = changed.blocking_send(Told::Input(Box::new(input)));
            }
        }),
    });
    let surface = Surface {
        clock: Arc::clone(&clock),
        entropy: Arc::new(SystemEntropy),
        accounts: Arc::new(Kept(accounts)),
        sessions: Arc::new(Sessions::new(SessionLimits { idle_s: SESSION_IDLE_S, ..SessionLimits::default() })),
        audit: trail,
        fhir: Arc::clone(&records) as _,
        live: Some(Live { source: Arc::clone(&board) as _, limits: LiveLimits::default(), origins: Vec::new() }),
        ready: Arc::new(Running { damage, board: Arc::clone(&board), event_loop: looping.abort_handle(), writing: Arc::clone(&writing) }),
        metrics: metrics(Arc::clone(&board), Arc::clone(&hub)),
        scrape_token: config.scrape_token.clone().map(Secret::new),
        ui_dir: config.ui.clone(),
        openapi: edge_api::Document::openapi(),
        program: "edge-agent".to_owned(),
        version: VERSION.to_owned(),
        name: config.name.clone(),
    };
    let dead_letters = web::dead_letters::routes(recorder.clone(), duties::retried(told.clone()));
    let reach = Reach { board, told, hub, recorder };
    let devices = device_api::routes(device_api::Reach { asked: reach.clone(), transport: transport.clone(), data: config.data.clone() });
    let signed_in = local_api::routes(reach).merge(devices).merge(web::conflicts::routes(records)).merge(dead_letters);
    let router = surface.router(Routes { signed_in, own_door: Router::new() });
    let listener = TcpListener::bind(config.bind).await.with_context(|| format!("bind: cannot listen on {}", config.bind))?;
    let http = listener.local_addr()?;
    // Monitors are told where to connect in the ready line, so their listeners are waited for.
    let _ = tokio::time::timeout(LISTENING_WAIT, bound.wait_for(|all| all.len() >= listeners)).await;
    // Whoever reads the ready line may ask for the end at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("{}", ready_line(&http.to_string(), lan_at, started, &bound.borrow(), &configured));

    let mut over = stopping;
    let serving = serve(listener, router, None, ConnectionLimits::default(), async move {
        // An error means the sender is gone: the program ends either way.
        let _ = over.wait_for(|stop| *stop).await;
    });
    let asked = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ending = async {
        asked.await;
        tracing::info!("stopping: sealing what is open");
        stop.send_replace(true);
        transport.shutdown().await;
        // What is not sealed by then lies in the journal, which loses nothing.
        tokio::time::timeout(STOP_MAX, looping).await
    };
    let (served, ended) = tokio::join!(serving, ending);
    match ended {
        Ok(ended) => ended.context("the event loop")?,
        Err(_) => tracing::warn!("not everything was sealed in {} s; the journal holds the rest", STOP_MAX.as_secs()),
    }
    served.context("serving")?;
    Ok(writing)
}

/// The agent's OpenAPI document, `web`'s routes included.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi::merged(edge_api::Document::openapi())
}

fn reader(directory: &DataDir) -> web::recorder::OpenReader {
    let (path, key) = (directory.store_path(STORE), *directory.store_key());
    Arc::new(move || SqliteReader::open(&path, &key).map(|reader| Box::new(reader) as Box<dyn Store + Send>))
}

/// What whoever started the program waits for; listeners go by the ids of the configuration.
fn ready_line(
    http: &str,
    lan: Option<SocketAddr>,
    started: Now,
    listeners: &HashMap<DeviceId, SocketAddr>,
    configured: &HashMap<DeviceId, DeviceId>,
) -> serde_json::Value {
    let ready_ms = clock::now().mono.micros_since(started.mono) / 1000;
    let shown = |id: &DeviceId| configured.get(id).unwrap_or(id).to_string();
    let listeners: serde_json::Map<_, _> = listeners.iter().map(|(d, a)| (shown(d), a.to_string().into())).collect();
    serde_json::json!({"ready": true, "http": http, "pid": std::process::id(), "ready_ms": ready_ms, "listeners": listeners, "lan": lan})
}

/// What sync brought goes to the brain.
async fn bring(mut queue: mpsc::Receiver<Brought>, recorder: Recorder, told: mpsc::Sender<Told>, something: Arc<Notify>) {
    while let Some(brought) = queue.recv().await {
        let inputs = recorder.write(move |desk| news(desk.replica, brought)).await.unwrap_or_default();
        for input in inputs {
            if told.send(Told::Input(Box::new(input))).await.is_err() {
                return;
            }
        }
        something.notify_one();
    }
}

/// How the brain hears of what is new: of a patient's documents, the scope first; of a record that is open again, not that it
/// was closed.
pub fn news(replica: &Replica, brought: Brought) -> Vec<Input> {
    let Brought { bindings, documents, mut closed, configured, .. } = brought;
    let patients = documents.iter().filter(|d| d.resource_type == "Patient").filter_map(|d| d.id.as_str().parse::<PatientId>().ok());
    let scopes: Vec<_> = patients.filter_map(|p| replica.scope_of(&p).map(|scope| (p, scope))).collect();
    closed.retain(|patient| replica.scope_of(patient).is_none());
    let mut inputs = Vec::new();
    if !bindings.is_empty() {
        inputs.push(Input::BindingsChanged(bindings));
    }
    if !scopes.is_empty() {
        inputs.push(Input::Scopes(scopes));
    }
    if !documents.is_empty() {
        inputs.push(Input::Changed(documents));
    }
    if !closed.is_empty() {
        inputs.push(Input::Closed(closed));
    }
    inputs.extend(configured.map(|standing| Input::Configured(Box::new(standing))));
    inputs
}

/// Takes the audit events that commands such as `user add` left, into the ledger, and those that wait for room.
async fn audit_of_commands(accounts: edge_store::Accounts, recorder: Recorder, trail: Arc<Trail>) {
    let accounts = Arc::new(accounts);
    loop {
        let taking = Arc::clone(&accounts);
        let pending = tokio::task::spawn_blocking(move || taking.pending_audit()).await;
        if let Ok(Ok(pending)) = pending
            && let Some(through) = pending.last().map(|(id, _)| *id)
        {
            let events = pending.into_iter().map(|(_, event)| event).collect();
            let commit = Commit { drafts: vec![Draft::Audit(events)], ..Commit::default() };
            let written = recorder.write(move |desk| desk.replica.commit(desk.store, desk.now, desk.entropy, &commit)).await;
            if let Ok(Ok(_)) = written {
                let dropping = Arc::clone(&accounts);
                let dropped = tokio::task::spawn_blocking(move || dropping.drop_audit(through)).await;
                if !matches!(dropped, Ok(Ok(()))) {
                    tracing::warn!("audit events of commands stay queued and will be written again");
                }
            }
        }
        if let Err(error) = trail.write(None).await {
            tracing::warn!(error = %error.0, "audit notes still wait to be written");
        }
        tokio::time::sleep(AUDIT_EVERY).await;
    }
}

/// Reads every page of the record once. A damaged one is never served, but it may not be asked for until it is needed.
async fn look_for_damage(path: PathBuf, key: [u8; 32], damage: Arc<OnceLock<String>>) {
    let look = move || SqliteReader::open(&path, &key).map(|reader| edge_store::pages::first_bad(&reader));
    let found = match tokio::task::spawn_blocking(look).await {
        Ok(Ok(None)) => return,
        Ok(Ok(Some(why))) => why,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "reading it ended early".to_owned(),
    };
    let told = format!("the record is damaged ({found}): replace the disk and restore a backup; what a hub holds comes back by itself");
    tracing::error!("{told}");
    // Set once, here.
    let _ = damage.set(told);
}

/// Ready while both the event loop and the writer run, what they write is kept, and what was kept is whole.
struct Running {
    damage: Arc<OnceLock<String>>,
    board: Arc<Board>,
    event_loop: tokio::task::AbortHandle,
    writing: Arc<JoinHandle<()>>,
}

impl Ready for Running {
    fn reasons(&self) -> Vec<String> {
        let ended = |what: &str| format!("{what} has ended: restart the program and look at its log");
        let event_loop = self.event_loop.is_finished().then(|| ended("the event loop"));
        let writing = self.writing.is_finished().then(|| ended("the thread that writes the record"));
        event_loop.into_iter().chain(writing).chain(self.board.not_saving()).chain(self.damage.get().cloned()).collect()
    }
}

fn metrics(board: Arc<Board>, hub: Arc<hub_link::HubLink>) -> web::ops::Metrics {
    Arc::new(move || {
        let (status, sync, now) = (board.status(), hub.view.borrow().clone(), clock::now().wall);
        let age = |ms: Option<i64>| ms.map_or(-1, |ms| (now.millis() - ms) / 1000);
        let devices = board.devices();
        let up = devices.iter().filter(|d| d.state == edge_api::ward::DeviceState::Connected).count();
        let lines = [
            ("build_info{version=\"".to_owned() + VERSION + "\"}", 1),
            ("lamplight_received_total".to_owned(), i64::try_from(status.received).unwrap_or(i64::MAX)),
            ("lamplight_stored_total".to_owned(), i64::try_from(status.stored).unwrap_or(i64::MAX)),
            ("lamplight_scored_total".to_owned(), i64::try_from(status.scored).unwrap_or(i64::MAX)),
            ("lamplight_alerts_total".to_owned(), i64::try_from(status.alerts).unwrap_or(i64::MAX)),
            ("lamplight_saving".to_owned(), i64::from(board.not_saving().is_none())),
            ("outbox_pending".to_owned(), i64::try_from(sync.waiting).unwrap_or(i64::MAX)),
            ("outbox_oldest_seconds".to_owned(), age(sync.oldest_waiting_ms)),
            ("sync_lag_seconds".to_owned(), age(sync.last_sync_ms)),
            ("device_connected".to_owned(), i64::try_from(up).unwrap_or(0)),
            ("device_configured".to_owned(), i64::try_from(devices.len()).unwrap_or(0)),
        ];
        lines.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    })
}
