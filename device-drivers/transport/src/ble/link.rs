//! One Bluetooth device: seek, connect in turn, subscribe, carry.

use super::radio::{Air, Radio};
use super::signals::Signals;
use super::sky::Seen;
use crate::event::Identity;
use crate::outbox::Outbox;
use crate::spec::{BleSpec, Feed, FeedMode};
use crate::supervise::{Hand, Write};
use crate::{Down, limits};
use btleplug::api::{Central, CharPropFlags, Characteristic, Peripheral as _, ValueNotification, WriteType};
use btleplug::platform::Peripheral;
use driver::Channel;
use futures_util::{Stream, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use zbus::{MatchRule, Message, message};

pub(crate) struct BleLink {
    spec: BleSpec,
    radio: Radio,
}

impl BleLink {
    pub(crate) fn new(spec: BleSpec, radio: Radio) -> Self {
        Self { spec, radio }
    }

    async fn hold(&self, air: &Arc<Air>, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let seek = self.radio.seek(&self.spec.matches);
        tokio::pin!(seek);
        let (seen, _taken) = match timeout(limits::BLE_SEEK_WAIT, &mut seek).await {
            Ok(found) => found,
            Err(_) => {
                out.down(Down::NotSeen).await;
                seek.await
            }
        };
        let session = match Session::begin(&self.radio, air, &seen, &self.spec).await {
            Ok(session) => session,
            Err(reason) => return reason,
        };
        let identity = Identity { address: seen.address, name: seen.name };
        if let Err(reason) = out.connected(identity, None).await {
            return reason;
        }
        session.carry(out, writes, self.spec.silence).await
    }
}

impl Hand for BleLink {
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let air = self.radio.up(out).await;
        tokio::select! {
            biased;
            reason = self.radio.gone(&air) => reason,
            reason = self.hold(&air, out, writes) => reason,
        }
    }
}

/// A connected device with its feeds subscribed.
struct Session<N> {
    held: Held,
    signals: Signals,
    notifications: N,
    /// First values of the feeds that are read.
    read: Vec<(u128, Vec<u8>)>,
    feeds: Vec<Feed>,
}

/// A peripheral that is let go of when dropped, even halfway through connecting.
struct Held(Peripheral, TaskTracker);

impl Drop for Held {
    fn drop(&mut self) {
        let peripheral = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.1.spawn_on(async move { timeout(limits::BLE_CALL_WAIT, peripheral.disconnect()).await }, &runtime);
        }
    }
}

impl Session<()> {
    async fn begin(
        radio: &Radio,
        air: &Air,
        seen: &Seen,
        spec: &BleSpec,
    ) -> Result<Session<impl Stream<Item = ValueNotification> + Unpin + use<>>, Down> {
        let signals = follow_loss(air, &seen.path).await.map_err(|error| Down::ConnectFailed { why: error.to_string() })?;
        let peripherals = call(air.adapter.peripherals()).await?;
        let peripheral = peripherals.into_iter().find(|peripheral| seen.path.ends_with(&format!("/{}", peripheral.id())));
        let held = Held(peripheral.ok_or(Down::NotSeen)?, radio.tasks.clone());
        {
            let _turn = radio.turn.lock().await;
            if !call(held.0.is_connected()).await? {
                within(limits::BLE_CONNECT_WAIT, held.0.connect()).await?;
            }
            within(limits::BLE_CONNECT_WAIT, held.0.discover_services()).await?;
        }
        let notifications = call(held.0.notifications()).await?;
        let mut read = Vec::new();
        for feed in &spec.feeds {
            let characteristic = held.characteristic(feed.characteristic);
            match (feed.mode, characteristic) {
                (FeedMode::Notify | FeedMode::Indicate, Some(characteristic)) => call(held.0.subscribe(&characteristic)).await?,
                (FeedMode::Notify | FeedMode::Indicate, None) => return Err(Down::FeedMissing { characteristic: feed.characteristic }),
                // What is read once is a fact beside the measurement, such as a serial number; few devices offer all.
                (FeedMode::Read, Some(characteristic)) => match call(held.0.read(&characteristic)).await {
                    Ok(value) => read.push((feed.characteristic, value)),
                    Err(reason) if reason == Down::PairingNeeded => return Err(reason),
                    Err(reason) => tracing::debug!(%reason, "a characteristic could not be read"),
                },
                (FeedMode::Read, None) => {}
            }
        }
        Ok(Session { held, signals, notifications, read, feeds: spec.feeds.clone() })
    }
}

