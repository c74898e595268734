//! One Bluetooth device: seek, connect in turn, subscribe, carry.

use super::bluez::{self, Device1Proxy};
use super::radio::{Air, Radio, Taken};
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
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use zbus::zvariant::Value;
use zbus::{MatchRule, Message, message};

pub(crate) struct BleLink {
    spec: BleSpec,
    radio: Radio,
    /// What only a person can put right, found at the last attempt. That the device then goes away makes it no less so.
    wants: Option<Down>,
}

impl BleLink {
    pub(crate) fn new(spec: BleSpec, radio: Radio) -> Self {
        Self { spec, radio, wants: None }
    }

    async fn hold(&mut self, air: &Arc<Air>, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let seek = self.radio.seek(&self.spec.matches);
        tokio::pin!(seek);
        let (seen, taken) = match timeout(limits::BLE_SEEK_WAIT, &mut seek).await {
            Ok(found) => found,
            Err(_) => {
                out.down(self.absence(Down::NotSeen)).await;
                seek.await
            }
        };
        let held = Held { radio: self.radio.clone(), air: Arc::clone(air), path: seen.path.clone(), taken: Some(taken) };
        let session = match Session::begin(held, &seen, &self.spec).await {
            Ok(session) => session,
            Err(reason) => {
                let reason = match (reason, is_paired(air, &seen.path).await) {
                    (Down::PairingNeeded, Some(true)) => Down::BondLost,
                    // The real service waits for a key that nobody has been asked for, and says nothing.
                    (reason, Some(false)) if reason == unanswered() => Down::PairingNeeded,
                    (reason, _) => reason,
                };
                if reason == Down::BondLost {
                    self.radio.bond_lost(&seen.address);
                }
                if matches!(reason, Down::BondLost | Down::PairingNeeded) {
                    self.wants = Some(reason.clone());
                }
                return self.absence(reason);
            }
        };
        self.wants = None;
        let identity = Identity { address: seen.address, name: seen.name };
        if let Err(reason) = out.connected(identity, None).await {
            return reason;
        }
        self.absence(session.carry(out, writes, self.spec.silence).await)
    }

    /// A device that speaks only now and then goes away between whiles, which is nobody's fault.
    fn absence(&self, reason: Down) -> Down {
        match reason {
            Down::LinkLost | Down::NotSeen | Down::ConnectFailed { .. } if self.wants.is_some() => self.wants.clone().unwrap_or(reason),
            Down::LinkLost | Down::NotSeen if self.spec.silence.is_none() => Down::Asleep,
            reason => reason,
        }
    }
}

impl Hand for BleLink {
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let radio = self.radio.clone();
        let air = radio.up(out).await;
        tokio::select! {
            biased;
            reason = radio.gone(&air) => reason,
            reason = self.hold(&air, out, writes) => reason,
        }
    }
}

/// A connected device with its feeds subscribed.
struct Session<N> {
    held: Held,
    peripheral: Peripheral,
    signals: Signals,
    notifications: N,
    /// First values of the feeds that are read.
    read: Vec<(u128, Vec<u8>)>,
    feeds: Vec<Feed>,
}

/// A device that is let go of when dropped, even halfway through connecting, and is nobody else's until that is done: a
/// late disconnect would end the next session.
struct Held {
    radio: Radio,
    air: Arc<Air>,
    path: String,
    taken: Option<Taken>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (radio, air, path, taken) = (self.radio.clone(), Arc::clone(&self.air), self.path.clone(), self.taken.take());
        let tasks = self.radio.tasks.clone();
        let let_go = async move {
            let disconnect = async { bluez::device(&air.bus, &path).await?.disconnect().await };
            tokio::select! {
                _ = radio.gone(&air) => {}
                _ = timeout(limits::BLE_CALL_WAIT, disconnect) => {}
            }
            drop(taken);
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            tasks.spawn_on(let_go, &runtime);
        }
    }
}

