//! The one radio: whether Bluetooth is there, who seeks, who connects.

use super::pairing::PairingAsk;
use super::signals::Signals;
use super::sky::{Seen, Sky, watch_sky};
use super::{bluez, pairing};
use crate::down::{Missing, Unpaired};
use crate::outbox::Outbox;
use crate::spec::BleMatch;
use crate::{Down, limits};
use btleplug::api::{Central, CentralState, Manager as _};
use btleplug::platform::{Adapter, Manager};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zbus::names::UniqueName;
use zbus::zvariant::{ObjectPath, Value};
use zbus::{Connection, MatchRule, Message, message};

/// A handle on the radio; clones share it.
#[derive(Clone)]
pub(crate) struct Radio {
    state: watch::Receiver<State>,
    sky: Sky,
    /// Connects are serialised: controllers and the Bluetooth service mishandle overlapping ones.
    pub(super) turn: Arc<Turn<()>>,
    /// Addresses that a link has taken, so that two links with like matches take two devices.
    taken: Arc<Mutex<HashSet<String>>>,
    /// Addresses whose pairing was found to be lost: pairing one forgets the old key first.
    bonds_lost: Arc<Mutex<HashSet<String>>>,
    /// Disconnects under way, which a shutdown waits for.
    pub(super) tasks: TaskTracker,
}

/// Whether Bluetooth can be used.
#[derive(Clone)]
pub(super) enum State {
    /// Not known yet.
    Looking,
    /// No, and why.
    Down(Down),
    /// Yes, with this.
    Up(Arc<Air>),
}

/// What it takes to use Bluetooth, valid while the same service and adapter last.
pub(super) struct Air {
    pub(super) bus: Connection,
    pub(super) adapter: Adapter,
    /// Name of the adapter, `hci0`.
    pub(super) adapter_name: String,
    service: UniqueName<'static>,
}

/// An address taken by one link; dropping it gives it back.
pub(super) struct Taken {
    address: String,
    all: Arc<Mutex<HashSet<String>>>,
}

impl Radio {
    /// Starts watching; ends with `stopping`.
    pub(crate) fn start(stopping: CancellationToken, tasks: TaskTracker) -> Self {
        let (say, state) = watch::channel(State::Looking);
        let sky = Sky::default();
        let watching = stopping.clone();
        tokio::spawn(async move { watching.run_until_cancelled(keep(say)).await });
        let (above, air) = (sky.clone(), state.clone());
        tokio::spawn(async move { stopping.run_until_cancelled(watch_sky(above, air)).await });
        Self { state, sky, turn: Arc::default(), taken: Arc::default(), bonds_lost: Arc::default(), tasks }
    }

