use anyhow::{Context, Result, ensure};
use end_to_end::chance::{Chance, number};
use end_to_end::chart::Chart;
use end_to_end::client::Client;
use end_to_end::config::{ANY_PORT, HubConfig};
use end_to_end::hub::Hub;
use end_to_end::postgres::Postgres;
use end_to_end::simulator::acknowledged;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use end_to_end::writer::Writer;
use reqwest::Method;
use std::path::Path;
use std::time::Duration;

/// How often something is killed; `LAMPLIGHT_E2E_KILLS=200` makes it the whole trial.
const KILLS: u64 = 10;
/// Time from a moment when all runs to the next kill, ms.
const LIFE_MS: std::ops::Range<u64> = 100..2500;
/// How long what was killed stays away, ms.
const AWAY_MS: std::ops::Range<u64> = 0..3000;
const PASSWORD: &str = "geheim-7b21";

/// What the hub answered with 2xx, and what an agent was told is held there, PostgreSQL had promised to keep: stopped without a
/// word, killed, and its hub killed beside it, none of it is lost or doubled; and while it is away everybody is asked to come back.
#[tokio::test]
async fn a_hub_whose_postgres_is_stopped_at_once_and_killed_loses_and_doubles_nothing() -> Result<()> {
    let Some(mut postgres) = Postgres::open().await? else { return Ok(()) };
    let kills = number("LAMPLIGHT_E2E_KILLS")?.unwrap_or(KILLS);
    let mut chance = Chance::printed()?;
    let mut ward = Ward::open(&Plan { store: Some(url(&postgres)), ..Plan::one() }).await?;
    let patients = ward.clinic()?.patients.clone();
    let (mut at_agent, mut at_hub) = (Writer::called("agent"), Writer::called("hub"));
    let (mut stopped, mut killed, mut hubs, mut asked_back) = (0, 0, 0, 0);
    let nurse = ward.clinic()?.agent.sign_in().await?;
    let mut operator = ward.hub.sign_in().await?;
    arrived(&operator, &patients).await?;
    for kill in 0..kills {
        let life = chance.millis(LIFE_MS);
        let _ = tokio::time::timeout(life, write_on(&mut at_agent, &nurse, &mut at_hub, &operator, &patients)).await;
        let (database, hub) = match if kill < 3 { kill * 4 } else { chance.within(0..12) } {
            0..4 => ("stopped", false),
            4..8 => ("killed", false),
            8..10 => ("stopped", true),
            _ => ("there", true),
        };
        match database {
            "stopped" => postgres.stop_at_once().await.map(|()| stopped += 1)?,
            "killed" => postgres.kill().await.map(|()| killed += 1)?,
            _ => {}
        }
        if hub {
            ward.hub.kill().await?;
            hubs += 1;
        }
        let away = chance.millis(AWAY_MS);
        let at_hub_meanwhile = async {
            if !hub && database != "there" {
                asked_back += asks_to_come_back(&operator, &patients[0]).await?;
            }
            tokio::time::sleep(away).await;
            anyhow::Ok(())
        };
        let _ = tokio::join!(tokio::time::timeout(away, write_on_at(&mut at_agent, &nurse, &patients)), at_hub_meanwhile);
        // Which of the two is first must not matter.
        if hub && database != "there" && chance.percent(50) {
            let (up, ready) = tokio::join!(postgres.start(), ward.hub.start());
            up.and(ready).with_context(|| format!("kill {kill}"))?;
        } else {
            if database != "there" {
                postgres.start().await?;
            }
            if hub {
                ward.hub.start().await.with_context(|| format!("kill {kill}"))?;
            }
        }
        ready(&ward.hub).await?;
        ward.alive().await?;
        if hub {
            operator = ward.hub.sign_in().await?;
        }
    }
    let ack_log = ward.clinic()?.ack_log.clone();
    ward.quiet().await?;
    ward.settle().await?;

    let nurse = ward.clinic()?.agent.sign_in().await?;
    let operator = ward.hub.sign_in().await?;
    let ((promised_here, asked_here), (promised_there, asked_there)) = (at_agent.counts(), at_hub.counts());
    let acked = acknowledged(&ack_log)?;
    println!(
        "{kills} rounds: PostgreSQL stopped at once {stopped} times and killed {killed} times, the hub killed {hubs} times; {} messages \
         acknowledged, {promised_here} of {asked_here} writes promised by the agent, {promised_there} of {asked_there} by the hub, which asked \
         to come back {asked_back} times",
        acked.len()
    );
    assert!(promised_here > 20 && promised_there > 20 && asked_back > 0, "too little happened");
    for (name, client) in [("agent", &nurse), ("hub", &operator)] {
        assert_eq!(at_agent.wrong(client).await?, Vec::<String>::new(), "promised by the agent, at the {name}");
        assert_eq!(at_hub.wrong(client).await?, Vec::<String>::new(), "promised by the hub, at the {name}");
    }
    let mut charts = Vec::new();
    for patient in &patients {
        let (here, there) = (Chart::read(&nurse, patient).await?, Chart::read(&operator, patient).await?);
        assert_eq!(there.differences(&here), Vec::<String>::new(), "the hub's chart of {patient} is not the agent's");
        charts.push(here);
    }
    assert_eq!(charts[1].wrong(&acked), Vec::<String>::new(), "of {} acknowledged messages", acked.len());
    println!("hub, running: {}", ward.hub.verify().await?);
    ward.hub.stop().await?;
    let proven = ward.hub.verify().await?;
    println!("hub: {proven}");
    let entries: serde_json::Value = serde_json::from_str(&proven)?;
    assert_eq!(postgres.query("SELECT count(*) FROM lamplight.entries").await?, entries["entries"].to_string());
    tells_no_password(&ward.hub)?;
    let left: Vec<_> = std::fs::read_dir(&ward.hub.config.data)?.flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".db")), "the record lies in the data directory too: {left:?}");
    Ok(())
}

