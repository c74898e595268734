//! A segment: the frames of one device span as columns, small enough to keep for years.
//!
//! One column a series, each to be read without the others. A directory says where they lie.

use super::arrivals::{self, Arrival};
use super::codec::bytes::{put, put_section, put_signed};
use super::columns::{NumericColumn, WaveColumn};
use super::{Boot, Frame, Minutes, Samples, SegmentView};
use crate::code::Code;
use crate::decimal::Decimal;
use crate::id::{BedId, DeviceId};
use crate::time::Timestamp;
use crate::unit::Unit;
use serde::{Deserialize, Serialize};

/// What a segment may hold: a reader's memory is bounded by these, whatever the bytes say.
pub mod limits {
    /// Frames.
    pub const FRAMES: usize = 1 << 16;
    /// Series.
    pub const COLUMNS: usize = 1 << 10;
    /// Numerics, or blocks of waves, of all series.
    pub const POINTS: usize = 1 << 19;
    /// Samples of waves, of all series.
    pub const SAMPLES: usize = 1 << 21;
    /// States of one series: exponents, qualities, reasons for no value.
    pub const STATES: usize = 1 << 12;
    /// Bytes of the devices' words for faults, as often as they are said.
    pub const FAULT_BYTES: usize = 1 << 22;
}

/// What a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SegmentKind {
    /// Numerics.
    Numerics,
    /// Waves.
    Waves,
}

/// A sealed span of one device session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    next_seq: u64,
    content: Content,
}

/// The columns: frames, directory, and each series' bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content(pub Vec<u8>);

/// Why a segment cannot be built or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The bytes are no segment or tick.
    #[error("the bytes are not a segment this version can read")]
    Unreadable,
    /// A column names a frame that is not there, counted from one.
    #[error("a column names frame {0}, which is not in the segment")]
    Frame(i64),
    /// There is nothing to seal.
    #[error("a segment must hold at least one frame")]
    Empty,
    /// More than a segment may hold; cut it earlier.
    #[error("more {what} than the {limit} a segment may hold")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// See [`limits`].
        limit: usize,
    },
}

impl Segment {
    /// Builds a segment from the frames of one span (one device, one boot, one bed), taking numerics or waves of them.
    ///
    /// # Errors
    /// [`SegmentError::Empty`] if no frame has anything of that kind; [`SegmentError::TooMuch`] past [`limits`].
    pub fn build(kind: SegmentKind, frames: &[Frame]) -> Result<Self, SegmentError> {
        let wanted: Vec<&Frame> = frames
            .iter()
            .filter(|f| match kind {
                SegmentKind::Numerics => !f.numerics.is_empty(),
                SegmentKind::Waves => !f.waves.is_empty(),
            })
            .collect();
        let first = wanted.first().ok_or(SegmentError::Empty)?;
        check(&wanted, kind)?;
        // Waves are numbered after the numerics of their frame.
        let seq_of = |f: &Frame| if kind == SegmentKind::Waves { f.first_seq.wrapping_add(f.numerics.len() as u64) } else { f.first_seq };
        let held = |f: &Frame| if kind == SegmentKind::Waves { f.waves.len() } else { f.numerics.len() } as u64;
        let arrivals: Vec<Arrival> = wanted.iter().map(|f| Arrival { first_seq: seq_of(f), ..Arrival::from(*f) }).collect();
        let mut content = Vec::new();
        put(&mut content, wanted.len() as u64);
        let mut section = Vec::new();
        arrivals::encode(&arrivals, &mut section);
        put_section(&mut content, &section);
        match kind {
            SegmentKind::Numerics => put_numerics(&wanted, &mut content)?,
            SegmentKind::Waves => put_waves(&wanted, &mut content)?,
        }
        Ok(Self {
            kind,
            device: first.device.clone(),
            boot: first.boot,
            bed: first.bed.clone(),
            start: wanted.iter().map(|f| f.measured).min().unwrap_or_default(),
            end: wanted.iter().map(|f| f.measured).max().unwrap_or_default(),
            next_seq: wanted.iter().map(|f| seq_of(f).saturating_add(held(f))).max().unwrap_or(0),
            content: Content(content),
        })
    }

