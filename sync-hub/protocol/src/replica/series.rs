//! One series of a patient, as charts, scores and trends ask for it: sealed segments and the unsealed tail together.
//!
//! Always: what was masked is left out, what was filed here again is in, each sample counts once. What is kept in memory between
//! questions is bounded and only saves time: which segments count is asked of the store each time, and without a scope's key
//! nothing of it is answered.

use super::read::{Gathered, all_segments, is_test, owns};
use super::unsealed::Unsealed;
use super::{apply, damaged};
use crate::store::{Mask, Scope, SegmentRow, State, StoreError, Transaction};
use record::binding::Bindings;
use record::code::Code;
use record::id::{PatientId, ScopeId};
use record::ledger::ChainId;
use record::ledger::body::segment_in;
use record::ledger::seal::Opener;
use record::series::{Minutes, Numeric, Samples, SegmentError, SegmentView};
use record::time::Timestamp;
use record::unit::Unit;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Bytes of opened segments kept: a day of a ward of twenty beds.
const OPENED_BYTES_MAX: usize = 4 << 20;
/// Bytes of minutes kept.
const MINUTES_BYTES_MAX: usize = 2 << 20;
/// Which samples.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Whose.
    pub patient: PatientId,
    /// Of what.
    pub code: Code,
    /// Measured at or after.
    pub from: Timestamp,
    /// Measured at or before.
    pub to: Timestamp,
}

/// Reads series of one store, and remembers what it has opened.
#[derive(Debug, Default)]
pub struct SeriesReader {
    opener: Opener,
    opened: Kept<Arc<[u8]>>,
    minutes: Kept<Arc<[Summary]>>,
    unsealed: Unsealed,
    /// The scopes of patients that were asked about: one that is theirs no longer was erased or left.
    scopes: HashMap<PatientId, Vec<ScopeId>>,
}

/// A series of a segment by the minute, packed.
type Summary = (Code, Unit, Vec<u8>);

impl SeriesReader {
    /// Appends the samples asked for, ascending by time.
    ///
    /// # Errors
    /// The store cannot be read, or holds damaged bytes.
    pub fn samples(&mut self, tx: &mut dyn Transaction, asked: &Asked, into: &mut Samples) -> Result<(), StoreError> {
        let found = self.found(tx, &asked.patient, asked.from, asked.to)?;
        let mut rest = Samples::default();
        for (row, lies) in &found.rows {
            match lies {
                Lies::Plainly => {
                    if let Some(bytes) = self.open(tx, &found.scopes, row)? {
                        let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                        view.samples(asked.code, into).map_err(|e| damaged(&named(row), &e))?;
                    }
                }
                Lies::Partly => {
                    if let Some(bytes) = self.open(tx, &found.scopes, row)? {
                        rest.clear();
                        let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                        view.samples(asked.code, &mut rest).map_err(|e| damaged(&named(row), &e))?;
                        into.extend_where(&rest, |at| asked.from <= at && at <= asked.to && !found.is_masked(row, at));
                    }
                }
                // With the others of its session, below.
                Lies::Twice => {}
            }
        }
        self.twice(tx, &found, asked, into)?;
        self.tail(&found, asked, into)?;
        into.sort();
        Ok(())
    }

