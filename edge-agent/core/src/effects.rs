//! What an agent asks its program to do, in order.

use crate::commands::{CommandError, CommandReply};
use crate::input::LinkId;
use driver::profile::Profile;
use driver::{Channel, DecodeError, Fault};
use edge_api::device::ReachedBy;
use edge_api::live::{LiveMessage, WaveHeader};
use protocol::Commit;
use record::decimal::Decimal;
use record::id::{BedId, DeviceId, PatientId};
use record::time::{Monotonic, Timestamp};
use std::fmt;

/// One thing to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Send bytes to a device.
    Send {
        /// Over which link.
        link: LinkId,
        /// Where on it.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
    /// Open a link to a device and keep it open, under this id.
    OpenLink {
        /// Whose it is.
        device: DeviceId,
        /// Its model.
        profile: Box<Profile>,
        /// How it is reached.
        by: ReachedBy,
    },
    /// Close every link of a device; it is not read any more.
    CloseLinks(DeviceId),
    /// Bond with a Bluetooth device, then say so with [`crate::Input::Bonding`].
    Bond {
        /// The device being paired.
        device: DeviceId,
        /// Its address.
        address: String,
        /// Forget the key of an earlier pairing first.
        anew: bool,
    },
    /// The number that a bonding asked for.
    Passkey {
        /// The device being paired.
        device: DeviceId,
        /// As a person read it off the device: 1 to 16 digits.
        typed: String,
    },
    /// Write down the raw bytes of a device. Who consented is in the audit already.
    Record(Box<Recording>),
    /// Stop doing so.
    StopRecording(DeviceId),
    /// Make this durable, then answer [`crate::Input::Committed`] or [`crate::Input::CommitFailed`]. At most one is
    /// unanswered at any time.
    Commit {
        /// Names the answer.
        token: u64,
        /// What to write.
        commit: Commit,
    },
    /// Answer a command. What it promises is durable.
    Reply {
        /// The command's id.
        id: u64,
        /// The answer.
        result: Result<CommandReply, CommandError>,
    },
    /// Tell every screen. What it shows is durable, or a [`LiveMessage::Saving`] before it has said that nothing is.
    Live(LiveEvent),
    /// Publish numerics. They are durable.
    Telemetry(Vec<Telemetry>),
    /// Give [`crate::Input::Wake`] at this moment; the latest request counts.
    WakeAt(Monotonic),
    /// Write to the log. Holds no patient data.
    Note(Note),
    /// Everything is durable and sealed; the program may end.
    Stopped,
}

/// What to record, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// Of which device.
    pub device: DeviceId,
    /// The file's name, safe as one.
    pub name: String,
    /// What stands at its head, a line each: device, firmware, how, when. Names no person.
    pub head: Vec<String>,
    /// It ends by itself.
    pub until: Monotonic,
    /// The same by the wall clock.
    pub until_wall: Timestamp,
}

/// Something for the screens.
#[derive(Clone, PartialEq, Debug)]
pub enum LiveEvent {
    /// A text frame.
    Message(Box<LiveMessage>),
    /// A binary frame.
    Wave {
        /// Its header.
        header: WaveHeader,
        /// Raw samples, oldest first.
        raw: Vec<i32>,
    },
}

impl From<LiveMessage> for Effect {
    fn from(message: LiveMessage) -> Self {
        Self::Live(LiveEvent::Message(Box::new(message)))
    }
}

/// One durable numeric, for live publication.
#[derive(Clone, PartialEq, Debug)]
pub struct Telemetry {
    /// The bed it read for.
    pub bed: Option<BedId>,
    /// Whom it is about.
    pub patient: Option<PatientId>,
    /// The device.
    pub device: DeviceId,
    /// LOINC code, else `mdc:<n>`.
    pub code: String,
    /// The number, decimals as sent.
    pub value: Option<Decimal>,
    /// UCUM unit.
    pub unit: &'static str,
    /// The status word of the API.
    pub status: String,
    /// When measured.
    pub measured: Timestamp,
    /// When heard.
    pub arrived: Timestamp,
}

