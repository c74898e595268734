//! Waves: sample arrays, read by the description that came with the object once.

use super::cursor::Cursor;
use super::numerics::{NONE, NOT_REAL, code, unit};
use super::poll::{Attributes, Handle};
use driver::float11073::Float;
use driver::{Fault, Out};
use record::decimal::Decimal;
use record::observation::WaveBlock;
use record::unit::Unit;
use std::collections::BTreeMap;

const SAMPLE_ARRAY: u16 = 0x096E;
const COMPOUND: u16 = 0x0967;
const SPECIFICATION: u16 = 0x096D;
const SCALE: u16 = 0x096F;
const PERIOD: u16 = 0x098D;
const UNIT: u16 = 0x0996;
/// Objects described at one time.
const OBJECTS_MAX: usize = 64;
/// Waves in one compound.
const PARTS_MAX: usize = 16;
/// The period counts eighths of a millisecond.
const TICKS_A_SECOND: i64 = 8000;
/// Decimals with which a scaled sample is kept: a thousandth of a millivolt, of a millimetre of mercury.
const DECIMALS: i8 = 3;

/// Descriptions of the waves of this association.
#[derive(Debug, Default)]
pub struct Waves {
    known: BTreeMap<Handle, Description>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Description {
    period_ticks: Option<u32>,
    sample_bits: Option<u8>,
    significant_bits: u8,
    unit: Option<Unit>,
    scale: Option<Scale>,
}

/// A line through two points, values in thousandths.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: i64,
    high: i64,
    raw_low: i64,
    raw_high: i64,
}

impl Scale {
    /// The value in thousandths, half away from zero.
    fn value(self, raw: i64) -> i32 {
        let span = self.raw_high - self.raw_low;
        let product = i128::from(raw - self.raw_low) * i128::from(self.high - self.low);
        let half = i128::from(span.abs()) / 2 * if (product < 0) == (span < 0) { 1 } else { -1 };
        let value = i128::from(self.low) + (product + half * i128::from(span.signum())) / i128::from(span);
        i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
    }
}

impl Waves {
    /// Learns an object's description and reads its samples, if it has either.
    pub fn read(&mut self, handle: Handle, attributes: Attributes<'_>, out: &mut Vec<Out>) {
        if self.known.len() >= OBJECTS_MAX && !self.known.contains_key(&handle) {
            return;
        }
        let description = self.known.entry(handle).or_default();
        description.learn(attributes);
        let description = *description;
        if let Some(mut array) = attributes.get(SAMPLE_ARRAY)
            && description.block(&mut array, out).is_none()
        {
            out.push(Out::Fault(Fault::field("sample array", "is cut short")));
        }
        if let Some((count, mut list)) = attributes.get(COMPOUND).and_then(|mut value| value.list()) {
            for _ in 0..usize::from(count).min(PARTS_MAX) {
                if description.block(&mut list, out).is_none() {
                    return out.push(Out::Fault(Fault::field("sample array", "is cut short")));
                }
            }
        }
    }
}

impl Description {
    fn learn(&mut self, attributes: Attributes<'_>) {
        if let Some((bits, significant)) = attributes.get(SPECIFICATION).and_then(|mut value| {
            value.u16()?;
            Some((value.u8()?, value.u8()?))
        }) {
            self.sample_bits = Some(bits);
            self.significant_bits = significant;
        }
        if let Some(period) = attributes.get(PERIOD).and_then(|mut value| value.u32()) {
            self.period_ticks = Some(period).filter(|ticks| *ticks > 0);
        }
        if let Some(id) = attributes.get(UNIT).and_then(|mut value| value.u16()) {
            self.unit = unit(id);
        }
        if let Some(mut value) = attributes.get(SCALE) {
            self.scale = scale(&mut value);
        }
    }

