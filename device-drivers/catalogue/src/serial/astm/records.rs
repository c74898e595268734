//! The records of E1394/LIS2-A2: `H` header, `P` patient (its numbers, never its name), `O` order, `R` result, `L` end. Delimiters are those
//! that `H` states (`H|\^&`, on a GeneXpert `H|@^\`).
//!
//! A report is one order with its results. It is given when the next order or the end of the message comes, so that a
//! record cut by a broken message is never charted.

use crate::laboratory::{code_of, flags};
use crate::network::hl7::message::text_of;
use crate::network::hl7::time::DateTime;
use driver::profile::Profile;
use driver::{DecodeError, Fault, Out};
use record::laboratory::{LabCode, LabKind, LabReport, LabResult, LabStatus, LabValue};
use record::time::Timestamp;

/// The longest record read, in bytes.
pub const RECORD_LEN_MAX: usize = 64 * 1024;
/// Results of one message.
const RESULTS_MAX: usize = 4096;
/// The longest field kept, in characters.
const FIELD_LEN_MAX: usize = 500;

#[derive(Clone, Copy, Debug)]
struct Delimiters {
    field: char,
    repeat: char,
    component: char,
}

/// Reads the records of one link.
#[derive(Debug)]
pub struct Records {
    profile: Profile,
    partial: Vec<u8>,
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    delimiters: Delimiters,
    analyser: Option<String>,
    kind: LabKind,
    patient_ids: Vec<String>,
    reports: Vec<LabReport>,
    results: usize,
    /// What follows belongs to no report that was begun: no order has come since the patient changed.
    fresh: bool,
}

impl Records {
    /// A reader for an analyser of this profile.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        Self { profile: profile.clone(), partial: Vec::new(), message: None }
    }

    /// Takes the text of a frame; `ends` where its record ends with it.
    pub fn text(&mut self, text: &[u8], ends: bool, out: &mut Vec<Out>) {
        let mut pieces = text.split(|byte| matches!(byte, b'\r' | b'\n')).peekable();
        while let Some(piece) = pieces.next() {
            let room = RECORD_LEN_MAX.saturating_sub(self.partial.len());
            self.partial.extend(piece.iter().take(room));
            if room < piece.len() {
                out.push(Out::Fault(Fault::new(DecodeError::Oversized { limit: RECORD_LEN_MAX }, piece.len() - room)));
            }
            if pieces.peek().is_some() || ends {
                let record = std::mem::take(&mut self.partial);
                if !record.is_empty() {
                    self.record(&text_of(&record), out);
                }
            }
        }
    }

    /// The sender has stopped. What came whole is given as preliminary; the last record may have been cut.
    pub fn broken_off(&mut self, out: &mut Vec<Out>) {
        self.partial.clear();
        let Some(mut message) = self.message.take() else { return };
        out.push(Out::Fault(Fault::field("L", "the message broke off before its end")));
        if let Some(last) = message.reports.last_mut() {
            last.results.pop();
        }
        for report in &mut message.reports {
            for result in &mut report.results {
                result.status = LabStatus::Preliminary;
            }
        }
        message.give(out);
    }

    fn record(&mut self, record: &str, out: &mut Vec<Out>) {
        let Some(kind) = record.chars().next() else { return };
        if kind == 'H' {
            self.broken_off(out);
            match Message::begin(record) {
                Ok(message) => self.message = Some(message),
                Err(fault) => out.push(Out::Fault(fault)),
            }
            return;
        }
        let Some(message) = &mut self.message else {
            let shown: String = record.chars().take(1).filter(char::is_ascii_alphabetic).collect();
            return out
                .push(Out::Fault(Fault { skipped: record.len(), ..Fault::field("H", format!("record {shown:?} outside a message")) }));
        };
        let fields = Fields { text: record, delimiters: message.delimiters };
        if fields.get(1).len() != 1 {
            // Whose the results behind an unreadable patient or order are is not known.
            match kind {
                'P' => message.patient(Vec::new()),
                'O' => message.fresh = true,
                _ => {}
            }
            return out.push(Out::Fault(Fault::field("record", "not divided as its header says")));
        }
        let read = match kind {
            'O' => message.order(&fields),
            'R' => message.result(&fields, &self.profile),
            'Q' => message.control(&fields, &self.profile),
            // The practice's number and the laboratory's; the third is a name on some analysers.
            'P' => {
                message.patient([3, 4].iter().filter_map(|field| fields.components(*field).next().and_then(kept)).collect());
                Ok(())
            }
            'L' => {
                if let Some(message) = self.message.take() {
                    message.give(out);
                }
                Ok(())
            }
            // Comments, the maker's own and scientific records.
            'C' | 'M' | 'S' => Ok(()),
            _ => Err(Fault::field("record", format!("unknown kind {:?}", kind.to_ascii_uppercase()))),
        };
        out.extend(read.err().map(Out::Fault));
    }
}

