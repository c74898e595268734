//! One second of a ward: 20 beds, each with ten numerics and two waves of 250 samples.

use super::numerics::START;
use crate::chance::Chance;
use crate::world;
use anyhow::Result;
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{Quality, WaveBlock};
use record::series::{Boot, Frame, Numeric};
use record::time::Monotonic;
use record::unit::Unit;
use std::f64::consts::TAU;

/// Beds of the ward.
pub const BEDS: usize = 20;
/// Numerics of one tick.
pub const NUMERICS: usize = 200;
/// Samples of waves in one tick.
pub const WAVE_SAMPLES: usize = 10_000;
/// All values of one tick.
pub const SAMPLES: usize = NUMERICS + WAVE_SAMPLES;
const RATE_HZ: i64 = 250;

const NUMERIC_KINDS: [(Code, f64, f64); NUMERICS / BEDS] = [
    (Code::HEART_RATE, 80.0, 2.0),
    (Code::PULSE_RATE, 80.0, 2.0),
    (Code::SPO2, 97.0, 0.7),
    (Code::RESPIRATORY_RATE, 16.0, 1.0),
    (Code::ABP_SYSTOLIC, 120.0, 3.0),
    (Code::ABP_DIASTOLIC, 70.0, 2.0),
    (Code::ABP_MEAN, 87.0, 2.0),
    (Code::CVP_MEAN, 8.0, 0.7),
    (Code::ET_CO2, 36.0, 1.0),
    (Code::ST_II, 1.0, 0.5),
];

/// `count` ticks of consecutive seconds, from second `from` on.
///
/// # Errors
/// Never for the numbers used here.
pub fn ticks(from: usize, count: usize) -> Result<Vec<Vec<Frame>>> {
    let mut chance = Chance::new(from as u64);
    (from..from + count).map(|second| (1..=BEDS).map(|number| frame(number, second, &mut chance)).collect()).collect()
}

fn frame(number: usize, second: usize, chance: &mut Chance) -> Result<Frame> {
    let late = chance.below(4000) as i64;
    let measured = START.plus_micros(second as i64 * 1_000_000);
    let numerics = NUMERIC_KINDS.iter().map(|(code, middle, deviation)| Numeric {
        code: *code,
        value: Ok(Decimal::whole((middle + deviation * chance.normal()).round() as i64)),
        unit: code.unit().unwrap_or(Unit::One),
        quality: Quality::Good,
    });
    let numerics: Vec<Numeric> = numerics.collect();
    let beat_s = 0.6 + 0.02 * number as f64;
    let waves = [(Code::ECG_II, ecg as fn(f64) -> f64), (Code::PLETH, pleth)].map(|(code, shape)| {
        let raw = (0..RATE_HZ).map(|at| {
            let phase = ((second as f64 + at as f64 / RATE_HZ as f64) / beat_s).fract();
            (shape(phase) + 3.0 * chance.normal()).round() as i32
        });
        let unit = code.unit().unwrap_or(Unit::One);
        WaveBlock { code, rate_hz: Decimal::whole(RATE_HZ), unit, scale: Decimal::new(5, -3), raw: raw.collect(), good: true, demo: false }
    });
    Ok(Frame {
        device: world::device(number)?,
        boot: Boot([number as u8; 12]),
        first_seq: (second * (NUMERIC_KINDS.len() + waves.len())) as u64,
        arrived: measured.plus_micros(late),
        arrived_mono: Monotonic((second as u64).saturating_mul(1_000_000).saturating_add(late.unsigned_abs())),
        measured,
        device_time: Some(measured),
        offset_us: None,
        bed: Some(world::bed(number)?),
        numerics,
        waves: waves.into(),
    })
}

/// A beat of an ECG at 200 steps a millivolt: P, Q, R, S and T as bells.
fn ecg(phase: f64) -> f64 {
    const BELLS: [(f64, f64, f64); 5] =
        [(0.2, 25.0, 0.025), (0.37, -20.0, 0.01), (0.4, 240.0, 0.012), (0.43, -45.0, 0.01), (0.65, 60.0, 0.04)];
    BELLS.iter().map(|(at, height, width)| height * (-((phase - at) / width).powi(2) / 2.0).exp()).sum()
}

/// A beat of a plethysmogram: the pulse and its echo.
fn pleth(phase: f64) -> f64 {
    400.0 * (phase * TAU - 1.2).sin() + 120.0 * (2.0 * phase * TAU).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_what_the_goal_says_it_is() {
        let ticks = ticks(0, 2).expect("ticks");
        for frames in &ticks {
            assert_eq!(frames.iter().map(|frame| frame.numerics.len()).sum::<usize>(), NUMERICS);
            assert_eq!(frames.iter().map(Frame::wave_samples).sum::<u64>(), WAVE_SAMPLES as u64);
        }
    }
}
