use anyhow::Result;
use end_to_end::demo::Demo;
use end_to_end::ward::Plan;
use std::time::Duration;

#[tokio::test]
async fn half_a_minute_of_the_demonstration_holds() -> Result<()> {
    let plan = Plan { screens: false, ..Plan::demo() };
    let mut demo = Demo::open(&plan).await?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let report = demo.conclude().await?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    assert!(report.ok, "{:#?}", report.problems);
    assert_eq!(report.agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["hillside", "riverside"]);
    assert_ne!(report.agents[0].digest, report.agents[1].digest, "two clinics cannot hold the same record");
    let latency = &report.latency_ms;
    assert!(latency.stored.p50 <= latency.client.p50, "no client may have a sample before it is stored: {latency:?}");
    Ok(())
}
