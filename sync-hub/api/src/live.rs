//! What travels over MQTT: live numerics and presence. JSON, versioned, shown and then forgotten; the record comes by the ledger.
//!
//! A site's topics are `lamplight/v1/<site>/…`. Batches go at QoS 0 at most once a second a site; presence is the retained
//! last will, `online` said anew after each connect; `wake` tells an agent that the hub has something for it.

use serde::{Deserialize, Serialize};

/// Version of these messages.
pub const VERSION: u8 = 1;
/// First levels of every topic.
pub const TOPIC_ROOT: &str = "lamplight/v1";
/// Largest MQTT packet either side sends, bytes.
pub const PACKET_LIMIT: usize = 256 * 1024;
/// Most readings in a batch.
pub const READINGS_MAX: usize = 1024;

/// Topic of a site's [`LiveBatch`]es.
#[must_use]
pub fn live_topic(site: &str) -> String {
    format!("{TOPIC_ROOT}/{site}/live")
}

/// Topic of a site's [`Presence`].
#[must_use]
pub fn presence_topic(site: &str) -> String {
    format!("{TOPIC_ROOT}/{site}/presence")
}

/// Topic on which the hub wakes a site: an empty message, "sync soon".
#[must_use]
pub fn wake_topic(site: &str) -> String {
    format!("{TOPIC_ROOT}/{site}/wake")
}

/// What was read since the last batch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LiveBatch {
    /// [`VERSION`].
    pub v: u8,
    /// The site's name.
    pub site: String,
    /// When it was sent, µs since 1970.
    pub sent_us: i64,
    /// At most [`READINGS_MAX`].
    pub readings: Vec<LiveReading>,
}

/// One numeric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LiveReading {
    /// Bed as painted on the wall.
    pub bed: String,
    /// FHIR Patient id, if somebody lies there.
    pub patient: Option<String>,
    /// FHIR Device id.
    pub device: String,
    /// LOINC, else `mdc:<n>`.
    pub code: String,
    /// Decimal as the device sent it; absent when there is no number.
    pub value: Option<String>,
    /// UCUM.
    pub unit: String,
    /// `ok`, or why there is no number.
    pub status: String,
    /// When it was measured, µs since 1970.
    pub measured_us: i64,
    /// When its bytes arrived at the agent, µs since 1970.
    pub arrived_us: i64,
}

/// Whether a site is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Presence {
    /// [`VERSION`].
    pub v: u8,
    /// The site's name.
    pub site: String,
    /// False in the last will.
    pub online: bool,
    /// Program version.
    pub version: String,
}
