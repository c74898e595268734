//! A program's data directory: its keys, its lock, and where its store lies.
//!
//! ```text
//! agent.db (-wal, -shm)   the record; a hub's is hub.db
//! lock                    held while a program writes here; holds its process id
//! ballast                 room set aside for the entry that says what is given up on a full disk
//! keys/                   master.key, identity.seed, README.txt with their risk
//! ```

use crate::ballast::Ballast;
use crate::keys::{self, Keys, Secret, failed};
use protocol::entropy::Entropy;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const KEYS: &str = "keys";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it. A copy of the directory elsewhere does not: that is what the clone alarm is for.
    #[error("{} is in use by {}: stop it first, or give this one a data directory of its own", directory.display(), process(*.pid))]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process, if it has told.
        pid: Option<u32>,
    },
    /// There are no keys here: no program has run on it.
    #[error("{} holds no Lamplight data: start the program on it first", .0.display())]
    Empty(PathBuf),
    /// A key file is gone while the record it opens is there. Making another would only hide that.
    #[error("{} is missing, and the record beside it opens with nothing else: put it back from its safe copy", .0.display())]
    KeyMissing(PathBuf),
    /// A key file that others may read.
    #[error("{} can be read by other users of this machine: run `chmod 600` on it, and if somebody may have read it, set this box up anew", .0.display())]
    Exposed(PathBuf),
    /// A key file whose content is not as written.
    #[error("{} cannot be used: {why}", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The cryptography library refused; it does not for keys of the right length.
    #[error("a key could not be derived")]
    Derive,
    /// A file cannot be read or written.
    #[error("{}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// An opened data directory. While one made by [`DataDir::open_or_create`] lives, no second can be.
pub struct DataDir {
    path: PathBuf,
    store_key: Secret,
    identity_seed: Secret,
    _lock: Option<File>,
}

impl DataDir {
    /// Opens the directory for the one program that writes here; makes it and its keys if they are not there.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn open_or_create(path: &Path, entropy: &mut dyn Entropy) -> Result<Self, DataDirError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed(path, e))?;
        let lock = take_lock(path)?;
        let directory = path.join(KEYS);
        if let Some(file) = keys::missing(&directory)?
            && holds_store(path)?
        {
            return Err(DataDirError::KeyMissing(file));
        }
        Ok(Self::with(path, keys::read_or_create(&directory, entropy)?, Some(lock)))
    }

    /// Opens a directory that exists, for a command that works beside the program running on it.
    ///
    /// # Errors
    /// [`DataDirError::Empty`] and others.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let directory = path.join(KEYS);
        match keys::missing(&directory)? {
            None => Ok(Self::with(path, keys::read(&directory)?, None)),
            Some(file) if holds_store(path)? => Err(DataDirError::KeyMissing(file)),
            Some(_) => Err(DataDirError::Empty(path.to_owned())),
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a program's store lies: `agent` has `agent.db`.
    #[must_use]
    pub fn store_path(&self, program: &str) -> PathBuf {
        self.path.join(program).with_extension("db")
    }

    /// The room set aside on its disk.
    #[must_use]
    pub fn ballast(&self) -> Ballast {
        Ballast::beside(&self.path)
    }

    /// The key of the store.
    #[must_use]
    pub fn store_key(&self) -> &[u8; 32] {
        &self.store_key
    }

    /// The seed of `record::ledger::Identity`.
    #[must_use]
    pub fn identity_seed(&self) -> &[u8; 32] {
        &self.identity_seed
    }

    fn with(path: &Path, keys: Keys, lock: Option<File>) -> Self {
        Self { path: path.to_owned(), store_key: keys.store_key, identity_seed: keys.identity_seed, _lock: lock }
    }
}

impl std::fmt::Debug for DataDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DataDir").field(&self.path).finish()
    }
}

/// Takes the lock and writes this process's id into it. The kernel lets go of it with the process, however that ends.
fn take_lock(directory: &Path) -> Result<File, DataDirError> {
    let path = directory.join(LOCK);
    let say = |e| failed(&path, e);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(say)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { directory: directory.to_owned(), pid: holder(&mut file) }),
        Err(TryLockError::Error(e)) => return Err(say(e)),
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(say)?;
    Ok(file)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holds_store(directory: &Path) -> Result<bool, DataDirError> {
    let say = |e| failed(directory, e);
    if !directory.try_exists().map_err(say)? {
        return Ok(false);
    }
    for file in directory.read_dir().map_err(say)? {
        if file.map_err(say)?.path().extension().is_some_and(|e| e == "db") {
            return Ok(true);
        }
    }
    Ok(false)
}
