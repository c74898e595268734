//! The bytes of a tick in the journal. Written every second and read only after a crash, so made to be quick and small: waves as
//! steps, packed in runs to the bits that the run's largest step needs; codes by number.

use super::{Boot, Frame, Numeric, SegmentError};
use crate::code::Code;
use crate::decimal::Decimal;
use crate::id::{BedId, DeviceId};
use crate::observation::{NoValue, Quality, WaveBlock};
use crate::time::{Monotonic, Timestamp};
use crate::unit::Unit;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// Steps that share a width. A multiple of eight, so that a full run ends on a byte.
const RUN: usize = 32;

/// The bytes of a tick.
#[must_use]
pub(super) fn encode_frames(frames: &[Frame]) -> Vec<u8> {
    let kept: Vec<Kept<'_>> = frames.iter().map(Kept::of).collect();
    // Plain fields into memory: cannot fail.
    postcard::to_stdvec(&kept).unwrap_or_default()
}

/// Reads a tick.
///
/// # Errors
/// Bytes that are no tick.
pub fn decode_tick(bytes: &[u8]) -> Result<Vec<Frame>, SegmentError> {
    let (kept, rest): (Vec<Kept<'_>>, _) = postcard::take_from_bytes(bytes).map_err(|_| SegmentError::Unreadable)?;
    if !rest.is_empty() {
        return Err(SegmentError::Unreadable);
    }
    kept.into_iter().map(Kept::frame).collect()
}

/// A frame as kept.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    device: Cow<'a, DeviceId>,
    boot: Boot,
    first_seq: u64,
    measured: Timestamp,
    /// The other clocks as differences from the time of measurement, which is near.
    arrived: i64,
    device_time: Option<i64>,
    arrived_mono: Monotonic,
    offset_us: Option<i64>,
    bed: Cow<'a, Option<BedId>>,
    numerics: Vec<(Name<'a>, Unit, Quality, Value<'a>)>,
    #[serde(borrow)]
    waves: Vec<Wave<'a>>,
}

/// A code by its MDC number where that names it, else by its key.
#[derive(Serialize, Deserialize)]
enum Name<'a> {
    Mdc(u32),
    Key(Cow<'a, Code>),
}

#[derive(Serialize, Deserialize)]
enum Value<'a> {
    Number(Decimal),
    Absent(Cow<'a, NoValue>),
}

#[derive(Serialize, Deserialize)]
struct Wave<'a> {
    name: Name<'a>,
    unit: Unit,
    rate_hz: Decimal,
    scale: Decimal,
    good: bool,
    demo: bool,
    count: u32,
    /// The first value; steps begin from it.
    first: i32,
    #[serde(borrow, serialize_with = "as_bytes")]
    steps: Cow<'a, [u8]>,
}

fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl Name<'_> {
    fn of(code: &Code) -> Name<'_> {
        match code.mdc() {
            Some(mdc) if Code::from_mdc(mdc) == *code => Name::Mdc(mdc),
            _ => Name::Key(Cow::Borrowed(code)),
        }
    }

    fn code(self) -> Code {
        match self {
            Self::Mdc(mdc) => Code::from_mdc(mdc),
            Self::Key(code) => code.into_owned(),
        }
    }
}

impl<'a> Kept<'a> {
    fn of(frame: &'a Frame) -> Self {
        let numeric = |numeric: &'a Numeric| {
            let value = match &numeric.value {
                Ok(number) => Value::Number(*number),
                Err(why) => Value::Absent(Cow::Borrowed(why)),
            };
            (Name::of(&numeric.code), numeric.unit, numeric.quality, value)
        };
        let wave = |wave: &'a WaveBlock| Wave {
            name: Name::of(&wave.code),
            unit: wave.unit,
            rate_hz: wave.rate_hz,
            scale: wave.scale,
            good: wave.good,
            demo: wave.demo,
            count: u32::try_from(wave.raw.len()).unwrap_or(u32::MAX),
            first: wave.raw.first().copied().unwrap_or_default(),
            steps: Cow::Owned(packed(&wave.raw)),
        };
        let since = |at: Timestamp| at.0.wrapping_sub(frame.measured.0);
        Self {
            device: Cow::Borrowed(&frame.device),
            boot: frame.boot,
            first_seq: frame.first_seq,
            measured: frame.measured,
            arrived: since(frame.arrived),
            device_time: frame.device_time.map(since),
            arrived_mono: frame.arrived_mono,
            offset_us: frame.offset_us,
            bed: Cow::Borrowed(&frame.bed),
            numerics: frame.numerics.iter().map(numeric).collect(),
            waves: frame.waves.iter().map(wave).collect(),
        }
    }

    fn frame(self) -> Result<Frame, SegmentError> {
        let numeric = |(name, unit, quality, value): (Name<'_>, Unit, Quality, Value<'_>)| {
            let value = match value {
                Value::Number(number) => Ok(number),
                Value::Absent(why) => Err(why.into_owned()),
            };
            Numeric { code: name.code(), value, unit, quality }
        };
        let wave = |wave: Wave<'_>| {
            Ok(WaveBlock {
                raw: unpacked(&wave.steps, wave.first, wave.count as usize).ok_or(SegmentError::Unreadable)?,
                code: wave.name.code(),
                rate_hz: wave.rate_hz,
                unit: wave.unit,
                scale: wave.scale,
                good: wave.good,
                demo: wave.demo,
            })
        };
        let at = |since: i64| Timestamp(self.measured.0.wrapping_add(since));
        Ok(Frame {
            device: self.device.into_owned(),
            boot: self.boot,
            first_seq: self.first_seq,
            arrived: at(self.arrived),
            arrived_mono: self.arrived_mono,
            measured: self.measured,
            device_time: self.device_time.map(at),
            offset_us: self.offset_us,
            bed: self.bed.into_owned(),
            numerics: self.numerics.into_iter().map(numeric).collect(),
            waves: self.waves.into_iter().map(wave).collect::<Result<_, _>>()?,
        })
    }
}

