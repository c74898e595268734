//! Creates and updates: found good or refused here, carried out by the caller.

use super::handle::absent;
use super::matching::relative;
use super::outcome::{Issue, quoted};
use super::resources::{Lives, Resource};
use super::validate::validate;
use super::{Context, Intent, Outcome, Place, Reader, Reply, Request, Step, Update, duplicates, find, search};
use crate::document::{DOCUMENT_LIMIT, DocumentError, POLICIES, canonical_json, difference, strip};
use crate::id::{PatientId, ResourceId};
use serde_json::{Map, Value};

/// `POST Type`.
pub(super) fn create<R: Reader>(
    row: &'static Resource,
    request: &Request,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Outcome, R::Error> {
    let mut object = match checked_body(row, request) {
        Ok(object) => object,
        Err(refused) => return Ok(*refused),
    };
    if let Some(query) = &request.if_none_exist
        && let Some(outcome) = unless_there(row, query, reader, context)?
    {
        return Ok(outcome);
    }
    let place = match place(row, &object, reader, context)? {
        Ok(place) => place,
        Err(issue) => return Ok(Outcome::refused(422, issue)),
    };
    if place == Place::NewPatient
        && let Some(refused) = duplicates::before_create(request, &Value::Object(object.clone()), reader)?
    {
        return Ok(refused);
    }
    object.remove("id");
    strip(&mut object);
    let touched = match &place {
        Place::Patient(patient) => vec![format!("Patient/{patient}")],
        _ => Vec::new(),
    };
    let intent = Intent::Create { resource_type: row.name, resource: Value::Object(object), place };
    Ok(Outcome { step: Step::Write(intent), action: "create", touched })
}

/// `PUT Type/id`.
pub(super) fn update<R: Reader>(
    row: &'static Resource,
    id: &str,
    request: &Request,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Outcome, R::Error> {
    let id: ResourceId = match id.parse() {
        Ok(id) => id,
        Err(error) => return Ok(Outcome::refused(400, Issue::error("value", error.to_string()))),
    };
    let new = match checked_body(row, request) {
        Ok(object) => object,
        Err(refused) => return Ok(*refused),
    };
    if new.get("id").and_then(Value::as_str) != Some(id.as_str()) {
        let text = format!("the resource's id must be that of the address, {:?}", id.as_str());
        return Ok(Outcome::refused(400, Issue::error("value", text).at(format!("{}.id", row.name))));
    }
    let touched = vec![format!("{}/{id}", row.name)];
    let Some(Value::Object(held)) = reader.document(row.name, &id)? else {
        let mut issue = absent(row, id.as_str());
        issue.text.push_str("; create it with POST, which gives it an id");
        return Ok(Outcome { touched, ..Outcome::refused(404, issue) });
    };
    let version = held.get("meta").and_then(|meta| meta.get("versionId")).and_then(Value::as_str).unwrap_or_default();
    let if_match = request.if_match.as_deref().map(|wanted| version_of(wanted, version));
    if if_match == Some(None) {
        let text = format!("it has changed since: its version is {version}; read it again and repeat the change");
        return Ok(Outcome { touched, ..Outcome::refused(412, Issue::error("conflict", text)) });
    }
    if let Some(issue) = moved(row, &held, &new, context) {
        return Ok(Outcome { touched, ..Outcome::refused(422, issue) });
    }
    if let Err(issue) = place(row, &new, reader, context)? {
        return Ok(Outcome { touched, ..Outcome::refused(422, issue) });
    }
    if let Some(issue) = goes_back(row, &held, &new) {
        return Ok(Outcome { touched, ..Outcome::refused(422, issue) });
    }
    let elements = difference(&held, &new);
    if elements.is_empty() {
        return Ok(Outcome::reply("update", Reply::resource(200, Value::Object(held)), touched));
    }
    let if_match = if_match.flatten().map(str::to_owned);
    let update = Update { resource_type: row.name, id, elements, if_match };
    Ok(Outcome { step: Step::Write(Intent::Update(update)), action: "update", touched })
}

/// The answer once an intent has been carried out; `resource` is the document as it then stands.
#[must_use]
pub fn written(intent: &Intent, resource: &Value, context: &Context<'_>) -> Reply {
    let reply = Reply::resource(200, resource.clone());
    match intent {
        Intent::Update(_) | Intent::Together { .. } => reply,
        Intent::Create { resource_type, .. } => {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = text(resource.get("id"));
            let version = text(resource.get("meta").and_then(|meta| meta.get("versionId")));
            let location = format!("{}/{resource_type}/{id}/_history/{version}", context.base_url);
            Reply { status: 201, location: Some(location), ..reply }
        }
    }
}

/// The body, if it is a valid resource of the type and not too large.
fn checked_body(row: &'static Resource, request: &Request) -> Result<Map<String, Value>, Box<Outcome>> {
    let refuse = |status, issue| Err(Box::new(Outcome::refused(status, issue)));
    let Some(body) = &request.body else {
        return refuse(400, Issue::error("required", format!("the body must be a {} as JSON", row.name)));
    };
    let stated = body.get("resourceType").and_then(Value::as_str);
    if let Some(stated) = stated.filter(|stated| *stated != row.name) {
        let text = format!("the address is of a {}, the body is a {}", row.name, quoted(stated));
        return refuse(400, Issue::error("invalid", text).at("resourceType"));
    }
    let issues = validate(body);
    let Some(object) = body.as_object().filter(|_| issues.is_empty()) else {
        return Err(Box::new(Outcome::refused_all(400, &issues)));
    };
    let size = canonical_json(body).len();
    if size > DOCUMENT_LIMIT {
        return refuse(413, Issue::error("too-long", DocumentError::TooLarge(size).to_string()));
    }
    Ok(object.clone())
}

/// A conditional create: what to answer if the resource is there already.
fn unless_there<R: Reader>(
    row: &'static Resource,
    query: &[(String, String)],
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Option<Outcome>, R::Error> {
    // A condition that is half understood would create a second one: strict.
    let search = match search::parse(row, query, true, context.base_url, context.now) {
        Ok(search) if search.filters.is_empty() => {
            let issue = Issue::error("value", "If-None-Exist must say what to look for, such as identifier=system|value");
            return Ok(Some(Outcome::refused(400, issue)));
        }
        Ok(search) => search,
        Err(issues) => return Ok(Some(Outcome::refused_all(400, &issues))),
    };
    let mut found = find::at_most_two(row, &search, reader, context)?;
    let Some(first) = found.pop() else { return Ok(None) };
    if !found.is_empty() {
        let text = "several resources match If-None-Exist: it must name at most one";
        return Ok(Some(Outcome::refused(412, Issue::error("multiple-matches", text))));
    }
    let id = first.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let location = Some(format!("{}/{}/{id}", context.base_url, row.name));
    let reply = Reply { location, ..Reply::resource(200, first) };
    Ok(Some(Outcome::reply("read", reply, vec![format!("{}/{id}", row.name)])))
}

/// The scope a resource belongs to, its patient being known.
fn place<R: Reader>(
    row: &'static Resource,
    object: &Map<String, Value>,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Result<Place, Issue>, R::Error> {
    let element = match row.lives {
        Lives::OwnPatientScope => return Ok(Ok(Place::NewPatient)),
        Lives::PatientCompartment(element) => element,
        // A device may name the patient it is for; the site keeps it all the same.
        Lives::Site | Lives::Series => "patient",
    };
    let expression = format!("{}.{element}", row.name);
    let in_compartment = matches!(row.lives, Lives::PatientCompartment(_));
    let Some(text) = object.get(element).and_then(|subject| subject.get("reference")).and_then(Value::as_str) else {
        return Ok(if in_compartment {
            Err(Issue::error("required", format!("{element} must name a patient by reference: Patient/<id>")).at(expression))
        } else {
            Ok(Place::Site)
        });
    };
    let patient: Option<PatientId> = relative(text, context.base_url).strip_prefix("Patient/").and_then(|id| id.parse().ok());
    let Some(patient) = patient else {
        let text = format!("{} is not a patient kept here: the reference must be Patient/<id>", quoted(text));
        return Ok(Err(Issue::error("business-rule", text).at(expression)));
    };
    if reader.document("Patient", &patient.clone().into())?.is_none() {
        return Ok(Err(Issue::error("not-found", format!("unknown patient: Patient/{patient} is not known here")).at(expression)));
    }
    Ok(Ok(if in_compartment { Place::Patient(patient) } else { Place::Site }))
}

/// What an update must not change: whose it is, and what acknowledgements have added.
fn moved(row: &Resource, held: &Map<String, Value>, new: &Map<String, Value>, context: &Context<'_>) -> Option<Issue> {
    if let Lives::PatientCompartment(element) = row.lives {
        let whose = |object: &Map<String, Value>| {
            let text = object.get(element).and_then(|subject| subject.get("reference")).and_then(Value::as_str);
            text.map(|text| relative(text, context.base_url).to_owned())
        };
        if whose(held) != whose(new) {
            let text = "a resource stays with its patient: set this one to entered-in-error and create it for the other";
            return Some(Issue::error("business-rule", text).at(format!("{}.{element}", row.name)));
        }
    }
    let acknowledged = held.get("mitigation").is_some();
    if row.name == "DetectedIssue" && acknowledged && new.get("mitigation").is_some_and(|new| Some(new) != held.get("mitigation")) {
        let text = "acknowledgements are events: send POST /api/v1/alerts/{id}/acknowledge and leave mitigation as it is";
        return Some(Issue::error("business-rule", text).at("DetectedIssue.mitigation"));
    }
    None
}

/// A status that would go back: what is over or was entered in error is not taken up again.
fn goes_back(row: &Resource, held: &Map<String, Value>, new: &Map<String, Value>) -> Option<Issue> {
    let (old, new) = (held.get("status")?, new.get("status")?);
    POLICIES.goes_back(row.name, "status", old, new).then(|| {
        let text = format!("the status does not go back from {old} to {new}: create a new {}", row.name);
        Issue::error("business-rule", text).at(format!("{}.status", row.name))
    })
}

/// `held`, if the header names it: `*` names any, `W/"3"`, `"3"` and `3` all name version 3, and a list any of its own.
pub(super) fn version_of<'a>(header: &str, held: &'a str) -> Option<&'a str> {
    let named = |one: &str| one.trim() == "*" || one.trim().trim_start_matches("W/").trim_matches('"') == held;
    header.split(',').any(named).then_some(held)
}
