//! Bluetooth SIG Continuous Glucose Monitoring (service 181F): measurements 2AA7, session start 2AAA, status 2AA9, feature 2AA8,
//! record access 2A52. Spec: CGMS 1.0.1.
//!
//! One notification may hold several records, each with a checksum of its own where the sensor protects its values. The three
//! status octets come in the order status, calibration/temperature, warning; flag bits 7, 6 and 5 say which are there. Nothing is
//! written to the sensor but requests for stored records.

use super::glucose::fetches;
use super::racp::{CONTROL_POINT, Racp};
use super::stamp::{DateTime, Stamp};
use super::{Fields, about, doubt, feeds, number, outputs, status_word};
use crate::{Link, ProtocolRow};
use driver::profile::{Clock, Profile};
use driver::{Channel, DecodeError, Driver, Fault, In, Out};
use record::code::Code;
use record::observation::{NoValue, Quality};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;

const MEASUREMENT: Channel = Channel::assigned(0x2AA7);
const FEATURE: Channel = Channel::assigned(0x2AA8);
const STATUS: Channel = Channel::assigned(0x2AA9);
const SESSION_START: Channel = Channel::assigned(0x2AAA);

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "ble.cgm",
    quirks: &[],
    link: Link::Ble,
    channel: MEASUREMENT,
    make: |profile| {
        let racp = Racp::new(fetches(profile), true);
        Box::new(Cgm { profile: profile.clone(), racp, sample: INTERSTITIAL, protected: false, session: None })
    },
    check: |profile| feeds(profile, 0x2AA7),
    as_sent: <[u8]>::to_vec,
};

const TREND_FOLLOWS: u8 = 1 << 0;
const QUALITY_FOLLOWS: u8 = 1 << 1;
const WARNING_FOLLOWS: u8 = 1 << 5;
const CALIBRATION_FOLLOWS: u8 = 1 << 6;
const STATUS_FOLLOWS: u8 = 1 << 7;

/// Feature bit: records carry a checksum.
const E2E_CRC: u32 = 1 << 12;
/// Stands in a feature whose sensor has no checksums.
const NO_CRC: u16 = 0xFFFF;
const CRC_LEN: usize = 2;
const ZONE_UNKNOWN: i8 = -128;
const DST_UNKNOWN: u8 = 255;
/// The type of sample a sensor under the skin has, until its feature says another.
const INTERSTITIAL: u8 = 9;

struct Cgm {
    profile: Profile,
    racp: Racp,
    sample: u8,
    /// The feature promises checksums.
    protected: bool,
    session: Option<Session>,
}

/// When the sensor was started.
#[derive(Clone, Copy)]
struct Session {
    start: DateTime,
    /// The moment, where the zone is stated or known.
    moment: Option<Timestamp>,
}

impl Driver for Cgm {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        match input {
            In::Bytes(MEASUREMENT, bytes) => self.records(now, bytes),
            In::Bytes(FEATURE, bytes) => outputs(bytes, self.feature(bytes)),
            In::Bytes(STATUS, bytes) => outputs(bytes, self.status(bytes)),
            In::Bytes(SESSION_START, bytes) => outputs(bytes, self.session_start(bytes)),
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

/// The three status octets as one word: status low, calibration and temperature in the middle, warning high.
#[derive(Clone, Copy)]
struct Annunciation(u32);

impl Annunciation {
    const fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }
    /// Session stopped, wrong sensor, malfunction, general fault; not calibrated as required; too hot or cold; past what the
    /// sensor can process. Levels the patient set are findings.
    const fn doubtful(self) -> bool {
        const DOUBT: u32 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 22 | 1 << 23;
        self.0 & DOUBT != 0
    }
    /// Why a number is missing, as far as the bits say.
    fn blame(self) -> Option<NoValue> {
        let fault = |what: &str| Some(NoValue::Fault(what.to_owned()));
        match () {
            () if self.has(22) || self.has(23) => Some(NoValue::OutOfRange),
            () if self.has(2) || self.has(3) => fault("sensor"),
            () if self.has(5) => fault("equipment"),
            () if self.has(0) => fault("session-stopped"),
            () if self.has(11) => fault("calibration"),
            () if self.has(12) || self.has(13) => fault("temperature"),
            () => None,
        }
    }
}

impl Cgm {
    /// Splits a notification into its records; a bad one does not hide those around it.
    fn records(&mut self, now: Monotonic, bytes: &[u8]) -> Vec<Out> {
        let (mut out, mut rest) = (Vec::new(), bytes);
        loop {
            let size = usize::from(rest.first().copied().unwrap_or(0));
            let whole = if size == 0 { Err(DecodeError::Truncated { needed: rest.len() + 1, got: rest.len() }) } else { Ok(size) };
            let record = whole.and_then(|size| rest.get(..size).ok_or(DecodeError::Truncated { needed: size, got: rest.len() }));
            match record {
                Ok(record) => {
                    out.extend(outputs(record, self.record(now, record)));
                    rest = rest.get(size..).unwrap_or_default();
                    if rest.is_empty() {
                        return out;
                    }
                }
                Err(error) => {
                    out.push(Out::Fault(Fault::new(error, rest.len())));
                    return out;
                }
            }
        }
    }

