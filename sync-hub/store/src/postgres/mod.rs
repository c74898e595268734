//! A hub's record in PostgreSQL, for a fleet that has outgrown a file: the same [`Store`] as `edge-store`'s.
//!
//! Always: what [`protocol::Transaction::commit`] has returned from survives the server's end, however that comes
//! (`synchronous_commit`, and a server with `fsync = off` is refused); of several hubs given one database one writes, the
//! others are refused by name; a commit whose answer was lost is looked up, not guessed; what documents, bindings and ticks
//! say, and every scope's key, is sealed with the hub's store key before it leaves this process.
//! Never here: TLS. Over a network the database is reached through a tunnel, or in the clear where the URL says
//! `sslmode=disable`.
//!
//! Not for a thread that runs tasks of an async runtime: the client waits on one of its own.

mod accounts;
mod backup;
mod db;
mod fleet;
mod link;
mod sealing;
mod shared;
mod tables;
mod transaction;
mod url;
mod verify;

pub use accounts::{AccountRow, PostgresAccounts};
pub use backup::TABLES as SAVED;
pub use url::PostgresUrl;
pub use verify::{PostgresFault, PostgresReport, verify};

pub(crate) use fleet::PostgresRegister;
use link::{Link, Role};
use protocol::store::{Store, StoreError, Transaction};
use shared::Shared;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use transaction::PostgresTransaction;

/// Readers that are kept connected for the next question.
const IDLE: usize = 4;

/// A database as one process knows it; clones share what is known. Nothing is connected until something is opened.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
    idle: Arc<Mutex<Vec<PostgresReader>>>,
}

impl Postgres {
    /// The database at an address, whose sealed parts open with the hub's store key.
    ///
    /// # Errors
    /// Never for a key of the right length.
    pub fn new(url: PostgresUrl, key: &[u8; 32]) -> Result<Self, StoreError> {
        Ok(Self { shared: Shared::new(url, key)?, idle: Arc::default() })
    }

    /// Why it cannot be reached at this moment, [`StoreError::Away`]; none while it is there, as far as is known. Answers at once.
    #[must_use]
    pub fn away(&self) -> Option<StoreError> {
        self.shared.away()
    }

    /// Waits while it is [`Self::away`], so long at most.
    pub fn wait(&self, longest: Duration) {
        self.shared.wait(longest);
    }

    /// Takes the one place of the writer, and brings the schema `lamplight` up to date.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it is not reached; a later try may succeed. [`StoreError::Open`]: it refuses; another hub writes there; a
    /// newer version has written there; it runs with `fsync = off`.
    pub fn store(&self) -> Result<PostgresStore, StoreError> {
        Ok(PostgresStore { link: Link::open(&self.shared, Role::Writer)? })
    }

    /// A connection that only reads, of a record that exists; one that was used before if there is one.
    ///
    /// # Errors
    /// As for [`Self::store`].
    pub fn reader(&self) -> Result<impl Store + Send + use<>, StoreError> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match kept {
            Some(reader) => reader,
            None => PostgresReader { link: Link::open(&self.shared, Role::Reader)? },
        };
        Ok(Lent { reader: Some(reader), home: Arc::clone(&self.idle) })
    }

    /// Who may sign in.
    ///
    /// # Errors
    /// As for [`Self::store`].
    pub fn accounts(&self) -> Result<PostgresAccounts, StoreError> {
        Ok(PostgresAccounts::new(Link::open(&self.shared, Role::Clerk)?))
    }

    pub(crate) fn register(&self) -> Result<PostgresRegister, StoreError> {
        Ok(PostgresRegister::new(Link::open(&self.shared, Role::Clerk)?))
    }
}

/// A reader that goes home when it is dropped.
struct Lent {
    reader: Option<PostgresReader>,
    home: Arc<Mutex<Vec<PostgresReader>>>,
}

impl Store for Lent {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        match &mut self.reader {
            Some(reader) => reader.begin(),
            None => Err(StoreError::Other("a reader that has been given back".to_owned())),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.extend(self.reader.take());
        }
    }
}

/// The record, to be written by this process alone.
pub struct PostgresStore {
    link: Link,
}

impl PostgresStore {
    /// [`Postgres::store`] of a database that nothing else in this process uses.
    ///
    /// # Errors
    /// As there, and [`StoreError::Open`]: the URL is none or asks for TLS.
    pub fn open(url: &str, key: &[u8; 32]) -> Result<Self, StoreError> {
        Postgres::new(url.parse()?, key)?.store()
    }

    /// A second connection that only reads: for answering queries while the first one writes. It sees what is committed.
    ///
    /// # Errors
    /// As [`PostgresReader::open`].
    pub fn reader(&self) -> Result<PostgresReader, StoreError> {
        Ok(PostgresReader { link: self.link.another(Role::Reader)? })
    }
}

/// Reads a record that somebody else may be writing. A transaction of it is one moment's view; its writes are refused with
/// [`StoreError::Other`].
pub struct PostgresReader {
    link: Link,
}

impl PostgresReader {
    /// Connects to a record that exists and has this version's schema.
    ///
    /// # Errors
    /// [`StoreError::Open`], as for [`PostgresStore::open`].
    pub fn open(url: &str, key: &[u8; 32]) -> Result<Self, StoreError> {
        Ok(Self { link: Link::open(&Shared::new(url.parse()?, key)?, Role::Reader)? })
    }
}

impl Store for PostgresStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        self.link.begin()?;
        Ok(Box::new(PostgresTransaction::new(&mut self.link)))
    }
}

impl Store for PostgresReader {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        self.link.begin()?;
        Ok(Box::new(PostgresTransaction::new(&mut self.link)))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(self.link.what()).finish()
    }
}

impl fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresReader").field(self.link.what()).finish()
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.shared.url).finish()
    }
}
