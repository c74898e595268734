//! PouchDB on Node, and pouchdb-server to replicate to: the offline-first pair that clinics' software is often built on.

use super::{Cache, said};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SCRIPT: &str = include_str!("pouch.mjs");

/// A running server, and the script that replicates to it.
#[derive(Debug)]
pub struct Pouch {
    server: Child,
    folder: PathBuf,
    modules: PathBuf,
    /// Where it listens.
    pub port: u16,
}

/// What a replication took.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Replicated {
    /// Seconds by the clock on the wall.
    pub wall_s: f64,
    /// Documents written at the server.
    pub written: usize,
}

impl Pouch {
    /// Starts a server below `folder`.
    ///
    /// # Errors
    /// It is not set up or does not start.
    pub fn start(cache: &Cache, folder: &Path) -> Result<Self> {
        let modules = cache.node()?;
        let node = cache.program("node", "nodejs")?;
        let folder = folder.join("pouchdb");
        std::fs::create_dir_all(folder.join("server"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(node);
        command.arg(modules.join("node_modules/pouchdb-server/bin/pouchdb-server"));
        command.args(["--no-stdout-logs", "--port", &port.to_string(), "--dir"]).arg(folder.join("server"));
        // It writes its own log where it stands.
        command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().context("starting pouchdb-server")?;
        let mut pouch = Self { server, folder, modules, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(pouch);
            }
            if pouch.server.try_wait()?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("pouchdb-server does not start")
    }

    /// Puts the visits into a new local database, one `bulkDocs` each, and replicates it to the server through `port`; only the
    /// replication is timed. `round` names the databases.
    ///
    /// # Errors
    /// It fails.
    pub fn replicate(&self, visits: &[Vec<Value>], round: usize, port: u16) -> Result<Replicated> {
        std::fs::write(self.folder.join("visits.json"), serde_json::to_vec(visits)?)?;
        // Modules are found from where a script lies.
        std::os::unix::fs::symlink(self.modules.join("node_modules"), self.folder.join("node_modules"))
            .or_else(|error| if error.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
        std::fs::write(self.folder.join("pouch.mjs"), SCRIPT)?;
        let remote = format!("http://127.0.0.1:{port}/bench-{round}");
        let out = said(Command::new("node").args(["pouch.mjs", &format!("local-{round}"), &remote]).current_dir(&self.folder))?;
        serde_json::from_str(out.trim()).with_context(|| format!("the replication said {out:?}"))
    }
}

impl Drop for Pouch {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
