//! What a device's own clock is worth: a stamp becomes a moment only where the zone is known, and a result of unknown age is
//! never charted as if it were fresh.

use super::{Fields, doubt};
use driver::profile::{Clock, Profile};
use driver::{About, Channel, DecodeError, Out};
use record::observation::Reading;
use record::time::{Monotonic, Timestamp};

/// Date Time, as some devices let it be read.
const DATE_TIME: Channel = Channel::assigned(0x2A08);
/// Current Time: a Date Time, the weekday, 1/256 s and why it was last set.
const CURRENT_TIME: Channel = Channel::assigned(0x2A2B);
/// A result taken longer ago than this is an old one.
const FRESH_US: i64 = 120_000_000;

/// A Date Time (2A08) as sent: wall time without a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DateTime(pub [u8; 7]);

impl DateTime {
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
        fields.take().map(Self)
    }

    /// Read as if it were UTC; `None` where a part is unknown or impossible.
    pub fn as_utc(self) -> Option<Timestamp> {
        let [y0, y1, month, day, hour, minute, second] = self.0;
        let parts = [month, day, hour, minute, second].map(|part| i8::try_from(part).ok());
        let [Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else { return None };
        let year = i16::try_from(u16::from_le_bytes([y0, y1])).ok().filter(|year| *year > 0)?;
        let at = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        jiff::tz::Offset::UTC.to_timestamp(at).ok().map(|at| Timestamp(at.as_microsecond()))
    }

    /// A record's number within this moment, and the moment, as one number: a device whose numbering began anew does not
    /// repeat it.
    pub fn numbered(self, number: u16) -> u64 {
        let [y0, y1, month, day, hour, minute, second] = self.0.map(u64::from);
        let packed = [(month, 4), (day, 5), (hour, 5), (minute, 6), (second, 6)];
        let moment = packed.iter().fold(y1 << 8 | y0, |all, (part, bits)| all << bits | part & ((1 << bits) - 1));
        moment << 16 | u64::from(number)
    }
}

/// A moment as a Date Time, and its day of the week, Monday being 1; `None` outside the years a device can hold.
pub(crate) fn civil(wall: Timestamp) -> Option<([u8; 7], u8)> {
    let at = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(wall.0).ok()?);
    let year = u16::try_from(at.year()).ok().filter(|year| (1582..=9999).contains(year))?;
    let [y0, y1] = year.to_le_bytes();
    let [month, day, hour, minute, second] =
        [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(|part| u8::try_from(part).unwrap_or(0));
    let weekday = u8::try_from(at.weekday().to_monday_one_offset()).unwrap_or(0);
    Some(([y0, y1, month, day, hour, minute, second], weekday))
}

/// A number for a record that its device does not number: the same for the same bytes (FNV-1a).
pub(super) fn fingerprint(parts: &[&[u8]]) -> u64 {
    parts.iter().fold(0xCBF2_9CE4_8422_2325, |hash, part| {
        part.iter().fold(hash, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
    })
}

/// What is known of a device's clock during a session.
#[derive(Debug, Default)]
pub(super) struct DeviceClock {
    /// What it showed, read as if UTC, and when that was heard.
    said: Option<(Timestamp, Monotonic)>,
}

/// When a reading was taken, as far as can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Stamp {
    /// The moment, where the zone is known.
    pub device_time: Option<Timestamp>,
    /// Nobody can say that it was taken just now.
    pub doubtful: bool,
    /// The device stamped it with a date that is none.
    pub unset: bool,
}

impl DeviceClock {
    /// Takes a clock characteristic; `None` for any other.
    pub fn hear(&mut self, now: Monotonic, channel: Channel, bytes: &[u8]) -> Option<Result<Vec<Out>, DecodeError>> {
        if channel != DATE_TIME && channel != CURRENT_TIME {
            return None;
        }
        Some(DateTime::read(&mut Fields::new(bytes)).map(|shown| {
            let shown = shown.as_utc();
            self.said = shown.map(|at| (at, now));
            vec![Out::About(shown.map_or(About::ClockUnset, About::Clock))]
        }))
    }

    /// The link is down: the clock may be set before it is up again.
    pub fn forget(&mut self) {
        self.said = None;
    }

