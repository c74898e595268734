use anyhow::{Context, Result, ensure};
use end_to_end::chart::Chart;
use end_to_end::client::Client;
use end_to_end::disk::SmallDisk;
use end_to_end::simulator::acknowledged;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use end_to_end::writer::Writer;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const ENOUGH: Duration = Duration::from_secs(60);
/// Bytes the record's disk has.
const DISK_MB: u32 = 24;

/// The ward goes on showing values, says that it saves nothing, promises nothing, and goes on by itself once there is room.
#[tokio::test]
async fn on_a_full_disk_the_ward_shows_values_says_it_saves_nothing_and_recovers_by_itself() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let Some(disk) = SmallDisk::mount(&ward.folder().join("small"), DISK_MB)? else { return Ok(()) };
    let clinic = ward.clinic()?;
    // The record moves to a disk of its own.
    clinic.agent.stop().await?;
    let data = disk.path().join("data");
    let moved = std::process::Command::new("cp").arg("-a").arg(&clinic.agent.config.data).arg(&data).status().context("cp")?;
    ensure!(moved.success(), "cp -a");
    clinic.agent.config.data = data;
    clinic.agent.start().await?;
    let nurse = clinic.agent.sign_in().await?;
    let live = clinic.watch().await?;
    let patient = clinic.patients[3].clone();
    let mut writer = Writer::default();
    for _ in 0..5 {
        assert!(writer.write(&nurse, &patient).await, "with room");
    }
    until("the monitors are heard", SOON, async || Ok((acknowledged(&clinic.ack_log)?.len() > 2).then_some(()))).await?;

    // Full once, with its own room set aside: it gives up what may go, says so, and goes on. An alert can be raised.
    disk.fill()?;
    until("it makes room", ENOUGH, async || Ok(nurse.get("/api/v1/ward").await?["saving"]["shedding"]["since_ms"].as_i64())).await?;
    until("it saves again", SOON, async || Ok(writer.write(&nurse, &patient).await.then_some(()))).await?;
    let ill = json!({"patient": patient, "values": [
        {"code": "temperature", "value": 40.2, "unit": "Cel"}, {"code": "respiratory-rate", "value": 31, "unit": "/min"}]});
    until("a set is saved", SOON, async || Ok(nurse.ask(Method::POST, "/api/v1/beds/4/observations", Some(&ill)).await?.ok().ok())).await?;
    until("an alert is raised on a full disk", SOON, async || {
        let alerts = nurse.get("/api/v1/alerts").await?;
        Ok(alerts.as_array().into_iter().flatten().any(|alert| alert["bed"] == "4").then_some(()))
    })
    .await?;

    disk.fill()?;
    let stranger = Client::stranger(clinic.agent.http())?;
    let (reason, took) = until("it says so", SOON, async || {
        // What it frees itself meanwhile is taken again.
        disk.fill()?;
        let ready = stranger.send(Method::GET, "/readyz", None).await?;
        Ok((ready.status == 503).then(|| ready.body["reasons"][0].as_str().map(str::to_owned)).flatten())
    })
    .await?;
    println!("after {} ms: {reason}", took.as_millis());
    assert!(reason.contains("disk is full"), "{reason}");
    // All that may go is given up first; what the box takes of the disk meanwhile is taken again.
    let saving = async || Ok::<_, anyhow::Error>(nurse.get("/api/v1/ward").await?["saving"].clone());
    let (shedding, _) = until("it says what it gives up", SOON, async || {
        disk.fill()?;
        let shedding = saving().await?["shedding"].clone();
        Ok(shedding["since_ms"].is_i64().then_some(shedding))
    })
    .await?;
    println!("given up: {shedding}");
    until("nothing more can be given up", SOON, async || {
        disk.fill()?;
        let problem = saving().await?["problem"].clone();
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok((problem.as_str().is_some_and(|problem| problem.contains("disk is full")) && saving().await?["problem"] == problem)
            .then_some(()))
    })
    .await?;
    let stopped_ms = saving().await?["stopped_ms"].clone();
    let acked = acknowledged(&clinic.ack_log)?.len();

    // Nothing is promised.
    assert!(!writer.write(&nurse, &patient).await, "a FHIR write");
    let encounter = json!({"resourceType": "Encounter", "status": "planned", "class": {"code": "IMP"}, "subject": {"reference": format!("Patient/{patient}")}});
    let refusal = nurse.ask(Method::POST, "/fhir/R4/Encounter", Some(&encounter)).await?.refused(507)?;
    assert!(refusal.contains("full"), "{refusal}");
    let observed = json!({"patient": patient, "values": [{"code": "temperature", "value": 37.2, "unit": "Cel"}]});
    let refusal = nurse.ask(Method::POST, "/api/v1/beds/4/observations", Some(&observed)).await?.refused(507)?;
    assert!(refusal.contains("full"), "{refusal}");

    // The ward is still shown, to those who watch and to those who come.
    let values = |ward: &Value| ward["beds"].as_array().into_iter().flatten().map(|bed| bed["numerics"].clone()).collect::<Vec<_>>();
    let late = clinic.agent.sign_in().await.context("signing in on a full disk")?;
    let first = values(&late.get("/api/v1/ward").await?);
    until("values go on changing", SOON, async || Ok((values(&late.get("/api/v1/ward").await?) != first).then_some(()))).await?;
    let (shown, waves) = (live.tally().shown.len(), live.tally().waves);
    until(
        "screens go on being told",
        SOON,
        async || Ok((live.tally().shown.len() > shown + 5 && live.tally().waves > waves).then_some(())),
    )
    .await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let held = acknowledged(&clinic.ack_log)?.len();
    assert!(held <= acked + 1, "{} messages were acknowledged on a full disk", held - acked);
    assert_eq!(saving().await?["stopped_ms"], stopped_ms, "it must not flicker");

    disk.free()?;
    let (_, took) = until("it goes on by itself", SOON, async || {
        let ready = stranger.send(Method::GET, "/readyz", None).await?;
        Ok((ready.status == 200).then_some(()))
    })
    .await?;
    println!("after {} ms it saves again", took.as_millis());
    let saving = saving().await?;
    assert_eq!((&saving["stopped_ms"], &saving["problem"]), (&Value::Null, &Value::Null));
    until("the monitor is answered again", SOON, async || Ok((acknowledged(&clinic.ack_log)?.len() > held + 5).then_some(()))).await?;
    assert!(writer.write(&nurse, &patient).await, "with room again");
    nurse.post("/api/v1/beds/4/observations", &observed).await?;

    let tally = live.tally();
    ward.quiet().await?;
    ward.settle().await?;
    let operator = ward.hub.sign_in().await?;
    let clinic = ward.clinic()?;
    // What the box gave up while its disk was full the hub holds: it had signed for it.
    assert_eq!(writer.wrong(&operator).await?, Vec::<String>::new());
    let chart = Chart::read(&operator, &clinic.patients[1]).await?;
    assert_eq!(chart.wrong(&acknowledged(&clinic.ack_log)?), Vec::<String>::new());
    assert_eq!(writer.wrong(&nurse).await?, Vec::<String>::new(), "documents are never given up");
    // What was only shown while nothing could be saved is in the record too: the box did not stop meanwhile.
    let mut charts = Vec::new();
    for patient in &clinic.patients {
        charts.push(Chart::read(&operator, patient).await?);
    }
    for one in tally.shown.iter().filter(|one| one.code != "80288-4") {
        let bed = clinic.patients.iter().position(|patient| *patient == one.patient).context("a patient of ours")?;
        assert!(charts[bed].count(&one.code, one.measured_ms, &one.value) >= 1, "{one:?} was shown and is not charted");
    }
    clinic.agent.stop().await?;
    clinic.agent.verify().await?;
    drop(disk);
    Ok(())
}
