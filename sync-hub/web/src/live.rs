//! The live stream: WebSocket `/api/v1/live`.
//!
//! A browser cannot set headers on a WebSocket, so the token travels as a subprotocol beside [`SUBPROTOCOL`]. A client
//! that falls behind loses its queue and is given the whole picture afresh; one that no longer reads is let go. Nobody
//! is shown old numbers as new.

use crate::audit::{Act, Action, Auditor};
use crate::guard::Presented;
use crate::listener::Peer;
use crate::problem::Problem;
use crate::session::Session;
use crate::sign_in::Desk;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::header::{HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, routing};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{interval, timeout};

/// Path of the WebSocket.
pub const LIVE: &str = "/api/v1/live";
/// The subprotocol that is spoken.
pub const SUBPROTOCOL: &str = "lamplight.live.v1";
/// Prefix of the subprotocol that carries the session token.
pub const TOKEN_PREFIX: &str = "lamplight.token.";
/// Close code for a session that has ended.
pub const SESSION_OVER: u16 = 4401;
/// Longest message a client may send, in bytes.
pub const INCOMING_MAX: usize = 4096;

/// What is streamed. The capacity of its broadcast channel is how far a client may fall behind.
pub trait LiveSource: Send + Sync + 'static {
    /// The whole picture; replaces all a client knows.
    fn snapshot(&self) -> LiveFrame;
    /// What changes from this moment on.
    fn subscribe(&self) -> broadcast::Receiver<Arc<LiveFrame>>;
}

/// One message to a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LiveFrame {
    /// JSON.
    Text(Utf8Bytes),
    /// Waves.
    Binary(Bytes),
}

impl From<LiveFrame> for Message {
    fn from(frame: LiveFrame) -> Self {
        match frame {
            LiveFrame::Text(text) => Self::Text(text),
            LiveFrame::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// What a live stream is held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveLimits {
    /// Clients at the same time.
    pub clients_max: usize,
    /// A ping goes out this often; its answer must come before the next.
    pub ping: Duration,
    /// Longest time one message may wait for the client to take it.
    pub send: Duration,
    /// The session is looked at this often.
    pub session_check: Duration,
}

impl Default for LiveLimits {
    /// 64 clients, ping every 15 s, 10 s to take a message, the session looked at every 5 s.
    fn default() -> Self {
        Self { clients_max: 64, ping: Duration::from_secs(15), send: Duration::from_secs(10), session_check: Duration::from_secs(5) }
    }
}

/// A live stream and the origins that may open it besides its own host.
#[derive(Clone)]
pub struct Live {
    /// What is streamed.
    pub source: Arc<dyn LiveSource>,
    /// Limits.
    pub limits: LiveLimits,
    /// Further origins of browsers that may connect, such as `tauri://localhost`.
    pub origins: Vec<String>,
}

struct Stream {
    live: Live,
    desk: Arc<Desk>,
    auditor: Auditor,
    seats: Arc<Semaphore>,
}

pub(crate) fn routes(live: Live, desk: Arc<Desk>, auditor: Auditor) -> Router {
    let seats = Arc::new(Semaphore::new(live.limits.clients_max));
    Router::new().route(LIVE, routing::get(open)).with_state(Arc::new(Stream { live, desk, auditor, seats }))
}

async fn open(
    State(stream): State<Arc<Stream>>,
    peer: Option<Extension<Peer>>,
    presented: Option<Extension<Presented>>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(&headers, HOST.as_str()));
    check_origin(text(&headers, ORIGIN.as_str()), host, &stream.live.origins)?;
    let offered = offered(&headers);
    let token = offered.iter().find_map(|protocol| protocol.strip_prefix(TOKEN_PREFIX));
    let presented = match token {
        Some(token) => stream.desk.look_up(token).await,
        None => presented.map_or(Presented::Nothing, |Extension(presented)| presented),
    };
    let session = presented.required()?.clone();
    if !offered.iter().any(|protocol| protocol == SUBPROTOCOL) {
        return Err(Problem::bad_request("subprotocol", format!("offer the subprotocol {SUBPROTOCOL}")).about("Sec-WebSocket-Protocol"));
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let seat = Arc::clone(&stream.seats).try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "live-full", "as many screens are open as this appliance serves").retry_after(15)
    })?;
    stream.auditor.note(Some(&session), peer.as_deref(), Act::done(Action::Watch, Vec::new())).await?;
    let upgrade = upgrade.protocols([SUBPROTOCOL]).max_message_size(INCOMING_MAX).max_frame_size(INCOMING_MAX);
    Ok(upgrade.on_upgrade(move |socket| stream.serve(socket, session, seat)))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|protocol| protocol.trim().to_owned()).collect()
}

