//! Codecs alone: nothing but the values, no time, no index, no encryption.

use super::{Cache, said};
use anyhow::{Context, Result};
use pco::ChunkConfig;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Bytes of pco over each series by itself, whole.
///
/// # Errors
/// It fails.
pub fn pco<'a>(series: impl IntoIterator<Item = &'a [i32]>) -> Result<usize> {
    let config = ChunkConfig::default();
    series.into_iter().map(|values| Ok(pco::standalone::simple_compress(values, &config)?.len())).sum()
}

/// Bytes of zstd at level 19 over the steps of all series, each step in the fewest bytes (LEB128 of its zigzag).
///
/// # Errors
/// It fails.
pub fn zstd_steps<'a>(series: impl IntoIterator<Item = &'a [i32]>) -> Result<usize> {
    let mut bytes = Vec::new();
    for values in series {
        let mut before = 0i32;
        for value in values {
            let step = value.wrapping_sub(before);
            before = *value;
            let mut zigzag = (step << 1 ^ step >> 31) as u32;
            while zigzag >= 0x80 {
                bytes.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            bytes.push(zigzag as u8);
        }
    }
    Ok(zstd::bulk::compress(&bytes, 19).context("zstd")?.len())
}

/// Bytes of `flac -8` over each channel by itself, as 16 bits, without padding or seek table.
///
/// # Errors
/// It is not installed, or fails.
pub fn flac<'a>(cache: &Cache, folder: &Path, channels: impl IntoIterator<Item = &'a [i32]>) -> Result<usize> {
    let flac = cache.program("flac", "flac")?;
    let (raw, out) = (folder.join("channel.raw"), folder.join("channel.flac"));
    let one = |values: &[i32]| -> Result<usize> {
        let bytes = values.iter().flat_map(|value| i16::try_from(*value).unwrap_or_default().to_le_bytes());
        std::fs::write(&raw, bytes.collect::<Vec<u8>>())?;
        let form = ["--force-raw-format", "--endian=little", "--sign=signed", "--channels=1", "--bps=16", "--sample-rate=8000"];
        said(Command::new(&flac).args(["-8", "-s", "-f", "--no-padding", "--no-seektable"]).args(form).arg("-o").arg(&out).arg(&raw))?;
        Ok(usize::try_from(std::fs::metadata(&out)?.len())?)
    };
    channels.into_iter().map(one).sum()
}

/// Bytes that the residuals of linear prediction of order 32 need at the least: a predictor fitted to each whole channel by least
/// squares, its residuals rounded, their entropy by frequency over the channel.
#[must_use]
pub fn lpc32_entropy<'a>(channels: impl IntoIterator<Item = &'a [i32]>) -> f64 {
    channels.into_iter().map(|values| entropy_bits(&residuals(values)) / 8.0).sum()
}

const ORDER: usize = 32;

fn residuals(values: &[i32]) -> Vec<i32> {
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len().max(1) as f64;
    let centred: Vec<f64> = values.iter().map(|v| f64::from(*v) - mean).collect();
    // Covariance method: no window bends the signal's ends.
    let mut normal = [[0.0; ORDER + 1]; ORDER];
    for at in ORDER..centred.len() {
        let past = &centred[at - ORDER..at];
        for row in 0..ORDER {
            let one = past[ORDER - 1 - row];
            for (column, cell) in normal[row].iter_mut().enumerate().take(ORDER).skip(row) {
                *cell += one * past[ORDER - 1 - column];
            }
            normal[row][ORDER] += one * centred[at];
        }
    }
    let upper = normal;
    for (row, cells) in normal.iter_mut().enumerate() {
        for (cell, above) in cells.iter_mut().zip(&upper).take(row) {
            *cell = above[row];
        }
        // A constant channel has no variance to divide by.
        cells[row] += 1e-3;
    }
    let taps = solved(normal);
    let predicted = |at: usize| -> f64 {
        if at < ORDER {
            centred.get(at.wrapping_sub(1)).copied().unwrap_or(0.0)
        } else {
            (0..ORDER).map(|tap| taps[tap] * centred[at - 1 - tap]).sum()
        }
    };
    (0..values.len()).map(|at| values[at] - (predicted(at) + mean).round() as i32).collect()
}

/// Gauss's elimination with the largest pivot.
fn solved(mut m: [[f64; ORDER + 1]; ORDER]) -> [f64; ORDER] {
    for pivot in 0..ORDER {
        let largest = (pivot..ORDER).max_by(|a, b| m[*a][pivot].abs().total_cmp(&m[*b][pivot].abs())).unwrap_or(pivot);
        m.swap(pivot, largest);
        for row in pivot + 1..ORDER {
            let factor = m[row][pivot] / m[pivot][pivot];
            let above = m[pivot];
            for (cell, above) in m[row].iter_mut().zip(above).skip(pivot) {
                *cell -= factor * above;
            }
        }
    }
    let mut solution = [0.0; ORDER];
    for row in (0..ORDER).rev() {
        let rest: f64 = (row + 1..ORDER).map(|column| m[row][column] * solution[column]).sum();
        solution[row] = (m[row][ORDER] - rest) / m[row][row];
    }
    solution
}

fn entropy_bits(values: &[i32]) -> f64 {
    let mut counts = BTreeMap::<i32, u32>::new();
    for value in values {
        *counts.entry(*value).or_default() += 1;
    }
    let all = values.len() as f64;
    counts.values().map(|n| f64::from(*n) * (all / f64::from(*n)).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn what_can_be_predicted_costs_nothing() {
        let sine: Vec<i32> = (0..20_000).map(|at| (1000.0 * (f64::from(at) / 9.0).sin()).round() as i32).collect();
        assert!(lpc32_entropy([&sine[..]]) / 20_000.0 < 0.2, "{}", lpc32_entropy([&sine[..]]));
        assert!(lpc32_entropy([&[7; 5000][..]]) < 20.0);
    }

    #[test]
    fn a_fair_byte_costs_a_byte() {
        let mut chance = Chance::new(1);
        let noise: Vec<i32> = (0..50_000).map(|_| chance.below(256) as i32).collect();
        let per_value = lpc32_entropy([&noise[..]]) / 50_000.0;
        assert!((0.98..1.02).contains(&per_value), "{per_value}");
    }
}
