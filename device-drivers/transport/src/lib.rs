//! The hands on device links: Bluetooth, serial ports, sockets that monitors connect to or wait on, and recordings of any of
//! them.
//!
//!     open(spec) ──▶ one supervised task a link ──▶ Stamped { at, link, event }   (one bounded queue for all links)
//!     send(link, channel, bytes) ──▶ that link      Connected · Bytes · Disconnected { reason: Down }
//!
//! Always: a link that goes down says why, in a reason that names the next step, and is tried again until it is closed;
//! a link that says nothing for its `silence` is down; bytes are stamped by the program's clock as they leave the
//! driver's hands; every queue, piece, wait and retry has a limit (see [`limits`]).
//! Always: no adapter, no D-Bus, no port is an ordinary state of the world, reported and waited out.
//! Further readers of a link (a recorder, a screen) tap it and never hold its driver up.
//! Never here: frames, protocols, what bytes mean (`driver`, `catalogue`); clocks (handed in); patients.
//! Start at [`Transport::open`], then `supervise`, then the hand: `stream` with `serial` and `mllp`, or `ble`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod ble;
pub mod capture;
mod down;
mod event;
pub mod limits;
mod links;
mod mllp;
mod network;
mod outbox;
mod replay;
mod serial;
mod spec;
mod stream;
mod supervise;
mod tap;

pub use ble::{PairingAsk, Seen};
pub use down::{Down, Missing, Unpaired};
pub use event::{Identity, LinkEvent, LinkId, Stamped};
pub use links::NotSent;
pub use serial::{Port, ports};
pub use spec::{BleMatch, BleSpec, DialSpec, Feed, FeedMode, MllpListenSpec, Pace, ReplaySpec, SerialSpec, Spec};
pub use tap::{Tap, Tapped};
pub use tokio_serial::{DataBits, FlowControl, Parity, StopBits};

use ble::{BleLink, Radio};
use driver::Channel;
use links::Links;
use record::time::Now;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;

/// All links of a process. One is made per process, because Bluetooth connects are serialised in it; clones share it.
#[derive(Clone)]
pub struct Transport {
    links: Links,
    radio: Arc<OnceLock<Radio>>,
}

impl Transport {
    /// Hands with nothing open, and the queue of everything that will be heard. The queue is bounded
    /// ([`limits::EVENTS`]); a link whose events are not taken for [`limits::EVENT_WAIT`] goes down and comes back.
    #[must_use]
    pub fn new(clock: impl Fn() -> Now + Send + Sync + Clone + 'static) -> (Self, mpsc::Receiver<Stamped>) {
        let (events, heard) = mpsc::channel(limits::EVENTS);
        (Self { links: Links::new(Arc::new(clock), events), radio: Arc::default() }, heard)
    }

    /// Opens a link and keeps it open: connects, reconnects with backoff, watches for silence, until [`Self::close`].
    /// Must be called inside a tokio runtime.
    pub fn open(&self, spec: Spec) -> LinkId {
        match spec {
            Spec::Ble(spec) => self.links.start(|_| BleLink::new(spec, self.radio())),
            Spec::Serial(spec) => self.links.start(|_| serial::SerialLink(spec)),
            Spec::Mllp(spec) => self.links.start(|at| mllp::Listener::new(spec, self.links.clone(), at)),
            Spec::Tcp(spec) => self.links.start(|_| network::TcpLink(spec)),
            Spec::Udp(spec) => self.links.start(|_| network::UdpLink(spec)),
            Spec::Replay(spec) => self.links.start(|_| replay::Replay(spec)),
        }
    }

    /// Hands bytes to a connected link, which writes them in order. Bytes for a link that is down are dropped: an
    /// answer meant for one session must not reach the next.
    ///
    /// # Errors
    /// The link is closed, or [`limits::COMMANDS`] writes already wait on it.
    pub fn send(&self, link: LinkId, channel: Channel, bytes: Vec<u8>) -> Result<(), NotSent> {
        self.links.send(link, channel, bytes)
    }

    /// A further reader of an open link, which hears from then on what its driver hears; none if the link is closed.
    #[must_use]
    pub fn tap(&self, link: LinkId) -> Option<Tap> {
        self.links.tap(link)
    }

    /// Closes a link; it says [`Down::Stopped`] and is gone. Closing a listener closes the connections it accepted.
    pub fn close(&self, link: LinkId) {
        self.links.close(link);
    }

    /// Lists Bluetooth devices heard within `duration`, strongest signal first.
    ///
    /// # Errors
    /// [`Down::AdapterMissing`] or [`Down::AdapterOff`].
    pub async fn scan(&self, duration: Duration) -> Result<Vec<Seen>, Down> {
        self.radio().scan(duration).await
    }

    /// Pairs with the Bluetooth device of this address, which must be in its pairing mode and in range, and trusts it. Only
    /// ever on a person's request: links never pair by themselves. With nobody asked, only devices that ask nothing pair.
    ///
    /// # Errors
    /// The adapter is missing or off, the device is not seen, or it refused.
    pub async fn pair(&self, address: &str) -> Result<(), Down> {
        self.radio().pair(address, None).await
    }

    /// As [`Self::pair`], with a person who is asked for the passkey. Dropping the future calls the pairing off, as does
    /// dropping what is asked. Give `person` room for one: the service waits for each answer.
    ///
    /// # Errors
    /// As [`Self::pair`]; [`Down::PairingFailed`] says whether the passkey was wrong or the pairing was given up.
    pub async fn pair_asking(&self, address: &str, person: mpsc::Sender<PairingAsk>) -> Result<(), Down> {
        self.radio().pair(address, Some(person)).await
    }

    /// Makes the Bluetooth service forget the device of this address and the key it was paired with.
    ///
    /// # Errors
    /// The adapter is missing or off, or the device is not heard.
    pub async fn forget(&self, address: &str) -> Result<(), Down> {
        self.radio().forget(address).await
    }

    /// Closes every link and waits until each has let go of its port. Events must still be taken meanwhile, or their
    /// receiver dropped.
    pub async fn shutdown(&self) {
        self.links.shutdown().await;
    }

    fn radio(&self) -> Radio {
        self.radio.get_or_init(|| Radio::start(self.links.stopping(), self.links.tasks())).clone()
    }
}
