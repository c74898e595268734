//! The disk itself: appending bytes and waiting for `fdatasync`.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// A file that is appended to.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// A new file in `folder`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        let path = folder.join("appended");
        Ok(Self(File::create(&path).with_context(|| path.display().to_string())?))
    }

    /// Appends; on return it survives loss of power.
    ///
    /// # Errors
    /// The disk.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)?;
        self.0.sync_data().context("fdatasync")
    }
}
