//! Whether what this box hears is being kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether what is shown has been saved. While it has not, values are shown as they are heard, nothing is acknowledged to a
/// device, and no alert can be raised; they are saved once there is room, unless the box stops before.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SavingView {
    /// Since when nothing is saved, ms since 1970; absent while all is well.
    pub stopped_ms: Option<i64>,
    /// What is in the way and what to do.
    pub problem: Option<String>,
    /// What is being given up for want of room; absent while there is room.
    pub shedding: Option<SheddingView>,
}

/// What this box gives up because its disk is full: the oldest waveforms first, then the oldest numerics; alerts and documents
/// never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SheddingView {
    /// Since when, ms since 1970.
    pub since_ms: i64,
    /// Bytes of waveforms that nobody else holds.
    pub waves_bytes: u64,
    /// Bytes of numerics that nobody else holds.
    pub numerics_bytes: u64,
    /// Bytes dropped here and held by the hub: nothing of them is lost.
    pub held_elsewhere_bytes: u64,
}
