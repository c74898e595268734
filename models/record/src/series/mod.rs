//! Vitals as series: append-only, never edited, never merged.
//!
//! A [`Frame`] is what one arrival of bytes yielded; a *tick* is the frames of one durable commit; a [`Segment`] holds
//! all frames of one device span, numerics and waves apart.
//!
//! Always: a sample is (device, boot, seq); three clocks are kept apart; a value that is absent is kept with its reason.

mod segment;

pub use segment::{Segment, SegmentError, SegmentKind};

use crate::code::Code;
use crate::decimal::Decimal;
use crate::id::{BedId, DeviceId};
use crate::observation::{NoValue, Quality, Reading, WaveBlock};
use crate::time::{Monotonic, Timestamp};
use crate::unit::Unit;
use serde::{Deserialize, Serialize};

/// One session of a device on one link: (run, link) where the device states none itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Boot(pub [u8; 12]);

/// What one arrival of bytes yielded.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// Which device.
    pub device: DeviceId,
    /// Which session of it.
    pub boot: Boot,
    /// Sequence number of the first numeric; the others follow, then one for each wave block.
    pub first_seq: u64,
    /// Arrival by the wall clock.
    pub arrived: Timestamp,
    /// Arrival by the steady clock.
    pub arrived_mono: Monotonic,
    /// When it was measured, as far as can be told: device time corrected by its measured offset, else arrival.
    pub measured: Timestamp,
    /// What the device's own clock said.
    pub device_time: Option<Timestamp>,
    /// Device clock minus ours at that time, µs, where measured.
    pub offset_us: Option<i64>,
    /// The bed it read for, as resolved at measurement time.
    pub bed: Option<BedId>,
    /// Numerics, in wire order.
    pub numerics: Vec<Numeric>,
    /// Blocks of waves.
    pub waves: Vec<WaveBlock>,
}

/// A numeric as kept: a [`Reading`] without its own times, which are the frame's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Numeric {
    /// What was measured.
    pub code: Code,
    /// The number, or why there is none.
    pub value: Result<Decimal, NoValue>,
    /// Its unit.
    pub unit: Unit,
    /// How far it can be trusted.
    pub quality: Quality,
}

impl From<Reading> for Numeric {
    fn from(reading: Reading) -> Self {
        Self { code: reading.code, value: reading.value, unit: reading.unit, quality: reading.quality }
    }
}

impl Numeric {
    /// The status word of the API.
    #[must_use]
    pub fn status(&self) -> String {
        Reading { code: self.code, value: self.value.clone(), unit: self.unit, quality: self.quality, device_time: None, device_seq: None }
            .status()
    }
}

impl Frame {
    /// Samples numbered in this frame: numerics, then wave blocks.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.numerics.len() + self.waves.len()) as u64
    }
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numerics.is_empty() && self.waves.is_empty()
    }
    /// Samples of waves, single values counted.
    #[must_use]
    pub fn wave_samples(&self) -> u64 {
        self.waves.iter().map(|w| w.raw.len() as u64).sum()
    }
}

/// The bytes of a tick in the journal.
#[must_use]
pub fn encode_tick(frames: &[Frame]) -> Vec<u8> {
    // Plain fields into memory: cannot fail.
    postcard::to_stdvec(frames).unwrap_or_default()
}

/// Reads a tick from the journal.
///
/// # Errors
/// Bytes that are no tick.
pub fn decode_tick(bytes: &[u8]) -> Result<Vec<Frame>, SegmentError> {
    postcard::from_bytes(bytes).map_err(|_| SegmentError::Unreadable)
}