    /// The samples asked for by the minute, by unit: what a chart of a day draws.
    ///
    /// # Errors
    /// As [`Self::samples`].
    pub fn minutes(&mut self, tx: &mut dyn Transaction, asked: &Asked) -> Result<Vec<(Unit, Minutes)>, StoreError> {
        let found = self.found(tx, &asked.patient, asked.from, asked.to)?;
        let mut minutes: Vec<(Unit, Minutes)> = Vec::new();
        let mut add = |unit: Unit, more: Minutes| match minutes.iter_mut().find(|(held, _)| *held == unit) {
            Some((_, minutes)) => minutes.add(more),
            None => minutes.push((unit, more)),
        };
        let mut rest = Samples::default();
        for (row, lies) in &found.rows {
            if *lies == Lies::Plainly {
                for (code, unit, packed) in self.summary(tx, &found.scopes, row)?.iter() {
                    if *code == asked.code {
                        add(*unit, Minutes::decode(packed).map_err(|e| damaged(&named(row), &e))?);
                    }
                }
            } else if *lies == Lies::Partly
                && let Some(bytes) = self.open(tx, &found.scopes, row)?
            {
                let mut all = Samples::default();
                let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                view.samples(asked.code, &mut all).map_err(|e| damaged(&named(row), &e))?;
                rest.extend_where(&all, |at| asked.from <= at && at <= asked.to && !found.is_masked(row, at));
            }
        }
        self.twice(tx, &found, asked, &mut rest)?;
        self.tail(&found, asked, &mut rest)?;
        rest.sort();
        for (unit, samples) in rest.by_unit() {
            add(unit, Minutes::of(&samples));
        }
        Ok(minutes)
    }

    /// The newest value of each numeric measured at or after `since`, and when.
    ///
    /// # Errors
    /// As [`Self::samples`].
    pub fn latest(
        &mut self,
        tx: &mut dyn Transaction,
        patient: &PatientId,
        since: Timestamp,
    ) -> Result<BTreeMap<Code, (Timestamp, Numeric)>, StoreError> {
        let to = Timestamp(i64::MAX);
        let mut found = self.found(tx, patient, since, to)?;
        let mut latest: BTreeMap<Code, (Timestamp, Numeric)> = BTreeMap::new();
        let mut take = |at: Timestamp, numeric: Numeric| {
            if at >= since && latest.get(&numeric.code).is_none_or(|(held, _)| *held < at) {
                latest.insert(numeric.code, (at, numeric));
            }
        };
        for (device, tail) in self.unsealed.sessions() {
            // Newest block first; the one before it can only tell of series that have fallen silent since.
            for block in tail.blocks().rev().take(2) {
                let frames = block.frames().map_err(|e| damaged("the journal", &e))?;
                for frame in frames.into_iter().filter(|frame| owns(&found.bindings, &found.scopes, frame, device, found.test)) {
                    frame.numerics.into_iter().for_each(|numeric| take(frame.measured, numeric));
                }
            }
        }
        found.rows.sort_by_key(|(row, _)| std::cmp::Reverse(row.end));
        let mut samples = Samples::default();
        for (row, _) in &found.rows {
            let Some(bytes) = self.open(tx, &found.scopes, row)? else { continue };
            let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
            for code in view.codes() {
                if latest.get(&code).is_some_and(|(at, _)| *at >= row.end) {
                    continue;
                }
                samples.clear();
                view.samples(code, &mut samples).map_err(|e| damaged(&named(row), &e))?;
                let unmasked = |at: &Timestamp| since <= *at && !found.is_masked(row, *at);
                if let Some((at, numeric)) = samples.last(code, unmasked)
                    && latest.get(&code).is_none_or(|(held, _)| *held < at)
                {
                    latest.insert(code, (at, numeric));
                }
            }
        }
        Ok(latest)
    }

    /// Forgets everything of a scope: it was erased or left.
    pub fn forget(&mut self, scope: ScopeId) {
        self.opener.forget(scope);
        self.opened.forget(scope);
        self.minutes.forget(scope);
    }

