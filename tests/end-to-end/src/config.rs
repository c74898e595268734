//! The configuration files of the programs, as an installer would write them.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Any free port of this machine.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// `agent.toml`.
#[derive(Clone, Debug, Serialize)]
pub struct AgentConfig {
    /// The clinic's name.
    pub name: String,
    /// Data directory.
    pub data: PathBuf,
    /// Where it serves.
    pub bind: String,
    /// The built screens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ui: Option<PathBuf>,
    /// Beds in painted order.
    pub beds: Vec<String>,
    /// Seconds of numerics in a segment.
    pub seal_every_s: u32,
    /// Seconds of waves in a segment.
    pub seal_waves_every_s: u32,
    /// Seconds between sync sessions.
    pub sync_every_s: u32,
    /// Commands that do more than read a device and may be sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_commands: Vec<String>,
    /// Devices.
    pub devices: Vec<DeviceConfig>,
    /// Other boxes of the clinic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lan: Option<LanConfig>,
}

/// `[lan]` of `agent.toml`.
#[derive(Clone, Debug, Serialize)]
pub struct LanConfig {
    /// Whether others are spoken to.
    pub enabled: bool,
    /// Where they are listened for.
    pub bind: String,
    /// Whether they are looked for by mDNS.
    pub discover: bool,
    /// With which sites the record is shared.
    pub share_with: Vec<String>,
    /// Where boxes are that need not be looked for.
    pub peers: Vec<String>,
}

/// One device of `agent.toml`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeviceConfig {
    /// Its id.
    pub id: String,
    /// What the ward calls it.
    pub name: String,
    /// Its page of facts.
    pub profile: String,
    /// The bed it reads for at first.
    pub bed: String,
    /// Its serial port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<PathBuf>,
    /// Where it connects to the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Its Bluetooth address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// `hub.toml`.
#[derive(Clone, Debug, Serialize)]
pub struct HubConfig {
    /// What operators call it.
    pub name: String,
    /// Data directory.
    pub data: PathBuf,
    /// Where it keeps its record, if not in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Where it serves HTTP and TLS.
    pub bind: String,
    /// Where it serves MQTT over TLS.
    pub mqtt: String,
    /// Under which names agents reach it.
    pub names: Vec<String>,
    /// The built screens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ui: Option<PathBuf>,
}

/// Writes a configuration file.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, config: &impl Serialize) -> Result<()> {
    let text = toml::to_string(config).context("a configuration that is no TOML")?;
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
