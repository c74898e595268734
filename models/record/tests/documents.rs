//! Documents that several people edit at once, through the public face alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use record::document::{
    self, Conflict, Document, Origin, POLICIES, Policy, Table, canonical_json, difference, is_in_conflict, state_digest,
};
use record::id::{ReplicaId, RunId};
use record::ledger::Hlc;
use record::ledger::body::{Acknowledgement, Change, DocumentEvent};
use record::time::Timestamp;
use serde_json::{Map, Value, json};

fn by(author: u8, at: u64) -> Origin {
    let user = ["system", "ana", "berta", "chidi"][usize::from(author) % 4].to_owned();
    let hlc = Hlc { trusted: true, wall_ms: 1_790_000_000_000 + at, counter: 0 };
    Origin { hlc, author: ReplicaId([author; 32]), run: RunId([author; 8]), user }
}

fn begin(resource: &Value) -> (Origin, DocumentEvent) {
    let kind = resource["resourceType"].as_str().expect("type");
    (by(0, 0), DocumentEvent::Genesis(document::genesis(kind, &"d1".parse().expect("id"), resource).expect("genesis")))
}

fn of(parts: &[(Origin, DocumentEvent)]) -> Document {
    let mut document = Document::default();
    for (origin, body) in parts {
        document.take(origin, body).expect("take");
    }
    document
}

fn edit(document: &Document, origin: Origin, elements: &Map<String, Value>) -> (Origin, DocumentEvent) {
    let changes = document.edit(origin.author, origin.run, origin.hlc, elements).expect("edit");
    (origin, DocumentEvent::Change(Change { resource_type: "Any".to_owned(), id: "d1".parse().expect("id"), changes }))
}

fn set(document: &Document, origin: Origin, elements: Value) -> (Origin, DocumentEvent) {
    edit(document, origin, elements.as_object().expect("object"))
}

/// Two people who both saw `resource` write at once; the second one later.
fn at_once(resource: &Value, one: Value, other: Value) -> Document {
    let base = of(&[begin(resource)]);
    of(&[begin(resource), set(&base, by(1, 10), one), set(&base, by(2, 20), other)])
}

fn shown(document: &Document, kind: &str) -> Value {
    Value::Object(document.show(kind).expect("show").json)
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "birthDate": "1960-05-01", "gender": "female",
        "identifier": [{"system": "urn:mrn", "value": "17"}],
        "telecom": [{"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}],
        "name": [{"family": "Lima", "given": ["Ana"]}],
    })
}

