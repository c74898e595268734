//! Numerics as monitors send them: each series a slow walk that returns to its middle, shown in the monitor's steps.

use crate::chance::Chance;
use crate::world;
use anyhow::Result;
use record::code::Code;
use record::decimal::Decimal;
use record::observation::Quality;
use record::series::{Boot, Frame, Numeric};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;
use std::collections::BTreeMap;

/// The first moment of generated data: 2026-11-01T00:00:00Z.
pub const START: Timestamp = Timestamp(1_793_491_200_000_000);

/// One series, one value a second.
#[derive(Clone, Debug)]
pub struct Column {
    /// What.
    pub code: Code,
    /// Its unit.
    pub unit: Unit,
    /// A value is `mantissa × 10^exponent`.
    pub exponent: i8,
    /// The mantissas.
    pub values: Vec<i64>,
}

/// What a series is like: its code, where it starts, decimals shown, steps it moves by in a second (one deviation).
type Kind = (Code, f64, i8, f64);

const KINDS: [Kind; 12] = [
    (Code::HEART_RATE, 82.0, 0, 0.35),
    (Code::PULSE_RATE, 82.0, 0, 0.35),
    (Code::SPO2, 97.0, 0, 0.12),
    (Code::RESPIRATORY_RATE, 17.0, 0, 0.25),
    (Code::ABP_SYSTOLIC, 124.0, 0, 0.5),
    (Code::ABP_DIASTOLIC, 71.0, 0, 0.4),
    (Code::ABP_MEAN, 89.0, 0, 0.4),
    (Code::CVP_MEAN, 8.0, 0, 0.2),
    (Code::TEMPERATURE, 370.0, -1, 0.05),
    (Code::ET_CO2, 36.0, 0, 0.3),
    (Code::PERFUSION_INDEX, 180.0, -2, 0.9),
    (Code::ST_II, 3.0, -1, 0.15),
];

/// `series` columns of `seconds` values. Past the known codes a column is of a code without a row.
#[must_use]
pub fn columns(series: usize, seconds: usize, seed: u64) -> Vec<Column> {
    let mut chance = Chance::new(seed);
    let column = |at: usize| {
        let (code, middle, exponent, step) = KINDS[at % KINDS.len()];
        let code = if at < KINDS.len() { code } else { Code::Mdc(160_000 + u32::try_from(at).unwrap_or(0)) };
        let mut value = middle;
        // Returns to the middle within some ten minutes.
        let values = (0..seconds).map(|_| {
            value += step * chance.normal() - (value - middle) / 600.0;
            value.round() as i64
        });
        Column { code, unit: KINDS[at % KINDS.len()].0.unit().unwrap_or(Unit::One), exponent, values: values.collect() }
    };
    (0..series).map(column).collect()
}

/// How exactly the moments of arrival lie on the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// On the second: a device that states its own time, and a link without delay.
    Even,
    /// Up to 4 ms late, to the microsecond, each frame anew: what a serial line or a network does.
    Jitter,
}

/// The columns as frames of the numbered bed's monitor, one a second.
///
/// # Errors
/// Never for the numbers used here.
pub fn frames(columns: &[Column], number: usize, arrival: Arrival) -> Result<Vec<Frame>> {
    let (device, bed) = (world::device(number)?, world::bed(number)?);
    let mut chance = Chance::new(number as u64);
    let seconds = columns.iter().map(|column| column.values.len()).max().unwrap_or(0);
    let frame = |second: usize| {
        let late = if arrival == Arrival::Jitter { chance.below(4000) as i64 } else { 0 };
        let measured = START.plus_micros(second as i64 * 1_000_000);
        let numerics = columns.iter().filter_map(|column| {
            let value = Ok(Decimal::new(*column.values.get(second)?, column.exponent));
            Some(Numeric { code: column.code, value, unit: column.unit, quality: Quality::Good })
        });
        Frame {
            device: device.clone(),
            boot: Boot([number as u8; 12]),
            first_seq: (second * columns.len()) as u64,
            arrived: measured.plus_micros(late),
            arrived_mono: Monotonic((second as u64).saturating_mul(1_000_000).saturating_add(late.unsigned_abs())),
            measured,
            device_time: Some(measured),
            offset_us: None,
            bed: Some(bed.clone()),
            numerics: numerics.collect(),
            waves: Vec::new(),
        }
    };
    Ok((0..seconds).map(frame).collect())
}

/// Bytes a value at the least, for a coder that knows the step before: the entropy of each step given the one before it.
#[must_use]
pub fn entropy_floor(columns: &[Column]) -> f64 {
    let (mut bits, mut count) = (0.0, 0usize);
    for column in columns {
        let steps: Vec<i64> = column.values.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (mut pairs, mut firsts) = (BTreeMap::<(i64, i64), u32>::new(), BTreeMap::<i64, u32>::new());
        for pair in steps.windows(2) {
            *pairs.entry((pair[0], pair[1])).or_default() += 1;
            *firsts.entry(pair[0]).or_default() += 1;
        }
        for ((first, _), n) in &pairs {
            let of = firsts.get(first).copied().unwrap_or(1);
            bits -= f64::from(*n) * (f64::from(*n) / f64::from(of)).log2();
        }
        count += column.values.len();
    }
    bits / 8.0 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_walks_the_same_way_and_stays_plausible() {
        let one = columns(12, 3600, 7);
        assert_eq!(one.iter().map(|c| &c.values).collect::<Vec<_>>(), columns(12, 3600, 7).iter().map(|c| &c.values).collect::<Vec<_>>());
        assert!(one[0].values.iter().all(|rate| (30..180).contains(rate)), "{:?}", one[0].values);
    }

    #[test]
    fn a_constant_has_no_entropy_and_a_coin_has_an_eighth_of_a_byte() {
        let mut column = columns(1, 20_000, 1).remove(0);
        column.values.fill(5);
        assert!(entropy_floor(std::slice::from_ref(&column)).abs() < 1e-9);
        let (mut chance, mut value) = (Chance::new(3), 0);
        for slot in &mut column.values {
            value += chance.below(2) as i64;
            *slot = value;
        }
        assert!((entropy_floor(&[column]) - 0.125).abs() < 0.002);
    }
}
