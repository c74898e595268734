//! One sync session over HTTP, whoever the peer is: a hub or another box of the clinic.

use anyhow::Context;
use protocol::session::{Session, Step, Summary};
use protocol::wire::{self, CONTENT_TYPE};
use record::id::ReplicaId;
use reqwest::StatusCode;
use rustls::ClientConfig;
use std::time::Duration;
use tokio::sync::mpsc;
use web::recorder::Recorder;
use web::sync::SESSION;

/// A message and its answer, on the slowest line: 50 kB each way at 2 kbit/s.
const REQUEST_MAX: Duration = Duration::from_secs(600);
/// Silence of the peer while it is to answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Most messages of one session.
const MESSAGES_MAX: usize = 100_000;
/// Longest wait between attempts while a peer is not reached.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What a session brought, for the brain.
pub type Brought = protocol::replica::Accepted;

/// Why a peer was not reached or a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It does not let this box in; in its words.
    #[error("{0}")]
    Refused(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// What follows a message, in its bytes.
enum Next {
    Send(Vec<u8>),
    Done(Box<Summary>),
}

/// Runs sessions over this box's record.
#[derive(Clone)]
pub struct Line {
    /// The record.
    pub recorder: Recorder,
    /// Takes what sessions bring.
    pub brought: mpsc::Sender<Brought>,
}

/// A client to be, that shows and checks the certificates of `tls`.
pub fn client(tls: ClientConfig) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
    builder.connect_timeout(CONNECT_MAX).read_timeout(ANSWER_MAX).timeout(REQUEST_MAX)
}

/// How long to wait after so many failures in a row.
#[must_use]
pub fn backoff(every: Duration, failures: u32) -> Duration {
    if failures == 0 {
        return every;
    }
    every.max(Duration::from_secs(1)).saturating_mul(1 << failures.min(5)).min(BACKOFF_MAX.max(every))
}

impl Line {
    /// One session with `peer` at `url`, to its end.
    ///
    /// # Errors
    /// [`Broken`]; what had come is durable.
    pub async fn session(&self, peer: ReplicaId, client: &reqwest::Client, url: &str) -> Result<Summary, Broken> {
        let opened = self.recorder.write(move |desk| {
            let opened = Session::open(desk.replica, desk.store, desk.now, peer);
            opened.map(|(session, message)| (session, wire::encode(&message, desk.replica.id(), peer)))
        });
        let (mut session, mut message) = opened.await.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)?;
        for _ in 0..MESSAGES_MAX {
            let post = client.post(format!("{url}{SESSION}")).header("content-type", CONTENT_TYPE).body(message);
            let answer = ask(post, url).await?;
            let handled = self.recorder.write(move |desk| {
                let me = desk.replica.id();
                let step = wire::decode(&answer, peer, me).map_err(anyhow::Error::from).and_then(|reply| {
                    let step = session.handle(desk.replica, desk.store, desk.now, &reply)?;
                    Ok(match step {
                        Step::Ask(next) => Next::Send(wire::encode(&next, me, peer)),
                        Step::Done(summary) => Next::Done(summary),
                    })
                });
                (session, step)
            });
            let (back, step) = handled.await.map_err(anyhow::Error::from)?;
            session = back;
            // Durable already, and never sent again: the ward hears of it even if the session breaks later.
            self.bring(session.take_received()).await;
            match step? {
                Next::Send(next) => message = next,
                Next::Done(summary) => return Ok(*summary),
            }
        }
        Err(anyhow::anyhow!("the session did not end within {MESSAGES_MAX} messages").into())
    }

    /// Tells the ward of what has come.
    pub async fn bring(&self, received: Brought) {
        if received.is_new() && self.brought.send(received).await.is_err() {
            tracing::debug!("the event loop has ended");
        }
    }
}

/// The answer's body.
///
/// # Errors
/// No answer, one that is too large, or a refusal.
pub async fn ask(request: reqwest::RequestBuilder, url: &str) -> Result<Vec<u8>, Broken> {
    let mut answer = request.send().await.with_context(|| format!("{url} is not reached"))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.context("the answer broke off")? {
        if body.len() + chunk.len() > wire::MESSAGE_LIMIT {
            return Err(anyhow::anyhow!("the answer of {url} is past the limit of {} bytes", wire::MESSAGE_LIMIT).into());
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("no reason given");
    match status {
        StatusCode::FORBIDDEN => Err(Broken::Refused(detail.to_owned())),
        _ => Err(anyhow::anyhow!("{url} answered {status}: {detail}").into()),
    }
}
