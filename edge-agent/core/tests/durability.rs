//! What is lost when things fail: nothing that was durable, nothing that a device was told is safe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Channel;
use edge_api::sync::{LinkState, SyncView};
use edge_api::ward::DeviceState;
use edge_core::{CommandError, Effect, Input, Limits, Note};
use proptest::prelude::*;
use protocol::{Commit, Draft, Replica, Where};
use record::binding::{Binding, Bound};
use record::code::Code;
use record::ledger::Hlc;
use record::time::Timestamp;
use serde_json::json;
use support::*;

const SPO2: (u32, &str, u32) = (150_456, "97", 262_688);

fn ward() -> Ward {
    let mut ward = Ward::new(vec![
        device("ox-1", "sig-pulse-oximeter", Some("2")),
        device("mon-1", "ge-b40-dri", Some("2")),
        device("net-1", "ihe-pcd01", Some("2")),
    ]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(1_000);
    ward.log.clear();
    ward
}

#[test]
fn a_device_is_answered_only_once_its_readings_are_durable() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.hold = true;
    ward.bytes(1, "net-1", Channel::Stream, &oru("m1", "20251124160001", &[SPO2]));
    assert!(ward.sends().is_empty());
    ward.pass_ms(5_000);
    assert!(ward.sends().is_empty());
    ward.answer();
    let sent = ward.sends();
    assert!(sent.len() == 1 && String::from_utf8_lossy(&sent[0]).contains("MSA|AA|m1"), "{sent:?}");
}

#[test]
fn a_message_that_arrives_during_a_commit_is_answered_by_the_next_one() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.hold = true;
    ward.bytes(1, "net-1", Channel::Stream, &oru("m1", "20251124160001", &[SPO2]));
    ward.bytes(1, "net-1", Channel::Stream, &oru("m2", "20251124160002", &[SPO2]));
    ward.answer();
    assert_eq!(ward.sends().len(), 1);
    ward.answer();
    assert_eq!(ward.sends().len(), 2);
}

#[test]
fn a_message_sent_again_after_a_crash_is_answered_and_charted_once() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.hold = true;
    let message = oru("m1", "20251124160001", &[SPO2]);
    ward.bytes(1, "net-1", Channel::Stream, &message);
    ward.persist();
    ward.hold = false;
    ward.crash();
    ward.log.clear();
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &message);
    assert_eq!(ward.sends().len(), 1);
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["97"]);
}

#[test]
fn an_answer_for_a_broken_connection_is_not_sent_to_the_next() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.hold = true;
    ward.bytes(1, "net-1", Channel::Stream, &oru("m1", "20251124160001", &[SPO2]));
    ward.unplug(1, "net-1");
    ward.connect(1, "net-1");
    ward.answer();
    assert!(ward.sends().is_empty());
}

#[test]
fn a_failed_commit_is_asked_for_again_with_everything_in_it() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(95, 70));
    ward.bytes(1, "ox-1", PLX, &plx(96, 70));
    ward.refuse("the disk is full", 500);
    assert!(ward.waiting.is_none(), "asked again at once");
    assert!(ward.log.iter().any(|e| matches!(e, Effect::Note(Note::CommitFailed { failures: 1, .. }))));
    ward.bytes(1, "ox-1", PLX, &plx(97, 70));
    ward.pass_ms(500);
    assert_eq!(ward.waiting.as_ref().expect("again").1.tick.len(), 3);
    ward.hold = false;
    ward.answer();
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["95", "96", "97"]);
}

#[test]
fn a_command_the_store_keeps_refusing_is_answered_and_samples_go_on() {
    let mut ward = ward();
    ward.register("berta", json!({}));
    ward.connect(1, "ox-1");
    ward.hold = true;
    let id = ward.ask(edge_core::Command::PlacePatient {
        bed: "3".to_owned(),
        request: edge_api::bed::PlacePatient { patient: Some("berta".to_owned()), since_ms: None },
    });
    ward.bytes(1, "ox-1", PLX, &plx(95, 70));
    for _ in 0..3 {
        assert!(ward.answer_to(id).is_none());
        ward.refuse("no patient berta is known here", 100);
        ward.pass_ms(101);
    }
    assert!(matches!(ward.answer_to(id), Some(Err(CommandError::NotSaved { .. }))));
    ward.hold = false;
    ward.answer();
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["95"]);
}

