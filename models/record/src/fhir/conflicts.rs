//! Values that were written at the same time and wait for a person: listed, and chosen between. The choice is an ordinary
//! update of the values that were seen; whatever arrives later is in conflict with it again.

use super::outcome::Issue;
use super::resources::{Lives, RESOURCES, Resource};
use super::{Context, DocumentQuery, Intent, Outcome, PatientView, Reader, Reply, Step, Update, resources, validate, version_of};
use crate::document::{Conflict, Policy, Shown, is_in_conflict, strip};
use crate::id::{PatientId, ResourceId};
use crate::time::Timestamp;
use serde_json::{Map, Value};

/// Most resources of one page.
pub const PAGE_MAX: usize = 100;
/// Resources looked at for one page; a page may be short of its size and still have a next.
const LOOKED_AT_MAX: usize = 10_000;
const BATCH: usize = 500;

/// Which conflicts are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Only of this patient.
    pub patient: Option<PatientId>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Resources of a page, at most [`PAGE_MAX`].
    pub count: usize,
}

/// A page of resources in conflict.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Resources, by type and id; none if nothing waits for anybody.
    pub conflicts: Vec<InConflict>,
    /// `cursor` of the next page, if there is one.
    pub next: Option<String>,
}

/// A resource with elements in conflict.
#[derive(Clone, PartialEq, Debug)]
pub struct InConflict {
    /// `MedicationRequest/3`.
    pub resource: String,
    /// `Patient/1`, if it is one's.
    pub patient: Option<String>,
    /// The patient's name, if the resource is the patient.
    pub patient_name: Option<String>,
    /// The version seen: send it in `If-Match` with a choice.
    pub version: String,
    /// What is in conflict.
    pub elements: Vec<ElementInConflict>,
}

/// An element in conflict.
#[derive(Clone, PartialEq, Debug)]
pub struct ElementInConflict {
    /// `birthDate`, `deceased[x]`, an item of a list as `name[0123456789abcdef]`.
    pub element: String,
    /// How it is shown meanwhile: `latest`, `union`, `safety`.
    pub policy: &'static str,
    /// Lives may hang on it: all values are shown until someone chooses.
    pub ask: bool,
    /// Every value; the first is shown, or all in this order.
    pub values: Vec<OneOf>,
}

/// One of several values.
#[derive(Clone, PartialEq, Debug)]
pub struct OneOf {
    /// The members it sets: `{"birthDate": "1960-05-01"}`; empty where it removes them.
    pub value: Map<String, Value>,
    /// Who wrote it; empty where it is not known.
    pub user: String,
    /// The replica it was written on.
    pub author: String,
    /// The process lifetime of that replica.
    pub run: String,
    /// When, by the clock of that replica.
    pub at: String,
    /// Whether that clock was trusted.
    pub clock_trusted: bool,
    /// The automerge change that wrote it.
    pub change: String,
}

/// A person's choice.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// The element as it is listed.
    pub element: String,
    /// The members it is to have: those of one of the values, or new ones; empty to remove it.
    pub value: Map<String, Value>,
}

/// A page of what waits for a choice, and references to what it shows.
///
/// # Errors
/// The reader's own.
pub fn list<R: Reader>(asked: &Asked, reader: &mut R, context: &Context<'_>) -> Result<(Page, Vec<String>), R::Error> {
    let (mut page, mut touched, mut looked_at) = (Page { conflicts: Vec::new(), next: None }, Vec::new(), 0);
    let (from_type, mut after) = match asked.cursor.as_deref().and_then(|cursor| cursor.split_once('/')) {
        Some((kind, id)) => (kind, Some(id.to_owned())),
        None => ("", None),
    };
    let mut rows: Vec<&'static Resource> = RESOURCES.iter().filter(|row| row.lives != Lives::Series && row.name >= from_type).collect();
    rows.sort_unstable_by_key(|row| row.name);
    for row in rows {
        let start = if row.name == from_type { after.take() } else { None };
        let patients = asked.patient.iter().cloned().collect();
        let mut query = DocumentQuery { patients, conflicted: true, after: start, ..DocumentQuery::of(row.name, BATCH) };
        loop {
            let batch = reader.documents(&query)?;
            let full = batch.len() >= query.limit;
            for resource in batch {
                let Some(id) = resource.get("id").and_then(Value::as_str).and_then(|id| id.parse::<ResourceId>().ok()) else { continue };
                if page.conflicts.len() >= asked.count.clamp(1, PAGE_MAX) || looked_at >= LOOKED_AT_MAX {
                    page.next = Some(format!("{}/{}", row.name, query.after.unwrap_or_default()));
                    return Ok((page, touched));
                }
                looked_at += 1;
                query.after = Some(id.to_string());
                let patient = patient_of(row, &id, &resource, context);
                let wanted = asked.patient.as_ref().is_none_or(|asked| patient.as_deref() == Some(format!("Patient/{asked}").as_str()));
                if !wanted || !is_in_conflict(&resource) {
                    continue;
                }
                if let Some(shown) = shown(row, &id, reader)? {
                    touched.push(format!("{}/{id}", row.name));
                    touched.extend(patient.clone().filter(|_| row.name != "Patient"));
                    page.conflicts.push(view(row, &id, patient, &resource, &shown));
                }
            }
            if !full {
                break;
            }
        }
    }
    Ok((page, touched))
}