    fn record(&mut self, now: Monotonic, record: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(record);
        let (_size, flags) = (fields.u8()?, fields.u8()?);
        let has = |flag: u8| flags & flag != 0;
        let concentration = fields.sfloat()?;
        let offset_min = fields.u16()?;
        let mut octet = |flag, place: u8| Ok(u32::from(fields.optional(has(flag), Fields::u8)?.unwrap_or(0)) << place);
        let annunciation = Annunciation(octet(STATUS_FOLLOWS, 0)? | octet(CALIBRATION_FOLLOWS, 8)? | octet(WARNING_FOLLOWS, 16)?);
        let trend = fields.optional(has(TREND_FOLLOWS), Fields::sfloat)?;
        let quality = fields.optional(has(QUALITY_FOLLOWS), Fields::sfloat)?;
        let protected = self.protected;
        checked(&mut fields, record, protected)?;

        let code = match self.sample {
            1 | 2 => Code::GLUCOSE_CAPILLARY,
            INTERSTITIAL => Code::GLUCOSE_INTERSTITIAL,
            10 => Code::GLUCOSE_CONTROL,
            _ => Code::GLUCOSE_BLOOD,
        };
        let mut glucose = number(code, concentration, Unit::MilligramPerDecilitre, annunciation.blame().as_ref());
        if annunciation.doubtful() {
            doubt(&mut glucose);
        }
        let for_good = self.session.map(|session| session.start.numbered(offset_min));
        let stamp = self.stamp(offset_min);
        let readings = [
            Some(glucose),
            trend.map(|trend| number(Code::GLUCOSE_TREND, trend, Unit::MilligramPerDecilitreMinute, None)),
            quality.map(|quality| number(Code::GLUCOSE_QUALITY, quality, Unit::Percent, None)),
            status_word(Code::CGM_STATUS, annunciation.0),
        ];
        let readings = readings.into_iter().flatten().map(|mut reading| {
            if code == Code::GLUCOSE_CONTROL {
                reading.quality = Quality::Demo;
            }
            stamp.put(&mut reading);
            reading.device_seq = for_good;
            Out::Reading(reading)
        });
        let readings: Vec<Out> = readings.collect();
        Ok(readings.into_iter().chain(self.racp.record(now, offset_min, for_good.unwrap_or_default())).collect())
    }

    /// Minutes since the session began, from a session whose moment is known. Stored records of one that is not cannot be told
    /// from fresh ones.
    fn stamp(&self, offset_min: u16) -> Stamp {
        let start = self.session.and_then(|session| session.moment).filter(|_| self.profile.clock != Clock::None);
        let device_time = start.map(|start| start.plus_micros(i64::from(offset_min) * 60_000_000));
        Stamp { device_time, doubtful: device_time.is_none() && self.profile.clock != Clock::None, unset: false }
    }

    /// Features in 3 bytes, type and place of the sample, and a checksum that all sensors send.
    fn feature(&mut self, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(bytes);
        let (features, sample) = (fields.u24()?, fields.u8()?);
        let protected = features & E2E_CRC != 0;
        let unprotected = !protected && fields.rest == NO_CRC.to_le_bytes();
        if !unprotected {
            checked(&mut fields, bytes, protected)?;
        }
        (self.protected, self.sample) = (protected, sample & 0x0F);
        Ok(Vec::new())
    }

    /// Minutes since the session began, and the status word.
    fn status(&self, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(bytes);
        let (_offset_min, word) = (fields.u16()?, fields.u24()?);
        checked(&mut fields, bytes, self.protected)?;
        Ok(status_word(Code::CGM_STATUS, word).map(Out::Reading).into_iter().collect())
    }

