//! The fleet: sites, last seen, lag, queue, versions, digest state.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`FleetView`].
pub const FLEET: &str = "/api/v1/fleet";
/// Path that adds a site.
pub const SITES: &str = "/api/v1/sites";
/// Path that ends a site's membership.
pub const REVOKE: &str = "/api/v1/sites/{site}/revoke";
/// Path of the list of [`IncidentView`].
pub const INCIDENTS: &str = "/api/v1/incidents";
/// Path that closes an incident.
pub const CLOSE: &str = "/api/v1/incidents/{id}/close";
/// Path of [`StateView`].
pub const STATE: &str = "/api/v1/sites/{site}/state";

/// The whole fleet as of one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FleetView {
    /// When this was true, ms since 1970.
    pub as_of_ms: i64,
    /// Hub program version.
    pub version: String,
    /// Hub replica id, hex.
    pub replica: String,
    /// Live numerics received since start.
    pub live_messages: u64,
    /// Sites by name.
    pub sites: Vec<SiteRow>,
}

/// One site.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SiteRow {
    /// Name.
    pub site: String,
    /// Replica id once enrolled, hex.
    pub replica: Option<String>,
    /// Where it stands.
    pub state: SiteState,
    /// Live presence over MQTT.
    pub live: bool,
    /// Last contact of any kind, ms since 1970.
    pub last_seen_ms: Option<i64>,
    /// Last completed sync session, ms since 1970.
    pub last_sync_ms: Option<i64>,
    /// Age of the newest measurement held, seconds.
    pub lag_s: Option<i64>,
    /// Entries the site says are still waiting.
    pub queue: Option<u64>,
    /// The oldest of them, ms since 1970.
    pub queue_oldest_ms: Option<i64>,
    /// Agent program version.
    pub version: Option<String>,
    /// Whether both sides proved the same set.
    pub digest: DigestState,
    /// When that was, ms since 1970.
    pub digest_ms: Option<i64>,
    /// The hub's set digest over this site's scopes, hex.
    pub digest_hex: Option<String>,
    /// Entries of this site held.
    pub entries: u64,
    /// Open alerts: high, medium, low.
    pub alerts: [u32; 3],
    /// Incidents not yet closed.
    pub incidents: u32,
    /// Live latency wire → hub, ms: median and 99th percentile of the last 1,000 messages.
    pub latency_ms: Option<Latency>,
}

/// Percentiles of a latency.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Messages measured.
    pub n: u64,
}

/// Where a site stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SiteState {
    /// A code was given out, nobody used it.
    NeverSeen,
    /// In contact.
    Ok,
    /// Past its expected contact.
    Late,
    /// Long past it.
    Offline,
    /// Membership ended by an operator.
    Revoked,
}

/// Result of the last digest exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DigestState {
    /// No session yet.
    Unknown,
    /// Both hold the same set.
    Equal,
    /// They do not; an incident is open.
    Differs,
}

/// Adds a site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSite {
    /// Name, 1–64 of `a–z 0–9 -`.
    pub site: String,
}

/// A code to type at the agent, shown once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SiteCode {
    /// Name.
    pub site: String,
    /// One-time code; pins the hub's certificate too.
    pub code: String,
    /// Useless after, ms since 1970.
    pub expires_ms: i64,
}

/// Why membership ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeSite {
    /// The site's name typed again.
    pub confirm: String,
    /// Reason, kept in the audit.
    pub reason: String,
}

/// Something that must not pass unnoticed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct IncidentView {
    /// What it is called by.
    pub id: String,
    /// Site.
    pub site: String,
    /// `digest-differs`, `fork`, `clone`, `broken-chain`, `unreadable-payload`, `absent-payload`, `revoked-writes`, `shed`, `state-differs`.
    pub kind: String,
    /// What and where, without patient data.
    pub detail: String,
    /// First seen, ms since 1970.
    pub at_ms: i64,
    /// Who closed it; absent while it is open.
    pub closed: Option<ClosingView>,
}

/// That somebody has looked at an incident.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ClosingView {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// User name.
    pub by: String,
    /// Why nothing is left to do.
    pub reason: String,
}

/// Closes an incident.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseIncident {
    /// Why nothing is left to do.
    pub reason: String,
}

/// What the documents shared with a site show here, and whether the site shows the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StateView {
    /// When this was worked out, ms since 1970.
    pub as_of_ms: i64,
    /// The set digest of the entries shared, hex.
    pub set: String,
    /// The state digest of the documents, `<policy version>:<hex>`; absent after an erasure, when states cannot be compared.
    pub state: Option<String>,
    /// Documents in it.
    pub documents: u64,
    /// What the site last said of itself: `<policy version>:<hex>` as of the same set; absent if it has not, or of another set.
    pub site_state: Option<String>,
    /// `equal`, `differs`, `other-policy`, `other-set`, `not-said`, `erased`.
    pub comparison: String,
}

/// Path to which a site says what it shows; it shows its certificate.
pub const SITE_STATE: &str = "/sync/v1/state";

/// What a site shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownState {
    /// Its set digest over what it shares with the hub, hex.
    pub set: String,
    /// Its state digest as of that set, `<policy version>:<hex>`; absent where states cannot be compared.
    pub state: Option<String>,
}

/// The fleet.
#[utoipa::path(get, operation_id = "getFleet", path = FLEET, responses((status = 200, body = FleetView)))]
pub fn get() {}

/// Adds a site and gives out its code.
#[utoipa::path(post, operation_id = "addSite", path = SITES, request_body = AddSite, responses((status = 201, body = SiteCode)))]
pub fn add() {}

/// Ends a site's membership.
#[utoipa::path(post, operation_id = "revokeSite", path = REVOKE, params(("site" = String, Path)), request_body = RevokeSite, responses((status = 200, body = SiteRow)))]
pub fn revoke() {}

/// What is shown of a site's record.
#[utoipa::path(get, operation_id = "getSiteState", path = STATE, params(("site" = String, Path)), responses((status = 200, body = StateView)))]
pub fn state() {}

/// Closes an incident; it stays in the list.
#[utoipa::path(post, operation_id = "closeIncident", path = CLOSE, params(("id" = String, Path)), request_body = CloseIncident, responses((status = 200, body = IncidentView)))]
pub fn close() {}

/// Incidents, the open ones first, newest first.
#[utoipa::path(get, operation_id = "listIncidents", path = INCIDENTS, responses((status = 200, body = Vec<IncidentView>)))]
pub fn incidents() {}
