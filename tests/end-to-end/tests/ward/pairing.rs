//! Devices as a technician meets them: scanned, paired with the running box, confirmed, moved, exchanged, commanded, recorded.

use anyhow::{Context, Result};
use end_to_end::agent::{Agent, NURSE, PIN};
use end_to_end::client::Client;
use end_to_end::config::{ANY_PORT, AgentConfig, DeviceConfig};
use end_to_end::patients::{self, PEOPLE};
use end_to_end::process;
use end_to_end::simulator::{Course, Simulator, Wearer};
use end_to_end::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

const TECHNICIAN: &str = "tove";
const PATIENCE: Duration = Duration::from_secs(60);
const PAIRINGS: &str = "/api/v1/devices/pairings";

/// One box without a hub, and Bluetooth devices near it.
struct Bedside {
    agent: Agent,
    radio: Simulator,
    nurse: Client,
    technician: Client,
    folder: TempDir,
}

impl Bedside {
    async fn open(options: &[&str], configure: impl FnOnce(&Simulator, &mut AgentConfig)) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("lamplight-").tempdir()?;
        let socket = folder.path().join("bus");
        let wearer = Wearer { seed: 7, course: Course::Stable };
        let radio = Simulator::bluetooth_with(folder.path(), wearer, &socket, options).await?;
        let mut config = AgentConfig {
            name: "hillside".into(),
            data: folder.path().join("data"),
            bind: ANY_PORT.into(),
            ui: None,
            beds: ["1", "2", "3"].map(str::to_owned).into(),
            seal_every_s: 5,
            seal_waves_every_s: 5,
            sync_every_s: 1,
            device_commands: Vec::new(),
            devices: Vec::new(),
            lan: None,
        };
        configure(&radio, &mut config);
        let mut agent = Agent::new(folder.path(), config, &format!("unix:path={}", socket.display()));
        agent.start().await?;
        agent.add_user(NURSE, "nurse", PIN).await?;
        agent.add_user(TECHNICIAN, "technician", PIN).await?;
        let nurse = agent.sign_in().await?;
        let technician = Client::sign_in(agent.http(), TECHNICIAN, PIN).await?;
        Ok(Self { agent, radio, nurse, technician, folder })
    }

    /// Kills the program and starts it again; whoever was signed in signs in anew.
    async fn crash(&mut self) -> Result<()> {
        self.agent.kill().await?;
        self.agent.start().await?;
        self.nurse = self.agent.sign_in().await?;
        self.technician = Client::sign_in(self.agent.http(), TECHNICIAN, PIN).await?;
        Ok(())
    }

    fn address(&self, kind: &str) -> Result<String> {
        self.radio.address_of(kind).with_context(|| format!("no {kind}"))
    }

    /// Begins to pair; its answer.
    async fn begin(&self, kind: &str, bed: &str) -> Result<Value> {
        let request = json!({"by": {"kind": "bluetooth", "address": self.address(kind)?}, "bed": bed});
        self.technician.post(PAIRINGS, &request).await
    }

    /// Waits until a pairing is at a stage.
    async fn comes_to(&self, pairing: &str, stage: &str) -> Result<Value> {
        let path = format!("{PAIRINGS}/{pairing}");
        let mut last = Value::Null;
        let came = until(&format!("the pairing is {stage}"), PATIENCE, async || {
            last = self.technician.get(&path).await?;
            Ok((last["stage"] == stage).then(|| last.clone()))
        })
        .await;
        Ok(came.with_context(|| format!("last seen: {last}\n{}", process::last_lines(self.agent.log())))?.0)
    }

    async fn spans(&self, device: &str) -> Result<Vec<(String, bool)>> {
        let spans = self.technician.get(&format!("/api/v1/devices/{device}/bindings")).await?;
        let one = |span: &Value| (span["bed"].as_str().unwrap_or_default().to_owned(), span["until_ms"].is_null());
        Ok(spans.as_array().into_iter().flatten().map(one).collect())
    }

    /// Waits until a bed shows a value that was measured after a moment, ms since 1970.
    async fn shows(&self, bed: &str, key: &str, after_ms: i64) -> Result<Value> {
        let mut last = Value::Null;
        let shown = until(&format!("bed {bed} shows {key}"), PATIENCE, async || {
            last = self.nurse.get("/api/v1/ward").await?;
            let beds = last["beds"].as_array().cloned().unwrap_or_default();
            let tile = beds.into_iter().find(|b| b["bed"] == bed).unwrap_or_default();
            let numerics = tile["numerics"].as_array().cloned().unwrap_or_default();
            Ok(numerics.into_iter().find(|n| n["key"] == key && n["measured_ms"].as_i64() > Some(after_ms)))
        })
        .await;
        Ok(shown.with_context(|| format!("last seen: {last}\n{}", process::last_lines(self.agent.log())))?.0)
    }

    async fn now_ms(&self) -> Result<i64> {
        self.nurse.get("/api/v1/ward").await?["as_of_ms"].as_i64().context("no time")
    }
}

