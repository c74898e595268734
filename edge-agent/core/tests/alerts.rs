//! The life of an alert.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge_api::alert::{AlertState, Severity};
use edge_api::live::LiveMessage;
use edge_core::{CommandError, CommandReply, EVIDENCE_URL, Effect, LiveEvent, RESOLUTION_URL};
use protocol::Draft;
use record::code::Code;
use serde_json::{Value, json};
use support::*;

fn ward() -> Ward {
    let mut ward = Ward::new(vec![device("ox-1", "sig-pulse-oximeter", Some("2")), device("hr-1", "sig-heart-rate", Some("2"))]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.connect(2, "hr-1");
    ward.pass_ms(1_000);
    ward.log.clear();
    ward
}

/// An oximeter that goes on saying the same.
fn goes_on(ward: &mut Ward, spo2: u8, seconds: u64) {
    for _ in 0..seconds {
        ward.bytes(1, "ox-1", PLX, &plx(spo2, 70));
        ward.pass_ms(1_000);
    }
}

fn documents(ward: &mut Ward) -> Vec<Value> {
    recovered(&mut ward.store).alerts.into_iter().map(|a| a.json).collect()
}

#[test]
fn a_single_three_on_a_partial_set_alerts_as_at_least_and_names_what_is_missing() {
    let mut ward = ward();
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    let alerts = ward.open_alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].severity, alerts[0].state), (Severity::Medium, AlertState::Created));
    assert!(alerts[0].text.starts_with("** NEWS2 at least 3: SpO₂ 88 %; missing Respiration rate"), "{}", alerts[0].text);
    assert!(alerts[0].text.contains("Temperature") && !alerts[0].text.contains("age unknown"));
    let score = ward.bed("2").score.expect("score");
    assert_eq!((score.total, score.at_least, score.text.as_str(), score.band.as_str()), (None, 3, "at least 3", "low-medium"));
}

#[test]
fn an_alert_is_told_only_once_durable_with_the_time_it_took_from_the_wire() {
    let mut ward = ward();
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    let told = |ward: &Ward| ward.lives().into_iter().find_map(|m| if let LiveMessage::Alert(a) = m { Some(a.clone()) } else { None });
    ward.answer();
    ward.pass_ms(250);
    assert!(told(&ward).is_none() && ward.open_alerts().is_empty(), "shown before durable");
    ward.answer();
    let alert = told(&ward).expect("told");
    assert_eq!(alert.latency_us, Some(252_000));
    assert_eq!((alert.bed.as_str(), alert.patient.as_str(), alert.patient_name.as_str()), ("2", "ana", "ana, A."));
}

#[test]
fn the_document_of_an_alert_is_valid_fhir_and_holds_what_a_replay_needs() {
    let mut ward = ward();
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    let issue = documents(&mut ward).pop().expect("document");
    assert_eq!(record::fhir::validate(&issue), [], "{issue}");
    assert_eq!((issue["status"].as_str(), issue["severity"].as_str()), (Some("preliminary"), Some("moderate")));
    assert_eq!(issue["patient"]["reference"], "Patient/ana");
    assert_eq!(issue["implicated"], json!([{"reference": "Device/ox-1"}]));
    let extension = issue["extension"].as_array().expect("list").iter().find(|e| e["url"] == EVIDENCE_URL).expect("evidence");
    let evidence: Value = serde_json::from_str(extension["valueString"].as_str().expect("text")).expect("json");
    assert_eq!(
        (evidence["rules"].as_str(), evidence["total"].as_u64(), evidence["exact"].as_bool()),
        (Some("news2-2017/2"), Some(3), Some(false))
    );
    assert_eq!(evidence["watermark"][0]["next_seq"], 2);
    let state: risk::Chart = serde_json::from_value(evidence["state"].clone()).expect("chart");
    let at = record::time::Timestamp(evidence["at_us"].as_i64().expect("time"));
    let again = risk::by_id("news2").expect("score").assess(&state, at).expect("assessed");
    assert_eq!(u64::from(again.total.points()), 3, "the same inputs give the same score");
}

