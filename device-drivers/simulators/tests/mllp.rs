//! The HL7 monitor against the real listener: acknowledged, cut off, sent again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod support;

use driver::Channel;
use std::net::SocketAddr;
use std::time::Duration;
use support::{Ears, Simulator, transport};
use transport::{Down, LinkEvent, LinkId, MllpListenSpec, Spec};

/// The next whole message, the link it came over, and its MSH-10.
async fn message(ears: &mut Ears) -> (LinkId, String, String) {
    let mut text = Vec::new();
    loop {
        let (link, bytes) = ears
            .until(5, |stamped| match &stamped.event {
                LinkEvent::Bytes(_, bytes) => Some((stamped.link, bytes.clone())),
                _ => None,
            })
            .await;
        text.extend(bytes);
        if text.ends_with(b"\x1c\r") {
            let text = String::from_utf8_lossy(&text).into_owned();
            let id = text.split('|').nth(9).unwrap().to_owned();
            return (link, text, id);
        }
    }
}

fn ack(id: &str) -> Vec<u8> {
    format!("\x0bMSH|^~\\&|||||||ACK^R01|1|P|2.6\rMSA|AA|{id}\r\x1c\r").into_bytes()
}

#[tokio::test]
async fn a_message_is_sent_again_under_its_own_id_until_it_is_acknowledged_and_then_logged() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("acks");
    let (transport, mut ears) = transport();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    transport.open(Spec::Mllp(MllpListenSpec { address, connections_max: 4, idle: Duration::from_secs(10) }));
    let bound = ears
        .until(5, |stamped| match stamped.event {
            LinkEvent::Listening { address } => Some(address.to_string()),
            _ => None,
        })
        .await;
    let mut monitor = Simulator::start(&["mllp", "--connect", &bound, "--patient-id", "TEST0042", "--ack-log", log.to_str().unwrap()]);

    let (link, text, id) = message(&mut ears).await;
    assert!(text.contains("PID|||TEST0042") && text.contains("|147842^MDC_ECG_HEART_RATE^MDC|"));
    transport.close(link);
    assert_eq!(ears.down(5).await, Down::Stopped);
    let (link, _, again) = message(&mut ears).await;
    assert_eq!(again, id);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");

    transport.send(link, Channel::Stream, ack("somebody else's")).unwrap();
    transport.send(link, Channel::Stream, ack(&id)).unwrap();
    let (link, _, next) = message(&mut ears).await;
    assert_ne!(next, id);
    let logged: Vec<serde_json::Value> =
        std::fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0]["id"], id.as_str());
    assert!(logged[0]["t_ms"].is_i64() && logged[0]["values"]["8867-4"].is_number());
    transport.send(link, Channel::Stream, ack(&next)).unwrap();

    monitor.tell("unplug");
    assert_eq!(ears.down(5).await, Down::PeerClosed);
    monitor.tell("plug");
    message(&mut ears).await;
}

#[tokio::test]
async fn a_recorded_table_is_what_the_messages_say_and_an_old_one_comes_again_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("night.csv");
    std::fs::write(&table, "time,hr,spo2\n0,143,83\n").unwrap();
    let (transport, mut ears) = transport();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    transport.open(Spec::Mllp(MllpListenSpec { address, connections_max: 4, idle: Duration::from_secs(10) }));
    let bound = ears
        .until(5, |stamped| match stamped.event {
            LinkEvent::Listening { address } => Some(address.to_string()),
            _ => None,
        })
        .await;
    let mut monitor = Simulator::start(&["play", "--protocol", "hl7.oru", "--connect", &bound, "--table", table.to_str().unwrap()]);
    let (link, text, first) = message(&mut ears).await;
    assert!(text.contains("|1.5.1.1|143|") && text.contains("|1.22.1.2|83|"), "{text}");
    transport.send(link, Channel::Stream, ack(&first)).unwrap();
    let (link, _, second) = message(&mut ears).await;
    assert_ne!(second, first);
    monitor.tell("again");
    tokio::time::sleep(Duration::from_millis(300)).await;
    transport.send(link, Channel::Stream, ack(&second)).unwrap();
    let (_, _, again) = message(&mut ears).await;
    assert!(again == first || again == second, "{again} is neither {first} nor {second}");
}
