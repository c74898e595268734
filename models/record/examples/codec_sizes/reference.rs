//! What others would need: pco alone, and the entropy of what linear prediction leaves.

/// Bytes of `values` by pco at its default level, as a file of its own.
pub fn pco_bytes<T: pco::data_types::Number>(values: &[T]) -> usize {
    pco::standalone::simple_compress(values, &pco::ChunkConfig::default()).expect("pco").len()
}

/// Bytes of the order-0 entropy of the residuals of one linear prediction of that order over all of `samples`.
pub fn lpc_entropy_bytes(samples: &[i32], order: usize) -> f64 {
    let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / samples.len() as f64;
    let x: Vec<f64> = samples.iter().map(|s| f64::from(*s) - mean).collect();
    let r: Vec<f64> = (0..=order).map(|lag| x[lag..].iter().zip(&x).map(|(a, b)| a * b).sum()).collect();
    // Levinson and Durbin.
    let (mut a, mut error) = (vec![0.0; order + 1], r[0]);
    for i in 1..=order {
        let k = (r[i] - (1..i).map(|j| a[j] * r[i - j]).sum::<f64>()) / error;
        let before = a.clone();
        a[i] = k;
        for j in 1..i {
            a[j] = before[j] - k * before[i - j];
        }
        error *= 1.0 - k * k;
    }
    let residual = |t: usize| (x[t] - (1..=order.min(t)).map(|j| a[j] * x[t - j]).sum::<f64>()).round() as i64;
    entropy_bytes((0..x.len()).map(residual))
}

/// Bytes of the order-0 entropy of `values`.
pub fn entropy_bytes(values: impl Iterator<Item = i64>) -> f64 {
    let mut counts = std::collections::HashMap::<i64, u64>::new();
    let total = values.map(|v| *counts.entry(v).and_modify(|n| *n += 1).or_insert(1)).count() as f64;
    counts.values().map(|n| *n as f64 * (total / *n as f64).log2()).sum::<f64>() / 8.0
}
