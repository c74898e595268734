//! The objects of the fake service, with the interfaces, errors and refusals of the real one.

use super::super::characteristics::WallTime;
use super::super::peripheral::{Fault, Link};
use super::{ADAPTER, CURRENT_TIME, RECORD_ACCESS, uuid};
use crate::ready::say;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use zbus::message::Header;
use zbus::names::OwnedUniqueName;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{Connection, fdo, interface};

const RSSI: i16 = -58;
/// How long a connect takes.
const CONNECT_TAKES: Duration = Duration::from_millis(80);
/// How long a connect to a device that does not answer is tried.
const CONNECT_TRIED: Duration = Duration::from_secs(20);
/// How long a link holds in a storm.
const STORM_HOLDS: Duration = Duration::from_millis(60);

type Options = HashMap<String, OwnedValue>;

/// What the service answers instead of doing it.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.bluez.Error")]
pub(super) enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    NotReady(String),
    InProgress(String),
    Failed(String),
    NotPermitted(String),
    AuthenticationFailed(String),
    AlreadyExists(String),
}

/// What the objects share.
#[derive(Default)]
pub(super) struct Radio {
    /// Discovery runs, so that advertisements are told.
    pub(super) discovering: AtomicBool,
    /// A connect is under way: a controller does one at a time.
    connecting: AtomicBool,
    /// Who answers questions about pairing.
    agent: Mutex<Option<(OwnedUniqueName, OwnedObjectPath)>>,
    /// Devices to be forgotten, by path.
    removed: Mutex<Vec<String>>,
}

impl Radio {
    /// Devices that somebody asked to be forgotten since.
    pub(super) fn removed(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.removed))
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn drop_link(&self) {
        self.connected.store(false, Relaxed);
        self.notifying.store(false, Relaxed);
    }

    fn fault(&self) -> Option<Fault> {
        lock(&self.fault).clone()
    }

    fn needs(&self, state: &AtomicBool, otherwise: &str) -> Result<(), Refusal> {
        if state.load(Relaxed) { Ok(()) } else { Err(Refusal::Failed(otherwise.into())) }
    }

    fn may_talk(&self) -> Result<(), Refusal> {
        self.needs(&self.connected, "Not connected")?;
        let known = self.paired.load(Relaxed) && !self.bond_lost.load(Relaxed);
        if self.wants_pairing && !known { Err(Refusal::NotPermitted("Read not permitted".into())) } else { Ok(()) }
    }

    /// Whether a property is stated.
    fn states(&self, property: &str) -> fdo::Result<()> {
        stated(&self.omitted, property)
    }
}

fn stated(omitted: &[String], property: &str) -> fdo::Result<()> {
    if omitted.iter().any(|name| name == property) { Err(fdo::Error::UnknownProperty(property.to_owned())) } else { Ok(()) }
}

pub(super) struct AgentManager(pub(super) Arc<Radio>);

#[interface(name = "org.bluez.AgentManager1")]
impl AgentManager {
    fn register_agent(&self, agent: ObjectPath<'_>, _capability: &str, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let Some(sender) = header.sender() else { return Err(Refusal::Failed("nobody asks".into())) };
        let mut current = lock(&self.0.agent);
        if current.is_some() {
            return Err(Refusal::AlreadyExists("Already Exists".into()));
        }
        *current = Some((sender.to_owned().into(), agent.into()));
        Ok(())
    }

    fn unregister_agent(&self, _agent: ObjectPath<'_>) {
        lock(&self.0.agent).take();
    }

    fn request_default_agent(&self, _agent: ObjectPath<'_>) {}
}

pub(super) struct Adapter {
    pub(super) powered: bool,
    pub(super) omitted: Vec<String>,
    pub(super) radio: Arc<Radio>,
}

impl Adapter {
    fn states(&self, property: &str) -> fdo::Result<()> {
        stated(&self.omitted, property)
    }
}

#[interface(name = "org.bluez.Adapter1")]
impl Adapter {
    fn set_discovery_filter(&self, _filter: Options) {}

    async fn start_discovery(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        if !self.powered {
            return Err(Refusal::NotReady("Resource Not Ready".into()));
        }
        self.radio.discovering.store(true, Relaxed);
        Ok(self.discovering_changed(&emitter).await?)
    }

    async fn stop_discovery(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        if !self.radio.discovering.swap(false, Relaxed) {
            return Err(Refusal::Failed("No discovery started".into()));
        }
        Ok(self.discovering_changed(&emitter).await?)
    }

    fn remove_device(&self, device: ObjectPath<'_>) {
        lock(&self.radio.removed).push(device.to_string());
    }

    #[zbus(property)]
    fn address(&self) -> fdo::Result<&str> {
        self.states("Address").map(|()| "02:00:00:00:00:FE")
    }

    #[zbus(property)]
    fn address_type(&self) -> fdo::Result<&str> {
        self.states("AddressType").map(|()| "public")
    }

