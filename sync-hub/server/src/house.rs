//! The data directory of a hub, opened: keys, identity, authority; and the shelf on which the rest lies.

use crate::authority::Authority;
use crate::clock;
use crate::config::Config;
use crate::shelf::Shelf;
use anyhow::Context;
use edge_store::{DataDir, DataDirError};
use record::ledger::Identity;

/// A hub's data directory.
pub struct House {
    /// Keys and, for the server, the lock.
    pub data: DataDir,
    /// The certificate authority.
    pub authority: Authority,
    /// Record, fleet, accounts.
    pub shelf: Shelf,
}

impl House {
    /// Opens it for the one server, made if it is not there.
    ///
    /// # Errors
    /// Another server runs on it, or a file in it cannot be used.
    pub fn open_or_create(config: &Config) -> anyhow::Result<Self> {
        let data = DataDir::open_or_create(&config.data, &mut clock::dice)?;
        let authority = Authority::open_or_create(data.path(), clock::now().wall)?;
        Ok(Self { shelf: Shelf::of(config, &data)?, data, authority })
    }

    /// Opens it for a command that works beside the server; makes it if there has been none.
    ///
    /// # Errors
    /// A file in it cannot be used.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        match DataDir::open(&config.data) {
            Ok(data) if Authority::exists(data.path()) => {
                let authority = Authority::open(data.path())?;
                Ok(Self { shelf: Shelf::of(config, &data)?, data, authority })
            }
            Ok(_) | Err(DataDirError::Empty(_)) => Self::open_or_create(config),
            Err(error) => Err(error.into()),
        }
    }

    /// The hub's keys.
    ///
    /// # Errors
    /// Never for a seed that was made here.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        Identity::from_seed(self.data.identity_seed()).context("keys/identity.seed")
    }
}
