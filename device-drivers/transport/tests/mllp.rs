//! A listener and the monitors that connect to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod support;

use driver::Channel;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use support::{Ears, transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transport::{Down, LinkEvent, LinkId, MllpListenSpec, NotSent, Spec, Transport, limits};

async fn listen(transport: &Transport, ears: &mut Ears, connections_max: usize, idle: Duration) -> (LinkId, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = transport.open(Spec::Mllp(MllpListenSpec { address, connections_max, idle }));
    let bound = ears
        .until(5, |stamped| match stamped.event {
            LinkEvent::Listening { address } => Some(address),
            _ => None,
        })
        .await;
    (listener, bound)
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_message_cut_in_two_arrives_in_order_and_the_answer_goes_back_to_the_same_monitor() {
    let (transport, mut ears) = transport();
    let (listener, address) = listen(&transport, &mut ears, 4, LONG).await;
    let mut monitor = TcpStream::connect(address).await.unwrap();
    let up = ears.connected(5).await;
    let LinkEvent::Connected { identity, listener: by } = up.event else { unreachable!() };
    assert_eq!((identity.address.as_str(), by), ("127.0.0.1", Some(listener)));
    assert_ne!(up.link, listener);

    monitor.write_all(b"\x0bMSH|one ").await.unwrap();
    assert_eq!(ears.bytes(5).await, b"\x0bMSH|one ");
    monitor.write_all(b"half\x1c\r").await.unwrap();
    assert_eq!(ears.bytes(5).await, b"half\x1c\r");

    transport.send(up.link, Channel::Stream, b"ack".to_vec()).unwrap();
    let mut answer = [0; 3];
    monitor.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ack");

    drop(monitor);
    assert_eq!(ears.down(5).await, Down::PeerClosed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(transport.send(up.link, Channel::Stream, vec![0]), Err(NotSent::Closed));
}

#[tokio::test]
async fn five_megabytes_in_one_message_arrive_whole_in_pieces_no_larger_than_the_limit() {
    let (transport, mut ears) = transport();
    let (_, address) = listen(&transport, &mut ears, 4, LONG).await;
    let mut monitor = TcpStream::connect(address).await.unwrap();
    const SIZE: usize = 5_000_000;
    tokio::spawn(async move {
        monitor.write_all(&vec![b'x'; SIZE]).await.unwrap();
        tokio::time::sleep(LONG).await;
    });
    let mut got = 0;
    while got < SIZE {
        let piece = ears.bytes(10).await;
        assert!(piece.len() <= limits::PIECE_BYTES);
        got += piece.len();
    }
    assert_eq!(got, SIZE);
}

#[tokio::test]
async fn fifty_monitors_at_once_each_have_their_own_link_and_one_too_many_is_refused() {
    let (transport, mut ears) = transport();
    let (_, address) = listen(&transport, &mut ears, 50, LONG).await;
    let mut monitors = Vec::new();
    for number in 0..50_u8 {
        let mut monitor = TcpStream::connect(address).await.unwrap();
        monitor.write_all(&[number]).await.unwrap();
        monitors.push(monitor);
    }
    let mut heard: HashMap<LinkId, u8> = HashMap::new();
    while heard.len() < 50 {
        let (link, byte) = ears
            .until(5, |stamped| match &stamped.event {
                LinkEvent::Bytes(Channel::Stream, bytes) => Some((stamped.link, bytes[0])),
                _ => None,
            })
            .await;
        assert_eq!(heard.insert(link, byte), None);
    }
    let mut one_too_many = TcpStream::connect(address).await.unwrap();
    assert_eq!(one_too_many.read(&mut [0]).await.unwrap_or(0), 0, "it should have been closed");

    monitors.pop();
    assert_eq!(ears.down(5).await, Down::PeerClosed);
    let _next = TcpStream::connect(address).await.unwrap();
    ears.connected(5).await;
}

#[tokio::test]
async fn a_monitor_that_says_nothing_is_let_go_and_closing_the_listener_lets_go_of_all() {
    let (transport, mut ears) = transport();
    let (_, address) = listen(&transport, &mut ears, 4, Duration::from_millis(200)).await;
    let mut quiet = TcpStream::connect(address).await.unwrap();
    assert_eq!(ears.down(5).await, Down::Silent { after: Duration::from_millis(200) });
    assert_eq!(quiet.read(&mut [0]).await.unwrap(), 0);

    let (listener, address) = listen(&transport, &mut ears, 4, LONG).await;
    let _monitor = TcpStream::connect(address).await.unwrap();
    ears.connected(5).await;
    transport.close(listener);
    assert_eq!([ears.down(5).await, ears.down(5).await], [Down::Stopped, Down::Stopped]);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named_and_taken_once_it_is_free() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let (transport, mut ears) = transport();
    transport.open(Spec::Mllp(MllpListenSpec { address, connections_max: 1, idle: LONG }));
    assert!(matches!(ears.down(5).await, Down::AddressRefused { address: named, .. } if named == address));
    drop(held);
    ears.until(5, |stamped| (stamped.event == LinkEvent::Listening { address }).then_some(())).await;
    transport.shutdown().await;
}
