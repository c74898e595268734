//! Devices as a technician meets them: what is in the air, pairing, moving, exchanging, commands, recordings.

use crate::bed::Saved;
use record::decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Path that lists [`ProfileView`]s.
pub const PROFILES: &str = "/api/v1/devices/profiles";
/// Path of [`Scan`].
pub const SCAN: &str = "/api/v1/devices/scan";
/// Path that begins and lists pairings.
pub const PAIRINGS: &str = "/api/v1/devices/pairings";
/// Path of one [`PairingView`].
pub const PAIRING: &str = "/api/v1/devices/pairings/{pairing}";
/// Path of [`Passkey`].
pub const PASSKEY: &str = "/api/v1/devices/pairings/{pairing}/passkey";
/// Path that ends a pairing well.
pub const CONFIRM: &str = "/api/v1/devices/pairings/{pairing}/confirm";
/// Path that takes a paired device out of use.
pub const DEVICE: &str = "/api/v1/devices/{device}";
/// Path that lists [`SpanView`]s.
pub const BINDINGS: &str = "/api/v1/devices/{device}/bindings";
/// Path of [`MoveDevice`].
pub const MOVE: &str = "/api/v1/devices/{device}/move";
/// Path of [`SwapDevice`].
pub const SWAP: &str = "/api/v1/devices/{device}/swap";
/// Path that lists [`CommandView`]s.
pub const COMMANDS: &str = "/api/v1/devices/{device}/commands";
/// Path of [`SendCommand`].
pub const COMMAND: &str = "/api/v1/devices/{device}/commands/{command}";
/// Path of [`Record`] and of the list of [`RecordingView`]s.
pub const RECORDINGS: &str = "/api/v1/devices/{device}/recordings";
/// Path that ends a recording before its time.
pub const RECORDING_STOP: &str = "/api/v1/devices/{device}/recordings/stop";
/// Path of one recording's text.
pub const RECORDING: &str = "/api/v1/devices/{device}/recordings/{recording}";

/// How a device is reached, beside what its profile says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReachedBy {
    /// Bluetooth Low Energy.
    Bluetooth {
        /// `AA:BB:CC:DD:EE:FF`.
        address: String,
    },
    /// A serial port of this box.
    Serial {
        /// Its path, best a stable one: `/dev/serial/by-id/…`.
        path: String,
    },
    /// It connects to a port of this box.
    Listen {
        /// Where it is waited for: `0.0.0.0:2575`.
        address: String,
    },
    /// It waits for this box.
    Network {
        /// Its IP address, with a port where that is not its protocol's own.
        address: String,
    },
}

impl ReachedBy {
    /// The address alone.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Bluetooth { address } | Self::Listen { address } | Self::Network { address } => address,
            Self::Serial { path } => path,
        }
    }

    /// Whether both mean one device; Bluetooth addresses are written in either case.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bluetooth { address }, Self::Bluetooth { address: of }) => address.eq_ignore_ascii_case(of),
            _ => self == other,
        }
    }
}

impl fmt::Display for ReachedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bluetooth { address } => write!(f, "Bluetooth {address}"),
            Self::Serial { path } => write!(f, "serial port {path}"),
            Self::Listen { address } => write!(f, "a connection it makes to {address}"),
            Self::Network { address } => write!(f, "network {address}"),
        }
    }
}

/// Looks for devices near this box.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// How long, 1 to 30; 8 if absent.
    #[serde(default)]
    pub seconds: Option<u8>,
}

/// What a scan heard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScanView {
    /// Devices, strongest signal first, then serial ports.
    pub found: Vec<FoundDevice>,
    /// Why Bluetooth was not searched and what to do; absent while it was.
    pub problem: Option<String>,
}

