//! `bench`: how fast and how small, side by side with what others do, in one run.
//!
//! ```text
//! rows/*   one file for each piece of work: ours and its peers in turn, several rounds, the middle counts
//! peers/*  PostgreSQL, InfluxDB, DuckDB, Parquet, pco, zstd, FLAC, PouchDB, the disk itself
//! data/*   what is measured with, from seeds or from the shared recordings
//! world    a replica as an agent opens it      link, proxy   two of them over HTTP, bytes counted      read   the read path
//! ```
//!
//! Always: results on stdout, progress on stderr; a goal not reached is told as it is, with what bounds it; a peer that is not here is
//! skipped with the reason; nothing is written outside a scratch directory that goes with the process.
//! Never here: installing anything (`cargo xtask bench` does).
//! Start at [`rows::WORKS`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod chance;
mod clock;
mod data;
mod link;
mod measure;
mod peers;
mod proxy;
mod read;
mod report;
mod rows;
mod world;

use anyhow::{Result, ensure};
use clap::Parser;
use peers::Cache;
use rows::{Context, WORKS};
use std::path::PathBuf;

/// Measures Lamplight beside its peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    /// Print the rows as JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Only the rows whose names begin so.
    #[arg(long)]
    only: Option<String>,
    /// Rounds of each measurement; the middle counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Tiny sizes and one round, to see that all of it runs.
    #[arg(long)]
    quick: bool,
    /// The directory with the peers' libraries; without it no peer is asked.
    #[arg(long)]
    peers: Option<PathBuf>,
}

fn main() -> Result<()> {
    let Cli { json, only, rounds, quick, peers } = Cli::parse();
    let context = Context { rounds: if quick { 1 } else { rounds.max(1) }, quick, peers: Cache::at(peers) };
    let asked = |name: &str| only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    let mut rows = Vec::new();
    for work in WORKS.iter().filter(|work| only.as_ref().is_none_or(|only| work.is_asked_for(only))) {
        eprintln!("{}", work.name);
        let measured = work.rows(&context);
        eprint!("{}", report::table(&measured));
        rows.extend(measured.into_iter().filter(|row| asked(&row.name) || row.name == work.name));
    }
    ensure!(!rows.is_empty(), "no row's name begins with {:?}", only.unwrap_or_default());
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", report::table(&rows));
    }
    Ok(())
}
