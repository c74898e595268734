//! Who lies where and what is measured by hand.

use record::decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`PlacePatient`].
pub const PATIENT: &str = "/api/v1/beds/{bed}/patient";
/// Path of [`AttachDevice`].
pub const DEVICE: &str = "/api/v1/beds/{bed}/devices/{device}";
/// Path of [`Observe`].
pub const OBSERVATIONS: &str = "/api/v1/beds/{bed}/observations";

/// Puts a patient into a bed, or leaves it empty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacePatient {
    /// FHIR Patient id; absent empties the bed.
    pub patient: Option<String>,
    /// Corrects what was recorded: it has been so since then, ms since 1970, at most 12 hours ago; what was measured since is
    /// moved to where it belongs. Absent: from now on.
    #[serde(default)]
    pub since_ms: Option<i64>,
}

/// Makes a device read for a bed from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachDevice {
    /// True moves a device that reads for another bed; without it that is refused, naming the bed.
    #[serde(default)]
    pub move_from_other_bed: bool,
}

/// A set measured by a person.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Observe {
    /// The patient the nurse believes is in the bed: refused if it is another.
    pub patient: String,
    /// Measured at, ms since 1970; absent means now.
    pub measured_ms: Option<i64>,
    /// The values, 1 to 32.
    pub values: Vec<ObservedValue>,
}

/// One value measured by a person.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservedValue {
    /// LOINC code or key ("temperature", "consciousness", "inspired-oxygen").
    pub code: String,
    /// The number. Consciousness: 0 Alert, 1 Confusion, 2 Voice, 3 Pain, 4 Unresponsive. Inspired oxygen: L/min, 0 is air.
    #[schema(value_type = f64)]
    pub value: Decimal,
    /// UCUM unit; refused unless it is the code's own.
    pub unit: String,
}

/// What was saved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Saved {
    /// True once durable; nothing answers before.
    pub durable: bool,
    /// Moment of the commit, ms since 1970.
    pub saved_ms: i64,
}

/// Places a patient.
#[utoipa::path(put, operation_id = "placePatient", path = PATIENT, params(("bed" = String, Path)), request_body = PlacePatient, responses((status = 200, body = Saved)))]
pub fn place() {}

/// Attaches a device.
#[utoipa::path(put, operation_id = "attachDevice", path = DEVICE, params(("bed" = String, Path), ("device" = String, Path)), request_body = AttachDevice, responses((status = 200, body = Saved)))]
pub fn attach() {}

/// Records a set measured by a person.
#[utoipa::path(post, operation_id = "observe", path = OBSERVATIONS, params(("bed" = String, Path)), request_body = Observe, responses((status = 200, body = Saved)))]
pub fn observe() {}
