//! What a person may ask, and how it is refused.

use crate::effects::Recording;
use crate::settings::DeviceSetting;
use driver::command::{CommandRefusal, DeviceCommand};
use edge_api::alert::{AlertAnswer, AlertView};
use edge_api::bed::{AttachDevice, Observe, PlacePatient, Saved};
use edge_api::device::{
    BeginPairing, CommandView, FoundDevice, Paired, PairingView, Passkey, ProfileView, ReachedBy, Record, RecordingView, SendCommand,
    SpanView, SwapDevice,
};
use record::id::{BedId, DeviceId, ResourceId};

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
    /// Says what devices a scan heard.
    Recognise(Vec<Sighting>),
    /// Lists the profiles a device can be paired under.
    ListProfiles,
    /// Begins to pair a device.
    BeginPairing(BeginPairing),
    /// Shows the pairings under way.
    ListPairings,
    /// Shows one of them.
    ShowPairing(String),
    /// Gives the number a device shows.
    GivePasskey {
        /// The pairing.
        pairing: String,
        /// The number.
        request: Passkey,
    },
    /// Gives a pairing up.
    CancelPairing(String),
    /// Ends a pairing: the device reads for its bed from now on.
    ConfirmPairing(String),
    /// Lets another device take a device's place.
    SwapDevice {
        /// The device.
        device: String,
        /// The other.
        request: SwapDevice,
    },
    /// Takes a paired device out of use.
    RetireDevice(String),
    /// Shows for which beds a device has read.
    ListBindings(String),
    /// Lists the commands a device has.
    ListCommands(String),
    /// Sends one.
    SendCommand {
        /// The device.
        device: String,
        /// The command's name.
        command: String,
        /// Why, and with what.
        request: SendCommand,
    },
    /// Records a device's raw bytes.
    Record {
        /// The device.
        device: String,
        /// For how long, and by whose consent.
        request: Record,
    },
    /// Ends a recording.
    StopRecording(String),
}

/// What a scan heard of one device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// How it is reached.
    pub by: ReachedBy,
    /// The name it advertises.
    pub name: Option<String>,
    /// Signal strength, dBm.
    pub rssi_dbm: Option<i16>,
    /// Services it advertises, as 128-bit UUIDs.
    pub services: Vec<u128>,
}

/// The answer to a command; what it promises is durable.
#[derive(Clone, PartialEq, Debug)]
pub enum CommandReply {
    /// It is saved.
    Saved(Saved),
    /// The alert as it stands.
    Alert(Box<AlertView>),
    /// What a scan heard, recognised.
    Found(Vec<FoundDevice>),
    /// Profiles.
    Profiles(Vec<ProfileView>),
    /// Pairings under way.
    Pairings(Vec<PairingView>),
    /// A pairing as it stands.
    Pairing(Box<PairingView>),
    /// It is given up.
    Cancelled,
    /// The device is paired.
    Paired(Paired),
    /// For which beds a device has read.
    Bindings(Vec<SpanView>),
    /// A device's commands.
    Commands(Vec<CommandView>),
    /// A recording has begun.
    Recording(RecordingView),
}

/// What is owed once a command's commit is durable.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Saved { id: u64 },
    Alert { id: u64, alert: ResourceId },
    Paired { id: u64, setting: Box<DeviceSetting>, bed: BedId },
    Retired { id: u64, device: DeviceId },
    Command { id: u64, device: DeviceId, command: &'static DeviceCommand, utc_offset_min: Option<i16> },
    Recording { id: u64, recording: Box<Recording> },
    StopRecording { id: u64, device: DeviceId },
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
    #[error("device {device:?} is not known on this box: pair it, or add it to the configuration")]
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
    /// It reads for no bed.
    #[error("device {device} reads for no bed: pair the other device for the bed, or move it there")]
    DeviceUnbound {
        /// The device.
        device: String,
    },
    /// It is somebody's already.
    #[error("this is {name:?} ({device}) of {site}, {}: {next}", bed.as_ref().map_or_else(|| "reading for no bed".to_owned(), |bed| format!("reading for bed {bed}")))]
    PairedAlready {
        /// FHIR Device id.
        device: String,
        /// What its ward calls it.
        name: String,
        /// The bed it reads for.
        bed: Option<String>,
        /// The site it belongs to.
        site: String,
        /// What to do.
        next: &'static str,
    },
    /// It is not a device that a person paired.
    #[error("device {device} is named in this box's configuration: take it out there")]
    Configured {
        /// The device.
        device: String,
    },
    /// The profile is not known, or none was named and none or several fit.
    #[error("profile: {why}")]
    Profile {
        /// What is wrong, and what to do.
        why: String,
    },
    /// It cannot be reached so.
    #[error("by: {why}")]
    Reach {
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// No such pairing.
    #[error("no such pairing is under way: it was confirmed, given up, or this box was restarted; begin anew")]
    UnknownPairing,
    /// It has not come that far.
    #[error("the device cannot be confirmed yet: {says}")]
    NotReady {
        /// What stands in the way.
        says: String,
    },
    /// No number is wanted, or this is none.
    #[error("passkey: {why}")]
    Passkey {
        /// What is wrong.
        why: &'static str,
    },
    /// The device's protocol does not have it.
    #[error("device {device} has no command {command:?}: see its list of commands")]
    UnknownCommand {
        /// The device.
        device: String,
        /// As given.
        command: String,
    },
    /// This site has not allowed it.
    #[error("{command} is switched off on this box: an administrator adds it to device_commands in agent.toml")]
    CommandOff {
        /// The command.
        command: &'static str,
    },
    /// It cannot be made.
    #[error("{command}: {why}")]
    CommandRefused {
        /// The command.
        command: &'static str,
        /// Why, and what to do.
        why: CommandRefusal,
    },
    /// The device is not connected.
    #[error("device {device} is not connected: switch it on and bring it near, then try again")]
    NotConnected {
        /// The device.
        device: String,
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
            Self::DeviceUnbound { .. } => "device-unbound",
            Self::PairedAlready { .. } => "paired-already",
            Self::Configured { .. } => "configured",
            Self::Profile { .. } => "profile",
            Self::Reach { .. } => "unreachable",
            Self::UnknownPairing => "unknown-pairing",
            Self::NotReady { .. } => "not-ready",
            Self::Passkey { .. } => "passkey",
            Self::UnknownCommand { .. } => "unknown-command",
            Self::CommandOff { .. } => "command-off",
            Self::CommandRefused { .. } => "command-refused",
            Self::NotConnected { .. } => "not-connected",
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