    /// Waits for Bluetooth, telling `out` each reason that it is not there.
    pub(super) async fn up(&self, out: &mut Outbox) -> Arc<Air> {
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Looking => {}
                State::Up(air) => return air,
                State::Down(reason) => out.down(reason).await,
            }
            if state.changed().await.is_err() {
                // The radio's task ended, because this process is stopping.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until `air` no longer holds, and says why.
    pub(super) async fn gone(&self, air: &Arc<Air>) -> Down {
        let mut state = self.state.clone();
        let holds = |state: &State| matches!(state, State::Up(other) if Arc::ptr_eq(other, air));
        match state.wait_for(|state| !holds(state)).await.as_deref() {
            Ok(State::Down(reason)) => reason.clone(),
            Ok(State::Up(_) | State::Looking) => Down::AdapterMissing(Missing::Service),
            Err(_) => Down::Stopped,
        }
    }

    /// Waits for a device that fits and is not taken, and takes it.
    pub(super) async fn seek(&self, matches: &BleMatch) -> (Seen, Taken) {
        let mut sky = self.sky.look();
        loop {
            for seen in sky.seen().await {
                // The service's list names devices long asleep: a connect to one of these holds up everybody's.
                if seen.awake
                    && seen.fits(matches)
                    && let Some(taken) = self.take(&seen.address)
                {
                    return (seen, taken);
                }
            }
        }
    }

    pub(crate) async fn scan(&self, duration: Duration) -> Result<Vec<Seen>, Down> {
        self.up_now().await?;
        let mut sky = self.sky.look();
        let mut heard = Vec::new();
        let listen = async {
            loop {
                heard = sky.seen().await;
            }
        };
        let _: Result<(), _> = tokio::time::timeout(duration, listen).await;
        heard.sort_by_key(|seen| std::cmp::Reverse(seen.rssi));
        Ok(heard)
    }

    /// Pairs with the device of this address; `person` is asked what the device wants to know.
    pub(crate) async fn pair(&self, address: &str, person: Option<mpsc::Sender<PairingAsk>>) -> Result<(), Down> {
        let air = self.up_now().await?;
        let pairs = async {
            let mut seen = self.find(address).await?;
            let _taken = tokio::time::timeout(limits::BLE_CONNECT_WAIT, self.take_soon(&seen.address))
                .await
                .map_err(|_| Down::PairingFailed(Unpaired::InUse))?;
            if self.bonds_lost().contains(&seen.address) {
                forget(&air, &seen).await?;
                self.bonds_lost().remove(&seen.address);
                seen = self.find(address).await?;
            }
            {
                // Others connect while a person looks for the digits.
                let _turn = self.turn.lock().await;
                let device = bluez::device(&air.bus, &seen.path).await.map_err(|error| bluez::refusal(&error))?;
                if let Ok(Err(error)) = tokio::time::timeout(limits::BLE_CONNECT_WAIT, device.connect()).await {
                    // Pairing connects, too, and says better why it cannot.
                    tracing::debug!(%error, "not connected before pairing");
                }
            }
            pairing::pair(&air.bus, &seen.path, person, &self.tasks).await
        };
        tokio::select! {
            biased;
            reason = self.gone(&air) => Err(reason),
            outcome = pairs => outcome,
        }
    }

    /// Forgets the pairing with the device of this address, if the service knows it.
    pub(crate) async fn forget(&self, address: &str) -> Result<(), Down> {
        let air = self.up_now().await?;
        let seen = self.find(address).await?;
        forget(&air, &seen).await
    }

    pub(super) fn bond_lost(&self, address: &str) {
        self.bonds_lost().insert(address.to_owned());
    }

    /// The device of this address, once it is heard.
    async fn find(&self, address: &str) -> Result<Seen, Down> {
        let matches = BleMatch { address: Some(address.to_owned()), ..BleMatch::default() };
        let mut sky = self.sky.look();
        let found = async {
            loop {
                if let Some(seen) = sky.seen().await.into_iter().find(|seen| seen.awake && seen.fits(&matches)) {
                    return seen;
                }
            }
        };
        tokio::time::timeout(limits::BLE_CONNECT_WAIT, found).await.map_err(|_| Down::NotSeen)
    }

    /// Bluetooth at once, or why not.
    async fn up_now(&self) -> Result<Arc<Air>, Down> {
        let mut state = self.state.clone();
        match state.wait_for(|state| !matches!(state, State::Looking)).await.as_deref() {
            Ok(State::Up(air)) => Ok(Arc::clone(air)),
            Ok(State::Down(reason)) => Err(reason.clone()),
            Ok(State::Looking) | Err(_) => Err(Down::Stopped),
        }
    }

    async fn take_soon(&self, address: &str) -> Taken {
        loop {
            if let Some(taken) = self.take(address) {
                return taken;
            }
            tokio::time::sleep(limits::RETRY_MIN / 5).await;
        }
    }

    fn bonds_lost(&self) -> MutexGuard<'_, HashSet<String>> {
        self.bonds_lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, address: &str) -> Option<Taken> {
        let fresh = self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned());
        fresh.then(|| Taken { address: address.to_owned(), all: Arc::clone(&self.taken) })
    }
}

/// Makes the service forget a device, its key included.
async fn forget(air: &Air, seen: &Seen) -> Result<(), Down> {
    let removed = async {
        let adapter = bluez::adapter(&air.bus, &air.adapter_name).await?;
        adapter.remove_device(&ObjectPath::try_from(seen.path.as_str())?).await
    };
    let answer = tokio::time::timeout(limits::BLE_CALL_WAIT, removed).await;
    answer.unwrap_or_else(|_| Err(zbus::Error::Failure("no answer".into()))).map_err(|error| bluez::refusal(&error))
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.address);
    }
}