/// A browser names the page that connects: it must be ours. Programs name none.
fn check_origin(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> Result<(), Problem> {
    let Some(origin) = origin else { return Ok(()) };
    let from = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    if from.is_some_and(|from| host == Some(from)) || allowed.iter().any(|one| one == origin) {
        return Ok(());
    }
    Err(Problem::forbidden("origin", "pages of another origin may not open the live stream").about("Origin"))
}

/// Why a stream ended, where the client should be told.
enum End {
    Gone,
    Told(u16, &'static str),
}

impl Stream {
    async fn serve(self: Arc<Self>, mut socket: WebSocket, session: Session, seat: OwnedSemaphorePermit) {
        if let Err(End::Told(code, reason)) = self.stream(&mut socket, &session).await {
            let goodbye = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            let _ = timeout(self.live.limits.send, socket.send(goodbye)).await;
        }
        drop(seat);
    }

    async fn stream(&self, socket: &mut WebSocket, session: &Session) -> Result<(), End> {
        let limits = self.live.limits;
        let mut frames = self.live.source.subscribe();
        self.send(socket, self.live.source.snapshot().into()).await?;
        let (mut ping, mut check) = (interval(limits.ping), interval(limits.session_check));
        let mut unanswered = false;
        ping.reset();
        loop {
            tokio::select! {
                frame = frames.recv() => match frame {
                    Ok(frame) => self.send(socket, LiveFrame::clone(&frame).into()).await?,
                    Err(RecvError::Lagged(_)) => {
                        // Subscribed first, so that nothing falls between the picture and what follows it.
                        frames = self.live.source.subscribe();
                        self.send(socket, self.live.source.snapshot().into()).await?;
                    }
                    Err(RecvError::Closed) => return Err(End::Told(1001, "shutting down")),
                },
                // Nothing but pongs and the close is expected; anything else is read and dropped.
                incoming = socket.recv() => match incoming {
                    Some(Ok(Message::Pong(_))) => unanswered = false,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    Some(Ok(_)) => {}
                },
                _ = ping.tick() => {
                    // The ping queued behind what the client had not read: no answer means it shows old numbers.
                    if unanswered {
                        return Err(End::Told(1008, "no answer to a ping"));
                    }
                    self.send(socket, Message::Ping(Bytes::new())).await?;
                    unanswered = true;
                }
                _ = check.tick() => if !self.desk.lasts(session) {
                    return Err(End::Told(SESSION_OVER, "session over"));
                },
            }
        }
    }

    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        match timeout(self.live.limits.send, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_same_host_and_programs_may_connect() {
        let allowed = vec!["tauri://localhost".to_owned()];
        let check = |origin, host| check_origin(origin, host, &allowed).is_ok();
        assert!(check(None, Some("agent:7410")));
        assert!(check(Some("http://agent:7410"), Some("agent:7410")));
        assert!(check(Some("tauri://localhost"), Some("agent:7410")));
        assert!(!check(Some("http://agent:7410.evil.example"), Some("agent:7410")));
        assert!(!check(Some("http://evil.example"), Some("agent:7410")));
        assert!(!check(Some("null"), Some("agent:7410")));
        assert!(!check(Some("http://agent:7410"), None));
    }
}
