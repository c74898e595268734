//! Shared captures: each decodes, and only to what the profile of its device claims.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use catalogue::profiles;
use driver::profile::Profile;
use driver::{About, Channel, In, Out};
use record::code::Code;
use record::decimal::Decimal;
use record::laboratory::{LabKind, LabValue};
use record::time::Monotonic;
use record::unit::Unit;
use support::{device_data, faults, files, readings, results, value};

fn profile(name: &str) -> Profile {
    profiles().expect("profiles").into_iter().find(|p| p.name == name).expect(name)
}

fn decode(folder: &str, file: &str, protocol: &str) -> Option<Vec<Out>> {
    let bytes = std::fs::read(device_data()?.join(folder).join(file)).expect(file);
    Some(catalogue::decode(protocol, &bytes).expect("known"))
}

#[test]
fn a_captured_dri_session_gives_the_monitors_numbers() {
    let Some(out) = decode("ge-dri", "pycollect-notebook-raw.raw", "ge.dri") else { return };
    for (code, want) in [
        (Code::HEART_RATE, "80"),
        (Code::RESPIRATORY_RATE_IMPEDANCE, "15"),
        (Code::NIBP_SYSTOLIC, "93.00"),
        (Code::NIBP_DIASTOLIC, "48.00"),
        (Code::NIBP_MEAN, "69.00"),
        (Code::SPO2, "96.65"),
        (Code::PULSE_RATE, "83"),
        (Code::PERFUSION_INDEX, "3.77"),
        (Code::ET_CO2, "37.0"),
        (Code::FI_CO2, "2.0"),
        (Code::RESPIRATORY_RATE_CO2, "15"),
        (Code::ABP_SYSTOLIC, "not-measured"),
        (Code::ST_II, "0.00"),
    ] {
        assert_eq!(value(&out, code).as_deref(), Some(want), "{}", code.key());
    }
    let all = |code| readings(&out).into_iter().filter(|r| r.code == code).map(|r| r.value.clone().ok()).collect::<Vec<_>>();
    assert_eq!(all(Code::SPO2)[1], Some(Decimal::new(9572, -2)));
    assert_eq!(all(Code::SPO2).len(), 11);
    assert_eq!(all(Code::NIBP_SYSTOLIC).len(), 1, "the cuff measured once");
    let waves: Vec<_> = out.iter().filter_map(|o| if let Out::Wave(w) = o { Some(w) } else { None }).collect();
    assert_eq!(waves.len(), 10);
    assert_eq!((waves[0].code, &waves[0].raw[..3], waves[0].raw.len()), (Code::PLETH, &[-154, -157, -161][..], 100));
    assert!(faults(&out).is_empty(), "{:?}", faults(&out));
}

#[test]
fn an_unframed_dri_record_is_read_from_a_file() {
    let Some(out) = decode("ge-dri", "lnhealth-wave-record.bin", "ge.dri") else { return };
    let ecg = out.iter().find_map(|o| if let Out::Wave(w) = o { (w.code == Code::ECG_II).then_some(w) } else { None }).expect("ECG");
    assert_eq!((ecg.raw[0], ecg.unit, ecg.rate_hz), (-177, Unit::Millivolt, Decimal::whole(300)));
    let Some(out) = decode("ge-dri", "lnhealth-trend-record.bin", "ge.dri") else { return };
    assert_eq!(value(&out, Code::ABP_SYSTOLIC).as_deref(), Some("9.00"));
    assert!(faults(&out).is_empty());
}

#[test]
fn a_b40_message_gives_its_numbers_and_a_blood_pressure_marked_test_is_demo() {
    let Some(out) = decode("hl7-monitor", "ge-b40-26.hl7", "hl7.oru") else { return };
    for (code, want) in
        [(Code::HEART_RATE, "68"), (Code::ET_CO2_EXPIRED, "1"), (Code::FI_CO2, "1"), (Code::PULSE_RATE, "67"), (Code::SPO2, "97")]
    {
        assert_eq!(value(&out, code).as_deref(), Some(want), "{}", code.key());
    }
    assert_eq!(readings(&out).len(), 5);
    assert!(faults(&out).is_empty());
    let Some(Out::Acknowledge(Channel::Stream, answer)) = out.last() else { panic!("no acknowledgement") };
    assert!(String::from_utf8_lossy(answer).contains("MSA|AA|0040971443EC|"));

    let Some(out) = decode("hl7-monitor", "pcd01-nibp-26.hl7", "hl7.oru") else { return };
    assert_eq!(value(&out, Code::NIBP_SYSTOLIC).as_deref(), Some("140.5"));
    assert_eq!(value(&out, Code::PULSE_RATE_NIBP).as_deref(), Some("75.5"));
    assert!(
        readings(&out).iter().all(|r| r.status() == "demo" && r.device_time.is_some_and(|t| t.rfc3339() == "2015-01-18T14:30:00.000Z"))
    );
    assert!(faults(&out).is_empty());
}

