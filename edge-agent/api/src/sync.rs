//! The offline line: what has not yet left this box.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`SyncView`].
pub const SYNC: &str = "/api/v1/sync";
/// Path that starts a session at once.
pub const SYNC_NOW: &str = "/api/v1/sync/now";

/// Path of [`StateView`].
pub const STATE: &str = "/api/v1/sync/state";

/// Digests of what is shared with the hub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StateView {
    /// When they were worked out, ms since 1970.
    pub as_of_ms: i64,
    /// The set digest: over the entries, hex.
    pub set: String,
    /// The state digest: over the documents as shown, `<policy version>:<hex>`. To be compared between equal versions and sets only;
    /// absent after an erasure, when states cannot be compared.
    pub state: Option<String>,
    /// Version of the table of policies that chose what is shown.
    pub policy: Option<u32>,
    /// Documents in it.
    pub documents: u64,
}

/// Where this box stands with its hub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SyncView {
    /// Whether the hub is reached.
    pub state: LinkState,
    /// Since when, ms since 1970.
    pub since_ms: i64,
    /// Entries of this box the hub has not yet signed for.
    pub waiting: u64,
    /// The oldest of them, ms since 1970.
    pub oldest_waiting_ms: Option<i64>,
    /// Last completed session, ms since 1970.
    pub last_sync_ms: Option<i64>,
    /// Whether digests were equal after it.
    pub digest_equal: Option<bool>,
    /// Our set digest over all scopes shared with the hub, hex.
    pub digest: String,
    /// What went wrong last, if anything, and what to do.
    pub problem: Option<String>,
    /// Entries of this box, all told.
    pub entries_written: u64,
    /// Entries sent to the hub since start.
    pub entries_sent: u64,
    /// Own entries the hub has signed for.
    pub entries_acked: u64,
    /// The newest bundle of the hub that was taken in, if any.
    pub last_bundle: Option<BundleView>,
    /// Other boxes of the clinic; absent where they are not looked for (`[lan]` in the configuration).
    pub lan: Option<LanView>,
}

/// A bundle that came on a stick.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BundleView {
    /// When the hub made it, ms since 1970.
    pub made_ms: i64,
    /// When it was taken in, ms since 1970.
    pub taken_ms: i64,
    /// Whether it proves that the hub held then what this box held.
    pub equal: bool,
    /// Entries that were new.
    pub entries: u64,
}

/// The boxes of the clinic that this one shares its record with.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct LanView {
    /// Where this box listens for them; absent until it is enrolled.
    pub address: Option<String>,
    /// Those the configuration names, by name.
    pub neighbours: Vec<NeighbourView>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct NeighbourView {
    /// The name it is enrolled under.
    pub site: String,
    /// How it is reached.
    pub state: NeighbourState,
    /// Where it was reached last.
    pub address: Option<String>,
    /// The end of the last session, ms since 1970.
    pub last_session_ms: Option<i64>,
    /// Whether both held the same after it.
    pub equal: Option<bool>,
    /// Entries of this box that it has not signed for.
    pub waiting: u64,
    /// What went wrong last, and what to do.
    pub problem: Option<String>,
}

/// How a neighbour is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// Not seen since this box was started.
    Searching,
    /// Last contact succeeded.
    Online,
    /// Last contact failed.
    Offline,
    /// It does not share with this box, or the hub has ended its membership.
    Refused,
}

impl SyncView {
    /// The line before anything has been counted.
    #[must_use]
    pub const fn before_contact(state: LinkState, since_ms: i64) -> Self {
        Self {
            state,
            since_ms,
            waiting: 0,
            oldest_waiting_ms: None,
            last_sync_ms: None,
            digest_equal: None,
            digest: String::new(),
            problem: None,
            entries_written: 0,
            entries_sent: 0,
            entries_acked: 0,
            last_bundle: None,
            lan: None,
        }
    }
}

/// Whether the hub is reached. Offline is not an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// No hub is set up.
    Unenrolled,
    /// Last contact succeeded.
    Online,
    /// Last contact failed.
    Offline,
    /// The hub has ended this site's membership.
    Revoked,
}

/// The sync line.
#[utoipa::path(get, operation_id = "getSync", path = SYNC, responses((status = 200, body = SyncView)))]
pub fn get() {}

/// Works out the digests of what is shared with the hub; it reads every document, so ask when you want to know.
#[utoipa::path(get, operation_id = "getSyncState", path = STATE, responses((status = 200, body = StateView)))]
pub fn state() {}

/// Starts a session; answers when it has ended, at most 30 s later.
#[utoipa::path(post, operation_id = "syncNow", path = SYNC_NOW, responses((status = 200, body = SyncView)))]
pub fn now() {}
