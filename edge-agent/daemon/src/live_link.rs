//! Live numerics and presence over MQTT: shown at the hub at once, and forgotten there; the record comes by the ledger.

use crate::clock;
use crate::enrolment::{Enrolment, random_hex};
use anyhow::Context;
use edge_core::Telemetry;
use hub_api::live::{LiveBatch, LiveReading, PACKET_LIMIT, Presence, READINGS_MAX, VERSION, live_topic, presence_topic, wake_topic};
use rumqttc::{AsyncClient, Event, LastWill, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// Batches leave at most this often.
const BATCH_EVERY: Duration = Duration::from_millis(50);
/// After a failed connect.
const RETRY: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

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
            None => tokio::select! {
                changed = enrolled.changed() => changed.is_err(),
                taken = telemetry.recv() => taken.is_none(),
            },
            Some(hub) => match connect(&hub, &data) {
                Ok((client, events)) => publish(&hub, client, events, &mut telemetry, &mut enrolled, &wake).await,
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "no live link to the hub");
                    tokio::time::sleep(RETRY).await;
                    false
                }
            },
        };
        if ended {
            return;
        }
    }
}

fn connect(hub: &Enrolment, data: &Path) -> anyhow::Result<(AsyncClient, rumqttc::EventLoop)> {
    let (host, port) = hub.mqtt.rsplit_once(':').context("hub.json: mqtt must be host:port")?;
    let mut options = MqttOptions::new(format!("{}-{}", hub.site, random_hex()), host, port.parse().context("hub.json: mqtt port")?);
    options.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_max_packet_size(PACKET_LIMIT, PACKET_LIMIT);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(hub.tls(data)?))));
    options.set_last_will(LastWill::new(presence_topic(&hub.site), presence(hub, false), QoS::AtLeastOnce, true));
    Ok(AsyncClient::new(options, 64))
}

fn presence(hub: &Enrolment, online: bool) -> Vec<u8> {
    let presence = Presence { v: VERSION, site: hub.site.clone(), online, version: crate::VERSION.to_owned() };
    serde_json::to_vec(&presence).unwrap_or_default()
}

/// Publishes until the enrolment changes; whether everything has ended.
async fn publish(
    hub: &Enrolment,
    client: AsyncClient,
    mut events: rumqttc::EventLoop,
    telemetry: &mut mpsc::Receiver<Vec<Telemetry>>,
    enrolled: &mut watch::Receiver<Option<Enrolment>>,
    wake: &Notify,
) -> bool {
    let mut waiting: Vec<LiveReading> = Vec::new();
    let mut tick = tokio::time::interval(BATCH_EVERY);
    let mut online = false;
    loop {
        tokio::select! {
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    online = true;
                    let said = client.try_publish(presence_topic(&hub.site), QoS::AtLeastOnce, true, presence(hub, true));
                    if said.and(client.try_subscribe(wake_topic(&hub.site), QoS::AtMostOnce)).is_err() {
                        tracing::warn!("the live link's queue is full");
                    }
                }
                Ok(Event::Incoming(Packet::Publish(_))) => wake.notify_one(),
                Ok(_) => {}
                Err(error) => {
                    if online {
                        tracing::info!(%error, "the live link to the hub is down");
                    }
                    online = false;
                    waiting.clear();
                    tokio::time::sleep(RETRY).await;
                }
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
