//! The public JSON line of a reading, as `decode` and `replay` print it.
//!
//! Keys: `t_ms` (milliseconds since the capture began, null where there is no time), `device`, `code` (LOINC, else
//! `mdc:<n>`), `value` (digits as sent, or null), `unit` (UCUM), `status`. A wave has `values` and `rate_hz` in place
//! of `value`. Acknowledgements, requests and faults are no readings and give no line; a fault prints by its `Display`.

use driver::Out;
use record::decimal::Decimal;
use record::observation::{Reading, WaveBlock};
use serde::Serialize;

/// One line: serialise with `serde_json::to_string`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// A numeric.
    Reading(ReadingLine),
    /// A block of a wave.
    Wave(WaveLine),
}

/// A numeric.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReadingLine {
    /// Milliseconds since the capture began.
    pub t_ms: Option<i64>,
    /// The device, where one is known.
    pub device: Option<String>,
    /// LOINC, else `mdc:<n>`.
    pub code: String,
    /// Digits as sent, or null.
    pub value: Option<Decimal>,
    /// UCUM.
    pub unit: &'static str,
    /// `ok`, `sensor-off`, `not-measured`, `out-of-range`, `artefact`, `demo` or `fault:<what>`.
    pub status: String,
}

/// A block of a wave.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct WaveLine {
    /// Milliseconds since the capture began.
    pub t_ms: Option<i64>,
    /// The device, where one is known.
    pub device: Option<String>,
    /// LOINC, else `mdc:<n>`.
    pub code: String,
    /// Samples in `unit`, oldest first.
    pub values: Vec<Decimal>,
    /// Samples a second.
    pub rate_hz: Decimal,
    /// UCUM.
    pub unit: &'static str,
    /// `ok`, `artefact` or `demo`.
    pub status: String,
}

impl Line {
    /// The line for an output, if it is a reading or a wave.
    #[must_use]
    pub fn of(t_ms: Option<i64>, device: Option<&str>, out: &Out) -> Option<Self> {
        match out {
            Out::Reading(reading) => Some(Self::Reading(ReadingLine::new(t_ms, device, reading))),
            Out::Wave(block) => Some(Self::Wave(WaveLine::new(t_ms, device, block))),
            Out::Send(..) | Out::Acknowledge(..) | Out::WakeAt(_) | Out::About(_) | Out::Fault(_) => None,
        }
    }
}

impl ReadingLine {
    /// The line for a reading.
    #[must_use]
    pub fn new(t_ms: Option<i64>, device: Option<&str>, reading: &Reading) -> Self {
        Self {
            t_ms,
            device: device.map(str::to_owned),
            code: reading.code.to_string(),
            value: reading.value.clone().ok(),
            unit: reading.unit.ucum(),
            status: reading.status(),
        }
    }
}

impl WaveLine {
    /// The line for a block.
    #[must_use]
    pub fn new(t_ms: Option<i64>, device: Option<&str>, block: &WaveBlock) -> Self {
        let scaled = |raw: &i32| Decimal::new(i64::from(*raw).saturating_mul(block.scale.mantissa()), block.scale.exponent());
        let status = match (block.demo, block.good) {
            (true, _) => "demo",
            (false, true) => "ok",
            (false, false) => "artefact",
        };
        Self {
            t_ms,
            device: device.map(str::to_owned),
            code: block.code.to_string(),
            values: block.raw.iter().map(scaled).collect(),
            rate_hz: block.rate_hz,
            unit: block.unit.ucum(),
            status: status.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::code::Code;
    use record::observation::NoValue;
    use record::unit::Unit;

    #[test]
    fn a_line_has_the_public_keys_in_order_and_digits_as_sent() {
        let reading = Reading::new(Code::SPO2, Decimal::new(970, -1), Unit::Percent);
        let line = Line::of(None, Some("ox"), &Out::Reading(reading)).expect("line");
        assert_eq!(
            serde_json::to_string(&line).expect("json"),
            r#"{"t_ms":null,"device":"ox","code":"59408-5","value":97.0,"unit":"%","status":"ok"}"#
        );
    }

    #[test]
    fn a_missing_value_is_null_and_says_why() {
        let line = ReadingLine::new(Some(12), None, &Reading::absent(Code::SPO2, NoValue::SensorOff, Unit::Percent));
        let json = serde_json::to_string(&line).expect("json");
        assert_eq!(json, r#"{"t_ms":12,"device":null,"code":"59408-5","value":null,"unit":"%","status":"sensor-off"}"#);
    }

    #[test]
    fn a_wave_line_holds_scaled_values_and_its_rate() {
        let block = WaveBlock {
            code: Code::ECG_II,
            rate_hz: Decimal::whole(300),
            unit: Unit::Millivolt,
            scale: Decimal::new(1, -3),
            raw: vec![-177, 12],
            good: true,
            demo: false,
        };
        let json = serde_json::to_string(&Line::of(None, None, &Out::Wave(block)).expect("line")).expect("json");
        assert_eq!(
            json,
            r#"{"t_ms":null,"device":null,"code":"mdc:131330","values":[-0.177,0.012],"rate_hz":300,"unit":"mV","status":"ok"}"#
        );
    }
}
