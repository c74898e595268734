//! `edge-agent run`: everything put together, in the order it must start.

use crate::accounts::Kept;
use crate::board::Board;
use crate::clock::{self, SystemEntropy};
use crate::config::Config;
use crate::event_loop::{EventLoop, Hands, Told};
use crate::hub_link::{self, Brought};
use crate::local_api::{self, Reach};
use crate::{STORE, VERSION, links, live_link, recovery};
use anyhow::Context;
use axum::Router;
use edge_core::{Agent, Input, Limits, Settings};
use edge_store::{DataDir, SqliteReader, SqliteStore};
use protocol::commit::DocumentState;
use protocol::{Commit, Draft, Replica, Store};
use record::id::{DeviceId, PatientId, RunId};
use record::ledger::Identity;
use record::time::Now;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use transport::{Spec, Transport};
use utoipa::OpenApi;
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

/// Runs until SIGTERM or Ctrl-C; then seals and ends.
///
/// # Errors
/// Anything that keeps it from starting, named.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let started = clock::now();
    let mut attached = links::attach(&config)?;
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
    let recovered = recovery::load(&mut store, clock::now())?;
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
        limits: Limits::default(),
    };
    let clock: Clock = Arc::new(clock::now);
    let (recorder, writing) = Recorder::start(replica, Box::new(store), reader, Arc::clone(&clock), Arc::new(SystemEntropy))?;

    let (brought, brought_queue) = mpsc::channel::<Brought>(16);
    let (enrolled, enrolment) = watch::channel(None);
    let every = Duration::from_secs(u64::from(config.sync_every_s));
    let hub = Arc::new(hub_link::start(recorder.clone(), config.data.clone(), every, brought, enrolled).await?);

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
    let hands = Hands { transport: transport.clone(), recorder: recorder.clone(), board: Arc::clone(&board), telemetry, listening };
    let event_loop = EventLoop::new(agent, first, hands, devices);
    let looping = tokio::spawn(event_loop.run(heard, told_queue, hub.view.clone(), stopping.clone()));
    tokio::spawn(live_link::run(telemetry_queue, enrolment, config.data.clone(), Arc::clone(&hub.nudge)));
    tokio::spawn(bring(brought_queue, recorder.clone(), told.clone()));
    tokio::spawn(audit_of_commands(edge_store::Accounts::open(&directory.store_path(STORE), directory.store_key())?, recorder.clone()));

    let changed = told.clone();
    let surface = Surface {
        clock: Arc::clone(&clock),
        entropy: Arc::new(SystemEntropy),
        accounts: Arc::new(Kept(accounts)),
        sessions: Arc::new(Sessions::new(SessionLimits { idle_s: SESSION_IDLE_S, ..SessionLimits::default() })),
        audit: Arc::new(recorder.clone()),
        fhir: Arc::new(Records {
            recorder: recorder.clone(),
            clock,
            program: "edge-agent",
            version: VERSION,
            changed: Arc::new(move |replica, documents| {
                for input in news(replica, documents) {
                    // The loop never waits for the writer, so this wait ends; the loop's end is the program's end.
                    let _ = changed.blocking_send(Told::Input(Box::new(input)));
                }
            }),
        }),
        live: Some(Live { source: Arc::clone(&board) as _, limits: LiveLimits::default(), origins: Vec::new() }),
        ready: Arc::new(Running { event_loop: looping.abort_handle(), writing }),
        metrics: metrics(Arc::clone(&board), Arc::clone(&hub)),
        scrape_token: config.scrape_token.clone().map(Secret::new),
        ui_dir: config.ui.clone(),
        openapi: edge_api::Document::openapi(),
        program: "edge-agent".to_owned(),
        version: VERSION.to_owned(),
        name: config.name.clone(),
    };
    let reach = Reach { board, told, hub };
    let router = surface.router(Routes { signed_in: local_api::routes(reach), own_door: Router::new() });
    let listener = TcpListener::bind(config.bind).await.with_context(|| format!("bind: cannot listen on {}", config.bind))?;
    let http = listener.local_addr()?;
    // Monitors are told where to connect in the ready line, so their listeners are waited for.
    let _ = tokio::time::timeout(LISTENING_WAIT, bound.wait_for(|all| all.len() >= listeners)).await;
    println!("{}", ready_line(&http.to_string(), started, &bound.borrow(), &configured));

    let mut over = stopping;
    let serving = serve(listener, router, None, ConnectionLimits::default(), async move {
        // An error means the sender is gone: the program ends either way.
        let _ = over.wait_for(|stop| *stop).await;
    });
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
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
    served.context("serving")
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
    started: Now,
    listeners: &HashMap<DeviceId, SocketAddr>,
    configured: &HashMap<DeviceId, DeviceId>,
) -> serde_json::Value {
    let ready_ms = clock::now().mono.micros_since(started.mono) / 1000;
    let shown = |id: &DeviceId| configured.get(id).unwrap_or(id).to_string();
    let listeners: serde_json::Map<_, _> = listeners.iter().map(|(d, a)| (shown(d), a.to_string().into())).collect();
    serde_json::json!({"ready": true, "http": http, "pid": std::process::id(), "ready_ms": ready_ms, "listeners": listeners})
}

