//! What Lamplight is held against. Each peer is the real program or library; one that is not here says why.
//!
//! Programs come from Debian (`postgresql`, `influxdb`, `flac`), libraries from PyPI and npm; the latter two lie in a cache directory
//! that `cargo xtask bench` fills, outside the checkout.

pub mod arrow;
pub mod codecs;
pub mod disk;
pub mod influx;
pub mod postgres;
pub mod pouch;
pub mod sdc;

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the peers' libraries are.
#[derive(Clone, Debug)]
pub struct Cache(Option<PathBuf>);

impl Cache {
    /// The cache at this directory; none if peers are not wanted.
    #[must_use]
    pub const fn at(folder: Option<PathBuf>) -> Self {
        Self(folder)
    }

    /// Whether peers are wanted at all.
    ///
    /// # Errors
    /// They are not.
    pub fn wanted(&self) -> Result<&Path> {
        self.0.as_deref().context("peers were not asked for")
    }

    /// The Python that has pyarrow, duckdb and sdc11073.
    ///
    /// # Errors
    /// It is not set up.
    pub fn python(&self) -> Result<PathBuf> {
        let python = self.wanted()?.join("python/bin/python");
        ensure!(python.is_file(), "no {}: pyarrow and duckdb from PyPI could not be set up", python.display());
        Ok(python)
    }

    /// The directory whose `node_modules` has PouchDB.
    ///
    /// # Errors
    /// It is not set up.
    pub fn node(&self) -> Result<PathBuf> {
        let folder = self.wanted()?.join("npm");
        ensure!(folder.join("node_modules/pouchdb").is_dir(), "no {}: pouchdb from npm could not be set up", folder.display());
        Ok(folder)
    }

    /// A program of a Debian package: in the path, or where Debian puts servers.
    ///
    /// # Errors
    /// It is not installed.
    pub fn program(&self, name: &str, package: &str) -> Result<PathBuf> {
        self.wanted()?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
        found.with_context(|| format!("no {name}: Debian's package {package} is not installed"))
    }
}

/// Runs a command to its end; its stdout.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        let err = String::from_utf8_lossy(&output.stderr);
        let end: Vec<&str> = err.trim().lines().rev().take(3).collect();
        bail!("{}: {}", command.get_program().to_string_lossy(), end.into_iter().rev().collect::<Vec<_>>().join(" | "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
