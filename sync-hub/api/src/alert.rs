//! Alerts answered from the hub. They are listed by FHIR (`DetectedIssue`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path that acknowledges one.
pub const ACKNOWLEDGE: &str = "/api/v1/alerts/{id}/acknowledge";

/// An acknowledgement on its way to the ward.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AlertAcknowledged {
    /// FHIR DetectedIssue id.
    pub id: String,
    /// Who took it first; an earlier acknowledgement stands.
    pub acknowledged_by: String,
    /// When, ms since 1970.
    pub acknowledged_ms: i64,
}

/// Acknowledges an alert; the site learns of it with its next sync. Repeating it changes nothing.
#[utoipa::path(post, operation_id = "acknowledgeAlert", path = ACKNOWLEDGE, params(("id" = String, Path)), responses((status = 200, body = AlertAcknowledged)))]
pub fn acknowledge() {}