    /// Wall time, zone in quarters of an hour, daylight saving in quarters of an hour.
    fn session_start(&mut self, bytes: &[u8]) -> Result<Vec<Out>, DecodeError> {
        let mut fields = Fields::new(bytes);
        let start = DateTime::read(&mut fields)?;
        let [zone] = fields.take()?.map(u8::cast_signed);
        let dst = fields.u8()?;
        checked(&mut fields, bytes, self.protected)?;
        let quarters = (zone != ZONE_UNKNOWN && dst != DST_UNKNOWN).then(|| i64::from(zone) + i64::from(dst));
        let moment = start.as_utc().and_then(|wall| match quarters {
            Some(quarters) => Some(wall.plus_micros(-quarters * 900_000_000)),
            None => self.profile.moment(wall),
        });
        self.session = Some(Session { start, moment });
        Ok(Vec::new())
    }
}

/// Checks what follows the fields: nothing, or the checksum over all bytes before it.
fn checked(fields: &mut Fields<'_>, frame: &[u8], protected: bool) -> Result<(), DecodeError> {
    if fields.is_empty() && !protected {
        return Ok(());
    }
    let stated = fields.u16()?;
    if !fields.is_empty() {
        return Err(DecodeError::Field { field: "size", why: format!("{} bytes behind the checksum", fields.rest.len()) });
    }
    let computed = crc(frame.get(..frame.len().saturating_sub(CRC_LEN)).unwrap_or_default());
    if stated == computed { Ok(()) } else { Err(DecodeError::Checksum { stated: stated.into(), computed: computed.into() }) }
}

/// CRC-16/MCRF4XX: polynomial 1021 reflected, starting from FFFF.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        let [low, high] = (crc ^ u16::from(*byte)).to_le_bytes();
        u16::from(high) ^ CRC_OF_BYTE[usize::from(low)]
    })
}

