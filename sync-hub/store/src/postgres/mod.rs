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

mod db;
mod link;
mod sealing;
mod tables;
mod transaction;

use link::{Link, Role};
use protocol::store::{Store, StoreError, Transaction};
use std::fmt;
use transaction::PostgresTransaction;

/// The record, to be written by this process alone.
pub struct PostgresStore {
    link: Link,
}

impl PostgresStore {
    /// Connects, takes the one place of the writer, and brings the schema `lamplight` up to date. `url` is
    /// `postgres://user@host/database?…` or libpq's `key=value` form; a host that begins with `/` is a socket's directory.
    /// `key` is the hub's store key.
    ///
    /// # Errors
    /// [`StoreError::Open`]: the URL is none or asks for TLS; the server is not reached within ten seconds or refuses; another
    /// hub writes there; a newer version has written there; it runs with `fsync = off`.
    pub fn open(url: &str, key: &[u8; 32]) -> Result<Self, StoreError> {
        Ok(Self { link: Link::open(url, key, Role::Writer)? })
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
        Ok(Self { link: Link::open(url, key, Role::Reader)? })
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
        f.debug_tuple("PostgresStore").field(&self.link.what()).finish()
    }
}

impl fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresReader").field(&self.link.what()).finish()
    }
}
