//! One series of a segment: which frames it is in, what may be said of its values, and the values.

use super::codec::bytes::{Reader, put, put_section, put_signed};
use super::codec::{numbers, wave};
use super::segment::limits;
use super::{Numeric, SegmentError};
use crate::decimal::Decimal;
use crate::observation::{NoValue, Quality, WaveBlock};

/// Where the points of a column stand: the frame, and the place in the frame. Most columns are in every frame at one place, and
/// are only counted for as long as they are.
#[derive(Default, Debug)]
pub(super) struct Places {
    steady: usize,
    position: i64,
    /// None while all are steady.
    skips: Vec<i64>,
    positions: Vec<i64>,
    last: i64,
}

impl Places {
    pub fn push(&mut self, frame: usize, position: usize) {
        let (at, position) = (frame as i64 + 1, position as i64);
        if self.skips.is_empty() {
            if frame == self.steady && (frame == 0 || position == self.position) {
                (self.steady, self.position, self.last) = (frame + 1, position, at);
                return;
            }
            self.skips.resize(self.steady, 1);
            self.positions.resize(self.steady, self.position);
        }
        // Counted from before the first frame, so that a column in every frame skips one each time.
        self.skips.push(at - std::mem::replace(&mut self.last, at));
        self.positions.push(position);
    }

    pub fn len(&self) -> usize {
        if self.skips.is_empty() { self.steady } else { self.skips.len() }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // All alike, one says as much as many.
        let (steady, one) = ([1, self.position], self.steady.min(1));
        let alike = [&steady[..one], &steady[1..=one]];
        let columns = if self.skips.is_empty() { alike } else { [self.skips.as_slice(), &self.positions] };
        for values in columns {
            let mut column = Vec::new();
            numbers::encode(values, &mut column);
            put_section(out, &column);
        }
    }
}

/// The frames in which a column's points are, ascending.
#[derive(Debug)]
pub(super) enum Frames {
    /// Every frame up to so many.
    First(u32),
    /// These.
    At(Vec<u32>),
}

impl Frames {
    /// Of `count` points, below `frames`.
    fn decode(reader: &mut Reader<'_>, count: usize, frames: usize) -> Result<Self, SegmentError> {
        let section = reader.section()?;
        if numbers::constant(section) == Some(1) && count <= frames {
            return Ok(Self::First(count as u32));
        }
        let mut skips = Vec::new();
        numbers::decode(section, count, &mut skips)?;
        let mut at = 0i64;
        let index = |skip: i64| {
            at = at.checked_add(skip).filter(|_| skip >= 0).ok_or(SegmentError::Unreadable)?;
            let frame = usize::try_from(at - 1).ok().filter(|f| *f < frames);
            frame.map(|f| f as u32).ok_or(SegmentError::Frame(at))
        };
        skips.into_iter().map(index).collect::<Result<_, _>>().map(Self::At)
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let (first, at) = match self {
            Self::First(count) => (*count, [].as_slice()),
            Self::At(at) => (0, at.as_slice()),
        };
        (0..first).chain(at.iter().copied())
    }
}

fn positions_of(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, SegmentError> {
    let mut positions = Vec::new();
    numbers::decode(reader.section()?, count, &mut positions)?;
    Ok(positions)
}

/// What may be said of a value besides its digits: its exponent, or why there is none; and how far it can be trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The power of ten that mantissas are multiplied by, or why there is no value.
    pub value: Result<i8, NoValue>,
    /// How far it can be trusted.
    pub quality: Quality,
}

/// A numeric column being built.
#[derive(Default, Debug)]
pub(super) struct NumericColumn {
    pub places: Places,
    /// A state and for how many points it held.
    runs: Vec<(State, u32)>,
    mantissas: Vec<i64>,
}

impl NumericColumn {
    /// Makes room for so many points.
    pub fn reserve(&mut self, points: usize) {
        self.mantissas.reserve(points);
    }

