//! Small documents: a visit is 30 observations of one patient, as a nurse's round writes them.

use crate::chance::Chance;
use crate::data::numerics::START;
use record::code::Code;
use serde_json::{Value, json};

/// Documents of one visit.
pub const VISIT: usize = 30;

const ASKED: [(Code, f64, f64); 6] = [
    (Code::HEART_RATE, 82.0, 12.0),
    (Code::SPO2, 96.0, 2.0),
    (Code::RESPIRATORY_RATE, 17.0, 3.0),
    (Code::NIBP_SYSTOLIC, 124.0, 15.0),
    (Code::NIBP_DIASTOLIC, 73.0, 9.0),
    (Code::TEMPERATURE, 37.0, 0.4),
];

/// One visit's documents, without ids: the store, or the peer, gives them.
#[must_use]
pub fn visit(number: usize, patient: usize, chance: &mut Chance) -> Vec<Value> {
    let observation = |at: usize| {
        let (code, middle, deviation) = ASKED[at % ASKED.len()];
        let taken = START.plus_micros((number * 3600 + at * 20) as i64 * 1_000_000);
        let value = ((middle + deviation * chance.normal()) * 10.0).round() / 10.0;
        let unit = code.unit().map_or("1", |unit| unit.ucum());
        json!({
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
            "code": {"coding": [{
                "system": "http://loinc.org",
                "code": code.loinc().unwrap_or_default(),
                "display": code.row().map_or("", |row| row.display),
            }]},
            "subject": {"reference": format!("Patient/patient-{patient}")},
            "effectiveDateTime": taken.rfc3339(),
            "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        })
    };
    (0..VISIT).map(observation).collect()
}
