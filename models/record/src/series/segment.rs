//! A segment: the frames of one device span as columns, small enough to keep for years.
//!
//! One column a series; within it, values as differences of mantissas while the exponent holds, and frames by index, so
//! that compression (in `ledger::seal`) sees runs of small numbers.

use super::{Boot, Frame, Numeric};
use crate::code::Code;
use crate::decimal::Decimal;
use crate::id::{BedId, DeviceId};
use crate::observation::{NoValue, Quality, WaveBlock};
use crate::time::{Monotonic, Timestamp};
use crate::unit::Unit;
use serde::{Deserialize, Serialize};

/// What a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SegmentKind {
    /// Numerics.
    Numerics,
    /// Waves.
    Waves,
}

/// A sealed span of one device session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Segment {
    kind: SegmentKind,
    /// Which device.
    pub device: DeviceId,
    /// Which session of it.
    pub boot: Boot,
    /// The bed it read for.
    pub bed: Option<BedId>,
    /// Earliest measurement in it.
    pub start: Timestamp,
    /// Latest measurement in it.
    pub end: Timestamp,
    arrivals: Vec<Arrival>,
    numerics: Vec<NumericColumn>,
    waves: Vec<WaveColumn>,
}

/// A frame without its values; times as differences from the frame before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Arrival {
    first_seq: u64,
    measured_delta: i64,
    arrived_delta: i64,
    mono_delta: i64,
    device_time: Option<i64>,
    offset_us: Option<i64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct NumericColumn {
    code: Code,
    unit: Unit,
    /// (frames since the one before, position in the frame, value).
    points: Vec<(u32, u16, Point)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Point {
    /// Good, exponent as before: difference of mantissas.
    Delta(i64),
    /// Anything else.
    Full(Result<Decimal, NoValue>, Quality),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct WaveColumn {
    code: Code,
    unit: Unit,
    rate_hz: Decimal,
    scale: Decimal,
    /// (frames since the one before, position in the frame, good, demo, differences of samples).
    blocks: Vec<(u32, u16, bool, bool, Vec<i32>)>,
}

/// Why a segment cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The bytes are no segment or tick.
    #[error("the bytes are not a segment this version can read")]
    Unreadable,
    /// A column names a frame that is not there.
    #[error("a column names frame {0}, which is not in the segment")]
    Frame(u32),
    /// There is nothing to seal.
    #[error("a segment must hold at least one frame")]
    Empty,
}

impl Segment {
    /// Builds a segment from the frames of one span (one device, one boot, one bed), taking numerics or waves of them.
    ///
    /// # Errors
    /// [`SegmentError::Empty`] if no frame has anything of that kind.
    pub fn build(kind: SegmentKind, frames: &[Frame]) -> Result<Self, SegmentError> {
        let wanted: Vec<&Frame> = frames
            .iter()
            .filter(|f| match kind {
                SegmentKind::Numerics => !f.numerics.is_empty(),
                SegmentKind::Waves => !f.waves.is_empty(),
            })
            .collect();
        let first = wanted.first().ok_or(SegmentError::Empty)?;
        let mut segment = Self {
            kind,
            device: first.device.clone(),
            boot: first.boot,
            bed: first.bed.clone(),
            start: wanted.iter().map(|f| f.measured).min().unwrap_or_default(),
            end: wanted.iter().map(|f| f.measured).max().unwrap_or_default(),
            arrivals: Vec::with_capacity(wanted.len()),
            numerics: Vec::new(),
            waves: Vec::new(),
        };
        let (mut measured, mut arrived, mut mono) = (0i64, 0i64, 0i64);
        let mut last_frame: Vec<u32> = Vec::new();
        let mut last_value: Vec<Decimal> = Vec::new();
        for (index, frame) in wanted.iter().enumerate() {
            let index = u32::try_from(index).map_err(|_| SegmentError::Unreadable)?;
            let mono_now = i64::try_from(frame.arrived_mono.0).unwrap_or(i64::MAX);
            segment.arrivals.push(Arrival {
                // Waves are numbered after the numerics of their frame.
                first_seq: frame.first_seq + if kind == SegmentKind::Waves { frame.numerics.len() as u64 } else { 0 },
                measured_delta: frame.measured.0.wrapping_sub(measured),
                arrived_delta: frame.arrived.0.wrapping_sub(arrived),
                mono_delta: mono_now.wrapping_sub(mono),
                device_time: frame.device_time.map(|t| t.0.wrapping_sub(frame.arrived.0)),
                offset_us: frame.offset_us,
            });
            (measured, arrived, mono) = (frame.measured.0, frame.arrived.0, mono_now);
            match kind {
                SegmentKind::Numerics => {
                    for (position, numeric) in frame.numerics.iter().enumerate() {
                        let at = segment.numeric_column(numeric);
                        if at == last_frame.len() {
                            last_frame.push(0);
                            last_value.push(Decimal::whole(0));
                        }
                        let point = point(numeric, &mut last_value[at]);
                        segment.numerics[at].points.push((index - last_frame[at], position as u16, point));
                        last_frame[at] = index;
                    }
                }
                SegmentKind::Waves => {
                    for (position, wave) in frame.waves.iter().enumerate() {
                        let at = segment.wave_column(wave);
                        if at == last_frame.len() {
                            last_frame.push(0);
                        }
                        let mut before = 0i32;
                        let deltas = wave.raw.iter().map(|&v| v.wrapping_sub(std::mem::replace(&mut before, v))).collect();
                        segment.waves[at].blocks.push((index - last_frame[at], position as u16, wave.good, wave.demo, deltas));
                        last_frame[at] = index;
                    }
                }
            }
        }
        Ok(segment)
    }

    /// The frames again, in order.
    ///
    /// # Errors
    /// A segment whose columns do not fit its frames.
    pub fn frames(&self) -> Result<Vec<Frame>, SegmentError> {
        let (mut measured, mut arrived, mut mono) = (0i64, 0i64, 0i64);
        let mut frames: Vec<Frame> = Vec::with_capacity(self.arrivals.len().min(1 << 16));
        for a in &self.arrivals {
            measured = measured.wrapping_add(a.measured_delta);
            arrived = arrived.wrapping_add(a.arrived_delta);
            mono = mono.wrapping_add(a.mono_delta);
            frames.push(Frame {
                device: self.device.clone(),
                boot: self.boot,
                first_seq: a.first_seq,
                arrived: Timestamp(arrived),
                arrived_mono: Monotonic(u64::try_from(mono).unwrap_or(0)),
                measured: Timestamp(measured),
                device_time: a.device_time.map(|delta| Timestamp(delta.wrapping_add(arrived))),
                offset_us: a.offset_us,
                bed: self.bed.clone(),
                numerics: Vec::new(),
                waves: Vec::new(),
            });
        }
        let mut numerics: Vec<Vec<(u16, Numeric)>> = vec![Vec::new(); frames.len()];
        for column in &self.numerics {
            let (mut index, mut last) = (0u32, Decimal::whole(0));
            for (skip, position, point) in &column.points {
                index = index.saturating_add(*skip);
                let (value, quality) = match point {
                    Point::Delta(delta) => (Ok(Decimal::new(last.mantissa().wrapping_add(*delta), last.exponent())), Quality::Good),
                    Point::Full(value, quality) => (value.clone(), *quality),
                };
                if let Ok(value) = value {
                    last = value;
                }
                let slot = numerics.get_mut(index as usize).ok_or(SegmentError::Frame(index))?;
                slot.push((*position, Numeric { code: column.code, value, unit: column.unit, quality }));
            }
        }
        let mut waves: Vec<Vec<(u16, WaveBlock)>> = vec![Vec::new(); frames.len()];
        for column in &self.waves {
            let mut index = 0u32;
            for (skip, position, good, demo, deltas) in &column.blocks {
                index = index.saturating_add(*skip);
                let mut value = 0i32;
                let raw = deltas
                    .iter()
                    .map(|d| {
                        value = value.wrapping_add(*d);
                        value
                    })
                    .collect();
                let slot = waves.get_mut(index as usize).ok_or(SegmentError::Frame(index))?;
                slot.push((
                    *position,
                    WaveBlock {
                        code: column.code,
                        rate_hz: column.rate_hz,
                        unit: column.unit,
                        scale: column.scale,
                        raw,
                        good: *good,
                        demo: *demo,
                    },
                ));
            }
        }
        for ((frame, mut n), mut w) in frames.iter_mut().zip(numerics).zip(waves) {
            n.sort_by_key(|(position, _)| *position);
            w.sort_by_key(|(position, _)| *position);
            frame.numerics = n.into_iter().map(|(_, numeric)| numeric).collect();
            frame.waves = w.into_iter().map(|(_, wave)| wave).collect();
        }
        Ok(frames)
    }

    /// Whether it holds waves.
    #[must_use]
    pub const fn is_waves(&self) -> bool {
        matches!(self.kind, SegmentKind::Waves)
    }

    /// The sequence number after the last sample.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.frames().ok().and_then(|frames| frames.iter().map(|f| f.first_seq.saturating_add(f.len())).max()).unwrap_or(0)
    }

    /// The codes in it.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        self.numerics.iter().map(|c| c.code).chain(self.waves.iter().map(|c| c.code))
    }

    fn numeric_column(&mut self, numeric: &Numeric) -> usize {
        self.numerics.iter().position(|c| c.code == numeric.code && c.unit == numeric.unit).unwrap_or_else(|| {
            self.numerics.push(NumericColumn { code: numeric.code, unit: numeric.unit, points: Vec::new() });
            self.numerics.len() - 1
        })
    }

    fn wave_column(&mut self, wave: &WaveBlock) -> usize {
        let same = |c: &WaveColumn| c.code == wave.code && c.unit == wave.unit && c.rate_hz == wave.rate_hz && c.scale == wave.scale;
        self.waves.iter().position(same).unwrap_or_else(|| {
            self.waves.push(WaveColumn { code: wave.code, unit: wave.unit, rate_hz: wave.rate_hz, scale: wave.scale, blocks: Vec::new() });
            self.waves.len() - 1
        })
    }
}

