//! `cargo xtask bench`: sets up the peers that can be had, builds for speed, and hands over to `tests/bench`.

use crate::run::{cargo, must, target};
use crate::setup;
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What is measured and how it is shown.
#[derive(clap::Args)]
pub struct Options {
    /// Print the rows as JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Only the rows whose names begin so.
    #[arg(long)]
    only: Option<String>,
    /// Rounds of each measurement; the middle counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Tiny sizes and one round, to see that all of it runs.
    #[arg(long)]
    quick: bool,
    /// Ask no peers, and install none.
    #[arg(long)]
    no_peers: bool,
}

/// The programs measured. All in one build, so that what they share is built once.
const PROGRAMS: [&str; 3] = ["bench", "edge-agent", "simulators"];

/// Sets up, builds and measures.
///
/// # Errors
/// Something cannot be built. A peer that cannot be had is a note in its row.
pub fn run(options: &Options) -> Result<()> {
    setup::for_demo()?;
    let mut args = vec!["build", "--locked", "--release", "--bins"];
    args.extend(PROGRAMS.iter().flat_map(|program| ["--package", *program]));
    must(&mut cargo(&args))?;
    let mut bench = Command::new(target().join("release/bench"));
    if !options.no_peers {
        bench.arg("--peers").arg(setup::peers()?);
    }
    if options.json {
        bench.arg("--json");
    }
    if options.quick {
        bench.arg("--quick");
    }
    if let Some(only) = &options.only {
        bench.args(["--only", only]);
    }
    if let Some(rounds) = options.rounds {
        bench.args(["--rounds", &rounds.to_string()]);
    }
    // It takes our place: its exit code is ours.
    Err(bench.exec()).context("the bench cannot be started")
}
