//! What is known of one patient at one moment: the newest charted value of each kind. Scores read it and nothing else.

use record::code::Code;
use record::decimal::Decimal;
use record::observation::{Quality, Reading};
use record::time::Timestamp;
use record::unit::Unit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A snapshot of one patient's chart: per code the newest value, by time of measurement.
///
/// The order in which values arrive does not matter, except between two measured at the same microsecond: the last recorded stands.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Chart {
    numerics: BTreeMap<Code, Input<Decimal>>,
    oxygen: Option<Input<Oxygen>>,
    consciousness: Option<Input<Acvpu>>,
    /// Whose chart it is, as far as a score must know.
    pub subject: Subject,
}

/// What a score must know of a patient besides measurements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// Completed years of age, if known.
    pub age_years: Option<u8>,
    /// Whether the patient is pregnant, if known.
    pub pregnant: Option<bool>,
    /// Which SpO₂ scale a competent clinician has prescribed.
    pub spo2_scale: Spo2Scale,
}

/// A value, when it was measured and how it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Input<T> {
    /// The value, in the unit its code is charted in.
    pub value: T,
    /// When it was measured, not when it arrived.
    pub measured_at: Timestamp,
    /// How it came; decides how long it stays fresh.
    pub source: Source,
}

/// How a value came to the chart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A monitor or wearable that measures all the time: silence means it no longer sees the patient.
    Streamed,
    /// Measured once, by a spot-check device or a person: it stands until the next set is due.
    Spot,
}

/// Whether the patient breathes air or is given oxygen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oxygen {
    /// Room air.
    Air,
    /// Any supplemental oxygen.
    Supplemental,
}

/// Level of consciousness on the ACVPU scale, charted as 0 (Alert) to 4 (Unresponsive).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acvpu {
    /// Fully awake.
    Alert,
    /// New confusion, disorientation or agitation.
    Confusion,
    /// Responds to voice.
    Voice,
    /// Responds to pain.
    Pain,
    /// Unresponsive.
    Unresponsive,
}

/// Which oxygen saturations are aimed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spo2Scale {
    /// The usual one: target 96 % and above.
    #[default]
    One,
    /// Target 88–92 %, for hypercapnic respiratory failure and only on a clinician's prescription.
    Two,
}

/// Why a value cannot be charted. Always the caller's or the device's error; nothing is changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChartError {
    /// A unit other than the one the code is charted in.
    #[error("{code} is charted in {expected}, got {got}", expected = .expected.ucum(), got = .got.ucum())]
    WrongUnit {
        /// What was measured.
        code: Code,
        /// The unit of its row.
        expected: Unit,
        /// The unit given.
        got: Unit,
    },
    /// A number no living patient has, or no step of the scale.
    #[error("{code}: {value} is not plausible")]
    Implausible {
        /// What was measured.
        code: Code,
        /// The number given.
        value: Decimal,
    },
    /// A code with no row in the table of codes.
    #[error("{code} is not a charted code")]
    UnknownCode {
        /// The code given.
        code: Code,
    },
}

impl Chart {
    /// An empty chart.
    #[must_use]
    pub fn of(subject: Subject) -> Self {
        Self { subject, ..Self::default() }
    }

    /// Charts one value unless a later-measured one of its code is held. Consciousness comes as its step 0–4,
    /// inspired oxygen as a flow in L/min of which 0 is air.
    ///
    /// # Errors
    /// A unit that is not the code's, an implausible number, a code without a row.
    pub fn record(&mut self, code: Code, unit: Unit, input: Input<Decimal>) -> Result<(), ChartError> {
        let row = code.row().ok_or(ChartError::UnknownCode { code })?;
        if row.unit != unit {
            return Err(ChartError::WrongUnit { code, expected: row.unit, got: unit });
        }
        let implausible = || ChartError::Implausible { code, value: input.value };
        let (low, high) = row.plausible;
        if input.value < Decimal::whole(low.into()) || input.value > Decimal::whole(high.into()) {
            return Err(implausible());
        }
        match code {
            Code::CONSCIOUSNESS => self.record_consciousness(input.map(Acvpu::from_charted).ok_or_else(implausible)?),
            Code::INSPIRED_OXYGEN => self.record_oxygen(Input {
                value: if input.value > Decimal::whole(0) { Oxygen::Supplemental } else { Oxygen::Air },
                measured_at: input.measured_at,
                source: input.source,
            }),
            _ => {
                if self.numerics.get(&code).is_none_or(|held| held.measured_at <= input.measured_at) {
                    self.numerics.insert(code, input);
                }
            }
        }
        Ok(())
    }

