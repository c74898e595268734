//! The record's accounts as the HTTP surface wants them, and the command that makes one.

use crate::clock;
use crate::commands::audit_event;
use crate::config::Config;
use crate::house::House;
use anyhow::{Context, bail};
use hub_store::AccountRow;
use record::time::Timestamp;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::sync::Arc;
use web::accounts::{Account, Accounts, AccountsError, Role};
use web::secret::{SECRET_MAX, Secret, SecretHash, check_secret_rules, hash_secret};

/// [`crate::shelf::Accounts`] behind [`web::accounts::Accounts`].
pub struct Kept(pub Arc<crate::shelf::Accounts>);

impl Accounts for Kept {
    fn find(&self, user: &str) -> Result<Option<Account>, AccountsError> {
        let found = self.0.find(user).map_err(|e| AccountsError(Box::new(e)))?;
        found.map(account).transpose()
    }

    fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), AccountsError> {
        self.0.note_attempt(user, failures, locked_until).map_err(|e| AccountsError(Box::new(e)))
    }
}

fn account(user: AccountRow) -> Result<Account, AccountsError> {
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

/// Adds an account, whether or not the hub runs. The secret is one line of standard input.
///
/// # Errors
/// A name or secret that will not do, or a name that is taken.
pub fn add(config: &Config, user: &str, display_name: Option<&str>, role: Role, quiet: bool) -> anyhow::Result<()> {
    if user.trim() != user || user.is_empty() || user.chars().count() > web::sign_in::USER_MAX {
        bail!("a user name has 1 to {} characters, none of them space at either end", web::sign_in::USER_MAX);
    }
    let secret = Secret::new(read_secret(quiet)?);
    check_secret_rules(user, &secret)?;
    let mut salt = [0; 16];
    clock::dice(&mut salt);
    let hash = hash_secret(&secret, &salt)?;
    let house = House::open(config)?;
    let new = AccountRow {
        user: user.to_owned(),
        display_name: display_name.unwrap_or(user).to_owned(),
        role: role.to_string(),
        secret_hash: hash.0,
        failures: 0,
        locked_until: None,
        disabled: false,
    };
    if !house.shelf.accounts()?.add(&new, &audit_event("user-add", format!("User/{user}")))? {
        bail!("there is already a user {user:?}");
    }
    Ok(())
}

fn read_secret(quiet: bool) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if !quiet && stdin.is_terminal() {
        eprint!("PIN or password (it will show): ");
    }
    let mut line = String::new();
    BufReader::new(stdin.lock().take(1024)).read_line(&mut line).context("standard input")?;
    let line = line.trim_end_matches(['\r', '\n']).to_owned();
    if line.is_empty() || line.len() > SECRET_MAX {
        bail!("standard input: expected one line of 1 to {SECRET_MAX} characters");
    }
    Ok(line)
}
