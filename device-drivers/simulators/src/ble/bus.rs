//! A private D-Bus daemon, ended with its owner.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// A running bus.
pub struct Bus {
    /// What goes into `DBUS_SYSTEM_BUS_ADDRESS`.
    pub address: String,
    socket: PathBuf,
    config: PathBuf,
    daemon: Child,
    _directory: TempDir,
}

impl Bus {
    /// Starts a bus that anyone on this machine with access to its socket may use.
    ///
    /// # Errors
    /// `dbus-daemon` is not installed or does not come up.
    pub async fn start(socket: Option<&Path>) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("lamplight-bus-").tempdir().context("no temporary directory")?;
        let socket = socket.map_or_else(|| directory.path().join("socket"), Path::to_owned);
        let config = directory.path().join("bus.conf");
        std::fs::write(&config, configuration(&socket)).context("cannot write the bus configuration")?;
        let daemon = launch(&config, &socket).await?;
        Ok(Self { address: format!("unix:path={}", socket.display()), socket, config, daemon, _directory: directory })
    }

    /// Ends the bus, and every connection with it, and starts it again so long after at the same address.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(&mut self, away: Duration) -> Result<()> {
        self.daemon.kill().await.context("cannot end dbus-daemon")?;
        sleep(away).await;
        self.daemon = launch(&self.config, &self.socket).await?;
        Ok(())
    }

    /// Ends the bus for good.
    pub async fn stop(mut self) {
        let _ = self.daemon.kill().await;
    }
}

async fn launch(config: &Path, socket: &Path) -> Result<Child> {
    let _ = std::fs::remove_file(socket);
    let mut daemon = Command::new("dbus-daemon")
        .arg(format!("--config-file={}", config.display()))
        .args(["--nofork", "--print-address"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It complains that it may not raise its file limit, which is of no matter here.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start dbus-daemon (Debian package dbus-daemon or dbus)")?;
    let stdout = daemon.stdout.take().context("dbus-daemon has no stdout")?;
    let mut printed = String::new();
    BufReader::new(stdout).read_line(&mut printed).await.context("dbus-daemon says nothing")?;
    anyhow::ensure!(printed.starts_with("unix:"), "dbus-daemon did not come up");
    Ok(daemon)
}

fn configuration(socket: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}
