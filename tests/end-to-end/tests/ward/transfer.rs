use anyhow::{Context, Result, ensure};
use end_to_end::agent::Agent;
use end_to_end::chart::Chart;
use end_to_end::client::Client;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
/// Duties of a box are done once a minute.
const DUTIES: Duration = Duration::from_secs(100);

fn two() -> Plan {
    Plan { clinics: vec![("hillside", "1"), ("riverside", "2")], ..Plan::one() }
}

async fn synced(agents: &[&Client]) -> Result<()> {
    for nurse in agents {
        nurse.post("/api/v1/sync/now", &Value::Null).await?;
    }
    Ok(())
}

async fn verified(agent: &mut Agent) -> Result<()> {
    agent.stop().await?;
    agent.verify().await?;
    agent.start().await
}

/// A patient moves from one clinic to another: history arrives, the old clinic's copy goes, nothing is left hanging.
#[tokio::test]
async fn a_patient_who_moves_is_at_the_new_clinic_with_full_history_and_gone_from_the_old_one() -> Result<()> {
    let mut ward = Ward::open(&two()).await?;
    let operator = ward.hub.sign_in().await?;
    let (old, new) = (ward.clinics[0].agent.sign_in().await?, ward.clinics[1].agent.sign_in().await?);
    let patient = ward.clinics[0].patients[0].clone();
    until("there is a history", SOON, async || Ok((Chart::read(&old, &patient).await?.len() > 50).then_some(()))).await?;
    ward.quiet().await?;
    ward.settle().await?;
    let before = Chart::read(&old, &patient).await?;
    assert!(!before.is_empty() && new.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.refused(404).is_ok());

    let order = json!({"to": "riverside", "reason": "moves to Riverside"});
    let path = format!("/api/v1/patients/{patient}/transfer");
    operator.ask(Method::POST, &path, Some(&json!({"to": "nowhere", "reason": "x"}))).await?.refused(404)?;
    operator.ask(Method::POST, &path, Some(&json!({"to": "riverside", "reason": " "}))).await?.refused(400)?;
    let ordered = operator.post(&path, &order).await?;
    assert_eq!((&ordered["to"], &ordered["outstanding"], &ordered["arrived"]), (&json!("riverside"), &json!(["hillside"]), &json!(false)));
    operator.post(&path, &order).await.context("asked twice")?;
    assert_eq!(operator.get("/api/v1/transfers").await?.as_array().map(Vec::len), Some(1));

    let transfers = async || Ok::<_, anyhow::Error>(operator.get("/api/v1/transfers").await?[0].clone());
    until("it arrives", SOON, async || {
        synced(&[&new]).await?;
        Ok((transfers().await?["arrived"] == true).then_some(()))
    })
    .await?;
    assert_eq!(Chart::read(&new, &patient).await?.differences(&before), Vec::<String>::new());
    new.put("/api/v1/beds/4/patient", &json!({"patient": patient})).await.context("placed at the new clinic")?;

    // While the patient lies in a bed there, the old clinic keeps the record.
    synced(&[&old]).await?;
    assert_eq!(transfers().await?["outstanding"], json!(["hillside"]));
    assert_eq!(Chart::read(&old, &patient).await?.differences(&before), Vec::<String>::new());
    old.put("/api/v1/beds/1/patient", &json!({})).await?;
    let (done, _) = until("the old clinic has left", DUTIES, async || {
        synced(&[&old]).await?;
        let transfer = transfers().await?;
        Ok((transfer["left"] == json!(["hillside"])).then_some(transfer))
    })
    .await?;
    assert_eq!(done["outstanding"], json!([]));
    old.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.refused(404)?;
    assert!(Chart::read(&old, &patient).await?.is_empty());
    old.ask(Method::PUT, "/api/v1/beds/1/patient", Some(&json!({"patient": patient}))).await?.refused(422)?;
    // What is measured of the patient from here on is the new clinic's.
    let observed = json!({"patient": patient, "values": [{"code": "temperature", "value": 37.2, "unit": "Cel"}]});
    new.post("/api/v1/beds/4/observations", &observed).await?;
    ward.settle().await?;
    for client in [&new, &operator] {
        let new = Chart::read(client, &patient).await?.differences(&before);
        assert!(!new.is_empty() && new.iter().all(|value| value.contains("37.2")), "history and what came after: {new:?}");
    }
    assert_eq!(operator.get("/api/v1/incidents").await?, json!([]));
    assert_eq!(operator.get("/api/v1/dead-letters").await?, json!([]));
    for clinic in &mut ward.clinics {
        verified(&mut clinic.agent).await?;
    }
    let again = ward.clinics[0].agent.sign_in().await?;
    again.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.refused(404)?;
    Ok(())
}

