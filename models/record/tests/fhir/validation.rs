//! The validator against examples of others. Skipped, and says so, where they are not at hand.

use record::fhir::{resources, validate};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/clinical").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: ../shared/data/clinical/{folder} is absent");
    None
}

/// Every resource below a folder, Bundles unpacked, of a type of the table.
fn resources_in(folder: &Path) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path()) {
        let name = file.file_name().expect("name").to_string_lossy().into_owned();
        let Ok(value) = serde_json::from_slice::<Value>(&std::fs::read(&file).expect("file")) else { continue };
        let inner = value["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone());
        let all: Vec<Value> = if value["resourceType"] == "Bundle" { inner.collect() } else { vec![value] };
        let ours = all.into_iter().filter(|r| r["resourceType"].as_str().is_some_and(|kind| resources::find(kind).is_some()));
        found.extend(ours.map(|resource| (name.clone(), resource)));
    }
    found
}

#[test]
fn broken_resources_are_refused_and_the_good_ones_pass() {
    let Some(folder) = shared("fhir-validator/mut") else { return };
    let all = resources_in(&folder);
    assert_eq!(all.len(), 23);
    for (name, resource) in all {
        let issues = validate(&resource);
        assert_eq!(issues.is_empty(), name.starts_with("00_"), "{name}: {issues:?}");
    }
}

#[test]
fn no_example_of_us_core_or_synthea_is_refused() {
    for (folder, at_least) in [("fhir/us_core_examples", 90), ("fhir/synthea_r4_small", 600)] {
        let Some(folder) = shared(folder) else { return };
        let all = resources_in(&folder);
        assert!(all.len() > at_least, "{}", all.len());
        for (name, mut resource) in all {
            // One example was published with a narrative whose text is missing, which is not FHIR.
            if resource["text"].get("div").is_none() {
                resource.as_object_mut().expect("object").remove("text");
            }
            assert_eq!(validate(&resource), [], "{name}");
        }
    }
}

#[test]
fn what_the_official_validator_passes_is_not_refused_here() {
    let Some(folder) = shared("fhir/validator_cases") else { return };
    let verdicts = std::fs::read(folder.join("_expected_java.json")).expect("verdicts");
    let verdicts: Vec<Value> = serde_json::from_slice(&verdicts).expect("json");
    let passed = |name: &str| verdicts.iter().any(|case| case["file"] == name && case["java_errors"] == 0);
    let good: Vec<_> = resources_in(&folder).into_iter().filter(|(name, _)| passed(name)).collect();
    assert!(good.len() > 20, "{}", good.len());
    for (name, resource) in good {
        assert_eq!(validate(&resource), [], "{name}");
    }
}
