use super::*;
use crate::ledger::body::Change;
use proptest::prelude::*;
use serde_json::json;

fn stamp(n: u64) -> Hlc {
    Hlc { trusted: true, wall_ms: n, counter: 0 }
}
fn author(n: u8) -> (ReplicaId, RunId) {
    (ReplicaId([n; 32]), RunId([n; 8]))
}
fn elements(value: Value) -> Map<String, Value> {
    value.as_object().expect("object").clone()
}
fn begin() -> DocumentEvent {
    DocumentEvent::Genesis(
        genesis("Patient", &"p1".parse().expect("id"), &json!({"gender": "female", "birthDate": "1960-01-01"})).expect("genesis"),
    )
}
fn document_of(body: DocumentEvent) -> Document {
    let mut document = Document::default();
    document.add(stamp(1), &body).expect("add");
    document
}
fn edit(document: &Document, by: u8, at: u64, value: Value) -> (Hlc, DocumentEvent) {
    let (replica, run) = author(by);
    let changes = document.edit(replica, run, stamp(at), &elements(value)).expect("edit");
    (stamp(at), DocumentEvent::Change(Change { resource_type: "Patient".to_owned(), id: "p1".parse().expect("id"), changes }))
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let mut document = Document::default();
    document.add(stamp(1), &begin()).expect("add");
    let (at, body) = edit(&document, 1, 2, json!({"gender": "male"}));
    document.add(at, &body).expect("add");
    let shown = document.show("Patient").expect("show");
    assert_eq!(shown.json["gender"], "male");
    assert_eq!(shown.json["birthDate"], "1960-01-01");
    assert!(shown.conflicts.is_empty());
}

#[test]
fn concurrent_edits_of_one_element_are_both_kept_and_the_later_is_shown() {
    let mut document = Document::default();
    document.add(stamp(1), &begin()).expect("add");
    let early = edit(&document, 1, 5, json!({"birthDate": "1961-01-01"}));
    let late = edit(&document, 2, 6, json!({"birthDate": "1962-01-01"}));
    document.add(late.0, &late.1).expect("add");
    document.add(early.0, &early.1).expect("add");
    let shown = document.show("Patient").expect("show");
    assert_eq!(shown.json["birthDate"], "1962-01-01");
    assert_eq!(shown.conflicts.len(), 1);
    assert_eq!(shown.conflicts[0].values.len(), 2);
}

#[test]
fn a_status_never_goes_backwards_even_if_the_older_value_was_written_later() {
    let mut document = Document::default();
    let body =
        DocumentEvent::Genesis(genesis("DetectedIssue", &"a1".parse().expect("id"), &json!({"status": "registered"})).expect("genesis"));
    document.add(stamp(1), &body).expect("add");
    let make = |by, at, status: &str| {
        let (replica, run) = author(by);
        let changes = document.edit(replica, run, stamp(at), &elements(json!({"status": status}))).expect("edit");
        (stamp(at), DocumentEvent::Change(Change { resource_type: "DetectedIssue".to_owned(), id: "a1".parse().expect("id"), changes }))
    };
    let (resolved, acknowledged) = (make(1, 2, "final"), make(2, 9, "preliminary"));
    let mut document = document.clone();
    document.add(acknowledged.0, &acknowledged.1).expect("add");
    document.add(resolved.0, &resolved.1).expect("add");
    assert_eq!(document.show("DetectedIssue").expect("show").json["status"], "final");
}

#[test]
fn acknowledging_twice_is_one_mitigation_each_and_the_first_is_named() {
    let begun = genesis("DetectedIssue", &"a1".parse().expect("id"), &json!({"status": "preliminary"}));
    let mut document = document_of(DocumentEvent::Genesis(begun.expect("genesis")));
    let ack = |by: &str, at| {
        DocumentEvent::Acknowledgement(Acknowledgement { alert: "a1".parse().expect("id"), by: by.to_owned(), at: Timestamp(at) })
    };
    for body in [ack("berta", 20), ack("ana", 10), ack("ana", 10)] {
        document.add(stamp(3), &body).expect("add");
    }
    assert_eq!(document.first_acknowledgement(), Some((Timestamp(10), "ana")));
    assert_eq!(document.show("DetectedIssue").expect("show").json["mitigation"].as_array().map(Vec::len), Some(2));
}

