//! Bluetooth SIG Glucose (service 1808): measurements 2A18 with their context 2A34, fetched by record access 2A52. Spec: GLS 1.0.1.
//!
//! Meters report only when asked. A record's number begins anew after the memory is cleared or the battery changed, so a
//! sample is known by its number and its base time together.

use super::racp::{CONTROL_POINT, Racp};
use super::stamp::{DateTime, DeviceClock, Stamp};
use super::{Fields, about, doubt, feeds, glucose_context, number, outputs, shifted, status_word};
use crate::{Link, ProtocolRow};
use driver::float11073::Float;
use driver::profile::{Profile, Uuid};
use driver::{Channel, DecodeError, Driver, In, Out};
use record::code::Code;
use record::observation::{NoValue, Quality, Reading};
use record::time::Monotonic;
use record::unit::Unit;

const MEASUREMENT: Channel = Channel::assigned(0x2A18);
const CONTEXT: Channel = Channel::assigned(0x2A34);

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "ble.glucose",
    quirks: &[],
    link: Link::Ble,
    channel: MEASUREMENT,
    make: |profile| {
        let used = fetches(profile);
        Box::new(Glucose { profile: profile.clone(), clock: DeviceClock::default(), racp: Racp::new(used, true), last: None })
    },
    check: |profile| feeds(profile, 0x2A18).and_then(|()| feeds(profile, 0x2A52)),
    as_sent: <[u8]>::to_vec,
};

/// Whether stored records are fetched: the profile subscribes to the control point.
pub(super) fn fetches(profile: &Profile) -> bool {
    profile.feed.iter().any(|feed| feed.characteristic == Uuid::assigned(0x2A52))
}

struct Glucose {
    profile: Profile,
    clock: DeviceClock,
    racp: Racp,
    /// The last measurement, for what follows it.
    last: Option<Last>,
}

/// A measurement as its context needs it.
#[derive(Clone, Copy)]
struct Last {
    /// Its number on the wire.
    sequence: u16,
    /// Its number for good.
    for_good: u64,
    stamp: Stamp,
    /// Of a control solution: what is told beside it stays with it.
    control: bool,
}

impl Last {
    fn put(self, mut reading: Reading) -> Out {
        if self.control {
            reading.quality = Quality::Demo;
        }
        self.stamp.put(&mut reading);
        reading.device_seq = Some(self.for_good);
        Out::Reading(reading)
    }
}

impl Driver for Glucose {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(MEASUREMENT, bytes) => outputs(bytes, self.measurement(now, bytes)),
            In::Bytes(CONTEXT, bytes) => outputs(bytes, self.context(bytes)),
            In::Bytes(CONTROL_POINT, bytes) => outputs(bytes, self.racp.answer(now, bytes)),
            In::Bytes(other, bytes) => match self.clock.hear(now, other, bytes) {
                Some(clock) => outputs(bytes, clock),
                None => about(other, bytes),
            },
            In::Connected => self.racp.connected(now),
            In::Wake => self.racp.wake(now),
            In::Disconnected => {
                self.clock.forget();
                self.racp.disconnected();
                self.last = None;
                Vec::new()
            }
        }
    }
}

/// The sensor status bits.
#[derive(Clone, Copy)]
struct Status(u16);

impl Status {
    const fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }
    /// All but a low battery and a fault of the clock speak against a number.
    const fn doubtful(self) -> bool {
        self.0 & 0x07FE != 0
    }
    const fn time_fault(self) -> bool {
        self.has(11)
    }
    /// Why a number is missing, as far as the flags say.
    fn blame(self) -> Option<NoValue> {
        let fault = |what: &str| Some(NoValue::Fault(what.to_owned()));
        match () {
            () if self.has(5) || self.has(6) => Some(NoValue::OutOfRange),
            () if self.has(1) => fault("sensor"),
            () if self.has(2) => fault("sample"),
            () if self.has(3) || self.has(4) => fault("strip"),
            () if self.has(7) || self.has(8) => fault("temperature"),
            () if self.has(9) => fault("interrupted"),
            () if self.has(10) => fault("equipment"),
            () => None,
        }
    }
}