/// A device that was heard, or a port that is there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FoundDevice {
    /// How it is reached.
    pub by: ReachedBy,
    /// The name it goes by. A claim: names change and repeat.
    pub name: Option<String>,
    /// Serial number, where this box has read it.
    pub serial: Option<String>,
    /// Signal strength, dBm; absent for ports and for devices in a connection.
    pub rssi_dbm: Option<i16>,
    /// 0–100, where it is known.
    pub battery_percent: Option<u8>,
    /// "Bluetooth SIG Pulse oximeter, continuous", or "unknown protocol".
    pub known_as: String,
    /// Profiles that fit it, the closest first. Empty: a person may know which.
    pub profiles: Vec<ProfileView>,
    /// Whose it is already.
    pub paired: Option<PairedView>,
}

/// A profile a device can be paired under.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileView {
    /// Its name: `sig-pulse-oximeter`.
    pub name: String,
    /// Who makes the device.
    pub maker: String,
    /// Its model.
    pub model: String,
    /// Protocol id.
    pub protocol: String,
    /// Not yet seen against the real device.
    pub experimental: bool,
}

/// Whose a device is already.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PairedView {
    /// FHIR Device id.
    pub device: String,
    /// What its ward calls it.
    pub name: String,
    /// The bed it reads for.
    pub bed: Option<String>,
    /// The site it belongs to.
    pub site: String,
    /// Whether that is this box.
    pub here: bool,
}

/// Begins to pair a device. Nothing of it is filed to a patient before it is confirmed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginPairing {
    /// How it is reached.
    pub by: ReachedBy,
    /// The bed it will read for.
    pub bed: String,
    /// Its profile; absent where what it advertises fits one alone.
    #[serde(default)]
    pub profile: Option<String>,
    /// What the ward will call it; absent: maker and model.
    #[serde(default)]
    pub name: Option<String>,
    /// The device of this bed that it replaces.
    #[serde(default)]
    pub replaces: Option<String>,
    /// True bonds before connecting: for devices that ask for it only in their pairing mode.
    #[serde(default)]
    pub bond: bool,
    /// True takes a device that another site says is its own; without it that is refused, naming bed and site.
    #[serde(default)]
    pub take_over: bool,
}

/// How far a pairing has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PairingStage {
    /// It is being reached.
    Connecting,
    /// The radios agree on a key.
    Bonding,
    /// It wants the number it shows.
    Passkey,
    /// It is heard; not yet for long enough.
    Listening,
    /// It may be confirmed.
    Ready,
    /// It will not come about; begin anew.
    Failed,
}

/// A pairing under way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PairingView {
    /// Names it.
    pub id: String,
    /// The FHIR Device id the device has, or will have.
    pub device: String,
    /// How far it has come.
    pub stage: PairingStage,
    /// What is happening, and what to do next.
    pub says: String,
    /// How the device is reached.
    pub by: ReachedBy,
    /// What the ward will call it.
    pub name: String,
    /// Its profile.
    pub profile: ProfileView,
    /// The bed it will read for.
    pub bed: String,
    /// The device it replaces there.
    pub replaces: Option<String>,
    /// Serial number, as it states it.
    pub serial: Option<String>,
    /// Model, as it states it.
    pub model: Option<String>,
    /// Firmware, as it states it.
    pub firmware: Option<String>,
    /// 0–100.
    pub battery_percent: Option<u8>,
    /// Device clock minus ours, where it states one.
    pub clock_offset_ms: Option<i64>,
    /// What is wrong with its clock, and what to do.
    pub clock_note: Option<String>,
    /// The latest of each value.
    pub values: Vec<PairingValue>,
    /// The last seconds of each wave.
    pub waves: Vec<PairingWave>,
    /// For how long its data have been valid without a break.
    pub valid_ms: u64,
    /// For how long they must be.
    pub valid_needed_ms: u64,
    /// When this pairing is given up, ms since 1970.
    pub expires_ms: i64,
}

