use crate::agent::{Agent, SESSION, tls};
use crate::program::Place;
use protocol::wire::{self, CONTENT_TYPE, Message};
use record::ledger::ChainId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn what_a_site_writes_is_proven_equal_and_read_as_fhir() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    let summary = agent.sync().await;
    assert!(summary.equal, "{summary:?}");
    assert!(summary.sent > 0 && summary.refused.is_empty());

    let row = hub.row(&token, "hillside").await;
    assert_eq!((row["state"].as_str(), row["digest"].as_str()), (Some("ok"), Some("equal")), "{row}");
    assert_eq!(row["entries"], agent.replica.written());
    assert_eq!(row["digest_hex"], agent.replica.digest(agent.replica.id()).all.to_string());
    assert_eq!((row["queue"].as_u64(), row["version"].as_str()), (Some(0), Some("test/1")), "{row}");

    let (status, patient) = hub.get("/fhir/R4/Patient/p1", &token).await;
    assert_eq!((status, &patient["name"][0]["family"]), (200, &json!("Okello")), "{patient}");
    let metrics = hub.text("/metrics", &token).await;
    assert!(metrics.contains("build_info{version="), "{metrics}");
    assert!(!metrics.contains("Okello") && !metrics.contains("p1"));
}

#[tokio::test]
async fn without_the_certificate_of_enrolment_there_is_no_session() {
    let place = Place::new();
    let hub = place.start();
    let agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    let url = format!("https://{}{SESSION}", hub.http);
    let none = reqwest::Client::builder().tls_backend_preconfigured(tls(&agent.enrolled.authority_pem, None)).build().unwrap();
    let answer = none.post(&url).header("content-type", CONTENT_TYPE).body(vec![1]).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.text().await.unwrap().contains("no-certificate"));

    let key = rcgen::KeyPair::generate().unwrap();
    let foreign = rcgen::CertificateParams::new(vec!["hillside".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let config = tls(&agent.enrolled.authority_pem, Some((&foreign, &key)));
    let foreign = reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap();
    let answer = foreign.post(&url).header("content-type", CONTENT_TYPE).body(vec![1]).send().await;
    assert!(answer.is_err(), "a foreign certificate got an answer");

    let (status, problem) = hub.post(SESSION, None, &json!({})).await;
    assert_eq!(status, 401, "{problem}");
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_by_name() {
    let place = Place::new();
    let hub = place.start();
    let agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    let url = format!("https://{}{SESSION}", hub.http);
    for (body, status, kind) in [
        (vec![], 400, "unreadable"),
        (vec![wire::VERSION + 1, 0], 400, "sync-version"),
        (vec![wire::VERSION, 200, 200], 400, "unreadable"),
        (vec![0; wire::MESSAGE_LIMIT + 1], 413, ""),
    ] {
        let answer = agent.client().post(&url).header("content-type", CONTENT_TYPE).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{kind}");
        assert!(answer.text().await.unwrap().contains(kind), "{kind}");
    }
    let answer = agent.client().post(&url).header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 415);
}

#[tokio::test]
async fn entries_sent_again_change_nothing() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    agent.sync().await;
    let before = hub.row(&token, "hillside").await;
    let all = agent.stretches();
    let reply = agent.ask(&agent.pushing(all)).await;
    assert_eq!(reply.refused, vec![]);
    let after = hub.row(&token, "hillside").await;
    assert_eq!((&before["digest_hex"], &before["entries"]), (&after["digest_hex"], &after["entries"]));
}

#[tokio::test]
async fn a_broken_chain_stops_alone_and_is_an_incident() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    let mut all = agent.stretches();
    let chains: BTreeSet<ChainId> = all.iter().filter_map(|stretch| stretch.chain()).collect();
    assert!(chains.len() >= 2, "a site's and a patient's");
    let broken = all[0].chain().unwrap();
    all[0].signature[0] ^= 1;
    let refused = agent.ask(&agent.pushing(all)).await.refused;
    assert_eq!(refused.len(), 1, "the other chains go on: {refused:?}");
    assert_eq!(refused[0].chain, broken);
    assert!(refused[0].reason.contains("signature"), "{refused:?}");

    let (_, incidents) = hub.get("/api/v1/incidents", &token).await;
    let incident = &incidents[0];
    assert_eq!((incident["site"].as_str(), incident["kind"].as_str()), (Some("hillside"), Some("broken-chain")), "{incidents}");
    assert_eq!(hub.row(&token, "hillside").await["incidents"], 1);
    assert!(agent.sync().await.equal, "the same entries in order are taken after all");
}

