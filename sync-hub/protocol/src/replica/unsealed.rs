//! The journal's numerics, kept packed in memory: a question reads only the ticks that came after the last one.

use super::damaged;
use crate::store::{StoreError, Transaction};
use record::id::DeviceId;
use record::series::{Boot, Tail, decode_tick};
use record::time::Timestamp;
use std::collections::BTreeMap;

/// The unsealed numerics of every device session.
#[derive(Debug, Default)]
pub(super) struct Unsealed {
    /// The last tick that was read.
    through: u64,
    tails: BTreeMap<(DeviceId, Boot), Tail>,
    /// Of each session, the number after its last sealed sample; of those that ended at or after `since`.
    sealed: BTreeMap<(DeviceId, Boot), u64>,
    since: Option<Timestamp>,
}

impl Unsealed {
    /// Takes in what has been written since, and forgets what has been sealed. The newest tick, if the store says it, tells whether
    /// anything was; `changed` is whether anything may have been sealed.
    pub fn refresh(&mut self, tx: &mut dyn Transaction, newest: Option<u64>, changed: bool) -> Result<(), StoreError> {
        if newest.is_none_or(|newest| newest > self.through) {
            for (id, bytes) in tx.ticks(false, self.through)? {
                for frame in decode_tick(&bytes).map_err(|e| damaged(&format!("journal tick {id}"), &e))? {
                    self.tails.entry((frame.device.clone(), frame.boot)).or_default().push(Some(id), frame);
                }
                self.through = id;
            }
            self.through = newest.unwrap_or(self.through).max(self.through);
        } else if !changed {
            return Ok(());
        }
        if changed {
            self.since = None;
        }
        let Some(since) = self.tails.values().flat_map(Tail::blocks).map(|block| block.start).min() else { return Ok(()) };
        if self.since.is_none_or(|held| since < held) {
            self.since = Some(since);
            self.sealed.clear();
            for (device, boot, waves, next) in tx.sealed_through(since)? {
                if let (false, Ok(device)) = (waves, device.parse()) {
                    self.sealed.insert((device, boot), next);
                }
            }
        }
        for (key, tail) in &mut self.tails {
            tail.forget_before(self.sealed.get(key).copied().unwrap_or(0));
        }
        self.tails.retain(|_, tail| !tail.is_empty());
        Ok(())
    }

    /// The number after a session's last sealed sample.
    pub fn sealed(&self, session: &(DeviceId, Boot)) -> u64 {
        self.sealed.get(session).copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.tails.is_empty()
    }

    pub fn tails(&self) -> impl Iterator<Item = (&(DeviceId, Boot), &Tail)> {
        self.tails.iter()
    }

    pub fn sessions(&self) -> impl Iterator<Item = (&DeviceId, &Tail)> {
        self.tails.iter().map(|((device, _), tail)| (device, tail))
    }
}
