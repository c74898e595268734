//! Shapes: how a genesis becomes an automerge document. Every shape's builder is kept for ever.
//!
//! Shape 1: the root map holds one string a *slot*: 21 characters of [`Hlc`], then what was written. The writer's stamp
//! travels with the value, so that concurrent values can be ordered without their changes. The map is flat, so that
//! concurrent geneses of one id unite slot by slot. A slot is
//!
//! - `birthDate`: an element, whole, together with its `_birthDate`;
//! - `deceased[x]`: a choice, whichever type it has, so that two replicas never leave two types of one choice;
//! - `name[0123456789abcdef]`: an item of an *opened* list, after four digits of its place. Items unite by what makes them
//!   the same one ([`OPENED`]).
//!
//! What was written is the element's JSON, `*` and an object of several members, or `null` where it was removed.

use super::policy::Candidate;
use super::{DocumentError, canonical_json};
use crate::ledger::entry::sha256;
use crate::ledger::hlc::Hlc;
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ChangeHash, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The shape new documents get.
pub(super) const CURRENT: u16 = 1;
const STAMP_LENGTH: usize = 21;
const PLACE_LENGTH: usize = 4;

/// Lists whose items merge by themselves, in whatever type, and the members that make two items the same; none: all of
/// them. Lists in which one item changes the meaning of another (doses, reactions) stay whole.
const OPENED: &[(&str, &[&str])] = &[
    ("address", &[]),
    ("classHistory", &[]),
    ("communication", &["language"]),
    ("contact", &[]),
    ("deviceName", &["name", "type"]),
    ("diagnosis", &["condition", "use"]),
    ("extension", &["url"]),
    ("generalPractitioner", &["reference"]),
    ("identifier", &["system", "value"]),
    ("link", &["other", "type"]),
    ("location", &[]),
    ("name", &["family", "given", "text"]),
    ("note", &[]),
    ("participant", &[]),
    ("photo", &[]),
    ("statusHistory", &[]),
    ("telecom", &["system", "value"]),
];

/// Elements of R4 resources that have one of several types, named by a suffix.
const CHOICES: &[&str] = &[
    "asNeeded",
    "deceased",
    "effective",
    "identified",
    "medication",
    "multipleBirth",
    "occurrence",
    "onset",
    "quantity",
    "reported",
    "value",
];

/// What was written into a slot.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Written {
    pub at: Hlc,
    /// Place in its list; 0 for what is no item.
    pub place: u16,
    /// Elements by name, an item by its list's name; none where it was removed.
    pub members: Map<String, Value>,
    /// The change that wrote it, looked up where there are several.
    pub change: Option<ChangeHash>,
}

impl Candidate for Written {
    fn at(&self) -> Hlc {
        self.at
    }
    fn members(&self) -> &Map<String, Value> {
        &self.members
    }
}

/// Every slot with its concurrent values.
pub(super) type Slots = BTreeMap<String, Vec<Written>>;

pub(super) fn known(shape: u16) -> Result<(), DocumentError> {
    if shape == CURRENT { Ok(()) } else { Err(DocumentError::Shape(shape)) }
}

pub(super) fn object(text: &str) -> Result<Map<String, Value>, DocumentError> {
    serde_json::from_str(text).map_err(|_| DocumentError::NotAnObject)
}

/// Builds the automerge document of a genesis. The same genesis gives the same change, whoever builds it.
pub(super) fn build(shape: u16, hlc: Hlc, text: &str) -> Result<AutoCommit, DocumentError> {
    known(shape)?;
    let actor = sha256(&[b"lamplight/genesis/1", hlc.to_string().as_bytes(), text.as_bytes()]);
    let mut doc = AutoCommit::new().with_actor(ActorId::from(actor.0));
    for (slot, (place, members)) in split(&object(text)?) {
        put(&mut doc, hlc, &slot, place, &members)?;
    }
    commit(&mut doc)?;
    Ok(doc)
}