    fn found(&mut self, tx: &mut dyn Transaction, patient: &PatientId, from: Timestamp, to: Timestamp) -> Result<Found, StoreError> {
        let scopes: BTreeMap<ScopeId, Scope> = tx.scopes_of(patient)?.into_iter().map(|s| (s.id, s)).collect();
        let readable: Vec<ScopeId> = scopes.values().filter(|scope| scope.key.is_some()).map(|scope| scope.id).collect();
        let before = self.scopes.insert(patient.clone(), readable.clone()).unwrap_or_default();
        before.iter().filter(|id| !readable.contains(id)).for_each(|id| self.forget(*id));
        let (mut rows, mut masks) = (Vec::new(), Vec::new());
        for id in &readable {
            masks.extend(tx.masks(*id)?);
            rows.extend(all_segments(tx, *id, false, from, to)?);
        }
        rows.sort_by_key(|row| row.start);
        let masked: BTreeSet<(ChainId, u64)> = masks.iter().map(|mask| (mask.chain, mask.seq)).collect();
        let twice = overlapping(&rows);
        let lies = |row: &SegmentRow| {
            if twice.contains(&(row.chain, row.seq)) {
                Lies::Twice
            } else if row.start < from || row.end > to || masked.contains(&(row.chain, row.seq)) {
                Lies::Partly
            } else {
                Lies::Plainly
            }
        };
        let rows = rows.into_iter().map(|row| (row.clone(), lies(&row))).collect();
        self.unsealed.refresh(tx)?;
        let mut bindings = Bindings::default();
        let mut test = false;
        if !self.unsealed.is_empty() {
            for (hlc, binding) in tx.bindings()? {
                bindings.apply(hlc, binding);
            }
            test = is_test(tx, patient)?;
        }
        Ok(Found { scopes, rows, masks, bindings, test })
    }

    /// What is in several segments of one session, sealed again by a box that was restored from a backup: by the frame.
    fn twice(&mut self, tx: &mut dyn Transaction, found: &Found, asked: &Asked, into: &mut Samples) -> Result<(), StoreError> {
        let mut gathered = Gathered::default();
        for (row, _) in found.rows.iter().filter(|(_, lies)| *lies == Lies::Twice) {
            if let Some(bytes) = self.open(tx, &found.scopes, row)? {
                let frames = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?.frames().map_err(|e| damaged(&named(row), &e))?;
                gathered.extend(
                    frames.into_iter().filter(|f| asked.from <= f.measured && f.measured <= asked.to && !found.is_masked(row, f.measured)),
                );
            }
        }
        gathered.finish().iter().for_each(|frame| into.take_frame(asked.code, frame));
        Ok(())
    }

    fn tail(&self, found: &Found, asked: &Asked, into: &mut Samples) -> Result<(), StoreError> {
        let within = |at: Timestamp| asked.from <= at && at <= asked.to;
        for (key, tail) in self.unsealed.tails() {
            let through = self.unsealed.sealed(key);
            for block in tail.blocks().filter(|block| block.start <= asked.to && block.end >= asked.from && block.next_seq > through) {
                let whole = within(block.start) && within(block.end) && block.first_seq >= through && !block.demo;
                if whole && found.bindings.is_settled(block.start, block.end) && !super::is_by_hand(&key.0) {
                    if found.owned_at(&key.0, block.start) {
                        block.samples(asked.code, into).map_err(|e| damaged("the journal", &e))?;
                    }
                    continue;
                }
                for frame in block.frames().map_err(|e| damaged("the journal", &e))? {
                    let unsealed = frame.first_seq >= through && within(frame.measured);
                    if unsealed && owns(&found.bindings, &found.scopes, &frame, &key.0, found.test) {
                        into.take_frame(asked.code, &frame);
                    }
                }
            }
        }
        Ok(())
    }

