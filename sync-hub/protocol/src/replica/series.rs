//! One series of a patient, as charts, scores and trends ask for it: sealed segments and the unsealed tail together.
//!
//! Always: what was masked is left out, what was filed here again is in, each sample counts once. What is kept in memory between
//! questions is bounded and only saves time: the store is asked each time whether its index has changed, and once anything of it has
//! gone nothing of it is remembered.

use super::index::{Index, Indexed, Lies};
use super::read::{Gathered, Vitals, owner_in, owns};
use super::unsealed::Unsealed;
use super::{apply, damaged};
use crate::store::{Scope, SegmentRow, State, StoreError, Transaction};
use record::binding::Bindings;
use record::code::Code;
use record::id::{DeviceId, PatientId, ScopeId};
use record::ledger::ChainId;
use record::ledger::body::segment_in;
use record::ledger::seal::Opener;
use record::series::{Boot, Excerpt, Frame, Minute, Minutes, Numeric, Samples, SegmentError, SegmentView};
use record::time::Timestamp;
use record::unit::Unit;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

/// Bytes of opened segments kept: a day of a ward of twenty beds.
const OPENED_BYTES_MAX: usize = 4 << 20;
/// Bytes of minutes kept packed: a day of a ward of twenty beds.
const MINUTES_BYTES_MAX: usize = 2 << 20;
/// Bytes of minutes kept as they are drawn: a day of eighteen series, more than one screen shows.
const DRAWN_BYTES_MAX: usize = 1 << 20;

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

/// Which frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sought<'a> {
    /// Whose.
    pub patient: &'a PatientId,
    /// Measured at or after.
    pub from: Timestamp,
    /// Measured at or before.
    pub to: Timestamp,
    /// Those with any of these numerics, and no others of them; of all if absent.
    pub codes: Option<&'a [Code]>,
    /// Of this device only.
    pub device: Option<&'a DeviceId>,
    /// Of this device session only.
    pub boot: Option<Boot>,
}

impl Sought<'_> {
    fn is_of(&self, device: &str, boot: Boot) -> bool {
        self.device.is_none_or(|wanted| wanted.as_str() == device) && self.boot.is_none_or(|wanted| wanted == boot)
    }

    fn takes(&self, code: Code) -> bool {
        self.codes.is_none_or(|codes| codes.contains(&code))
    }

    fn spans(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }
}

/// Reads series of one store through one connection, and remembers what it has opened.
#[derive(Debug, Default)]
pub struct SeriesReader {
    opener: Opener,
    opened: Kept<Entry, Arc<[u8]>>,
    minutes: Kept<Entry, Arc<[Summary]>>,
    drawn: Kept<(Entry, Code), Drawn>,
    unsealed: Unsealed,
    index: Index,
    /// What the store said when all that had gone was last forgotten.
    gone: Option<u64>,
}

