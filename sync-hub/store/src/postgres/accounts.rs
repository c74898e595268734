//! Who may sign in, and what commands did that is not in the ledger yet. What an account says is sealed: the hash of a short PIN is as
//! good as the PIN.
//!
//! A change whose answer was lost ([`StoreError::Away`]) may have been kept: an account is then there already, an event is there twice.

use super::db::{Count, Db};
use super::link::Link;
use protocol::store::StoreError;
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most events handed out by one [`PostgresAccounts::pending_audit`].
const AUDIT_BATCH: i64 = 256;
const EVENT: &str = "an audit event that waits";

/// An account as kept.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRow {
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

/// What is sealed of it.
#[derive(Serialize, Deserialize)]
struct Sealed {
    display_name: String,
    role: String,
    secret_hash: String,
    disabled: bool,
}

/// The accounts beside a record. Calls wait for the server.
pub struct PostgresAccounts(Mutex<Link>);

impl PostgresAccounts {
    pub(super) fn new(link: Link) -> Self {
        Self(Mutex::new(link))
    }

    /// One account.
    ///
    /// # Errors
    /// As all below: the database cannot be read or written.
    pub fn find(&self, user: &str) -> Result<Option<AccountRow>, StoreError> {
        // No name that was ever kept has one.
        if user.contains('\0') {
            return Ok(None);
        }
        self.link().whole(|db| {
            let sql = "SELECT account, failures, locked_until FROM users WHERE name = $1";
            let found = db.one(format_args!("user {user:?}"), sql, &[&user], |row| {
                Ok((row.try_get::<_, Vec<u8>>(0)?, row.try_get::<_, i64>(1)?, row.try_get::<_, Option<i64>>(2)?))
            })?;
            let Some((sealed, failures, locked_until)) = found else { return Ok(None) };
            let Sealed { display_name, role, secret_hash, disabled } = opened(db, &place(user), &sealed)?;
            Ok(Some(AccountRow {
                user: user.to_owned(),
                display_name,
                role,
                secret_hash,
                failures: u32::try_from(failures).unwrap_or(u32::MAX),
                locked_until: locked_until.map(Timestamp),
                disabled,
            }))
        })
    }

    /// Adds an account, and leaves the event, both or neither; whether the name was free.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn add(&self, new: &AccountRow, audit: &AuditEvent) -> Result<bool, StoreError> {
        let AccountRow { user, display_name, role, secret_hash, failures, locked_until, disabled } = new.clone();
        if user.contains('\0') {
            return Err(StoreError::Other("a user name with a zero character in it".to_owned()));
        }
        let sealed = packed(&Sealed { display_name, role, secret_hash, disabled })?;
        self.link().whole(|db| {
            let sealed = db.sealer.seal(&place(&user), &sealed)?;
            let sql = "INSERT INTO users (name, account, failures, locked_until) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
            let locked = locked_until.map(|at| at.0);
            let added = db.run(format_args!("user {user:?}"), sql, &[&user, &sealed, &i64::from(failures), &locked])? == 1;
            if added {
                push(db, audit)?;
            }
            Ok(added)
        })
    }

    /// Keeps what a sign-in attempt left behind; `0, None` after a success. Durable on return.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), StoreError> {
        self.link().whole(|db| {
            let sql = "UPDATE users SET failures = $1, locked_until = $2 WHERE name = $3";
            let name = super::db::clean(user);
            db.run(format_args!("user {user:?}"), sql, &[&i64::from(failures), &locked_until.map(|at| at.0), &name]).map(drop)
        })
    }

    /// Leaves an audit event for the program that writes the ledger.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn push_audit(&self, event: &AuditEvent) -> Result<(), StoreError> {
        self.link().whole(|db| push(db, event))
    }

    /// Events left, oldest first, each with its number. They stay until [`Self::drop_audit`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pending_audit(&self) -> Result<Vec<(u64, AuditEvent)>, StoreError> {
        self.link().whole(|db| {
            let sql = "SELECT id, event FROM pending_audit ORDER BY id LIMIT $1";
            let rows = db.all(format_args!("table pending_audit"), sql, &[&AUDIT_BATCH], |row| {
                let Count(id) = row.try_get(0)?;
                Ok((id, row.try_get::<_, Vec<u8>>(1)?))
            })?;
            rows.into_iter().map(|(id, sealed)| Ok((id, opened(db, EVENT, &sealed)?))).collect()
        })
    }

    /// Forgets events up to and including `through`: they are in the ledger.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn drop_audit(&self, through: u64) -> Result<(), StoreError> {
        let sql = "DELETE FROM pending_audit WHERE id <= $1";
        self.link().whole(|db| db.run(format_args!("table pending_audit"), sql, &[&Count(through)])).map(drop)
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether every row opens.
pub(super) fn readable(db: &mut Db<'_>) -> Result<(), StoreError> {
    let users = db.all(format_args!("table users"), "SELECT name, account FROM users ORDER BY name", &[], |row| {
        Ok((row.try_get::<_, String>(0)?, row.try_get::<_, Vec<u8>>(1)?))
    })?;
    users.into_iter().try_for_each(|(user, sealed)| opened::<Sealed>(db, &place(&user), &sealed).map(drop))?;
    let events = db.all(format_args!("table pending_audit"), "SELECT event FROM pending_audit", &[], |row| row.try_get::<_, Vec<u8>>(0))?;
    events.into_iter().try_for_each(|sealed| opened::<AuditEvent>(db, EVENT, &sealed).map(drop))
}

fn opened<T: DeserializeOwned>(db: &Db<'_>, place: &str, sealed: &[u8]) -> Result<T, StoreError> {
    let damaged = |e: postcard::Error| StoreError::Damaged { what: place.to_owned(), why: e.to_string() };
    postcard::from_bytes(&db.sealer.open(place, sealed)?).map_err(damaged)
}

fn push(db: &mut Db<'_>, event: &AuditEvent) -> Result<(), StoreError> {
    let sealed = db.sealer.seal(EVENT, &packed(event)?)?;
    db.run(format_args!("table pending_audit"), "INSERT INTO pending_audit (event) VALUES ($1)", &[&sealed]).map(drop)
}

fn place(user: &str) -> String {
    format!("account {user}")
}

fn packed(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|e| StoreError::Other(e.to_string()))
}

impl fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountRow").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresAccounts").field(self.link().what()).finish()
    }
}
