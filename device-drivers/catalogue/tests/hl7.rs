//! Messages as monitors send them, and what goes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::frame::mllp;
use driver::profile::{Clock, Profile};
use driver::{About, Channel, Driver, In, Out};
use record::code::Code;
use record::observation::Quality;
use record::time::Monotonic;
use record::unit::Unit;
use support::{faults, readings, value};

const HEAD: &str = "MSH|^~\\&|MON^1^EUI-64|W|||20150118143000+0000||ORU^R01^ORU_R01|id1|P|2.6";
const SPO2: &str = "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1|97|262688^MDC_DIM_PERCENT^MDC|||||R";

fn driver(profile: &Profile) -> Box<dyn Driver> {
    (catalogue::protocol("hl7.oru").expect("hl7").make)(profile)
}
fn send(driver: &mut dyn Driver, text: &str) -> Vec<Out> {
    driver.handle(Monotonic(0), In::Bytes(Channel::Stream, &mllp(text.as_bytes())))
}
fn once(text: &str) -> Vec<Out> {
    send(&mut *driver(&Profile::bare("hl7.oru")), text)
}
fn obx(line: &str) -> Vec<Out> {
    once(&format!("{HEAD}\rOBR|1\r{line}\r"))
}
fn answer(out: &[Out]) -> String {
    let texts = out.iter().filter_map(|o| if let Out::Acknowledge(_, bytes) = o { Some(String::from_utf8_lossy(bytes)) } else { None });
    texts.map(|text| text.split("MSA|").nth(1).expect("MSA").trim_end_matches(['\r', '\x1C']).to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn readings_come_before_their_acknowledgement() {
    let out = obx(SPO2);
    assert_eq!(value(&out, Code::SPO2).as_deref(), Some("97"));
    assert_eq!(answer(&out), "AA|id1|");
    assert!(matches!(out.last(), Some(Out::Acknowledge(Channel::Stream, _))));
}

#[test]
fn an_unknown_a_missing_and_an_impossible_unit_are_refused_with_their_value_and_named() {
    for (unit, why) in [("999999^MDC_DIM_FURLONG^MDC", "unknown unit"), ("", "no unit"), ("266016^MDC_DIM_MMHG^MDC", "mm[Hg]")] {
        let out = obx(&SPO2.replace("262688^MDC_DIM_PERCENT^MDC", unit));
        assert!(readings(&out).is_empty(), "{out:?}");
        let said = faults(&out);
        assert!(said.len() == 1 && said[0].starts_with("OBX-6: OBX 1 (150456)") && said[0].contains(why), "{said:?}");
        assert!(answer(&out).starts_with("AE|id1|OBX-6: OBX 1"), "{}", answer(&out));
    }
}

#[test]
fn a_refused_observation_does_not_hide_the_next() {
    let out = obx(&format!("{}\r{SPO2}", SPO2.replace("|97|", "|high|")));
    assert_eq!(value(&out, Code::SPO2).as_deref(), Some("97"));
    assert_eq!(faults(&out), ["OBX-5: OBX 1 (150456): not a decimal number"]);
}

#[test]
fn units_are_read_in_mdc_and_in_ucum() {
    for (unit, want) in [
        ("268192^MDC_DIM_DEGC^MDC", Unit::Celsius),
        ("266560^MDC_DIM_FAHR^MDC", Unit::Fahrenheit),
        ("Cel^degree^UCUM", Unit::Celsius),
        ("Cel", Unit::Celsius),
        ("x^y^99LOCAL^268192^MDC_DIM_DEGC^MDC", Unit::Celsius),
    ] {
        let out = obx(&format!("OBX|1|NM|150344^MDC_TEMP^MDC|1|36.40|{unit}|||||R"));
        assert_eq!((readings(&out)[0].unit, value(&out, Code::TEMPERATURE).as_deref()), (want, Some("36.40")), "{unit}");
    }
}

#[test]
fn flags_and_marks_decide_what_a_number_is_worth() {
    let mut profile = Profile::bare("hl7.oru");
    profile.absent = vec!["-100".parse().expect("decimal"), "8388607".parse().expect("decimal")];
    let status = |from: &str, to: &str| {
        let out = send(&mut *driver(&profile), &format!("{HEAD}\rOBR|1\r{}\r", SPO2.replacen(from, to, 1)));
        readings(&out)[0].status()
    };
    assert_eq!(status("MDC|||||R", "MDC||QUES|||R"), "artefact");
    assert_eq!(status("MDC|||||R", "MDC||L~QUES|||R"), "artefact");
    assert_eq!(status("MDC|||||R", "MDC||INV|||R"), "artefact");
    assert_eq!(status("MDC|||||R", "MDC||OFF|||R"), "sensor-off");
    assert_eq!(status("MDC|||||R", "MDC||DEMO|||R"), "demo");
    assert_eq!(status("MDC|||||R", "MDC||TEST|||R"), "demo");
    assert_eq!(status("MDC|||||R", "MDC|||||R||||||DEMO"), "demo");
    assert_eq!(status("MDC|||||R", "MDC|||||X"), "not-measured");
    assert_eq!(status("|97|", "||"), "not-measured");
    assert_eq!(status("|97|", "|-100.00|"), "not-measured");
    assert_eq!(status("|97|", "|8388607|"), "not-measured");
    // Another sender's mark is a number here; whether it is credible is judged later.
    assert_eq!(status("|97|", "|-1|"), "ok");
}

#[test]
fn training_and_debugging_messages_are_demonstration() {
    for (id, want) in [("P", Quality::Good), ("T", Quality::Demo), ("D", Quality::Demo)] {
        let out = once(&format!("{}\rOBR|1\r{SPO2}\r", HEAD.replace("|P|2.6", &format!("|{id}|2.6"))));
        assert_eq!(readings(&out)[0].quality, want);
    }
}

#[test]
fn the_observations_own_time_counts_then_the_reports_and_a_zone_is_needed() {
    let time = |head: &str, obr: &str, obx14: &str, profile: &Profile| {
        let out = send(&mut *driver(profile), &format!("{head}\rOBR|1||||||{obr}\r{SPO2}|||{obx14}\r"));
        readings(&out)[0].device_time.map(|t| t.rfc3339())
    };
    let bare = Profile::bare("hl7.oru");
    let unzoned = HEAD.replace("+0000", "");
    assert_eq!(time(&unzoned, "20150118150000+0000", "20150118143000+0100", &bare).as_deref(), Some("2015-01-18T13:30:00.000Z"));
    assert_eq!(time(&unzoned, "20150118150000+0000", "", &bare).as_deref(), Some("2015-01-18T15:00:00.000Z"));
    assert_eq!(time(&unzoned, "20150118150000", "", &bare), None);
    assert_eq!(time(HEAD, "20150118150000", "", &bare).as_deref(), Some("2015-01-18T15:00:00.000Z"));
    let mut local = bare;
    local.clock = Clock::Local;
    local.utc_offset_min = Some(-300);
    assert_eq!(time(&unzoned, "20150118150000", "", &local).as_deref(), Some("2015-01-18T20:00:00.000Z"));
}

#[test]
fn a_cuff_sent_under_arterial_codes_is_believed_by_its_name() {
    let line = |code: u32, name: &str| format!("OBX|1|NM|{code}^{name}^MDC|1|120|266016^MDC_DIM_MMHG^MDC|||||R");
    assert_eq!(value(&obx(&line(150_017, "MDC_PRESS_BLD_NONINV_SYS")), Code::NIBP_SYSTOLIC).as_deref(), Some("120"));
    assert_eq!(value(&obx(&line(150_018, "MDC_PRESS_BLD_NONINV_DIA")), Code::NIBP_DIASTOLIC).as_deref(), Some("120"));
    assert_eq!(value(&obx(&line(150_019, "MDC_PRESS_BLD_NONINV_MEAN")), Code::NIBP_MEAN).as_deref(), Some("120"));
    assert_eq!(value(&obx(&line(150_301, "MDC_PRESS_CUFF_SYS")), Code::NIBP_SYSTOLIC).as_deref(), Some("120"));
    assert_eq!(value(&obx(&line(150_017, "MDC_PRESS_BLD_SYS")), Code::Mdc(150_017)).as_deref(), Some("120"));
}

#[test]
fn a_message_sent_again_is_acknowledged_and_charted_once() {
    let mut driver = driver(&Profile::bare("hl7.oru"));
    let message = format!("{HEAD}\rOBR|1\r{SPO2}\r");
    assert_eq!(readings(&send(&mut *driver, &message)).len(), 1);
    let again = send(&mut *driver, &message);
    assert_eq!((readings(&again).len(), answer(&again)), (0, "AA|id1|".to_owned()));
    assert_eq!(readings(&send(&mut *driver, &message.replace("id1", "id2"))).len(), 1);
}

#[test]
fn a_cuff_result_repeated_in_each_message_is_charted_once() {
    let mut driver = driver(&Profile::bare("hl7.oru"));
    let mut count = |id: usize, systolic: u32| {
        let line = |code: u32, value: u32| format!("OBX|1|NM|{code}^^MDC|1|{value}|266016^^MDC|||||R\r");
        let text = format!("{}\rOBR|1\r{}{}", HEAD.replace("id1", &id.to_string()), line(150_021, systolic), line(150_022, 80));
        readings(&send(&mut *driver, &text)).len()
    };
    assert_eq!([count(1, 120), count(2, 120), count(3, 121), count(4, 121)], [2, 0, 2, 0]);
}

#[test]
fn what_is_not_a_report_is_rejected_and_an_acknowledgement_is_left_alone() {
    let out = once(&HEAD.replace("ORU^R01^ORU_R01", "QRY^R03"));
    assert!(answer(&out).starts_with("AR|id1|MSH-9:"), "{}", answer(&out));
    assert_eq!(faults(&out).len(), 1);
    assert_eq!(once(&HEAD.replace("ORU^R01^ORU_R01", "ACK^R01")), []);
    let out = once("hello");
    assert!(matches!(&out[..], [Out::Fault(f)] if f.skipped == 5));
    let out = once(HEAD);
    assert!(answer(&out).starts_with("AE|id1|OBX:"), "{}", answer(&out));
}

#[test]
fn the_monitor_and_its_place_are_claims_said_once_and_patients_are_not_read() {
    let mut driver = driver(&Profile::bare("hl7.oru"));
    let text = format!("{HEAD}\rPID|||MRN77||DOE^JANE\rPV1||I|ICU^^BED3\rOBR|1\r{SPO2}|||||||0123^EUI-64\r");
    let out = send(&mut *driver, &text);
    let facts: Vec<_> = out.iter().filter_map(|o| if let Out::About(fact) = o { Some(fact.clone()) } else { None }).collect();
    assert_eq!(facts[1..], [About::Serial("0123".to_owned()), About::Location("ICU^^BED3".to_owned())]);
    assert!(matches!(facts[0], About::Clock(_)));
    assert!(!format!("{out:?}").contains("DOE") && !format!("{out:?}").contains("MRN77"));
    let again = send(&mut *driver, &text.replace("id1", "id2"));
    assert!(!again.iter().any(|o| matches!(o, Out::About(_))));
}

#[test]
fn the_device_named_above_the_values_is_the_values_device() {
    let tree = "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||ABC^EUI-64";
    let out = obx(&format!("{tree}\r{SPO2}"));
    assert!(out.contains(&Out::About(About::Serial("ABC".to_owned()))));
    assert!(faults(&out).is_empty(), "a row of the device tree is no observation");
}

#[test]
fn a_message_past_the_limit_is_rejected_by_id_and_the_next_is_read() {
    let mut driver = driver(&Profile::bare("hl7.oru"));
    let long = format!("{HEAD}\rOBR|1\r{}", "x".repeat(1024 * 1024));
    let out = send(&mut *driver, &long);
    assert_eq!(answer(&out), "AR|id1|frame of more than 1048576 bytes");
    assert_eq!(readings(&send(&mut *driver, &format!("{HEAD}\rOBR|1\r{SPO2}\r"))).len(), 1);
}

#[test]
fn two_messages_in_one_packet_and_one_in_many_are_read_alike() {
    let mut whole = driver(&Profile::bare("hl7.oru"));
    let stream = [1, 2].map(|n| mllp(format!("{}\nOBR|1\n{SPO2}\n", HEAD.replace("id1", &n.to_string())).as_bytes())).concat();
    let out = whole.handle(Monotonic(0), In::Bytes(Channel::Stream, &stream));
    assert_eq!(readings(&out).len(), 2);
    let mut parts = driver(&Profile::bare("hl7.oru"));
    let bytewise: Vec<Out> = stream.iter().flat_map(|byte| parts.handle(Monotonic(0), In::Bytes(Channel::Stream, &[*byte]))).collect();
    assert_eq!(out, bytewise);
}

#[test]
fn text_in_latin_1_is_read() {
    let mut bytes = format!("{HEAD}\rPV1||I|Salle A\rOBR|1\r{SPO2}\r").into_bytes();
    let at = bytes.windows(5).position(|w| w == b"Salle").expect("Salle");
    bytes[at + 1] = 0xE9;
    let out = driver(&Profile::bare("hl7.oru")).handle(Monotonic(0), In::Bytes(Channel::Stream, &mllp(&bytes)));
    assert!(out.contains(&Out::About(About::Location("Sélle A".to_owned()))));
}

#[test]
fn a_monitor_that_asks_for_its_patient_is_answered_with_nobody() {
    let out = once("MSH|^~\\&|COMEN|NC5|||20240101120000||QRY^R02|q1|P|2.4\rQRD|20240101120000|R|I|1|||||RES\r");
    let [Out::Send(Channel::Stream, answer)] = &out[..] else { panic!("{out:?}") };
    let answer = String::from_utf8_lossy(answer);
    assert!(answer.contains("ORF^R04") && answer.contains("MSA|AA|q1") && answer.contains("QRD|20240101120000|R|I|1"), "{answer}");
    assert!(!answer.contains("PID"));
}

#[test]
fn an_alarm_report_is_said_and_acknowledged() {
    let head = HEAD.replace("ORU^R01^ORU_R01", "ORU^R40^ORU_R40");
    let event = "OBX|1|ST|196652^MDC_EVT_LO^MDC|1.1|SpO2 LOW||||||R\rOBX|2|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.2|PH||||||R";
    let out = once(&format!("{head}\rOBR|1\r{event}\r"));
    assert!(matches!(&out[0], Out::Alarm(alarm) if alarm.text == "SpO2 LOW" && alarm.active), "{out:?}");
    assert_eq!(answer(&out), "AA|id1|");
}

#[test]
fn a_makers_own_code_is_passed_over_and_refuses_nothing() {
    let own = "OBX|2|NM|64048^MNDRY_EVENT^99MNDRY|1.1|3|262656^MDC_DIM_DIMLESS^MDC|||||R";
    let out = obx(&format!("{own}\r{SPO2}"));
    assert_eq!((readings(&out).len(), faults(&out).len(), answer(&out)), (1, 0, "AA|id1|".to_owned()));
}
