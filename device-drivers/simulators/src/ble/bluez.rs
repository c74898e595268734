//! A fake `org.bluez`: one adapter and its devices, with the interfaces and properties that a Bluetooth client needs,
//! and the errors and signals of the real one.

use super::characteristics::WallTime;
use super::peripheral::{Link, Peripheral};
use crate::ready::say;
use anyhow::Result;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedValue};
use zbus::{Connection, interface};

const ADAPTER: &str = "/org/bluez/hci0";
const BATTERY_PERCENT: u8 = 87;
/// Where the measurement and the record access control point lie in a device's own service.
const MEASUREMENT: &str = "char0011";
const RECORDS: &str = "char0014";
const RECORD_ACCESS: u16 = 0x2a52;
const CURRENT_TIME: u16 = 0x2a2b;
const RSSI: i16 = -58;

type Options = HashMap<String, OwnedValue>;

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.bluez.Error")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    NotReady(String),
    Failed(String),
    NotPermitted(String),
}

/// The running service.
pub struct Bluez {
    connection: Connection,
}

impl Bluez {
    /// Takes the name on the bus, with the adapter on and every plugged device in range.
    ///
    /// # Errors
    /// The bus refuses.
    pub async fn start(address: &str, peripherals: &[Peripheral]) -> Result<Self> {
        let connection = zbus::connection::Builder::address(address)?
            .serve_at("/", zbus::fdo::ObjectManager)?
            .serve_at("/org/bluez", AgentManager)?
            .build()
            .await?;
        let bluez = Self { connection };
        bluez.add_adapter(peripherals).await?;
        bluez.connection.request_name("org.bluez").await?;
        Ok(bluez)
    }

    /// Leaves the bus.
    pub async fn stop(self) {
        let _ = self.connection.close().await;
    }

    /// Puts the adapter in, and the devices in its range.
    pub async fn add_adapter(&self, peripherals: &[Peripheral]) -> Result<()> {
        self.connection.object_server().at(ADAPTER, Adapter { powered: true, discovering: false }).await?;
        for peripheral in peripherals.iter().filter(|peripheral| peripheral.plugged) {
            self.plug(peripheral).await?;
        }
        Ok(())
    }

    /// Pulls the adapter out; its devices go with it.
    pub async fn remove_adapter(&self, peripherals: &[Peripheral]) -> Result<()> {
        for peripheral in peripherals.iter().filter(|peripheral| peripheral.plugged) {
            peripheral.link.drop_link();
            self.forget(peripheral).await?;
        }
        self.connection.object_server().remove::<Adapter, _>(ADAPTER).await?;
        Ok(())
    }

    /// Switches the adapter; off ends every connection.
    pub async fn power(&self, on: bool, peripherals: &[Peripheral]) -> Result<()> {
        if !on {
            for peripheral in peripherals.iter().filter(|peripheral| peripheral.plugged) {
                self.disconnect(peripheral).await?;
            }
        }
        let adapter = self.connection.object_server().interface::<_, Adapter>(ADAPTER).await?;
        adapter.get_mut().await.powered = on;
        adapter.get().await.powered_changed(adapter.signal_emitter()).await?;
        Ok(())
    }

    /// Brings a device into range.
    pub async fn plug(&self, peripheral: &Peripheral) -> Result<()> {
        let (server, device) = (self.connection.object_server(), path(peripheral));
        for (place, service, characteristics) in offered(peripheral) {
            server.at(format!("{device}/{place}"), Service { uuid: uuid(service) }).await?;
            for (at, number, flag, value) in characteristics {
                let (name, link) = (peripheral.name.clone(), Arc::clone(&peripheral.link));
                let characteristic = Characteristic { device: name, uuid: uuid(number), flag, value, link };
                server.at(format!("{device}/{place}/{at}"), characteristic).await?;
            }
        }
        let services = vec![uuid(peripheral.service().0)];
        let (address, name, link) = (peripheral.address.clone(), peripheral.name.clone(), Arc::clone(&peripheral.link));
        server.at(device, Device { address, name, services, link, trusted: false }).await?;
        Ok(())
    }

    /// Takes a device out of range: its connection drops, and it is forgotten.
    pub async fn unplug(&self, peripheral: &Peripheral) -> Result<()> {
        self.disconnect(peripheral).await?;
        self.forget(peripheral).await
    }

