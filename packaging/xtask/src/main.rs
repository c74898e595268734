//! `cargo xtask`: drives the workspace.
//!
//! Always: progress goes to stderr, results to stdout; whatever is missing is installed with a word on why, or named.
//! Never here: anything that needs a C compiler or a system library. This program builds first and installs those; what talks to
//! the running appliance is `tests/end-to-end`, which it starts.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bench;
mod ble_vm;
mod ci;
mod codegen;
mod demo;
mod fuzz;
mod mutate;
mod run;
mod setup;
mod simulate;
mod tally;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Sets up what is missing, builds, runs. Works on a bare Debian or Ubuntu with a Rust toolchain and Node, as root or with sudo.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs system packages, npm modules and test tools that are missing.
    Setup,
    /// Starts a hub, two clinic agents and simulated monitors, and prints where to look and how to sign in.
    Demo(demo::Options),
    /// Runs every test; the last line counts them.
    Test(test::Options),
    /// Measures speed and size side by side with what others do.
    Bench(bench::Options),
    /// Runs simulated wards from seeds; says which failed.
    Simulate(simulate::Options),
    /// Breaks a rule of the product at a time, in a copy, and shows that the simulated wards notice.
    Mutate(mutate::Options),
    /// Runs the decoders' fuzz targets, two minutes each.
    Fuzz(fuzz::Options),
    /// Runs the program on the real Bluetooth service in a little virtual machine, against a strap of another's making.
    BleVm(ble_vm::Options),
    /// All that continuous integration checks: format, lints, generated files, tests.
    Ci,
    /// Writes the OpenAPI documents that the screens' types are made from.
    Codegen,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => setup::everything(),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Simulate(options) => simulate::run(&options),
        Task::Mutate(options) => mutate::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::BleVm(options) => ble_vm::run(&options),
        Task::Ci => ci::run(),
        Task::Codegen => codegen::write(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
