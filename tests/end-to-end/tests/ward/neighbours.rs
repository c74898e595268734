use anyhow::{Context, Result, ensure};
use end_to_end::agent::Agent;
use end_to_end::chart::Chart;
use end_to_end::client::Client;
use end_to_end::config::{ANY_PORT, LanConfig};
use end_to_end::patients::{self, Person};
use end_to_end::process::last_lines;
use end_to_end::proxy::{Direction, Planned, Proxy, Trouble};
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward, site};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// Someone neither box knows yet.
const NEWCOMER: Person = Person { family: "Tamba", given: "Aminata", gender: "female", born: "1983-05-09", number: "TEST0011" };
/// Someone who comes later.
const LATECOMER: Person = Person { family: "Vance", given: "Oliver", gender: "male", born: "1964-12-24", number: "TEST0012" };

fn two() -> Plan {
    Plan { clinics: vec![("hillside", "1"), ("riverside", "2")], ..Plan::one() }
}

/// Lets a clinic's agent share with another site, at an address if it is known.
async fn shares(agent: &mut Agent, with: &[&str], peers: Vec<String>) -> Result<()> {
    agent.stop().await?;
    let share_with = with.iter().map(|site| (*site).to_owned()).collect();
    agent.config.lan = Some(LanConfig { enabled: true, bind: ANY_PORT.into(), discover: false, share_with, peers });
    agent.start().await
}

fn neighbour(line: &Value, site: &str) -> Value {
    line["lan"]["neighbours"].as_array().into_iter().flatten().find(|one| one["site"] == site).cloned().unwrap_or_default()
}

async fn becomes(client: &Client, site: &str, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = Value::Null;
    let seen = until(what, PATIENCE, async || {
        last = neighbour(&client.get("/api/v1/sync").await?, site);
        Ok(is(&last).then(|| last.clone()))
    })
    .await;
    Ok(seen.with_context(|| format!("last seen: {last}"))?.0)
}

async fn edited(client: &Client, patient: &str, telecom: &str) -> Result<()> {
    let mut resource = client.get(&format!("/fhir/R4/Patient/{patient}")).await?;
    resource["telecom"] = json!([{"system": "phone", "value": telecom}]);
    client.put(&format!("/fhir/R4/Patient/{patient}"), &resource).await.map(drop)
}

/// Two boxes of one clinic with the hub gone: what one registers and measures is on the other, edits on both come together, a cut
/// line is taken up again, and with the hub back all three prove the same.
#[tokio::test]
async fn two_boxes_share_a_ward_with_no_hub_in_reach_and_prove_it_when_it_returns() -> Result<()> {
    let mut ward = Ward::open(&two()).await?;
    let [a, b] = ward.clinics.as_mut_slice() else { anyhow::bail!("two clinics") };
    let nurse = a.agent.sign_in().await?;
    until("both are known at the hub", PATIENCE, async || Ok((nurse.get("/api/v1/sync").await?["state"] == "online").then_some(())))
        .await?;
    ward.hub.kill().await?;
    shares(&mut b.agent, &["hillside"], Vec::new()).await?;
    let proxy = Proxy::open(b.agent.lan()?).await?;
    let through = proxy.http().trim_start_matches("http://").to_owned();
    shares(&mut a.agent, &["riverside"], vec![through]).await?;
    let (at_a, at_b) = (a.agent.sign_in().await?, b.agent.sign_in().await?);

    let person = patients::resource(&NEWCOMER);
    let registered = at_a.post("/fhir/R4/Patient?_confirm-new=true", &person).await?["id"].as_str().context("an id")?.to_owned();
    let (_, took) = until("the registration is on the other box", PATIENCE, async || {
        Ok(at_b.get(&format!("/fhir/R4/Patient/{registered}")).await.ok())
    })
    .await
    .with_context(|| last_lines(a.agent.log()))?;
    println!("a registration reaches the neighbour in {} ms", took.as_millis());
    let patient = a.patients[0].clone();
    until(
        "vitals are on the other box",
        PATIENCE,
        async || Ok(Some(Chart::read(&at_b, &patient).await?).filter(|chart| !chart.is_empty())),
    )
    .await?;
    // The other ward's beds are its own: nobody of here lies in them.
    let board = at_b.get("/api/v1/ward").await?;
    let there: Vec<_> = board["beds"].as_array().into_iter().flatten().filter_map(|bed| bed["patient"]["id"].as_str()).collect();
    assert_eq!(there, b.patients.iter().map(String::as_str).collect::<Vec<_>>(), "{board}");

    // The line is cut while both sides write.
    proxy.plan(Planned { direction: Direction::Up, after: 600, trouble: Trouble::Cut });
    proxy.plan(Planned { direction: Direction::Down, after: 300, trouble: Trouble::Cut });
    edited(&at_a, &registered, "555-1001").await?;
    edited(&at_b, &a.patients[1], "555-2002").await?;
    for (client, patient, telecom) in [(&at_b, &registered, "555-1001"), (&at_a, &a.patients[1], "555-2002")] {
        until("an edit is on the other box", PATIENCE, async || {
            let seen = client.get(&format!("/fhir/R4/Patient/{patient}")).await?;
            Ok((seen["telecom"][0]["value"] == telecom).then_some(()))
        })
        .await?;
    }
    let cuts = proxy.counts().cuts;
    assert!(cuts > 0, "the line was never cut");
    proxy.forget();

    ward.quiet().await?;
    let [a, b] = ward.clinics.as_mut_slice() else { anyhow::bail!("two clinics") };
    tokio::time::sleep(Duration::from_secs(7)).await;
    let shown = becomes(&at_a, "riverside", "both boxes hold the same", |one| one["equal"] == true && one["waiting"] == 0).await?;
    assert!(shown["address"].is_string() && shown["last_session_ms"].is_i64() && shown["state"] == "online", "{shown}");
    let line = at_b.get("/api/v1/sync").await?;
    assert!(line["lan"]["address"].is_string() && line["lan"]["neighbours"].as_array().is_some_and(|all| all.len() == 1), "{line}");
    for patient in &a.patients {
        let (here, there) = (Chart::read(&at_a, patient).await?, Chart::read(&at_b, patient).await?);
        assert_eq!(there.differences(&here), Vec::<String>::new(), "the neighbour's chart of {patient} is not this box's");
    }

    ward.hub.start().await?;
    let operator = ward.hub.sign_in().await?;
    for (client, name) in [(&at_a, "hillside"), (&at_b, "riverside")] {
        let mut last = String::new();
        until("the hub and each box prove the same", PATIENCE, async || {
            let line = client.post("/api/v1/sync/now", &Value::Null).await?;
            let row = site(&operator.get("/api/v1/fleet").await?, name)?;
            last = format!("{name}: {line}, hub {row}");
            Ok((line["waiting"] == 0 && line["digest_equal"] == true && row["digest_hex"] == line["digest"]).then_some(()))
        })
        .await
        .with_context(|| last)?;
    }
    a.agent.stop().await?;
    b.agent.stop().await?;
    a.agent.verify().await?;
    b.agent.verify().await?;
    Ok(())
}

