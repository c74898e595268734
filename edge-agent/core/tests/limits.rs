//! What a ward goes by: limits as shipped and as rolled out, and what it says about a rollout it cannot use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge_api::alert::Severity;
use edge_core::{EVIDENCE_URL, Input};
use protocol::replica::{Standing, standing};
use protocol::{Draft, Store};
use record::ledger::Hlc;
use record::ledger::configuration::{Report, Rollout};
use serde_json::{Value, json};
use support::*;

fn ward(birth_date: &str) -> Ward {
    let mut ward = Ward::new(vec![device("ox-1", "sig-pulse-oximeter", Some("2"))]);
    ward.register("ana", json!({"birthDate": birth_date}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.pass_ms(1_000);
    ward
}

fn goes_on(ward: &mut Ward, spo2: u8, pulse: u8, seconds: u64) {
    for _ in 0..seconds {
        ward.bytes(1, "ox-1", PLX, &plx(spo2, pulse));
        ward.pass_ms(1_000);
    }
}

fn texts(ward: &Ward) -> Vec<String> {
    ward.open_alerts().into_iter().map(|alert| alert.text).collect()
}

fn bundle(name: &str, limit: &str) -> String {
    format!(
        "name = \"{name}\"\nrequires = 1\n[[sets]]\ntitle = \"All\"\nsource = \"test\"\nages = {{ from_months = 0 }}\nlimits = [{limit}]\n"
    )
}

fn rolled_out(texts: &[&str]) -> Standing {
    let at = |n: usize| Hlc { trusted: true, wall_ms: 1000 - n as u64, counter: 0 };
    let rollout = |text: &&str| Rollout { site: "hillside".into(), name: "as stated".into(), requires: 1, text: (*text).to_owned() };
    Standing { rollouts: texts.iter().enumerate().map(|(n, text)| (at(n), rollout(text))).collect(), report: None }
}

/// What the ward wrote for the hub.
fn reported(ward: &mut Ward) -> Option<Report> {
    let scope = ward.replica.site_scope(ward.replica.id()).expect("site");
    standing(ward.store.begin().expect("begin").as_mut(), scope).expect("standing").report.map(|(_, report)| report)
}

#[test]
fn a_child_whom_no_score_is_for_has_limits_of_its_age() {
    let mut ward = ward("2023-01-01");
    goes_on(&mut ward, 97, 150, 5);
    assert_eq!(texts(&ward), Vec::<String>::new(), "a moment beyond a limit is no alarm");
    goes_on(&mut ward, 97, 150, 30);
    assert_eq!(texts(&ward), ["** PR 150 /min above 142 (Children of 2-3 years)"]);
    assert_eq!(ward.open_alerts()[0].severity, Severity::Medium);
    goes_on(&mut ward, 97, 142, 70);
    assert_eq!(texts(&ward).len(), 0, "the limit itself is within it, and a minute of that is calm");
}

#[test]
fn the_same_value_in_an_adult_calls_nobody_and_the_score_is_not_doubled_by_limits() {
    let mut ward = ward("1960-01-01");
    goes_on(&mut ward, 97, 105, 40);
    assert_eq!(texts(&ward), Vec::<String>::new());
    goes_on(&mut ward, 86, 105, 40);
    let alerts = texts(&ward);
    assert!(alerts.len() == 1 && alerts[0].starts_with("** NEWS2"), "{alerts:?}");
}

#[test]
fn an_alert_of_one_limit_that_was_answered_does_not_silence_another_where_no_score_watches() {
    let mut ward = ward("2023-01-01");
    goes_on(&mut ward, 97, 150, 35);
    let alert = ward.open_alerts()[0].id.clone();
    ward.acknowledge(&alert).expect("acknowledged");
    goes_on(&mut ward, 80, 150, 15);
    let text = texts(&ward);
    assert!(text.len() == 1 && text[0].contains("80 % below 90"), "{text:?}");
    // Neither of them calls again while the episode lasts, whichever comes and goes.
    let second = ward.open_alerts()[0].id.clone();
    ward.acknowledge(&second).expect("acknowledged");
    for (spo2, pulse) in [(97, 150), (80, 120), (80, 150), (97, 150)] {
        goes_on(&mut ward, spo2, pulse, 40);
    }
    assert_eq!(ward.open_alerts().iter().map(|alert| alert.id.clone()).collect::<Vec<_>>(), [second]);
}

#[test]
fn an_alert_by_an_adults_score_ends_once_the_patient_turns_out_to_be_a_child() {
    let mut ward = ward("1960-01-01");
    goes_on(&mut ward, 97, 135, 40);
    assert_eq!(texts(&ward).len(), 1, "as in an adult");
    let elements = [("birthDate".to_owned(), json!("2025-06-01"))].into_iter().collect();
    let id = "ana".parse().expect("id");
    ward.elsewhere(vec![Draft::Update { resource_type: "Patient".to_owned(), id, elements, if_match: None }]);
    goes_on(&mut ward, 97, 135, 80);
    assert_eq!(texts(&ward), Vec::<String>::new());
}

#[test]
fn a_value_that_goes_missing_is_no_recovery_from_its_limit() {
    let mut ward = ward("2023-01-01");
    goes_on(&mut ward, 97, 150, 35);
    assert_eq!(texts(&ward).len(), 1);
    ward.pass_ms(600_000);
    assert_eq!(texts(&ward).len(), 1);
}

#[test]
fn an_alert_by_limits_is_valid_fhir_and_says_by_which_rules() {
    let mut ward = ward("2023-01-01");
    goes_on(&mut ward, 97, 150, 35);
    let issue = recovered(&mut ward.store).alerts.pop().expect("document").json;
    assert_eq!(record::fhir::validate(&issue), [], "{issue}");
    let extension = issue["extension"].as_array().expect("list").iter().find(|e| e["url"] == EVIDENCE_URL).expect("evidence");
    let evidence: Value = serde_json::from_str(extension["valueString"].as_str().expect("text")).expect("json");
    let limits = &evidence["limits"];
    assert_eq!((&limits["bundle"], &limits["set"]), (&json!("shipped"), &json!("Children of 2-3 years")));
    assert_eq!(limits["crossed"], json!([{"limit": "heart-rate", "code": "8889-8", "value": "150", "above": "142"}]));
    assert_eq!(limits["rules_sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn a_rollout_counts_at_once_is_answered_and_a_roll_back_brings_back_what_was() {
    let mut ward = ward("1960-01-01");
    let strict = bundle("strict", "{ codes = [\"spo2\"], low = \"98\", hold_s = 3, priority = \"high\" }");
    ward.handle(Input::Configured(Box::new(rolled_out(&[&strict]))));
    goes_on(&mut ward, 97, 70, 3);
    assert_eq!(texts(&ward).len(), 0);
    goes_on(&mut ward, 97, 70, 2);
    assert_eq!(texts(&ward), ["*** SpO₂ 97 % below 98 (All)"]);
    let report = reported(&mut ward).expect("an answer");
    assert_eq!((report.refused, report.runs.0.as_str(), report.program.as_str()), (None, "strict", "edge-agent/0.1.0"));

    let mild = bundle("mild", "{ codes = [\"spo2\"], low = \"80\" }");
    ward.handle(Input::Configured(Box::new(rolled_out(&[&mild, &strict]))));
    goes_on(&mut ward, 97, 70, 70);
    assert_eq!(texts(&ward).len(), 0, "recovered by the new limits");
    assert_eq!(reported(&mut ward).expect("an answer").runs.0, "mild");
}

#[test]
fn a_bundle_that_cannot_be_used_changes_nothing_and_is_answered_with_its_reason() {
    let mut ward = ward("1960-01-01");
    let strict = bundle("strict", "{ codes = [\"spo2\"], low = \"98\", hold_s = 0 }");
    let newer = strict.replace("requires = 1", "requires = 7");
    for (bad, why) in
        [("name = ", "cannot be read"), (newer.as_str(), "needs format 7"), (&bundle("x", "{ codes = [\"spo2\"], low = \"0\" }"), "low")]
    {
        ward.handle(Input::Configured(Box::new(rolled_out(&[bad, &strict]))));
        let report = reported(&mut ward).expect("an answer");
        assert!(report.refused.as_ref().is_some_and(|said| said.contains(why)), "{report:?}");
        assert_eq!(report.runs.0, "strict", "the one before goes on");
    }
    goes_on(&mut ward, 97, 70, 2);
    assert_eq!(texts(&ward).len(), 1);
}

#[test]
fn bad_bundles_alone_leave_the_shipped_limits() {
    let mut ward = ward("2023-01-01");
    ward.handle(Input::Configured(Box::new(rolled_out(&["", "colour = 1", "requires = 9\nname = \"x\"\n"]))));
    assert_eq!(reported(&mut ward).expect("an answer").runs, ("shipped".to_owned(), None));
    goes_on(&mut ward, 97, 150, 35);
    assert_eq!(texts(&ward).len(), 1);
}

#[test]
fn who_has_no_set_in_a_bundle_goes_by_the_shipped_one() {
    let mut ward = ward("2023-01-01");
    let adults = bundle("adults", "{ codes = [\"spo2\"], low = \"98\" }").replace("from_months = 0", "from_months = 216");
    ward.handle(Input::Configured(Box::new(rolled_out(&[&adults]))));
    goes_on(&mut ward, 97, 150, 35);
    assert_eq!(texts(&ward), ["** PR 150 /min above 142 (Children of 2-3 years)"]);
}

#[test]
fn after_a_crash_the_ward_goes_by_what_it_did_and_answers_once() {
    let mut ward = ward("1960-01-01");
    let strict = bundle("strict", "{ codes = [\"spo2\"], low = \"98\", hold_s = 0 }");
    // Killed after the rollout was durable and before the answer was: the hub's entry is played by this box's own store.
    ward.hold = true;
    ward.handle(Input::Configured(Box::new(rolled_out(&[&strict]))));
    ward.configuration = rolled_out(&[&strict]);
    ward.crash();
    ward.hold = false;
    ward.answer();
    assert_eq!(reported(&mut ward).expect("an answer").runs.0, "strict");
    ward.configuration.report = reported(&mut ward).map(|report| (Hlc::default(), report));
    ward.log.clear();
    ward.crash();
    let drafts = ward.log.iter().filter_map(|e| if let edge_core::Effect::Commit { commit, .. } = e { Some(&commit.drafts) } else { None });
    assert!(!drafts.flatten().any(|draft| matches!(draft, Draft::Report(_))), "told twice");
    ward.connect(1, "ox-1");
    goes_on(&mut ward, 97, 70, 2);
    assert_eq!(texts(&ward), ["** SpO₂ 97 % below 98 (All)"]);
}

#[test]
fn sampling_counts_from_the_next_connection_and_a_roll_back_restores_the_profiles_own() {
    let asks = |ward: &mut Ward, link: u64| {
        ward.log.clear();
        ward.connect(link, "mon-1");
        ward.sends()
    };
    let mut ward = Ward::new(vec![device("mon-1", "ge-b40-dri", Some("2"))]);
    let own = asks(&mut ward, 1);
    let slower = "name = \"slower\"\nrequires = 1\n[sampling.ge-b40-dri]\ninterval_s = 60\nwaves = [\"pleth\"]\n";
    ward.handle(Input::Configured(Box::new(rolled_out(&[slower]))));
    ward.unplug(1, "mon-1");
    let slow = asks(&mut ward, 2);
    assert!(!own.is_empty() && slow != own, "asked as before");
    ward.handle(Input::Configured(Box::new(rolled_out(&["name = \"shipped\"\nrequires = 1\n", slower]))));
    ward.unplug(2, "mon-1");
    assert_eq!(asks(&mut ward, 3), own);
}
