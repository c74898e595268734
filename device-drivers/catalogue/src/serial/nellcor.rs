//! Nellcor N-395, N-595, NPB-290/295, N-560 in ASCII mode: 9600 8N1, a line every two seconds, a header every 25 lines.
//!
//! ```text
//! N-395 VERSION 2.0.0.0 CRC: XXXX SpO2 Limit: 70-100% PR Limit: 60-160BPM
//! TIME %SpO2 BPM PA Status
//! 12-NOV-98 14:00:05 100 120* 50 PH
//! ```
//!
//! `---` is no value, `*` marks one outside its limits. The N-200's blocks and the OxiMax "GRAPH" mode are other formats;
//! their lines are refused.

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
    id: "nellcor.ascii",
    link: Link::Serial,
    channel: Channel::Stream,
    quirks: &[],
    make: |profile| Box::new(Nellcor::new(profile)),
    check: super::needs_line,
    as_sent: crate::ended_line,
};

const LINE_LEN_MAX: usize = 256;
/// Words of a line: five, and each status.
const WORDS_MAX: usize = 5 + ALARMS.len() + STATES.len();

/// Status words that are alarms: word, text, about whom, how urgent.
const ALARMS: [(&str, &str, AlarmKind, AlarmPriority); 9] = [
    ("PH", "Pulse rate high", AlarmKind::Physiological, AlarmPriority::Medium),
    ("PL", "Pulse rate low", AlarmKind::Physiological, AlarmPriority::Medium),
    ("SH", "Saturation high", AlarmKind::Physiological, AlarmPriority::Medium),
    ("SL", "Saturation low", AlarmKind::Physiological, AlarmPriority::Medium),
    ("LP", "Loss of pulse", AlarmKind::Physiological, AlarmPriority::High),
    ("LM", "Loss of pulse with motion", AlarmKind::Physiological, AlarmPriority::High),
    ("SD", "Sensor disconnected", AlarmKind::Technical, AlarmPriority::Low),
    ("SO", "Sensor off", AlarmKind::Technical, AlarmPriority::Low),
    ("LB", "Low battery", AlarmKind::Technical, AlarmPriority::Low),
];
/// Status words that are none: alarms off or silenced, motion, pulse search.
const STATES: [&str; 4] = ["AO", "AS", "MO", "PS"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

struct Nellcor {
    scanner: Scanner,
    reader: Reader,
}

struct Reader {
    profile: Profile,
    told: Told,
    alarms: AlarmList,
}

impl Nellcor {
    fn new(profile: &Profile) -> Self {
        let reader = Reader { profile: profile.clone(), told: Told::default(), alarms: AlarmList::default() };
        Self { scanner: Scanner::new(LINE_LEN_MAX), reader }
    }
}

impl Reader {
    fn line(&mut self, line: &[u8], out: &mut Vec<Out>) {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let (mut words, mut count) = ([""; WORDS_MAX], 0);
        for (place, word) in words.iter_mut().zip(text.split_ascii_whitespace()) {
            (*place, count) = (word, count + 1);
        }
        match *words.get(..count).unwrap_or_default() {
            [model, "VERSION", version, ..] => {
                self.told.say(About::Model(model.to_owned()), out);
                self.told.say(About::Firmware(version.to_owned()), out);
            }
            ["TIME", ..] => {}
            [day, clock, spo2, pulse, _amplitude, ref status @ ..] => match time(day, clock) {
                Some(clock) => self.measured(clock, [spo2, pulse], status, out),
                None => out.push(foreign_line(line.len())),
            },
            _ => out.push(foreign_line(line.len())),
        }
    }

    fn measured(&mut self, clock: Timestamp, values: [&str; 2], status: &[&str], out: &mut Vec<Out>) {
        self.told.say(About::Clock(clock), out);
        let has = |word: &str| status.contains(&word);
        let off = has("SD") || has("SO");
        let lost = has("LP") || has("LM") || has("PS");
        let quality = if lost || has("MO") { Quality::Questionable } else { Quality::Good };
        for (text, code, unit, field) in
            [(values[0], Code::SPO2, Unit::Percent, "%SpO2"), (values[1], Code::PULSE_RATE, Unit::PerMinute, "BPM")]
        {
            let digits = text.trim_end_matches('*');
            let value = if off {
                Err(NoValue::SensorOff)
            } else if !digits.is_empty() && digits.bytes().all(|b| b == b'-') {
                Err(if has("MO") || has("LM") { NoValue::Artefact } else { NoValue::NotMeasured })
            } else {
                match digits.parse::<Decimal>() {
                    Ok(number) if number.mantissa() == 0 => Err(NoValue::NotMeasured),
                    Ok(number) => Ok(number),
                    Err(_) => {
                        out.push(Out::Fault(Fault::field(field, "neither a number nor dashes")));
                        continue;
                    }
                }
            };
            let Out::Reading(mut one) = reading(code, value, unit, quality) else { continue };
            one.device_time = self.profile.moment(clock);
            out.push(Out::Reading(one));
        }
        let known = |word: &&&str| STATES.contains(*word) || ALARMS.iter().any(|(code, ..)| *code == **word);
        if let Some(word) = status.iter().find(|word| !known(word)) {
            let shown: String = word.chars().take(8).collect();
            out.push(Out::Fault(Fault::field("Status", format!("unknown code {shown:?}"))));
        }
        let now = ALARMS.iter().filter(|(code, ..)| has(code)).map(|(code, text, kind, priority)| Alarm {
            id: (*code).to_owned(),
            text: (*text).to_owned(),
            kind: *kind,
            priority: *priority,
            active: true,
            demo: false,
        });
        out.extend(self.alarms.replace(now.collect()).into_iter().map(Out::Alarm));
    }
}

/// `DD-MMM-YY` and `HH:MM:SS`.
fn time(date: &str, clock: &str) -> Option<Timestamp> {
    let mut parts = date.as_bytes().split(|byte| *byte == b'-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(month))?;
    stream::wall(stream::two_digits(year)?.into(), u8::try_from(month + 1).ok()?, stream::two_digits(day)?, stream::clock(clock)?)
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

impl Driver for Nellcor {
    fn handle(&mut self, _now: Monotonic, input: In<'_>) -> Vec<Out> {
        let mut out = Vec::new();
        match input {
            In::Bytes(_, bytes) => self.scanner.push(bytes, &mut self.reader, &mut out),
            In::Connected | In::Disconnected => {
                self.scanner.reset();
                self.reader.told.clear();
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

    fn said(lines: &str) -> Vec<String> {
        let out = Nellcor::new(&Profile::bare("nellcor.ascii")).handle(Monotonic(0), In::Bytes(Channel::Stream, lines.as_bytes()));
        let text = |o: &Out| match o {
            Out::Reading(r) => Some(r.value.as_ref().map_or_else(|_| r.status(), |v| format!("{v} {}", r.status()))),
            Out::Fault(f) => Some(f.to_string()),
            Out::Alarm(a) => Some(format!("{} {}", a.text, a.active)),
            Out::About(About::Model(m)) => Some(m.clone()),
            _ => None,
        };
        out.iter().filter_map(text).collect()
    }

    #[test]
    fn the_manuals_lines_give_their_numbers() {
        let lines = "N-395 VERSION 2.0.0.0 CRC: XXXX SpO2 Limit: 70-100% PR Limit: 60-160BPM\r\nTIME %SpO2 BPM PA Status\r\n12-NOV-98 14:00:05 100 120 50\r\n";
        assert_eq!(said(lines), ["N-395", "100 ok", "120 ok"]);
    }

    #[test]
    fn a_value_outside_its_limits_is_a_value_with_an_alarm() {
        assert_eq!(
            said("12-NOV-98 14:00:05 82* 170* 50 PH SL\r\n12-NOV-98 14:00:07 95 170* 50 PH\r\n"),
            ["82 ok", "170 ok", "Pulse rate high true", "Saturation low true", "95 ok", "170 ok", "Saturation low false"]
        );
    }

    #[test]
    fn no_sensor_no_pulse_and_motion_are_told_apart() {
        assert_eq!(said("12-NOV-98 14:00:05 --- --- --- SD\r\n")[..2], ["sensor-off"; 2]);
        assert_eq!(said("12-NOV-98 14:00:05 --- --- --- PS\r\n"), ["not-measured"; 2]);
        assert_eq!(said("12-NOV-98 14:00:05 --- --- --- MO\r\n"), ["artefact"; 2]);
        assert_eq!(said("12-NOV-98 14:00:05 91 88 20 MO\r\n"), ["91 artefact", "88 artefact"]);
        assert_eq!(said("12-NOV-98 14:00:05 91 88 20 PS\r\n"), ["91 artefact", "88 artefact"]);
    }

    #[test]
    fn other_formats_and_bad_fields_are_refused_by_name() {
        assert_eq!(said("GRAPH 1 2 3 4 5\r\n"), ["bytes outside any frame (15 bytes skipped)"]);
        assert_eq!(said("12-NUV-98 14:00:05 91 88 20\r\n"), ["bytes outside any frame (27 bytes skipped)"]);
        assert_eq!(
            said("12-NOV-98 14:00:05 9x 88 20 ZZ\r\n"),
            ["%SpO2: neither a number nor dashes", "88 ok", "Status: unknown code \"ZZ\""]
        );
    }
}
