//! The store's accounts as the HTTP surface wants them, and the command that makes one.

use crate::clock;
use anyhow::{Context, bail};
use edge_store::{DataDir, NewUser, SqliteStore, User};
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use web::accounts::{Account, Accounts, AccountsError, Role};
use web::secret::{Secret, SecretHash, check_secret_rules, hash_secret};

/// [`edge_store::Accounts`] behind [`web::accounts::Accounts`].
pub struct Kept(pub edge_store::Accounts);

impl Accounts for Kept {
    fn find(&self, user: &str) -> Result<Option<Account>, AccountsError> {
        let found = self.0.find(user).map_err(|e| AccountsError(Box::new(e)))?;
        found.map(account).transpose()
    }

    fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), AccountsError> {
        self.0.note_attempt(user, failures, locked_until).map_err(|e| AccountsError(Box::new(e)))
    }
}

fn account(user: User) -> Result<Account, AccountsError> {
    Ok(Account {
        role: user.role.parse().map_err(|e: web::accounts::RoleError| AccountsError(Box::new(e)))?,
        user: user.user,
        display_name: user.display_name,
        secret_hash: SecretHash(user.secret_hash),
        failures: user.failures,
        locked_until: user.locked_until,
        disabled: user.disabled,
    })
}

/// Adds an account to a data directory, whether or not the program runs on it. The secret is read from standard input.
///
/// # Errors
/// A secret too weak, a name that is taken, a data directory that is not there yet.
pub fn add(data: &Path, user: &str, display_name: Option<&str>, role: Role) -> anyhow::Result<()> {
    let directory = match DataDir::open(data) {
        Err(edge_store::DataDirError::Empty(_)) => DataDir::open_or_create(data, &mut clock::dice)?,
        other => other?,
    };
    let secret = Secret::new(read_secret()?);
    check_secret_rules(user, &secret)?;
    let mut salt = [0; 16];
    clock::dice(&mut salt);
    let hash = hash_secret(&secret, &salt)?;
    let store = SqliteStore::open(&directory.store_path(crate::STORE), directory.store_key())?;
    let new = NewUser {
        user: user.to_owned(),
        display_name: display_name.unwrap_or(user).to_owned(),
        role: role.to_string(),
        secret_hash: hash.0,
    };
    let audit = AuditEvent {
        at: clock::now().wall,
        user: "command-line".to_owned(),
        session: String::new(),
        action: "user-add".to_owned(),
        what: vec![format!("user/{user}")],
        ok: true,
    };
    Ok(store.accounts()?.add(&new, &audit)?)
}

/// One line from standard input; asked for on a terminal.
///
/// # Errors
/// Nothing is typed, or more than 128 characters.
pub fn read_secret() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("PIN or password (it will show): ");
        std::io::stderr().flush()?;
    }
    let mut line = String::new();
    std::io::BufReader::new(std::io::Read::take(stdin.lock(), 1024)).read_line(&mut line).context("standard input")?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    if line.is_empty() || line.len() > 128 {
        bail!("standard input: expected one line of 1 to 128 characters");
    }
    Ok(line)
}
