//! Bluetooth SIG pulse oximeter (service 1822): spot-check 2A5E, continuous 2A5F, stored spot-checks by record access 2A52.
//! Spec: PLXS 1.0.
//!
//! Stored spot-checks are all sent at each request; a stamped one carries a number made of its content, so that a repeat is
//! known. The fast and slow averages that a continuous measurement may carry are the same quantities again and are not
//! charted beside it.

use super::glucose::fetches;
use super::racp::{CONTROL_POINT, Racp};
use super::stamp::{DateTime, fingerprint};
use super::{Fields, about, feeds, outputs, status_word};
use crate::{Link, ProtocolRow};
use driver::float11073::Float;
use driver::profile::Profile;
use driver::{About, Channel, DecodeError, Driver, In, Out};
use record::code::Code;
use record::observation::{NoValue, Quality, Reading};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;

const SPOT_CHECK: Channel = Channel::assigned(0x2A5E);
const CONTINUOUS_MEASUREMENT: Channel = Channel::assigned(0x2A5F);

pub(crate) const SPOT: ProtocolRow = ProtocolRow {
    id: "ble.plx-spot",
    quirks: &[],
    link: Link::Ble,
    channel: SPOT_CHECK,
    make: |profile| Box::new(Plx { profile: profile.clone(), racp: Racp::new(fetches(profile), false) }),
    check: |profile| feeds(profile, 0x2A5E),
    as_sent: <[u8]>::to_vec,
};

pub(crate) const CONTINUOUS: ProtocolRow = ProtocolRow {
    id: "ble.plx-continuous",
    quirks: &[],
    link: Link::Ble,
    channel: CONTINUOUS_MEASUREMENT,
    make: |profile| Box::new(Plx { profile: profile.clone(), racp: Racp::new(fetches(profile), false) }),
    check: |profile| feeds(profile, 0x2A5F),
    as_sent: <[u8]>::to_vec,
};

/// Reads both characteristics: many oximeters send both, and which one a frame is, its channel says.
struct Plx {
    profile: Profile,
    racp: Racp,
}

impl Driver for Plx {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(SPOT_CHECK, bytes) => {
                let mut out = outputs(bytes, self.spot(bytes));
                out.extend(self.racp.record(now, 0, 0));
                out
            }
            In::Bytes(CONTINUOUS_MEASUREMENT, bytes) => outputs(bytes, continuous(bytes)),
            In::Bytes(CONTROL_POINT, bytes) => outputs(bytes, self.racp.answer(now, bytes)),
            In::Bytes(other, bytes) => about(other, bytes),
            In::Connected => self.racp.connected(now),
            In::Wake => self.racp.wake(now),
            In::Disconnected => {
                self.racp.disconnected();
                Vec::new()
            }
        }
    }
}

impl Plx {
    fn spot(&self, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(bytes);
        let flags = fields.u8()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        let (spo2, pulse_rate) = (fields.sfloat()?, fields.sfloat()?);
        let time = fields.optional(has(0), DateTime::read)?;
        let status = Status(fields.optional(has(1), Fields::u16)?.unwrap_or(0));
        let sensor = fields.optional(has(2), |f| sensor(f, !has(3)))?.unwrap_or(Sensor(0));
        let amplitude = fields.optional(has(3), Fields::sfloat)?;

        let clock_set = !has(4);
        let clock = time.filter(|_| clock_set).and_then(DateTime::as_utc);
        let taken_at = clock.and_then(|clock| self.profile.moment(clock));
        let mut out = charted(spo2, pulse_rate, amplitude, status, sensor, taken_at);
        if status.stored() && taken_at.is_none() {
            // Measured at some earlier moment that nobody can name: charted, but not to be scored as if it were fresh.
            for reading in out.iter_mut().filter(|r| r.quality == Quality::Good) {
                reading.quality = Quality::Questionable;
            }
        }
        // By what does not change when a result is read out later: its stamp and its numbers.
        let number = time.map(|time| fingerprint(&[&time.0, bytes.get(1..5).unwrap_or_default()]));
        out.iter_mut().for_each(|reading| reading.device_seq = number);
        let said = match clock {
            Some(clock) => (!status.stored()).then_some(Out::About(About::Clock(clock))),
            None => time.map(|_| Out::About(About::ClockUnset)),
        };
        Ok(said.into_iter().chain(out.into_iter().map(Out::Reading)).collect())
    }
}

