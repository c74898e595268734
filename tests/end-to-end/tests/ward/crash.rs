use anyhow::{Context, Result};
use end_to_end::chart::Chart;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const KILLS: u64 = 10;

/// What was acknowledged to the monitor, or shown on a screen, was durable: `kill -9` takes none of it back.
#[tokio::test]
async fn an_agent_killed_ten_times_loses_nothing_it_acknowledged_or_showed() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let mut shown = BTreeSet::new();
    let mut stored = 0;
    for kill in 0..KILLS {
        let clinic = ward.clinic()?;
        let live = clinic.watch().await?;
        // Each time at another moment of the second.
        tokio::time::sleep(Duration::from_millis(1700 + 130 * kill)).await;
        clinic.agent.kill().await?;
        let tally = live.tally();
        stored += tally.numerics;
        shown.extend(tally.shown);
        clinic.agent.start().await?;
    }
    let ack_log = ward.clinic()?.ack_log.clone();
    let before = acknowledged(&ack_log)?.len();
    until("the monitor delivers again", Duration::from_secs(20), async || Ok((acknowledged(&ack_log)?.len() > before + 3).then_some(())))
        .await?;
    ward.quiet().await?;
    ward.settle().await?;

    let clinic = ward.clinic()?;
    let nurse = clinic.agent.sign_in().await?;
    let mut charts = Vec::new();
    for patient in &clinic.patients {
        charts.push(Chart::read(&nurse, patient).await?);
    }
    let acked = acknowledged(&ack_log)?;
    assert!(acked.len() > 20, "only {} messages were acknowledged", acked.len());
    let by_hl7 = &charts[1];
    let mut wrong = Vec::new();
    for message in &acked {
        let at_ms = message["t_ms"].as_i64().context("t_ms")?;
        for (code, number) in message["values"].as_object().context("values")? {
            let found = by_hl7.count(code, at_ms, &number.to_string());
            if found != 1 {
                wrong.push(format!("{code} = {number} at {at_ms} is charted {found} times"));
            }
        }
    }
    assert!(wrong.is_empty(), "of {} acknowledged messages: {wrong:#?}", acked.len());
    assert!(stored > 50 && shown.len() > 20, "{stored} numerics stored, {} shown", shown.len());
    // A level of consciousness is charted as a code, not as a number.
    for one in shown.iter().filter(|one| one.code != "80288-4") {
        let chart =
            clinic.patients.iter().position(|patient| *patient == one.patient).map(|bed| &charts[bed]).context("a patient of ours")?;
        assert!(chart.count(&one.code, one.measured_ms, &one.value) >= 1, "{one:?} was shown and is not charted");
    }
    let charted: usize = charts.iter().map(Chart::len).sum();
    assert!(charted as u64 >= stored, "{stored} numerics were reported stored, {charted} are charted");

    clinic.agent.stop().await?;
    clinic.agent.verify().await?;
    Ok(())
}

fn acknowledged(log: &std::path::Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}
