//! Bluetooth SIG Weight Scale (service 181D, 2A9D) and Body Composition (service 181B, 2A9C). Specs: WSS 1.0, BCS 1.0.
//!
//! The weight is measured; the composition is an estimate from impedance and what the scale was told of its user. A scale that
//! asks for consent over the User Data service is not spoken to: that writes to the device.

use super::stamp::{DateTime, DeviceClock, fingerprint};
use super::{Fields, about, feeds, outputs};
use crate::{Link, ProtocolRow};
use driver::profile::Profile;
use driver::{About, Channel, DecodeError, Driver, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Reading};
use record::time::Monotonic;
use record::unit::Unit;

const WEIGHT_MEASUREMENT: Channel = Channel::assigned(0x2A9D);
const BODY_COMPOSITION_MEASUREMENT: Channel = Channel::assigned(0x2A9C);

pub(crate) const WEIGHT: ProtocolRow = ProtocolRow {
    id: "ble.weight",
    quirks: &[],
    link: Link::Ble,
    channel: WEIGHT_MEASUREMENT,
    make: |profile| Box::new(Scale { profile: profile.clone(), clock: DeviceClock::default() }),
    check: |profile| feeds(profile, 0x2A9D),
    as_sent: <[u8]>::to_vec,
};

pub(crate) const BODY_COMPOSITION: ProtocolRow = ProtocolRow {
    id: "ble.body-composition",
    quirks: &[],
    link: Link::Ble,
    channel: BODY_COMPOSITION_MEASUREMENT,
    make: |profile| Box::new(Scale { profile: profile.clone(), clock: DeviceClock::default() }),
    check: |profile| feeds(profile, 0x2A9C),
    as_sent: <[u8]>::to_vec,
};

/// Sent where there is no number.
const UNSUCCESSFUL: u16 = 0xFFFF;

/// Reads both characteristics: many scales send both, and which one a frame is, its channel says.
struct Scale {
    profile: Profile,
    clock: DeviceClock,
}