/// What sync brought goes to the brain.
async fn bring(mut queue: mpsc::Receiver<Brought>, recorder: Recorder, told: mpsc::Sender<Told>) {
    while let Some(Brought { bindings, documents, .. }) = queue.recv().await {
        let mut inputs = Vec::new();
        if !bindings.is_empty() {
            inputs.push(Input::BindingsChanged(bindings));
        }
        if !documents.is_empty() {
            inputs.extend(recorder.write(move |desk| news(desk.replica, documents)).await.unwrap_or_default());
        }
        for input in inputs {
            if told.send(Told::Input(Box::new(input))).await.is_err() {
                return;
            }
        }
    }
}

/// How the brain hears of documents: of a patient, the scope first.
fn news(replica: &Replica, documents: Vec<DocumentState>) -> Vec<Input> {
    let patients = documents.iter().filter(|d| d.resource_type == "Patient").filter_map(|d| d.id.as_str().parse::<PatientId>().ok());
    let scopes: Vec<_> = patients.filter_map(|p| replica.scope_of(&p).map(|scope| (p, scope))).collect();
    let known = (!scopes.is_empty()).then_some(Input::Scopes(scopes));
    known.into_iter().chain((!documents.is_empty()).then_some(Input::Changed(documents))).collect()
}

/// Takes the audit events that commands such as `user add` left, into the ledger.
async fn audit_of_commands(accounts: edge_store::Accounts, recorder: Recorder) {
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
        tokio::time::sleep(AUDIT_EVERY).await;
    }
}

/// Ready while both the event loop and the writer run.
struct Running {
    event_loop: tokio::task::AbortHandle,
    writing: std::thread::JoinHandle<()>,
}

impl Ready for Running {
    fn reasons(&self) -> Vec<String> {
        let ended = |what: &str| format!("{what} has ended: restart the program and look at its log");
        let event_loop = self.event_loop.is_finished().then(|| ended("the event loop"));
        let writing = self.writing.is_finished().then(|| ended("the thread that writes the record"));
        event_loop.into_iter().chain(writing).collect()
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
            ("outbox_pending".to_owned(), i64::try_from(sync.waiting).unwrap_or(i64::MAX)),
            ("outbox_oldest_seconds".to_owned(), age(sync.oldest_waiting_ms)),
            ("sync_lag_seconds".to_owned(), age(sync.last_sync_ms)),
            ("device_connected".to_owned(), i64::try_from(up).unwrap_or(0)),
            ("device_configured".to_owned(), i64::try_from(devices.len()).unwrap_or(0)),
        ];
        lines.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    })
}
