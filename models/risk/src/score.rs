//! What every score is, and what it says.

use crate::chart::{Chart, Source};
use crate::freshness::Found;
use record::code::Code;
use record::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A published rule that turns a chart at a moment into points. Pure: no state, no clock.
pub trait Score: Sync {
    /// The word used on the API, in file names and in alerts ("news2").
    fn id(&self) -> &'static str;
    /// The name its publisher gave it.
    fn title(&self) -> &'static str;
    /// Publication, edition and our revision of the rules, as kept in alerts ("news2-2017/1"). Raised when any rule changes.
    fn rules_version(&self) -> &'static str;
    /// Every rule as text: bands, freshness limits, thresholds. It changes whenever one of them does.
    fn rules(&self) -> String;
    /// Whom the score is published for.
    fn population(&self) -> &'static Population;
    /// Parameters in published order.
    fn parameters(&self) -> &'static [Parameter];
    /// What totals mean, from the lowest up.
    fn bands(&self) -> &'static [Band];
    /// Scores a chart at a moment. Values dated after it do not count, except within [`crate::freshness::AHEAD_MAX_S`].
    ///
    /// # Errors
    /// The patient is known to be outside the score's population. Someone of unknown age is scored.
    fn assess(&self, chart: &Chart, at: Timestamp) -> Result<Assessment, NotForPatient>;

    /// SHA-256 of [`Score::rules`] in hex: what an alert records and a replay compares.
    fn rules_hash(&self) -> String {
        hex::encode(ring::digest::digest(&ring::digest::SHA256, self.rules().as_bytes()))
    }
}

/// What a score is made of. A score that needs another parameter adds a variant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// Breaths a minute.
    RespiratoryRate,
    /// SpO₂.
    OxygenSaturation,
    /// Air or supplemental oxygen.
    Oxygen,
    /// Systolic blood pressure.
    SystolicPressure,
    /// Heart beats a minute, however counted.
    Pulse,
    /// ACVPU.
    Consciousness,
    /// Body temperature.
    Temperature,
}

/// A score at a moment, with everything it rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Assessment {
    /// [`Score::id`].
    pub score: Cow<'static, str>,
    /// [`Score::rules_version`].
    pub rules_version: Cow<'static, str>,
    /// The moment it was judged at.
    pub at: Timestamp,
    /// The points, or the least they can be.
    pub total: Total,
    /// The publisher's word for the risk; of a partial set, the least it can be.
    pub risk: Cow<'static, str>,
    /// The publisher's words for the response.
    pub response: Cow<'static, str>,
    /// Minutes until the next full set is due; 0 asks for continuous monitoring.
    pub repeat_within_min: u16,
    /// The alert this calls for, if any.
    pub alert: Option<Priority>,
    /// One part a parameter, in published order.
    pub parts: Vec<Part>,
}

/// Points, told apart by whether every parameter counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Total {
    /// Every parameter counted.
    Exact(u8),
    /// Some parameter is missing or stale: the true total is this or more.
    AtLeast(u8),
}

/// How one parameter stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub parameter: Parameter,
    /// What it contributes, or why nothing.
    pub standing: Standing,
}

/// What a parameter contributes, or why nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A fresh value earned points.
    Used(Used),
    /// The youngest value is too old to count.
    Stale {
        /// Seconds since it was measured.
        age_s: u32,
        /// What the score allows.
        limit_s: u32,
    },
    /// The value is dated in the future: some clock is wrong.
    Ahead {
        /// Seconds ahead of the moment.
        by_s: u32,
    },
    /// Nothing charted.
    Missing,
}

/// A value that counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Used {
    /// Which of the codes that can supply the parameter did.
    pub code: Code,
    /// The value at the precision it was scored at ("91", "38.1", "A", "air").
    pub charted: String,
    /// 0 to 3.
    pub points: u8,
    /// Seconds since it was measured, rounded up.
    pub age_s: u32,
    /// How it came.
    pub source: Source,
}

/// What a range of totals means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Band {
    /// When it applies, as published ("Aggregate score 5–6").
    pub when: &'static str,
    /// The publisher's word for the risk.
    pub risk: &'static str,
    /// The publisher's word for the response.
    pub response: &'static str,
    /// The publisher's frequency of monitoring.
    pub monitoring: &'static str,
    /// The publisher's clinical response, step by step.
    pub actions: &'static [&'static str],
    /// The latest moment of the next set, in minutes; 0 is continuous.
    pub repeat_within_min: u16,
    /// The alert it calls for.
    pub alert: Option<Priority>,
}

/// Priority of an alert, as IEC 60601-1-8 names them; a score raises none of low priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Prompt response: urgent review.
    Medium,
    /// Immediate response: emergency assessment.
    High,
}

