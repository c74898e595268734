//! Whose a measurement is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge_core::CommandError;
use protocol::Where;
use record::binding::{Binding, Bound};
use record::code::Code;
use record::id::ScopeId;
use record::ledger::Hlc;
use record::time::Timestamp;
use serde_json::json;
use support::*;

fn ward() -> Ward {
    let mut spot = device("spot-1", "sig-pulse-oximeter-spot", Some("2"));
    spot.profile.utc_offset_min = Some(0);
    let mut ward = Ward::new(vec![device("ox-1", "sig-pulse-oximeter", Some("2")), device("hr-1", "sig-heart-rate", Some("3")), spot]);
    for patient in ["ana", "berta"] {
        ward.register(patient, json!({}));
    }
    ward.register("tina", json!({"meta": {"tag": [{"code": "HTEST"}]}}));
    ward
}

fn unassigned(ward: &Ward) -> usize {
    ward.sealed.iter().filter(|(place, _)| *place == Where::Unassigned).map(|(_, s)| s.frames().expect("frames").len()).sum()
}

#[test]
fn late_data_go_to_whoever_lay_there_when_it_was_measured() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(60_000);
    let while_ana = ward.now.wall;
    ward.pass_ms(60_000);
    ward.place("2", Some("berta")).expect("placed");
    ward.pass_ms(60_000);
    ward.connect(1, "spot-1");
    ward.bytes(1, "spot-1", PLX_SPOT, &plx_stored(91, 66, while_ana));
    ward.bytes(1, "spot-1", PLX_SPOT, &plx_stored(97, 67, ward.now.wall));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["91"]);
    assert_eq!(ward.charted_values("berta", Code::SPO2), ["97"]);
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("97"), "the board shows who is there");
    ward.stop();
    assert_eq!((ward.charted_values("ana", Code::SPO2), unassigned(&ward)), (vec!["91".to_owned()], 0));
    ward.check_nothing_lost_or_doubled();
}

#[test]
fn a_sample_between_a_placement_and_its_commit_goes_to_the_new_patient() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(90, 70));
    ward.hold = true;
    let request = edge_api::bed::PlacePatient { patient: Some("berta".to_owned()), since_ms: None };
    ward.ask(edge_core::Command::PlacePatient { bed: "2".to_owned(), request });
    ward.pass_ms(5);
    ward.bytes(1, "ox-1", PLX, &plx(99, 70));
    ward.answer();
    ward.hold = false;
    ward.answer();
    ward.stop();
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["90"]);
    assert_eq!(ward.charted_values("berta", Code::SPO2), ["99"]);
}

#[test]
fn nothing_of_the_patient_before_is_shown_for_the_one_after() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(95, 70));
    ward.place("2", Some("berta")).expect("placed");
    assert_eq!(ward.value("2", Code::SPO2), None);
    ward.place("2", None).expect("emptied");
    assert_eq!((ward.value("2", Code::SPO2), ward.bed("2").patient), (None, None));
    ward.bytes(1, "ox-1", PLX, &plx(88, 70));
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("88"), "an empty bed's device is seen, for pairing");
    assert!(ward.open_alerts().is_empty());
    ward.place("2", Some("berta")).expect("placed");
    assert_eq!(ward.value("2", Code::SPO2), None);
}

#[test]
fn a_patient_moves_with_their_values_and_lies_in_one_bed_only() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(93, 70));
    ward.pass_ms(1_000);
    ward.place("3", Some("ana")).expect("moved");
    assert!(ward.bed("2").patient.is_none());
    assert_eq!(ward.value("3", Code::SPO2).as_deref(), Some("93"));
    ward.pass_ms(10);
    ward.bytes(1, "ox-1", PLX, &plx(99, 70));
    assert_eq!(ward.value("3", Code::SPO2).as_deref(), Some("93"), "the oximeter stayed with the bed");
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["93"]);
}

