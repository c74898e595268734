//! From a request to what comes of it.

use super::outcome::{Issue, quoted};
use super::resources::{self, Interaction, Lives, RESOURCES, Resource};
use super::{
    Context, Method, ObservationId, Outcome, Reader, Reply, Request, capability_statement, duplicates, find, history, links, observation,
    write,
};
use crate::id::ResourceId;

/// Answers a request, or says what to write. What is wrong with the request is in the [`Outcome`].
///
/// # Errors
/// The reader's own.
pub fn handle<R: Reader>(request: &Request, reader: &mut R, context: &Context<'_>) -> Result<Outcome, R::Error> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).filter(|segment| !segment.is_empty()).collect();
    let name = match path.as_slice() {
        ["metadata"] if request.method == Method::Get => {
            let statement = Reply::resource(200, capability_statement(context, context.now));
            return Ok(Outcome::reply("capabilities", statement, Vec::new()));
        }
        ["metadata"] => return Ok(Outcome::refused(405, Issue::error("not-supported", "metadata can be read only"))),
        [] => {
            return Ok(Outcome::refused(
                405,
                Issue::error("not-supported", "batches and transactions are not supported: send one resource at a time"),
            ));
        }
        [name, ..] => *name,
    };
    let Some(row) = resources::find(name) else {
        let known: Vec<&str> = RESOURCES.iter().map(|row| row.name).collect();
        let text = format!("{} is not kept here; resource types are {}", quoted(name), known.join(", "));
        return Ok(Outcome::refused(404, Issue::error("not-supported", text)));
    };
    match (request.method, path.as_slice()) {
        (Method::Get, [_]) | (Method::Post, [_, "_search"]) => find::search(row, request, reader, context),
        (Method::Get, [_, id]) => read(row, id, reader),
        (Method::Get, [_, id, "_history"]) if row.allows(Interaction::History) => history::instance(row, id, request, reader, context),
        (Method::Get, [_, id, "_history", version]) if row.allows(Interaction::VersionRead) => history::vread(row, id, version, reader),
        (Method::Post, [_, "$match"]) if row.lives == Lives::OwnPatientScope => duplicates::r#match(request, reader, context),
        (Method::Post, [_, "$merge"]) if row.lives == Lives::OwnPatientScope => {
            links::act(links::Act::Merge, row, request, reader, context)
        }
        (Method::Post, [_, "$unmerge"]) if row.lives == Lives::OwnPatientScope => {
            links::act(links::Act::Unmerge, row, request, reader, context)
        }
        (Method::Post, [_]) if row.allows(Interaction::Create) => write::create(row, request, reader, context),
        (Method::Put, [_, id]) if row.allows(Interaction::Update) => write::update(row, id, request, reader, context),
        (Method::Post | Method::Put | Method::Delete, [_] | [_, _]) => {
            let advice = match request.method {
                // To create under a chosen id, or to update what has none named.
                Method::Post | Method::Put if row.allows(Interaction::Create) => "create with POST Type, update with PUT Type/id",
                _ => row.advice,
            };
            Ok(Outcome::refused(405, Issue::error("not-supported", advice)))
        }
        _ => {
            Ok(Outcome::refused(404, Issue::error("not-supported", "this operation is not supported; see CapabilityStatement at metadata")))
        }
    }
}

fn read<R: Reader>(row: &'static Resource, id: &str, reader: &mut R) -> Result<Outcome, R::Error> {
    let mut touched = vec![format!("{}/{}", row.name, short(id))];
    let found = if row.lives == Lives::Series {
        match (id.parse::<ObservationId>(), id.parse::<ResourceId>()) {
            (Ok(id), _) => {
                let vital = reader.vital(&id)?;
                touched.extend(vital.as_ref().map(|vital| format!("Patient/{}", vital.patient)));
                vital.as_ref().and_then(observation::render)
            }
            (Err(_), Ok(id)) => reader.document(row.name, &id)?,
            (Err(_), Err(_)) => None,
        }
    } else {
        match id.parse::<ResourceId>() {
            Ok(id) => reader.document(row.name, &id)?,
            Err(error) => return Ok(Outcome::refused(400, Issue::error("value", error.to_string()))),
        }
    };
    Ok(match found {
        Some(resource) => Outcome::reply("read", Reply::resource(200, resource), touched),
        None => Outcome { touched, ..Outcome::refused(404, absent(row, id)) },
    })
}

pub(super) fn absent(row: &Resource, id: &str) -> Issue {
    Issue::error("not-found", format!("{}/{} is not known here", row.name, short(id)))
}

fn short(id: &str) -> String {
    id.chars().take(64).collect()
}