/// A record is destroyed wherever it is, and who has not signed is listed.
#[tokio::test]
async fn an_erased_record_is_gone_everywhere_and_each_box_signs_that_it_is() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let operator = ward.hub.sign_in().await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    let (patient, other) = (ward.clinic()?.patients[3].clone(), ward.clinic()?.patients[1].clone());
    until("the monitors are heard", SOON, async || Ok((!Chart::read(&nurse, &other).await?.is_empty()).then_some(()))).await?;
    until("the hub has it", SOON, async || {
        synced(&[&nurse]).await?;
        Ok(operator.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.ok().ok())
    })
    .await?;
    let path = format!("/api/v1/patients/{patient}/erase");
    operator.ask(Method::POST, &path, Some(&json!({"confirm": "another", "reason": "asked for"}))).await?.refused(400)?;
    ward.clinic()?.agent.stop().await?;
    let ordered = operator.post(&path, &json!({"confirm": patient, "reason": "asked for"})).await?;
    assert_eq!((&ordered["complete"], &ordered["outstanding"]), (&json!(false), &json!(["hillside"])));
    operator.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.refused(404)?;

    ward.clinic()?.agent.start().await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("the box has signed", SOON, async || {
        synced(&[&nurse]).await?;
        let erasures = operator.get("/api/v1/erasures").await?;
        ensure!(erasures[0]["scope"] == ordered["scope"], "{erasures}");
        Ok((erasures[0]["complete"] == true).then_some(()))
    })
    .await?;
    nurse.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.refused(404)?;
    // The patient still lay in a bed: the ward says what is wrong, and goes on.
    let beds = nurse.get("/api/v1/ward").await?["beds"].clone();
    let bed = beds.as_array().into_iter().flatten().find(|bed| bed["bed"] == "4").context("bed 4")?;
    assert_eq!((&bed["record_closed"], &bed["patient"]), (&json!(true), &Value::Null));
    let state = nurse.get("/api/v1/sync/state").await?;
    assert_eq!((&state["state"], state["set"].is_string()), (&Value::Null, true), "states are not compared after an erasure");
    ward.quiet().await?;
    ward.settle().await?;
    assert!(!Chart::read(&operator, &other).await?.is_empty(), "others are untouched");
    let clinic = ward.clinic()?;
    verified(&mut clinic.agent).await?;
    let nurse = clinic.agent.sign_in().await?;
    nurse.ask(Method::GET, &format!("/fhir/R4/Patient/{patient}"), None).await?.refused(404)?;
    let beds = nurse.get("/api/v1/ward").await?["beds"].clone();
    assert!(beds.as_array().into_iter().flatten().any(|bed| bed["record_closed"] == true), "after a restart too");
    Ok(())
}

/// Two patients were in each other's beds: what was measured since is theirs, once, here and at the hub.
#[tokio::test]
async fn a_swap_found_late_is_put_right_on_agent_and_hub_alike() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let operator = ward.hub.sign_in().await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    let (one, two) = (ward.clinic()?.patients[0].clone(), ward.clinic()?.patients[1].clone());
    tokio::time::sleep(Duration::from_secs(8)).await;
    let swapped_ms = nurse.get("/api/v1/ward").await?["as_of_ms"].as_i64().context("as_of_ms")?;
    // Some of it is sealed and sent by then, some is not.
    tokio::time::sleep(Duration::from_secs(13)).await;
    for (bed, patient) in [("1", &two), ("2", &one)] {
        let corrected = json!({"patient": patient, "since_ms": swapped_ms});
        nurse.put(&format!("/api/v1/beds/{bed}/patient"), &corrected).await?;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    ward.quiet().await?;
    ward.settle().await?;
    let page = async |client: &Client, patient: &str| {
        end_to_end::chart::search(client, &format!("/fhir/R4/Observation?patient={patient}&_count=1000")).await
    };
    // Whose monitor is whose shows in the device of each value.
    for (patient, before, after) in [(&one, "monitor-1", "monitor-2"), (&two, "monitor-2", "monitor-1")] {
        let mut seen = [0, 0];
        for observation in page(&nurse, patient).await? {
            let device = observation["device"]["reference"].as_str().unwrap_or_default().to_owned();
            let at = end_to_end::chart::millis(observation["effectiveDateTime"].as_str().context("a time")?)?;
            if !device.contains("monitor-") {
                continue;
            }
            let wanted = if at < swapped_ms { before } else { after };
            assert!(device.contains(wanted), "{device} at {at} is on {patient}'s chart, swapped at {swapped_ms}");
            seen[usize::from(at >= swapped_ms)] += 1;
        }
        assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
        let (here, there) = (Chart::read(&nurse, patient).await?, Chart::read(&operator, patient).await?);
        assert_eq!(there.differences(&here), Vec::<String>::new());
    }
    let acked = end_to_end::simulator::acknowledged(&ward.clinic()?.ack_log)?;
    let (late, early): (Vec<Value>, Vec<Value>) = acked.into_iter().partition(|message| message["t_ms"].as_i64() >= Some(swapped_ms));
    assert!(!late.is_empty() && !early.is_empty());
    assert_eq!(Chart::read(&operator, &two).await?.wrong(&early), Vec::<String>::new());
    assert_eq!(Chart::read(&operator, &one).await?.wrong(&late), Vec::<String>::new());
    ward.clinic()?.agent.stop().await?;
    ward.clinic()?.agent.verify().await?;
    Ok(())
}
