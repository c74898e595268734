//! Moments. There is no `now()` here: a program's one `clock.rs` reads the clock and passes it in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A wall-clock moment in microseconds since 1970-01-01T00:00:00Z. Leap seconds are smeared, as POSIX has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1000))
    }
    /// Milliseconds since 1970, rounded towards the past.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// This moment moved by `us` microseconds, kept inside the range.
    #[must_use]
    pub const fn plus_micros(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }
    /// Microseconds from `earlier` to this moment; negative if it is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
    /// RFC 3339 in UTC with milliseconds, as FHIR `instant` wants it; years outside 1–9999 are pinned to the edge.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let pinned = self.0.clamp(-62_135_596_800_000_000, 253_402_207_200_000_000);
        let at = jiff::Timestamp::from_microsecond(pinned).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{at:.3}")
    }
    /// The date of an HTTP header: `Sun, 22 Nov 2026 04:00:00 GMT`.
    #[must_use]
    pub fn http_date(self) -> String {
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        jiff::fmt::strtime::format("%a, %d %b %Y %H:%M:%S GMT", &at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
    }
    /// Reads RFC 3339 (with a zone).
    ///
    /// # Errors
    /// Text that is not a date and time with a zone.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>().map(|at| Self(at.as_microsecond())).map_err(|_| TimeError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a date and time with a zone such as 2026-11-22T04:00:00Z, got {0:?}")]
pub struct TimeError(pub String);

/// Microseconds on this process's steady clock; comparable only within one run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This moment plus `us` microseconds.
    #[must_use]
    pub const fn plus_micros(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
    /// Microseconds since `earlier`, zero if it is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The two clocks a program reads together, handed to every brain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Now {
    /// Wall clock.
    pub wall: Timestamp,
    /// Steady clock.
    pub mono: Monotonic,
    /// Whether the wall clock can be believed.
    pub quality: ClockQuality,
}

/// How far a wall clock can be believed. An untrusted writer loses to trusted ones; it is never corrected in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockQuality {
    /// Set by network time or by a person since start.
    #[default]
    Trusted,
    /// Never set since power-on, or seen to step.
    Untrusted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_fhir_and_as_http_want_it() {
        let at = Timestamp::parse("2026-11-22T04:00:00.125Z").expect("moment");
        assert_eq!(at.rfc3339(), "2026-11-22T04:00:00.125Z");
        assert_eq!(at.http_date(), "Sun, 22 Nov 2026 04:00:00 GMT");
        assert!(Timestamp(i64::MAX).rfc3339().starts_with("9999"));
    }
}
