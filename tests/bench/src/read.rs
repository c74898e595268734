//! What a screen or a FHIR search asks of the series: the public read path, in one place.

use anyhow::{Context, Result};
use protocol::Store;
use protocol::replica::{Vitals, frames_of, patient_scope};
use record::code::Code;
use record::decimal::Decimal;
use record::id::PatientId;
use record::time::Timestamp;

/// Everything.
pub const ALWAYS: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
const MINUTE_US: i64 = 60_000_000;

/// One series of a patient, value by value.
///
/// # Errors
/// The store cannot be read.
pub fn raw(
    store: &mut dyn Store,
    patient: &PatientId,
    code: Code,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(Timestamp, Decimal)>> {
    let mut tx = store.begin()?;
    let vitals = Vitals { patient: patient.clone(), waves: false, from, to, device: None };
    let frames = frames_of(tx.as_mut(), &vitals)?;
    let value = |at, numerics: Vec<record::series::Numeric>| {
        let found = numerics.into_iter().find(|numeric| numeric.code == code);
        found.and_then(|numeric| numeric.value.ok()).map(|value| (at, value))
    };
    Ok(frames.into_iter().filter_map(|frame| value(frame.measured, frame.numerics)).collect())
}

/// One minute of a series.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Minute {
    /// When it begins.
    pub at: Timestamp,
    /// Least value.
    pub min: f64,
    /// Mean of the values.
    pub mean: f64,
    /// Greatest value.
    pub max: f64,
}

/// One series of a patient by minutes.
///
/// # Errors
/// The store cannot be read.
pub fn minutes(store: &mut dyn Store, patient: &PatientId, code: Code, span: (Timestamp, Timestamp)) -> Result<Vec<Minute>> {
    let values = raw(store, patient, code, span)?;
    let same = |a: &(Timestamp, Decimal), b: &(Timestamp, Decimal)| a.0.0.div_euclid(MINUTE_US) == b.0.0.div_euclid(MINUTE_US);
    let minute = |chunk: &[(Timestamp, Decimal)]| {
        let values = || chunk.iter().map(|(_, value)| value.to_f64());
        Minute {
            at: Timestamp(chunk[0].0.0.div_euclid(MINUTE_US) * MINUTE_US),
            min: values().fold(f64::INFINITY, f64::min),
            mean: values().sum::<f64>() / chunk.len() as f64,
            max: values().fold(f64::NEG_INFINITY, f64::max),
        }
    };
    Ok(values.chunk_by(same).map(minute).collect())
}

/// Sealed payload bytes of a patient's segments, and their headers'.
///
/// # Errors
/// The store cannot be read.
pub fn sealed_bytes(store: &mut dyn Store, patient: &PatientId, waves: bool) -> Result<usize> {
    let mut tx = store.begin()?;
    let scope = patient_scope(tx.as_mut(), patient)?.context("no such patient")?;
    let mut bytes = 0;
    for row in tx.segments(scope, waves, ALWAYS.0, ALWAYS.1, usize::MAX)? {
        let entry = tx.entry(row.chain, row.seq)?.context("a segment without its entry")?;
        bytes += entry.payload.len() + entry.header.bytes().len();
    }
    Ok(bytes)
}

/// Sealed payload bytes of every entry held.
///
/// # Errors
/// The store cannot be read.
pub fn all_sealed_bytes(store: &mut dyn Store) -> Result<usize> {
    let mut tx = store.begin()?;
    let mut bytes = 0;
    for chain in tx.chains()? {
        for seq in 0..chain.head.next {
            bytes += tx.entry(chain.head.chain, seq)?.context("a gap in a chain")?.payload.len();
        }
    }
    Ok(bytes)
}
