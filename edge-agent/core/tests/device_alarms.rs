//! Alarms that devices raise themselves: kept with their times, shown on the bed, and never taken for alerts of this box.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Channel;
use driver::frame::mllp;
use edge_api::ward::DeviceAlarmView;
use edge_core::{Command, Input};
use protocol::commit::Draft;
use protocol::store::DocumentFilter;
use protocol::{Commit, Store, Where};
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

/// Of each alarm that is kept, oldest first: whose it is, at which bed it stood, and what ended it.
fn ends(ward: &mut Ward) -> Vec<(String, String, String)> {
    let mut kept = kept(ward);
    kept.sort_by_key(|alarm| (alarm["sent"].to_string(), alarm["status"] != "completed"));
    let extension = |alarm: &Value, name: &str| {
        let all = alarm["extension"].as_array().cloned().unwrap_or_default();
        let url = format!("urn:lamplight:fhir:device-alarm-{name}");
        all.into_iter().find(|one| one["url"] == url.as_str()).unwrap_or_default()
    };
    let text = |value: &Value, or: &str| value.as_str().unwrap_or(or).to_owned();
    let of = |alarm: &Value| {
        let (bed, ended) = (extension(alarm, "bed"), extension(alarm, "ended"));
        let bed = text(&bed["valueString"], "no bed");
        (text(&alarm["subject"]["reference"], "nobody"), bed, text(&ended["valueCode"], "stands"))
    };
    kept.iter().map(of).collect()
}

fn row(whose: &str, bed: &str, ended: &str) -> (String, String, String) {
    (whose.to_owned(), bed.to_owned(), ended.to_owned())
}

fn standing(ward: &Ward, bed: &str) -> usize {
    ward.bed(bed).device_alarms.iter().filter(|alarm| alarm.ended_ms.is_none()).count()
}

#[test]
fn an_alarm_that_stands_while_the_patient_changes_is_the_next_patients_from_then_on() {
    let mut ward = ward();
    ward.register("berta", json!({}));
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PH"));
    ward.pass_ms(5_000);
    ward.place("2", Some("berta")).expect("placed");
    ward.pass_ms(1_000);
    assert_eq!(ends(&mut ward), [row("Patient/ana", "2", "moved"), row("Patient/berta", "2", "stands")]);
    assert_eq!((shown(&ward).len(), standing(&ward, "2")), (1, 1), "nothing of the patient before is shown");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a2", "SpO2 LOW", "end", "PH"));
    assert_eq!(ends(&mut ward), [row("Patient/ana", "2", "moved"), row("Patient/berta", "2", "device")]);
}

#[test]
fn an_alarm_that_stands_while_its_device_is_moved_follows_it_to_the_other_bed() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PH"));
    ward.pass_ms(5_000);
    ward.attach("3", "net-1", true).expect("moved");
    ward.pass_ms(1_000);
    assert_eq!(ends(&mut ward), [row("Patient/ana", "2", "moved"), row("nobody", "3", "stands")]);
    assert_eq!((shown(&ward).len(), standing(&ward, "3")), (0, 1));
}

#[test]
fn an_alarm_that_was_heard_before_a_move_and_waits_to_be_written_follows_all_the_same() {
    let mut ward = ward();
    ward.register("berta", json!({}));
    ward.connect(1, "net-1");
    ward.hold = true;
    let placing = ward.ask(Command::PlacePatient {
        bed: "2".to_owned(),
        request: edge_api::bed::PlacePatient { patient: Some("berta".to_owned()), since_ms: None },
    });
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PH"));
    ward.hold = false;
    ward.answer();
    ward.pass_ms(1_000);
    assert!(ward.answer_to(placing).is_some_and(|answer| answer.is_ok()));
    assert_eq!(standing(&ward, "2"), 1);
    assert_eq!(ends(&mut ward).last(), Some(&row("Patient/berta", "2", "stands")));
}

#[test]
fn a_restart_and_a_day_end_no_alarm_of_another_box() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
    let mut theirs = kept(&mut ward).remove(0);
    theirs["id"] = json!("alarm-00692484e8-ffffffffffffffff");
    theirs["sender"]["reference"] = json!("Device/monitor-1.ffffffff");
    if let Some(theirs) = theirs.as_object_mut() {
        theirs.remove("subject");
        theirs.remove("meta");
    }
    ward.elsewhere(vec![Draft::Create { place: Where::Site, resource: theirs }]);
    let status = |ward: &mut Ward| {
        let theirs = kept(ward).into_iter().find(|alarm| alarm["sender"]["reference"] == "Device/monitor-1.ffffffff");
        theirs.expect("kept")["status"].clone()
    };
    ward.pass_ms(25 * 3_600_000);
    assert_eq!(status(&mut ward), "in-progress");
    ward.crash();
    assert_eq!(status(&mut ward), "in-progress");
}

