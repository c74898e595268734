//! The unsealed tail: durable frames that wait to be cut into segments.
//!
//! Always: of one device session and kind, segments are cut from the front of its tail, so that "sealed through seq n"
//! is the whole truth of it; whose a frame is, is judged when it is cut; a journal tick is dropped only by the commit
//! that holds the last of it in segments.

use crate::association::{Association, Placed};
use crate::effects::Note;
use crate::patients::Patients;
use protocol::Draft;
use record::id::DeviceId;
use record::series::{Boot, Frame, SEGMENT_BYTES_MAX, Segment, SegmentError, SegmentKind, Tail};
use record::time::{Monotonic, Now};
use std::collections::{BTreeMap, BTreeSet};

/// Tails cut in one commit: the next tick must not wait behind a whole ward's hour.
const CUTS_PER_COMMIT: usize = 16;
/// Tails held; past it all are cut.
const TAILS_MAX: usize = 4096;

/// One device session, numerics (false) or waves (true).
type Key = (DeviceId, Boot, bool);

/// All tails, and which journal ticks they still need.
#[derive(Debug)]
pub(crate) struct Series {
    numerics_us: i64,
    waves_us: i64,
    tails: BTreeMap<Key, Tail>,
    due: BTreeSet<Key>,
    /// Frames of each tick that are in no segment yet, of numerics and of waves: they leave the journal apart.
    unsealed: [BTreeMap<u64, u32>; 2],
    /// The interval of the wall clock that was last cut for, numerics and waves.
    interval: [Option<i64>; 2],
    /// Tails that are not cut yet, and until when: whose they are is not known for sure.
    held: Option<(BTreeSet<Key>, Monotonic)>,
}

/// What a commit seals, until it is durable.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Cut {
    /// Frames from the front of each tail, and whether more of it is due.
    taken: Vec<(Key, usize, bool)>,
    pub drafts: Vec<Draft>,
    /// Of numerics and of waves.
    pub drop_ticks_through: [Option<u64>; 2],
    pub notes: Vec<Note>,
}

impl Series {
    pub fn new(seal_every_s: u32, seal_waves_every_s: u32) -> Self {
        let us = |seconds: u32| i64::from(seconds.max(1)) * 1_000_000;
        Self {
            numerics_us: us(seal_every_s),
            waves_us: us(seal_waves_every_s),
            tails: BTreeMap::new(),
            due: BTreeSet::new(),
            unsealed: Default::default(),
            interval: [None, None],
            held: None,
        }
    }

    /// Takes in a durable frame, without the kinds that are sealed already.
    pub fn take(&mut self, tick: Option<u64>, frame: Frame, sealed: [bool; 2]) {
        let (numerics, waves) = frame.parted();
        for (is_waves, frame) in [(false, numerics), (true, waves)] {
            if frame.is_empty() {
                continue;
            }
            let (unsealed, sealed) = if is_waves { (&mut self.unsealed[1], sealed[1]) } else { (&mut self.unsealed[0], sealed[0]) };
            if let Some(tick) = tick {
                *unsealed.entry(tick).or_default() += u32::from(!sealed);
            }
            if sealed {
                continue;
            }
            let key = (frame.device.clone(), frame.boot, is_waves);
            let tail = self.tails.entry(key.clone()).or_default();
            tail.push(tick, frame);
            if tail.bytes() >= SEGMENT_BYTES_MAX {
                self.due.insert(key);
            }
        }
        if self.tails.len() > TAILS_MAX {
            self.held = None;
            self.all_due();
        }
    }

    /// Marks what a wall-clock interval has ended for. A clock that was set back begins an interval like any other.
    pub fn on_time(&mut self, now: Now) {
        if self.held.take_if(|(_, until)| *until <= now.mono).is_some() {
            self.all_due();
        }
        let now = now.wall;
        for (is_waves, length) in [(false, self.numerics_us), (true, self.waves_us)] {
            let interval = Some(now.0.div_euclid(length));
            let held = &mut self.interval[usize::from(is_waves)];
            if held.is_some() && *held != interval {
                self.due.extend(self.tails.keys().filter(|(_, _, waves)| *waves == is_waves).cloned());
            }
            *held = interval;
        }
    }

