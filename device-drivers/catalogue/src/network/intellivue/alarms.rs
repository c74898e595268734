//! The alarm monitor: two lists, of the patient's alarms and of the device's own, repeated whole in every answer.

use super::cursor::Cursor;
use super::poll::{Attributes, text16};
use driver::alarm::{ALARMS_MAX, Alarm, AlarmKind, AlarmList, AlarmPriority};
use driver::{Fault, Out};

const PATIENT_LIST: u16 = 0x0902;
const TECHNICAL_LIST: u16 = 0x0904;
// States of an alarm.
const IN_TEST: u16 = 0x0400;
const IN_DEMO: u16 = 0x0100;
/// An alarm's information: instance, text, priority and flags come before a string.
const TEXT_AT: usize = 10;

/// The alarms that hold.
#[derive(Debug, Default)]
pub struct AlarmMonitor {
    patient: AlarmList,
    technical: AlarmList,
}

impl AlarmMonitor {
    /// Reads the lists of an alarm object; says what changed.
    pub fn read(&mut self, attributes: Attributes<'_>, out: &mut Vec<Out>) {
        for (id, kind, held) in
            [(PATIENT_LIST, AlarmKind::Physiological, &mut self.patient), (TECHNICAL_LIST, AlarmKind::Technical, &mut self.technical)]
        {
            let Some(mut value) = attributes.get(id) else { continue };
            match list(&mut value, kind) {
                Some(now) => out.extend(held.replace(now).into_iter().map(Out::Alarm)),
                None => out.push(Out::Fault(Fault::field("alarm list", "is cut short"))),
            }
        }
    }
}

fn list(value: &mut Cursor<'_>, kind: AlarmKind) -> Option<Vec<Alarm>> {
    let (count, mut entries) = value.list()?;
    (0..usize::from(count).min(ALARMS_MAX)).map(|_| one(&mut entries, kind)).collect()
}

fn one(bytes: &mut Cursor<'_>, kind: AlarmKind) -> Option<Alarm> {
    let (source, code, urgency, state) = (bytes.u16()?, bytes.u16()?, bytes.u16()?, bytes.u16()?);
    let object: [u8; 6] = bytes.array()?;
    let _information = bytes.u16()?;
    let mut information = bytes.counted()?;
    let text = information.take(TEXT_AT).and_then(|_| information.counted()).map(|text| text16(text.0)).filter(|text| !text.is_empty());
    let [_, _, context_high, context_low, handle_high, handle_low] = object;
    Some(Alarm {
        id: format!("{source:04x}.{code:04x}@{context_high:02x}{context_low:02x}.{handle_high:02x}{handle_low:02x}"),
        text: text.unwrap_or_else(|| format!("alarm {code:04x} of {source:04x}")),
        kind,
        priority: match urgency {
            0 => AlarmPriority::Advisory,
            0x0001 | 0x0100 => AlarmPriority::Low,
            0x0002 | 0x0200 => AlarmPriority::Medium,
            _ => AlarmPriority::High,
        },
        active: true,
        demo: state & (IN_TEST | IN_DEMO) != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn an_alarm_is_told_by_source_code_and_object_and_shows_its_text() {
        let bytes = hex!("0001 0024 4BB8 0002 0400 0100 0021 0000 8649 0201 0012 0001 00024BB8 0003 0000 0006 004C 006F 0000");
        let alarms = list(&mut Cursor(&bytes), AlarmKind::Physiological).expect("list");
        let alarm = &alarms[0];
        assert_eq!(
            (alarm.id.as_str(), alarm.text.as_str(), alarm.priority, alarm.demo),
            ("4bb8.0002@0000.8649", "Lo", AlarmPriority::High, true)
        );
        assert!(list(&mut Cursor(&bytes[..20]), AlarmKind::Physiological).is_none());
        assert_eq!(list(&mut Cursor(&hex!("0000 0000")), AlarmKind::Technical), Some(Vec::new()));
    }
}
