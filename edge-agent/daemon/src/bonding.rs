//! Bonding with Bluetooth devices on a person's request: what the radio asks goes to the brain, what the person types comes back.

use edge_core::{BondEvent, Input};
use record::id::DeviceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use transport::{Down, PairingAsk, Transport, Unpaired};

/// A link that was closed lets go of its device within moments: so often, and so long between, is it tried meanwhile.
const LETS_GO_TRIES: u32 = 20;
const LETS_GO_EVERY: Duration = Duration::from_millis(250);

/// Bondings under way.
#[derive(Default)]
pub struct Bondings(HashMap<DeviceId, Bonding>);

struct Bonding {
    task: AbortHandle,
    question: Question,
}

/// What waits for a person.
type Question = Arc<Mutex<Option<Answer>>>;

enum Answer {
    Passkey(oneshot::Sender<u32>),
    Pin(oneshot::Sender<String>),
    Compare(u32, oneshot::Sender<bool>),
}

impl Bondings {
    /// Bonds with a device; what comes of it goes to `heard`. With `anew` the key of an earlier bonding is forgotten first.
    pub fn begin(&mut self, transport: &Transport, device: DeviceId, address: String, anew: bool, heard: mpsc::Sender<Input>) {
        let question = Question::default();
        let (transport, asks, whose) = (transport.clone(), Arc::clone(&question), device.clone());
        let task = tokio::spawn(async move {
            let outcome = bond(&transport, &address, anew, &asks, &whose, &heard).await;
            let event = match outcome {
                Ok(()) => BondEvent::Bonded,
                Err(down) => BondEvent::Refused(format!("{down}. {}", down.next_step())),
            };
            say(&heard, &whose, event).await;
        });
        if let Some(earlier) = self.0.insert(device, Bonding { task: task.abort_handle(), question }) {
            earlier.task.abort();
        }
    }

    /// Answers what a device asked. Nobody waits for it any more where the radio gave up.
    pub fn answer(&self, device: &DeviceId, typed: String) {
        let Some(bonding) = self.0.get(device) else { return };
        let answer = bonding.question.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A number that is none is dropped unsaid, which calls the bonding off.
        match (answer, typed.parse::<u32>()) {
            (Some(Answer::Passkey(say)), Ok(number)) => drop(say.send(number)),
            (Some(Answer::Compare(shown, say)), Ok(number)) => drop(say.send(number == shown)),
            (Some(Answer::Pin(say)), _) => drop(say.send(typed)),
            (Some(Answer::Passkey(_) | Answer::Compare(..)) | None, _) => {}
        }
    }

    /// Calls a bonding off.
    pub fn end(&mut self, device: &DeviceId) {
        if let Some(bonding) = self.0.remove(device) {
            bonding.task.abort();
        }
    }
}

async fn bond(
    transport: &Transport,
    address: &str,
    anew: bool,
    question: &Question,
    device: &DeviceId,
    heard: &mpsc::Sender<Input>,
) -> Result<(), Down> {
    if anew {
        // One that is not known any more is forgotten already.
        let _ = transport.forget(address).await;
    }
    for _ in 0..LETS_GO_TRIES {
        let (person, mut asks) = mpsc::channel(1);
        let relay = async {
            while let Some(ask) = asks.recv().await {
                let (answer, event) = match ask {
                    PairingAsk::Passkey(answer) => (Some(Answer::Passkey(answer)), BondEvent::PasskeyAsked),
                    PairingAsk::Pin(answer) => (Some(Answer::Pin(answer)), BondEvent::PasskeyAsked),
                    // Whoever must type what the device shows has looked at it.
                    PairingAsk::Compare { passkey, answer } => (Some(Answer::Compare(passkey, answer)), BondEvent::PasskeyAsked),
                    PairingAsk::Show { digits } => (None, BondEvent::PasskeyShown(digits)),
                };
                *question.lock().unwrap_or_else(PoisonError::into_inner) = answer;
                say(heard, device, event).await;
            }
            std::future::pending().await
        };
        let outcome = tokio::select! {
            outcome = transport.pair_asking(address, person) => outcome,
            never = relay => never,
        };
        match outcome {
            Err(Down::PairingFailed(Unpaired::InUse)) => tokio::time::sleep(LETS_GO_EVERY).await,
            outcome => return outcome,
        }
    }
    Err(Down::PairingFailed(Unpaired::InUse))
}

async fn say(heard: &mpsc::Sender<Input>, device: &DeviceId, event: BondEvent) {
    // The loop's end is the program's end.
    let _ = heard.send(Input::Bonding { device: device.clone(), event }).await;
}