    /// When [`Self::on_time`] has something to do next; `None` while nothing waits to be cut.
    pub fn wake_at(&self, now: Now) -> Option<Monotonic> {
        let next = |is_waves: bool, length: i64| {
            let waiting = self.tails.keys().any(|(_, _, waves)| *waves == is_waves);
            waiting.then(|| now.mono.plus_micros((length - now.wall.0.rem_euclid(length)).unsigned_abs()))
        };
        let released = self.held.as_ref().map(|(_, until)| *until);
        [next(false, self.numerics_us), next(true, self.waves_us), released].into_iter().flatten().min()
    }

    /// Cuts nothing of what is here now before `until`.
    pub fn hold(&mut self, until: Monotonic) {
        self.held = Some((self.tails.keys().cloned().collect(), until));
    }

    /// What is held back may be cut from `at` on, if not before.
    pub fn release(&mut self, at: Monotonic) {
        if let Some((_, until)) = &mut self.held {
            *until = at.min(*until);
        }
    }

    /// Tails that are due and not held back.
    fn ripe(&self) -> impl Iterator<Item = &Key> {
        self.due.iter().filter(|key| self.held.as_ref().is_none_or(|(held, _)| !held.contains(*key)))
    }

    /// Marks tails of these devices.
    pub fn devices_due(&mut self, devices: impl Fn(&DeviceId) -> bool) {
        self.due.extend(self.tails.keys().filter(|(device, _, _)| devices(device)).cloned());
    }

    pub fn all_due(&mut self) {
        self.due.extend(self.tails.keys().cloned());
    }

    pub fn has_due(&self) -> bool {
        self.ripe().next().is_some()
    }

    /// Segments of what is due, at most [`CUTS_PER_COMMIT`] tails. Nothing changes here until [`Self::sealed`].
    pub fn cut(&self, association: &mut Association, patients: &Patients) -> Cut {
        let mut cut = Cut::default();
        let mut sealed: [BTreeMap<u64, u32>; 2] = Default::default();
        for key in self.ripe().take(CUTS_PER_COMMIT) {
            let Some(tail) = self.tails.get(key) else { continue };
            let count = tail.front();
            let Ok(segments) = segments(tail, count, key.2, association, patients) else {
                cut.notes.push(Note::NotSealed(key.0.clone()));
                continue;
            };
            cut.drafts.extend(segments);
            for tick in tail.ticks(count) {
                *sealed[usize::from(key.2)].entry(tick).or_default() += 1;
            }
            cut.taken.push((key.clone(), count, count < tail.len()));
        }
        for ((unsealed, sealed), through) in self.unsealed.iter().zip(sealed).zip(&mut cut.drop_ticks_through) {
            let whole = unsealed.iter().take_while(|(tick, count)| sealed.get(tick).copied().unwrap_or(0) >= **count);
            *through = whole.last().map(|(tick, _)| *tick);
        }
        cut
    }

    /// The cut is durable.
    pub fn sealed(&mut self, cut: &Cut) {
        for (key, count, more) in &cut.taken {
            if !more {
                self.due.remove(key);
            }
            let Some(tail) = self.tails.get_mut(key) else { continue };
            let unsealed = &mut self.unsealed[usize::from(key.2)];
            for tick in tail.ticks(*count) {
                if let Some(left) = unsealed.get_mut(&tick) {
                    *left = left.saturating_sub(1);
                }
            }
            tail.forget(*count);
            if tail.is_empty() {
                self.tails.remove(key);
                self.due.remove(key);
            }
        }
        for (unsealed, through) in self.unsealed.iter_mut().zip(cut.drop_ticks_through) {
            if let Some(through) = through {
                *unsealed = unsealed.split_off(&through.saturating_add(1));
            }
        }
    }
}

/// The first frames of a tail, a segment for each place they belong to.
fn segments(
    tail: &Tail,
    count: usize,
    is_waves: bool,
    association: &mut Association,
    patients: &Patients,
) -> Result<Vec<Draft>, SegmentError> {
    let mut groups: Vec<(Placed, Vec<Frame>)> = Vec::new();
    for frame in tail.frames(count)? {
        let placed = association.place(&frame, patients);
        let frame = Frame { bed: placed.bed.clone(), ..frame };
        match groups.iter_mut().find(|(p, _)| p.place == placed.place && p.bed == placed.bed) {
            Some((_, frames)) => frames.push(frame),
            None => groups.push((placed, vec![frame])),
        }
    }
    let kind = if is_waves { SegmentKind::Waves } else { SegmentKind::Numerics };
    groups.into_iter().map(|(placed, frames)| Ok(Draft::Segment { place: placed.place, segment: Segment::build(kind, &frames)? })).collect()
}
