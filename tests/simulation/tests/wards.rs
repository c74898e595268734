//! Wards from seeds: a fixed budget on every run, and seeds that once failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use simulation::{Fault, Plan, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds of a run of the tests; `LAMPLIGHT_SIMULATION_SEEDS` asks for more or fewer.
const SEEDS: u64 = 2_000;

#[test]
fn wards_of_the_budget_keep_every_promise() {
    let seeds = std::env::var("LAMPLIGHT_SIMULATION_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if let Some(failure) = run(&Plan::of(seed), false).failure {
                        failed.lock().expect("lock").push(format!("seed {seed} at {} s: {}", failure.at_s, failure.what));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("lock");
    failed.sort();
    assert!(failed.is_empty(), "replay with `cargo xtask simulate --seeds 1 --from SEED --trace`:\n{}", failed.join("\n"));
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in [3, 7, 20] {
        let (one, other) = (run(&Plan::of(seed), true), run(&Plan::of(seed), true));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one, other);
    }
}

#[test]
fn every_fault_by_itself_is_survived() {
    for fault in Fault::ALL {
        for seed in 0..3 {
            let plan = Plan::of(seed).with([fault].into());
            assert_eq!(run(&plan, false).failure, None, "{}, seed {seed}", fault.name());
        }
    }
}
