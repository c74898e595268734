//! Percentiles.

use serde::Serialize;

/// A latency in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Latency {
    /// Median; null when nothing was measured.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// How many were measured.
    pub n: u64,
}

impl Latency {
    /// Of these, in microseconds, in any order.
    #[must_use]
    pub fn of_us(mut samples: Vec<i64>) -> Self {
        samples.sort_unstable();
        Self { p50: percentile(&samples, 50), p99: percentile(&samples, 99), n: samples.len() as u64 }
    }

    /// The worse of two, each percentile by itself, of all their measurements.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let worse = |one: Option<f64>, two: Option<f64>| one.into_iter().chain(two).reduce(f64::max);
        Self { p50: worse(self.p50, other.p50), p99: worse(self.p99, other.p99), n: self.n + other.n }
    }
}

/// By nearest rank, in milliseconds.
fn percentile(sorted: &[i64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|us| *us as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred = Latency::of_us((1..=100).rev().map(|ms| ms * 1000).collect());
        assert_eq!(hundred, Latency { p50: Some(50.0), p99: Some(99.0), n: 100 });
        assert_eq!(Latency::of_us(vec![7_500]), Latency { p50: Some(7.5), p99: Some(7.5), n: 1 });
    }

    #[test]
    fn nothing_measured_is_not_zero() {
        assert_eq!(Latency::of_us(vec![]), Latency { p50: None, p99: None, n: 0 });
    }

    #[test]
    fn the_worse_of_two_counts_both() {
        let (one, two) = (Latency::of_us(vec![1000, 9000]), Latency::of_us(vec![3000]));
        assert_eq!(one.worse(two), Latency { p50: Some(3.0), p99: Some(9.0), n: 3 });
    }
}
