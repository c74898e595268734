//! What a laboratory analyser says: reports of results, before anyone has said whose specimen it was.

use crate::decimal::Decimal;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The results of one order on one specimen, as sent. Of the patient named beside them only the numbers are read, never a name:
/// whose a report is, is decided by whoever knows which patients have them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LabReport {
    /// The analyser's own name for itself ("Sysmex XN-1000").
    pub analyser: Option<String>,
    /// The specimen's number, as read from its label or typed.
    pub specimen: Option<String>,
    /// The numbers by which the message names its patient.
    #[serde(default)]
    pub patient_ids: Vec<String>,
    /// What was ordered.
    pub order: Option<LabCode>,
    /// Whether it is about a patient at all.
    pub kind: LabKind,
    /// The results, in the order sent.
    pub results: Vec<LabResult>,
}

/// What a report is about. Only [`LabKind::Patient`] may ever reach a patient's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabKind {
    /// A patient's specimen.
    Patient,
    /// Control material (quality control).
    Control,
    /// A calibrator.
    Calibration,
    /// Training or debugging.
    Demo,
}

/// A code of a test, as LOINC where the analyser sends that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LabCode {
    /// The code as sent.
    pub code: String,
    /// Whether it is LOINC's; else it is the analyser's own.
    pub loinc: bool,
    /// The name beside it.
    pub name: Option<String>,
}

/// One result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LabResult {
    /// What was tested.
    pub test: LabCode,
    /// What was found.
    pub value: LabValue,
    /// The unit as sent, seldom UCUM ("10^3/µL").
    pub unit: Option<String>,
    /// The reference range as sent.
    pub range: Option<String>,
    /// Abnormality flags as sent ("H", "LL", "A").
    pub flags: Vec<String>,
    /// How final it is.
    pub status: LabStatus,
    /// When it was measured, where the zone is known.
    pub at: Option<Timestamp>,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabValue {
    /// A number, or a bound of what can be measured.
    Number(Bound, Decimal),
    /// Words or a code ("NEGATIVE").
    Text(String),
    /// None: not tested, or failed.
    Absent,
}

/// Whether a number is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Bound {
    /// The number itself.
    #[serde(rename = "=")]
    Exact,
    /// Less than it.
    #[serde(rename = "<")]
    Less,
    /// At most it.
    #[serde(rename = "<=")]
    AtMost,
    /// At least it.
    #[serde(rename = ">=")]
    AtLeast,
    /// More than it.
    #[serde(rename = ">")]
    More,
}

impl Bound {
    /// FHIR's comparator; none for an exact number.
    #[must_use]
    pub const fn comparator(self) -> Option<&'static str> {
        match self {
            Self::Exact => None,
            Self::Less => Some("<"),
            Self::AtMost => Some("<="),
            Self::AtLeast => Some(">="),
            Self::More => Some(">"),
        }
    }
}

/// How final a result is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabStatus {
    /// May still change, or its message broke off.
    Preliminary,
    /// Final.
    Final,
    /// Replaces an earlier one.
    Corrected,
    /// Could not be had.
    Cancelled,
}

impl LabValue {
    /// Reads what analysers write: `5.8`, `<0.5`, `>= 100`, `NEGATIVE`, nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() || text.bytes().all(|b| matches!(b, b'-' | b'*' | b'.' | b' ')) {
            return Self::Absent;
        }
        const MARKS: [(&str, Bound); 4] = [("<=", Bound::AtMost), (">=", Bound::AtLeast), ("<", Bound::Less), (">", Bound::More)];
        let (bound, digits) =
            MARKS.iter().find_map(|(mark, bound)| Some((*bound, text.strip_prefix(mark)?.trim_start()))).unwrap_or((Bound::Exact, text));
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        digits.parse().map_or_else(|_| Self::Text(text.to_owned()), |number| Self::Number(bound, number))
    }
}

impl LabCode {
    /// A code and its name; LOINC where the code is one (digits, a hyphen, the right check digit).
    #[must_use]
    pub fn new(code: &str, name: &str) -> Self {
        let name = Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned);
        Self { code: code.to_owned(), loinc: is_loinc(code), name }
    }
}

/// Whether `code` has the form of a LOINC code and its check digit (Luhn, modulus 10) is right.
#[must_use]
pub fn is_loinc(code: &str) -> bool {
    let Some((digits, check)) = code.split_once('-') else { return false };
    if !(1..=7).contains(&digits.len()) || check.len() != 1 || !digits.bytes().chain(check.bytes()).all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            let doubled = if place % 2 == 0 { 2 * digit } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum();
    check.bytes().next().is_some_and(|stated| u32::from(stated - b'0') == (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bounds_words_and_nothing_are_told_apart() {
        let number = |text: &str| text.parse::<Decimal>().expect("number");
        assert_eq!(LabValue::parse(" 5.80 "), LabValue::Number(Bound::Exact, number("5.80")));
        assert_eq!(LabValue::parse("<0.5"), LabValue::Number(Bound::Less, number("0.5")));
        assert_eq!(LabValue::parse(">= 100"), LabValue::Number(Bound::AtLeast, number("100")));
        assert_eq!(LabValue::parse("NEGATIVE"), LabValue::Text("NEGATIVE".to_owned()));
        assert_eq!(LabValue::parse("< lower limit"), LabValue::Text("< lower limit".to_owned()));
        for none in ["", "  ", "---", "--.-", "****"] {
            assert_eq!(LabValue::parse(none), LabValue::Absent, "{none:?}");
        }
    }

    #[test]
    fn a_loinc_code_is_known_by_its_check_digit() {
        for code in ["6690-2", "94500-6", "718-7", "2708-6", "59408-5"] {
            assert!(is_loinc(code), "{code}");
        }
        for code in ["6690-3", "WBC", "12-34", "-2", "6690-", "66a0-2", ""] {
            assert!(!is_loinc(code), "{code}");
        }
    }
}
