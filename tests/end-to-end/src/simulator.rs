//! Simulated monitors: the `simulators` program, told over stdin what happens to the device.

use crate::process::{Process, Spec};
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What becomes of the simulated patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// Stays well.
    Stable,
    /// Falls ill within seconds.
    Deteriorating,
}

impl Course {
    const fn word(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Deteriorating => "deteriorating",
        }
    }
}

/// Who wears the device.
#[derive(Clone, Copy, Debug)]
pub struct Wearer {
    /// Which patient; also makes a device's address its own.
    pub seed: u64,
    /// What becomes of them.
    pub course: Course,
}

/// One running simulator.
#[derive(Debug)]
pub struct Simulator {
    process: Process,
    log: PathBuf,
    /// What it said when it was ready.
    pub ready: Value,
}

impl Simulator {
    /// A heart-rate strap (`hr`) and an oximeter (`plx`) on a private bus at `socket`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn bluetooth(folder: &Path, wearer: Wearer, socket: &Path) -> Result<Self> {
        Self::bluetooth_with(folder, wearer, socket, &[]).await
    }

    /// Bluetooth devices with options of their own (`--devices`, `--passkey`, `--omit`), on a private bus at `socket`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn bluetooth_with(folder: &Path, wearer: Wearer, socket: &Path, options: &[&str]) -> Result<Self> {
        let mut all: Vec<OsString> = vec!["--socket".into(), socket.into()];
        all.extend(options.iter().map(Into::into));
        Self::start(folder, wearer, "ble", &all).await
    }

    /// A device that speaks `protocol` on the pseudo-terminal `link`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn wire(folder: &Path, wearer: Wearer, protocol: &str, link: &Path) -> Result<Self> {
        Self::start(folder, wearer, "wire", &["--protocol".into(), protocol.into(), "--link".into(), link.into()]).await
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// A GE monitor on the pseudo-terminal `link`.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn serial(folder: &Path, wearer: Wearer, link: &Path) -> Result<Self> {
        Self::start(folder, wearer, "dri", &["--link".into(), link.into()]).await
    }

    /// An HL7 monitor that connects to `listener` and logs what was acknowledged.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn hl7(folder: &Path, wearer: Wearer, listener: &str, ack_log: &Path) -> Result<Self> {
        Self::start(folder, wearer, "mllp", &["--connect".into(), listener.into(), "--ack-log".into(), ack_log.into()]).await
    }

    /// A monitor that speaks `protocol` at a port of its own, and the address it listens at.
    ///
    /// # Errors
    /// It does not come up, or does not say where it listens.
    pub async fn listening(folder: &Path, wearer: Wearer, protocol: &str) -> Result<(Self, String)> {
        let options = ["--protocol", protocol, "--listen", "127.0.0.1:0"].map(OsString::from);
        let simulator = Self::start(folder, wearer, "wire", &options).await?;
        let address = simulator.ready.pointer("/ready/listen").and_then(Value::as_str).map(str::to_owned);
        Ok((simulator, address.context("the simulator does not say where it listens")?))
    }

    async fn start(folder: &Path, wearer: Wearer, kind: &str, options: &[OsString]) -> Result<Self> {
        let mut args: Vec<OsString> = vec![kind.into()];
        args.extend_from_slice(options);
        args.extend(["--seed", &wearer.seed.to_string(), "--course", wearer.course.word(), "--follow-stdin"].map(Into::into));
        let log = folder.join(format!("simulator-{kind}.log"));
        let spec = Spec {
            name: format!("simulator {kind}"),
            program: "simulators",
            args,
            env: vec![("RUST_LOG", "info".into())],
            log: log.clone(),
            // It has a bus daemon to take along, and ends with our end of its stdin.
            die_with_us: false,
        };
        let (process, ready) = Process::start(spec).await?;
        Ok(Self { process, log, ready })
    }

    /// Does something to the device: `unplug plx`, `course improving`.
    ///
    /// # Errors
    /// The simulator has ended.
    pub async fn tell(&mut self, command: &str) -> Result<()> {
        self.process.tell(command).await
    }

    /// What it has said since it was ready: `{"shows":{"device","passkey"}}`, `{"written":{"device","characteristic","bytes"}}`.
    #[must_use]
    pub fn heard(&self) -> Vec<Value> {
        self.process.heard()
    }

    /// The Bluetooth address of one of its devices.
    #[must_use]
    pub fn address_of(&self, device: &str) -> Option<String> {
        let devices = self.ready.pointer("/ready/devices")?.as_array()?;
        let found = devices.iter().find(|one| one.get("device").is_some_and(|name| name == device))?;
        Some(found.get("address")?.as_str()?.to_owned())
    }

    /// Ends it.
    ///
    /// # Errors
    /// It ends badly.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}

/// What was acknowledged to an HL7 monitor, oldest first: `{"id","t_ms","values":{"<LOINC>":number}}`.
///
/// # Errors
/// A line that is none.
pub fn acknowledged(log: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    // The last line may be under way.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}
