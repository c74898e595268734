//! What befalls Bluetooth, row by row, in front of a fake `org.bluez`: what is shown to the person, and that it comes back by itself.

use anyhow::{Context, Result, ensure};
use end_to_end::bedside::{Bedside, Room, Rows};
use end_to_end::config::DeviceConfig;
use end_to_end::simulator::{Course, Simulator, Wearer};
use std::time::Duration;

const WEARER: Wearer = Wearer { seed: 1, course: Course::Stable };

/// A fault: what is done, what is then shown of the strap, and what ends it.
struct Row {
    name: &'static str,
    done: &'static [&'static str],
    shown: &'static str,
    undone: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "out of range",
        done: &["unplug hr"],
        shown: "the Bluetooth connection was lost. Bring the device nearer; the link recovers by itself.",
        undone: &["plug hr"],
    },
    Row {
        name: "out of range for long",
        done: &["unplug hr"],
        shown: "the device is not in range or not switched on. Switch the device on and bring it nearer.",
        undone: &["plug hr"],
    },
    Row {
        name: "adapter off",
        done: &["adapter off"],
        shown: "the Bluetooth adapter is off. Switch the Bluetooth adapter on.",
        undone: &["adapter on"],
    },
    Row {
        name: "adapter yanked",
        done: &["adapter remove"],
        shown: "no Bluetooth: no adapter. Plug a Bluetooth adapter in.",
        undone: &["adapter add"],
    },
    Row {
        name: "bluetoothd restarted",
        done: &["service restart 3000"],
        shown: "no Bluetooth: the Bluetooth service is not running. Start the Bluetooth service (bluetoothd) on this machine.",
        undone: &[],
    },
    Row {
        name: "dbus-daemon killed",
        done: &["bus restart 3000"],
        shown: "no Bluetooth: no system bus. Start the Bluetooth service (bluetoothd) on this machine.",
        undone: &[],
    },
    Row {
        name: "NotReady",
        done: &["refuse NotReady hr", "drop hr"],
        shown: "the Bluetooth adapter is off. Switch the Bluetooth adapter on.",
        undone: &["mend hr"],
    },
    Row {
        name: "InProgress",
        done: &["refuse InProgress hr", "drop hr"],
        shown: "cannot connect: no answer within 10 s. Bring the device nearer; if it stays so, switch it off and on.",
        undone: &["mend hr"],
    },
    Row {
        name: "Failed",
        done: &["refuse Failed hr", "drop hr"],
        shown: "cannot connect: le-connection-abort-by-local (Failed). Bring the device nearer; if it stays so, switch it off and on.",
        undone: &["mend hr"],
    },
    Row {
        name: "NotPermitted",
        done: &["refuse NotPermitted hr", "drop hr"],
        shown: "the device asks to be paired. Put the device in its pairing mode and pair it under Devices.",
        undone: &["mend hr"],
    },
    Row {
        name: "AuthenticationFailed",
        done: &["refuse AuthenticationFailed hr", "drop hr"],
        shown: "the device asks to be paired. Put the device in its pairing mode and pair it under Devices.",
        undone: &["mend hr"],
    },
    Row {
        name: "the service waits for a key nobody is asked for",
        done: &["wait hr", "drop hr"],
        shown: "the device asks to be paired. Put the device in its pairing mode and pair it under Devices.",
        undone: &["mend hr"],
    },
    Row {
        name: "silent while connected",
        done: &["silence hr"],
        shown: "nothing heard for 8 s. Check that the device is on, its cable is in at both ends, and its data output is enabled.",
        undone: &["speak hr"],
    },
    Row {
        name: "reconnect storm",
        done: &["storm hr", "drop hr"],
        shown: "the Bluetooth connection was lost. Bring the device nearer; the link recovers by itself.",
        undone: &["mend hr"],
    },
];

fn device(devices: &Simulator, id: &str, word: &str, profile: &str) -> DeviceConfig {
    DeviceConfig {
        id: id.into(),
        name: id.into(),
        profile: profile.into(),
        bed: "1".into(),
        address: devices.address_of(word),
        ..DeviceConfig::default()
    }
}

async fn all(devices: &mut Simulator, commands: &[&str]) -> Result<()> {
    for command in commands {
        devices.tell(command).await?;
    }
    Ok(())
}

async fn befalls(bedside: &Bedside, devices: &mut Simulator, row: &Row) -> Result<()> {
    let asked = |devices: &Simulator| devices.log().matches("asked to connect").count();
    all(devices, row.done).await?;
    bedside.shows("strap", "disconnected", row.shown).await?;
    let before = asked(devices);
    // Whatever it is lasts a while, and nobody works around it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(asked(devices) - before <= 8, "asked to connect {} times in two seconds", asked(devices) - before);
    all(devices, row.undone).await?;
    bedside.is_heard("strap").await.context("after it was put right")
}

