use anyhow::{Context, Result};
use end_to_end::patients::{PEOPLE, resource};
use end_to_end::ward::{BEDS, Plan, Ward};
use serde_json::{Value, json};

const TIMES: usize = 20;

/// Whoever registers a patient and is answered may place them with the next request.
#[tokio::test]
async fn a_patient_can_be_placed_in_a_bed_the_moment_they_are_registered() -> Result<()> {
    let mut ward = Ward::open(&Plan::alone()).await?;
    let nurse = ward.clinic()?.agent.sign_in().await?;
    for turn in 0..TIMES {
        let (person, bed) = (&PEOPLE[turn % PEOPLE.len()], BEDS[turn % BEDS.len()]);
        let created = nurse.post("/fhir/R4/Patient?_confirm-new=true", &resource(person)).await?;
        let patient = created["id"].as_str().context("a Patient without an id")?;
        nurse.put(&format!("/api/v1/beds/{bed}/patient"), &json!({"patient": patient})).await.with_context(|| format!("turn {turn}"))?;
        let ward = nurse.get("/api/v1/ward").await?;
        let found = ward["beds"].as_array().into_iter().flatten().find(|view| view["bed"] == bed).map(|view| view["patient"]["id"].clone());
        assert_eq!(found, Some(Value::from(patient)), "turn {turn}");
    }
    Ok(())
}