#[tokio::test]
async fn a_hub_that_is_there_before_its_postgres_waits_and_says_so() -> Result<()> {
    let Some(mut postgres) = Postgres::open().await? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let mut hub = alone(folder.path(), "hub", &postgres)?;
    hub.add_operator().await?;
    hub.start().await?;
    hub.stop().await?;
    postgres.stop().await?;

    let unreached = hub.say(&["site", "list"]).await?;
    assert_eq!(unreached.status.code(), Some(1));
    for word in ["PostgreSQL database postgres at", "not reached", "systemctl status postgresql", "hub.toml"] {
        assert!(unreached.err.contains(word), "{word:?} is not in {}", unreached.err);
    }
    let stranger = Client::stranger(&format!("http://{}", hub.config.bind))?;
    let database = async {
        let waits = until("the hub lives and waits", Duration::from_secs(30), async || {
            let ready = stranger.ask(Method::GET, "/readyz", None).await?;
            Ok((ready.status == 503).then_some(ready))
        });
        let (ready, _) = waits.await?;
        assert!(ready.body["reasons"].to_string().contains("database"), "{}", ready.body);
        assert_eq!(stranger.ask(Method::GET, "/healthz", None).await?.status, 200);
        for path in ["/api/v1/fleet", "/fhir/R4/Patient", "/metrics"] {
            let answer = stranger.ask(Method::GET, path, None).await?;
            assert_eq!((answer.status.as_u16(), answer.retry_after), (503, Some(5)), "{path}: {}", answer.body);
        }
        postgres.start().await
    };
    let (started, up) = tokio::join!(hub.start(), database);
    up.and(started)?;
    ready(&hub).await?;
    assert!(std::fs::read_to_string(hub.log())?.contains("waiting for the database"));
    hub.sign_in().await?.get("/api/v1/fleet").await?;

    // One hub writes a database.
    let second = alone(folder.path(), "second", &postgres)?;
    let refused = second.say(&["run"]).await?;
    assert!(!refused.status.success() && refused.err.contains("another hub writes here"), "{}", refused.err);

    // Saved while the hub runs, and put back into another database.
    let copy = folder.path().join("copy").display().to_string();
    hub.say(&["backup", &copy]).await?.ok()?;
    hub.stop().await?;
    let before = hub.verify().await?;
    let refused = hub.say(&["restore", &copy]).await?;
    assert!(!refused.status.success() && refused.err.contains("holds a record already"), "{}", refused.err);
    postgres.query("CREATE DATABASE other").await?;
    hub.config.store = hub.config.store.map(|url| url.replacen("///postgres?", "///other?", 1));
    hub.say(&["restore", &copy]).await?.ok()?;
    println!("before: {before}after: {}", hub.verify().await?);
    hub.start().await?;
    hub.sign_in().await?.get("/api/v1/fleet").await.context("accounts are in the backup")?;
    hub.stop().await?;

    // A record does not move because another place is named.
    std::fs::write(hub.config.data.join("hub.db"), b"")?;
    let refused = hub.say(&["run"]).await?;
    assert!(!refused.status.success() && refused.err.contains("a record does not move"), "{}", refused.err);
    tells_no_password(&hub)
}

