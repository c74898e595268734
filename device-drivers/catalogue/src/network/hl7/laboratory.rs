//! Results of laboratory analysers as HL7 (`ORU^R01`): Mindray BC/BS, Sysmex XN, GeneXpert and alike.
//!
//! A message is a laboratory's where no observation of it has the code of a vital sign and it names an order or a
//! specimen. Of the patient only the numbers are read (`PID-2`, `PID-3`), never the name.

use super::message::{Message, Segment, unescape};
use super::obx::is_vital;
use super::time::DateTime;
use crate::laboratory::{code_of, flags};
use driver::profile::Profile;
use driver::{DecodeError, Fault};
use record::laboratory::{LabKind, LabReport, LabResult, LabStatus, LabValue};
use record::time::Timestamp;

/// Numbers of one patient in one field.
const PATIENT_IDS_MAX: usize = 8;
/// Results of one message.
const RESULTS_MAX: usize = 4096;
/// OBR-4 of reports on a monitored patient: SNOMED CT's "monitoring of patient", and MDC's monitor.
const MONITORING: [&str; 2] = ["182777000", "69965"];
/// The longest text kept, in characters.
const TEXT_LEN_MAX: usize = 500;

/// Whether a report comes from a laboratory.
#[must_use]
pub fn is_laboratory(message: &Message<'_>) -> bool {
    let segments = |name: &'static str| message.segments.iter().filter(move |segment| segment.name() == name);
    let ordered = segments("ORC").next().is_some()
        || segments("SPM").next().is_some()
        || segments("OBR").any(|obr| !obr.field(2).is_empty() || !obr.field(3).is_empty());
    // A gateway whose message happens to hold nothing but its maker's codes still reports a monitor.
    let monitoring = message.header().field(21).contains("PCD")
        || segments("OBR").any(|obr| MONITORING.contains(&&*obr.component(4, 1)) || obr.component(4, 3) == "MDC");
    ordered && !monitoring && segments("OBX").next().is_some() && !segments("OBX").any(|obx| is_vital(obx))
}

/// The reports of a message, one an order, and what could not be read.
#[must_use]
pub fn read(message: &Message<'_>, profile: &Profile) -> (Vec<LabReport>, Vec<Fault>) {
    let header = message.header();
    // Mindray's analysers: 1 a calibration, 2 quality control.
    let kind = match (&*header.component(11, 1), header.field(16)) {
        ("T" | "D", _) => LabKind::Demo,
        ("Q", _) | (_, "2") => LabKind::Control,
        (_, "1") => LabKind::Calibration,
        _ => LabKind::Patient,
    };
    let names = [header.component(3, 1), header.component(4, 1)];
    let analyser = kept(&names.map(std::borrow::Cow::into_owned).join(" "), message);
    let offset_min = DateTime::parse(header.field(7)).and_then(|time| time.offset_min);
    let (mut reports, mut faults): (Vec<LabReport>, Vec<Fault>) = Default::default();
    let mut patient_ids: Vec<String> = Vec::new();
    let mut observed_at = "";
    let mut count = 0;
    // What follows belongs to no report that was begun: no order has come since the patient changed.
    let mut fresh = true;
    for segment in &message.segments {
        match segment.name() {
            "PID" => (patient_ids, observed_at, fresh) = (numbers(segment, message), "", true),
            "OBR" => {
                fresh = false;
                observed_at = segment.field(7);
                let specimen = kept(&segment.component(3, 1), message).or_else(|| kept(&segment.component(2, 1), message));
                let order = code_of(&components(segment, 4));
                let (analyser, patient_ids) = (analyser.clone(), patient_ids.clone());
                reports.push(LabReport { analyser, specimen, patient_ids, order, kind, results: Vec::new() });
            }
            "SPM" if !fresh => {
                if let (Some(report), Some(specimen)) = (reports.last_mut(), kept(&segment.component(2, 1), message)) {
                    report.specimen = Some(specimen);
                }
            }
            "OBX" if count >= RESULTS_MAX => {
                faults.push(Fault::new(DecodeError::Oversized { limit: RESULTS_MAX }, 0));
                break;
            }
            "OBX" => {
                count += 1;
                let at =
                    |field| DateTime::parse(field).and_then(|t: DateTime| t.moment(offset_min).or_else(|| profile.moment(t.read_as_utc)));
                let at = at(segment.field(14)).or_else(|| at(observed_at));
                match result(segment, at, message) {
                    Ok(Some(result)) => {
                        if std::mem::take(&mut fresh) {
                            let (analyser, patient_ids) = (analyser.clone(), patient_ids.clone());
                            reports.push(LabReport { analyser, specimen: None, patient_ids, order: None, kind, results: Vec::new() });
                        }
                        if let Some(report) = reports.last_mut() {
                            report.results.push(result);
                        }
                    }
                    Ok(None) => {}
                    Err(fault) => faults.push(fault),
                }
            }
            _ => {}
        }
    }
    reports.retain(|report| !report.results.is_empty());
    (reports, faults)
}

