//! Who may be here already: `POST Patient/$match`, and the question put before a patient is made twice.

use super::identity::{self, Grade, Likeness, likeness};
use super::outcome::Issue;
use super::{Context, DocumentQuery, Outcome, PatientView, Reader, Reply, Request, links};
use serde_json::{Value, json};

/// Query parameter of `POST Patient` by which a person says that none of the candidates is meant.
pub const CONFIRM_NEW: &str = "_confirm-new";
/// Most patients compared for one question; past them the question cannot be answered.
const COMPARED_MAX: usize = 10_000;
const BATCH: usize = 500;
/// Most candidates told.
const CANDIDATES_MAX: usize = 20;
const GRADE_URL: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// Patients like `patient` at least as `least` has it, most alike first.
fn candidates<R: Reader>(patient: &Value, least: Grade, reader: &mut R) -> Result<Vec<(Likeness, Value)>, R::Error> {
    let mut found: Vec<(Likeness, Value)> = Vec::new();
    let keys = identity::asked(patient, least);
    if keys.is_empty() {
        return Ok(found);
    }
    let mut query = DocumentQuery { keys, ..DocumentQuery::of("Patient", BATCH) };
    for _ in 0..COMPARED_MAX / BATCH {
        let batch = reader.documents(&query)?;
        let full = batch.len() >= query.limit;
        query.after = batch.last().and_then(|last| last.get("id")?.as_str().map(str::to_owned));
        for held in batch {
            // One that another has replaced is found through that one.
            let likeness = likeness(patient, &held);
            if likeness.grade >= least && links::replaced_by(&held).is_none() {
                found.push((likeness, held));
            }
        }
        found.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| id(x).cmp(id(y))));
        found.truncate(CANDIDATES_MAX);
        if !full {
            break;
        }
    }
    Ok(found)
}

/// A refusal to make a patient who may be here already, unless the request says that it is someone else.
pub(super) fn before_create<R: Reader>(request: &Request, patient: &Value, reader: &mut R) -> Result<Option<Outcome>, R::Error> {
    if request.query.iter().any(|(key, value)| key == CONFIRM_NEW && value == "true") {
        return Ok(None);
    }
    let found = candidates(patient, Grade::Probable, reader)?;
    if found.is_empty() {
        return Ok(None);
    }
    let issues: Vec<Issue> = found
        .iter()
        .map(|(likeness, held)| {
            let view = PatientView(held);
            let name = view.display_name().unwrap_or_default();
            let born = view.birth_date().map(|date| format!(", born {date}")).unwrap_or_default();
            let text = format!(
                "{} match: Patient/{} ({name}{born}). Use this patient, or send again with ?{CONFIRM_NEW}=true if it is someone else",
                likeness.grade.code(),
                id(held),
            );
            Issue::error("duplicate", text).at("Patient")
        })
        .collect();
    let touched = found.iter().map(|(_, held)| format!("Patient/{}", id(held))).collect();
    Ok(Some(Outcome { touched, ..Outcome::refused_all(409, &issues) }))
}

/// `POST Patient/$match`: a Parameters with `resource`, and if wanted `onlyCertainMatches` and `count`.
pub(super) fn r#match<R: Reader>(request: &Request, reader: &mut R, context: &Context<'_>) -> Result<Outcome, R::Error> {
    let parameters = request.body.as_ref().and_then(|body| body.get("parameter")).and_then(Value::as_array);
    let named = |name: &str| parameters.into_iter().flatten().find(|p| p.get("name").is_some_and(|n| n == name));
    let Some(patient) = named("resource").and_then(|p| p.get("resource")).filter(|r| r.get("resourceType").is_some_and(|t| t == "Patient"))
    else {
        let text = "the body must be a Parameters whose parameter \"resource\" is a Patient";
        return Ok(Outcome::refused(400, Issue::error("required", text).at("Parameters.parameter")));
    };
    let only_certain = named("onlyCertainMatches").and_then(|p| p.get("valueBoolean")).and_then(Value::as_bool).unwrap_or(false);
    let count = named("count").and_then(|p| p.get("valueInteger")).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let mut found = candidates(patient, if only_certain { Grade::Certain } else { Grade::Possible }, reader)?;
    found.truncate(count.unwrap_or(CANDIDATES_MAX));
    let touched = found.iter().map(|(_, held)| format!("Patient/{}", id(held))).collect();
    let mut bundle = json!({
        "resourceType": "Bundle", "type": "searchset", "total": found.len(), "meta": {"lastUpdated": context.now.rfc3339()},
    });
    if !found.is_empty() {
        let entries = found.into_iter().map(|(likeness, held)| {
            let score: Option<serde_json::Number> = format!("{}.{:03}", likeness.per_mille / 1000, likeness.per_mille % 1000).parse().ok();
            json!({
                "fullUrl": format!("{}/Patient/{}", context.base_url, id(&held)),
                "resource": held,
                "search": {
                    "mode": "match", "score": score,
                    "extension": [{"url": GRADE_URL, "valueCode": likeness.grade.code()}],
                },
            })
        });
        bundle["entry"] = entries.collect();
    }
    Ok(Outcome::reply("search", Reply { etag: None, last_modified: None, ..Reply::resource(200, bundle) }, touched))
}

fn id(patient: &Value) -> &str {
    patient.get("id").and_then(Value::as_str).unwrap_or_default()
}
