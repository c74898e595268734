//! From slots to the resource that is shown, and the conflicts left in it.

use super::policy::{Policy, Table, order};
use super::shape::{Slots, Written, list_of, sequence, unit};
use crate::id::{Hash, ReplicaId, RunId};
use crate::ledger::hlc::Hlc;
use automerge::ChangeHash;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Whose act a part of a document is: what its entry's header and payload say.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// Stamp of the entry.
    pub hlc: Hlc,
    /// The replica.
    pub author: ReplicaId,
    /// Its process lifetime.
    pub run: RunId,
    /// The person, or "system"; empty where it is not known.
    pub user: String,
}

/// Concurrent values of one element.
#[derive(Clone, PartialEq, Debug)]
pub struct Conflict {
    /// Where: `birthDate`, `deceased[x]`, an item of a list as `name[0123456789abcdef]`.
    pub element: String,
    /// How it is shown.
    pub policy: Policy,
    /// Every value; the one shown first, or all of them in this order.
    pub values: Vec<Concurrent>,
}

/// One of several concurrent values.
#[derive(Clone, PartialEq, Debug)]
pub struct Concurrent {
    /// The members it sets (`{"deceasedBoolean": true}`, of an item `{"name": {…}}`); empty where it removes.
    pub value: Map<String, Value>,
    /// The writer's stamp, by which values are ordered.
    pub at: Hlc,
    /// The automerge change that wrote it.
    pub change: Hash,
    /// Whose.
    pub by: Origin,
}

impl Conflict {
    /// Whether a person should choose.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.policy.is_open()
    }

    /// The edit that leaves these members and no others; empty to remove them all. `None` if they are members of another
    /// element.
    #[must_use]
    pub fn choose(&self, value: &Map<String, Value>) -> Option<Map<String, Value>> {
        if let Some(list) = list_of(&self.element) {
            let item = match value.len() {
                0 => Value::Null,
                1 => value.get(list).filter(|item| item.is_object())?.clone(),
                _ => return None,
            };
            return Some(Map::from_iter([(self.element.clone(), item)]));
        }
        if value.iter().any(|(member, value)| unit(member) != self.element || value.is_null()) {
            return None;
        }
        let held = self.values.iter().flat_map(|value| value.value.keys());
        let mut elements: Map<String, Value> = held.map(|member| (member.clone(), Value::Null)).collect();
        elements.extend(value.clone());
        Some(elements)
    }
}

/// Orders every slot's values as the table has it.
pub(super) fn ordered(resource_type: &str, slots: &mut Slots, table: &Table) {
    for (slot, values) in slots.iter_mut().filter(|(_, values)| values.len() > 1) {
        order(policy_of(resource_type, slot, table), values);
    }
}

/// The resource that ordered slots show, and the conflicts in it.
pub(super) fn merged(
    resource_type: &str,
    slots: &Slots,
    table: &Table,
    whose: impl Fn(Option<ChangeHash>, Hlc) -> Concurrent,
) -> (Map<String, Value>, Vec<Conflict>) {
    let (mut json, mut conflicts) = (Map::new(), Vec::new());
    for (slot, values) in slots {
        let policy = policy_of(resource_type, slot, table);
        if values.len() > 1 {
            let values = values.iter().map(|v| Concurrent { value: v.members.clone(), ..whose(v.change, v.at) }).collect();
            conflicts.push(Conflict { element: slot.clone(), policy, values });
        }
        if list_of(slot).is_none() {
            json.extend(shown(policy, values));
        }
    }
    for slot in sequence(slots.iter().filter(|(slot, _)| list_of(slot).is_some())) {
        let Some(values) = slots.get(slot) else { continue };
        for (list, item) in values.first().map(|first| first.members.clone()).into_iter().flatten() {
            let items = json.entry(list).or_insert_with(|| json!([]));
            if let Value::Array(items) = items {
                items.push(item);
            }
        }
    }
    (json, conflicts)
}

fn policy_of(resource_type: &str, slot: &str, table: &Table) -> Policy {
    table.of(resource_type, list_of(slot).unwrap_or(slot), list_of(slot).is_some())
}

fn shown(policy: Policy, values: &[Written]) -> Map<String, Value> {
    let first = values.first().map(|first| first.members.clone()).unwrap_or_default();
    if values.len() < 2 {
        return first;
    }
    match policy {
        Policy::Text => texts(values).unwrap_or(first),
        Policy::Safety => united(values).unwrap_or(first),
        _ => first,
    }
}

/// Lists in conflict whose every item must be seen: all items of all values, each once. `None` if they are no lists.
fn united(values: &[Written]) -> Option<Map<String, Value>> {
    let mut lists = values.iter().filter(|value| !value.members.is_empty()).map(|value| match value.members.iter().next() {
        Some((name, Value::Array(items))) if value.members.len() == 1 => Some((name, items)),
        _ => None,
    });
    let (name, items) = lists.next()??;
    let mut all = items.clone();
    for list in lists {
        let (_, items) = list?;
        for item in items {
            if !all.contains(item) {
                all.push(item.clone());
            }
        }
    }
    Some(Map::from_iter([(name.clone(), Value::Array(all))]))
}

/// Texts in conflict one after the other, oldest first; narratives as one that says it is not generated. `None` if they
/// are no texts.
fn texts(values: &[Written]) -> Option<Map<String, Value>> {
    let mut oldest_first: Vec<&Written> = values.iter().filter(|value| !value.members.is_empty()).collect();
    oldest_first.reverse();
    let name = oldest_first.first()?.members.keys().next()?.clone();
    let mut all: Vec<&str> = Vec::new();
    let mut narrative = false;
    for value in oldest_first {
        let member = value.members.get(&name).filter(|_| value.members.len() == 1)?;
        let div = member.get("div").and_then(Value::as_str);
        narrative |= div.is_some();
        let text = member.as_str().or(div)?;
        // A later text that holds an earlier one says it too.
        all.retain(|earlier| !text.contains(earlier));
        if !all.iter().any(|earlier| earlier.contains(text)) {
            all.push(text);
        }
    }
    let value = match (narrative, all.as_slice()) {
        (_, [one]) => {
            return values
                .iter()
                .map(|v| &v.members)
                .find(|m| m.values().any(|v| v.as_str().or_else(|| v.get("div")?.as_str()) == Some(*one)))
                .cloned();
        }
        (true, all) => {
            json!({"status": "additional", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", all.concat())})
        }
        (false, all) => all.join("\n\n").into(),
    };
    Some(Map::from_iter([(name, value)]))
}
