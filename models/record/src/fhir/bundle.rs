//! Searchset Bundles: a page of what was found, and links to itself and the next.

use super::search::{CURSOR, Search};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// A page of a search.
#[derive(Debug)]
pub(super) struct Page {
    /// What was found, in order.
    pub resources: Vec<Value>,
    /// How many there are in all, where that is known.
    pub total: Option<usize>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// The Bundle of a page of `resource_type`.
pub(super) fn searchset(base_url: &str, resource_type: &str, search: &Search, page: Page, now: Timestamp) -> Value {
    let mut links = vec![json!({"relation": "self", "url": url(base_url, resource_type, &search.used, search.cursor.as_deref())})];
    if let Some(next) = &page.next {
        links.push(json!({"relation": "next", "url": url(base_url, resource_type, &search.used, Some(next))}));
    }
    let mut bundle = Map::new();
    bundle.insert("resourceType".to_owned(), "Bundle".into());
    bundle.insert("meta".to_owned(), json!({"lastUpdated": now.rfc3339()}));
    bundle.insert("type".to_owned(), "searchset".into());
    if let Some(total) = page.total {
        bundle.insert("total".to_owned(), total.into());
    }
    bundle.insert("link".to_owned(), links.into());
    if !page.resources.is_empty() {
        let entry = |resource: Value| {
            let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
            json!({"fullUrl": format!("{base_url}/{resource_type}/{id}"), "resource": resource, "search": {"mode": "match"}})
        };
        bundle.insert("entry".to_owned(), page.resources.into_iter().map(entry).collect());
    }
    Value::Object(bundle)
}

fn url(base_url: &str, resource_type: &str, used: &[(String, String)], cursor: Option<&str>) -> String {
    let mut out = format!("{base_url}/{resource_type}");
    let cursor = cursor.map(|cursor| (CURSOR.to_owned(), hex::encode(cursor)));
    for (index, (key, value)) in used.iter().chain(&cursor).enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        encode(key, &mut out);
        out.push('=');
        encode(value, &mut out);
    }
    out
}

pub(super) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:,/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Into a String: cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
