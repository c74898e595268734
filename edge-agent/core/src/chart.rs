//! The latest of everything: per patient (or empty bed) and code, for the board and for scoring.

use crate::MANUAL;
use crate::plausible::in_unit;
use crate::writer::Moved;
use record::code::Code;
use record::decimal::Decimal;
use record::id::{BedId, DeviceId, PatientId};
use record::observation::Quality;
use record::series::{Boot, Frame, Numeric};
use record::time::{Monotonic, Timestamp};
use risk::{Input, Source, Subject};
use std::collections::BTreeMap;

/// Charts held: patients who left are forgotten first.
pub(crate) const CHARTS_MAX: usize = 1024;
/// Codes in one chart.
pub(crate) const CODES_MAX: usize = 256;
/// A value dated further ahead than this was dated by a wrong clock and gives way to any other.
const AHEAD_MAX_US: i64 = 120_000_000;

/// Whose chart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Whose {
    Patient(PatientId),
    EmptyBed(BedId),
}

/// Every chart.
#[derive(Debug, Default)]
pub(crate) struct Charts {
    by_owner: BTreeMap<Whose, Chart>,
}

/// The latest of one owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chart {
    entries: BTreeMap<Code, Entry>,
    pub waves: BTreeMap<Code, Wave>,
    /// Sequence number after the last numeric taken in, by device session.
    pub watermark: BTreeMap<(DeviceId, Boot), u64>,
    /// Arrival of the bytes that last changed it.
    pub trigger: Option<Monotonic>,
}

/// One code: what came last, and the last number that may be scored.
#[derive(Clone, Debug)]
struct Entry {
    latest: Point,
    scored: Option<Point>,
}

/// A numeric with its provenance.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub numeric: Numeric,
    pub device: DeviceId,
    pub measured: Timestamp,
    /// Dated by its arrival: such values follow each other as they came, whatever the wall clock did.
    live: bool,
    source: Source,
}

/// A wave being heard.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Wave {
    pub rate_hz: Decimal,
    pub unit: record::unit::Unit,
    pub arrived: Timestamp,
}

impl Charts {
    pub fn get(&self, whose: &Whose) -> Option<&Chart> {
        self.by_owner.get(whose)
    }

    /// Takes in a durable frame.
    pub fn take(&mut self, whose: Whose, frame: &Frame, source: Source, heard: bool) {
        let chart = self.by_owner.entry(whose).or_default();
        chart.take(frame, source);
        if heard && !frame.numerics.is_empty() {
            chart.trigger = Some(frame.arrived_mono);
        }
    }

    /// Moves every value to its owner after bindings changed; `owner` says whose a device's value of a moment is.
    pub fn rehome(&mut self, moved: &[Moved], mut owner: impl FnMut(&Point) -> Option<Whose>) {
        let mut strays = Vec::new();
        for (whose, chart) in &mut self.by_owner {
            for (code, entry) in std::mem::take(&mut chart.entries) {
                let home = if entry.latest.device.as_str() == MANUAL {
                    // What a person measured was filed to the patient they named, and stays theirs unless that was corrected.
                    let wrong = |patient| moved.iter().find(|moved| moved.takes(patient, entry.latest.measured));
                    let corrected = if let Whose::Patient(patient) = whose { wrong(patient) } else { None };
                    corrected.map_or_else(|| Some(whose.clone()), |moved| moved.is.clone().map(Whose::Patient))
                } else {
                    owner(&entry.latest)
                };
                if home.as_ref() == Some(whose) {
                    chart.entries.insert(code, entry);
                } else if let Some(home) = home {
                    strays.push((home, entry.latest));
                }
            }
            chart.waves.clear();
        }
        for (home, point) in strays {
            self.by_owner.entry(home).or_default().put(point);
        }
    }

    /// Forgets charts past [`CHARTS_MAX`], those not `wanted` first.
    pub fn prune(&mut self, wanted: impl Fn(&Whose) -> bool) {
        if self.by_owner.len() > CHARTS_MAX {
            self.by_owner.retain(|whose, _| wanted(whose));
        }
        while self.by_owner.len() > CHARTS_MAX {
            self.by_owner.pop_first();
        }
    }

    /// Begins an empty bed's chart afresh.
    pub fn clear(&mut self, whose: &Whose) {
        self.by_owner.remove(whose);
    }
}

impl Chart {
    /// The latest of each code.
    pub fn latest(&self) -> impl Iterator<Item = &Point> {
        self.entries.values().map(|entry| &entry.latest)
    }

    /// The chart as scores read it.
    pub fn for_scores(&self, subject: Subject) -> risk::Chart {
        let mut chart = risk::Chart::of(subject);
        for point in self.entries.values().filter_map(|entry| entry.scored.as_ref()) {
            let code = point.numeric.code;
            let Some(unit) = code.unit() else { continue };
            let Some(value) = point.numeric.value.as_ref().ok().and_then(|v| in_unit(*v, point.numeric.unit, unit)) else { continue };
            // Implausible values were turned into artefacts at arrival; what the score still refuses it goes without.
            let _ = chart.record(code, unit, Input { value, measured_at: point.measured, source: point.source });
        }
        chart
    }

    fn take(&mut self, frame: &Frame, source: Source) {
        let live = frame.measured == frame.arrived;
        for numeric in &frame.numerics {
            self.put(Point { numeric: numeric.clone(), device: frame.device.clone(), measured: frame.measured, live, source });
        }
        for wave in &frame.waves {
            if self.waves.len() < CODES_MAX || self.waves.contains_key(&wave.code) {
                self.waves.insert(wave.code, Wave { rate_hz: wave.rate_hz, unit: wave.unit, arrived: frame.arrived });
            }
        }
        if !frame.numerics.is_empty() {
            let next = self.watermark.entry((frame.device.clone(), frame.boot)).or_default();
            *next = (*next).max(frame.first_seq.saturating_add(frame.numerics.len() as u64));
            if self.watermark.len() > CODES_MAX {
                self.watermark.pop_first();
            }
        }
    }

    fn put(&mut self, point: Point) {
        let scorable = point.numeric.value.is_ok() && matches!(point.numeric.quality, Quality::Good | Quality::Demo);
        let full = self.entries.len() >= CODES_MAX;
        match self.entries.get_mut(&point.numeric.code) {
            Some(entry) => {
                if scorable && entry.scored.as_ref().is_none_or(|held| point.follows(held)) {
                    entry.scored = Some(point.clone());
                }
                if point.follows(&entry.latest) {
                    entry.latest = point;
                }
            }
            None if !full => {
                self.entries.insert(point.numeric.code, Entry { scored: scorable.then(|| point.clone()), latest: point });
            }
            None => {}
        }
    }
}

impl Point {
    fn follows(&self, held: &Self) -> bool {
        (self.live && held.live) || self.measured >= held.measured || held.measured.micros_since(self.measured) > AHEAD_MAX_US && self.live
    }
}
