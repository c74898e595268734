//! What the store's index says of a patient's numerics, kept for as long as the store says that nothing of it has changed.

use super::read::{all_segments, is_test};
use crate::store::{Mask, Scope, SegmentRow, StoreError, Transaction};
use record::binding::Bindings;
use record::id::{PatientId, ScopeId};
use record::ledger::ChainId;
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

/// Patients whose index is kept.
const PATIENTS_MAX: usize = 64;
/// Segments of one of them that are kept: more are read each time.
const ROWS_MAX: usize = 4096;
/// How much later than asked for is read at once: a chart that moves on asks for the next minutes next.
const AHEAD_US: i64 = 24 * 3_600_000_000;

/// What was read of the index since it last changed.
#[derive(Debug, Default)]
pub(super) struct Index {
    version: Option<u64>,
    bindings: Option<Arc<Bindings>>,
    patients: HashMap<PatientId, Arc<Indexed>>,
}

/// What the index says of one patient.
#[derive(Debug)]
pub(super) struct Indexed {
    /// Those that can be read.
    pub scopes: BTreeMap<ScopeId, Scope>,
    /// Ascending by start.
    rows: Vec<Row>,
    masks: Vec<Mask>,
    /// The time that `rows` covers.
    covers: (Timestamp, Timestamp),
    test: OnceLock<bool>,
}

#[derive(Debug)]
struct Row {
    segment: SegmentRow,
    masked: bool,
    twice: bool,
}

/// How a segment is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lies {
    /// All of it counts.
    Plainly,
    /// It reaches past what is asked for, or is masked.
    Partly,
    /// Another segment spans the same time of the same session.
    Twice,
}

impl Index {
    /// Forgets all of it, unless the store says by its version that it still holds; whether it was forgotten.
    pub fn renew(&mut self, version: Option<u64>) -> bool {
        let changed = version.is_none() || version != self.version;
        if changed {
            *self = Self { version, ..Self::default() };
        }
        changed
    }

    /// What is known of a patient's segments that overlap `from..=to`.
    pub fn of(
        &mut self,
        tx: &mut dyn Transaction,
        patient: &PatientId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Arc<Indexed>, StoreError> {
        if let Some(held) = self.patients.get(patient).filter(|held| held.covers.0 <= from && to <= held.covers.1) {
            return Ok(Arc::clone(held));
        }
        let read = Arc::new(Indexed::read(tx, patient, from, to.plus_micros(AHEAD_US))?);
        if self.patients.len() >= PATIENTS_MAX {
            self.patients.clear();
        }
        if read.rows.len() <= ROWS_MAX {
            self.patients.insert(patient.clone(), Arc::clone(&read));
        }
        Ok(read)
    }

    /// Every binding.
    pub fn bindings(&mut self, tx: &mut dyn Transaction) -> Result<Arc<Bindings>, StoreError> {
        if let Some(held) = &self.bindings {
            return Ok(Arc::clone(held));
        }
        let mut bindings = Bindings::default();
        for (hlc, binding) in tx.bindings()? {
            bindings.apply(hlc, binding);
        }
        Ok(Arc::clone(self.bindings.insert(Arc::new(bindings))))
    }
}

impl Indexed {
    fn read(tx: &mut dyn Transaction, patient: &PatientId, from: Timestamp, to: Timestamp) -> Result<Self, StoreError> {
        let readable = tx.scopes_of(patient)?.into_iter().filter(|scope| scope.key.is_some());
        let scopes: BTreeMap<ScopeId, Scope> = readable.map(|scope| (scope.id, scope)).collect();
        let (mut segments, mut masks) = (Vec::new(), Vec::new());
        for id in scopes.keys() {
            masks.extend(tx.masks(*id)?);
            segments.extend(all_segments(tx, *id, false, from, to)?);
        }
        segments.sort_by_key(|row| row.start);
        let masked: BTreeSet<(ChainId, u64)> = masks.iter().map(|mask| (mask.chain, mask.seq)).collect();
        let twice = overlapping(&segments);
        let row = |segment: SegmentRow| {
            let place = (segment.chain, segment.seq);
            Row { segment, masked: masked.contains(&place), twice: twice.contains(&place) }
        };
        Ok(Self { scopes, rows: segments.into_iter().map(row).collect(), masks, covers: (from, to), test: OnceLock::new() })
    }

    /// The segments that overlap `from..=to`, ascending by start, and how each is to be read.
    pub fn rows(&self, from: Timestamp, to: Timestamp) -> impl DoubleEndedIterator<Item = (&SegmentRow, Lies)> {
        let overlapping = self.rows.iter().filter(move |Row { segment, .. }| segment.start <= to && segment.end >= from);
        overlapping.map(move |Row { segment, masked, twice }| {
            let lies = if *twice {
                Lies::Twice
            } else if *masked || segment.start < from || segment.end > to {
                Lies::Partly
            } else {
                Lies::Plainly
            };
            (segment, lies)
        })
    }

    /// Whether what a segment has of a moment is not the patient's.
    pub fn is_masked(&self, row: &SegmentRow, at: Timestamp) -> bool {
        self.masks.iter().any(|m| (m.chain, m.seq) == (row.chain, row.seq) && m.from <= at && at <= m.to)
    }

    /// Whether the patient is tagged test.
    pub fn is_test(&self, tx: &mut dyn Transaction, patient: &PatientId) -> Result<bool, StoreError> {
        if let Some(held) = self.test.get() {
            return Ok(*held);
        }
        let read = is_test(tx, patient)?;
        Ok(*self.test.get_or_init(|| read))
    }
}

/// Segments that share time with another of their session; rows ascend by start.
fn overlapping(rows: &[SegmentRow]) -> BTreeSet<(ChainId, u64)> {
    let mut newest: HashMap<(&str, [u8; 12]), &SegmentRow> = HashMap::new();
    let mut twice = BTreeSet::new();
    for row in rows {
        let held = newest.entry((row.device.as_str(), row.boot.0)).or_insert(row);
        if (held.chain, held.seq) != (row.chain, row.seq) && held.end >= row.start {
            twice.extend([(held.chain, held.seq), (row.chain, row.seq)]);
        }
        if row.end >= held.end {
            *held = row;
        }
    }
    twice
}