impl Driver for Scale {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(WEIGHT_MEASUREMENT, bytes) => outputs(bytes, weight(bytes).map(|said| self.charted(now, said))),
            In::Bytes(BODY_COMPOSITION_MEASUREMENT, bytes) => outputs(bytes, composition(bytes).map(|said| self.charted(now, said))),
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

/// What one frame says.
struct Said {
    time: Option<DateTime>,
    user: Option<u8>,
    readings: Vec<Reading>,
    /// Makes it one with its repeats.
    number: u64,
}

impl Scale {
    fn charted(&self, now: Monotonic, mut said: Said) -> Vec<Out> {
        let time = said.time.and_then(DateTime::as_utc);
        let stamp = self.clock.stamp(&self.profile, now, time, said.time.is_some());
        for reading in &mut said.readings {
            stamp.put(reading);
            reading.device_seq = said.time.map(|_| said.number);
        }
        let user = said.user.filter(|id| *id != 0xFF).map(|id| Out::About(About::User(id)));
        stamp.about().into_iter().chain(user).chain(said.readings.into_iter().map(Out::Reading)).collect()
    }
}

/// A wire unit: what a raw number is in and the size of one step, as mantissa and exponent.
#[derive(Clone, Copy)]
struct Step(Unit, i64, i8);

impl Step {
    const fn mass(imperial: bool) -> Self {
        if imperial { Self(Unit::Pound, 1, -2) } else { Self(Unit::Kilogram, 5, -3) }
    }
    /// Metric heights are whole millimetres.
    const fn height(imperial: bool) -> Self {
        if imperial { Self(Unit::Inch, 1, -1) } else { Self(Unit::Centimetre, 1, -1) }
    }
    fn reading(self, code: Code, raw: u16) -> Reading {
        let Self(unit, mantissa, exponent) = self;
        Reading::new(code, Decimal::new(i64::from(raw) * mantissa, exponent), unit)
    }
}

const PERCENT: Step = Step(Unit::Percent, 1, -1);
const KILOJOULE: Step = Step(Unit::KiloJoule, 1, 0);
const OHM: Step = Step(Unit::Ohm, 1, -1);
const BMI: Step = Step(Unit::KilogramPerSquareMetre, 1, -1);

fn measured(code: Code, step: Step, raw: u16) -> Reading {
    if raw == UNSUCCESSFUL {
        Reading::absent(code, NoValue::Fault("measurement-failed".to_owned()), step.0)
    } else {
        step.reading(code, raw)
    }
}

fn weight(bytes: &[u8]) -> Result<Said, DecodeError> {
    let mut fields = Fields::new(bytes);
    let flags = fields.u8()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let mut readings = vec![measured(Code::WEIGHT, Step::mass(has(0)), fields.u16()?)];
    let time = fields.optional(has(1), DateTime::read)?;
    let user = fields.optional(has(2), Fields::u8)?;
    if has(3) {
        readings.push(BMI.reading(Code::BMI, fields.u16()?));
        readings.push(Step::height(has(0)).reading(Code::HEIGHT, fields.u16()?));
    }
    Ok(Said { time, user, readings, number: fingerprint(&[&[1], bytes]) })
}

fn composition(bytes: &[u8]) -> Result<Said, DecodeError> {
    let mut fields = Fields::new(bytes);
    let flags = fields.u16()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let (mass, height) = (Step::mass(has(0)), Step::height(has(0)));
    let mut readings = vec![measured(Code::BODY_FAT, PERCENT, fields.u16()?)];
    let time = fields.optional(has(1), DateTime::read)?;
    let user = fields.optional(has(2), Fields::u8)?;
    let optional = [
        (3, Code::BASAL_METABOLISM, KILOJOULE),
        (4, Code::MUSCLE_PERCENT, PERCENT),
        (5, Code::MUSCLE_MASS, mass),
        (6, Code::FAT_FREE_MASS, mass),
        (7, Code::SOFT_LEAN_MASS, mass),
        (8, Code::BODY_WATER, mass),
        (9, Code::BODY_IMPEDANCE, OHM),
        (10, Code::WEIGHT, mass),
        (11, Code::HEIGHT, height),
    ];
    for (bit, code, step) in optional {
        if let Some(raw) = fields.optional(has(bit), Fields::u16)? {
            readings.push(measured(code, step, raw));
        }
    }
    Ok(Said { time, user, readings, number: fingerprint(&[&[2], bytes]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use driver::Fault;
    use hex_literal::hex;

    fn rows(out: &[Out]) -> Vec<(Code, String, Unit)> {
        let text = |r: &Reading| (r.code, r.value.as_ref().map_or_else(|_| r.status(), ToString::to_string), r.unit);
        out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(text(r)) } else { None }).collect()
    }
    fn row(code: Code, value: &str, unit: Unit) -> (Code, String, Unit) {
        (code, value.to_owned(), unit)
    }

    const METRIC: [u8; 15] = hex!("0E 7038 EA07 0B 16 0A 00 00 02 E600 D606");

    #[test]
    fn a_weight_in_kilogram_is_exact_to_its_step_of_five_gram() {
        let out = decode("ble.weight", &METRIC).expect("known");
        assert_eq!(
            rows(&out),
            [
                row(Code::WEIGHT, "72.240", Unit::Kilogram),
                row(Code::BMI, "23.0", Unit::KilogramPerSquareMetre),
                row(Code::HEIGHT, "175.0", Unit::Centimetre)
            ]
        );
        assert_eq!(out[0], Out::About(About::User(2)));
    }

    #[test]
    fn pounds_and_inches_stay_what_was_sent() {
        let out = decode("ble.weight", &hex!("09 3C3E E600 B102")).expect("known");
        assert_eq!(rows(&out)[0], row(Code::WEIGHT, "159.32", Unit::Pound));
        assert_eq!(rows(&out)[2], row(Code::HEIGHT, "68.9", Unit::Inch));
    }

    #[test]
    fn a_weighing_that_failed_is_no_weight() {
        assert_eq!(
            rows(&decode("ble.weight", &hex!("00 FFFF")).expect("known")),
            [row(Code::WEIGHT, "fault:measurement-failed", Unit::Kilogram)]
        );
        let out = decode("ble.body-composition", &hex!("0004 FFFF 7038")).expect("known");
        assert_eq!(
            rows(&out),
            [row(Code::BODY_FAT, "fault:measurement-failed", Unit::Percent), row(Code::WEIGHT, "72.240", Unit::Kilogram)]
        );
    }

    const ALL: [u8; 30] = hex!("FE0F FA00 EA07 0B 16 0A 00 00 FF D01B 8F01 E02E 7B2A 1027 4020 8813 7038 D606");

    #[test]
    fn every_part_of_a_composition_is_read_in_its_order() {
        let out = decode("ble.body-composition", &ALL).expect("known");
        assert_eq!(
            rows(&out),
            [
                row(Code::BODY_FAT, "25.0", Unit::Percent),
                row(Code::BASAL_METABOLISM, "7120", Unit::KiloJoule),
                row(Code::MUSCLE_PERCENT, "39.9", Unit::Percent),
                row(Code::MUSCLE_MASS, "60.000", Unit::Kilogram),
                row(Code::FAT_FREE_MASS, "54.375", Unit::Kilogram),
                row(Code::SOFT_LEAN_MASS, "50.000", Unit::Kilogram),
                row(Code::BODY_WATER, "41.280", Unit::Kilogram),
                row(Code::BODY_IMPEDANCE, "500.0", Unit::Ohm),
                row(Code::WEIGHT, "72.240", Unit::Kilogram),
                row(Code::HEIGHT, "175.0", Unit::Centimetre),
            ]
        );
        // The user is unknown.
        assert!(!out.iter().any(|o| matches!(o, Out::About(_))));
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        for (protocol, frame) in [("ble.weight", &METRIC[..]), ("ble.body-composition", &ALL)] {
            for len in 0..frame.len() {
                let out = decode(protocol, &frame[..len]).expect("known");
                assert!(
                    matches!(&out[..], [Out::Fault(Fault { error: DecodeError::Truncated { got, .. }, .. })] if *got == len),
                    "{len}: {out:?}"
                );
            }
        }
    }
}