#[test]
fn a_day_ends_only_what_has_stood_for_it_and_only_where_the_device_calls_anew() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.connect(2, "nellcor");
    ward.bytes(2, "nellcor", Channel::Stream, &nellcor("SL"));
    ward.bytes(2, "nellcor", Channel::Stream, &nellcor("SL"));
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
    ward.pass_ms(20 * 3_600_000);
    let late = String::from_utf8(pcd04("a2", "HR HIGH", "start", "PM")).expect("text").replace("1.1.1.1.1", "1.1.1.2.1");
    ward.bytes(1, "net-1", Channel::Stream, late.as_bytes());
    ward.pass_ms(4 * 3_600_000 + 60_000);
    let mut found: Vec<_> = ends(&mut ward).into_iter().map(|(.., ended)| ended).collect();
    found.sort();
    assert_eq!(found, ["silence", "stands", "stands"]);
}

#[test]
fn alarms_of_a_closed_record_are_forgotten() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
    assert_eq!(shown(&ward).len(), 1);
    ward.handle(Input::Closed(vec!["ana".parse().expect("id")]));
    assert_eq!(shown(&ward), []);
    let commits = ward.commits;
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a2", "SpO2 LOW", "end", "PM"));
    assert_eq!(ward.commits, commits, "nothing is written to what is no longer here");
}

#[test]
fn a_change_the_store_refuses_for_good_is_given_up_and_its_device_is_answered() {
    fn changes_an_alarm(commit: &Commit) -> bool {
        commit.drafts.iter().any(|draft| matches!(draft, Draft::Update { resource_type, .. } if resource_type == "Communication"))
    }
    for phase in ["end", "update"] {
        let mut ward = ward();
        ward.connect(1, "net-1");
        ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
        ward.refuses = changes_an_alarm;
        ward.log.clear();
        ward.bytes(1, "net-1", Channel::Stream, &pcd04("a2", "SpO2 VERY LOW", phase, "PH"));
        ward.pass_ms(120_000);
        assert_eq!(ward.sends().len(), 1, "{phase}");
        assert_eq!(shown(&ward).len(), usize::from(phase == "update"), "{phase}");
        ward.stop();
    }
}

#[test]
fn an_end_of_all_alarms_the_store_refuses_for_good_holds_up_nothing() {
    fn ends_an_alarm(commit: &Commit) -> bool {
        commit.drafts.iter().any(|draft| matches!(draft, Draft::Update { resource_type, .. } if resource_type == "Communication"))
    }
    let mut ward = ward();
    ward.connect(1, "nellcor");
    ward.bytes(1, "nellcor", Channel::Stream, &nellcor("SL"));
    ward.bytes(1, "nellcor", Channel::Stream, &nellcor("SL"));
    ward.refuses = ends_an_alarm;
    ward.unplug(1, "nellcor");
    ward.pass_ms(120_000);
    assert_eq!(standing(&ward, "2"), 0);
    ward.connect(2, "net-1");
    ward.log.clear();
    ward.bytes(2, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
    assert_eq!((ward.sends().len(), standing(&ward, "2")), (1, 1));
    ward.refuses = |_| false;
    ward.stop();
}

#[test]
fn an_alarm_past_those_that_can_stand_is_not_written_as_nothing_could_end_it() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    for n in 0..200 {
        let event = String::from_utf8(pcd04(&format!("a{n}"), "X", "start", "PL")).expect("text");
        ward.bytes(1, "net-1", Channel::Stream, event.replace("1.1.1.1.1", &format!("1.1.1.{n}.1")).as_bytes());
        ward.pass_ms(1_000);
    }
    assert_eq!((kept(&mut ward).len(), standing(&ward, "2")), (128, 128));
    for n in 0..200 {
        let event = String::from_utf8(pcd04(&format!("b{n}"), "X", "end", "PL")).expect("text");
        ward.bytes(1, "net-1", Channel::Stream, event.replace("1.1.1.1.1", &format!("1.1.1.{n}.1")).as_bytes());
    }
    assert!(ends(&mut ward).iter().all(|(.., ended)| ended == "device"));
}

#[test]
fn changes_that_are_kept_already_do_not_hold_up_the_answer_to_what_waits_behind_them() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PM"));
    ward.connect(2, "net-1");
    ward.hold = true;
    ward.log.clear();
    ward.bytes(1, "net-1", Channel::Stream, &oru("v1", "20251124160001", &[(150_456, "97", 262_688)]));
    // Another call of the same sender: its driver does not know what the first one heard.
    ward.bytes(2, "net-1", Channel::Stream, &pcd04("a2", "SpO2 LOW", "start", "PM"));
    ward.bytes(2, "net-1", Channel::Stream, &pcd04("a3", "SpO2 LOW", "end", "PM"));
    ward.hold = false;
    ward.answer();
    assert_eq!(ward.sends().len(), 3, "no time has passed");
}

#[test]
fn the_alarms_of_a_capture_that_is_played_are_demonstrations() {
    let mut ward = Ward::new(vec![edge_core::DeviceSetting { replayed: true, ..device("net-1", "ihe-pcd01", Some("2")) }]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &pcd04("a1", "SpO2 LOW", "start", "PH"));
    let [alarm] = &shown(&ward)[..] else { panic!("one alarm") };
    assert!(alarm.demo);
    assert_eq!(ends(&mut ward), [row("nobody", "2", "stands")]);
}