#[test]
fn alerts_the_store_refuses_do_not_hold_up_samples() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(80, 70));
    ward.answer();
    assert!(!ward.waiting.as_ref().expect("the alert").1.drafts.is_empty());
    ward.refuse("it does not fit", 10);
    ward.bytes(1, "ox-1", PLX, &plx(81, 70));
    ward.pass_ms(11);
    let (_, commit) = ward.waiting.as_ref().expect("the sample");
    assert!(commit.drafts.is_empty() && commit.tick.len() == 1);
    ward.hold = false;
    ward.answer();
    ward.pass_ms(1_500);
    assert_eq!(ward.open_alerts().len(), 1, "raised once the store takes it");
}

/// A commit with a segment in it.
fn seals(commit: &Commit) -> bool {
    commit.drafts.iter().any(|d| matches!(d, Draft::Segment { .. }))
}

/// A commit with a new alert in it.
fn raises(commit: &Commit) -> bool {
    commit.drafts.iter().any(|d| matches!(d, Draft::Create { resource, .. } if resource["resourceType"] == "DetectedIssue"))
}

/// An oximeter that reads every second, each reading another pulse, while the store refuses something; then that all of it
/// has been stored and shown.
fn reads_on(ward: &mut Ward, spo2: u8) {
    for n in 0..150 {
        ward.bytes(1, "ox-1", PLX, &plx(spo2, 50 + n));
        ward.pass_ms(1_000);
        if n >= 3 {
            let shown: u8 = ward.value("2", Code::PULSE_RATE).expect("shown").parse().expect("number");
            assert!(shown + 3 >= 50 + n, "{n} s: {shown} is shown");
        }
    }
    ward.pass_ms(3_000);
    assert_eq!(ward.value("2", Code::PULSE_RATE).as_deref(), Some("199"));
    assert_eq!(ward.charted_values("ana", Code::SPO2).len(), 150);
}

#[test]
fn while_a_segment_is_refused_again_and_again_values_are_stored_and_shown() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.refuses = seals;
    reads_on(&mut ward, 97);
    assert!(ward.sealed.is_empty());
    ward.refuses = |_| false;
    ward.pass_ms(20_000);
    assert!(!ward.sealed.is_empty(), "sealed once the store takes it");
    ward.stop();
    ward.check_nothing_lost_or_doubled();
}

#[test]
fn while_an_alert_is_refused_again_and_again_values_are_stored_and_shown() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.refuses = raises;
    reads_on(&mut ward, 85);
    assert!(ward.open_alerts().is_empty());
    ward.refuses = |_| false;
    ward.pass_ms(20_000);
    assert_eq!(ward.open_alerts().len(), 1, "raised once the store takes it");
}

#[test]
fn a_stop_does_not_wait_forever_for_a_segment_the_store_refuses() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.refuses = seals;
    ward.bytes(1, "ox-1", PLX, &plx(97, 70));
    ward.handle(Input::Stop);
    ward.pass_ms(15_000);
    assert!(ward.log.contains(&Effect::Stopped));
    assert!(!ward.journal().is_empty(), "what is not sealed stays in the journal");
    ward.refuses = |_| false;
    ward.crash();
    ward.log.clear();
    ward.stop();
    ward.check_nothing_lost_or_doubled();
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["97"]);
}

