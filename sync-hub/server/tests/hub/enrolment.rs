use crate::agent::{Agent, asked};
use crate::program::Place;
use hub_api::code::Code;
use hub_api::enrol::ENROL;
use serde_json::{Value, json};

fn body(code: &str, seed: u8) -> Value {
    serde_json::to_value(asked(code, seed, &rcgen::KeyPair::generate().unwrap())).unwrap()
}

#[tokio::test]
async fn a_code_enrols_one_box_once_and_names_what_is_wrong_otherwise() {
    let place = Place::new();
    let hub = place.start();
    let code = place.done(&["site", "add", "hillside"], "");
    let typed = code.to_lowercase().replace('-', " ");

    let mut wrong: Code = code.parse().unwrap();
    wrong.secret[0] ^= 1;
    let (status, problem) = hub.post(ENROL, None, &body(&wrong.to_string(), 1)).await;
    assert_eq!((status, problem["type"].as_str()), (403, Some("urn:lamplight:problem:code-unknown")), "{problem}");
    let (status, problem) = hub.post(ENROL, None, &body("hello", 1)).await;
    assert_eq!((status, problem["field"].as_str()), (400, Some("code")), "{problem}");
    let mut stolen = body(&code, 1);
    stolen["replica"] = body(&code, 2)["replica"].clone();
    let (status, problem) = hub.post(ENROL, None, &stolen).await;
    assert_eq!((status, problem["type"].as_str()), (403, Some("urn:lamplight:problem:proof")), "{problem}");

    let (status, enrolled) = hub.post(ENROL, None, &body(&typed, 1)).await;
    assert_eq!(status, 200, "{enrolled}");
    assert_eq!(enrolled["site"], "hillside");
    assert_eq!(enrolled["mqtt"], hub.mqtt.to_string());
    let (status, problem) = hub.post(ENROL, None, &body(&code, 1)).await;
    assert_eq!((status, problem["type"].as_str()), (403, Some("urn:lamplight:problem:code-used")), "{problem}");
}

#[tokio::test]
async fn a_name_stays_with_its_box() {
    let place = Place::new();
    let hub = place.start();
    Agent::enrol(&place, &hub, "hillside", 1).await;
    // The same box may come again: its certificate is renewed.
    Agent::enrol(&place, &hub, "hillside", 1).await;
    let code = place.done(&["site", "add", "hillside"], "");
    let (status, problem) = hub.post(ENROL, None, &body(&code, 2)).await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:lamplight:problem:site-taken")), "{problem}");
    let other = place.done(&["site", "add", "riverside"], "");
    let (status, problem) = hub.post(ENROL, None, &body(&other, 1)).await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:lamplight:problem:replica-elsewhere")), "{problem}");
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let place = Place::new();
    let hub = place.start();
    let guess = body(&Code { secret: [9; 5], pin: [9; 5] }.to_string(), 1);
    let mut last = (0, json!(null));
    for _ in 0..11 {
        last = hub.post(ENROL, None, &guess).await;
    }
    assert_eq!(last.0, 429, "{}", last.1);
    assert!(last.1["retry_after_s"].as_u64().unwrap() >= 1);
}

#[tokio::test]
async fn a_site_name_that_will_not_do_is_refused_with_the_rule() {
    let place = Place::new();
    assert!(place.refused(&["site", "add", "Hill/side"], "").contains("a-z"));
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let (status, problem) = hub.post("/api/v1/sites", Some(&token), &json!({"site": "#"})).await;
    assert_eq!((status, problem["field"].as_str()), (400, Some("site")), "{problem}");
    let (status, code) = hub.post("/api/v1/sites", Some(&token), &json!({"site": "hillside"})).await;
    assert_eq!(status, 201, "{code}");
    assert!(code["code"].as_str().unwrap().parse::<Code>().is_ok());
    assert_eq!(hub.row(&token, "hillside").await["state"], "never-seen");
}
