//! One series of a segment, as columns: what a chart or a score asks for.

use super::codec::bytes::Reader;
use super::columns::{Frames, State};
use super::view::Row;
use super::{Frame, Numeric, SegmentError, SegmentView, arrivals};
use crate::code::Code;
use crate::decimal::Decimal;
use crate::observation::{NoValue, Quality};
use crate::time::Timestamp;
use crate::unit::Unit;

/// Samples of one series, in the order in which they came; of several segments, one after the other.
/// A day of a steady series is two columns and one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Samples {
    /// When each was measured.
    pub at: Vec<Timestamp>,
    /// The digits of each; 0 where there is no value.
    pub mantissas: Vec<i64>,
    /// What holds for so many of them, in order; together as many as there are samples.
    pub runs: Vec<Run>,
}

/// What a stretch of samples has in common.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// For how many samples.
    pub count: usize,
    /// Their unit.
    pub unit: Unit,
    /// Their power of ten, or why they have no value.
    pub value: Result<i8, NoValue>,
    /// How far they can be trusted.
    pub quality: Quality,
}

impl Samples {
    /// Makes room for so many more.
    pub fn reserve(&mut self, samples: usize) {
        self.at.reserve(samples);
        self.mantissas.reserve(samples);
    }

    /// Empties it, keeping its room.
    pub fn clear(&mut self) {
        self.at.clear();
        self.mantissas.clear();
        self.runs.clear();
    }

    /// Appends those of others that are measured at moments to `keep`.
    pub fn extend_where(&mut self, others: &Self, keep: impl Fn(Timestamp) -> bool) {
        let mut points = others.at.iter().zip(&others.mantissas);
        for run in &others.runs {
            let before = self.at.len();
            for (at, mantissa) in points.by_ref().take(run.count).filter(|(at, _)| keep(**at)) {
                self.at.push(*at);
                self.mantissas.push(*mantissa);
            }
            self.say(Run { count: self.at.len() - before, ..run.clone() });
        }
    }

    /// Puts them into the order of measurement, if they are not.
    pub fn sort(&mut self) {
        if self.at.is_sorted() {
            return;
        }
        let runs = self.runs.iter().flat_map(|run| std::iter::repeat_n(run, run.count));
        let mut points: Vec<_> = self.at.iter().zip(&self.mantissas).zip(runs).collect();
        points.sort_by_key(|((at, _), _)| **at);
        let mut sorted = Self::default();
        for ((at, mantissa), run) in points {
            sorted.at.push(*at);
            sorted.mantissas.push(*mantissa);
            sorted.say(Run { count: 1, ..run.clone() });
        }
        *self = sorted;
    }

    /// Appends what a frame has of one series.
    pub fn take_frame(&mut self, code: Code, frame: &Frame) {
        for numeric in frame.numerics.iter().filter(|numeric| numeric.code == code) {
            self.at.push(frame.measured);
            self.mantissas.push(numeric.value.as_ref().map_or(0, |value| value.mantissa()));
            let value = numeric.value.as_ref().map(|value| value.exponent()).map_err(Clone::clone);
            self.say(Run { count: 1, unit: numeric.unit, value, quality: numeric.quality });
        }
    }

    /// The last one measured at a moment to `keep`.
    #[must_use]
    pub fn last(&self, code: Code, keep: impl Fn(&Timestamp) -> bool) -> Option<(Timestamp, Numeric)> {
        let at = (0..self.at.len()).filter(|n| self.at.get(*n).is_some_and(&keep)).max_by_key(|n| self.at.get(*n))?;
        let mut before = 0usize;
        let run = self.runs.iter().find(|run| {
            before += run.count;
            at < before
        })?;
        let value = run.value.as_ref().map_err(Clone::clone);
        let mantissa = *self.mantissas.get(at)?;
        let value = value.map(|exponent| Decimal::new(mantissa, *exponent));
        Some((*self.at.get(at)?, Numeric { code, value, unit: run.unit, quality: run.quality }))
    }