const CRC_OF_BYTE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte: u16 = 0;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use hex_literal::hex;
    use record::observation::Reading;

    type Row = (Code, String, String);

    fn rows(out: &[Out]) -> Vec<Row> {
        let text = |r: &Reading| (r.code, r.value.as_ref().map_or_else(|_| "none".to_owned(), ToString::to_string), r.status());
        out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(text(r)) } else { None }).collect()
    }
    fn row(code: Code, value: &str, status: &str) -> Row {
        (code, value.to_owned(), status.to_owned())
    }

    const FULL: [u8; 15] = hex!("0F E3 D2E4 0500 02 14 FF 02F0 E5F3 8E3F");
    const SMALL: [u8; 6] = hex!("06 00 0C10 0600");
    const START: [u8; 11] = hex!("E207 04 18 0D 08 18 08 04 E0C2");

    #[test]
    fn the_checksum_is_that_of_its_published_check_values() {
        assert_eq!(crc(b"123456789"), 0x6F91);
        assert_eq!(crc(&hex!("3E 01 02 03 04 05 06 07 08 09")), 0x2F01);
    }

    #[test]
    fn a_full_record_is_read_with_its_trend_quality_and_status() {
        let word = (0xFF_u32 << 16 | 0x14 << 8 | 0x02).to_string();
        let want = [
            row(Code::GLUCOSE_INTERSTITIAL, "12.34", "artefact"),
            row(Code::GLUCOSE_TREND, "0.2", "ok"),
            row(Code::GLUCOSE_QUALITY, "99.7", "ok"),
            row(Code::CGM_STATUS, &word, "ok"),
        ];
        assert_eq!(rows(&decode("ble.cgm", &FULL).expect("known")), want);
        assert_eq!(rows(&decode("ble.cgm", &SMALL).expect("known")), [row(Code::GLUCOSE_INTERSTITIAL, "120", "ok")]);
    }

    #[test]
    fn several_records_in_one_notification_are_each_read_and_a_bad_one_hides_no_other() {
        let mut bad = FULL;
        bad[2] ^= 1;
        let out = decode("ble.cgm", &[&SMALL[..], &bad, &SMALL].concat()).expect("known");
        assert_eq!(rows(&out).len(), 2);
        assert!(matches!(&out[1], Out::Fault(Fault { error: DecodeError::Checksum { stated: 0x3F8E, .. }, skipped: 15 })), "{out:?}");
        let out = decode("ble.cgm", &[&SMALL[..], &FULL[..9]].concat()).expect("known");
        assert!(matches!(&out[1], Out::Fault(Fault { error: DecodeError::Truncated { needed: 15, got: 9 }, .. })), "{out:?}");
    }

    #[test]
    fn each_octet_is_found_by_its_own_flag() {
        for (flag, place) in [(0x80, 0), (0x40, 8), (0x20, 16)] {
            let out = decode("ble.cgm", &[7, flag, 0x0C, 0x10, 6, 0, 0x10]).expect("known");
            assert_eq!(rows(&out)[1], row(Code::CGM_STATUS, &(0x10_u32 << place).to_string(), "ok"));
        }
    }

    #[test]
    fn special_numbers_say_why_there_is_none() {
        assert_eq!(
            rows(&decode("ble.cgm", &hex!("06 00 FF07 0600")).expect("known")),
            [row(Code::GLUCOSE_INTERSTITIAL, "none", "not-measured")]
        );
        let stopped = decode("ble.cgm", &hex!("07 80 FF07 0600 01")).expect("known");
        assert_eq!(rows(&stopped)[0], row(Code::GLUCOSE_INTERSTITIAL, "none", "fault:session-stopped"));
    }

    fn sensor() -> Box<dyn Driver> {
        let mut profile = Profile::bare("ble.cgm");
        profile.clock = Clock::Stated;
        (PROTOCOL.make)(&profile)
    }

    #[test]
    fn a_record_was_taken_so_many_minutes_after_its_session_began_in_its_own_zone() {
        let mut driver = sensor();
        let before = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &SMALL));
        assert_eq!(rows(&before)[0].2, "artefact");
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(SESSION_START, &START)), []);
        let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &SMALL));
        // 13:08:24 at two hours east and one of summer time is 10:08:24 UTC.
        let at = Timestamp::parse("2018-04-24T10:14:24Z").expect("time");
        assert!(matches!(&out[0], Out::Reading(r) if r.device_time == Some(at) && r.device_seq.is_some()), "{out:?}");
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &SMALL)), out);
    }

    #[test]
    fn a_session_in_an_unknown_zone_gives_no_time() {
        for (zone, dst) in [(0x80, 4), (8, 0xFF)] {
            let mut driver = sensor();
            driver.handle(Monotonic(0), In::Bytes(SESSION_START, &[0xE2, 7, 4, 24, 13, 8, 24, zone, dst]));
            let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &SMALL));
            assert!(matches!(&out[0], Out::Reading(r) if r.device_time.is_none()));
        }
    }

    #[test]
    fn a_sensor_that_promises_checksums_must_send_them() {
        let mut driver = sensor();
        let feature = [&hex!("001000 19")[..], &crc(&hex!("001000 19")).to_le_bytes()].concat();
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(FEATURE, &feature)), []);
        let out = driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &SMALL));
        assert!(matches!(&out[..], [Out::Fault(_)]), "{out:?}");
        assert_eq!(rows(&driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &FULL))).len(), 4);
        assert!(matches!(&driver.handle(Monotonic(0), In::Bytes(FEATURE, &hex!("001000 19 0000")))[..], [Out::Fault(_)]));
        // Without them a feature ends in FFFF.
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(FEATURE, &hex!("000000 19 FFFF"))), []);
        assert_eq!(rows(&driver.handle(Monotonic(0), In::Bytes(MEASUREMENT, &SMALL))).len(), 1);
    }

    #[test]
    fn the_status_of_a_sensor_is_charted_where_any_bit_is_set() {
        let mut driver = sensor();
        assert_eq!(driver.handle(Monotonic(0), In::Bytes(STATUS, &hex!("0500 000000"))), []);
        let out = driver.handle(Monotonic(0), In::Bytes(STATUS, &hex!("0500 020000")));
        assert_eq!(rows(&out), [row(Code::CGM_STATUS, "2", "ok")]);
    }

    #[test]
    fn every_prefix_of_a_record_is_refused() {
        for len in 0..FULL.len() {
            assert!(matches!(&decode("ble.cgm", &FULL[..len]).expect("known")[..], [Out::Fault(_)]), "{len}");
        }
        // Sizes that lie.
        for size in [0, 1, 5, 7, 255] {
            let mut frame = SMALL;
            frame[0] = size;
            assert!(matches!(decode("ble.cgm", &frame).expect("known").first(), Some(Out::Fault(_))), "{size}");
        }
    }
}