/// A value heard while pairing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PairingValue {
    /// LOINC code, else `mdc:<n>`.
    pub code: String,
    /// The stable word ("spo2").
    pub key: String,
    /// What a tile shows ("SpO₂").
    pub label: String,
    /// The number, decimals as sent; absent with a status saying why.
    #[schema(value_type = Option<f64>)]
    pub value: Option<Decimal>,
    /// UCUM unit.
    pub unit: String,
    /// The unit as a person reads it.
    pub unit_shown: String,
    /// `ok`, `sensor-off`, `not-measured`, `out-of-range`, `artefact`, `demo`, `fault:<what>`.
    pub status: String,
    /// Measured at, ms since 1970.
    pub measured_ms: i64,
}

/// A wave heard while pairing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PairingWave {
    /// LOINC code, else `mdc:<n>`.
    pub code: String,
    /// What a strip is titled ("Pleth").
    pub label: String,
    /// Samples a second.
    pub rate_hz: f64,
    /// UCUM unit after scaling.
    pub unit: String,
    /// Multiply a sample by this for `unit`.
    pub scale: f64,
    /// The latest samples, oldest first, at most 1,500.
    pub samples: Vec<i32>,
}

/// The number a device shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// 1 to 16 digits; Bluetooth Low Energy has six.
    pub passkey: String,
}

impl fmt::Debug for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passkey(…)")
    }
}

/// A device that is paired: kept, whatever happens to this box.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Paired {
    /// FHIR Device id.
    pub device: String,
    /// The bed it reads for.
    pub bed: String,
    /// When that was durable.
    pub saved: Saved,
}

/// Makes a device read for another bed from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveDevice {
    /// The bed.
    pub bed: String,
}

/// Lets another device take a device's place at its bed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapDevice {
    /// The device that takes its place.
    pub with: String,
    /// True takes it away from the bed it reads for; without it that is refused, naming the bed.
    #[serde(default)]
    pub move_from_other_bed: bool,
}

/// A stretch of time in which a device read for a bed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SpanView {
    /// The bed.
    pub bed: String,
    /// From this moment on, ms since 1970.
    pub from_ms: i64,
    /// Up to, not including, this moment; absent while it lasts.
    pub until_ms: Option<i64>,
}

/// What a command does to a device beyond reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandEffect {
    /// Presses on the patient's arm.
    Inflates,
    /// Takes away what the device has stored.
    Erases,
    /// Sets a counter or state of the device back.
    Resets,
    /// Changes what the device stamps its results with.
    SetsClock,
}

/// A command that a device's protocol has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CommandView {
    /// Names it: `set-current-time`.
    pub command: String,
    /// What it does, in words.
    pub says: String,
    /// What kind of thing that is.
    pub effect: CommandEffect,
    /// Whether this box may send it.
    pub allowed: bool,
    /// Why not, and who can change that; empty while allowed.
    pub reason: String,
}

/// Sends a command. Who, what and why go into the audit before it leaves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendCommand {
    /// Why, 3 to 512 characters.
    pub reason: String,
    /// Minutes east of UTC that a clock is set to, where the device's profile does not say it.
    #[serde(default)]
    pub utc_offset_min: Option<i16>,
}

/// Records the raw bytes of a device for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// For how long, 1 to 3600.
    pub seconds: u32,
    /// Who consented and to what, 3 to 512 characters; kept in the audit, not in the recording.
    pub consent: String,
    /// How it is taken, for whoever reads the recording: "finger in, then out". At most 200 characters, and no names of people.
    #[serde(default)]
    pub how: Option<String>,
}

/// A recording on this box.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordingView {
    /// Its file's name.
    pub recording: String,
    /// Bytes of text so far.
    pub bytes: u64,
    /// When it ends by itself, ms since 1970; absent once it has.
    pub until_ms: Option<i64>,
}

/// Lists the profiles a device can be paired under.
#[utoipa::path(get, operation_id = "listProfiles", path = PROFILES, responses((status = 200, body = Vec<ProfileView>)))]
pub fn profiles() {}

/// Looks for devices near this box.
#[utoipa::path(post, operation_id = "scanDevices", path = SCAN, request_body = Scan, responses((status = 200, body = ScanView)))]
pub fn scan() {}

