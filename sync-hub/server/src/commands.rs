//! Commands that work beside a running hub: they touch the fleet and the accounts, and only read the record.

use crate::clock;
use crate::config::Config;
use crate::house::House;
use crate::register::{self, Fleet};
use crate::shelf::{Place, Shelf};
use anyhow::{Context, bail};
use edge_store::DataDir;
use record::ledger::body::AuditEvent;
use serde_json::json;
use std::fs::DirBuilder;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use utoipa::OpenApi;

/// What a backup of a database is called in its directory.
const DATABASE: &str = "hub.pgcopy";
/// Who the audit says did it.
const BY: &str = "command-line";

/// `site add`: prints the code on standard output, what to do with it on standard error.
///
/// # Errors
/// A name that will not do.
pub fn add_site(config: &Config, site: &str) -> anyhow::Result<()> {
    let house = House::open(config)?;
    let mut entropy = [0; hub_api::code::HALF];
    clock::dice(&mut entropy);
    let code = register::add(&mut house.shelf.fleet()?, &house.authority, site, BY, entropy, clock::now().wall)?;
    audit(&house, "site-add", site)?;
    eprintln!("good once, within 24 hours; at the agent: edge-agent enroll --hub https://<this hub> --code <code>");
    println!("{}", code.code);
    Ok(())
}

/// `site list`: a JSON line a site.
///
/// # Errors
/// The fleet cannot be read.
pub fn list_sites(config: &Config) -> anyhow::Result<()> {
    for row in House::open(config)?.shelf.fleet()?.sites()? {
        let line = json!({
            "site": row.site,
            "replica": row.replica.map(|replica| replica.to_string()),
            "version": row.status.version.or(row.version),
            "last_sync_ms": row.status.synced.map(record::time::Timestamp::millis),
            "digests_equal": row.status.equal,
            "revoked": row.revocation.map(|revoked| json!({"at_ms": revoked.at.millis(), "by": revoked.by, "reason": revoked.reason})),
        });
        println!("{line}");
    }
    Ok(())
}

/// `site revoke`.
///
/// # Errors
/// No such site, no reason.
pub fn revoke_site(config: &Config, site: &str, reason: &str) -> anyhow::Result<()> {
    let house = House::open(config)?;
    let heads = |replica| match house.shelf.has_record() {
        true => register::heads_of(house.shelf.reader()()?.as_mut(), replica),
        false => Ok(Vec::new()),
    };
    register::revoke(&mut house.shelf.fleet()?, site, site, reason, BY, clock::now().wall, heads)?;
    audit(&house, "site-revoke", site)
}

/// `verify`.
///
/// # Errors
/// The first bad entry.
pub fn verify(config: &Config) -> anyhow::Result<()> {
    let data = DataDir::open(&config.data)?;
    println!("{}", Shelf::of(config, &data)?.verify()?);
    Ok(())
}

/// `backup`: `hub.db` and `fleet.db`, or [`DATABASE`], in a new directory.
///
/// # Errors
/// The directory is there already, or a file cannot be written.
pub fn backup(config: &Config, to: &Path) -> anyhow::Result<()> {
    let data = DataDir::open(&config.data)?;
    let (shelf, key) = (Shelf::of(config, &data)?, data.store_key());
    DirBuilder::new().mode(0o700).create(to).with_context(|| to.display().to_string())?;
    match shelf.place() {
        Place::Files { record, fleet } => {
            edge_store::backup::backup(record, key, &to.join("hub.db"), &mut |_| ControlFlow::Continue(()))?;
            Fleet::open(fleet, key)?.backup(key, &to.join("fleet.db"))?;
        }
        Place::Postgres(database) => {
            let mut salt = [0; 16];
            clock::dice(&mut salt);
            let saved = database.backup(key, salt, &to.join(DATABASE));
            if saved.is_err() {
                // So that the next attempt finds no directory; one with a file in it is left for a person to look at.
                let _ = std::fs::remove_dir(to);
            }
            saved?;
        }
    }
    eprintln!("the copy opens only with keys/ of {}: keep a copy of that elsewhere", config.data.display());
    Ok(())
}

/// `restore`, with the data directory's lock held throughout.
///
/// # Errors
/// There is a record already, or the backup is damaged or another hub's.
pub fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    // Keys are never made here: a backup opens with its own alone.
    DataDir::open(&config.data).with_context(|| format!("put keys/ back into {} first", config.data.display()))?;
    let data = DataDir::open_or_create(&config.data, &mut clock::dice)?;
    let (shelf, key) = (Shelf::of(config, &data)?, data.store_key());
    let (record, fleet) = match shelf.place() {
        Place::Files { record, fleet } => (record, fleet),
        Place::Postgres(database) => {
            let name = from.file_name().unwrap_or(from.as_os_str()).to_string_lossy();
            if !from.join(DATABASE).is_file() {
                bail!(
                    "{} has no {DATABASE}: name a directory that `sync-hub backup` made of a hub with its record in PostgreSQL",
                    from.display()
                );
            }
            return Ok(database.restore(key, &from.join(DATABASE), (edge_store::RESTORED_FROM, name.as_bytes()))?);
        }
    };
    for name in ["hub.db", "fleet.db"] {
        if !from.join(name).is_file() {
            bail!("{} has no {name}: name a directory made by `sync-hub backup`", from.display());
        }
    }
    Fleet::restore(&from.join("fleet.db"), key, fleet)?;
    let restored = edge_store::backup::restore(&from.join("hub.db"), key, record);
    if restored.is_err() {
        // Half a restore would stand in the way of the next attempt.
        std::fs::remove_file(fleet).with_context(|| fleet.display().to_string())?;
    }
    Ok(restored?)
}

/// `openapi`.
///
/// # Errors
/// Standard output is closed.
pub fn openapi() -> anyhow::Result<()> {
    let document = web::openapi::merged(hub_api::Document::openapi());
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

/// What a command did, for the running hub to bring into the ledger.
#[must_use]
pub fn audit_event(action: &str, what: String) -> AuditEvent {
    AuditEvent { at: clock::now().wall, user: BY.to_owned(), session: String::new(), action: action.to_owned(), what: vec![what], ok: true }
}

fn audit(house: &House, action: &str, site: &str) -> anyhow::Result<()> {
    Ok(house.shelf.accounts()?.push_audit(&audit_event(action, format!("Site/{site}")))?)
}
