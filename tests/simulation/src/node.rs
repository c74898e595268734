//! A box: the real replica over a disk that fails, with a clock of its own.

use crate::dice::Dice;
use crate::disk::Disk;
use protocol::memory::MemoryStore;
use protocol::session::Session;
use protocol::store::StoreError;
use protocol::{Peer, PeerRole, Replica};
use record::id::{ReplicaId, RunId};
use record::ledger::Identity;
use record::time::{ClockQuality, Monotonic, Now, Timestamp};
use std::collections::BTreeMap;

/// Wall clock at the start of every run, µs since 1970.
const START_US: i64 = 1_800_000_000_000_000;

/// Which box of a run; 0 is the hub.
pub type NodeId = usize;

/// A wall clock as bad as real ones.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// How far it is off, µs.
    pub offset_us: i64,
    /// How fast it runs too fast, millionths.
    pub drift_ppm: i64,
    /// Whether the box believes it.
    pub doubted: bool,
}

/// A session this box has opened and awaits a reply in.
pub struct Talk {
    /// Which, of all sessions of the run.
    pub number: u64,
    /// The message the reply must answer.
    pub step: u64,
    /// Its state.
    pub session: Session,
}

/// A copy of a disk, kept aside.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What it holds.
    pub store: MemoryStore,
    /// When it was made, µs of the run.
    pub at: u64,
}

/// A box.
pub struct Node {
    /// For the trace.
    pub name: String,
    /// Which key it has; copies share it.
    pub key: u8,
    /// Whether it is a copy of another, running besides it.
    pub copy: bool,
    /// Which site it stands in; none: the hub.
    pub site: Option<usize>,
    /// Its disk, which outlives its process.
    pub disk: Disk,
    /// Its process; none while it is down.
    pub replica: Option<Replica>,
    /// Sessions it has opened, by peer.
    pub talks: BTreeMap<NodeId, Talk>,
    /// Its bytes of chance.
    pub dice: Dice,
    /// Its clock.
    pub clock: Clock,
    /// Whom it has admitted.
    pub admitted: Vec<NodeId>,
    /// A backup to restore.
    pub backup: Option<Backup>,
    /// The link session of its devices.
    pub boot: u32,
    /// Samples its devices have counted in this link session.
    pub counted: u64,
    /// Since it was restored or copied, it has not heard what it wrote before: nothing may be sealed by its old bindings.
    pub behind: bool,
    /// Gone for good.
    pub retired: bool,
    id: ReplicaId,
    seal_public: [u8; 32],
}

impl Node {
    /// A new box, not started yet.
    #[must_use]
    pub fn new(name: String, key: u8, site: Option<usize>, seed: u64) -> Self {
        let dice = Dice::new(seed, &name);
        let (id, seal_public) = Identity::from_seed(&[key; 32]).map_or(([0; 32], [0; 32]), |i| (i.replica().0, i.seal_public()));
        Self {
            name,
            key,
            copy: false,
            id: ReplicaId(id),
            seal_public,
            site,
            disk: Disk::default(),
            replica: None,
            talks: BTreeMap::new(),
            dice,
            clock: Clock::default(),
            admitted: Vec::new(),
            backup: None,
            boot: 0,
            counted: 0,
            behind: false,
            retired: false,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ReplicaId {
        self.id
    }

    /// What others know it by.
    #[must_use]
    pub const fn peer(&self, role: PeerRole) -> Peer {
        Peer { replica: self.id, seal_public: self.seal_public, role }
    }

    /// What its clocks show.
    #[must_use]
    pub fn now(&self, at: u64) -> Now {
        let at_us = i64::try_from(at).unwrap_or(i64::MAX);
        let drift = at_us / 1_000_000 * self.clock.drift_ppm;
        let quality = if self.clock.doubted { ClockQuality::Untrusted } else { ClockQuality::Trusted };
        Now { wall: Timestamp(START_US + at_us + self.clock.offset_us + drift), mono: Monotonic(at), quality }
    }

    /// Starts its process.
    ///
    /// # Errors
    /// The disk fails.
    pub fn start(&mut self, at: u64) -> Result<(), StoreError> {
        let mut run = [0; 8];
        protocol::Entropy::fill(&mut self.dice, &mut run);
        let identity = Identity::from_seed(&[self.key; 32]).map_err(|e| StoreError::Other(e.to_string()))?;
        let now = self.now(at);
        self.boot += 1;
        self.counted = 0;
        self.replica = Some(Replica::open(&mut self.disk, identity, RunId(run), "simulation/1", now, &mut self.dice)?);
        Ok(())
    }

    /// Ends its process.
    pub fn stop(&mut self) {
        self.replica = None;
        self.talks.clear();
    }

    /// Whether its process runs.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.replica.is_some()
    }
}
