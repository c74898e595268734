//! What a person may ask, and the words of a refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge_api::alert::AlertAnswer;
use edge_core::{Command, CommandError, CommandReply, Input};
use protocol::Draft;
use record::code::Code;
use serde_json::json;
use support::*;

/// Bed, patient, values (code, value, unit); the kind of refusal and words it must hold.
type Refusal<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str, &'a str)>, &'a str, &'a str);

fn ward() -> Ward {
    let mut ward = Ward::new(vec![device("ox-1", "sig-pulse-oximeter", Some("2"))]);
    ward.register("ana", json!({}));
    ward.register("berta", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(1_000);
    ward
}

#[test]
fn a_command_is_answered_only_once_durable_and_leaves_an_audit_entry() {
    let mut ward = ward();
    ward.hold = true;
    let id = ward.ask(observe("2", "ana", &[("temperature", "38.0", "Cel")]));
    assert!(ward.answer_to(id).is_none());
    let (_, commit) = ward.waiting.clone().expect("commit");
    assert_eq!((commit.act.user.as_str(), commit.act.session.as_str()), ("ana", "s1"));
    let Some(Draft::Audit(events)) = commit.drafts.last() else { panic!("no audit") };
    assert_eq!((events[0].action.as_str(), &events[0].what), ("observe", &vec!["Patient/ana".to_owned()]));
    ward.answer();
    assert!(matches!(ward.answer_to(id), Some(Ok(CommandReply::Saved(saved))) if saved.durable));
    assert_eq!(ward.value("2", Code::TEMPERATURE).as_deref(), Some("38.0"));
    assert_eq!(ward.shown("2", Code::TEMPERATURE).map(|n| n.device), Some("manual".to_owned()));
}

#[test]
fn a_set_of_the_wrong_patient_unit_code_or_range_is_refused_whole_and_named() {
    let mut ward = ward();
    let temperature = ("temperature", "38.0", "Cel");
    let refusals: Vec<Refusal> = vec![
        ("9", "ana", vec![temperature], "unknown-bed", "1, 2, 3"),
        ("2", "nobody", vec![temperature], "unknown-patient", "nobody"),
        ("2", "berta", vec![temperature], "wrong-patient", "but ana"),
        ("3", "berta", vec![temperature], "wrong-patient", "but nobody"),
        ("2", "ana", vec![temperature, ("temperature", "100.4", "[degF]")], "wrong-unit", "is recorded in Cel, got \"[degF]\""),
        ("2", "ana", vec![temperature, ("spo3", "97", "%")], "unknown-code", "spo3"),
        ("2", "ana", vec![("ecg-i", "1", "mV")], "unknown-code", "ecg-i"),
        ("2", "ana", vec![("news2", "1", "{score}")], "unknown-code", "news2"),
        ("2", "ana", vec![("spo2", "101", "%")], "out-of-range", "1 to 100"),
        ("2", "ana", vec![("consciousness", "1.5", "{score}")], "out-of-range", "0 to 4"),
        ("2", "ana", vec![], "too-many", "0 given, 1 to 32"),
        ("2", "ana", vec![temperature; 33], "too-many", "33 given"),
    ];
    for (bed, patient, values, kind, words) in refusals {
        let refused = ward.observe(bed, patient, &values).expect_err(kind);
        assert_eq!(refused.kind(), kind);
        assert!(refused.to_string().contains(words), "{refused}");
    }
    assert!(ward.charted("ana").is_empty());
}

#[test]
fn a_set_measured_before_the_patient_came_or_in_the_future_is_refused() {
    let mut ward = ward();
    let at = |ward: &mut Ward, ms: i64| {
        let Command::Observe { bed, mut request } = observe("2", "ana", &[("temperature", "38.0", "Cel")]) else { panic!() };
        request.measured_ms = Some(ward.now.wall.millis() + ms);
        ward.command(Command::Observe { bed, request })
    };
    assert_eq!(at(&mut ward, -3_600_000).expect_err("before").kind(), "wrong-patient");
    assert_eq!(at(&mut ward, 61_000).expect_err("after"), CommandError::InFuture);
    at(&mut ward, 20_000).expect("a watch may be a little ahead");
    let frame = ward.charted("ana").pop().expect("charted");
    assert_eq!(frame.measured, frame.arrived);
}

#[test]
fn two_commands_about_one_bed_are_judged_one_after_the_other() {
    let mut ward = ward();
    ward.hold = true;
    let place = |patient: &str| Command::PlacePatient {
        bed: "3".to_owned(),
        request: edge_api::bed::PlacePatient { patient: Some(patient.to_owned()), since_ms: None },
    };
    let first = ward.ask(place("berta"));
    let second = ward.ask(observe("3", "berta", &[("temperature", "38.0", "Cel")]));
    assert!(ward.answer_to(second).is_none());
    ward.answer();
    assert!(ward.answer_to(first).is_some_and(|r| r.is_ok()));
    ward.answer();
    assert!(ward.answer_to(second).is_some_and(|r| r.is_ok()), "{:?}", ward.answer_to(second));
}

#[test]
fn placing_whom_lies_there_already_writes_nothing() {
    let mut ward = ward();
    let commits = ward.commits;
    assert!(matches!(ward.place("2", Some("ana")), Ok(CommandReply::Saved(_))));
    assert_eq!(ward.commits, commits);
}

#[test]
fn unknown_names_and_long_reasons_are_refused_with_what_to_do() {
    let mut ward = ward();
    assert_eq!(ward.place("2", Some("nobody")).expect_err("unknown").kind(), "unknown-patient");
    assert_eq!(ward.attach("2", "ward/2", true).expect_err("unknown").kind(), "unknown-device");
    assert_eq!(ward.acknowledge("no-such").expect_err("unknown").kind(), "unknown-alert");
    let answer = AlertAnswer { reason: Some("x".repeat(513)) };
    let long = ward.command(Command::ResolveAlert { alert: "no-such".to_owned(), answer });
    assert_eq!(long.expect_err("long").kind(), "too-many");
}

#[test]
fn commands_past_the_limit_are_told_to_wait_and_after_a_stop_to_come_back() {
    let mut settings = settings(vec![]);
    settings.limits.commands_max = 2;
    let mut ward = Ward::with(settings);
    for patient in ["ana", "berta"] {
        ward.register(patient, json!({}));
    }
    ward.hold = true;
    let place = |patient: &str| Command::PlacePatient {
        bed: "3".to_owned(),
        request: edge_api::bed::PlacePatient { patient: Some(patient.to_owned()), since_ms: None },
    };
    ward.ask(place("ana"));
    ward.ask(place("berta"));
    let third = ward.ask(place("ana"));
    assert_eq!(ward.answer_to(third), Some(Err(CommandError::Busy { waiting: 2 })));
    ward.handle(Input::Stop);
    let late = ward.ask(place("ana"));
    assert_eq!(ward.answer_to(late), Some(Err(CommandError::Stopping)));
}
