//! One agent and the devices given it, without hub or patients: what a technician sees of links that fail.

use crate::agent::{Agent, NURSE, PIN};
use crate::client::Client;
use crate::config::{ANY_PORT, AgentConfig, DeviceConfig};
use crate::process::last_lines;
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything about a link may take here. Generous: tests share two cores with a compiler.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A place for sockets, ports and logs, before anything is started.
#[derive(Debug)]
pub struct Room {
    folder: TempDir,
}

impl Room {
    /// An empty one.
    ///
    /// # Errors
    /// No temporary directory.
    pub fn new() -> Result<Self> {
        // A socket's path may have 108 bytes at most.
        Ok(Self { folder: tempfile::Builder::new().prefix("lamplight-bed-").tempdir().context("a directory for the bedside")? })
    }

    /// Its directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the private system bus listens.
    #[must_use]
    pub fn bus(&self) -> PathBuf {
        self.folder().join("bus")
    }
}

/// A running agent whose devices are looked at.
#[derive(Debug)]
pub struct Bedside {
    /// The agent.
    pub agent: Agent,
    nurse: Client,
}

impl Bedside {
    /// Starts an agent with these devices.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn open(room: &Room, devices: Vec<DeviceConfig>) -> Result<Self> {
        let config = AgentConfig {
            name: "bedside".into(),
            data: room.folder().join("data"),
            bind: ANY_PORT.into(),
            ui: None,
            beds: vec!["1".into()],
            seal_every_s: 60,
            seal_waves_every_s: 60,
            sync_every_s: 60,
            device_commands: Vec::new(),
            devices,
            lan: None,
        };
        let mut agent = Agent::new(room.folder(), config, &format!("unix:path={}", room.bus().display()));
        agent.start().await?;
        agent.add_user(NURSE, "nurse", PIN).await?;
        let nurse = agent.sign_in().await?;
        Ok(Self { agent, nurse })
    }

    /// A device as the technician sees it.
    ///
    /// # Errors
    /// Refused, or no such device.
    pub async fn device(&self, id: &str) -> Result<Value> {
        let all = self.nurse.get("/api/v1/devices").await?;
        let ours = |device: &&Value| device["id"].as_str().and_then(|full| full.rsplit_once('.')).is_some_and(|(name, _)| name == id);
        all.as_array().into_iter().flatten().find(ours).cloned().with_context(|| format!("the agent knows no device {id}"))
    }

    /// Waits until a device is shown in `state`, for a reason that has `words` in it.
    ///
    /// # Errors
    /// It is not in time; with what was shown and logged last.
    pub async fn shows(&self, id: &str, state: &str, words: &str) -> Result<()> {
        let mut last = Value::Null;
        let what = format!("{id} is {state}, {words:?}");
        let shown = until(&what, PATIENCE, async || {
            last = self.device(id).await?;
            let fits = last["state"] == state && last["reason"].as_str().is_some_and(|reason| reason.contains(words));
            Ok(fits.then_some(()))
        });
        let shown = shown.await;
        shown.with_context(|| format!("shown last: {} {}\n{}", last["state"], last["reason"], last_lines(self.agent.log()))).map(drop)
    }

    /// Waits until a device is connected and is heard anew.
    ///
    /// # Errors
    /// It is not in time; with what was shown and logged last.
    pub async fn is_heard(&self, id: &str) -> Result<()> {
        let mut last = self.device(id).await?;
        let before = last["last_data_ms"].clone();
        let what = format!("{id} is heard");
        let heard = until(&what, PATIENCE, async || {
            last = self.device(id).await?;
            Ok((last["state"] == "connected" && last["last_data_ms"] != before).then_some(()))
        });
        let heard = heard.await;
        heard.with_context(|| format!("shown last: {} {}\n{}", last["state"], last["reason"], last_lines(self.agent.log()))).map(drop)
    }

    /// Looks for so long, and expects the device to be shown in `state` throughout.
    ///
    /// # Errors
    /// It is shown otherwise once.
    pub async fn stays(&self, id: &str, state: &str, looks: usize) -> Result<()> {
        for _ in 0..looks {
            let view = self.device(id).await?;
            ensure!(view["state"] == state, "{id} is shown {} {}", view["state"], view["reason"]);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Gathers what each row of a table came to, and fails with the names of those that did not hold.
#[derive(Debug, Default)]
pub struct Rows {
    failed: Vec<String>,
}

impl Rows {
    /// Notes a row.
    pub fn note(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => println!("{name}: holds"),
            Err(error) => {
                println!("{name}: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// The table's outcome.
    ///
    /// # Errors
    /// Rows failed; these are named.
    pub fn hold(self) -> Result<()> {
        if self.failed.is_empty() { Ok(()) } else { bail!("rows that do not hold: {}", self.failed.join("; ")) }
    }
}
