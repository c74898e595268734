//! After five wrong secrets in a row an account answers nobody for 30 s, doubling up to 15 min.
//!
//! Names without an account lock the same way, so that locking does not tell which names exist.

use record::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Wrong secrets before the first lock.
pub const FAILURES_MAX: u32 = 5;
/// The first lock, in seconds.
pub const FIRST_LOCK_S: u64 = 30;
/// The longest lock, in seconds.
pub const LONGEST_LOCK_S: u64 = 15 * 60;
/// Names without an account that are remembered.
const STRANGERS_MAX: usize = 1024;

/// How long `failures` wrong secrets in a row lock an account, in seconds; zero: not at all.
#[must_use]
pub fn lock_s(failures: u32) -> u64 {
    match failures.checked_sub(FAILURES_MAX) {
        None => 0,
        Some(beyond) => {
            1_u64.checked_shl(beyond).and_then(|factor| FIRST_LOCK_S.checked_mul(factor)).map_or(LONGEST_LOCK_S, |s| s.min(LONGEST_LOCK_S))
        }
    }
}

/// The moment until which `failures` lock, from `now`.
#[must_use]
pub fn locked_until(failures: u32, now: Timestamp) -> Option<Timestamp> {
    let seconds = lock_s(failures);
    (seconds > 0).then(|| now.plus_micros(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)))
}

/// Whole seconds still to wait, `None` if free. Never more than the longest lock, whatever a stepped clock makes of it.
#[must_use]
pub fn remaining_s(locked_until: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    let left_us = u64::try_from(locked_until?.micros_since(now)).ok()?;
    (left_us > 0).then(|| left_us.div_ceil(1_000_000).min(LONGEST_LOCK_S))
}

/// Failures of names that have no account. In memory and bounded: when full, the longest unused name is forgotten.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<HashMap<String, Stranger>>);

#[derive(Clone, Copy, Debug)]
struct Stranger {
    failures: u32,
    last: Timestamp,
}

impl Strangers {
    /// Until when that name is locked.
    #[must_use]
    pub fn locked_until(&self, name: &str) -> Option<Timestamp> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).and_then(|stranger| locked_until(stranger.failures, stranger.last))
    }

    /// Counts a failure; the count in a row.
    pub fn note_failure(&self, name: &str, now: Timestamp) -> u32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= STRANGERS_MAX && !known.contains_key(name) {
            let oldest = known.iter().min_by_key(|(_, stranger)| stranger.last).map(|(name, _)| name.clone());
            oldest.map(|name| known.remove(&name));
        }
        let stranger = known.entry(name.to_owned()).or_insert(Stranger { failures: 0, last: now });
        stranger.failures = stranger.failures.saturating_add(1);
        stranger.last = now;
        stranger.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_failure_locks_for_30_s_then_doubling_to_15_min() {
        let locks: Vec<u64> = (3..12).map(lock_s).collect();
        assert_eq!(locks, [0, 0, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(lock_s(u32::MAX), LONGEST_LOCK_S);
    }

    #[test]
    fn a_clock_set_back_locks_no_longer_than_the_longest_lock() {
        let until = locked_until(5, Timestamp::from_millis(1_000_000_000)).unwrap();
        assert_eq!(remaining_s(Some(until), Timestamp::from_millis(0)), Some(LONGEST_LOCK_S));
        assert_eq!(remaining_s(Some(until), Timestamp::from_millis(1_000_000_000)), Some(30));
        assert_eq!(remaining_s(Some(until), until), None);
        assert_eq!(remaining_s(None, until), None);
    }

    #[test]
    fn strangers_lock_too_and_stay_bounded() {
        let strangers = Strangers::default();
        let now = Timestamp::from_millis(0);
        for _ in 0..5 {
            strangers.note_failure("nobody", now);
        }
        assert_eq!(remaining_s(strangers.locked_until("nobody"), now), Some(30));
        for n in 0..3000 {
            strangers.note_failure(&format!("name {n}"), now.plus_micros(n));
        }
        assert!(strangers.0.lock().unwrap().len() <= STRANGERS_MAX);
    }
}
