//! Bluetooth through the real btleplug against a fake `org.bluez`: everything but the radio.
//!
//! The Bluetooth libraries read the system bus address from the environment and keep it for the life of the process,
//! so each test runs its body in a child process of its own with the address set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod support;

use driver::Channel;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Ears, Simulator, transport};
use transport::{BleMatch, BleSpec, Down, Feed, FeedMode, LinkEvent, Missing, PairingAsk, Spec, Unpaired};

const SOCKET: &str = "LAMPLIGHT_TEST_BUS_SOCKET";

fn short(uuid: u128) -> u128 {
    0x0000_1000_8000_0080_5f9b_34fb | (uuid << 96)
}

/// Runs `body` with a bus address of its own; nothing listens there until the body starts a simulator.
fn on_a_bus_of_its_own(test: &str, body: impl AsyncFnOnce(&Path)) {
    if let Some(socket) = std::env::var_os(SOCKET) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(body(Path::new(&socket)));
    }
    if Command::new("dbus-daemon").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: dbus-daemon is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bus");
    let outcome = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", socket.display()))
        .env(SOCKET, &socket)
        .status()
        .unwrap();
    assert!(outcome.success());
}

fn devices(socket: &Path, more: &[&str]) -> Simulator {
    Simulator::start(&[&["ble", "--socket", socket.to_str().unwrap()], more].concat())
}

fn strap() -> BleSpec {
    let feed = |characteristic, mode| Feed { characteristic: short(characteristic), mode };
    BleSpec {
        matches: BleMatch { services: vec![short(0x180d)], ..BleMatch::default() },
        // The strap has no 2A28, and need not.
        feeds: vec![
            feed(0x2a37, FeedMode::Notify),
            feed(0x2a28, FeedMode::Read),
            feed(0x2a19, FeedMode::Read),
            feed(0x2a25, FeedMode::Read),
        ],
        silence: Some(Duration::from_secs(3)),
    }
}

/// Waits for a heart rate.
async fn beats(ears: &mut Ears, seconds: u64) {
    let value = ears
        .until(seconds, |stamped| match &stamped.event {
            LinkEvent::Bytes(channel, bytes) if *channel == Channel::Characteristic(short(0x2a37)) => Some(bytes.clone()),
            _ => None,
        })
        .await;
    assert_eq!(value[0] & 0x06, 0x06, "contact is supported and detected: {value:02x?}");
}

#[test]
fn a_scan_lists_what_is_near_and_a_link_subscribes_reads_and_writes() {
    on_a_bus_of_its_own("a_scan_lists_what_is_near_and_a_link_subscribes_reads_and_writes", async |socket| {
        let mut devices = devices(socket, &["--seed", "7"]);
        let (transport, mut ears) = transport();
        let mut seen = transport.scan(Duration::from_millis(1500)).await.unwrap();
        seen.sort_by(|a, b| a.address.cmp(&b.address));
        let facts: Vec<_> = seen.iter().map(|s| (s.address.as_str(), s.name.as_deref(), s.rssi, s.services.clone())).collect();
        let near = [
            ("02:00:00:00:07:01", Some("Lamplight HR 7"), Some(-58), vec![short(0x180d)]),
            ("02:00:00:00:07:02", Some("Lamplight OX 7"), Some(-58), vec![short(0x1822)]),
        ];
        assert_eq!(facts, near);

        let link = transport.open(Spec::Ble(strap()));
        let LinkEvent::Connected { identity, .. } = ears.connected(5).await.event else { unreachable!() };
        assert_eq!((identity.address.as_str(), identity.name.as_deref()), ("02:00:00:00:07:01", Some("Lamplight HR 7")));
        for (characteristic, value) in [(0x2a19, vec![87]), (0x2a25, b"020000000701".to_vec())] {
            let read = ears.next(Duration::from_secs(5)).await.unwrap().event;
            assert_eq!(read, LinkEvent::Bytes(Channel::Characteristic(short(characteristic)), value));
        }
        beats(&mut ears, 3).await;

        transport.send(link, Channel::Characteristic(short(0x2a37)), vec![1, 2]).unwrap();
        assert!(devices.line().contains("\"bytes\":[1,2]"));
        transport.shutdown().await;
    });
}