/// A numeric of a segment by the minute, in each unit.
type Drawn = Arc<[(Unit, Minutes)]>;
/// Which segment.
type Entry = (ChainId, u64);
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
        for (row, lies) in found.rows() {
            match lies {
                Lies::Plainly => {
                    if let Some(bytes) = self.open(tx, &found.of.scopes, row)? {
                        let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                        view.samples(asked.code, into).map_err(|e| damaged(&named(row), &e))?;
                    }
                }
                Lies::Partly => {
                    if let Some(bytes) = self.open(tx, &found.of.scopes, row)? {
                        rest.clear();
                        let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                        view.samples(asked.code, &mut rest).map_err(|e| damaged(&named(row), &e))?;
                        into.extend_where(&rest, |at| asked.from <= at && at <= asked.to && !found.of.is_masked(row, at));
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
        let mut add = |unit: Unit, more: &Minutes| match minutes.iter_mut().find(|(held, _)| *held == unit) {
            Some((_, minutes)) => minutes.add(more),
            None => minutes.push((unit, more.clone())),
        };
        let mut rest = Samples::default();
        for (row, lies) in found.rows() {
            if lies == Lies::Plainly {
                for (unit, minutes) in self.drawn(tx, &found.of.scopes, row, asked.code)?.iter() {
                    add(*unit, minutes);
                }
            } else if lies == Lies::Partly
                && let Some(bytes) = self.open(tx, &found.of.scopes, row)?
            {
                let mut all = Samples::default();
                let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                view.samples(asked.code, &mut all).map_err(|e| damaged(&named(row), &e))?;
                rest.extend_where(&all, |at| asked.from <= at && at <= asked.to && !found.of.is_masked(row, at));
            }
        }
        self.twice(tx, &found, asked, &mut rest)?;
        self.tail(&found, asked, &mut rest)?;
        rest.sort();
        for (unit, samples) in rest.by_unit() {
            add(unit, &Minutes::of(&samples));
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
        let found = self.found(tx, patient, since, to)?;
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
                for frame in frames.into_iter().filter(|frame| owns(&found.bindings, &found.of.scopes, frame, device, found.test)) {
                    frame.numerics.into_iter().for_each(|numeric| take(frame.measured, numeric));
                }
            }
        }
        let mut rows: Vec<&SegmentRow> = found.rows().map(|(row, _)| row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.end));
        let mut samples = Samples::default();
        for row in rows {
            let Some(bytes) = self.open(tx, &found.of.scopes, row)? else { continue };
            let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
            for code in view.codes() {
                if latest.get(&code).is_some_and(|(at, _)| *at >= row.end) {
                    continue;
                }
                samples.clear();
                view.samples(code, &mut samples).map_err(|e| damaged(&named(row), &e))?;
                let unmasked = |at: &Timestamp| since <= *at && !found.of.is_masked(row, *at);
                if let Some((at, numeric)) = samples.last(code, unmasked)
                    && latest.get(&code).is_none_or(|(held, _)| *held < at)
                {
                    latest.insert(code, (at, numeric));
                }
            }
        }
        Ok(latest)
    }

    /// The numerics of a patient by the frame, as [`super::frames_of`] has them; of waves it knows nothing.
    ///
    /// # Errors
    /// As [`Self::samples`].
    pub fn numerics(&mut self, tx: &mut dyn Transaction, vitals: &Vitals) -> Result<Vec<Frame>, StoreError> {
        let Vitals { patient, from, to, device, waves: _ } = vitals;
        let sought = Sought { patient, from: *from, to: *to, codes: None, device: device.as_ref(), boot: None };
        Ok(self.excerpts(tx, &sought)?.into_iter().map(|excerpt| excerpt.frame).collect())
    }

    /// The frames sought, each once, by time; of each, the numerics that are sought.
    ///
    /// # Errors
    /// As [`Self::samples`].
    pub(crate) fn excerpts(&mut self, tx: &mut dyn Transaction, sought: &Sought<'_>) -> Result<Vec<Excerpt>, StoreError> {
        let found = self.found(tx, sought.patient, sought.from, sought.to)?;
        let mut gathered = Gathered::default();
        for (row, _) in found.rows().filter(|(row, _)| sought.is_of(&row.device, row.boot)) {
            if let Some(bytes) = self.open(tx, &found.of.scopes, row)? {
                let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
                let keep = |at| sought.spans(at) && !found.of.is_masked(row, at);
                gathered.extend(view.excerpts(|code| sought.takes(code), keep).map_err(|e| damaged(&named(row), &e))?);
            }
        }
        for (session, tail) in self.unsealed.tails().filter(|((device, boot), _)| sought.is_of(device.as_str(), *boot)) {
            let through = self.unsealed.sealed(session);
            for block in tail.blocks().filter(|b| b.start <= sought.to && b.end >= sought.from && b.next_seq > through) {
                for frame in block.frames().map_err(|e| damaged("the journal", &e))? {
                    if frame.first_seq >= through && sought.spans(frame.measured) && found.owns(&frame, &session.0) {
                        gathered.extend(Excerpt::of(frame, |code| sought.takes(code)));
                    }
                }
            }
        }
        Ok(gathered.finish())
    }

    /// Takes in what has changed since the last question.
    fn refresh(&mut self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        let mark = tx.series_mark()?;
        let changed = self.index.renew(mark.map(|mark| mark.version));
        if mark.is_none() || mark.map(|mark| mark.gone) != self.gone {
            (self.opener, self.opened, self.minutes, self.drawn) = Default::default();
            self.gone = mark.map(|mark| mark.gone);
        }
        self.unsealed.refresh(tx, mark.map(|mark| mark.newest_tick), changed)
    }

    fn found(&mut self, tx: &mut dyn Transaction, patient: &PatientId, from: Timestamp, to: Timestamp) -> Result<Found, StoreError> {
        self.refresh(tx)?;
        let of = self.index.of(tx, patient, from, to)?;
        let (mut bindings, mut test) = (Arc::default(), false);
        if !self.unsealed.is_empty() {
            bindings = self.index.bindings(tx)?;
            test = of.is_test(tx, patient)?;
        }
        Ok(Found { of, from, to, bindings, test })
    }

    /// What is in several segments of one session, sealed again by a box that was restored from a backup: by the frame.
    fn twice(&mut self, tx: &mut dyn Transaction, found: &Found, asked: &Asked, into: &mut Samples) -> Result<(), StoreError> {
        let mut gathered = Gathered::default();
        for (row, _) in found.rows().filter(|(_, lies)| *lies == Lies::Twice) {
            if let Some(bytes) = self.open(tx, &found.of.scopes, row)? {
                let frames = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?.frames().map_err(|e| damaged(&named(row), &e))?;
                gathered.extend(
                    frames
                        .into_iter()
                        .filter(|f| asked.from <= f.measured && f.measured <= asked.to && !found.of.is_masked(row, f.measured)),
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
                    if owner_in(&found.bindings, &found.of.scopes, &key.0, block.start) {
                        block.samples(asked.code, into).map_err(|e| damaged("the journal", &e))?;
                    }
                    continue;
                }
                for frame in block.frames().map_err(|e| damaged("the journal", &e))? {
                    let unsealed = frame.first_seq >= through && within(frame.measured);
                    if unsealed && found.owns(&frame, &key.0) {
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
        if let Some(bytes) = self.opened.get(&entry_of(row)) {
            return Ok(Some(bytes));
        }
        let entry = tx.entry(row.chain, row.seq)?.ok_or_else(|| damaged(&named(row), &"the entry is missing"))?;
        if entry.state != State::Done {
            return Ok(None);
        }
        let (key, place) = apply::key_and_place(scopes, &entry.header).map_err(|_| damaged(&named(row), &"it does not open"))?;
        let Some(key) = key else { return Err(damaged(&named(row), &"it is not sealed")) };
        let bytes: Arc<[u8]> = self.opener.reopen(key, &place, entry.payload).map_err(|e| damaged(&named(row), &e))?.into();
        self.opened.put(entry_of(row), Arc::clone(&bytes), bytes.len(), OPENED_BYTES_MAX);
        Ok(Some(bytes))
    }

    /// One numeric of a segment by the minute, in each unit.
    fn drawn(
        &mut self,
        tx: &mut dyn Transaction,
        scopes: &BTreeMap<ScopeId, Scope>,
        row: &SegmentRow,
        code: Code,
    ) -> Result<Drawn, StoreError> {
        let key = (entry_of(row), code);
        if let Some(drawn) = self.drawn.get(&key) {
            return Ok(drawn);
        }
        let summary = self.summary(tx, scopes, row)?;
        let of_code = summary.iter().filter(|(of, ..)| *of == code).map(|(_, unit, packed)| Ok((*unit, Minutes::decode(packed)?)));
        let drawn: Drawn = of_code.collect::<Result<_, SegmentError>>().map_err(|e| damaged(&named(row), &e))?;
        let bytes = drawn.iter().map(|(_, minutes)| minutes.rows.len() * size_of::<Minute>()).sum::<usize>() + size_of::<Summary>();
        // What is not here yet may come.
        if !summary.is_empty() {
            self.drawn.put(key, Arc::clone(&drawn), bytes, DRAWN_BYTES_MAX);
        }
        Ok(drawn)
    }

    /// Each numeric of a segment by the minute. Made when first asked for: kept on disk they would cost a quarter of what the
    /// samples themselves do.
    fn summary(
        &mut self,
        tx: &mut dyn Transaction,
        scopes: &BTreeMap<ScopeId, Scope>,
        row: &SegmentRow,
    ) -> Result<Arc<[Summary]>, StoreError> {
        if let Some(summary) = self.minutes.get(&entry_of(row)) {
            return Ok(summary);
        }
        let Some(bytes) = self.open(tx, scopes, row)? else { return Ok(Arc::new([])) };
        let read = |view: SegmentView<'_>| -> Result<Vec<Summary>, SegmentError> {
            Ok(view.minutes()?.into_iter().map(|(code, unit, minutes)| (code, unit, minutes.encode())).collect())
        };
        let view = segment_in(&bytes).map_err(|e| damaged(&named(row), &e))?;
        let summary: Arc<[Summary]> = read(view).map_err(|e| damaged(&named(row), &e))?.into();
        let size = summary.iter().map(|(_, _, packed)| packed.len() + size_of::<Summary>()).sum();
        self.minutes.put(entry_of(row), Arc::clone(&summary), size, MINUTES_BYTES_MAX);
        Ok(summary)
    }
}

/// What a question is about.
struct Found {
    of: Arc<Indexed>,
    from: Timestamp,
    to: Timestamp,
    /// None, where nothing is unsealed.
    bindings: Arc<Bindings>,
    /// Whether the patient is tagged test.
    test: bool,
}

impl Found {
    fn rows(&self) -> impl Iterator<Item = (&SegmentRow, Lies)> {
        self.of.rows(self.from, self.to)
    }

    fn owns(&self, frame: &Frame, device: &DeviceId) -> bool {
        owns(&self.bindings, &self.of.scopes, frame, device, self.test)
    }
}

fn named(row: &SegmentRow) -> String {
    format!("segment {}/{}", row.chain.run, row.seq)
}

const fn entry_of(row: &SegmentRow) -> Entry {
    (row.chain, row.seq)
}

/// What is kept of segments, within bounds: the oldest goes first.
#[derive(Debug)]
struct Kept<K, T> {
    of: HashMap<K, (T, usize)>,
    order: VecDeque<K>,
    bytes: usize,
}

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self { of: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<K: Copy + Eq + Hash, T: Clone> Kept<K, T> {
    fn get(&self, key: &K) -> Option<T> {
        self.of.get(key).map(|(held, _)| held.clone())
    }

    fn put(&mut self, key: K, value: T, bytes: usize, bytes_max: usize) {
        self.of.insert(key, (value, bytes));
        self.order.push_back(key);
        self.bytes += bytes;
        while self.bytes > bytes_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.of.remove(&oldest).map_or(0, |(_, bytes)| bytes);
        }
    }
}
