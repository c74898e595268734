//! What links say.

use crate::Down;
use driver::Channel;
use record::time::Now;
use std::net::SocketAddr;

/// One link of this process. Never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u64);

/// An event with the moment it came in and the link it came over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamped {
    /// When, by the clock given to [`crate::Transport::new`], read before any wait for room in the queue.
    pub at: Now,
    /// Over which link.
    pub link: LinkId,
    /// What.
    pub event: LinkEvent,
}

/// What a link says. After [`LinkEvent::Connected`] come bytes, then [`LinkEvent::Disconnected`]; a link that cannot
/// connect says so once for each new reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// A listener is bound and waits for monitors.
    Listening {
        /// The bound address, the port chosen by the system if 0 was asked for.
        address: SocketAddr,
    },
    /// The device is there and every feed is subscribed.
    Connected {
        /// Who answered.
        identity: Identity,
        /// For a connection a monitor made to us, the listener that took it. Such a link ends with its connection.
        listener: Option<LinkId>,
    },
    /// Bytes as they came: a piece of a stream cut anywhere, or one notification.
    Bytes(Channel, Vec<u8>),
    /// The link is down. Unless it was closed, replayed to its end, or accepted by a listener, it is being tried again.
    Disconnected {
        /// Why, and so what to do.
        reason: Down,
    },
}

/// Who is at the other end, as far as the link knows. A claim: names change and repeat.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Bluetooth address (`AA:BB:…`), port path, or the peer's IP address.
    pub address: String,
    /// The name it goes by, if the link has names.
    pub name: Option<String>,
}
