//! What laboratory analysers send: kept as documents before it is acknowledged, once, and filed to a patient only where it is
//! certain whose it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Channel;
use driver::frame::mllp;
use edge_core::{Effect, Input};
use protocol::commit::Draft;
use protocol::store::DocumentFilter;
use protocol::{Commit, Store, Where};
use record::fhir::validate;
use serde_json::{Value, json};
use support::*;

/// A message of one order on one specimen: (test, value, flags, status, time).
type Result5<'a> = (&'a str, &'a str, &'a str, &'a str);

fn ward() -> Ward {
    let mut ward = Ward::new(vec![device("lab-1", "astm-analyser", None), device("net-1", "ihe-pcd01", Some("2"))]);
    ward.register("ana", json!({"identifier": [{"value": "H-10001"}, {"use": "old", "value": "H-00009"}]}));
    ward.register("berta", json!({"identifier": [{"system": "urn:ward", "value": "H-20002"}]}));
    ward.pass_ms(1_000);
    ward.log.clear();
    ward
}

fn astm(patient: &str, specimen: &str, control: &str, results: &[Result5<'_>]) -> Vec<u8> {
    let mut text = format!("H|\\^&|||Acme^A1\rP|1|{patient}\rO|1|{specimen}||^^^CBC|||||||{control}\r");
    for (n, (test, value, status, time)) in results.iter().enumerate() {
        text.push_str(&format!("R|{}|^^^{test}|{value}|10^3/uL|||H|{status}||||{time}\r", n + 1));
    }
    text.push_str("L|1|N\r");
    let row = catalogue::protocol("astm.lis2").expect("protocol");
    (row.as_sent)(text.as_bytes())
}

fn hl7(id: &str, specimen: &str, patient: &str, value: &str, status: &str) -> Vec<u8> {
    let text = format!(
        "MSH|^~\\&|XN|Sysmex|||20251124160000+0000||ORU^R01|{id}|P|2.5\rPID|1||{patient}\rOBR|1||{specimen}|CBC\r\
         OBX|1|NM|6690-2^WBC^LN||{value}|10*3/uL|||||{status}|||20251124155900+0000\r"
    );
    mllp(text.as_bytes())
}

fn send(ward: &mut Ward, bytes: &[u8]) {
    ward.connect(9, "lab-1");
    ward.bytes(9, "lab-1", Channel::Stream, bytes);
    ward.pass_ms(10);
}

fn kept(ward: &mut Ward, kind: &str) -> Vec<Value> {
    let mut tx = ward.store.begin().expect("begin");
    let filter = DocumentFilter { resource_type: kind.to_owned(), limit: 1000, ..DocumentFilter::default() };
    let found = tx.documents(&filter).expect("documents");
    let all: Vec<Value> = found.iter().map(|d| serde_json::from_str(&d.json).expect("json")).collect();
    for document in &all {
        assert_eq!(validate(document), [], "{document}");
    }
    all
}

fn reports(ward: &mut Ward) -> Vec<Value> {
    kept(ward, "DiagnosticReport")
}

fn subject(report: &Value) -> &str {
    report["subject"]["reference"].as_str().unwrap_or("nobody")
}

fn why(report: &Value) -> &str {
    report["extension"][0]["valueCode"].as_str().unwrap_or_default()
}

fn value_of(ward: &mut Ward, test: &str) -> (String, String) {
    let of_test = |o: &&Value| o["code"]["coding"][0]["code"] == test;
    let results = kept(ward, "Observation");
    let found: Vec<_> = results.iter().filter(of_test).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0]["valueQuantity"]["value"].to_string(), found[0]["status"].as_str().expect("status").to_owned())
}

const WBC: Result5<'static> = ("WBC", "6.20", "F", "20251124155900");
const RBC: Result5<'static> = ("RBC", "4.5", "F", "20251124155900");

