//! A plausible patient from a seed: vitals that wander slowly and follow a course. Not a model of any disease.

use crate::table::Table;
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
    /// Sepsis: fever and a fast heart first, then fast breathing, then the pressure goes.
    Sepsis,
    /// A haemorrhage: the heart makes up for it, until it cannot.
    Haemorrhage,
    /// Respiratory failure: hypoxic and labouring, then exhausted.
    RespiratoryFailure,
    /// Too much of an opioid: breathes too rarely, then too little oxygen.
    Opioid,
    /// Recovers from a grave state as a treated patient does, slowly.
    Recovery,
}

/// Seconds from well to ill.
pub const FALL_S: f64 = 15.0;
/// Seconds from ill to well.
pub const RECOVERY_S: f64 = 60.0;
/// Seconds that the longer courses take, unless told otherwise: an afternoon told in five minutes.
pub const COURSE_S: f64 = 300.0;
/// Seconds between cuff measurements.
pub const CUFF_EVERY_S: f64 = 30.0;
/// Seconds in which a patient whose course changes joins the new one.
const SETTLE_S: f64 = 10.0;
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
    /// Glucose, mg/dL.
    pub glucose: f64,
    /// Weight, kg.
    pub weight: f64,
}

/// One of [`Vitals`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vital {
    /// Heart rate.
    HeartRate,
    /// Oxygen saturation.
    Spo2,
    /// Breaths a minute.
    Respiration,
    /// Temperature.
    Temperature,
    /// Systolic pressure.
    Systolic,
    /// Diastolic pressure.
    Diastolic,
    /// Glucose.
    Glucose,
    /// Weight.
    Weight,
}

impl Vital {
    /// Every one.
    pub const ALL: [Self; 8] =
        [Self::HeartRate, Self::Spo2, Self::Respiration, Self::Temperature, Self::Systolic, Self::Diastolic, Self::Glucose, Self::Weight];
}

const ILL: Vitals = Vitals {
    heart_rate: 125.0,
    spo2: 88.0,
    respiration: 26.0,
    temperature: 38.6,
    systolic: 98.0,
    diastolic: 58.0,
    glucose: 160.0,
    weight: 72.0,
};

/// How far vitals are from well at a part of a course: heart rate, SpO2, respiration, temperature, systolic, diastolic.
type Step = (f64, [f64; 6]);

/// Courses as a textbook tells them; the order in which vitals leave the normal is what matters, not the numbers.
const SEPSIS: &[Step] = &[
    (0.0, [0.0; 6]),
    (0.3, [18.0, -0.5, 3.0, 1.6, -2.0, -4.0]),
    (0.6, [35.0, -2.0, 9.0, 2.2, -16.0, -14.0]),
    (1.0, [52.0, -6.0, 14.0, 2.4, -42.0, -28.0]),
];
const HAEMORRHAGE: &[Step] = &[
    (0.0, [0.0; 6]),
    (0.4, [24.0, 0.0, 3.0, -0.1, -3.0, 6.0]),
    (0.7, [48.0, -0.5, 8.0, -0.4, -22.0, -6.0]),
    (1.0, [66.0, -3.0, 15.0, -0.9, -52.0, -30.0]),
];
const RESPIRATORY_FAILURE: &[Step] = &[
    (0.0, [0.0; 6]),
    (0.4, [16.0, -5.0, 9.0, 0.2, 8.0, 4.0]),
    (0.75, [34.0, -11.0, 18.0, 0.3, 14.0, 6.0]),
    (1.0, [26.0, -20.0, -6.0, 0.1, -8.0, -6.0]),
];
const OPIOID: &[Step] = &[
    (0.0, [0.0; 6]),
    (0.4, [-6.0, -2.0, -5.0, 0.0, -6.0, -4.0]),
    (0.7, [-10.0, -8.0, -8.0, -0.1, -12.0, -8.0]),
    (1.0, [-16.0, -18.0, -10.0, -0.3, -20.0, -14.0]),
];
const RECOVERY: &[Step] = &[
    (0.0, [48.0, -8.0, 12.0, 2.0, -34.0, -22.0]),
    (0.3, [30.0, -3.0, 9.0, 1.6, -14.0, -10.0]),
    (0.7, [12.0, -1.0, 3.0, 0.8, -3.0, -2.0]),
    (1.0, [0.0; 6]),
];
/// One standard deviation of the wandering.
const WANDER: Vitals =
    Vitals { heart_rate: 1.2, spo2: 0.3, respiration: 0.4, temperature: 0.03, systolic: 2.0, diastolic: 1.5, glucose: 2.0, weight: 0.0 };

