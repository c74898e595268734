//! Alarms by IHE PCD-04 (`ORU^R40`): each `OBR` is one alarm, its `OBX` rows say what, how urgent and whether it holds.

use super::message::{Message, Segment};
use driver::alarm::{ALARMS_MAX, Alarm, AlarmKind, AlarmPriority};

/// The longest text kept, in characters.
const TEXT_LEN_MAX: usize = 200;

/// The alarms of a message.
#[must_use]
pub fn read(message: &Message<'_>) -> Vec<Alarm> {
    let demo = matches!(&*message.header().component(11, 1), "T" | "D");
    let mut alarms: Vec<Alarm> = Vec::new();
    let mut fresh = true;
    for segment in &message.segments {
        match segment.name() {
            "OBR" => fresh = true,
            "OBX" => {
                let name = segment.component(3, 2);
                let value = segment.component(5, 1);
                if name.starts_with("MDC_EVT_") && fresh && alarms.len() < ALARMS_MAX {
                    fresh = false;
                    alarms.push(begun(segment, demo));
                } else if let (Some(alarm), false) = (alarms.last_mut(), fresh) {
                    facet(alarm, &name, &value);
                }
            }
            _ => {}
        }
    }
    alarms
}

/// The row that names the event: `OBX|1|ST|196652^MDC_EVT_LO^MDC|…|SpO2 LOW`.
fn begun(obx: &Segment<'_>, demo: bool) -> Alarm {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect::<String>();
    let (code, name, phrase) = (obx.component(3, 1), obx.component(3, 2), obx.component(5, 1));
    Alarm {
        id: shown(&format!("{code}@{}", obx.field(4))),
        text: if phrase.is_empty() { shown(&name) } else { shown(&phrase) },
        kind: AlarmKind::Physiological,
        priority: AlarmPriority::Medium,
        active: true,
        demo,
    }
}

fn facet(alarm: &mut Alarm, name: &str, value: &str) {
    match name {
        "MDC_ATTR_EVENT_PHASE" => alarm.active = value != "end",
        "MDC_ATTR_ALARM_STATE" => alarm.active &= value != "inactive",
        "MDC_ATTR_ALARM_PRIORITY" => {
            alarm.priority = match value {
                "PH" => AlarmPriority::High,
                "PL" => AlarmPriority::Low,
                "PN" | "PI" => AlarmPriority::Advisory,
                _ => AlarmPriority::Medium,
            }
        }
        "MDC_ATTR_ALERT_TYPE" => alarm.kind = if value == "ST" { AlarmKind::Technical } else { AlarmKind::Physiological },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(phase: &str, priority: &str, kind: &str) -> Alarm {
        let text = format!(
            "MSH|^~\\&|MON||||20150118143000+0000||ORU^R40^ORU_R40|id1|P|2.6\rOBR|1\r\
             OBX|1|ST|196652^MDC_EVT_LO^MDC|1.1.1.1.1|SpO2 LOW||||||R\r\
             OBX|2|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1.2|85|262688^MDC_DIM_PERCENT^MDC|||||R\r\
             OBX|3|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.1.1.3|{phase}||||||R\r\
             OBX|4|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.1.1.1.4|{priority}||||||R\r\
             OBX|5|ST|68485^MDC_ATTR_ALERT_TYPE^MDC|1.1.1.1.5|{kind}||||||R\r"
        );
        let alarms = read(&Message::parse(&text).expect("message"));
        assert_eq!(alarms.len(), 1);
        alarms.into_iter().next().expect("alarm")
    }

    #[test]
    fn an_alarm_says_what_how_urgent_and_whether_it_holds() {
        let alarm = one("start", "PH", "SP");
        assert_eq!(
            (alarm.text.as_str(), alarm.priority, alarm.kind, alarm.active),
            ("SpO2 LOW", AlarmPriority::High, AlarmKind::Physiological, true)
        );
        let ended = one("end", "PL", "ST");
        assert_eq!((ended.id, ended.priority, ended.kind, ended.active), (alarm.id, AlarmPriority::Low, AlarmKind::Technical, false));
    }

    #[test]
    fn a_report_without_an_event_holds_no_alarm() {
        let message = Message::parse("MSH|^~\\&|MON\rOBR|1\rOBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1|85").expect("message");
        assert_eq!(read(&message), []);
    }
}
