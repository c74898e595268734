use anyhow::{Context, Result};
use end_to_end::chart::Chart;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use serde_json::json;
use std::time::Duration;

/// Seconds without a hub; `LAMPLIGHT_E2E_AWAY_S=60` makes it the whole minute.
const AWAY_S: u64 = 15;

#[tokio::test]
async fn with_the_hub_away_the_ward_goes_on_and_the_backlog_arrives_after() -> Result<()> {
    let away_s = std::env::var("LAMPLIGHT_E2E_AWAY_S").ok().map_or(Ok(AWAY_S), |text| text.parse())?;
    let mut ward = Ward::open(&Plan::one()).await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("the first session", Duration::from_secs(20), async || Ok((nurse.get("/api/v1/sync").await?["state"] == "online").then_some(())))
        .await?;

    ward.hub.stop().await?;
    let before = nurse.get("/api/v1/status").await?;
    until(
        "the agent notices",
        Duration::from_secs(15),
        async || Ok((nurse.get("/api/v1/sync").await?["state"] == "offline").then_some(())),
    )
    .await?;
    tokio::time::sleep(Duration::from_secs(away_s)).await;
    let after = nurse.get("/api/v1/status").await?;
    let stored = |status: &serde_json::Value| status["stored"].as_u64().unwrap_or_default();
    assert!(stored(&after) > stored(&before) + 5 * away_s, "the ward stood still: {before} then {after}");
    let waiting = nurse.get("/api/v1/sync").await?;
    assert!(waiting["waiting"].as_u64() > Some(0) && waiting["oldest_waiting_ms"].is_i64(), "nothing waits: {waiting}");
    // A nurse can still work.
    let (alert, _) = until("an alert with no hub in sight", Duration::from_secs(30), async || {
        let alerts = nurse.get("/api/v1/alerts").await?;
        Ok(alerts.as_array().into_iter().flatten().find(|alert| alert["state"] == "created").cloned())
    })
    .await?;
    let id = alert["id"].as_str().context("an alert's id")?;
    let taken = nurse.post(&format!("/api/v1/alerts/{id}/acknowledge"), &json!({"reason": "at the bed"})).await?;
    assert_eq!(taken["state"], "acknowledged");

    ward.hub.start().await?;
    ward.quiet().await?;
    ward.settle().await?;
    let operator = ward.hub.sign_in().await?;
    let at_hub = operator.get(&format!("/fhir/R4/DetectedIssue/{id}")).await?;
    assert!(at_hub["mitigation"].is_array() || at_hub["status"] != "preliminary", "the acknowledgement did not arrive: {at_hub}");
    for patient in &ward.clinic()?.patients.clone() {
        let (here, there) = (Chart::read(&nurse, patient).await?, Chart::read(&operator, patient).await?);
        assert!(!here.is_empty());
        assert_eq!(there.differences(&here), Vec::<String>::new(), "the hub's chart of {patient} is not the agent's");
    }
    Ok(())
}
