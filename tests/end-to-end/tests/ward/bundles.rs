use anyhow::{Context, Result, ensure};
use end_to_end::wait::until;
use end_to_end::ward::{Plan, Ward, site};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A site that no line reaches: a stick there and a stick back prove that both hold the same. Both programs run meanwhile, then
/// both are stopped and the commands work by themselves.
#[tokio::test]
async fn a_stick_there_and_a_stick_back_prove_what_no_line_could() -> Result<()> {
    let mut ward = Ward::open(&Plan { behind_proxy: true, ..Plan::one() }).await?;
    let proxy = ward.proxy.take().context("a proxy")?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    let operator = ward.hub.sign_in().await?;
    // No port 9 answers on a bare machine: the hub is out of reach, and runs.
    proxy.aim("127.0.0.1:9".parse()?);
    proxy.cut();
    ward.quiet().await?;
    let patient = ward.clinic()?.patients[0].clone();
    let allergy = json!({"resourceType": "AllergyIntolerance", "patient": {"reference": format!("Patient/{patient}")},
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
        "code": {"text": "Penicillin"}});
    let allergy = nurse.post("/fhir/R4/AllergyIntolerance", &allergy).await?["id"].as_str().context("an id")?.to_owned();
    // Until the last segment is cut, the journal holds measurements that are no entries yet.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let before = nurse.get("/api/v1/sync").await?;
    ensure!(before["state"] == "offline" && before["waiting"].as_u64() > Some(0), "{before}");

    let (out, back) = (ward.folder().join("out.bundle"), ward.folder().join("back.bundle"));
    let first = agent(&mut ward, "export", &out).await?;
    println!("first bundle: {first}");
    let taken = imported(&ward, &out).await?;
    assert!(taken["entries"].as_u64() > Some(0) && taken["refused"] == 0 && taken["equal"] == true, "{taken}");
    assert_eq!(operator.get(&format!("/fhir/R4/AllergyIntolerance/{allergy}")).await?["code"]["text"], "Penicillin");
    let again = imported(&ward, &out).await?;
    assert_eq!(again["entries"], 0, "a bundle taken in twice brings nothing: {again}");

    exported(&ward, &back).await?;
    agent(&mut ward, "import", &back).await?;
    let (line, _) = until("the stick proves that nothing waits", PATIENCE, async || {
        let line = nurse.get("/api/v1/sync").await?;
        Ok((line["waiting"] == 0 && line["last_bundle"]["equal"] == true).then_some(line))
    })
    .await
    .with_context(|| end_to_end::process::last_lines(ward.clinics[0].agent.log()))?;
    assert_eq!((&line["state"], &line["digest_equal"]), (&json!("offline"), &json!(true)), "{line}");
    let row = site(&operator.get("/api/v1/fleet").await?, "hillside")?;
    assert_eq!((&row["digest_hex"], &row["digest"]), (&line["digest"], &json!("equal")), "{row}");

    // The second is small; altered, cut off or for another it is refused by name and changes nothing.
    let second = agent(&mut ward, "export", &out).await?;
    let (first, second) = (first["bytes"].as_u64().unwrap_or_default(), second["bytes"].as_u64().unwrap_or(u64::MAX));
    println!("first {first} bytes, second {second} bytes");
    assert!(second < 4096 && second < first / 4, "first {first} bytes, second {second} bytes");
    let whole = std::fs::read(&out)?;
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    let cut = whole[..whole.len() - 7].to_vec();
    for (bytes, why) in
        [(altered, "altered"), (cut, "cut off"), (std::fs::read(&back)?, "for replica"), (b"a letter".to_vec(), "no Lamplight")]
    {
        std::fs::write(&out, bytes)?;
        let said = ward.hub.say(&["import", "--bundle", path(&out)?]).await?;
        ensure!(!said.status.success() && said.err.contains(why), "{why}: {} {}", said.out, said.err);
    }

    // With nothing running the commands do it themselves.
    ward.clinic()?.agent.stop().await?;
    ward.hub.stop().await?;
    agent(&mut ward, "export", &out).await?;
    let taken = imported(&ward, &out).await?;
    assert_eq!(taken["refused"], 0, "{taken}");
    exported(&ward, &back).await?;
    let proven = agent(&mut ward, "import", &back).await?;
    assert_eq!(proven["equal"], true, "{proven}");
    ward.clinic()?.agent.verify().await?;
    ward.hub.verify().await?;
    Ok(())
}

#[tokio::test]
async fn a_revoked_sites_bundle_is_refused_and_raises_an_incident() -> Result<()> {
    let mut ward = Ward::open(&Plan { behind_proxy: true, ..Plan::one() }).await?;
    let proxy = ward.proxy.take().context("a proxy")?;
    proxy.aim("127.0.0.1:9".parse()?);
    proxy.cut();
    let out = ward.folder().join("out.bundle");
    agent(&mut ward, "export", &out).await?;
    ward.hub.revoke_site("hillside").await?;
    let said = ward.hub.say(&["import", "--bundle", path(&out)?]).await?;
    ensure!(!said.status.success() && said.err.contains("membership of hillside ended"), "{} {}", said.out, said.err);
    let operator = ward.hub.sign_in().await?;
    let incidents = operator.get("/api/v1/incidents").await?;
    assert!(incidents.as_array().into_iter().flatten().any(|one| one["kind"] == "revoked-writes"), "{incidents}");
    let said = ward.hub.say(&["export", "--site", "hillside", "--bundle", path(&out)?]).await?;
    ensure!(!said.status.success(), "a bundle was made for a revoked site: {}", said.out);
    Ok(())
}

async fn agent(ward: &mut Ward, what: &str, file: &Path) -> Result<Value> {
    let said = ward.clinic()?.agent.command(&[what, "--bundle", path(file)?], "").await?.ok()?;
    report(&said)
}

async fn exported(ward: &Ward, file: &Path) -> Result<Value> {
    report(&ward.hub.say(&["export", "--site", "hillside", "--bundle", path(file)?]).await?.ok()?)
}

async fn imported(ward: &Ward, file: &Path) -> Result<Value> {
    report(&ward.hub.say(&["import", "--bundle", path(file)?]).await?.ok()?)
}

fn report(said: &str) -> Result<Value> {
    let report: Value = serde_json::from_str(said.trim()).with_context(|| said.to_owned())?;
    let of = report.get("exported").or_else(|| report.get("imported"));
    of.cloned().with_context(|| said.to_owned())
}

fn path(file: &Path) -> Result<&str> {
    file.to_str().context("a path in UTF-8")
}