#[test]
fn an_alert_is_acknowledged_once_whoever_repeats_it_and_lasts_while_its_cause_does() {
    let mut ward = ward();
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    let id = ward.open_alerts()[0].id.clone();
    let CommandReply::Alert(first) = ward.acknowledge(&id).expect("acknowledged") else { panic!() };
    assert_eq!((first.state, first.acknowledged_by.as_deref()), (AlertState::Acknowledged, Some("ana")));
    let commits = ward.commits;
    let CommandReply::Alert(second) = ward.acknowledge(&id).expect("again") else { panic!() };
    assert_eq!((&second, ward.commits), (&first, commits));
    goes_on(&mut ward, 87, 120);
    assert_eq!(ward.open_alerts().len(), 1, "the same tier does not alert again");
    assert_eq!(ward.open_alerts()[0].state, AlertState::Acknowledged);
}

#[test]
fn an_alert_is_resolved_after_a_minute_of_calm_and_not_before() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 3);
    goes_on(&mut ward, 97, 58);
    assert_eq!(ward.open_alerts().len(), 1);
    goes_on(&mut ward, 97, 4);
    assert!(ward.open_alerts().is_empty());
    assert_eq!(ward.agent.alerts(ward.now).iter().map(|a| a.state).collect::<Vec<_>>(), [AlertState::Resolved], "listed for an hour");
    let issue = documents(&mut ward).pop().expect("document");
    assert_eq!((record::fhir::validate(&issue), issue["status"].as_str()), (Vec::new(), Some("final")));
    goes_on(&mut ward, 88, 1);
    assert_eq!(ward.open_alerts().len(), 1, "a new episode alerts anew");
    ward.pass_ms(3_700_000);
    assert_eq!(ward.agent.alerts(ward.now).len(), 1, "an hour later only the open one is listed");
}

#[test]
fn calm_is_counted_from_the_last_bad_value() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 1);
    goes_on(&mut ward, 97, 50);
    goes_on(&mut ward, 88, 1);
    goes_on(&mut ward, 97, 50);
    assert_eq!(ward.open_alerts().len(), 1);
}

#[test]
fn values_that_go_missing_are_no_recovery() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 3);
    ward.unplug(1, "ox-1");
    ward.pass_ms(3_600_000);
    assert_eq!(ward.bed("2").score.expect("score").at_least, 0, "nothing is known any more");
    assert_eq!(ward.open_alerts().len(), 1);
}

#[test]
fn a_graver_tier_supersedes_and_a_milder_one_does_not() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 2);
    let first = ward.open_alerts()[0].id.clone();
    ward.acknowledge(&first).expect("acknowledged");
    ward.observe("2", "ana", &[("consciousness", "2", "{score}"), ("inspired-oxygen", "4", "L/min")]).expect("saved");
    let alerts = ward.open_alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].severity, alerts[0].state), (Severity::High, AlertState::Created));
    assert!(alerts[0].text.starts_with("*** NEWS2 at least 8: SpO₂ 88 %, Consciousness V, Air or oxygen oxygen"), "{}", alerts[0].text);
    assert_ne!(alerts[0].id, first);
    ward.observe("2", "ana", &[("consciousness", "0", "{score}")]).expect("saved");
    goes_on(&mut ward, 88, 5);
    assert_eq!(ward.open_alerts().len(), 1);
    assert_eq!(ward.open_alerts()[0].severity, Severity::High);
}

#[test]
fn a_closed_alert_stays_closed_for_its_tier_until_the_episode_ends() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 2);
    let id = ward.open_alerts()[0].id.clone();
    ward.resolve(&id).expect("closed");
    goes_on(&mut ward, 88, 30);
    assert!(ward.open_alerts().is_empty());
    assert_eq!(ward.acknowledge(&id), Err(CommandError::AlreadyResolved { alert: id.clone() }));
    assert!(matches!(ward.resolve(&id), Ok(CommandReply::Alert(_))), "repeating changes nothing");
    goes_on(&mut ward, 97, 65);
    goes_on(&mut ward, 88, 1);
    assert_eq!(ward.open_alerts().len(), 1);
}

