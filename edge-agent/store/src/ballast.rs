//! Room set aside on the disk, given back when the disk is full, so that the entry which says what is given up can still be
//! written.

use crate::data_dir::DataDirError;
use crate::keys::failed;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes set aside: twice what the write-ahead log grows to between two checkpoints.
pub const BALLAST_BYTES: u64 = 8 << 20;

/// The file that holds the room; made by [`crate::DataDir::ballast`].
///
/// Its bytes are written, not only promised: a file system that compresses or keeps holes would promise more than it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(crate) fn beside(directory: &Path) -> Self {
        Self { path: directory.join("ballast") }
    }

    /// Whether the room is set aside, whole.
    #[must_use]
    pub fn is_held(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| file.len() >= BALLAST_BYTES)
    }

    /// Sets the room aside unless it is. It is there to stay on return: written and synced.
    ///
    /// # Errors
    /// There is no room for it, or the file cannot be written; what was written of it is gone again.
    pub fn rebuild(&self) -> Result<(), DataDirError> {
        if self.is_held() {
            return Ok(());
        }
        let partial = self.path.with_extension("partial");
        let finish = || -> std::io::Result<()> {
            fill(&partial)?;
            fs::rename(&partial, &self.path)?;
            File::open(self.directory())?.sync_all()
        };
        finish().map_err(|e| {
            // What is left of it would only take up the room there is.
            let _ = fs::remove_file(&partial);
            failed(&self.path, e)
        })
    }

    /// Gives the room back. The next transaction has it.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn release(&self) -> Result<(), DataDirError> {
        match fs::remove_file(&self.path).and_then(|()| File::open(self.directory())?.sync_all()) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(&self.path, e)),
            _ => Ok(()),
        }
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // Bytes that neither repeat nor mean anything, so that compression finds nothing in them.
    let (mut block, mut state) = (vec![0_u8; 64 << 10], 0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..BALLAST_BYTES / block.len() as u64 {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.sync_all()
}
