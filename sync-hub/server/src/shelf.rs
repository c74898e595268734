//! Where a hub keeps what it keeps: ledger, fleet, accounts; in files of the data directory, or in PostgreSQL.
//!
//! Whatever is opened here waits for a disk or a server: not for async threads.

use crate::config::{Config, Keeping};
use crate::register::Fleet;
use edge_store::{DataDir, SqliteReader, SqliteStore};
use hub_store::{AccountRow, FleetStore, Postgres, PostgresAccounts};
use protocol::{Store, StoreError};
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use web::recorder::{Gate, OpenReader};

/// Where a shelf stands.
pub enum Place<'a> {
    /// On this machine's disk.
    Files {
        /// The file of record and accounts.
        record: &'a Path,
        /// The file of the fleet.
        fleet: &'a Path,
    },
    /// In a database.
    Postgres(&'a Postgres),
}

/// A hub's shelf. Nothing is opened until it is asked for.
pub struct Shelf {
    key: [u8; 32],
    fleet: PathBuf,
    kept: Kept,
}

enum Kept {
    File(PathBuf),
    Postgres { database: Postgres, left: PathBuf },
}

impl Shelf {
    /// The shelf of a configuration, whose keys lie in `data`.
    ///
    /// # Errors
    /// Never for keys that have been read.
    pub fn of(config: &Config, data: &DataDir) -> Result<Self, StoreError> {
        let (key, at_home) = (*data.store_key(), data.store_path("hub"));
        let kept = match &config.store {
            Keeping::Sqlite => Kept::File(at_home),
            Keeping::SqliteAt(path) => Kept::File(path.clone()),
            Keeping::Postgres(url) => Kept::Postgres { database: Postgres::new(url.clone(), &key)?, left: at_home },
        };
        Ok(Self { key, fleet: data.store_path("fleet"), kept })
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        match &self.kept {
            Kept::File(record) => Place::Files { record, fleet: &self.fleet },
            Kept::Postgres { database, .. } => Place::Postgres(database),
        }
    }

    /// The database, if it is one.
    #[must_use]
    pub fn database(&self) -> Option<&Postgres> {
        match &self.kept {
            Kept::File(_) => None,
            Kept::Postgres { database, .. } => Some(database),
        }
    }

    /// The record, to be written by this process alone.
    ///
    /// # Errors
    /// [`StoreError::Away`]: a later try may succeed. Any other: it cannot be used.
    pub fn store(&self) -> Result<Box<dyn Store + Send>, StoreError> {
        match &self.kept {
            Kept::File(path) => Ok(Box::new(SqliteStore::open(path, &self.key)?)),
            Kept::Postgres { left, .. } if left.exists() => Err(StoreError::Open {
                what: left.display().to_string(),
                why: "this hub has kept its record there, and a record does not move because `store` names another place. Take `store` \
                      out of hub.toml; or, to begin anew, move hub.db and fleet.db away: every site enrols again, and sends what it holds"
                    .to_owned(),
            }),
            Kept::Postgres { database, .. } => Ok(Box::new(database.store()?)),
        }
    }

    /// Opens the record for reading, each time anew or over a connection that was used before.
    #[must_use]
    pub fn reader(&self) -> OpenReader {
        match &self.kept {
            Kept::File(path) => {
                let (path, key) = (path.clone(), self.key);
                Arc::new(move || Ok(Box::new(SqliteReader::open(&path, &key)?)))
            }
            Kept::Postgres { database, .. } => {
                let database = database.clone();
                Arc::new(move || Ok(Box::new(database.reader()?)))
            }
        }
    }

    /// Whether a hub has run here: whether there is a record to read.
    #[must_use]
    pub fn has_record(&self) -> bool {
        match &self.kept {
            Kept::File(path) => path.exists(),
            // Its schema is made by whatever comes first, commands too.
            Kept::Postgres { .. } => true,
        }
    }

