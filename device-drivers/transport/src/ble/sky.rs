//! What is in the air. While anybody looks, discovery runs and the Bluetooth service's list of devices is read in one
//! call a tick, because btleplug's event stream asks the service about every single advertisement of every stranger's
//! headphones. Filters of several programs are merged by the service, so each seeker checks its own match.

use super::radio::{Air, State};
use crate::limits;
use crate::spec::BleMatch;
use btleplug::api::{Central, ScanFilter};
use std::sync::Arc;
use tokio::sync::watch;
use zbus::zvariant::OwnedValue;

/// A device heard in a scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its Bluetooth address, `AA:BB:CC:DD:EE:FF`.
    pub address: String,
    /// The name it advertises.
    pub name: Option<String>,
    /// Signal strength in dBm; absent for a device that is connected and so does not advertise.
    pub rssi: Option<i16>,
    /// The services it advertises, as 128-bit UUIDs.
    pub services: Vec<u128>,
    /// Where the Bluetooth service keeps it.
    pub(super) path: String,
}

impl Seen {
    pub(super) fn fits(&self, matches: &BleMatch) -> bool {
        if *matches == BleMatch::default() {
            return false;
        }
        matches.address.as_ref().is_none_or(|address| address.eq_ignore_ascii_case(&self.address))
            && matches.name_prefix.as_ref().is_none_or(|prefix| self.name.as_ref().is_some_and(|name| name.starts_with(prefix.as_str())))
            && (matches.services.is_empty() || matches.services.iter().any(|service| self.services.contains(service)))
    }
}

/// The shared view of the air, and the count of those who look: its receivers.
#[derive(Clone)]
pub(super) struct Sky(Arc<watch::Sender<Vec<Seen>>>);

/// One look at the air; discovery runs while any is held.
pub(super) struct Look(watch::Receiver<Vec<Seen>>);

impl Default for Sky {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }
}

impl Sky {
    pub(super) fn look(&self) -> Look {
        Look(self.0.subscribe())
    }

    async fn somebody_looks(&self) {
        while self.0.is_closed() {
            tokio::time::sleep(limits::BLE_SCAN_TICK / 3).await;
        }
    }
}

impl Look {
    /// The devices in the air at the next tick.
    pub(super) async fn seen(&mut self) -> Vec<Seen> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.0.borrow_and_update().clone()
    }
}

/// Runs discovery whenever somebody looks and Bluetooth is up, for the life of the process.
pub(super) async fn watch_sky(sky: Sky, mut state: watch::Receiver<State>) {
    loop {
        sky.somebody_looks().await;
        let up = state.wait_for(|state| matches!(state, State::Up(_))).await.map(|state| state.clone());
        let Ok(State::Up(air)) = up else { return };
        discover(&sky, &air, &mut state).await;
        tokio::time::sleep(limits::BLE_SCAN_TICK).await;
    }
}

/// One run of discovery, until nobody looks, the radio changes, or the service objects.
async fn discover(sky: &Sky, air: &Air, state: &mut watch::Receiver<State>) {
    // Starting a scan switches a radio on that somebody switched off; `State::Up` has looked at that.
    let started = tokio::time::timeout(limits::BLE_CALL_WAIT, air.adapter.start_scan(ScanFilter::default())).await;
    if let Ok(Err(error)) = started {
        // Another program's discovery may already run, whose findings serve as well.
        tracing::debug!(%error, "scan not started");
    }
    while !sky.0.is_closed() && !state.has_changed().unwrap_or(true) {
        let Ok(Ok(seen)) = tokio::time::timeout(limits::BLE_CALL_WAIT, devices(air)).await else { break };
        sky.0.send_replace(seen);
        tokio::time::sleep(limits::BLE_SCAN_TICK).await;
    }
    sky.0.send_replace(Vec::new());
    let _ = tokio::time::timeout(limits::BLE_CALL_WAIT, air.adapter.stop_scan()).await;
}

/// Every device of this adapter that is near: heard since discovery began, or connected already, which is how a
/// device looks whose link a killed process left behind.
async fn devices(air: &Air) -> zbus::Result<Vec<Seen>> {
    let objects = zbus::fdo::ObjectManagerProxy::builder(&air.bus).destination("org.bluez")?.path("/")?.build().await?;
    let ours = format!("/org/bluez/{}/", air.adapter_name);
    let all = objects.get_managed_objects().await?;
    let devices = all.into_iter().filter(|(path, _)| path.starts_with(&ours)).filter_map(|(path, mut interfaces)| {
        let (_, mut device) = interfaces.remove_entry("org.bluez.Device1")?;
        let connected = take::<bool>(&mut device, "Connected").unwrap_or(false);
        let rssi = take::<i16>(&mut device, "RSSI");
        let services = take::<Vec<String>>(&mut device, "UUIDs").unwrap_or_default();
        (connected || rssi.is_some()).then_some(())?;
        Some(Seen {
            address: take(&mut device, "Address")?,
            name: take(&mut device, "Name"),
            rssi,
            services: services.iter().filter_map(|text| uuid::Uuid::parse_str(text).ok()).map(|uuid| uuid.as_u128()).collect(),
            path: path.to_string(),
        })
    });
    Ok(devices.collect())
}

fn take<T: TryFrom<OwnedValue>>(properties: &mut std::collections::HashMap<String, OwnedValue>, name: &str) -> Option<T> {
    properties.remove(name)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_holds_when_everything_given_holds_and_nothing_given_matches_nothing() {
        let seen = Seen {
            address: "02:00:00:00:00:0A".into(),
            name: Some("OX 12".into()),
            rssi: Some(-60),
            services: vec![0x1822],
            path: String::new(),
        };
        let fits = |address: Option<&str>, prefix: Option<&str>, services: &[u128]| {
            seen.fits(&BleMatch { address: address.map(Into::into), name_prefix: prefix.map(Into::into), services: services.into() })
        };
        assert!(!fits(None, None, &[]));
        assert!(fits(Some("02:00:00:00:00:0a"), None, &[]));
        assert!(fits(None, Some("OX"), &[0x180d, 0x1822]));
        assert!(!fits(None, Some("OX"), &[0x180d]));
        assert!(!fits(Some("02:00:00:00:00:0B"), Some("OX"), &[0x1822]));
    }
}
