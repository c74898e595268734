//! FHIR's `date`, `dateTime` and `instant`, and the partial ones of a search: a moment is the span its text leaves open.

use crate::time::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

/// How much of the text was there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Precision {
    /// `2026`
    Year,
    /// `2026-01`
    Month,
    /// `2026-01-31`
    Day,
    /// `2026-01-31T10:20`, in searches only.
    Minute,
    /// `2026-01-31T10:20:30` and finer.
    Second,
}

/// A text of a date or time, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// How much was said.
    pub precision: Precision,
    /// Whether a time zone was stated; without one UTC is taken.
    pub zoned: bool,
    /// What it covers.
    pub span: Span,
}

/// From `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First moment in it.
    pub start: Timestamp,
    /// First moment after it.
    pub end: Timestamp,
}

impl Span {
    /// All of time.
    pub const ALWAYS: Self = Self { start: Timestamp(i64::MIN), end: Timestamp(i64::MAX) };

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
    /// Whether they share a moment.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

impl Moment {
    /// Reads `YYYY[-MM[-DD[Thh:mm[:ss[.f…]][zone]]]]`; nothing else, and no date the calendar does not have.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() > 40 {
            return None;
        }
        let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
        let (day, precision) = parse_date(date)?;
        let Some(time) = time else {
            let start = day.to_datetime(jiff::civil::Time::midnight());
            let next = match precision {
                Precision::Year => day.checked_add(jiff::Span::new().years(1)),
                Precision::Month => day.checked_add(jiff::Span::new().months(1)),
                _ => day.checked_add(jiff::Span::new().days(1)),
            };
            // The year 9999 has no next.
            let end = next.map_or(Span::ALWAYS.end, |next| stamp(next.to_datetime(jiff::civil::Time::midnight()), 0));
            return Some(Self { precision, zoned: false, span: Span { start: stamp(start, 0), end } });
        };
        if precision != Precision::Day {
            return None;
        }
        let (clock, offset) = split_zone(time)?;
        let (clock, precision, width_us) = parse_clock(clock)?;
        let start = stamp(day.to_datetime(clock), offset.unwrap_or(0));
        Some(Self { precision, zoned: offset.is_some(), span: Span { start, end: start.plus_micros(width_us) } })
    }

    /// Whether it is a FHIR `date`.
    #[must_use]
    pub fn is_date(&self) -> bool {
        self.precision <= Precision::Day
    }
    /// Whether it is a FHIR `dateTime`: a date, or to the second with a zone.
    #[must_use]
    pub fn is_date_time(&self) -> bool {
        self.is_date() || self.is_instant()
    }
    /// Whether it is a FHIR `instant`.
    #[must_use]
    pub fn is_instant(&self) -> bool {
        self.precision == Precision::Second && self.zoned
    }
}

/// Whether `text` is a FHIR `time`: `hh:mm:ss[.f…]`.
#[must_use]
pub fn is_time(text: &str) -> bool {
    text.is_ascii() && parse_clock(text).is_some_and(|(_, precision, _)| precision == Precision::Second)
}

fn parse_date(text: &str) -> Option<(Date, Precision)> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next();
    let day = parts.next();
    if parts.next().is_some() || year == 0 {
        return None;
    }
    let precision = match (month, day) {
        (None, _) => Precision::Year,
        (_, None) => Precision::Month,
        _ => Precision::Day,
    };
    let month = month.map_or(Some(1), |text| digits(text, 2))?;
    let day = day.map_or(Some(1), |text| digits(text, 2))?;
    let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    Some((date, precision))
}

/// The clock's text and the zone's offset in seconds.
fn split_zone(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, None)) };
    let (clock, zone) = text.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let within = minutes <= 59 && (hours <= 13 || (hours == 14 && minutes == 0));
    within.then_some((clock, Some(sign * (hours * 3600 + minutes * 60))))
}

fn parse_clock(text: &str) -> Option<(jiff::civil::Time, Precision, i64)> {
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let seconds = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let Some(seconds) = seconds else {
        let clock = jiff::civil::Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()?;
        return Some((clock, Precision::Minute, 60_000_000));
    };
    let (whole, fraction) = seconds.split_once('.').map_or((seconds, None), |(whole, fraction)| (whole, Some(fraction)));
    // A leap second is the last of its minute here, as POSIX time has it.
    let second = digits(whole, 2).filter(|s| *s <= 60)?.min(59);
    let (mut nanos, mut width_us) = (0i32, 1_000_000i64);
    if let Some(fraction) = fraction {
        if fraction.is_empty() || fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let kept = fraction.get(..fraction.len().min(6))?;
        let power = u32::try_from(6 - kept.len()).ok()?;
        width_us = 10i64.pow(power);
        nanos = kept.parse::<i32>().ok()? * i32::try_from(width_us).ok()? * 1000;
    }
    let clock = jiff::civil::Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, nanos).ok()?;
    Some((clock, Precision::Second, width_us))
}

fn digits(text: &str, count: usize) -> Option<i32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn stamp(at: DateTime, offset_seconds: i32) -> Timestamp {
    let utc = Offset::UTC.to_timestamp(at).map_or(0, jiff::Timestamp::as_microsecond);
    Timestamp(utc).plus_micros(-i64::from(offset_seconds) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> (String, String) {
        let span = Moment::parse(text).expect(text).span;
        (span.start.rfc3339(), span.end.rfc3339())
    }

    #[test]
    fn a_partial_date_covers_all_it_leaves_open() {
        assert_eq!(span("2024-02"), ("2024-02-01T00:00:00.000Z".into(), "2024-03-01T00:00:00.000Z".into()));
        assert_eq!(span("2024"), ("2024-01-01T00:00:00.000Z".into(), "2025-01-01T00:00:00.000Z".into()));
        assert_eq!(span("2024-02-29"), ("2024-02-29T00:00:00.000Z".into(), "2024-03-01T00:00:00.000Z".into()));
        assert_eq!(span("2024-02-29T10:20+02:00"), ("2024-02-29T08:20:00.000Z".into(), "2024-02-29T08:21:00.000Z".into()));
        assert_eq!(span("2024-02-29T10:20:30.5Z"), ("2024-02-29T10:20:30.500Z".into(), "2024-02-29T10:20:30.600Z".into()));
    }

    #[test]
    fn what_the_calendar_or_the_clock_does_not_have_is_refused() {
        for text in [
            "2023-02-29",
            "2026-13-45",
            "03/02/1980",
            "26-01-01",
            "2026-1-1",
            "2026-01-01T",
            "2026-01-01T25:00:00Z",
            "2026-01T10:00:00Z",
            "2026-01-01T10:00:00.Z",
            "2026-01-01T10:00:00+15:00",
            "",
            "０２０２",
            "0000",
        ] {
            assert!(Moment::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_instant_needs_seconds_and_a_zone() {
        assert!(Moment::parse("2026-01-01T10:00:00.123456789-03:00").expect("read").is_instant());
        assert!(!Moment::parse("2026-01-01T10:00:00").expect("read").is_date_time());
        assert!(!Moment::parse("2026-01-01T10:00Z").expect("read").is_date_time());
        assert!(Moment::parse("9999").expect("read").is_date_time());
        assert!(is_time("10:00:00.5") && !is_time("10:00"));
    }
}
