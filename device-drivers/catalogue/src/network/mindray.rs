//! Mindray bedside monitors of the older kind (BeneView T, iMEC, uMEC, iPM, PM): HL7 2.3.1 over MLLP, the monitor being
//! the server, on TCP 4601. Source: several independent clients and their captures.
//!
//! MSH-10 says what kind of message it is; codes are the maker's own and carry no unit: it is that of the monitor's
//! settings, which the profile states (`measures`). The monitor sends while it is asked to and hears an echo each second.
//! Patients are not read.

use super::hl7::message::{Message, Segment, text_of};
use super::hl7::repeats::Repeats;
use super::hl7::time::DateTime;
use super::hl7::{MESSAGE_LEN_MAX, as_sent};
use crate::stream::Told;
use crate::{Link, ProtocolRow};
use driver::alarm::{Alarm, AlarmKind, AlarmList, AlarmPriority};
use driver::frame::{Framed, MllpFramer, mllp};
use driver::profile::Profile;
use driver::{About, Channel, DecodeError, Driver, Fault, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading};
use record::time::Monotonic;
use record::unit::Unit;
use std::cmp::Ordering;

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "mindray.231",
    quirks: &[],
    link: Link::TcpClient(4601),
    channel: Channel::Stream,
    make: |profile| Box::new(Mindray::new(profile)),
    check: |_| Ok(()),
    as_sent,
};

const ECHO_EVERY_US: u64 = 1_000_000;
const TEXT_LEN_MAX: usize = 200;

// Kinds of message (MSH-10).
const PATIENT: &str = "103";
const PERIODIC: &str = "204";
const APERIODIC: &str = "503";
const ALARMS_PHYSIOLOGICAL: &str = "54";
const ALARMS_TECHNICAL: &str = "56";

/// What is charted: the maker's code, ours, and the unit where the profile states none. The second temperature and that
/// of the blood would be charted as the body's; the order of the invasive pressures is not known.
const CODES: [(u32, Code, Unit); 18] = [
    (101, Code::HEART_RATE, Unit::PerMinute),
    (102, Code::Mdc(148_066), Unit::PerMinute),
    (105, Code::ST_I, Unit::Millimetre),
    (106, Code::ST_II, Unit::Millimetre),
    (107, Code::Mdc(131_901), Unit::Millimetre),
    (108, Code::Mdc(131_902), Unit::Millimetre),
    (109, Code::Mdc(131_903), Unit::Millimetre),
    (110, Code::Mdc(131_904), Unit::Millimetre),
    (117, Code::ST_V, Unit::Millimetre),
    (151, Code::RESPIRATORY_RATE, Unit::PerMinute),
    (160, Code::SPO2, Unit::Percent),
    (161, Code::PULSE_RATE, Unit::PerMinute),
    (170, Code::NIBP_SYSTOLIC, Unit::MmHg),
    (171, Code::NIBP_DIASTOLIC, Unit::MmHg),
    (172, Code::NIBP_MEAN, Unit::MmHg),
    (200, Code::TEMPERATURE, Unit::Celsius),
    (220, Code::ET_CO2, Unit::MmHg),
    (222, Code::FI_CO2, Unit::MmHg),
];
/// ST levels, of which −1 is one.
const ST: std::ops::RangeInclusive<u32> = 105..=117;

struct Mindray {
    profile: Profile,
    framer: MllpFramer,
    repeats: Repeats,
    told: Told,
    physiological: AlarmList,
    technical: AlarmList,
    connected: bool,
}

impl Mindray {
    fn new(profile: &Profile) -> Self {
        Self {
            profile: profile.clone(),
            framer: MllpFramer::new(MESSAGE_LEN_MAX),
            repeats: Repeats::default(),
            told: Told::default(),
            physiological: AlarmList::default(),
            technical: AlarmList::default(),
            connected: false,
        }
    }

    fn reset(&mut self, connected: bool) {
        self.framer.reset();
        self.told.clear();
        self.physiological.clear();
        self.technical.clear();
        self.connected = connected;
    }

    fn message(&mut self, bytes: &[u8], out: &mut Vec<Out>) {
        let text = text_of(bytes);
        let message = match Message::parse(&text) {
            Ok(message) => message,
            Err(error) => return out.push(Out::Fault(Fault::new(error, bytes.len()))),
        };
        match message.header().field(10) {
            PERIODIC | APERIODIC => self.values(&message, out),
            PATIENT => {
                let place = message.segments.iter().find(|segment| segment.name() == "PV1").map(|pv1| shown(pv1.field(3)));
                if let Some(place) = place.filter(|place| !place.is_empty()) {
                    self.told.say(About::Location(place), out);
                }
            }
            ALARMS_PHYSIOLOGICAL => {
                let now = alarms(&message, AlarmKind::Physiological);
                out.extend(self.physiological.replace(now).into_iter().map(Out::Alarm));
            }
            ALARMS_TECHNICAL => {
                let now = alarms(&message, AlarmKind::Technical);
                out.extend(self.technical.replace(now).into_iter().map(Out::Alarm));
            }
            // Echoes, monitor facts, waves and kinds that are not known.
            _ => {}
        }
    }

