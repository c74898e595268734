//! Vitals as series: append-only, never edited, never merged.
//!
//! A [`Frame`] is what one arrival of bytes yielded; a *tick* is the frames of one durable commit; a [`Segment`] holds
//! all frames of one device span, numerics and waves apart.
//!
//! Always: a sample is (device, boot, seq); three clocks are kept apart; a value that is absent is kept with its reason.

mod arrivals;
mod codec;
mod columns;
mod minutes;
mod samples;
mod segment;
mod tail;
mod tick;
mod view;

pub use minutes::{ABSENT, DEMO, DOUBTED, MINUTES_MAX, Minute, Minutes};
pub use samples::{Run, Samples};
pub use segment::{Segment, SegmentError, SegmentKind, limits};
pub use tail::{Block, SEGMENT_BYTES_MAX, Tail};
pub use tick::decode_tick;
pub use view::{Excerpt, SegmentView};

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

impl AsRef<Self> for Frame {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Frame {
    /// Samples numbered in this frame: numerics, then wave blocks.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.numerics.len() + self.waves.len()) as u64
    }
    /// The numerics by themselves, and the waves by themselves, each with its own numbers.
    #[must_use]
    pub fn parted(mut self) -> (Self, Self) {
        let waves = Self {
            first_seq: self.first_seq.saturating_add(self.numerics.len() as u64),
            device: self.device.clone(),
            bed: self.bed.clone(),
            numerics: Vec::new(),
            waves: std::mem::take(&mut self.waves),
            ..self
        };
        (self, waves)
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

/// The bytes of a tick in the journal: its numerics and its waves, which are sealed at different times; empty if it has none.
#[must_use]
pub fn encode_tick(frames: &[Frame]) -> [Vec<u8>; 2] {
    let (numerics, waves): (Vec<_>, Vec<_>) = frames.iter().cloned().map(Frame::parted).unzip();
    [numerics, waves].map(|frames| {
        let frames: Vec<Frame> = frames.into_iter().filter(|frame| !frame.is_empty()).collect();
        if frames.is_empty() { Vec::new() } else { tick::encode_frames(&frames) }
    })
}
