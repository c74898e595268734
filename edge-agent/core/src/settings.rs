//! What an agent is told at start and never changes.

use driver::profile::Profile;
use edge_api::device::ReachedBy;
use record::id::{BedId, DeviceId, ReplicaId, RunId};
use std::collections::BTreeSet;

/// The configuration of one agent.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The clinic's name.
    pub site: String,
    /// This box.
    pub replica: ReplicaId,
    /// Program version.
    pub version: String,
    /// This process lifetime; random.
    pub run: RunId,
    /// The ward's beds, in painted order.
    pub beds: Vec<BedId>,
    /// Seconds of numerics in one segment; cuts are aligned to the wall clock. At least 1.
    pub seal_every_s: u32,
    /// Seconds of waves in one segment; as above.
    pub seal_waves_every_s: u32,
    /// The devices of its configuration; those a person has paired are in the record.
    pub devices: Vec<DeviceSetting>,
    /// Every profile a device can be paired under.
    pub profiles: Vec<Profile>,
    /// Commands that do more than read a device, by name, which this site allows.
    pub device_commands: BTreeSet<String>,
    /// Bounds.
    pub limits: Limits,
}

/// A device this agent reads.
#[derive(Clone, PartialEq, Debug)]
pub struct DeviceSetting {
    /// Its id in the record.
    pub id: DeviceId,
    /// What the ward calls it.
    pub name: String,
    /// Its model's page of facts.
    pub profile: Profile,
    /// The bed it is bound to at the first start; later bindings are made by people.
    pub bed: Option<BedId>,
    /// How it is reached, where that names it alone.
    pub by: Option<ReachedBy>,
    /// It is a recording: what it says is demonstration data.
    pub replayed: bool,
}

/// Bounds on what is held before it is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one arrival.
    pub arrival_bytes_max: usize,
    /// Memory of frames that wait to be durable. Past it waves are dropped, oldest first, counted and shown; past twice
    /// it new readings are refused, counted and shown, and never acknowledged to the device.
    pub waiting_bytes_max: usize,
    /// Commands waiting for their turn; past it they are answered [`crate::CommandError::Busy`].
    pub commands_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { arrival_bytes_max: 64 * 1024, waiting_bytes_max: 32 * 1024 * 1024, commands_max: 64 }
    }
}