/// The fluid and the place of a sample.
#[derive(Clone, Copy)]
struct Sample(u8);

impl Sample {
    /// A control solution checks the meter and is nobody's blood.
    const fn is_control(self) -> bool {
        self.0 & 0x0F == 10 || self.0 >> 4 == 4
    }
    const fn code(self, molar: bool) -> Code {
        match (self.0 & 0x0F, molar) {
            _ if self.is_control() => Code::GLUCOSE_CONTROL,
            (1 | 2, false) => Code::GLUCOSE_CAPILLARY,
            (1 | 2, true) => Code::GLUCOSE_CAPILLARY_MOLAR,
            (9, false) => Code::GLUCOSE_INTERSTITIAL,
            (9, true) => Code::GLUCOSE_INTERSTITIAL_MOLAR,
            (_, false) => Code::GLUCOSE_BLOOD,
            (_, true) => Code::GLUCOSE_BLOOD_MOLAR,
        }
    }
}

impl Glucose {
    fn measurement(&mut self, now: Monotonic, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(bytes);
        let flags = fields.u8()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        let sequence = fields.u16()?;
        let base = DateTime::read(&mut fields)?;
        let offset_min = fields.optional(has(0), Fields::i16)?.unwrap_or(0);
        let concentration = fields.optional(has(1), |f| Ok((f.sfloat()?, Sample(f.u8()?))))?;
        let status = Status(fields.optional(has(3), Fields::u16)?.unwrap_or(0));

        let molar = has(2);
        let (value, sample) = concentration.unwrap_or((Float::NotANumber, Sample(0)));
        let (unit, places) = if molar { (Unit::MillimolePerLitre, 3) } else { (Unit::MilligramPerDecilitre, 5) };
        let mut glucose = shifted(number(sample.code(molar), value, unit, status.blame().as_ref()), places);
        if status.doubtful() {
            doubt(&mut glucose);
        }
        let taken = base.as_utc().filter(|_| !status.time_fault()).map(|base| base.plus_micros(i64::from(offset_min) * 60_000_000));
        let stamp = self.clock.stamp(&self.profile, now, taken, true);
        let for_good = base.numbered(sequence);
        let last = Last { sequence, for_good, stamp, control: sample.is_control() };
        self.last = Some(last);
        let readings = [Some(glucose), status_word(Code::GLUCOSE_STATUS, status.0.into())];
        let readings = readings.into_iter().flatten().map(|reading| last.put(reading));
        Ok(stamp.about().into_iter().chain(readings).chain(self.racp.record(now, sequence, for_good)).collect())
    }

    /// What the user told the meter beside a measurement; it has its number and no time of its own.
    fn context(&self, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let (sequence, readings) = glucose_context::read(bytes)?;
        let of = self.last.filter(|last| last.sequence == sequence);
        let stamped = |mut reading: Reading| match of {
            Some(last) => last.put(reading),
            // Of a measurement that was not heard: nobody can say when.
            None => {
                doubt(&mut reading);
                Out::Reading(reading)
            }
        };
        Ok(readings.into_iter().map(stamped).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use driver::profile::{Clock, Feed, FeedMode};
    use driver::{About, Fault};
    use hex_literal::hex;
    use record::time::Timestamp;

    type Row = (Code, String, String);

    fn rows(out: &[Out]) -> Vec<Row> {
        let text = |r: &Reading| (r.code, r.value.as_ref().map_or_else(|_| "none".to_owned(), ToString::to_string), r.status());
        out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(text(r)) } else { None }).collect()
    }
    fn row(code: Code, value: &str, status: &str) -> Row {
        (code, value.to_owned(), status.to_owned())
    }
    /// Flags, a measurement of this number with this value and sample.
    fn measured(flags: u8, value: [u8; 2], sample: u8) -> Vec<u8> {
        [&[flags, 7, 0][..], &hex!("EA07 0B 16 0A 00 00"), &value, &[sample]].concat()
    }