#[test]
fn a_stop_stores_the_readings_that_wait_even_if_their_segment_is_refused() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(96, 70));
    ward.refuses = |commit| seals(commit) || raises(commit);
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(97, 70));
    ward.bytes(1, "ox-1", PLX, &plx(98, 70));
    ward.handle(Input::Stop);
    ward.hold = false;
    ward.pass_ms(15_000);
    ward.answer();
    ward.pass_ms(15_000);
    assert!(ward.log.contains(&Effect::Stopped));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["96", "97", "98"]);
}

#[test]
fn a_stop_does_not_wait_forever_for_a_full_disk() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(96, 70));
    ward.refuses = |_| true;
    ward.bytes(1, "ox-1", PLX, &plx(97, 70));
    ward.handle(Input::Stop);
    ward.pass_ms(20_000);
    assert_eq!(ward.log.iter().filter(|e| **e == Effect::Stopped).count(), 1);
    let commits = |ward: &Ward| ward.log.iter().filter(|e| matches!(e, Effect::Commit { .. })).count();
    let before = commits(&ward);
    ward.pass_ms(60_000);
    assert_eq!(commits(&ward), before, "nothing is asked for after the stop");
}

#[test]
fn configured_devices_are_bound_however_long_the_store_refused_it() {
    let mut ward = Ward::new(Vec::new());
    ward.settings.devices = vec![device("ox-1", "sig-pulse-oximeter", Some("2"))];
    ward.refuses = |_| true;
    ward.crash();
    ward.log.clear();
    ward.pass_ms(3_600_000);
    let failed = ward.log.iter().filter(|e| matches!(e, Effect::Note(Note::CommitFailed { .. }))).count();
    assert!((100..400).contains(&failed), "asked {failed} times in an hour");
    ward.refuses = |_| false;
    ward.pass_ms(20_000);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(97, 70));
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("97"));
}

/// What its backup does not know: berta took ana's bed before the values of the journal were measured.
fn moved_since(ward: &mut Ward, from: Timestamp) -> Vec<(Hlc, Binding)> {
    let mut bindings = Replica::bindings(&mut ward.store).expect("bindings");
    let of_ana = |b: &&Binding| matches!(&b.what, Bound::Patient { patient, .. } if patient.as_str() == "ana");
    let ana = bindings.iter().find(of_ana).cloned().expect("ana's");
    let berta = "berta".parse().expect("id");
    let scope = ward.replica.scope_of(&berta).expect("scope");
    let ended = Binding { until: Some(from), ..ana.clone() };
    let begun = Binding { id: "b-berta".parse().expect("id"), what: Bound::Patient { patient: berta, scope }, from, until: None, ..ana };
    let stamp = Hlc { trusted: true, wall_ms: u64::MAX >> 20, counter: 0 };
    [ended, begun].into_iter().map(|binding| (stamp, binding)).inspect(|(hlc, b)| bindings.apply(*hlc, b.clone())).collect()
}

#[test]
fn a_restored_box_files_what_its_backup_had_not_sealed_once_its_hub_has_told_who_was_moved() {
    let mut ward = ward();
    ward.register("berta", json!({}));
    let from = ward.now.wall;
    ward.pass_ms(1_000);
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(93, 70));
    ward.restored = Some(ward.now.wall);
    ward.crash();
    ward.pass_ms(3_600_000);
    assert!(ward.sealed.is_empty() && !ward.journal().is_empty(), "filed to whom an old record has in the bed");

    let told = moved_since(&mut ward, from);
    ward.handle(Input::BindingsChanged(told));
    let equal = SyncView { digest_equal: Some(true), ..SyncView::before_contact(LinkState::Online, 0) };
    ward.handle(Input::Sync(equal));
    ward.pass_ms(70_000);
    let filed: Vec<&Where> = ward.sealed.iter().map(|(place, _)| place).collect();
    assert_eq!(filed, [&Where::Patient("berta".parse().expect("id"))]);
    assert!(ward.journal().is_empty());
}

