//! Masimo "ASCII 1" (Radical, Radical-7, Rad-8): 9600 8N1, a line a second of `KEY=value`. Also the Rad-8's trend dump.
//! Which keys come depends on model and firmware: those that are known are read, the rest passed over.
//!
//! ```text
//! 03/05/24 10:15:32 SN=0000070986 SPO2=098% BPM=072 PI=04.69% … ALARM=0000 EXC=000000
//! 09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=800:SET
//! ```
//!
//! An instrument without a finger goes on printing zeros; its exceptions (`EXC`, bits in hex) say so.

use crate::stream::{self, Told, foreign_line, reading};
use crate::{Link, ProtocolRow};
use driver::alarm::{Alarm, AlarmKind, AlarmList, AlarmPriority};
use driver::profile::Profile;
use driver::scan::{Frames, Scanner, Step};
use driver::{About, Channel, Driver, Fault, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "masimo.ascii",
    link: Link::Serial,
    channel: Channel::Stream,
    quirks: &[],
    make: |profile| Box::new(Masimo::new(profile)),
    check: super::needs_line,
    as_sent: crate::ended_line,
};

/// No mode prints longer lines.
const LINE_LEN_MAX: usize = 512;

// Exceptions.
const NO_SENSOR: u32 = 0x001;
const DEFECTIVE_SENSOR: u32 = 0x002;
const LOW_PERFUSION: u32 = 0x004;
const PULSE_SEARCH: u32 = 0x008;
const INTERFERENCE: u32 = 0x010;
const SENSOR_OFF: u32 = 0x020;
const AMBIENT_LIGHT: u32 = 0x040;
const UNKNOWN_SENSOR: u32 = 0x080;
const LOW_SIGNAL: u32 = 0x400;

/// What is charted: the key as printed by either mode, and the code. A line without the first is no measurement.
const KEYS: [(&str, Code, Unit); 4] = [
    ("SPO2", Code::SPO2, Unit::Percent),
    ("BPM", Code::PULSE_RATE, Unit::PerMinute),
    ("PR", Code::PULSE_RATE, Unit::PerMinute),
    ("PI", Code::PERFUSION_INDEX, Unit::Percent),
];

struct Masimo {
    scanner: Scanner,
    reader: Reader,
}

struct Reader {
    profile: Profile,
    told: Told,
    /// The serial number last said.
    serial: String,
    alarms: AlarmList,
}

impl Masimo {
    fn new(profile: &Profile) -> Self {
        let reader = Reader { profile: profile.clone(), told: Told::default(), serial: String::new(), alarms: AlarmList::default() };
        Self { scanner: Scanner::new(LINE_LEN_MAX), reader }
    }
}

/// The fields of a line that are read.
#[derive(Default)]
struct Fields<'a> {
    serial: Option<&'a str>,
    exceptions: Option<&'a str>,
    alarm: Option<&'a str>,
    values: [Option<&'a str>; KEYS.len()],
}

impl<'a> Fields<'a> {
    /// One look at each word; the first of a name counts.
    fn of(words: &[&'a str]) -> Self {
        let mut fields = Self::default();
        for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
            let slot = match name {
                "SN" => &mut fields.serial,
                "EXC" => &mut fields.exceptions,
                "ALARM" => &mut fields.alarm,
                _ => match KEYS.iter().zip(&mut fields.values).find(|((key, ..), _)| key.eq_ignore_ascii_case(name)) {
                    Some((_, slot)) => slot,
                    None => continue,
                },
            };
            slot.get_or_insert(value);
        }
        fields
    }
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.split_once(':').map_or(text, |(digits, _)| digits);
    u32::from_str_radix(digits, 16).ok()
}