/// Two different changes, each of which one author states as its first of one run.
fn misfits() -> [(Hlc, DocumentEvent); 2] {
    let base = document_of(begin());
    [edit(&base, 1, 2, json!({"gender": "male"})), edit(&base, 1, 3, json!({"gender": "other"}))]
}

#[test]
fn a_change_that_cannot_be_read_is_not_taken_in() {
    let (at, body) = misfits()[0].clone();
    let DocumentEvent::Change(mut change) = body else { panic!("a change") };
    change.changes.push(b"no change".to_vec());
    let mut document = Document::default();
    assert_eq!(document.add(at, &DocumentEvent::Change(change)), Err(DocumentError::Change));
    assert_eq!(document, Document::default());
}

#[test]
fn changes_that_exclude_each_other_do_not_hide_the_document_and_all_replicas_leave_out_the_same_one() {
    let [one, other] = misfits();
    let show = |parts: [(Hlc, DocumentEvent); 3]| {
        let mut document = Document::default();
        for (at, body) in parts {
            document.add(at, &body).expect("add");
        }
        let (at, later) = edit(&document_of(begin()), 2, 9, json!({"active": true}));
        document.add(at, &later).expect("add");
        document.show("Patient").expect("show")
    };
    let shown = show([one.clone(), other.clone(), (stamp(1), begin())]);
    assert_eq!(shown, show([(stamp(1), begin()), other, one]));
    assert_eq!((&shown.json["active"], &shown.json["birthDate"]), (&json!(true), &json!("1960-01-01")));
}

#[test]
fn a_resource_past_the_limit_is_refused_with_advice() {
    let big = json!({"text": "x".repeat(DOCUMENT_LIMIT)});
    let error = genesis("Patient", &"p1".parse().expect("id"), &big).expect_err("too large");
    assert!(error.to_string().contains("Binary"));
}

proptest! {
    #[test]
    fn a_damaged_change_is_refused_or_leaves_the_document_to_be_shown(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let [(at, body), (_, other)] = misfits();
        let DocumentEvent::Change(mut change) = body else { panic!("a change") };
        for (index, byte) in damage {
            let bytes = &mut change.changes[0];
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let mut document = document_of(begin());
        let _ = document.add(at, &DocumentEvent::Change(change));
        document.add(at, &other).expect("add");
        document.show("Patient").expect("show");
        document.edit(author(2).0, author(2).1, stamp(9), &elements(json!({"active": true}))).expect("edit");
    }

    #[test]
    fn any_order_and_any_repeats_of_parts_show_the_same(order in proptest::collection::vec(0usize..5, 5..20)) {
        let mut base = Document::default();
        base.add(stamp(1), &begin()).expect("add");
        let one = edit(&base, 1, 2, json!({"gender": "male"}));
        let mut seen = base.clone();
        seen.add(one.0, &one.1).expect("add");
        let parts = [
            (stamp(1), begin()),
            one,
            edit(&seen, 1, 3, json!({"birthDate": "1970-01-01", "active": true})),
            edit(&base, 2, 4, json!({"gender": "other"})),
            edit(&base, 3, 4, json!({"gender": null})),
        ];
        let mut all = Document::default();
        for (at, body) in &parts { all.add(*at, body).expect("add"); }
        let mut shuffled = Document::default();
        for index in order.iter().copied().chain(0..5) { shuffled.add(parts[index].0, &parts[index].1).expect("add"); }
        prop_assert_eq!(all.show("Patient").expect("show"), shuffled.show("Patient").expect("show"));
    }
}
