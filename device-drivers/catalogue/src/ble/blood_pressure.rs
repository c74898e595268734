//! Bluetooth SIG Blood Pressure (service 1810): results 2A35, cuff pressure while it measures 2A36. Spec: BLS 1.1.
//!
//! A cuff sends its memory again at each connect, oldest first and without a mark: a stamped result carries a number made of its
//! user, its stamp and its values, so that a repeat is known. The Enhanced characteristics (2B34, 2B35) are not read.

use super::stamp::{DateTime, DeviceClock, fingerprint};
use super::{Fields, about, doubt, feeds, number, outputs, status_word};
use crate::{Link, ProtocolRow, Quirk};
use driver::float11073::Float;
use driver::profile::Profile;
use driver::{About, Channel, DecodeError, Driver, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Reading};
use record::time::Monotonic;
use record::unit::Unit;

const MEASUREMENT: Channel = Channel::assigned(0x2A35);
const CUFF_PRESSURE: Channel = Channel::assigned(0x2A36);

/// What a result is called that a cuff could not give.
const FAILED: &str = "measurement-failed";

const BEURER: &str = "beurer";
const YONKER: &str = "yonker";

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "ble.blood-pressure",
    quirks: &[
        Quirk {
            id: BEURER,
            experimental: true,
            says: "behind the time the pulse is an SFLOAT big-endian, the user is always there, the status is big-endian",
        },
        Quirk {
            id: YONKER,
            experimental: true,
            says: "a frame of its own on a characteristic of its own: 81 sys dia pulse 0 0 dd MM yy hh mm",
        },
    ],
    link: Link::Ble,
    channel: MEASUREMENT,
    make: |profile| Box::new(BloodPressure { layout: Layout::of(profile), profile: profile.clone(), clock: DeviceClock::default() }),
    check: |profile| if Layout::of(profile) == Layout::Yonker { Ok(()) } else { feeds(profile, 0x2A35) },
    as_sent: <[u8]>::to_vec,
};

/// How the fields behind the three pressures lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    Standard,
    Beurer,
    Yonker,
}

impl Layout {
    fn of(profile: &Profile) -> Self {
        match () {
            () if profile.has_quirk(BEURER) => Self::Beurer,
            () if profile.has_quirk(YONKER) => Self::Yonker,
            () => Self::Standard,
        }
    }
}

struct BloodPressure {
    profile: Profile,
    layout: Layout,
    clock: DeviceClock,
}

impl Driver for BloodPressure {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(channel, bytes) => match self.clock.hear(now, channel, bytes) {
                Some(clock) => outputs(bytes, clock),
                None => outputs(bytes, self.frame(now, channel, bytes)),
            },
            In::Disconnected => {
                self.clock.forget();
                Vec::new()
            }
            In::Connected | In::Wake => Vec::new(),
        }
    }
}

/// One result as sent.
struct Result35 {
    unit: Unit,
    pressures: [Float; 3],
    time: Option<DateTime>,
    pulse: Option<Float>,
    user: Option<u8>,
    status: Status,
}

/// The measurement status bits.
#[derive(Clone, Copy)]
struct Status(u16);

impl Status {
    /// The device doubts its result: the body moved, the cuff is too loose, the position is wrong. An irregular pulse or a
    /// pulse out of range is a finding, not a doubt.
    const fn doubtful(self) -> bool {
        const DOUBT: u16 = 1 << 0 | 1 << 1 | 1 << 5;
        self.0 & DOUBT != 0
    }
    fn blame(self) -> Option<NoValue> {
        match self.0 {
            bits if bits & 1 << 1 != 0 => Some(NoValue::SensorOff),
            bits if bits & (1 << 0 | 1 << 5) != 0 => Some(NoValue::Artefact),
            _ => None,
        }
    }
}

/// 0xFF is a guest or nobody known.
fn user(id: u8) -> Option<u8> {
    (id != 0xFF).then_some(id)
}

impl BloodPressure {
    fn frame(&self, now: Monotonic, channel: Channel, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let yonker = |profile: &Profile| profile.feed.iter().any(|feed| channel == Channel::Characteristic(feed.characteristic.0));
        match (self.layout, channel, bytes.first()) {
            (Layout::Standard, MEASUREMENT, _) => Ok(self.charted(now, &standard(bytes)?)),
            (Layout::Beurer, MEASUREMENT, _) => Ok(self.charted(now, &beurer(bytes)?)),
            (Layout::Standard | Layout::Beurer, CUFF_PRESSURE, _) => inflating(bytes),
            (Layout::Yonker, _, Some(&YONKER_RESULT)) if channel == MEASUREMENT || yonker(&self.profile) => {
                Ok(self.charted(now, &yonker_result(bytes)?))
            }
            (Layout::Yonker, MEASUREMENT, _) => Err(DecodeError::Field { field: "type", why: "not a result".to_owned() }),
            _ => Ok(about(channel, bytes)),
        }
    }

