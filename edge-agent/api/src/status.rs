//! What this agent has done since it started: for whoever measures it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`StatusView`].
pub const STATUS: &str = "/api/v1/status";

/// Counts since start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Numerics heard from devices and people.
    pub received: u64,
    /// Of these, durable.
    pub stored: u64,
    /// Wave samples durable.
    pub wave_samples: u64,
    /// Scores computed.
    pub scored: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Memory in use, kB.
    pub rss_kb: u64,
}

/// Counts since start.
#[utoipa::path(get, operation_id = "getStatus", path = STATUS, responses((status = 200, body = StatusView)))]
pub fn get() {}