#[test]
fn a_device_out_of_range_is_lost_at_once_and_found_within_three_seconds_of_coming_back() {
    on_a_bus_of_its_own("a_device_out_of_range_is_lost_at_once_and_found_within_three_seconds_of_coming_back", async |socket| {
        let mut devices = devices(socket, &[]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;
        devices.tell("unplug hr");
        assert_eq!(ears.down(1).await, Down::LinkLost);
        assert_eq!(ears.down(8).await, Down::NotSeen);
        devices.tell("plug hr");
        ears.connected(3).await;
        beats(&mut ears, 3).await;
    });
}

#[test]
fn a_restarted_bluetooth_service_is_noticed_and_used_again() {
    on_a_bus_of_its_own("a_restarted_bluetooth_service_is_noticed_and_used_again", async |socket| {
        let mut devices = devices(socket, &[]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;
        for _ in 0..2 {
            devices.tell("service restart");
            assert_eq!(ears.down(2).await, Down::AdapterMissing(Missing::Service));
            ears.connected(5).await;
            beats(&mut ears, 3).await;
        }
    });
}

#[test]
fn a_restarted_system_bus_is_noticed_and_used_again() {
    on_a_bus_of_its_own("a_restarted_system_bus_is_noticed_and_used_again", async |socket| {
        let mut devices = devices(socket, &[]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;
        devices.tell("bus restart");
        assert_eq!(ears.down(2).await, Down::AdapterMissing(Missing::Bus));
        ears.connected(6).await;
        beats(&mut ears, 3).await;
    });
}

#[test]
fn no_bus_at_all_is_a_state_to_wait_out() {
    on_a_bus_of_its_own("no_bus_at_all_is_a_state_to_wait_out", async |socket| {
        let (transport, mut ears) = transport();
        assert_eq!(transport.scan(Duration::from_secs(1)).await, Err(Down::AdapterMissing(Missing::Bus)));
        transport.open(Spec::Ble(strap()));
        assert_eq!(ears.down(5).await, Down::AdapterMissing(Missing::Bus));
        let _devices = devices(socket, &[]);
        beats(&mut ears, 6).await;
    });
}

#[test]
fn an_adapter_that_is_off_stays_off_and_one_pulled_out_is_missing() {
    on_a_bus_of_its_own("an_adapter_that_is_off_stays_off_and_one_pulled_out_is_missing", async |socket| {
        let mut devices = devices(socket, &[]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;

        devices.tell("adapter off");
        let until_off =
            |stamped: &transport::Stamped| (stamped.event == LinkEvent::Disconnected { reason: Down::AdapterOff }).then_some(());
        ears.until(4, until_off).await;
        assert_eq!(transport.scan(Duration::from_secs(1)).await, Err(Down::AdapterOff));
        assert_eq!(ears.next(Duration::from_secs(3)).await, None, "nothing may switch the adapter on");
        devices.tell("adapter on");
        beats(&mut ears, 5).await;

        devices.tell("adapter remove");
        let missing = LinkEvent::Disconnected { reason: Down::AdapterMissing(Missing::Adapter) };
        ears.until(4, |stamped| (stamped.event == missing).then_some(())).await;
        devices.tell("adapter add");
        beats(&mut ears, 6).await;
    });
}

#[test]
fn a_device_that_stays_connected_and_says_nothing_is_silent() {
    on_a_bus_of_its_own("a_device_that_stays_connected_and_says_nothing_is_silent", async |socket| {
        let mut devices = devices(socket, &[]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;
        devices.tell("silence hr");
        assert_eq!(ears.down(5).await, Down::Silent { after: Duration::from_secs(3) });
        devices.tell("speak hr");
        beats(&mut ears, 8).await;
    });
}

#[test]
fn a_device_that_asks_for_pairing_waits_for_a_person_and_works_once_paired() {
    on_a_bus_of_its_own("a_device_that_asks_for_pairing_waits_for_a_person_and_works_once_paired", async |socket| {
        let _devices = devices(socket, &["--pairing", "hr"]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        assert_eq!(ears.down(5).await, Down::PairingNeeded);
        assert_eq!(transport.pair("02:00:00:00:01:0f").await, Err(Down::NotSeen));
        transport.pair("02:00:00:00:01:01").await.unwrap();
        beats(&mut ears, 8).await;
    });
}

/// Pairs as a person would who answers what is asked with `answer`; none is to give up.
async fn pairs(transport: &transport::Transport, address: &str, answer: impl Fn() -> Option<u32>) -> Result<(), Down> {
    let (person, mut asked) = tokio::sync::mpsc::channel(1);
    let answers = async {
        while let Some(ask) = asked.recv().await {
            let PairingAsk::Passkey(typed) = ask else { panic!("asked for {ask:?}") };
            match answer() {
                Some(digits) => typed.send(digits).unwrap(),
                None => drop(typed),
            }
        }
    };
    tokio::join!(transport.pair_asking(address, person), answers).0
}

#[test]
fn a_passkey_pairs_when_it_is_right_and_not_when_it_is_wrong_or_nobody_types_it() {
    on_a_bus_of_its_own("a_passkey_pairs_when_it_is_right_and_not_when_it_is_wrong_or_nobody_types_it", async |socket| {
        let mut devices = devices(socket, &["--passkey", "hr"]);
        let (transport, mut ears) = transport();
        transport.open(Spec::Ble(strap()));
        assert_eq!(ears.down(5).await, Down::PairingNeeded);
        let address = "02:00:00:00:01:01";
        assert_eq!(pairs(&transport, address, || Some(999_999)).await, Err(Down::PairingFailed(Unpaired::Refused)));
        assert_eq!(pairs(&transport, address, || None).await, Err(Down::PairingFailed(Unpaired::Cancelled)));
        assert_eq!(pairs(&transport, address, || Some(1_000_000)).await, Err(Down::PairingFailed(Unpaired::Refused)));
        for _ in 0..3 {
            assert!(devices.line().contains("\"passkey\":\"012351\""));
        }
        pairs(&transport, address, || Some(12_351)).await.unwrap();
        beats(&mut ears, 8).await;
        // What works is in use: nobody pairs it anew by mistake.
        assert_eq!(transport.pair(address).await, Err(Down::PairingFailed(Unpaired::InUse)));

        devices.tell("lose-bond hr");
        ears.until(8, |stamped| (stamped.event == LinkEvent::Disconnected { reason: Down::BondLost }).then_some(())).await;
        pairs(&transport, address, || Some(12_351)).await.unwrap();
        beats(&mut ears, 8).await;
    });
}

#[test]
fn a_pairing_called_off_leaves_room_for_the_next() {
    on_a_bus_of_its_own("a_pairing_called_off_leaves_room_for_the_next", async |socket| {
        let _devices = devices(socket, &["--passkey", "hr"]);
        let (transport, _ears) = transport();
        let address = "02:00:00:00:01:01";
        let (person, mut asked) = tokio::sync::mpsc::channel(1);
        let ask = {
            let pairing = transport.pair_asking(address, person);
            tokio::pin!(pairing);
            tokio::select! {
                outcome = &mut pairing => panic!("{outcome:?}"),
                ask = asked.recv() => ask.unwrap(),
            }
        };
        assert!(matches!(ask, PairingAsk::Passkey(_)));
        // The one called off lets go of the agent in the background.
        let mut outcome = Err(Down::PairingFailed(Unpaired::Busy));
        while outcome == Err(Down::PairingFailed(Unpaired::Busy)) {
            outcome = pairs(&transport, address, || Some(12_351)).await;
        }
        assert_eq!(outcome, Ok(()));
        let seen = transport.scan(Duration::from_secs(1)).await.unwrap();
        assert!(seen.iter().any(|one| one.address == address && one.paired), "{seen:?}");
    });
}

#[test]
fn a_sleeping_device_is_connected_when_it_wakes_and_its_sleep_is_no_fault() {
    on_a_bus_of_its_own("a_sleeping_device_is_connected_when_it_wakes_and_its_sleep_is_no_fault", async |socket| {
        let mut devices = devices(socket, &["--devices", "hr,thermometer", "--sleeping", "thermometer"]);
        let (transport, mut ears) = transport();
        let feeds = vec![Feed { characteristic: short(0x2a1c), mode: FeedMode::Indicate }];
        let matches = BleMatch { services: vec![short(0x1809)], ..BleMatch::default() };
        transport.open(Spec::Ble(BleSpec { matches, feeds, silence: None }));
        assert_eq!(ears.down(8).await, Down::Asleep);
        // Meanwhile others are not held up.
        transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;
        for _ in 0..2 {
            devices.tell("wake thermometer");
            ears.until(3, |stamped| match &stamped.event {
                LinkEvent::Bytes(channel, _) => (*channel == Channel::Characteristic(short(0x2a1c))).then_some(()),
                _ => None,
            })
            .await;
            ears.until(8, |stamped| (stamped.event == LinkEvent::Disconnected { reason: Down::Asleep }).then_some(())).await;
        }
    });
}

#[test]
fn what_the_service_leaves_out_is_named() {
    on_a_bus_of_its_own("what_the_service_leaves_out_is_named", async |socket| {
        let (transport, mut ears) = transport();
        {
            let _devices = devices(socket, &["--omit", "adapter.Modalias"]);
            transport.open(Spec::Ble(strap()));
            let reason = Down::Unstated { of: "adapter", property: "Modalias" };
            ears.until(8, |stamped| (stamped.event == LinkEvent::Disconnected { reason: reason.clone() }).then_some(())).await;
        }
        let _devices = devices(socket, &["--omit", "hr.Trusted"]);
        let reason = Down::Unstated { of: "device", property: "Trusted" };
        ears.until(12, |stamped| (stamped.event == LinkEvent::Disconnected { reason: reason.clone() }).then_some(())).await;
    });
}

#[test]
fn one_device_serves_one_link_and_a_feed_it_lacks_is_named() {
    on_a_bus_of_its_own("one_device_serves_one_link_and_a_feed_it_lacks_is_named", async |socket| {
        let _devices = devices(socket, &["--devices", "hr"]);
        let (transport, mut ears) = transport();
        let first = transport.open(Spec::Ble(strap()));
        beats(&mut ears, 5).await;
        let second = transport.open(Spec::Ble(strap()));
        assert_eq!(ears.down(8).await, Down::NotSeen);
        transport.close(first);
        ears.until(6, |stamped| (stamped.link == second && matches!(stamped.event, LinkEvent::Connected { .. })).then_some(())).await;
        transport.close(second);

        let lacking = Feed { characteristic: short(0x2a5f), mode: FeedMode::Notify };
        transport.open(Spec::Ble(BleSpec { feeds: vec![lacking], ..strap() }));
        let reason = Down::FeedMissing { characteristic: short(0x2a5f) };
        ears.until(8, |stamped| (stamped.event == LinkEvent::Disconnected { reason: reason.clone() }).then_some(())).await;
    });
}

#[test]
fn a_cuff_sends_its_result_and_a_meter_the_memory_it_is_asked_for() {
    on_a_bus_of_its_own("a_cuff_sends_its_result_and_a_meter_the_memory_it_is_asked_for", async |socket| {
        let _devices = devices(socket, &["--devices", "bp,glucose"]);
        let (transport, mut ears) = transport();
        let open = |service, feeds: &[(u128, FeedMode)]| {
            let feeds = feeds.iter().map(|(number, mode)| Feed { characteristic: short(*number), mode: *mode }).collect();
            let matches = BleMatch { services: vec![short(service)], ..BleMatch::default() };
            transport.open(Spec::Ble(BleSpec { matches, feeds, silence: None }))
        };
        let bytes = |link, number: u128| {
            move |stamped: &transport::Stamped| match &stamped.event {
                LinkEvent::Bytes(channel, bytes) if stamped.link == link && *channel == Channel::Characteristic(short(number)) => {
                    Some(bytes.clone())
                }
                _ => None,
            }
        };
        let cuff = open(0x1810, &[(0x2a2b, FeedMode::Read), (0x2a35, FeedMode::Indicate)]);
        assert_eq!(ears.until(8, bytes(cuff, 0x2a2b)).await.len(), 10);
        assert_eq!(ears.until(8, bytes(cuff, 0x2a35)).await.len(), 19);
        let meter = open(0x1808, &[(0x2a18, FeedMode::Notify), (0x2a52, FeedMode::Indicate)]);
        ears.until(8, |stamped| (stamped.link == meter && matches!(stamped.event, LinkEvent::Connected { .. })).then_some(())).await;
        transport.send(meter, Channel::Characteristic(short(0x2a52)), vec![1, 1]).unwrap();
        assert_eq!(ears.until(5, bytes(meter, 0x2a18)).await[..3], [0x0b, 1, 0]);
        assert_eq!(ears.until(5, bytes(meter, 0x2a52)).await, [6, 0, 1, 1]);
        transport.shutdown().await;
    });
}