#[tokio::test]
async fn a_technician_pairs_confirms_moves_and_exchanges_devices_and_a_crash_forgets_none_of_it() -> Result<()> {
    let mut here = Bedside::open(&["--devices", "hr,plx", "--passkey", "plx"], |_, _| {}).await?;
    patients::admit(&here.nurse, &PEOPLE[0], "1").await?;
    patients::admit(&here.nurse, &PEOPLE[1], "2").await?;

    // What is near, and what it is.
    let scan = here.technician.post("/api/v1/devices/scan", &json!({"seconds": 3})).await?;
    let plx_address = here.address("plx")?;
    let seen = scan["found"].as_array().into_iter().flatten().find(|found| found["by"]["address"] == plx_address.as_str());
    let seen = seen.with_context(|| format!("the oximeter was not heard: {scan}"))?;
    assert!(seen["rssi_dbm"].is_i64() && seen["paired"].is_null() && seen["name"].is_string(), "{seen}");

    // What its services say may be several profiles; a person chooses.
    let request =
        json!({"by": {"kind": "bluetooth", "address": plx_address}, "bed": "1", "profile": "sig-pulse-oximeter", "name": "Oximeter 1"});
    let begun = here.technician.post(PAIRINGS, &request).await?;
    let pairing = begun["id"].as_str().context("an id")?.to_owned();
    let confirm = format!("{PAIRINGS}/{pairing}/confirm");
    here.technician.ask(Method::POST, &confirm, Some(&json!({}))).await?.refused(409)?;
    here.comes_to(&pairing, "passkey").await?;
    let shown = here.radio.heard().into_iter().rev().find_map(|said| Some(said.pointer("/shows/passkey")?.as_str()?.to_owned()));
    let passkey = json!({"passkey": shown.context("the device shows no number")?});
    here.technician.post(&format!("{PAIRINGS}/{pairing}/passkey"), &passkey).await?;

    // Nothing of it is anybody's before somebody has seen that it is right.
    let ready = here.comes_to(&pairing, "ready").await?;
    assert!(ready["valid_ms"].as_u64() >= Some(5_000), "{ready}");
    assert!(ready["values"].as_array().is_some_and(|all| all.iter().any(|v| v["key"] == "spo2" && v["value"].is_number())), "{ready}");
    assert!(ready["serial"].is_string() && ready["battery_percent"].is_u64(), "{ready}");
    let ward = here.nurse.get("/api/v1/ward").await?;
    assert!(!ward.to_string().contains("59408-5"), "it is shown on the ward before it is confirmed: {ward}");
    let paired = here.technician.post(&confirm, &json!({})).await?;
    assert!(paired["saved"]["durable"] == true && paired["bed"] == "1", "{paired}");
    let oximeter = paired["device"].as_str().context("a device")?.to_owned();
    here.shows("1", "spo2", 0).await?;

    // Whoever meets it again is told whose it is.
    let refused = here.technician.ask(Method::POST, PAIRINGS, Some(&request)).await?.refused(409)?;
    assert!(refused.contains("Oximeter 1") && refused.contains("hillside") && refused.contains("bed 1"), "{refused}");

    // The same at a terminal, beside the running agent.
    let strap = here.address("hr")?;
    let words = ["devices", "pair", &strap, "--bed", "2", "--profile", "sig-heart-rate", "--yes", "--as", TECHNICIAN];
    let said = here.agent.command(&words, &format!("{PIN}\n")).await?.ok()?;
    let strap = serde_json::from_str::<Value>(said.trim())?["device"].as_str().context("a device")?.to_owned();
    here.shows("2", "heart-rate", 0).await?;

    // Moved on purpose only, and both spans are kept.
    let attach = format!("/api/v1/beds/2/devices/{oximeter}");
    here.technician.ask(Method::PUT, &attach, Some(&json!({}))).await?.refused(409)?;
    here.technician.post(&format!("/api/v1/devices/{oximeter}/move"), &json!({"bed": "2"})).await?;
    here.agent.command(&["devices", "move", &oximeter, "1", "--as", TECHNICIAN], &format!("{PIN}\n")).await?.ok()?;
    let swap = format!("/api/v1/devices/{oximeter}/swap");
    here.technician.ask(Method::POST, &swap, Some(&json!({"with": strap}))).await?.refused(409)?;
    here.technician.post(&swap, &json!({"with": strap, "move_from_other_bed": true})).await?;
    let spans = |all: &[(&str, bool)]| all.iter().map(|(bed, open)| ((*bed).to_owned(), *open)).collect::<Vec<_>>();
    let (of_oximeter, of_strap) = (spans(&[("1", false), ("2", false), ("1", false)]), spans(&[("2", false), ("1", true)]));
    assert_eq!((here.spans(&oximeter).await?, here.spans(&strap).await?), (of_oximeter.clone(), of_strap.clone()));

    // A crash forgets none of it, and the devices are read again without anybody's help.
    here.crash().await?;
    let after = here.now_ms().await?;
    assert_eq!((here.spans(&oximeter).await?, here.spans(&strap).await?), (of_oximeter, of_strap));
    let value = here.shows("1", "heart-rate", after).await?;
    assert_eq!(value["device"].as_str(), Some(strap.as_str()));
    let (device, _) = until("the oximeter is connected again", PATIENCE, async || {
        let devices = here.technician.get("/api/v1/devices").await?;
        let all = devices.as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().find(|one| one["id"] == oximeter.as_str() && one["state"] == "connected"))
    })
    .await?;
    assert!(device["bed"].is_null() && device["name"] == "Oximeter 1", "{device}");

    // One that is retired is not taken up again.
    here.agent.command(&["devices", "retire", &oximeter, "--as", TECHNICIAN], &format!("{PIN}\n")).await?.ok()?;
    here.crash().await?;
    let devices = here.technician.get("/api/v1/devices").await?;
    let ids: Vec<&str> = devices.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, [strap.as_str()]);
    here.agent.stop().await?;
    here.agent.verify().await?;
    Ok(())
}

