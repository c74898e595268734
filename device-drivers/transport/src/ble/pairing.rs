//! Pairing, which btleplug cannot ask for. The agent exists only while a person pairs, and agrees only for that device.

use crate::{Down, limits};
use zbus::zvariant::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, fdo};

const AGENT_PATH: &str = "/org/lamplight/pairing";

#[zbus::proxy(interface = "org.bluez.AgentManager1", default_service = "org.bluez", default_path = "/org/bluez", gen_blocking = false)]
trait AgentManager1 {
    fn register_agent(&self, agent: &ObjectPath<'_>, capability: &str) -> zbus::Result<()>;
    fn unregister_agent(&self, agent: &ObjectPath<'_>) -> zbus::Result<()>;
}

#[zbus::proxy(interface = "org.bluez.Device1", default_service = "org.bluez", gen_blocking = false)]
trait Device1 {
    fn pair(&self) -> zbus::Result<()>;
    #[zbus(property)]
    fn paired(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn set_trusted(&self, trusted: bool) -> zbus::Result<()>;
}

/// Pairs with and trusts the device at `path`.
pub(super) async fn pair(bus: &Connection, path: &str) -> Result<(), Down> {
    let device: OwnedObjectPath = ObjectPath::try_from(path.to_owned()).map_err(failed)?.into();
    let _ = bus.object_server().at(AGENT_PATH, Agent { device: device.clone() }).await;
    let outcome = tokio::time::timeout(limits::BLE_PAIR_WAIT, ask(bus, device)).await;
    let _ = bus.object_server().remove::<Agent, _>(AGENT_PATH).await;
    outcome.map_err(|_| Down::ConnectFailed { why: "pairing was not finished in time".into() })?.map_err(failed)
}

async fn ask(bus: &Connection, device: OwnedObjectPath) -> zbus::Result<()> {
    let agents = AgentManager1Proxy::new(bus).await?;
    let ours = ObjectPath::from_static_str(AGENT_PATH)?;
    agents.register_agent(&ours, "NoInputNoOutput").await?;
    let device = Device1Proxy::builder(bus).path(device)?.cache_properties(zbus::proxy::CacheProperties::No).build().await?;
    let paired = if device.paired().await? { Ok(()) } else { device.pair().await };
    let _ = agents.unregister_agent(&ours).await;
    paired?;
    device.set_trusted(true).await
}

fn failed(error: impl std::fmt::Display) -> Down {
    Down::ConnectFailed { why: format!("pairing: {error}") }
}

/// Answers the Bluetooth service's questions on behalf of a person at a box without a keypad.
struct Agent {
    device: OwnedObjectPath,
}

impl Agent {
    fn agree(&self, device: &ObjectPath<'_>) -> fdo::Result<()> {
        if self.device.as_ref() == *device { Ok(()) } else { Err(fdo::Error::AccessDenied("not the device being paired".into())) }
    }
}

#[zbus::interface(name = "org.bluez.Agent1")]
impl Agent {
    fn release(&self) {}

    fn cancel(&self) {}

    fn request_confirmation(&self, device: ObjectPath<'_>, _passkey: u32) -> fdo::Result<()> {
        self.agree(&device)
    }

    fn request_authorization(&self, device: ObjectPath<'_>) -> fdo::Result<()> {
        self.agree(&device)
    }

    fn authorize_service(&self, device: ObjectPath<'_>, _uuid: &str) -> fdo::Result<()> {
        self.agree(&device)
    }
}
