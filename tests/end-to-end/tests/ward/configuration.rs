use anyhow::{Context, Result, ensure};
use end_to_end::chance::Chance;
use end_to_end::chart::search;
use end_to_end::client::Client;
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds of rolling out and killing.
const KILLS: u32 = 4;
/// Time from a rollout to the kill, ms: before it is heard of, while it is taken in, after.
const KILL_MS: std::ops::Range<u64> = 0..2500;

/// A bundle that calls somebody for any SpO2 below `low`.
fn bundle(name: &str, low: &str) -> String {
    format!(
        "name = \"{name}\"\nrequires = 1\n[[sets]]\ntitle = \"All of {name}\"\nsource = \"a test\"\nages = {{ from_months = 0 }}\n\
         limits = [{{ codes = [\"spo2\"], low = \"{low}\", hold_s = 2 }}]\n"
    )
}

fn file(ward: &Ward, name: &str, text: &str) -> Result<PathBuf> {
    let path = ward.folder().join(format!("{name}.toml"));
    std::fs::write(&path, text)?;
    Ok(path)
}

async fn roll_out(ward: &Ward, file: &Path, to: &str) -> Result<Value> {
    let path = file.to_str().context("a path in UTF-8")?;
    let said = ward.hub.say(&["config", "roll-out", path, "--to", to, "--reason", "a test"]).await?.ok()?;
    Ok(serde_json::from_str::<Value>(said.trim())?["rolled-out"].clone())
}

/// How the site stands as the hub shows it.
async fn stands(operator: &Client) -> Result<Value> {
    Ok(operator.get("/api/v1/configuration").await?[0].clone())
}

async fn goes_by(ward: &Ward, operator: &Client, name: &str) -> Result<Value> {
    let mut last = Value::Null;
    let came = until(&format!("hillside goes by {name}"), PATIENCE, async || {
        last = stands(operator).await?;
        Ok((last["state"] == "applied" && last["running"]["name"] == name && last["wanted"]["name"] == name).then(|| last.clone()))
    })
    .await;
    let log = || end_to_end::process::last_lines(ward.clinics[0].agent.log());
    Ok(came.with_context(|| format!("last seen: {last}")).with_context(log)?.0)
}

async fn called(nurse: &Client, words: &str) -> Result<()> {
    until(&format!("somebody is called: {words}"), PATIENCE, async || {
        let issues = search(nurse, "/fhir/R4/DetectedIssue?_count=1000").await?;
        Ok(issues.iter().any(|issue| issue["detail"].as_str().is_some_and(|detail| detail.contains(words))).then_some(()))
    })
    .await?;
    Ok(())
}

