//! Monitors that wait for us: a TCP server of theirs, or a UDP port. Tried again like any link.

use crate::event::Identity;
use crate::outbox::Outbox;
use crate::spec::DialSpec;
use crate::stream::carry;
use crate::supervise::{Hand, Write};
use crate::{Down, limits};
use driver::Channel;
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
        if let Err(reason) = out.connected(identity(self.0.address), None).await {
            return reason;
        }
        carry(stream, out, writes, self.0.silence, Down::PeerClosed).await
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