#[test]
fn every_monitor_message_gives_readings_or_a_fault_that_names_a_field() {
    let Some(folder) = device_data() else { return };
    for file in files(&folder.join("hl7-monitor"), &["hl7"]) {
        let out = catalogue::decode("hl7.oru", &std::fs::read(&file).expect("file")).expect("known");
        assert!(!out.is_empty(), "{}", file.display());
        assert!(faults(&out).iter().all(|f| f.contains("OBX")), "{}: {:?}", file.display(), faults(&out));
    }
}

#[test]
fn a_capture_says_nothing_that_its_profile_does_not_claim() {
    let Some(folder) = device_data() else { return };
    let captures = [
        ("ge-b40-dri", files(&folder.join("ge-dri"), &["raw", "bin"])),
        ("ge-b40-hl7", vec![folder.join("hl7-monitor/ge-b40-26.hl7")]),
        (
            "mindray-beneview",
            ["periodic-204", "aperiodic-503-nibp"].map(|name| folder.join(format!("hl7-monitor/mindray-231-{name}.hl7"))).to_vec(),
        ),
        ("philips-intellivue", vec![folder.join("intellivue/enumeration_replies.hex")]),
        ("ihe-pcd01", vec![folder.join("hl7-monitor/pcd01-nibp-26.hl7")]),
    ];
    for (name, files) in captures {
        let profile = profile(name);
        let row = catalogue::protocol(&profile.protocol).expect("protocol");
        for file in files {
            let bytes = (row.as_sent)(&std::fs::read(&file).expect("file"));
            let out = (row.make)(&profile).handle(Monotonic(0), In::Bytes(row.channel, &bytes));
            assert!(out.iter().any(|o| matches!(o, Out::Reading(_) | Out::Wave(_))), "{}", file.display());
            for reading in readings(&out) {
                let claim = profile.measures.iter().find(|m| m.code == reading.code && m.unit == reading.unit);
                let claim = claim.unwrap_or_else(|| panic!("{name} does not claim {} in {}", reading.code.key(), reading.unit.ucum()));
                if let Ok(value) = &reading.value {
                    assert!((Decimal::whole(claim.low.into())..=Decimal::whole(claim.high.into())).contains(value), "{name}: {reading:?}");
                }
            }
        }
    }
}

#[test]
fn every_analyser_file_gives_its_results_and_controls_are_never_a_patients() {
    let Some(folder) = device_data() else { return };
    let astm = |file: &str| decode("astm", file, "astm.lis2").expect("data");
    for (file, count, first) in [
        ("hematology-cbc.astm", 10, ("WBC", "5.8")),
        ("horiba-micros60-cbc.astm", 16, ("WBC", "6.2")),
        ("mindray-ba88a-result.txt", 10, ("ALT", "35.2")),
    ] {
        let out = astm(file);
        let results = results(&out);
        assert_eq!(results.len(), count, "{file}");
        assert_eq!((results[0].1.test.code.as_str(), results[0].1.value.clone()), (first.0, LabValue::parse(first.1)), "{file}");
        assert!(results.iter().all(|(report, _)| report.kind == LabKind::Patient && report.specimen.is_some()), "{file}");
        assert!(faults(&out).is_empty(), "{file}: {:?}", faults(&out));
    }
    let out = astm("qc-control-results.astm");
    assert!(results(&out).len() >= 24 && results(&out).iter().all(|(report, _)| report.kind == LabKind::Control));
    let out = astm("malformed.astm");
    assert!(faults(&out).len() >= 5, "{:?}", faults(&out));
    for file in files(&folder.join("astm"), &["astm", "txt"]) {
        let out = catalogue::decode("astm.lis2", &std::fs::read(&file).expect("file")).expect("known");
        assert!(!results(&out).is_empty(), "{}", file.display());
    }
}

#[test]
fn every_hl7_analyser_message_gives_its_results() {
    let Some(folder) = device_data() else { return };
    let count = |file: &str| results(&decode("hl7-lab", file, "hl7.oru").expect("data")).len();
    assert_eq!([count("bc2000-cbc-result.hl7"), count("genexpert-result.hl7"), count("sysmex-xn-result.hl7")], [5, 2, 13]);
    for file in files(&folder.join("hl7-lab"), &["hl7"]) {
        let out = catalogue::decode("hl7.oru", &std::fs::read(&file).expect("file")).expect("known");
        assert!(!results(&out).is_empty() && faults(&out).is_empty(), "{}: {:?}", file.display(), faults(&out));
        assert!(readings(&out).is_empty(), "a laboratory's result is no vital sign");
    }
}