fn point(numeric: &Numeric, last: &mut Decimal) -> Point {
    let point = match (&numeric.value, numeric.quality) {
        (Ok(value), Quality::Good) if value.exponent() == last.exponent() => Point::Delta(value.mantissa().wrapping_sub(last.mantissa())),
        (value, quality) => Point::Full(value.clone(), quality),
    };
    if let Ok(value) = numeric.value {
        *last = value;
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numeric() -> impl Strategy<Value = Numeric> {
        let value = prop_oneof![
            6 => (0i64..3000, -2i8..1).prop_map(|(m, e)| Ok(Decimal::new(m, e))),
            1 => Just(Err(NoValue::SensorOff)),
            1 => Just(Err(NoValue::Fault("equipment".to_owned()))),
        ];
        let code = prop_oneof![Just(Code::SPO2), Just(Code::HEART_RATE), Just(Code::Mdc(7))];
        let quality = prop_oneof![4 => Just(Quality::Good), 1 => Just(Quality::Questionable), 1 => Just(Quality::Demo)];
        (code, value, quality).prop_map(|(code, value, quality)| Numeric { code, value, unit: Unit::Percent, quality })
    }

    fn wave() -> impl Strategy<Value = WaveBlock> {
        (proptest::collection::vec(any::<i32>(), 0..40), any::<bool>()).prop_map(|(raw, good)| WaveBlock {
            code: Code::ECG_I,
            rate_hz: Decimal::whole(300),
            unit: Unit::Microvolt,
            scale: Decimal::whole(1),
            raw,
            good,
            demo: false,
        })
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let one = (any::<i64>(), any::<i64>(), any::<u32>(), proptest::option::of(any::<i64>()))
            .prop_flat_map(|times| (Just(times), proptest::collection::vec(numeric(), 0..6), proptest::collection::vec(wave(), 0..3)));
        proptest::collection::vec(one, 1..20).prop_map(|list| {
            let mut seq = 0;
            list.into_iter()
                .map(|((arrived, measured, mono, device_time), numerics, waves)| {
                    let frame = Frame {
                        device: "ox-1".parse().expect("id"),
                        boot: Boot([1; 12]),
                        first_seq: seq,
                        arrived: Timestamp(arrived),
                        arrived_mono: Monotonic(u64::from(mono)),
                        measured: Timestamp(measured),
                        device_time: device_time.map(Timestamp),
                        offset_us: None,
                        bed: Some("2".parse().expect("bed")),
                        numerics,
                        waves,
                    };
                    seq += frame.len();
                    frame
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_segment_gives_back_the_frames_it_was_built_of(frames in frames()) {
            let wanted: Vec<_> = frames.iter().filter(|f| !f.numerics.is_empty()).map(|f| Frame { waves: Vec::new(), ..f.clone() }).collect();
            match Segment::build(SegmentKind::Numerics, &frames) {
                Ok(segment) => prop_assert_eq!(segment.frames().expect("frames"), wanted),
                Err(error) => prop_assert!(wanted.is_empty() && error == SegmentError::Empty),
            }
            let wanted: Vec<_> = frames
                .iter()
                .filter(|f| !f.waves.is_empty())
                .map(|f| Frame { numerics: Vec::new(), first_seq: f.first_seq + f.numerics.len() as u64, ..f.clone() })
                .collect();
            if let Ok(segment) = Segment::build(SegmentKind::Waves, &frames) {
                prop_assert_eq!(segment.frames().expect("frames"), wanted);
            }
        }

        #[test]
        fn a_tick_survives_the_journal(frames in frames()) {
            prop_assert_eq!(super::super::decode_tick(&super::super::encode_tick(&frames)).expect("tick"), frames);
        }
    }
}
