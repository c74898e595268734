//! What the record holds of a patient, read back over FHIR.

use crate::client::Client;
use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Resources on one page of a search.
const PAGE: usize = 1000;
/// Pages read before a search counts as endless.
const PAGES_MAX: usize = 200;

/// All resources a search finds, over all its pages.
///
/// # Errors
/// Refused, or endless.
pub async fn search(client: &Client, query: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut next = Some(query.to_owned());
    for _ in 0..PAGES_MAX {
        let Some(path) = next else { return Ok(found) };
        let page = client.send(Method::GET, &path, None).await?.ok()?;
        let entries = page.get("entry").and_then(Value::as_array).cloned().unwrap_or_default();
        found.extend(entries.into_iter().filter_map(|mut entry| entry.get_mut("resource").map(Value::take)));
        let links = page.get("link").and_then(Value::as_array).cloned().unwrap_or_default();
        let link = links.iter().find(|link| link.get("relation").is_some_and(|relation| relation == "next"));
        next = link.and_then(|link| link.get("url")).and_then(Value::as_str).map(str::to_owned);
    }
    bail!("{query}: more than {PAGES_MAX} pages")
}

/// Every value charted for a patient: how often each (LOINC, ms since 1970, number) is there.
#[derive(Debug, Default)]
pub struct Chart(BTreeMap<(String, i64, String), usize>);

impl Chart {
    /// Reads a patient's Observations.
    ///
    /// # Errors
    /// Refused, or a time nobody can read.
    pub async fn read(client: &Client, patient: &str) -> Result<Self> {
        let mut chart = Self::default();
        for observation in search(client, &format!("/fhir/R4/Observation?patient={patient}&_count={PAGE}")).await? {
            let time = observation.get("effectiveDateTime").and_then(Value::as_str);
            let at_ms = millis(time.with_context(|| format!("an Observation without a time: {observation}"))?)?;
            let components = observation.get("component").and_then(Value::as_array).cloned().unwrap_or_default();
            for one in components.iter().chain([&observation]) {
                let number = one.pointer("/valueQuantity/value").map(Value::to_string);
                let codes = one.pointer("/code/coding").and_then(Value::as_array).cloned().unwrap_or_default();
                for code in codes.iter().filter_map(|coding| coding.get("code")).filter_map(Value::as_str) {
                    if let Some(number) = &number {
                        *chart.0.entry((code.to_owned(), at_ms, plain(number))).or_default() += 1;
                    }
                }
            }
        }
        Ok(chart)
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().sum()
    }

    /// Whether nothing is charted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Values that are here and in `other` not equally often, for a person to read.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let times = |chart: &Self, key| chart.0.get(key).copied().unwrap_or_default();
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let apart = keys.into_iter().filter(|key| times(self, key) != times(other, key));
        apart.map(|key| format!("{} = {} at {}: {} and {}", key.0, key.2, key.1, times(self, key), times(other, key))).collect()
    }

    /// Values of messages acknowledged to a monitor that are not charted exactly once, for a person to read.
    #[must_use]
    pub fn wrong(&self, acknowledged: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        for message in acknowledged {
            let at_ms = message["t_ms"].as_i64().unwrap_or_default();
            for (code, number) in message["values"].as_object().into_iter().flatten() {
                let found = self.count(code, at_ms, &number.to_string());
                if found != 1 {
                    wrong.push(format!("{code} = {number} at {at_ms} is charted {found} times"));
                }
            }
        }
        wrong
    }

    /// How often a value is charted, by LOINC or `mdc:<n>`.
    #[must_use]
    pub fn count(&self, code: &str, at_ms: i64, number: &str) -> usize {
        let code = code.strip_prefix("mdc:").unwrap_or(code);
        self.0.get(&(code.to_owned(), at_ms, plain(number))).copied().unwrap_or_default()
    }
}

/// `97.0` and `97` are one number.
fn plain(number: &str) -> String {
    number.parse::<f64>().map_or_else(|_| number.to_owned(), |value| value.to_string())
}

/// Milliseconds since 1970 of an RFC 3339 instant, its fraction cut to milliseconds.
///
/// # Errors
/// It is none.
pub fn millis(instant: &str) -> Result<i64> {
    let read = || -> Option<i64> {
        let (date, clock) = instant.split_once('T')?;
        let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let (clock, sign, zone) = match clock.strip_suffix('Z') {
            Some(clock) => (clock, 1, "00:00"),
            None => {
                let at = clock.rfind(['+', '-'])?;
                let (clock, zone) = clock.split_at(at);
                (clock, if zone.starts_with('-') { -1 } else { 1 }, zone.get(1..)?)
            }
        };
        let mut clock = clock.splitn(3, ':');
        let (hour, minute, second) = (clock.next()?.parse::<i64>().ok()?, clock.next()?.parse::<i64>().ok()?, clock.next()?);
        let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
        let fraction_ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let (zone_hour, zone_minute) = zone.split_once(':')?;
        let zone_min = sign * (zone_hour.parse::<i64>().ok()? * 60 + zone_minute.parse::<i64>().ok()?);
        let minutes = (days(year, month, day) * 24 + hour) * 60 + minute - zone_min;
        Some((minutes * 60 + second.parse::<i64>().ok()?) * 1000 + fraction_ms)
    };
    read().with_context(|| format!("{instant:?} is no instant"))
}

/// Days since 1970 of a date of the Gregorian calendar, by the count of its leap days.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // March begins the year, so that the leap day ends it.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_with_their_zone_and_fraction() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00+00:00", 951_825_600_000),
            ("2026-11-22T05:04:46.25Z", 1_795_323_886_250),
            ("2026-11-22T07:04:46.250999+02:00", 1_795_323_886_250),
            ("1969-12-31T23:59:59-00:30", 1_799_000),
        ] {
            assert_eq!(millis(text).expect(text), ms, "{text}");
        }
        assert!(millis("yesterday").is_err() && millis("2026-11-22").is_err());
    }

    #[test]
    fn a_number_is_the_same_with_and_without_its_trailing_zero() {
        assert_eq!(plain("97.0"), plain("97"));
        assert_ne!(plain("36.8"), plain("36.81"));
    }
}