/// What comes of a choice: refused, an update to write, or nothing to do because it has been made already.
///
/// # Errors
/// The reader's own.
pub fn choose<R: Reader>(
    resource_type: &str,
    id: &str,
    if_match: Option<&str>,
    choice: &Choice,
    reader: &mut R,
) -> Result<Outcome, R::Error> {
    let unknown = || Outcome::refused(404, Issue::error("not-found", "no such resource is known here"));
    let (Some(row), Ok(id)) = (resources::find(resource_type).filter(|row| row.lives != Lives::Series), id.parse::<ResourceId>()) else {
        return Ok(unknown());
    };
    let Some(shown) = shown(row, &id, reader)? else { return Ok(unknown()) };
    let touched = vec![format!("{}/{id}", row.name)];
    let refuse = |status, issue| Ok(Outcome { touched: touched.clone(), ..Outcome::refused(status, issue) });
    let version = shown.version.clone();
    let Some(conflict) = shown.conflicts.iter().find(|conflict| conflict.element == choice.element) else {
        // A second tap, or someone else chose the same.
        if !choice.element.contains('[') && stands(&shown.json, &choice.value, &choice.element) {
            return Ok(Outcome::reply("update", Reply::resource(200, super::with_version(shown)), touched));
        }
        return refuse(409, Issue::error("conflict", "the element is not in conflict any more: look at the list again"));
    };
    let Some(if_match) = if_match else {
        return refuse(428, Issue::error("required", "send the version that was listed in If-Match"));
    };
    if version_of(if_match, &version).is_none() {
        let text = format!("it has changed since: its version is {version}; look at the values again");
        return refuse(412, Issue::error("conflict", text));
    }
    let Some(elements) = conflict.choose(&choice.value) else {
        return refuse(422, Issue::error("value", "the value must have the members of the listed values, and no others").at("value"));
    };
    let mut new = shown.json.clone();
    strip(&mut new);
    for (key, value) in elements.iter().filter(|(key, _)| !key.contains('[')) {
        if value.is_null() {
            new.remove(key);
        } else {
            new.insert(key.clone(), value.clone());
        }
    }
    let offered = conflict.values.iter().any(|value| value.value == choice.value);
    let issues = if offered { Vec::new() } else { validate(&checked(new, conflict, &choice.value)) };
    if !issues.is_empty() {
        return Ok(Outcome { touched, ..Outcome::refused_all(422, &issues) });
    }
    let update = Update { resource_type: row.name, id, elements, if_match: Some(version) };
    Ok(Outcome { step: Step::Write(Intent::Update(update)), action: "update", touched })
}

/// The resource to be checked: with the new item at the end of its list, where the choice is one of an item.
fn checked(mut new: Map<String, Value>, conflict: &Conflict, value: &Map<String, Value>) -> Value {
    if let (Some((list, key)), Some((_, item))) = (conflict.element.split_once('['), value.iter().next())
        && key != "x]"
    {
        new.insert(list.to_owned(), Value::Array(vec![item.clone()]));
    }
    Value::Object(new)
}

fn stands(shown: &Map<String, Value>, wanted: &Map<String, Value>, element: &str) -> bool {
    if wanted.is_empty() { !shown.contains_key(element) } else { wanted.iter().all(|(key, value)| shown.get(key) == Some(value)) }
}

fn shown<R: Reader>(row: &'static Resource, id: &ResourceId, reader: &mut R) -> Result<Option<Shown>, R::Error> {
    Ok(reader.parts(row.name, id)?.and_then(|document| document.show(row.name).ok()))
}

fn view(row: &Resource, id: &ResourceId, patient: Option<String>, resource: &Value, shown: &Shown) -> InConflict {
    let elements = shown.conflicts.iter().filter(|conflict| conflict.is_open()).map(|conflict| ElementInConflict {
        element: conflict.element.clone(),
        policy: conflict.policy.name(),
        ask: conflict.policy == Policy::Safety,
        values: conflict
            .values
            .iter()
            .map(|one| OneOf {
                value: one.value.clone(),
                user: one.by.user.clone(),
                author: one.by.author.to_string(),
                run: one.by.run.to_string(),
                at: Timestamp::from_millis(i64::try_from(one.at.wall_ms).unwrap_or(i64::MAX)).rfc3339(),
                clock_trusted: one.at.trusted,
                change: one.change.to_string(),
            })
            .collect(),
    });
    InConflict {
        resource: format!("{}/{id}", row.name),
        patient_name: PatientView(resource).display_name().filter(|_| row.name == "Patient"),
        patient,
        version: shown.version.clone(),
        elements: elements.collect(),
    }
}

fn patient_of(row: &Resource, id: &ResourceId, resource: &Value, context: &Context<'_>) -> Option<String> {
    match row.lives {
        Lives::OwnPatientScope => Some(format!("Patient/{id}")),
        Lives::PatientCompartment(element) => {
            let text = resource.get(element)?.get("reference")?.as_str()?;
            Some(super::matching::relative(text, context.base_url).to_owned())
        }
        Lives::Site | Lives::Series => None,
    }
}
