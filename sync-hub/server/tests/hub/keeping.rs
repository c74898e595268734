use crate::agent::Agent;
use crate::program::Place;
use serde_json::{Value, json};

/// A hub with an operator, a nurse, and two sites.
async fn two(place: &Place) -> (crate::program::Hub, String, String, Agent, Agent) {
    let hub = place.start_with_operator();
    place.done(&["user", "add", "baraka", "--role", "nurse", "--pin-stdin"], "7301");
    let (_, session) = hub.sign_in("baraka", "7301").await;
    let nurse = session["token"].as_str().unwrap().to_owned();
    let operator = hub.token().await;
    let one = Agent::enrol(place, &hub, "hillside", 1).await;
    let two = Agent::enrol(place, &hub, "riverside", 2).await;
    (hub, operator, nurse, one, two)
}

#[tokio::test]
async fn a_patient_is_handed_over_and_who_holds_the_record_is_told() {
    let place = Place::new();
    let (hub, operator, nurse, mut one, mut two) = two(&place).await;
    one.patient("p1");
    one.sync().await;
    two.sync().await;
    let order = json!({"to": "riverside", "reason": "moves"});
    let (status, problem) = hub.post("/api/v1/patients/p1/transfer", Some(&nurse), &order).await;
    assert_eq!((status, problem["type"].as_str()), (403, Some("urn:lamplight:problem:role")), "{problem}");
    for (path, order, wanted) in [
        ("/api/v1/patients/p9/transfer", order.clone(), 404),
        ("/api/v1/patients/p1/transfer", json!({"to": "lakeside", "reason": "moves"}), 404),
        ("/api/v1/patients/p1/transfer", json!({"to": "riverside", "reason": ""}), 400),
    ] {
        let (status, problem) = hub.post(path, Some(&operator), &order).await;
        assert_eq!(status, wanted, "{problem}");
    }
    let (status, view) = hub.post("/api/v1/patients/p1/transfer", Some(&operator), &order).await;
    assert_eq!((status, &view["arrived"], &view["outstanding"]), (200, &json!(false), &json!(["hillside"])), "{view}");
    two.sync().await;
    two.sync().await;
    assert_eq!(two.shown("Patient", "p1")["name"][0]["family"], "Okello");
    let (_, list) = hub.get("/api/v1/transfers", &operator).await;
    assert_eq!((&list[0]["patient"], &list[0]["to"], &list[0]["arrived"]), (&json!("p1"), &json!("riverside"), &json!(true)), "{list}");

    // Both keep another.
    one.patient("p2");
    one.sync().await;
    let (_, view) =
        hub.post("/api/v1/patients/p2/transfer", Some(&operator), &json!({"to": "riverside", "keep": true, "reason": "visits"})).await;
    assert_eq!(view["outstanding"], json!([]), "{view}");
}

#[tokio::test]
async fn an_erasure_is_confirmed_listed_and_leaves_no_alert_behind() {
    let place = Place::new();
    let (hub, operator, nurse, mut one, _two) = two(&place).await;
    one.patient("p1");
    one.alert("p1", "a1");
    one.sync().await;
    let alerts = async || hub.row(&operator, "hillside").await["alerts"].clone();
    assert_eq!(alerts().await, json!([1, 0, 0]));
    let erase = |confirm: &str| json!({"confirm": confirm, "reason": "asked for"});
    assert_eq!(hub.post("/api/v1/patients/p1/erase", Some(&nurse), &erase("p1")).await.0, 403);
    assert_eq!(hub.post("/api/v1/patients/p1/erase", Some(&operator), &erase("p2")).await.0, 400);
    let (status, view) = hub.post("/api/v1/patients/p1/erase", Some(&operator), &erase("p1")).await;
    assert_eq!((status, &view["complete"], &view["outstanding"]), (200, &json!(false), &json!(["hillside"])), "{view}");
    assert_eq!(alerts().await, json!([0, 0, 0]));
    assert_eq!(hub.get("/fhir/R4/Patient/p1", &nurse).await.0, 404);
    let (_, list) = hub.get("/api/v1/erasures", &operator).await;
    assert_eq!(list, json!([view]));
    assert_eq!(hub.post("/api/v1/patients/p1/erase", Some(&operator), &erase("p1")).await.0, 404, "it is known no more");
}