    fn values(&mut self, message: &Message<'_>, out: &mut Vec<Out>) {
        let demo = matches!(&*message.header().component(11, 1), "T" | "D");
        let offset_min = DateTime::parse(message.header().field(7)).and_then(|time| time.offset_min);
        let mut readings: Vec<(Reading, String)> = Vec::new();
        for obx in message.segments.iter().filter(|segment| segment.name() == "OBX" && segment.field(2) == "NM") {
            let Some((number, code, unit)) = obx.component(3, 1).parse().ok().and_then(row) else { continue };
            let Ok(value) = value(obx, number) else {
                out.push(Out::Fault(Fault::field("OBX-5", format!("code {number}: not a decimal number"))));
                continue;
            };
            // A monitor lists a result it does not have beside the one it has.
            if value.is_err() && readings.iter().any(|(reading, _)| reading.code == code) {
                continue;
            }
            let unit = self.profile.measures.iter().find(|measure| measure.code == code).map_or(unit, |measure| measure.unit);
            let at = DateTime::parse(obx.field(14)).and_then(|t| t.moment(offset_min).or_else(|| self.profile.moment(t.read_as_utc)));
            let quality = if demo { Quality::Demo } else { Quality::Good };
            readings.push((Reading { code, value, unit, quality, device_time: at, device_seq: None }, obx.field(14).to_owned()));
        }
        out.extend(self.repeats.fresh("", readings).into_iter().map(Out::Reading));
    }
}

fn row(number: u32) -> Option<(u32, Code, Unit)> {
    CODES.iter().copied().find(|(code, ..)| *code == number)
}

/// The number, or none: −100 and −10000 always, −1 where it cannot be a number.
fn value(obx: &Segment<'_>, code: u32) -> Result<Result<Decimal, NoValue>, ()> {
    let text = obx.component(5, 1);
    if text.is_empty() {
        return Ok(Err(NoValue::NotMeasured));
    }
    let number: Decimal = text.parse().map_err(|_| ())?;
    let is = |mark: i64| number.partial_cmp(&Decimal::whole(mark)) == Some(Ordering::Equal);
    let none = is(-100) || is(-10_000) || (is(-1) && !ST.contains(&code));
    Ok(if none { Err(NoValue::NotMeasured) } else { Ok(number) })
}

/// `10033^**SpO2 TOO HIGH`: code, then stars for how urgent, then the words.
fn alarms(message: &Message<'_>, kind: AlarmKind) -> Vec<Alarm> {
    let demo = matches!(&*message.header().component(11, 1), "T" | "D");
    let rows = message.segments.iter().filter(|segment| segment.name() == "OBX");
    let alarm = |obx: &Segment<'_>| {
        let (code, words) = (obx.component(5, 1), obx.component(5, 2));
        let text = words.trim_start_matches('*');
        let priority = match words.len() - text.len() {
            0 => AlarmPriority::Advisory,
            1 => AlarmPriority::Low,
            2 => AlarmPriority::Medium,
            _ => AlarmPriority::High,
        };
        (!code.is_empty()).then(|| Alarm { id: shown(&code), text: shown(text.trim()), kind, priority, active: true, demo })
    };
    rows.filter_map(alarm).collect()
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect()
}

/// Asks for all periodic (`1`) or all aperiodic (`3`) values. It changes nothing on the monitor. QRD-1 is a time this
/// driver does not have; monitors take any.
fn query(number: u8, group: u8) -> Vec<u8> {
    let text = format!("MSH|^~\\&|||||||QRY^R02|1203|P|2.3.1\rQRD|20000101000000|R|I|Q{number}|||||RES\rQRF|MON||||0&0^{group}^1^1^\r");
    mllp(text.as_bytes())
}

fn echo() -> Vec<u8> {
    mllp(b"MSH|^~\\&|||||||ORU^R01|106|P|2.3.1|\r")
}

impl Driver for Mindray {
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Connected => {
                self.reset(true);
                let asked = [query(1, 1), query(2, 3), echo()];
                out.extend(asked.map(|bytes| Out::Send(Channel::Stream, bytes)));
                out.push(Out::WakeAt(now.plus_micros(ECHO_EVERY_US)));
            }
            In::Wake if self.connected => {
                out.push(Out::Send(Channel::Stream, echo()));
                out.push(Out::WakeAt(now.plus_micros(ECHO_EVERY_US)));
            }
            In::Wake => {}
            In::Bytes(_, bytes) => {
                for found in self.framer.push(bytes) {
                    match found {
                        Framed::Frame(message) => self.message(&message, &mut out),
                        Framed::Skipped(skipped) => out.push(Out::Fault(Fault::new(DecodeError::Unframed, skipped))),
                        Framed::Oversized { .. } => {
                            out.push(Out::Fault(Fault::new(DecodeError::Oversized { limit: MESSAGE_LEN_MAX }, MESSAGE_LEN_MAX)));
                        }
                    }
                }
            }
            In::Disconnected => self.reset(false),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driver::profile::Measure;

