//! HL7 date and time: `YYYYMMDD[HH[MM[SS[.S…]]]][±ZZZZ]`.

use record::time::Timestamp;

/// A date and time as sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTime {
    /// Its digits, read as if they were UTC.
    pub read_as_utc: Timestamp,
    /// Minutes east of UTC, if it states its zone.
    pub offset_min: Option<i32>,
}

impl DateTime {
    /// Reads a date with at least hours: a day alone is no moment of measurement. Zeros and impossible dates are none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (digits, zone) = match text.find(['+', '-']) {
            Some(at) => text.split_at_checked(at)?,
            None => (text, ""),
        };
        let (digits, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if !(digits.len() == 10 || digits.len() == 12 || digits.len() == 14)
            || !is_digits(digits)
            || !is_digits(fraction)
            || fraction.len() > 9
        {
            return None;
        }
        let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
        let year = digits.get(..4)?.parse::<i16>().ok().filter(|year| *year > 0)?;
        // A leap second is read as the last of its minute.
        let second = part(12, 14)?.min(59);
        let nanosecond = format!("{fraction:0<9}").parse().ok()?;
        let at = jiff::civil::DateTime::new(year, part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, second, nanosecond).ok()?;
        let read_as_utc = jiff::tz::Offset::UTC.to_timestamp(at).ok().map(|at| Timestamp(at.as_microsecond()))?;
        Some(Self { read_as_utc, offset_min: offset(zone)? })
    }

    /// The moment, if a zone is stated here or, for the whole message, in its header.
    #[must_use]
    pub fn moment(&self, message_offset_min: Option<i32>) -> Option<Timestamp> {
        let minutes = self.offset_min.or(message_offset_min)?;
        Some(self.read_as_utc.plus_micros(-i64::from(minutes) * 60_000_000))
    }
}

/// `Some(None)` where no zone is stated, `None` where it cannot be read.
fn offset(zone: &str) -> Option<Option<i32>> {
    let sign = match zone.as_bytes().first() {
        None => return Some(None),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let digits = zone.get(1..).filter(|digits| digits.len() == 4 && is_digits(digits))?;
    let (hours, minutes) = (digits.get(..2)?.parse::<i32>().ok()?, digits.get(2..)?.parse::<i32>().ok()?);
    (hours <= 14 && minutes < 60).then_some(Some(sign * (hours * 60 + minutes)))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        DateTime::parse(text).and_then(|t| t.moment(None))
    }

    #[test]
    fn a_time_with_a_zone_is_a_moment() {
        let want = Timestamp::parse("2015-01-18T14:30:00Z").ok();
        for text in ["20150118143000+0000", "201501181430+0000", "20150118163000+0200", "20150118100000-0430"] {
            assert_eq!(at(text), want, "{text}");
        }
        assert_eq!(at("2015011814+0000"), Timestamp::parse("2015-01-18T14:00:00Z").ok());
        assert_eq!(at("20150118143000.25+0000"), Timestamp::parse("2015-01-18T14:30:00.250Z").ok());
    }

    #[test]
    fn a_time_without_a_zone_borrows_that_of_the_message_or_is_no_moment() {
        let time = DateTime::parse("20150118143000").expect("time");
        assert_eq!(time.moment(None), None);
        assert_eq!(time.moment(Some(60)), Timestamp::parse("2015-01-18T13:30:00Z").ok());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "0",
            "00000000000000",
            "20150118",
            "20151318143000",
            "20150118143000+1",
            "20150118143000+9900",
            "2015011814３0",
            "2015x118143000",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
    }
}
