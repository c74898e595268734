//! Every vector of a Bluetooth protocol decodes to what its source says, and nothing near it makes a driver say what its profiles
//! do not claim. Vectors lie in `vectors/*.json` here and beside the workspace: a new file, or a new row, is a new test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use catalogue::{Link, decode, profiles, protocol};
use driver::profile::split_quirks;
use driver::{About, Out};
use record::code::Code;
use record::observation::{Quality, Reading};
use record::unit::Unit;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use support::{device_data, faults, files, readings, value};

struct Vector {
    protocol: String,
    bytes: Vec<u8>,
    src: String,
    want: Value,
}

fn parse(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).expect("file")).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn vector(row: &Value, protocol: &str) -> Vector {
    let text = |key: &str| row[key].as_str().unwrap_or_else(|| panic!("{key} in {row}"));
    let bytes = hex::decode(text("hex").replace(' ', "")).expect("hex");
    Vector { protocol: protocol.to_owned(), bytes, src: text("src").to_owned(), want: row["want"].clone() }
}

/// Our own: `want` lists code, value, unit and status of every reading, or is null where the frame is refused.
fn own() -> Vec<Vector> {
    let all = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors"), &["json"]);
    let rows = all.iter().flat_map(|file| parse(file).as_array().expect("list").clone());
    rows.map(|row| vector(&row, row["protocol"].as_str().expect("protocol"))).collect()
}

/// Shared ones: `p` is a short word for the protocol.
fn shared() -> Vec<Vector> {
    let words: BTreeMap<_, _> = [
        ("hrs", "ble.heart-rate"),
        ("plx_spot", "ble.plx-spot"),
        ("plx_cont", "ble.plx-continuous"),
        ("bps", "ble.blood-pressure"),
        ("bps_beurer", "ble.blood-pressure+beurer"),
        ("hts", "ble.thermometer"),
        ("gls", "ble.glucose"),
    ]
    .into();
    let Some(folder) = device_data() else { return Vec::new() };
    let all = files(&folder.join("vectors"), &["json"]);
    let rows = all.iter().flat_map(|file| parse(file)["vectors"].as_array().expect("vectors").clone());
    rows.filter_map(|row| words.get(row["p"].as_str()?).map(|protocol| vector(&row, protocol))).collect()
}

#[test]
fn our_own_vectors_decode_to_every_reading_they_list_and_no_other() {
    let all = own();
    assert!(!all.is_empty());
    for Vector { protocol, bytes, src, want } in all {
        let out = decode(&protocol, &bytes).expect("known");
        let Some(want) = want.as_array() else {
            assert!(readings(&out).is_empty() && !faults(&out).is_empty(), "{src}: {out:?}");
            continue;
        };
        let text = |r: &&Reading| {
            let value = r.value.as_ref().map_or(Value::Null, |v| v.to_string().into());
            serde_json::json!([r.code.key(), value, r.unit.ucum(), r.status()])
        };
        assert_eq!(readings(&out).iter().map(text).collect::<Vec<_>>(), *want, "{src}");
        assert_eq!(faults(&out), Vec::<String>::new(), "{src}");
    }
}

#[test]
fn shared_vectors_decode_as_their_source_says() {
    // What a source calls a value, and the code and scale it is charted under.
    let codes = [
        ("sys", Code::NIBP_SYSTOLIC),
        ("dia", Code::NIBP_DIASTOLIC),
        ("map", Code::NIBP_MEAN),
        ("pulse", Code::PULSE_RATE_NIBP),
        ("spo2", Code::SPO2),
        ("pr", Code::PULSE_RATE),
        ("energy_kj", Code::ENERGY_EXPENDED),
    ];
    for Vector { protocol, bytes, src, want } in shared() {
        let out = decode(&protocol, &bytes).expect("known");
        if want.is_null() {
            assert!(readings(&out).is_empty() && !faults(&out).is_empty(), "{src}: {out:?}");
            continue;
        }
        assert_eq!(faults(&out), Vec::<String>::new(), "{src}");
        let number = |code| value(&out, code).and_then(|text| text.parse::<f64>().ok());
        for (key, code) in codes {
            if let Some(want) = want[key].as_f64() {
                assert_eq!(number(code), Some(want), "{src}: {key}");
            }
        }
        if let Some(temperature) = want["temp"].as_f64() {
            let first = readings(&out)[0];
            assert_eq!(
                (first.value.as_ref().map(|v| v.to_f64()), first.unit.ucum()),
                (Ok(temperature), want["unit"].as_str().expect("unit")),
                "{src}"
            );
        }
        if let Some(concentration) = want["conc"].as_f64() {
            // kg/L to mg/dL.
            assert_eq!(number(Code::GLUCOSE_CAPILLARY), Some(concentration * 1e5), "{src}");
        }
        let status = match protocol.as_str() {
            "ble.glucose" => Some(Code::GLUCOSE_STATUS),
            other => other.starts_with("ble.blood-pressure").then_some(Code::NIBP_STATUS),
        };
        if let (Some(code), Some(bits)) = (status, want["status"].as_u64()) {
            assert_eq!(number(code).unwrap_or(0.0), bits as f64, "{src}: status");
        }
        if let Some(user) = want["user"].as_u64() {
            assert!(out.contains(&Out::About(About::User(u8::try_from(user).expect("u8")))), "{src}: user");
        }
    }
}

