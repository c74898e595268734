//! The schema that editors use says what is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

#[test]
fn the_schema_of_profiles_is_the_one_kept() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware-configs/schema/device.json");
    let kept = std::fs::read_to_string(file).expect("firmware-configs/schema/device.json");
    assert_eq!(kept, driver::profile::schema::text(), "run `cargo xtask codegen` and check it in");
}

#[test]
fn the_schema_refuses_unknown_keys_as_the_reader_does() {
    let schema: serde_json::Value = serde_json::from_str(&driver::profile::schema::text()).expect("json");
    assert_eq!(schema["additionalProperties"], false);
    for part in ["Match", "Feed", "Serial", "Measure"] {
        assert_eq!(schema["$defs"][part]["additionalProperties"], false, "{part}");
    }
}
