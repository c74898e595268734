use anyhow::{Context, Result};
use end_to_end::agent::Agent;
use end_to_end::config::{ANY_PORT, AgentConfig};
use end_to_end::ward::{Plan, Ward};
use std::time::Duration;

#[tokio::test]
async fn a_backup_taken_while_running_restores_to_a_record_that_verifies() -> Result<()> {
    let mut ward = Ward::open(&Plan::alone()).await?;
    let (file, home) = (ward.folder().join("ward.backup"), ward.folder().join("restored"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let clinic = ward.clinic()?;
    let taken = clinic.agent.command(&["backup", "--to", &file.display().to_string()], "").await?;
    taken.ok().context("backup")?;

    let data = home.join("data");
    std::fs::create_dir_all(&data)?;
    let config = AgentConfig { data: data.clone(), bind: ANY_PORT.into(), devices: Vec::new(), ..clinic.agent.config.clone() };
    let mut restored = Agent::new(&home, config, "unix:path=/nowhere");
    let from = ["restore", "--from", &file.display().to_string()].map(str::to_owned);
    let restore: Vec<&str> = from.iter().map(String::as_str).collect();

    let without_keys = restored.command(&restore, "").await?;
    assert!(!without_keys.status.success() && without_keys.err.contains("keys"), "{}", without_keys.err);
    let keys = std::process::Command::new("cp").arg("-a").args([clinic.agent.config.data.join("keys"), data.join("keys")]).status()?;
    assert!(keys.success());
    restored.command(&restore, "").await?.ok().context("restore")?;
    let said = restored.verify().await?;
    println!("{said}");
    assert!(!restored.command(&restore, "").await?.status.success(), "a restore may not overwrite a record");

    // The people and patients are there again.
    clinic.agent.stop().await?;
    restored.start().await?;
    let nurse = restored.sign_in().await?;
    for patient in &clinic.patients {
        assert_eq!(nurse.get(&format!("/fhir/R4/Patient/{patient}")).await?["id"], patient.as_str());
    }
    restored.stop().await
}