/// What profiles of a protocol claim to measure.
fn claims(id: &str) -> BTreeSet<(Code, Unit)> {
    let all = profiles().expect("profiles");
    all.iter().filter(|p| p.base_protocol() == split_quirks(id).0).flat_map(|p| p.measures.iter().map(|m| (m.code, m.unit))).collect()
}

fn holds_its_type(claims: &BTreeSet<(Code, Unit)>, bytes: &[u8], out: &[Out]) {
    for reading in readings(out) {
        assert!(
            claims.contains(&(reading.code, reading.unit)),
            "{} in {} of {}",
            reading.code.key(),
            reading.unit.ucum(),
            hex::encode(bytes)
        );
        let statuses = ["ok", "artefact", "demo", "sensor-off", "not-measured", "out-of-range"];
        let status = reading.status();
        assert!(statuses.contains(&&*status) || status.starts_with("fault:"), "{status}");
        assert!(reading.value.is_ok() || reading.quality == Quality::Good || !status.is_empty());
        if let Ok(value) = &reading.value {
            assert!(value.to_f64().is_finite());
        }
    }
}

#[test]
fn no_prefix_and_no_changed_byte_of_any_vector_panics_or_gives_what_no_profile_claims() {
    for Vector { protocol: id, bytes, .. } in own().into_iter().chain(shared()) {
        assert_eq!(protocol(&id).expect("known").link, Link::Ble);
        let claims = claims(&id);
        assert!(!claims.is_empty(), "{id}");
        let check = |bytes: &[u8]| holds_its_type(&claims, bytes, &decode(&id, bytes).expect("known"));
        (0..bytes.len()).for_each(|len| check(&bytes[..len]));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            for byte in 0..=255 {
                changed[at] = byte;
                check(&changed);
            }
        }
        // And one byte too many.
        check(&[&bytes[..], &[0xA5]].concat());
    }
}

#[test]
fn every_quirk_has_a_profile_and_is_refused_without_its_mark() {
    let shipped = profiles().expect("profiles");
    for row in catalogue::PROTOCOLS {
        for quirk in row.quirks {
            let profile = shipped.iter().find(|p| p.base_protocol() == row.id && p.has_quirk(quirk.id));
            let profile = profile.unwrap_or_else(|| panic!("{}+{} has no profile", row.id, quirk.id));
            assert!(!quirk.experimental || profile.experimental, "{}", profile.name);
        }
    }
    let page = |more: &str| {
        format!(
            "maker='A'\nmodel='B'\nprotocol='ble.blood-pressure+beurer'\nevidence='spec'\n{more}\
             feed=[{{characteristic='2A35',mode='indicate'}}]\nmeasures=[{{code='nibp-systolic',unit='mm[Hg]',low=0,high=300}}]\n"
        )
    };
    assert!(catalogue::profile("site.toml", &page("experimental=true\n")).is_ok());
    let refused = catalogue::profile("site.toml", &page("")).expect_err("unmarked").to_string();
    assert!(refused.contains("experimental"), "{refused}");
    let refused = catalogue::profile("site.toml", &page("experimental=true\nquirks=['tall']\n")).expect_err("unknown").to_string();
    assert!(refused.contains("quirks") && refused.contains("tall") && refused.contains("yonker"), "{refused}");
    assert!(decode("ble.blood-pressure+tall", &[]).is_err());
}
