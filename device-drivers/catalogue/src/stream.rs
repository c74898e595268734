//! What decoders of streams share: numerics at a fair pace, waves in blocks, lines of text, wall-clock times.

use driver::scan::Step;
use driver::{About, DecodeError, Fault, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading, WaveBlock};
use record::time::Timestamp;
use record::unit::Unit;

/// Lets numerics through when they change and once a second: a device that repeats them sixty times a second says
/// nothing new by it.
#[derive(Debug)]
pub(crate) struct Pace {
    last: Option<u64>,
    count: u16,
    every: u16,
}

impl Pace {
    /// `every` frames make a second.
    pub(crate) const fn new(every: u16) -> Self {
        Self { last: None, count: 0, every }
    }
    /// Whether this frame's numerics are due; `key` holds every bit they depend on.
    pub(crate) const fn due(&mut self, key: u64) -> bool {
        self.count += 1;
        let changed = match self.last {
            Some(last) => last != key,
            None => true,
        };
        if changed || self.count >= self.every {
            self.last = Some(key);
            self.count = 0;
            return true;
        }
        false
    }
}

/// Gathers samples of one wave into blocks, each all good or all bad.
#[derive(Debug)]
pub(crate) struct Gather {
    code: Code,
    rate_hz: u16,
    size: usize,
    raw: Vec<i32>,
    good: bool,
}

impl Gather {
    /// Blocks of a quarter of a second.
    pub(crate) const fn new(code: Code, rate_hz: u16) -> Self {
        let quarter = rate_hz / 4;
        Self { code, rate_hz, size: if quarter == 0 { 1 } else { quarter as usize }, raw: Vec::new(), good: true }
    }
    pub(crate) fn push(&mut self, sample: i32, good: bool, out: &mut Vec<Out>) {
        if good != self.good {
            self.flush(out);
            self.good = good;
        }
        if self.raw.is_empty() {
            self.raw.reserve_exact(self.size);
        }
        self.raw.push(sample);
        if self.raw.len() >= self.size {
            self.flush(out);
        }
    }
    /// Gives what has been gathered: samples that came are not lost with the link.
    pub(crate) fn flush(&mut self, out: &mut Vec<Out>) {
        if !self.raw.is_empty() {
            out.push(Out::Wave(WaveBlock {
                code: self.code,
                rate_hz: Decimal::whole(self.rate_hz.into()),
                unit: Unit::One,
                scale: Decimal::whole(1),
                raw: std::mem::take(&mut self.raw),
                good: self.good,
                demo: false,
            }));
        }
    }
}

/// A reading of a number or of none.
pub(crate) fn reading(code: Code, value: Result<Decimal, NoValue>, unit: Unit, quality: Quality) -> Out {
    Out::Reading(Reading { code, value, unit, quality, device_time: None, device_seq: None })
}

/// The line that begins here: its bytes without the end, and the step past it. Empty lines are taken without a word.
pub(crate) fn line(rest: &[u8], limit: usize) -> Result<(&[u8], Step), Step> {
    match rest.iter().take(limit).position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(end) => Ok((rest.get(..end).unwrap_or_default(), Step::Take(end + 1))),
        None if rest.len() >= limit => Err(Step::Skip(1)),
        None => Err(Step::More),
    }
}

/// A wall-clock time read as if it were UTC; `None` for what is no date. Two-digit years are of 1980 to 2079.
pub(crate) fn wall(year: u16, month: u8, day: u8, [hour, minute, second]: [u8; 3]) -> Option<Timestamp> {
    let year = match year {
        0..80 => 2000 + year,
        80..100 => 1900 + year,
        _ => year,
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month_len = match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_len).contains(&day) || year > 9999 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years counted from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (i64::from(year), i64::from(month) - 3) } else { (i64::from(year) - 1, i64::from(month) + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + i64::from(day) - 1 - DAYS_TO_1970;
    let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(Timestamp(seconds * 1_000_000))
}

/// From 1 March of the year 0.
const DAYS_TO_1970: i64 = 719_468;

/// `HH:MM:SS`.
pub(crate) fn clock(text: &str) -> Option<[u8; 3]> {
    let &[h, i, b':', m, n, b':', s, t] = text.as_bytes() else { return None };
    Some([two_digits(&[h, i])?, two_digits(&[m, n])?, two_digits(&[s, t])?])
}

/// A number of one or two digits.
pub(crate) fn two_digits(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
    match *text {
        [ones] => digit(ones),
        [tens, ones] => Some(digit(tens)? * 10 + digit(ones)?),
        _ => None,
    }
}

/// Facts a device repeats, said when they change.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<About>);

impl Told {
    /// Says a fact unless it was the last of its kind said.
    pub(crate) fn say(&mut self, about: About, out: &mut Vec<Out>) {
        let kind = std::mem::discriminant(&about);
        // A clock is said once: what it says changes with every frame.
        let known = |said: &About| std::mem::discriminant(said) == kind && (*said == about || matches!(about, About::Clock(_)));
        if !self.0.iter().any(known) {
            self.0.retain(|said| std::mem::discriminant(said) != kind);
            self.0.push(about.clone());
            out.push(Out::About(about));
        }
    }
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The fault of a line that is not of this protocol.
pub(crate) fn foreign_line(length: usize) -> Out {
    Out::Fault(Fault::new(DecodeError::Unframed, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_date_or_time_is_none() {
        for (date, time) in [
            ((2023, 2, 29), [0, 0, 0]),
            ((1900, 2, 29), [0, 0, 0]),
            ((2024, 4, 31), [0, 0, 0]),
            ((2024, 13, 1), [0, 0, 0]),
            ((2024, 0, 1), [0, 0, 0]),
            ((2024, 1, 0), [0, 0, 0]),
            ((2024, 1, 1), [24, 0, 0]),
            ((2024, 1, 1), [0, 60, 0]),
        ] {
            assert_eq!(wall(date.0, date.1, date.2, time), None, "{date:?} {time:?}");
        }
        assert_eq!(wall(99, 12, 31, [23, 59, 59]).map(|at| at.rfc3339()).as_deref(), Some("1999-12-31T23:59:59.000Z"));
        assert_eq!(wall(24, 2, 29, [0, 0, 0]).map(|at| at.rfc3339()).as_deref(), Some("2024-02-29T00:00:00.000Z"));
    }

    proptest! {
        #[test]
        fn a_wall_clock_is_that_of_the_calendar(year in 1980i16..2200, month in 1i8..=12, day in 1i8..=31, second in 0i32..86_400) {
            let time = [second / 3600, second / 60 % 60, second % 60].map(|part| part as u8);
            let ours = wall(year as u16, month as u8, day as u8, time);
            let theirs = jiff::civil::Date::new(year, month, day).ok().map(|date| {
                let at = date.at(time[0] as i8, time[1] as i8, time[2] as i8, 0);
                Timestamp(jiff::tz::Offset::UTC.to_timestamp(at).expect("in range").as_microsecond())
            });
            prop_assert_eq!(ours, theirs);
        }
    }
}
