//! Versions of a document: `GET Type/id/_history` and `GET Type/id/_history/version`.

use super::bundle::encode;
use super::handle::absent;
use super::moment::Moment;
use super::outcome::{Issue, quoted};
use super::resources::Resource;
use super::search::{COUNT_DEFAULT, COUNT_MAX};
use super::{Context, Outcome, Reader, Reply, Request, with_version};
use crate::document::{AUTHOR_URL, Version};
use crate::id::ResourceId;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// One version.
pub(super) fn vread<R: Reader>(row: &'static Resource, id: &str, version: &str, reader: &mut R) -> Result<Outcome, R::Error> {
    let (touched, document) = match parts(row, id, reader)? {
        Ok(found) => found,
        Err(refused) => return Ok(*refused),
    };
    let found = document.history().ok().and_then(|mut history| history.version(row.name, version));
    Ok(match found {
        Some(version) => Outcome::reply("read", Reply::resource(200, authored(version).1), touched),
        None => {
            let text = format!("{}/{id} has no version {}; its versions are at {}/{id}/_history", row.name, quoted(version), row.name);
            Outcome { touched, ..Outcome::refused(404, Issue::error("not-found", text)) }
        }
    })
}

/// All versions, newest first.
pub(super) fn instance<R: Reader>(
    row: &'static Resource,
    id: &str,
    request: &Request,
    reader: &mut R,
    context: &Context<'_>,
) -> Result<Outcome, R::Error> {
    let asked = match Asked::read(&request.query) {
        Ok(asked) => asked,
        Err(issue) => return Ok(Outcome::refused(400, issue)),
    };
    let (touched, document) = match parts(row, id, reader)? {
        Ok(found) => found,
        Err(refused) => return Ok(*refused),
    };
    let Ok(mut history) = document.history() else {
        return Ok(Outcome { touched, ..Outcome::refused(404, absent(row, id)) });
    };
    // Stamps of writers whose clocks disagree may fall: what came since is all after the first that is young enough.
    let first = history.made().position(|by| asked.since.is_none_or(|since| millis(by.hlc.wall_ms) >= since)).unwrap_or(history.len());
    let end = asked.before.unwrap_or(history.len()).min(history.len());
    let start = end.saturating_sub(asked.count).max(first);
    let versions = if start < end { history.versions(row.name, start..end) } else { Vec::new() };
    let entries: Vec<Value> = versions.into_iter().rev().map(|version| entry(row, id, version, context)).collect();
    let mut links = vec![json!({"relation": "self", "url": asked.url(row, id, asked.before, context)})];
    if start > first {
        links.push(json!({"relation": "next", "url": asked.url(row, id, Some(start), context)}));
    }
    let mut bundle = Map::new();
    bundle.insert("resourceType".to_owned(), "Bundle".into());
    bundle.insert("meta".to_owned(), json!({"lastUpdated": context.now.rfc3339()}));
    bundle.insert("type".to_owned(), "history".into());
    bundle.insert("total".to_owned(), history.len().saturating_sub(first).into());
    bundle.insert("link".to_owned(), links.into());
    if !entries.is_empty() {
        bundle.insert("entry".to_owned(), entries.into());
    }
    let reply = Reply { etag: None, last_modified: None, ..Reply::resource(200, Value::Object(bundle)) };
    Ok(Outcome::reply("history", reply, touched))
}

/// What a history is asked for.
struct Asked {
    count: usize,
    since: Option<Timestamp>,
    /// Only versions before this one, oldest is 0.
    before: Option<usize>,
}

impl Asked {
    fn read(query: &[(String, String)]) -> Result<Self, Issue> {
        let mut asked = Self { count: COUNT_DEFAULT, since: None, before: None };
        for (key, value) in query {
            let wrong = |expected: &str| {
                Issue::error("value", format!("{key} must be {expected}, got {}", quoted(value))).at(format!("http.{key}"))
            };
            match key.as_str() {
                "_count" => asked.count = value.parse::<usize>().map_err(|_| wrong("a whole number"))?.clamp(1, COUNT_MAX),
                "_since" => {
                    asked.since = Some(Moment::parse(value).ok_or_else(|| wrong("a time such as 2026-01-31T10:20:30Z"))?.span.start)
                }
                "_cursor" => asked.before = Some(value.parse().map_err(|_| wrong("one that was given out"))?),
                _ => {}
            }
        }
        Ok(asked)
    }

    fn url(&self, row: &Resource, id: &str, before: Option<usize>, context: &Context<'_>) -> String {
        let mut url = format!("{}/{}/{id}/_history?_count={}", context.base_url, row.name, self.count);
        if let Some(since) = self.since {
            url.push_str("&_since=");
            encode(&since.rfc3339(), &mut url);
        }
        if let Some(before) = before {
            url.push_str(&format!("&_cursor={before}"));
        }
        url
    }
}

fn entry(row: &Resource, id: &str, version: Version, context: &Context<'_>) -> Value {
    let first = version.first;
    let (etag, resource) = authored(version);
    let updated = resource.get("meta").and_then(|meta| meta.get("lastUpdated")).cloned().unwrap_or_default();
    let (method, url, status) =
        if first { ("POST", row.name.to_owned(), "201 Created") } else { ("PUT", format!("{}/{id}", row.name), "200 OK") };
    json!({
        "fullUrl": format!("{}/{}/{id}", context.base_url, row.name),
        "resource": resource,
        "request": {"method": method, "url": url},
        "response": {"status": status, "etag": format!("W/\"{etag}\""), "lastModified": updated},
    })
}

/// The version's id, and the resource with its version, time and author.
fn authored(version: Version) -> (String, Value) {
    let id = version.shown.version.clone();
    let author = if version.by.user.is_empty() { version.by.author.to_string() } else { version.by.user };
    let mut resource = with_version(version.shown);
    if let Some(Value::Object(meta)) = resource.get_mut("meta") {
        let own = json!({"url": AUTHOR_URL, "valueString": author});
        if let Value::Array(list) = meta.entry("extension").or_insert_with(|| json!([])) {
            list.push(own);
        }
    }
    (id, resource)
}

fn millis(wall_ms: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(wall_ms).unwrap_or(i64::MAX))
}

type Parts = (Vec<String>, crate::document::Document);

fn parts<R: Reader>(row: &'static Resource, id: &str, reader: &mut R) -> Result<Result<Parts, Box<Outcome>>, R::Error> {
    let id: ResourceId = match id.parse() {
        Ok(id) => id,
        Err(error) => return Ok(Err(Box::new(Outcome::refused(400, Issue::error("value", error.to_string()))))),
    };
    let touched = vec![format!("{}/{id}", row.name)];
    Ok(match reader.parts(row.name, &id)? {
        Some(document) => Ok((touched, document)),
        None => Err(Box::new(Outcome { touched, ..Outcome::refused(404, absent(row, id.as_str())) })),
    })
}
