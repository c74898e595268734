//! DuckDB and Parquet, through Python: they are given columns as raw little-endian bytes, turned into Arrow before the clock starts.

use super::{Cache, said};
use crate::data::numerics::{Column, START};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = include_str!("arrow.py");

/// Columns laid out for the script.
#[derive(Debug)]
pub struct Arrow {
    python: PathBuf,
    folder: PathBuf,
}

/// What the script measured.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Told {
    /// CPU seconds.
    #[serde(default)]
    pub cpu_s: f64,
    /// Seconds by the clock on the wall; of a query the median.
    #[serde(default)]
    pub wall_s: f64,
    /// Bytes on disk.
    #[serde(default)]
    pub bytes: u64,
}

impl Arrow {
    /// Writes the columns and the script below `folder`.
    ///
    /// # Errors
    /// Python is not set up, or the disk.
    pub fn prepare(cache: &Cache, folder: &Path, columns: &[Column]) -> Result<Self> {
        let folder = folder.join("arrow");
        std::fs::create_dir_all(&folder)?;
        let prepared = Self { python: cache.python()?, folder };
        std::fs::write(prepared.folder.join("arrow.py"), SCRIPT)?;
        let seconds = columns.first().map_or(0, |column| column.values.len());
        let times = (0..seconds).flat_map(|second| START.plus_micros(second as i64 * 1_000_000).0.to_le_bytes());
        std::fs::write(prepared.folder.join("times.i64"), times.collect::<Vec<u8>>())?;
        let values = columns.iter().flat_map(|column| &column.values).flat_map(|value| (*value as i32).to_le_bytes());
        std::fs::write(prepared.folder.join("values.i32"), values.collect::<Vec<u8>>())?;
        Ok(prepared)
    }

    /// Loads all into a new DuckDB file, checkpointed.
    ///
    /// # Errors
    /// It fails.
    pub fn duckdb_load(&self) -> Result<Told> {
        self.run("duckdb-load")
    }

    /// Reads one series of the loaded file, raw.
    ///
    /// # Errors
    /// It fails.
    pub fn duckdb_raw(&self) -> Result<Told> {
        self.run("duckdb-raw")
    }

    /// Reads one series of the loaded file by minutes.
    ///
    /// # Errors
    /// It fails.
    pub fn duckdb_minutes(&self) -> Result<Told> {
        self.run("duckdb-minutes")
    }

    /// Writes a column for each series as Parquet with zstd at level 12.
    ///
    /// # Errors
    /// It fails.
    pub fn parquet(&self) -> Result<Told> {
        self.run("parquet")
    }

    fn run(&self, what: &str) -> Result<Told> {
        let out = said(Command::new(&self.python).arg(self.folder.join("arrow.py")).arg(what).current_dir(&self.folder))?;
        serde_json::from_str(out.trim()).with_context(|| format!("{what} said {out:?}"))
    }
}
