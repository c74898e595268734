//! Alerts: created, acknowledged, resolved; never backwards.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of the list of [`AlertView`].
pub const ALERTS: &str = "/api/v1/alerts";
/// Path that acknowledges one.
pub const ACKNOWLEDGE: &str = "/api/v1/alerts/{id}/acknowledge";
/// Path that resolves one.
pub const RESOLVE: &str = "/api/v1/alerts/{id}/resolve";

/// Severity tiers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// `*`
    Low,
    /// `**`
    Medium,
    /// `***`
    High,
}

/// Where an alert is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    /// Raised, nobody has taken it.
    Created,
    /// Somebody has; the cause may last.
    Acknowledged,
    /// The cause is gone, or a person closed it.
    Resolved,
}

/// One alert as shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// FHIR DetectedIssue id.
    pub id: String,
    /// The bed at the time.
    pub bed: String,
    /// FHIR Patient id.
    pub patient: String,
    /// Whom it is about.
    pub patient_name: String,
    /// Tier.
    pub severity: Severity,
    /// Life cycle.
    pub state: AlertState,
    /// "*** NEWS2 at least 8: SpO₂ 88 %, RR 26 /min".
    pub text: String,
    /// Raised at, ms since 1970.
    pub raised_ms: i64,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_ms: Option<i64>,
    /// Wire byte to durable alert, µs; absent for alerts loaded from the record.
    pub latency_us: Option<i64>,
}

/// What a person says when acknowledging or resolving.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertAnswer {
    /// Why, in free words, up to 512 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Open alerts, and those resolved in the last hour.
#[utoipa::path(get, operation_id = "listAlerts", path = ALERTS, responses((status = 200, body = Vec<AlertView>)))]
pub fn list() {}

/// Acknowledges an alert. Repeating it changes nothing and answers the same.
#[utoipa::path(post, operation_id = "acknowledgeAlert", path = ACKNOWLEDGE, params(("id" = String, Path)), request_body = AlertAnswer, responses((status = 200, body = AlertView)))]
pub fn acknowledge() {}

/// Closes an alert whose cause a person judges gone.
#[utoipa::path(post, operation_id = "resolveAlert", path = RESOLVE, params(("id" = String, Path)), request_body = AlertAnswer, responses((status = 200, body = AlertView)))]
pub fn resolve() {}
