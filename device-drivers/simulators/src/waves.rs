//! The curves of a heart beat, one sample at a time, each beat as long as the heart rate says.

/// Shape of one beat as bumps: centre and width as fractions of the beat, height in the wave's unit.
type Bumps = [(f64, f64, f64)];

/// P, Q, R, S and T of lead II, in µV.
const ECG: &Bumps = &[(0.18, 0.025, 130.0), (0.285, 0.009, -110.0), (0.31, 0.011, 1150.0), (0.335, 0.010, -260.0), (0.56, 0.045, 300.0)];
/// Upstroke, and the dicrotic shoulder after it, in hundredths of a percent of modulation.
const PLETH: &Bumps = &[(0.30, 0.10, 210.0), (0.55, 0.12, 95.0)];
/// The pulse arrives at the finger this fraction of a beat after the heart's.
const PLETH_DELAY: f64 = 0.2;

/// A curve being drawn.
pub struct Wave {
    bumps: &'static Bumps,
    rate_hz: f64,
    offset: f64,
    phase: f64,
}

impl Wave {
    /// ECG lead II: 300 samples a second, µV.
    #[must_use]
    pub fn ecg() -> Self {
        Self { bumps: ECG, rate_hz: 300.0, offset: 0.0, phase: 0.0 }
    }

    /// Plethysmogram: 100 samples a second, hundredths of a percent.
    #[must_use]
    pub fn pleth() -> Self {
        Self { bumps: PLETH, rate_hz: 100.0, offset: -80.0, phase: 1.0 - PLETH_DELAY }
    }

    /// Plethysmogram at another rate.
    #[must_use]
    pub fn pleth_at(rate_hz: f64) -> Self {
        Self { rate_hz, ..Self::pleth() }
    }

    /// The next `count` samples at this heart rate.
    pub fn next(&mut self, count: usize, heart_rate: f64) -> Vec<i16> {
        (0..count).map(|_| self.sample(heart_rate)).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float cast to i16 saturates")]
    fn sample(&mut self, heart_rate: f64) -> i16 {
        self.phase = (self.phase + heart_rate / 60.0 / self.rate_hz).fract();
        let height: f64 =
            self.bumps.iter().map(|(centre, width, height)| height * (-((self.phase - centre) / width).powi(2) / 2.0).exp()).sum();
        (self.offset + height).round() as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_r_peaks_as_beats() {
        let samples = Wave::ecg().next(300 * 60, 90.0);
        let crossings = samples.windows(2).filter(|pair| pair[0] < 600 && pair[1] >= 600).count();
        assert!((89..=91).contains(&crossings), "{crossings}");
    }
}
