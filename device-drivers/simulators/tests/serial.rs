//! A serial monitor through the real transport: asked, unplugged, plugged in again, held by another program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod support;

use driver::Channel;
use record::code::Code;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Ears, Simulator, transport};
use transport::{DataBits, Down, FlowControl, LinkId, Parity, SerialSpec, Spec, StopBits, Tapped, Transport};

/// GE M1017617 appendix A: displayed values every 10 s, all classes.
const ASK: [u8; 52] = ask();

const fn ask() -> [u8; 52] {
    let mut frame = [0; 52];
    frame[0] = 0x7e;
    frame[1] = 0x31;
    frame[22] = 0xff;
    frame[41] = 1;
    frame[42] = 10;
    frame[44] = 0x0e;
    frame[50] = 0x49;
    frame[51] = 0x7e;
    frame
}

fn spec(path: &Path, silence: Option<Duration>) -> Spec {
    Spec::Serial(SerialSpec {
        path: path.to_owned(),
        baud: 19_200,
        data_bits: DataBits::Eight,
        parity: Parity::Even,
        stop_bits: StopBits::One,
        flow: FlowControl::Hardware,
        silence,
    })
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("monitor");
    (directory, path)
}

fn monitor(path: &Path) -> Simulator {
    Simulator::start(&["dri", "--link", path.to_str().unwrap()])
}

/// Asks until a whole frame of displayed values is there: a request sent before the monitor looks is lost.
async fn page(transport: &Transport, link: LinkId, ears: &mut Ears) -> Vec<u8> {
    let mut stream = Vec::new();
    loop {
        transport.send(link, Channel::Stream, ASK.to_vec()).unwrap();
        while let Some(stamped) = ears.next(Duration::from_millis(1500)).await {
            let transport::LinkEvent::Bytes(_, bytes) = stamped.event else { continue };
            stream.extend(bytes);
            let frame = stream.split(|byte| *byte == 0x7e).find(|frame| frame.len() >= 1153);
            if let Some(frame) = frame
                && stream.ends_with(&[0x7e])
            {
                return frame.to_vec();
            }
        }
    }
}

#[tokio::test]
async fn a_monitor_answers_when_asked_and_recovers_from_having_its_cable_pulled() {
    let (_directory, path) = place();
    let mut monitor = monitor(&path);
    let (transport, mut ears) = transport();
    let link = transport.open(spec(&path, None));
    ears.connected(5).await;
    page(&transport, link, &mut ears).await;

    monitor.tell("unplug");
    assert_eq!(ears.down(2).await, Down::Unplugged);
    tokio::time::sleep(Duration::from_secs(1)).await;
    monitor.tell("plug");
    ears.connected(4).await;
    page(&transport, link, &mut ears).await;
}

#[tokio::test]
async fn a_port_that_is_missing_is_named_and_opened_once_it_is_there() {
    let (_directory, path) = place();
    let (transport, mut ears) = transport();
    transport.open(spec(&path, None));
    assert_eq!(ears.down(5).await, Down::PortMissing { path: path.clone() });
    let _monitor = monitor(&path);
    ears.connected(4).await;
}

#[tokio::test]
async fn a_port_held_by_another_program_is_busy_until_it_lets_go() {
    let (_directory, path) = place();
    let _monitor = monitor(&path);
    let (first, mut first_ears) = transport();
    let held = first.open(spec(&path, None));
    first_ears.connected(5).await;

    let (second, mut ears) = transport();
    second.open(spec(&path, None));
    assert_eq!(ears.down(5).await, Down::PortBusy { path: path.clone() });
    first.close(held);
    ears.connected(4).await;
}

#[tokio::test]
async fn a_monitor_that_says_nothing_is_silent_and_is_tried_again() {
    let (_directory, path) = place();
    let _monitor = monitor(&path);
    let (transport, mut ears) = transport();
    let silence = Duration::from_millis(300);
    let link = transport.open(spec(&path, Some(silence)));
    assert_eq!(ears.down(5).await, Down::Silent { after: silence });
    ears.connected(4).await;
    transport.close(link);
    ears.until(5, |stamped| (stamped.event == transport::LinkEvent::Disconnected { reason: Down::Stopped }).then_some(())).await;
}