    /// What reads it.
    #[must_use]
    pub fn view(&self) -> SegmentView<'_> {
        SegmentView {
            kind: self.kind,
            device: self.device.as_str(),
            boot: self.boot,
            bed: self.bed.as_ref().map(BedId::as_str),
            start: self.start,
            end: self.end,
            next_seq: self.next_seq,
            content: &self.content.0,
        }
    }

    /// As [`SegmentView::frames`].
    ///
    /// # Errors
    /// As there.
    pub fn frames(&self) -> Result<Vec<Frame>, SegmentError> {
        self.view().frames()
    }

    /// As [`SegmentView::samples`].
    ///
    /// # Errors
    /// As there.
    pub fn samples(&self, code: Code, into: &mut Samples) -> Result<(), SegmentError> {
        self.view().samples(code, into)
    }

    /// As [`SegmentView::minutes`].
    ///
    /// # Errors
    /// As there.
    pub fn minutes(&self) -> Result<Vec<(Code, Unit, Minutes)>, SegmentError> {
        self.view().minutes()
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
}

fn put_decimal(out: &mut Vec<u8>, decimal: Decimal) {
    put_signed(out, decimal.mantissa());
    put_signed(out, i64::from(decimal.exponent()));
}

fn put_name(out: &mut Vec<u8>, code: Code, unit: Unit) {
    put_section(out, code.key().as_bytes());
    let said = code.unit() != Some(unit);
    put_section(out, if said { unit.ucum() } else { "" }.as_bytes());
}

fn put_numerics(frames: &[&Frame], out: &mut Vec<u8>) -> Result<(), SegmentError> {
    let mut columns: Vec<((Code, Unit), NumericColumn)> = Vec::new();
    // If all frames are as the first one is.
    let points: usize = frames.iter().map(|frame| frame.numerics.len()).sum();
    let each = points / frames.first().map_or(1, |frame| frame.numerics.len()).max(1);
    for (index, frame) in frames.iter().enumerate() {
        for (position, numeric) in frame.numerics.iter().enumerate() {
            let name = (numeric.code, numeric.unit);
            // Monitors say the same in the same order.
            let at = match columns.get(position) {
                Some((held, _)) if *held == name => position,
                _ => found(&mut columns, name)?,
            };
            let column = &mut columns[at].1;
            if index == 0 {
                column.reserve(each);
            }
            column.push(index, position, numeric);
        }
    }
    let (mut directory, mut bytes) = (Vec::new(), Vec::new());
    for ((code, unit), column) in &columns {
        let before = bytes.len();
        column.encode(&mut bytes);
        put_name(&mut directory, *code, *unit);
        put(&mut directory, column.places.len() as u64);
        put(&mut directory, (bytes.len() - before) as u64);
    }
    put_section(out, &directory);
    out.extend_from_slice(&bytes);
    Ok(())
}

fn put_waves(frames: &[&Frame], out: &mut Vec<u8>) -> Result<(), SegmentError> {
    let mut columns: Vec<((Code, Unit, Decimal, Decimal), WaveColumn)> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        for (position, block) in frame.waves.iter().enumerate() {
            let at = found(&mut columns, (block.code, block.unit, block.rate_hz, block.scale))?;
            columns[at].1.push(index, position, block);
        }
    }
    let (mut directory, mut bytes) = (Vec::new(), Vec::new());
    for (at, ((code, unit, rate_hz, scale), column)) in columns.iter().enumerate() {
        let other = columns[..at].iter().rposition(|(_, c)| c.samples.len() == column.samples.len());
        let before = bytes.len();
        column.encode(other.map(|other| columns[other].1.samples.as_slice()), &mut bytes);
        put_name(&mut directory, *code, *unit);
        put(&mut directory, column.places.len() as u64);
        put_decimal(&mut directory, *rate_hz);
        put_decimal(&mut directory, *scale);
        put(&mut directory, column.samples.len() as u64);
        put(&mut directory, other.map_or(0, |other| other as u64 + 1));
        put(&mut directory, (bytes.len() - before) as u64);
    }
    put_section(out, &directory);
    out.extend_from_slice(&bytes);
    Ok(())
}

