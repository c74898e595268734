//! Bluetooth SIG Health Thermometer (service 1809): results 2A1C. Spec: HTS 1.0.
//!
//! Intermediate values (2A1E) are not results and are not charted: a probe on its way up would be scored as cold.

use super::stamp::{DateTime, DeviceClock, fingerprint};
use super::{Fields, about, feeds, number, outputs};
use crate::{Link, ProtocolRow};
use driver::profile::Profile;
use driver::{Channel, DecodeError, Driver, In, Out};
use record::code::Code;
use record::time::Monotonic;
use record::unit::Unit;

const MEASUREMENT: Channel = Channel::assigned(0x2A1C);
/// Where the device measures, for those that do not say so with each result.
const TEMPERATURE_TYPE: Channel = Channel::assigned(0x2A1D);

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "ble.thermometer",
    quirks: &[],
    link: Link::Ble,
    channel: MEASUREMENT,
    make: |profile| Box::new(Thermometer { profile: profile.clone(), clock: DeviceClock::default(), site: None }),
    check: |profile| feeds(profile, 0x2A1C),
    as_sent: <[u8]>::to_vec,
};

const FAHRENHEIT: u8 = 1 << 0;
const TIME_FOLLOWS: u8 = 1 << 1;
const TYPE_FOLLOWS: u8 = 1 << 2;

struct Thermometer {
    profile: Profile,
    clock: DeviceClock,
    site: Option<u8>,
}

impl Driver for Thermometer {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(MEASUREMENT, bytes) => outputs(bytes, self.measurement(now, bytes)),
            In::Bytes(TEMPERATURE_TYPE, bytes) => {
                self.site = bytes.first().copied();
                Vec::new()
            }
            In::Bytes(other, bytes) => match self.clock.hear(now, other, bytes) {
                Some(clock) => outputs(bytes, clock),
                None => about(other, bytes),
            },
            In::Disconnected => {
                self.clock.forget();
                Vec::new()
            }
            In::Connected | In::Wake => Vec::new(),
        }
    }
}

impl Thermometer {
    fn measurement(&self, now: Monotonic, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(bytes);
        let flags = fields.u8()?;
        let has = |flag| flags & flag != 0;
        let unit = if has(FAHRENHEIT) { Unit::Fahrenheit } else { Unit::Celsius };
        let temperature = fields.float()?;
        let time = fields.optional(has(TIME_FOLLOWS), DateTime::read)?;
        let site = fields.optional(has(TYPE_FOLLOWS), Fields::u8)?.or(self.site);
        let mut reading = number(site.map_or(Code::TEMPERATURE, code), temperature, unit, None);
        let stamp = self.clock.stamp(&self.profile, now, time.and_then(DateTime::as_utc), time.is_some());
        stamp.put(&mut reading);
        reading.device_seq = time.map(|time| fingerprint(&[&time.0, bytes.get(1..5).unwrap_or_default()]));
        Ok(stamp.about().into_iter().chain([Out::Reading(reading)]).collect())
    }
}

/// The code of a place on the body; numbers kept for the future are body temperature of unknown place.
const fn code(site: u8) -> Code {
    match site {
        1 => Code::TEMPERATURE_AXILLARY,
        2 => Code::TEMPERATURE_BODY,
        3 => Code::TEMPERATURE_EAR,
        4 => Code::TEMPERATURE_FINGER,
        5 => Code::TEMPERATURE_GASTROINTESTINAL,
        6 => Code::TEMPERATURE_ORAL,
        7 => Code::TEMPERATURE_RECTAL,
        8 => Code::TEMPERATURE_TOE,
        9 => Code::TEMPERATURE_TYMPANIC,
        _ => Code::TEMPERATURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use driver::Fault;
    use hex_literal::hex;
    use record::observation::Reading;

    fn reading(out: &[Out]) -> &Reading {
        let [Out::Reading(reading)] = out else { panic!("{out:?}") };
        reading
    }

    #[test]
    fn a_temperature_keeps_its_digits_its_unit_and_its_place() {
        let out = decode("ble.thermometer", &hex!("06 B00E00FE DC07 0C 05 0B 32 1B 04")).expect("known");
        let got = reading(&out);
        assert_eq!(
            (got.code, got.unit, got.value.clone().map(|v| v.to_string())),
            (Code::TEMPERATURE_FINGER, Unit::Celsius, Ok("37.60".to_owned()))
        );
        let out = decode("ble.thermometer", &hex!("01 DA0300FF")).expect("known");
        let got = reading(&out);
        assert_eq!(
            (got.code, got.unit, got.value.clone().map(|v| v.to_string())),
            (Code::TEMPERATURE, Unit::Fahrenheit, Ok("98.6".to_owned()))
        );
    }

    #[test]
    fn each_place_has_its_code_and_a_place_read_beforehand_stands_for_one_that_is_not_sent() {
        for site in 0..=10 {
            let out = decode("ble.thermometer", &[0x04, 0x6C, 0x01, 0x00, 0xFF, site]).expect("known");
            let loinc = match site {
                1 => "8328-7",
                3 | 9 => "8333-7",
                6 => "8331-1",
                7 => "8332-9",
                _ => "8310-5",
            };
            assert_eq!(reading(&out).code.to_string(), loinc, "{site}");
        }
        let mut driver = (PROTOCOL.make)(&Profile::bare("ble.thermometer"));
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(TEMPERATURE_TYPE, &[3])), []);
        let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &hex!("00 6C0100FF")));
        assert_eq!(reading(&out).code, Code::TEMPERATURE_EAR);
    }

    #[test]
    fn special_numbers_are_no_temperature_whatever_their_exponent() {
        for (mantissa, status) in
            [("FFFF7F", "not-measured"), ("000080", "not-measured"), ("FEFF7F", "out-of-range"), ("020080", "out-of-range")]
        {
            for exponent in ["00", "FF", "05"] {
                let frame = hex::decode(format!("00{mantissa}{exponent}")).expect("hex");
                assert_eq!(reading(&decode("ble.thermometer", &frame).expect("known")).status(), status);
            }
        }
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        let frame = hex!("06 B00E00FE DC07 0C 05 0B 32 1B 04");
        for len in 0..frame.len() {
            let out = decode("ble.thermometer", &frame[..len]).expect("known");
            assert!(
                matches!(&out[..], [Out::Fault(Fault { error: DecodeError::Truncated { got, .. }, .. })] if *got == len),
                "{len}: {out:?}"
            );
        }
    }

    #[test]
    fn an_intermediate_value_is_no_result() {
        let mut driver = (PROTOCOL.make)(&Profile::bare("ble.thermometer"));
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(Channel::assigned(0x2A1E), &hex!("00 200100FF"))), []);
    }
}