    fn hear(driver: &mut Mindray, kind: &str, rows: &str) -> Vec<Out> {
        let text = format!("MSH|^~\\&|||||||ORU^R01|{kind}|P|2.3.1|\r{rows}\r");
        driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &mllp(text.as_bytes())))
    }
    fn said(out: &[Out]) -> Vec<String> {
        let text = |o: &Out| match o {
            Out::Reading(r) => Some(format!(
                "{} {} {}",
                r.code.key(),
                r.value.as_ref().map_or_else(ToString::to_string, ToString::to_string),
                r.unit.ucum()
            )),
            Out::Alarm(a) => Some(format!("{} {} {}", a.text, a.priority.word(), a.active)),
            Out::Fault(f) => Some(f.to_string()),
            _ => None,
        };
        out.iter().filter_map(text).collect()
    }

    #[test]
    fn periodic_values_are_read_by_the_makers_codes_and_marks_are_none() {
        let mut driver = Mindray::new(&Profile::bare("mindray.231"));
        let rows = "OBX||NM|101^HR|2101|60||||||F\rOBX||NM|160^SpO2|2102|-100||||||F\rOBX||NM|105^I|2101|-1.00||||||F\rOBX||NM|151^RR|2103|-1||||||F\rOBX||NM|9999^X|1|5||||||F\rOBX||NM|161^PR|1|x||||||F";
        assert_eq!(
            said(&hear(&mut driver, "204", rows)),
            [
                "OBX-5: code 161: not a decimal number",
                "heart-rate 60 /min",
                "spo2 not-measured %",
                "st-i -1.00 mm",
                "respiratory-rate not-measured /min"
            ]
        );
    }

    #[test]
    fn a_unit_the_profile_states_counts() {
        let mut profile = Profile::bare("mindray.231");
        profile.measures = vec![Measure { code: Code::NIBP_SYSTOLIC, unit: Unit::KiloPascal, low: 0, high: 40 }];
        assert_eq!(said(&hear(&mut Mindray::new(&profile), "503", "OBX||NM|170^Sys|2105|16.0||||||F")), ["nibp-systolic 16.0 kPa"]);
    }

    #[test]
    fn a_cuff_result_is_charted_once_and_not_beside_none() {
        let mut driver = Mindray::new(&Profile::bare("mindray.231"));
        let rows = "OBX||NM|170^Sys|2105|120||||||F||APERIODIC|20070106191915\rOBX||NM|170^Sys|2105|-100||||||F||APERIODIC|00000000000000";
        assert_eq!(said(&hear(&mut driver, "503", rows)), ["nibp-systolic 120 mm[Hg]"]);
        assert_eq!(said(&hear(&mut driver, "503", rows)), [""; 0]);
    }

    #[test]
    fn alarms_begin_and_end_with_the_list_and_stars_say_how_urgent() {
        let mut driver = Mindray::new(&Profile::bare("mindray.231"));
        let rows = "OBX||CE|54^|1|10033^**SpO2 TOO HIGH||||||F";
        assert_eq!(said(&hear(&mut driver, "54", rows)), ["SpO2 TOO HIGH medium true"]);
        assert_eq!(said(&hear(&mut driver, "56", "OBX||CE|56^|1|20001^*BATTERY LOW||||||F")), ["BATTERY LOW low true"]);
        assert_eq!(said(&hear(&mut driver, "54", "")), ["SpO2 TOO HIGH medium false"]);
    }

    #[test]
    fn it_asks_on_connecting_and_echoes_each_second_while_connected() {
        let mut driver = Mindray::new(&Profile::bare("mindray.231"));
        let sent = |out: &[Out]| out.iter().filter(|o| matches!(o, Out::Send(..))).count();
        assert_eq!(sent(&driver.handle(Monotonic(0), In::Connected)), 3);
        assert_eq!(driver.handle(Monotonic(1_000_000), In::Wake).last(), Some(&Out::WakeAt(Monotonic(2_000_000))));
        driver.handle(Monotonic(0), In::Disconnected);
        assert_eq!(driver.handle(Monotonic(0), In::Wake), []);
    }

    #[test]
    fn the_bed_is_a_claim_and_the_patient_is_not_read() {
        let mut driver = Mindray::new(&Profile::bare("mindray.231"));
        let out = hear(&mut driver, "103", "PID|||1||TEST^PATIENT\rPV1||I|^^ICU&1&3232237756&4601&&1");
        assert_eq!(out, [Out::About(About::Location("^^ICU&1&3232237756&4601&&1".to_owned()))]);
    }
}