/// A box that has not named this one, one that is enrolled nowhere, and one that the hub has revoked.
#[tokio::test]
async fn who_does_not_share_is_not_enrolled_or_was_revoked_is_refused() -> Result<()> {
    let mut ward = Ward::open(&two()).await?;
    let [a, b] = ward.clinics.as_mut_slice() else { anyhow::bail!("two clinics") };
    // B shares with somebody else: A is told so, and grants it nothing.
    shares(&mut b.agent, &["seaside"], Vec::new()).await?;
    let at = b.agent.lan()?.to_string();
    shares(&mut a.agent, &["riverside"], vec![at]).await?;
    let (at_a, at_b) = (a.agent.sign_in().await?, b.agent.sign_in().await?);
    let told = becomes(&at_a, "riverside", "the box is told that it is not shared with", |one| one["state"] == "refused").await?;
    assert!(told["problem"].as_str().is_some_and(|why| why.contains("share_with")), "{told}");
    let empty = neighbour(&at_b.get("/api/v1/sync").await?, "seaside");
    assert_eq!((&empty["state"], &empty["address"]), (&json!("searching"), &Value::Null), "{empty}");
    let patient = a.patients[0].clone();
    ensure!(at_b.get(&format!("/fhir/R4/Patient/{patient}")).await.is_err(), "one side alone has shared a record");

    // A client that is enrolled nowhere has no certificate to show.
    let address = b.agent.lan()?;
    let stranger = end_to_end::client::Client::stranger(&format!("http://{address}"))?;
    let answer = stranger.ask(reqwest::Method::GET, "/sync/v1/neighbour", None).await?;
    assert_eq!(answer.status.as_u16(), 401);

    // Both share; then the hub revokes B, and A hears of it from the hub.
    shares(&mut b.agent, &["hillside"], Vec::new()).await?;
    let at = b.agent.lan()?.to_string();
    shares(&mut a.agent, &["riverside"], vec![at]).await?;
    let (at_a, at_b) = (a.agent.sign_in().await?, b.agent.sign_in().await?);
    becomes(&at_a, "riverside", "the boxes share", |one| one["state"] == "online").await?;
    ward.hub.revoke_site("riverside").await?;
    let told = becomes(&at_a, "riverside", "the revoked box is refused", |one| one["state"] == "refused").await?;
    assert!(told["problem"].as_str().is_some_and(|why| why.contains("membership")), "{told}");
    let registered =
        at_a.post("/fhir/R4/Patient?_confirm-new=true", &patients::resource(&LATECOMER)).await?["id"].as_str().context("an id")?.to_owned();
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(at_b.get(&format!("/fhir/R4/Patient/{registered}")).await.is_err(), "a revoked box was given a new record");
    Ok(())
}
