//! What sites wrote after their membership had been revoked: kept from the record until someone has looked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of the list of [`QuarantineView`].
pub const QUARANTINE: &str = "/api/v1/quarantine";
/// Path that lets through what has come of a site so far.
pub const ACCEPT: &str = "/api/v1/sites/{site}/quarantine/accept";

/// What is kept from the record of one site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct QuarantineView {
    /// The site.
    pub site: String,
    /// Entries.
    pub entries: u64,
    /// When the oldest of them says it was written, ms since 1970.
    pub oldest_ms: Option<i64>,
    /// How many of each kind; never what they say.
    pub kinds: Vec<QuarantinedKind>,
}

/// Entries of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedKind {
    /// `documents`, `numerics`, `waves`, another word, or `kind:<n>`.
    pub kind: String,
    /// How many.
    pub entries: u64,
}

/// Lets entries through.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptQuarantine {
    /// Why; kept in the ledger.
    pub reason: String,
}

/// What is quarantined, by site.
#[utoipa::path(get, operation_id = "listQuarantine", path = QUARANTINE, responses((status = 200, body = Vec<QuarantineView>)))]
pub fn list() {}

/// Takes up what has come of a revoked site so far. Its membership stays ended: what comes later is quarantined again.
#[utoipa::path(post, operation_id = "acceptQuarantine", path = ACCEPT, params(("site" = String, Path)), request_body = AcceptQuarantine, responses((status = 200, body = Vec<QuarantineView>)))]
pub fn accept() {}