/// Something for the log: ids and counts, never values, names or texts that came from a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A link names a device that is not configured.
    UnknownDevice(DeviceId),
    /// A device's profile names a protocol this version does not speak.
    UnknownProtocol(DeviceId),
    /// A paired device's profile is not among those known here.
    UnknownProfile(DeviceId),
    /// A limit was reached.
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Bytes that could not be read.
    Unreadable {
        /// From which device.
        device: DeviceId,
        /// The kind of fault.
        fault: &'static str,
        /// Faults of this device since the last such note, this one included.
        count: u64,
    },
    /// A device clock that cannot be right; arrival times are used.
    ClockUnusable(DeviceId),
    /// Waves dropped because storing is behind.
    WavesDropped {
        /// Samples dropped at this time.
        samples: u64,
    },
    /// Bytes not read because storing is far behind; the device was not told they are safe.
    ReadingsRefused {
        /// From which device.
        device: DeviceId,
    },
    /// A commit failed and will be asked for again.
    CommitFailed {
        /// In the words of the store.
        reason: String,
        /// Failures in a row.
        failures: u32,
    },
    /// A segment could not be built; its samples stay in the journal.
    NotSealed(DeviceId),
    /// A document of the record that cannot be used.
    UnusableDocument {
        /// Its FHIR resource type.
        resource_type: &'static str,
    },
    /// What the ward goes by has changed.
    Configured {
        /// The bundle's name.
        name: String,
    },
    /// Journal recovered at start.
    Recovered {
        /// Ticks read.
        ticks: usize,
        /// Samples in them that were not yet sealed.
        samples: u64,
    },
    /// A backup was put back: its journal is not sealed before the hub has told who was moved since.
    HeldBack,
}

impl Note {
    pub(crate) fn unreadable(device: &DeviceId, fault: &Fault, count: u64) -> Self {
        let fault = match fault.error {
            DecodeError::Truncated { .. } => "truncated",
            DecodeError::Checksum { .. } => "checksum",
            DecodeError::Oversized { .. } => "oversized",
            DecodeError::Field { field, .. } => field,
            DecodeError::Unframed => "unframed",
        };
        Self::Unreadable { device: device.clone(), fault, count }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDevice(device) => write!(f, "a link speaks for device {device}, which is not configured"),
            Self::UnknownProtocol(device) => write!(f, "device {device}: this version does not speak its profile's protocol"),
            Self::UnknownProfile(device) => write!(f, "device {device} was paired under a profile that is not known here: it is not read"),
            Self::TooMany { what, limit } => write!(f, "more than {limit} {what}; the rest is not held"),
            Self::Unreadable { device, fault, count } => write!(f, "device {device}: {count} faults in what it sent, the last: {fault}"),
            Self::ClockUnusable(device) => write!(f, "device {device}: its clock cannot be right; arrival times are used"),
            Self::WavesDropped { samples } => write!(f, "storing is behind: {samples} wave samples dropped"),
            Self::ReadingsRefused { device } => write!(f, "storing is far behind: readings of device {device} are not taken"),
            Self::CommitFailed { reason, failures } => write!(f, "not saved ({failures} in a row), trying again: {reason}"),
            Self::NotSealed(device) => write!(f, "device {device}: a segment could not be built; its samples stay in the journal"),
            Self::UnusableDocument { resource_type } => write!(f, "a {resource_type} of the record cannot be used"),
            Self::Configured { name } => write!(f, "limits and sampling are those of {name:?}"),
            Self::Recovered { ticks, samples } => write!(f, "journal: {ticks} ticks, {samples} samples not yet sealed"),
            Self::HeldBack => {
                write!(f, "a backup was put back: its last values are filed once the hub has told who was moved since, or in a day")
            }
        }
    }
}