#[test]
fn what_two_people_add_to_and_drop_from_a_list_at_once_is_all_done() {
    let document = at_once(
        &patient(),
        json!({"telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}]}),
        json!({"telecom": [{"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}, {"system": "phone", "value": "3"}]}),
    );
    let got = shown(&document, "Patient");
    let values: Vec<&str> = got["telecom"].as_array().expect("list").iter().filter_map(|t| t["value"].as_str()).collect();
    assert_eq!(values, ["1", "a@b", "3"], "dropped data does not return, and nothing added is lost");
    assert!(!is_in_conflict(&got));
}

#[test]
fn a_list_is_shown_in_the_order_it_was_last_put() {
    let mut document = of(&[begin(&patient())]);
    for (step, order) in [vec!["2", "1"], vec!["0", "2", "1"], vec!["0", "1", "9"], vec!["9", "0", "7", "1"], vec![]].iter().enumerate() {
        let list: Vec<Value> = order.iter().map(|value| json!({"system": "phone", "value": value})).collect();
        let new = if list.is_empty() { Value::Null } else { list.clone().into() };
        let (origin, body) = set(&document, by(1, 10 + step as u64), json!({"telecom": new}));
        document.take(&origin, &body).expect("take");
        assert_eq!(
            shown(&document, "Patient").get("telecom").cloned().unwrap_or_default(),
            if list.is_empty() { Value::Null } else { list.into() }
        );
    }
}

#[test]
fn doses_written_at_once_are_all_shown_marked_and_asked_about_until_someone_chooses() {
    let order = json!({"resourceType": "MedicationRequest", "status": "active", "dosageInstruction": [{"text": "1 tablet"}]});
    let mut document =
        at_once(&order, json!({"dosageInstruction": [{"text": "2 tablets"}]}), json!({"dosageInstruction": [{"text": "½ tablet"}]}));
    let got = shown(&document, "MedicationRequest");
    let doses: Vec<&str> = got["dosageInstruction"].as_array().expect("list").iter().filter_map(|d| d["text"].as_str()).collect();
    assert_eq!(doses, ["½ tablet", "2 tablets"]);
    assert!(is_in_conflict(&got));
    let conflict = document.conflicts("MedicationRequest").expect("conflicts").remove(0);
    assert_eq!((conflict.element.as_str(), conflict.policy, conflict.is_open()), ("dosageInstruction", Policy::Safety, true));
    let authors: Vec<(&str, u64)> = conflict.values.iter().map(|v| (v.by.user.as_str(), v.at.wall_ms - 1_790_000_000_000)).collect();
    assert_eq!(authors, [("berta", 20), ("ana", 10)]);
    assert_ne!(conflict.values[0].change, conflict.values[1].change);
    // A client that sends back all it was shown has chosen nothing.
    assert!(difference(got.as_object().expect("object"), got.as_object().expect("object")).is_empty());
    let (origin, choice) = edit(&document, by(3, 30), &conflict.values[1].value);
    document.take(&origin, &choice).expect("take");
    let got = shown(&document, "MedicationRequest");
    assert_eq!((&got["dosageInstruction"][0]["text"], is_in_conflict(&got)), (&json!("2 tablets"), false));
    assert!(got.get("extension").is_none() && got.get("meta").is_none());
}

#[test]
fn a_choice_replaces_what_was_seen_and_not_what_arrives_later() {
    let base = of(&[begin(&patient())]);
    let one = set(&base, by(1, 10), json!({"birthDate": "1961-01-01"}));
    let two = set(&base, by(2, 20), json!({"birthDate": "1962-01-01"}));
    let three = set(&base, by(3, 5), json!({"birthDate": "1963-01-01"}));
    let seen = of(&[begin(&patient()), one.clone(), two.clone()]);
    let choice = set(&seen, by(1, 30), json!({"birthDate": "1961-01-01"}));
    assert!(of(&[begin(&patient()), one.clone(), two.clone(), choice.clone()]).conflicts("Patient").expect("conflicts").is_empty());
    let late = of(&[begin(&patient()), one, two, choice, three]);
    let values: Vec<Value> = late.conflicts("Patient").expect("conflicts")[0].values.iter().map(|v| v.value["birthDate"].clone()).collect();
    assert_eq!(values, ["1961-01-01", "1963-01-01"]);
}

#[test]
fn an_allergy_is_not_hidden_by_its_removal_at_the_same_time() {
    let allergy = json!({"resourceType": "AllergyIntolerance", "code": {"text": "penicillin"}, "criticality": "low"});
    let document = at_once(&allergy, json!({"criticality": "high"}), json!({"criticality": null}));
    let got = shown(&document, "AllergyIntolerance");
    assert_eq!((&got["criticality"], is_in_conflict(&got)), (&json!("high"), true));
}

#[test]
fn a_choice_of_types_never_shows_two_types() {
    let document = at_once(&patient(), json!({"deceasedBoolean": true}), json!({"deceasedDateTime": "2026-11-22"}));
    let got = shown(&document, "Patient");
    assert_eq!((got.get("deceasedBoolean"), &got["deceasedDateTime"]), (None, &json!("2026-11-22")));
    let conflict = &document.conflicts("Patient").expect("conflicts")[0];
    assert_eq!((conflict.element.as_str(), conflict.policy), ("deceased[x]", Policy::Safety));
    let mut document = document.clone();
    let (origin, choice) = set(&document, by(3, 30), json!({"deceasedBoolean": true, "deceasedDateTime": null}));
    document.take(&origin, &choice).expect("take");
    assert_eq!(shown(&document, "Patient")["deceasedBoolean"], true);
    assert!(document.conflicts("Patient").expect("conflicts").is_empty());
}

#[test]
fn a_status_goes_forward_only_and_an_error_stays_one() {
    let order = json!({"resourceType": "ServiceRequest", "status": "active"});
    for (early, late, wins) in
        [("completed", "on-hold", "completed"), ("entered-in-error", "completed", "entered-in-error"), ("on-hold", "active", "active")]
    {
        let document = at_once(&order, json!({"status": early}), json!({"status": late}));
        assert_eq!(shown(&document, "ServiceRequest")["status"], wins);
        assert!(document.conflicts("ServiceRequest").expect("conflicts").iter().all(|c| !c.is_open()));
    }
    let back = |old: &str, new: &str| POLICIES.goes_back("DetectedIssue", "status", &old.into(), &new.into());
    assert!(
        back("final", "preliminary") && back("entered-in-error", "final") && !back("preliminary", "final") && !back("final", "unknown")
    );
}

#[test]
fn narratives_written_at_once_are_both_read_in_the_order_of_writing() {
    let div =
        |text: &str| json!({"text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>")}});
    let document = at_once(&patient(), div("first"), div("second"));
    let got = shown(&document, "Patient");
    let text = got["text"]["div"].as_str().expect("div");
    assert!(text.find("first").expect("first") < text.find("second").expect("second"));
    assert_eq!((&got["text"]["status"], is_in_conflict(&got)), (&json!("additional"), false));
}

#[test]
fn an_item_of_a_list_in_conflict_is_chosen_without_touching_the_others() {
    let mut document = at_once(
        &patient(),
        json!({"identifier": [{"system": "urn:mrn", "value": "17", "use": "usual"}]}),
        json!({"identifier": [{"system": "urn:mrn", "value": "17", "use": "old"}]}),
    );
    let conflict = document.conflicts("Patient").expect("conflicts").remove(0);
    assert!(conflict.element.starts_with("identifier[") && conflict.is_open());
    // Writing the rest of the list settles nothing.
    let list = json!([{"system": "urn:mrn", "value": "17", "use": "old"}, {"system": "urn:x", "value": "1"}]);
    let (origin, more) = set(&document, by(3, 30), json!({"identifier": list}));
    document.take(&origin, &more).expect("take");
    assert_eq!(document.conflicts("Patient").expect("conflicts").len(), 1);
    let (origin, choice) = set(&document, by(3, 40), json!({conflict.element.as_str(): conflict.values[1].value["identifier"]}));
    document.take(&origin, &choice).expect("take");
    assert!(document.conflicts("Patient").expect("conflicts").is_empty());
    assert_eq!(shown(&document, "Patient")["identifier"].as_array().expect("list").len(), 2);
    assert_eq!(shown(&document, "Patient")["identifier"][0]["use"], "usual");
}

#[test]
fn history_tells_every_version_with_its_author_and_ends_with_what_is_shown() {
    let mut parts = vec![begin(&json!({"resourceType": "DetectedIssue", "status": "preliminary"}))];
    parts.push(set(&of(&parts), by(1, 10), json!({"severity": "high"})));
    parts.push(set(&of(&parts), by(2, 20), json!({"status": "final"})));
    let ack = Acknowledgement { alert: "d1".parse().expect("id"), by: "chidi".to_owned(), at: Timestamp(15) };
    parts.push((by(3, 15), DocumentEvent::Acknowledgement(ack)));
    let document = of(&parts);
    let mut history = document.history().expect("history");
    let versions = history.versions("DetectedIssue", 0..history.len());
    let authors: Vec<&str> = versions.iter().map(|v| v.by.user.as_str()).collect();
    assert_eq!(authors, ["system", "ana", "chidi", "berta"]);
    assert_eq!(versions[0].shown.version, of(&parts[..1]).show("DetectedIssue").expect("show").version);
    assert_eq!(versions[3].shown, document.show("DetectedIssue").expect("show"));
    assert_eq!((&versions[1].shown.json["severity"], versions[1].shown.json.get("mitigation")), (&json!("high"), None));
    for version in &versions {
        assert_eq!(history.version("DetectedIssue", &version.shown.version).as_ref(), Some(version));
    }
    assert_eq!(history.version("DetectedIssue", "0000000000000000"), None);
}

#[test]
fn decimals_keep_the_digits_they_were_sent_with() {
    let text = r#"{"resourceType":"Device","property":[{"type":{"text":"x"},"valueQuantity":[{"value":1.10},{"value":0.30000000000000000004},{"value":1e+3}]}]}"#;
    let resource: Value = serde_json::from_str(text).expect("json");
    let mut document = of(&[begin(&resource)]);
    let same = |document: &Document| shown(document, "Device")["property"][0]["valueQuantity"].to_string();
    assert_eq!(same(&document), r#"[{"value":1.10},{"value":0.30000000000000000004},{"value":1e+3}]"#);
    let (origin, body) = set(&document, by(1, 10), json!({"status": "active"}));
    document.take(&origin, &body).expect("take");
    assert_eq!(same(&document), r#"[{"value":1.10},{"value":0.30000000000000000004},{"value":1e+3}]"#);
    assert!(canonical_json(&resource).contains("1.10"));
}

/// What someone may write at once.
fn elements() -> impl Strategy<Value = Map<String, Value>> {
    let phone = |n: u8| json!({"system": "phone", "value": n.to_string(), "rank": n + 1});
    let one = prop_oneof![
        (0u8..4).prop_map(|n| json!({"birthDate": format!("196{n}-01-01")})),
        Just(json!({"birthDate": null})),
        prop::collection::btree_set(0u8..4, 0..4).prop_map(move |set| {
            let list: Vec<Value> = set.into_iter().map(phone).collect();
            json!({"telecom": if list.is_empty() { Value::Null } else { list.into() }})
        }),
        any::<bool>().prop_map(|flag| json!({"deceasedBoolean": flag, "deceasedDateTime": null})),
        Just(json!({"deceasedBoolean": null, "deceasedDateTime": "2026-01-01"})),
        (0u8..3).prop_map(|n| json!({"text": {"status": "generated", "div": format!("<div>{n}</div>")}})),
        prop::sample::select(vec!["active", "on-hold", "completed", "entered-in-error"]).prop_map(|status| json!({"status": status})),
        (0u8..3).prop_map(|n| json!({"dosageInstruction": [{"text": n.to_string()}]})),
    ];
    prop::collection::vec(one, 1..3).prop_map(|all| all.into_iter().flat_map(|v| v.as_object().expect("object").clone()).collect())
}

/// Three authors edit what they have seen of each other, and see more now and then.
fn story() -> impl Strategy<Value = Vec<(Origin, DocumentEvent)>> {
    prop::collection::vec((1u8..4, elements(), any::<bool>()), 1..9).prop_map(|acts| {
        let first = begin(&json!({"resourceType": "MedicationRequest", "status": "draft", "birthDate": "1960-01-01"}));
        let mut all = vec![first.clone()];
        let mut seen = vec![vec![first]; 4];
        for (at, (author, elements, catch_up)) in acts.into_iter().enumerate() {
            let own = &mut seen[usize::from(author)];
            if catch_up {
                own.clone_from(&all);
            }
            let part = edit(&of(own), by(author, 10 + at as u64), &elements);
            let DocumentEvent::Change(change) = &part.1 else { continue };
            if change.changes.is_empty() {
                continue;
            }
            own.push(part.clone());
            all.push(part);
        }
        all
    })
}

/// Every value that stands, whatever is shown.
fn values(conflicts: &[Conflict]) -> Vec<(String, Vec<String>)> {
    let each = conflicts.iter().map(|conflict| {
        let mut values: Vec<String> = conflict.values.iter().map(|v| canonical_json(&Value::Object(v.value.clone()))).collect();
        values.sort();
        (conflict.element.clone(), values)
    });
    each.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_repeats_and_batches_give_the_same_json_conflicts_and_history(
        (parts, order) in story().prop_flat_map(|parts| {
            let count = parts.len();
            (Just(parts), prop::collection::vec(0..count, 0..20))
        }),
    ) {
        let straight = of(&parts);
        let mut shuffled = Document::default();
        for index in order.iter().copied().chain((0..parts.len()).rev()) {
            shuffled.take(&parts[index].0, &parts[index].1).expect("take");
            // Kept and read back between batches.
            shuffled = postcard::from_bytes(&postcard::to_stdvec(&shuffled).expect("write")).expect("read");
        }
        let (a, b) = (straight.show("MedicationRequest").expect("show"), shuffled.show("MedicationRequest").expect("show"));
        prop_assert_eq!(&a, &b);
        let digest = |shown: &record::document::Shown| {
            let json = canonical_json(&Value::Object(shown.json.clone()));
            state_digest([("MedicationRequest", "d1", json.as_str())])
        };
        prop_assert_eq!(digest(&a), digest(&b));
        let told = |document: &Document| {
            let mut history = document.history().expect("history");
            let count = history.len();
            history.versions("MedicationRequest", 0..count)
        };
        let versions = told(&straight);
        prop_assert_eq!(versions.len(), parts.len());
        prop_assert_eq!(versions.last().map(|v| &v.shown), Some(&a));
        prop_assert_eq!(&versions, &told(&shuffled));
    }

    #[test]
    fn another_table_of_policies_shows_other_values_of_the_same_set(parts in story()) {
        static OTHER: Table = Table { version: 2, rows: &[("*", "birthDate", Policy::Safety), ("*", "status", Policy::Latest), ("*", "*", Policy::Settled)] };
        let document = of(&parts);
        let (a, b) = (document.show("MedicationRequest").expect("show"), document.show_by("MedicationRequest", &OTHER).expect("show"));
        prop_assert_eq!(values(&a.conflicts), values(&b.conflicts));
        prop_assert_eq!(a.version, b.version);
    }

    #[test]
    fn what_is_shown_never_has_two_types_of_a_choice(parts in story()) {
        let json = of(&parts).show("MedicationRequest").expect("show").json;
        prop_assert!(json.keys().filter(|key| key.starts_with("deceased")).count() < 2);
        prop_assert!(!json.values().any(Value::is_null));
    }
}
