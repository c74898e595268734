//! Chance with a seed that is printed, so that a failure can be run again.

use crate::clock;
use anyhow::{Context, Result};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::ops::Range;
use std::time::Duration;

/// Names the seed of every test here; without it each run has its own.
const SEED: &str = "LAMPLIGHT_E2E_SEED";

/// A seeded sequence of choices.
#[derive(Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// From `LAMPLIGHT_E2E_SEED`, else from the clock; prints which.
    ///
    /// # Errors
    /// The variable is no number.
    pub fn printed() -> Result<Self> {
        let seed = number(SEED)?.unwrap_or_else(|| clock::wall_us().unsigned_abs());
        println!("{SEED}={seed}");
        Ok(Self::of(seed))
    }

    /// From the clock and the process: for what no other run may share, such as an address.
    #[must_use]
    pub fn of_its_own() -> Self {
        Self::of(clock::wall_us().unsigned_abs() ^ (u64::from(std::process::id()) << 40))
    }

    /// The sequence of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number of a range; its start where it is empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + self.0.next_u64() % width
    }

    /// A length of time in milliseconds of a range.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }
}

/// A number from the environment, by which a run is made longer or repeated.
///
/// # Errors
/// It is there and no number.
pub fn number(variable: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{variable}={text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_choices_again_and_stays_within_its_range() {
        let choices = |seed| {
            let mut chance = Chance::of(seed);
            (0..100).map(|_| chance.within(3..17)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
        assert!(choices(7).iter().all(|number| (3..17).contains(number)));
        assert_eq!(Chance::of(7).within(5..5), 5);
    }
}
