//! The store itself, and its read-only companion.

use crate::accounts::Accounts;
use crate::db::explain;
use crate::migrate::{SCHEMA, check, migrate};
use crate::open;
use crate::transaction::SqliteTransaction;
use protocol::store::{Store, StoreError, Transaction};
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A replica's record in one encrypted file. One per file and process; [`crate::DataDir`] holds the lock.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    key: Zeroizing<[u8; 32]>,
}

impl SqliteStore {
    /// Opens the store at `path`, making it if it is not there and bringing its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`]: the key does not fit, the file is another program's or a newer version's, or cannot be reached.
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        let mut connection = open::read_write(path, key)?;
        migrate(&mut connection, path)?;
        Ok(Self { connection, path: path.to_owned(), key: Zeroizing::new(*key) })
    }

    /// A second connection that only reads: for answering queries while the first one writes. It sees what is committed.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        SqliteReader::open(&self.path, &self.key)
    }

    /// Who may sign in, over a connection of its own.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn accounts(&self) -> Result<Accounts, StoreError> {
        Accounts::open(&self.path, &self.key)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        begin(&mut self.connection, &self.path, TransactionBehavior::Immediate)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.path).finish()
    }
}

/// Reads a store that somebody else may be writing. A transaction of it is one moment's view; its writes are refused with
/// [`StoreError::Other`]. Hold transactions briefly: the WAL cannot shrink behind them.
pub struct SqliteReader {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
}

impl SqliteReader {
    /// Opens a store that exists and has this version's schema.
    ///
    /// # Errors
    /// [`StoreError::Open`], as for [`SqliteStore::open`].
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        let connection = open::read_only(path, key)?;
        match check(&connection, path)? {
            SCHEMA => Ok(Self { connection, path: path.to_owned() }),
            older => Err(open::unopened(
                path,
                format!("its schema is {older}, this program reads {SCHEMA}: start the program that keeps it once"),
            )),
        }
    }
}

impl Store for SqliteReader {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        begin(&mut self.connection, &self.path, TransactionBehavior::Deferred)
    }
}

impl std::fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SqliteReader").field(&self.path).finish()
    }
}

fn begin<'a>(connection: &'a mut Connection, path: &'a Path, how: TransactionBehavior) -> Result<Box<dyn Transaction + 'a>, StoreError> {
    let tx = connection.transaction_with_behavior(how).map_err(|e| explain(e, path, format_args!("starting a transaction")))?;
    Ok(Box::new(SqliteTransaction { tx, path }))
}