#[tokio::test]
async fn an_incident_is_closed_with_a_reason_and_kept() {
    let place = Place::new();
    let (hub, operator, nurse, mut one, _two) = two(&place).await;
    one.patient("p1");
    one.sync().await;
    place.done(&["site", "revoke", "hillside", "--reason", "stolen"], "");
    one.patient("p2");
    let stretches = one.stretches();
    assert_eq!(one.send(&one.pushing(stretches)).await.0, 403);
    let (_, list) = hub.get("/api/v1/incidents", &operator).await;
    let id = list[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(list[0]["closed"], Value::Null);
    let path = format!("/api/v1/incidents/{id}/close");
    assert_eq!(hub.post(&path, Some(&nurse), &json!({"reason": "x"})).await.0, 403);
    assert_eq!(hub.post(&path, Some(&operator), &json!({"reason": ""})).await.0, 400);
    assert_eq!(hub.post("/api/v1/incidents/0000000000000000/close", Some(&operator), &json!({"reason": "x"})).await.0, 404);
    let (status, closed) = hub.post(&path, Some(&operator), &json!({"reason": "the box was found"})).await;
    assert_eq!((status, &closed["closed"]["reason"]), (200, &json!("the box was found")), "{closed}");
    assert_eq!(hub.get("/api/v1/incidents", &operator).await.1, json!([closed]), "it is kept");
    assert_eq!(hub.row(&operator, "hillside").await["incidents"], 0);
}

#[tokio::test]
async fn dead_letters_and_the_quarantine_are_shown_to_those_who_run_the_fleet() {
    let place = Place::new();
    let (hub, operator, nurse, mut one, _two) = two(&place).await;
    one.patient("p1");
    one.sync().await;
    for path in ["/api/v1/dead-letters", "/api/v1/quarantine", "/api/v1/erasures", "/api/v1/transfers", "/api/v1/sites/hillside/state"] {
        assert_eq!(hub.get(path, &nurse).await.0, 403, "{path}");
        assert_eq!(hub.get(path, &operator).await.0, 200, "{path}");
    }
    assert_eq!(hub.get("/api/v1/dead-letters", &operator).await.1, json!([]));
    assert_eq!(hub.post("/api/v1/dead-letters/retry", Some(&nurse), &Value::Null).await.0, 403);
    let (status, retried) = hub.post("/api/v1/dead-letters/retry", Some(&operator), &Value::Null).await;
    assert_eq!((status, retried), (200, json!({"well": 0, "left": 0})));
    let accept = json!({"reason": "looked at"});
    let (status, problem) = hub.post("/api/v1/sites/hillside/quarantine/accept", Some(&operator), &accept).await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:lamplight:problem:not-revoked")), "{problem}");
}

#[tokio::test]
async fn a_site_says_what_it_shows_and_the_hub_compares_it_as_of_one_set() {
    let place = Place::new();
    let (hub, operator, _, mut one, _two) = two(&place).await;
    one.patient("p1");
    one.sync().await;
    let said = |set: String, state: Option<String>| json!({"set": set, "state": state});
    let tell = async |one: &Agent, body: Value| {
        let post = one.client().post(format!("https://{}/sync/v1/state", one.hub())).json(&body);
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (set, state) = one.state();
    let (status, view) = tell(&one, said("00".to_owned(), Some(state.clone()))).await;
    assert_eq!((status, &view["comparison"]), (200, &json!("other-set")), "{view}");
    let (_, view) = tell(&one, said(set.clone(), Some(state.clone()))).await;
    assert_eq!((&view["comparison"], &view["documents"]), (&json!("equal"), &json!(1)), "{view}");
    assert_eq!(hub.get("/api/v1/sites/hillside/state", &operator).await.1, view);
    let (_, view) = tell(&one, said(set.clone(), Some("999:00".to_owned()))).await;
    assert_eq!(view["comparison"], "other-policy");
    let policy = state.split(':').next().unwrap().to_owned();
    let (_, view) = tell(&one, said(set, Some(format!("{policy}:00")))).await;
    assert_eq!(view["comparison"], "differs");
    assert_eq!(hub.get("/api/v1/incidents", &operator).await.1[0]["kind"], "state-differs");
}
