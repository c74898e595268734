//! Two records of one person: `POST Patient/$merge` says so with a link on both, as one act; `POST Patient/$unmerge` takes
//! both links away again. No data move, so that a wrong merge is undone without a trace but its history.
//!
//! What is kept about a replaced patient is found through the one that replaces it: see [`with_replaced`].

use super::handle::absent;
use super::matching::relative;
use super::outcome::Issue;
use super::resources::Resource;
use super::{Context, Intent, Outcome, Reader, Reply, Request, Step, Update};
use crate::id::{PatientId, ResourceId};
use serde_json::{Map, Value, json};

/// Longest chain of replacements that is followed, and most patients one may stand for.
const REPLACED_MAX: usize = 16;

/// What is to be done with the links.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Merge,
    Unmerge,
}

/// A Parameters with `source-patient` (the record that is given up) and `target-patient` (the one that stays), each a
/// Reference.
pub(super) fn act<R: Reader>(
    act: Act,
    row: &'static Resource,
    request: &Request,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Outcome, R::Error> {
    let parameters = request.body.as_ref().and_then(|body| body.get("parameter")).and_then(Value::as_array);
    let named = |name: &str| -> Option<ResourceId> {
        let parameter = parameters.into_iter().flatten().find(|p| p.get("name").is_some_and(|n| n == name))?;
        let text = parameter.get("valueReference")?.get("reference")?.as_str()?;
        relative(text, context.base_url).strip_prefix("Patient/")?.parse().ok()
    };
    let (Some(source), Some(target)) = (named("source-patient"), named("target-patient")) else {
        let text = "the body must be a Parameters with source-patient and target-patient, each a valueReference to Patient/<id>";
        return Ok(Outcome::refused(400, Issue::error("required", text).at("Parameters.parameter")));
    };
    let touched = vec![format!("Patient/{target}"), format!("Patient/{source}")];
    let refuse = |status, issue| Ok(Outcome { touched: touched.clone(), ..Outcome::refused(status, issue) });
    if source == target {
        return refuse(422, Issue::error("business-rule", "a patient cannot replace itself"));
    }
    let Some(from) = reader.document(row.name, &source)? else { return refuse(404, absent(row, source.as_str())) };
    let Some(to) = reader.document(row.name, &target)? else { return refuse(404, absent(row, target.as_str())) };
    let of_target = |reference: &str| relative(reference, context.base_url) == format!("Patient/{target}");
    let is_linked = linked(&from, "replaced-by").any(of_target);
    match act {
        Act::Merge => {
            if let Some(other) = replaced_by(&from).filter(|other| !of_target(other)) {
                return refuse(409, Issue::error("conflict", format!("Patient/{source} is already replaced by {other}: unmerge it first")));
            }
            if let Some(other) = replaced_by(&to) {
                return refuse(
                    409,
                    Issue::error("conflict", format!("Patient/{target} is itself replaced by {other}: merge into that one")),
                );
            }
            if linked(&from, "replaces").count() >= REPLACED_MAX || linked(&to, "replaces").count() >= REPLACED_MAX {
                return refuse(422, Issue::error("too-costly", format!("a patient replaces at most {REPLACED_MAX} others")));
            }
        }
        Act::Unmerge if !is_linked => {
            return refuse(409, Issue::error("conflict", format!("Patient/{source} is not replaced by Patient/{target}")));
        }
        Act::Unmerge => {}
    }
    let updates: Vec<Update> = [(&target, &to, &source, "replaces"), (&source, &from, &target, "replaced-by")]
        .into_iter()
        .filter_map(|(id, held, other, kind)| {
            let elements = relinked(act, held, other, kind, context)?;
            let version = held.get("meta").and_then(|meta| meta.get("versionId")).and_then(Value::as_str).map(str::to_owned);
            Some(Update { resource_type: row.name, id: id.clone(), elements, if_match: version })
        })
        .collect();
    let action = if act == Act::Merge { "merge" } else { "unmerge" };
    if updates.is_empty() {
        return Ok(Outcome::reply(action, Reply::resource(200, to), touched));
    }
    Ok(Outcome { step: Step::Write(Intent::Together { updates }), action, touched })
}

/// The reference to the patient that replaces this one.
pub(super) fn replaced_by(patient: &Value) -> Option<String> {
    linked(patient, "replaced-by").next().map(str::to_owned)
}

/// A patient and all whom it replaces, directly or through others.
pub(super) fn with_replaced<R: Reader>(patient: &PatientId, reader: &mut R, context: &Context<'_>) -> Result<Vec<PatientId>, R::Error> {
    let mut all = vec![patient.clone()];
    let mut next = 0;
    while let Some(one) = all.get(next).cloned() {
        next += 1;
        let Some(held) = reader.document("Patient", &one.into())? else { continue };
        for other in linked(&held, "replaces") {
            let other = relative(other, context.base_url).strip_prefix("Patient/").and_then(|id| id.parse().ok());
            all.extend(other.filter(|other| all.len() < REPLACED_MAX && !all.contains(other)));
        }
    }
    Ok(all)
}

fn linked<'a>(patient: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a str> {
    let links = patient.get("link").and_then(Value::as_array).into_iter().flatten();
    links.filter(move |link| link.get("type").is_some_and(|t| t == kind)).filter_map(|link| link.get("other")?.get("reference")?.as_str())
}

/// The `link` element with the link to `other` added or dropped; `None` if it is so already.
fn relinked(act: Act, held: &Value, other: &ResourceId, kind: &str, context: &Context<'_>) -> Option<Map<String, Value>> {
    let reference = format!("Patient/{other}");
    let is_it = |link: &Value| {
        let text = link.get("other").and_then(|o| o.get("reference")).and_then(Value::as_str);
        link.get("type").is_some_and(|t| t == kind) && text.is_some_and(|text| relative(text, context.base_url) == reference)
    };
    let mut links = held.get("link").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = links.len();
    match act {
        Act::Merge if links.iter().any(is_it) => return None,
        Act::Merge => links.push(json!({"other": {"reference": reference}, "type": kind})),
        Act::Unmerge => links.retain(|link| !is_it(link)),
    }
    if links.len() == before {
        return None;
    }
    // FHIR has no empty lists.
    Some(Map::from_iter([("link".to_owned(), if links.is_empty() { Value::Null } else { links.into() })]))
}
