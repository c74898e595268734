//! Which kinds of commits the store has refused, and how long each stays away so that others can go on.
//!
//! Always: a refused kind waits longer than the store asked every commit to wait. Without that it would be the next one
//! again, take the frames that ride in it down with it, and nothing would be stored any more.

use crate::writer::Kind;
use record::time::Monotonic;
use std::collections::BTreeMap;

/// How long after the retry a kind refused once stays away; doubled by each further refusal in a row.
const HELD_BACK_US: u64 = 1_000_000;
/// Doublings at most: 16 s. An alert must not wait long for a disk that has room again.
const DOUBLINGS_MAX: u32 = 4;

/// Refusals in a row of each kind.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<Kind, Refused>);

#[derive(Clone, Copy, Debug)]
struct Refused {
    times: u32,
    until: Monotonic,
}

impl Refusals {
    /// A commit of this kind was refused; the next of any kind may begin at `retry_at`.
    pub fn refused(&mut self, kind: Kind, retry_at: Monotonic) {
        let times = self.times(kind).saturating_add(1);
        let away = HELD_BACK_US << (times - 1).min(DOUBLINGS_MAX);
        self.0.insert(kind, Refused { times, until: retry_at.plus_micros(away) });
    }

    /// A commit of this kind is durable.
    pub fn taken(&mut self, kind: Kind) {
        self.0.remove(&kind);
    }

    pub fn times(&self, kind: Kind) -> u32 {
        self.0.get(&kind).map_or(0, |refused| refused.times)
    }

    /// Whether a kind still stays away.
    pub fn hold_back(&self, kind: Kind, now: Monotonic) -> bool {
        self.0.get(&kind).is_some_and(|refused| refused.until > now)
    }

    /// When the next kind may be asked for again.
    pub fn wake_at(&self, now: Monotonic) -> Option<Monotonic> {
        self.0.values().map(|refused| refused.until).filter(|until| *until > now).min()
    }
}
