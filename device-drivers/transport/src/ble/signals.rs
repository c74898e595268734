//! Follows D-Bus signals in a task of its own. A stream that nobody reads stalls the whole zbus connection, so the task
//! only ever notes: it wakes whoever asked and reads on.

use futures_util::StreamExt;
use futures_util::stream::select_all;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use zbus::{Connection, MatchRule, Message, MessageStream};

/// Signals being followed; dropping it ends that.
pub(crate) struct Signals {
    noted: Arc<Notify>,
    bus_lost: CancellationToken,
    _task: DropGuard,
}

impl Signals {
    /// Follows every signal that fits one of `rules` and for which `matters` holds.
    pub(crate) async fn follow(
        bus: &Connection,
        rules: Vec<MatchRule<'static>>,
        matters: impl Fn(&Message) -> bool + Send + 'static,
    ) -> zbus::Result<Self> {
        let mut streams = Vec::new();
        for rule in rules {
            streams.push(MessageStream::for_match_rule(rule, bus, None).await?);
        }
        let mut signals = select_all(streams);
        let (noted, bus_lost, stop) = (Arc::new(Notify::new()), CancellationToken::new(), CancellationToken::new());
        let (note, lost) = (Arc::clone(&noted), bus_lost.clone().drop_guard());
        let follow = async move {
            while let Some(Ok(signal)) = signals.next().await {
                if matters(&signal) {
                    note.notify_one();
                }
            }
            drop(lost);
        };
        let task = stop.clone();
        tokio::spawn(async move { task.run_until_cancelled(follow).await });
        Ok(Self { noted, bus_lost, _task: stop.drop_guard() })
    }

    /// Waits for the next signal that matters; several in a row may wake once.
    pub(crate) async fn noted(&self) {
        self.noted.notified().await;
    }

    /// Waits until the bus itself is gone.
    pub(crate) async fn bus_lost(&self) {
        self.bus_lost.cancelled().await;
    }
}