    pub fn push(&mut self, frame: usize, position: usize, numeric: &Numeric) {
        self.places.push(frame, position);
        self.mantissas.extend(numeric.value.as_ref().ok().map(|v| v.mantissa()));
        let same = |state: &State| {
            state.quality == numeric.quality
                && match (&state.value, &numeric.value) {
                    (Ok(exponent), Ok(value)) => *exponent == value.exponent(),
                    (Err(a), Err(b)) => a == b,
                    _ => false,
                }
        };
        match self.runs.last_mut() {
            Some((state, count)) if same(state) => *count += 1,
            _ => {
                let value = numeric.value.as_ref().map(|v| v.exponent()).map_err(Clone::clone);
                self.runs.push((State { value, quality: numeric.quality }, 1));
            }
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        self.places.encode(out);
        let mut known: Vec<&State> = Vec::new();
        let (mut which, mut counts) = (Vec::new(), Vec::new());
        for (state, count) in &self.runs {
            let at = known.iter().position(|s| *s == state).unwrap_or_else(|| {
                known.push(state);
                known.len() - 1
            });
            which.push(at as i64);
            counts.push(i64::from(*count));
        }
        put(out, known.len() as u64);
        for state in known {
            put_state(out, state);
        }
        // The last run ends where the column does.
        counts.pop();
        put(out, which.len() as u64);
        for values in [&which, &counts] {
            let mut column = Vec::new();
            numbers::encode(values, &mut column);
            put_section(out, &column);
        }
        numbers::encode(&self.mantissas, out);
    }
}

fn put_state(out: &mut Vec<u8>, state: &State) {
    let quality = match state.quality {
        Quality::Good => 0u8,
        Quality::Questionable => 1,
        Quality::Demo => 2,
    };
    let why = match &state.value {
        Ok(_) => 0u8,
        Err(NoValue::SensorOff) => 1,
        Err(NoValue::NotMeasured) => 2,
        Err(NoValue::OutOfRange) => 3,
        Err(NoValue::Artefact) => 4,
        Err(NoValue::Fault(_)) => 5,
    };
    out.push(quality << 4 | why);
    match &state.value {
        Ok(exponent) => put_signed(out, i64::from(*exponent)),
        Err(NoValue::Fault(what)) => put_section(out, what.as_bytes()),
        Err(_) => {}
    }
}

fn state(reader: &mut Reader<'_>) -> Result<State, SegmentError> {
    let byte = reader.byte()?;
    let quality = match byte >> 4 {
        0 => Quality::Good,
        1 => Quality::Questionable,
        2 => Quality::Demo,
        _ => return Err(SegmentError::Unreadable),
    };
    let value = match byte & 15 {
        0 => Ok(i8::try_from(reader.signed()?).ok().filter(|e| (-18..=18).contains(e)).ok_or(SegmentError::Unreadable)?),
        1 => Err(NoValue::SensorOff),
        2 => Err(NoValue::NotMeasured),
        3 => Err(NoValue::OutOfRange),
        4 => Err(NoValue::Artefact),
        5 => {
            let what = std::str::from_utf8(reader.section()?.0).map_err(|_| SegmentError::Unreadable)?;
            Err(NoValue::Fault(what.to_owned()))
        }
        _ => return Err(SegmentError::Unreadable),
    };
    Ok(State { value, quality })
}

/// A numeric column as read; its values are still packed.
#[derive(Debug)]
pub(super) struct Points<'a> {
    pub count: usize,
    pub frames: Frames,
    positions: Reader<'a>,
    states: Vec<State>,
    /// Which state, for how many points.
    runs: Vec<(usize, usize)>,
    mantissas: Reader<'a>,
    /// Points that have a value.
    valued: usize,
}