impl Session<()> {
    async fn begin(
        held: Held,
        seen: &Seen,
        spec: &BleSpec,
    ) -> Result<Session<impl Stream<Item = ValueNotification> + Unpin + use<>>, Down> {
        let bus = &held.air.bus;
        let signals = follow_loss(&held.air, &seen.path).await.map_err(|error| bluez::refusal(&error))?;
        let peripheral = {
            let _turn = held.radio.turn.lock().await;
            let connects = async {
                connect(&held.air, &seen.path).await?;
                let peripheral = match find(&held.air, &seen.path).await? {
                    Some(peripheral) => peripheral,
                    None => return Err(bluez::unstated_device(bus, &seen.path).await.unwrap_or(Down::NotSeen)),
                };
                call(peripheral.discover_services()).await?;
                Ok(peripheral)
            };
            let limited = timeout(limits::BLE_CONNECT_WAIT, connects);
            tokio::select! {
                biased;
                reason = lost(&signals) => return Err(reason),
                connected = limited => connected.unwrap_or_else(|_| Err(no_answer(limits::BLE_CONNECT_WAIT)))?,
            }
        };
        let subscribes = async {
            let notifications = call(peripheral.notifications()).await?;
            let mut read = Vec::new();
            for feed in &spec.feeds {
                let characteristic = characteristic(&peripheral, feed.characteristic);
                match (feed.mode, characteristic) {
                    (FeedMode::Notify | FeedMode::Indicate, Some(characteristic)) => request(peripheral.subscribe(&characteristic)).await?,
                    (FeedMode::Notify | FeedMode::Indicate, None) => {
                        return Err(Down::FeedMissing { characteristic: feed.characteristic });
                    }
                    // What is read once is a fact beside the measurement, such as a serial number; few devices offer all.
                    (FeedMode::Read, Some(characteristic)) => match request(peripheral.read(&characteristic)).await {
                        Ok(value) => read.push((feed.characteristic, value)),
                        Err(reason) if reason == Down::PairingNeeded => return Err(reason),
                        Err(reason) => tracing::debug!(%reason, "a characteristic could not be read"),
                    },
                    (FeedMode::Read, None) => {}
                }
            }
            Ok((notifications, read))
        };
        let (notifications, read) = tokio::select! {
            biased;
            reason = lost(&signals) => return Err(reason),
            subscribed = subscribes => subscribed?,
        };
        Ok(Session { held, peripheral, signals, notifications, read, feeds: spec.feeds.clone() })
    }
}

/// Waits until the device is said to be gone. That a device which was never paired went is no more than that.
async fn lost(signals: &Signals) -> Down {
    signals.noted().await;
    Down::LinkLost
}

/// Connects, unless that is so already, and waits until the service knows what the device offers.
async fn connect(air: &Air, path: &str) -> Result<(), Down> {
    let refused = |error: zbus::Error| bluez::refusal(&error);
    let changes = follow_readiness(air, path).await.map_err(refused)?;
    let device = bluez::device(&air.bus, path).await.map_err(refused)?;
    if !device.connected().await.map_err(refused)? {
        match device.connect().await {
            Err(error) if is_under_way(&error) => {}
            answer => answer.map_err(refused)?,
        }
    }
    while !is_ready(&device).await.map_err(refused)? {
        changes.noted().await;
    }
    Ok(())
}

/// The service itself connects devices it trusts: that connect serves as well.
fn is_under_way(error: &zbus::Error) -> bool {
    let zbus::Error::MethodError(name, ..) = error else { return false };
    matches!(name.as_str(), "org.bluez.Error.InProgress" | "org.bluez.Error.AlreadyConnected")
}

async fn is_ready(device: &Device1Proxy<'_>) -> zbus::Result<bool> {
    Ok(device.connected().await? && device.services_resolved().await?)
}

/// Whether the service holds a key of the device; none if it does not say.
async fn is_paired(air: &Air, path: &str) -> Option<bool> {
    let paired = async { bluez::device(&air.bus, path).await?.paired().await };
    timeout(limits::BLE_CALL_WAIT, paired).await.ok()?.ok()
}

/// The device as btleplug knows it; none where the service leaves something out about it.
async fn find(air: &Air, path: &str) -> Result<Option<Peripheral>, Down> {
    let peripherals = call(air.adapter.peripherals()).await?;
    Ok(peripherals.into_iter().find(|peripheral| path.ends_with(&format!("/{}", peripheral.id()))))
}

fn characteristic(peripheral: &Peripheral, uuid: u128) -> Option<Characteristic> {
    peripheral.characteristics().into_iter().find(|characteristic| characteristic.uuid.as_u128() == uuid)
}

