//! Bluetooth SIG Heart Rate (service 180D), measurement 2A37. Spec: HRS 1.0.

use super::{Fields, about, feeds, outputs};
use crate::{Link, ProtocolRow};
use driver::{Channel, DecodeError, Driver, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading};
use record::time::Monotonic;
use record::unit::Unit;

const MEASUREMENT: Channel = Channel::assigned(0x2A37);

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "ble.heart-rate",
    quirks: &[],
    link: Link::Ble,
    channel: MEASUREMENT,
    make: |_| Box::new(HeartRate),
    check: |profile| feeds(profile, 0x2A37),
    as_sent: <[u8]>::to_vec,
};

const RATE_IS_U16: u8 = 1 << 0;
const CONTACT_DETECTED: u8 = 1 << 1;
const CONTACT_SUPPORTED: u8 = 1 << 2;
const ENERGY_FOLLOWS: u8 = 1 << 3;
const RR_FOLLOW: u8 = 1 << 4;

/// Intervals outside these are kept but not to be computed with; in 1/1024 s, for 250 ms and 3 s.
const RR_CREDIBLE: std::ops::RangeInclusive<u16> = 256..=3072;

struct HeartRate;

impl Driver for HeartRate {
    fn handle(&mut self, _now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(MEASUREMENT, bytes) => outputs(bytes, measurement(bytes)),
            In::Bytes(other, bytes) => about(other, bytes),
            In::Connected | In::Wake | In::Disconnected => Vec::new(),
        }
    }
}

fn measurement(bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
    let mut fields = Fields::new(bytes);
    let flags = fields.u8()?;
    let has = |flag| flags & flag != 0;
    let rate = if has(RATE_IS_U16) { fields.u16()? } else { fields.u8()?.into() };
    let off = has(CONTACT_SUPPORTED) && !has(CONTACT_DETECTED);
    let heart_rate = match rate {
        _ if off => Reading::absent(Code::HEART_RATE, NoValue::SensorOff, Unit::PerMinute),
        0 => Reading::absent(Code::HEART_RATE, NoValue::NotMeasured, Unit::PerMinute),
        _ => Reading::new(Code::HEART_RATE, Decimal::whole(rate.into()), Unit::PerMinute),
    };
    let mut out = vec![Out::Reading(heart_rate)];
    if let Some(energy) = fields.optional(has(ENERGY_FOLLOWS), Fields::u16)? {
        out.push(Out::Reading(Reading::new(Code::ENERGY_EXPENDED, Decimal::whole(energy.into()), Unit::KiloJoule)));
    }
    if has(RR_FOLLOW) {
        loop {
            let interval = fields.u16()?;
            let mut reading = Reading::new(Code::RR_INTERVAL, milliseconds(interval), Unit::Millisecond);
            if off || !RR_CREDIBLE.contains(&interval) {
                reading.quality = Quality::Questionable;
            }
            out.push(Out::Reading(reading));
            if fields.is_empty() {
                break;
            }
        }
    }
    Ok(out)
}

/// From 1/1024 s to tenths of a millisecond, rounded half up: finer than the unit sent, so no two intervals merge.
fn milliseconds(interval: u16) -> Decimal {
    Decimal::new((i64::from(interval) * 10_000 + 512) / 1024, -1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use driver::Fault;
    use hex_literal::hex;

    fn readings(bytes: &[u8]) -> Vec<(Code, String, String)> {
        let text = |r: Reading| (r.code, r.value.as_ref().map_or_else(|_| "none".to_owned(), ToString::to_string), r.status());
        let out = decode("ble.heart-rate", bytes).expect("known").into_iter();
        out.map(|o| if let Out::Reading(r) = o { text(r) } else { panic!("{o:?}") }).collect()
    }
    fn row(code: Code, value: &str, status: &str) -> (Code, String, String) {
        (code, value.to_owned(), status.to_owned())
    }

    #[test]
    fn a_plain_rate_is_read() {
        assert_eq!(readings(&hex!("00 55")), [row(Code::HEART_RATE, "85", "ok")]);
    }

    #[test]
    fn a_strap_off_the_chest_is_charted_as_sensor_off_whatever_rate_it_sends() {
        assert_eq!(readings(&hex!("04 FF")), [row(Code::HEART_RATE, "none", "sensor-off")]);
        assert_eq!(readings(&hex!("04 00")), [row(Code::HEART_RATE, "none", "sensor-off")]);
        assert_eq!(readings(&hex!("06 48")), [row(Code::HEART_RATE, "72", "ok")]);
        // Contact bits mean nothing on a strap that does not support them.
        assert_eq!(readings(&hex!("02 48")), [row(Code::HEART_RATE, "72", "ok")]);
    }

    #[test]
    fn a_rate_of_zero_is_not_measured() {
        assert_eq!(readings(&hex!("00 00")), [row(Code::HEART_RATE, "none", "not-measured")]);
    }

    #[test]
    fn energy_and_intervals_are_read_in_wire_order() {
        assert_eq!(
            readings(&hex!("1E 55 32 00 21 00")),
            [row(Code::HEART_RATE, "85", "ok"), row(Code::ENERGY_EXPENDED, "50", "ok"), row(Code::RR_INTERVAL, "32.2", "artefact"),]
        );
        assert_eq!(
            readings(&hex!("1F 01 01 32 01 01 00 02 01 FF FF")),
            [
                row(Code::HEART_RATE, "257", "ok"),
                row(Code::ENERGY_EXPENDED, "306", "ok"),
                row(Code::RR_INTERVAL, "1.0", "artefact"),
                row(Code::RR_INTERVAL, "252.0", "ok"),
                row(Code::RR_INTERVAL, "63999.0", "artefact"),
            ]
        );
        assert_eq!(
            readings(&hex!("1E 48 B0 04 33 03 47 03"))[2..],
            [row(Code::RR_INTERVAL, "799.8", "ok"), row(Code::RR_INTERVAL, "819.3", "ok")]
        );
    }

    #[test]
    fn both_edges_of_a_credible_interval_hold() {
        let status = |interval: u16| readings(&[&[0x10, 60], &interval.to_le_bytes()[..]].concat())[1].2.clone();
        assert_eq!([255, 256, 3072, 3073].map(status), ["artefact", "ok", "ok", "artefact"]);
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        for (frame, needed) in
            [(&hex!("17 01 01")[..], 5), (&hex!("01 48"), 3), (&hex!("08 48 01"), 4), (&hex!("10 48 33 03 47"), 6), (&[], 1)]
        {
            let out = decode("ble.heart-rate", frame).expect("known");
            let error = DecodeError::Truncated { needed, got: frame.len() };
            assert_eq!(out, [Out::Fault(Fault::new(error, frame.len()))]);
        }
    }
}
