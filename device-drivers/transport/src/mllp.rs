//! A socket that monitors connect to. Each connection is a link of its own and ends with its connection; framing is
//! the driver's.

use crate::event::{Identity, LinkId};
use crate::links::{Ends, Links, Place};
use crate::network::keep_alive;
use crate::outbox::Outbox;
use crate::spec::MllpListenSpec;
use crate::stream::carry;
use crate::supervise::{Hand, Write};
use crate::{Down, limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

pub(crate) struct Listener {
    spec: MllpListenSpec,
    links: Links,
    at: Place,
    room: Arc<Semaphore>,
}

impl Listener {
    pub(crate) fn new(spec: MllpListenSpec, links: Links, at: Place) -> Self {
        let room = Arc::new(Semaphore::new(spec.connections_max.min(Semaphore::MAX_PERMITS)));
        Self { spec, links, at, room }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let Ok(seat) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::warn!(%peer, limit = self.spec.connections_max, "connection refused: too many");
            return;
        };
        let (place, ends) = self.links.enter(&self.at.stop);
        let (listener, idle) = (self.at.link, self.spec.idle);
        self.links.spawn(place.link, async move {
            attend(stream, peer, listener, idle, ends).await;
            drop(seat);
        });
    }
}

impl Hand for Listener {
    async fn session(&mut self, out: &mut Outbox, _writes: &mut mpsc::Receiver<Write>) -> Down {
        let refused = |error: std::io::Error| Down::AddressRefused { address: self.spec.address, why: error.to_string() };
        let listener = match TcpListener::bind(self.spec.address).await {
            Ok(listener) => listener,
            Err(error) => return refused(error),
        };
        let address = match listener.local_addr() {
            Ok(address) => address,
            Err(error) => return refused(error),
        };
        if let Err(reason) = out.listening(address).await {
            return reason;
        }
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    // Out of descriptors, or a peer gone before it was taken: neither ends the listener.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(limits::RETRY_MIN).await;
                }
            }
        }
    }
}

async fn attend(stream: TcpStream, peer: SocketAddr, listener: LinkId, idle: Duration, mut ends: Ends) {
    // Acknowledgements are small and waited for.
    let _ = stream.set_nodelay(true);
    keep_alive(&stream);
    let identity = Identity { address: peer.ip().to_string(), name: None };
    let work = async {
        match ends.out.connected(identity, Some(listener)).await {
            Ok(()) => carry(stream, &mut ends.out, &mut ends.writes, Some(idle), Down::PeerClosed).await,
            Err(reason) => reason,
        }
    };
    let reason = ends.stop.run_until_cancelled(work).await.unwrap_or(Down::Stopped);
    ends.out.down(reason).await;
}
