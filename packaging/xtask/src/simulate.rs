//! `cargo xtask simulate`: builds `tests/simulation` and runs seeds.

use crate::run::{cargo, must, target};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Which seeds.
#[derive(clap::Args)]
pub struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Show what happened in the first seed that fails, in the smallest run that still does.
    #[arg(long)]
    trace: bool,
    /// Only these faults, whatever the seed says, such as `crash,clone`.
    #[arg(long)]
    only: Option<String>,
}

/// Builds and runs.
///
/// # Errors
/// It does not build.
pub fn run(options: &Options) -> Result<()> {
    // With the test build's features and profile: what the tests have built is not built again.
    must(&mut cargo(&["build", "--locked", "--workspace", "--bin", "simulate"]))?;
    let mut simulate = Command::new(target().join("debug/simulate"));
    simulate.args(["--seeds", &options.seeds.to_string(), "--from", &options.from.to_string()]);
    simulate.args(options.json.then_some("--json")).args(options.trace.then_some("--trace"));
    simulate.args(options.only.iter().flat_map(|faults| ["--only", faults.as_str()]));
    // It takes our place: its exit code is ours.
    Err(simulate.exec()).context("the simulator cannot be started")
}