    #[zbus(property)]
    fn name(&self) -> fdo::Result<&str> {
        self.states("Name").map(|()| "simulated")
    }

    #[zbus(property)]
    fn alias(&self) -> fdo::Result<&str> {
        self.states("Alias").map(|()| "simulated")
    }

    #[zbus(property)]
    fn modalias(&self) -> fdo::Result<&str> {
        self.states("Modalias").map(|()| "usb:v1D6Bp0246d0542")
    }

    #[zbus(property)]
    fn discovering(&self) -> fdo::Result<bool> {
        self.states("Discovering").map(|()| self.radio.discovering.load(Relaxed))
    }

    #[zbus(property)]
    fn powered(&self) -> fdo::Result<bool> {
        self.states("Powered").map(|()| self.powered)
    }

    #[zbus(property)]
    fn set_powered(&mut self, powered: bool) {
        tracing::info!(powered, "a program switched the adapter");
        self.powered = powered;
    }
}

pub(super) struct Device {
    pub(super) address: String,
    pub(super) name: String,
    pub(super) services: Vec<String>,
    pub(super) link: Arc<Link>,
    pub(super) radio: Arc<Radio>,
    pub(super) trusted: bool,
}

impl Device {
    pub(super) async fn link_down(&self, emitter: &SignalEmitter<'_>) -> zbus::Result<()> {
        if !self.link.connected.load(Relaxed) {
            return Ok(());
        }
        self.link.drop_link();
        self.services_resolved_changed(emitter).await?;
        self.connected_changed(emitter).await
    }

    /// The air carries an advertisement of it.
    pub(super) async fn advertise(&self, emitter: &SignalEmitter<'_>) -> zbus::Result<()> {
        self.link.heard.store(true, Relaxed);
        self.r_s_s_i_changed(emitter).await
    }

    /// Waits for the device to take the connection, as a controller does.
    async fn reach(&self) -> Result<(), Refusal> {
        if self.radio.connecting.swap(true, Relaxed) {
            tracing::info!(device = self.name, "connects overlap");
            return Err(Refusal::InProgress("Operation already in progress".into()));
        }
        sleep(CONNECT_TAKES).await;
        let mut tried = CONNECT_TAKES;
        while !self.link.awake.load(Relaxed) && tried < CONNECT_TRIED && !self.link.given_up.swap(false, Relaxed) {
            sleep(CONNECT_TAKES).await;
            tried += CONNECT_TAKES;
        }
        self.radio.connecting.store(false, Relaxed);
        if self.link.awake.load(Relaxed) { Ok(()) } else { Err(Refusal::Failed("le-connection-abort-by-local".into())) }
    }

    /// Asks the program that registered as agent for the passkey the device shows.
    async fn passkey(&self, connection: &Connection, device: &ObjectPath<'_>) -> Result<(), Refusal> {
        let Some(shown) = self.link.passkey else { return Ok(()) };
        let Some((agent, path)) = lock(&self.radio.agent).clone() else {
            return Err(Refusal::AuthenticationFailed("Authentication Failed".into()));
        };
        tracing::info!("the device shows {shown:06}");
        say(&json!({"shows": {"device": self.name, "passkey": format!("{shown:06}")}}));
        let typed = connection.call_method(Some(agent), path, Some("org.bluez.Agent1"), "RequestPasskey", device).await;
        match typed.and_then(|answer| answer.body().deserialize::<u32>()) {
            Ok(typed) if typed == shown => Ok(()),
            // Of a low-energy device the real service says no more, whoever gave up.
            _ => Err(Refusal::AuthenticationFailed("Authentication Failed".into())),
        }
    }
}

#[interface(name = "org.bluez.Device1")]
impl Device {
    async fn connect(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        tracing::info!(device = self.name, "asked to connect");
        match self.link.fault() {
            Some(Fault::Refuses(error)) => return Err(refusal(&error)),
            Some(Fault::Storm) => {
                self.reach().await?;
                self.link.connected.store(true, Relaxed);
                self.connected_changed(&emitter).await?;
                sleep(STORM_HOLDS).await;
                return Ok(self.link_down(&emitter).await?);
            }
            Some(Fault::Waits) | None => {}
        }
        self.reach().await?;
        self.link.connected.store(true, Relaxed);
        self.connected_changed(&emitter).await?;
        Ok(self.services_resolved_changed(&emitter).await?)
    }

    async fn disconnect(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        if self.radio.connecting.load(Relaxed) && !self.link.connected.load(Relaxed) {
            self.link.given_up.store(true, Relaxed);
        }
        Ok(self.link_down(&emitter).await?)
    }

    async fn pair(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), Refusal> {
        if self.link.paired.load(Relaxed) {
            return Err(Refusal::AlreadyExists("Already Exists".into()));
        }
        self.passkey(connection, emitter.path()).await?;
        self.link.paired.store(true, Relaxed);
        self.link.bond_lost.store(false, Relaxed);
        Ok(self.paired_changed(&emitter).await?)
    }

