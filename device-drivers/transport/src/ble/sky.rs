//! What is in the air. While anybody looks, discovery runs; the Bluetooth service's list of devices is read each tick, and at
//! once when a device is heard that was quiet, because a thermometer or cuff is awake for seconds. Its list also names those
//! long asleep. Filters of several programs are merged by the service, so each seeker checks its own match.

use super::bluez;
use super::radio::{Air, State};
use super::signals::Signals;
use crate::limits;
use crate::spec::BleMatch;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};
use zbus::{MatchRule, Message, message};

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
    /// Paired with this machine, by whichever program.
    pub paired: bool,
    /// Connected to this machine, by whichever program.
    pub connected: bool,
    /// Awake: heard within the last seconds, or connected.
    pub(super) awake: bool,
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
pub(super) struct Sky(Arc<Shared>);

struct Shared {
    seen: watch::Sender<Vec<Seen>>,
    wanted: Notify,
}

/// One look at the air; discovery runs while any is held.
pub(super) struct Look(watch::Receiver<Vec<Seen>>);

impl Default for Sky {
    fn default() -> Self {
        Self(Arc::new(Shared { seen: watch::Sender::new(Vec::new()), wanted: Notify::new() }))
    }
}

impl Sky {
    pub(super) fn look(&self) -> Look {
        let look = Look(self.0.seen.subscribe());
        self.0.wanted.notify_one();
        look
    }

    fn nobody_looks(&self) -> bool {
        self.0.seen.is_closed()
    }

    async fn somebody_looks(&self) {
        while self.nobody_looks() {
            self.0.wanted.notified().await;
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
        if discover(&sky, &air, &mut state).await.is_err() {
            tokio::time::sleep(limits::BLE_SCAN_TICK).await;
        }
    }
}

/// One run of discovery, until nobody looks, the radio changes, or the service objects.
async fn discover(sky: &Sky, air: &Air, state: &mut watch::Receiver<State>) -> zbus::Result<()> {
    let awake = Arc::new(Awake::default());
    let hears = Arc::clone(&awake);
    let heard = Signals::follow(&air.bus, advertisements(&air.adapter_name)?, move |signal| hears.note(signal)).await?;
    // Not btleplug's scan: that one switches on a radio which somebody switched off.
    let adapter = bluez::adapter(&air.bus, &air.adapter_name).await?;
    let filter = HashMap::from([("Transport", Value::from("le")), ("DuplicateData", Value::from(true))]);
    if let Ok(Err(error)) = timeout(limits::BLE_CALL_WAIT, adapter.set_discovery_filter(filter)).await {
        tracing::debug!(%error, "scan not filtered");
    }
    if let Ok(Err(error)) = timeout(limits::BLE_CALL_WAIT, adapter.start_discovery()).await {
        // Discovery that already runs serves as well.
        tracing::debug!(%error, "scan not started");
    }
    let mut tick = interval(limits::BLE_SCAN_TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outcome = loop {
        match timeout(limits::BLE_CALL_WAIT, devices(air, &awake)).await {
            Ok(Ok(seen)) => sky.0.seen.send_replace(seen),
            Ok(Err(error)) => break Err(error),
            Err(_) => break Err(zbus::Error::Failure("the list of devices did not come".into())),
        };
        tokio::select! {
            _ = tick.tick() => awake.tick(),
            () = heard.noted() => {}
        }
        if sky.nobody_looks() || state.has_changed().unwrap_or(true) {
            break Ok(());
        }
    };
    sky.0.seen.send_replace(Vec::new());
    let _ = timeout(limits::BLE_CALL_WAIT, adapter.stop_discovery()).await;
    outcome
}

/// Every signal by which the service tells of an advertisement.
fn advertisements(adapter: &str) -> zbus::Result<Vec<MatchRule<'static>>> {
    let signal = || MatchRule::builder().msg_type(message::Type::Signal);
    let below = format!("/org/bluez/{adapter}");
    let again = signal().path_namespace(below)?.member("PropertiesChanged")?.arg(0, "org.bluez.Device1")?.build().into_owned();
    let anew = signal().interface("org.freedesktop.DBus.ObjectManager")?.member("InterfacesAdded")?.build();
    Ok(vec![again, anew])
}

/// Devices heard of late, and how many ticks ago.
#[derive(Default)]
struct Awake(Mutex<HashMap<String, u32>>);

impl Awake {
    /// Notes whom a signal tells of; whether that one had been quiet.
    fn note(&self, signal: &Message) -> bool {
        let Some(path) = heard_in(signal) else { return false };
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= limits::BLE_HEARD_MAX && !heard.contains_key(&path) {
            return false;
        }
        heard.insert(path, 0).is_none()
    }

    fn tick(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, ago| {
            *ago += 1;
            *ago < limits::BLE_AWAKE_TICKS
        });
    }

    fn is_awake(&self, path: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(path)
    }
}

/// The device that a signal says was heard: each advertisement carries a signal strength, data, or both.
fn heard_in(signal: &Message) -> Option<String> {
    type Properties<'a> = HashMap<&'a str, Value<'a>>;
    let says = |properties: &Properties<'_>| ["RSSI", "ManufacturerData", "ServiceData"].iter().any(|name| properties.contains_key(name));
    let body = signal.body();
    if let Ok((_, changed, _)) = body.deserialize::<(&str, Properties<'_>, Vec<&str>)>() {
        return says(&changed).then(|| signal.header().path().map(ToString::to_string)).flatten();
    }
    let (path, interfaces) = body.deserialize::<(OwnedObjectPath, HashMap<&str, Properties<'_>>)>().ok()?;
    says(interfaces.get("org.bluez.Device1")?).then(|| path.to_string())
}

/// Every device of this adapter that is near: heard since discovery began, or connected already, which is how a
/// device looks whose link a killed process left behind.
async fn devices(air: &Air, awake: &Awake) -> zbus::Result<Vec<Seen>> {
    let ours = format!("/org/bluez/{}/", air.adapter_name);
    let all = bluez::objects(&air.bus).await?;
    let devices = all.into_iter().filter(|(path, _)| path.starts_with(&ours)).filter_map(|(path, mut interfaces)| {
        let mut device = interfaces.remove("org.bluez.Device1")?;
        let connected = take::<bool>(&mut device, "Connected").unwrap_or(false);
        let rssi = take::<i16>(&mut device, "RSSI");
        let services = take::<Vec<String>>(&mut device, "UUIDs").unwrap_or_default();
        let awake = connected || awake.is_awake(&path);
        (awake || rssi.is_some()).then_some(())?;
        Some(Seen {
            address: take(&mut device, "Address")?,
            name: take(&mut device, "Name"),
            rssi,
            services: services.iter().filter_map(|text| uuid::Uuid::parse_str(text).ok()).map(|uuid| uuid.as_u128()).collect(),
            paired: take(&mut device, "Paired").unwrap_or(false),
            connected,
            awake,
            path: path.to_string(),
        })
    });
    Ok(devices.collect())
}

fn take<T: TryFrom<OwnedValue>>(properties: &mut HashMap<String, OwnedValue>, name: &str) -> Option<T> {
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
            paired: false,
            connected: false,
            awake: true,
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