    const VECTOR: [u8; 17] = hex!("1B 0100 E307 02 1B 0B 0A 1E FBFF 1E00 12 0501");

    #[test]
    fn the_published_example_is_read_and_its_status_kept() {
        let out = decode("ble.glucose", &VECTOR).expect("known");
        assert_eq!(rows(&out), [row(Code::GLUCOSE_CAPILLARY, "3000000", "artefact"), row(Code::GLUCOSE_STATUS, "261", "ok")]);
    }

    #[test]
    fn mass_becomes_milligram_per_decilitre_and_moles_millimole_per_litre_with_their_digits() {
        // 97 × 10⁻⁵ kg/L; 54 × 10⁻⁴ mol/L.
        assert_eq!(
            rows(&decode("ble.glucose", &measured(0x02, hex!("61B0"), 0x11)).expect("known")),
            [row(Code::GLUCOSE_CAPILLARY, "97", "ok")]
        );
        let molar = decode("ble.glucose", &measured(0x06, hex!("36C0"), 0x11)).expect("known");
        assert_eq!(rows(&molar), [row(Code::GLUCOSE_CAPILLARY_MOLAR, "5.4", "ok")]);
        assert!(matches!(&molar[0], Out::Reading(r) if r.unit == Unit::MillimolePerLitre));
    }

    #[test]
    fn what_was_sampled_chooses_the_code_and_a_control_solution_is_nobody_s_glucose() {
        for (sample, code, status) in [
            (0x11, Code::GLUCOSE_CAPILLARY, "ok"),
            (0x12, Code::GLUCOSE_CAPILLARY, "ok"),
            (0x13, Code::GLUCOSE_BLOOD, "ok"),
            (0xF8, Code::GLUCOSE_BLOOD, "ok"),
            (0x29, Code::GLUCOSE_INTERSTITIAL, "ok"),
            (0x4A, Code::GLUCOSE_CONTROL, "demo"),
            (0x1A, Code::GLUCOSE_CONTROL, "demo"),
            (0x41, Code::GLUCOSE_CONTROL, "demo"),
        ] {
            assert_eq!(
                rows(&decode("ble.glucose", &measured(0x02, hex!("61B0"), sample)).expect("known")),
                [row(code, "97", status)],
                "{sample:#x}"
            );
        }
    }

    #[test]
    fn high_low_and_failed_measurements_are_no_numbers() {
        for (value, status) in [(hex!("FE07"), "out-of-range"), (hex!("0208"), "out-of-range"), (hex!("FF07"), "not-measured")] {
            assert_eq!(
                rows(&decode("ble.glucose", &measured(0x02, value, 0x11)).expect("known")),
                [row(Code::GLUCOSE_CAPILLARY, "none", status)]
            );
        }
        let without = [&[0x08, 7, 0][..], &hex!("EA07 0B 16 0A 00 00"), &hex!("0800")].concat();
        assert_eq!(rows(&decode("ble.glucose", &without).expect("known"))[0], row(Code::GLUCOSE_BLOOD, "none", "fault:strip"));
    }

    #[test]
    fn every_status_bit_has_its_stated_effect() {
        for bit in 0..16 {
            let frame = [measured(0x0A, hex!("61B0"), 0x11), (1u16 << bit).to_le_bytes().to_vec()].concat();
            let want = if (1..=10).contains(&bit) { "artefact" } else { "ok" };
            assert_eq!(rows(&decode("ble.glucose", &frame).expect("known"))[0], row(Code::GLUCOSE_CAPILLARY, "97", want), "bit {bit}");
        }
    }

