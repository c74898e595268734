//! The offline line: what has not yet left this box.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`SyncView`].
pub const SYNC: &str = "/api/v1/sync";
/// Path that starts a session at once.
pub const SYNC_NOW: &str = "/api/v1/sync/now";

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

/// Starts a session; answers when it has ended, at most 30 s later.
#[utoipa::path(post, operation_id = "syncNow", path = SYNC_NOW, responses((status = 200, body = SyncView)))]
pub fn now() {}
