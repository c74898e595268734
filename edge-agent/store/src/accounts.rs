//! Who may sign in, over a connection of its own. Secrets arrive hashed and leave hashed.
//!
//! Every change of who may sign in is written in one transaction with the audit event that tells of it; the program that
//! writes the ledger takes those events from [`Accounts::pending_audit`].

use crate::db::{Count, Db, Packed, explain};
use crate::{migrate, open};
use protocol::store::StoreError;
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use rusqlite::{Connection, Row, TransactionBehavior, params};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most events handed out by one [`Accounts::pending_audit`].
pub const AUDIT_BATCH: usize = 256;

/// An account to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The name typed at sign-in.
    pub user: String,
    /// The name shown.
    pub display_name: String,
    /// A role's word; what it allows is decided elsewhere.
    pub role: String,
    /// The hashed secret, a PHC string.
    pub secret_hash: String,
}

/// An account as kept.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name typed at sign-in; unique.
    pub user: String,
    /// The name shown.
    pub display_name: String,
    /// A role's word.
    pub role: String,
    /// The hashed secret, a PHC string.
    pub secret_hash: String,
    /// Wrong secrets in a row.
    pub failures: u32,
    /// Until when no secret is accepted.
    pub locked_until: Option<Timestamp>,
    /// May not sign in at all.
    pub disabled: bool,
}

/// Why an account could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The name is taken.
    #[error("there is already a user {0:?}")]
    Exists(String),
    /// There is no such user.
    #[error("there is no user {0:?}")]
    Unknown(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts of a store. Calls wait for the disk, and up to 5 s for another writer.
pub struct Accounts {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Accounts {
    /// Opens the accounts of the store at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// As [`crate::SqliteStore::open`].
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        let mut connection = open::read_write(path, key)?;
        migrate::migrate(&mut connection, path)?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    /// One account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find(&self, user: &str) -> Result<Option<User>, StoreError> {
        let sql = "SELECT user, display_name, role, secret_hash, failures, locked_until, disabled FROM users WHERE user = ?";
        self.with(|db| db.one(format_args!("user {user:?}"), sql, [user], read))
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<User>, StoreError> {
        let sql = "SELECT user, display_name, role, secret_hash, failures, locked_until, disabled FROM users ORDER BY user";
        self.with(|db| db.all(format_args!("table users"), sql, [], read))
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`AccountsError::Exists`].
    pub fn add(&self, new: &NewUser, audit: &AuditEvent) -> Result<(), AccountsError> {
        let NewUser { user, display_name, role, secret_hash } = new;
        let sql = "INSERT INTO users (user, display_name, role, secret_hash) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let added = self.audited(audit, |db| db.run(format_args!("user {user:?}"), sql, params![user, display_name, role, secret_hash]))?;
        if added { Ok(()) } else { Err(AccountsError::Exists(user.clone())) }
    }

    /// Replaces an account's secret and forgets its failures.
    ///
    /// # Errors
    /// [`AccountsError::Unknown`].
    pub fn set_secret(&self, user: &str, secret_hash: &str, audit: &AuditEvent) -> Result<(), AccountsError> {
        let sql = "UPDATE users SET secret_hash = ?, failures = 0, locked_until = NULL WHERE user = ?";
        let found = self.audited(audit, |db| db.run(format_args!("user {user:?}"), sql, params![secret_hash, user]))?;
        if found { Ok(()) } else { Err(AccountsError::Unknown(user.to_owned())) }
    }

    /// Closes or reopens an account.
    ///
    /// # Errors
    /// [`AccountsError::Unknown`].
    pub fn set_disabled(&self, user: &str, disabled: bool, audit: &AuditEvent) -> Result<(), AccountsError> {
        let sql = "UPDATE users SET disabled = ? WHERE user = ?";
        let found = self.audited(audit, |db| db.run(format_args!("user {user:?}"), sql, params![disabled, user]))?;
        if found { Ok(()) } else { Err(AccountsError::Unknown(user.to_owned())) }
    }

    /// Keeps what a sign-in attempt left behind: wrong secrets in a row and until when none is accepted; `0, None` after a
    /// success. Durable on return. A user who is not there is let pass, so that an attempt tells nobody who is.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), StoreError> {
        let sql = "UPDATE users SET failures = ?, locked_until = ? WHERE user = ?";
        let values = params![failures, locked_until.map(|at| at.0), user];
        self.with(|db| db.run(format_args!("user {user:?}"), sql, values)).map(drop)
    }

    /// Leaves an audit event for the program that writes the ledger.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn push_audit(&self, event: &AuditEvent) -> Result<(), StoreError> {
        self.with(|db| push_audit(db, event))
    }

    /// Events left, oldest first, at most [`AUDIT_BATCH`], each with its number. They stay until
    /// [`Accounts::drop_audit`]: a crash between the ledger's commit and that call writes an event twice, never not at all.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pending_audit(&self) -> Result<Vec<(u64, AuditEvent)>, StoreError> {
        let sql = "SELECT id, event FROM pending_audit ORDER BY id LIMIT ?";
        self.with(|db| {
            db.all(format_args!("table pending_audit"), sql, [crate::tables::at_most(AUDIT_BATCH)], |row| {
                let (Count(id), Packed(event)) = (row.get(0)?, row.get(1)?);
                Ok((id, event))
            })
        })
    }

    /// Forgets events up to and including `through`: they are in the ledger.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn drop_audit(&self, through: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM pending_audit WHERE id <= ?";
        self.with(|db| db.run(format_args!("table pending_audit"), sql, [Count(through)])).map(drop)
    }

    fn with<T>(&self, work: impl FnOnce(Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(Db { connection: &self.lock(), path: &self.path })
    }

    /// Changes one account and leaves the event, both or neither; whether there was a row to change.
    fn audited(&self, audit: &AuditEvent, change: impl FnOnce(Db<'_>) -> Result<usize, StoreError>) -> Result<bool, StoreError> {
        let mut connection = self.lock();
        let say = |e| explain(e, &self.path, format_args!("table users"));
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(say)?;
        let db = Db { connection: &tx, path: &self.path };
        if change(db)? == 0 {
            return Ok(false);
        }
        push_audit(db, audit)?;
        tx.commit().map_err(say)?;
        Ok(true)
    }

    // A thread that panicked left no transaction open: rusqlite undoes it on the way out.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push_audit(db: Db<'_>, event: &AuditEvent) -> Result<(), StoreError> {
    db.run(format_args!("table pending_audit"), "INSERT INTO pending_audit (event) VALUES (?)", [Packed(event)]).map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        user: row.get(0)?,
        display_name: row.get(1)?,
        role: row.get(2)?,
        secret_hash: row.get(3)?,
        failures: row.get(4)?,
        locked_until: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        disabled: row.get(6)?,
    })
}

// The hash of a four-digit PIN is as good as the PIN: it is in no `Debug`.
impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("User");
        out.field("user", &self.user).field("role", &self.role).field("failures", &self.failures);
        out.field("locked_until", &self.locked_until).field("disabled", &self.disabled).finish_non_exhaustive()
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accounts").field(&self.path).finish()
    }
}