#[test]
fn a_restored_box_whose_hub_stays_away_files_by_what_it_knows_after_a_day() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(93, 70));
    ward.restored = Some(ward.now.wall);
    ward.crash();
    ward.connect(2, "ox-1");
    ward.bytes(2, "ox-1", PLX, &plx(94, 70));
    ward.pass_ms(3_600_000);
    assert_eq!(ward.sealed.len(), 1, "what was measured since is not held back");
    ward.pass_ms(24 * 3_600_000);
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["93", "94"]);
    assert!(ward.journal().is_empty());
}

#[test]
fn a_stop_seals_everything_and_leaves_no_journal() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.connect(2, "mon-1");
    for n in 0..30 {
        ward.bytes(1, "ox-1", PLX, &plx(97, 60 + n));
        ward.bytes(2, "mon-1", Channel::Stream, &dri_ecg(&[1, 2, 3]));
        ward.pass_ms(1_000);
    }
    assert!(!ward.journal().is_empty());
    ward.stop();
    ward.check_nothing_lost_or_doubled();
    assert_eq!(ward.journal(), Vec::<u64>::new());
}

#[test]
fn numerics_and_waves_are_cut_at_their_own_wall_clock_intervals() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.connect(2, "mon-1");
    for _ in 0..125 {
        ward.bytes(1, "ox-1", PLX, &plx(97, 70));
        ward.bytes(2, "mon-1", Channel::Stream, &dri_ecg(&[1, 2, 3]));
        ward.pass_ms(1_000);
    }
    let count = |waves| ward.sealed.iter().filter(|(_, s)| s.is_waves() == waves).count();
    assert!((2..=3).contains(&count(false)), "{}", count(false));
    assert!((12..=13).contains(&count(true)), "{}", count(true));
    let edges = ward.sealed.iter().filter(|(_, s)| !s.is_waves()).map(|(_, s)| (s.start.0, s.end.0));
    for (start, end) in edges {
        assert_eq!(start.div_euclid(60_000_000), end.div_euclid(60_000_000), "a segment spans two intervals");
    }
}

#[test]
fn a_tail_is_cut_early_before_it_grows_past_its_limit() {
    let mut ward = ward();
    ward.connect(2, "mon-1");
    let block = dri_ecg(&vec![5; 2_000]);
    for _ in 0..100 {
        ward.bytes(2, "mon-1", Channel::Stream, &block);
    }
    assert!(ward.sealed.iter().any(|(_, s)| s.is_waves()));
    ward.stop();
    ward.check_nothing_lost_or_doubled();
}

#[test]
fn when_storing_is_behind_waves_go_first_and_it_is_said() {
    let mut settings = settings(vec![device("mon-1", "ge-b40-dri", Some("2")), device("ox-1", "sig-pulse-oximeter", Some("2"))]);
    settings.limits = Limits { waiting_bytes_max: 64 * 1024, ..Limits::default() };
    let mut ward = Ward::with(settings);
    ward.connect(1, "mon-1");
    ward.connect(2, "ox-1");
    ward.hold = true;
    ward.bytes(2, "ox-1", PLX, &plx(97, 70));
    for n in 0..60 {
        ward.bytes(1, "mon-1", Channel::Stream, &dri_ecg(&vec![5; 1_000]));
        ward.bytes(2, "ox-1", PLX, &plx(97, 60 + n));
    }
    assert!(ward.log.iter().any(|e| matches!(e, Effect::Note(Note::WavesDropped { .. }))));
    let monitor = ward.agent.devices().into_iter().find(|d| d.id == "mon-1").expect("device");
    assert!(monitor.reason.contains("wave samples were dropped"), "{monitor:?}");
    ward.hold = false;
    ward.answer();
    let numerics: usize = ward.ticked.iter().map(|f| f.numerics.len()).sum();
    assert_eq!(numerics, 2 * 61, "no numeric is dropped");
    assert!(ward.ticked.iter().map(|f| f.wave_samples()).sum::<u64>() < 60_000);
    ward.pass_ms(300);
    let monitor = ward.agent.devices().into_iter().find(|d| d.id == "mon-1").expect("device");
    assert!(monitor.state == DeviceState::Connected && monitor.reason.is_empty(), "{monitor:?}");
}

