//! A fake `org.bluez`: one adapter and its devices, with the interfaces and properties that a Bluetooth client needs,
//! and the errors and signals of the real one.

mod objects;

use super::peripheral::Peripheral;
use anyhow::Result;
use objects::{Adapter, AgentManager, Characteristic, Device, Radio, Service};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use zbus::Connection;

const ADAPTER: &str = "/org/bluez/hci0";
const BATTERY_PERCENT: u8 = 87;
/// Where the measurement and the record access control point lie in a device's own service.
const MEASUREMENT: &str = "char0011";
const RECORDS: &str = "char0014";
const RECORD_ACCESS: u16 = 0x2a52;
const CURRENT_TIME: u16 = 0x2a2b;

/// The running service.
pub struct Bluez {
    connection: Connection,
    radio: Arc<Radio>,
    /// Properties that the adapter does not state.
    adapter_omits: Vec<String>,
}

impl Bluez {
    /// Takes the name on the bus, with the adapter on and every plugged device in range. `adapter_omits` names properties
    /// that the adapter does not state.
    ///
    /// # Errors
    /// The bus refuses.
    pub async fn start(address: &str, peripherals: &[Peripheral], adapter_omits: &[String]) -> Result<Self> {
        let radio = Arc::<Radio>::default();
        let connection = zbus::connection::Builder::address(address)?
            .serve_at("/", zbus::fdo::ObjectManager)?
            .serve_at("/org/bluez", AgentManager(Arc::clone(&radio)))?
            .build()
            .await?;
        let bluez = Self { connection, radio, adapter_omits: adapter_omits.to_vec() };
        for peripheral in peripherals {
            peripheral.link.drop_link();
        }
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
        self.radio.discovering.store(false, Relaxed);
        let (omitted, radio) = (self.adapter_omits.clone(), Arc::clone(&self.radio));
        self.connection.object_server().at(ADAPTER, Adapter { powered: true, omitted, radio }).await?;
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
            self.radio.discovering.store(false, Relaxed);
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
        link.heard.store(false, Relaxed);
        server.at(device, Device { address, name, services, link, radio: Arc::clone(&self.radio), trusted: false }).await?;
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

    /// While discovery runs, everyone awake and unconnected is heard.
    pub async fn advertise(&self, peripherals: &[Peripheral]) {
        if !self.radio.discovering.load(Relaxed) {
            return;
        }
        let heard = |p: &&Peripheral| p.plugged && p.link.awake.load(Relaxed) && !p.link.connected.load(Relaxed);
        for peripheral in peripherals.iter().filter(heard) {
            if let Ok(device) = self.connection.object_server().interface::<_, Device>(path(peripheral)).await {
                let _ = device.get().await.advertise(device.signal_emitter()).await;
            }
        }
    }

    /// Forgets whom it was asked to forget; such a device is new when it is next heard.
    ///
    /// # Errors
    /// The bus refuses.
    pub async fn forget_removed(&self, peripherals: &[Peripheral]) -> Result<()> {
        let removed = self.radio.removed();
        for peripheral in peripherals.iter().filter(|p| p.plugged && removed.contains(&path(p))) {
            self.unplug(peripheral).await?;
            peripheral.link.paired.store(false, Relaxed);
            self.plug(peripheral).await?;
        }
        Ok(())
    }

    /// Ends a device's connection, from its side.
    ///
    /// # Errors
    /// The bus refuses.
    pub async fn disconnect(&self, peripheral: &Peripheral) -> Result<()> {
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
