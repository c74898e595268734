//! Runs seeds and says which of them failed. `--trace` shows what happened, in order, in the smallest plan that still fails.

use clap::Parser;
use serde_json::json;
use simulation::{Fault, Outcome, Plan, run};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Simulated wards from seeds.
#[derive(Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// Show the run of a failing seed in order of time.
    #[arg(long)]
    trace: bool,
    /// Only these faults, whatever the seed says.
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// Stop at the first seed that fails.
    #[arg(long)]
    first: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let next = AtomicU64::new(options.from);
    let end = options.from + options.seeds;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes: Vec<(u64, Outcome)> = thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return done;
                }
                let outcome = run(&plan(&options, seed), false);
                if let Some(failure) = &outcome.failure {
                    eprintln!("seed {seed} failed at {} s: {}; {:?}", failure.at_s, failure.what, Plan::of(seed).faults);
                    if options.first {
                        next.store(end, Ordering::Relaxed);
                    }
                }
                done.push((seed, outcome));
            }
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_default()).collect()
    });
    outcomes.sort_by_key(|(seed, _)| *seed);
    let failed: Vec<u64> = outcomes.iter().filter(|(_, o)| o.failure.is_some()).map(|(seed, _)| *seed).collect();
    if let (true, Some(seed)) = (options.trace, failed.first()) {
        trace(plan(&options, *seed));
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(|(_, o)| of(o)).sum::<u64>();
    let (hours, replicas) = (sum(|o| o.seconds) as f64 / 3600.0, sum(|o| o.replicas));
    let (acknowledged, lost) = (sum(|o| o.acknowledged), sum(|o| o.lost));
    if options.json {
        let report = json!({
            "seeds": outcomes.len(), "failed": failed, "simulated_hours": (hours * 10.0).round() / 10.0,
            "replicas": replicas, "acknowledged": acknowledged, "lost": lost,
        });
        println!("{report}");
    } else {
        println!(
            "{} seeds, {} failed {failed:?}; {hours:.0} hours of {replicas} boxes, {acknowledged} commits",
            outcomes.len(),
            failed.len()
        );
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(options: &Options, seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
    if let Some(only) = &options.only {
        plan = plan.with(only.iter().filter_map(|name| Fault::from_name(name)).collect());
    }
    plan
}

/// Takes away what the failure does not need, then shows the run.
fn trace(mut plan: Plan) {
    let kind =
        |plan: &Plan| run(plan, false).failure.map(|f| f.what.chars().filter(|c| !c.is_ascii_digit()).skip(5).take(24).collect::<String>());
    let same = kind(&plan);
    for fault in Fault::ALL {
        let fewer = plan.clone().without(fault);
        if plan.has(fault) && kind(&fewer) == same {
            plan = fewer;
        }
    }
    for commands in 1..plan.commands {
        let shorter = Plan { commands, ..plan.clone() };
        if kind(&shorter) == same {
            plan = shorter;
            break;
        }
    }
    let outcome = run(&plan, true);
    eprintln!("{plan:?}");
    outcome.trace.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("{:?}", outcome.failure);
}
