//! Opening the file: permissions, key, settings, schema.

use protocol::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a statement waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// To change the schema: add the next file in `migrations/` and a row here.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_fleet.sql")];
/// `PRAGMA application_id` of a fleet store: "LAMF".
const APPLICATION: i32 = 0x4c41_4d46;

const CIPHER: &str = "PRAGMA cipher_log_level = NONE; PRAGMA cipher_page_size = 4096; PRAGMA cipher_memory_security = OFF;";
const SETTINGS: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";

/// Opens the store, made if it is not there, at this program's schema.
pub(crate) fn store(path: &Path, key: &[u8; 32]) -> Result<Connection, StoreError> {
    create_private(path).map_err(|e| unopened(path, &e))?;
    let mut connection = keyed(path, key)?;
    connection.execute_batch(SETTINGS).map_err(|e| explain(path, e))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(|e| explain(path, e))?;
    if mode != "wal" {
        return Err(unopened(path, &format!("the file system allows only journal mode {mode:?}, not WAL")));
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens an existing file with the key and checks that it fits.
pub(crate) fn keyed(path: &Path, key: &[u8; 32]) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| explain(path, e))?;
    connection.busy_timeout(BUSY).map_err(|e| explain(path, e))?;
    let mut pragma = Zeroizing::new(String::with_capacity(96));
    pragma.push_str("PRAGMA key = \"x'");
    for byte in key {
        // Into memory reserved above: cannot fail, and never moves, which would leave a copy behind.
        let _ = write!(pragma, "{byte:02x}");
    }
    pragma.push_str("'\";");
    // The statement holds the key: an error that quotes it must not leave here.
    connection.execute_batch(&pragma).map_err(|_| unopened(path, &"SQLCipher refused the key's form"))?;
    connection.execute_batch(CIPHER).map_err(|e| explain(path, e))?;
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)) {
        Ok(_) => Ok(connection),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(unopened(path, &"the key does not fit, or the file is no fleet store"))
        }
        Err(e) => Err(explain(path, e)),
    }
}

/// The version is read inside the transaction that raises it: a command and a server may open a new file at one moment.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| explain(path, e))?;
    let number = |pragma: &str| tx.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0)).map_err(|e| explain(path, e));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > 0 && application != APPLICATION {
        return Err(unopened(path, &"it is a database of another program"));
    }
    if done > MIGRATIONS.len() {
        return Err(unopened(path, &format!("a newer Lamplight wrote it (schema {version}): install that version")));
    }
    for sql in MIGRATIONS.iter().skip(done) {
        tx.execute_batch(sql).map_err(|e| explain(path, e))?;
    }
    if done < MIGRATIONS.len() {
        tx.pragma_update(None, "application_id", APPLICATION).map_err(|e| explain(path, e))?;
        tx.pragma_update(None, "user_version", MIGRATIONS.len() as i32).map_err(|e| explain(path, e))?;
    }
    tx.commit().map_err(|e| explain(path, e))
}

/// Makes an empty file for this user alone, and its directory, unless they are there.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

/// A file that cannot be opened, and why.
pub(crate) fn unopened(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Open { what: path.display().to_string(), why: why.to_string() }
}

/// Says what went wrong with which file. SQL text stays out of it.
pub(crate) fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let file = path.display().to_string();
    match error {
        rusqlite::Error::SqliteFailure(code, _) if code.code == ErrorCode::DiskFull => StoreError::Full(file),
        rusqlite::Error::SqliteFailure(code, message) => {
            let why = message.unwrap_or_else(|| code.to_string());
            match code.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged { what: file, why },
                ErrorCode::CannotOpen => StoreError::Open { what: file, why },
                _ => StoreError::Other(format!("{file}: {why}")),
            }
        }
        rusqlite::Error::SqlInputError { msg, .. } => StoreError::Other(format!("{file}: {msg}")),
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            StoreError::Damaged { what: file, why: error.to_string() }
        }
        other => StoreError::Other(format!("{file}: {other}")),
    }
}