/// Runs of steps: a byte with the width, then that many bits a step, low bits first. A step is folded so that small ones of either
/// sign are small numbers; the first is of the first value from itself.
fn packed(raw: &[i32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() * 2 + 8);
    let mut before = raw.first().copied().unwrap_or_default();
    for run in raw.chunks(RUN) {
        let (mut steps, mut all) = ([0u32; RUN], 0u32);
        for (slot, value) in steps.iter_mut().zip(run) {
            let step = value.wrapping_sub(before);
            before = *value;
            *slot = ((step << 1) ^ (step >> 31)).cast_unsigned();
            all |= *slot;
        }
        let width = u32::BITS - all.leading_zeros();
        out.push(width as u8);
        let (mut bits, mut filled) = (0u64, 0u32);
        for step in steps.iter().take(run.len()) {
            bits |= u64::from(*step) << filled;
            filled += width;
            if filled >= u32::BITS {
                out.extend_from_slice(&(bits as u32).to_le_bytes());
                bits >>= u32::BITS;
                filled -= u32::BITS;
            }
        }
        out.extend(bits.to_le_bytes().iter().take(filled.div_ceil(8) as usize));
    }
    out
}

/// The values again, if the bytes are exactly those of `count` of them.
fn unpacked(mut bytes: &[u8], first: i32, count: usize) -> Option<Vec<i32>> {
    // A run takes a byte at least: what is claimed cannot outgrow what is there.
    if count > bytes.len().saturating_mul(RUN) {
        return None;
    }
    let (mut raw, mut value) = (Vec::with_capacity(count), first);
    while raw.len() < count {
        let (width, rest) = bytes.split_first()?;
        let (width, run) = (usize::from(*width), RUN.min(count - raw.len()));
        let (mut packed, rest) = rest.split_at_checked((width * run).div_ceil(8)).filter(|_| width <= 32)?;
        bytes = rest;
        let mask = (1u64 << width) - 1;
        let (mut bits, mut filled) = (0u64, 0usize);
        for _ in 0..run {
            while filled < width {
                let (byte, rest) = packed.split_first()?;
                bits |= u64::from(*byte) << filled;
                filled += 8;
                packed = rest;
            }
            let step = (bits & mask) as u32;
            bits >>= width;
            filled -= width;
            value = value.wrapping_add((step >> 1).cast_signed() ^ -(step & 1).cast_signed());
            raw.push(value);
        }
    }
    bytes.is_empty().then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn steps_of_any_size_and_number_come_back(raw in proptest::collection::vec(any::<i32>(), 0..100), small in proptest::collection::vec(-9i32..9, 0..100)) {
            for values in [raw, small] {
                let first = values.first().copied().unwrap_or_default();
                prop_assert_eq!(unpacked(&packed(&values), first, values.len()), Some(values));
            }
        }

        #[test]
        fn bytes_that_are_no_tick_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..10_000) {
            let _ = (decode_tick(&bytes), unpacked(&bytes, 0, count));
        }
    }

    #[test]
    fn quiet_waves_take_few_bits_and_a_false_count_no_memory() {
        let wave: Vec<i32> = (0..250).map(|at| 2000 + at % 7).collect();
        assert!(packed(&wave).len() < 150, "{}", packed(&wave).len());
        assert_eq!(unpacked(&[0; 4], 7, 32 * 4), Some(vec![7; 128]));
        assert_eq!(unpacked(&[0; 4], 0, usize::MAX), None);
        assert_eq!(unpacked(&packed(&wave), 2000, 200), None);
        assert_eq!(unpacked(&[33], 0, 1), None);
    }
}