impl Reader {
    fn line(&mut self, line: &[u8], out: &mut Vec<Out>) {
        let words: Option<Vec<&str>> = std::str::from_utf8(line).ok().map(|text| text.split_ascii_whitespace().collect());
        let fields = words.as_deref().map(Fields::of).filter(|fields| fields.values[0].is_some());
        let (Some(words), Some(fields)) = (&words, fields) else {
            return out.push(foreign_line(line.len()));
        };
        let clock = time(words);
        let at = clock.and_then(|clock| self.profile.moment(clock));
        if let Some(clock) = clock {
            self.told.say(About::Clock(clock), out);
        }
        if let Some(serial) = fields.serial.filter(|serial| !serial.is_empty() && *serial != self.serial) {
            serial.clone_into(&mut self.serial);
            self.told.say(About::Serial(serial.to_owned()), out);
        }
        let exceptions = fields.exceptions.and_then(hex);
        if exceptions.is_none() {
            out.push(Out::Fault(Fault::field("EXC", "is missing or no hexadecimal number: the values cannot be trusted")));
        }
        let quality = match exceptions {
            Some(bits) if bits & (LOW_PERFUSION | INTERFERENCE | AMBIENT_LIGHT | LOW_SIGNAL) == 0 => Quality::Good,
            _ => Quality::Questionable,
        };
        for ((key, code, unit), text) in KEYS.into_iter().zip(fields.values) {
            let Some(text) = text else { continue };
            match value(text, exceptions.unwrap_or(0)) {
                Ok(value) => {
                    let Out::Reading(mut one) = reading(code, value, unit, quality) else { continue };
                    one.device_time = at;
                    out.push(Out::Reading(one));
                }
                Err(()) => out.push(Out::Fault(Fault::field(key, "neither a number nor dashes"))),
            }
        }
        let alarm = fields.alarm.and_then(hex).filter(|bits| *bits != 0).map(|bits| Alarm {
            id: format!("ALARM={bits:04X}"),
            text: format!("Alarm {bits:04X}"),
            kind: AlarmKind::Physiological,
            priority: AlarmPriority::High,
            active: true,
            demo: false,
        });
        out.extend(self.alarms.replace(alarm.into_iter().collect()).into_iter().map(Out::Alarm));
    }
}

/// The first two words, `MM/DD/YY HH:MM:SS`. An instrument set to another order of day and month gives the wrong day or
/// none, which is why its clock is only ever a claim.
fn time(words: &[&str]) -> Option<Timestamp> {
    let &[date, time, ..] = words else { return None };
    let mut parts = date.split('/').map(|part| part.parse::<u8>().ok());
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    stream::wall(year.into(), month, day, stream::clock(time)?)
}

/// A number, or why there is none; an error where it is neither number nor dashes.
fn value(text: &str, exceptions: u32) -> Result<Result<Decimal, NoValue>, ()> {
    let digits = text.trim_end_matches('%');
    let none = if exceptions & (NO_SENSOR | SENSOR_OFF) != 0 {
        Some(NoValue::SensorOff)
    } else if exceptions & DEFECTIVE_SENSOR != 0 {
        Some(NoValue::Fault("sensor-defective".to_owned()))
    } else if exceptions & UNKNOWN_SENSOR != 0 {
        Some(NoValue::Fault("sensor-unknown".to_owned()))
    } else if exceptions & PULSE_SEARCH != 0 {
        Some(NoValue::NotMeasured)
    } else {
        None
    };
    if let Some(none) = none {
        return Ok(Err(none));
    }
    if digits.bytes().any(|b| b == b'-') && digits.bytes().all(|b| matches!(b, b'-' | b'.' | b'+')) {
        return Ok(Err(NoValue::NotMeasured));
    }
    let number: Decimal = digits.parse().map_err(|_| ())?;
    // No finger has a saturation, a pulse or a perfusion of zero.
    Ok(if number.mantissa() == 0 { Err(NoValue::NotMeasured) } else { Ok(number) })
}

impl Frames for Reader {
    fn look(&mut self, rest: &[u8], out: &mut Vec<Out>) -> Step {
        match stream::line(rest, LINE_LEN_MAX) {
            Ok((line, step)) => {
                if !line.trim_ascii().is_empty() {
                    self.line(line, out);
                }
                step
            }
            Err(step) => step,
        }
    }
}

