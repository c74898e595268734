//! Reading a segment where it lies: in the canonical bytes of the entry that holds it, without a copy.

use super::arrivals::{self, Arrival};
use super::codec::bytes::Reader;
use super::columns::{Blocks, Points};
use super::segment::limits;
use super::{Boot, Frame, Numeric, SegmentError, SegmentKind};
use crate::code::Code;
use crate::decimal::Decimal;
use crate::id::{BedId, DeviceId};
use crate::observation::WaveBlock;
use crate::time::Timestamp;
use crate::unit::Unit;
use serde::Deserialize;

/// A segment as it lies in bytes; see [`crate::ledger::body::segment_in`] and [`super::Segment::view`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct SegmentView<'a> {
    pub(super) kind: SegmentKind,
    /// Which device.
    pub device: &'a str,
    /// Which session of it.
    pub boot: Boot,
    /// The bed it read for.
    pub bed: Option<&'a str>,
    /// Earliest measurement in it.
    pub start: Timestamp,
    /// Latest measurement in it.
    pub end: Timestamp,
    pub(super) next_seq: u64,
    pub(super) content: &'a [u8],
}

/// A frame with some of its numerics, and without waves.
#[derive(Clone, PartialEq, Debug)]
pub struct Excerpt {
    /// The frame.
    pub frame: Frame,
    /// For each of its numerics, which one of the whole frame it is.
    pub places: Vec<u64>,
}

impl Excerpt {
    /// Those of a frame's numerics that are to be kept; nothing if none is.
    pub fn of(mut frame: Frame, keep: impl Fn(Code) -> bool) -> Option<Self> {
        let numerics = std::mem::take(&mut frame.numerics);
        let kept = (0..).zip(numerics).filter(|(_, numeric)| keep(numeric.code));
        let (places, numerics): (Vec<u64>, Vec<Numeric>) = kept.unzip();
        (frame.numerics, frame.waves) = (numerics, Vec::new());
        if places.is_empty() { None } else { Some(Self { frame, places }) }
    }
}

impl AsRef<Frame> for Excerpt {
    fn as_ref(&self) -> &Frame {
        &self.frame
    }
}

/// A row of the directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// The code's key.
    code: &'a str,
    /// UCUM; empty if it is the one the code is charted in.
    unit: &'a str,
    pub points: usize,
    /// Of waves only.
    wave: Option<WaveRow>,
    column: Reader<'a>,
}

#[derive(Clone, Copy, Debug)]
struct WaveRow {
    rate_hz: Decimal,
    scale: Decimal,
    samples: usize,
    /// The series by which this one was predicted, one of those before it.
    other: Option<usize>,
}

impl Row<'_> {
    pub fn code(&self) -> Result<Code, SegmentError> {
        Code::from_key(self.code).map_or_else(|| self.code.parse().map_err(|_| SegmentError::Unreadable), Ok)
    }

    pub fn unit(&self) -> Result<Unit, SegmentError> {
        if self.unit.is_empty() {
            return self.code()?.unit().ok_or(SegmentError::Unreadable);
        }
        Unit::from_ucum(self.unit).ok_or(SegmentError::Unreadable)
    }
}

/// What a frame holds, each with its position in the frame.
type Placed<T> = Vec<(i64, T)>;