/// A pseudo-terminal whose other end nobody reads takes some thousand bytes and then no more.
#[tokio::test]
async fn a_device_that_takes_no_bytes_is_told_from_one_that_is_unplugged() {
    let (_directory, path) = place();
    let (_never_read, theirs) = tokio_serial::SerialStream::pair().unwrap();
    std::os::unix::fs::symlink(tokio_serial::SerialPort::name(&theirs).unwrap(), &path).unwrap();
    drop(theirs);
    let (transport, mut ears) = transport();
    let link = transport.open(spec(&path, None));
    ears.connected(5).await;
    for _ in 0..16 {
        transport.send(link, Channel::Stream, vec![0x55; 4096]).unwrap();
    }
    assert_eq!(ears.down(10).await, Down::WriteStalled);
    ears.connected(5).await;
}

#[tokio::test]
async fn several_readers_of_one_port_hear_the_same_and_one_that_stalls_only_misses() {
    let (_directory, path) = place();
    let mut monitor = monitor(&path);
    let (transport, mut ears) = transport();
    let link = transport.open(spec(&path, None));
    let (mut recorder, mut stalled) = (transport.tap(link).unwrap(), transport.tap(link).unwrap());
    let connected = ears.connected(5).await;
    assert_eq!(recorder.next().await, Some(Tapped::Heard(connected)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pieces = 300;
    for _ in 0..pieces {
        monitor.tell("garbage");
        let Some(stamped) = ears.next(Duration::from_secs(5)).await else { panic!("the driver is held up") };
        assert_eq!(recorder.next().await, Some(Tapped::Heard(stamped)));
    }
    assert!(matches!(stalled.next().await, Some(Tapped::Missed(missed)) if missed >= pieces + 1 - 256));
    transport.close(link);
    ears.until(5, |stamped| (stamped.event == transport::LinkEvent::Disconnected { reason: Down::Stopped }).then_some(())).await;
    assert!(matches!(recorder.next().await, Some(Tapped::Heard(_))));
    assert_eq!(recorder.next().await, None);
    assert!(transport.tap(link).is_none());
}

#[tokio::test]
async fn garbage_on_the_line_arrives_as_it_is() {
    let (_directory, path) = place();
    let mut monitor = monitor(&path);
    let (transport, mut ears) = transport();
    transport.open(spec(&path, None));
    ears.connected(5).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    monitor.tell("garbage");
    let mut noise = ears.bytes(5).await;
    while noise.len() < 64 {
        noise.extend(ears.bytes(5).await);
    }
    assert_eq!(noise.len(), 64);
}

#[tokio::test]
async fn a_recorded_table_is_what_the_monitor_displays() {
    let (directory, path) = place();
    let table = directory.path().join("night.csv");
    std::fs::write(&table, "time,8867-4,59408-5,9279-1\n0,143,83,31\n").unwrap();
    let played = ["play", "--protocol", "ge.dri", "--link", path.to_str().unwrap(), "--table", table.to_str().unwrap()];
    let _monitor = Simulator::start(&played);
    let (transport, mut ears) = transport();
    let link = transport.open(spec(&path, None));
    ears.connected(5).await;
    let frame = page(&transport, link, &mut ears).await;
    let framed = [&[0x7e], &frame[..], &[0x7e]].concat();
    let read = catalogue::decode("ge.dri", &framed).unwrap();
    let value = |code: Code| {
        read.iter().find_map(|out| match out {
            driver::Out::Reading(reading) if reading.code == code => reading.value.as_ref().ok().map(|value| value.to_f64()),
            _ => None,
        })
    };
    assert_eq!([Code::HEART_RATE, Code::SPO2].map(value), [Some(143.0), Some(83.0)]);
}
