//! One file that holds all of a fleet, encrypted with its own key, taken while the fleet is in use; and the way back.

use crate::open::{create_private, explain, keyed, migrate, unopened};
use protocol::store::StoreError;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) fn backup(source: &Connection, path: &Path, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
    let partial = begin(to)?;
    create_private(&partial).map_err(|e| unopened(&partial, &e))?;
    let mut target = keyed(&partial, key)?;
    copy(source, &mut target).map_err(|e| explain(path, e))?;
    seal(target, to)?;
    finish(&partial, to)
}

pub(crate) fn restore(from: &Path, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
    let partial = begin(to)?;
    create_private(&partial).map_err(|e| unopened(&partial, &e))?;
    // Checked is the copy: the backup may lie on a stick that cannot be written to.
    let mut source = File::open(from).map_err(|e| unopened(from, &e))?;
    let mut target = File::options().write(true).open(&partial).map_err(|e| unopened(&partial, &e))?;
    io::copy(&mut source, &mut target).map_err(|e| unopened(&partial, &e))?;
    drop(target);
    let mut connection = keyed(&partial, key).map_err(|e| match e {
        StoreError::Open { why, .. } => StoreError::Open { what: from.display().to_string(), why },
        other => other,
    })?;
    check_pages(&connection, from)?;
    migrate(&mut connection, from)?;
    seal(connection, from)?;
    finish(&partial, to)
}

/// The whole copy in one step: a fleet is small, and so nobody else's write can make it begin anew.
fn copy(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    let copy = Backup::new(source, target)?;
    match copy.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("another program is writing; try again".to_owned()),
        )),
    }
}

/// A single file with nothing beside it.
fn seal(connection: Connection, file: &Path) -> Result<(), StoreError> {
    connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0)).map_err(|e| explain(file, e))?;
    connection.close().map_err(|(_, e)| explain(file, e))
}

fn check_pages(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let rows = |pragma: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(&format!("PRAGMA {pragma}"))?.query_map([], |row| row.get(0))?.collect()
    };
    for pragma in ["cipher_integrity_check", "integrity_check(1)"] {
        let found = rows(pragma).map_err(|e| explain(file, e))?;
        if let Some(why) = found.into_iter().find(|row| row != "ok") {
            return Err(StoreError::Damaged { what: file.display().to_string(), why });
        }
    }
    Ok(())
}

/// The name under which a file grows until it is whole.
pub(crate) fn begin(to: &Path) -> Result<PathBuf, StoreError> {
    if to.try_exists().map_err(|e| unopened(to, &e))? {
        return Err(unopened(to, &"it is already there; choose another name or move it away first"));
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let _ = fs::remove_file(&partial); // Of an attempt that was cut short.
    Ok(partial)
}

pub(crate) fn finish(partial: &Path, to: &Path) -> Result<(), StoreError> {
    let directory = to.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let durable = || -> io::Result<()> {
        File::open(partial)?.sync_all()?;
        fs::rename(partial, to)?;
        File::open(directory)?.sync_all()
    };
    durable().map_err(|e| unopened(to, &e))
}
