//! A whole ward in a directory of its own: a hub, clinics with their agent, monitors and patients.

use crate::agent::{Agent, NURSE, PIN};
use crate::chance::Chance;
use crate::chart::search;
use crate::client::Client;
use crate::config::{AgentConfig, DeviceConfig, HubConfig};
use crate::hub::Hub;
use crate::live::Live;
use crate::paths;
use crate::patients::{self, PEOPLE};
use crate::proxy::Proxy;
use crate::simulator::{Course, Simulator, Wearer};
use crate::wait::until;
use anyhow::{Context, Result};
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The beds of every clinic here.
pub const BEDS: [&str; 4] = ["1", "2", "3", "4"];
/// The GE monitor, in bed 1.
pub const SERIAL: &str = "monitor-1";
/// The HL7 monitor, in bed 2.
pub const HL7: &str = "monitor-2";
/// The Bluetooth oximeter, in bed 3.
pub const OXIMETER: &str = "oximeter-3";
/// The Bluetooth strap, in bed 3.
pub const STRAP: &str = "strap-3";
/// Seconds of measurements in one segment here.
const SEAL_S: u32 = 5;
/// How long hub and agents may take to hold the same once nothing new is measured.
const SETTLE: Duration = Duration::from_secs(60);

/// What to set up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A clinic's name, and the bed whose patient falls ill (1 or 2).
    pub clinics: Vec<(&'static str, &'static str)>,
    /// Whether there is a hub, and the agents are enrolled.
    pub hub: bool,
    /// Whether the programs serve the built screens.
    pub screens: bool,
    /// Whether the agents reach the hub through a [`Proxy`].
    pub behind_proxy: bool,
    /// Where the hub keeps its record, if not in its data directory.
    pub store: Option<String>,
    /// Whether it has an address of this machine to itself, so that nobody takes a port while its program is away; else all is at
    /// 127.0.0.1, as a person would type it.
    pub own_address: bool,
}

impl Plan {
    /// One clinic and its hub, without screens.
    #[must_use]
    pub fn one() -> Self {
        Self { clinics: vec![("hillside", "1")], hub: true, screens: false, behind_proxy: false, store: None, own_address: true }
    }

    /// One clinic that knows of no hub, as at its first boot.
    #[must_use]
    pub fn alone() -> Self {
        Self { hub: false, ..Self::one() }
    }

    /// The demonstration: two clinics, with screens.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            clinics: vec![("hillside", "1"), ("riverside", "2")],
            hub: true,
            screens: true,
            behind_proxy: false,
            store: None,
            own_address: false,
        }
    }
}

/// A running ward. All of it ends when it is dropped.
#[derive(Debug)]
pub struct Ward {
    /// The hub; not started where the plan has none.
    pub hub: Hub,
    /// The clinics.
    pub clinics: Vec<Clinic>,
    /// The line to the hub, where the plan has one. Live numerics go past it.
    pub proxy: Option<Proxy>,
    folder: TempDir,
}

/// One clinic: its agent, its monitors, its patients.
#[derive(Debug)]
pub struct Clinic {
    /// The box.
    pub agent: Agent,
    /// In bed 1.
    pub serial: Option<Simulator>,
    /// In bed 2.
    pub hl7: Option<Simulator>,
    /// Strap and oximeter in bed 3.
    pub bluetooth: Option<Simulator>,
    /// FHIR ids of the patients, by bed.
    pub patients: Vec<String>,
    /// What was acknowledged to the HL7 monitor.
    pub ack_log: PathBuf,
}