#[test]
fn a_captured_intellivue_session_gives_its_demonstration_values() {
    let Some(out) = decode("intellivue", "enumeration_replies.hex", "philips.intellivue") else { return };
    for (code, want) in [
        (Code::HEART_RATE, "60"),
        (Code::RESPIRATORY_RATE, "15"),
        (Code::SPO2, "95"),
        (Code::PULSE_RATE, "60"),
        (Code::NIBP_SYSTOLIC, "120"),
        (Code::NIBP_DIASTOLIC, "80"),
        (Code::NIBP_MEAN, "90"),
        (Code::ABP_SYSTOLIC, "120"),
        (Code::ABP_DIASTOLIC, "70"),
        (Code::ABP_MEAN, "91"),
    ] {
        let shown = value(&out, code).and_then(|text| text.parse::<f64>().ok());
        assert_eq!(shown, want.parse().ok(), "{}", code.key());
    }
    assert!(readings(&out).iter().all(|r| r.value.is_err() || r.status() == "demo"), "the monitor was in demonstration");
    assert!(faults(&out).is_empty(), "{:?}", faults(&out));
    assert!(
        out.contains(&Out::About(About::Model("M8000".to_owned()))) && out.contains(&Out::About(About::Location("LeTemple_1".to_owned())))
    );
    let created = out.iter().filter(|o| matches!(o, Out::Send(..))).count();
    assert_eq!(created, 1, "the report of itself is confirmed and nothing else is said");
    let waves: Vec<_> = out.iter().filter_map(|o| if let Out::Wave(w) = o { Some(w) } else { None }).collect();
    let abp = waves.iter().find(|w| w.code == Code::ABP_WAVE).expect("ABP");
    assert_eq!((abp.rate_hz, abp.unit, abp.demo), (Decimal::whole(125), Unit::MmHg, true));
    assert!(abp.raw.iter().all(|raw| (-40_000..=520_000).contains(raw)), "{:?}", abp.raw);
}

#[test]
fn mindray_messages_give_their_numbers() {
    let Some(out) = decode("hl7-monitor", "mindray-231-periodic-204.hl7", "mindray.231") else { return };
    assert_eq!((value(&out, Code::HEART_RATE).as_deref(), value(&out, Code::ST_I).as_deref()), (Some("60"), Some("not-measured")));
    let out = decode("hl7-monitor", "mindray-231-aperiodic-503-nibp.hl7", "mindray.231").expect("data");
    for (code, want) in [(Code::NIBP_SYSTOLIC, "120"), (Code::NIBP_DIASTOLIC, "80"), (Code::NIBP_MEAN, "93")] {
        assert_eq!(value(&out, code).as_deref(), Some(want));
    }
    assert!(faults(&out).is_empty());
    let out = decode("hl7-monitor", "mindray-231-patient-103.hl7", "mindray.231").expect("data");
    assert!(matches!(&out[..], [Out::About(About::Location(_))]), "{out:?}");
}

#[test]
fn no_prefix_and_no_changed_byte_of_a_shared_file_panics() {
    let Some(folder) = device_data() else { return };
    // Long files are cut and changed at this many places, evenly.
    const PLACES: usize = 300;
    for (sub, extensions, protocols) in [
        ("ge-dri", &["raw", "bin"][..], &["ge.dri"][..]),
        ("hl7-monitor", &["hl7"], &["hl7.oru", "mindray.231"]),
        ("hl7-lab", &["hl7"], &["hl7.oru"]),
        ("astm", &["astm", "txt"], &["astm.lis2"]),
        ("intellivue", &["hex"], &["philips.intellivue", "philips.intellivue-serial"]),
    ] {
        let files = files(&folder.join(sub), extensions);
        assert!(!files.is_empty(), "{sub} holds no file");
        for (file, protocol) in files.iter().flat_map(|file| protocols.iter().map(move |protocol| (file, protocol))) {
            let row = catalogue::protocol(protocol).expect("protocol");
            let bytes = (row.as_sent)(&std::fs::read(file).expect("file"));
            let hear = |bytes: &[u8]| (row.make)(&Profile::bare(protocol)).handle(Monotonic(0), In::Bytes(row.channel, bytes));
            for at in (0..bytes.len()).step_by((bytes.len() / PLACES).max(1)) {
                // What comes long after the place is as before: enough of it to see that the driver goes on.
                let (from, to) = (at.saturating_sub(3000), (at + 3000).min(bytes.len()));
                hear(&bytes[from..at]);
                let mut changed = bytes[from..to].to_vec();
                changed[at - from] ^= 1 << (at % 8);
                hear(&changed);
            }
        }
    }
}
