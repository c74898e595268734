//! The one place that reads the clock.

use std::time::SystemTime;

/// Milliseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a program reads the clock in this one file")]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
