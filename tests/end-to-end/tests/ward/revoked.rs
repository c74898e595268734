use anyhow::Result;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward, site};
use std::time::Duration;

#[tokio::test]
async fn a_revoked_site_is_told_so_and_goes_on_alone() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("the first session", Duration::from_secs(20), async || Ok((nurse.get("/api/v1/sync").await?["state"] == "online").then_some(())))
        .await?;
    ward.hub.revoke_site("hillside").await?;
    let operator = ward.hub.sign_in().await?;
    assert_eq!(site(&operator.get("/api/v1/fleet").await?, "hillside")?["state"], "revoked");
    let (line, _) = until("the agent learns of it", Duration::from_secs(20), async || {
        let line = nurse.get("/api/v1/sync").await?;
        Ok((line["state"] == "revoked").then_some(line))
    })
    .await?;
    assert!(line["problem"].as_str().is_some_and(|problem| !problem.is_empty()), "says nothing of what to do: {line}");
    let before = nurse.get("/api/v1/status").await?["stored"].as_u64();
    let goes_on = async || Ok((nurse.get("/api/v1/status").await?["stored"].as_u64() > before).then_some(()));
    until("the ward goes on", Duration::from_secs(20), goes_on).await?;
    Ok(())
}
