//! Alarm records: the texts that the monitor shows, in its own language, five at most. CARESCAPE monitors send them to
//! whoever asked (`ge.dri+alarms`); others never do. Layout: GE's record specification, as two implementations read it.

use super::record::{Record, framed, i16_at};
use driver::alarm::{Alarm, AlarmKind, AlarmList, AlarmPriority};
use driver::{DecodeError, Fault, Out};

/// Subrecord type of the list of alarms.
const STATUS: u8 = 1;
/// Two reserved words, sound, silence and a reserved one come before the list.
const LIST_AT: usize = 10;
const SHOWN_MAX: usize = 5;
const TEXT_LEN: usize = 80;
/// Text, whether it changed, colour, whether that changed, six reserved words.
const SHOWN_LEN: usize = 98;
const COLOUR_AT: usize = TEXT_LEN + 2;
const MAIN_ALARM: u8 = 4;
const ENTER_DIFFERENCE_MODE: u8 = 2;

/// Asks for alarms whenever they change. It changes nothing on the monitor.
pub(super) fn request() -> Vec<u8> {
    let mut record = vec![0; super::record::HEADER_LEN + 12];
    record[0] = record.len() as u8;
    record[14] = MAIN_ALARM;
    record[21] = 0xFF;
    record[super::record::HEADER_LEN] = ENTER_DIFFERENCE_MODE;
    framed(&record)
}

pub(super) fn read(record: &Record<'_>, held: &mut AlarmList, out: &mut Vec<Out>) {
    for subrecord in record.subrecords() {
        match subrecord.and_then(|(kind, bytes)| if kind == STATUS { shown(bytes).map(Some) } else { Ok(None) }) {
            Ok(Some(now)) => out.extend(held.replace(now).into_iter().map(Out::Alarm)),
            Ok(None) => {}
            Err(error) => out.push(Out::Fault(Fault::new(error, 0))),
        }
    }
}

fn shown(bytes: &[u8]) -> Result<Vec<Alarm>, DecodeError> {
    let mut alarms = Vec::new();
    for place in 0..SHOWN_MAX {
        let at = LIST_AT + place * SHOWN_LEN;
        let one = bytes.get(at..at + SHOWN_LEN).ok_or(DecodeError::Truncated { needed: at + SHOWN_LEN, got: bytes.len() })?;
        let priority = match i16_at(one, COLOUR_AT)? {
            1 => AlarmPriority::Low,
            2 => AlarmPriority::Medium,
            3 => AlarmPriority::High,
            // No colour: the place is empty.
            _ => continue,
        };
        let text: String = one.iter().take(TEXT_LEN).take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        let text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
        if !text.is_empty() {
            // Whether it is about the patient is not said; a text is all there is to know it by.
            alarms.push(Alarm { id: text.clone(), text, kind: AlarmKind::Physiological, priority, active: true, demo: false });
        }
    }
    Ok(alarms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, u8)]) -> Vec<u8> {
        let mut bytes = vec![0; LIST_AT + SHOWN_MAX * SHOWN_LEN + 10];
        for (place, (text, colour)) in entries.iter().enumerate() {
            let at = LIST_AT + place * SHOWN_LEN;
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
            bytes[at + COLOUR_AT] = *colour;
        }
        bytes
    }

    #[test]
    fn texts_are_read_with_their_colour_and_empty_places_are_none() {
        let alarms = shown(&list(&[("SpO2 low", 3), ("stale", 0), ("Leads off", 2)])).expect("list");
        let read: Vec<_> = alarms.iter().map(|alarm| (alarm.text.as_str(), alarm.priority)).collect();
        assert_eq!(read, [("SpO2 low", AlarmPriority::High), ("Leads off", AlarmPriority::Medium)]);
        assert!(shown(&list(&[])[..400]).is_err());
    }

    #[test]
    fn the_request_is_one_record_of_52_bytes() {
        let request = request();
        assert_eq!((request[1], request[15], request[41], request.len()), (52, 4, 2, 55));
    }
}
