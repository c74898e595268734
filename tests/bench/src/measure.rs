//! What work costs: wall time, CPU time of every thread, the middle of several rounds.

use crate::clock::Stopwatch;
use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::time::Duration;

/// What a piece of work took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// By the clock on the wall.
    pub wall: Duration,
    /// CPU time of this process, user and system, all threads.
    pub cpu: Duration,
}

impl Spent {
    /// How often a second, if this was `times` times.
    #[must_use]
    pub fn per_second(&self, times: usize) -> f64 {
        times as f64 / self.wall.as_secs_f64()
    }
}

/// Does it, and says what that took.
///
/// # Errors
/// The work's own.
pub fn spent<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Spent)> {
    let (watch, before) = (Stopwatch::start(), own_cpu()?);
    let done = work()?;
    Ok((done, Spent { wall: watch.elapsed(), cpu: own_cpu()?.saturating_sub(before) }))
}

/// CPU time this process has used.
///
/// # Errors
/// The system does not say.
pub fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

/// CPU time another process has used, to the hundredth of a second that the system keeps.
#[must_use]
pub fn cpu_of(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

/// Memory another process holds now, MiB.
#[must_use]
pub fn rss_mb_of(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The middle of what several rounds gave; of an even number the mean of the middle two.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some(low.midpoint(*high))
}

fn duration(time: TimeVal) -> Duration {
    let whole = u64::try_from(time.tv_sec()).unwrap_or(0);
    Duration::from_secs(whole) + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_nothing_is_nothing() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![f64::NAN]), None);
    }

    #[test]
    fn one_wild_round_does_not_move_the_middle() {
        assert_eq!(median(vec![3.0, 1000.0, 1.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 2.0]), Some(3.0));
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let (sum, spent) = spent(|| Ok((0..20_000_000u64).fold(0u64, |sum, n| sum.wrapping_mul(31).wrapping_add(n)))).expect("work");
        assert!(sum != 1 && spent.cpu <= spent.wall * 4 + Duration::from_millis(20));
        assert!(cpu_of(std::process::id()).is_some() && rss_mb_of(std::process::id()).is_some_and(|mb| mb > 0.5));
    }
}