/// Limits go out from the hub, count at the bedside, are told of and come back again, whatever is killed meanwhile.
#[tokio::test]
async fn limits_are_rolled_out_and_back_and_a_ward_killed_amid_it_is_never_without() -> Result<()> {
    let mut ward = Ward::open(&Plan::one()).await?;
    let operator = ward.hub.sign_in().await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("the site has synced", PATIENCE, async || {
        let line = nurse.get("/api/v1/sync").await?;
        Ok((line["digest_equal"] == true).then_some(()))
    })
    .await?;
    let first = stands(&operator).await?;
    assert_eq!((&first["state"], &first["wanted"], &first["before"]), (&json!("shipped"), &Value::Null, &Value::Null), "{first}");

    // What no site could use goes to nobody.
    for (name, text, why) in [
        ("newer", bundle("newer", "90").replace("requires = 1", "requires = 2"), "needs format 2"),
        ("wild", bundle("wild", "0"), "spo2 is within"),
        ("odd", format!("colour = 1\n{}", bundle("odd", "90")), "colour"),
    ] {
        let path = file(&ward, name, &text)?;
        let said = ward.hub.say(&["config", "roll-out", path.to_str().context("path")?, "--to", "all", "--reason", "x"]).await?;
        ensure!(!said.status.success() && said.err.contains(why), "{name}: {} {}", said.out, said.err);
        let answer = operator
            .ask(reqwest::Method::POST, "/api/v1/configuration/roll-out", Some(&json!({"to": "all", "bundle": text, "reason": "x"})))
            .await?;
        ensure!(answer.refused(400)?.contains(why), "{name}");
    }
    assert_eq!(stands(&operator).await?, first);

    let (strict, mild) = (bundle("strict", "100"), bundle("mild", "50"));
    let done = roll_out(&ward, &file(&ward, "strict", &strict)?, "all").await?;
    assert_eq!(done["sites"], json!(["hillside"]), "{done}");
    let applied = goes_by(&ward, &operator, "strict").await?;
    assert_eq!((&applied["running"]["sha256"], &applied["before"]), (&applied["wanted"]["sha256"], &json!("shipped")), "{applied}");
    called(&nurse, "below 100 (All of strict)").await?;

    // Killed at any moment of a rollout, the box goes by the old one or the new, and ends at the new.
    let mut chance = Chance::printed()?;
    for round in 0..KILLS {
        let (name, text) = (format!("round-{round}"), bundle(&format!("round-{round}"), if round % 2 == 0 { "50" } else { "100" }));
        let path = file(&ward, &name, &text)?;
        roll_out(&ward, &path, "site:hillside").await?;
        tokio::time::sleep(chance.millis(KILL_MS)).await;
        ward.clinic()?.agent.kill().await?;
        if chance.percent(50) {
            ward.hub.kill().await?;
            ward.hub.start().await?;
        }
        ward.clinic()?.agent.start().await?;
        let operator = ward.hub.sign_in().await?;
        goes_by(&ward, &operator, &name).await?;
    }

    // Back to the one before, and with the box away meanwhile.
    let operator = ward.hub.sign_in().await?;
    roll_out(&ward, &file(&ward, "mild", &mild)?, "all").await?;
    goes_by(&ward, &operator, "mild").await?;
    ward.clinic()?.agent.stop().await?;
    let back = operator.post("/api/v1/configuration/roll-back", &json!({"to": "site:hillside", "reason": "too quiet"})).await?;
    assert_eq!(back, json!({"sites": ["hillside"], "skipped": []}));
    let waiting = stands(&operator).await?;
    assert_eq!((&waiting["state"], &waiting["running"]["name"]), (&json!("waiting"), &json!("mild")), "{waiting}");
    ward.clinic()?.agent.start().await?;
    goes_by(&ward, &operator, &format!("round-{}", KILLS - 1)).await?;

    ward.quiet().await?;
    ward.settle().await?;
    ward.clinic()?.agent.stop().await?;
    ward.clinic()?.agent.verify().await?;
    ward.hub.stop().await?;
    ward.hub.verify().await?;
    let listed: Value = serde_json::from_str(ward.hub.say(&["config", "list"]).await?.ok()?.trim())?;
    assert_eq!((&listed["site"], &listed["state"]), (&json!("hillside"), &json!("applied")), "{listed}");
    Ok(())
}

/// Where no line reaches, limits travel on the stick, and so does the answer.
#[tokio::test]
async fn a_stick_carries_a_rollout_there_and_its_answer_back() -> Result<()> {
    let mut ward = Ward::open(&Plan { behind_proxy: true, ..Plan::one() }).await?;
    let proxy = ward.proxy.take().context("a proxy")?;
    let operator = ward.hub.sign_in().await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    until("the site has synced", PATIENCE, async || Ok((nurse.get("/api/v1/sync").await?["digest_equal"] == true).then_some(()))).await?;
    proxy.aim("127.0.0.1:9".parse()?);
    proxy.cut();
    roll_out(&ward, &file(&ward, "strict", &bundle("strict", "100"))?, "all").await?;
    let stick = ward.folder().join("stick.bundle");
    let path = stick.to_str().context("a path in UTF-8")?.to_owned();
    ward.hub.say(&["export", "--site", "hillside", "--bundle", &path]).await?.ok()?;
    ward.clinic()?.agent.command(&["import", "--bundle", &path], "").await?.ok()?;
    called(&nurse, "below 100 (All of strict)").await?;
    assert_eq!(stands(&operator).await?["state"], "waiting");
    ward.clinic()?.agent.command(&["export", "--bundle", &path], "").await?.ok()?;
    ward.hub.say(&["import", "--bundle", &path]).await?.ok()?;
    let told = stands(&operator).await?;
    assert_eq!((&told["state"], &told["running"]["name"]), (&json!("applied"), &json!("strict")), "{told}");
    Ok(())
}
