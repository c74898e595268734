//! The one place here that reads clocks.

use record::time::{ClockQuality, Monotonic, Now, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Started now; says how long ago that was.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "this is the bench's clock")]
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since.
    #[expect(clippy::disallowed_methods, reason = "this is the bench's clock")]
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Both clocks, as a program's event loop reads them.
#[expect(clippy::disallowed_methods, reason = "this is the bench's clock")]
#[must_use]
pub fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let us = i64::try_from(wall.as_micros()).unwrap_or(i64::MAX);
    Now { wall: Timestamp(us), mono: Monotonic(u64::try_from(us).unwrap_or(0)), quality: ClockQuality::Trusted }
}