impl Driver for Masimo {
    fn handle(&mut self, _now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Bytes(_, bytes) => self.scanner.push(bytes, &mut self.reader, &mut out),
            In::Connected | In::Disconnected => {
                self.scanner.reset();
                self.reader.told.clear();
                self.reader.serial.clear();
                self.reader.alarms.clear();
            }
            In::Wake => {}
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driver::profile::Clock;

    const LINE: &str = "03/05/24 10:15:32 SN=0000070986 SPO2=098% BPM=072 PI=04.69% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- PVI=--- ALARM=0000 EXC=000000\r\n";

    fn hear(line: &str) -> Vec<Out> {
        Masimo::new(&Profile::bare("masimo.ascii")).handle(Monotonic(0), In::Bytes(Channel::Stream, line.as_bytes()))
    }
    fn said(line: &str) -> Vec<String> {
        let text = |o: &Out| match o {
            Out::Reading(r) => Some(r.value.as_ref().map_or_else(|_| r.status(), |v| format!("{v} {}", r.status()))),
            Out::Fault(f) => Some(f.to_string()),
            _ => None,
        };
        hear(line).iter().filter_map(text).collect()
    }

    #[test]
    fn a_line_of_either_mode_gives_its_numbers() {
        assert_eq!(said(LINE), ["98 ok", "72 ok", "4.69 ok"]);
        assert_eq!(said("09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=800:SET\n"), ["97 ok", "69 ok", "4.69 ok"]);
    }

    #[test]
    fn zeros_and_dashes_are_never_numbers() {
        assert_eq!(said("09/21/08 09:56:12 SpO2=000 PR=000 PI=00.00 EXC=820:OffPat,SET\n"), ["sensor-off"; 3]);
        assert_eq!(said("09/21/08 09:56:12 SpO2=000 PR=000 PI=00.00 EXC=800:SET\n"), ["not-measured"; 3]);
        assert_eq!(said("09/21/08 09:56:12 SPO2=---% BPM=--- PI=--.--% EXC=000000\n"), ["not-measured"; 3]);
    }

    #[test]
    fn every_exception_that_voids_or_weakens_a_value_does() {
        let with = |exceptions: &str| said(&LINE.replace("EXC=000000", &format!("EXC={exceptions}")))[0].clone();
        assert_eq!(["000001", "000020"].map(with), ["sensor-off"; 2]);
        assert_eq!(with("000002"), "fault:sensor-defective");
        assert_eq!(with("000080"), "fault:sensor-unknown");
        assert_eq!(with("000008"), "not-measured");
        assert_eq!(["000004", "000010", "000040", "000400"].map(with), ["98 artefact"; 4]);
        assert_eq!(with("000800"), "98 ok");
        assert_eq!(said(&LINE.replace(" EXC=000000", "")).len(), 4, "a fault beside three doubted values");
    }

    #[test]
    fn its_time_is_a_moment_where_the_zone_is_known() {
        let mut profile = Profile::bare("masimo.ascii");
        profile.clock = Clock::Local;
        profile.utc_offset_min = Some(60);
        let out = Masimo::new(&profile).handle(Monotonic(0), In::Bytes(Channel::Stream, LINE.as_bytes()));
        let at = out.iter().find_map(|o| if let Out::Reading(r) = o { r.device_time } else { None }).expect("time");
        assert_eq!(at.rfc3339(), "2024-03-05T09:15:32.000Z");
        assert!(out.contains(&Out::About(About::Serial("0000070986".to_owned()))));
    }

    #[test]
    fn a_line_that_is_not_masimos_is_refused_and_the_next_is_read() {
        assert_eq!(said(&format!("hello world\r\n{LINE}")), ["bytes outside any frame (11 bytes skipped)", "98 ok", "72 ok", "4.69 ok"]);
        assert_eq!(said(&LINE.replace("BPM=072", "BPM=7x2"))[1], "BPM: neither a number nor dashes");
    }

    #[test]
    fn an_alarm_is_said_when_it_begins_and_when_it_ends() {
        let alarm = LINE.replace("ALARM=0000", "ALARM=0010");
        let out = hear(&format!("{alarm}{alarm}{LINE}"));
        let states: Vec<bool> = out.iter().filter_map(|o| if let Out::Alarm(a) = o { Some(a.active) } else { None }).collect();
        assert_eq!(states, [true, false]);
    }
}
