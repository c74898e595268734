//! The one place that reads the clock; a device's own may be stepped.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// How far the devices' clocks are off, ms.
static STEPPED_MS: AtomicI64 = AtomicI64::new(0);

/// Milliseconds since 1970, as the devices believe.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a program reads the clock in this one file")]
pub fn now_ms() -> i64 {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    now.saturating_add(STEPPED_MS.load(Relaxed))
}

/// Steps the clocks of this simulator's devices.
pub fn step(seconds: i64) {
    STEPPED_MS.fetch_add(seconds.saturating_mul(1000), Relaxed);
}
