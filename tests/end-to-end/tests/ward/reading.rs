use anyhow::Result;
use end_to_end::{paths, process};
use serde_json::{Value, json};
use std::ffi::OsString;

async fn lines(args: &[&str]) -> Result<Vec<Value>> {
    let args: Vec<OsString> = args.iter().map(Into::into).collect();
    let said = process::run("edge-agent", &args, "").await?.ok()?;
    Ok(said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn reading(t_ms: Value, code: &str, value: Value, unit: &str, status: &str) -> Value {
    json!({"t_ms": t_ms, "device": null, "code": code, "value": value, "unit": unit, "status": status})
}

/// HRS 1.0, 16-bit rate; PLXS 1.0, one SpO₂ and pulse pair.
#[tokio::test]
async fn decode_says_what_a_frame_of_the_specification_says() -> Result<()> {
    let heart_rate = lines(&["decode", "--protocol", "ble.heart-rate", "--hex", "01 2C 01"]).await?;
    assert_eq!(heart_rate, [reading(Value::Null, "8867-4", json!(300), "/min", "ok")]);
    let oximeter = lines(&["decode", "--protocol", "ble.plx-continuous", "--hex", "00 6200 4E00"]).await?;
    let want = [reading(Value::Null, "59408-5", json!(98), "%", "ok"), reading(Value::Null, "8889-8", json!(78), "/min", "ok")];
    assert_eq!(oximeter, want);
    Ok(())
}

#[tokio::test]
async fn a_missing_value_is_null_and_says_why() -> Result<()> {
    let off = lines(&["decode", "--protocol", "ble.plx-continuous", "--hex", "00 FF07 FF07"]).await?;
    assert_eq!(off.len(), 2);
    for line in off {
        assert!(line["value"].is_null() && line["status"] != "ok", "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn garbage_is_no_reading_and_no_crash() -> Result<()> {
    for protocol in ["ble.heart-rate", "ble.plx-continuous", "ble.plx-spot", "ge.dri", "hl7.oru"] {
        for hex in ["", "00", "ff", "7e7e7e", "0b1c0d", "0b4d53487c1c0d7e00ff", "deadbeefdeadbeefdeadbeef"] {
            let said = process::run("edge-agent", &["decode", "--protocol", protocol, "--hex", hex].map(Into::into), "").await?;
            assert!(said.status.success() && !said.err.contains("panicked"), "{protocol} {hex}: {}{}", said.status, said.err);
        }
    }
    let said = process::run("edge-agent", &["decode", "--protocol", "ble.unknown", "--hex", "00"].map(Into::into), "").await?;
    assert!(!said.status.success() && said.err.contains("ble.unknown"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_recording_plays_with_its_times() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("oximeter.cap");
    std::fs::write(&path, "# protocol: ble.plx-continuous\n0 2a5f 00 62 00 4e 00\n1004 2a5f 00 61 00 4f 00\n")?;
    let played = lines(&["replay", &path.display().to_string()]).await?;
    let want = [
        reading(json!(0), "59408-5", json!(98), "%", "ok"),
        reading(json!(0), "8889-8", json!(78), "/min", "ok"),
        reading(json!(1004), "59408-5", json!(97), "%", "ok"),
        reading(json!(1004), "8889-8", json!(79), "/min", "ok"),
    ];
    assert_eq!(played, want);
    Ok(())
}

/// A real session of a GE monitor, and messages of an HL7 one.
#[tokio::test]
async fn captures_of_real_monitors_read_as_numbers_and_waves() -> Result<()> {
    for (protocol, capture, code) in [
        ("ge.dri", "data/devices/ge-dri/pycollect-notebook-raw.raw", "8867-4"),
        ("hl7.oru", "data/devices/hl7-monitor/pcd01-nibp-26.hl7", "8480-6"),
    ] {
        let Some(path) = paths::shared(capture) else { return Ok(()) };
        let read = lines(&["decode", "--protocol", protocol, "--file", &path.display().to_string()]).await?;
        assert!(read.iter().any(|line| line["code"] == code && line["value"].is_number()), "{capture}: no {code} in {} lines", read.len());
    }
    Ok(())
}
