//! Bringing a file to this program's schema: numbered SQL files, each applied once, never edited after a release.

use crate::db::explain;
use crate::open::unopened;
use protocol::store::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// To change the schema: add the next file in `migrations/` and a row here.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_record.sql"),
    include_str!("../migrations/0002_accounts.sql"),
    include_str!("../migrations/0003_series_version.sql"),
];

/// The schema this program writes and reads.
pub(crate) const SCHEMA: usize = MIGRATIONS.len();

/// `PRAGMA application_id` of a Lamplight store: "LAMP".
const APPLICATION: i32 = 0x4c41_4d50;

/// Applies what is missing, all or nothing. The version is read inside the transaction that raises it, so that a command
/// and a running program that open a new file at the same moment cannot both migrate it.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if check(connection, path)? == SCHEMA {
        return Ok(());
    }
    let say = |e| explain(e, path, format_args!("the schema of {}", path.display()));
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(say)?;
    let done = check(&tx, path)?;
    for sql in MIGRATIONS.iter().skip(done) {
        tx.execute_batch(sql).map_err(say)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION).map_err(say)?;
    tx.pragma_update(None, "user_version", SCHEMA as i32).map_err(say)?;
    tx.commit().map_err(say)
}

/// How many migrations the file has had, if it is a store this program can use.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let say = |e| explain(e, path, format_args!("the schema of {}", path.display()));
    // One statement sees one moment: another opener may be migrating meanwhile.
    const STATE: &str = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
        FROM pragma_application_id, pragma_user_version";
    let state = connection.query_row(STATE, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (application, version, tables): (i32, i32, i64) = state.map_err(say)?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(0);
    }
    let done = usize::try_from(version).unwrap_or(0);
    if application != APPLICATION || done == 0 {
        return Err(unopened(path, "it is a database of another program"));
    }
    if done > SCHEMA {
        return Err(unopened(path, format!("a newer Lamplight wrote it (schema {done}, this one knows {SCHEMA}): install that version")));
    }
    Ok(done)
}
