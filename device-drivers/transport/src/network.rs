//! Monitors that wait for us: a TCP server of theirs, or a UDP port. Tried again like any link.

use crate::event::Identity;
use crate::outbox::Outbox;
use crate::spec::DialSpec;
use crate::stream::carry;
use crate::supervise::{Hand, Write};
use crate::{Down, limits};
use driver::Channel;
use socket2::{SockRef, TcpKeepalive};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

/// A connection we make.
pub(crate) struct TcpLink(pub(crate) DialSpec);

impl Hand for TcpLink {
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let refused = |why: String| Down::Unreachable { address: self.0.address, why };
        let stream = match tokio::time::timeout(limits::TCP_CONNECT_WAIT, TcpStream::connect(self.0.address)).await {
            Err(_) => return refused("no answer".to_owned()),
            Ok(Err(error)) => return refused(error.to_string()),
            Ok(Ok(stream)) => stream,
        };
        // Echoes are small and waited for.
        let _ = stream.set_nodelay(true);
        keep_alive(&stream);
        if let Err(reason) = out.connected(identity(self.0.address), None).await {
            return reason;
        }
        carry(stream, out, writes, self.0.silence, Down::PeerClosed).await
    }
}

/// Has the system ask a silent peer whether it is there, so that one whose cable was cut is gone also while nothing is written.
pub(crate) fn keep_alive(stream: &TcpStream) {
    let asks = TcpKeepalive::new()
        .with_time(limits::KEEP_ALIVE_AFTER)
        .with_interval(limits::KEEP_ALIVE_EVERY)
        .with_retries(limits::KEEP_ALIVE_TRIES);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&asks) {
        tracing::debug!(%error, "no keep-alive");
    }
}

/// Datagrams to and from one address; those of others are not heard.
pub(crate) struct UdpLink(pub(crate) DialSpec);

impl Hand for UdpLink {
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let socket = match open(self.0.address).await {
            Ok(socket) => socket,
            Err(error) => return Down::Unreachable { address: self.0.address, why: error.to_string() },
        };
        // Nothing shows whether anybody is there but an answer; silence ends the session.
        if let Err(reason) = out.connected(identity(self.0.address), None).await {
            return reason;
        }
        tokio::select! {
            reason = hear(&socket, self.0, out) => reason,
            reason = speak(&socket, self.0, writes) => reason,
        }
    }
}

async fn hear(socket: &UdpSocket, spec: DialSpec, out: &mut Outbox) -> Down {
    let mut datagram = vec![0; limits::DATAGRAM_BYTES];
    let silence = spec.silence.unwrap_or(Duration::MAX);
    loop {
        match tokio::time::timeout(silence, socket.recv(&mut datagram)).await {
            Err(_) => return Down::Silent { after: silence },
            // The host is there and its port is closed: the monitor is starting, or is another device.
            Ok(Err(error)) => return Down::Unreachable { address: spec.address, why: error.to_string() },
            Ok(Ok(count)) => {
                if let Err(reason) = out.bytes(Channel::Stream, datagram.get(..count).unwrap_or_default().to_vec()).await {
                    return reason;
                }
            }
        }
    }
}

async fn speak(socket: &UdpSocket, spec: DialSpec, writes: &mut mpsc::Receiver<Write>) -> Down {
    while let Some(write) = writes.recv().await {
        if let Err(error) = socket.send(&write.bytes).await {
            return Down::Unreachable { address: spec.address, why: error.to_string() };
        }
    }
    Down::Stopped
}

async fn open(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

fn identity(address: SocketAddr) -> Identity {
    Identity { address: address.ip().to_string(), name: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_silent_peer_is_asked_whether_it_is_there() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!SockRef::from(&stream).keepalive().unwrap());
        keep_alive(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), limits::KEEP_ALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), limits::KEEP_ALIVE_TRIES);
    }
}
