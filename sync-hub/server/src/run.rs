//! `run`: opens everything, says so in one line, serves until told to stop.

use crate::authority::Authority;
use crate::bundles::Bundles;
use crate::config::Config;
use crate::house::House;
use crate::hub::{Hub, Parts, WAKES};
use crate::mqtt::{Broker, ear, front};
use crate::shelf::Accounts;
use crate::users::Kept;
use crate::waiting::{self, Opened};
use crate::{VERSION, clock, fleet_view, keeping, metrics, routes};
use anyhow::Context;
use protocol::StoreError;
use serde_json::json;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing_subscriber::EnvFilter;
use utoipa::OpenApi;
use web::bundles::spool::{self, Work};
use web::listener::{ConnectionLimits, serve};
use web::ops::Ready;
use web::recorder::Gate;
use web::records::Records;
use web::secret::Secret;
use web::session::Sessions;
use web::{Surface, tls};

/// How often audit events of commands are brought into the ledger.
const DRAIN_EVERY: Duration = Duration::from_secs(5);
/// How long the start waits for the hub's own subscriptions.
const HEARING_MAX: Duration = Duration::from_secs(10);
/// Between two looks for a database that went away while the hub began.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the recorder may take to end.
const ENDING_MAX: Duration = Duration::from_secs(10);

/// Runs the hub.
///
/// # Errors
/// It cannot start; each names the file or address.
pub fn run(config: Config) -> anyhow::Result<()> {
    log_to_stderr(config.log_json);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the async runtime")?;
    let ended = runtime.block_on(start(config));
    // A recorder that waits for its database is not waited for: whatever was answered is durable.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn start(config: Config) -> anyhow::Result<()> {
    let began = clock::now().mono;
    let mut told = Told::listen()?;
    let house = Arc::new(House::open_or_create(&config)?);
    let authority = Authority::open(&config.data)?;

    let http = bind(config.bind, "bind").await?;
    let mqtt = bind(config.mqtt, "mqtt").await?;
    let (http_at, mqtt_at) = (http.local_addr()?, mqtt.local_addr()?);
    let (chain, key) = authority.server(&config.names, clock::now().wall)?;
    let server_tls = tls::server_config(chain.clone(), key.clone_key(), Some(authority.roots()?))?;
    let mqtt_tls = front::tls(chain, key, authority.roots()?)?;

    let http = http.into_std()?;
    let door = waiting::Door { listener: &http, tls: &server_tls, name: &config.name };
    let Some(opened) = waiting::open(&house, &door, &mut told).await? else { return Ok(()) };
    let Opened { recorder, recording, accounts, fleet, bundles } = opened;
    let http = TcpListener::from_std(http)?;

    let told_mqtt = format!("{}:{}", config.told_host(), mqtt_at.port());
    let (wake, wakes) = mpsc::channel(WAKES);
    let (identity, gate) = (house.identity()?, house.shelf.gate());
    let groups = config.groups.clone();
    let parts = Parts { config, identity, authority, mqtt: told_mqtt, recorder: recorder.clone(), gate, fleet, wake };
    let hub = Arc::new(Hub::new(parts));
    tokio::select! {
        loaded = load_alerts(&hub) => loaded?,
        () = told.heard() => return Ok(()),
    }

    let broker = Broker::start().await?;
    let (say_hearing, mut hearing) = watch::channel(false);
    let bundles = Bundles::new(&house, recorder.clone(), bundles, groups, Some(Arc::clone(&hub)))?;
    let work: Work = Arc::new(move |ask, file, told| bundles.work(ask, file, told).map_err(|error| format!("{error:#}")));
    let background = [
        tokio::spawn(spool::serve(house.data.path().to_owned(), || clock::now().wall, work)),
        tokio::spawn(ear::listen(Arc::clone(&hub), broker.clone(), wakes, say_hearing)),
        tokio::spawn(fleet_view::watch(Arc::clone(&hub))),
        tokio::spawn(drain(Arc::clone(&accounts), recorder.clone(), Arc::clone(&hub.gate))),
    ];
    if tokio::time::timeout(HEARING_MAX, hearing.wait_for(|hearing| *hearing)).await.is_err() {
        tracing::warn!("the hub does not hear its own broker yet; live data will be missing until it does");
    }
    let door = tokio::spawn(front::serve(mqtt, mqtt_tls, Arc::clone(&hub), broker));

    let records = records(&hub);
    let mut routes = routes::routes(Arc::clone(&hub));
    let dead_letters = web::dead_letters::routes(recorder.clone(), retried(&hub));
    routes.signed_in = routes.signed_in.merge(web::conflicts::routes(Arc::clone(&records))).merge(dead_letters);
    let router = surface(&hub, accounts, hearing, records).router(routes);
    let ready = json!({
        "ready": true, "http": http_at.to_string(), "mqtt": mqtt_at.to_string(), "pid": std::process::id(),
        "ready_ms": clock::now().mono.micros_since(began) / 1000,
    });
    println!("{ready}");
    serve(http, router, Some(server_tls), ConnectionLimits::default(), told.heard()).await?;

    tracing::info!("stopping");
    door.abort();
    for task in background {
        task.abort();
        // So that the recorder's last handle is dropped with it.
        let _ = task.await;
    }
    let _ = door.await;
    drop((hub, recorder));
    let ended = tokio::task::spawn_blocking(move || recording.join());
    if tokio::time::timeout(ENDING_MAX, ended).await.is_err() {
        // Whatever was answered is durable; only work nobody waits for is cut.
        tracing::warn!("the recorder was still at work");
    }
    Ok(())
}

