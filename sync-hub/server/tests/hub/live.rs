use crate::agent::{Agent, tls};
use crate::program::{Hub, Place};
use hub_api::live::{live_topic, presence_topic, wake_topic};
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

fn options(hub: &Hub, config: rustls::ClientConfig) -> MqttOptions {
    let mut options = MqttOptions::new("agent-1", "127.0.0.1", hub.mqtt.port());
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config)))).set_keep_alive(Duration::from_secs(5));
    options
}

/// Runs the line until `wanted`, or until it breaks.
async fn until(events: &mut EventLoop, wanted: impl Fn(&Packet) -> bool) -> Result<(), ConnectionError> {
    let found = timeout(Duration::from_secs(10), async {
        loop {
            match events.poll().await? {
                Event::Incoming(packet) if wanted(&packet) => return Ok(()),
                _ => {}
            }
        }
    });
    found.await.expect("in time")
}

async fn connected(hub: &Hub, agent: &Agent) -> (AsyncClient, EventLoop) {
    let site = &agent.enrolled.site;
    let mut options = options(hub, agent.tls());
    let gone = json!({"v": 1, "site": site, "online": false, "version": "1"}).to_string();
    options.set_last_will(LastWill::new(presence_topic(site), gone, QoS::AtLeastOnce, true));
    let (client, mut events) = AsyncClient::new(options, 16);
    until(&mut events, |packet| matches!(packet, Packet::ConnAck(_))).await.expect("let in");
    let here = json!({"v": 1, "site": site, "online": true, "version": "9.9"}).to_string();
    client.publish(presence_topic(site), QoS::AtLeastOnce, true, here).await.unwrap();
    until(&mut events, |packet| matches!(packet, Packet::PubAck(_))).await.expect("presence");
    (client, events)
}

#[expect(clippy::disallowed_methods, reason = "latency is measured against the real clock")]
fn batch(site: &str) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    json!({"v": 1, "site": site, "sent_us": now, "readings": [{"bed": "1", "patient": "p1", "device": "ox1", "code": "59408-5",
        "value": "97", "unit": "%", "status": "ok", "measured_us": now, "arrived_us": now}]})
    .to_string()
}

#[tokio::test]
async fn live_numerics_and_presence_show_on_the_operators_page_and_go_with_the_line() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    let (client, mut events) = connected(&hub, &agent).await;
    client.publish(live_topic("hillside"), QoS::AtLeastOnce, false, batch("hillside")).await.unwrap();
    until(&mut events, |packet| matches!(packet, Packet::PubAck(_))).await.expect("published");
    let row = hub.row_when(&token, "hillside", |row| row["live"] == true && row["latency_ms"]["n"] == 1).await;
    assert_eq!((row["state"].as_str(), row["version"].as_str()), (Some("ok"), Some("9.9")), "{row}");
    assert!(row["latency_ms"]["p50"].as_f64().unwrap() < 10_000.0);
    drop((client, events));
    hub.row_when(&token, "hillside", |row| row["live"] == false).await;
}

#[tokio::test]
async fn a_site_that_speaks_on_anothers_topic_is_cut_and_not_heard() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    Agent::enrol(&place, &hub, "riverside", 2).await;
    let (client, mut events) = connected(&hub, &agent).await;
    client.publish(live_topic("riverside"), QoS::AtLeastOnce, false, batch("riverside")).await.unwrap();
    assert!(until(&mut events, |packet| matches!(packet, Packet::PubAck(_))).await.is_err(), "it was published");
    let (client, mut events) = connected(&hub, &agent).await;
    client.subscribe("lamplight/v1/+/live", QoS::AtMostOnce).await.unwrap();
    assert!(until(&mut events, |packet| matches!(packet, Packet::SubAck(_))).await.is_err(), "it was subscribed");
    let (client, mut events) = connected(&hub, &agent).await;
    client.publish(live_topic("hillside"), QoS::AtLeastOnce, false, batch("riverside")).await.unwrap();
    until(&mut events, |packet| matches!(packet, Packet::PubAck(_))).await.expect("its own topic");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (_, fleet) = hub.get("/api/v1/fleet", &token).await;
    assert_eq!(fleet["live_messages"], 0, "{fleet}");
}

#[tokio::test]
async fn an_unknown_or_revoked_certificate_is_not_let_in_and_an_open_line_is_cut() {
    let place = Place::new();
    let hub = place.start();
    let agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    let (_client, mut stranger) = AsyncClient::new(options(&hub, tls(&agent.enrolled.authority_pem, None)), 4);
    assert!(until(&mut stranger, |_| true).await.is_err());
    let (_client, mut events) = connected(&hub, &agent).await;
    place.done(&["site", "revoke", "hillside", "--reason", "closed"], "");
    assert!(until(&mut events, |_| false).await.is_err(), "the open line outlived the membership");
    let (_client, mut again) = AsyncClient::new(options(&hub, agent.tls()), 4);
    assert!(until(&mut again, |packet| matches!(packet, Packet::ConnAck(_))).await.is_err());
}

#[tokio::test]
async fn an_acknowledgement_at_the_hub_wakes_the_site() {
    let place = Place::new();
    let hub = place.start_with_operator();
    let token = hub.token().await;
    let mut agent = Agent::enrol(&place, &hub, "hillside", 1).await;
    agent.patient("p1");
    agent.alert("p1", "a1");
    agent.sync().await;
    let (client, mut events) = connected(&hub, &agent).await;
    client.subscribe(wake_topic("hillside"), QoS::AtMostOnce).await.unwrap();
    until(&mut events, |packet| matches!(packet, Packet::SubAck(_))).await.expect("subscribed");
    hub.post("/api/v1/alerts/a1/acknowledge", Some(&token), &json!({})).await;
    until(&mut events, |packet| matches!(packet, Packet::Publish(_))).await.expect("woken");
}
