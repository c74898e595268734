//! `agent.toml`. Every top-level key can be overridden by `LAMPLIGHT_<KEY>`; a key nobody knows is an error that names it.

use anyhow::{Context, bail};
use record::id::{BedId, DeviceId};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The configuration of an agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The clinic's name.
    pub name: String,
    /// Data directory: record, keys.
    pub data: PathBuf,
    /// Where to serve; loopback unless a certificate is there.
    #[serde(default = "default_bind")]
    pub bind: SocketAddr,
    /// The built screens.
    #[serde(default)]
    pub ui: Option<PathBuf>,
    /// Beds in painted order.
    pub beds: Vec<BedId>,
    /// Seconds of numerics in one segment.
    #[serde(default = "default_seal")]
    pub seal_every_s: u32,
    /// Seconds of waves in one segment.
    #[serde(default = "default_seal_waves")]
    pub seal_waves_every_s: u32,
    /// Seconds between sync sessions while there is nothing to wake one.
    #[serde(default = "default_sync")]
    pub sync_every_s: u32,
    /// Device profiles of this site, beside those shipped.
    #[serde(default)]
    pub profiles: Option<PathBuf>,
    /// Devices.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// How long data stay here that the hub holds too.
    #[serde(default)]
    pub retention: Retention,
    /// Other boxes of the clinic.
    #[serde(default)]
    pub lan: LanConfig,
    /// Write logs as JSON.
    #[serde(default)]
    pub log_json: bool,
    /// Commands that do more than read a device and that people with a role may send: `set-current-time`, `erase-records`. None
    /// unless named.
    #[serde(default)]
    pub device_commands: BTreeSet<String>,
    /// Lets a scraper read `/metrics` without a session.
    #[serde(default)]
    pub scrape_token: Option<String>,
}

/// How long data stay on this box once the hub has signed for them. Documents and alerts always stay, and so does what no hub
/// holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days of waveforms.
    pub waves_days: u32,
    /// Days of numerics.
    pub numerics_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { waves_days: 30, numerics_days: 365 }
    }
}

impl From<Retention> for protocol::replica::Retention {
    fn from(days: Retention) -> Self {
        let us = |days: u32| i64::from(days) * 86_400_000_000;
        Self { waves_us: us(days.waves_days), numerics_us: us(days.numerics_days) }
    }
}

/// Other boxes of the clinic, and whether they are spoken to. Off by default: who looks for others can be seen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanConfig {
    /// Whether this box listens for others and looks for them.
    pub enabled: bool,
    /// Where it listens; port 0 lets the system choose, and mDNS tells.
    pub bind: SocketAddr,
    /// Whether it announces itself and looks for others by mDNS.
    pub discover: bool,
    /// Names, as enrolled, of the sites that hold each other's whole record; each of them must name the others.
    pub share_with: Vec<String>,
    /// Boxes at fixed addresses, beside those that are found.
    pub peers: Vec<SocketAddr>,
}

impl Default for LanConfig {
    fn default() -> Self {
        let bind = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
        Self { enabled: false, bind, discover: true, share_with: Vec::new(), peers: Vec::new() }
    }
}

/// Most sites to share with, and boxes at fixed addresses.
const NEIGHBOURS_MAX: usize = 16;

/// One device and how it is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its id in the record.
    pub id: DeviceId,
    /// What the ward calls it; the profile's maker and model if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Which page of facts.
    pub profile: String,
    /// The bed it reads for at the first start.
    #[serde(default)]
    pub bed: Option<BedId>,
    /// Path of its serial port.
    #[serde(default)]
    pub serial: Option<PathBuf>,
    /// Where it connects to us.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Its Bluetooth address; without one the profile's match decides. For a monitor on the network that waits for us its IP
    /// address, with a port where it is not the protocol's own.
    #[serde(default)]
    pub address: Option<String>,
    /// A recording that is played instead of a device; what it says is demonstration data.
    #[serde(default)]
    pub capture: Option<PathBuf>,
}

/// The record appends a dot and 8 characters that name this box.
const DEVICE_ID_MAX: usize = 55;

const fn default_bind() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7410)
}
const fn default_seal() -> u32 {
    3600
}
const fn default_seal_waves() -> u32 {
    60
}
const fn default_sync() -> u32 {
    10
}

/// Keys that the environment may override.
const OVERRIDABLE: &[&str] =
    &["name", "data", "bind", "ui", "beds", "seal_every_s", "seal_waves_every_s", "sync_every_s", "profiles", "log_json", "scrape_token"];