#[test]
fn a_report_is_acknowledged_only_once_it_is_durable() {
    let mut ward = ward();
    ward.connect(1, "net-1");
    ward.hold = true;
    ward.bytes(1, "net-1", Channel::Stream, &hl7("m1", "S-0001", "H-10001", "6.2", "F"));
    ward.pass_ms(3_000);
    assert!(ward.sends().is_empty());
    ward.hold = false;
    ward.answer();
    let sent = ward.sends();
    assert!(sent.len() == 1 && String::from_utf8_lossy(&sent[0]).contains("MSA|AA|m1"), "{sent:?}");
    let reports = reports(&mut ward);
    assert_eq!((reports.len(), subject(&reports[0]), reports[0]["status"].as_str()), (1, "Patient/ana", Some("final")));
    assert_eq!(reports[0]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(value_of(&mut ward, "6690-2"), ("6.2".to_owned(), "final".to_owned()));
}

#[test]
fn astm_ends_with_an_acknowledgement_only_after_the_commit() {
    let mut ward = ward();
    ward.connect(9, "lab-1");
    ward.bytes(9, "lab-1", Channel::Stream, &[0x05]);
    ward.log.clear();
    ward.hold = true;
    let bytes = astm("H-10001", "S-0001", "", &[WBC]);
    let frames = bytes.strip_prefix(&[0x05]).unwrap_or(&bytes);
    ward.bytes(9, "lab-1", Channel::Stream, frames);
    let before = ward.sends().len();
    ward.hold = false;
    ward.answer();
    assert!(ward.sends().len() > before, "the frame that ends the message is acknowledged after the commit");
    assert_eq!(reports(&mut ward).len(), 1);
}

#[test]
fn a_patients_number_files_a_report_and_anything_less_than_certain_does_not() {
    for (patient, specimen, control, whose, reason) in [
        ("H-10001", "S-0001", "", "Patient/ana", ""),
        ("", "H-20002", "", "Patient/berta", ""),
        ("H-10001", "H-10001", "", "Patient/ana", ""),
        ("H-10001", "H-20002", "", "nobody", "contradiction"),
        ("H-99999", "S-0001", "", "nobody", "unknown-number"),
        ("H-00009", "S-0001", "", "nobody", "unknown-number"),
        ("", "S-0001", "", "nobody", "unknown-number"),
        ("", "", "", "nobody", "no-number"),
        ("H-10001", "H-10001", "Q", "Device/lab-1", "control-material"),
    ] {
        let mut ward = ward();
        send(&mut ward, &astm(patient, specimen, control, &[WBC]));
        let reports = reports(&mut ward);
        assert_eq!(reports.len(), 1, "{patient} {specimen}");
        assert_eq!((subject(&reports[0]), why(&reports[0])), (whose, reason), "{patient} {specimen}");
        let results = kept(&mut ward, "Observation");
        assert!(results.iter().all(|result| subject(result) == whose), "{results:?}");
    }
}

#[test]
fn a_number_that_two_patients_have_files_to_nobody() {
    let mut ward = ward();
    ward.register("carla", json!({"identifier": [{"value": "H-10001"}]}));
    send(&mut ward, &astm("H-10001", "S-0001", "", &[WBC]));
    let reports = reports(&mut ward);
    assert_eq!((subject(&reports[0]), why(&reports[0])), ("nobody", "ambiguous-number"));
}

#[test]
fn running_numbers_of_an_analyser_are_nobodys() {
    let mut ward = ward();
    ward.register("dora", json!({"identifier": [{"value": "12"}]}));
    send(&mut ward, &astm("", "12", "", &[WBC]));
    assert_eq!(subject(&reports(&mut ward)[0]), "nobody");
}

#[test]
fn a_transmission_that_comes_again_changes_nothing_and_is_acknowledged_also_after_a_crash() {
    let mut ward = ward();
    let message = hl7("m1", "S-0001", "H-10001", "6.2", "F");
    for link in 1..=3 {
        ward.connect(link, "net-1");
        ward.bytes(link, "net-1", Channel::Stream, &message);
        assert_eq!(ward.sends().len(), 1);
        ward.log.clear();
        let commits = ward.commits;
        ward.bytes(link, "net-1", Channel::Stream, &hl7("m2", "S-0001", "H-10001", "6.2", "F"));
        assert_eq!((ward.sends().len(), ward.commits), (1, commits), "the same under another message id");
        ward.crash();
        ward.log.clear();
    }
    assert_eq!(reports(&mut ward).len(), 1);
    assert_eq!(kept(&mut ward, "Observation").len(), 1);
}

#[test]
fn a_corrected_result_amends_its_report_and_the_first_sent_again_does_not_undo_it() {
    let mut ward = ward();
    let first = astm("H-10001", "S-0001", "", &[WBC, RBC]);
    send(&mut ward, &first);
    send(&mut ward, &astm("H-10001", "S-0001", "", &[("WBC", "7.1", "C", "20251124161500")]));
    let check = |ward: &mut Ward| {
        let reports = reports(ward);
        assert_eq!((reports.len(), reports[0]["status"].as_str()), (1, Some("amended")));
        assert_eq!(value_of(ward, "WBC"), ("7.1".to_owned(), "amended".to_owned()));
        assert_eq!(value_of(ward, "RBC"), ("4.5".to_owned(), "final".to_owned()));
    };
    check(&mut ward);
    send(&mut ward, &first);
    check(&mut ward);
    ward.crash();
    send(&mut ward, &first);
    check(&mut ward);
}

#[test]
fn preliminary_results_become_final_and_more_results_are_added() {
    let mut ward = ward();
    send(&mut ward, &astm("H-10001", "S-0001", "", &[("WBC", "6.0", "P", "20251124155900")]));
    assert_eq!(reports(&mut ward)[0]["status"], "preliminary");
    ward.crash();
    send(&mut ward, &astm("H-10001", "S-0001", "", &[WBC, RBC]));
    let reports = reports(&mut ward);
    assert_eq!((reports.len(), reports[0]["status"].as_str(), reports[0]["result"].as_array().map(Vec::len)), (1, Some("final"), Some(2)));
    assert_eq!(value_of(&mut ward, "WBC"), ("6.20".to_owned(), "final".to_owned()));
}

#[test]
fn another_measurement_of_the_same_number_is_another_report() {
    let mut ward = ward();
    send(&mut ward, &astm("H-10001", "S-0001", "", &[WBC]));
    // Zoneless times count as unknown here: as HL7 they are stated.
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &hl7("m1", "S-0001", "H-10001", "6.2", "F"));
    assert_eq!(reports(&mut ward).len(), 2, "another analyser's is another report");
    let later = String::from_utf8(hl7("m2", "S-0001", "H-10001", "9.9", "F")).expect("text").replace("20251124155900", "20251124165900");
    ward.bytes(1, "net-1", Channel::Stream, later.as_bytes());
    assert_eq!(reports(&mut ward).len(), 3);
}