    fn cancel_pairing(&self) {}

    #[zbus(property)]
    fn address(&self) -> fdo::Result<&str> {
        self.link.states("Address").map(|()| self.address.as_str())
    }

    #[zbus(property)]
    fn address_type(&self) -> fdo::Result<&str> {
        self.link.states("AddressType").map(|()| "public")
    }

    #[zbus(property)]
    fn name(&self) -> &str {
        &self.name
    }

    #[zbus(property)]
    fn alias(&self) -> &str {
        &self.name
    }

    #[zbus(property, name = "UUIDs")]
    fn uuids(&self) -> Vec<String> {
        self.services.clone()
    }

    #[zbus(property, name = "RSSI")]
    fn rssi(&self) -> fdo::Result<i16> {
        let heard = self.link.heard.load(Relaxed) && !self.link.connected.load(Relaxed) && self.radio.discovering.load(Relaxed);
        if heard { Ok(RSSI) } else { Err(fdo::Error::UnknownProperty("RSSI".to_owned())) }
    }

    #[zbus(property)]
    fn adapter(&self) -> ObjectPath<'_> {
        ObjectPath::from_static_str_unchecked(ADAPTER)
    }

    #[zbus(property)]
    fn paired(&self) -> fdo::Result<bool> {
        self.link.states("Paired").map(|()| self.link.paired.load(Relaxed))
    }

    #[zbus(property)]
    fn connected(&self) -> fdo::Result<bool> {
        self.link.states("Connected").map(|()| self.link.connected.load(Relaxed))
    }

    #[zbus(property)]
    fn services_resolved(&self) -> fdo::Result<bool> {
        self.link.states("ServicesResolved").map(|()| self.link.connected.load(Relaxed))
    }

    #[zbus(property)]
    fn blocked(&self) -> fdo::Result<bool> {
        self.link.states("Blocked").map(|()| false)
    }

    #[zbus(property)]
    fn legacy_pairing(&self) -> fdo::Result<bool> {
        self.link.states("LegacyPairing").map(|()| false)
    }

    #[zbus(property)]
    fn trusted(&self) -> fdo::Result<bool> {
        self.link.states("Trusted").map(|()| self.trusted)
    }

    #[zbus(property)]
    fn set_trusted(&mut self, trusted: bool) {
        self.trusted = trusted;
    }
}

fn refusal(error: &str) -> Refusal {
    match error {
        "NotReady" => Refusal::NotReady("Resource Not Ready".into()),
        "InProgress" => Refusal::InProgress("Operation already in progress".into()),
        "NotPermitted" => Refusal::NotPermitted("Operation not permitted".into()),
        "AuthenticationFailed" => Refusal::AuthenticationFailed("Authentication Failed".into()),
        _ => Refusal::Failed("le-connection-abort-by-local".into()),
    }
}

pub(super) struct Service {
    pub(super) uuid: String,
}

#[interface(name = "org.bluez.GattService1")]
impl Service {
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> &str {
        &self.uuid
    }

    #[zbus(property)]
    fn primary(&self) -> bool {
        true
    }
}

pub(super) struct Characteristic {
    pub(super) device: String,
    pub(super) uuid: String,
    pub(super) flag: &'static str,
    pub(super) value: Vec<u8>,
    pub(super) link: Arc<Link>,
}

#[interface(name = "org.bluez.GattCharacteristic1")]
impl Characteristic {
    fn read_value(&self, _options: Options) -> Result<Vec<u8>, Refusal> {
        self.link.may_talk()?;
        Ok(if self.uuid == uuid(CURRENT_TIME) { WallTime::now().current_time() } else { self.value.clone() })
    }

    fn write_value(&self, value: Vec<u8>, _options: Options) -> Result<(), Refusal> {
        self.link.may_talk()?;
        if self.uuid == uuid(RECORD_ACCESS) {
            lock(&self.link.requests).push(value.clone());
        }
        say(&json!({"written": {"device": self.device, "characteristic": self.uuid, "bytes": value}}));
        Ok(())
    }

    async fn start_notify(&self) -> Result<(), Refusal> {
        // Not for ever: whoever waits here keeps the value from being changed.
        while self.link.fault() == Some(Fault::Waits) {
            sleep(STORM_HOLDS).await;
        }
        self.link.may_talk()?;
        self.link.notifying.store(true, Relaxed);
        self.link.greet.store(true, Relaxed);
        self.link.subscribed.notify_one();
        Ok(())
    }

    fn stop_notify(&self) -> Result<(), Refusal> {
        self.link.needs(&self.link.notifying, "No notify session started")?;
        self.link.notifying.store(false, Relaxed);
        Ok(())
    }

    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> &str {
        &self.uuid
    }

    #[zbus(property)]
    fn flags(&self) -> Vec<&str> {
        vec![self.flag, "write"]
    }

    #[zbus(property)]
    fn value(&self) -> &[u8] {
        &self.value
    }
}