#[test]
fn readings_past_the_last_bound_are_refused_aloud_and_never_answered_as_safe() {
    let mut settings = settings(vec![device("net-1", "ihe-pcd01", Some("2"))]);
    settings.limits = Limits { waiting_bytes_max: 2 * 1024, ..Limits::default() };
    let mut ward = Ward::with(settings);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "net-1");
    ward.hold = true;
    let message = |n: usize| oru(&format!("m{n}"), &format!("202511241600{n:02}"), &[SPO2]);
    (10..50).for_each(|n| ward.bytes(1, "net-1", Channel::Stream, &message(n)));
    assert!(ward.log.iter().any(|e| matches!(e, Effect::Note(Note::ReadingsRefused { .. }))));
    ward.hold = false;
    ward.answer();
    let told = ward.sends().len();
    assert_eq!(told, ward.charted_values("ana", Code::SPO2).len());
    assert!(told < 40);
    ward.bytes(1, "net-1", Channel::Stream, &message(49));
    assert_eq!(ward.sends().len(), told + 1, "a refused message is taken when it is sent again");
    assert_eq!(ward.charted_values("ana", Code::SPO2).len(), told + 1);
}

#[test]
fn after_a_crash_the_board_shows_what_the_journal_held() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(93, 70));
    ward.observe("2", "ana", &[("temperature", "38.5", "Cel")]).expect("saved");
    ward.crash();
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("93"));
    assert_eq!(ward.value("2", Code::TEMPERATURE).as_deref(), Some("38.5"));
    assert_eq!(ward.bed("2").score.expect("score").at_least, 3);
    assert_eq!(ward.bed("2").patient.expect("patient").id, "ana");
}