#[test]
fn equal_results_without_any_number_are_never_taken_for_one() {
    let mut ward = ward();
    let message = astm("", "", "", &[("GLU", "5.0", "F", "")]);
    send(&mut ward, &message);
    send(&mut ward, &message);
    assert_eq!(reports(&mut ward).len(), 2);
}

#[test]
fn a_report_nobody_was_known_for_is_filed_when_it_comes_again_and_the_stray_one_is_struck_through() {
    let mut ward = ward();
    let message = astm("H-30003", "S-0001", "", &[WBC]);
    send(&mut ward, &message);
    ward.register("clara", json!({"identifier": [{"value": "H-30003"}]}));
    send(&mut ward, &message);
    let mut reports = reports(&mut ward);
    reports.sort_by_key(|report| subject(report).to_owned());
    let shown: Vec<_> = reports.iter().map(|report| (subject(report), report["status"].as_str().expect("status"))).collect();
    assert_eq!(shown, [("Patient/clara", "final"), ("nobody", "entered-in-error")]);
}

#[test]
fn a_report_the_store_refuses_to_file_ends_with_nobody_and_holds_up_no_other_device() {
    fn to_ana(commit: &Commit) -> bool {
        let ana = |draft: &Draft| matches!(draft, Draft::Create { place: Where::Patient(patient), .. } if patient.as_str() == "ana");
        commit.drafts.iter().any(ana)
    }
    let mut ward = ward();
    ward.refuses = to_ana;
    ward.connect(9, "lab-1");
    ward.bytes(9, "lab-1", Channel::Stream, &astm("H-10001", "S-0001", "", &[WBC]));
    ward.connect(1, "net-1");
    ward.bytes(1, "net-1", Channel::Stream, &oru("v1", "20251124160001", &[(150_456, "97", 262_688)]));
    ward.pass_ms(3_000);
    let vitals = |e: &Effect| matches!(e, Effect::Send { bytes, .. } if String::from_utf8_lossy(bytes).contains("MSA|AA|v1"));
    assert!(ward.log.iter().any(vitals), "the monitor is answered meanwhile");
    ward.pass_ms(60_000);
    let reports = reports(&mut ward);
    assert_eq!((reports.len(), subject(&reports[0]), why(&reports[0])), (1, "nobody", "not-kept"));
}