impl Ward {
    /// Opens a ward: everything runs, everyone is in bed, the agents are enrolled.
    ///
    /// # Errors
    /// Any part does not come up.
    pub async fn open(plan: &Plan) -> Result<Self> {
        // A socket's path may have 108 bytes at most, so not below a deep target directory.
        let folder = tempfile::Builder::new().prefix("lamplight-").tempdir().context("a directory for the ward")?;
        let ui = if plan.screens { Some(paths::screens()?) } else { None };
        let home = room(folder.path(), "hub")?;
        let address = if plan.own_address { own_address() } else { Ipv4Addr::LOCALHOST };
        let any_port = format!("{address}:0");
        let config = HubConfig {
            name: "hub".into(),
            data: home.join("data"),
            store: plan.store.clone(),
            bind: any_port.clone(),
            mqtt: any_port.clone(),
            names: vec![address.to_string()],
            ui: ui.clone(),
        };
        let mut hub = Hub::new(&home, config);
        if plan.hub {
            hub.start().await?;
            hub.add_operator().await?;
        }
        let proxy = if plan.behind_proxy { Some(Proxy::open(hub.address()?).await?) } else { None };
        let mut ward = Self { hub, clinics: Vec::new(), proxy, folder };
        for (number, (name, falls_ill)) in (1..).zip(&plan.clinics) {
            let home = room(ward.folder.path(), name)?;
            let clinic = Clinic::open(&home, name, number, falls_ill, &any_port, ui.clone()).await?;
            if plan.hub {
                let code = ward.hub.add_site(name).await?;
                let hub = ward.proxy.as_ref().map_or_else(|| ward.hub.http().to_owned(), Proxy::http);
                clinic.agent.enrol(&hub, &code).await?;
            }
            ward.clinics.push(clinic);
        }
        Ok(ward)
    }

    /// The directory of this ward.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The first clinic.
    ///
    /// # Errors
    /// There is none.
    pub fn clinic(&mut self) -> Result<&mut Clinic> {
        self.clinics.first_mut().context("a ward without a clinic")
    }

    /// Whether hub and agents still run.
    ///
    /// # Errors
    /// One has ended; with the end of its log.
    pub async fn alive(&mut self) -> Result<()> {
        self.hub.alive().await?;
        for clinic in &mut self.clinics {
            clinic.agent.alive().await?;
        }
        Ok(())
    }

    /// Ends all monitors, so that nothing new is measured.
    ///
    /// # Errors
    /// One ends badly.
    pub async fn quiet(&mut self) -> Result<()> {
        for clinic in &mut self.clinics {
            for monitor in [clinic.serial.take(), clinic.hl7.take(), clinic.bluetooth.take()].into_iter().flatten() {
                monitor.stop().await?;
            }
        }
        Ok(())
    }

    /// Waits until the last measurements are cut into segments, the hub has signed for every entry of every agent and both proved the
    /// same set; then the agents' sync lines.
    ///
    /// # Errors
    /// It does not happen within a minute; with what was seen last.
    pub async fn settle(&self) -> Result<Vec<Value>> {
        // Until then the last seconds are in the agent's journal, and in no entry.
        tokio::time::sleep(Duration::from_secs(u64::from(SEAL_S) + 1)).await;
        let operator = self.hub.sign_in().await?;
        let mut lines = Vec::new();
        for clinic in &self.clinics {
            let nurse = clinic.agent.sign_in().await?;
            let name = clinic.agent.name();
            let mut last = String::new();
            let what = format!("{name} and the hub hold the same");
            let settled = until(&what, SETTLE, async || {
                let line = nurse.post("/api/v1/sync/now", &Value::Null).await?;
                let fleet = operator.get("/api/v1/fleet").await?;
                let row = site(&fleet, name)?;
                last = format!("agent {line}, hub {row}");
                let all = line["waiting"] == 0 && line["entries_acked"] == line["entries_written"];
                let equal = row["digest"] == "equal" && line["digest_equal"] == true && row["digest_hex"] == line["digest"];
                Ok((all && equal && line["entries_written"].as_u64() > Some(0)).then_some(line))
            })
            .await;
            lines.push(settled.with_context(|| format!("last seen: {last}"))?.0);
        }
        Ok(lines)
    }
}

/// A site's row of the fleet.
///
/// # Errors
/// The hub does not know it.
pub fn site(fleet: &Value, name: &str) -> Result<Value> {
    let rows = fleet["sites"].as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["site"] == name).with_context(|| format!("the hub knows no site {name}"))
}

