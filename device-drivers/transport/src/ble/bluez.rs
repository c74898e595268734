//! The Bluetooth service as D-Bus knows it: the calls made beside btleplug, and what its refusals mean to a person.

use crate::Down;
use crate::down::Missing;
use std::collections::HashMap;
use zbus::Connection;
use zbus::proxy::CacheProperties;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

/// What btleplug must be told of an adapter; one of these missing and it does not see the adapter at all.
const ADAPTER_NEEDS: [&str; 7] = ["Address", "AddressType", "Name", "Alias", "Modalias", "Powered", "Discovering"];
/// What btleplug must be told of a device.
const DEVICE_NEEDS: [&str; 8] =
    ["Address", "AddressType", "Paired", "Connected", "ServicesResolved", "Trusted", "Blocked", "LegacyPairing"];

#[zbus::proxy(interface = "org.bluez.Device1", default_service = "org.bluez", gen_blocking = false)]
pub(super) trait Device1 {
    fn connect(&self) -> zbus::Result<()>;
    fn disconnect(&self) -> zbus::Result<()>;
    fn pair(&self) -> zbus::Result<()>;
    fn cancel_pairing(&self) -> zbus::Result<()>;
    #[zbus(property)]
    fn connected(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn services_resolved(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn paired(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn set_trusted(&self, trusted: bool) -> zbus::Result<()>;
}

#[zbus::proxy(interface = "org.bluez.Adapter1", default_service = "org.bluez", gen_blocking = false)]
pub(super) trait Adapter1 {
    fn set_discovery_filter(&self, filter: HashMap<&str, Value<'_>>) -> zbus::Result<()>;
    fn start_discovery(&self) -> zbus::Result<()>;
    fn stop_discovery(&self) -> zbus::Result<()>;
    fn remove_device(&self, device: &ObjectPath<'_>) -> zbus::Result<()>;
}

#[zbus::proxy(interface = "org.bluez.AgentManager1", default_service = "org.bluez", default_path = "/org/bluez", gen_blocking = false)]
pub(super) trait AgentManager1 {
    fn register_agent(&self, agent: &ObjectPath<'_>, capability: &str) -> zbus::Result<()>;
    fn unregister_agent(&self, agent: &ObjectPath<'_>) -> zbus::Result<()>;
}

/// Everything the service knows, by path and interface.
pub(super) type Objects = HashMap<OwnedObjectPath, HashMap<String, HashMap<String, OwnedValue>>>;

/// The device at `path`. Its properties are asked for each time: a cache would be one more stream to keep read.
pub(super) async fn device(bus: &Connection, path: &str) -> zbus::Result<Device1Proxy<'static>> {
    Device1Proxy::builder(bus).path(path.to_owned())?.cache_properties(CacheProperties::No).build().await
}

/// The adapter called `name`.
pub(super) async fn adapter(bus: &Connection, name: &str) -> zbus::Result<Adapter1Proxy<'static>> {
    Adapter1Proxy::builder(bus).path(format!("/org/bluez/{name}"))?.cache_properties(CacheProperties::No).build().await
}

/// Asks for all of it.
pub(super) async fn objects(bus: &Connection) -> zbus::Result<Objects> {
    let manager = zbus::fdo::ObjectManagerProxy::builder(bus).destination("org.bluez")?.path("/")?.build().await?;
    let all = manager.get_managed_objects().await?;
    Ok(all.into_iter().map(|(path, of)| (path, of.into_iter().map(|(name, all)| (name.to_string(), all)).collect())).collect())
}

/// What the service leaves out about the device at `path`, so that btleplug does not list it.
pub(super) async fn unstated_device(bus: &Connection, path: &str) -> Option<Down> {
    let objects = objects(bus).await.ok()?;
    let (_, of) = objects.into_iter().find(|(at, _)| at.as_str() == path)?;
    lacks("device", of.get("org.bluez.Device1")?, &DEVICE_NEEDS)
}

/// What the service leaves out about its adapters, if it has any.
pub(super) async fn unstated_adapter(bus: &Connection) -> Option<Down> {
    let objects = objects(bus).await.ok()?;
    objects.values().filter_map(|of| of.get("org.bluez.Adapter1")).find_map(|adapter| lacks("adapter", adapter, &ADAPTER_NEEDS))
}

fn lacks(of: &'static str, stated: &HashMap<String, OwnedValue>, needs: &[&'static str]) -> Option<Down> {
    let property = needs.iter().find(|need| !stated.contains_key(**need))?;
    Some(Down::Unstated { of, property })
}

/// What it means that the service refused, whoever asked.
pub(super) fn refusal(error: &zbus::Error) -> Down {
    let zbus::Error::MethodError(name, words, _) = error else { return Down::ConnectFailed { why: error.to_string() } };
    named(name.as_str(), words.as_deref().unwrap_or_default())
}

/// What an error of this name means. The words are the service's own and may be empty.
pub(super) fn named(name: &str, words: &str) -> Down {
    let short = name.strip_prefix("org.bluez.Error.").unwrap_or(name);
    match short {
        "NotReady" => Down::AdapterOff,
        "NotPermitted" | "NotAuthorized" | "AuthenticationFailed" | "AuthenticationRejected" => Down::PairingNeeded,
        "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => Down::AdapterMissing(Missing::Service),
        "org.freedesktop.DBus.Error.UnknownObject" => Down::ConnectFailed { why: "the device has gone".to_owned() },
        "InProgress" => Down::ConnectFailed { why: "another connect to it is under way".to_owned() },
        _ if words.is_empty() => Down::ConnectFailed { why: short.to_owned() },
        _ => Down::ConnectFailed { why: format!("{words} ({short})") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_service_leads_to_its_own_next_step() {
        let failed = |why: &str| Down::ConnectFailed { why: why.to_owned() };
        for (name, words, down) in [
            ("org.bluez.Error.NotReady", "Resource Not Ready", Down::AdapterOff),
            ("org.bluez.Error.NotPermitted", "Read not permitted", Down::PairingNeeded),
            ("org.bluez.Error.AuthenticationFailed", "", Down::PairingNeeded),
            ("org.bluez.Error.InProgress", "Operation already in progress", failed("another connect to it is under way")),
            ("org.bluez.Error.Failed", "le-connection-abort-by-local", failed("le-connection-abort-by-local (Failed)")),
            ("org.bluez.Error.Failed", "", failed("Failed")),
            ("org.freedesktop.DBus.Error.ServiceUnknown", "", Down::AdapterMissing(Missing::Service)),
        ] {
            assert_eq!(named(name, words), down, "{name}");
        }
    }

    #[test]
    fn the_property_that_is_missing_is_named() {
        let stated: HashMap<String, OwnedValue> =
            DEVICE_NEEDS.iter().filter(|name| **name != "Trusted").map(|name| ((*name).to_owned(), OwnedValue::from(true))).collect();
        assert_eq!(lacks("device", &stated, &DEVICE_NEEDS), Some(Down::Unstated { of: "device", property: "Trusted" }));
        assert_eq!(lacks("device", &stated, &["Paired"]), None);
    }
}