#[test]
fn what_a_person_closed_stays_closed_after_a_crash_until_the_episode_ends() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 2);
    let id = ward.open_alerts()[0].id.clone();
    ward.resolve(&id).expect("closed");
    ward.crash();
    ward.connect(1, "ox-1");
    goes_on(&mut ward, 88, 30);
    assert!(ward.open_alerts().is_empty(), "rang again after the restart");
    ward.observe("2", "ana", &[("consciousness", "2", "{score}"), ("inspired-oxygen", "4", "L/min")]).expect("saved");
    assert_eq!(ward.open_alerts().iter().map(|a| a.severity).collect::<Vec<_>>(), [Severity::High], "a graver tier rings");
    ward.observe("2", "ana", &[("consciousness", "0", "{score}"), ("inspired-oxygen", "0", "L/min")]).expect("saved");
    goes_on(&mut ward, 97, 65);
    goes_on(&mut ward, 88, 1);
    assert_eq!(ward.open_alerts().iter().map(|a| a.severity).collect::<Vec<_>>(), [Severity::Medium]);
}

#[test]
fn an_episode_that_ended_before_a_crash_silences_nothing_after_it() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 2);
    let id = ward.open_alerts()[0].id.clone();
    ward.resolve(&id).expect("closed");
    goes_on(&mut ward, 97, 65);
    let closed = documents(&mut ward).pop().expect("document");
    assert_eq!(record::fhir::validate(&closed), []);
    let words: Vec<&Value> =
        closed["extension"].as_array().expect("list").iter().filter(|e| e["url"] == RESOLUTION_URL).map(|e| &e["valueString"]).collect();
    assert_eq!(words, ["person-recovered"]);
    ward.crash();
    ward.connect(1, "ox-1");
    goes_on(&mut ward, 88, 1);
    assert_eq!(ward.open_alerts().len(), 1);
}

#[test]
fn what_was_closed_in_an_earlier_stay_silences_nothing_in_the_next() {
    let mut ward = ward();
    ward.register("berta", json!({}));
    goes_on(&mut ward, 88, 2);
    let id = ward.open_alerts()[0].id.clone();
    ward.resolve(&id).expect("closed");
    ward.place("3", Some("ana")).expect("moved");
    ward.attach("3", "ox-1", true).expect("moved");
    goes_on(&mut ward, 88, 5);
    assert!(ward.open_alerts().is_empty(), "a move to another bed is the same stay");
    ward.place("3", Some("berta")).expect("placed");
    ward.pass_ms(5_000);
    ward.place("3", Some("ana")).expect("back");
    goes_on(&mut ward, 88, 1);
    assert_eq!(ward.open_alerts().len(), 1);
}

#[test]
fn an_alert_resolved_long_ago_is_not_listed_anew_by_a_restart() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 2);
    let id = ward.open_alerts()[0].id.clone();
    ward.resolve(&id).expect("closed");
    ward.pass_ms(1_800_000);
    ward.crash();
    assert_eq!(ward.agent.alerts(ward.now).len(), 1);
    ward.pass_ms(4_000_000);
    ward.crash();
    assert_eq!(ward.agent.alerts(ward.now), []);
}

#[test]
fn an_alert_survives_a_crash_and_is_not_raised_twice() {
    let mut ward = ward();
    goes_on(&mut ward, 88, 2);
    let id = ward.open_alerts()[0].id.clone();
    ward.acknowledge(&id).expect("acknowledged");
    ward.crash();
    let alerts = ward.open_alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!(
        (alerts[0].id.as_str(), alerts[0].state, alerts[0].bed.as_str(), alerts[0].latency_us),
        (id.as_str(), AlertState::Acknowledged, "2", None)
    );
    ward.connect(1, "ox-1");
    goes_on(&mut ward, 88, 3);
    assert_eq!(documents(&mut ward).len(), 1);
    goes_on(&mut ward, 97, 63);
    assert!(ward.open_alerts().is_empty(), "the new process resolves it");
}

