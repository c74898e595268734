//! The data directory of a hub, opened: keys, identity, authority, and where record and fleet lie.

use crate::authority::Authority;
use crate::clock;
use crate::config::Config;
use crate::register::Fleet;
use anyhow::Context;
use edge_store::{DataDir, DataDirError};
use record::ledger::Identity;
use std::path::PathBuf;

/// A hub's data directory.
pub struct House {
    /// Keys and, for the server, the lock.
    pub data: DataDir,
    /// The certificate authority.
    pub authority: Authority,
}

impl House {
    /// Opens it for the one server, made if it is not there.
    ///
    /// # Errors
    /// Another server runs on it, or a file in it cannot be used.
    pub fn open_or_create(config: &Config) -> anyhow::Result<Self> {
        let data = DataDir::open_or_create(&config.data, &mut clock::dice)?;
        let authority = Authority::open_or_create(data.path(), clock::now().wall)?;
        Ok(Self { data, authority })
    }

    /// Opens it for a command that works beside the server; makes it if there has been none.
    ///
    /// # Errors
    /// A file in it cannot be used.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        match DataDir::open(&config.data) {
            Ok(data) if Authority::exists(data.path()) => {
                let authority = Authority::open(data.path())?;
                Ok(Self { data, authority })
            }
            Ok(_) | Err(DataDirError::Empty(_)) => Self::open_or_create(config),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the record lies.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.data.store_path("hub")
    }

    /// Where the fleet lies.
    #[must_use]
    pub fn fleet_path(&self) -> PathBuf {
        self.data.store_path("fleet")
    }

    /// The fleet, over a connection of its own.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn fleet(&self) -> anyhow::Result<Fleet> {
        Ok(Fleet::open(&self.fleet_path(), self.data.store_key())?)
    }

    /// The hub's keys.
    ///
    /// # Errors
    /// Never for a seed that was made here.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        Identity::from_seed(self.data.identity_seed()).context("keys/identity.seed")
    }
}
