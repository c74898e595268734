//! A link's voice: stamps what it says, keeps its state consistent, waits a limited time for room.

use crate::event::{Identity, LinkEvent, LinkId, Stamped};
use crate::tap::Taps;
use crate::{Down, limits};
use driver::Channel;
use record::time::Now;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;

pub(crate) type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Says what happens on one link. Repeats of the same reason for being down are said once.
pub(crate) struct Outbox {
    link: LinkId,
    clock: Clock,
    events: mpsc::Sender<Stamped>,
    taps: Taps,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Fresh,
    Up,
    Down(Down),
}

impl Outbox {
    pub(crate) fn new(link: LinkId, clock: Clock, events: mpsc::Sender<Stamped>, taps: Taps) -> Self {
        Self { link, clock, events, taps, state: State::Fresh }
    }

    pub(crate) fn now(&self) -> Now {
        (self.clock)()
    }

    pub(crate) async fn listening(&mut self, address: SocketAddr) -> Result<(), Down> {
        self.state = State::Up;
        self.say(LinkEvent::Listening { address }).await
    }

    pub(crate) async fn connected(&mut self, identity: Identity, listener: Option<LinkId>) -> Result<(), Down> {
        self.state = State::Up;
        self.say(LinkEvent::Connected { identity, listener }).await
    }

    pub(crate) async fn bytes(&mut self, channel: Channel, bytes: Vec<u8>) -> Result<(), Down> {
        self.say(LinkEvent::Bytes(channel, bytes)).await
    }

    /// Says that the link is down, if that is news. Keeps trying: a link must never look up when it is not.
    pub(crate) async fn down(&mut self, reason: Down) {
        let next = State::Down(reason.clone());
        if self.state == next {
            return;
        }
        self.state = next;
        tracing::info!(link = self.link.0, %reason, "link down");
        while self.say(LinkEvent::Disconnected { reason: reason.clone() }).await == Err(Down::NotTaken) {}
    }

    async fn say(&self, event: LinkEvent) -> Result<(), Down> {
        let stamped = Stamped { at: self.now(), link: self.link, event };
        let copy = self.taps.are_there().then(|| stamped.clone());
        match self.events.send_timeout(stamped, limits::EVENT_WAIT).await {
            Ok(()) => {
                copy.into_iter().for_each(|copy| self.taps.tell(copy));
                Ok(())
            }
            Err(SendTimeoutError::Timeout(_)) => Err(Down::NotTaken),
            Err(SendTimeoutError::Closed(_)) => Err(Down::Stopped),
        }
    }
}
