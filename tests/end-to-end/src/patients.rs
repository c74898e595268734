//! Test patients, registered and put to bed over FHIR and the agent's own routes. All are tagged test (HTEST).

use crate::client::Client;
use anyhow::{Context, Result};
use serde_json::{Value, json};

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// Whom to register.
pub struct Person {
    /// Family name.
    pub family: &'static str,
    /// Given name.
    pub given: &'static str,
    /// FHIR gender.
    pub gender: &'static str,
    /// ISO date.
    pub born: &'static str,
    /// Medical record number.
    pub number: &'static str,
}

/// Four people for four beds.
pub const PEOPLE: [Person; 4] = [
    Person { family: "Achieng", given: "Mary", gender: "female", born: "1958-03-14", number: "TEST0001" },
    Person { family: "Okafor", given: "James", gender: "male", born: "1971-11-02", number: "TEST0002" },
    Person { family: "Lindqvist", given: "Sara", gender: "female", born: "1990-07-21", number: "TEST0003" },
    Person { family: "Haddad", given: "Yusuf", gender: "male", born: "1946-01-30", number: "TEST0004" },
];

/// A Patient resource without an id.
#[must_use]
pub fn resource(person: &Person) -> Value {
    json!({
        "resourceType": "Patient",
        "meta": {"tag": [{"system": ACT_REASON, "code": "HTEST", "display": "test health data"}]},
        "identifier": [{"system": "urn:oid:2.16.840.1.113883.19.5", "value": person.number}],
        "active": true,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": person.gender,
        "birthDate": person.born,
    })
}

/// Registers a person, admits them and puts them into a bed; their FHIR id.
///
/// # Errors
/// Refused.
pub async fn admit(nurse: &Client, person: &Person, bed: &str) -> Result<String> {
    let created = nurse.post("/fhir/R4/Patient", &resource(person)).await?;
    let id = created.get("id").and_then(Value::as_str).context("a Patient without an id")?.to_owned();
    let encounter = json!({
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": ACT_CODE, "code": "IMP", "display": "inpatient encounter"},
        "subject": {"reference": format!("Patient/{id}")},
    });
    nurse.post("/fhir/R4/Encounter", &encounter).await?;
    nurse.put(&format!("/api/v1/beds/{bed}/patient"), &json!({"patient": id})).await?;
    Ok(id)
}

/// Records what no monitor says: alert, on air, and a temperature.
///
/// # Errors
/// Refused.
pub async fn observe(nurse: &Client, bed: &str, patient: &str) -> Result<()> {
    let values = json!([
        {"code": "consciousness", "value": 0, "unit": "{score}"},
        {"code": "inspired-oxygen", "value": 0, "unit": "L/min"},
        {"code": "temperature", "value": 36.8, "unit": "Cel"},
    ]);
    let set = json!({"patient": patient, "values": values});
    nurse.post(&format!("/api/v1/beds/{bed}/observations"), &set).await.map(drop)
}