impl<'a> Points<'a> {
    /// Reads a column of `count` points.
    pub fn decode(mut reader: Reader<'a>, count: usize, frames: usize) -> Result<Self, SegmentError> {
        let at = Frames::decode(&mut reader, count, frames)?;
        let positions = reader.section()?;
        let known = reader.count(limits::STATES)?;
        let states = (0..known).map(|_| state(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        let run_count = reader.count(count)?;
        let (mut which, mut counts) = (Vec::new(), Vec::new());
        numbers::decode(reader.section()?, run_count, &mut which)?;
        numbers::decode(reader.section()?, run_count.saturating_sub(1), &mut counts)?;
        let (mut left, mut valued, mut words) = (count, 0usize, 0usize);
        let mut runs = Vec::with_capacity(run_count);
        for (n, state) in which.into_iter().enumerate() {
            let length = counts.get(n).map_or(Ok(left), |c| usize::try_from(*c)).map_err(|_| SegmentError::Unreadable)?;
            left = left.checked_sub(length).ok_or(SegmentError::Unreadable)?;
            let state = usize::try_from(state).map_err(|_| SegmentError::Unreadable)?;
            match &states.get(state).ok_or(SegmentError::Unreadable)?.value {
                Ok(_) => valued += length,
                Err(NoValue::Fault(what)) => words = words.saturating_add(length.saturating_mul(what.len())),
                Err(_) => {}
            }
            runs.push((state, length));
        }
        if left != 0 || words > limits::FAULT_BYTES {
            return Err(SegmentError::Unreadable);
        }
        Ok(Self { count, frames: at, positions, states, runs, mantissas: reader, valued })
    }

    /// What is said of the points, in order, and for how many.
    pub fn runs(&self) -> impl Iterator<Item = (&State, usize)> {
        self.runs.iter().filter_map(|(which, length)| Some((self.states.get(*which)?, *length)))
    }

    /// Appends the digits of every point; 0 where there is no value.
    pub fn mantissas(&self, into: &mut Vec<i64>) -> Result<(), SegmentError> {
        if self.valued == self.count {
            return numbers::decode(self.mantissas, self.valued, into);
        }
        let mut valued = Vec::new();
        numbers::decode(self.mantissas, self.valued, &mut valued)?;
        let mut left = valued.as_slice();
        into.reserve(self.count);
        for (state, length) in self.runs() {
            if state.value.is_ok() {
                let (these, rest) = left.split_at_checked(length).ok_or(SegmentError::Unreadable)?;
                into.extend_from_slice(these);
                left = rest;
            } else {
                into.resize(into.len() + length, 0);
            }
        }
        Ok(())
    }

    /// Finds out whether all of it can be read; `scratch` is emptied.
    pub fn check(&self, scratch: &mut Vec<i64>) -> Result<(), SegmentError> {
        for (column, count) in [(self.positions, self.count), (self.mantissas, self.valued)] {
            scratch.clear();
            numbers::decode(column, count, scratch)?;
        }
        Ok(())
    }

    /// Hands on each point: frame, position in it, value, quality.
    pub fn each(&self, mut point: impl FnMut(u32, i64, Result<Decimal, NoValue>, Quality)) -> Result<(), SegmentError> {
        let (mut positions, mut mantissas) = (Vec::new(), Vec::new());
        numbers::decode(self.positions, self.count, &mut positions)?;
        self.mantissas(&mut mantissas)?;
        let mut places = self.frames.iter().zip(positions).zip(mantissas);
        for (State { value, quality }, length) in self.runs() {
            for ((frame, position), mantissa) in places.by_ref().take(length) {
                let value = value.as_ref().map(|exponent| Decimal::new(mantissa, *exponent)).map_err(Clone::clone);
                point(frame, position, value, *quality);
            }
        }
        Ok(())
    }
}

/// A wave column being built.
#[derive(Default, Debug)]
pub(super) struct WaveColumn {
    pub places: Places,
    flags: Vec<i64>,
    lengths: Vec<i64>,
    pub samples: Vec<i32>,
}

impl WaveColumn {
    pub fn push(&mut self, frame: usize, position: usize, block: &WaveBlock) {
        self.places.push(frame, position);
        self.flags.push(i64::from(block.good) | i64::from(block.demo) << 1);
        self.lengths.push(block.raw.len() as i64);
        self.samples.extend_from_slice(&block.raw);
    }

    pub fn encode(&self, other: Option<&[i32]>, out: &mut Vec<u8>) {
        self.places.encode(out);
        for values in [&self.flags, &self.lengths] {
            let mut column = Vec::new();
            numbers::encode(values, &mut column);
            put_section(out, &column);
        }
        wave::encode(&self.samples, other, out);
    }
}

/// A wave column as read.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Frame, position in it, flags, length.
    pub places: Vec<(u32, i64, i64, usize)>,
    pub samples: Vec<i32>,
}

impl Blocks {
    /// Reads a column of `count` blocks and `samples` samples.
    pub fn decode(
        mut reader: Reader<'_>,
        count: usize,
        samples: usize,
        frames: usize,
        other: Option<&[i32]>,
    ) -> Result<Self, SegmentError> {
        let at = Frames::decode(&mut reader, count, frames)?;
        let positions = positions_of(&mut reader, count)?;
        let (flags, lengths) = (positions_of(&mut reader, count)?, positions_of(&mut reader, count)?);
        let mut left = samples;
        let mut places = Vec::with_capacity(count);
        for ((frame, position), (flags, length)) in at.iter().zip(positions).zip(flags.into_iter().zip(lengths)) {
            let length = usize::try_from(length).map_err(|_| SegmentError::Unreadable)?;
            left = left.checked_sub(length).ok_or(SegmentError::Unreadable)?;
            places.push((frame, position, flags, length));
        }
        if left != 0 {
            return Err(SegmentError::Unreadable);
        }
        Ok(Self { places, samples: wave::decode(reader, samples, other)? })
    }
}