    /// Sends a measurement, if somebody subscribed.
    pub async fn notify(&self, peripheral: &Peripheral, value: Vec<u8>) {
        self.push(peripheral, MEASUREMENT, value).await;
    }

    /// Says something at the record access control point, if somebody subscribed.
    pub async fn answer(&self, peripheral: &Peripheral, value: Vec<u8>) {
        self.push(peripheral, RECORDS, value).await;
    }

    async fn push(&self, peripheral: &Peripheral, characteristic: &str, value: Vec<u8>) {
        if !peripheral.link.connected.load(Relaxed) || !peripheral.link.notifying.load(Relaxed) {
            return;
        }
        let place = format!("{}/service0010/{characteristic}", path(peripheral));
        if let Ok(characteristic) = self.connection.object_server().interface::<_, Characteristic>(place).await {
            characteristic.get_mut().await.value = value;
            let _ = characteristic.get().await.value_changed(characteristic.signal_emitter()).await;
        }
    }

    async fn disconnect(&self, peripheral: &Peripheral) -> Result<()> {
        let device = self.connection.object_server().interface::<_, Device>(path(peripheral)).await?;
        device.get().await.link_down(device.signal_emitter()).await?;
        Ok(())
    }

    async fn forget(&self, peripheral: &Peripheral) -> Result<()> {
        let (server, device) = (self.connection.object_server(), path(peripheral));
        for (place, _, characteristics) in offered(peripheral) {
            for (at, ..) in characteristics {
                server.remove::<Characteristic, _>(format!("{device}/{place}/{at}")).await?;
            }
            server.remove::<Service, _>(format!("{device}/{place}")).await?;
        }
        server.remove::<Device, _>(device).await?;
        Ok(())
    }
}

/// A characteristic: its place, its 16-bit number, what may be done with it, its value.
type Offer = (&'static str, u16, &'static str, Vec<u8>);

/// What a device offers, by service: the measurement, the battery, who made it, and its clock.
fn offered(peripheral: &Peripheral) -> Vec<(&'static str, u16, Vec<Offer>)> {
    let (service, measurement) = peripheral.service();
    let serial = peripheral.address.replace(':', "").into_bytes();
    let mut own = vec![(MEASUREMENT, measurement, "notify", Vec::new())];
    if peripheral.kind.has_memory() {
        own.push((RECORDS, RECORD_ACCESS, "indicate", Vec::new()));
    }
    own.extend(peripheral.session_start().map(|value| ("char0017", 0x2aaa, "read", value)));
    let mut all = vec![
        ("service0010", service, own),
        ("service0020", 0x180f, vec![("char0021", 0x2a19, "read", vec![BATTERY_PERCENT])]),
        ("service0030", 0x180a, vec![("char0031", 0x2a24, "read", b"Simulated".to_vec()), ("char0033", 0x2a25, "read", serial)]),
    ];
    if peripheral.kind.has_clock() {
        all.push(("service0040", 0x1805, vec![("char0041", CURRENT_TIME, "read", Vec::new())]));
    }
    all
}

fn path(peripheral: &Peripheral) -> String {
    format!("{ADAPTER}/dev_{}", peripheral.address.replace(':', "_"))
}

fn uuid(short: u16) -> String {
    format!("0000{short:04x}-0000-1000-8000-00805f9b34fb")
}

impl Link {
    fn drop_link(&self) {
        self.connected.store(false, Relaxed);
        self.notifying.store(false, Relaxed);
    }

    fn needs(&self, state: &AtomicBool, otherwise: &str) -> Result<(), Refusal> {
        if state.load(Relaxed) { Ok(()) } else { Err(Refusal::Failed(otherwise.into())) }
    }

    fn may_talk(&self) -> Result<(), Refusal> {
        self.needs(&self.connected, "Not connected")?;
        if self.wants_pairing && !self.paired.load(Relaxed) { Err(Refusal::NotPermitted("Read not permitted".into())) } else { Ok(()) }
    }
}

struct AgentManager;

