//! `cargo xtask test`: every test there is, and one line that counts them.

use crate::demo;
use crate::run::{cargo, command, must, root, screens, succeeds, target};
use crate::setup;
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which tests.
#[derive(Default, clap::Args)]
pub struct Options {
    /// Only these.
    #[arg(long, value_enum)]
    only: Option<Suite>,
}

/// A kind of test.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Units and crates, without running programs.
    Rust,
    /// The screens: by themselves, and against a mock agent in a browser.
    Ui,
    /// Real programs: a hub, agents, monitors, a browser, the desktop window.
    E2e,
    /// Replicas that meet, part, fork and fail in memory.
    Simulation,
}

/// The end-to-end tests start programs, and run only where these were built.
const RUNS_PROGRAMS: &str = "package(end-to-end) & kind(test)";
/// Replicas that meet in memory: a few by hand, wards from seeds.
const SIMULATIONS: &str = "binary(replicas) | package(simulation)";

/// Sets up, builds and runs. The last line on stdout is the sum.
///
/// # Errors
/// Something cannot be set up, or a test failed.
pub fn run(options: &Options) -> Result<()> {
    let tallies = match options.only {
        Some(Suite::Rust) => {
            setup::for_rust()?;
            vec![crates(&format!("not ({RUNS_PROGRAMS})"))?]
        }
        Some(Suite::Simulation) => {
            setup::for_rust()?;
            vec![crates(SIMULATIONS)?]
        }
        Some(Suite::Ui) => {
            setup::for_tests()?;
            vec![vitest()?, playwright_mock()?]
        }
        Some(Suite::E2e) => {
            setup::everything()?;
            end_to_end()?
        }
        None => {
            setup::everything()?;
            let mut all = vec![crates(&format!("not ({RUNS_PROGRAMS})"))?, vitest()?, playwright_mock()?];
            all.extend(end_to_end()?);
            all
        }
    };
    let sum: Tally = tallies.into_iter().sum();
    println!("{sum}");
    if sum.failed > 0 {
        bail!("not all tests passed");
    }
    Ok(())
}

/// What needs running programs: builds them and the screens first.
fn end_to_end() -> Result<Vec<Tally>> {
    let built = demo::build_screens().and_then(|()| {
        // All targets in one go: whatever a test and a program share is built once, with the same features.
        must(&mut cargo(&["build", "--locked", "--workspace", "--all-targets"]))
    });
    if let Err(error) = built {
        eprintln!("{error:#}");
        return Ok(vec![Tally::BROKEN]);
    }
    Ok(vec![crates(RUNS_PROGRAMS)?, playwright_demo()?])
}

/// Rust tests that a nextest filter chooses.
fn crates(filter: &str) -> Result<Tally> {
    if !setup::has_nextest() {
        return libtest(filter);
    }
    let report = root().join("target/nextest/ci/junit.xml");
    let _ = std::fs::remove_file(&report);
    let config = format!("xtask:{}", root().join("packaging/xtask/nextest.toml").display());
    let args = ["nextest", "run", "--locked", "--workspace", "--profile", "ci", "--tool-config-file", &config, "-E", filter];
    // An error's words say what failed; where it was made would bury them.
    let ok = succeeds(cargo(&args).env("RUST_LIB_BACKTRACE", "0"))?;
    Ok(judged(ok, &report, Tally::of_junit))
}

/// The same with cargo's own runner, which knows no filters: by crates.
fn libtest(filter: &str) -> Result<Tally> {
    let args: &[&str] = match filter {
        RUNS_PROGRAMS => &["test", "--locked", "--package", "end-to-end", "--tests", "--no-fail-fast", "--", "--test-threads=1"],
        SIMULATIONS => &["test", "--locked", "--package", "protocol", "--package", "simulation", "--tests", "--no-fail-fast"],
        _ => &["test", "--locked", "--workspace", "--exclude", "end-to-end", "--lib", "--bins", "--tests", "--no-fail-fast"],
    };
    eprintln!("$ cargo {}", args.join(" "));
    let output = cargo(args).stderr(Stdio::inherit()).output().context("cargo test")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    eprint!("{printed}");
    Ok(with_verdict(output.status.success(), Tally::of_libtest(&printed)))
}

fn vitest() -> Result<Tally> {
    let report = reports()?.join("vitest.json");
    let _ = std::fs::remove_file(&report);
    // Through `npm test`, which makes the types first.
    let mut npm = command(&screens(), "npm", &["test", "--silent", "--", "--reporter=default", "--reporter=json"]);
    npm.arg(format!("--outputFile.json={}", report.display()));
    let ok = succeeds(&mut npm)?;
    Ok(judged(ok, &report, Tally::of_vitest))
}

fn playwright_mock() -> Result<Tally> {
    playwright("mock", |args| command(&screens(), "npm", args))
}

/// In a running demonstration, which ends with the tests.
fn playwright_demo() -> Result<Tally> {
    playwright("demo", |args| {
        let mut demo = demo::program();
        demo.current_dir(screens()).args(["--", "npm"]).args(args);
        demo
    })
}

fn playwright(project: &str, npm: impl FnOnce(&[&str]) -> Command) -> Result<Tally> {
    let Some(browser) = setup::browser() else {
        eprintln!("skipped: no Chromium for the {project} browser tests");
        return Ok(Tally::SKIPPED);
    };
    let report = reports()?.join(format!("playwright-{project}.json"));
    let _ = std::fs::remove_file(&report);
    let project = format!("--project={project}");
    let mut run = npm(&["run", "--silent", "e2e", "--", &project, "--reporter=list,json"]);
    run.env("PLAYWRIGHT_JSON_OUTPUT_NAME", &report).env("LAMPLIGHT_CHROMIUM", browser);
    let ok = succeeds(&mut run)?;
    Ok(judged(ok, &report, Tally::of_playwright))
}

fn reports() -> Result<PathBuf> {
    let folder = target().join("reports");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn judged(ok: bool, report: &Path, read: fn(&str) -> Option<Tally>) -> Tally {
    with_verdict(ok, std::fs::read_to_string(report).ok().and_then(|text| read(&text)))
}

/// A runner's verdict counts even where its report names no failure, and a missing report is one.
fn with_verdict(ok: bool, tally: Option<Tally>) -> Tally {
    match tally {
        Some(tally) if ok || tally.failed > 0 => tally,
        Some(tally) => [tally, Tally::BROKEN].into_iter().sum(),
        None => Tally::BROKEN,
    }
}