/// Begins to pair a device.
#[utoipa::path(post, operation_id = "beginPairing", path = PAIRINGS, request_body = BeginPairing, responses((status = 200, body = PairingView)))]
pub fn begin() {}

/// Pairings under way.
#[utoipa::path(get, operation_id = "listPairings", path = PAIRINGS, responses((status = 200, body = Vec<PairingView>)))]
pub fn pairings() {}

/// How far a pairing has come.
#[utoipa::path(get, operation_id = "getPairing", path = PAIRING, params(("pairing" = String, Path)), responses((status = 200, body = PairingView)))]
pub fn pairing() {}

/// Gives up a pairing.
#[utoipa::path(delete, operation_id = "cancelPairing", path = PAIRING, params(("pairing" = String, Path)), responses((status = 204)))]
pub fn cancel() {}

/// Says the number that a device shows.
#[utoipa::path(post, operation_id = "givePasskey", path = PASSKEY, params(("pairing" = String, Path)), request_body = Passkey, responses((status = 200, body = PairingView)))]
pub fn passkey() {}

/// Ends a pairing: from now on the device reads for the bed. Refused before its data have been valid for long enough.
#[utoipa::path(post, operation_id = "confirmPairing", path = CONFIRM, params(("pairing" = String, Path)), responses((status = 200, body = Paired)))]
pub fn confirm() {}

/// Takes a paired device out of use. What it measured stays.
#[utoipa::path(delete, operation_id = "retireDevice", path = DEVICE, params(("device" = String, Path)), responses((status = 200, body = Saved)))]
pub fn retire() {}

/// For which beds a device has read, oldest first.
#[utoipa::path(get, operation_id = "listDeviceBindings", path = BINDINGS, params(("device" = String, Path)), responses((status = 200, body = Vec<SpanView>)))]
pub fn bindings() {}

/// Moves a device to another bed.
#[utoipa::path(post, operation_id = "moveDevice", path = MOVE, params(("device" = String, Path)), request_body = MoveDevice, responses((status = 200, body = Saved)))]
pub fn move_to() {}

/// Exchanges a device for another.
#[utoipa::path(post, operation_id = "swapDevice", path = SWAP, params(("device" = String, Path)), request_body = SwapDevice, responses((status = 200, body = Saved)))]
pub fn swap() {}

/// Commands that a device's protocol has and that do more than read it.
#[utoipa::path(get, operation_id = "listDeviceCommands", path = COMMANDS, params(("device" = String, Path)), responses((status = 200, body = Vec<CommandView>)))]
pub fn commands() {}

/// Sends such a command.
#[utoipa::path(post, operation_id = "sendDeviceCommand", path = COMMAND, params(("device" = String, Path), ("command" = String, Path)), request_body = SendCommand, responses((status = 200, body = Saved)))]
pub fn command() {}

/// Recordings of a device.
#[utoipa::path(get, operation_id = "listRecordings", path = RECORDINGS, params(("device" = String, Path)), responses((status = 200, body = Vec<RecordingView>)))]
pub fn recordings() {}

/// Begins a recording.
#[utoipa::path(post, operation_id = "beginRecording", path = RECORDINGS, params(("device" = String, Path)), request_body = Record, responses((status = 200, body = RecordingView)))]
pub fn record() {}

/// Ends a recording before its time.
#[utoipa::path(post, operation_id = "stopRecording", path = RECORDING_STOP, params(("device" = String, Path)), responses((status = 200, body = Saved)))]
pub fn record_stop() {}

/// A recording, as text.
#[utoipa::path(get, operation_id = "getRecording", path = RECORDING, params(("device" = String, Path), ("recording" = String, Path)), responses((status = 200, body = String, content_type = "text/plain")))]
pub fn recording() {}

/// Destroys a recording.
#[utoipa::path(delete, operation_id = "deleteRecording", path = RECORDING, params(("device" = String, Path), ("recording" = String, Path)), responses((status = 204)))]
pub fn recording_delete() {}
