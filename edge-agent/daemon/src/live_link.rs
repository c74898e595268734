//! Live numerics and presence over MQTT: shown at the hub at once, and forgotten there; the record comes by the ledger.
//!
//! Always: telemetry is taken in whether or not there is a line, and dropped without one. The line is held by a task of
//! its own, because a connect that is not awaited to its end begins anew: on a slow line it would never be done.

use crate::clock;
use crate::enrolment::{Enrolment, random_hex};
use anyhow::Context;
use edge_core::Telemetry;
use hub_api::live::{LiveBatch, LiveReading, PACKET_LIMIT, Presence, READINGS_MAX, VERSION, live_topic, presence_topic, wake_topic};
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use std::future::{Future, pending};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Batches leave at most this often.
const BATCH_EVERY: Duration = Duration::from_millis(50);
/// After a failed connect.
const RETRY: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// For TCP, TLS and MQTT together: both certificates must cross a slow line.
const CONNECT_SECS: u64 = 30;
/// Requests that may wait for the line.
const REQUESTS: usize = 64;
/// News of the line that may wait.
const NEWS: usize = 16;

/// Publishes what comes in while there is a hub to publish to; the rest is dropped, as live values are.
pub async fn run(
    mut telemetry: mpsc::Receiver<Vec<Telemetry>>,
    mut enrolled: watch::Receiver<Option<Enrolment>>,
    data: PathBuf,
    wake: Arc<Notify>,
) {
    loop {
        let hub = enrolled.borrow_and_update().clone();
        let ended = match hub {
            None => dropping(pending(), &mut telemetry, &mut enrolled).await,
            Some(hub) => match connect(&hub, &data) {
                Ok((client, events)) => publish(&hub, client, events, &mut telemetry, &mut enrolled, &wake).await,
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "no live link to the hub");
                    dropping(sleep(RETRY), &mut telemetry, &mut enrolled).await
                }
            },
        };
        if ended {
            return;
        }
    }
}

/// Drops live values until it is time or the enrolment changes; whether everything has ended.
async fn dropping(
    time: impl Future<Output = ()>,
    telemetry: &mut mpsc::Receiver<Vec<Telemetry>>,
    enrolled: &mut watch::Receiver<Option<Enrolment>>,
) -> bool {
    tokio::pin!(time);
    loop {
        tokio::select! {
            () = &mut time => return false,
            changed = enrolled.changed() => return changed.is_err(),
            taken = telemetry.recv() => if taken.is_none() {
                return true;
            },
        }
    }
}

fn connect(hub: &Enrolment, data: &Path) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let (host, port) = hub.mqtt.rsplit_once(':').context("hub.json: mqtt must be host:port")?;
    let mut options = MqttOptions::new(format!("{}-{}", hub.site, random_hex()), host, port.parse().context("hub.json: mqtt port")?);
    options.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_max_packet_size(PACKET_LIMIT, PACKET_LIMIT);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(hub.tls(data)?))));
    options.set_last_will(LastWill::new(presence_topic(&hub.site), presence(hub, false), QoS::AtLeastOnce, true));
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    events.network_options.set_connection_timeout(CONNECT_SECS);
    Ok((client, events))
}

fn presence(hub: &Enrolment, online: bool) -> Vec<u8> {
    let presence = Presence { v: VERSION, site: hub.site.clone(), online, version: crate::VERSION.to_owned() };
    serde_json::to_vec(&presence).unwrap_or_default()
}

/// What becomes of the line.
enum News {
    Up,
    Wake,
    Down(ConnectionError),
}

/// Holds the line, connecting again and again, for as long as somebody hears the news of it.
async fn hold(mut events: EventLoop, news: mpsc::Sender<News>) {
    loop {
        let said = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => News::Up,
            Ok(Event::Incoming(Packet::Publish(_))) => News::Wake,
            Ok(_) => continue,
            Err(error) => News::Down(error),
        };
        let down = matches!(said, News::Down(_));
        if news.send(said).await.is_err() {
            return;
        }
        if down {
            sleep(RETRY).await;
        }
    }
}