fn continuous(bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
    let mut fields = Fields::new(bytes);
    let flags = fields.u8()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let (spo2, pulse_rate) = (fields.sfloat()?, fields.sfloat()?);
    let _fast = fields.optional(has(0), Fields::take::<4>)?;
    let _slow = fields.optional(has(1), Fields::take::<4>)?;
    let status = Status(fields.optional(has(2), Fields::u16)?.unwrap_or(0));
    let sensor = fields.optional(has(3), |f| sensor(f, !has(4)))?.unwrap_or(Sensor(0));
    let amplitude = fields.optional(has(4), Fields::sfloat)?;
    Ok(charted(spo2, pulse_rate, amplitude, status, sensor, None).into_iter().map(Out::Reading).collect())
}

fn charted(
    spo2: Float,
    pulse_rate: Float,
    amplitude: Option<Float>,
    status: Status,
    sensor: Sensor,
    at: Option<Timestamp>,
) -> Vec<Reading> {
    let quantities = [
        Some((Code::SPO2, spo2, Unit::Percent)),
        Some((Code::PULSE_RATE, pulse_rate, Unit::PerMinute)),
        amplitude.map(|value| (Code::PERFUSION_INDEX, value, Unit::Percent)),
    ];
    let reading = |(code, value, unit)| Reading {
        code,
        value: value_of(value, status, sensor),
        unit,
        quality: quality(status, sensor),
        device_time: at,
        device_seq: None,
    };
    let word = status_word(Code::OXIMETER_STATUS, sensor.0).map(|word| Reading { device_time: at, quality: demo_or_good(status), ..word });
    quantities.into_iter().flatten().map(reading).chain(word).collect()
}

/// Demonstration data stay together: a status word beside them is one too.
const fn demo_or_good(status: Status) -> Quality {
    if status.demo() { Quality::Demo } else { Quality::Good }
}

fn value_of(value: Float, status: Status, sensor: Sensor) -> Result<record::decimal::Decimal, NoValue> {
    if sensor.off() {
        return Err(NoValue::SensorOff);
    }
    if status.invalid() {
        return Err(sensor.blame().unwrap_or(NoValue::Artefact));
    }
    if status.unavailable() {
        return Err(sensor.blame().unwrap_or(NoValue::NotMeasured));
    }
    // A flag says more about a missing number than its pattern does.
    value.value().map_err(|why| sensor.blame().filter(|_| why == NoValue::NotMeasured).unwrap_or(why))
}

const fn quality(status: Status, sensor: Sensor) -> Quality {
    if status.demo() {
        Quality::Demo
    } else if status.questionable() || sensor.questionable() {
        Quality::Questionable
    } else {
        Quality::Good
    }
}

/// The measurement status bits.
#[derive(Clone, Copy)]
struct Status(u16);

impl Status {
    const fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }
    const fn stored(self) -> bool {
        self.has(9)
    }
    /// Demonstration or testing.
    const fn demo(self) -> bool {
        self.has(10) || self.has(11)
    }
    const fn unavailable(self) -> bool {
        self.has(13)
    }
    const fn questionable(self) -> bool {
        self.has(14)
    }
    const fn invalid(self) -> bool {
        self.has(15)
    }
}

/// The device and sensor status bits.
#[derive(Clone, Copy)]
struct Sensor(u32);

impl Sensor {
    const fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }
    /// Off the user.
    const fn off(self) -> bool {
        self.has(11)
    }
    /// Inadequate, poor or erratic signal, non-pulsatile, questionable pulse; displaced, malfunctioning or disconnected.
    const fn questionable(self) -> bool {
        const DOUBT: u32 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 13 | 1 << 14 | 1 << 15;
        self.0 & DOUBT != 0
    }
    /// Why a number is missing, as far as the flags say.
    fn blame(self) -> Option<NoValue> {
        match () {
            () if self.has(13) || self.has(15) => Some(NoValue::SensorOff),
            () if self.has(1) => Some(NoValue::Fault("equipment".to_owned())),
            () if self.has(14) => Some(NoValue::Fault("sensor".to_owned())),
            () if self.questionable() || self.has(2) || self.has(10) => Some(NoValue::Artefact),
            () => None,
        }
    }
}

