//! Two replicas over HTTP/2 on loopback, without TLS. All that the bench knows of the sync protocol is in this file.

use crate::clock;
use crate::world::World;
use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use protocol::session::{Session, Step, Summary};
use protocol::wire::{self, CONTENT_TYPE, MESSAGE_LIMIT};
use record::id::ReplicaId;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;

const PATH: &str = "/sync/v1/session";

/// A hub that answers one site.
#[derive(Debug)]
pub struct Hub {
    /// Where it listens.
    pub address: SocketAddr,
    desk: Arc<Mutex<World>>,
    _runtime: Runtime,
}

impl Hub {
    /// Serves the replica to `site`.
    ///
    /// # Errors
    /// No port is free.
    pub fn serve(world: World, site: ReplicaId) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let desk = Arc::new(Mutex::new(world));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).context("a port for the hub")?;
        let address = listener.local_addr()?;
        let app = Router::new().route(PATH, post(answered)).layer(axum::extract::DefaultBodyLimit::max(MESSAGE_LIMIT));
        let app = app.with_state((Arc::clone(&desk), site));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, desk, _runtime: runtime })
    }

    /// What it keeps.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answered(State((desk, site)): State<(Arc<Mutex<World>>, ReplicaId)>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let mut world = desk.lock().unwrap_or_else(PoisonError::into_inner);
    let World { replica, store, .. } = &mut *world;
    let message = wire::decode(&body, site, replica.id()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let (reply, _) = replica.answer(store, clock::now(), site, &message).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(wire::encode(&reply, replica.id(), site))
}

/// A site's line to its hub: one connection, kept while it holds.
#[derive(Debug)]
pub struct Line {
    client: reqwest::Client,
    runtime: Runtime,
    url: String,
    /// Bytes of messages, both ways.
    pub application_bytes: u64,
    /// Questions answered.
    pub round_trips: u64,
}

impl Line {
    /// A line to what listens at `port`.
    ///
    /// # Errors
    /// No client can be made.
    pub fn to(port: u16) -> Result<Self> {
        // A second call finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { client, runtime, url: format!("http://127.0.0.1:{port}{PATH}"), application_bytes: 0, round_trips: 0 })
    }

    /// One session, to its end.
    ///
    /// # Errors
    /// The line was cut, or either store failed.
    pub fn session(&mut self, site: &mut World, hub: ReplicaId) -> Result<Summary> {
        let me = site.replica.id();
        let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, clock::now(), hub)?;
        loop {
            let reply = self.ask(wire::encode(&message, me, hub))?;
            let reply = wire::decode(&reply, hub, me)?;
            match session.handle(&mut site.replica, &mut site.store, clock::now(), &reply)? {
                Step::Ask(next) => message = *next,
                Step::Done(summary) => {
                    ensure!(summary.equal, "the digests differ at the session's end");
                    return Ok(*summary);
                }
            }
        }
    }

    fn ask(&mut self, body: Vec<u8>) -> Result<Vec<u8>> {
        self.application_bytes += body.len() as u64;
        let sent = self.client.post(&self.url).header(reqwest::header::CONTENT_TYPE, CONTENT_TYPE).body(body);
        let reply = self.runtime.block_on(async {
            let response = sent.send().await?;
            if !response.status().is_success() {
                bail!("the hub answers {}", response.status());
            }
            Ok(response.bytes().await?)
        })?;
        self.application_bytes += reply.len() as u64;
        self.round_trips += 1;
        Ok(reply.to_vec())
    }
}