impl Message {
    fn begin(record: &str) -> Result<Self, Fault> {
        let mut chars = record.chars().skip(1);
        let mut next = || chars.next().filter(|c| c.is_ascii_punctuation());
        let (field, repeat, component) = (next(), next(), next());
        let (Some(field), Some(repeat), Some(component)) = (field, repeat, component) else {
            return Err(Fault::field("H-2", "no delimiters are stated"));
        };
        if field == repeat || field == component || repeat == component {
            return Err(Fault::field("H-2", "delimiters that are equal"));
        }
        let delimiters = Delimiters { field, repeat, component };
        let fields = Fields { text: record, delimiters };
        let sender: Vec<&str> = fields.get(5).split(component).map(str::trim).filter(|part| !part.is_empty()).take(2).collect();
        let kind = match fields.get(12) {
            "Q" => LabKind::Control,
            "T" | "D" => LabKind::Demo,
            _ => LabKind::Patient,
        };
        let analyser = kept(&sender.join(" "));
        Ok(Self { delimiters, analyser, kind, patient_ids: Vec::new(), reports: Vec::new(), results: 0, fresh: true })
    }

    /// Another patient: what follows is not of the order before.
    fn patient(&mut self, ids: Vec<String>) {
        (self.patient_ids, self.fresh) = (ids, true);
    }

    fn order(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        // Padded and divided on some analysers: the first part that is not blank.
        let specimen = fields.components(3).find(|part| !part.is_empty()).and_then(kept);
        let order = code_of(&fields.components(5).collect::<Vec<_>>());
        let control = fields.get(12) == "Q";
        let kind = if control && self.kind == LabKind::Patient { LabKind::Control } else { self.kind };
        self.open(LabReport { specimen, order, kind, ..self.blank() })
    }

    /// A report of this message about an unnumbered specimen.
    fn blank(&self) -> LabReport {
        LabReport {
            analyser: self.analyser.clone(),
            specimen: None,
            patient_ids: self.patient_ids.clone(),
            order: None,
            kind: self.kind,
            results: Vec::new(),
        }
    }

    /// Begins a report. What follows one that finds no room is not taken for the last that did.
    fn open(&mut self, report: LabReport) -> Result<(), Fault> {
        self.fresh = self.reports.len() >= RESULTS_MAX;
        if self.fresh {
            return Err(Fault::new(DecodeError::Oversized { limit: RESULTS_MAX }, 0));
        }
        self.reports.push(report);
        Ok(())
    }

    fn result(&mut self, fields: &Fields<'_>, profile: &Profile) -> Result<(), Fault> {
        let test = code_of(&fields.components(3).collect::<Vec<_>>()).ok_or_else(|| Fault::field("R-3", "no test is named"))?;
        let value = fields.components(4).find(|part| !part.is_empty()).unwrap_or_default();
        let status = match fields.get(9) {
            "F" | "" | "V" => LabStatus::Final,
            "C" => LabStatus::Corrected,
            "X" => LabStatus::Cancelled,
            _ => LabStatus::Preliminary,
        };
        let result = LabResult {
            test,
            value: if status == LabStatus::Cancelled { LabValue::Absent } else { LabValue::parse(&bounded(value)) },
            unit: kept(fields.get(5)),
            range: kept(fields.get(6)),
            flags: flags(fields.get(7).split(self.delimiters.repeat)),
            status,
            at: time(fields, &[13, 12, 11, 10], profile),
        };
        if self.results >= RESULTS_MAX {
            return Err(Fault::new(DecodeError::Oversized { limit: RESULTS_MAX }, 0));
        }
        // Some analysers send results without an order: then there is no specimen to bind them by, and it shows.
        if self.fresh {
            self.open(self.blank())?;
        }
        self.results += 1;
        if let Some(report) = self.reports.last_mut() {
            report.results.push(result);
        }
        Ok(())
    }

    /// `Q|n|TEST^lot^level|value|unit|time|flag`: results of control material, as some analysers send them in place of
    /// the standard's query. A query proper has no test before its first `^` and is not answered.
    fn control(&mut self, fields: &Fields<'_>, profile: &Profile) -> Result<(), Fault> {
        let parts: Vec<&str> = fields.components(3).collect();
        let (Some(&test), true) = (parts.first().filter(|test| !test.is_empty()), parts.len() >= 3 && !fields.get(4).is_empty()) else {
            return Ok(());
        };
        if self.results >= RESULTS_MAX {
            return Err(Fault::new(DecodeError::Oversized { limit: RESULTS_MAX }, 0));
        }
        self.results += 1;
        let lot = kept(&parts.iter().skip(1).copied().collect::<Vec<_>>().join(" "));
        let result = LabResult {
            test: LabCode::new(&bounded(test), ""),
            value: LabValue::parse(&bounded(fields.get(4))),
            unit: kept(fields.get(5)),
            range: None,
            flags: flags(fields.get(7).split(self.delimiters.repeat)),
            status: LabStatus::Final,
            at: time(fields, &[6], profile),
        };
        self.open(LabReport { specimen: lot, kind: LabKind::Control, results: vec![result], patient_ids: Vec::new(), ..self.blank() })?;
        // Complete as it is: a result behind it is not the control material's.
        self.fresh = true;
        Ok(())
    }

