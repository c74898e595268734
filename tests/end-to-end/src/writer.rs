//! Somebody who writes to the record over FHIR all day, and notes what was promised.

use crate::chart::search;
use crate::client::Client;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SYSTEM: &str = "urn:lamplight:end-to-end";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// What was asked to be written, each thing under an identifier of its own.
#[derive(Debug, Default)]
pub struct Writer {
    /// Begins every identifier; two writers of one record have different ones.
    name: &'static str,
    asked: u64,
    /// Identifier and FHIR id of what was answered 2xx.
    promised: BTreeMap<String, String>,
}

impl Writer {
    /// One of several.
    #[must_use]
    pub fn called(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Asks for one more Encounter of a patient; whether it was promised. No answer is an answer: it may be there or not.
    pub async fn write(&mut self, client: &Client, patient: &str) -> bool {
        self.asked += 1;
        let name = format!("{}-visit-{}", self.name, self.asked);
        let encounter = json!({
            "resourceType": "Encounter",
            "identifier": [{"system": SYSTEM, "value": name}],
            "status": "in-progress",
            "class": {"system": ACT_CODE, "code": "IMP", "display": "inpatient encounter"},
            "subject": {"reference": format!("Patient/{patient}")},
        });
        let answer = client.post("/fhir/R4/Encounter", &encounter).await;
        let id = answer.ok().and_then(|created| created["id"].as_str().map(str::to_owned));
        id.is_some_and(|id| self.promised.insert(name, id).is_none())
    }

    /// How many were promised, and how many asked for.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        (self.promised.len(), self.asked)
    }

    /// What the record at `client` does not hold as it should: each promised one exactly once under its id, any other at most
    /// once.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn wrong(&self, client: &Client) -> Result<Vec<String>> {
        let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut wrong = Vec::new();
        for encounter in search(client, "/fhir/R4/Encounter?_count=1000").await? {
            let ours = |one: &&Value| one["system"] == SYSTEM;
            let Some(named) = encounter["identifier"].as_array().into_iter().flatten().find(ours) else { continue };
            let name = named["value"].as_str().context("an identifier without a value")?.to_owned();
            if !name.starts_with(&format!("{}-visit-", self.name)) {
                continue;
            }
            let id = encounter["id"].as_str().context("an Encounter without an id")?.to_owned();
            if !held.entry(name.clone()).or_default().insert(id.clone()) {
                wrong.push(format!("{name} is listed twice as {id}"));
            }
        }
        for (name, id) in &self.promised {
            match held.get(name) {
                Some(ids) if ids.len() == 1 && ids.contains(id) => {}
                Some(ids) => wrong.push(format!("{name} was promised as {id} and is there as {ids:?}")),
                None => wrong.push(format!("{name} was promised as {id} and is not there")),
            }
        }
        wrong.extend(held.iter().filter(|(_, ids)| ids.len() > 1).map(|(name, ids)| format!("{name} is there as {ids:?}")));
        Ok(wrong)
    }
}
