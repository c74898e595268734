//! The hub's own client: hears every site, wakes sites that have something to fetch.

use super::broker::{Broker, USER};
use crate::hub::{Hub, WAKES};
use hub_api::live::{PACKET_LIMIT, TOPIC_ROOT, wake_topic};
use hub_core::site::SiteName;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Between two attempts to reach the broker.
const RETRY: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Listens until the program ends. `hearing` says whether every subscription stands.
pub async fn listen(hub: Arc<Hub>, broker: Broker, mut wakes: mpsc::Receiver<SiteName>, hearing: watch::Sender<bool>) {
    let mut options = MqttOptions::new("hub", broker.address.ip().to_string(), broker.address.port());
    options.set_credentials(USER, broker.password).set_keep_alive(KEEP_ALIVE).set_clean_session(true);
    options.set_max_packet_size(PACKET_LIMIT, PACKET_LIMIT);
    let (client, mut events) = AsyncClient::new(options, WAKES + 4);
    let mut subscribed = 0;
    loop {
        tokio::select! {
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    subscribed = 0;
                    for leaf in ["live", "presence"] {
                        if client.try_subscribe(format!("{TOPIC_ROOT}/+/{leaf}"), QoS::AtLeastOnce).is_err() {
                            tracing::error!("cannot subscribe at the broker");
                        }
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    subscribed += 1;
                    hearing.send_replace(subscribed >= 2);
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    let taken = hub.live().take(&message.topic, &message.payload, hub.now());
                    if let Err(reason) = taken {
                        tracing::debug!(%reason, topic = message.topic, "a live message was dropped");
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the broker is not reached");
                    hearing.send_replace(false);
                    tokio::time::sleep(RETRY).await;
                }
            },
            Some(site) = wakes.recv() => {
                if client.try_publish(wake_topic(site.as_str()), QoS::AtMostOnce, false, Vec::new()).is_err() {
                    tracing::debug!(%site, "a site was not woken");
                }
            }
        }
    }
}
