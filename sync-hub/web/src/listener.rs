//! One TCP port for both TLS and plain HTTP. A plain client is served only on the same machine: patient data cross no
//! cable unsealed.

use crate::problem::{self, Problem};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::middleware::from_fn;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Who is at the other end, as a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection came from.
    pub addr: SocketAddr,
    /// The client's certificate, checked against the roots the server was given.
    pub certificate: Option<CertificateDer<'static>>,
    /// Whether the connection is TLS.
    pub secure: bool,
}

/// What connections are held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// Connections at the same time; more wait in the system's queue.
    pub connections_max: usize,
    /// Time for the first byte.
    pub first_byte: Duration,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the headers of a request, counted from the end of the one before: also how long a connection may idle.
    pub headers: Duration,
    /// Time for running requests to end at shutdown.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    /// 1024 connections, 10 s for the first byte and the handshake, 30 s for headers, 10 s to drain.
    fn default() -> Self {
        Self {
            connections_max: 1024,
            first_byte: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Longest request line and headers, in bytes.
const HEAD_MAX: usize = 32 * 1024;
/// Most header fields.
const HEADERS_MAX: usize = 64;
/// Requests of one HTTP/2 connection at the same time.
const STREAMS_MAX: u32 = 64;
/// A TLS record that opens a handshake begins with this byte; no HTTP method does.
const TLS_HANDSHAKE: u8 = 0x16;

/// Whether plain HTTP may be spoken with `peer` on a socket bound to `bind`.
#[must_use]
pub fn plain_admitted(peer: IpAddr, bind: IpAddr, has_tls: bool) -> bool {
    peer.to_canonical().is_loopback() || (!has_tls && bind.to_canonical().is_loopback())
}

/// Serves `router` until `shutdown` completes, then lets running requests end within [`ConnectionLimits::drain`].
///
/// # Errors
/// The listener has no local address. A connection's failure ends that connection only.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    limits: ConnectionLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (close, closing) = watch::channel(false);
    let house =
        Arc::new(House { bind: listener.local_addr()?.ip(), router, refusal: refusal(), tls: tls.map(TlsAcceptor::from), limits, closing });
    let seats = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let seat = tokio::select! {
            () = &mut shutdown => break,
            seat = Arc::clone(&seats).acquire_owned() => seat,
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, addr)) => {
                let house = Arc::clone(&house);
                connections.spawn(async move {
                    house.connection(stream, addr).await;
                    drop(seat);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: connections that end will free some.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let _ = close.send(true);
    let drained = timeout(limits.drain, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(cut = connections.len(), "connections did not end in time");
    }
    Ok(())
}

struct House {
    bind: IpAddr,
    router: Router,
    refusal: Router,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    closing: watch::Receiver<bool>,
}

/// What plain clients from elsewhere are told, whatever they ask.
fn refusal() -> Router {
    let told =
        || async { Problem::forbidden("plain-http", "plain HTTP is answered only on the machine itself; use https:// from anywhere else") };
    Router::new().fallback(told).layer(from_fn(problem::dialect))
}

impl House {
    async fn connection(&self, stream: TcpStream, addr: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let mut first = [0];
        let Ok(Ok(1)) = timeout(self.limits.first_byte, stream.peek(&mut first)).await else { return };
        if first != [TLS_HANDSHAKE] {
            let admitted = plain_admitted(addr.ip(), self.bind, self.tls.is_some());
            let router = if admitted { &self.router } else { &self.refusal };
            return self.http1(stream, router, Peer { addr, certificate: None, secure: false }).await;
        }
        let Some(tls) = &self.tls else {
            tracing::debug!("a TLS client came to a port without TLS");
            return;
        };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let (_, connection) = stream.get_ref();
                let certificate = connection.peer_certificates().and_then(<[_]>::first).map(|one| one.clone().into_owned());
                let http2 = connection.alpn_protocol() == Some(b"h2");
                let peer = Peer { addr, certificate, secure: true };
                if http2 { self.http2(stream, peer).await } else { self.http1(stream, &self.router, peer).await }
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    /// The version is known before the first byte of HTTP, so no connection lingers in guessing it.
    async fn http1<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, io: I, router: &Router, peer: Peer) {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.limits.headers).max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
        let service = TowerToHyperService::new(router.clone().map_request(with_peer(peer)));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.closed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "HTTP connection broke");
        }
    }

    async fn http2<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, io: I, peer: Peer) {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_MAX as u32)
            .keep_alive_interval(self.limits.headers)
            .keep_alive_timeout(self.limits.headers);
        let service = TowerToHyperService::new(self.router.clone().map_request(with_peer(peer)));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.closed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "HTTP/2 connection broke");
        }
    }

    async fn closed(&self) {
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }
}

fn with_peer(peer: Peer) -> impl FnMut(Request<Incoming>) -> Request<Body> + Clone {
    move |mut request| {
        request.extensions_mut().insert(peer.clone());
        request.map(Body::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_the_machine_itself_only() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for has_tls in [true, false] {
            assert!(plain_admitted(ip("127.0.0.1"), ip("0.0.0.0"), has_tls));
            assert!(plain_admitted(ip("::1"), ip("::"), has_tls));
            assert!(plain_admitted(ip("::ffff:127.0.0.1"), ip("::"), has_tls));
            assert!(!plain_admitted(ip("192.168.1.20"), ip("0.0.0.0"), has_tls));
            assert!(!plain_admitted(ip("::ffff:192.168.1.20"), ip("::"), has_tls));
        }
        assert!(plain_admitted(ip("192.168.1.20"), ip("127.0.0.1"), false));
        assert!(!plain_admitted(ip("192.168.1.20"), ip("127.0.0.1"), true));
    }
}
