//! A hub: its data directory, its process, its sites.

use crate::agent::{NURSE, PIN};
use crate::client::Client;
use crate::config::{self, HubConfig};
use crate::process::{self, Process, Said, Spec};
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who signs in at the hub of a test ward, with the same PIN as at the agents.
pub const OPERATOR: &str = NURSE;

/// One hub.
#[derive(Debug)]
pub struct Hub {
    /// Its configuration; what is changed counts from the next start.
    pub config: HubConfig,
    file: PathBuf,
    log: PathBuf,
    process: Option<Process>,
    http: String,
    peak_rss_mb: f64,
}

impl Hub {
    /// A hub not yet started, all of it in `folder`.
    #[must_use]
    pub fn new(folder: &Path, config: HubConfig) -> Self {
        let (file, log) = (folder.join("hub.toml"), folder.join("hub.log"));
        Self { config, file, log, process: None, http: String::new(), peak_rss_mb: 0.0 }
    }

    /// Starts it and waits until it is ready; its ports stay what they were at the first start.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(&mut self) -> Result<()> {
        let (process, ready) = Process::start(self.spec()?).await?;
        let said = |key: &str| {
            ready.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("the hub's ready line names no {key}"))
        };
        self.config.bind = said("http")?;
        self.config.mqtt = said("mqtt")?;
        self.http = format!("http://{}", self.config.bind);
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
            name: "hub".into(),
            program: "sync-hub",
            args: ["run".into(), "--config".into(), self.file.clone().into()].into(),
            env: vec![("RUST_LOG", "info".into())],
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

    /// Checks everything it has kept.
    ///
    /// # Errors
    /// Something is wrong; with what.
    pub async fn verify(&self) -> Result<String> {
        self.command(&["verify"], "").await
    }

    /// Where it serves, as an address; known once it has run.
    ///
    /// # Errors
    /// It has not.
    pub fn address(&self) -> Result<SocketAddr> {
        self.config.bind.parse().context("the hub's address")
    }

    /// Where it serves.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It has ended; with the end of its log.
    pub async fn alive(&mut self) -> Result<()> {
        self.process.as_mut().context("the hub was not started")?.alive().await
    }

    /// The most memory it has had resident, MiB.
    pub fn peak_rss_mb(&mut self) -> f64 {
        self.note_memory();
        self.peak_rss_mb
    }

    fn note_memory(&mut self) {
        let seen = self.process.as_ref().and_then(Process::peak_rss_mb);
        self.peak_rss_mb = seen.map_or(self.peak_rss_mb, |mb| mb.max(self.peak_rss_mb));
    }

    async fn command(&self, words: &[&str], stdin: &str) -> Result<String> {
        config::write(&self.file, &self.config)?;
        let mut args: Vec<OsString> = words.iter().map(Into::into).collect();
        args.extend(["--config".into(), self.file.clone().into()]);
        process::run("sync-hub", &args, stdin).await?.ok().with_context(|| format!("sync-hub {}", words.join(" ")))
    }

    /// Runs `sync-hub <words> --config <its file>` to its end.
    ///
    /// # Errors
    /// It cannot be run. That it fails is an answer.
    pub async fn say(&self, words: &[&str]) -> Result<Said> {
        config::write(&self.file, &self.config)?;
        let mut args: Vec<OsString> = words.iter().map(Into::into).collect();
        args.extend(["--config".into(), self.file.clone().into()]);
        process::run("sync-hub", &args, "").await
    }

    /// Adds a site; its one-time code.
    ///
    /// # Errors
    /// Refused.
    pub async fn add_site(&self, name: &str) -> Result<String> {
        let said = self.command(&["site", "add", name], "").await?;
        Ok(said.trim().to_owned())
    }

    /// Ends a site's membership.
    ///
    /// # Errors
    /// Refused.
    pub async fn revoke_site(&self, name: &str) -> Result<()> {
        let operator = self.sign_in().await?;
        let body = serde_json::json!({"confirm": name, "reason": "a test of revocation"});
        operator.post(&format!("/api/v1/sites/{name}/revoke"), &body).await.map(drop)
    }

    /// Adds the operator.
    ///
    /// # Errors
    /// Refused.
    pub async fn add_operator(&self) -> Result<()> {
        let words = ["user", "add", OPERATOR, "--role", "operator", "--name", "Demo operator", "--pin-stdin"];
        self.command(&words, PIN).await.map(drop)
    }

    /// A client signed in as [`OPERATOR`].
    ///
    /// # Errors
    /// Sign-in is refused.
    pub async fn sign_in(&self) -> Result<Client> {
        Client::sign_in(&self.http, OPERATOR, PIN).await.context("signing in at the hub")
    }
}
