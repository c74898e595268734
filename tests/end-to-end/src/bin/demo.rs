//! The demonstration as a program. `cargo xtask demo` sets up, builds and starts it.
//!
//! Progress goes to stderr; stdout holds the one JSON report and nothing else.

use anyhow::{Context, Result};
use clap::Parser;
use end_to_end::demo::Demo;
use end_to_end::ward::Plan;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// Starts a hub, two clinic agents and simulated monitors.
#[derive(Parser)]
struct Options {
    /// How long, such as `40s` or `2m`; until Ctrl-C without it.
    #[arg(long = "for", value_parser = seconds)]
    duration: Option<Duration>,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Run this while the demonstration runs, with LAMPLIGHT_DEMO telling it where; its exit code is ours.
    #[arg(last = true)]
    command: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    eprintln!("starting a hub, two agents and their monitors …");
    let plan = Plan::demo();
    let mut demo = tokio::select! {
        demo = Demo::open(&plan) => demo?,
        _ = interrupt.recv() => return Ok(ExitCode::FAILURE),
        _ = terminate.recv() => return Ok(ExitCode::FAILURE),
    };
    welcome(&demo);
    if let Some((program, args)) = options.command.split_first() {
        let mut command = Command::new(program);
        command.args(args).kill_on_drop(true).env("LAMPLIGHT_DEMO", address(&demo).to_string());
        let status = command.status().await.with_context(|| format!("running {program}"))?;
        demo.ward.alive().await?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    tokio::select! {
        () = over(options.duration) => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("letting everything arrive …");
    let report = demo.conclude().await?;
    for problem in &report.problems {
        eprintln!("does not hold: {problem}");
    }
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        eprintln!("{}", if report.ok { "everything held" } else { "not everything held" });
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn welcome(demo: &Demo) {
    let (urls, sign_in) = (demo.urls(), Demo::sign_in());
    eprintln!();
    for (clinic, url) in demo.ward.clinics.iter().zip(&urls.agents) {
        eprintln!("  ward board  {url}/   {}", clinic.agent.name());
    }
    eprintln!("  hub         {}/", urls.hub);
    eprintln!("  sign in     {}   PIN {}", sign_in.user, sign_in.pin);
    eprintln!("  data, logs  {}", demo.ward.folder().display());
    eprintln!("\nthe patient in bed 1 at hillside and the one in bed 2 at riverside fall ill; Ctrl-C ends everything\n");
}

/// Where the demonstration is, as the report names it.
fn address(demo: &Demo) -> serde_json::Value {
    json!({"urls": demo.urls(), "sign_in": Demo::sign_in()})
}

async fn over(duration: Option<Duration>) {
    match duration {
        Some(duration) => sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// `40s`, `2m`, or plain seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no duration: say 40s or 2m"))?;
    Ok(Duration::from_secs(number * unit))
}