    /// The canonical bytes of a segment's entry; none if its payload is not here, which is a gap and no damage.
    fn open(
        &mut self,
        tx: &mut dyn Transaction,
        scopes: &BTreeMap<ScopeId, Scope>,
        row: &SegmentRow,
    ) -> Result<Option<Arc<[u8]>>, StoreError> {
        if let Some(bytes) = self.opened.get(row) {
            return Ok(Some(bytes));
        }
        let entry = tx.entry(row.chain, row.seq)?.ok_or_else(|| damaged(&named(row), &"the entry is missing"))?;
        if entry.state != State::Done {
            return Ok(None);
        }
        let (key, place) = apply::key_and_place(scopes, &entry.header).map_err(|_| damaged(&named(row), &"it does not open"))?;
        let Some(key) = key else { return Err(damaged(&named(row), &"it is not sealed")) };
        let bytes: Arc<[u8]> = self.opener.reopen(key, &place, entry.payload).map_err(|e| damaged(&named(row), &e))?.into();
        self.opened.put(row, Arc::clone(&bytes), bytes.len(), OPENED_BYTES_MAX);
        Ok(Some(bytes))
    }

    /// Each numeric of a segment by the minute. Made when first asked for: kept on disk they would cost a quarter of what the
    /// samples themselves do.
    fn summary(
        &mut self,
        tx: &mut dyn Transaction,
        scopes: &BTreeMap<ScopeId, Scope>,
        row: &SegmentRow,
    ) -> Result<Arc<[Summary]>, StoreError> {
        if let Some(summary) = self.minutes.get(row) {
            return Ok(summary);
        }
        let Some(bytes) = self.open(tx, scopes, row)? else { return Ok(Arc::new([])) };
        let read = |view: SegmentView<'_>| -> Result<Vec<Summary>, SegmentError> {
            Ok(view.minutes()?.into_iter().map(|(code, unit, minutes)| (code, unit, minutes.encode())).collect())
        };
        let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
        let summary: Arc<[Summary]> = read(view).map_err(|e| damaged(&named(row), &e))?.into();
        let size = summary.iter().map(|(_, _, packed)| packed.len() + size_of::<Summary>()).sum();
        self.minutes.put(row, Arc::clone(&summary), size, MINUTES_BYTES_MAX);
        Ok(summary)
    }
}

/// How a segment is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lies {
    /// All of it counts.
    Plainly,
    /// It reaches past what is asked for, or is masked.
    Partly,
    /// Another segment spans the same time of the same session.
    Twice,
}

/// What a question is about.
struct Found {
    scopes: BTreeMap<ScopeId, Scope>,
    rows: Vec<(SegmentRow, Lies)>,
    masks: Vec<Mask>,
    bindings: Bindings,
    /// Whether the patient is tagged test.
    test: bool,
}

impl Found {
    fn is_masked(&self, row: &SegmentRow, at: Timestamp) -> bool {
        self.masks.iter().any(|m| (m.chain, m.seq) == (row.chain, row.seq) && m.from <= at && at <= m.to)
    }

    fn owned_at(&self, device: &record::id::DeviceId, at: Timestamp) -> bool {
        super::read::owner_in(&self.bindings, &self.scopes, device, at)
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

fn named(row: &SegmentRow) -> String {
    format!("segment {}/{}", row.chain.run, row.seq)
}

/// What is kept of segments, within bounds: the oldest goes first.
#[derive(Debug)]
struct Kept<T> {
    of: HashMap<(ChainId, u64), (T, usize)>,
    order: VecDeque<(ChainId, u64)>,
    bytes: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { of: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T: Clone> Kept<T> {
    fn get(&self, row: &SegmentRow) -> Option<T> {
        self.of.get(&(row.chain, row.seq)).map(|(held, _)| held.clone())
    }

    fn put(&mut self, row: &SegmentRow, value: T, bytes: usize, bytes_max: usize) {
        self.of.insert((row.chain, row.seq), (value, bytes));
        self.order.push_back((row.chain, row.seq));
        self.bytes += bytes;
        while self.bytes > bytes_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.of.remove(&oldest).map_or(0, |(_, bytes)| bytes);
        }
    }

    fn forget(&mut self, scope: ScopeId) {
        self.order.retain(|(chain, _)| chain.scope != scope);
        self.of.retain(|(chain, _), _| chain.scope != scope);
        self.bytes = self.of.values().map(|(_, bytes)| bytes).sum();
    }
}
