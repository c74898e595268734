use anyhow::Result;
use end_to_end::client::Client;
use end_to_end::process;
use end_to_end::ward::{Plan, Ward};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_unknown_configuration_key_is_named_with_its_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (program, file) in [("edge-agent", "agent.toml"), ("sync-hub", "hub.toml")] {
        let path = folder.path().join(file);
        std::fs::write(&path, format!("name = \"x\"\ndata = {:?}\nbeds = [\"1\"]\nwardz = 1\n", folder.path().join("data")))?;
        let said = process::run(program, &["run".into(), "--config".into(), path.into()], "").await?;
        assert!(!said.status.success());
        assert!(
            said.err.contains(file) && (said.err.contains("wardz") || program == "sync-hub" && said.err.contains("beds")),
            "{}",
            said.err
        );
        assert!(!folder.path().join("data").exists(), "a refused start must leave nothing behind");
    }
    Ok(())
}

/// Each refusal names what is wrong, in the dialect of its path; after all of them the agent works as before.
#[tokio::test]
async fn bad_requests_are_refused_by_name_and_nothing_gets_stuck() -> Result<()> {
    let mut ward = Ward::open(&Plan::alone()).await?;
    let clinic = ward.clinic()?;
    let nurse = clinic.agent.sign_in().await?;
    let patient = clinic.patients[3].clone();
    let before = nurse.get("/api/v1/status").await?["stored"].as_u64();

    let observations = "/api/v1/beds/4/observations";
    let observed = |code: &str, unit: &str| json!({"patient": patient, "values": [{"code": code, "value": 37.2, "unit": unit}]});
    let words = refused(&nurse, Method::POST, observations, &observed("temperature", "[degF]"), 422).await?;
    assert!(words.contains("Cel"), "does not name the unit it wants: {words}");
    let words = refused(&nurse, Method::POST, observations, &observed("warmth", "Cel"), 422).await?;
    assert!(words.contains("warmth"), "{words}");
    let other = json!({"patient": clinic.patients[0], "values": [{"code": "temperature", "value": 37.2, "unit": "Cel"}]});
    refused(&nurse, Method::POST, observations, &other, 409).await?;
    refused(&nurse, Method::PUT, "/api/v1/beds/4/patient", &json!({"patient": "nobody"}), 422).await?;
    refused(&nurse, Method::PUT, "/api/v1/beds/99/patient", &json!({"patient": patient}), 404).await?;
    let words = refused(&nurse, Method::PUT, "/api/v1/beds/4/patient", &json!({"patiemt": patient}), 400).await?;
    assert!(words.contains("patiemt"), "{words}");

    let words =
        refused(&nurse, Method::POST, "/fhir/R4/Patient", &json!({"resourceType": "Patient", "birthDate": "yesterday"}), 400).await?;
    assert!(words.contains("birthDate"), "does not say where: {words}");
    let words = refused(&nurse, Method::POST, "/fhir/R4/Patient", &json!({"resourceType": "Patient", "nickname": "x"}), 400).await?;
    assert!(words.contains("nickname"), "does not say where: {words}");
    refused(&nurse, Method::GET, "/fhir/R4/Patient/nobody", &Value::Null, 404).await?;
    let raw = nurse.send(Method::POST, "/fhir/R4/Patient", Some(("application/fhir+json", b"{\"resourceType\":".to_vec()))).await?;
    raw.refused(400)?;
    let large = format!("{{\"resourceType\":\"Patient\",\"id\":\"{}\"}}", "x".repeat(300 * 1024));
    nurse.send(Method::POST, "/fhir/R4/Patient", Some(("application/fhir+json", large.into_bytes()))).await?.refused(413)?;
    let large = vec![b' '; 2 * 1024 * 1024];
    nurse.send(Method::POST, observations, Some(("application/json", large))).await?.refused(413)?;

    let stranger = Client::stranger(clinic.agent.http())?;
    for path in ["/api/v1/ward", "/fhir/R4/Patient", "/api/v1/openapi.json", "/metrics"] {
        stranger.send(Method::GET, path, None).await?.refused(401)?;
    }

    // Nothing of it was kept, and everything still works.
    nurse.post(observations, &observed("temperature", "Cel")).await?;
    let after = nurse.get("/api/v1/status").await?["stored"].as_u64();
    assert!(after > before, "samples stand still: {before:?} then {after:?}");
    Ok(())
}

#[tokio::test]
async fn five_wrong_pins_lock_the_name_and_nobody_else() -> Result<()> {
    let mut ward = Ward::open(&Plan::alone()).await?;
    let clinic = ward.clinic()?;
    clinic.agent.add_user("amina", "nurse", "739105").await?;
    let stranger = Client::stranger(clinic.agent.http())?;
    let sign_in = |secret: &str| json!({"user": "amina", "secret": secret});
    for _ in 0..4 {
        stranger.ask(Method::POST, "/api/v1/session", Some(&sign_in("000000"))).await?.refused(401)?;
    }
    for secret in ["000000", "739105"] {
        let locked = stranger.ask(Method::POST, "/api/v1/session", Some(&sign_in(secret))).await?;
        assert!(locked.body["retry_after_s"].as_u64() > Some(0), "does not say for how long: {}", locked.body);
        locked.refused(423)?;
    }
    clinic.agent.sign_in().await?;
    Ok(())
}

async fn refused(client: &Client, method: Method, path: &str, body: &Value, status: u16) -> Result<String> {
    let body = if body.is_null() { None } else { Some(body) };
    client.ask(method, path, body).await?.refused(status)
}
