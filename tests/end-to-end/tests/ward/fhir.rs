use anyhow::{Context, Result};
use end_to_end::chart::search;
use end_to_end::client::Client;
use end_to_end::paths;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const VALIDATOR: &str = "data/clinical/fhir-validator";
/// Resources of one search that are checked.
const CHECKED_MAX: usize = 300;

/// By a validator that knows nothing of this project.
#[tokio::test]
async fn agent_and_hub_serve_valid_fhir_r4() -> Result<()> {
    let Some(validator) = validator()? else { return Ok(()) };
    let mut ward = Ward::open(&Plan::one()).await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("an alert", Duration::from_secs(40), async || Ok((ward.clinics[0].alerts(&nurse).await? > 0).then_some(()))).await?;
    ward.quiet().await?;
    ward.settle().await?;
    let operator = ward.hub.sign_in().await?;
    let patients = ward.clinic()?.patients.clone();
    let folder = ward.folder().join("fhir");
    let mut files = Vec::new();
    for (name, client) in [("agent", &nurse), ("hub", &operator)] {
        files.extend(collect(&folder.join(name), client, &patients).await?);
    }
    assert!(files.len() > 100, "only {} resources to check", files.len());
    let checked = Command::new("node").arg("val.mjs").args(&files).current_dir(&validator).output().context("node")?;
    let said = String::from_utf8_lossy(&checked.stdout);
    println!("{said}");
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
    Ok(())
}

async fn collect(folder: &Path, client: &Client, patients: &[String]) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let mut resources = vec![client.get("/fhir/R4/metadata").await?];
    let mut queries: Vec<String> =
        ["Patient", "Encounter", "Device", "DetectedIssue"].map(|kind| format!("/fhir/R4/{kind}?_count=50")).into();
    queries.extend(patients.iter().map(|patient| format!("/fhir/R4/Observation?patient={patient}&_count=1000")));
    for query in queries {
        let page = client.get(&query).await?;
        assert_eq!(page["resourceType"], "Bundle", "{query}");
        let found = search(client, &query).await?;
        assert!(!found.is_empty(), "{query} finds nothing");
        resources.extend(found.into_iter().take(CHECKED_MAX));
        resources.push(without_entries(page));
    }
    let mut files = Vec::new();
    for (number, resource) in resources.iter().enumerate() {
        let path = folder.join(format!("{number}.json"));
        std::fs::write(&path, resource.to_string())?;
        files.push(path);
    }
    Ok(files)
}

/// Its entries are checked one by one.
fn without_entries(mut bundle: Value) -> Value {
    if let Some(bundle) = bundle.as_object_mut() {
        bundle.remove("entry");
    }
    bundle
}

/// A copy of the validator with its modules, kept between runs.
fn validator() -> Result<Option<PathBuf>> {
    let Some(origin) = paths::shared(VALIDATOR) else { return Ok(None) };
    let folder = paths::keepsakes()?.join("fhir-validator");
    std::fs::create_dir_all(&folder)?;
    for file in ["val.mjs", "package.json"] {
        std::fs::copy(origin.join(file), folder.join(file)).with_context(|| file.to_owned())?;
    }
    if !folder.join("node_modules/@medplum/core").is_dir() {
        let npm = Command::new("npm")
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .output()
            .context("npm")?;
        if !npm.status.success() {
            println!("skipped: the validator's modules cannot be had: {}", String::from_utf8_lossy(&npm.stderr));
            return Ok(None);
        }
    }
    Ok(Some(folder))
}
