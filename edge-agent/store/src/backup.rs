//! One file that holds all of a store, taken while the store is in use, and the way back.
//!
//! Always: a backup is encrypted with the store's own key (without `keys/` it opens for nobody, so keep a copy of that
//! elsewhere); it is one moment of the record; a file under the name asked for is complete, checked against nothing less
//! than its page hashes before it is used, and never replaces another.

use crate::Progress;
use crate::db::{Db, explain};
use crate::migrate::migrate;
use crate::open::{create_private, keyed};
use crate::sqlite::SqliteReader;
use crate::tables::peers;
use protocol::store::StoreError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Name of the value that a restored store carries until the program that opens it has taken notice: the backup's file name.
pub const RESTORED_FROM: &str = "restored_from";

/// Pages copied between two calls of the progress function: one MiB.
const PAGES_PER_STEP: i32 = 256;

/// Why a backup could not be made or used. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name; it is not replaced.
    #[error("{} is already there; choose another name or move it away first", .0.display())]
    Exists(PathBuf),
    /// The progress function asked to stop.
    #[error("the backup was stopped before it was complete")]
    Stopped,
    /// The backup's bytes are not what was written.
    #[error("{} is damaged: {why}", file.display())]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// The first thing found.
        why: String,
    },
    /// A store cannot be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Copies the store at `store` into the new file `to`, consistently, while others go on writing. `progress` is called
/// with the pages copied after each MiB; on [`ControlFlow::Break`] the copy is removed.
///
/// # Errors
/// See [`BackupError`].
pub fn backup(store: &Path, key: &[u8; 32], to: &Path, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), BackupError> {
    let source = SqliteReader::open(store, key)?;
    let partial = Partial::begin(to)?;
    create_private(&partial.path).map_err(|e| failed(&partial.path, e))?;
    let mut target = keyed(&partial.path, key, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copy_pages(&source, &mut target, to, progress)?;
    leave_wal(&target, to)?;
    close(target, to)?;
    partial.finish()
}

/// Makes a store at `to` from the backup `from`, checks every page of it, and leaves [`RESTORED_FROM`] in it: its
/// program begins a new run, and peers that hold more than the backup send it back.
///
/// # Errors
/// See [`BackupError`]; a store that exists is never overwritten.
pub fn restore(from: &Path, key: &[u8; 32], to: &Path) -> Result<(), BackupError> {
    let partial = Partial::begin(to)?;
    create_private(&partial.path).map_err(|e| failed(&partial.path, e))?;
    // Checked is the copy, not the backup: that may lie on a stick that cannot be written to.
    let mut source = File::open(from).map_err(|e| failed(from, e))?;
    let mut target = File::options().write(true).open(&partial.path).map_err(|e| failed(&partial.path, e))?;
    io::copy(&mut source, &mut target).map_err(|e| failed(&partial.path, e))?;
    drop(target);

    let mut connection = keyed(&partial.path, key, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| renamed(e, from))?;
    check_pages(&connection, from)?;
    leave_wal(&connection, from)?;
    migrate(&mut connection, from)?;
    let name = from.file_name().unwrap_or(from.as_os_str()).to_string_lossy();
    let db = Db { connection: &connection, path: to };
    peers::put_value(db, RESTORED_FROM, name.as_bytes())?;
    // Peers know the arrival numbers of the log that went on after this backup; those of this one are another log's.
    peers::drop_value(db, protocol::replica::LOG)?;
    close(connection, to)?;
    partial.finish()
}

fn copy_pages(
    source: &SqliteReader,
    target: &mut Connection,
    to: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), BackupError> {
    // A step does not know which of the two files failed it. The one being written is named: there is where room runs out.
    let say = |e| explain(e, to, format_args!("copying pages"));
    // One read transaction throughout: without it, SQLite begins the copy anew whenever somebody else commits.
    let view = source.connection.unchecked_transaction().map_err(say)?;
    view.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map_err(say)?;
    let copy = Backup::new(&view, target).map_err(say)?;
    loop {
        let step = copy.step(PAGES_PER_STEP).map_err(say)?;
        let at = copy.progress();
        let (of, left) = (u64::try_from(at.pagecount).unwrap_or(0), u64::try_from(at.remaining).unwrap_or(0));
        if progress(Progress { done: of.saturating_sub(left), of }).is_break() {
            return Err(BackupError::Stopped);
        }
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(StoreError::Other(format!("{} is in use by another program", to.display())).into()),
        }
    }
}

/// A single file with nothing beside it: out of WAL mode, which the copied first page states.
fn leave_wal(connection: &Connection, file: &Path) -> Result<(), BackupError> {
    let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    match mode.map_err(|e| explain(e, file, format_args!("the journal of {}", file.display())))?.as_str() {
        "delete" => Ok(()),
        other => Err(StoreError::Other(format!("{} stays in journal mode {other}", file.display())).into()),
    }
}

fn check_pages(connection: &Connection, backup: &Path) -> Result<(), BackupError> {
    let rows = |pragma: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(&format!("PRAGMA {pragma}"))?.query_map([], |row| row.get(0))?.collect()
    };
    let damaged = |why: String| BackupError::Damaged { file: backup.to_owned(), why };
    // SQLCipher gives a row for each page whose hash is wrong; SQLite gives "ok", or a row for each thing it finds.
    for pragma in ["cipher_integrity_check", "integrity_check(1)"] {
        let found = rows(pragma).map_err(|e| damaged(e.to_string()))?;
        if let Some(first) = found.into_iter().find(|row| row != "ok") {
            return Err(damaged(first));
        }
    }
    Ok(())
}

fn close(connection: Connection, file: &Path) -> Result<(), BackupError> {
    connection.close().map_err(|(_, e)| explain(e, file, format_args!("closing {}", file.display())).into())
}

/// The error of opening the copy, in the name of the backup.
fn renamed(error: StoreError, backup: &Path) -> BackupError {
    match error {
        StoreError::Open { why, .. } => StoreError::Open { what: backup.display().to_string(), why }.into(),
        StoreError::Damaged { why, .. } => BackupError::Damaged { file: backup.to_owned(), why },
        other => other.into(),
    }
}

fn failed(file: &Path, source: io::Error) -> BackupError {
    match source.kind() {
        io::ErrorKind::StorageFull => StoreError::Full(file.display().to_string()).into(),
        _ => BackupError::File { file: file.to_owned(), source },
    }
}

/// A file under construction beside its later name; removed unless finished.
struct Partial {
    path: PathBuf,
    to: PathBuf,
}

impl Partial {
    fn begin(to: &Path) -> Result<Self, BackupError> {
        for taken in [to.to_owned(), beside(to, "-wal")] {
            if taken.try_exists().map_err(|e| failed(&taken, e))? {
                return Err(BackupError::Exists(taken));
            }
        }
        let partial = Self { path: beside(to, ".partial"), to: to.to_owned() };
        partial.remove();
        Ok(partial)
    }

    /// Makes it durable, then gives it its name. A hard link would refuse a name taken meanwhile, but USB sticks have none.
    fn finish(self) -> Result<(), BackupError> {
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(|e| failed(&self.path, e))?;
        fs::rename(&self.path, &self.to).map_err(|e| failed(&self.to, e))?;
        let directory = self.to.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|d| d.sync_all()).map_err(|e| failed(directory, e))
    }

    fn remove(&self) {
        for rest in [self.path.clone(), beside(&self.path, "-journal"), beside(&self.path, "-wal"), beside(&self.path, "-shm")] {
            // What is not there need not be removed; what cannot be is overwritten or refused by the next step.
            let _ = fs::remove_file(rest);
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