impl Clinic {
    async fn open(home: &Path, name: &str, number: u64, falls_ill: &str, any_port: &str, ui: Option<PathBuf>) -> Result<Self> {
        let (socket, port) = (home.join("bus"), home.join("ttyGE"));
        let wearer = |bed: &str| {
            let course = if bed == falls_ill { Course::Deteriorating } else { Course::Stable };
            Wearer { seed: number * 10 + bed.parse::<u64>().unwrap_or_default(), course }
        };
        let bluetooth = Simulator::bluetooth(home, wearer("3"), &socket).await?;
        let serial = Simulator::serial(home, wearer("1"), &port).await?;
        let config = AgentConfig {
            name: name.to_owned(),
            data: home.join("data"),
            bind: any_port.into(),
            ui,
            beds: BEDS.map(str::to_owned).into(),
            seal_every_s: SEAL_S,
            seal_waves_every_s: SEAL_S,
            sync_every_s: 1,
            device_commands: Vec::new(),
            devices: devices(port, &bluetooth, any_port),
            lan: None,
        };
        let mut agent = Agent::new(home, config, &format!("unix:path={}", socket.display()));
        agent.start().await?;
        agent.add_user(NURSE, "nurse", PIN).await?;
        let nurse = agent.sign_in().await?;
        let mut patients = Vec::new();
        for (bed, person) in BEDS.iter().zip(&PEOPLE) {
            let patient = patients::admit(&nurse, person, bed).await?;
            patients::observe(&nurse, bed, &patient).await?;
            patients.push(patient);
        }
        let ack_log = home.join("acknowledged.jsonl");
        let listener = agent.config.devices.iter().find_map(|device| device.listen.clone()).context("no HL7 listener")?;
        let hl7 = Simulator::hl7(home, wearer("2"), &listener, &ack_log).await?;
        Ok(Self { agent, serial: Some(serial), hl7: Some(hl7), bluetooth: Some(bluetooth), patients, ack_log })
    }

    /// Opens the live stream as the nurse.
    ///
    /// # Errors
    /// Refused.
    pub async fn watch(&self) -> Result<Live> {
        Live::open(&self.agent.sign_in().await?).await
    }

    /// A device as the agent's list tells it.
    ///
    /// # Errors
    /// Refused, or no such device.
    pub async fn device(&self, nurse: &Client, id: &str) -> Result<Value> {
        let devices = nurse.get("/api/v1/devices").await?;
        // In the record a device goes by its configured id and the box that reads it.
        let ours = |device: &&Value| device["id"].as_str().and_then(|full| full.rsplit_once('.')).is_some_and(|(name, _)| name == id);
        let found = devices.as_array().into_iter().flatten().find(ours).cloned();
        found.with_context(|| format!("{} knows no device {id}", self.agent.name()))
    }

    /// Waits until a device is in a state; how long that took.
    ///
    /// # Errors
    /// Not in time.
    pub async fn device_becomes(&self, nurse: &Client, id: &str, state: &str, patience: Duration) -> Result<Duration> {
        let became =
            until(&format!("{id} is {state}"), patience, async || Ok((self.device(nurse, id).await?["state"] == state).then_some(())))
                .await;
        Ok(became.with_context(|| crate::process::last_lines(self.agent.log()))?.1)
    }

    /// How many alerts its record holds.
    ///
    /// # Errors
    /// Refused.
    pub async fn alerts(&self, nurse: &Client) -> Result<usize> {
        Ok(search(nurse, "/fhir/R4/DetectedIssue?_count=1000").await?.len())
    }
}

fn devices(port: PathBuf, bluetooth: &Simulator, any_port: &str) -> Vec<DeviceConfig> {
    let device = |id: &str, name: &str, profile: &str, bed: &str| DeviceConfig {
        id: id.into(),
        name: name.into(),
        profile: profile.into(),
        bed: bed.into(),
        ..DeviceConfig::default()
    };
    vec![
        DeviceConfig { serial: Some(port), ..device(SERIAL, "GE B40", "ge-b40-dri", "1") },
        DeviceConfig { listen: Some(any_port.into()), ..device(HL7, "HL7 monitor", "ihe-pcd01", "2") },
        DeviceConfig { address: bluetooth.address_of("plx"), ..device(OXIMETER, "Oximeter", "sig-pulse-oximeter", "3") },
        DeviceConfig { address: bluetooth.address_of("hr"), ..device(STRAP, "Heart-rate strap", "sig-heart-rate", "3") },
    ]
}

/// Connections leave from 127.0.0.1, so at any other address no port is ever taken by one: not by a stranger's, and not by that
/// of a monitor which calls an agent that is away, and would reach itself.
fn own_address() -> Ipv4Addr {
    let mut chance = Chance::of_its_own();
    let mut byte = || u8::try_from(chance.within(1..255)).unwrap_or(1);
    Ipv4Addr::new(127, byte(), byte(), byte())
}

fn room(folder: &Path, name: &str) -> Result<PathBuf> {
    let home = folder.join(name);
    std::fs::create_dir(&home).with_context(|| home.display().to_string())?;
    Ok(home)
}
