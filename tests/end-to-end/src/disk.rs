//! A disk of a few megabytes that can be filled and freed, and bytes that go bad on one that is not.

use anyhow::{Context, Result, ensure};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes written at a time while it is filled.
const BLOCK: usize = 64 * 1024;

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB at a new folder. `None` prints why not.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn mount(at: &Path, mb: u32) -> Result<Option<Self>> {
        std::fs::create_dir(at).with_context(|| at.display().to_string())?;
        let size = format!("size={mb}m,mode=0700");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).stderr(Stdio::null()).status();
        if done.is_ok_and(|status| status.success()) {
            return Ok(Some(Self(at.to_owned())));
        }
        println!("skipped: mounting a small file system needs root");
        Ok(None)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it to the last byte with something else's file. What is freed meanwhile by others is taken at the next call.
    ///
    /// # Errors
    /// Anything but that it is full.
    pub fn fill(&self) -> Result<()> {
        let mut file = std::fs::File::options().create(true).append(true).open(self.filler()).context("the filler")?;
        let block = vec![0x55; BLOCK];
        for step in [BLOCK, 4096, 1] {
            loop {
                match file.write(block.get(..step).unwrap_or_default()) {
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::WriteZero) => break,
                    Err(error) => return Err(error).context("filling the disk"),
                }
            }
        }
        Ok(())
    }

    /// Takes that file away.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn free(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("freeing the disk")
    }

    fn filler(&self) -> PathBuf {
        self.0.join("something-else")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that is being killed may hold a file a moment longer.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Flips one bit of a file.
///
/// # Errors
/// It has no such byte.
pub fn flip(file: &Path, byte: u64, bit: u8) -> Result<()> {
    let mut file = std::fs::File::options().read(true).write(true).open(file).with_context(|| file.display().to_string())?;
    ensure!(byte < file.metadata()?.len(), "no byte {byte}");
    let mut held = [0];
    file.seek(SeekFrom::Start(byte))?;
    file.read_exact(&mut held)?;
    file.seek(SeekFrom::Start(byte))?;
    file.write_all(&[held[0] ^ (1 << (bit % 8))])?;
    file.sync_all().context("flipping a bit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_flips_back() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("bytes");
        std::fs::write(&path, [0, 0, 0])?;
        flip(&path, 1, 3)?;
        assert_eq!(std::fs::read(&path)?, [0, 8, 0]);
        flip(&path, 1, 3)?;
        assert_eq!(std::fs::read(&path)?, [0, 0, 0]);
        assert!(flip(&path, 3, 0).is_err());
        Ok(())
    }

    #[test]
    fn a_full_disk_is_full_and_freed_it_has_room() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let Some(disk) = SmallDisk::mount(&folder.path().join("small"), 1)? else { return Ok(()) };
        let mine = disk.path().join("mine");
        disk.fill()?;
        assert!(std::fs::write(&mine, [1; 8192]).is_err());
        disk.free()?;
        std::fs::write(&mine, [1; 8192])?;
        Ok(())
    }
}
