//! Bluetooth Low Energy: one file a SIG service. One notification is one frame.
//!
//! What services share lies here (fields, Battery, Device Information), in `stamp` (what a device's clock is worth) and
//! in `racp` (fetching stored records).

pub mod blood_pressure;
pub mod cgm;
pub mod glucose;
mod glucose_context;
pub mod heart_rate;
pub mod plx;
pub(crate) mod racp;
mod stamp;
pub mod thermometer;
pub mod weight;

pub(crate) use stamp::civil;

use driver::float11073::Float;
use driver::profile::{Profile, Uuid};
use driver::{About, Channel, DecodeError, Fault, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading};
use record::unit::Unit;

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
    fn u24(&mut self) -> Result<u32, DecodeError> {
        self.take().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }
    fn i16(&mut self) -> Result<i16, DecodeError> {
        self.take().map(i16::from_le_bytes)
    }
    fn float(&mut self) -> Result<Float, DecodeError> {
        self.take().map(Float::float_le)
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

/// A status word, charted where any of its bits is set.
fn status_word(code: Code, bits: u32) -> Option<Reading> {
    (bits != 0).then(|| Reading::new(code, Decimal::whole(bits.into()), Unit::One))
}

/// A reading of what an 11073 number says; `blame` tells why a number is missing where a status does.
fn number(code: Code, float: Float, unit: Unit, blame: Option<&NoValue>) -> Reading {
    match float.value() {
        Ok(value) => Reading::new(code, value, unit),
        // A status says more about a missing number than its pattern does.
        Err(NoValue::NotMeasured) => Reading::absent(code, blame.cloned().unwrap_or(NoValue::NotMeasured), unit),
        Err(why) => Reading::absent(code, why, unit),
    }
}

/// The same number times a power of ten: a change of metric prefix, which keeps the digits.
fn shifted(reading: Reading, places: i8) -> Reading {
    let shift = |value: Decimal| Decimal::new(value.mantissa(), value.exponent().saturating_add(places));
    Reading { value: reading.value.map(shift), ..reading }
}

/// Charted, not scored.
fn doubt(reading: &mut Reading) {
    if reading.quality == Quality::Good {
        reading.quality = Quality::Questionable;
    }
}

/// What the characteristics common to all devices say; nothing for any other.
fn about(channel: Channel, bytes: &[u8]) -> Vec<Out> {
    const BATTERY_LEVEL: Channel = Channel::assigned(0x2A19);
    const MANUFACTURER_NAME: Channel = Channel::assigned(0x2A29);
    const MODEL_NUMBER: Channel = Channel::assigned(0x2A24);
    const SERIAL_NUMBER: Channel = Channel::assigned(0x2A25);
    const FIRMWARE_REVISION: Channel = Channel::assigned(0x2A26);
    let fact = match (channel, bytes) {
        (BATTERY_LEVEL, [percent @ 0..=100]) => Some(About::BatteryPercent(*percent)),
        (MANUFACTURER_NAME, _) => text(bytes).map(About::Maker),
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
    fn device_information_is_trimmed_and_a_reserved_battery_level_is_ignored() {
        assert_eq!(about(Channel::assigned(0x2A25), b"AB12\0\0 "), [Out::About(About::Serial("AB12".to_owned()))]);
        assert_eq!(about(Channel::assigned(0x2A29), b"Acme "), [Out::About(About::Maker("Acme".to_owned()))]);
        assert_eq!(about(Channel::assigned(0x2A25), b"\0"), []);
        assert_eq!(about(Channel::assigned(0x2A19), &[100]), [Out::About(About::BatteryPercent(100))]);
        assert_eq!(about(Channel::assigned(0x2A19), &[101]), []);
    }
}
