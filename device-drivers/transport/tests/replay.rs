//! Recordings played as if their device were there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod support;

use driver::Channel;
use std::io::Write;
use std::path::PathBuf;
use support::transport;
use tempfile::NamedTempFile;
use transport::{Down, LinkEvent, Pace, ReplaySpec, Spec};

fn recording(text: &str) -> (NamedTempFile, Spec) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_owned();
    (file, Spec::Replay(ReplaySpec { path, pace: Pace::AtOnce }))
}

#[tokio::test]
async fn a_recording_is_played_in_order_and_ends() {
    let (_file, spec) = recording("# an oximeter\n0 2a5f 00 62 00\n\n1000 stream 7e\n1000 2a5f 00 61 00\n");
    let (transport, mut ears) = transport();
    let link = transport.open(spec);
    ears.connected(5).await;
    let oximetry = Channel::Characteristic(0x00002a5f_0000_1000_8000_00805f9b34fb);
    for (channel, bytes) in [(oximetry, vec![0, 0x62, 0]), (Channel::Stream, vec![0x7e]), (oximetry, vec![0, 0x61, 0])] {
        let next = ears.next(std::time::Duration::from_secs(5)).await.unwrap();
        assert_eq!((next.link, next.event), (link, LinkEvent::Bytes(channel, bytes)));
    }
    assert_eq!(ears.down(5).await, Down::ReplayEnded);
}

#[tokio::test]
async fn a_broken_or_missing_recording_says_where() {
    for (text, place) in
        [("0 stream 00\n0 stream 0\n", "line 2: expected bytes"), ("5 stream 00\n4 stream 00\n", "line 2: time runs backwards")]
    {
        let (_file, spec) = recording(text);
        let (transport, mut ears) = transport();
        transport.open(spec);
        assert!(matches!(ears.down(5).await, Down::ReplayBroken { why, .. } if why.starts_with(place)));
    }
    let (transport, mut ears) = transport();
    transport.open(Spec::Replay(ReplaySpec { path: PathBuf::from("/nowhere/at.cap"), pace: Pace::Recorded }));
    assert!(matches!(ears.down(5).await, Down::ReplayBroken { .. }));
}

#[tokio::test]
async fn a_program_that_takes_no_events_bounds_what_is_kept_for_it() {
    let text: String = (0..5000).map(|ms| format!("{ms} stream 00\n")).collect();
    let (_file, spec) = recording(&text);
    let (transport, mut ears) = transport();
    transport.open(spec);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    ears.connected(5).await;
    for _ in 0..5000 {
        ears.bytes(5).await;
    }
    assert_eq!(ears.down(5).await, Down::ReplayEnded);
}