impl Vitals {
    fn zip(self, other: Self, mut f: impl FnMut(f64, f64) -> f64) -> Self {
        Self {
            heart_rate: f(self.heart_rate, other.heart_rate),
            spo2: f(self.spo2, other.spo2),
            respiration: f(self.respiration, other.respiration),
            temperature: f(self.temperature, other.temperature),
            systolic: f(self.systolic, other.systolic),
            diastolic: f(self.diastolic, other.diastolic),
            glucose: f(self.glucose, other.glucose),
            weight: f(self.weight, other.weight),
        }
    }

    /// Sets one.
    pub fn set(&mut self, vital: Vital, value: f64) {
        let place = match vital {
            Vital::HeartRate => &mut self.heart_rate,
            Vital::Spo2 => &mut self.spo2,
            Vital::Respiration => &mut self.respiration,
            Vital::Temperature => &mut self.temperature,
            Vital::Systolic => &mut self.systolic,
            Vital::Diastolic => &mut self.diastolic,
            Vital::Glucose => &mut self.glucose,
            Vital::Weight => &mut self.weight,
        };
        *place = value;
    }

    fn plus(self, [heart_rate, spo2, respiration, temperature, systolic, diastolic]: [f64; 6]) -> Self {
        Self {
            heart_rate: self.heart_rate + heart_rate,
            spo2: self.spo2 + spo2,
            respiration: self.respiration + respiration,
            temperature: self.temperature + temperature,
            systolic: self.systolic + systolic,
            diastolic: self.diastolic + diastolic,
            ..self
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
    /// Seconds the longer courses take.
    over_s: f64,
    /// A recording that is played, how fast, and how far it is, seconds.
    table: Option<(Table, f64, f64)>,
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
            glucose: 100.0,
            weight: 72.25,
        };
        let from = match course {
            Course::Improving => ILL,
            Course::Recovery => well.plus(at(RECOVERY, 0.0)),
            _ => well,
        };
        Self {
            dice,
            well,
            from,
            course,
            course_s: 0.0,
            wander: WANDER.zip(WANDER, |_, _| 0.0),
            cuff: from,
            cuff_s: 0.0,
            over_s: COURSE_S,
            table: None,
        }
    }

    /// Lets the longer courses take so many seconds.
    #[must_use]
    pub fn over(self, seconds: f64) -> Self {
        Self { over_s: seconds.max(1.0), ..self }
    }

    /// Plays a recording, so many of its seconds a second; what it does not say is this patient's own. It ends with its last row.
    #[must_use]
    pub fn playing(self, table: Table, speed: f64) -> Self {
        Self { table: Some((table, speed.max(0.0), 0.0)), ..self }
    }