impl<N: Stream<Item = ValueNotification> + Unpin> Session<N> {
    async fn carry(self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>, silence: Option<Duration>) -> Down {
        let Self { held, signals, notifications, read, feeds } = self;
        tokio::select! {
            biased;
            () = signals.noted() => Down::LinkLost,
            reason = hear(notifications, read, &feeds, out, silence) => reason,
            reason = held.speak(writes) => reason,
        }
    }
}

async fn hear(
    mut notifications: impl Stream<Item = ValueNotification> + Unpin,
    read: Vec<(u128, Vec<u8>)>,
    feeds: &[Feed],
    out: &mut Outbox,
    silence: Option<Duration>,
) -> Down {
    for (uuid, value) in read {
        if let Err(reason) = out.bytes(Channel::Characteristic(uuid), value).await {
            return reason;
        }
    }
    // A read's answer also comes as a change of value; taking it twice would double the reading.
    let pushed = |uuid: u128| feeds.iter().any(|feed| feed.characteristic == uuid && feed.mode != FeedMode::Read);
    loop {
        match timeout(silence.unwrap_or(Duration::MAX), notifications.next()).await {
            Err(_) => return Down::Silent { after: silence.unwrap_or(Duration::MAX) },
            Ok(None) => return Down::LinkLost,
            Ok(Some(notification)) if pushed(notification.uuid.as_u128()) => {
                let channel = Channel::Characteristic(notification.uuid.as_u128());
                if let Err(reason) = out.bytes(channel, notification.value).await {
                    return reason;
                }
            }
            Ok(Some(_)) => {}
        }
    }
}

impl Held {
    fn characteristic(&self, uuid: u128) -> Option<Characteristic> {
        self.0.characteristics().into_iter().find(|characteristic| characteristic.uuid.as_u128() == uuid)
    }

    async fn speak(&self, writes: &mut mpsc::Receiver<Write>) -> Down {
        while let Some(Write { channel, bytes }) = writes.recv().await {
            let Channel::Characteristic(uuid) = channel else {
                return Down::WriteRefused { why: "a Bluetooth device has no stream".into() };
            };
            let Some(characteristic) = self.characteristic(uuid) else { return Down::FeedMissing { characteristic: uuid } };
            let acknowledged = characteristic.properties.contains(CharPropFlags::WRITE);
            let write_type = if acknowledged { WriteType::WithResponse } else { WriteType::WithoutResponse };
            match timeout(limits::WRITE_WAIT, self.0.write(&characteristic, &bytes, write_type)).await {
                Err(_) => return Down::WriteStalled,
                Ok(Err(error)) => return Down::WriteRefused { why: error.to_string() },
                Ok(Ok(())) => {}
            }
        }
        Down::Stopped
    }
}

/// Notes when the device at `path` says that it is disconnected, or is taken away altogether.
async fn follow_loss(air: &Air, path: &str) -> zbus::Result<Signals> {
    let signal = || MatchRule::builder().msg_type(message::Type::Signal);
    let changed = signal().path(path.to_owned())?.member("PropertiesChanged")?.arg(0, "org.bluez.Device1")?.build();
    let removed =
        signal().member("InterfacesRemoved")?.interface("org.freedesktop.DBus.ObjectManager")?.arg_path(0, path.to_owned())?.build();
    Signals::follow(&air.bus, vec![changed.into_owned(), removed.into_owned()], says_gone).await
}

fn says_gone(signal: &Message) -> bool {
    type Changed<'a> = (&'a str, std::collections::HashMap<&'a str, zbus::zvariant::Value<'a>>, Vec<&'a str>);
    let body = signal.body();
    match body.deserialize::<Changed<'_>>() {
        Ok((_, properties, _)) => properties.get("Connected") == Some(&zbus::zvariant::Value::Bool(false)),
        Err(_) => signal.header().member().is_some_and(|member| member == "InterfacesRemoved"),
    }
}

async fn call<T>(asked: impl Future<Output = btleplug::Result<T>>) -> Result<T, Down> {
    within(limits::BLE_CALL_WAIT, asked).await
}

async fn within<T>(limit: Duration, asked: impl Future<Output = btleplug::Result<T>>) -> Result<T, Down> {
    let answer = timeout(limit, asked).await.map_err(|_| Down::ConnectFailed { why: format!("no answer within {} s", limit.as_secs()) })?;
    answer.map_err(|error| {
        // btleplug boxes the service's error; only its debug text still says which one it was.
        let inside = format!("{error:?}");
        let asks_pairing = ["NotPermitted", "NotAuthorized", "AuthenticationFailed", "AuthenticationRejected"];
        let asks = asks_pairing.iter().any(|name| inside.contains(&format!("org.bluez.Error.{name}")));
        if asks { Down::PairingNeeded } else { Down::ConnectFailed { why: error.to_string() } }
    })
}