fn found<N: PartialEq, C: Default>(columns: &mut Vec<(N, C)>, name: N) -> Result<usize, SegmentError> {
    if let Some(at) = columns.iter().position(|(held, _)| *held == name) {
        return Ok(at);
    }
    if columns.len() == limits::COLUMNS {
        return Err(SegmentError::TooMuch { what: "series", limit: limits::COLUMNS });
    }
    columns.push((name, C::default()));
    Ok(columns.len() - 1)
}

/// What a reader would refuse is not written.
fn check(frames: &[&Frame], kind: SegmentKind) -> Result<(), SegmentError> {
    let within = |what, held: usize, limit| if held > limit { Err(SegmentError::TooMuch { what, limit }) } else { Ok(()) };
    within("frames", frames.len(), limits::FRAMES)?;
    match kind {
        SegmentKind::Numerics => {
            within("numerics", frames.iter().map(|f| f.numerics.len()).sum(), limits::POINTS)?;
            let words = frames.iter().flat_map(|f| &f.numerics).map(|n| match &n.value {
                Err(crate::observation::NoValue::Fault(what)) => what.len(),
                _ => 0,
            });
            within("bytes of faults", words.sum(), limits::FAULT_BYTES)
        }
        SegmentKind::Waves => {
            within("blocks", frames.iter().map(|f| f.waves.len()).sum(), limits::POINTS)?;
            within("samples", frames.iter().flat_map(|f| &f.waves).map(|w| w.raw.len()).sum(), limits::SAMPLES)
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// In one piece: a binary format would otherwise take it byte by byte.
impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Content;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the columns of a segment")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Content, E> {
                Ok(Content(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Content, E> {
                Ok(Content(bytes))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
#[cfg(test)]
mod tests {
    use super::super::{Excerpt, Numeric};
    use super::*;
    use crate::observation::{NoValue, Quality, WaveBlock};
    use crate::time::Monotonic;
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
        fn an_excerpt_is_what_the_frames_have_of_it(frames in frames(), wanted in 1u8..8, since in any::<i64>()) {
            let codes = [Code::SPO2, Code::HEART_RATE, Code::Mdc(7)];
            let code = |code: Code| codes.iter().zip([1, 2, 4]).any(|(held, bit)| *held == code && wanted & bit != 0);
            if let Ok(segment) = Segment::build(SegmentKind::Numerics, &frames) {
                let later = segment.frames().expect("frames").into_iter().filter(|frame| frame.measured.0 >= since);
                let said: Vec<Excerpt> = later.filter_map(|frame| Excerpt::of(frame, code)).collect();
                prop_assert_eq!(segment.view().excerpts(code, |at| at.0 >= since).expect("excerpts"), said);
            }
        }

        #[test]
        fn a_tick_survives_the_journal(frames in frames()) {
            let [numerics, waves] = super::super::encode_tick(&frames);
            let back = |bytes: &[u8]| if bytes.is_empty() { Vec::new() } else { super::super::decode_tick(bytes).expect("tick") };
            let (wanted, wanted_waves): (Vec<_>, Vec<_>) = frames.into_iter().map(Frame::parted).unzip();
            prop_assert_eq!(back(&numerics), wanted.into_iter().filter(|f| !f.is_empty()).collect::<Vec<_>>());
            prop_assert_eq!(back(&waves), wanted_waves.into_iter().filter(|f| !f.is_empty()).collect::<Vec<_>>());
        }
    }
}
