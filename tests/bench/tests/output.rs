//! The bench as `cargo xtask bench --json --quick --no-peers` starts it: what it prints is read by other tools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(["--quick"]).args(args).output().expect("bench")
}

#[test]
fn every_goal_has_a_row_with_every_field_and_nothing_is_judged_by_tiny_sizes() {
    let output = bench(&["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON on stdout and nothing else");
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().expect("a name")).collect();
    for wanted in [
        "ingest-ticks",
        "ingest-postgresql",
        "ingest-influxdb",
        "backfill",
        "disk-numerics",
        "disk-real-mimic_03700181-pco",
        "disk-real-alarm2015_a103l-flac",
        "disk-real-mitbih_100-lpc32",
        "query-raw-24h",
        "query-minute-24h",
        "sync-documents-bytes",
        "sync-documents-rate",
        "sync-week-wire",
        "sync-week-resent",
        "sync-week-order",
        "sync-idle-bytes",
        "sync-one-document",
        "decode-streams-bci.oximeter",
        "decode-ble-glucose",
    ] {
        assert!(names.contains(&wanted), "no row {wanted} among {names:?}");
    }
    // The agent's own rows and those of its links need its program, built beside this one.
    for program in ["agent", "agent-100-beds", "link", "live"] {
        assert!(names.iter().any(|name| name.starts_with(program)), "no row of {program} among {names:?}");
    }
    for row in &rows {
        let mut fields: Vec<&String> = row.as_object().expect("an object").keys().collect();
        fields.sort();
        assert_eq!(fields, ["goal", "met", "name", "note", "ours", "peer", "peer_name", "ratio", "unit"]);
        assert!(row["met"].is_null(), "{row}");
        assert!(!row["note"].as_str().expect("a note").is_empty(), "{row}");
        if row["ours"].is_null() || (row["peer"].is_null() && row["peer_name"] != "") {
            assert!(row["note"].as_str().is_some_and(|note| note.contains("skipped: ")), "{row}");
        }
    }
}

#[test]
fn one_row_can_be_asked_for() {
    let output = bench(&["--json", "--only", "sync-idle-bytes"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["name"], "sync-idle-bytes");
    assert!(rows[0]["ours"].as_f64().is_some_and(|bytes| bytes > 0.0), "{}", rows[0]);
}

#[test]
fn a_name_nobody_knows_is_an_error() {
    assert!(!bench(&["--only", "nonsense"]).status.success());
}