#[tokio::test]
async fn a_site_can_write_neither_as_another_nor_into_anothers_scope() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut hillside = Agent::enrol(&place, &hub, "hillside", 1).await;
    let mut riverside = Agent::enrol(&place, &hub, "riverside", 2).await;
    hillside.patient("p1");
    riverside.patient("p2");
    riverside.sync().await;
    // What riverside wrote may be brought by anyone and changes nothing; what is not by riverside is not taken for it.
    let theirs = riverside.stretches();
    assert_eq!(hillside.ask(&hillside.pushing(theirs.clone())).await.refused, vec![]);
    let forged = theirs.into_iter().map(|mut stretch| {
        stretch.signature[0] ^= 1;
        stretch
    });
    let refused = hillside.ask(&hillside.pushing(forged.collect())).await.refused;
    assert!(!refused.is_empty() && refused.iter().all(|r| r.reason.contains("signature")), "{refused:?}");
    assert!(hillside.sync().await.equal);
    assert_eq!(hub.row(&token, "riverside").await["entries"], riverside.replica.written());
}

#[tokio::test]
async fn a_revoked_site_is_told_since_when_and_why_and_its_writes_are_an_incident() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    agent.sync().await;
    let ask = |confirm: &str| json!({"confirm": confirm, "reason": "box was stolen"});
    let (status, problem) = hub.post("/api/v1/sites/hillside/revoke", Some(&token), &ask("hill")).await;
    assert_eq!((status, problem["field"].as_str()), (400, Some("confirm")), "{problem}");
    let (status, row) = hub.post("/api/v1/sites/hillside/revoke", Some(&token), &ask("hillside")).await;
    assert_eq!((status, row["state"].as_str()), (200, Some("revoked")), "{row}");

    agent.patient("p2");
    let held = hub.row(&token, "hillside").await["entries"].clone();
    let all = agent.stretches();
    let (status, body) = agent.send(&agent.pushing(all)).await;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 403);
    assert_eq!(problem["type"], "urn:lamplight:problem:revoked");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("box was stolen") && detail.contains("20"), "{detail}");
    let (_, incidents) = hub.get("/api/v1/incidents", &token).await;
    assert_eq!(incidents[0]["kind"], "revoked-writes", "{incidents}");
    assert_eq!(hub.row(&token, "hillside").await["entries"], held);
    assert!(place.refused(&["site", "add", "hillside"], "").contains("box was stolen"));
}

#[tokio::test]
async fn a_revocation_by_the_command_line_reaches_the_running_hub_at_once() {
    let place = Place::new();
    let hub = place.start();
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.sync().await;
    assert!(place.refused(&["site", "revoke", "nowhere", "--reason", "x"], "").contains("nowhere"));
    place.done(&["site", "revoke", "hillside", "--reason", "closed"], "");
    let (status, _) = agent.send(&Message::default()).await;
    assert_eq!(status, 403);
    assert!(place.done(&["site", "list"], "").contains("closed"));
}

#[tokio::test]
async fn an_alert_acknowledged_at_the_hub_is_acknowledged_at_the_bedside() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    agent.alert("p1", "a1");
    agent.sync().await;
    assert_eq!(hub.row(&token, "hillside").await["alerts"], json!([1, 0, 0]));

    let (status, answer) = hub.post("/api/v1/alerts/a1/acknowledge", Some(&token), &json!({})).await;
    assert_eq!((status, answer["acknowledged_by"].as_str()), (200, Some("amina")), "{answer}");
    let (status, again) = hub.post("/api/v1/alerts/a1/acknowledge", Some(&token), &json!({})).await;
    assert_eq!((status, again), (200, answer));
    let (status, problem) = hub.post("/api/v1/alerts/a2/acknowledge", Some(&token), &json!({})).await;
    assert_eq!((status, problem["type"].as_str()), (404, Some("urn:lamplight:problem:unknown-alert")), "{problem}");

    let summary = agent.sync().await;
    assert!(summary.equal && summary.received.entries > 0, "{summary:?}");
    let changed = &summary.received.documents[0];
    assert_eq!(changed.acknowledged.as_ref().unwrap().1, "amina");
    assert_eq!(agent.shown("DetectedIssue", "a1")["status"], "preliminary");
}
