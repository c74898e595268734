//! The curves of a heart beat and of a breath, one sample at a time. No two beats are alike: the heart follows the breath, and
//! wanders a little; the pulse in the finger swells and falls with the breath, too.

use crate::physiology::Vitals;

/// Shape of one beat as bumps: centre and width as fractions of the beat, height in the wave's unit.
type Bumps = [(f64, f64, f64)];

/// P, Q, R, S and T of lead II, in µV.
const ECG: &Bumps = &[(0.18, 0.025, 130.0), (0.285, 0.009, -110.0), (0.31, 0.011, 1150.0), (0.335, 0.010, -260.0), (0.56, 0.045, 300.0)];
/// Upstroke, and the dicrotic shoulder after it, in hundredths of a percent of modulation.
const PLETH: &Bumps = &[(0.30, 0.10, 210.0), (0.55, 0.12, 95.0)];
/// The pulse arrives at the finger this fraction of a beat after the heart's.
const PLETH_DELAY: f64 = 0.2;
/// How far the heart rate swings with the breath (respiratory sinus arrhythmia), and from beat to beat: fractions of it.
const SINUS_ARRHYTHMIA: f64 = 0.04;
const BEAT_TO_BEAT: f64 = 0.015;
/// Height of a breath in impedance, hundredths of an ohm.
const BREATH: f64 = 60.0;

/// A curve being drawn.
pub struct Wave {
    bumps: &'static Bumps,
    rate_hz: f64,
    offset: f64,
    /// How much of its height a breath takes away and gives, and how far it carries its middle line.
    breath_height: f64,
    breath_line: f64,
    phase: f64,
    breath: f64,
    /// Of this beat, as a fraction of the rate.
    jitter: f64,
    dice: u32,
}

impl Wave {
    fn new(bumps: &'static Bumps, rate_hz: f64) -> Self {
        Self { bumps, rate_hz, offset: 0.0, breath_height: 0.0, breath_line: 0.0, phase: 0.0, breath: 0.0, jitter: 0.0, dice: 0x2545_F491 }
    }

    /// ECG lead II: 300 samples a second, µV.
    #[must_use]
    pub fn ecg() -> Self {
        Self { breath_height: 0.05, breath_line: 40.0, ..Self::new(ECG, 300.0) }
    }

    /// Plethysmogram: 100 samples a second, hundredths of a percent.
    #[must_use]
    pub fn pleth() -> Self {
        Self { offset: -80.0, phase: 1.0 - PLETH_DELAY, breath_height: 0.12, breath_line: 12.0, ..Self::new(PLETH, 100.0) }
    }

    /// Plethysmogram at another rate.
    #[must_use]
    pub fn pleth_at(rate_hz: f64) -> Self {
        Self { rate_hz, ..Self::pleth() }
    }

    /// Breathing as impedance of the chest: hundredths of an ohm.
    #[must_use]
    pub fn respiration(rate_hz: f64) -> Self {
        Self { breath_line: BREATH, ..Self::new(&[], rate_hz) }
    }

    /// The next `count` samples of this patient.
    pub fn next(&mut self, count: usize, vitals: &Vitals) -> Vec<i16> {
        (0..count).map(|_| self.sample(vitals)).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float cast to i16 saturates")]
    fn sample(&mut self, vitals: &Vitals) -> i16 {
        self.breath = (self.breath + vitals.respiration.max(0.0) / 60.0 / self.rate_hz).fract();
        // The heart goes faster while air goes in.
        let rate = vitals.heart_rate * (1.0 + SINUS_ARRHYTHMIA * (std::f64::consts::TAU * self.breath).sin() + self.jitter);
        let phase = self.phase + rate / 60.0 / self.rate_hz;
        if phase >= 1.0 {
            self.jitter = self.roll();
        }
        self.phase = phase.fract();
        let height: f64 =
            self.bumps.iter().map(|(centre, width, height)| height * (-((self.phase - centre) / width).powi(2) / 2.0).exp()).sum();
        let chest = chest(self.breath);
        (self.offset + height * (1.0 - self.breath_height * chest) + self.breath_line * chest).round() as i16
    }

    /// Within ± [`BEAT_TO_BEAT`], the same sequence for every wave. Xorshift: its quality does not matter here.
    fn roll(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 17;
        self.dice ^= self.dice << 5;
        BEAT_TO_BEAT * (f64::from(self.dice) / f64::from(u32::MAX) * 2.0 - 1.0)
    }
}

/// How far the chest is lifted at this part of a breath, −1 to 1: a third of it goes in, the rest out.
fn chest(breath: f64) -> f64 {
    use std::f64::consts::PI;
    const IN: f64 = 1.0 / 3.0;
    if breath < IN { -(PI * breath / IN).cos() } else { (PI * (breath - IN) / (1.0 - IN)).cos() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Course, Patient};

    fn patient(heart_rate: f64, respiration: f64) -> Vitals {
        Vitals { heart_rate, respiration, ..Patient::new(1, Course::Stable).advance(0.0) }
    }

    /// Samples at which the curve rises through a height.
    fn rises(samples: &[i16], through: i16) -> Vec<usize> {
        samples.windows(2).enumerate().filter(|(_, pair)| pair[0] < through && pair[1] >= through).map(|(place, _)| place).collect()
    }

    #[test]
    fn as_many_r_peaks_as_beats_and_as_many_breaths_as_told() {
        for (heart_rate, respiration) in [(45.0, 6.0), (90.0, 15.0), (160.0, 35.0)] {
            let vitals = patient(heart_rate, respiration);
            let beats = rises(&Wave::ecg().next(300 * 60, &vitals), 600).len();
            assert!(beats.abs_diff(heart_rate as usize) <= 2, "{beats} beats at {heart_rate}");
            let breaths = rises(&Wave::respiration(25.0).next(25 * 60, &vitals), 0).len();
            assert!(breaths.abs_diff(respiration as usize) <= 1, "{breaths} breaths at {respiration}");
        }
    }

    #[test]
    fn no_beat_is_quite_as_long_as_the_one_before_and_none_is_far_off() {
        let beats = rises(&Wave::ecg().next(300 * 60, &patient(75.0, 15.0)), 600);
        let lengths: Vec<usize> = beats.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (shortest, longest) = (lengths.iter().min().expect("beats"), lengths.iter().max().expect("beats"));
        assert!(longest - shortest >= 10 && *shortest > 210 && *longest < 270, "{shortest} to {longest} of 240");
    }

    #[test]
    fn every_beat_has_a_p_before_its_qrs_and_a_t_behind_it() {
        let samples = Wave::ecg().next(300 * 10, &patient(60.0, 12.0));
        let highest = |from: usize, to: usize| samples[from..to].iter().max().copied().expect("samples");
        for peak in rises(&samples, 600).into_iter().filter(|peak| *peak > 60 && peak + 120 < samples.len()) {
            let (p, t) = (highest(peak - 55, peak - 20), highest(peak + 50, peak + 110));
            assert!((60..250).contains(&p) && (180..420).contains(&t), "P {p} µV, T {t} µV");
        }
    }

    #[test]
    fn the_pulse_at_the_finger_swells_and_falls_with_the_breath() {
        let samples = Wave::pleth().next(100 * 60, &patient(70.0, 12.0));
        let tops: Vec<i16> = samples.chunks(100).filter_map(|second| second.iter().max().copied()).collect();
        let (low, high) = (tops.iter().min().expect("tops"), tops.iter().max().expect("tops"));
        assert!((high - low) > 15, "{low} to {high}");
    }
}
