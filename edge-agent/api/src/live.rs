//! The live stream: WebSocket `/api/v1/live`.
//!
//! Subprotocols offered by the client: `lamplight.live.v1` and `lamplight.token.<session token>`; the server selects the
//! first. Text frames are [`LiveMessage`] JSON. Binary frames are waves: `u16` little-endian length of a [`WaveHeader`]
//! in JSON, the header, then `n` little-endian `i32` raw samples.

use crate::alert::AlertView;
use crate::saving::SavingView;
use crate::sync::SyncView;
use crate::ward::{BedView, DeviceView, WardView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of the WebSocket.
pub const LIVE: &str = "/api/v1/live";
/// The subprotocol selected by the server.
pub const SUBPROTOCOL: &str = "lamplight.live.v1";
/// Prefix of the subprotocol that carries the session token.
pub const TOKEN_PREFIX: &str = "lamplight.token.";

/// A text frame. The first is always `ward`; a client too slow to keep up is sent a fresh `ward` and loses nothing else.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "kebab-case")]
pub enum LiveMessage {
    /// Everything; replaces what was known.
    Ward(Box<WardView>),
    /// One bed; replaces that bed.
    Bed(Box<BedView>),
    /// One alert; replaces the alert of that id.
    Alert(AlertView),
    /// One device; replaces the device of that id.
    Device(DeviceView),
    /// The sync line.
    Sync(SyncView),
    /// Saving has stopped, or goes on again.
    Saving(SavingView),
    /// A tick became durable: for clients that measure or count.
    Stored(Stored),
}

/// What one durable tick held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Stored {
    /// Numerics in it.
    pub numerics: u32,
    /// Wave samples in it.
    pub wave_samples: u32,
    /// Arrival of its last bytes, µs since 1970.
    pub arrived_us: i64,
    /// Moment it was durable, µs since 1970.
    pub stored_us: i64,
}

/// Heads a binary wave frame.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WaveHeader {
    /// The bed.
    pub bed: String,
    /// LOINC code, else `mdc:<n>`.
    pub code: String,
    /// Samples a second.
    pub rate_hz: f64,
    /// Multiply a raw sample by this for `unit`.
    pub scale: f64,
    /// UCUM unit.
    pub unit: String,
    /// Arrival of the block's last sample, µs since 1970.
    pub arrived_us: i64,
    /// Samples that follow.
    pub n: u32,
    /// False where the device marks a gap, a lead off or noise.
    pub good: bool,
}

/// Opens the live stream.
#[utoipa::path(get, operation_id = "openLive", path = LIVE, responses((status = 101, description = "switching to WebSocket")))]
pub fn open() {}