    /// Charts a reading if it can be scored: one without a number or of questionable quality leaves the chart as it was, so
    /// that the last good number stands until it is too old. Returns whether it was charted.
    ///
    /// # Errors
    /// As [`Chart::record`].
    pub fn record_reading(&mut self, reading: &Reading, measured_at: Timestamp, source: Source) -> Result<bool, ChartError> {
        match (&reading.value, reading.quality) {
            (Ok(value), Quality::Good | Quality::Demo) => {
                self.record(reading.code, reading.unit, Input { value: *value, measured_at, source })?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Charts whether oxygen is given, unless a later-measured answer is held.
    pub fn record_oxygen(&mut self, input: Input<Oxygen>) {
        if self.oxygen.is_none_or(|held| held.measured_at <= input.measured_at) {
            self.oxygen = Some(input);
        }
    }

    /// Charts the level of consciousness, unless a later-measured one is held.
    pub fn record_consciousness(&mut self, input: Input<Acvpu>) {
        if self.consciousness.is_none_or(|held| held.measured_at <= input.measured_at) {
            self.consciousness = Some(input);
        }
    }

    /// The newest number of this code.
    #[must_use]
    pub fn numeric(&self, code: Code) -> Option<Input<Decimal>> {
        self.numerics.get(&code).copied()
    }

    /// The newest answer to whether oxygen is given.
    #[must_use]
    pub const fn oxygen(&self) -> Option<Input<Oxygen>> {
        self.oxygen
    }

    /// The newest level of consciousness.
    #[must_use]
    pub const fn consciousness(&self) -> Option<Input<Acvpu>> {
        self.consciousness
    }
}

impl<T> Input<T> {
    fn map<U>(self, convert: impl FnOnce(T) -> Option<U>) -> Option<Input<U>> {
        Some(Input { value: convert(self.value)?, measured_at: self.measured_at, source: self.source })
    }
}

impl Acvpu {
    /// The scale, from best to worst.
    pub const ALL: [Self; 5] = [Self::Alert, Self::Confusion, Self::Voice, Self::Pain, Self::Unresponsive];

    /// The step charted as this number, 0 (Alert) to 4 (Unresponsive).
    #[must_use]
    pub fn from_charted(step: Decimal) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.charted().partial_cmp(&step) == Some(std::cmp::Ordering::Equal))
    }

    /// The number it is charted as.
    #[must_use]
    pub const fn charted(self) -> Decimal {
        Decimal::whole(self as i64)
    }
}

/// The letter nurses write.
impl fmt::Display for Acvpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "A",
            Self::Confusion => "C",
            Self::Voice => "V",
            Self::Pain => "P",
            Self::Unresponsive => "U",
        })
    }
}

impl fmt::Display for Oxygen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Air => "air",
            Self::Supplemental => "oxygen",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::observation::NoValue;

    fn spot(value: Decimal, second: i64) -> Input<Decimal> {
        Input { value, measured_at: Timestamp(second * 1_000_000), source: Source::Spot }
    }

    #[test]
    fn the_newest_measurement_stands_whatever_order_values_arrive_in() {
        let mut chart = Chart::default();
        chart.record(Code::SPO2, Unit::Percent, spot(Decimal::whole(97), 60)).expect("charted");
        chart.record(Code::SPO2, Unit::Percent, spot(Decimal::whole(88), 10)).expect("charted");
        assert_eq!(chart.numeric(Code::SPO2).map(|input| input.value), Some(Decimal::whole(97)));
    }

    #[test]
    fn fahrenheit_is_refused_where_celsius_is_charted() {
        let mut chart = Chart::default();
        let refused = chart.record(Code::TEMPERATURE, Unit::Fahrenheit, spot(Decimal::new(986, -1), 0));
        assert_eq!(refused.map_err(|e| e.to_string()), Err("8310-5 is charted in Cel, got [degF]".to_owned()));
        assert_eq!(chart, Chart::default());
    }

    #[test]
    fn numbers_no_patient_has_and_steps_no_scale_has_are_refused() {
        let mut chart = Chart::default();
        assert!(chart.record(Code::SPO2, Unit::Percent, spot(Decimal::whole(101), 0)).is_err());
        assert!(chart.record(Code::TEMPERATURE, Unit::Celsius, spot(Decimal::new(986, -1), 0)).is_err());
        assert!(chart.record(Code::CONSCIOUSNESS, Unit::Score, spot(Decimal::new(5, -1), 0)).is_err());
        assert!(chart.record(Code::Mdc(1), Unit::One, spot(Decimal::whole(1), 0)).is_err());
        assert_eq!(chart, Chart::default());
    }

    #[test]
    fn oxygen_flow_and_consciousness_step_are_charted_as_what_they_mean() {
        let mut chart = Chart::default();
        chart.record(Code::INSPIRED_OXYGEN, Unit::LitrePerMinute, spot(Decimal::new(0, -1), 0)).expect("charted");
        assert_eq!(chart.oxygen().map(|o| o.value), Some(Oxygen::Air));
        chart.record(Code::INSPIRED_OXYGEN, Unit::LitrePerMinute, spot(Decimal::new(5, -1), 1)).expect("charted");
        assert_eq!(chart.oxygen().map(|o| o.value), Some(Oxygen::Supplemental));
        for level in Acvpu::ALL {
            assert_eq!(Acvpu::from_charted(level.charted()), Some(level));
        }
    }

    #[test]
    fn a_reading_without_a_number_or_in_doubt_leaves_the_chart_as_it_was() {
        let mut chart = Chart::default();
        let off = Reading::absent(Code::SPO2, NoValue::SensorOff, Unit::Percent);
        let doubtful = Reading { quality: Quality::Questionable, ..Reading::new(Code::SPO2, Decimal::whole(71), Unit::Percent) };
        for reading in [off, doubtful] {
            assert_eq!(chart.record_reading(&reading, Timestamp(0), Source::Streamed), Ok(false));
        }
        assert_eq!(chart, Chart::default());
    }

    #[test]
    fn a_chart_survives_json() {
        let mut chart = Chart::of(Subject { age_years: Some(71), pregnant: None, spo2_scale: Spo2Scale::Two });
        chart.record(Code::TEMPERATURE, Unit::Celsius, spot(Decimal::new(370, -1), 0)).expect("charted");
        chart.record(Code::CONSCIOUSNESS, Unit::Score, spot(Decimal::whole(1), 0)).expect("charted");
        let json = serde_json::to_string(&chart).expect("json");
        assert_eq!(serde_json::from_str::<Chart>(&json).expect("chart"), chart);
    }
}