/// A database that goes away at this very moment is waited for.
async fn load_alerts(hub: &Hub) -> Result<(), StoreError> {
    loop {
        match hub.load_alerts(None).await {
            Err(StoreError::Away { .. }) => tokio::time::sleep(AGAIN).await,
            loaded => return loaded,
        }
    }
}

fn records(hub: &Arc<Hub>) -> Arc<Records> {
    let told = Arc::downgrade(hub);
    let runtime = tokio::runtime::Handle::current();
    Arc::new(Records {
        recorder: hub.recorder.clone(),
        clock: Arc::new(clock::now),
        program: "sync-hub",
        version: VERSION,
        changed: Arc::new(move |_, documents| {
            let ids: Vec<_> = documents.into_iter().filter(|d| d.resource_type == crate::hub::ALERT).map(|d| d.id).collect();
            if let Some(hub) = told.upgrade().filter(|_| !ids.is_empty()) {
                runtime.spawn(async move {
                    if let Err(error) = hub.load_alerts(Some(ids)).await {
                        tracing::warn!(%error, "an alert that was changed cannot be read");
                    }
                });
            }
        }),
    })
}

/// What a retry of dead letters brought is looked through for alerts.
fn retried(hub: &Arc<Hub>) -> web::dead_letters::Retried {
    let told = Arc::downgrade(hub);
    let runtime = tokio::runtime::Handle::current();
    Arc::new(move |_, accepted| {
        if let Some(hub) = told.upgrade().filter(|_| !accepted.documents.is_empty() || !accepted.closed.is_empty()) {
            runtime.spawn(async move {
                if let Err(error) = hub.forget_alerts().await {
                    tracing::warn!(%error, "the open alerts cannot be read");
                }
            });
        }
    })
}

fn surface(hub: &Arc<Hub>, accounts: Arc<Accounts>, hearing: watch::Receiver<bool>, records: Arc<Records>) -> Surface {
    let config = &hub.config;
    let seen = hub.seen.subscribe();
    Surface {
        clock: Arc::new(clock::now),
        entropy: Arc::new(clock::SystemEntropy),
        accounts: Arc::new(Kept(accounts)),
        sessions: Arc::new(Sessions::default()),
        audit: Arc::new(hub.recorder.clone()),
        fhir: records,
        live: None,
        ready: Arc::new(Readiness { seen: seen.clone(), hearing, gate: Arc::clone(&hub.gate) }),
        metrics: Arc::new(move || metrics::render(&seen.borrow().clone())),
        scrape_token: config.scrape_token.clone().map(Secret::new),
        ui_dir: config.ui.clone(),
        openapi: hub_api::Document::openapi(),
        program: "sync-hub".to_owned(),
        version: VERSION.to_owned(),
        name: config.name.clone(),
    }
}

struct Readiness {
    seen: watch::Receiver<Arc<fleet_view::Seen>>,
    hearing: watch::Receiver<bool>,
    gate: Gate,
}

impl Ready for Readiness {
    fn reasons(&self) -> Vec<String> {
        let deaf = (!*self.hearing.borrow()).then(|| "the MQTT broker is not reached".to_owned());
        // Which database and where is for the log: this is told to anybody.
        let away = (self.gate)().map(|_| waiting::AWAY.to_owned());
        self.seen.borrow().trouble.clone().into_iter().chain(deaf).chain(away).collect()
    }
}

async fn drain(accounts: Arc<Accounts>, recorder: web::recorder::Recorder, gate: Gate) {
    let mut tick = tokio::time::interval(DRAIN_EVERY);
    loop {
        tick.tick().await;
        if gate().is_some() {
            continue;
        }
        if let Err(error) = keeping::drain_audit(&accounts, &recorder).await {
            tracing::warn!(%error, "audit events of commands wait; trying again");
        }
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{key}: cannot listen on {address}"))
}

/// Who tells the program to stop.
pub struct Told {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Told {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes when somebody has.
    pub async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn log_to_stderr(json: bool) {
    // The broker and the TLS stack are quiet unless something is wrong; RUST_LOG has the last word.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rmqtt=warn,rumqttc=warn,rustls=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    // Only fails where a subscriber is installed already: in tests.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
