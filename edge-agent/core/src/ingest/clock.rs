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

/// Device clock minus ours, µs, from what the clock said on arrival; `None` where its zone is unknown.
pub(super) fn offset_us(profile: &Profile, said: Timestamp, arrived: Timestamp) -> Option<i64> {
    let moment = if profile.clock == Clock::Stated { Some(said) } else { profile.moment(said) };
    moment.map(|moment| moment.micros_since(arrived))
}

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
    fn no_clock_reading_overflows() {
        for claim in [i64::MIN, i64::MAX] {
            for offset in [None, Some(i64::MIN), Some(i64::MAX)] {
                let _ = measured(Clock::Utc, Some(Timestamp(claim)), offset, Timestamp(i64::MIN));
            }
        }
    }
}