#[tokio::test]
async fn whatever_befalls_bluetooth_is_said_in_words_that_help_and_ends_by_itself() -> Result<()> {
    let room = Room::new()?;
    let options = ["--devices", "hr,plx,scale", "--omit", "scale.Trusted"];
    let mut devices = Simulator::bluetooth_with(room.folder(), WEARER, &room.bus(), &options).await?;
    let configured = vec![
        device(&devices, "strap", "hr", "sig-heart-rate"),
        device(&devices, "oximeter", "plx", "sig-pulse-oximeter"),
        device(&devices, "scale", "scale", "sig-weight-scale"),
    ];
    let bedside = Bedside::open(&room, configured).await?;
    let mut rows = Rows::default();
    rows.note("two devices at once: the first", bedside.is_heard("strap").await);
    rows.note("two devices at once: the second", bedside.is_heard("oximeter").await);
    let incomplete = "the Bluetooth service does not state the device's Trusted. Update the Bluetooth service (BlueZ) on this machine, \
                      or use another adapter.";
    rows.note("missing Device1 property", bedside.shows("scale", "disconnected", incomplete).await);
    for row in ROWS {
        rows.note(row.name, befalls(&bedside, &mut devices, row).await);
    }
    let garbage = async {
        for _ in 0..5 {
            devices.tell("garbage hr").await?;
            bedside.stays("strap", "connected", 5).await?;
        }
        bedside.is_heard("strap").await
    };
    rows.note("garbage notifications", garbage.await);
    let never = |what: &str| {
        ensure!(!devices.log().contains(what), "{what}");
        Ok(())
    };
    rows.note("the adapter is a person's to switch", never("a program switched the adapter"));
    rows.note("one connect at a time", never("connects overlap"));
    rows.hold()
}

#[tokio::test]
async fn an_adapter_of_which_bluez_leaves_something_out_is_told_from_no_adapter() -> Result<()> {
    let room = Room::new()?;
    let options = ["--devices", "hr", "--omit", "adapter.Modalias"];
    let devices = Simulator::bluetooth_with(room.folder(), WEARER, &room.bus(), &options).await?;
    let bedside = Bedside::open(&room, vec![device(&devices, "strap", "hr", "sig-heart-rate")]).await?;
    bedside
        .shows("strap", "disconnected", "the Bluetooth service does not state the adapter's Modalias. Update the Bluetooth service")
        .await
}

#[tokio::test]
async fn a_passkey_that_is_wrong_or_not_typed_pairs_nobody_and_the_right_one_does_until_the_device_forgets_it() -> Result<()> {
    let room = Room::new()?;
    let mut devices = Simulator::bluetooth_with(room.folder(), WEARER, &room.bus(), &["--devices", "hr", "--passkey", "hr"]).await?;
    let bedside = Bedside::open(&room, vec![device(&devices, "strap", "hr", "sig-heart-rate")]).await?;
    let address = devices.address_of("hr").context("the strap's address")?;
    let wants = "the device asks to be paired. Put the device in its pairing mode and pair it under Devices.";
    bedside.shows("strap", "disconnected", wants).await?;

    let pair = async |typed: &str| bedside.agent.pair(&address, typed).await;
    let wrong = pair("999999\n").await?;
    let refused = "not paired: the passkey was wrong, or the device refused. Put the device in its pairing mode again and type the digits";
    ensure!(!wrong.status.success() && wrong.err.contains(refused), "{wrong:?}");
    let cancelled = pair("\n").await?;
    ensure!(!cancelled.status.success() && cancelled.err.contains("not paired: it was cancelled."), "{cancelled:?}");
    bedside.shows("strap", "disconnected", wants).await?;

    let log = devices.log();
    let shown = log.lines().rev().find_map(|line| line.split_once("the device shows ")).context("the device shows no digits")?.1;
    let digits = shown.get(..6).context("six digits")?.to_owned();
    let right = pair(&format!("{digits}\n")).await?;
    ensure!(right.status.success() && right.out.contains("paired with"), "{right:?}");
    bedside.is_heard("strap").await?;

    devices.tell("lose-bond hr").await?;
    let lost = "the device no longer knows this appliance: its pairing was lost. Put the device in its pairing mode and pair it anew under \
                Devices.";
    bedside.shows("strap", "disconnected", lost).await
}

#[tokio::test]
async fn a_device_that_sleeps_is_heard_each_time_it_wakes_and_its_sleep_alarms_nobody() -> Result<()> {
    let room = Room::new()?;
    let options = ["--devices", "thermometer,hr", "--sleeping", "thermometer", "--wakes-every-s", "600"];
    let mut devices = Simulator::bluetooth_with(room.folder(), WEARER, &room.bus(), &options).await?;
    let configured =
        vec![device(&devices, "thermometer", "thermometer", "sig-thermometer"), device(&devices, "strap", "hr", "sig-heart-rate")];
    let bedside = Bedside::open(&room, configured).await?;
    let asleep = "the device is asleep or out of range. Nothing to do: it is heard again when it is next used.";
    bedside.shows("thermometer", "disconnected", asleep).await?;
    for _ in 0..3 {
        let before = bedside.device("thermometer").await?["last_data_ms"].clone();
        devices.tell("wake thermometer").await?;
        bedside.shows("thermometer", "connected", "").await?;
        bedside.shows("thermometer", "disconnected", asleep).await?;
        let after = bedside.device("thermometer").await?["last_data_ms"].clone();
        ensure!(after != before, "woke and was not heard: {before} then {after}");
        // One that is always awake is not held up meanwhile.
        bedside.is_heard("strap").await?;
    }
    Ok(())
}