impl<'a> SegmentView<'a> {
    /// The frames again, in order.
    ///
    /// # Errors
    /// A segment whose columns cannot be read or do not fit its frames.
    pub fn frames(&self) -> Result<Vec<Frame>, SegmentError> {
        let (device, bed) = self.named()?;
        let (arrivals, rows) = self.parts()?;
        let arrivals = arrivals::decode(arrivals.1, arrivals.0)?;
        let mut numerics: Vec<Placed<Numeric>> = vec![Vec::new(); arrivals.len()];
        let mut waves: Vec<Placed<WaveBlock>> = vec![Vec::new(); arrivals.len()];
        let mut signals: Vec<Vec<i32>> = Vec::new();
        for row in &rows {
            let (code, unit) = (row.code()?, row.unit()?);
            let Some(wave) = &row.wave else {
                row.numeric(arrivals.len())?.each(|frame, position, value, quality| {
                    if let Some(frame) = numerics.get_mut(frame as usize) {
                        frame.push((position, Numeric { code, value, unit, quality }));
                    }
                })?;
                continue;
            };
            let blocks = row.blocks(arrivals.len(), &signals)?;
            let mut left = blocks.samples.as_slice();
            for (frame, position, flags, length) in blocks.places {
                let (raw, rest) = left.split_at_checked(length).ok_or(SegmentError::Unreadable)?;
                left = rest;
                let (good, demo) = (flags & 1 != 0, flags & 2 != 0);
                let block = WaveBlock { code, rate_hz: wave.rate_hz, unit, scale: wave.scale, raw: raw.to_vec(), good, demo };
                waves.get_mut(frame as usize).ok_or(SegmentError::Frame(i64::from(frame) + 1))?.push((position, block));
            }
            signals.push(blocks.samples);
        }
        let frame = |a: Arrival, mut numerics: Placed<Numeric>, mut waves: Placed<WaveBlock>| {
            numerics.sort_by_key(|(position, _)| *position);
            waves.sort_by_key(|(position, _)| *position);
            let (numerics, waves) = (numerics.into_iter().map(|(_, n)| n).collect(), waves.into_iter().map(|(_, w)| w).collect());
            self.frame(&device, bed.as_ref(), a, numerics, waves)
        };
        Ok(arrivals.into_iter().zip(numerics).zip(waves).map(|((arrival, numerics), waves)| frame(arrival, numerics, waves)).collect())
    }

    /// Of the frames measured at moments to keep, the numerics to keep, in order. Other columns are not touched.
    ///
    /// # Errors
    /// As [`Self::frames`].
    pub fn excerpts(&self, code: impl Fn(Code) -> bool, at: impl Fn(Timestamp) -> bool) -> Result<Vec<Excerpt>, SegmentError> {
        let (device, bed) = self.named()?;
        let ((frames, reader), rows) = self.parts()?;
        if self.is_waves() {
            return Ok(Vec::new());
        }
        let arrivals = arrivals::decode(reader, frames)?;
        let mut kept: Vec<Option<Placed<Numeric>>> = arrivals.iter().map(|arrival| at(arrival.measured).then(Vec::new)).collect();
        if kept.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        for row in &rows {
            let (row_code, unit) = (row.code()?, row.unit()?);
            if code(row_code) {
                row.numeric(frames)?.each(|frame, position, value, quality| {
                    if let Some(Some(frame)) = kept.get_mut(frame as usize) {
                        frame.push((position, Numeric { code: row_code, value, unit, quality }));
                    }
                })?;
            }
        }
        let excerpt = |(arrival, numerics): (Arrival, Option<Placed<Numeric>>)| {
            let mut numerics = numerics.filter(|numerics| !numerics.is_empty())?;
            numerics.sort_by_key(|(position, _)| *position);
            let (places, numerics) = numerics.into_iter().map(|(place, numeric)| (place as u64, numeric)).unzip();
            Some(Excerpt { frame: self.frame(&device, bed.as_ref(), arrival, numerics, Vec::new()), places })
        };
        Ok(arrivals.into_iter().zip(kept).filter_map(excerpt).collect())
    }

    fn frame(&self, device: &DeviceId, bed: Option<&BedId>, a: Arrival, numerics: Vec<Numeric>, waves: Vec<WaveBlock>) -> Frame {
        Frame {
            device: device.clone(),
            boot: self.boot,
            first_seq: a.first_seq,
            arrived: a.arrived,
            arrived_mono: a.arrived_mono,
            measured: a.measured,
            device_time: a.device_time,
            offset_us: a.offset_us,
            bed: bed.cloned(),
            numerics,
            waves,
        }
    }

    /// Finds out whether [`Self::frames`] would succeed, without making them.
    ///
    /// # Errors
    /// As [`Self::frames`].
    pub fn check(&self) -> Result<(), SegmentError> {
        self.named()?;
        let ((frames, arrivals), rows) = self.parts()?;
        arrivals::decode(arrivals, frames)?;
        let mut signals: Vec<Vec<i32>> = Vec::new();
        let mut digits = Vec::new();
        for row in &rows {
            row.code()?;
            row.unit()?;
            if row.wave.is_some() {
                let blocks = row.blocks(frames, &signals)?;
                signals.push(blocks.samples);
            } else {
                row.numeric(frames)?.check(&mut digits)?;
            }
        }
        Ok(())
    }

