//! A sampled signal: blocks, each with the linear predictor that fits it, and what was not predicted.

use super::bytes::{Reader, put, put_section, put_signed};
use super::linear::{COEFFICIENT_LIMIT, OTHER_MAX, OWN_MAX, PAD, Predictor, SHIFT_MAX, fit};
use super::{adaptive, numbers, unzigzag, zigzag};
use crate::series::SegmentError;

/// Samples that share a predictor.
const BLOCK: usize = 1 << 14;

/// Widest range of a signal whose levels are looked into.
const RANGE_MAX: usize = 1 << 16;
/// Of a range, the share of levels from which on they are not worth naming.
const SPARSE: usize = 4;

/// Appends a signal; `other` is a signal of the same length that the reader will have.
///
/// A converter of few bits, scaled up, leaves most values unused: such a signal is kept as which of its levels it takes.
pub(crate) fn encode(samples: &[i32], other: Option<&[i32]>, out: &mut Vec<u8>) {
    let levels = levels(samples).unwrap_or_default();
    put(out, levels.len() as u64);
    let mut named = Vec::new();
    numbers::encode(
        &levels.iter().scan(0, |before, level| Some(level - std::mem::replace(before, *level))).collect::<Vec<i64>>(),
        &mut named,
    );
    put_section(out, &named);
    if levels.is_empty() {
        signal(samples, other, out);
    } else {
        let rank = |sample: &i32| levels.binary_search(&i64::from(*sample)).unwrap_or(0) as i32;
        signal(&samples.iter().map(rank).collect::<Vec<i32>>(), other, out);
    }
}

/// The levels a signal takes, ascending, if they are few for its range.
fn levels(samples: &[i32]) -> Option<Vec<i64>> {
    let (low, high) = (i64::from(*samples.iter().min()?), i64::from(*samples.iter().max()?));
    let range = usize::try_from(high - low).ok().filter(|r| *r < RANGE_MAX)? + 1;
    let mut taken = vec![false; range];
    for sample in samples {
        taken[(i64::from(*sample) - low) as usize] = true;
    }
    let count = taken.iter().filter(|t| **t).count();
    let worth = count * SPARSE < range && count * 16 < samples.len();
    worth.then(|| taken.iter().enumerate().filter(|(_, t)| **t).map(|(at, _)| low + at as i64).collect())
}

fn signal(samples: &[i32], other: Option<&[i32]>, out: &mut Vec<u8>) {
    let other = other.filter(|other| other.len() == samples.len());
    let (level, own) = padded(samples);
    put_signed(out, i64::from(level));
    let other = other.map(|other| padded(other).1);
    let floats = |padded: &[i32]| padded.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    let (own_floats, other_floats) = (floats(&own), other.as_deref().map(floats));
    let mut residuals = Vec::with_capacity(samples.len());
    let mut predictors = Vec::new();
    for from in (PAD..own.len()).step_by(BLOCK) {
        let to = own.len().min(from + BLOCK);
        let predictor = fit(&own_floats, other_floats.as_deref(), from, to);
        put_predictor(&mut predictors, &predictor);
        for at in from..to {
            let guess = predictor.predict(&own[..at], other.as_deref().map_or(&[], |other| &other[..=at]));
            residuals.push(zigzag(i64::from(own[at].wrapping_sub(guess))));
        }
    }
    put_section(out, &predictors);
    adaptive::encode(residuals.into_iter(), out);
}

/// Reads `count` samples to the end of the bytes; `other` is what the writer was given.
pub(crate) fn decode(mut reader: Reader<'_>, count: usize, other: Option<&[i32]>) -> Result<Vec<i32>, SegmentError> {
    if other.is_some_and(|other| other.len() != count) {
        return Err(SegmentError::Unreadable);
    }
    let named = reader.count(count.min(RANGE_MAX))?;
    let mut levels = Vec::new();
    numbers::decode(reader.section()?, named, &mut levels)?;
    let mut at = 0i64;
    for level in &mut levels {
        at = at.wrapping_add(*level);
        *level = at;
    }
    let level = i32::try_from(reader.signed()?).map_err(|_| SegmentError::Unreadable)?;
    let mut predictors = reader.section()?;
    let other = other.map(|other| padded(other).1);
    let mut own = vec![0i32; PAD];
    own.reserve(count);
    let mut residuals = adaptive::Tokens::new(reader.0);
    for from in (PAD..PAD + count).step_by(BLOCK) {
        let predictor = predictor(&mut predictors)?;
        if other.is_none() && !predictor.other.is_empty() {
            return Err(SegmentError::Unreadable);
        }
        for at in from..(from + BLOCK).min(PAD + count) {
            let guess = predictor.predict(&own, other.as_deref().and_then(|other| other.get(..=at)).unwrap_or(&[]));
            own.push(guess.wrapping_add(unzigzag(residuals.next()) as i32));
        }
    }
    residuals.end()?;
    predictors.end()?;
    own.drain(..PAD);
    own.iter_mut().for_each(|sample| *sample = sample.wrapping_add(level));
    if levels.is_empty() {
        return Ok(own);
    }
    let level = |rank: i32| usize::try_from(rank).ok().and_then(|rank| levels.get(rank)).and_then(|level| i32::try_from(*level).ok());
    own.into_iter().map(|rank| level(rank).ok_or(SegmentError::Unreadable)).collect()
}

/// The level a signal lies at, and the signal about it behind [`PAD`] zeros.
fn padded(samples: &[i32]) -> (i32, Vec<i32>) {
    let sum: i64 = samples.iter().map(|s| i64::from(*s)).sum();
    let level = (sum / samples.len().max(1) as i64) as i32;
    let mut padded = vec![0i32; PAD];
    padded.extend(samples.iter().map(|s| s.wrapping_sub(level)));
    (level, padded)
}

fn put_predictor(out: &mut Vec<u8>, predictor: &Predictor) {
    put(out, u64::from(predictor.shift));
    put(out, predictor.own.len() as u64);
    put(out, predictor.other.len() as u64);
    for coefficient in predictor.own.iter().chain(&predictor.other) {
        put_signed(out, i64::from(*coefficient));
    }
}

fn predictor(reader: &mut Reader<'_>) -> Result<Predictor, SegmentError> {
    let shift = reader.count(SHIFT_MAX as usize)? as u32;
    let (own, other) = (reader.count(OWN_MAX)?, reader.count(OTHER_MAX)?);
    let mut coefficients = |count: usize| {
        (0..count)
            .map(|_| {
                i32::try_from(reader.signed()?).ok().filter(|c| c.unsigned_abs() < COEFFICIENT_LIMIT as u32).ok_or(SegmentError::Unreadable)
            })
            .collect::<Result<Vec<i32>, SegmentError>>()
    };
    Ok(Predictor { shift, own: coefficients(own)?, other: coefficients(other)? })
}
