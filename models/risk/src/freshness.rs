//! Which of a chart's values counts at a moment, and how old it may be.

use crate::chart::{Chart, Input, Source};
use record::code::Code;
use record::decimal::Decimal;
use record::time::Timestamp;

/// A device clock may run this far ahead of ours before its value is set aside: past it, "when" is unknown. Design choice,
/// the same two minutes at which the appliance warns of a wrong clock.
pub const AHEAD_MAX_S: u32 = 120;

/// Two sources of one vital measured within this of each other are equally new, and the score's order of preference decides. Without
/// it an ECG and an oximeter that disagree would take turns, and the score would flicker. Design choice.
pub const EQUALLY_NEW_S: u32 = 60;

/// One way to obtain a vital: its code, and how long a value stays fresh in seconds, by source.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// What is charted.
    pub code: Code,
    /// Limits for it.
    pub limit: Limit,
}

/// How old a value may be and still count, in seconds. A value exactly as old as its limit counts.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// For a value a device streams.
    pub streamed_s: u32,
    /// For a value measured once.
    pub spot_s: u32,
}

/// What a chart offers for one parameter at a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Found<T> {
    /// A value that counts.
    Fresh {
        /// The value.
        value: T,
        /// Seconds since it was measured; 0 if it is dated slightly ahead.
        age_s: u32,
        /// How it came.
        source: Source,
    },
    /// Only values too old to count; these are the numbers of the youngest.
    Stale {
        /// Seconds since it was measured.
        age_s: u32,
        /// What was allowed.
        limit_s: u32,
    },
    /// Only values dated further ahead than [`AHEAD_MAX_S`].
    Ahead {
        /// Seconds ahead of the moment.
        by_s: u32,
    },
    /// Nothing charted.
    Missing,
}

/// The number that counts among several ways to obtain one vital: the first listed of those measured within
/// [`EQUALLY_NEW_S`] of the newest fresh one.
#[must_use]
pub fn number(chart: &Chart, measures: &[Measure], at: Timestamp) -> Found<(Code, Decimal)> {
    let found: Vec<_> = measures
        .iter()
        .map(|measure| {
            let input = chart.numeric(measure.code);
            let input = input.map(|i| Input { value: (measure.code, i.value), measured_at: i.measured_at, source: i.source });
            one(input, measure.limit, at)
        })
        .collect();
    let newest_s = found.iter().filter_map(Found::fresh_age_s).min().unwrap_or(0);
    let counts = found.iter().find(|f| f.fresh_age_s().is_some_and(|age_s| age_s <= newest_s.saturating_add(EQUALLY_NEW_S)));
    counts.or_else(|| found.iter().min_by_key(|f| f.why_not())).copied().unwrap_or(Found::Missing)
}

/// What one charted value is worth at a moment.
#[must_use]
pub fn one<T>(input: Option<Input<T>>, limit: Limit, at: Timestamp) -> Found<T> {
    let Some(Input { value, measured_at, source }) = input else { return Found::Missing };
    let age_us = at.micros_since(measured_at);
    if age_us < 0 {
        let by_s = seconds(age_us.saturating_neg());
        return if by_s > AHEAD_MAX_S { Found::Ahead { by_s } } else { Found::Fresh { value, age_s: 0, source } };
    }
    let age_s = seconds(age_us);
    let limit_s = match source {
        Source::Streamed => limit.streamed_s,
        Source::Spot => limit.spot_s,
    };
    if age_s > limit_s { Found::Stale { age_s, limit_s } } else { Found::Fresh { value, age_s, source } }
}

/// Rounded up, so that a limit is never passed unseen.
fn seconds(us: i64) -> u32 {
    u32::try_from(us.div_euclid(1_000_000) + i64::from(us.rem_euclid(1_000_000) > 0)).unwrap_or(u32::MAX)
}

impl<T> Found<T> {
    const fn fresh_age_s(&self) -> Option<u32> {
        match self {
            Self::Fresh { age_s, .. } => Some(*age_s),
            _ => None,
        }
    }

    /// Orders reasons for having no value: the most telling first.
    const fn why_not(&self) -> (u8, u32) {
        match self {
            Self::Fresh { age_s, .. } => (0, *age_s),
            Self::Stale { age_s, .. } => (1, *age_s),
            Self::Ahead { by_s } => (2, *by_s),
            Self::Missing => (3, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::unit::Unit;

    const LIMIT: Limit = Limit { streamed_s: 600, spot_s: 3600 };
    const PULSE: &[Measure] = &[Measure { code: Code::HEART_RATE, limit: LIMIT }, Measure { code: Code::PULSE_RATE, limit: LIMIT }];

    fn input(measured_s: i64, source: Source) -> Option<Input<u8>> {
        Some(Input { value: 1, measured_at: Timestamp(measured_s * 1_000_000), source })
    }

    fn pulse(ecg: (i64, i64), oximeter: (i64, i64), at_s: i64) -> Found<(Code, Decimal)> {
        let mut chart = Chart::default();
        for (code, (value, second)) in [(Code::HEART_RATE, ecg), (Code::PULSE_RATE, oximeter)] {
            let measured_at = Timestamp(second * 1_000_000);
            let input = Input { value: Decimal::whole(value), measured_at, source: Source::Streamed };
            chart.record(code, Unit::PerMinute, input).expect("charted");
        }
        number(&chart, PULSE, Timestamp(at_s * 1_000_000))
    }

    #[test]
    fn a_value_counts_up_to_its_limit_and_not_a_microsecond_longer() {
        let at = Timestamp(600_000_000);
        assert_eq!(one(input(0, Source::Streamed), LIMIT, at), Found::Fresh { value: 1, age_s: 600, source: Source::Streamed });
        assert_eq!(one(input(0, Source::Streamed), LIMIT, at.plus_micros(1)), Found::Stale { age_s: 601, limit_s: 600 });
        assert_eq!(one(input(0, Source::Spot), LIMIT, at.plus_micros(1)), Found::Fresh { value: 1, age_s: 601, source: Source::Spot });
    }

    #[test]
    fn a_clock_slightly_ahead_is_forgiven_and_a_wrong_one_is_not() {
        assert_eq!(one(input(120, Source::Spot), LIMIT, Timestamp(0)), Found::Fresh { value: 1, age_s: 0, source: Source::Spot });
        assert_eq!(one(input(121, Source::Spot), LIMIT, Timestamp(0)), Found::Ahead { by_s: 121 });
        assert_eq!(one(input(i64::MAX / 1_000_000, Source::Spot), LIMIT, Timestamp(i64::MIN)), Found::Ahead { by_s: u32::MAX });
    }

    #[test]
    fn the_preferred_source_counts_while_it_is_about_as_new_as_the_other() {
        let ecg = |value, age_s| Found::Fresh { value: (Code::HEART_RATE, Decimal::whole(value)), age_s, source: Source::Streamed };
        let oximeter = |value, age_s| Found::Fresh { value: (Code::PULSE_RATE, Decimal::whole(value)), age_s, source: Source::Streamed };
        assert_eq!(pulse((130, 40), (100, 100), 100), ecg(130, 60));
        assert_eq!(pulse((130, 39), (100, 100), 100), oximeter(100, 0));
    }

    #[test]
    fn of_several_stale_values_the_youngest_is_named() {
        assert_eq!(pulse((80, 0), (80, 100), 1000), Found::Stale { age_s: 900, limit_s: 600 });
    }
}
