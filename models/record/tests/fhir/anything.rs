//! Whatever is sent, an answer comes: no panic, no unbounded page, every refusal a valid OperationOutcome.

use crate::ward::{Ward, frame, numeric, with_patient};
use proptest::prelude::*;
use record::code::Code;
use record::fhir::{Method, PatientView, Request, Step, validate};
use record::time::Timestamp;
use record::unit::Unit;
use serde_json::{Map, Value, json};

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "resourceType",
            "id",
            "meta",
            "text",
            "contained",
            "extension",
            "url",
            "valueString",
            "name",
            "given",
            "_given",
            "family",
            "gender",
            "birthDate",
            "_birthDate",
            "deceasedBoolean",
            "deceasedDateTime",
            "contact",
            "subject",
            "patient",
            "reference",
            "status",
            "class",
            "period",
            "start",
            "end",
            "coding",
            "system",
            "code",
            "identifier",
            "mitigation",
            "div",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["Patient", "Encounter", "Device", "DetectedIssue", "Patient/p1", "2026-02-29", "<div/>", "9999"])
            .prop_map(Value::from),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "Patient",
            "Encounter",
            "Device",
            "DetectedIssue",
            "Observation",
            "metadata",
            "_search",
            "p1",
            "",
            "_history",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

fn pair() -> impl Strategy<Value = (String, String)> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "_id",
            "_count",
            "_sort",
            "_cursor",
            "_summary",
            "_lastUpdated",
            "patient",
            "name",
            "name:exact",
            "birthdate",
            "date",
            "code",
            "device",
            "identifier",
            "gender:not",
            "status:missing",
            "category",
            "shoe",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ];
    let value = prop_oneof![
        prop::sample::select(vec!["p1", "-date", "ge9999", "ap0001", "lt2026-01-01T00:00:00+14:00", "5", "count", "true", "a|b,\\", "ff"])
            .prop_map(str::to_owned),
        ".{0,10}",
    ];
    (key, value)
}

fn ward() -> Ward {
    let (mut ward, _) = with_patient();
    ward.chart("p1", &frame("2026-11-22T10:00:00Z", 1, vec![numeric(Code::SPO2, "97", Unit::Percent)]));
    ward
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_request_is_answered(
        method in prop::sample::select(vec![Method::Get, Method::Post, Method::Put, Method::Delete]),
        path in prop::collection::vec(words(), 0..4),
        query in prop::collection::vec(pair(), 0..5),
        if_none_exist in prop::option::of(prop::collection::vec(pair(), 0..3)),
        prefer in prop::option::of("(handling=strict)?.{0,4}"),
        if_match in prop::option::of(".{0,6}"),
        body in prop::option::of(json_value()),
    ) {
        let request = Request { method, path, query, if_match, if_none_exist, prefer, body };
        if let Step::Reply(reply) = ward().ask(&request).step {
            let body = reply.body.expect("a body");
            if reply.status >= 400 {
                prop_assert_eq!(&body["resourceType"], "OperationOutcome");
                prop_assert!(body["issue"].as_array().is_some_and(|issues| !issues.is_empty() && issues.len() <= 51));
            }
        }
    }

    #[test]
    fn any_json_can_be_validated_and_viewed(value in json_value(), kind in words(), at in any::<i64>()) {
        let mut value = value;
        if let Some(object) = value.as_object_mut() {
            object.insert("resourceType".to_owned(), kind.into());
        }
        let _ = validate(&value);
        let view = PatientView(&value);
        let _ = (view.display_name(), view.age_at(Timestamp(at)), view.gender(), view.identifier(), view.is_test());
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let mut extension = json!({"url": "urn:x", "valueString": "x"});
    for _ in 0..100 {
        extension = json!({"url": "urn:x", "extension": [extension]});
    }
    let issues = validate(&json!({"resourceType": "Patient", "extension": [extension]}));
    assert_eq!(issues[0].code, "too-long");
}
