use anyhow::{Context, Result};
use end_to_end::chance::{Chance, number};
use end_to_end::chart::Chart;
use end_to_end::client::Client;
use end_to_end::simulator::acknowledged;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use end_to_end::writer::Writer;
use std::collections::BTreeSet;
use std::time::Duration;

/// How often something is killed; `LAMPLIGHT_E2E_KILLS=200` makes it the whole trial.
const KILLS: u64 = 20;
/// Time from a start that was heard to the next kill, ms.
const LIFE_MS: std::ops::Range<u64> = 30..2000;
/// Time from a start to a kill amid it, ms.
const BIRTH_MS: std::ops::Range<u64> = 1..400;

/// What was acknowledged to the monitor, promised to a FHIR client, or shown on a screen was durable: `kill -9` of the agent,
/// of the hub, at work or amid a start, takes none of it back and doubles none of it.
#[tokio::test]
async fn killed_at_random_agent_and_hub_lose_nothing_acknowledged_promised_or_shown() -> Result<()> {
    let kills = number("LAMPLIGHT_E2E_KILLS")?.unwrap_or(KILLS);
    let mut chance = Chance::printed()?;
    let mut ward = Ward::open(&Plan::one()).await?;
    let patients = ward.clinic()?.patients.clone();
    let (mut shown, mut stored, mut writer) = (BTreeSet::new(), 0, Writer::default());
    let (mut agents, mut hubs, mut early) = (0, 0, 0);
    for kill in 0..kills {
        let Ward { hub, clinics, .. } = &mut ward;
        let clinic = &mut clinics[0];
        let nurse = clinic.agent.sign_in().await?;
        let live = clinic.watch().await?;
        let life = chance.millis(LIFE_MS);
        // Writes go on until the kill, which falls into one of them as often as not.
        let _ = tokio::time::timeout(life, write_on(&mut writer, &nurse, &patients)).await;
        let (agent, at_hub, amid) = match chance.within(0..10) {
            0..6 => (true, false, chance.percent(20)),
            6..9 => (false, true, chance.percent(20)),
            _ => (true, true, false),
        };
        if agent {
            clinic.agent.kill().await?;
            agents += 1;
        }
        if at_hub {
            hub.kill().await?;
            hubs += 1;
        }
        let tally = live.tally();
        stored += tally.numerics;
        shown.extend(tally.shown);
        if amid && agent {
            clinic.agent.start_and_kill(chance.millis(BIRTH_MS)).await?;
        } else if amid {
            hub.start_and_kill(chance.millis(BIRTH_MS)).await?;
        }
        early += u64::from(amid);
        if at_hub {
            hub.start().await.with_context(|| format!("kill {kill}"))?;
        }
        if agent {
            clinic.agent.start().await.with_context(|| format!("kill {kill}"))?;
        }
    }
    let ack_log = ward.clinic()?.ack_log.clone();
    let before = acknowledged(&ack_log)?.len();
    until("the monitor delivers again", Duration::from_secs(30), async || Ok((acknowledged(&ack_log)?.len() > before + 3).then_some(())))
        .await?;
    ward.quiet().await?;
    ward.settle().await?;

    let operator = ward.hub.sign_in().await?;
    let clinic = ward.clinic()?;
    let nurse = clinic.agent.sign_in().await?;
    let acked = acknowledged(&ack_log)?;
    let (promised, asked) = writer.counts();
    println!(
        "{kills} rounds: agent killed {agents} times, hub {hubs} times, {early} more kills amid a start; {} messages acknowledged, {promised} \
         of {asked} FHIR writes promised, {stored} numerics said to be stored, {} shown",
        acked.len(),
        shown.len()
    );
    assert!(acked.len() > 20 && promised > 20, "{} messages, {promised} writes", acked.len());
    let mut charts = Vec::new();
    for patient in &clinic.patients {
        let (here, there) = (Chart::read(&nurse, patient).await?, Chart::read(&operator, patient).await?);
        assert_eq!(there.differences(&here), Vec::<String>::new(), "the hub's chart of {patient} is not the agent's");
        charts.push(here);
    }
    assert_eq!(charts[1].wrong(&acked), Vec::<String>::new(), "of {} acknowledged messages", acked.len());
    for (name, client) in [("agent", &nurse), ("hub", &operator)] {
        assert_eq!(writer.wrong(client).await?, Vec::<String>::new(), "at the {name}, of {promised} promised");
    }
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
    println!("agent: {}", clinic.agent.verify().await?);
    ward.hub.stop().await?;
    println!("hub: {}", ward.hub.verify().await?);
    Ok(())
}

async fn write_on(writer: &mut Writer, nurse: &Client, patients: &[String]) {
    for patient in patients.iter().cycle() {
        writer.write(nurse, patient).await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
