//! What the connections of one process to one database share: the address, the keys, and whether it is there.
//!
//! The first connection that finds it away says so, once, and starts a thread that looks for it with growing pauses. Meanwhile
//! nobody else tries: who asks is told at once.

use super::link::probe;
use super::sealing::Sealer;
use super::url::PostgresUrl;
use protocol::store::StoreError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::sleep;
use std::time::Duration;

/// Pauses between two looks: the first, and what they grow to.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Shared {
    pub url: PostgresUrl,
    pub sealer: Sealer,
    presence: Mutex<Presence>,
    changed: Condvar,
}

struct Presence {
    /// Why it is away.
    away: Option<String>,
    /// Before the next look. Only a transaction that has begun makes it short again.
    pause: Duration,
}

impl Shared {
    pub fn new(url: PostgresUrl, key: &[u8; 32]) -> Result<Arc<Self>, StoreError> {
        let presence = Mutex::new(Presence { away: None, pause: PAUSE });
        Ok(Arc::new(Self { url, sealer: Sealer::new(key)?, presence, changed: Condvar::new() }))
    }

    /// The error of whoever asks while it is away; none while it is there, as far as is known.
    pub fn away(&self) -> Option<StoreError> {
        self.presence().away.as_ref().map(|why| self.away_because(why))
    }

    pub fn away_because(&self, why: &str) -> StoreError {
        StoreError::Away { what: self.url.to_string(), why: why.to_owned() }
    }

    /// A connection was lost and could not be made again.
    pub fn lost(self: &Arc<Self>, why: &str) {
        if self.presence().away.replace(why.to_owned()).is_some() {
            return;
        }
        tracing::warn!(database = %self.url, why, "PostgreSQL is not reached: what needs it is answered 503 until it is back");
        let looked_for = Arc::downgrade(self);
        if std::thread::Builder::new().name("look-for-postgres".to_owned()).spawn(move || look_for(&looked_for)).is_err() {
            // Without a thread that looks, the next who asks must try.
            self.presence().away = None;
        }
    }

    /// A transaction has begun on a new connection.
    pub fn there(&self) {
        self.presence().pause = PAUSE;
    }

    /// Waits until it is there, as far as is known, or so long.
    pub fn wait(&self, longest: Duration) {
        let waited = self.changed.wait_timeout_while(self.presence(), longest, |presence| presence.away.is_some());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks until it is back or nobody is left who wants it.
fn look_for(shared: &Weak<Shared>) {
    while let Some(pause) = shared.upgrade().map(|shared| {
        let mut presence = shared.presence();
        let pause = presence.pause;
        presence.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }) {
        sleep(pause);
        let Some(shared) = shared.upgrade() else { return };
        match probe(&shared.url) {
            Err(why) => shared.presence().away = Some(why),
            Ok(()) => {
                tracing::info!(database = %shared.url, "PostgreSQL is back");
                shared.presence().away = None;
                shared.changed.notify_all();
                return;
            }
        }
    }
}
