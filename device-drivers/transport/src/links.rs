//! The open links: their ids, where their writes go, how they are stopped.

use crate::event::{LinkId, Stamped};
use crate::limits;
use crate::outbox::{Clock, Outbox};
use crate::supervise::{Hand, Write, supervise};
use crate::tap::{Tap, Taps};
use driver::Channel;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why bytes were not handed to a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotSent {
    /// No such link is open.
    #[error("the link is closed")]
    Closed,
    /// Too many writes already wait on it.
    #[error("{} writes already wait on the link", limits::COMMANDS)]
    Full,
}

#[derive(Clone)]
pub(crate) struct Links(Arc<Inner>);

struct Inner {
    next: AtomicU64,
    open: Mutex<HashMap<LinkId, Open>>,
    clock: Clock,
    events: mpsc::Sender<Stamped>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

struct Open {
    writes: mpsc::Sender<Write>,
    taps: Taps,
    stop: CancellationToken,
}

/// A link's own ends: what it says, what it is to write, when it is to stop.
pub(crate) struct Ends {
    pub(crate) out: Outbox,
    pub(crate) writes: mpsc::Receiver<Write>,
    pub(crate) stop: CancellationToken,
}

/// Where a link stands among the others.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) link: LinkId,
    pub(crate) stop: CancellationToken,
}

impl Links {
    pub(crate) fn new(clock: Clock, events: mpsc::Sender<Stamped>) -> Self {
        let (next, open, tasks, stopping) = Default::default();
        Self(Arc::new(Inner { next, open, clock, events, tasks, stopping }))
    }

    /// Starts a supervised link.
    pub(crate) fn start<H: Hand>(&self, hand: impl FnOnce(Place) -> H) -> LinkId {
        let (place, ends) = self.enter(&self.0.stopping);
        let link = place.link;
        let run = supervise(hand(place), ends.out, ends.writes, ends.stop);
        self.spawn(link, run);
        link
    }

    /// A place for a link that ends with its one session, stopped with `parent`. Run it with [`Self::spawn`].
    pub(crate) fn enter(&self, parent: &CancellationToken) -> (Place, Ends) {
        let link = LinkId(self.0.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, writes) = mpsc::channel(limits::COMMANDS);
        let stop = parent.child_token();
        let taps = Taps::default();
        self.lock().insert(link, Open { writes: sender, taps: taps.clone(), stop: stop.clone() });
        let out = Outbox::new(link, Arc::clone(&self.0.clock), self.0.events.clone(), taps);
        (Place { link, stop: stop.clone() }, Ends { out, writes, stop })
    }

    /// Runs a link's work and forgets the link when it is done.
    pub(crate) fn spawn(&self, link: LinkId, work: impl Future<Output = ()> + Send + 'static) {
        let links = self.clone();
        self.0.tasks.spawn(async move {
            work.await;
            links.lock().remove(&link);
        });
    }

    pub(crate) fn send(&self, link: LinkId, channel: Channel, bytes: Vec<u8>) -> Result<(), NotSent> {
        let open = self.lock();
        let writes = &open.get(&link).ok_or(NotSent::Closed)?.writes;
        writes.try_send(Write { channel, bytes }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotSent::Full,
            mpsc::error::TrySendError::Closed(_) => NotSent::Closed,
        })
    }

    pub(crate) fn tap(&self, link: LinkId) -> Option<Tap> {
        Some(self.lock().get(&link)?.taps.tap())
    }

    pub(crate) fn close(&self, link: LinkId) {
        if let Some(open) = self.lock().get(&link) {
            open.stop.cancel();
        }
    }

    pub(crate) fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    pub(crate) fn tasks(&self) -> TaskTracker {
        self.0.tasks.clone()
    }

    pub(crate) async fn shutdown(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LinkId, Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
