//! `cargo xtask fuzz`: runs the decoders' fuzz targets, each for a while.

use crate::run::{command, root, succeeds};
use anyhow::{Context, Result, bail};
use std::process::Stdio;

/// What is fuzzed, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// Minutes for each target.
    #[arg(long, default_value_t = 2)]
    minutes: u64,
    /// Only the target of this name.
    #[arg(long)]
    only: Option<String>,
}

/// Runs every target; the first input that fails ends it.
///
/// # Errors
/// A target failed, or cannot be built.
pub fn run(options: &Options) -> Result<()> {
    let folder = root().join("device-drivers/fuzz");
    let targets = targets(&folder, options.only.as_deref())?;
    let mut probe = command(&folder, "cargo", &["+nightly", "fuzz", "--version"]);
    // This program's own toolchain must not be handed on: rustup chooses by `+nightly`.
    probe.env_remove("RUSTUP_TOOLCHAIN").stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        println!("skipped: no nightly compiler with cargo-fuzz (rustup toolchain install nightly && cargo install cargo-fuzz)");
        return Ok(());
    }
    let time = format!("-max_total_time={}", options.minutes.saturating_mul(60));
    for target in &targets {
        let mut fuzz =
            command(&folder, "cargo", &["+nightly", "fuzz", "run", "--fuzz-dir", ".", target, "--", &time, "-max_len=8192", "-timeout=10"]);
        fuzz.env_remove("RUSTUP_TOOLCHAIN");
        if !succeeds(&mut fuzz)? {
            bail!("{target} failed: its input is in device-drivers/fuzz/artifacts/{target}");
        }
        println!("{target}: {} min, nothing found", options.minutes);
    }
    Ok(())
}

/// The targets there are, in order of name.
fn targets(folder: &std::path::Path, only: Option<&str>) -> Result<Vec<String>> {
    let listed = std::fs::read_dir(folder.join("fuzz_targets")).context("device-drivers/fuzz/fuzz_targets")?;
    let mut names: Vec<String> =
        listed.flatten().filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned)).collect();
    names.sort();
    if let Some(only) = only {
        if !names.iter().any(|name| name == only) {
            bail!("--only: {only:?} is not one of {}", names.join(", "));
        }
        names.retain(|name| name == only);
    }
    Ok(names)
}
