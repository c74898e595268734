//! The public JSON line of a reading, as `decode` and `replay` print it.
//!
//! Keys: `t_ms` (milliseconds since the capture began, null where there is no time), `device`, `code` (LOINC, else
//! `mdc:<n>`), `value` (digits as sent, or null), `unit` (UCUM), `status`. A wave has `values` and `rate_hz` in place
//! of `value`. A laboratory result has the keys of a reading (`code` LOINC, else `local:<code>`; `value` a number, text or
//! null; `unit` as sent) and `specimen`, `comparator` where it is a bound, and `flags`; its status is `ok`, `demo`,
//! `control`, `calibration`, `preliminary` or `not-measured`. An alarm has `alarm` (its id), `text`, `kind`, `priority`, `active` and `status`
//! (`ok` or `demo`). Acknowledgements, requests and faults give no line; a fault prints by its `Display`.

use driver::Out;
use driver::alarm::Alarm;
use record::decimal::Decimal;
use record::laboratory::{LabKind, LabReport, LabResult, LabStatus, LabValue};
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
    /// A result of a laboratory analyser.
    Laboratory(LaboratoryLine),
    /// An alarm of the device's own.
    Alarm(AlarmLine),
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

/// A result of a laboratory analyser.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LaboratoryLine {
    /// Milliseconds since the capture began.
    pub t_ms: Option<i64>,
    /// The device, where one is known.
    pub device: Option<String>,
    /// LOINC, else `local:<code>`.
    pub code: String,
    /// A number with its digits as sent, a text, or null.
    pub value: Option<serde_json::Value>,
    /// `<`, `<=`, `>=` or `>`, where the number is a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparator: Option<&'static str>,
    /// As sent, or null.
    pub unit: Option<String>,
    /// `ok`, `demo`, `control`, `calibration`, `preliminary` or `not-measured`.
    pub status: &'static str,
    /// The specimen's number.
    pub specimen: Option<String>,
    /// Abnormality flags as sent.
    pub flags: Vec<String>,
}

/// An alarm of the device's own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AlarmLine {
    /// Milliseconds since the capture began.
    pub t_ms: Option<i64>,
    /// The device, where one is known.
    pub device: Option<String>,
    /// What tells it apart on its device.
    pub alarm: String,
    /// What the device shows.
    pub text: String,
    /// `physiological` or `technical`.
    pub kind: &'static str,
    /// `advisory`, `low`, `medium` or `high`.
    pub priority: &'static str,
    /// False where it ended.
    pub active: bool,
    /// `ok` or `demo`.
    pub status: &'static str,
}

impl Line {
    /// The lines for an output: one for a reading, a wave or an alarm, one for each result of a laboratory report.
    #[must_use]
    pub fn of(t_ms: Option<i64>, device: Option<&str>, out: &Out) -> Vec<Self> {
        match out {
            Out::Reading(reading) => vec![Self::Reading(ReadingLine::new(t_ms, device, reading))],
            Out::Wave(block) => vec![Self::Wave(WaveLine::new(t_ms, device, block))],
            Out::Laboratory(report) => {
                report.results.iter().map(|result| Self::Laboratory(LaboratoryLine::new(t_ms, device, report, result))).collect()
            }
            Out::Alarm(alarm) => vec![Self::Alarm(AlarmLine::new(t_ms, device, alarm))],
            Out::Send(..) | Out::Acknowledge(..) | Out::WakeAt(_) | Out::About(_) | Out::Fault(_) => Vec::new(),
        }
    }
}

impl LaboratoryLine {
    /// The line for one result of a report.
    #[must_use]
    pub fn new(t_ms: Option<i64>, device: Option<&str>, report: &LabReport, result: &LabResult) -> Self {
        let (value, comparator) = match &result.value {
            LabValue::Number(bound, number) => (Some(number.to_json()), bound.comparator()),
            LabValue::Text(text) => (Some(text.as_str().into()), None),
            LabValue::Absent => (None, None),
        };
        let status = match (report.kind, result.status) {
            (LabKind::Demo, _) => "demo",
            (LabKind::Control, _) => "control",
            (LabKind::Calibration, _) => "calibration",
            (LabKind::Patient, _) if value.is_none() => "not-measured",
            (LabKind::Patient, LabStatus::Cancelled) => "not-measured",
            (LabKind::Patient, LabStatus::Preliminary) => "preliminary",
            (LabKind::Patient, LabStatus::Final | LabStatus::Corrected) => "ok",
        };
        let code = if result.test.loinc { result.test.code.clone() } else { format!("local:{}", result.test.code) };
        Self {
            t_ms,
            device: device.map(str::to_owned),
            code,
            value,
            comparator,
            unit: result.unit.clone(),
            status,
            specimen: report.specimen.clone(),
            flags: result.flags.clone(),
        }
    }
}

impl AlarmLine {
    /// The line for an alarm.
    #[must_use]
    pub fn new(t_ms: Option<i64>, device: Option<&str>, alarm: &Alarm) -> Self {
        Self {
            t_ms,
            device: device.map(str::to_owned),
            alarm: alarm.id.clone(),
            text: alarm.text.clone(),
            kind: alarm.kind.word(),
            priority: alarm.priority.word(),
            active: alarm.active,
            status: if alarm.demo { "demo" } else { "ok" },
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
        let line = Line::of(None, Some("ox"), &Out::Reading(reading)).remove(0);
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
        let json = serde_json::to_string(&Line::of(None, None, &Out::Wave(block))).expect("json");
        assert_eq!(
            json,
            r#"[{"t_ms":null,"device":null,"code":"mdc:131330","values":[-0.177,0.012],"rate_hz":300,"unit":"mV","status":"ok"}]"#
        );
    }

    #[test]
    fn a_laboratory_result_says_its_specimen_and_a_control_is_never_ok() {
        let result = LabResult {
            test: record::laboratory::LabCode::new("WBC", "White cells"),
            value: LabValue::parse("<0.50"),
            unit: Some("10^3/uL".to_owned()),
            range: None,
            flags: vec!["L".to_owned()],
            status: LabStatus::Final,
            at: None,
        };
        let mut report = LabReport {
            analyser: None,
            specimen: Some("S1".to_owned()),
            patient_ids: Vec::new(),
            order: None,
            kind: LabKind::Patient,
            results: vec![result],
        };
        let json = |report: &LabReport| serde_json::to_string(&Line::of(None, None, &Out::Laboratory(report.clone()))[0]).expect("json");
        assert_eq!(
            json(&report),
            r#"{"t_ms":null,"device":null,"code":"local:WBC","value":0.50,"comparator":"<","unit":"10^3/uL","status":"ok","specimen":"S1","flags":["L"]}"#
        );
        report.kind = LabKind::Control;
        assert!(json(&report).contains(r#""status":"control""#));
    }
}