#[test]
fn a_device_in_use_is_moved_only_when_that_is_confirmed() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.place("3", Some("berta")).expect("placed");
    let refused = ward.attach("3", "ox-1", false).expect_err("in use");
    assert_eq!(refused, CommandError::DeviceElsewhere { device: "ox-1".to_owned(), bed: "2".to_owned() });
    assert_eq!((refused.kind(), refused.to_string().contains("bed 2")), ("device-elsewhere", true));
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(90, 70));
    ward.pass_ms(10);
    ward.attach("3", "ox-1", true).expect("moved");
    ward.pass_ms(10);
    ward.bytes(1, "ox-1", PLX, &plx(99, 70));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["90"]);
    assert_eq!(ward.charted_values("berta", Code::SPO2), ["99"]);
    assert_eq!(ward.agent.devices().iter().find(|d| d.id == "ox-1").and_then(|d| d.bed.clone()).as_deref(), Some("3"));
    ward.attach("3", "ox-1", false).expect("it is there already");
}

#[test]
fn overlapping_bindings_file_to_nobody_and_say_so_until_one_is_chosen() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(1_000);
    let what = Bound::Patient { patient: "berta".parse().expect("id"), scope: ScopeId([9; 16]) };
    let overlap = Binding { id: "other".parse().expect("id"), what, bed: "2".parse().expect("bed"), from: ward.now.wall, until: None };
    ward.handle(edge_core::Input::BindingsChanged(vec![(Hlc::default(), overlap)]));
    ward.pass_ms(1_000);
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(80, 70));
    let view = ward.agent.devices().into_iter().find(|d| d.id == "ox-1").expect("device");
    assert!(view.reason.contains("filed to nobody"), "{view:?}");
    assert!(ward.open_alerts().is_empty() && ward.bed("2").patient.is_none());
    ward.place("2", Some("berta")).expect("chosen");
    ward.bytes(1, "ox-1", PLX, &plx(96, 70));
    assert_eq!(ward.charted_values("berta", Code::SPO2), ["96"]);
    ward.stop();
    assert_eq!(unassigned(&ward), 1);
}

#[test]
fn demonstration_data_are_filed_only_to_a_patient_tagged_test() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx_demo(70, 200));
    assert_eq!(ward.value("2", Code::SPO2), None);
    assert!(ward.open_alerts().is_empty());
    assert!(ward.bed("2").devices[0].reason.contains("demonstration"));
    ward.place("2", Some("tina")).expect("placed");
    ward.bytes(1, "ox-1", PLX, &plx_demo(71, 90));
    assert_eq!(ward.shown("2", Code::SPO2).map(|n| n.status), Some("demo".to_owned()));
    assert_eq!(ward.open_alerts().len(), 1);
    ward.stop();
    assert_eq!(unassigned(&ward), 1);
    assert_eq!(ward.charted_values("ana", Code::SPO2), Vec::<String>::new());
    assert_eq!(ward.charted_values("tina", Code::SPO2), ["71"]);
}

#[test]
fn a_configured_bed_counts_at_the_first_start_only() {
    let mut ward = ward();
    assert_eq!(ward.agent.devices().iter().filter(|d| d.bed.is_some()).count(), 3);
    ward.attach("1", "ox-1", true).expect("moved");
    ward.crash();
    assert_eq!(ward.agent.devices().iter().find(|d| d.id == "ox-1").and_then(|d| d.bed.clone()).as_deref(), Some("1"));
}

#[test]
fn each_device_is_one_valid_fhir_device() {
    let mut ward = ward();
    ward.crash();
    let devices = recovered(&mut ward.store).devices;
    assert_eq!(devices.len(), 3);
    for device in devices {
        let issues = record::fhir::validate(&device);
        assert!(issues.is_empty(), "{issues:?}");
    }
}

#[test]
fn an_unset_device_clock_gives_way_to_arrival() {
    let mut ward = ward();
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(10);
    ward.connect(1, "spot-1");
    ward.bytes(1, "spot-1", PLX_SPOT, &plx_stored(97, 66, Timestamp::parse("2001-01-01T00:00:00Z").expect("time")));
    let frame = ward.charted("ana").pop().expect("charted");
    assert_eq!(frame.measured, frame.arrived);
    assert_eq!(frame.device_time, Timestamp::parse("2001-01-01T00:00:00Z").ok());
    assert!(ward.log.iter().any(|e| matches!(e, edge_core::Effect::Note(edge_core::Note::ClockUnusable(_)))));
}