    fn give(self, out: &mut Vec<Out>) {
        out.extend(self.reports.into_iter().filter(|report| !report.results.is_empty()).map(Out::Laboratory));
    }
}

struct Fields<'a> {
    text: &'a str,
    delimiters: Delimiters,
}

impl<'a> Fields<'a> {
    /// Field `n`, counted from 1 as the standard does; empty where there is none.
    fn get(&self, n: usize) -> &'a str {
        self.text.split(self.delimiters.field).nth(n.saturating_sub(1)).unwrap_or_default().trim()
    }
    fn components(&self, n: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        let first = self.get(n).split(self.delimiters.repeat).next().unwrap_or_default();
        first.split(self.delimiters.component).map(str::trim)
    }
}

/// The first of these fields that is a moment.
fn time(fields: &Fields<'_>, places: &[usize], profile: &Profile) -> Option<Timestamp> {
    let at = places.iter().find_map(|place| DateTime::parse(fields.get(*place)))?;
    at.moment(None).or_else(|| profile.moment(at.read_as_utc))
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(FIELD_LEN_MAX).collect()
}

fn kept(text: &str) -> Option<String> {
    Some(bounded(text.trim())).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::decimal::Decimal;
    use record::laboratory::Bound;

    const HEAD: &str = "H|\\^&|||Acme^A1|||||||P|1|20260128090000";

    fn read(records: &[&str]) -> Vec<Out> {
        let (mut reader, mut out) = (Records::new(&Profile::bare("astm.lis2")), Vec::new());
        for record in records {
            reader.text(record.as_bytes(), true, &mut out);
        }
        reader.broken_off(&mut out);
        out
    }
    fn report(records: &[&str]) -> LabReport {
        let all = read(records);
        all.into_iter().find_map(|o| if let Out::Laboratory(report) = o { Some(report) } else { None }).expect("report")
    }

    #[test]
    fn a_result_keeps_its_code_value_unit_range_and_flags() {
        let report =
            report(&[HEAD, "P|1||X|Doe^J", "O|1|  S1^A||^^^CBC^Count", "R|1|^^^WBC^White|>6.20|10^3/uL|4.0-10.0|H\\A||F", "L|1|N"]);
        assert_eq!((report.analyser.as_deref(), report.specimen.as_deref(), report.kind), (Some("Acme A1"), Some("S1"), LabKind::Patient));
        let result = &report.results[0];
        assert_eq!((result.test.code.as_str(), result.test.name.as_deref(), result.test.loinc), ("WBC", Some("White"), false));
        assert_eq!(result.value, LabValue::Number(Bound::More, Decimal::new(620, -2)));
        assert_eq!((result.unit.as_deref(), result.range.as_deref()), (Some("10^3/uL"), Some("4.0-10.0")));
        assert_eq!(result.flags, ["H", "A"]);
        assert_eq!(report.patient_ids, ["X"]);
        assert!(!format!("{report:?}").contains("Doe"));
    }

    #[test]
    fn the_header_chooses_the_delimiters() {
        let report = report(&["H|@^\\|||Gene", "O|1|S9||^^^MTB", "R|1|^^^MTB^^^94500-6|NEGATIVE^||||||F", "L|1"]);
        assert_eq!((report.results[0].test.code.as_str(), report.results[0].test.loinc), ("94500-6", true));
        assert_eq!(report.results[0].value, LabValue::Text("NEGATIVE".to_owned()));
    }

    #[test]
    fn control_material_is_told_from_patients() {
        let kind = |head: &str, order: &str| report(&[head, order, "R|1|^^^GLU|5.0|mmol/L", "L|1"]).kind;
        assert_eq!(kind(HEAD, "O|1|S1||^^^GLU|||||||Q"), LabKind::Control, "field numbers count the record's letter");
        assert_eq!(kind(HEAD, "O|1|S1||^^^GLU|||||||N"), LabKind::Patient);
        assert_eq!(kind(&HEAD.replace("|P|1", "|Q|1"), "O|1|S1||^^^GLU"), LabKind::Control);
        assert_eq!(kind(&HEAD.replace("|P|1", "|T|1"), "O|1|S1||^^^GLU"), LabKind::Demo);
        let report = report(&[HEAD, "Q|1|GLUCOSE^LOT1^LOW|58.2|mg/dL|20250115061000|N", "L|1"]);
        assert_eq!((report.kind, report.specimen.as_deref()), (LabKind::Control, Some("LOT1 LOW")));
        let query = read(&[HEAD, "Q|1|^S1||ALL", "L|1"]);
        assert_eq!(query, [], "a query asks, it says nothing");
    }

    #[test]
    fn two_orders_are_two_reports() {
        let out = read(&[HEAD, "O|1|S1||^^^A", "R|1|^^^A|1", "O|2|S2||^^^B", "R|1|^^^B|2", "L|1|N"]);
        assert_eq!(out.len(), 2);
    }

    fn numbers_and_results(records: &[&str]) -> Vec<(Vec<String>, usize)> {
        let given = read(records).into_iter();
        given
            .filter_map(|o| if let Out::Laboratory(report) = o { Some((report.patient_ids, report.results.len())) } else { None })
            .collect()
    }

    #[test]
    fn results_of_a_second_patient_without_an_order_are_not_the_first_patients() {
        let found = numbers_and_results(&[HEAD, "P|1||A", "O|1|S1", "R|1|^^^WBC|5", "P|2||B", "R|1|^^^WBC|9", "R|2|^^^RBC|4", "L|1"]);
        assert_eq!(found, [(vec!["A".to_owned()], 1), (vec!["B".to_owned()], 2)]);
        let found = numbers_and_results(&[HEAD, "P|1||A", "O|1|S1", "R|1|^^^WBC|5", "P;2;;B", "R|1|^^^WBC|9", "L|1"]);
        assert_eq!(found, [(vec!["A".to_owned()], 1), (vec![], 1)], "a patient that cannot be read is not the one before");
    }

    #[test]
    fn a_result_behind_control_material_is_a_report_of_its_own() {
        let found = numbers_and_results(&[HEAD, "P|1||A", "Q|1|GLU^LOT1^LOW|58.2|mg/dL", "R|1|^^^GLU|5", "L|1"]);
        assert_eq!(found, [(vec![], 1), (vec!["A".to_owned()], 1)]);
    }

    #[test]
    fn an_order_past_the_limit_is_named_and_its_results_are_not_the_last_orders() {
        let order = "O|1|S1||^^^A";
        let mut records = vec![HEAD];
        records.extend(std::iter::repeat_n(order, RESULTS_MAX - 1));
        records.extend(["O|1|S2", "R|1|^^^A|1", "O|1|S3", "R|1|^^^A|2", "L|1"]);
        let out = read(&records);
        let faults = out.iter().filter(|o| matches!(o, Out::Fault(fault) if matches!(fault.error, DecodeError::Oversized { .. }))).count();
        assert_eq!(faults, 2, "the order and its result");
        let reports: Vec<_> = out.iter().filter_map(|o| if let Out::Laboratory(report) = o { Some(report) } else { None }).collect();
        assert_eq!(reports.iter().map(|report| (report.specimen.as_deref(), report.results.len())).collect::<Vec<_>>(), [(Some("S2"), 1)]);
    }

    #[test]
    fn what_is_wrong_is_named_and_the_rest_is_read() {
        let faults = |records: &[&str]| {
            let out = read(records);
            let count = out.iter().filter(|o| matches!(o, Out::Laboratory(_))).count();
            (out.iter().find_map(|o| if let Out::Fault(f) = o { Some(f.to_string()) } else { None }), count)
        };
        assert_eq!(faults(&["R|1|^^^WBC|5"]), (Some("H: record \"R\" outside a message (12 bytes skipped)".to_owned()), 0));
        assert_eq!(faults(&["H|||||", "L|1"]).0, Some("H-2: delimiters that are equal".to_owned()));
        assert_eq!(faults(&[HEAD, "O|1|S1", "X|1|no", "R|1|^^^WBC|5", "L|1"]), (Some("record: unknown kind 'X'".to_owned()), 1));
        assert_eq!(faults(&[HEAD, "O|1|S1", "R|1||5", "R|2|^^^WBC|5", "L|1"]), (Some("R-3: no test is named".to_owned()), 1));
        assert_eq!(faults(&[HEAD, "O;1;S1", "R|2|^^^WBC|5", "L|1"]), (Some("record: not divided as its header says".to_owned()), 1));
    }

    #[test]
    fn values_that_are_not_there_and_results_that_failed_are_absent() {
        let value = |record: &str| report(&[HEAD, "O|1|S1", record, "L|1"]).results[0].value.clone();
        assert_eq!(value("R|1|^^^WBC||10^3/uL"), LabValue::Absent);
        assert_eq!(value("R|1|^^^WBC|----|10^3/uL"), LabValue::Absent);
        assert_eq!(value("R|1|^^^WBC|5.1|10^3/uL||||X"), LabValue::Absent);
    }
}