#[interface(name = "org.bluez.AgentManager1")]
impl AgentManager {
    fn register_agent(&self, _agent: ObjectPath<'_>, _capability: &str) {}

    fn unregister_agent(&self, _agent: ObjectPath<'_>) {}

    fn request_default_agent(&self, _agent: ObjectPath<'_>) {}
}

struct Adapter {
    powered: bool,
    discovering: bool,
}

#[interface(name = "org.bluez.Adapter1")]
impl Adapter {
    fn set_discovery_filter(&self, _filter: Options) {}

    async fn start_discovery(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        if !self.powered {
            return Err(Refusal::NotReady("Resource Not Ready".into()));
        }
        self.discovering = true;
        Ok(self.discovering_changed(&emitter).await?)
    }

    async fn stop_discovery(&mut self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        if !self.discovering {
            return Err(Refusal::Failed("No discovery started".into()));
        }
        self.discovering = false;
        Ok(self.discovering_changed(&emitter).await?)
    }

    fn remove_device(&self, _device: ObjectPath<'_>) {}

    #[zbus(property)]
    fn address(&self) -> &str {
        "02:00:00:00:00:FE"
    }

    #[zbus(property)]
    fn address_type(&self) -> &str {
        "public"
    }

    #[zbus(property)]
    fn name(&self) -> &str {
        "simulated"
    }

    #[zbus(property)]
    fn alias(&self) -> &str {
        "simulated"
    }

    #[zbus(property)]
    fn modalias(&self) -> &str {
        "usb:v1D6Bp0246d0542"
    }

    #[zbus(property)]
    fn discovering(&self) -> bool {
        self.discovering
    }

    #[zbus(property)]
    fn powered(&self) -> bool {
        self.powered
    }

    #[zbus(property)]
    fn set_powered(&mut self, powered: bool) {
        self.powered = powered;
    }
}

struct Device {
    address: String,
    name: String,
    services: Vec<String>,
    link: Arc<Link>,
    trusted: bool,
}

impl Device {
    async fn link_down(&self, emitter: &SignalEmitter<'_>) -> zbus::Result<()> {
        self.link.drop_link();
        self.services_resolved_changed(emitter).await?;
        self.connected_changed(emitter).await
    }
}

#[interface(name = "org.bluez.Device1")]
impl Device {
    async fn connect(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        self.link.connected.store(true, Relaxed);
        self.connected_changed(&emitter).await?;
        Ok(self.services_resolved_changed(&emitter).await?)
    }

    async fn disconnect(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        Ok(self.link_down(&emitter).await?)
    }

    async fn pair(&self, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) -> Result<(), Refusal> {
        self.link.paired.store(true, Relaxed);
        Ok(self.paired_changed(&emitter).await?)
    }

    #[zbus(property)]
    fn address(&self) -> &str {
        &self.address
    }

    #[zbus(property)]
    fn address_type(&self) -> &str {
        "public"
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
    fn rssi(&self) -> i16 {
        RSSI
    }

    #[zbus(property)]
    fn adapter(&self) -> ObjectPath<'_> {
        ObjectPath::from_static_str_unchecked(ADAPTER)
    }

    #[zbus(property)]
    fn paired(&self) -> bool {
        self.link.paired.load(Relaxed)
    }

    #[zbus(property)]
    fn connected(&self) -> bool {
        self.link.connected.load(Relaxed)
    }

    #[zbus(property)]
    fn services_resolved(&self) -> bool {
        self.link.connected.load(Relaxed)
    }

    #[zbus(property)]
    fn blocked(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn legacy_pairing(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn trusted(&self) -> bool {
        self.trusted
    }

    #[zbus(property)]
    fn set_trusted(&mut self, trusted: bool) {
        self.trusted = trusted;
    }
}

struct Service {
    uuid: String,
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

struct Characteristic {
    device: String,
    uuid: String,
    flag: &'static str,
    value: Vec<u8>,
    link: Arc<Link>,
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
            self.link.requests.lock().unwrap_or_else(PoisonError::into_inner).push(value.clone());
        }
        say(&json!({"written": {"device": self.device, "characteristic": self.uuid, "bytes": value}}));
        Ok(())
    }

    fn start_notify(&self) -> Result<(), Refusal> {
        self.link.may_talk()?;
        self.link.notifying.store(true, Relaxed);
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
