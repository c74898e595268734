//! Monitors that wait for us, through the real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod support;

use driver::Channel;
use std::time::Duration;
use support::transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use transport::{DialSpec, Down, Spec};

#[tokio::test]
async fn a_server_is_connected_to_heard_answered_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (transport, mut ears) = transport();
    let link = transport.open(Spec::Tcp(DialSpec { address, silence: None }));
    let (mut monitor, _) = listener.accept().await.unwrap();
    ears.connected(5).await;
    monitor.write_all(b"hello").await.unwrap();
    assert_eq!(ears.bytes(5).await, b"hello");
    transport.send(link, Channel::Stream, b"echo".to_vec()).unwrap();
    let mut heard = [0; 4];
    monitor.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"echo");
    drop(monitor);
    assert_eq!(ears.down(5).await, Down::PeerClosed);
    listener.accept().await.unwrap();
    ears.connected(5).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (transport, mut ears) = transport();
    transport.open(Spec::Tcp(DialSpec { address, silence: None }));
    assert!(matches!(ears.down(5).await, Down::Unreachable { address: named, .. } if named == address));
}

#[tokio::test]
async fn datagrams_go_both_ways_one_by_one_and_silence_ends_the_session() {
    let monitor = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = monitor.local_addr().unwrap();
    let (transport, mut ears) = transport();
    let silence = Duration::from_millis(400);
    let link = transport.open(Spec::Udp(DialSpec { address, silence: Some(silence) }));
    ears.connected(5).await;
    transport.send(link, Channel::Stream, b"ask".to_vec()).unwrap();
    let mut heard = [0; 16];
    let (count, from) = monitor.recv_from(&mut heard).await.unwrap();
    assert_eq!(&heard[..count], b"ask");
    for datagram in [&b"one"[..], b"two"] {
        monitor.send_to(datagram, from).await.unwrap();
        assert_eq!(ears.bytes(5).await, datagram);
    }
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(b"not for you", from).await.unwrap();
    assert_eq!(ears.down(5).await, Down::Silent { after: silence });
}
