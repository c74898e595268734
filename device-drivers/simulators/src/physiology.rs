//! A plausible patient from a seed: vitals that wander slowly and follow a course. Not a model of any disease.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What becomes of the patient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Course {
    /// Stays well.
    Stable,
    /// Falls ill within 15 s: hypoxic, fast breathing, fast heart.
    Deteriorating,
    /// Recovers within a minute; a patient who starts with this starts ill.
    Improving,
}

/// Seconds from well to ill.
pub const FALL_S: f64 = 15.0;
/// Seconds from ill to well.
pub const RECOVERY_S: f64 = 60.0;
/// Seconds between cuff measurements.
pub const CUFF_EVERY_S: f64 = 30.0;
/// Seconds over which the wandering forgets itself.
const WANDER_S: f64 = 20.0;

/// Vital signs at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Vitals {
    /// Heart rate, beats a minute.
    pub heart_rate: f64,
    /// Oxygen saturation, %.
    pub spo2: f64,
    /// Breaths a minute.
    pub respiration: f64,
    /// Body temperature, °C.
    pub temperature: f64,
    /// Systolic pressure, mmHg.
    pub systolic: f64,
    /// Diastolic pressure, mmHg.
    pub diastolic: f64,
}

const ILL: Vitals = Vitals { heart_rate: 125.0, spo2: 88.0, respiration: 26.0, temperature: 38.6, systolic: 98.0, diastolic: 58.0 };
/// One standard deviation of the wandering.
const WANDER: Vitals = Vitals { heart_rate: 1.2, spo2: 0.3, respiration: 0.4, temperature: 0.03, systolic: 2.0, diastolic: 1.5 };

impl Vitals {
    fn zip(self, other: Self, mut f: impl FnMut(f64, f64) -> f64) -> Self {
        Self {
            heart_rate: f(self.heart_rate, other.heart_rate),
            spo2: f(self.spo2, other.spo2),
            respiration: f(self.respiration, other.respiration),
            temperature: f(self.temperature, other.temperature),
            systolic: f(self.systolic, other.systolic),
            diastolic: f(self.diastolic, other.diastolic),
        }
    }

    /// Mean pressure as a cuff derives it.
    #[must_use]
    pub fn mean_pressure(&self) -> f64 {
        self.diastolic + (self.systolic - self.diastolic) / 3.0
    }
}

/// One patient.
pub struct Patient {
    dice: ChaCha8Rng,
    well: Vitals,
    from: Vitals,
    course: Course,
    course_s: f64,
    wander: Vitals,
    cuff: Vitals,
    cuff_s: f64,
}

impl Patient {
    /// A patient; the same seed gives the same one.
    #[must_use]
    pub fn new(seed: u64, course: Course) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let well = Vitals {
            heart_rate: between(&mut dice, 66.0, 82.0),
            spo2: between(&mut dice, 97.0, 98.5),
            respiration: between(&mut dice, 13.5, 17.0),
            temperature: between(&mut dice, 36.5, 37.1),
            systolic: between(&mut dice, 116.0, 132.0),
            diastolic: between(&mut dice, 70.0, 82.0),
        };
        let from = if course == Course::Improving { ILL } else { well };
        Self { dice, well, from, course, course_s: 0.0, wander: WANDER.zip(WANDER, |_, _| 0.0), cuff: from, cuff_s: 0.0 }
    }

    /// Changes the course, from where the patient is.
    pub fn set_course(&mut self, course: Course) {
        self.from = self.drift();
        (self.course, self.course_s) = (course, 0.0);
    }

    /// Lets `seconds` pass and gives the vitals then.
    pub fn advance(&mut self, seconds: f64) -> Vitals {
        self.course_s += seconds;
        let forget = (seconds / WANDER_S).min(1.0);
        let dice = &mut self.dice;
        self.wander = self.wander.zip(WANDER, |wander, spread| wander * (1.0 - forget) + spread * (2.0 * forget).sqrt() * bell(dice));
        let mut now = self.drift().zip(self.wander, |drift, wander| drift + wander);
        now.spo2 = now.spo2.clamp(60.0, 100.0);
        self.cuff_s -= seconds;
        if self.cuff_s <= 0.0 {
            (self.cuff, self.cuff_s) = (now, CUFF_EVERY_S);
        }
        Vitals { systolic: self.cuff.systolic, diastolic: self.cuff.diastolic, ..now }
    }

    /// `count` bytes of noise.
    pub fn noise(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.dice.fill_bytes(&mut bytes);
        bytes
    }

    fn drift(&self) -> Vitals {
        let (goal, over_s) = match self.course {
            Course::Stable | Course::Improving => (self.well, RECOVERY_S),
            Course::Deteriorating => (ILL, FALL_S),
        };
        let along = (self.course_s / over_s).min(1.0);
        self.from.zip(goal, |from, goal| from + (goal - from) * along)
    }
}

fn between(dice: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * f64::from(dice.next_u32()) / f64::from(u32::MAX)
}

/// Roughly normal, within ±6.
fn bell(dice: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| between(dice, 0.0, 1.0)).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seed: u64, course: Course, seconds: u32) -> Vitals {
        let mut patient = Patient::new(seed, course);
        (0..seconds).fold(patient.advance(0.0), |_, _| patient.advance(1.0))
    }

    #[test]
    fn a_seed_gives_the_same_patient_and_another_seed_another() {
        assert_eq!(after(7, Course::Stable, 30), after(7, Course::Stable, 30));
        assert_ne!(after(7, Course::Stable, 30), after(8, Course::Stable, 30));
    }

    #[test]
    fn a_deteriorating_patient_is_hypoxic_and_fast_within_twenty_seconds_for_any_seed() {
        for seed in 0..200 {
            let now = after(seed, Course::Deteriorating, 20);
            assert!(now.spo2 < 91.0 && now.respiration > 23.5 && now.heart_rate > 118.0, "seed {seed}: {now:?}");
        }
    }

    #[test]
    fn a_stable_patient_stays_in_the_normal_bands_for_an_hour() {
        for seed in 0..20 {
            let mut patient = Patient::new(seed, Course::Stable);
            for second in 0..3600 {
                let now = patient.advance(1.0);
                let normal = now.spo2 >= 95.5 && (11.5..20.5).contains(&now.respiration) && (55.0..91.0).contains(&now.heart_rate);
                assert!(normal, "seed {seed}, second {second}: {now:?}");
            }
        }
    }

    #[test]
    fn an_improving_patient_starts_ill_and_ends_well() {
        assert!(after(1, Course::Improving, 1).spo2 < 90.0);
        assert!(after(1, Course::Improving, 70).spo2 > 95.0);
    }
}
