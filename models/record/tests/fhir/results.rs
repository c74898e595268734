//! Reports of laboratories and their results, which are documents, beside vitals, which are not.

use crate::ward::{Ward, frame, numeric};
use record::code::Code;
use record::unit::Unit;
use serde_json::{Value, json};

fn ward() -> Ward {
    let mut ward = Ward::default();
    for minute in 0..10 {
        let pulse = numeric(Code::PULSE_RATE, "70", Unit::PerMinute);
        ward.chart("p1", &frame(&format!("2026-11-22T10:{minute:02}:00Z"), minute, vec![pulse]));
    }
    for (n, (at, subject)) in [("10:03:30", Some("p1")), ("10:07:30", Some("p1")), ("10:08:30", None)].into_iter().enumerate() {
        let id = format!("lab-00{n}-1");
        let mut result = json!({
            "resourceType": "Observation", "id": id, "status": "final", "issued": "2026-11-22T11:00:00.000Z",
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "6690-2"}]},
            "effectiveDateTime": format!("2026-11-22T{at}Z"), "device": {"reference": "Device/lab-1"},
            "valueQuantity": {"value": n},
        });
        let mut report = json!({
            "resourceType": "DiagnosticReport", "id": format!("lab-00{n}"), "status": "final", "code": {"text": "CBC"},
            "result": [{"reference": format!("Observation/{id}")}],
        });
        if let Some(patient) = subject {
            result["subject"] = json!({"reference": format!("Patient/{patient}")});
            report["subject"] = result["subject"].clone();
        }
        ward.keep(&result);
        ward.keep(&report);
    }
    ward
}

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["id"].as_str().expect("id").to_owned()).collect()
}

fn found(ward: &mut Ward, path: &str) -> Vec<String> {
    let reply = ward.get(path);
    assert_eq!(reply.status, 200, "{path}: {:?}", reply.body);
    ids(&reply.body.expect("body"))
}

#[test]
fn results_stand_among_vitals_in_order_of_time_also_over_pages() {
    let mut ward = ward();
    for (sort, places) in [("", [2, 7]), ("&_sort=date", [4, 9])] {
        let all = found(&mut ward, &format!("Observation?patient=p1{sort}"));
        let labs: Vec<usize> = all.iter().enumerate().filter(|(_, id)| id.starts_with("lab")).map(|(at, _)| at).collect();
        assert_eq!((all.len(), labs), (12, places.to_vec()), "{sort}");
        for count in 1..=12 {
            let (mut paged, mut next) = (Vec::new(), Some(format!("Observation?patient=p1&_count={count}{sort}")));
            while let Some(path) = next {
                let body = ward.get(&path).body.expect("body");
                paged.extend(ids(&body));
                let links = body["link"].as_array().cloned().unwrap_or_default();
                let link = links.iter().find(|link| link["relation"] == "next").and_then(|link| link["url"].as_str());
                next = link.map(|url| url.rsplit_once("/R4/").expect("base").1.to_owned());
            }
            assert_eq!(paged, all, "{count} a page{sort}");
        }
    }
}

#[test]
fn a_category_names_vitals_or_results_and_totals_count_both() {
    let mut ward = ward();
    assert_eq!(found(&mut ward, "Observation?patient=p1&category=laboratory"), ["lab-000-1", "lab-001-1"]);
    assert_eq!(found(&mut ward, "Observation?patient=p1&category=vital-signs").len(), 10);
    assert_eq!(found(&mut ward, "Observation?patient=p1&code=6690-2").len(), 2);
    assert_eq!(found(&mut ward, "Observation?patient=p1&device=lab-1").len(), 2);
    assert_eq!(found(&mut ward, "Observation?patient=p1&date=ge2026-11-22T10:05:00Z").len(), 6);
    for (query, total) in [("", 12), ("&category=laboratory", 2), ("&category=vital-signs", 10)] {
        let bundle = ward.get(&format!("Observation?patient=p1&_summary=count{query}")).body.expect("body");
        assert_eq!(bundle["total"], total, "{query}");
    }
}

#[test]
fn what_is_filed_to_nobody_is_found_by_that() {
    let mut ward = ward();
    assert_eq!(found(&mut ward, "DiagnosticReport?subject:missing=true"), ["lab-002"]);
    assert_eq!(found(&mut ward, "DiagnosticReport?patient=p1").len(), 2);
    assert_eq!(found(&mut ward, "Observation?category=laboratory&subject:missing=true"), ["lab-002-1"]);
    assert_eq!(ward.get("Observation?patient=p1&code:missing=true").status, 400, "of vitals that cannot be asked");
}

#[test]
fn a_result_is_read_by_the_id_its_report_names() {
    let mut ward = ward();
    let report = ward.get("DiagnosticReport/lab-000").body.expect("body");
    let result = ward.get(report["result"][0]["reference"].as_str().expect("reference"));
    assert_eq!((result.status, result.body.expect("body")["valueQuantity"]["value"].as_i64()), (200, Some(0)));
    assert_eq!(ward.get("Observation/lab-999-1").status, 404);
    assert_eq!(found(&mut ward, "Observation?_id=lab-000-1"), ["lab-000-1"]);
    assert_eq!(ward.post("DiagnosticReport", report).status, 405, "reports come from analysers");
}