    fn charted(&self, now: Monotonic, result: &Result35) -> Vec<Out> {
        let time = result.time.and_then(DateTime::as_utc);
        let stamp = self.clock.stamp(&self.profile, now, time, result.time.is_some());
        let mut readings = readings(result);
        let number = result.time.map(|time| numbered(result, time, &readings));
        for reading in &mut readings {
            stamp.put(reading);
            reading.device_seq = number;
        }
        let mut out = Vec::with_capacity(readings.len() + 2);
        out.extend(stamp.about());
        out.extend(result.user.and_then(user).map(|id| Out::About(About::User(id))));
        out.extend(readings.into_iter().map(Out::Reading));
        out
    }
}

fn readings(result: &Result35) -> Vec<Reading> {
    let blame = result.status.blame();
    let [systolic, diastolic, mean] = result.pressures.map(nonzero);
    let failed = [systolic, diastolic, mean].iter().all(|pressure| pressure.value() == Err(NoValue::NotMeasured));
    let blame = if failed { Some(blame.unwrap_or_else(|| NoValue::Fault(FAILED.to_owned()))) } else { blame };
    let pressure = |code, value| number(code, value, result.unit, blame.as_ref());
    let mut readings = Vec::with_capacity(5);
    readings.extend([pressure(Code::NIBP_SYSTOLIC, systolic), pressure(Code::NIBP_DIASTOLIC, diastolic), pressure(Code::NIBP_MEAN, mean)]);
    readings.extend(result.pulse.map(|pulse| number(Code::PULSE_RATE_NIBP, nonzero(pulse), Unit::PerMinute, blame.as_ref())));
    if result.status.doubtful() {
        readings.iter_mut().for_each(doubt);
    }
    readings.extend(status_word(Code::NIBP_STATUS, result.status.0.into()));
    readings
}

/// No blood pressure and no pulse is 0: some cuffs send it for a mean they do not compute.
fn nonzero(value: Float) -> Float {
    match value {
        Float::Number(number) if number.mantissa() == 0 => Float::NotANumber,
        other => other,
    }
}

fn numbered(result: &Result35, time: DateTime, readings: &[Reading]) -> u64 {
    let value = |at: usize| {
        let reading = readings.get(at).filter(|reading| reading.code != Code::NIBP_STATUS);
        reading.and_then(|reading| reading.value.as_ref().ok()).map_or(0, |value: &Decimal| value.mantissa()).to_le_bytes()
    };
    fingerprint(&[&[result.user.unwrap_or(0xFF)], &time.0, &value(0), &value(1), &value(2), &value(3)])
}

fn pressures(fields: &mut Fields<'_>) -> Result<(u8, Unit, [Float; 3]), DecodeError> {
    let flags = fields.u8()?;
    let unit = if flags & 1 != 0 { Unit::KiloPascal } else { Unit::MmHg };
    Ok((flags, unit, [fields.sfloat()?, fields.sfloat()?, fields.sfloat()?]))
}

fn standard(bytes: &[u8]) -> Result<Result35, DecodeError> {
    let mut fields = Fields::new(bytes);
    let (flags, unit, pressures) = pressures(&mut fields)?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    Ok(Result35 {
        unit,
        pressures,
        time: fields.optional(has(1), DateTime::read)?,
        pulse: fields.optional(has(2), Fields::sfloat)?,
        user: fields.optional(has(3), Fields::u8)?,
        status: Status(fields.optional(has(4), Fields::u16)?.unwrap_or(0)),
    })
}

fn beurer(bytes: &[u8]) -> Result<Result35, DecodeError> {
    let mut fields = Fields::new(bytes);
    let (flags, unit, pressures) = pressures(&mut fields)?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let big_endian = |fields: &mut Fields<'_>| fields.take().map(u16::from_be_bytes);
    Ok(Result35 {
        unit,
        pressures,
        time: fields.optional(has(1), DateTime::read)?,
        pulse: fields.optional(has(2), big_endian)?.map(|word| Float::sfloat(word.to_le_bytes())),
        user: Some(fields.u8()?),
        status: Status(fields.optional(has(4), big_endian)?.unwrap_or(0)),
    })
}