/// Keeps the state true for the life of the process: bus, then service, then adapter, then power.
async fn keep(say: watch::Sender<State>) {
    loop {
        if let Ok(Ok(bus)) = tokio::time::timeout(limits::BLE_CALL_WAIT, Connection::system()).await
            && let Ok(signals) = follow_changes(&bus).await
        {
            tokio::select! {
                () = look_often(&bus, &signals, &say) => {}
                () = signals.bus_lost() => {}
            }
        }
        say.send_replace(State::Down(Down::AdapterMissing(Missing::Bus)));
        tokio::time::sleep(limits::RETRY_MAX / 3).await;
    }
}

/// Everything that may change what [`look`] finds.
async fn follow_changes(bus: &Connection) -> zbus::Result<Signals> {
    let signal = || MatchRule::builder().msg_type(message::Type::Signal);
    let owner = signal().interface("org.freedesktop.DBus")?.member("NameOwnerChanged")?.arg(0, "org.bluez")?.build();
    let objects = |member| -> zbus::Result<_> { Ok(signal().interface("org.freedesktop.DBus.ObjectManager")?.member(member)?.build()) };
    let adapter = signal().path_namespace("/org/bluez")?.member("PropertiesChanged")?.arg(0, "org.bluez.Adapter1")?.build();
    let rules = [owner, objects("InterfacesAdded")?, objects("InterfacesRemoved")?, adapter];
    Signals::follow(bus, rules.map(MatchRule::into_owned).into(), |signal| !is_of_a_device(signal)).await
}

/// Whether an object that came or went is a device or part of one: a ward's air is full of these.
fn is_of_a_device(signal: &Message) -> bool {
    type Interfaces<'a> = HashMap<&'a str, HashMap<&'a str, Value<'a>>>;
    let body = signal.body();
    let added = body.deserialize::<(ObjectPath<'_>, Interfaces<'_>)>().map(|(path, _)| path);
    let path = added.or_else(|_| body.deserialize::<(ObjectPath<'_>, Vec<&str>)>().map(|(path, _)| path));
    path.is_ok_and(|path| path.contains("/dev_"))
}

/// Looks again whenever a signal says to, and every so often. Returns when a Manager cannot be had: its bus is gone.
async fn look_often(bus: &Connection, signals: &Signals, say: &watch::Sender<State>) {
    // One Manager a bus connection: it survives a restart of the Bluetooth service, and each one holds a connection
    // for ever. Adapters and devices are fetched anew from it for every session.
    let Ok(Ok(manager)) = tokio::time::timeout(limits::BLE_CALL_WAIT, Manager::new()).await else { return };
    loop {
        let found = look(bus, &manager).await;
        say.send_if_modified(|state| {
            let news = match (&*state, &found) {
                (State::Up(held), Ok(air)) => held.service != air.service || held.adapter_name != air.adapter_name,
                (State::Down(held), Err(reason)) => held != reason,
                _ => true,
            };
            if news {
                *state = found.map_or_else(State::Down, |air| State::Up(Arc::new(air)));
            }
            news
        });
        let _ = tokio::time::timeout(limits::BLE_LOOK_TICK, signals.noted()).await;
    }
}

async fn look(bus: &Connection, manager: &Manager) -> Result<Air, Down> {
    let owner = async {
        let names = zbus::fdo::DBusProxy::new(bus).await?;
        names.get_name_owner(zbus::names::BusName::from_static_str("org.bluez")?).await.map_err(zbus::Error::from)
    };
    let service = owner.await.map_err(|_| Down::AdapterMissing(Missing::Service))?.into_inner();
    let adapters = async {
        let mut reason = Down::AdapterMissing(Missing::Adapter);
        for adapter in manager.adapters().await.unwrap_or_default() {
            let Ok(info) = adapter.adapter_info().await else { continue };
            match adapter.adapter_state().await {
                Ok(CentralState::PoweredOn) => {
                    let adapter_name = info.split(' ').next().unwrap_or_default().to_owned();
                    return Ok((adapter, adapter_name));
                }
                _ => reason = Down::AdapterOff,
            }
        }
        // An adapter of which the service leaves something out is not listed at all.
        if reason == Down::AdapterMissing(Missing::Adapter) {
            Err(bluez::unstated_adapter(bus).await.unwrap_or(reason))
        } else {
            Err(reason)
        }
    };
    let answer = tokio::time::timeout(limits::BLE_CALL_WAIT, adapters).await;
    let (adapter, adapter_name) = answer.map_err(|_| Down::AdapterMissing(Missing::Service))??;
    Ok(Air { bus: bus.clone(), adapter, adapter_name, service })
}
