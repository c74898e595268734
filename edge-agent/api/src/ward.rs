//! The ward board: every bed at a glance.

use crate::alert::AlertView;
use crate::saving::SavingView;
use crate::sync::SyncView;
use record::decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`WardView`].
pub const WARD: &str = "/api/v1/ward";
/// Path of the list of [`DeviceView`].
pub const DEVICES: &str = "/api/v1/devices";

/// Everything the ward board shows, as of one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WardView {
    /// The clinic.
    pub site: SiteView,
    /// When this was true, ms since 1970.
    pub as_of_ms: i64,
    /// Beds in painted order.
    pub beds: Vec<BedView>,
    /// Open alerts, gravest and oldest first.
    pub alerts: Vec<AlertView>,
    /// The offline/sync line.
    pub sync: SyncView,
    /// Whether what is shown has been saved.
    pub saving: SavingView,
}

/// The clinic and the box in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SiteView {
    /// Name given in the configuration.
    pub name: String,
    /// This box's replica id, hex.
    pub replica: String,
    /// Program version.
    pub version: String,
}

/// One bed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BedView {
    /// As painted on the wall.
    pub bed: String,
    /// Who lies in it.
    pub patient: Option<PatientView>,
    /// The patient last put here has no record on this box any more: it was erased, or handed over to another site. What is
    /// measured here is filed to nobody until somebody says who lies here.
    pub record_closed: bool,
    /// Latest numerics, one a code, in a fixed order (HR, SpO₂, RR, NIBP, Temp, others).
    pub numerics: Vec<NumericView>,
    /// Waves that can be subscribed to.
    pub waves: Vec<WaveView>,
    /// NEWS2.
    pub score: Option<ScoreView>,
    /// Devices reading for this bed.
    pub devices: Vec<DeviceView>,
    /// Alarms these devices raise themselves: those that stand, gravest and latest first, then those that ended in the last hour.
    /// They are the devices' own and none of this box's alerts.
    pub device_alarms: Vec<DeviceAlarmView>,
}

/// Two identifiers and what scoring depends on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PatientView {
    /// FHIR Patient id.
    pub id: String,
    /// Family name, given names.
    pub name: String,
    /// ISO date, possibly partial.
    pub birth_date: Option<String>,
    /// Whole years.
    pub age_years: Option<u16>,
    /// FHIR administrative gender.
    pub gender: Option<String>,
    /// The first identifier (medical record number).
    pub identifier: Option<String>,
    /// Tagged test: demo data may be filed here.
    pub test: bool,
}

/// The latest value of one code.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct NumericView {
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
    /// FHIR Device id.
    pub device: String,
    /// NEWS2 points of this value, where it counts.
    pub points: Option<u8>,
}

/// A wave this bed shows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WaveView {
    /// LOINC code, else `mdc:<n>`.
    pub code: String,
    /// What a strip is titled ("ECG I").
    pub label: String,
    /// Samples a second.
    pub rate_hz: f64,
    /// UCUM unit after scaling.
    pub unit: String,
}

/// An early-warning score as shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScoreView {
    /// "NEWS2".
    pub name: String,
    /// The total; absent while the set is partial.
    pub total: Option<u8>,
    /// The least the total can be.
    pub at_least: u8,
    /// "7" or "at least 5".
    pub text: String,
    /// RCP clinical risk: "low", "low-medium", "medium", "high"; of the lower bound while partial.
    pub band: String,
    /// A single parameter scores 3.
    pub single_three: bool,
    /// RCP's response for the band.
    pub response: String,
    /// Points by parameter.
    pub parts: Vec<ScorePart>,
    /// Parameters never measured.
    pub missing: Vec<String>,
    /// Parameters too old to count.
    pub stale: Vec<String>,
    /// Which rules: "news2-2017/1".
    pub rules: String,
}

/// One parameter's part in a score.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScorePart {
    /// "Respiration rate", in the score's own words.
    pub parameter: String,
    /// The value as charted, with unit.
    pub value: String,
    /// 0 to 3.
    pub points: u8,
    /// Age of the value.
    pub age_s: i64,
}

/// A device as the technician sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceView {
    /// FHIR Device id.
    pub id: String,
    /// Maker and model.
    pub name: String,
    /// Protocol id.
    pub protocol: String,
    /// `connected`, `connecting` or `disconnected`.
    pub state: DeviceState,
    /// Why it is down and what to do next; empty while connected.
    pub reason: String,
    /// Last bytes, ms since 1970.
    pub last_data_ms: Option<i64>,
    /// The bed it reads for.
    pub bed: Option<String>,
    /// 0–100.
    pub battery_percent: Option<u8>,
    /// Device clock minus ours, where it states one.
    pub clock_offset_ms: Option<i64>,
    /// What is wrong with its clock, and what to do; absent while nothing is.
    pub clock_note: Option<String>,
    /// How it is reached.
    pub by: Option<crate::device::ReachedBy>,
    /// Its profile.
    pub profile: Option<String>,
    /// Serial number, as it states it.
    pub serial: Option<String>,
    /// Model, as it states it.
    pub model: Option<String>,
    /// Firmware, as it states it.
    pub firmware: Option<String>,
    /// Where it says that it stands. A claim: nothing is filed by it.
    pub stated_location: Option<String>,
    /// Its raw bytes are being recorded until then, ms since 1970.
    pub recording_until_ms: Option<i64>,
}

/// An alarm that a device raised itself: its own claim.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceAlarmView {
    /// FHIR Communication id.
    pub id: String,
    /// FHIR Device id.
    pub device: String,
    /// What the device shows.
    pub text: String,
    /// `physiological` or `technical`.
    pub kind: String,
    /// `advisory`, `low`, `medium` or `high`, as the device says.
    pub priority: String,
    /// Demonstration or test.
    pub demo: bool,
    /// Heard first, ms since 1970.
    pub since_ms: i64,
    /// Ended, ms since 1970; absent while it stands.
    pub ended_ms: Option<i64>,
    /// `device` where the device ended it; else why it is no longer heard: `line-down`, `restart`, `silence`, `retired`, or `moved`
    /// where it stands on at another bed or with another patient.
    pub ended_by: Option<String>,
}

/// Whether a device is heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// Bytes are coming.
    Connected,
    /// Trying.
    Connecting,
    /// Not heard.
    Disconnected,
}

/// The ward board.
#[utoipa::path(get, operation_id = "getWard", path = WARD, responses((status = 200, body = WardView)))]
pub fn get() {}

/// Every device this agent knows.
#[utoipa::path(get, operation_id = "listDevices", path = DEVICES, responses((status = 200, body = Vec<DeviceView>)))]
pub fn devices() {}
