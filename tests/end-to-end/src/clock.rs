//! The one place here that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Started now; says how long ago that was.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "this is the harness's clock")]
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since.
    #[expect(clippy::disallowed_methods, reason = "this is the harness's clock")]
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Microseconds since 1970, by the clock the programs on this machine read.
#[expect(clippy::disallowed_methods, reason = "this is the harness's clock")]
#[must_use]
pub fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
