//! A recorded table of vitals, played as a patient: CSV, a column of times, the others by LOINC code or by name.

use crate::physiology::{Vital, Vitals};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Longest table read, bytes.
const BYTES_MAX: u64 = 64 << 20;
/// Names of the column of times.
const TIMES: [&str; 6] = ["time", "t", "timestamp", "charttime", "time_s", "seconds"];

/// What columns may be called, beside a vital's LOINC codes.
fn vital(name: &str) -> Option<Vital> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    Some(match name.as_str() {
        "hr" | "heart_rate" | "heartrate" | "pulse" | "pulse_rate" | "pr" | "8867_4" | "8889_8" => Vital::HeartRate,
        "spo2" | "sao2" | "o2sat" | "sats" | "oxygen_saturation" | "59408_5" | "2708_6" => Vital::Spo2,
        "rr" | "resp" | "resprate" | "respiration" | "respiratory_rate" | "resp_rate" | "9279_1" => Vital::Respiration,
        "temp" | "temperature" | "body_temperature" | "8310_5" => Vital::Temperature,
        "sbp" | "sys" | "sysabp" | "nisysabp" | "systolic" | "nibp_systolic" | "8480_6" | "76215_3" => Vital::Systolic,
        "dbp" | "dia" | "diasabp" | "nidiasabp" | "diastolic" | "nibp_diastolic" | "8462_4" | "76213_8" => Vital::Diastolic,
        "glucose" | "41653_7" | "2339_0" | "99504_3" => Vital::Glucose,
        "weight" | "29463_7" => Vital::Weight,
        _ => return None,
    })
}

/// A table: rows by seconds since its first, and of each what was measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    rows: Vec<(f64, Vec<(Vital, f64)>)>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too long, has no column of times or none of a vital, or a row that goes back in time; with its line.
    pub fn read(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        ensure!(std::fs::metadata(path).with_context(at)?.len() <= BYTES_MAX, "{}: longer than {BYTES_MAX} bytes", at());
        Self::parse(&std::fs::read_to_string(path).with_context(at)?).with_context(at)
    }

    /// Reads its text. Cells that are empty or no number say nothing; columns nobody knows are passed over.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, head) = lines.next().context("it is empty")?;
        let separator = if head.contains(';') { ';' } else { ',' };
        let names: Vec<String> = cells(head, separator).collect();
        let known = |name: &String| TIMES.contains(&name.to_ascii_lowercase().as_str());
        let time = names.iter().position(known).with_context(|| format!("no column of times: one of {}", TIMES.join(", ")))?;
        let columns: Vec<(usize, Vital)> = names.iter().enumerate().filter_map(|(place, name)| Some((place, vital(name)?))).collect();
        ensure!(!columns.is_empty(), "no column of a vital: LOINC codes, or names such as heart_rate, spo2, respiratory_rate");
        let mut rows: Vec<(f64, Vec<(Vital, f64)>)> = Vec::new();
        let mut first = None;
        for (number, line) in lines {
            let row: Vec<String> = cells(line, separator).collect();
            let stated = row.get(time).map(String::as_str).unwrap_or_default();
            let at = seconds(stated).with_context(|| format!("line {}: {stated:?} is no time", number + 1))?;
            let at = at - *first.get_or_insert(at);
            if rows.last().is_some_and(|(before, _)| at < *before) {
                bail!("line {}: goes back in time", number + 1);
            }
            let value = |place: usize| row.get(place).and_then(|cell| cell.parse::<f64>().ok()).filter(|value| value.is_finite());
            let said = columns.iter().filter_map(|(place, vital)| Some((*vital, value(*place)?)));
            rows.push((at, said.collect()));
        }
        ensure!(!rows.is_empty(), "it has no rows");
        Ok(Self { rows })
    }

    /// Puts what was last measured by then over `vitals`. What the table never says stays.
    #[must_use]
    pub fn over(&self, mut vitals: Vitals, seconds: f64) -> Vitals {
        let until = self.rows.partition_point(|(at, _)| *at <= seconds);
        let mut wanted: Vec<Vital> = Vital::ALL.to_vec();
        // Newest first, until each vital was met.
        for (_, said) in self.rows.get(..until).unwrap_or_default().iter().rev() {
            for (vital, value) in said {
                if let Some(place) = wanted.iter().position(|other| other == vital) {
                    wanted.swap_remove(place);
                    vitals.set(*vital, *value);
                }
            }
            if wanted.is_empty() {
                break;
            }
        }
        vitals
    }

    /// Seconds from its first row to its last.
    #[must_use]
    pub fn length_s(&self) -> f64 {
        self.rows.last().map_or(0.0, |(at, _)| *at)
    }
}

/// The cells of a line; quotes around one are taken away.
fn cells(line: &str, separator: char) -> impl Iterator<Item = String> {
    line.split(separator).map(|cell| cell.trim().trim_matches('"').trim().to_owned())
}

/// Seconds of a moment: a number, `hh:mm[:ss]`, or a date and time.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond() as f64 / 1000.0);
    }
    if let Ok(at) = text.replace(' ', "T").parse::<jiff::civil::DateTime>() {
        return Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond() as f64 / 1000.0);
    }
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let rest = parts.next().unwrap_or(Some(0))?;
    Some(f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + f64::from(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Course, Patient};

    #[test]
    fn a_table_is_read_by_loinc_codes_and_by_names_and_says_what_was_last_measured() {
        for text in
            ["time,8867-4,59408-5\n0,80,97\n10,,96\n30,120,88\n", "Time;HR;SpO2;colour\n00:00;80;97;red\n00:00:10;;96;\n00:00:30;120;88;\n"]
        {
            let table = Table::parse(text).expect("table");
            let base = Patient::new(1, Course::Stable).advance(0.0);
            let at = |seconds| table.over(base, seconds);
            assert_eq!((at(0.0).heart_rate, at(9.9).spo2), (80.0, 97.0));
            assert_eq!((at(10.0).heart_rate, at(10.0).spo2), (80.0, 96.0));
            assert_eq!((at(31.0).heart_rate, at(99.0).spo2, at(99.0).temperature), (120.0, 88.0, base.temperature));
            assert_eq!(table.length_s(), 30.0);
        }
    }

    #[test]
    fn moments_may_be_dates_and_only_their_distance_counts() {
        let table = Table::parse("charttime,hr\n2026-11-22 10:00:00,60\n2026-11-22 10:01:00,90\n").expect("table");
        assert_eq!(table.length_s(), 60.0);
        let zoned = Table::parse("timestamp,hr\n2026-11-22T10:00:00Z,60\n2026-11-22T11:01:00+01:00,90\n").expect("table");
        assert_eq!(zoned.length_s(), 60.0);
    }

    #[test]
    fn what_is_no_table_is_refused_by_line() {
        for (text, why) in [
            ("", "empty"),
            ("hr\n80\n", "times"),
            ("time,colour\n0,red\n", "vital"),
            ("time,hr\n", "rows"),
            ("time,hr\n10,80\n5,80\n", "line 3"),
            ("time,hr\nsoon,80\n", "line 2"),
        ] {
            let error = Table::parse(text).expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
