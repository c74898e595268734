//! Searches of Observations: vitals come from series, results of laboratories are documents. Both are shown together in order
//! of time, unless a category names one of them.

use super::bundle::Page;
use super::find::{Found, LOOKED_AT_MAX, documents, name_all, named_ids, one_patient, references, scan};
use super::moment::{Moment, Span};
use super::outcome::Issue;
use super::resources::{Kind, Resource};
use super::search::{Filter, Modifier, Prefix, Search, Wanted};
use super::vital::Vital;
use super::{Context, ObservationId, Reader, VitalsQuery, observation};
use crate::id::PatientId;
use crate::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::iter::Peekable;

/// Answers a search for Observations.
pub(super) fn search<R: Reader>(row: &'static Resource, search: &Search, reader: &mut R, context: &Context<'_>) -> Result<Found, R::Error> {
    let mut categories = search.filters.iter().filter(|filter| filter.parameter.name == "category");
    let mut others = search.clone();
    name_all(&mut others);
    if categories.clone().any(|filter| filter.modifier == Modifier::None && !filter.values.iter().any(is_vital_signs)) {
        return documents(row, &others, reader, context);
    }
    let (vitals, patients) = match vitals(search, reader)? {
        Ok(found) => found,
        Err(issue) => return Ok(Err(issue)),
    };
    let results = if categories.any(|filter| filter.values.iter().all(is_only_vital_signs)) {
        Vec::new()
    } else {
        match results(row, search, &others, reader, context)? {
            Ok(found) => found,
            Err(issue) => return Ok(Err(issue)),
        }
    };
    let descending = search.sort.is_none_or(|sort| sort.descending);
    let limit = if search.count_only { LOOKED_AT_MAX } else { search.count };
    let (mut vitals, mut results) = (vitals.into_iter().peekable(), results.into_iter().peekable());
    let (mut last_vital, mut last_result) = (vital_cursor(search).to_owned(), result_cursor(search).to_owned());
    let mut resources = Vec::new();
    while resources.len() < limit {
        if is_next(&mut vitals, &mut results, descending) {
            let Some(vital) = vitals.next() else { break };
            last_vital = vital.id().to_string();
            resources.extend(observation::render(&vital));
        } else if let Some((_, id, result)) = results.next() {
            last_result = id;
            resources.push(result);
        }
    }
    let more = vitals.peek().is_some() || results.peek().is_some();
    if more && search.count_only {
        return Ok(Err(Issue::error("too-costly", format!("there are more than {LOOKED_AT_MAX}: narrow the search by date"))));
    }
    let next = more.then(|| if last_result.is_empty() { last_vital } else { format!("{last_vital}\n{last_result}") });
    let total = (search.cursor.is_none() && !more).then_some(resources.len());
    let mut touched = references(row, &resources, context);
    touched.retain(|reference| !reference.starts_with("Observation/"));
    touched.extend(patients.into_iter().map(|id| format!("Patient/{id}")));
    touched.sort_unstable();
    touched.dedup();
    Ok(Ok((Page { resources, total, next }, touched)))
}

/// A result, when it was measured and its id.
type Dated = (Timestamp, String, Value);

