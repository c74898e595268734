//! Predicting a sample from those before it, and from another lead of the same moment.
//!
//! Coefficients are found in floating point by whoever writes, by least squares, and kept as integers; predicting is in
//! integers alone.

/// Most own samples a prediction looks back on.
pub(crate) const OWN_MAX: usize = 32;
/// Most samples of the other lead, the one of the same moment included.
pub(crate) const OTHER_MAX: usize = 16;
/// Zeros put before a signal, so that every sample has enough before it.
pub(crate) const PAD: usize = 48;
/// A coefficient stays below this.
pub(crate) const COEFFICIENT_LIMIT: i32 = 1 << 22;
/// Most bits after the point.
pub(crate) const SHIFT_MAX: u32 = 20;

/// Coefficients, oldest sample first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Predictor {
    pub shift: u32,
    pub own: Vec<i32>,
    pub other: Vec<i32>,
}

impl Predictor {
    /// What the sample after `own` will be; `other` ends with the other lead's sample of that moment.
    pub fn predict(&self, own: &[i32], other: &[i32]) -> i32 {
        let part = |coefficients: &[i32], samples: &[i32]| {
            let recent = samples.split_at_checked(samples.len().wrapping_sub(coefficients.len())).map_or(samples, |(_, recent)| recent);
            // 48 terms below 2^22 × 2^31 stay below 2^59.
            coefficients.iter().zip(recent).map(|(c, s)| i64::from(*c) * i64::from(*s)).sum::<i64>()
        };
        let sum = part(&self.own, own) + part(&self.other, other);
        let half = if self.shift == 0 { 0 } else { 1i64 << (self.shift - 1) };
        ((sum + half) >> self.shift).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    }
}

/// Samples that share a weight.
const CHUNK: usize = 48;

/// The best of a few predictors of `own[from..to]`; `other` is as long as `own`. Both begin with [`PAD`] zeros.
pub(crate) fn fit(own: &[f64], other: Option<&[f64]>, from: usize, to: usize) -> Predictor {
    let even = [(from, to, 1.0)];
    // A beat is many times livelier than what lies between, and least squares would see nothing else.
    let by_calm: Vec<(usize, usize, f64)> =
        (from..to).step_by(CHUNK).map(|at| (at, to.min(at + CHUNK), calm(own, at, to.min(at + CHUNK)))).collect();
    let mut tries = vec![solve(own, None, &even), solve(own, None, &by_calm)];
    tries.extend(other.map(|_| solve(own, other, &by_calm)));
    let sized = tries.into_iter().map(|solution| {
        let predictor = solution.quantised(to - from);
        let bits = solution.left(own, other, from, to) + 12.0 * (predictor.own.len() + predictor.other.len()) as f64;
        (bits, predictor)
    });
    sized.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, predictor)| predictor).unwrap_or_default()
}

/// How much a chunk weighs: less the more it bends.
fn calm(own: &[f64], from: usize, to: usize) -> f64 {
    let bend: f64 = (from..to).map(|t| (own[t] - 2.0 * own[t - 1] + own[t - 2]).abs()).sum();
    let mean = 0.5 + bend / (to - from) as f64;
    1.0 / (mean * mean)
}

/// A solution of the normal equations: how many of the other lead's and of its own coefficients, newest sample first.
struct Solution {
    other: usize,
    coefficients: Vec<f64>,
    power: f64,
    error: f64,
    floor: f64,
}

impl Solution {
    /// Bits of what it leaves to be coded, roughly.
    fn left(&self, own: &[f64], other: Option<&[f64]>, from: usize, to: usize) -> f64 {
        let (others, owns) = self.coefficients.split_at(self.other.min(self.coefficients.len()));
        let backwards = |c: &[f64]| c.iter().rev().copied().collect::<Vec<f64>>();
        let (others, owns) = (backwards(others), backwards(owns));
        // Sums of logarithms by products: an exponent holds hundreds of residuals.
        let (mut bits, mut product) = (0.0, 1.0f64);
        for t in from..to {
            let part = other.map_or(0.0, |other| dot(&others, &other[t + 1 - others.len()..=t]));
            product *= 0.5 + (own[t] - dot(&owns, &own[t - owns.len()..t]) - part).abs();
            if !(1e-200..1e200).contains(&product) {
                bits += product.max(f64::MIN_POSITIVE).log2();
                product = 1.0;
            }
        }
        bits + product.log2()
    }

    fn quantised(&self, count: usize) -> Predictor {
        // An error in a coefficient costs as much as a bit of it when the two balance at this many bits.
        let ratio = self.power / self.error.max(self.floor) * count as f64 / 12.0;
        let wanted = (0.5 * ratio.max(1.0).log2()).ceil().clamp(2.0, f64::from(SHIFT_MAX)) as u32;
        let largest = self.coefficients.iter().fold(0.0f64, |m, c| m.max(c.abs()));
        let fitting = (1..=wanted).rev().find(|s| largest * f64::from(1u32 << s) < f64::from(COEFFICIENT_LIMIT - 1));
        let Some(shift) = fitting.filter(|_| largest.is_finite()) else {
            return Predictor { shift: 0, own: vec![1], other: Vec::new() };
        };
        let whole: Vec<i32> = self.coefficients.iter().map(|c| (c * f64::from(1u32 << shift)).round() as i32).collect();
        let (other, own) = whole.split_at(self.other.min(whole.len()));
        Predictor { shift, own: own.iter().rev().copied().collect(), other: other.iter().rev().copied().collect() }
    }
}