    /// Whether it holds waves.
    #[must_use]
    pub const fn is_waves(&self) -> bool {
        matches!(self.kind, SegmentKind::Waves)
    }

    /// The sequence number after the last sample.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The names in it.
    fn named(&self) -> Result<(DeviceId, Option<BedId>), SegmentError> {
        let device = self.device.parse().map_err(|_| SegmentError::Unreadable)?;
        let bed = self.bed.map(str::parse).transpose().map_err(|_| SegmentError::Unreadable)?;
        Ok((device, bed))
    }

    /// The codes in it, in the order of its columns; none if its directory cannot be read.
    pub fn codes(&self) -> impl Iterator<Item = Code> + use<> {
        let codes: Vec<Code> = self.parts().map(|(_, rows)| rows.iter().filter_map(|row| row.code().ok()).collect()).unwrap_or_default();
        codes.into_iter()
    }

    /// How many frames and their columns, and the directory.
    pub(super) fn parts(&self) -> Result<((usize, Reader<'a>), Vec<Row<'a>>), SegmentError> {
        self.parts_of(|_| true)
    }

    /// As [`Self::parts`], with those rows of the directory whose code's key is to be kept.
    pub(super) fn parts_of(&self, keep: impl Fn(&str) -> bool) -> Result<((usize, Reader<'a>), Vec<Row<'a>>), SegmentError> {
        let mut reader = Reader(self.content);
        let frames = reader.count(limits::FRAMES)?;
        let arrivals = reader.section()?;
        let mut directory = reader.section()?;
        let (mut points, mut samples) = (limits::POINTS, limits::SAMPLES);
        let (mut rows, mut count) = (Vec::new(), 0usize);
        while !directory.0.is_empty() {
            let row = row(&mut directory, self.kind, &mut reader)?;
            points = points.checked_sub(row.points).ok_or(SegmentError::Unreadable)?;
            samples = samples.checked_sub(row.wave.map_or(0, |w| w.samples)).ok_or(SegmentError::Unreadable)?;
            if count == limits::COLUMNS || row.wave.and_then(|w| w.other).is_some_and(|other| other >= count) {
                return Err(SegmentError::Unreadable);
            }
            count += 1;
            if keep(row.code) {
                rows.push(row);
            }
        }
        reader.end()?;
        Ok(((frames, arrivals), rows))
    }
}

impl<'a> Row<'a> {
    /// The points of a numeric series.
    pub(super) fn numeric(&self, frames: usize) -> Result<Points<'a>, SegmentError> {
        Points::decode(self.column, self.points, frames)
    }

    /// The blocks of a wave; `signals` are those of the rows before it.
    fn blocks(&self, frames: usize, signals: &[Vec<i32>]) -> Result<Blocks, SegmentError> {
        let wave = self.wave.ok_or(SegmentError::Unreadable)?;
        let other = wave.other.map(|at| signals.get(at).ok_or(SegmentError::Unreadable)).transpose()?;
        Blocks::decode(self.column, self.points, wave.samples, frames, other.map(Vec::as_slice))
    }
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, SegmentError> {
    std::str::from_utf8(reader.section()?.0).map_err(|_| SegmentError::Unreadable)
}

fn row<'a>(directory: &mut Reader<'a>, kind: SegmentKind, columns: &mut Reader<'a>) -> Result<Row<'a>, SegmentError> {
    let (code, unit) = (text(directory)?, text(directory)?);
    let points = directory.count(limits::POINTS)?;
    let wave = match kind {
        SegmentKind::Numerics => None,
        SegmentKind::Waves => {
            let (rate_hz, scale) = (decimal(directory)?, decimal(directory)?);
            let samples = directory.count(limits::SAMPLES)?;
            // 0: none.
            let other = directory.count(limits::COLUMNS)?.checked_sub(1);
            Some(WaveRow { rate_hz, scale, samples, other })
        }
    };
    let length = directory.count(columns.0.len())?;
    Ok(Row { code, unit, points, wave, column: Reader(columns.take(length)?) })
}

fn decimal(reader: &mut Reader<'_>) -> Result<Decimal, SegmentError> {
    let (mantissa, exponent) = (reader.signed()?, reader.signed()?);
    i8::try_from(exponent).ok().filter(|e| (-18..=18).contains(e)).map(|e| Decimal::new(mantissa, e)).ok_or(SegmentError::Unreadable)
}
