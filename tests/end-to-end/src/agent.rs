//! An agent: its data directory, its configuration, its process, and the commands a person would type beside it.

use crate::client::Client;
use crate::config::{self, AgentConfig};
use crate::process::{self, Process, Said, Spec};
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who signs in everywhere in a test ward.
pub const NURSE: &str = "demo";
/// The PIN of [`NURSE`]. Test wards hold no real patient and are reached from this machine only.
pub const PIN: &str = "482915";

/// One agent.
#[derive(Debug)]
pub struct Agent {
    /// Its configuration; what is changed counts from the next start.
    pub config: AgentConfig,
    file: PathBuf,
    log: PathBuf,
    bus: String,
    process: Option<Process>,
    http: String,
    lan: Option<String>,
    peak_rss_mb: f64,
    /// Milliseconds from the start of the process until it answered, the first time.
    pub ready_ms: Option<u64>,
}

impl Agent {
    /// An agent not yet started. `folder` holds its configuration and log; `bus` is the system bus it will know.
    #[must_use]
    pub fn new(folder: &Path, config: AgentConfig, bus: &str) -> Self {
        Self {
            file: folder.join("agent.toml"),
            log: folder.join("agent.log"),
            config,
            bus: bus.to_owned(),
            process: None,
            http: String::new(),
            lan: None,
            peak_rss_mb: 0.0,
            ready_ms: None,
        }
    }

    /// Starts it and waits until it is ready. The ports it was given at the first start are kept for later ones, so that those
    /// who knew it find it again.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(&mut self) -> Result<()> {
        let (process, ready) = Process::start(self.spec()?).await?;
        let bind = ready.get("http").and_then(Value::as_str).context("the agent's ready line names no http")?;
        self.http = format!("http://{bind}");
        self.config.bind = bind.to_owned();
        self.lan = ready.get("lan").and_then(Value::as_str).map(str::to_owned);
        if let (Some(lan), Some(config)) = (&self.lan, &mut self.config.lan) {
            config.bind.clone_from(lan);
        }
        for device in self.config.devices.iter_mut().filter(|device| device.listen.is_some()) {
            let listener = ready.pointer(&format!("/listeners/{}", device.id)).and_then(Value::as_str);
            device.listen =
                Some(listener.with_context(|| format!("the agent does not say where it listens for {}", device.id))?.to_owned());
        }
        self.ready_ms.get_or_insert(u64::try_from(process.ready_after.as_millis()).unwrap_or(u64::MAX));
        self.process = Some(process);
        Ok(())
    }

    /// Starts it and kills it so long after, most likely before it is ready.
    ///
    /// # Errors
    /// It does not start at all.
    pub async fn start_and_kill(&self, after: Duration) -> Result<()> {
        Process::start_and_kill(self.spec()?, after).await
    }

    fn spec(&self) -> Result<Spec<'static>> {
        config::write(&self.file, &self.config)?;
        Ok(Spec {
            name: format!("agent {}", self.config.name),
            program: "edge-agent",
            args: ["run".into(), "--config".into(), self.file.clone().into()].into(),
            env: vec![("DBUS_SYSTEM_BUS_ADDRESS", self.bus.clone()), ("RUST_LOG", "info".into())],
            log: self.log.clone(),
            die_with_us: true,
        })
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// It ends badly or not at all.
    pub async fn stop(&mut self) -> Result<()> {
        self.note_memory();
        match self.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        self.note_memory();
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It has ended; with the end of its log.
    pub async fn alive(&mut self) -> Result<()> {
        self.process.as_mut().context("the agent was not started")?.alive().await
    }

    /// Where it serves: `http://127.0.0.1:7410`.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where it listens for neighbours, while it does.
    ///
    /// # Errors
    /// It does not.
    pub fn lan(&self) -> Result<SocketAddr> {
        self.lan.as_deref().context("the agent listens for no neighbours")?.parse().context("the agent's LAN address")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    /// The most memory any of its processes has had resident, MiB.
    pub fn peak_rss_mb(&mut self) -> f64 {
        self.note_memory();
        self.peak_rss_mb
    }

    fn note_memory(&mut self) {
        let seen = self.process.as_ref().and_then(Process::peak_rss_mb);
        self.peak_rss_mb = seen.map_or(self.peak_rss_mb, |mb| mb.max(self.peak_rss_mb));
    }

    /// Runs `edge-agent <words> --config <its file>` to its end, with `stdin` typed at it.
    ///
    /// # Errors
    /// It cannot be run. That it fails is an answer.
    pub async fn command(&self, words: &[&str], stdin: &str) -> Result<Said> {
        config::write(&self.file, &self.config)?;
        let mut args: Vec<OsString> = words.iter().map(Into::into).collect();
        args.extend(["--config".into(), self.file.clone().into()]);
        process::run("edge-agent", &args, stdin).await
    }

    /// Pairs a Bluetooth device on this agent's machine, with `typed` typed at what is asked.
    ///
    /// # Errors
    /// The command cannot be run. That the device is not paired is an answer.
    pub async fn pair(&self, address: &str, typed: &str) -> Result<Said> {
        let args: Vec<OsString> = ["devices", "pair", address].map(Into::into).into();
        process::run_with("edge-agent", &args, typed, &[("DBUS_SYSTEM_BUS_ADDRESS", &self.bus)]).await
    }

    /// Adds a user.
    ///
    /// # Errors
    /// Refused.
    pub async fn add_user(&self, name: &str, role: &str, secret: &str) -> Result<()> {
        let words = ["user", "add", name, "--role", role, "--display-name", name, "--secret-stdin"];
        self.command(&words, secret).await?.ok().with_context(|| format!("user add {name}")).map(drop)
    }

    /// Enrols it at a hub.
    ///
    /// # Errors
    /// Refused.
    pub async fn enrol(&self, hub: &str, code: &str) -> Result<()> {
        self.command(&["enroll", "--hub", hub, "--code-stdin"], code).await?.ok().context("enroll").map(drop)
    }

    /// Checks everything it has kept.
    ///
    /// # Errors
    /// Something is wrong; with what.
    pub async fn verify(&self) -> Result<String> {
        self.command(&["verify"], "").await?.ok().with_context(|| format!("verify of {}", self.name()))
    }

    /// A client signed in as [`NURSE`].
    ///
    /// # Errors
    /// Sign-in is refused.
    pub async fn sign_in(&self) -> Result<Client> {
        Client::sign_in(&self.http, NURSE, PIN).await.with_context(|| format!("signing in at {}", self.name()))
    }
}