fn solve(own: &[f64], other: Option<&[f64]>, chunks: &[(usize, usize, f64)]) -> Solution {
    let others = if other.is_some() { OTHER_MAX } else { 0 };
    let size = others + OWN_MAX;
    // Features: the other lead's lags 0.., then own lags 1..; the target is own lag 0.
    let own_own = products(own, own, chunks, [OWN_MAX + 1, OWN_MAX + 1]);
    let mut matrix = vec![vec![0.0f64; size]; size];
    let mut target = vec![0.0f64; size];
    for i in 0..OWN_MAX {
        target[others + i] = own_own[0][i + 1];
        for j in 0..OWN_MAX {
            matrix[others + i][others + j] = own_own[i + 1][j + 1];
        }
    }
    if let Some(other) = other {
        let cross = products(other, own, chunks, [OTHER_MAX, OWN_MAX + 1]);
        let other_other = products(other, other, chunks, [OTHER_MAX, OTHER_MAX]);
        for i in 0..others {
            target[i] = cross[i][0];
            for j in 0..others {
                matrix[i][j] = other_other[i][j];
            }
            for j in 0..OWN_MAX {
                matrix[i][others + j] = cross[i][j + 1];
                matrix[others + j][i] = cross[i][j + 1];
            }
        }
    }
    let power = own_own[0][0];
    let count: f64 = chunks.iter().map(|(from, to, _)| (to - from) as f64).sum();
    let weight: f64 = chunks.iter().map(|(from, to, weight)| (to - from) as f64 * weight).sum();
    // Rounding to whole numbers is noise of a twelfth.
    let floor = weight / 12.0;
    let ridge = floor / 2.0 + power * 1e-9;
    // Cholesky; z is what each further feature takes off the error, so that every order's error is known at once.
    let mut z = vec![0.0f64; size];
    let (mut error, mut best) = (power, (0usize, f64::INFINITY, power));
    let precision = |error: f64| 2.0 + (0.5 * (power / error.max(floor) * count / 12.0).max(1.0).log2()).max(2.0);
    let bits = |order: usize, error: f64| 0.5 * count * (error / weight + 0.05).log2() + order as f64 * precision(error);
    if others == 0 {
        best = (0, bits(0, power), power);
    }
    for i in 0..size {
        for j in 0..=i {
            let sum: f64 = matrix[i][..j].iter().zip(&matrix[j][..j]).map(|(a, b)| a * b).sum();
            if i == j {
                matrix[i][i] = (matrix[i][i] + ridge - sum).max(ridge).sqrt();
            } else {
                matrix[i][j] = (matrix[i][j] - sum) / matrix[j][j];
            }
        }
        let sum: f64 = matrix[i][..i].iter().zip(&z).map(|(a, b)| a * b).sum();
        z[i] = (target[i] - sum) / matrix[i][i];
        error = (error - z[i] * z[i]).max(0.0);
        let order = i + 1;
        if order >= others && bits(order, error) < best.1 {
            best = (order, bits(order, error), error);
        }
    }
    let (order, _, error) = best;
    let mut coefficients = vec![0.0f64; order];
    for i in (0..order).rev() {
        let sum: f64 = (i + 1..order).map(|j| matrix[j][i] * coefficients[j]).sum();
        coefficients[i] = (z[i] - sum) / matrix[i][i];
    }
    Solution { other: others, coefficients, power, error, floor }
}

/// `Σ a[t−i] × b[t−j]`, chunks as they weigh, by (i, j), so many of each; only the first of a diagonal is summed in full.
fn products(a: &[f64], b: &[f64], chunks: &[(usize, usize, f64)], [rows, columns]: [usize; 2]) -> Vec<Vec<f64>> {
    let mut total = vec![vec![0.0f64; columns]; rows];
    let (mut row, mut above) = (vec![0.0f64; columns], vec![0.0f64; columns]);
    for &(from, to, weight) in chunks {
        let firsts: Vec<f64> = (0..rows).map(|i| dot(&a[from - i..to - i], &b[from..to])).collect();
        for i in 0..rows {
            row[0] = firsts[i];
            if i == 0 {
                for (j, cell) in row.iter_mut().enumerate() {
                    *cell = if std::ptr::eq(a, b) { firsts[j] } else { dot(&a[from..to], &b[from - j..to - j]) };
                }
            } else {
                let (entering, leaving) = (a[from - i], a[to - i]);
                let (first, last) = (b[from + 1 - columns..from].iter().rev(), b[to + 1 - columns..to].iter().rev());
                for (((cell, above), first), last) in row[1..].iter_mut().zip(&above).zip(first).zip(last) {
                    *cell = above + entering * first - leaving * last;
                }
            }
            for (sum, cell) in total[i].iter_mut().zip(&row) {
                *sum += cell * weight;
            }
            std::mem::swap(&mut row, &mut above);
        }
    }
    total
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a.zip(b) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f64>() + tail
}
