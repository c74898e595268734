//! Hybrid logical time: orders concurrent values and nothing else.

use crate::time::{ClockQuality, Now};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A hybrid logical timestamp. Order: an untrusted clock loses to a trusted one, then wall time, then counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Hlc {
    /// Whether the writer believed its clock.
    pub trusted: bool,
    /// Milliseconds since 1970, never behind what the writer had seen.
    pub wall_ms: u64,
    /// Orders events of one millisecond.
    pub counter: u32,
}

impl Hlc {
    /// The next stamp of a writer whose last was `self`.
    #[must_use]
    pub fn tick(self, now: Now) -> Self {
        let trusted = now.quality == ClockQuality::Trusted;
        let wall_ms = u64::try_from(now.wall.millis()).unwrap_or(0);
        // A stamp taken under doubt must not push a later trusted one into the future.
        if trusted && !self.trusted {
            return Self { trusted, wall_ms, counter: 0 };
        }
        // A doubted clock does not move time: what is written after a trusted stamp was seen still comes after it.
        if !trusted && self.trusted {
            return Self { counter: self.counter.saturating_add(1), ..self };
        }
        if wall_ms > self.wall_ms {
            Self { trusted, wall_ms, counter: 0 }
        } else {
            Self { trusted, wall_ms: self.wall_ms, counter: self.counter.saturating_add(1) }
        }
    }

    /// What the writer's last stamp becomes on seeing `other`: its own order must come after. Receipt never changes
    /// `other` itself, and a stamp more than a day ahead of `now` is not followed.
    #[must_use]
    pub fn observe(self, other: Self, now: Now) -> Self {
        const DAY_MS: u64 = 86_400_000;
        let limit = u64::try_from(now.wall.millis()).unwrap_or(0).saturating_add(DAY_MS);
        if other.trusted && other.wall_ms <= limit { self.max(other) } else { self }
    }
}

/// `t` or `u`, 12 hex digits of milliseconds, 8 of counter: 21 characters whose text order is the order of stamps of
/// equal trust.
impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:012x}{:08x}", if self.trusted { 't' } else { 'u' }, self.wall_ms & 0xffff_ffff_ffff, self.counter)
    }
}

impl FromStr for Hlc {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let trusted = match text.as_bytes().first() {
            Some(b't') => true,
            Some(b'u') => false,
            _ => return Err(()),
        };
        let (wall, counter) = (text.get(1..13).ok_or(())?, text.get(13..21).ok_or(())?);
        Ok(Self {
            trusted,
            wall_ms: u64::from_str_radix(wall, 16).map_err(|_| ())?,
            counter: u32::from_str_radix(counter, 16).map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn at(ms: i64, quality: ClockQuality) -> Now {
        Now { wall: Timestamp::from_millis(ms), quality, ..Now::default() }
    }

    #[test]
    fn a_clock_stepping_back_still_gives_rising_stamps() {
        let first = Hlc::default().tick(at(1000, ClockQuality::Trusted));
        let second = first.tick(at(400, ClockQuality::Trusted));
        assert!(second > first);
    }

    #[test]
    fn an_untrusted_clock_in_the_future_loses_to_a_trusted_one() {
        let wild = Hlc::default().tick(at(9_999_999_999_999, ClockQuality::Untrusted));
        let sane = wild.tick(at(1000, ClockQuality::Trusted));
        assert!(sane > wild);
        assert_eq!(sane.wall_ms, 1000);
    }

    #[test]
    fn what_is_written_under_doubt_comes_after_what_was_seen_and_before_what_trusted_clocks_write_later() {
        let seen = Hlc::default().tick(at(1000, ClockQuality::Trusted));
        let doubted = seen.tick(at(9_999_999_999_999, ClockQuality::Untrusted));
        assert!(doubted > seen);
        assert!(Hlc::default().tick(at(1001, ClockQuality::Trusted)) > doubted);
    }

    #[test]
    fn a_stamp_survives_its_printing() {
        let stamp = Hlc { trusted: true, wall_ms: 1_764_000_000_123, counter: 7 };
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
    }
}
