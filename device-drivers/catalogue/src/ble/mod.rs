//! Bluetooth Low Energy: one file a SIG service. One notification is one frame.

pub mod heart_rate;
pub mod plx;

use driver::float11073::Float;
use driver::profile::{Profile, Uuid};
use driver::{About, Channel, DecodeError, Fault, Out};
use record::time::Timestamp;

/// Fields of a characteristic, taken from the front, little-endian.
struct Fields<'a> {
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Fields<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, taken: 0 }
    }
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated { needed: self.taken + N, got: self.taken + self.rest.len() })?;
        self.rest = rest;
        self.taken += N;
        Ok(*field)
    }
    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.take::<1>().map(|[byte]| byte)
    }
    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_le_bytes)
    }
    fn sfloat(&mut self) -> Result<Float, DecodeError> {
        self.take().map(Float::sfloat)
    }
    /// The field if `present`; a field that flags promise and the frame lacks is an error.
    fn optional<T>(&mut self, present: bool, read: impl FnOnce(&mut Self) -> Result<T, DecodeError>) -> Result<Option<T>, DecodeError> {
        present.then(|| read(self)).transpose()
    }
    const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// A Date Time (2A08) read as if it were UTC; `None` where a part is unknown or impossible.
fn date_time([y0, y1, month, day, hour, minute, second]: [u8; 7]) -> Option<Timestamp> {
    let parts = [month, day, hour, minute, second].map(|part| i8::try_from(part).ok());
    let [Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else { return None };
    let year = i16::try_from(u16::from_le_bytes([y0, y1])).ok().filter(|year| *year > 0)?;
    let at = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(at).ok().map(|at| Timestamp(at.as_microsecond()))
}

/// What the characteristics common to all devices say; nothing for any other.
fn about(channel: Channel, bytes: &[u8]) -> Vec<Out> {
    const BATTERY_LEVEL: Channel = Channel::assigned(0x2A19);
    const MODEL_NUMBER: Channel = Channel::assigned(0x2A24);
    const SERIAL_NUMBER: Channel = Channel::assigned(0x2A25);
    const FIRMWARE_REVISION: Channel = Channel::assigned(0x2A26);
    let fact = match (channel, bytes) {
        (BATTERY_LEVEL, [percent @ 0..=100]) => Some(About::BatteryPercent(*percent)),
        (MODEL_NUMBER, _) => text(bytes).map(About::Model),
        (SERIAL_NUMBER, _) => text(bytes).map(About::Serial),
        (FIRMWARE_REVISION, _) => text(bytes).map(About::Firmware),
        _ => None,
    };
    fact.map(Out::About).into_iter().collect()
}

/// A Device Information string: devices pad with NULs and spaces. A characteristic holds at most 512 bytes.
fn text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes.get(..512).unwrap_or(bytes));
    let text = text.trim_matches(|c: char| c.is_control() || c.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

/// What one frame gave: its outputs, or the fault that all of it is.
fn outputs(frame: &[u8], decoded: Result<Vec<Out>, DecodeError>) -> Vec<Out> {
    decoded.unwrap_or_else(|error| vec![Out::Fault(Fault::new(error, frame.len()))])
}

/// A Bluetooth profile must subscribe to what its protocol reads.
fn feeds(profile: &Profile, number: u16) -> Result<(), String> {
    let needed = Uuid::assigned(number);
    if profile.feed.iter().any(|feed| feed.characteristic == needed) {
        return Ok(());
    }
    Err(format!("feed: {} needs characteristic {number:04X}", profile.protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_clock_is_no_time() {
        assert_eq!(date_time([0xE1, 0x07, 1, 1, 1, 0x22, 0x13]), Some(Timestamp::parse("2017-01-01T01:34:19Z").expect("time")));
        for unknown in
            [[0, 0, 1, 1, 0, 0, 0], [0xE1, 0x07, 0, 1, 0, 0, 0], [0xE1, 0x07, 1, 0, 0, 0, 0], [0xE1, 0x07, 2, 30, 0, 0, 0], [0xFF; 7]]
        {
            assert_eq!(date_time(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn device_information_is_trimmed_and_a_reserved_battery_level_is_ignored() {
        assert_eq!(about(Channel::assigned(0x2A25), b"AB12\0\0 "), [Out::About(About::Serial("AB12".to_owned()))]);
        assert_eq!(about(Channel::assigned(0x2A25), b"\0"), []);
        assert_eq!(about(Channel::assigned(0x2A19), &[100]), [Out::About(About::BatteryPercent(100))]);
        assert_eq!(about(Channel::assigned(0x2A19), &[101]), []);
    }
}