fn url(postgres: &Postgres) -> String {
    format!("{}&password={PASSWORD}", postgres.url())
}

fn alone(folder: &Path, name: &str, postgres: &Postgres) -> Result<Hub> {
    let home = folder.join(name);
    std::fs::create_dir(&home)?;
    let config = HubConfig {
        name: name.to_owned(),
        data: home.join("data"),
        store: Some(url(postgres)),
        bind: ANY_PORT.into(),
        mqtt: ANY_PORT.into(),
        names: vec!["127.0.0.1".into()],
        ui: None,
    };
    Ok(Hub::new(&home, config))
}

fn tells_no_password(hub: &Hub) -> Result<()> {
    ensure!(!std::fs::read_to_string(hub.log())?.contains(PASSWORD), "the password is in the log");
    Ok(())
}

async fn arrived(operator: &Client, patients: &[String]) -> Result<()> {
    let all = until("the hub has the patients", Duration::from_secs(60), async || {
        for patient in patients {
            operator.get(&format!("/fhir/R4/Patient/{patient}")).await?;
        }
        Ok(Some(()))
    });
    all.await.map(drop)
}

async fn ready(hub: &Hub) -> Result<()> {
    let stranger = Client::stranger(hub.http())?;
    let ready = until("the hub is ready", Duration::from_secs(60), async || {
        Ok((stranger.ask(Method::GET, "/readyz", None).await?.status == 200).then_some(()))
    });
    ready.await.map(drop)
}

/// While its database is away: not ready, and whatever is asked is answered soon, 503, with the time of a next try. How often.
async fn asks_to_come_back(operator: &Client, patient: &str) -> Result<usize> {
    let mut times = 0;
    for path in [format!("/fhir/R4/Patient/{patient}"), "/api/v1/fleet".to_owned(), "/api/v1/conflicts".to_owned()] {
        let answer = operator.ask(Method::GET, &path, None).await?;
        ensure!(answer.status == 503 && answer.retry_after.is_some(), "{path} answered {}: {}", answer.status, answer.body);
        times += 1;
    }
    let ready = operator.ask(Method::GET, "/readyz", None).await?;
    ensure!(ready.status == 503, "ready without a database: {}", ready.body);
    let metrics = operator.ask(Method::GET, "/metrics", None).await?;
    ensure!(!metrics.body.to_string().contains(PASSWORD), "the password is among the metrics");
    Ok(times)
}

async fn write_on(here: &mut Writer, nurse: &Client, there: &mut Writer, operator: &Client, patients: &[String]) {
    tokio::join!(write_on_at(here, nurse, patients), write_on_at(there, operator, patients));
}

async fn write_on_at(writer: &mut Writer, client: &Client, patients: &[String]) {
    for patient in patients.iter().cycle() {
        writer.write(client, patient).await;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
