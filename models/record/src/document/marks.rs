//! How an ordinary FHIR client sees that a resource is in conflict: a tag, and an extension for each element that lists
//! every value. Both are written when a document is shown and dropped when one comes back; they are never kept.
//!
//! ```text
//! meta.tag   urn:lamplight:fhir:record | conflict
//! extension  urn:lamplight:fhir:conflict
//!              element  valueString   "deceased[x]"
//!              ask      valueBoolean  true: lives hang on it
//!              value    value (valueString: JSON of the members) · at (valueInstant) · author (valueString)
//! ```

use super::canonical_json;
use super::merge::{Concurrent, Conflict};
use super::policy::Policy;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// System of [`CONFLICT_CODE`].
pub const RECORD_SYSTEM: &str = "urn:lamplight:fhir:record";
/// `meta.tag` of a resource with values a person should choose between.
pub const CONFLICT_CODE: &str = "conflict";
/// URL of the extension that lists them.
pub const CONFLICT_URL: &str = "urn:lamplight:fhir:conflict";

/// Adds the marks of open conflicts.
pub(super) fn mark(object: &mut Map<String, Value>, conflicts: &[Conflict]) {
    let mut open = conflicts.iter().filter(|conflict| conflict.is_open()).peekable();
    if open.peek().is_none() {
        return;
    }
    let meta = object.entry("meta").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        let tags = meta.entry("tag").or_insert_with(|| json!([]));
        if let Some(tags) = tags.as_array_mut() {
            tags.push(json!({"system": RECORD_SYSTEM, "code": CONFLICT_CODE, "display": "Written differently at the same time: choose"}));
        }
    }
    let extensions = object.entry("extension").or_insert_with(|| json!([]));
    if let Some(extensions) = extensions.as_array_mut() {
        extensions.extend(open.map(extension));
    }
}

fn extension(conflict: &Conflict) -> Value {
    let mut inner = vec![
        json!({"url": "element", "valueString": conflict.element}),
        json!({"url": "ask", "valueBoolean": conflict.policy == Policy::Safety}),
    ];
    inner.extend(conflict.values.iter().map(value));
    json!({"url": CONFLICT_URL, "extension": inner})
}

fn value(value: &Concurrent) -> Value {
    let at = Timestamp::from_millis(i64::try_from(value.at.wall_ms).unwrap_or(i64::MAX));
    let author = if value.by.user.is_empty() { value.by.author.to_string() } else { value.by.user.clone() };
    json!({"url": "value", "extension": [
        {"url": "value", "valueString": canonical_json(&Value::Object(value.value.clone()))},
        {"url": "at", "valueInstant": at.rfc3339()},
        {"url": "author", "valueString": author},
    ]})
}

/// Drops the marks, and what else the record itself writes into `meta`.
pub(super) fn unmark(object: &mut Map<String, Value>) {
    let is_tag = |tag: &Value| tag.get("system").is_some_and(|v| v == RECORD_SYSTEM);
    if let Some(Value::Object(meta)) = object.get_mut("meta") {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        drop_from(meta, "tag", is_tag);
        drop_from(meta, "extension", |e| e.get("url").is_some_and(|url| url == super::AUTHOR_URL));
        if meta.is_empty() {
            object.remove("meta");
        }
    }
    drop_from(object, "extension", |e| e.get("url").is_some_and(|url| url == CONFLICT_URL));
}

fn drop_from(object: &mut Map<String, Value>, list: &str, unwanted: impl Fn(&Value) -> bool) {
    if let Some(Value::Array(items)) = object.get_mut(list) {
        let before = items.len();
        items.retain(|item| !unwanted(item));
        if items.is_empty() && before > 0 {
            object.remove(list);
        }
    }
}

/// The same for the elements of an edit, where one that held nothing else is removed.
pub(super) fn unmarked(elements: &Map<String, Value>) -> Map<String, Value> {
    let mut out = elements.clone();
    unmark(&mut out);
    for key in elements.keys().filter(|key| !out.contains_key(*key)).cloned().collect::<Vec<_>>() {
        out.insert(key, Value::Null);
    }
    out
}

/// Whether a shown resource has open conflicts.
#[must_use]
pub fn is_in_conflict(resource: &Value) -> bool {
    let tags = resource.get("meta").and_then(|meta| meta.get("tag")).and_then(Value::as_array);
    let text = |tag: &Value, key: &str, wanted: &str| tag.get(key).is_some_and(|value| value == wanted);
    tags.into_iter().flatten().any(|tag| text(tag, "system", RECORD_SYSTEM) && text(tag, "code", CONFLICT_CODE))
}