#[test]
fn an_alert_whose_commit_was_lost_in_a_crash_is_raised_by_the_next_process() {
    let mut ward = ward();
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    ward.answer();
    assert!(ward.waiting.as_ref().is_some_and(|(_, c)| matches!(c.drafts.as_slice(), [Draft::Create { .. }])));
    ward.hold = false;
    ward.crash();
    assert_eq!(ward.open_alerts().len(), 1);
}

#[test]
fn an_acknowledgement_given_elsewhere_shows_here() {
    let mut ward = ward();
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    let id = ward.open_alerts()[0].id.parse().expect("id");
    ward.log.clear();
    ward.elsewhere(vec![Draft::Acknowledge { alert: id, by: "hub-nurse".to_owned(), at: ward.now.wall }]);
    let alert = ward.lives().into_iter().find_map(|m| if let LiveMessage::Alert(a) = m { Some(a.clone()) } else { None }).expect("told");
    assert_eq!((alert.state, alert.acknowledged_by.as_deref()), (AlertState::Acknowledged, Some("hub-nurse")));
}

#[test]
fn a_child_is_not_scored_and_someone_of_unknown_age_is_with_that_said() {
    let mut ward = ward();
    ward.register("kid", json!({"birthDate": "2015-05-05"}));
    ward.place("2", Some("kid")).expect("placed");
    goes_on(&mut ward, 80, 2);
    assert!(ward.bed("2").score.is_none() && ward.open_alerts().is_empty());
    ward.register("unknown", json!({"birthDate": null}));
    ward.place("2", Some("unknown")).expect("placed");
    goes_on(&mut ward, 80, 2);
    assert!(ward.open_alerts()[0].text.ends_with("; age unknown"), "{}", ward.open_alerts()[0].text);
}

#[test]
fn a_whole_set_gives_a_total_and_its_points_by_value() {
    let mut ward = ward();
    goes_on(&mut ward, 95, 1);
    ward.bytes(2, "hr-1", HR, &hr(95));
    let set = [
        ("respiratory-rate", "22", "/min"),
        ("nibp-systolic", "118", "mm[Hg]"),
        ("temperature", "36.6", "Cel"),
        ("consciousness", "0", "{score}"),
        ("inspired-oxygen", "0", "L/min"),
    ];
    ward.observe("2", "ana", &set).expect("saved");
    let bed = ward.bed("2");
    let score = bed.score.expect("score");
    assert_eq!((score.total, score.text.as_str(), score.band.as_str()), (Some(4), "4", "low"));
    assert!(score.missing.is_empty() && score.stale.is_empty() && !score.single_three);
    let points = |code: Code| bed.numerics.iter().find(|n| n.key == code.key()).and_then(|n| n.points);
    assert_eq!([Code::HEART_RATE, Code::SPO2, Code::RESPIRATORY_RATE].map(points), [Some(1), Some(1), Some(2)]);
    assert_eq!(bed.numerics[0].key, "heart-rate");
    assert!(ward.open_alerts().is_empty());
}

#[test]
fn an_alert_is_never_in_an_effect_before_its_commit() {
    let mut ward = ward();
    ward.bytes(1, "ox-1", PLX, &plx(80, 70));
    let commit = ward.log.iter().position(|e| matches!(e, Effect::Commit { commit, .. } if !commit.drafts.is_empty())).expect("commit");
    let told = ward.log.iter().position(|e| matches!(e, Effect::Live(LiveEvent::Message(m)) if matches!(**m, LiveMessage::Alert(_))));
    assert!(commit < told.expect("told"));
}
