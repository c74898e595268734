//! Opening what the hub keeps. A database that is not there yet is waited for: the hub lives, says that it is not ready, and asks
//! everybody to come back.

use crate::house::House;
use crate::register::Fleet;
use crate::run::Told;
use crate::shelf::Accounts;
use crate::{VERSION, keeping};
use anyhow::Context;
use protocol::StoreError;
use rustls::ServerConfig;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use web::listener::{ConnectionLimits, serve};
use web::ops::Health;
use web::recorder::Recorder;

/// Why the hub is not ready while it waits. Which database and where is for the log.
pub const AWAY: &str = "the database that keeps the record is not reached";
/// One wait; a hub that is told to stop ends within about this.
const WAIT: Duration = Duration::from_secs(1);
/// The log is told again every so many waits.
const TOLD_EVERY: u32 = 30;

/// What a hub works with.
pub struct Opened {
    /// The ledger's writer.
    pub recorder: Recorder,
    /// Its thread.
    pub recording: JoinHandle<()>,
    /// Who may sign in.
    pub accounts: Arc<Accounts>,
    /// Who belongs.
    pub fleet: Fleet,
    /// The same for bundles, which take their time.
    pub bundles: Fleet,
}

/// Where the hub will serve, and how.
pub struct Door<'a> {
    /// Bound, not blocking.
    pub listener: &'a TcpListener,
    /// TLS.
    pub tls: &'a Arc<ServerConfig>,
    /// The hub's name.
    pub name: &'a str,
}

/// Opens everything; none if the hub was told to stop before the database came.
///
/// # Errors
/// What waiting does not help against.
pub async fn open(house: &Arc<House>, door: &Door<'_>, told: &mut Told) -> anyhow::Result<Option<Opened>> {
    let error = match attempt(house, Duration::ZERO).await {
        Err(error) if is_away(&error) => error,
        other => return other.map(Some),
    };
    tracing::warn!(error = format!("{error:#}"), "waiting for the database; until then the hub is not ready and answers 503");
    let (close, closed) = oneshot::channel::<()>();
    let listener = tokio::net::TcpListener::from_std(door.listener.try_clone()?)?;
    let health = Health { status: "ok".into(), program: "sync-hub".into(), version: VERSION.into(), name: door.name.to_owned() };
    let router = web::waiting::router(health, AWAY);
    let limits = ConnectionLimits { drain: Duration::from_secs(1), ..ConnectionLimits::default() };
    let serving = tokio::spawn(serve(listener, router, Some(Arc::clone(door.tls)), limits, async {
        let _ = closed.await;
    }));
    let opened = until_there(house, told).await;
    drop(close);
    serving.await.context("the waiting room")??;
    opened
}

async fn until_there(house: &Arc<House>, told: &mut Told) -> anyhow::Result<Option<Opened>> {
    let mut waits = 0_u32;
    loop {
        let attempted = tokio::select! {
            attempted = attempt(house, WAIT) => attempted,
            () = told.heard() => return Ok(None),
        };
        match attempted {
            Err(error) if is_away(&error) => {
                waits = waits.wrapping_add(1);
                if waits.is_multiple_of(TOLD_EVERY) {
                    tracing::warn!(error = format!("{error:#}"), "still waiting for the database");
                }
            }
            other => return other.map(Some),
        }
    }
}

/// Waits until the database is there, as far as is known, or so long; then tries.
async fn attempt(house: &Arc<House>, wait: Duration) -> anyhow::Result<Opened> {
    let house = Arc::clone(house);
    let attempt = move || {
        if let Some(database) = house.shelf.database() {
            database.wait(wait);
        }
        let (recorder, recording) = keeping::open(&house)?;
        let accounts = Arc::new(house.shelf.accounts()?);
        Ok(Opened { recorder, recording, accounts, fleet: house.shelf.fleet()?, bundles: house.shelf.fleet()? })
    };
    tokio::task::spawn_blocking(attempt).await.context("the thread that opens the record")?
}

fn is_away(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Away { .. })))
}
