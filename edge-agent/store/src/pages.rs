//! The pages of the file itself. Each carries a keyed hash that is checked whenever it is read, so damage is never served; but
//! a page may not be read for months.

use crate::open;
use crate::sqlite::SqliteReader;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The first thing wrong with any page in use, in the words of SQLite. Reads the whole record as of one moment, so what others
/// write meanwhile is no damage, and neither is a page that the write-ahead log holds anew.
#[must_use]
pub fn first_bad(reader: &SqliteReader) -> Option<String> {
    match first_row(&reader.connection, "quick_check(1)") {
        // A heading may come before it.
        Ok(row) => row.filter(|row| row != "ok").map(|row| row.lines().last().unwrap_or_default().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// The first page of a file whose hash is wrong, in the words of SQLCipher, which number it from 1. Looks at the file alone: for
/// naming the page where it is known that something is wrong, since the write-ahead log may hold that page anew.
#[must_use]
pub fn named(path: &Path, key: &[u8; 32]) -> Option<String> {
    let connection = open::unchecked(path, key, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    first_row(&connection, "cipher_integrity_check").ok()?
}

fn first_row(connection: &Connection, pragma: &str) -> rusqlite::Result<Option<String>> {
    let mut check = connection.prepare(&format!("PRAGMA {pragma}"))?;
    let mut rows = check.query([])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}