#[test]
fn a_report_that_waits_when_the_box_stops_is_written_first() {
    let mut ward = ward();
    ward.connect(9, "lab-1");
    ward.hold = true;
    ward.bytes(9, "lab-1", Channel::Stream, &astm("H-10001", "S-0001", "", &[WBC]));
    ward.handle(Input::Stop);
    assert!(!ward.log.contains(&Effect::Stopped));
    ward.hold = false;
    ward.answer();
    ward.pass_ms(10);
    assert!(ward.log.contains(&Effect::Stopped));
    assert_eq!(reports(&mut ward).len(), 1);
}

#[test]
fn results_of_a_capture_that_is_played_are_demonstrations() {
    let mut ward = Ward::new(vec![edge_core::DeviceSetting { replayed: true, ..device("lab-1", "astm-analyser", None) }]);
    ward.register("ana", json!({"identifier": [{"value": "H-10001"}]}));
    send(&mut ward, &astm("H-10001", "S-0001", "", &[WBC]));
    let reports = reports(&mut ward);
    assert_eq!((reports.len(), subject(&reports[0]), why(&reports[0])), (1, "nobody", "demonstration"));
}

/// Begins to pair an analyser; the pairing, and the id its device has.
fn begin_pairing(ward: &mut Ward) -> (String, String) {
    let request = edge_api::device::BeginPairing {
        by: edge_api::device::ReachedBy::Serial { path: "/dev/serial/by-id/analyser".to_owned() },
        bed: "2".to_owned(),
        profile: Some("astm-analyser".to_owned()),
        name: None,
        replaces: None,
        bond: false,
        take_over: false,
    };
    match ward.command(edge_core::Command::BeginPairing(request)) {
        Ok(edge_core::CommandReply::Pairing(view)) => (view.id, view.device),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_report_of_a_device_that_is_gone_before_it_is_written_is_kept_as_nobodys_and_holds_up_nothing() {
    let mut ward = ward();
    let (pairing, analyser) = begin_pairing(&mut ward);
    ward.connect(1, &analyser);
    ward.connect(2, "net-1");
    ward.hold = true;
    // A commit is under way while all of it happens.
    ward.bytes(2, "net-1", Channel::Stream, &oru("v1", "20251124160001", &[(150_456, "97", 262_688)]));
    ward.bytes(1, &analyser, Channel::Stream, &astm("H-10001", "S-0001", "", &[WBC]));
    ward.command(edge_core::Command::CancelPairing(pairing)).expect("cancelled");
    ward.bytes(2, "net-1", Channel::Stream, &hl7("m1", "S-0002", "H-10001", "6.2", "F"));
    ward.hold = false;
    ward.answer();
    ward.pass_ms(1_000);
    let mut found: Vec<_> = reports(&mut ward).iter().map(|report| subject(report).to_owned()).collect();
    found.sort();
    assert_eq!(found, ["Patient/ana", "nobody"]);
    assert!(ward.sends().iter().any(|sent| String::from_utf8_lossy(sent).contains("MSA|AA|m1")), "the next one is answered");
    ward.stop();
}

#[test]
fn a_report_of_a_device_nobody_has_confirmed_is_nobodys() {
    let mut ward = ward();
    let (_, analyser) = begin_pairing(&mut ward);
    ward.connect(1, &analyser);
    ward.bytes(1, &analyser, Channel::Stream, &astm("H-10001", "S-0001", "", &[WBC]));
    ward.pass_ms(1_000);
    let reports = reports(&mut ward);
    assert_eq!((reports.len(), subject(&reports[0])), (1, "nobody"));
}
