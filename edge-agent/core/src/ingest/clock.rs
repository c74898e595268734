//! When something was measured, as far as can be told.

use driver::profile::{Clock, Profile};
use record::time::Timestamp;

/// 2015-01-01: clocks that were never set show earlier years.
const EARLIEST: Timestamp = Timestamp(1_420_070_400_000_000);
/// How far a corrected device time may lie ahead of arrival.
const AHEAD_MAX_US: i64 = 120_000_000;

/// The moment of measurement, and whether the device's claim could be used (true where it made none): its time
/// corrected by its measured offset, else arrival. Nothing is measured after it arrives.
pub(super) fn measured(clock: Clock, claim: Option<Timestamp>, offset_us: Option<i64>, arrived: Timestamp) -> (Timestamp, bool) {
    let (Some(claim), true) = (claim, clock != Clock::None) else { return (arrived, true) };
    let offset = offset_us.unwrap_or(0);
    // A monitor that kept its messages while it could not reach us looks just like one whose clock is behind. Where the zone
    // is stated the time is believed, so that late data are charted when they were measured; the technician sees the offset.
    // Nothing arrives before it is measured: a clock ahead is corrected.
    let offset = if clock == Clock::Stated { offset.max(0) } else { offset };
    let corrected = claim.plus_micros(offset.saturating_neg());
    if corrected < EARLIEST || corrected.micros_since(arrived) > AHEAD_MAX_US {
        return (arrived, false);
    }
    (corrected.min(arrived), true)
}

/// What a device's clock is worth, as measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Measured {
    /// It minus ours, µs; its zone is in it where that is unknown.
    pub offset_us: i64,
    /// Whether its zone is known, so that the offset corrects its stamps.
    pub zone_known: bool,
}

/// Device clock minus ours, from what the clock said on arrival.
pub(super) fn measure(profile: &Profile, said: Timestamp, arrived: Timestamp) -> Measured {
    let moment = if profile.clock == Clock::Stated { Some(said) } else { profile.moment(said) };
    Measured { offset_us: moment.unwrap_or(said).micros_since(arrived), zone_known: moment.is_some() }
}

impl Measured {
    /// The offset that corrects what the device stamps.
    pub const fn correction(self) -> Option<i64> {
        if self.zone_known { Some(self.offset_us) } else { None }
    }

    /// What is wrong with the clock, in words; `None` while it is right to the minute.
    pub fn note(self) -> Option<String> {
        let minutes = |us: i64| us.unsigned_abs().div_ceil(60_000_000);
        match self.offset_us {
            us if !self.zone_known => {
                // Zones differ by quarters of an hour: what is left over is the clock's own error.
                let off = us.saturating_add(QUARTER_US / 2).rem_euclid(QUARTER_US) - QUARTER_US / 2;
                let error = if off.abs() < RIGHT_US { String::new() } else { format!(" and is some {} min off", minutes(off)) };
                Some(format!("its clock names no zone{error}: add utc_offset_min to its profile, else its own times are not used"))
            }
            us if us.unsigned_abs() < RIGHT_US.unsigned_abs() => None,
            us if us > 0 => Some(format!("its clock is some {} min ahead: set it", minutes(us))),
            us => Some(format!("its clock is some {} min behind: set it", minutes(us))),
        }
    }
}

/// Zones differ by this.
const QUARTER_US: i64 = 900_000_000;
/// A clock this close is right.
const RIGHT_US: i64 = 60_000_000;
/// What is said of a clock that was never set.
pub(crate) const UNSET: &str = "its clock was never set: set it, else its own times are not used";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    #[test]
    fn a_device_time_is_corrected_by_the_measured_offset() {
        let arrived = at("2026-11-22T10:00:00Z");
        let claim = at("2017-01-01T00:00:00Z");
        let offset = claim.micros_since(arrived.plus_micros(-60_000_000));
        assert_eq!(measured(Clock::Utc, Some(claim), Some(offset), arrived), (arrived.plus_micros(-60_000_000), true));
    }

    #[test]
    fn a_clock_that_was_never_set_or_runs_far_ahead_gives_way_to_arrival() {
        let arrived = at("2026-11-22T10:00:00Z");
        for claim in ["1970-01-01T00:00:10Z", "2014-12-31T23:59:59Z", "2026-11-22T10:02:01Z"] {
            assert_eq!(measured(Clock::Stated, Some(at(claim)), None, arrived), (arrived, false), "{claim}");
        }
        assert_eq!(measured(Clock::Stated, Some(at("2026-11-22T10:00:03Z")), None, arrived), (arrived, true));
        assert_eq!(measured(Clock::None, Some(at("2026-11-22T09:00:00Z")), None, arrived), (arrived, true));
    }

    #[test]
    fn messages_a_monitor_kept_while_away_are_charted_when_they_were_measured() {
        let arrived = at("2026-11-22T10:00:00Z");
        let kept = at("2026-11-22T09:59:00Z");
        let offset = Some(kept.micros_since(arrived));
        assert_eq!(measured(Clock::Stated, Some(kept), offset, arrived), (kept, true));
        let ahead = at("2026-11-22T10:00:30Z");
        assert_eq!(measured(Clock::Stated, Some(ahead), Some(ahead.micros_since(arrived)), arrived), (arrived, true));
    }

    #[test]
    fn a_clock_says_what_is_wrong_with_it_and_one_without_a_zone_corrects_nothing() {
        let arrived = at("2026-11-22T10:00:00Z");
        let note = |said: &str, clock, utc_offset_min| {
            let profile = Profile { clock, utc_offset_min, ..Profile::bare("ble.blood-pressure") };
            let measured = measure(&profile, at(said), arrived);
            (measured.correction(), measured.note().unwrap_or_default())
        };
        assert_eq!(note("2026-11-22T10:00:30Z", Clock::Stated, None), (Some(30_000_000), String::new()));
        assert_eq!(note("2026-11-22T12:10:00Z", Clock::Local, Some(120)).0, Some(600_000_000));
        assert!(note("2026-11-22T12:10:00Z", Clock::Local, Some(120)).1.contains("10 min ahead"));
        assert!(note("2026-11-22T09:00:00Z", Clock::Utc, None).1.contains("60 min behind"));
        let (correction, words) = note("2026-11-22T15:30:20Z", Clock::Local, None);
        assert!(correction.is_none() && words.contains("utc_offset_min") && !words.contains("min off"), "{words}");
        assert!(note("2026-11-22T15:35:00Z", Clock::Local, None).1.contains("5 min off"));
    }

    #[test]
    fn no_clock_reading_overflows() {
        for claim in [i64::MIN, i64::MAX] {
            for offset in [None, Some(i64::MIN), Some(i64::MAX)] {
                let _ = measured(Clock::Utc, Some(Timestamp(claim)), offset, Timestamp(i64::MIN));
                let _ = Measured { offset_us: claim, zone_known: offset.is_some() }.note();
            }
        }
    }
}
