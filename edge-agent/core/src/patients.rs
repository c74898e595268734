//! What of a FHIR Patient the ward needs.

use edge_api::ward::PatientView;
use record::id::PatientId;
use record::time::Timestamp;
use risk::limits::Whom;
use risk::{Spo2Scale, Subject};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Patients held in memory; a clinic's own register is smaller.
pub(crate) const PATIENTS_MAX: usize = 50_000;
/// Numbers of one patient.
const NUMBERS_MAX: usize = 32;
/// Set on a Patient by a clinician who prescribes SpO₂ scale 2: `valueInteger` 2.
const SPO2_SCALE_URL: &str = "urn:lamplight:fhir:spo2-scale";

/// One patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Patient {
    pub id: PatientId,
    pub name: String,
    pub birth_date: Option<String>,
    pub gender: Option<String>,
    pub identifier: Option<String>,
    /// Numbers in force; of a record that is no longer used, none.
    pub numbers: Vec<String>,
    pub test: bool,
    pub spo2_scale: Spo2Scale,
}

/// Every patient known.
#[derive(Debug, Default)]
pub(crate) struct Patients {
    by_id: BTreeMap<PatientId, Patient>,
    /// Who has a number, whatever its system.
    by_number: BTreeMap<String, BTreeSet<PatientId>>,
}

impl Patients {
    /// Takes in a Patient resource. `None` if it is none or there is no room.
    pub fn take(&mut self, resource: &Value) -> Option<PatientId> {
        let patient = Patient::read(resource)?;
        if self.by_id.len() >= PATIENTS_MAX && !self.by_id.contains_key(&patient.id) {
            return None;
        }
        let id = patient.id.clone();
        self.forget(&id);
        for number in &patient.numbers {
            self.by_number.entry(number.clone()).or_default().insert(id.clone());
        }
        self.by_id.insert(id.clone(), patient);
        Some(id)
    }

    /// The record of one is no longer here.
    pub fn forget(&mut self, id: &PatientId) {
        for number in self.by_id.remove(id).into_iter().flat_map(|patient| patient.numbers) {
            if let Some(others) = self.by_number.get_mut(&number) {
                others.remove(id);
                if others.is_empty() {
                    self.by_number.remove(&number);
                }
            }
        }
    }

    /// Those who have a number.
    pub fn with_number(&self, number: &str) -> impl Iterator<Item = &PatientId> {
        self.by_number.get(number.trim()).into_iter().flatten()
    }

    pub fn get(&self, id: &PatientId) -> Option<&Patient> {
        self.by_id.get(id)
    }

    pub fn is_test(&self, id: &PatientId) -> bool {
        self.get(id).is_some_and(|p| p.test)
    }

    pub fn name(&self, id: &str) -> String {
        id.parse().ok().and_then(|id: PatientId| self.get(&id).map(|p| p.name.clone())).unwrap_or_default()
    }
}

impl Patient {
    fn read(resource: &Value) -> Option<Self> {
        if resource.get("resourceType")?.as_str()? != "Patient" {
            return None;
        }
        let text = |key: &str| resource.get(key).and_then(Value::as_str).map(str::to_owned);
        let tags = resource.pointer("/meta/tag").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_test = |tag: &Value| {
            tag.get("code").and_then(Value::as_str).is_some_and(|c| c.eq_ignore_ascii_case("test") || c.eq_ignore_ascii_case("htest"))
        };
        let extensions = resource.get("extension").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let scale = extensions.iter().find(|e| e.get("url").and_then(Value::as_str) == Some(SPO2_SCALE_URL));
        let scale_two = scale.and_then(|e| e.get("valueInteger")).and_then(Value::as_i64) == Some(2);
        let identifiers = resource.get("identifier").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let in_use = resource.get("active").and_then(Value::as_bool) != Some(false);
        let in_force = |identifier: &&Value| in_use && identifier.get("use").and_then(Value::as_str) != Some("old");
        let numbers = identifiers.iter().filter(in_force).filter_map(|i| i.get("value").and_then(Value::as_str)).map(str::trim);
        Some(Self {
            numbers: numbers.filter(|number| !number.is_empty()).take(NUMBERS_MAX).map(str::to_owned).collect(),
            id: resource.get("id")?.as_str()?.parse().ok()?,
            name: name(resource.get("name")),
            birth_date: text("birthDate"),
            gender: text("gender"),
            identifier: resource.pointer("/identifier/0/value").and_then(Value::as_str).map(str::to_owned),
            test: tags.iter().any(is_test),
            spo2_scale: if scale_two { Spo2Scale::Two } else { Spo2Scale::One },
        })
    }

