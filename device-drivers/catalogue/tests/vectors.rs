//! Every shared vector of a protocol that is spoken here decodes to what its source says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Out;
use driver::float11073::Float;
use record::code::Code;
use record::observation::NoValue;
use serde_json::Value;
use support::{device_data, faults, value};

fn vectors() -> Vec<(String, Vec<u8>, Value)> {
    let Some(folder) = device_data() else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join("vectors/vectors.json")).expect("vectors.json");
    let all: Value = serde_json::from_str(&text).expect("json");
    let list = all["vectors"].as_array().expect("vectors").clone();
    let bytes = |v: &Value| hex::decode(v["hex"].as_str().expect("hex").replace(' ', "")).expect("hex");
    list.iter().map(|v| (v["p"].as_str().expect("p").to_owned(), bytes(v), v["want"].clone())).collect()
}

fn of(protocol: &str) -> Vec<(Vec<u8>, Value)> {
    vectors().into_iter().filter(|(p, ..)| p == protocol).map(|(_, bytes, want)| (bytes, want)).collect()
}

#[test]
fn heart_rate_vectors_decode_as_their_source_says() {
    for (bytes, want) in of("hrs") {
        let out = catalogue::decode("ble.heart-rate", &bytes).expect("known");
        let off = want["contact_supported"] == true && want["contact"] == false;
        let rate = if off { "sensor-off".to_owned() } else { want["hr"].to_string() };
        assert_eq!(value(&out, Code::HEART_RATE), Some(rate), "{}", hex::encode(&bytes));
        let intervals = out.iter().filter(|o| matches!(o, Out::Reading(r) if r.code == Code::RR_INTERVAL)).count();
        assert_eq!(intervals, want["rr_1024"].as_array().map_or(0, Vec::len));
    }
}

#[test]
fn oximeter_vectors_decode_as_their_source_says() {
    for (protocol, name) in [("ble.plx-spot", "plx_spot"), ("ble.plx-continuous", "plx_cont")] {
        for (bytes, want) in of(name) {
            let out = catalogue::decode(protocol, &bytes).expect("known");
            assert_eq!(value(&out, Code::SPO2), Some(want["spo2"].to_string()));
            assert_eq!(value(&out, Code::PULSE_RATE), Some(want["pr"].to_string()));
            assert!(faults(&out).is_empty());
        }
    }
}

#[test]
fn float_vectors_decode_as_their_source_says() {
    for (name, read) in [
        ("sfloat", (|b| Float::sfloat([b[0], b[1]])) as fn(&[u8]) -> Float),
        ("float", |b| Float::float_le([b[0], b[1], b[2], b[3]])),
        ("float_be", |b| Float::float_be([b[0], b[1], b[2], b[3]])),
    ] {
        for (bytes, want) in of(name) {
            let got = read(&bytes);
            match want.as_str() {
                Some("NaN" | "NRes") => assert_eq!(got.value(), Err(NoValue::NotMeasured)),
                Some("+INF" | "-INF") => assert_eq!(got.value(), Err(NoValue::OutOfRange)),
                _ => assert_eq!(got.value().map(record::decimal::Decimal::to_f64), Ok(want.as_f64().expect("number"))),
            }
        }
    }
}

#[test]
fn our_requests_are_those_of_the_monitor_s_manual() {
    use catalogue::serial::ge_dri::requests::displayed_values;
    for (bytes, want) in of("dri_req").into_iter().filter(|(_, want)| want["rec"] == 1) {
        let interval = u16::try_from(want["ival"].as_u64().expect("ival")).expect("u16");
        assert_eq!(displayed_values(interval), bytes);
    }
}

#[test]
fn finger_oximeter_vectors_decode_as_their_source_says() {
    for (protocol, name) in [("contec.cms50-new", "contec_new"), ("bci.oximeter", "bci")] {
        for (bytes, want) in of(name) {
            let out = catalogue::decode(protocol, &bytes).expect("known");
            let number = |key: &str| want[key].as_f64().map_or_else(|| "sensor-off".to_owned(), |_| want[key].to_string());
            assert_eq!(value(&out, Code::SPO2), Some(number("spo2")), "{}", hex::encode(&bytes));
            assert_eq!(value(&out, Code::PULSE_RATE), Some(number("pr")));
            let wave = want.get("pleth").or_else(|| want.get("wave")).and_then(Value::as_i64).expect("pleth");
            let raw = out.iter().find_map(|o| if let Out::Wave(w) = o { w.raw.first().copied() } else { None });
            assert_eq!(raw.map(i64::from), Some(wave));
            assert!(faults(&out).is_empty());
        }
    }
}

#[test]
fn medibus_vectors_hold_their_sums_and_give_their_values() {
    for (bytes, want) in of("medibus") {
        let out = catalogue::decode("draeger.medibus", &bytes).expect("known");
        assert_eq!(faults(&out).is_empty(), want["sum_ok"] == true, "{}: {:?}", hex::encode(&bytes), faults(&out));
        for (code, name) in [(Code::SPO2, "EB"), (Code::PULSE_RATE, "E1")] {
            let stated = want["data"][name].as_str().map(|text| text.trim().to_owned());
            assert_eq!(value(&out, code), stated);
        }
        let mut changed = bytes;
        changed[1] ^= 1;
        assert!(!faults(&catalogue::decode("draeger.medibus", &changed).expect("known")).is_empty(), "a changed byte is noticed");
    }
}

#[test]
fn the_serial_frame_of_an_intellivue_holds_its_check() {
    use catalogue::network::intellivue::serial::fcs;
    for (bytes, want) in of("iv_fcs") {
        let mut content: Vec<u8> = Vec::new();
        let mut escaped = false;
        for byte in &bytes[1..bytes.len() - 1] {
            match (*byte, escaped) {
                (0x7D, false) => escaped = true,
                (byte, _) => content.push(if std::mem::take(&mut escaped) { byte ^ 0x20 } else { byte }),
            }
        }
        let (content, check) = content.split_at(content.len() - 2);
        assert_eq!(fcs(content).to_le_bytes() == check, want["fcs_ok"] == true);
    }
}