/// Writes an edit: `elements` to set, or to remove where `Null`, over a document whose slots and shown elements are given.
/// A key that is an item's slot sets that item alone.
pub(super) fn edit(
    doc: &mut AutoCommit,
    hlc: Hlc,
    slots: &Slots,
    shown: &Map<String, Value>,
    elements: &Map<String, Value>,
) -> Result<(), DocumentError> {
    let (items, elements): (Vec<_>, Vec<_>) = elements.iter().partition(|(key, _)| list_of(key).is_some());
    for (slot, value) in items {
        let (Some(held), Some(list)) = (slots.get(slot).and_then(|values| values.first()), list_of(slot)) else { continue };
        let members = if value.is_null() { Map::new() } else { Map::from_iter([(list.to_owned(), value.clone())]) };
        put(doc, hlc, slot, held.place, &members)?;
    }
    let touched: BTreeSet<String> = elements.iter().map(|(key, _)| unit(key)).collect();
    let mut wanted: Map<String, Value> =
        shown.iter().filter(|(key, _)| touched.contains(&unit(key))).map(|(k, v)| (k.clone(), v.clone())).collect();
    wanted.extend(elements.into_iter().map(|(key, value)| (key.clone(), value.clone())));
    let new = split(&wanted);
    for unit in touched {
        let of_unit = |slot: &str| list_of(slot).unwrap_or(slot) == unit;
        let new: Slots = new
            .iter()
            .filter(|(slot, _)| of_unit(slot))
            .map(|(slot, (place, members))| {
                (slot.clone(), vec![Written { at: hlc, place: *place, members: members.clone(), change: None }])
            })
            .collect();
        let held: BTreeMap<&String, &Written> =
            slots.iter().filter(|(slot, _)| of_unit(slot)).filter_map(|(slot, values)| Some((slot, values.first()?))).collect();
        let kept = |slot: &String, written: &Written| {
            list_of(slot).is_some() && held.get(slot).is_some_and(|held| held.members == written.members)
        };
        // What stays as it is is not written again; if that would leave the list in another order, all of it is.
        let mut stands = new.clone();
        for (slot, written) in stands.iter_mut().filter_map(|(slot, values)| Some((slot, values.first_mut()?))) {
            if let Some(held) = held.get(slot).filter(|_| kept(slot, written)) {
                *written = (*held).clone();
            }
        }
        let in_order = sequence(stands.iter()) == sequence(new.iter());
        for (slot, written) in new.iter().filter_map(|(slot, values)| Some((slot, values.first()?))) {
            if !(in_order && kept(slot, written)) {
                put(doc, hlc, slot, written.place, &written.members)?;
            }
        }
        for (slot, held) in held.iter().filter(|(slot, _)| !new.contains_key(**slot)) {
            if list_of(slot).is_none() || !held.members.is_empty() {
                put(doc, hlc, slot, held.place, &Map::new())?;
            }
        }
        // Removed before it ever was: said all the same, for a replica that has written it meanwhile.
        if new.is_empty() && held.is_empty() {
            put(doc, hlc, &unit, 0, &Map::new())?;
        }
    }
    Ok(())
}

/// The items of a list in the order they are shown.
pub(super) fn sequence<'a>(slots: impl Iterator<Item = (&'a String, &'a Vec<Written>)>) -> Vec<&'a String> {
    let mut items: Vec<_> = slots.filter_map(|(slot, values)| Some((slot, values.first()?))).collect();
    // Of two written at one place the newer comes first: so it was meant by whoever put it before the other.
    items.sort_by(|(a_slot, a), (b_slot, b)| a.place.cmp(&b.place).then(b.at.cmp(&a.at)).then(a_slot.cmp(b_slot)));
    items.into_iter().map(|(slot, _)| slot).collect()
}

/// The opened list an item's slot belongs to.
pub(super) fn list_of(slot: &str) -> Option<&str> {
    let (list, key) = slot.strip_suffix(']')?.split_once('[')?;
    (key != "x").then_some(list)
}

/// The slot of an element that is no item: `birthDate` of `_birthDate`, `deceased[x]` of `deceasedBoolean`.
pub(super) fn unit(element: &str) -> String {
    let name = element.strip_prefix('_').unwrap_or(element);
    let of_choice = |choice: &&&str| name.strip_prefix(**choice).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    CHOICES.iter().find(of_choice).map_or_else(|| name.to_owned(), |choice| format!("{choice}[x]"))
}

/// A resource as slots.
fn split(resource: &Map<String, Value>) -> BTreeMap<String, (u16, Map<String, Value>)> {
    let mut slots: BTreeMap<String, (u16, Map<String, Value>)> = BTreeMap::new();
    for (key, value) in resource.iter().filter(|(_, value)| !value.is_null()) {
        let opened = OPENED.iter().find(|(list, _)| list == key).zip(value.as_array());
        match opened.filter(|(_, items)| !items.is_empty() && items.iter().all(Value::is_object)) {
            Some(((list, same), items)) => {
                for (place, item) in items.iter().enumerate() {
                    let members = Map::from_iter([(key.clone(), item.clone())]);
                    // Two items that are the same by their members are told apart by their order.
                    let mut again = 0_u32;
                    let mut slot = item_slot(list, same, item, again);
                    while slots.contains_key(&slot) {
                        again += 1;
                        slot = item_slot(list, same, item, again);
                    }
                    slots.insert(slot, (u16::try_from(place).unwrap_or(u16::MAX), members));
                }
            }
            None => {
                slots.entry(unit(key)).or_default().1.insert(key.clone(), value.clone());
            }
        }
    }
    slots
}

fn item_slot(list: &str, same: &[&str], item: &Value, again: u32) -> String {
    let of_members: Map<String, Value> = same.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone()))).collect();
    let identity = if of_members.is_empty() { canonical_json(item) } else { canonical_json(&Value::Object(of_members)) };
    let hash = sha256(&[b"lamplight/item/1", &again.to_be_bytes(), identity.as_bytes()]);
    format!("{list}[{}]", hex::encode(&hash.0[..8]))
}

