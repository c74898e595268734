//! What a person may ask, and how it is refused.

use edge_api::alert::{AlertAnswer, AlertView};
use edge_api::bed::{AttachDevice, Observe, PlacePatient, Saved};
use record::id::ResourceId;

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Actor {
    /// User name.
    pub user: String,
    /// Session id.
    pub session: String,
}

/// What is asked. Names are as they came; they are checked here.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Puts a patient into a bed, or empties it.
    PlacePatient {
        /// The bed.
        bed: String,
        /// Who, or nobody.
        request: PlacePatient,
    },
    /// Makes a device read for a bed.
    AttachDevice {
        /// The bed.
        bed: String,
        /// The device.
        device: String,
        /// Whether it may be moved.
        request: AttachDevice,
    },
    /// Records what a person measured.
    Observe {
        /// The bed.
        bed: String,
        /// The set.
        request: Observe,
    },
    /// Takes an alert.
    AcknowledgeAlert {
        /// The alert.
        alert: String,
        /// Why.
        answer: AlertAnswer,
    },
    /// Closes an alert.
    ResolveAlert {
        /// The alert.
        alert: String,
        /// Why.
        answer: AlertAnswer,
    },
}

/// The answer to a command; what it promises is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandReply {
    /// It is saved.
    Saved(Saved),
    /// The alert as it stands.
    Alert(Box<AlertView>),
}

/// What is owed once a command's commit is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Saved { id: u64 },
    Alert { id: u64, alert: ResourceId },
}

/// Why a command was refused; nothing was changed. Each says what, where and what to do; made for a person, not a log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// No such bed.
    #[error("there is no bed {bed:?} on this ward: use one of {known}")]
    UnknownBed {
        /// As given.
        bed: String,
        /// The ward's beds.
        known: String,
    },
    /// No such patient.
    #[error("patient {patient:?} is not in this clinic's record: register the patient first")]
    UnknownPatient {
        /// As given.
        patient: String,
    },
    /// Somebody else lies there, or did when it was measured.
    #[error("bed {bed} does not hold patient {patient} at that time but {in_bed}: check the wristband, nothing was saved")]
    WrongPatient {
        /// The bed.
        bed: String,
        /// As given.
        patient: String,
        /// Who lies there, or "nobody".
        in_bed: String,
    },
    /// No such device.
    #[error("device {device:?} is not configured on this box: add it to the configuration first")]
    UnknownDevice {
        /// As given.
        device: String,
    },
    /// It reads for another bed.
    #[error("device {device} reads for bed {bed}: confirm that it is to be moved")]
    DeviceElsewhere {
        /// The device.
        device: String,
        /// The bed it reads for.
        bed: String,
    },
    /// Not a code that a person records.
    #[error("{code:?} cannot be recorded by hand: use a LOINC code or a word such as \"temperature\"")]
    UnknownCode {
        /// As given.
        code: String,
    },
    /// Not the unit of the code.
    #[error("{code} is recorded in {expected}, got {got:?}: convert the value or change the unit")]
    WrongUnit {
        /// As given.
        code: String,
        /// UCUM.
        expected: &'static str,
        /// As given, cut to 64 characters.
        got: String,
    },
    /// A number no patient has.
    #[error("{code}: {value} is outside {low} to {high}: check the value")]
    OutOfRange {
        /// As given.
        code: String,
        /// As given.
        value: String,
        /// Lowest.
        low: i32,
        /// Highest.
        high: i32,
    },
    /// Measured later than now.
    #[error("the set is dated in the future: check the time of measurement")]
    InFuture,
    /// A correction that reaches too far back.
    #[error("a correction reaches back {hours_max} hours at most: what was filed before stays, and can be marked in the record")]
    TooLongAgo {
        /// How far one may.
        hours_max: i64,
    },
    /// Too many or too few.
    #[error("{what}: {got} given, {min} to {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were given.
        got: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// No such alert.
    #[error("alert {alert:?} is not known here: reload the ward")]
    UnknownAlert {
        /// As given.
        alert: String,
    },
    /// It is over.
    #[error("alert {alert} is resolved already: nothing is left to do")]
    AlreadyResolved {
        /// The alert.
        alert: String,
    },
    /// Too much is waiting.
    #[error("{waiting} commands wait to be saved: try again in a moment")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The program is ending.
    #[error("this box is stopping: try again once it runs")]
    Stopping,
    /// There is no room.
    #[error("not saved: {reason}")]
    DiskFull {
        /// In the words of the store.
        reason: String,
    },
    /// The store refused.
    #[error("not saved: {reason}")]
    NotSaved {
        /// In the words of the store.
        reason: String,
    },
}

impl CommandError {
    /// A stable word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownBed { .. } => "unknown-bed",
            Self::UnknownPatient { .. } => "unknown-patient",
            Self::WrongPatient { .. } => "wrong-patient",
            Self::UnknownDevice { .. } => "unknown-device",
            Self::DeviceElsewhere { .. } => "device-elsewhere",
            Self::UnknownCode { .. } => "unknown-code",
            Self::WrongUnit { .. } => "wrong-unit",
            Self::OutOfRange { .. } => "out-of-range",
            Self::InFuture => "in-future",
            Self::TooLongAgo { .. } => "too-long-ago",
            Self::TooMany { .. } => "too-many",
            Self::UnknownAlert { .. } => "unknown-alert",
            Self::AlreadyResolved { .. } => "already-resolved",
            Self::Busy { .. } => "busy",
            Self::Stopping => "stopping",
            Self::DiskFull { .. } => "disk-full",
            Self::NotSaved { .. } => "not-saved",
        }
    }
}
