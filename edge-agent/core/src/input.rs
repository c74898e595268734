//! What an agent hears.

use crate::commands::{Actor, Command};
use crate::pairing::BondEvent;
use driver::Channel;
use edge_api::sync::SyncView;
use protocol::Committed;
use protocol::commit::{DocumentState, GivenUp};
use protocol::replica::Standing;
use record::binding::Binding;
use record::id::{DeviceId, PatientId, ScopeId};
use record::ledger::Hlc;

/// A link as the program numbers it; never reused within a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u64);

/// What a link says. Bytes without a [`LinkEvent::Connected`] before them count as a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEvent {
    /// It is being tried.
    Connecting,
    /// Who answered: its address. A claim, said before [`LinkEvent::Connected`].
    Identified(String),
    /// It is up; a new session of the device begins.
    Connected,
    /// Bytes as they came.
    Bytes(Channel, Vec<u8>),
    /// It is down.
    Disconnected {
        /// Why and what to do next, for a person; no patient data.
        reason: String,
    },
    /// It is down because the device wants to be paired first.
    PairingNeeded {
        /// The same, for a person.
        reason: String,
        /// It was paired once and has lost its key: the old one must be forgotten first.
        lost: bool,
    },
}

/// How much room there is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// It was full; enough to go on has been given up.
    Freed(GivenUp),
    /// It is full, and less than that could be given up: what is left is for alerts and documents.
    Scarce(GivenUp),
    /// It has not been full for a while.
    Plenty,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// A device link spoke.
    Link {
        /// Which link.
        link: LinkId,
        /// The device at its other end.
        device: DeviceId,
        /// What it said.
        event: LinkEvent,
    },
    /// The commit of this token is durable.
    Committed {
        /// The token of [`crate::Effect::Commit`].
        token: u64,
        /// What was written.
        result: Committed,
    },
    /// Nothing of the commit of this token was kept.
    CommitFailed {
        /// The token of [`crate::Effect::Commit`].
        token: u64,
        /// Whether there is no room, so that no commit can be kept.
        full: bool,
        /// Why, without patient data.
        reason: String,
        /// Ask again after this many milliseconds.
        retry_ms: u64,
    },
    /// What came of [`crate::Effect::Bond`].
    Bonding {
        /// The device being paired.
        device: DeviceId,
        /// What the radio says.
        event: BondEvent,
    },
    /// A person wants something.
    Command {
        /// Names the answer.
        id: u64,
        /// Who.
        actor: Actor,
        /// What.
        command: Command,
    },
    /// Documents changed by others: sync, FHIR writes.
    Changed(Vec<DocumentState>),
    /// Bindings written by others.
    BindingsChanged(Vec<(Hlc, Binding)>),
    /// Scopes of patients, as the replica knows them.
    Scopes(Vec<(PatientId, ScopeId)>),
    /// Patients whose record is no longer here: erased, or handed over to another site.
    Closed(Vec<PatientId>),
    /// What the hub wants this ward to go by, and what it was last told of that.
    Configured(Box<Standing>),
    /// What was done about a full disk.
    Room(Room),
    /// Where this box stands with its hub.
    Sync(SyncView),
    /// The moment asked for by [`crate::Effect::WakeAt`] has come.
    Wake,
    /// Seal everything, then say [`crate::Effect::Stopped`].
    Stop,
}