/// Whether a vital comes before the next result.
fn is_next(
    vitals: &mut Peekable<impl Iterator<Item = Vital>>,
    results: &mut Peekable<impl Iterator<Item = Dated>>,
    descending: bool,
) -> bool {
    match (vitals.peek(), results.peek()) {
        (Some(vital), Some((at, ..))) if descending => vital.measured >= *at,
        (Some(vital), Some((at, ..))) => vital.measured <= *at,
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

/// The documents that match and come after the cursor, in order of time.
fn results<R: Reader>(
    row: &'static Resource,
    search: &Search,
    named: &Search,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Result<Vec<Dated>, Issue>, R::Error> {
    let mut found: Vec<Dated> = Vec::new();
    let stopped = match named_ids(&search.filters) {
        Some(_) => {
            let of_all = Search { count_only: false, ..named.clone() };
            let page = match documents(row, &of_all, reader, context)? {
                Ok((page, _)) => page,
                Err(issue) => return Ok(Err(issue)),
            };
            found.extend(page.resources.into_iter().map(dated));
            None
        }
        None => scan(row, named, None, LOOKED_AT_MAX, reader, context, |_, resource| {
            found.push(dated(resource));
            true
        })?,
    };
    if stopped.is_some() {
        let text = format!("there are more than {LOOKED_AT_MAX} results: name a category, or the ids");
        return Ok(Err(Issue::error("too-costly", text)));
    }
    found.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    if search.sort.is_none_or(|sort| sort.descending) {
        found.reverse();
    }
    let after = result_cursor(search);
    if after.is_empty() {
        return Ok(Ok(found));
    }
    Ok(match found.iter().position(|(_, id, _)| id == after) {
        Some(at) => Ok(found.split_off(at + 1)),
        None => Err(Issue::error("value", "what the last page ended with has changed: start the search again")),
    })
}

fn dated(resource: Value) -> Dated {
    let text = |key: &str| resource.get(key).and_then(Value::as_str);
    let at = text("effectiveDateTime").or_else(|| text("issued")).and_then(Moment::parse).map(|moment| moment.span.start);
    (at.unwrap_or_default(), text("id").unwrap_or_default().to_owned(), resource)
}

/// A cursor is the last vital shown and, on a line of its own, the last result.
fn vital_cursor(search: &Search) -> &str {
    let cursor = search.cursor.as_deref().unwrap_or_default();
    cursor.split_once('\n').map_or(cursor, |(vital, _)| vital)
}

fn result_cursor(search: &Search) -> &str {
    search.cursor.as_deref().and_then(|cursor| cursor.split_once('\n')).map_or("", |(_, result)| result)
}

fn is_vital_signs(wanted: &Wanted) -> bool {
    let Wanted::Token { system, code } = wanted else { return false };
    let named = code.as_deref().is_none_or(|code| code.eq_ignore_ascii_case("vital-signs"));
    named && system.as_deref().is_none_or(|system| system == observation::CATEGORY)
}

fn is_only_vital_signs(wanted: &Wanted) -> bool {
    is_vital_signs(wanted) && matches!(wanted, Wanted::Token { code: Some(_), .. })
}

/// Vitals and whose they are.
type Measured = (Vec<Vital>, BTreeSet<String>);

/// The vitals that match, one past the page.
fn vitals<R: Reader>(search: &Search, reader: &mut R) -> Result<Result<Measured, Issue>, R::Error> {
    let query = match vitals_query(search) {
        Ok(query) => query,
        Err(issue) => return Ok(Err(issue)),
    };
    Ok(Ok(match query {
        Ask::Nothing => (Vec::new(), BTreeSet::new()),
        Ask::These(ids, narrow) => {
            let mut found = Vec::new();
            for id in ids {
                found.extend(reader.vital(&id)?.filter(|vital| narrow.as_ref().is_none_or(|query| query.takes(vital))));
            }
            let patients = found.iter().map(|vital| vital.patient.to_string()).collect();
            (found, patients)
        }
        Ask::Range(query) => {
            let mut found = reader.vitals(&query)?;
            let replaced = search.patients.get(1..).unwrap_or_default();
            for patient in replaced {
                found.extend(reader.vitals(&VitalsQuery { patient: patient.clone(), ..query.clone() })?);
            }
            if !replaced.is_empty() {
                // Each patient's are in order already; together they are put in order and cut again.
                found = query.in_order(found);
            }
            let patients = std::iter::once(&query.patient).chain(replaced).map(PatientId::to_string).collect();
            (found, patients)
        }
    }))
}

enum Ask {
    /// Nothing can match.
    Nothing,
    These(Vec<ObservationId>, Option<VitalsQuery>),
    Range(VitalsQuery),
}

fn vitals_query(search: &Search) -> Result<Ask, Issue> {
    let after = match vital_cursor(search) {
        "" => None,
        text => Some(text.parse::<ObservationId>().map_err(|_| Issue::error("value", "the cursor is none that was given out"))?),
    };
    let ids = named_ids(&search.filters).map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect::<Vec<ObservationId>>());
    let patients = search.filters.iter().filter(|filter| matches!(filter.parameter.name, "patient" | "subject"));
    let mut patient: Option<PatientId> = None;
    for filter in patients {
        match (one_patient(std::slice::from_ref(filter)), &patient) {
            (Some(named), None) => patient = Some(named),
            (Some(named), Some(held)) if named == *held => {}
            (Some(_), Some(_)) => return Ok(Ask::Nothing),
            (None, _) => return Err(Issue::error("not-supported", "name exactly one patient").at("http.patient")),
        }
    }
    let Some(patient) = patient else {
        // An id names its patient's vital by itself.
        return ids
            .map(|ids| Ask::These(ids, None))
            .ok_or_else(|| Issue::error("required", "vital signs are found by patient: add patient=<id>").at("http.patient"));
    };
    let mut query = VitalsQuery {
        patient,
        codes: None,
        device: None,
        from: Timestamp(i64::MIN),
        to: Timestamp(i64::MAX),
        after,
        limit: if search.count_only { LOOKED_AT_MAX } else { search.count } + 1,
        newest_first: search.sort.is_none_or(|sort| sort.descending),
    };
    for filter in &search.filters {
        if matches!(filter.modifier, Modifier::Missing | Modifier::Not) {
            let text = ":missing and :not are supported for results alone: add category=laboratory";
            return Err(Issue::error("not-supported", text).at(format!("http.{}", filter.parameter.name)));
        }
        if !narrow(&mut query, filter)? {
            return Ok(Ask::Nothing);
        }
    }
    Ok(match ids {
        Some(ids) => Ask::These(ids, Some(query)),
        None => Ask::Range(query),
    })
}

/// Adds a filter to a query of vitals; false if nothing can match.
fn narrow(query: &mut VitalsQuery, filter: &Filter) -> Result<bool, Issue> {
    match (filter.parameter.name, filter.parameter.kind) {
        ("code" | "combo-code", _) => {
            let mut codes = Vec::new();
            for wanted in &filter.values {
                if let Wanted::Token { system, code } = wanted {
                    codes.extend(observation::codes_for(system.as_deref(), code.as_deref()));
                }
            }
            codes.retain(|code| query.codes.as_ref().is_none_or(|held| held.contains(code)));
            codes.sort_unstable();
            codes.dedup();
            let any = !codes.is_empty();
            query.codes = Some(codes);
            Ok(any)
        }
        ("category", _) => Ok(filter.values.iter().any(is_vital_signs)),
        ("device", _) => match filter.values.as_slice() {
            [Wanted::Reference(text)] => match text.strip_prefix("Device/").unwrap_or(text).parse() {
                Ok(device) if query.device.as_ref().is_none_or(|held| *held == device) => {
                    query.device = Some(device);
                    Ok(true)
                }
                _ => Ok(false),
            },
            _ => Err(Issue::error("not-supported", "name exactly one device").at("http.device")),
        },
        (_, Kind::Date) => match filter.values.as_slice() {
            [Wanted::Date(prefix, span)] => match window(*prefix, *span) {
                Some(window) => {
                    query.from = query.from.max(window.start);
                    query.to = query.to.min(window.end);
                    Ok(query.from < query.to)
                }
                None => Err(Issue::error("not-supported", "ne is not supported for dates of vital signs").at("http.date")),
            },
            _ => Err(Issue::error("not-supported", "give one date for each date parameter; repeat it for a range").at("http.date")),
        },
        _ => Ok(true),
    }
}

/// When a moment must lie so that it compares so with a span; `None` if that is no one stretch of time.
fn window(prefix: Prefix, span: Span) -> Option<Span> {
    match prefix {
        Prefix::Eq | Prefix::Ap => Some(span),
        Prefix::Gt | Prefix::Sa => Some(Span { start: span.end, ..Span::ALWAYS }),
        Prefix::Ge => Some(Span { start: span.start, ..Span::ALWAYS }),
        Prefix::Lt | Prefix::Eb => Some(Span { end: span.start, ..Span::ALWAYS }),
        Prefix::Le => Some(Span { end: span.end, ..Span::ALWAYS }),
        Prefix::Ne => None,
    }
}
