//! Alarms that devices raise themselves: kept with their times, shown on the bed, and never taken for alerts of this box.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Channel;
use driver::frame::mllp;
use edge_api::ward::DeviceAlarmView;
use protocol::Store;
use protocol::store::DocumentFilter;
use record::fhir::validate;
use serde_json::{Value, json};
use support::*;

fn ward() -> Ward {
    let mut ward = Ward::new(vec![
        device("net-1", "ihe-pcd01", Some("2")),
        device("nellcor", "nellcor-n395", Some("2")),
        device("loose", "nellcor-n395", None),
    ]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(1_000);
    ward.log.clear();
    ward
}

fn pcd04(id: &str, event: &str, phase: &str, priority: &str) -> Vec<u8> {
    let text = format!(
        "MSH|^~\\&|MON||||20251124160000+0000||ORU^R40^ORU_R40|{id}|P|2.6\rOBR|1\r\
         OBX|1|ST|196652^MDC_EVT_LO^MDC|1.1.1.1.1|{event}||||||R\r\
         OBX|2|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.1.1.3|{phase}||||||R\r\
         OBX|3|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.1.1.1.4|{priority}||||||R\r\
         OBX|4|ST|68485^MDC_ATTR_ALERT_TYPE^MDC|1.1.1.1.5|SP||||||R\r"
    );
    mllp(text.as_bytes())
}

/// A line of a Nellcor monitor with these marks behind its numbers.
fn nellcor(marks: &str) -> Vec<u8> {
    format!("24-Nov-25 16:00:00     90    110    50   {marks}\r\n").into_bytes()
}

fn kept(ward: &mut Ward) -> Vec<Value> {
    let mut tx = ward.store.begin().expect("begin");
    let filter = DocumentFilter { resource_type: "Communication".to_owned(), limit: 1000, ..DocumentFilter::default() };
    let all: Vec<Value> = tx.documents(&filter).expect("documents").iter().map(|d| serde_json::from_str(&d.json).expect("json")).collect();
    for document in &all {
        assert_eq!(validate(document), [], "{document}");
    }
    all
}

fn shown(ward: &Ward) -> Vec<DeviceAlarmView> {
    ward.bed("2").device_alarms
}

#[test]
fn an_alarm_is_acknowledged_once_durable_shown_while_it_stands_and_kept_with_its_times() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.hold = true;
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PH"));
    assert!(ward.sends().is_empty() && shown(&ward).is_empty(), "nothing before it is durable");
    ward.hold = false;
    ward.answer();
    assert_eq!(ward.sends().len(), 1);
    let [alarm] = &shown(&ward)[..] else { panic!("one alarm") };
    assert_eq!((alarm.text.as_str(), alarm.priority.as_str(), alarm.kind.as_str()), ("SpO2 LOW", "high", "physiological"));
    assert_eq!((alarm.device.as_str(), alarm.ended_ms), ("net-1", None));
    let beds = ward.lives().iter().filter(|m| serde_json::to_string(m).expect("json").contains("SpO2 LOW")).count();
    assert!(beds > 0, "told live");
    ward.pass_ms(60_000);
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a2", "SpO2 LOW", "end", "PH"));
    let [alarm] = &shown(&ward)[..] else { panic!("one alarm") };
    assert_eq!(alarm.ended_by.as_deref(), Some("device"));
    assert!(alarm.ended_ms.expect("ended") - alarm.since_ms >= 60_000);
    let kept = kept(&mut ward);
    assert_eq!((kept.len(), kept[0]["status"].as_str()), (1, Some("completed")));
    assert_eq!(kept[0]["subject"]["reference"], "Patient/ana");
    assert_eq!(kept[0]["sender"]["reference"], "Device/net-1");
    assert_eq!(kept[0]["category"][0]["coding"][0]["code"], "alert");
    ward.pass_ms(3_700_000);
    assert_eq!(shown(&ward), [], "an hour later it is history");
}

#[test]
fn a_devices_alarm_raises_no_alert_and_scores_nothing() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "*** ASYSTOLE", "start", "PH"));
    ward.pass_ms(60_000);
    assert_eq!(ward.open_alerts(), []);
    assert!(ward.bed("2").score.is_none_or(|score| score.at_least == 0));
    assert_eq!(shown(&ward).len(), 1);
}

#[test]
fn an_alarm_that_is_repeated_is_one_and_one_that_changes_is_the_same() {
    let mut ward = ward();
    for link in 1..=3 {
        // A sender that calls for each message.
        ward.connect(link, "net-1");
        ward.bytes(link, "net-1", Channel::Stream, &pcd04(&format!("a{link}"), "SpO2 LOW", "start", "PM"));
        ward.unplug(link, "net-1");
    }
    ward.connect(9, "net-1");
    ward.bytes(9, "net-1", Channel::Stream, &pcd04("a9", "SpO2 VERY LOW", "update", "PH"));
    assert_eq!(kept(&mut ward).len(), 1);
    let [alarm] = &shown(&ward)[..] else { panic!("one alarm") };
    assert_eq!((alarm.text.as_str(), alarm.priority.as_str(), alarm.ended_ms), ("SpO2 VERY LOW", "high", None));
}

#[test]
fn an_alarm_of_a_device_whose_line_goes_down_no_longer_stands_and_says_why() {
    let mut ward = ward();
    ward.connect(1, "nellcor");
    ward.bytes(1, "nellcor", Channel::Stream, &nellcor("SL"));
    ward.bytes(1, "nellcor", Channel::Stream, &nellcor("SL"));
    let standing = shown(&ward);
    assert_eq!(standing.len(), 1, "{standing:?}");
    ward.unplug(1, "nellcor");
    let [alarm] = &shown(&ward)[..] else { panic!("one alarm") };
    assert_eq!(alarm.ended_by.as_deref(), Some("line-down"));
}

#[test]
fn after_a_restart_what_stood_has_ended_and_what_still_holds_begins_anew() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
    ward.tick_us(1_000_000);
    ward.crash();
    assert_eq!(shown(&ward)[0].ended_by.as_deref(), Some("restart"));
    ward.connect(2, "net-1");
    ward.bytes(2, "net-1", Channel::Stream, &pcd04("a2", "SpO2 LOW", "continue", "PM"));
    let alarms = shown(&ward);
    assert_eq!(alarms.iter().map(|alarm| alarm.ended_ms.is_none()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(kept(&mut ward).len(), 2);
}

#[test]
fn an_alarm_of_a_device_without_a_bed_is_kept_and_is_nobodys() {
    let mut ward = ward();
    ward.connect(1, "loose");
    ward.bytes(1, "loose", Channel::Stream, &nellcor("SL"));
    ward.bytes(1, "loose", Channel::Stream, &nellcor("SL"));
    let kept = kept(&mut ward);
    assert_eq!((kept.len(), kept[0].get("subject")), (1, None));
    assert_eq!(shown(&ward), []);
}

#[test]
fn a_device_that_raises_alarms_without_end_is_held_to_a_rate() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    for n in 0..400 {
        let event = pcd04(&format!("a{n}"), "X", "start", "PL");
        let other = String::from_utf8(event).expect("text").replace("1.1.1.1.1", &format!("1.1.1.{n}.1"));
        ward.bytes(1, "net-1", Channel::Stream, other.as_bytes());
    }
    let count = kept(&mut ward).len();
    assert!((100..=240).contains(&count), "{count}");
}