fn result(obx: &Segment<'_>, at: Option<Timestamp>, message: &Message<'_>) -> Result<Option<LabResult>, Fault> {
    let first = obx.component(5, 1);
    let value = match obx.field(2).trim() {
        "NM" | "ST" | "TX" | "FT" | "" => LabValue::parse(&bounded(&first)),
        // `<^10`: comparator and number.
        "SN" => LabValue::parse(&bounded(&format!("{first}{}", obx.component(5, 2)))),
        // A coded answer: its words, else its code.
        "CE" | "CWE" | "CNE" | "CF" => {
            let words = obx.component(5, 2);
            LabValue::parse(&bounded(if words.is_empty() { &first } else { &words }))
        }
        // Histograms, pictures, and the settings of the instrument.
        _ => return Ok(None),
    };
    let test =
        code_of(&components(obx, 3)).ok_or_else(|| Fault::field("OBX-3", format!("OBX {}: no test is named", shown(obx.field(1)))))?;
    let status = match obx.field(11).trim() {
        "F" | "U" | "" => LabStatus::Final,
        "C" => LabStatus::Corrected,
        "X" | "D" | "N" => LabStatus::Cancelled,
        _ => LabStatus::Preliminary,
    };
    Ok(Some(LabResult {
        test,
        value: if status == LabStatus::Cancelled { LabValue::Absent } else { value },
        unit: kept(&obx.component(6, 1), message),
        range: kept(obx.field(7), message),
        flags: flags(obx.repetitions(8)),
        status,
        at,
    }))
}

/// The patient's numbers, each once.
fn numbers(pid: &Segment<'_>, message: &Message<'_>) -> Vec<String> {
    let mut numbers: Vec<String> = Vec::new();
    let ids = [2, 3].into_iter().flat_map(|field| pid.repetitions(field).take(PATIENT_IDS_MAX));
    for id in ids.filter_map(|id| kept(id.split(message.separators.component).next().unwrap_or_default(), message)) {
        if !numbers.contains(&id) {
            numbers.push(id);
        }
    }
    numbers
}

fn components<'a>(segment: &Segment<'a>, field: usize) -> Vec<&'a str> {
    let separators = segment.separators();
    let first = segment.field(field).split(separators.repetition).next().unwrap_or_default();
    first.split(separators.component).map(str::trim).collect()
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect()
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(16).collect()
}

