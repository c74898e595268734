//! The door: TLS with a client certificate, and a look at each packet a site sends before the broker sees it.

use super::broker::{Broker, USER};
use crate::authority::fingerprint;
use crate::hub::{Caller, Hub};
use hub_core::mqtt::packet::{self, Connect};
use hub_core::mqtt::{Forbidden, Rules};
use hub_core::site::SiteName;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections at one time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// Time for the handshake, and then for the CONNECT.
const GREETING: Duration = Duration::from_secs(10);
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("nothing came in time")]
    Slow,
    #[error("no certificate of a site of this hub")]
    Stranger,
    #[error("membership has ended")]
    Revoked,
}

impl From<packet::PacketError> for Ended {
    fn from(error: packet::PacketError) -> Self {
        Self::Forbidden(error.into())
    }
}

/// TLS that turns away whoever has no certificate of this hub's authority.
///
/// # Errors
/// Certificate or key cannot be used.
pub fn tls(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, roots: RootCertStore) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?))
}

/// Serves until the program ends.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, hub: Arc<Hub>, broker: Broker) {
    let acceptor = TlsAcceptor::from(tls);
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Connections end with this future.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (acceptor, hub, broker) = (acceptor.clone(), Arc::clone(&hub), broker.clone());
                connections.spawn(async move {
                    if let Err(reason) = connection(stream, &acceptor, &hub, &broker).await {
                        tracing::debug!(%reason, "an MQTT client was not let in");
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                // Out of descriptors, mostly: connections that end will free some.
                tracing::warn!(%error, "cannot accept an MQTT connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, acceptor: &TlsAcceptor, hub: &Arc<Hub>, broker: &Broker) -> Result<(), Ended> {
    let _ = stream.set_nodelay(true);
    let stream = timeout(GREETING, acceptor.accept(stream)).await.map_err(|_| Ended::Slow)??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|one| one.clone().into_owned());
    let Caller { site, .. } = caller(hub, certificate.ok_or(Ended::Stranger)?).await?;
    hub.connected(&site);
    let ended = session(stream, &site, hub, broker).await;
    hub.disconnected(&site);
    match ended {
        Err(reason @ (Ended::Forbidden(_) | Ended::Revoked)) => tracing::warn!(%site, %reason, "an MQTT connection was cut"),
        Err(reason) => tracing::debug!(%site, %reason, "an MQTT connection broke"),
        Ok(()) => tracing::debug!(%site, "an MQTT connection ended"),
    }
    Ok(())
}

async fn caller(hub: &Arc<Hub>, certificate: CertificateDer<'static>) -> Result<Caller, Ended> {
    let hub = Arc::clone(hub);
    let known = tokio::task::spawn_blocking(move || hub.caller(&fingerprint(&certificate))).await;
    known.map_err(|_| Ended::Stranger)?.map_err(|_| Ended::Stranger)
}

/// Passes packets on until either side closes, something forbidden comes, or the site no longer belongs. The broker then
/// publishes the last will.
async fn session(stream: TlsStream<TcpStream>, site: &SiteName, hub: &Hub, broker: &Broker) -> Result<(), Ended> {
    let rules = Rules::of(site.clone());
    let mut revoked = hub.revoked.subscribe();
    let (from_site, mut to_site) = tokio::io::split(stream);
    let mut packets = Packets { stream: from_site, held: Vec::new() };
    let (kind, first) = timeout(GREETING, packets.next()).await.map_err(|_| Ended::Slow)??.ok_or(Ended::Slow)?;
    if kind != packet::CONNECT {
        return Err(Forbidden::OutOfPlace(kind).into());
    }
    let connect = Connect::read(&first)?;
    let greeting = connect.write(&rules.connect(&connect)?, USER, &broker.password);
    let inner = TcpStream::connect(broker.address).await?;
    let _ = inner.set_nodelay(true);
    let (mut from_broker, mut to_broker) = inner.into_split();
    to_broker.write_all(&greeting).await?;
    let up = async {
        while let Some((kind, bytes)) = packets.next().await? {
            rules.packet(kind, &bytes)?;
            to_broker.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = up => ended,
        ended = tokio::io::copy(&mut from_broker, &mut to_site) => ended.map(drop).map_err(Ended::Io),
        () = ended_for(&mut revoked, site) => Err(Ended::Revoked),
    }
}

/// Completes once the site no longer belongs.
async fn ended_for(revoked: &mut watch::Receiver<Arc<BTreeSet<SiteName>>>, site: &SiteName) {
    if revoked.wait_for(|sites| sites.contains(site)).await.is_err() {
        // The hub is ending, and with it this connection.
        std::future::pending::<()>().await;
    }
}

/// Whole packets out of a stream; holds at most one and a chunk.
struct Packets<R> {
    stream: R,
    held: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Packets<R> {
    /// The next packet; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, Ended> {
        loop {
            if let Some((kind, whole)) = packet::frame(&self.held)?
                && self.held.len() >= whole
            {
                return Ok(Some((kind, self.held.drain(..whole).collect())));
            }
            let before = self.held.len();
            self.held.resize(before + CHUNK, 0);
            let read = match self.held.get_mut(before..) {
                Some(room) => self.stream.read(room).await,
                None => Ok(0),
            };
            self.held.truncate(before + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(None);
            }
        }
    }
}
