//! What answers say: measured values, alarms, time, identity.

use super::link::hexadecimal;
use crate::stream::{clock, reading, wall};
use driver::alarm::{ALARMS_MAX, Alarm, AlarmKind, AlarmPriority};
use driver::{About, Fault, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality};
use record::time::Timestamp;
use record::unit::Unit;

/// Two digits of code, four places of value.
const VALUE_LEN: usize = 6;
/// A priority, two digits of code, twelve letters.
const ALARM_LEN: usize = 15;

/// What is charted of an Evita's measured values. Small values come under another code with more decimals: both are here.
const VALUES: [(u8, Code, Unit); 14] = [
    (0x73, Code::Mdc(151_819), Unit::Millibar),
    (0x78, Code::Mdc(151_976), Unit::Millibar),
    (0x7D, Code::Mdc(151_817), Unit::Millibar),
    (0x82, Code::Mdc(151_868), Unit::Litre),
    (0x88, Code::Mdc(151_868), Unit::Millilitre),
    (0xB8, Code::Mdc(151_880), Unit::LitrePerMinute),
    (0xB9, Code::Mdc(151_880), Unit::LitrePerMinute),
    (0xD6, Code::RESPIRATORY_RATE_AIRWAY, Unit::PerMinute),
    (0xDB, Code::ET_CO2, Unit::Percent),
    (0xE3, Code::ET_CO2, Unit::KiloPascal),
    (0xE6, Code::ET_CO2, Unit::MmHg),
    (0xF0, Code::FI_O2, Unit::Percent),
    (0xE1, Code::PULSE_RATE, Unit::PerMinute),
    (0xEB, Code::SPO2, Unit::Percent),
];

/// German and English months; German ones as the devices write them.
const MONTHS: [(&str, u8); 17] = [
    ("JAN", 1),
    ("FEB", 2),
    ("MAR", 3),
    ("MRZ", 3),
    ("APR", 4),
    ("MAI", 5),
    ("MAY", 5),
    ("JUN", 6),
    ("JUL", 7),
    ("AUG", 8),
    ("SEP", 9),
    ("OKT", 10),
    ("OCT", 10),
    ("NOV", 11),
    ("DEZ", 12),
    ("DEC", 12),
    ("M\u{C4}R", 3),
];

fn code_of(digits: &[u8]) -> Option<u8> {
    digits.try_into().ok().and_then(hexadecimal)
}

/// Measured values. What is not available is not in the list at all: a value that was in it before is then none.
pub(super) fn measured(content: &[u8], seen: &mut Vec<(Code, Unit)>, out: &mut Vec<Out>) {
    let entries = content.chunks_exact(VALUE_LEN);
    if !entries.remainder().is_empty() {
        out.push(Out::Fault(Fault::field("data", format!("{} bytes over", entries.remainder().len()))));
    }
    let mut charted: Vec<Code> = Vec::new();
    for entry in entries {
        let Some(row) = entry.get(..2).and_then(code_of).and_then(|code| VALUES.iter().find(|(own, ..)| *own == code)) else { continue };
        let (number, code, unit) = *row;
        if charted.contains(&code) {
            continue;
        }
        // Bytes that are no text are no number.
        let text = entry.get(2..).map_or("?", |text| std::str::from_utf8(text).unwrap_or("?")).trim();
        let value = if text.is_empty() || text.bytes().all(|b| matches!(b, b'-' | b'.' | b'*')) {
            Err(NoValue::NotMeasured)
        } else {
            match text.parse::<Decimal>() {
                Ok(number) => Ok(number),
                Err(_) => {
                    out.push(Out::Fault(Fault::field("data", format!("code {number:02X}: not a decimal number"))));
                    continue;
                }
            }
        };
        charted.push(code);
        match seen.iter_mut().find(|(known, _)| *known == code) {
            Some((_, held)) => *held = unit,
            None => seen.push((code, unit)),
        }
        out.push(reading(code, value, unit, Quality::Good));
    }
    let gone = seen.iter().filter(|(code, _)| !charted.contains(code));
    out.extend(gone.map(|(code, unit)| reading(*code, Err(NoValue::NotMeasured), *unit, Quality::Good)));
}

/// The alarms that hold now.
///
/// # Errors
/// A list that is not made of whole entries.
pub(super) fn alarms(content: &[u8]) -> Result<Vec<Alarm>, Fault> {
    let entries = content.chunks_exact(ALARM_LEN);
    if !entries.remainder().is_empty() {
        return Err(Fault::field("alarms", format!("{} bytes over", entries.remainder().len())));
    }
    let one = |entry: &[u8]| {
        let (priority, rest) = entry.split_first()?;
        let (code, text) = rest.split_at_checked(2)?;
        let code = code_of(code)?;
        let text: String = text.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_control()).collect();
        // 1 to 31, offset by 30; the manuals divide it in thirds.
        let priority = match priority.saturating_sub(0x30) {
            0..=10 => AlarmPriority::Low,
            11..=20 => AlarmPriority::Medium,
            _ => AlarmPriority::High,
        };
        let id = format!("{code:02X}");
        Some(Alarm { id, text: text.trim().to_owned(), kind: AlarmKind::Physiological, priority, active: true, demo: false })
    };
    Ok(entries.take(ALARMS_MAX).filter_map(one).collect())
}

