//! Searches of documents: sifted in id order, or sorted. Observations have [`super::observations`].

use super::bundle::{Page, searchset};
use super::matching::{matches, relative, sort_key};
use super::outcome::Issue;
use super::resources::{Lives, Resource};
use super::search::{self, Filter, Modifier, Search, Wanted};
use super::{Context, DocumentQuery, Outcome, Reader, Reply, Request, links, observations};
use crate::id::{PatientId, ResourceId};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most resources looked at for one answer.
pub(super) const LOOKED_AT_MAX: usize = 10_000;
/// Resources asked of the reader at once.
const BATCH: usize = 500;
/// Documents in one answer are cut at this many bytes of JSON; the next link goes on.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Answers a search.
pub(super) fn search<R: Reader>(
    row: &'static Resource,
    request: &Request,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Outcome, R::Error> {
    let strict = request.prefer.as_deref().is_some_and(|prefer| prefer.replace(' ', "").contains("handling=strict"));
    let mut search = match search::parse(row, &request.query, strict, context.base_url, context.now) {
        Ok(search) => search,
        Err(issues) => return Ok(Outcome::refused_all(400, &issues)),
    };
    search.patients = match one_patient(&search.filters) {
        Some(patient) => links::with_replaced(&patient, reader, context)?,
        None => Vec::new(),
    };
    let found = if row.lives == Lives::Series {
        observations::search(row, &search, reader, context)?
    } else {
        name_all(&mut search);
        documents(row, &search, reader, context)?
    };
    Ok(match found {
        Ok((mut page, touched)) => {
            if search.count_only {
                (page.resources, page.next) = (Vec::new(), None);
            }
            let bundle = searchset(context.base_url, row.name, &search, page, context.now);
            Outcome::reply("search", Reply { etag: None, last_modified: None, ..Reply::resource(200, bundle) }, touched)
        }
        Err(issue) => Outcome::refused(if issue.code == "too-costly" { 422 } else { 400 }, issue),
    })
}

/// A page and what it shows, for the audit trail.
pub(super) type Found = Result<(Page, Vec<String>), Issue>;

/// The documents of a type that match.
pub(super) fn documents<R: Reader>(
    row: &'static Resource,
    search: &Search,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Found, R::Error> {
    if let Some(ids) = named_ids(&search.filters) {
        by_id(row, search, &ids, reader, context)
    } else if search.sort.is_some_and(|sort| sort.by.name != "_id" || sort.descending) || search.count_only {
        sorted(row, search, reader, context)
    } else {
        in_id_order(row, search, reader, context)
    }
}

/// The documents that match, as (id, resource), at most two.
pub(super) fn at_most_two<R: Reader>(
    row: &'static Resource,
    search: &Search,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Vec<Value>, R::Error> {
    let mut found = Vec::new();
    scan(row, search, None, usize::MAX, reader, context, |_, resource| {
        found.push(resource);
        found.len() < 2
    })?;
    Ok(found)
}

/// Sifts documents after an id in id order until `take` says stop; gives where it stopped if it did not reach the end.
pub(super) fn scan<R: Reader>(
    row: &'static Resource,
    search: &Search,
    after: Option<String>,
    limit: usize,
    reader: &mut R,
    context: &Context<'_>,
    mut take: impl FnMut(&str, Value) -> bool,
) -> Result<Option<String>, R::Error> {
    let mut query = DocumentQuery { patients: enough(search), after, ..DocumentQuery::of(row.name, BATCH) };
    let mut looked_at = 0;
    loop {
        let batch = reader.documents(&query)?;
        let full = batch.len() >= query.limit;
        for resource in batch {
            looked_at += 1;
            let Some(id) = resource.get("id").and_then(Value::as_str).map(str::to_owned) else { continue };
            let wanted = matches(&resource, &search.filters, context.base_url);
            query.after = Some(id.clone());
            if (wanted && !take(&id, resource)) || looked_at >= limit {
                return Ok(query.after);
            }
        }
        if !full {
            return Ok(None);
        }
    }
}

fn in_id_order<R: Reader>(row: &'static Resource, search: &Search, reader: &mut R, context: &Context<'_>) -> Result<Found, R::Error> {
    let (mut resources, mut bytes, mut more) = (Vec::new(), 0, false);
    let mut last = None;
    let stopped = scan(row, search, search.cursor.clone(), LOOKED_AT_MAX, reader, context, |id, resource| {
        // One past the page shows that there is a next.
        if resources.len() >= search.count || bytes > PAGE_BYTES_MAX {
            more = true;
            return false;
        }
        bytes += size(&resource);
        last = Some(id.to_owned());
        resources.push(resource);
        true
    })?;
    let next = if more { last } else { stopped };
    let whole = search.cursor.is_none() && next.is_none();
    let touched = references(row, &resources, context);
    Ok(Ok((Page { total: whole.then_some(resources.len()), resources, next }, touched)))
}

fn sorted<R: Reader>(row: &'static Resource, search: &Search, reader: &mut R, context: &Context<'_>) -> Result<Found, R::Error> {
    let mut keys: Vec<(String, String)> = Vec::new();
    let stopped = scan(row, search, None, LOOKED_AT_MAX, reader, context, |id, resource| {
        keys.push((search.sort.map(|sort| sort_key(&resource, sort.by)).unwrap_or_default(), id.to_owned()));
        true
    })?;
    if stopped.is_some() {
        let text = format!("sorting and counting look at no more than {LOOKED_AT_MAX} resources: search for fewer");
        return Ok(Err(Issue::error("too-costly", text)));
    }
    keys.sort_unstable();
    if search.sort.is_some_and(|sort| sort.descending) {
        keys.reverse();
    }
    let total = keys.len();
    if search.count_only {
        return Ok(Ok((Page { resources: Vec::new(), total: Some(total), next: None }, Vec::new())));
    }
    let start = match &search.cursor {
        None => 0,
        Some(cursor) => match keys.iter().position(|(key, id)| cursor_of(key, id) == *cursor) {
            Some(at) => at + 1,
            None => return Ok(Err(Issue::error("value", "what the last page ended with has changed: start the search again"))),
        },
    };
    let (mut resources, mut bytes, mut next) = (Vec::new(), 0, None);
    let mut rest = keys.iter().skip(start).peekable();
    while let Some((key, id)) = rest.next() {
        let found = match id.parse::<ResourceId>() {
            Ok(id) => reader.document(row.name, &id)?,
            Err(_) => None,
        };
        bytes += found.as_ref().map_or(0, size);
        resources.extend(found);
        if (resources.len() >= search.count || bytes > PAGE_BYTES_MAX) && rest.peek().is_some() {
            next = Some(cursor_of(key, id));
            break;
        }
    }
    let touched = references(row, &resources, context);
    Ok(Ok((Page { resources, total: Some(total), next }, touched)))
}

fn cursor_of(key: &str, id: &str) -> String {
    format!("{key}\n{id}")
}

fn by_id<R: Reader>(
    row: &'static Resource,
    search: &Search,
    ids: &BTreeSet<String>,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Found, R::Error> {
    let mut resources = Vec::new();
    for id in ids.iter().filter_map(|id| id.parse::<ResourceId>().ok()) {
        resources.extend(reader.document(row.name, &id)?.filter(|found| matches(found, &search.filters, context.base_url)));
    }
    let touched = references(row, &resources, context);
    Ok(Ok((Page { total: Some(resources.len()), resources, next: None }, touched)))
}

/// The ids of a filter by `_id`, at most [`search::VALUES_MAX`], so that no page is needed.
pub(super) fn named_ids(filters: &[Filter]) -> Option<BTreeSet<String>> {
    let filter = filters.iter().find(|filter| filter.parameter.name == "_id" && filter.modifier == Modifier::None)?;
    let id = |wanted: &Wanted| match wanted {
        Wanted::Token { code, .. } => code.clone(),
        _ => None,
    };
    Some(filter.values.iter().filter_map(id).collect())
}

/// Whoever asks for a patient is shown what is kept about those whom it replaces too.
pub(super) fn name_all(search: &mut Search) {
    let [_, replaced @ ..] = search.patients.as_slice() else { return };
    for filter in search.filters.iter_mut().filter(|filter| matches!(filter.parameter.name, "patient" | "subject")) {
        filter.values.extend(replaced.iter().map(|patient| Wanted::Reference(format!("Patient/{patient}"))));
    }
}

/// The patients whose scopes are enough.
fn enough(search: &Search) -> Vec<PatientId> {
    if search.patients.is_empty() { one_patient(&search.filters).into_iter().collect() } else { search.patients.clone() }
}

/// The patient all results must be about, if the filters name one.
pub(super) fn one_patient(filters: &[Filter]) -> Option<PatientId> {
    let named = |filter: &&Filter| matches!(filter.parameter.name, "patient" | "subject") && filter.modifier == Modifier::None;
    filters.iter().filter(named).find_map(|filter| match filter.values.as_slice() {
        [Wanted::Reference(text)] => text.strip_prefix("Patient/").unwrap_or(text).parse().ok(),
        _ => None,
    })
}

fn size(resource: &Value) -> usize {
    // The reader's documents are small; their text is counted so that a page of large ones is not.
    resource.to_string().len()
}

pub(super) fn references(row: &Resource, resources: &[Value], context: &Context<'_>) -> Vec<String> {
    let mut all = BTreeSet::new();
    for resource in resources {
        all.extend(resource.get("id").and_then(Value::as_str).map(|id| format!("{}/{id}", row.name)));
        if let Some(element) = row.lives.patient_element() {
            let patient = resource.get(element).and_then(|subject| subject.get("reference")).and_then(Value::as_str);
            all.extend(patient.map(|text| relative(text, context.base_url).to_owned()));
        }
    }
    all.into_iter().collect()
}
