//! Pairing, which btleplug cannot ask for. The agent exists only while a person pairs, and answers only for that device.

use super::bluez::{self, AgentManager1Proxy};
use crate::down::Unpaired;
use crate::{Down, limits};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zbus::Connection;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

const AGENT_PATH: &str = "/org/lamplight/pairing";
/// Passkeys have six digits.
const PASSKEY_MAX: u32 = 999_999;
/// A PIN of an older device, in bytes.
const PIN_BYTES_MAX: usize = 16;

/// What a device asks of a person while it is being paired. An answer dropped unsaid cancels the pairing.
pub enum PairingAsk {
    /// The device shows six digits, or has them printed on it; the person types them here.
    Passkey(oneshot::Sender<u32>),
    /// An older device: its PIN, 1 to 16 characters.
    Pin(oneshot::Sender<String>),
    /// The device shows six digits: are they these?
    Compare {
        /// 0 to 999999, to be shown with six digits.
        passkey: u32,
        /// Whether they are.
        answer: oneshot::Sender<bool>,
    },
    /// The person types these digits on the device.
    Show {
        /// To be shown as they are.
        digits: String,
    },
}

/// Without the digits, which let anyone near who reads a log listen in.
impl fmt::Debug for PairingAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passkey(_) => "Passkey",
            Self::Pin(_) => "Pin",
            Self::Compare { .. } => "Compare",
            Self::Show { .. } => "Show",
        })
    }
}

/// Pairs with and trusts the device at `path`, which is connected. With nobody to ask, only devices that ask nothing pair.
pub(super) async fn pair(bus: &Connection, path: &str, person: Option<mpsc::Sender<PairingAsk>>, tasks: &TaskTracker) -> Result<(), Down> {
    let device: OwnedObjectPath = ObjectPath::try_from(path.to_owned()).map_err(|error| failed(&error.into()))?.into();
    let capability = if person.is_some() { "KeyboardDisplay" } else { "NoInputNoOutput" };
    let cancelled = Arc::new(AtomicBool::new(false));
    let ended = CancellationToken::new();
    let agent = Agent { device, person, cancelled: Arc::clone(&cancelled), ended: ended.clone() };
    let served = bus.object_server().at(AGENT_PATH, agent).await.map_err(|error| failed(&error))?;
    if !served {
        return Err(Down::PairingFailed(Unpaired::Busy));
    }
    let mut under_way = UnderWay { bus: bus.clone(), path: path.to_owned(), tasks: tasks.clone(), ended, finished: false };
    let outcome = timeout(limits::BLE_PAIR_WAIT, ask(bus, path, capability)).await;
    under_way.finished = outcome.is_ok();
    match outcome {
        Err(_) => Err(Down::PairingFailed(Unpaired::TimedOut)),
        Ok(Ok(())) => Ok(()),
        // Of a low-energy device the service says only that it failed, whoever gave up.
        Ok(Err(_)) if cancelled.load(Ordering::Relaxed) => Err(Down::PairingFailed(Unpaired::Cancelled)),
        Ok(Err(error)) => Err(failed(&error)),
    }
}

async fn ask(bus: &Connection, path: &str, capability: &str) -> zbus::Result<()> {
    let agents = AgentManager1Proxy::new(bus).await?;
    agents.register_agent(&ObjectPath::from_static_str(AGENT_PATH)?, capability).await?;
    let device = bluez::device(bus, path).await?;
    if !device.paired().await? {
        device.pair().await?;
    }
    device.set_trusted(true).await
}

fn failed(error: &zbus::Error) -> Down {
    let zbus::Error::MethodError(name, words, _) = error else { return Down::ConnectFailed { why: format!("pairing: {error}") } };
    match name.as_str().strip_prefix("org.bluez.Error.").unwrap_or_default() {
        "AuthenticationFailed" | "AuthenticationRejected" => Down::PairingFailed(Unpaired::Refused),
        "AuthenticationCanceled" => Down::PairingFailed(Unpaired::Cancelled),
        "AuthenticationTimeout" => Down::PairingFailed(Unpaired::TimedOut),
        "InProgress" => Down::PairingFailed(Unpaired::Busy),
        _ => bluez::named(name.as_str(), words.as_deref().unwrap_or_default()),
    }
}