#[tokio::test]
async fn a_pairing_that_nobody_confirmed_leaves_no_device_behind() -> Result<()> {
    let mut here = Bedside::open(&["--devices", "hr"], |_, _| {}).await?;
    here.technician.post("/api/v1/devices/scan", &json!({"seconds": 2})).await?;
    let begun = here.begin("hr", "1").await?;
    let pairing = begun["id"].as_str().context("an id")?.to_owned();
    here.comes_to(&pairing, "ready").await?;
    here.crash().await?;
    here.technician.ask(Method::GET, &format!("{PAIRINGS}/{pairing}"), None).await?.refused(404)?;
    assert_eq!(here.technician.get("/api/v1/devices").await?, json!([]));
    // Given up, it can be begun anew.
    here.technician.post("/api/v1/devices/scan", &json!({"seconds": 2})).await?;
    let begun = here.begin("hr", "2").await?;
    let path = format!("{PAIRINGS}/{}", begun["id"].as_str().context("an id")?);
    assert!(here.technician.ask(Method::DELETE, &path, None).await?.status.is_success());
    here.begin("hr", "2").await?;
    Ok(())
}

#[tokio::test]
async fn commands_and_recordings_need_a_role_and_leave_what_they_say() -> Result<()> {
    let mut here = Bedside::open(&["--devices", "glucose"], |radio, config| {
        config.device_commands = ["erase-records", "set-current-time"].map(str::to_owned).into();
        config.devices = vec![DeviceConfig {
            id: "meter".into(),
            name: "Meter".into(),
            profile: "sig-glucose".into(),
            bed: "1".into(),
            address: radio.address_of("glucose"),
            ..DeviceConfig::default()
        }];
    })
    .await?;
    let (device, _) = until("the meter is connected", PATIENCE, async || {
        let devices = here.technician.get("/api/v1/devices").await?;
        Ok(devices.get(0).filter(|one| one["state"] == "connected").and_then(|one| one["id"].as_str()).map(str::to_owned))
    })
    .await?;

    // What may be sent is named in the configuration; all else is listed as off.
    let commands = here.technician.get(&format!("/api/v1/devices/{device}/commands")).await?;
    let listed: Vec<_> = commands.as_array().into_iter().flatten().map(|one| (one["command"].clone(), one["allowed"].clone())).collect();
    let want = [("set-current-time", true), ("set-date-time", false), ("erase-records", true)];
    assert_eq!(listed, want.map(|(command, allowed)| (json!(command), json!(allowed))));
    let send = |command: &str| format!("/api/v1/devices/{device}/commands/{command}");
    let why = json!({"reason": "handed to another ward", "utc_offset_min": 120});
    here.nurse.ask(Method::POST, &send("erase-records"), Some(&why)).await?.refused(403)?;
    here.technician.ask(Method::POST, &send("set-date-time"), Some(&why)).await?.refused(403)?;
    here.technician.ask(Method::POST, &send("erase-records"), Some(&json!({"reason": ""}))).await?.refused(422)?;
    here.technician.ask(Method::POST, &send("format-disk"), Some(&why)).await?.refused(404)?;
    let written = |characteristic: &str| -> Vec<Value> {
        let of = |said: &Value| said["written"]["characteristic"].as_str().is_some_and(|uuid| uuid.contains(characteristic));
        here.radio.heard().into_iter().filter(of).map(|said| said["written"]["bytes"].clone()).collect()
    };
    assert!(!written("2a52").contains(&json!([2, 1])), "erased without being asked");

    // A recording states no name, and reads back as what the device said.
    let recordings = format!("/api/v1/devices/{device}/recordings");
    let consent = json!({"seconds": 600, "consent": "Ms Achieng agreed in writing"});
    here.nurse.ask(Method::POST, &recordings, Some(&consent)).await?.refused(403)?;
    here.technician.ask(Method::POST, &recordings, Some(&json!({"seconds": 600, "consent": ""}))).await?.refused(422)?;
    let begun = here.technician.post(&recordings, &consent).await?;
    let name = begun["recording"].as_str().context("a recording")?.to_owned();
    here.technician.post(&send("set-current-time"), &why).await?;
    here.technician.post(&send("erase-records"), &why).await?;
    until("the meter was told", PATIENCE, async || {
        let clock = written("2a2b");
        Ok((clock.iter().any(|bytes| bytes.as_array().is_some_and(|b| b.len() == 10)) && written("2a52").contains(&json!([2, 1])))
            .then_some(()))
    })
    .await?;
    here.technician.post(&format!("{recordings}/stop"), &json!({})).await?;
    let path = format!("{recordings}/{name}");
    let (text, _) = until("the recording ends", PATIENCE, async || {
        let text = std::fs::read_to_string(here.folder.path().join("data/recordings").join(&name))?;
        Ok(text.contains("# ended").then_some(text))
    })
    .await?;
    assert!(text.contains("# protocol: ble.glucose") && text.contains("# firmware:") && !text.contains("Achieng"), "{text}");
    here.nurse.ask(Method::GET, &path, None).await?.refused(403)?;
    assert!(here.technician.ask(Method::GET, &path, None).await?.status.is_success());
    assert_eq!(here.technician.get(&recordings).await?.as_array().map(Vec::len), Some(1));
    assert!(here.technician.ask(Method::DELETE, &path, None).await?.status.is_success());
    assert_eq!(here.technician.get(&recordings).await?, json!([]));
    here.agent.stop().await?;
    here.agent.verify().await?;
    Ok(())
}

