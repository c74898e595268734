use anyhow::{Context, Result, ensure};
use end_to_end::agent::Agent;
use end_to_end::config::{ANY_PORT, AgentConfig};
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use std::path::Path;
use std::time::Duration;

/// A data directory copied to a second box forks the chains: seen at the hub, nothing thrown away.
#[tokio::test]
async fn a_cloned_data_directory_raises_an_incident_and_both_go_on() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let home = ward.folder().join("copy");
    std::fs::create_dir(&home)?;
    let clinic = ward.clinic()?;
    clinic.agent.stop().await?;
    let config = AgentConfig { data: home.join("data"), bind: ANY_PORT.into(), devices: Vec::new(), ..clinic.agent.config.clone() };
    copy(&clinic.agent.config.data, &config.data)?;
    clinic.agent.start().await?;
    let mut clone = Agent::new(&home, config, "unix:path=/nowhere");
    clone.start().await?;

    let operator = ward.hub.sign_in().await?;
    let (incident, _) = until("the hub sees the clone", Duration::from_secs(30), async || {
        let incidents = operator.get("/api/v1/incidents").await?;
        Ok(incidents.as_array().into_iter().flatten().find(|one| one["kind"] == "clone" || one["kind"] == "fork").cloned())
    })
    .await?;
    assert_eq!(incident["site"], "hillside");
    assert!(incident["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{incident}");
    let clinic = ward.clinic()?;
    for agent in [&clinic.agent, &clone] {
        let nurse = agent.sign_in().await?;
        let values = serde_json::json!({"patient": clinic.patients[3], "values": [{"code": "temperature", "value": 37.1, "unit": "Cel"}]});
        nurse.post("/api/v1/beds/4/observations", &values).await?;
        agent.verify().await?;
    }
    clone.stop().await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().context("cp")?;
    ensure!(copied.success(), "cp -a {} {}", from.display(), to.display());
    Ok(())
}