/// Takes the agent away again, and calls off a pairing that did not come to its end, also when its asker has gone.
struct UnderWay {
    bus: Connection,
    path: String,
    tasks: TaskTracker,
    ended: CancellationToken,
    finished: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.ended.cancel();
        let (bus, path, finished) = (self.bus.clone(), self.path.clone(), self.finished);
        let end = async move {
            if !finished && let Ok(device) = bluez::device(&bus, &path).await {
                let _ = device.cancel_pairing().await;
            }
            if let (Ok(agents), Ok(agent)) = (AgentManager1Proxy::new(&bus).await, ObjectPath::from_static_str(AGENT_PATH)) {
                let _ = agents.unregister_agent(&agent).await;
            }
            let _ = bus.object_server().remove::<Agent, _>(AGENT_PATH).await;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.tasks.spawn_on(timeout(limits::BLE_CALL_WAIT, end), &runtime);
        }
    }
}

/// What the service is told when it is not answered.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.bluez.Error")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    Rejected(String),
    Canceled(String),
}

/// Answers the Bluetooth service's questions on behalf of a person, or of a box with neither keys nor screen.
struct Agent {
    device: OwnedObjectPath,
    person: Option<mpsc::Sender<PairingAsk>>,
    /// The person gave up.
    cancelled: Arc<AtomicBool>,
    /// The service or the asker gave up: nobody waits for an answer.
    ended: CancellationToken,
}

impl Agent {
    fn means(&self, device: &ObjectPath<'_>) -> Result<(), Refusal> {
        if self.device.as_ref() == *device { Ok(()) } else { Err(Refusal::Rejected("not the device being paired".into())) }
    }

    async fn say(&self, ask: PairingAsk) -> Result<(), Refusal> {
        let Some(person) = &self.person else { return Err(Refusal::Rejected("nobody is here to answer".into())) };
        person.send(ask).await.map_err(|_| self.given_up())
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> PairingAsk) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.say(ask(answer)).await?;
        match self.ended.run_until_cancelled(answered).await {
            Some(answer) => answer.map_err(|_| self.given_up()),
            None => Err(Refusal::Canceled("it is over".into())),
        }
    }

    fn given_up(&self) -> Refusal {
        self.cancelled.store(true, Ordering::Relaxed);
        Refusal::Canceled("the person gave up".into())
    }
}

#[zbus::interface(name = "org.bluez.Agent1")]
impl Agent {
    fn release(&self) {}

    fn cancel(&self) {
        self.ended.cancel();
    }

    async fn request_passkey(&self, device: ObjectPath<'_>) -> Result<u32, Refusal> {
        self.means(&device)?;
        let passkey = self.ask(PairingAsk::Passkey).await?;
        if passkey > PASSKEY_MAX { Err(Refusal::Rejected("a passkey has six digits".into())) } else { Ok(passkey) }
    }

    async fn request_pin_code(&self, device: ObjectPath<'_>) -> Result<String, Refusal> {
        self.means(&device)?;
        let pin = self.ask(PairingAsk::Pin).await?;
        if (1..=PIN_BYTES_MAX).contains(&pin.len()) { Ok(pin) } else { Err(Refusal::Rejected("a PIN has 1 to 16 characters".into())) }
    }

    async fn display_passkey(&self, device: ObjectPath<'_>, passkey: u32, entered: u16) -> Result<(), Refusal> {
        self.means(&device)?;
        // It is said anew for every digit the person has typed.
        if entered == 0 { self.say(PairingAsk::Show { digits: format!("{passkey:06}") }).await } else { Ok(()) }
    }

    async fn display_pin_code(&self, device: ObjectPath<'_>, pincode: &str) -> Result<(), Refusal> {
        self.means(&device)?;
        self.say(PairingAsk::Show { digits: pincode.to_owned() }).await
    }

    async fn request_confirmation(&self, device: ObjectPath<'_>, passkey: u32) -> Result<(), Refusal> {
        self.means(&device)?;
        if self.person.is_none() || self.ask(|answer| PairingAsk::Compare { passkey, answer }).await? {
            return Ok(());
        }
        Err(Refusal::Rejected("the digits differ".into()))
    }

    fn request_authorization(&self, device: ObjectPath<'_>) -> Result<(), Refusal> {
        self.means(&device)
    }

    fn authorize_service(&self, device: ObjectPath<'_>, _uuid: &str) -> Result<(), Refusal> {
        self.means(&device)
    }
}
