//! What a device says: readings and blocks of a wave. Time and patient are added later, by whoever heard it.

use crate::code::Code;
use crate::decimal::Decimal;
use crate::time::Timestamp;
use crate::unit::Unit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One numeric, as decoded from the wire.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// What was measured.
    pub code: Code,
    /// The number, in `unit`, or why there is none.
    pub value: Result<Decimal, NoValue>,
    /// The unit the device stated or its protocol fixes; never assumed.
    pub unit: Unit,
    /// How far the number can be trusted.
    pub quality: Quality,
    /// The device's own time for it, if it sent one. A claim.
    pub device_time: Option<Timestamp>,
    /// The device's own record number, where it numbers its records: repeats of one number are one sample.
    pub device_seq: Option<u64>,
}

impl Reading {
    /// A good reading with a number.
    #[must_use]
    pub const fn new(code: Code, value: Decimal, unit: Unit) -> Self {
        Self { code, value: Ok(value), unit, quality: Quality::Good, device_time: None, device_seq: None }
    }
    /// A reading that carries no number, and why.
    #[must_use]
    pub const fn absent(code: Code, why: NoValue, unit: Unit) -> Self {
        Self { code, value: Err(why), unit, quality: Quality::Good, device_time: None, device_seq: None }
    }
    /// The status word of the API and of `decode`: `ok`, `sensor-off`, …, `demo`.
    #[must_use]
    pub fn status(&self) -> String {
        match (&self.value, self.quality) {
            (Err(why), _) => why.to_string(),
            (Ok(_), Quality::Good) => "ok".to_owned(),
            (Ok(_), Quality::Questionable) => "artefact".to_owned(),
            (Ok(_), Quality::Demo) => "demo".to_owned(),
        }
    }
}

/// Why a reading carries no number. Charted like any reading: "probe off" is clinical information.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NoValue {
    /// The sensor is not on the patient.
    SensorOff,
    /// On the patient, but no measurement (yet).
    NotMeasured,
    /// The device says above or below what it can measure.
    OutOfRange,
    /// Movement, noise, an implausible number.
    Artefact,
    /// The device reports a fault of its own: a short word such as `equipment`.
    Fault(String),
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SensorOff => f.write_str("sensor-off"),
            Self::NotMeasured => f.write_str("not-measured"),
            Self::OutOfRange => f.write_str("out-of-range"),
            Self::Artefact => f.write_str("artefact"),
            Self::Fault(what) => write!(f, "fault:{what}"),
        }
    }
}

/// How far a number can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Quality {
    /// Nothing said against it.
    #[default]
    Good,
    /// The device doubts it: charted, not scored.
    Questionable,
    /// Demonstration or test data: only on patients tagged test.
    Demo,
}

/// A run of samples of one wave, evenly spaced.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WaveBlock {
    /// Which wave.
    pub code: Code,
    /// Samples a second.
    pub rate_hz: Decimal,
    /// Unit of a value after scaling.
    pub unit: Unit,
    /// A value is `raw × scale`.
    pub scale: Decimal,
    /// Raw samples, oldest first, as sent.
    pub raw: Vec<i32>,
    /// False where the device marks a gap, a lead off or noise in this block.
    pub good: bool,
    /// Demonstration or test data.
    pub demo: bool,
}
