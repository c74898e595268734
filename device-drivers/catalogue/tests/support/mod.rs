//! Finding shared captures, and saying so when there are none.
#![allow(dead_code, missing_docs)]

use driver::Out;
use record::code::Code;
use record::laboratory::{LabReport, LabResult};
use record::observation::Reading;
use std::path::{Path, PathBuf};

/// The folder of shared device data beside the workspace, if it is there.
pub fn device_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/devices");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no shared device data beside the workspace (../shared/data/devices)");
    None
}

pub fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let wanted = |path: &PathBuf| path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e));
    let mut files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(wanted).collect();
    files.sort();
    files
}

pub fn readings(out: &[Out]) -> Vec<&Reading> {
    out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(r) } else { None }).collect()
}

pub fn faults(out: &[Out]) -> Vec<String> {
    out.iter().filter_map(|o| if let Out::Fault(f) = o { Some(f.to_string()) } else { None }).collect()
}

/// The value of a code's first reading as sent, or its status.
pub fn value(out: &[Out], code: Code) -> Option<String> {
    let reading = readings(out).into_iter().find(|r| r.code == code)?;
    Some(reading.value.as_ref().map_or_else(|_| reading.status(), ToString::to_string))
}

/// What a device said of patients and specimens: numerics, results, alarms.
pub fn said(out: &[Out]) -> Vec<&Out> {
    out.iter().filter(|o| matches!(o, Out::Reading(_) | Out::Laboratory(_) | Out::Alarm(_))).collect()
}

/// The results of every report.
pub fn results(out: &[Out]) -> Vec<(&LabReport, &LabResult)> {
    let reports = out.iter().filter_map(|o| if let Out::Laboratory(report) = o { Some(report) } else { None });
    reports.flat_map(|report| report.results.iter().map(move |result| (report, result))).collect()
}