#[derive(Clone, Debug)]
enum Step {
    Oximeter(u8),
    Wave(u8),
    Message(u8),
    Pass(u16),
    Replug,
    Place(bool),
    Hold,
    Answer,
    Refuse,
    /// Killed; true: the commit under way was durable, and nobody was told.
    Crash(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (70u8..100).prop_map(Step::Oximeter),
        4 => (1u8..40).prop_map(Step::Wave),
        3 => (0u8..60).prop_map(Step::Message),
        4 => (1u16..9_000).prop_map(Step::Pass),
        1 => Just(Step::Replug),
        1 => any::<bool>().prop_map(Step::Place),
        3 => Just(Step::Hold),
        3 => Just(Step::Answer),
        1 => Just(Step::Refuse),
        2 => any::<bool>().prop_map(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whenever_it_is_killed_no_durable_sample_is_lost_or_sealed_twice(steps in proptest::collection::vec(step(), 1..60)) {
        let mut settings = settings(vec![
            device("ox-1", "sig-pulse-oximeter", Some("2")),
            device("mon-1", "ge-b40-dri", Some("2")),
            device("net-1", "ihe-pcd01", Some("3")),
        ]);
        (settings.seal_every_s, settings.seal_waves_every_s) = (7, 3);
        let mut ward = Ward::with(settings);
        ward.register("ana", json!({}));
        let mut link = 10;
        for step in steps {
            match step {
                Step::Oximeter(spo2) => ward.bytes(link, "ox-1", PLX, &plx(spo2, 70)),
                Step::Wave(n) => ward.bytes(link + 1, "mon-1", Channel::Stream, &dri_ecg(&vec![3; n.into()])),
                Step::Message(s) => {
                    ward.bytes(link + 2, "net-1", Channel::Stream, &oru(&format!("m{s}"), &format!("202511241600{s:02}"), &[SPO2]));
                }
                Step::Pass(ms) => ward.pass_ms(ms.into()),
                Step::Replug => {
                    ward.unplug(link, "ox-1");
                    link += 3;
                }
                Step::Place(in_bed) => {
                    let request = edge_api::bed::PlacePatient { patient: in_bed.then(|| "ana".to_owned()), since_ms: None };
                    ward.ask(edge_core::Command::PlacePatient { bed: "2".to_owned(), request });
                }
                Step::Hold => ward.hold = true,
                Step::Answer => {
                    ward.hold = false;
                    ward.answer();
                }
                Step::Refuse => {
                    if ward.waiting.is_some() {
                        ward.refuse("busy", 50);
                    }
                }
                Step::Crash(durable) => {
                    if durable {
                        ward.persist();
                    }
                    ward.hold = false;
                    ward.crash();
                }
            }
        }
        ward.hold = false;
        ward.answer();
        ward.pass_ms(2_000);
        ward.handle(Input::Stop);
        ward.pass_ms(2_000);
        prop_assert!(ward.log.contains(&Effect::Stopped));
        ward.check_nothing_lost_or_doubled();
    }
}

#[test]
fn on_a_full_disk_values_are_shown_as_not_saved_nothing_is_acknowledged_and_then_all_of_it_is_saved() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.connect(2, "ox-1");
    ward.hold = true;
    ward.bytes(2, "ox-1", PLX, &plx(95, 70));
    ward.refuse_as(true, "the disk is full", 1_000);
    let saving = ward.ward().saving;
    assert!(saving.stopped_ms.is_some() && saving.problem.is_some_and(|problem| problem.contains("disk is full")));
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("95"), "refused, and shown");
    // What comes while nothing is saved is shown as it comes.
    ward.bytes(2, "ox-1", PLX, &plx(94, 70));
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("94"));
    ward.bytes(1, "net-1", Channel::Stream, &oru("m1", "20251124160001", &[SPO2]));
    ward.pass_ms(1_000);
    ward.refuse_as(true, "the disk is full", 1_000);
    assert!(ward.sends().is_empty(), "acknowledged what is not saved");
    let told = ward.lives().iter().filter(|message| matches!(message, edge_api::live::LiveMessage::Saving(_))).count();
    assert_eq!(told, 1, "told once");
    ward.hold = false;
    ward.pass_ms(1_000);
    assert_eq!(ward.ward().saving, edge_api::saving::SavingView::default());
    assert_eq!(ward.sends().len(), 1);
    assert_eq!(ward.charted_values("ana", Code::SPO2).len(), 3);
    ward.bytes(2, "ox-1", PLX, &plx(93, 70));
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("93"));
}

#[test]
fn a_command_on_a_full_disk_is_refused_as_such() {
    let mut ward = ward();
    ward.register("berta", json!({}));
    ward.hold = true;
    let id = ward.ask(observe("2", "ana", &[("temperature", "37.2", "Cel")]));
    for _ in 0..3 {
        ward.refuse_as(true, "the disk is full", 1_000);
        ward.pass_ms(1_000);
    }
    assert!(matches!(ward.answer_to(id), Some(Err(CommandError::DiskFull { .. }))), "{:?}", ward.answer_to(id));
}

#[test]
fn who_is_answered_that_a_patient_is_placed_finds_them_on_the_board() {
    let mut ward = ward();
    for patient in ["berta", "carl", "ana"] {
        if patient != "ana" {
            ward.register(patient, json!({}));
        }
        ward.log.clear();
        ward.place("2", Some(patient)).expect("placed");
        let reply = ward.log.iter().position(|effect| matches!(effect, Effect::Reply { .. })).expect("a reply");
        let shown = ward.log[..reply].iter().any(|effect| match effect {
            Effect::Live(edge_core::LiveEvent::Message(message)) => {
                matches!(message.as_ref(), edge_api::live::LiveMessage::Bed(bed) if bed.bed == "2" && bed.patient.as_ref().is_some_and(|p| p.id == patient))
            }
            _ => false,
        });
        assert!(shown, "{patient}: the answer came before the board knew");
    }
}

