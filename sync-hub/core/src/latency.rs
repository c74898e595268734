//! Percentiles over the newest measurements, in bounded room.

use hub_api::fleet::Latency;
use std::collections::VecDeque;

/// How many measurements are kept.
pub const WINDOW: usize = 1000;

/// The newest [`WINDOW`] latencies.
#[derive(Clone, Debug, Default)]
pub struct Window(VecDeque<u64>);

impl Window {
    /// Adds one, µs.
    pub fn add(&mut self, us: u64) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(us);
    }

    /// Median and 99th percentile by nearest rank, ms; `None` while nothing was measured.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        let mut sorted: Vec<u64> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).map(|us| *us as f64 / 1000.0)
        };
        Some(Latency { p50: rank(50)?, p99: rank(99)?, n: sorted.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements_that_happened() {
        let mut window = Window::default();
        assert_eq!(window.latency(), None);
        window.add(7_000);
        assert_eq!(window.latency(), Some(Latency { p50: 7.0, p99: 7.0, n: 1 }));
        for ms in 1..=100 {
            window.add(ms * 1000);
        }
        let latency = window.latency().unwrap();
        assert_eq!((latency.p50, latency.p99, latency.n), (50.0, 99.0, 101));
    }

    #[test]
    fn old_measurements_leave() {
        let mut window = Window::default();
        window.add(u64::MAX);
        for _ in 0..WINDOW {
            window.add(1000);
        }
        assert_eq!(window.latency(), Some(Latency { p50: 1.0, p99: 1.0, n: 1000 }));
    }
}