    /// Completed years at a moment. A birth date without month or day counts from its first day, so that someone who may
    /// be old enough for a score is given it.
    pub fn age_years(&self, at: Timestamp) -> Option<u16> {
        let mut born = date(self.birth_date.as_deref()?)?;
        let today = date(at.rfc3339().get(..10)?)?;
        born.1 = born.1.max(1);
        born.2 = born.2.max(1);
        let birthday_passed = (today.1, today.2) >= (born.1, born.2);
        u16::try_from(today.0 - born.0 - i32::from(!birthday_passed)).ok()
    }

    /// Completed months at a moment, dated as [`Patient::age_years`] dates them.
    pub fn age_months(&self, at: Timestamp) -> Option<u16> {
        let born = date(self.birth_date.as_deref()?)?;
        let today = date(at.rfc3339().get(..10)?)?;
        let months = |date: (i32, u8, u8)| date.0 * 12 + i32::from(date.1.max(1)) - 1;
        u16::try_from(months(today) - months(born) - i32::from(today.2 < born.2.max(1))).ok()
    }

    /// Whom limits are for.
    pub fn whom(&self, at: Timestamp) -> Whom {
        Whom { age_months: self.age_months(at), spo2_scale: self.spo2_scale }
    }

    /// What a score must know.
    pub fn subject(&self, at: Timestamp) -> Subject {
        let age_years = self.age_years(at).map(|years| u8::try_from(years).unwrap_or(u8::MAX));
        Subject { age_years, pregnant: None, spo2_scale: self.spo2_scale }
    }

    pub fn view(&self, at: Timestamp) -> PatientView {
        PatientView {
            id: self.id.to_string(),
            name: self.name.clone(),
            birth_date: self.birth_date.clone(),
            age_years: self.age_years(at),
            gender: self.gender.clone(),
            identifier: self.identifier.clone(),
            test: self.test,
        }
    }
}

/// "Family, Given Names" of the usual name, else of the official, else of the first.
fn name(names: Option<&Value>) -> String {
    let names = names.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of_use = |wanted: &str| names.iter().find(|n| n.get("use").and_then(Value::as_str) == Some(wanted));
    let Some(name) = of_use("usual").or_else(|| of_use("official")).or(names.first()) else { return String::new() };
    let family = name.get("family").and_then(Value::as_str).unwrap_or_default();
    let given = name.get("given").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let given = given.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    match (family.is_empty(), given.is_empty()) {
        (false, false) => format!("{family}, {given}"),
        (false, true) => family.to_owned(),
        (true, false) => given,
        (true, true) => name.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
    }
}

/// (year, month, day); parts left out are 0.
fn date(text: &str) -> Option<(i32, u8, u8)> {
    let mut parts = text.split('-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next().map_or(Some(0), |m| m.parse().ok())?;
    let day = parts.next().map_or(Some(0), |d| d.parse().ok())?;
    Some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn born(date: &str) -> Patient {
        Patient::read(&json!({"resourceType": "Patient", "id": "p", "birthDate": date})).expect("patient")
    }

    #[test]
    fn years_are_completed_on_the_birthday_and_not_a_day_before() {
        let at = |text| Timestamp::parse(text).expect(text);
        assert_eq!(born("2010-11-22").age_years(at("2026-11-21T23:59:59Z")), Some(15));
        assert_eq!(born("2010-11-22").age_years(at("2026-11-22T00:00:00Z")), Some(16));
        assert_eq!(born("2010").age_years(at("2026-01-01T00:00:00Z")), Some(16));
        assert_eq!(born("2030-01-01").age_years(at("2026-01-01T00:00:00Z")), None);
        let months = |born_on, on: &'static str| born(born_on).age_months(at(on));
        assert_eq!((months("2026-08-22", "2026-11-21T23:59:59Z"), months("2026-08-22", "2026-11-22T00:00:00Z")), (Some(2), Some(3)));
        assert_eq!((months("2024", "2026-01-01T00:00:00Z"), months("2030-01-01", "2026-01-01T00:00:00Z")), (Some(24), None));
        assert_eq!(born("long ago").age_years(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn the_usual_name_is_shown_family_first() {
        let names = json!([{"use": "official", "family": "Okafor", "given": ["Adaeze", "N."]}, {"use": "usual", "family": "Okafor", "given": ["Ada"]}]);
        assert_eq!(name(Some(&names)), "Okafor, Ada");
        assert_eq!(name(Some(&json!([{"text": "Baby of Ada"}]))), "Baby of Ada");
        assert_eq!(name(None), "");
    }

    #[test]
    fn a_tag_makes_a_test_patient_and_only_a_prescription_makes_scale_two() {
        let patient = json!({"resourceType": "Patient", "id": "p", "meta": {"tag": [{"code": "HTEST"}]},
            "extension": [{"url": SPO2_SCALE_URL, "valueInteger": 2}]});
        let patient = Patient::read(&patient).expect("patient");
        assert!(patient.test && patient.spo2_scale == Spo2Scale::Two);
        assert!(!born("2000").test && born("2000").spo2_scale == Spo2Scale::One);
    }
}