    /// Closed while the database is away.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let database = self.database().cloned();
        Arc::new(move || database.as_ref().and_then(Postgres::away))
    }

    /// Who belongs, over a connection of its own.
    ///
    /// # Errors
    /// As for [`Self::store`].
    pub fn fleet(&self) -> Result<Fleet, StoreError> {
        match &self.kept {
            Kept::File(_) => Fleet::open(&self.fleet, &self.key),
            Kept::Postgres { database, .. } => FleetStore::beside(database),
        }
    }

    /// Who may sign in, over a connection of its own.
    ///
    /// # Errors
    /// As for [`Self::store`].
    pub fn accounts(&self) -> Result<Accounts, StoreError> {
        Ok(match &self.kept {
            Kept::File(path) => Accounts::File(edge_store::Accounts::open(path, &self.key)?),
            Kept::Postgres { database, .. } => Accounts::Postgres(database.accounts()?),
        })
    }

    /// Proves the record from its bytes; what was found, as `verify` prints it.
    ///
    /// # Errors
    /// The first bad entry.
    pub fn verify(&self) -> anyhow::Result<Value> {
        match &self.kept {
            Kept::File(path) => {
                let report = edge_store::verify::verify(&mut SqliteReader::open(path, &self.key)?, &mut |_| {})?;
                Ok(json!({
                    "chains": report.chains, "entries": report.entries, "payload_bytes": report.payload_bytes, "opened": report.opened,
                    "closed": report.closed, "dead": report.dead, "segments": report.segments, "receipts": report.receipts,
                    "digest": report.digest.to_string(),
                }))
            }
            Kept::Postgres { database, .. } => {
                let report = hub_store::postgres::verify(database, &mut |_, _| {})?;
                Ok(json!({
                    "chains": report.chains, "entries": report.entries, "payload_bytes": report.payload_bytes, "opened": report.opened,
                    "closed": report.closed, "dead": report.dead, "segments": report.segments, "receipts": report.receipts,
                    "digest": report.digest.to_string(),
                }))
            }
        }
    }
}

/// Who may sign in, whatever keeps them.
pub enum Accounts {
    /// Beside the record in its file.
    File(edge_store::Accounts),
    /// Beside the record in PostgreSQL.
    Postgres(PostgresAccounts),
}

impl Accounts {
    /// One account.
    ///
    /// # Errors
    /// As all below: what keeps them cannot be read or written.
    pub fn find(&self, user: &str) -> Result<Option<AccountRow>, StoreError> {
        match self {
            Self::File(accounts) => Ok(accounts.find(user)?.map(|found| AccountRow {
                user: found.user,
                display_name: found.display_name,
                role: found.role,
                secret_hash: found.secret_hash,
                failures: found.failures,
                locked_until: found.locked_until,
                disabled: found.disabled,
            })),
            Self::Postgres(accounts) => accounts.find(user),
        }
    }

    /// Adds an account, and leaves the event, both or neither; whether the name was free.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn add(&self, new: &AccountRow, audit: &AuditEvent) -> Result<bool, StoreError> {
        match self {
            Self::File(accounts) => {
                let AccountRow { user, display_name, role, secret_hash, .. } = new.clone();
                match accounts.add(&edge_store::NewUser { user, display_name, role, secret_hash }, audit) {
                    Ok(()) => Ok(true),
                    Err(edge_store::AccountsError::Store(error)) => Err(error),
                    Err(edge_store::AccountsError::Exists(_) | edge_store::AccountsError::Unknown(_)) => Ok(false),
                }
            }
            Self::Postgres(accounts) => accounts.add(new, audit),
        }
    }

    /// Keeps what a sign-in attempt left behind.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), StoreError> {
        match self {
            Self::File(accounts) => accounts.note_attempt(user, failures, locked_until),
            Self::Postgres(accounts) => accounts.note_attempt(user, failures, locked_until),
        }
    }

    /// Leaves an audit event for the hub to bring into the ledger.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn push_audit(&self, event: &AuditEvent) -> Result<(), StoreError> {
        match self {
            Self::File(accounts) => accounts.push_audit(event),
            Self::Postgres(accounts) => accounts.push_audit(event),
        }
    }

    /// Events left, oldest first, a batch of them, each with its number.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn pending_audit(&self) -> Result<Vec<(u64, AuditEvent)>, StoreError> {
        match self {
            Self::File(accounts) => accounts.pending_audit(),
            Self::Postgres(accounts) => accounts.pending_audit(),
        }
    }

    /// Forgets events up to and including `through`.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn drop_audit(&self, through: u64) -> Result<(), StoreError> {
        match self {
            Self::File(accounts) => accounts.drop_audit(through),
            Self::Postgres(accounts) => accounts.drop_audit(through),
        }
    }
}
