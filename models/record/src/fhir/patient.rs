//! What other rooms read from a Patient resource. Nothing is assumed to be there.

use super::moment::{Moment, Precision};
use crate::time::Timestamp;
use serde_json::{Value, json};

const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// A view of a Patient's JSON.
#[derive(Clone, Copy, Debug)]
pub struct PatientView<'a>(pub &'a Value);

/// How old someone is, in full years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Age {
    /// Full years.
    pub years: u16,
    /// Full months beyond them, 0 to 11; unknown while the birth date has no day.
    pub months: Option<u8>,
}

impl<'a> PatientView<'a> {
    /// The name to show: the official or usual one before any other, "Given Family".
    #[must_use]
    pub fn display_name(self) -> Option<String> {
        let names = self.0.get("name")?.as_array()?;
        let rank = |name: &Value| match name.get("use").and_then(Value::as_str) {
            Some("official") => 0,
            Some("usual") => 1,
            None => 2,
            Some("old" | "maiden") => 4,
            Some(_) => 3,
        };
        let mut ranked: Vec<&Value> = names.iter().collect();
        ranked.sort_by_key(|name| rank(name));
        ranked.into_iter().find_map(written)
    }
    /// `birthDate` as written, possibly partial.
    #[must_use]
    pub fn birth_date(self) -> Option<&'a str> {
        self.0.get("birthDate")?.as_str()
    }
    /// Age at a moment (dates in UTC); of a partial date the youngest it allows. `None` before birth or without a date.
    #[must_use]
    pub fn age_at(self, at: Timestamp) -> Option<Age> {
        let birth = Moment::parse(self.birth_date()?).filter(Moment::is_date)?;
        let last_possible = birth.span.end.plus_micros(-1);
        let date = |at: Timestamp| jiff::Timestamp::from_microsecond(at.0).ok().map(|at| jiff::tz::Offset::UTC.to_datetime(at).date());
        let lived = date(last_possible)?.until((jiff::Unit::Year, date(at)?)).ok()?;
        if lived.is_negative() {
            return None;
        }
        let months = (birth.precision == Precision::Day).then(|| u8::try_from(lived.get_months()).unwrap_or(0));
        Some(Age { years: u16::try_from(lived.get_years()).ok()?, months })
    }
    /// `male`, `female`, `other` or `unknown`.
    #[must_use]
    pub fn gender(self) -> Option<&'a str> {
        self.0.get("gender")?.as_str()
    }
    /// Value of the first identifier.
    #[must_use]
    pub fn identifier(self) -> Option<&'a str> {
        self.0.get("identifier")?.as_array()?.iter().find_map(|identifier| identifier.get("value")?.as_str())
    }
    /// Whether the patient is tagged test (HTEST): the only ones demonstration data may be kept on.
    #[must_use]
    pub fn is_test(self) -> bool {
        let tags = self.0.get("meta").and_then(|meta| meta.get("tag")).and_then(Value::as_array);
        let text = |tag: &'a Value, key: &str| tag.get(key).and_then(Value::as_str);
        tags.into_iter().flatten().any(|tag| text(tag, "system") == Some(ACT_REASON) && text(tag, "code") == Some("HTEST"))
    }
}

/// The tag of test patients and demonstration data.
#[must_use]
pub fn test_tag() -> Value {
    json!({"system": ACT_REASON, "code": "HTEST", "display": "test health data"})
}

fn written(name: &Value) -> Option<String> {
    let text = |key: &str| name.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    if let Some(whole) = text("text") {
        return Some(whole.to_owned());
    }
    let given = name.get("given").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let parts: Vec<&str> = given.chain(text("family")).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_name_is_shown_and_an_empty_one_skipped() {
        let patient = json!({"name": [
            {"use": "old", "family": "Smith"}, {"use": "official"}, {"use": "usual", "given": ["Ana", "Rosa"], "family": "Lima"},
        ]});
        assert_eq!(PatientView(&patient).display_name().as_deref(), Some("Ana Rosa Lima"));
        assert_eq!(PatientView(&json!({})).display_name(), None);
    }

    #[test]
    fn age_turns_on_the_birthday() {
        let age = |birth: &str, at: &str| PatientView(&json!({"birthDate": birth})).age_at(Timestamp::parse(at).expect("time"));
        assert_eq!(age("1980-02-29", "2026-02-28T12:00:00Z").map(|a| a.years), Some(45));
        assert_eq!(age("1980-02-29", "2026-03-01T12:00:00Z").map(|a| a.years), Some(46));
        assert_eq!(age("2026-01-15", "2026-04-14T12:00:00Z"), Some(Age { years: 0, months: Some(2) }));
        assert_eq!(age("1980", "2026-06-01T00:00:00Z"), Some(Age { years: 45, months: None }));
        assert_eq!(age("2027-01-01", "2026-06-01T00:00:00Z"), None);
        assert_eq!(age("soon", "2026-06-01T00:00:00Z"), None);
    }

    #[test]
    fn only_the_tag_of_the_right_system_makes_a_test_patient() {
        assert!(PatientView(&json!({"meta": {"tag": [test_tag()]}})).is_test());
        assert!(!PatientView(&json!({"meta": {"tag": [{"code": "HTEST"}]}})).is_test());
    }
}
