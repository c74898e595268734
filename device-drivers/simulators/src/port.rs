//! A serial port that can be unplugged: a pseudo-terminal behind a symlink.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_serial::{SerialPort, SerialStream};

const POLL: Duration = Duration::from_millis(50);
const WRITE_WAIT: Duration = Duration::from_secs(2);

/// The device's end.
pub struct Port {
    ours: SerialStream,
    /// Whether a program has the other end open. On a real line bytes sent before that are lost, so they are here.
    heard: bool,
}

impl Port {
    /// Plugs in: makes a pseudo-terminal and points `link` at it in one step.
    ///
    /// # Errors
    /// No pseudo-terminal to be had, or the link cannot be written.
    pub fn open(link: &Path) -> Result<Self> {
        let (ours, theirs) = SerialStream::pair().context("no pseudo-terminal")?;
        let path = theirs.name().context("a pseudo-terminal without a name")?;
        let mut fresh = OsString::from(link);
        fresh.push(".new");
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(&path, &fresh).with_context(|| format!("cannot link {}", link.display()))?;
        std::fs::rename(&fresh, link).with_context(|| format!("cannot link {}", link.display()))?;
        Ok(Self { ours, heard: false })
    }

    /// Writes, unless nobody listens; false if the host took nothing for too long.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        !self.heard || bytes.is_empty() || timeout(WRITE_WAIT, self.ours.write_all(bytes)).await.is_ok()
    }

    async fn read(&mut self) -> Vec<u8> {
        let mut piece = [0; 512];
        match timeout(POLL, self.ours.read(&mut piece)).await {
            // Waiting means that the other end is open; with nobody there a read fails at once.
            Err(_) => self.heard = true,
            Ok(Ok(count)) if count > 0 => {
                self.heard = true;
                return piece[..count].to_vec();
            }
            Ok(_) => {
                self.heard = false;
                sleep(POLL).await;
            }
        }
        Vec::new()
    }
}

/// What the host wrote within the next moment; for ever nothing while unplugged.
pub async fn read(port: &mut Option<Port>) -> Vec<u8> {
    match port {
        Some(port) => port.read().await,
        None => std::future::pending().await,
    }
}