    fn meter(utc_offset_min: Option<i16>) -> Profile {
        let mut profile = Profile::bare("ble.glucose");
        profile.clock = Clock::Local;
        profile.utc_offset_min = utc_offset_min;
        profile.feed = vec![Feed { characteristic: Uuid::assigned(0x2A52), mode: FeedMode::Indicate }];
        profile
    }

    #[test]
    fn a_measurement_was_taken_at_its_base_time_and_offset() {
        let mut driver = (PROTOCOL.make)(&meter(Some(60)));
        let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &VECTOR));
        let at = Timestamp::parse("2019-02-27T10:05:30Z").expect("time");
        assert!(matches!(&out[0], Out::Reading(r) if r.device_time == Some(at)));
        // A fault of the clock takes the time away.
        let mut faulty = VECTOR;
        faulty[16] |= 1 << 3;
        let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &faulty));
        assert_eq!(out[0], Out::About(About::ClockUnset));
        assert!(matches!(&out[1], Out::Reading(r) if r.device_time.is_none()));
    }

    #[test]
    fn a_record_sent_again_has_its_number_and_one_numbered_from_one_again_another() {
        let mut driver = (PROTOCOL.make)(&meter(None));
        let mut number = |frame: &[u8]| {
            let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, frame));
            out.iter().find_map(|o| if let Out::Reading(r) = o { r.device_seq } else { None }).expect("number")
        };
        let first = number(&VECTOR);
        assert_eq!(number(&VECTOR), first);
        // The user set the clock: the base stays, the offset changes, the sample is the same.
        let mut shifted = VECTOR;
        shifted[10] = 0;
        assert_eq!(number(&shifted), first);
        let mut cleared = VECTOR;
        cleared[6] += 1;
        assert_ne!(number(&cleared), first);
    }

    #[test]
    fn a_meter_is_asked_for_its_records_once_connected_and_then_for_newer_ones() {
        let sent = |out: Vec<Out>| out.into_iter().find_map(|o| if let Out::Send(CONTROL_POINT, bytes) = o { Some(bytes) } else { None });
        let mut driver = (PROTOCOL.make)(&meter(None));
        driver.handle(Monotonic(0), In::Connected);
        assert_eq!(sent(driver.handle(Monotonic(500_000), In::Wake)), Some(hex!("01 01").to_vec()));
        driver.handle(Monotonic(600_000), In::Bytes(MEASUREMENT, &VECTOR));
        assert_eq!(driver.handle(Monotonic(700_000), In::Bytes(CONTROL_POINT, &hex!("06 00 01 01"))), []);
        driver.handle(Monotonic(800_000), In::Disconnected);
        driver.handle(Monotonic(900_000), In::Connected);
        assert_eq!(sent(driver.handle(Monotonic(2_000_000), In::Wake)), Some(hex!("01 03 01 02 00").to_vec()));
    }

    #[test]
    fn the_context_of_a_measurement_shares_its_number_and_time() {
        let mut driver = (PROTOCOL.make)(&meter(Some(0)));
        let of = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &VECTOR));
        let Some(Out::Reading(measurement)) = of.first() else { panic!("{of:?}") };
        let out = driver.handle(Monotonic(0), In::Bytes(CONTEXT, &hex!("02 0100 03")));
        let [Out::Reading(meal)] = &out[..] else { panic!("{out:?}") };
        assert_eq!((meal.code, meal.device_seq, meal.device_time), (Code::GLUCOSE_MEAL, measurement.device_seq, measurement.device_time));
        let out = driver.handle(Monotonic(0), In::Bytes(CONTEXT, &hex!("02 0900 03")));
        assert!(matches!(&out[..], [Out::Reading(r)] if r.quality == Quality::Questionable && r.device_seq.is_none()));
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        for len in 0..VECTOR.len() {
            let out = decode("ble.glucose", &VECTOR[..len]).expect("known");
            assert!(
                matches!(&out[..], [Out::Fault(Fault { error: DecodeError::Truncated { got, .. }, .. })] if *got == len),
                "{len}: {out:?}"
            );
        }
    }
}