impl<N: Stream<Item = ValueNotification> + Unpin> Session<N> {
    async fn carry(self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>, silence: Option<Duration>) -> Down {
        let Self { held, peripheral, signals, notifications, read, feeds } = self;
        let reason = tokio::select! {
            biased;
            reason = lost(&signals) => reason,
            reason = hear(notifications, read, &feeds, out, silence) => reason,
            reason = speak(&peripheral, writes) => reason,
        };
        drop(held);
        reason
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

async fn speak(peripheral: &Peripheral, writes: &mut mpsc::Receiver<Write>) -> Down {
    while let Some(Write { channel, bytes }) = writes.recv().await {
        let Channel::Characteristic(uuid) = channel else {
            return Down::WriteRefused { why: "a Bluetooth device has no stream".into() };
        };
        let Some(characteristic) = characteristic(peripheral, uuid) else { return Down::FeedMissing { characteristic: uuid } };
        let acknowledged = characteristic.properties.contains(CharPropFlags::WRITE);
        let write_type = if acknowledged { WriteType::WithResponse } else { WriteType::WithoutResponse };
        match timeout(limits::WRITE_WAIT, peripheral.write(&characteristic, &bytes, write_type)).await {
            Err(_) => return Down::WriteStalled,
            Ok(Err(error)) => return Down::WriteRefused { why: error.to_string() },
            Ok(Ok(())) => {}
        }
    }
    Down::Stopped
}

/// Notes when the device at `path` says that it is disconnected, or is taken away altogether.
async fn follow_loss(air: &Air, path: &str) -> zbus::Result<Signals> {
    let removed = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .interface("org.freedesktop.DBus.ObjectManager")?
        .member("InterfacesRemoved")?
        .arg_path(0, path.to_owned())?
        .build()
        .into_owned();
    Signals::follow(&air.bus, vec![changes(path)?, removed], says_gone).await
}

/// Notes when the device at `path` is connected or has said what it offers.
async fn follow_readiness(air: &Air, path: &str) -> zbus::Result<Signals> {
    let says_more = |signal: &Message| {
        let body = signal.body();
        body.deserialize::<Changed<'_>>().is_ok_and(|(_, all, _)| all.contains_key("Connected") || all.contains_key("ServicesResolved"))
    };
    Signals::follow(&air.bus, vec![changes(path)?], says_more).await
}

type Changed<'a> = (&'a str, HashMap<&'a str, Value<'a>>, Vec<&'a str>);

fn changes(path: &str) -> zbus::Result<MatchRule<'static>> {
    let signal = MatchRule::builder().msg_type(message::Type::Signal).path(path.to_owned())?;
    Ok(signal.member("PropertiesChanged")?.arg(0, "org.bluez.Device1")?.build().into_owned())
}

fn says_gone(signal: &Message) -> bool {
    match signal.body().deserialize::<Changed<'_>>() {
        Ok((_, properties, _)) => properties.get("Connected") == Some(&Value::Bool(false)),
        Err(_) => signal.header().member().is_some_and(|member| member == "InterfacesRemoved"),
    }
}

async fn call<T>(asked: impl Future<Output = btleplug::Result<T>>) -> Result<T, Down> {
    let answer = timeout(limits::BLE_CALL_WAIT, asked).await.map_err(|_| no_answer(limits::BLE_CALL_WAIT))?;
    answer.map_err(|error| {
        // btleplug boxes the service's error; only its debug text still says which one it was.
        let inside = format!("{error:?}");
        let asks_pairing = ["NotPermitted", "NotAuthorized", "AuthenticationFailed", "AuthenticationRejected"];
        let asks = asks_pairing.iter().any(|name| inside.contains(&format!("org.bluez.Error.{name}")));
        if asks { Down::PairingNeeded } else { Down::ConnectFailed { why: error.to_string() } }
    })
}

/// Asks the device itself.
async fn request<T>(asked: impl Future<Output = btleplug::Result<T>>) -> Result<T, Down> {
    call(asked).await.map_err(|reason| if reason == no_answer(limits::BLE_CALL_WAIT) { unanswered() } else { reason })
}

fn unanswered() -> Down {
    Down::ConnectFailed { why: "the device does not answer".to_owned() }
}

fn no_answer(within: Duration) -> Down {
    Down::ConnectFailed { why: format!("no answer within {} s", within.as_secs()) }
}