/// Three bytes; the last may be cut off where nothing follows (seen on a ChoiceMMed oximeter).
fn sensor(fields: &mut Fields<'_>, last: bool) -> Result<Sensor, DecodeError> {
    if last && fields.rest.len() == 2 {
        return fields.u16().map(|bits| Sensor(bits.into()));
    }
    let [a, b, c] = fields.take()?;
    Ok(Sensor(u32::from_le_bytes([a, b, c, 0])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use driver::profile::Clock;
    use hex_literal::hex;

    fn readings(out: &[Out]) -> Vec<(Code, String, String)> {
        let text = |r: &Reading| (r.code, r.value.as_ref().map_or_else(|_| "none".to_owned(), ToString::to_string), r.status());
        out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(text(r)) } else { None }).collect()
    }
    fn row(code: Code, value: &str, status: &str) -> (Code, String, String) {
        (code, value.to_owned(), status.to_owned())
    }
    fn with_status(status: u16, sensor: u32) -> Vec<(Code, String, String)> {
        let [a, b, c, _] = sensor.to_le_bytes();
        let [s, t] = status.to_le_bytes();
        readings(&decode("ble.plx-continuous", &[0x0C, 97, 0, 60, 0, s, t, a, b, c]).expect("known"))
    }

    // Captured from a ChoiceMMed oximeter, as printed in stackoverflow.com/questions/71264072.
    const SPOT_CAPTURE: [u8; 17] = hex!("17 6100 6000 E107 01 01 01 22 13 2000 200000");

    #[test]
    fn a_captured_spot_check_is_read_and_its_unset_clock_is_not_believed() {
        let out = decode("ble.plx-spot", &SPOT_CAPTURE).expect("known");
        // The finger is poorly perfused, says the sensor's status.
        let want = [row(Code::SPO2, "97", "ok"), row(Code::PULSE_RATE, "96", "ok"), row(Code::OXIMETER_STATUS, "32", "ok")];
        assert_eq!(readings(&out), want);
        assert_eq!(out[0], Out::About(About::ClockUnset));
        assert!(out[1..].iter().all(|o| matches!(o, Out::Reading(Reading { device_time: None, .. }))));
    }

    #[test]
    fn a_captured_continuous_frame_is_read_whole_short_or_long() {
        let want = [row(Code::SPO2, "98", "ok"), row(Code::PULSE_RATE, "78", "ok")];
        for frame in [&hex!("0C 6200 4E00 2000 000000")[..], &hex!("0C 6200 4E00 2000 0000"), &hex!("0C 6200 4E00 2000 000000 00")] {
            assert_eq!(readings(&decode("ble.plx-continuous", frame).expect("known")), want);
        }
    }

    #[test]
    fn a_set_clock_becomes_a_time_only_where_the_profile_knows_its_zone() {
        let mut frame = SPOT_CAPTURE;
        frame[0] &= !0x10;
        let mut profile = Profile::bare("ble.plx-spot");
        profile.clock = Clock::Local;
        profile.utc_offset_min = Some(60);
        let out = (SPOT.make)(&profile).handle(Monotonic(0), In::Bytes(SPOT_CHECK, &frame));
        let clock = Timestamp::parse("2017-01-01T01:34:19Z").expect("time");
        assert_eq!(out[0], Out::About(About::Clock(clock)));
        assert!(matches!(&out[1], Out::Reading(r) if r.device_time == Some(clock.plus_micros(-3_600_000_000))));
        profile.utc_offset_min = None;
        let out = (SPOT.make)(&profile).handle(Monotonic(0), In::Bytes(SPOT_CHECK, &frame));
        assert!(matches!(&out[1], Out::Reading(r) if r.device_time.is_none()));
    }

    #[test]
    fn a_stored_measurement_of_unknown_time_is_not_scored_as_fresh() {
        let mut frame = SPOT_CAPTURE;
        frame[13] |= 1 << 1;
        assert_eq!(readings(&decode("ble.plx-spot", &frame).expect("known"))[0], row(Code::SPO2, "97", "artefact"));
    }

    #[test]
    fn finger_out_is_charted_as_no_value_never_as_zero() {
        let out = decode("ble.plx-continuous", &hex!("00 FF07 FF07")).expect("known");
        assert_eq!(readings(&out), [row(Code::SPO2, "none", "not-measured"), row(Code::PULSE_RATE, "none", "not-measured")]);
        assert_eq!(with_status(0, 1 << 11)[0], row(Code::SPO2, "none", "sensor-off"));
        let out = decode("ble.plx-continuous", &hex!("08 FF07 FE07 008000")).expect("known");
        assert_eq!(readings(&out)[..2], [row(Code::SPO2, "none", "sensor-off"), row(Code::PULSE_RATE, "none", "out-of-range")]);
    }

    #[test]
    fn stored_spot_checks_are_asked_for_and_known_again_when_repeated() {
        let mut profile = Profile::bare("ble.plx-spot");
        profile.feed = vec![driver::profile::Feed {
            characteristic: driver::profile::Uuid::assigned(0x2A52),
            mode: driver::profile::FeedMode::Indicate,
        }];
        let mut driver = (SPOT.make)(&profile);
        driver.handle(Monotonic(0), In::Connected);
        let out = driver.handle(Monotonic(1_000_000), In::Wake);
        assert_eq!(out[0], Out::Send(CONTROL_POINT, hex!("01 01").to_vec()));
        let mut numbers = |frame: &[u8]| -> Vec<Option<u64>> {
            let out = driver.handle(Monotonic(1_000_000), In::Bytes(SPOT_CHECK, frame));
            out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(r.device_seq) } else { None }).collect()
        };
        let live = numbers(&SPOT_CAPTURE);
        assert!(live.iter().all(|number| number.is_some() && *number == live[0]));
        let mut stored = SPOT_CAPTURE;
        stored[13] |= 1 << 1;
        assert_eq!(numbers(&stored), live);
        stored[1] -= 1;
        assert_ne!(numbers(&stored), live);
        assert_eq!(driver.handle(Monotonic(2_000_000), In::Bytes(CONTROL_POINT, &hex!("06 00 01 01"))), []);
    }

    #[test]
    fn every_status_bit_has_its_stated_effect() {
        for bit in 0..16 {
            let want = match bit {
                10 | 11 => ("97", "demo"),
                13 => ("none", "not-measured"),
                14 => ("97", "artefact"),
                15 => ("none", "artefact"),
                _ => ("97", "ok"),
            };
            assert_eq!(with_status(1 << bit, 0)[0], row(Code::SPO2, want.0, want.1), "measurement status bit {bit}");
        }
        for bit in 0..24 {
            let want = match bit {
                3 | 4 | 6 | 7 | 8 | 13 | 14 | 15 => ("97", "artefact"),
                11 => ("none", "sensor-off"),
                _ => ("97", "ok"),
            };
            assert_eq!(with_status(0, 1 << bit)[0], row(Code::SPO2, want.0, want.1), "sensor status bit {bit}");
        }
        assert_eq!(with_status(1 << 10 | 1 << 15, 0)[0], row(Code::SPO2, "none", "artefact"));
    }

    #[test]
    fn all_optional_fields_are_stepped_over_in_order() {
        let frame = hex!("1F BDF3 3C00 6100 3D00 6200 3E00 0000 000000 0CF1");
        assert_eq!(
            readings(&decode("ble.plx-continuous", &frame).expect("known")),
            [row(Code::SPO2, "95.7", "ok"), row(Code::PULSE_RATE, "60", "ok"), row(Code::PERFUSION_INDEX, "26.8", "ok")]
        );
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        let frame = hex!("1F BDF3 3C00 6100 3D00 6200 3E00 0000 000000 0CF1");
        for len in 0..frame.len() {
            let out = decode("ble.plx-continuous", &frame[..len]).expect("known");
            assert!(
                matches!(&out[..], [Out::Fault(f)] if matches!(f.error, DecodeError::Truncated { got, .. } if got == len)),
                "{len}: {out:?}"
            );
        }
        // Only a cut sensor status is tolerated, and only by its last byte.
        for len in 0..SPOT_CAPTURE.len() - 1 {
            assert!(matches!(&decode("ble.plx-spot", &SPOT_CAPTURE[..len]).expect("known")[..], [Out::Fault(_)]), "{len}");
        }
    }
}
