//! The file's pages: each against its keyed hash, then how they fit together.

use super::FirstFault;
use crate::db::explain;
use protocol::store::StoreError;
use rusqlite::Connection;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A page whose bytes are not what was written.
pub(super) struct Damaged {
    pub page: u64,
    pub offset: u64,
    pub size: u32,
    pub why: String,
}

/// The first page whose keyed hash does not hold.
pub(super) fn first_damaged(connection: &Connection, path: &Path) -> Result<Option<Damaged>, StoreError> {
    let size: u32 = number(connection, path, "cipher_page_size")?.try_into().unwrap_or(0);
    let first = findings(connection, path, "cipher_integrity_check")?;
    if first.is_empty() {
        return Ok(None);
    }
    // A page may be caught while the running program writes it; such a one is whole the second time.
    let again = findings(connection, path, "cipher_integrity_check")?;
    for why in first.into_iter().filter(|why| again.contains(why)) {
        let page = why.split("page ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|page| page.parse().ok());
        let page: u64 = page.unwrap_or(0);
        let offset = page.saturating_sub(1).saturating_mul(u64::from(size));
        if !is_unwritten(path, offset, size) {
            return Ok(Some(Damaged { page, offset, size, why }));
        }
    }
    Ok(None)
}

/// Whether the pages fit together: trees, indexes, free pages. Gives how many there are.
pub(super) fn structure(connection: &Connection, path: &Path) -> Result<u64, FirstFault> {
    match findings(connection, path, "integrity_check(1)")?.into_iter().find(|row| row != "ok") {
        Some(why) => Err(FirstFault::Structure { file: path.to_owned(), why }),
        None => Ok(number(connection, path, "page_count")?),
    }
}

/// A page that was taken and given back within one transaction is never written: a hole, all zeros, with no hash. One that is in
/// use and reads as zeros is found by [`structure`].
fn is_unwritten(path: &Path, offset: u64, size: u32) -> bool {
    let mut page = vec![0xff; size as usize];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut page, offset));
    read.is_ok() && offset > 0 && page.iter().all(|byte| *byte == 0)
}

fn findings(connection: &Connection, path: &Path, pragma: &str) -> Result<Vec<String>, StoreError> {
    let rows = connection.prepare(&format!("PRAGMA {pragma}")).and_then(|mut s| s.query_map([], |row| row.get(0))?.collect());
    rows.map_err(|e| explain(e, path, format_args!("the pages of {}", path.display())))
}

/// SQLCipher answers in text, SQLite in integers.
fn number(connection: &Connection, path: &Path, pragma: &str) -> Result<u64, StoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_i64().ok().or_else(|| row.get::<_, String>(0).ok()?.parse().ok()));
    let number = connection.query_row(&format!("PRAGMA {pragma}"), [], read);
    let number = number.map_err(|e| explain(e, path, format_args!("the pages of {}", path.display())))?;
    Ok(number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
}