/// Whom a score is published for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Population {
    /// Youngest age in completed years.
    pub age_years_min: u8,
    /// Whether it is valid in pregnancy.
    pub pregnancy: bool,
    /// For a person to read.
    pub words: &'static str,
}

/// The score was not published for this patient and is not given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NotForPatient {
    /// Younger than the score's population.
    #[error("published for patients of {age_years_min} years and over, this one is {age_years}")]
    TooYoung {
        /// The patient's age.
        age_years: u8,
        /// The youngest it is for.
        age_years_min: u8,
    },
    /// Pregnant, and the score is not valid in pregnancy.
    #[error("not valid in pregnancy")]
    Pregnant,
}

impl Population {
    /// Refuses a patient known to be outside.
    ///
    /// # Errors
    /// Too young, or pregnant where that matters. What is unknown refuses nobody: no score at all would be the greater danger.
    pub fn admit(&self, chart: &Chart) -> Result<(), NotForPatient> {
        match chart.subject.age_years {
            Some(age_years) if age_years < self.age_years_min => {
                return Err(NotForPatient::TooYoung { age_years, age_years_min: self.age_years_min });
            }
            _ => {}
        }
        if chart.subject.pregnant == Some(true) && !self.pregnancy { Err(NotForPatient::Pregnant) } else { Ok(()) }
    }
}

impl Total {
    /// The points: the total, or the least it can be.
    #[must_use]
    pub const fn points(self) -> u8 {
        match self {
            Self::Exact(points) | Self::AtLeast(points) => points,
        }
    }
    /// Whether every parameter counted.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::Exact(_))
    }
    /// The sum over parts.
    #[must_use]
    pub fn of(parts: &[Part]) -> Self {
        let points = parts.iter().fold(0, |sum: u8, part| sum.saturating_add(part.points().unwrap_or(0)));
        if parts.iter().all(|part| part.points().is_some()) { Self::Exact(points) } else { Self::AtLeast(points) }
    }
}

/// `7`, `at least 5`.
impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(points) => write!(f, "{points}"),
            Self::AtLeast(points) => write!(f, "at least {points}"),
        }
    }
}

impl Assessment {
    /// Parameters with nothing charted, or dated in the future.
    pub fn missing(&self) -> impl Iterator<Item = Parameter> {
        self.parts.iter().filter(|part| matches!(part.standing, Standing::Missing | Standing::Ahead { .. })).map(|part| part.parameter)
    }
    /// Parameters whose youngest value is too old to count.
    pub fn stale(&self) -> impl Iterator<Item = Parameter> {
        self.parts.iter().filter(|part| matches!(part.standing, Standing::Stale { .. })).map(|part| part.parameter)
    }
    /// Parameters that earned 3 points alone.
    pub fn single_three(&self) -> impl Iterator<Item = Parameter> {
        self.parts.iter().filter(|part| part.points() == Some(3)).map(|part| part.parameter)
    }
    /// How one parameter stands.
    #[must_use]
    pub fn part(&self, parameter: Parameter) -> Option<&Part> {
        self.parts.iter().find(|part| part.parameter == parameter)
    }
}

impl Part {
    /// A part from what the chart offered; `score` turns a value into code, charted text and points.
    pub fn of<T>(parameter: Parameter, found: Found<T>, score: impl FnOnce(T) -> (Code, String, u8)) -> Self {
        let standing = match found {
            Found::Fresh { value, age_s, source } => {
                let (code, charted, points) = score(value);
                Standing::Used(Used { code, charted, points, age_s, source })
            }
            Found::Stale { age_s, limit_s } => Standing::Stale { age_s, limit_s },
            Found::Ahead { by_s } => Standing::Ahead { by_s },
            Found::Missing => Standing::Missing,
        };
        Self { parameter, standing }
    }
    /// The points, if the parameter counted.
    #[must_use]
    pub const fn points(&self) -> Option<u8> {
        match &self.standing {
            Standing::Used(used) => Some(used.points),
            _ => None,
        }
    }
}

impl Parameter {
    /// The word used on the API ("respiratory-rate").
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::RespiratoryRate => "respiratory-rate",
            Self::OxygenSaturation => "oxygen-saturation",
            Self::Oxygen => "oxygen",
            Self::SystolicPressure => "systolic-pressure",
            Self::Pulse => "pulse",
            Self::Consciousness => "consciousness",
            Self::Temperature => "temperature",
        }
    }
    /// What a nurse reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RespiratoryRate => "Respiration rate",
            Self::OxygenSaturation => "SpO₂",
            Self::Oxygen => "Air or oxygen",
            Self::SystolicPressure => "Systolic blood pressure",
            Self::Pulse => "Pulse",
            Self::Consciousness => "Consciousness",
            Self::Temperature => "Temperature",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