    /// Apart by unit, in order.
    #[must_use]
    pub fn by_unit(self) -> Vec<(Unit, Self)> {
        let mut units: Vec<Unit> = Vec::new();
        self.runs.iter().for_each(|run| {
            if !units.contains(&run.unit) {
                units.push(run.unit)
            }
        });
        if let [unit] = units.as_slice() {
            return vec![(*unit, self)];
        }
        let mut parts: Vec<(Unit, Self)> = units.into_iter().map(|unit| (unit, Self::default())).collect();
        let mut points = self.at.iter().zip(&self.mantissas);
        for run in &self.runs {
            let Some((_, part)) = parts.iter_mut().find(|(unit, _)| *unit == run.unit) else { continue };
            for (at, mantissa) in points.by_ref().take(run.count) {
                part.at.push(*at);
                part.mantissas.push(*mantissa);
            }
            part.say(run.clone());
        }
        parts
    }

    /// What holds for the next samples.
    fn say(&mut self, run: Run) {
        match self.runs.last_mut() {
            Some(last) if (last.unit, &last.value, last.quality) == (run.unit, &run.value, run.quality) => last.count += run.count,
            _ if run.count == 0 => {}
            _ => self.runs.push(run),
        }
    }

    /// Each with its time, value and quality.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, Result<Decimal, &NoValue>, Quality)> {
        let mut points = self.at.iter().zip(&self.mantissas);
        let runs = self.runs.iter().flat_map(|run| std::iter::repeat_n(run, run.count));
        runs.map_while(move |run| {
            let (at, mantissa) = points.next()?;
            Some((*at, run.value.as_ref().map(|exponent| Decimal::new(*mantissa, *exponent)), run.quality))
        })
    }
}

impl SegmentView<'_> {
    /// Appends the samples of one series; nothing if it is not in this segment. Other series are not touched.
    ///
    /// # Errors
    /// Bytes that are no segment, or a column that cannot be read; `into` may then hold a part.
    pub fn samples(&self, code: Code, into: &mut Samples) -> Result<(), SegmentError> {
        let key = code.key();
        let ((frames, arrivals), rows) = self.parts_of(|held| held == key)?;
        let mut measured = Measured { frames, arrivals, times: Vec::new() };
        rows.iter().filter(|_| !self.is_waves()).try_for_each(|row| into.take(row, &mut measured))
    }

    /// Every numeric series; one code in two units is two.
    pub(super) fn each_numeric(&self) -> Result<Vec<(Code, Unit, Samples)>, SegmentError> {
        let ((frames, arrivals), rows) = self.parts()?;
        let mut measured = Measured { frames, arrivals, times: Vec::new() };
        let numerics = rows.iter().filter(|_| !self.is_waves()).map(|row| {
            let mut samples = Samples::default();
            samples.take(row, &mut measured)?;
            Ok((row.code()?, row.unit()?, samples))
        });
        numerics.collect()
    }
}

/// The times of a segment's frames, read as they are needed.
struct Measured<'a> {
    frames: usize,
    arrivals: Reader<'a>,
    times: Vec<Timestamp>,
}

impl Measured<'_> {
    /// Appends the times of a column's points.
    fn of(&mut self, frames: &Frames, into: &mut Vec<Timestamp>) -> Result<(), SegmentError> {
        let mut arrivals = self.arrivals;
        match frames {
            // Most series are in every frame: their times go where they are wanted at once.
            Frames::First(count) if *count as usize == self.frames => arrivals::measured(&mut arrivals, self.frames, into)?,
            _ => {
                if self.times.is_empty() {
                    arrivals::measured(&mut arrivals, self.frames, &mut self.times)?;
                }
                into.extend(frames.iter().filter_map(|frame| self.times.get(frame as usize)));
            }
        }
        Ok(())
    }
}

impl Samples {
    fn take(&mut self, row: &Row<'_>, measured: &mut Measured<'_>) -> Result<(), SegmentError> {
        let unit = row.unit()?;
        let points = row.numeric(measured.frames)?;
        measured.of(&points.frames, &mut self.at)?;
        points.mantissas(&mut self.mantissas)?;
        let said = |(state, count): (&State, usize)| Run { count, unit, value: state.value.clone(), quality: state.quality };
        points.runs().map(said).for_each(|run| self.say(run));
        Ok(())
    }
}