/// A glucose measurement with a number and a time, 5.0 mmol/L from capillary whole blood.
fn glucose(number: u16, minute: u8) -> Vec<u8> {
    [&[0b0000_0010][..], &number.to_le_bytes(), &2025u16.to_le_bytes(), &[11, 24, 15, minute, 0], &[0xF4, 0xB1, 0x11]].concat()
}

#[test]
fn the_memory_of_a_meter_that_comes_again_after_a_crash_is_charted_once_also_where_its_clock_has_no_zone() {
    const GLUCOSE: Channel = Channel::assigned(0x2A18);
    let mut ward = Ward::new(vec![device("meter", "sig-glucose", Some("2"))]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    let mut charted = Vec::new();
    for round in 0..3u16 {
        ward.connect(1, "meter");
        for number in 1..=3 + round {
            ward.bytes(1, "meter", GLUCOSE, &glucose(number, number as u8));
        }
        // Sealed: the journal is empty, and what is known lies in no tick.
        ward.pass_ms(120_000);
        assert!(ward.journal().is_empty());
        charted.push(ward.charted("ana").iter().flat_map(|f| &f.numerics).filter(|n| n.value.is_ok()).count());
        ward.crash();
    }
    assert!(charted[0] > 0 && charted[0] % 3 == 0, "{charted:?}");
    assert_eq!(charted.iter().map(|count| count * 3 / charted[0]).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn a_record_whose_commit_was_lost_in_a_crash_is_taken_when_it_comes_again() {
    const GLUCOSE: Channel = Channel::assigned(0x2A18);
    let mut ward = Ward::new(vec![device("meter", "sig-glucose", Some("2"))]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "meter");
    ward.hold = true;
    ward.bytes(1, "meter", GLUCOSE, &glucose(1, 1));
    ward.crash();
    ward.hold = false;
    ward.connect(1, "meter");
    ward.bytes(1, "meter", GLUCOSE, &glucose(1, 1));
    assert!(!ward.charted("ana").is_empty());
}

#[test]
fn a_cuff_result_that_a_monitor_still_shows_after_a_crash_is_charted_once_and_the_next_one_is_new() {
    const CUFF: [(u32, &str, u32); 2] = [(150_301, "120", 266_016), (150_302, "80", 266_016)];
    let mut ward = ward();
    let hear = |ward: &mut Ward, id: &str, values: &[(u32, &str, u32)]| {
        let text = String::from_utf8(oru(id, "20251124160001", values)).expect("text");
        // A monitor that gives its results no time.
        let untimed = text.replace("OBR|1||||||20251124160001+0000", "OBR|1");
        ward.connect(1, "net-1");
        ward.bytes(1, "net-1", Channel::Stream, untimed.as_bytes());
    };
    hear(&mut ward, "m1", &CUFF);
    ward.pass_ms(120_000);
    ward.crash();
    hear(&mut ward, "m2", &CUFF);
    assert_eq!(ward.charted_values("ana", Code::NIBP_SYSTOLIC), ["120"]);
    hear(&mut ward, "m3", &[(150_301, "120", 266_016), (150_302, "85", 266_016)]);
    assert_eq!(ward.charted_values("ana", Code::NIBP_SYSTOLIC), ["120", "120"]);
    assert_eq!(ward.charted_values("ana", Code::NIBP_DIASTOLIC), ["80", "85"]);
}

#[test]
fn a_cuff_result_with_a_time_of_its_own_is_new_after_a_crash_although_its_values_are_those_of_the_last() {
    let mut ward = ward();
    for (id, time) in [("m1", "20251124160001"), ("m2", "20251124161501")] {
        ward.connect(1, "net-1");
        ward.bytes(1, "net-1", Channel::Stream, &oru(id, time, &[(150_301, "120", 266_016)]));
        ward.crash();
    }
    assert_eq!(ward.charted_values("ana", Code::NIBP_SYSTOLIC), ["120", "120"]);
}
