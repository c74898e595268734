//! Further readers of a link that is open: a recorder of raw bytes, a technician's screen. They hear what the driver hears and
//! never hold it up: one that falls behind misses the oldest and is told how many.

use crate::event::Stamped;
use crate::limits;
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// What a further reader heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tapped {
    /// An event of the link, as the driver had it.
    Heard(Stamped),
    /// This many events came too fast and were missed.
    Missed(u64),
}

/// A further reader of one link; dropping it ends that.
#[derive(Debug)]
pub struct Tap(broadcast::Receiver<Stamped>);

impl Tap {
    /// The next event; none once the link is closed and all was read.
    pub async fn next(&mut self) -> Option<Tapped> {
        match self.0.recv().await {
            Ok(stamped) => Some(Tapped::Heard(stamped)),
            Err(RecvError::Lagged(missed)) => Some(Tapped::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Where a link's further readers listen; costs nothing until there is one.
#[derive(Clone, Default)]
pub(crate) struct Taps(Arc<OnceLock<broadcast::Sender<Stamped>>>);

impl Taps {
    pub(crate) fn tap(&self) -> Tap {
        Tap(self.0.get_or_init(|| broadcast::Sender::new(limits::TAP_EVENTS)).subscribe())
    }

    pub(crate) fn are_there(&self) -> bool {
        self.0.get().is_some_and(|taps| taps.receiver_count() > 0)
    }

    pub(crate) fn tell(&self, stamped: Stamped) {
        if let Some(taps) = self.0.get() {
            // That nobody reads any more is no fault.
            let _ = taps.send(stamped);
        }
    }
}