fn kept(text: &str, message: &Message<'_>) -> Option<String> {
    Some(bounded(unescape(text.trim(), message.separators).trim())).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::laboratory::Bound;

    fn text(header: &str, obx: &str) -> String {
        format!(
            "MSH|^~\\&|BC-5380|Mindray|||20260201143000||ORU^R01|id1|P|2.3.1||||{header}\rPID|1||P1||DOE^J\r\
             OBR|1||S77|00001^Automated Count^99MRC|||20260201140000+0200\r{obx}\r"
        )
    }
    fn one(obx: &str) -> LabResult {
        let text = text("0", obx);
        let message = Message::parse(&text).expect("message");
        assert!(is_laboratory(&message));
        let (mut reports, faults) = read(&message, &Profile::bare("hl7.oru"));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(reports[0].specimen.as_deref(), Some("S77"));
        assert_eq!(reports[0].patient_ids, ["P1"]);
        assert!(!format!("{reports:?}").contains("DOE"));
        reports.remove(0).results.remove(0)
    }

    #[test]
    fn values_of_every_type_are_read() {
        let white = one("OBX|7|NM|6690-2^WBC^LN||9.81|10*9/L|4.00-10.00|H~A|||F");
        assert_eq!((white.test.code.as_str(), white.test.loinc, white.test.name.as_deref()), ("6690-2", true, Some("WBC")));
        assert_eq!((white.unit.as_deref(), white.range.as_deref(), white.flags.len()), (Some("10*9/L"), Some("4.00-10.00"), 2));
        assert_eq!(white.at.map(|at| at.rfc3339()).as_deref(), Some("2026-02-01T12:00:00.000Z"));
        assert!(matches!(one("OBX|1|SN|^^^CRP^CRP||<^0.5|mg/L|||||F").value, LabValue::Number(Bound::Less, _)));
        let coded = one("OBX|1|CE|94500-6^RNA^LN||260415000^Not detected^SCT||||||F");
        assert_eq!(coded.value, LabValue::Text("Not detected".to_owned()));
        assert_eq!(one("OBX|1|NM|^^^WBC^W||6.8|10*3/uL|||||X").value, LabValue::Absent);
    }

    #[test]
    fn results_of_a_second_patient_without_an_order_are_not_the_first_patients() {
        let text = "MSH|^~\\&|BC-5380|Mindray|||20260201143000||ORU^R01|id1|P|2.3.1\rPID|1||P1\rOBR|1||S77|00001^Count\r\
                    OBX|1|NM|^^^WBC^W||6.8|10*3/uL|||||F\rPID|2||P2\rSPM|1|S88\rOBX|1|NM|^^^WBC^W||9.9|10*3/uL|||||F\r";
        let (reports, faults) = read(&Message::parse(text).expect("message"), &Profile::bare("hl7.oru"));
        assert!(faults.is_empty(), "{faults:?}");
        let found: Vec<_> = reports.iter().map(|r| (r.patient_ids.join(","), r.specimen.as_deref(), r.results.len())).collect();
        assert_eq!(found, [("P1".to_owned(), Some("S77"), 1), ("P2".to_owned(), None, 1)]);
    }

    #[test]
    fn calibration_and_control_are_told_by_the_header() {
        let kind = |header: &str| {
            let text = text(header, "OBX|1|NM|^^^WBC^W||6.8|10*3/uL|||||F");
            let message = Message::parse(&text).expect("message");
            read(&message, &Profile::bare("hl7.oru")).0[0].kind
        };
        assert_eq!(["0", "1", "2", ""].map(kind), [LabKind::Patient, LabKind::Calibration, LabKind::Control, LabKind::Patient]);
    }

    #[test]
    fn a_monitor_is_no_laboratory() {
        for obx in ["OBX|1|NM|150456^SPO2^MDC||97|262688^^MDC", "OBX|1|NM|59408-5^SpO2^LN||97|%"] {
            let text = text("", obx);
            assert!(!is_laboratory(&Message::parse(&text).expect("message")), "{obx}");
        }
        let own = "MSH|^~\\&|GW\rOBR|1|A|B|182777000^monitoring of patient^SCT\rOBX|1|NM|64048^X^99MNDRY||3";
        assert!(!is_laboratory(&Message::parse(own).expect("message")), "a gateway's own codes");
        let bare = "MSH|^~\\&|MON\rOBR|1\rOBX|1|NM|^^^WBC||5";
        assert!(!is_laboratory(&Message::parse(bare).expect("message")), "no order and no specimen");
    }
}