/// `HH:MM:SSDD-MMM-YY`.
pub(super) fn time(content: &[u8]) -> Option<Timestamp> {
    let text: String = content.iter().map(|byte| char::from(*byte)).collect();
    let (time, date) = text.split_at_checked(8)?;
    let mut parts = date.trim().split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().find(|(name, _)| name.eq_ignore_ascii_case(month)).map(|(_, month)| *month)?;
    wall(year.trim().parse::<u8>().ok()?.into(), month, day.trim().parse().ok()?, clock(time)?)
}

/// `8260'Evita XL'07.00:04.00`: device number, name, its own and the protocol's revision.
pub(super) fn identity(content: &[u8]) -> Vec<About> {
    let text: String = content.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_control()).take(200).collect();
    let mut parts = text.split('\'');
    let (_, name, revision) = (parts.next(), parts.next().unwrap_or_default().trim(), parts.next().unwrap_or_default());
    let firmware = revision.split(':').next().unwrap_or_default().trim();
    [(!name.is_empty()).then(|| About::Model(name.to_owned())), (!firmware.is_empty()).then(|| About::Firmware(firmware.to_owned()))]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        measured(content, &mut Vec::new(), &mut out);
        let text = |o: &Out| match o {
            Out::Reading(r) => {
                format!("{} {} {}", r.code.key(), r.value.as_ref().map_or_else(ToString::to_string, ToString::to_string), r.unit.ucum())
            }
            Out::Fault(f) => f.to_string(),
            other => panic!("{other:?}"),
        };
        out.iter().map(text).collect()
    }

    #[test]
    fn the_manuals_example_gives_its_numbers() {
        assert_eq!(said(b"EB 98 E1 70 "), ["spo2 98 %", "pulse-rate 70 /min"]);
    }

    #[test]
    fn either_code_of_a_volume_is_read_in_its_own_unit() {
        assert_eq!(said(b"820.45"), ["mdc:151868 0.45 L"]);
        assert_eq!(said(b"88 450"), ["mdc:151868 450 mL"]);
        assert_eq!(said(b"B8 7.1B97.12"), ["mdc:151880 7.1 L/min"], "one minute volume is enough");
    }

    #[test]
    fn what_is_no_number_is_none_or_named_and_an_unknown_code_is_passed_over() {
        assert_eq!(said(b"EB----E1    01 1.0"), ["spo2 not-measured %", "pulse-rate not-measured /min"]);
        assert_eq!(said(b"EB 9x EB 98 E"), ["data: 1 bytes over", "data: code EB: not a decimal number", "spo2 98 %"]);
    }

    #[test]
    fn a_value_that_is_no_longer_sent_is_none() {
        let (mut seen, mut out) = (Vec::new(), Vec::new());
        measured(b"EB 98 E1 70 ", &mut seen, &mut Vec::new());
        measured(b"E1 71 ", &mut seen, &mut out);
        assert!(matches!(&out[1], Out::Reading(r) if r.code == Code::SPO2 && r.value == Err(NoValue::NotMeasured)), "{out:?}");
    }

    #[test]
    fn alarms_have_a_priority_a_code_and_a_phrase() {
        let alarms = alarms(b"O2APRESS HIGH  313VOL LOW     ").expect("alarms");
        let read: Vec<_> = alarms.iter().map(|a| (a.id.as_str(), a.text.as_str(), a.priority)).collect();
        assert_eq!(read, [("2A", "PRESS HIGH", AlarmPriority::High), ("13", "VOL LOW", AlarmPriority::Low)]);
        assert!(super::alarms(b"short").is_err());
    }

    #[test]
    fn german_months_are_read() {
        let date = |text: &[u8]| time(text).map(|at| at.rfc3339());
        assert_eq!(date(b"11:11:1911-NOV-93").as_deref(), Some("1993-11-11T11:11:19.000Z"));
        for (text, want) in
            [("01-MAI-24", "2024-05-01"), ("01-OKT-24", "2024-10-01"), ("01-DEZ-24", "2024-12-01"), ("01-MAR-24", "2024-03-01")]
        {
            assert!(date(format!("00:00:00{text}").as_bytes()).is_some_and(|at| at.starts_with(want)), "{text}");
        }
        assert_eq!(date(b"11:11:1911-XXX-93"), None);
    }
}