    /// One array: code, state, length, samples. `None` where it is cut short; an array whose description has not come
    /// yet is passed over, as the monitor sends it a cycle later.
    fn block(&self, bytes: &mut Cursor<'_>, out: &mut Vec<Out>) -> Option<()> {
        let (id, state) = (bytes.u16()?, bytes.u16()?);
        let samples = bytes.counted()?.0;
        let (Some(period), Some(bits)) = (self.period_ticks, self.sample_bits) else { return Some(()) };
        let raw = samples_of(samples, bits, self.significant_bits)?;
        if raw.is_empty() {
            return Some(());
        }
        let (raw, step, unit) = match (self.scale, self.unit) {
            (Some(scale), Some(unit)) => (raw.into_iter().map(|raw| scale.value(raw.into())).collect(), Decimal::new(1, -DECIMALS), unit),
            // Without a scale the samples are a shape and no more.
            _ => (raw, Decimal::whole(1), Unit::One),
        };
        out.push(Out::Wave(WaveBlock {
            code: code(id),
            rate_hz: rate_hz(period),
            unit,
            scale: step,
            raw,
            good: state & NONE == 0,
            demo: state & NOT_REAL != 0,
        }));
        Some(())
    }
}

fn samples_of(bytes: &[u8], bits: u8, significant: u8) -> Option<Vec<i32>> {
    let width = u32::from(significant);
    let mask = if (1..32).contains(&width) { (1u32 << width) - 1 } else { u32::MAX };
    let keep = |raw: u32| (raw & mask).cast_signed();
    Some(match bits {
        8 => bytes.iter().map(|byte| keep(u32::from(*byte))).collect(),
        16 => bytes.chunks_exact(2).map(|pair| keep(u32::from(u16::from_be_bytes([pair[0], pair[1]])))).collect(),
        _ => return None,
    })
}

/// Samples a second, to a thousandth.
fn rate_hz(period_ticks: u32) -> Decimal {
    let thousandths = TICKS_A_SECOND * 1000 / i64::from(period_ticks);
    match (thousandths % 1000, thousandths % 100) {
        (0, _) => Decimal::whole(thousandths / 1000),
        (_, 0) => Decimal::new(thousandths / 100, -1),
        _ => Decimal::new(thousandths, -3),
    }
}

fn scale(value: &mut Cursor<'_>) -> Option<Scale> {
    let (low, high) = (Float::float_be(value.array()?), Float::float_be(value.array()?));
    let (raw_low, raw_high) = (i64::from(value.u16()?), i64::from(value.u16()?));
    let (low, high) = (thousandths(low.value().ok()?)?, thousandths(high.value().ok()?)?);
    (raw_low != raw_high).then_some(Scale { low, high, raw_low, raw_high })
}

fn thousandths(number: Decimal) -> Option<i64> {
    let shift = i32::from(number.exponent()) + i32::from(DECIMALS);
    let power = 10i64.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 { number.mantissa().checked_mul(power) } else { Some(number.mantissa() / power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_maps_its_ends_and_its_middle() {
        // The captured ECG: −40.96 to 40.955 mV over 0 to 16383.
        let ecg = Scale { low: -40_960, high: 40_955, raw_low: 0, raw_high: 16_383 };
        assert_eq!([0, 16_383, 8192, 8193].map(|raw| ecg.value(raw)), [-40_960, 40_955, 0, 5]);
        let falling = Scale { low: 0, high: 1000, raw_low: 10, raw_high: 0 };
        assert_eq!([10, 5, 0].map(|raw| falling.value(raw)), [0, 500, 1000]);
    }

    #[test]
    fn periods_become_rates() {
        assert_eq!([16, 64, 128, 32].map(rate_hz), [Decimal::whole(500), Decimal::whole(125), Decimal::new(625, -1), Decimal::whole(250)]);
    }

    #[test]
    fn bits_that_are_not_significant_are_left_out() {
        assert_eq!(samples_of(&[0xC0, 0x01, 0x3F, 0xFF], 16, 14), Some(vec![1, 0x3FFF]));
        assert_eq!(samples_of(&[0xFF], 8, 8), Some(vec![255]));
        assert_eq!(samples_of(&[0, 0, 0], 24, 24), None);
    }
}