fn put(doc: &mut AutoCommit, hlc: Hlc, slot: &str, place: u16, members: &Map<String, Value>) -> Result<(), DocumentError> {
    let place = if list_of(slot).is_some() { format!("{place:04x}") } else { String::new() };
    let name = list_of(slot).unwrap_or(slot);
    let written = match members.iter().next() {
        None => "null".to_owned(),
        Some((key, value)) if members.len() == 1 && key == name => canonical_json(value),
        Some(_) => format!("*{}", canonical_json(&Value::Object(members.clone()))),
    };
    doc.put(ROOT, slot, format!("{hlc}{place}{written}")).map_err(|_| DocumentError::Change)
}

/// Commits what was put, at time zero: a change must not depend on who builds it when. `None` if nothing changed.
pub(super) fn commit(doc: &mut AutoCommit) -> Result<Option<Vec<u8>>, DocumentError> {
    if doc.commit_with(CommitOptions::default().with_time(0)).is_none() {
        return Ok(None);
    }
    doc.get_last_local_change().map(|change| Some(change.raw_bytes().to_vec())).ok_or(DocumentError::Change)
}

/// Every slot as it stood at some heads. Of equal values the latest stands for all.
pub(super) fn slots_at(doc: &mut AutoCommit, heads: &[ChangeHash]) -> Slots {
    let mut slots = Slots::new();
    for slot in doc.keys_at(ROOT, heads).collect::<Vec<_>>() {
        let all = doc.get_all_at(ROOT, slot.as_str(), heads).unwrap_or_default();
        let read = all.into_iter().filter_map(|(value, id)| match value {
            automerge::Value::Scalar(scalar) => match scalar.as_ref() {
                ScalarValue::Str(text) => Some((read(&slot, text)?, id)),
                _ => None,
            },
            automerge::Value::Object(_) => None,
        });
        let read: Vec<_> = read.collect();
        let several = read.len() > 1;
        let mut values: Vec<Written> = Vec::with_capacity(read.len());
        for (mut written, id) in read {
            if several {
                written.change = doc.document().hash_for_opid(&id);
            }
            match values.iter_mut().find(|held| held.members == written.members) {
                Some(held) if (held.at, held.change) < (written.at, written.change) => *held = written,
                Some(_) => {}
                None => values.push(written),
            }
        }
        if !values.is_empty() {
            slots.insert(slot, values);
        }
    }
    slots
}

fn read(slot: &str, text: &str) -> Option<Written> {
    let (stamp, rest) = text.split_at_checked(STAMP_LENGTH)?;
    let at = stamp.parse().ok()?;
    let list = list_of(slot);
    let (place, json) = if list.is_some() { rest.split_at_checked(PLACE_LENGTH)? } else { ("0", rest) };
    let place = u16::from_str_radix(place, 16).ok()?;
    let members = match json.strip_prefix('*') {
        Some(members) => object(members).ok()?.into_iter().filter(|(key, value)| unit(key) == *slot && !value.is_null()).collect(),
        None => match serde_json::from_str(json).ok()? {
            Value::Null => Map::new(),
            value => Map::from_iter([(list.unwrap_or(slot).to_owned(), value)]),
        },
    };
    Some(Written { at, place, members, change: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_1_builds_the_same_change_for_ever() {
        let hlc = Hlc { trusted: true, wall_ms: 1_700_000_000_000, counter: 1 };
        let text = r#"{"_birthDate":{"id":"b"},"birthDate":"1960","deceasedBoolean":false,"gender":"female","id":"p1","name":[{"family":"Lima"},{"family":"Lima"}],"resourceType":"Patient"}"#;
        let mut doc = build(1, hlc, text).expect("build");
        let heads: Vec<String> = doc.get_heads().iter().map(ToString::to_string).collect();
        let keys: Vec<String> = doc.keys(ROOT).collect();
        insta::assert_json_snapshot!((heads, keys));
    }

    #[test]
    fn a_shape_of_a_newer_program_is_refused_by_name() {
        assert_eq!(build(9, Hlc::default(), "{}").err(), Some(DocumentError::Shape(9)));
    }

    #[test]
    fn elements_go_to_the_slot_they_merge_in() {
        for (element, slot) in [
            ("_birthDate", "birthDate"),
            ("deceasedDateTime", "deceased[x]"),
            ("_deceasedDateTime", "deceased[x]"),
            ("medicationReference", "medication[x]"),
            ("value", "value"),
            ("valueset", "valueset"),
        ] {
            assert_eq!(unit(element), slot);
        }
        assert_eq!((list_of("name[00]"), list_of("deceased[x]"), list_of("name")), (Some("name"), None, None));
    }
}