#[tokio::test]
async fn a_recording_of_a_device_plays_again_as_its_readings() -> Result<()> {
    let mut here = Bedside::open(&["--devices", "hr"], |radio, config| {
        config.devices = vec![DeviceConfig {
            id: "strap".into(),
            name: "Strap".into(),
            profile: "sig-heart-rate".into(),
            bed: "1".into(),
            address: radio.address_of("hr"),
            ..DeviceConfig::default()
        }];
    })
    .await?;
    let (device, _) = until("the strap is connected", PATIENCE, async || {
        let devices = here.technician.get("/api/v1/devices").await?;
        Ok(devices.get(0).filter(|one| one["state"] == "connected").and_then(|one| one["id"].as_str()).map(str::to_owned))
    })
    .await?;
    let words = ["devices", "record", &device, "--seconds", "3", "--consent", "a test wearer agreed", "--as", TECHNICIAN];
    let begun: Value = serde_json::from_str(here.agent.command(&words, &format!("{PIN}\n")).await?.ok()?.trim())?;
    let file = here.folder.path().join("data/recordings").join(begun["recording"].as_str().context("a recording")?);
    until("the recording ends by itself", PATIENCE, async || Ok(std::fs::read_to_string(&file)?.contains("# ended").then_some(()))).await?;
    let said = process::run("edge-agent", &["replay".into(), file.clone().into()], "").await?.ok()?;
    assert!(said.lines().any(|line| line.contains("8867-4")), "{said}\n{}", std::fs::read_to_string(&file)?);
    here.agent.stop().await?;
    Ok(())
}