/// First byte of a Yonker frame that is a result.
const YONKER_RESULT: u8 = 0x81;
const YONKER_LEN: usize = 15;

/// Whole mmHg in single bytes. Its clock cannot be relied on: the stamp tells results apart and is no time.
fn yonker_result(bytes: &[u8]) -> Result<Result35, DecodeError> {
    let [_, systolic, diastolic, pulse, _, _, day, month, year, hour, minute, _, _, _, _] = *bytes else {
        return Err(DecodeError::Truncated { needed: YONKER_LEN, got: bytes.len() });
    };
    let whole = |byte: u8| Float::Number(Decimal::whole(byte.into()));
    let [y0, y1] = (2000 + u16::from(year)).to_le_bytes();
    Ok(Result35 {
        unit: Unit::MmHg,
        pressures: [whole(systolic), whole(diastolic), Float::NotANumber],
        time: Some(DateTime([y0, y1, month, day, hour, minute, 0])),
        pulse: Some(whole(pulse)),
        user: None,
        status: Status(0),
    })
}

/// The pressure in the cuff while it measures: the first number, in the layout of a result.
fn inflating(bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
    let (_, unit, [cuff, ..]) = pressures(&mut Fields::new(bytes))?;
    Ok(vec![Out::Reading(number(Code::CUFF_PRESSURE, cuff, unit, None))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use driver::Fault;
    use driver::profile::Clock;
    use hex_literal::hex;
    use record::time::Timestamp;

    type Row = (Code, String, String);

    fn rows(out: &[Out]) -> Vec<Row> {
        let text = |r: &Reading| (r.code, r.value.as_ref().map_or_else(|_| "none".to_owned(), ToString::to_string), r.status());
        out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(text(r)) } else { None }).collect()
    }
    fn result(systolic: &str, diastolic: &str, mean: &str, pulse: &str, status: &str) -> Vec<Row> {
        let rows =
            [(Code::NIBP_SYSTOLIC, systolic), (Code::NIBP_DIASTOLIC, diastolic), (Code::NIBP_MEAN, mean), (Code::PULSE_RATE_NIBP, pulse)];
        let status = |value: &str| if value == "none" { "not-measured" } else { status }.to_owned();
        rows.iter().map(|(code, value)| (*code, (*value).to_owned(), status(value))).collect()
    }
    fn flagged(mut rows: Vec<Row>, bits: &str) -> Vec<Row> {
        rows.push((Code::NIBP_STATUS, bits.to_owned(), "ok".to_owned()));
        rows
    }

    const REAL: [u8; 19] = hex!("16 7C00 5600 6100 E807 06 0F 11 11 1B 3300 0000 00");

    #[test]
    fn a_real_result_is_read_whole() {
        assert_eq!(rows(&decode("ble.blood-pressure", &REAL).expect("known")), result("124", "86", "97", "51", "ok"));
    }

    #[test]
    fn kilopascal_stay_kilopascal_and_an_irregular_pulse_is_a_finding() {
        let out = decode("ble.blood-pressure", &hex!("15 BDF0 0B00 9FF0 3C00 0400")).expect("known");
        assert_eq!(rows(&out), flagged(result("18.9", "11", "15.9", "60", "ok"), "4"));
        assert!(matches!(&out[0], Out::Reading(r) if r.unit == Unit::KiloPascal));
    }

    #[test]
    fn a_result_that_the_device_doubts_is_charted_and_not_scored() {
        let out = decode("ble.blood-pressure", &hex!("1E 8A00 5800 7800 0000 04 11 14 29 3B 3C00 01 2700")).expect("known");
        assert_eq!(rows(&out), flagged(result("138", "88", "120", "60", "artefact"), "39"));
        // The year is unknown, so there is no time; the second user of the cuff measured.
        assert_eq!(out[..2], [Out::About(About::ClockUnset), Out::About(About::User(1))]);
        for (bit, status) in [(0, "artefact"), (1, "artefact"), (2, "ok"), (3, "ok"), (4, "ok"), (5, "artefact"), (6, "ok")] {
            let out = decode("ble.blood-pressure", &[0x10, 120, 0, 80, 0, 93, 0, 1 << bit, 0]).expect("known");
            assert_eq!(rows(&out)[0].2, status, "bit {bit}");
        }
    }

    #[test]
    fn a_beurer_result_is_read_in_its_own_order() {
        let frame = hex!("56 6A00 4700 0000 EA07 08 0B 12 1F 00 003F 00 0000");
        let out = decode("ble.blood-pressure+beurer", &frame).expect("known");
        assert_eq!(rows(&out), result("106", "71", "none", "63", "ok"));
        assert_eq!(out[0], Out::About(About::User(0)));
        let irregular = hex!("56 7600 5000 0000 EA07 08 0B 14 1B 00 003C 00 0004");
        assert_eq!(
            rows(&decode("ble.blood-pressure+beurer", &irregular).expect("known")),
            flagged(result("118", "80", "none", "60", "ok"), "4")
        );
    }

    #[test]
    fn a_yonker_result_is_read_and_other_frames_on_its_characteristic_are_not() {
        let frame = hex!("81 83 67 51 00 00 19 0B 18 13 12 00 00 00 00");
        let out = decode("ble.blood-pressure+yonker", &frame).expect("known");
        assert_eq!(rows(&out), result("131", "103", "none", "81", "ok"));
        for other in [&frame[..14], &hex!("80 83 67"), &[]] {
            assert!(matches!(&decode("ble.blood-pressure+yonker", other).expect("known")[..], [Out::Fault(_)]), "{other:?}");
        }
    }

    #[test]
    fn a_failed_measurement_is_charted_as_failed_and_never_as_a_number() {
        let out = decode("ble.blood-pressure", &hex!("00 FF07 FF07 FF07")).expect("known");
        assert!(rows(&out).iter().all(|(_, value, status)| value == "none" && status == "fault:measurement-failed"), "{out:?}");
        let loose = decode("ble.blood-pressure", &hex!("10 FF07 FF07 FF07 0200")).expect("known");
        assert_eq!(rows(&loose)[0].2, "sensor-off");
        let high = decode("ble.blood-pressure", &hex!("00 FE07 5000 FF07")).expect("known");
        assert_eq!(rows(&high).iter().map(|row| &*row.2).collect::<Vec<_>>(), ["out-of-range", "ok", "not-measured"]);
    }

    #[test]
    fn cuff_pressure_while_it_measures_is_kept_apart_from_results() {
        let mut driver = (PROTOCOL.make)(&Profile::bare("ble.blood-pressure"));
        let out = driver.handle(Monotonic(0), In::Bytes(CUFF_PRESSURE, &hex!("00 9600 FF07 FF07")));
        assert_eq!(rows(&out), [(Code::CUFF_PRESSURE, "150".to_owned(), "ok".to_owned())]);
    }

    #[test]
    fn memory_sent_again_carries_the_same_numbers_and_another_result_others() {
        let mut driver = (PROTOCOL.make)(&Profile::bare("ble.blood-pressure"));
        let mut numbers = |frame: &[u8]| -> Vec<Option<u64>> {
            let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, frame));
            out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(r.device_seq) } else { None }).collect()
        };
        let first = numbers(&REAL);
        assert!(first.iter().all(|number| number.is_some() && *number == first[0]));
        assert_eq!(numbers(&REAL), first);
        for at in [1, 3, 5, 13, 14] {
            let mut other = REAL;
            other[at] ^= 1;
            assert_ne!(numbers(&other), first, "byte {at}");
        }
        // Without a stamp there is nothing to know a repeat by.
        assert_eq!(numbers(&hex!("00 7C00 5600 6100")), [None; 3]);
    }

    #[test]
    fn a_stored_result_of_unknown_zone_is_not_scored_and_one_of_known_zone_has_its_time() {
        let mut profile = Profile::bare("ble.blood-pressure");
        profile.clock = Clock::Local;
        let read = |profile: &Profile| (PROTOCOL.make)(profile).handle(Monotonic(0), In::Bytes(MEASUREMENT, &REAL));
        assert_eq!(rows(&read(&profile))[0].2, "artefact");
        profile.utc_offset_min = Some(-60);
        let out = read(&profile);
        assert_eq!(rows(&out)[0].2, "ok");
        let at = Timestamp::parse("2024-06-15T18:17:27Z").expect("time");
        assert!(matches!(&out[0], Out::Reading(r) if r.device_time == Some(at)));
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        for (protocol, frame) in [
            ("ble.blood-pressure", &REAL[..18]),
            ("ble.blood-pressure+beurer", &hex!("56 6A00 4700 0000 EA07 08 0B 12 1F 00 003F 00 0000")[..]),
        ] {
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