impl Config {
    /// Reads the file, then the environment.
    ///
    /// # Errors
    /// The file cannot be read, a key is unknown or malformed, or values contradict each other; each names where.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let known = |(name, value): (String, String)| {
            let key = name.strip_prefix("LAMPLIGHT_")?.to_ascii_lowercase();
            OVERRIDABLE.contains(&key.as_str()).then_some((key, value))
        };
        let mut builder =
            config::Config::builder().add_source(config::File::new(&path.to_string_lossy(), config::FileFormat::Toml).required(true));
        for (key, value) in std::env::vars().filter_map(known) {
            builder = if key == "beds" {
                builder.set_override(&key, value.split(',').map(str::trim).collect::<Vec<_>>())?
            } else {
                builder.set_override(&key, value)?
            };
        }
        let built = builder.build().with_context(|| format!("reading {}", path.display()))?;
        let config: Self = built.try_deserialize().with_context(|| format!("in {}", path.display()))?;
        config.check().with_context(|| format!("in {}", path.display()))?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut ids = BTreeSet::new();
        for device in &self.devices {
            if !ids.insert(&device.id) {
                bail!("devices: the id {} is given twice", device.id);
            }
            if device.id.as_str().len() > DEVICE_ID_MAX {
                bail!("devices.{}: an id has at most {DEVICE_ID_MAX} characters", device.id);
            }
            if let Some(bed) = device.bed.as_ref().filter(|bed| !self.beds.contains(bed)) {
                bail!("devices.{}.bed: bed {bed} is not among beds", device.id);
            }
        }
        let commands = catalogue::commands::all().map(|command| command.id);
        if let Some(unknown) = self.device_commands.iter().find(|name| !commands.contains(&name.as_str())) {
            bail!("device_commands: {unknown:?} is not known; there are {}", commands.join(", "));
        }
        if self.lan.enabled && self.lan.share_with.is_empty() {
            bail!("lan.share_with: name the sites to share with, or leave lan.enabled out");
        }
        if self.lan.share_with.len().max(self.lan.peers.len()) > NEIGHBOURS_MAX {
            bail!("lan: at most {NEIGHBOURS_MAX} sites in share_with and as many peers");
        }
        if self.name.is_empty() || self.name.len() > 64 {
            bail!("name: 1 to 64 characters");
        }
        for (key, value) in
            [("seal_every_s", self.seal_every_s), ("seal_waves_every_s", self.seal_waves_every_s), ("sync_every_s", self.sync_every_s)]
        {
            if !(1..=86_400).contains(&value) {
                bail!("{key}: 1 to 86400 seconds, got {value}");
            }
        }
        for (key, days) in [("waves_days", self.retention.waves_days), ("numerics_days", self.retention.numerics_days)] {
            if !(1..=36_500).contains(&days) {
                bail!("retention.{key}: 1 to 36500 days, got {days}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, text).expect("write");
        Config::load(&path)
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_file() {
        let error = load("name = \"a\"\ndata = \"/x\"\nbeds = [\"1\"]\nbedz = 1\n").expect_err("unknown key");
        let text = format!("{error:#}");
        assert!(text.contains("bedz") && text.contains("agent.toml"), "{text}");
    }

    #[test]
    fn a_retention_of_no_days_is_refused_by_name() {
        let error = load("name = \"a\"\ndata = \"/x\"\nbeds = [\"1\"]\n[retention]\nwaves_days = 0\n").expect_err("no days");
        assert!(format!("{error:#}").contains("retention.waves_days"), "{error:#}");
    }

    #[test]
    fn a_device_in_a_bed_that_is_not_there_is_refused() {
        let error =
            load("name = \"a\"\ndata = \"/x\"\nbeds = [\"1\"]\n[[devices]]\nid = \"m\"\nprofile = \"p\"\nbed = \"9\"\n").expect_err("bed");
        assert!(format!("{error:#}").contains("bed 9"), "{error:#}");
    }

    #[test]
    fn commands_that_do_more_than_read_are_off_until_named_and_then_checked() {
        let base = "name = \"a\"\ndata = \"/x\"\nbeds = [\"1\"]\n";
        assert!(load(base).expect("config").device_commands.is_empty());
        assert!(load(&format!("{base}device_commands = [\"erase-records\"]\n")).expect("config").device_commands.contains("erase-records"));
        let error = load(&format!("{base}device_commands = [\"erase-all\"]\n")).expect_err("unknown command");
        assert!(format!("{error:#}").contains("erase-all"), "{error:#}");
    }

    #[test]
    fn neighbours_are_off_until_asked_for_and_then_named() {
        let base = "name = \"a\"\ndata = \"/x\"\nbeds = [\"1\"]\n";
        assert!(!load(base).expect("config").lan.enabled);
        let error = load(&format!("{base}[lan]\nenabled = true\n")).expect_err("nobody named");
        assert!(format!("{error:#}").contains("lan.share_with"), "{error:#}");
        let config = load(&format!("{base}[lan]\nenabled = true\nshare_with = [\"riverside\"]\n")).expect("config");
        assert!(config.lan.discover && config.lan.bind.port() == 0);
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let config = load("name = \"a\"\ndata = \"/x\"\nbeds = [\"1\"]\n").expect("config");
        assert_eq!((config.bind.port(), config.seal_every_s, config.seal_waves_every_s), (7410, 3600, 60));
        assert_eq!(config.retention, Retention { waves_days: 30, numerics_days: 365 });
    }
}
