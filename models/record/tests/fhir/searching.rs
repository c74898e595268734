use crate::ward::{Ward, entries, follow, frame, numeric, request, with_patient};
use record::code::Code;
use record::fhir::Method;
use record::unit::Unit;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn charted() -> Ward {
    let mut ward = Ward::default();
    for minute in 0..10u64 {
        let numerics = vec![
            numeric(Code::SPO2, "97", Unit::Percent),
            numeric(Code::PULSE_RATE, "71", Unit::PerMinute),
            numeric(Code::NIBP_SYSTOLIC, "120", Unit::MmHg),
            numeric(Code::NIBP_DIASTOLIC, "80", Unit::MmHg),
        ];
        ward.chart("p1", &frame(&format!("2026-11-22T10:{minute:02}:00Z"), minute * 10, numerics));
    }
    ward.chart("p2", &frame("2026-11-22T10:00:00Z", 900, vec![numeric(Code::SPO2, "91", Unit::Percent)]));
    ward
}

fn found(ward: &mut Ward, query: &str) -> Vec<Value> {
    let reply = ward.get(query);
    assert_eq!(reply.status, 200, "{query}: {:?}", reply.body);
    entries(&reply.body.expect("body")).into_iter().cloned().collect()
}

#[test]
fn vitals_are_found_by_patient_code_date_category_and_device() {
    let mut ward = charted();
    for (query, count) in [
        ("patient=p1", 30),
        ("subject=Patient/p1&code=http://loinc.org|59408-5", 10),
        ("patient=p1&code=2708-6,8867-4", 20),
        ("patient=p1&code=85354-9", 10),
        ("patient=p1&code=8480-6", 10),
        ("patient=p1&code=9279-1", 0),
        ("patient=p1&date=ge2026-11-22T10:05:00Z&date=lt2026-11-22T10:07:00Z", 6),
        ("patient=p1&date=2026-11-22", 30),
        ("patient=p1&date=2026-11-22T10:05", 3),
        ("patient=p1&date=gt2026-11-22", 0),
        ("patient=p1&category=vital-signs", 30),
        ("patient=p1&category=laboratory", 0),
        ("patient=p1&device=monitor-1", 30),
        ("patient=p1&device=Device/other", 0),
        ("patient=p2", 1),
        ("patient=nobody", 0),
    ] {
        assert_eq!(found(&mut ward, &format!("Observation?{query}")).len(), count, "{query}");
    }
}

#[test]
fn pages_of_vitals_follow_each_other_without_gap_or_repeat_newest_first() {
    let mut ward = charted();
    for (sort, first) in [("", "2026-11-22T10:09:00.000Z"), ("&_sort=date", "2026-11-22T10:00:00.000Z")] {
        let mut next = Some(format!("Observation?patient=p1&_count=7{sort}"));
        let mut seen = Vec::new();
        let mut times = Vec::new();
        while let Some(query) = next {
            let bundle = ward.get(&query).body.expect("body");
            assert!(entries(&bundle).len() <= 7);
            seen.extend(entries(&bundle).into_iter().map(|o| o["id"].as_str().expect("id").to_owned()));
            times.extend(entries(&bundle).into_iter().map(|o| o["effectiveDateTime"].as_str().expect("time").to_owned()));
            next = follow(&bundle, "next");
        }
        assert_eq!(seen.len(), 30);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 30);
        assert_eq!(times[0], first);
        assert!(times.is_sorted() || times.iter().rev().is_sorted());
    }
}

#[test]
fn vitals_without_a_patient_are_refused_saying_what_to_add_but_found_by_id() {
    let mut ward = charted();
    let reply = ward.get("Observation?code=59408-5");
    assert_eq!(reply.status, 400);
    assert_eq!(reply.body.expect("body")["issue"][0]["expression"][0], "http.patient");
    let id = found(&mut ward, "Observation?patient=p2")[0]["id"].as_str().expect("id").to_owned();
    assert_eq!(found(&mut ward, &format!("Observation?_id={id}")).len(), 1);
    assert_eq!(found(&mut ward, &format!("Observation?_id={id}&patient=p1")).len(), 0);
}

#[test]
fn a_count_is_a_total_without_entries() {
    let mut ward = charted();
    for query in ["_summary=count", "_count=0"] {
        let bundle = ward.get(&format!("Observation?patient=p1&{query}")).body.expect("body");
        assert_eq!(bundle["total"], 30);
        assert!(bundle.get("entry").is_none() && follow(&bundle, "next").is_none());
    }
}

#[test]
fn documents_page_in_id_order_and_in_any_order_asked_for() {
    let mut ward = Ward::default();
    for index in 0..25 {
        let name = json!([{"family": format!("Name{:02}", (index * 7) % 25)}]);
        ward.post("Patient", json!({"resourceType": "Patient", "name": name, "gender": if index % 2 == 0 { "male" } else { "female" }}));
    }
    for sort in ["", "&_sort=family", "&_sort=-family", "&_sort=_lastUpdated"] {
        let mut next = Some(format!("Patient?gender=male&_count=5{sort}"));
        let mut names = Vec::new();
        while let Some(query) = next {
            let bundle = ward.get(&query).body.expect("body");
            names.extend(entries(&bundle).into_iter().map(|p| p["name"][0]["family"].as_str().expect("name").to_owned()));
            next = follow(&bundle, "next");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 13, "{sort}");
        assert_eq!(names.len(), 13);
        match sort {
            "&_sort=family" => assert!(names.is_sorted()),
            "&_sort=-family" => assert!(names.iter().rev().is_sorted()),
            _ => {}
        }
    }
    let bundle = ward.get("Patient?gender=male&_summary=count").body.expect("body");
    assert_eq!(bundle["total"], 13);
}

#[test]
fn a_search_may_be_posted_so_that_names_stay_out_of_addresses() {
    let (mut ward, _) = with_patient();
    let mut posted = request(Method::Post, "Patient/_search?name=lima", None);
    posted.prefer = Some("handling=strict".to_owned());
    let bundle = ward.answer(&posted).body.expect("body");
    assert_eq!(bundle["total"], 1);
}

#[test]
fn unknown_parameters_and_bad_values_are_named() {
    let (mut ward, patient) = with_patient();
    let bundle = ward.get("Patient?shoe-size=42&family=lima").body.expect("body");
    assert_eq!(follow(&bundle, "self").as_deref(), Some("Patient?family=lima"));
    let mut strict = request(Method::Get, "Patient?shoe-size=42", None);
    strict.prefer = Some("return=minimal; handling=strict".to_owned());
    assert_eq!(ward.answer(&strict).status, 400);
    for (query, place) in [
        ("Patient?birthdate=1980-13", "http.birthdate"),
        ("Patient?name:phonetic=a", "http.name:phonetic"),
        ("Patient?_count=many", "http._count"),
        ("Patient?_sort=shoe", "http._sort"),
        ("Patient?_cursor=zz", "http._cursor"),
        ("Encounter?patient=a b", "http.patient"),
    ] {
        let reply = ward.get(query);
        assert_eq!(reply.status, 400, "{query}");
        assert_eq!(reply.body.expect("body")["issue"][0]["expression"][0], place);
    }
    assert_eq!(ward.get(&format!("Observation?patient={patient},p2")).status, 400);
}
