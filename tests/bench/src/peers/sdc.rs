//! sdc11073, the reference implementation of IEEE 11073 SDC in Python: a provider and a consumer in one process, over loopback,
//! without TLS.

use super::{Cache, said};
use anyhow::{Context, Result};
use end_to_end::measure::Latency;
use std::process::Command;

const SCRIPT: &str = include_str!("sdc.py");

/// What a report of one metric takes from the provider's transaction to the consumer's observer.
///
/// # Errors
/// It is not set up, or does not run.
pub fn report_latency(cache: &Cache, reports: usize, rate_hz: u64) -> Result<Latency> {
    let mut python = Command::new(cache.python()?);
    let output = said(python.args(["-c", SCRIPT, &reports.to_string(), &rate_hz.to_string()]))?;
    let last = output.trim().lines().last().context("sdc11073 said nothing")?;
    let us: Vec<i64> = serde_json::from_str(last).context("what sdc11073 said is no list of latencies")?;
    Ok(Latency::of_us(us))
}
