//! `cargo xtask demo`: sets up, builds, and hands over to the demonstration in `tests/end-to-end`.

use crate::run::{cargo, command, must, screens, target};
use crate::setup;
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How the demonstration runs.
#[derive(clap::Args)]
pub struct Options {
    /// How long, such as `40s` or `2m`; until Ctrl-C without it.
    #[arg(long = "for")]
    duration: Option<String>,
    /// Print the report as one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Use what was built before.
    #[arg(long)]
    no_build: bool,
}

/// The programs a demonstration consists of.
const PROGRAMS: [&str; 4] = ["edge-agent", "sync-hub", "simulators", "end-to-end"];

/// Sets up, builds and runs.
///
/// # Errors
/// Something cannot be installed or built.
pub fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        setup::for_demo()?;
        build_screens()?;
        let mut args = vec!["build", "--locked", "--bins"];
        args.extend(PROGRAMS.iter().flat_map(|program| ["--package", *program]));
        must(&mut cargo(&args))?;
    }
    let mut demo = program();
    if let Some(duration) = &options.duration {
        demo.args(["--for", duration]);
    }
    if options.json {
        demo.arg("--json");
    }
    // It takes our place: its exit code is ours, and Ctrl-C reaches it alone.
    Err(demo.exec()).context("the demonstration cannot be started; run without --no-build")
}

/// The built demonstration.
#[must_use]
pub fn program() -> Command {
    Command::new(target().join("debug/demo"))
}

/// Builds the screens that agents and hub serve.
///
/// # Errors
/// They do not build.
pub fn build_screens() -> Result<()> {
    must(&mut command(&screens(), "npm", &["run", "--silent", "build"]))
}
