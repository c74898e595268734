//! Opening the file: permissions, key, settings, in the order SQLCipher wants them.

use crate::db::explain;
use protocol::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a statement waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept prepared on each connection; the transaction uses about seventy.
const STATEMENTS: usize = 96;

/// Log level, page size and memory locking are SQLCipher's; the page is what one write to a flash card costs anyway, and
/// locking every page in memory costs more than it hides from someone who can read this process's memory.
const CIPHER: &str = "
    PRAGMA cipher_log_level = NONE;
    PRAGMA cipher_page_size = 4096;
    PRAGMA cipher_memory_security = OFF;
";

/// Temporary tables stay in memory: SQLite would write them unencrypted.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA journal_size_limit = 8388608;
";

/// Opens for reading and writing; makes the file (readable by this user alone) and its directory if they are not there.
pub(crate) fn read_write(path: &Path, key: &[u8; 32]) -> Result<Connection, StoreError> {
    make_private(path).map_err(|e| unopened(path, e))?;
    let connection = keyed(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    settle(&connection, path)?;
    let mode = write_ahead(&connection).map_err(|e| explain(e, path, format_args!("journal of {}", path.display())))?;
    if mode != "wal" {
        return Err(unopened(path, format!("the file system allows only journal mode {mode:?}, not WAL")));
    }
    Ok(connection)
}

/// Asks for the write-ahead log. Changing the mode upgrades a lock that another opener may hold as well; SQLite answers
/// "busy" to that at once instead of waiting, so the waiting is done here.
fn write_ahead(connection: &Connection) -> Result<String, rusqlite::Error> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(e) if matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) && waited < BUSY => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            mode => return mode,
        }
    }
}

/// Opens for reading what a running store has open for writing.
pub(crate) fn read_only(path: &Path, key: &[u8; 32]) -> Result<Connection, StoreError> {
    let connection = keyed(path, key, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    settle(&connection, path)?;
    Ok(connection)
}

/// Opens with the key and checks that the key fits; no settings, nothing written.
pub(crate) fn keyed(path: &Path, key: &[u8; 32], flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = unchecked(path, key, flags)?;
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)) {
        Ok(_) => Ok(connection),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(unopened(path, "the key does not fit, or the file is not a Lamplight store"))
        }
        Err(e) => Err(explain(e, path, format_args!("the schema of {}", path.display()))),
    }
}

/// Opens with the key and reads nothing yet.
pub(crate) fn unchecked(path: &Path, key: &[u8; 32], flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(|e| unopened(path, plain(&e)))?;
    connection.busy_timeout(BUSY).map_err(|e| unopened(path, plain(&e)))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The statement's text holds the key: an error that quotes it must not leave here.
    connection.execute_batch(&key_pragma(key)).map_err(|_| unopened(path, "SQLCipher refused the key's form"))?;
    connection.execute_batch(CIPHER).map_err(|e| unopened(path, plain(&e)))?;
    Ok(connection)
}

/// A file that cannot be opened, and why.
pub(crate) fn unopened(path: &Path, why: impl ToString) -> StoreError {
    StoreError::Open { what: path.display().to_string(), why: why.to_string() }
}

/// Makes the file's directory and the file, for this user alone, unless they are there.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    create_private(path)
}

/// Makes an empty file for this user alone, unless there is one. A file that exists is not opened: closing it again would
/// drop the locks of every connection this process has on it. SQLite gives the WAL and its index the same mode.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

fn settle(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(|e| unopened(path, plain(&e)))?;
    connection.execute_batch(SETTINGS).map_err(|e| unopened(path, plain(&e)))
}

fn key_pragma(key: &[u8; 32]) -> Zeroizing<String> {
    let mut sql = Zeroizing::new(String::with_capacity(96));
    sql.push_str("PRAGMA key = \"x'");
    for byte in key {
        // Into memory reserved above: cannot fail, and never moves, which would leave a copy behind.
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("'\";");
    sql
}

fn plain(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => message.clone().unwrap_or_else(|| code.to_string()),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