    /// When something stamped `sent` was taken; without a stamp it was taken just now.
    pub fn stamp(&self, profile: &Profile, now: Monotonic, sent: Option<Timestamp>, was_sent: bool) -> Stamp {
        let known = profile.clock != Clock::None;
        match sent {
            None => Stamp { unset: was_sent, doubtful: was_sent && known, device_time: None },
            Some(_) if !known => Stamp::default(),
            Some(at) => match profile.moment(at) {
                Some(moment) => Stamp { device_time: Some(moment), ..Stamp::default() },
                None => Stamp { doubtful: !self.is_fresh(now, at), ..Stamp::default() },
            },
        }
    }

    /// Whether the device's own clock, whatever its zone, shows that this was taken just now.
    fn is_fresh(&self, now: Monotonic, at: Timestamp) -> bool {
        let shows = |(said, heard): (Timestamp, Monotonic)| said.plus_micros(i64::try_from(now.micros_since(heard)).unwrap_or(i64::MAX));
        self.said.is_some_and(|said| (-FRESH_US..=FRESH_US).contains(&shows(said).micros_since(at)))
    }
}

impl Stamp {
    /// Puts it on a reading.
    pub fn put(self, reading: &mut Reading) {
        reading.device_time = self.device_time;
        if self.doubtful {
            doubt(reading);
        }
    }

    /// What it says of the device's clock.
    pub fn about(self) -> Option<Out> {
        self.unset.then_some(Out::About(About::ClockUnset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime = DateTime([0xEA, 0x07, 11, 22, 10, 0, 0]);

    fn local(utc_offset_min: Option<i16>) -> Profile {
        let mut profile = Profile::bare("ble.blood-pressure");
        profile.clock = Clock::Local;
        profile.utc_offset_min = utc_offset_min;
        profile
    }

    #[test]
    fn an_unset_clock_is_no_time() {
        let time = |bytes| DateTime(bytes).as_utc();
        assert_eq!(time([0xE1, 0x07, 1, 1, 1, 0x22, 0x13]), Some(Timestamp::parse("2017-01-01T01:34:19Z").expect("time")));
        for unknown in
            [[0, 0, 1, 1, 0, 0, 0], [0xE1, 0x07, 0, 1, 0, 0, 0], [0xE1, 0x07, 1, 0, 0, 0, 0], [0xE1, 0x07, 2, 30, 0, 0, 0], [0xFF; 7]]
        {
            assert_eq!(time(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_stamp_is_a_moment_only_where_the_zone_is_known() {
        let (clock, at) = (DeviceClock::default(), AT.as_utc());
        let stamp = |profile: &Profile| clock.stamp(profile, Monotonic(0), at, true);
        assert_eq!(stamp(&local(Some(60))).device_time, at.map(|at| at.plus_micros(-3_600_000_000)));
        assert_eq!(stamp(&local(None)), Stamp { doubtful: true, ..Stamp::default() });
        assert_eq!(stamp(&Profile::bare("ble.blood-pressure")), Stamp::default());
    }

    #[test]
    fn a_clock_that_can_be_read_tells_a_fresh_result_from_an_old_one_without_a_zone() {
        let (mut clock, at) = (DeviceClock::default(), AT.as_utc().expect("time"));
        let current = [0xEA, 0x07, 11, 22, 10, 1, 0, 7, 0, 0];
        let said = clock.hear(Monotonic(5_000_000), CURRENT_TIME, &current);
        assert_eq!(said, Some(Ok(vec![Out::About(About::Clock(at.plus_micros(60_000_000)))])));
        let doubtful = |now_s: u64| clock.stamp(&local(None), Monotonic(now_s * 1_000_000), Some(at), true).doubtful;
        // A minute old when the clock was read at second 5; two minutes at second 65.
        assert_eq!([5, 65, 66].map(doubtful), [false, false, true]);
        clock.forget();
        assert!(clock.stamp(&local(None), Monotonic(5_000_000), Some(at), true).doubtful);
    }

    #[test]
    fn a_record_numbered_from_one_again_has_another_number_and_its_repeat_the_same() {
        assert_eq!(AT.numbered(7), AT.numbered(7));
        let later = DateTime([0xEA, 0x07, 11, 22, 10, 0, 1]);
        assert_ne!(AT.numbered(7), later.numbered(7));
        assert_ne!(AT.numbered(7), AT.numbered(8));
        assert!(DateTime([0xFF; 7]).numbered(0xFFFF) < 1 << 58);
    }
}