/// Publishes until the enrolment changes; whether everything has ended.
async fn publish(
    hub: &Enrolment,
    client: AsyncClient,
    events: EventLoop,
    telemetry: &mut mpsc::Receiver<Vec<Telemetry>>,
    enrolled: &mut watch::Receiver<Option<Enrolment>>,
    wake: &Notify,
) -> bool {
    let (said, mut news) = mpsc::channel(NEWS);
    // Dropping the set ends the task and with it the connection.
    let mut line = JoinSet::new();
    line.spawn(hold(events, said));
    let mut waiting: Vec<LiveReading> = Vec::new();
    let mut tick = tokio::time::interval(BATCH_EVERY);
    let mut online = false;
    loop {
        tokio::select! {
            said = news.recv() => match said {
                Some(News::Up) => {
                    online = true;
                    let said = client.try_publish(presence_topic(&hub.site), QoS::AtLeastOnce, true, presence(hub, true));
                    if said.and(client.try_subscribe(wake_topic(&hub.site), QoS::AtMostOnce)).is_err() {
                        tracing::warn!("the live link's queue is full");
                    }
                }
                Some(News::Wake) => wake.notify_one(),
                Some(News::Down(error)) => {
                    if online {
                        tracing::info!(%error, "the live link to the hub is down");
                    }
                    online = false;
                    waiting.clear();
                }
                // The task panicked: its line is given up and another begun.
                None => return false,
            },
            batch = telemetry.recv() => match batch {
                None => return true,
                Some(batch) => if online && waiting.len() < READINGS_MAX {
                    waiting.extend(batch.into_iter().map(reading).take(READINGS_MAX - waiting.len()));
                },
            },
            _ = tick.tick() => if online && !waiting.is_empty() {
                let batch = LiveBatch { v: VERSION, site: hub.site.clone(), sent_us: clock::now().wall.0, readings: std::mem::take(&mut waiting) };
                let bytes = serde_json::to_vec(&batch).unwrap_or_default();
                // A full queue means the line is slow: live values are dropped, never queued up.
                let _ = client.try_publish(live_topic(&hub.site), QoS::AtMostOnce, false, bytes);
            },
            changed = enrolled.changed() => return changed.is_err(),
        }
    }
}

fn reading(t: Telemetry) -> LiveReading {
    LiveReading {
        bed: t.bed.map(|b| b.to_string()).unwrap_or_default(),
        patient: t.patient.map(|p| p.to_string()),
        device: t.device.to_string(),
        code: t.code,
        value: t.value.map(|v| v.to_string()),
        unit: t.unit.to_owned(),
        status: t.status,
        measured_us: t.measured.0,
        arrived_us: t.arrived.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::id::ReplicaId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    fn enrolment() -> Enrolment {
        Enrolment {
            url: String::new(),
            site: "north".to_owned(),
            certificate_pem: String::new(),
            authority_pem: String::new(),
            hub: ReplicaId([1; 32]),
            hub_seal_key: String::new(),
            mqtt: String::new(),
        }
    }

    #[tokio::test]
    async fn a_line_slower_than_the_batches_connects_at_the_first_attempt_and_ends_with_the_enrolment() {
        let broker = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let options = MqttOptions::new("north-1", "127.0.0.1", broker.local_addr().expect("address").port());
        let (client, events) = AsyncClient::new(options, REQUESTS);
        let (_telemetry, mut telemetry) = mpsc::channel(1);
        let (enrolled, mut enrolment_seen) = watch::channel(None);
        let agent =
            tokio::spawn(async move { publish(&enrolment(), client, events, &mut telemetry, &mut enrolment_seen, &Notify::new()).await });

        let (mut line, _) = broker.accept().await.expect("accept");
        sleep(BATCH_EVERY * 6).await;
        line.write_all(&[0x20, 2, 0, 0]).await.expect("connection acknowledged");
        let mut heard = Vec::new();
        let presence = presence_topic("north");
        let heard_presence = async {
            while !heard.windows(presence.len()).any(|w| w == presence.as_bytes()) {
                assert_ne!(line.read_buf(&mut heard).await.expect("read"), 0, "the line was given up");
            }
        };
        timeout(Duration::from_secs(5), heard_presence).await.expect("presence is published");
        assert!(timeout(BATCH_EVERY, broker.accept()).await.is_err(), "a second attempt was made");

        enrolled.send(None).expect("heard");
        assert!(!agent.await.expect("agent"));
        let end = async { while line.read_buf(&mut heard).await.is_ok_and(|n| n > 0) {} };
        timeout(Duration::from_secs(5), end).await.expect("the connection is dropped");
    }

    #[tokio::test]
    async fn telemetry_is_taken_in_while_there_is_no_line() {
        let (sender, mut telemetry) = mpsc::channel(1);
        let (_enrolled, mut enrolment_seen) = watch::channel(None);
        let agent = tokio::spawn(async move { dropping(pending(), &mut telemetry, &mut enrolment_seen).await });
        for _ in 0..3 {
            timeout(Duration::from_secs(5), sender.send(Vec::new())).await.expect("taken in").expect("open");
        }
        drop(sender);
        assert!(agent.await.expect("agent"));
    }
}