    /// The cuff measures at once.
    pub fn cuff_now(&mut self) {
        self.cuff_s = 0.0;
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
        if let Some((table, speed, at)) = &mut self.table {
            // Its first row is what is seen first.
            now = table.over(now, *at);
            *at += seconds * *speed;
        }
        now.spo2 = now.spo2.clamp(0.0, 100.0);
        now.respiration = now.respiration.max(0.0);
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
            Course::Sepsis => (self.along(SEPSIS), SETTLE_S),
            Course::Haemorrhage => (self.along(HAEMORRHAGE), SETTLE_S),
            Course::RespiratoryFailure => (self.along(RESPIRATORY_FAILURE), SETTLE_S),
            Course::Opioid => (self.along(OPIOID), SETTLE_S),
            Course::Recovery => (self.along(RECOVERY), SETTLE_S),
        };
        let along = (self.course_s / over_s).min(1.0);
        self.from.zip(goal, |from, goal| from + (goal - from) * along)
    }
}

impl Patient {
    /// Where a course has this patient by now.
    fn along(&self, course: &[Step]) -> Vitals {
        self.well.plus(at(course, self.course_s / self.over_s))
    }
}

/// How far from well a course is at a part of it.
fn at(course: &[Step], part: f64) -> [f64; 6] {
    let Some(after) = course.iter().position(|(place, _)| *place >= part) else { return course.last().map_or([0.0; 6], |(_, away)| *away) };
    let ((low, from), (high, to)) = (course[after.saturating_sub(1)], course[after]);
    let along = if high > low { (part - low) / (high - low) } else { 1.0 };
    std::array::from_fn(|place| from[place] + (to[place] - from[place]) * along)
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
    fn each_course_leads_where_its_name_says_for_any_seed() {
        for seed in 0..50 {
            let ends = |course| after(seed, course, 310);
            let well = after(seed, Course::Stable, 310);
            let sepsis = ends(Course::Sepsis);
            assert!(sepsis.temperature > 38.5 && sepsis.heart_rate > 105.0 && sepsis.systolic < 95.0, "seed {seed}: {sepsis:?}");
            let bled = ends(Course::Haemorrhage);
            assert!(bled.heart_rate > bled.systolic && bled.temperature < 37.0, "seed {seed}: {bled:?}");
            let failing = after(seed, Course::RespiratoryFailure, 225);
            assert!(failing.respiration > 28.0 && failing.spo2 < 90.0, "seed {seed}: {failing:?}");
            let exhausted = ends(Course::RespiratoryFailure);
            assert!(exhausted.respiration < 14.0 && exhausted.spo2 < 82.0, "seed {seed}: {exhausted:?}");
            let opioid = ends(Course::Opioid);
            assert!(opioid.respiration < 9.0 && opioid.spo2 < 84.0 && opioid.heart_rate < well.heart_rate, "seed {seed}: {opioid:?}");
            assert!(after(seed, Course::Recovery, 2).systolic < 102.0, "seed {seed} starts well");
            let recovered = ends(Course::Recovery);
            assert!(recovered.spo2 > 95.0 && recovered.heart_rate < 95.0, "seed {seed}: {recovered:?}");
        }
    }

    #[test]
    fn in_a_haemorrhage_the_pressure_goes_long_after_the_heart_has_sped_up() {
        let (well, early) = (after(3, Course::Stable, 120), after(3, Course::Haemorrhage, 120));
        assert!(early.heart_rate > well.heart_rate + 15.0 && early.systolic > well.systolic - 12.0, "{early:?}");
    }

    #[test]
    fn a_recording_goes_before_the_patients_own_vitals_and_as_fast_as_told() {
        let table = Table::parse("time,hr,spo2\n0,61,99\n60,140,81\n").expect("table");
        let mut patient = Patient::new(1, Course::Stable).playing(table, 30.0);
        let seen: Vec<(f64, f64)> = (0..4).map(|_| patient.advance(1.0)).map(|v| (v.heart_rate, v.spo2)).collect();
        assert_eq!(seen, [(61.0, 99.0), (61.0, 99.0), (140.0, 81.0), (140.0, 81.0)]);
    }

    #[test]
    fn an_improving_patient_starts_ill_and_ends_well() {
        assert!(after(1, Course::Improving, 1).spo2 < 90.0);
        assert!(after(1, Course::Improving, 70).spo2 > 95.0);
    }
}
