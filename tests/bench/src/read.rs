//! What a screen or a FHIR search asks of the series: the public read path, in one place.

use anyhow::{Context, Result};
use protocol::Store;
use protocol::replica::{Asked, SeriesReader, patient_scope};
use record::code::Code;
use record::id::PatientId;
use record::series::{Minutes, Samples};
use record::time::Timestamp;
use record::unit::Unit;

/// Everything.
pub const ALWAYS: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));

/// A connection that reads, and what it remembers of series between questions, as the programs keep it.
pub struct Reading<S> {
    /// The connection.
    pub store: S,
    series: SeriesReader,
    /// The answer's columns, whose room is used again.
    samples: Samples,
}

impl<S: Store> Reading<S> {
    /// Through this connection; nothing is remembered yet.
    pub fn new(store: S) -> Self {
        Self { store, series: SeriesReader::default(), samples: Samples::default() }
    }

    /// One series of a patient, value by value: a column of times, one of digits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn raw(&mut self, patient: &PatientId, code: Code, (from, to): (Timestamp, Timestamp)) -> Result<&Samples> {
        self.samples.clear();
        let asked = Asked { patient: patient.clone(), code, from, to };
        self.series.samples(self.store.begin()?.as_mut(), &asked, &mut self.samples)?;
        Ok(&self.samples)
    }

    /// One series of a patient by minutes: lowest, highest, sum, count.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn minutes(&mut self, patient: &PatientId, code: Code, (from, to): (Timestamp, Timestamp)) -> Result<Vec<(Unit, Minutes)>> {
        let asked = Asked { patient: patient.clone(), code, from, to };
        Ok(self.series.minutes(self.store.begin()?.as_mut(), &asked)?)
    }
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
