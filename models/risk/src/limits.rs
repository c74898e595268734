//! Alarm limits: numbers beyond which a ward wants to know, whatever the score says. By kind of ward and age, as data a clinician
//! can read: `firmware-configs/limits/*.toml`, and bundles of the same that a hub rolls out to its sites.
//!
//! Always: a set is typed and its numbers checked before it counts; who has no set in a bundle goes by the shipped one. Only what
//! was measured and is fresh is judged.
//! Never here: how long a value must stay beyond its limit before somebody is called, alerts (`edge-agent/core`).

use crate::chart::{Chart, Source, Spo2Scale};
use crate::freshness::{self, Found, Measure};
use crate::score::Priority;
use record::code::Code;
use record::decimal::Decimal;
use record::time::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The newest format of a bundle that this program understands; a bundle states what it needs in `requires`.
pub const FORMAT: u16 = 1;
/// The name of what a program goes by that was given nothing else.
pub const SHIPPED: &str = "shipped";
/// Longest bundle or file of limits, bytes.
pub const TEXT_MAX: usize = 64 * 1024;
/// Most sets in a bundle, limits in a set, sites and device models with overrides.
const SETS_MAX: usize = 64;
const LIMITS_MAX: usize = 32;
const SITES_MAX: usize = 4096;
const MODELS_MAX: usize = 128;
/// Longest name, title or source, characters.
const WORDS_MAX: usize = 400;
/// Longest a limit may wait, seconds: a longer silence would be no alarm.
const HOLD_MAX_S: u16 = 300;
/// Nobody is older, years.
const AGE_MAX_MONTHS: u16 = 130 * 12;

/// What was shipped with this program: one row a file of `firmware-configs/limits`.
pub static FILES: &[(&str, &str)] = &[
    ("adult.toml", include_str!("../../../firmware-configs/limits/adult.toml")),
    ("adult-scale-2.toml", include_str!("../../../firmware-configs/limits/adult-scale-2.toml")),
    ("children.toml", include_str!("../../../firmware-configs/limits/children.toml")),
];

/// What a site goes by: sets of limits, how often devices are asked, and what differs at some sites.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// How people call it: 1 to 64 of letters, digits, `.`, `-` and `_`.
    pub name: String,
    /// The format an agent must understand to go by it; 1.
    pub requires: u16,
    /// Why it was made, for people.
    #[serde(default)]
    pub note: String,
    /// Sets of limits. A patient none of them is for goes by the shipped ones.
    #[serde(default)]
    pub sets: Vec<LimitSet>,
    /// How often devices are asked, by name of the device's profile.
    #[serde(default)]
    pub sampling: BTreeMap<String, Sampling>,
    /// What differs at a site, by the hub's name of it.
    #[serde(default)]
    pub sites: BTreeMap<String, SiteOverride>,
}

/// A file of `firmware-configs/limits`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitFile {
    /// Its sets.
    pub sets: Vec<LimitSet>,
}

/// Limits for one kind of ward and one age group.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitSet {
    /// How people call it.
    pub title: String,
    /// Where its numbers were published.
    pub source: String,
    /// For which kind of ward.
    #[serde(default)]
    pub ward: Ward,
    /// For which ages.
    pub ages: Ages,
    /// Only for patients on this SpO₂ scale; for both if absent.
    #[serde(default)]
    pub spo2_scale: Option<Scale>,
    /// The limits.
    pub limits: Vec<Limit>,
}

/// Which SpO₂ scale a clinician has prescribed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The usual one.
    One,
    /// Target 88–92 %.
    Two,
}

/// A kind of ward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Ward {
    /// Any; where nothing else is said.
    #[default]
    General,
    /// Intensive or high-dependency care.
    Intensive,
    /// Labour and maternity.
    Maternity,
    /// Newborns.
    Neonatal,
}

/// Ages in completed months, from the first up to and without the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ages {
    /// The youngest, completed months.
    pub from_months: u16,
    /// The first that is too old, completed months; nobody is too old if absent.
    #[serde(default)]
    pub to_months: Option<u16>,
}

/// One limit.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What it is about: the ways of measuring one thing, best first. Keys or LOINC codes; all of one unit.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::codes"))]
    pub codes: Vec<Code>,
    /// Below this somebody is called. A decimal as text, in the code's own unit.
    #[serde(default, deserialize_with = "decimal")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub low: Option<Decimal>,
    /// Above this somebody is called.
    #[serde(default, deserialize_with = "decimal")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub high: Option<Decimal>,
    /// Seconds that a streamed value must stay beyond before somebody is called, 0–300. What is measured once calls at once.
    #[serde(default = "hold_s")]
    #[cfg_attr(feature = "schema", schemars(range(max = 300)))]
    pub hold_s: u16,
    /// How urgently.
    #[serde(default = "medium")]
    #[cfg_attr(feature = "schema", schemars(with = "schema::Urgency"))]
    pub priority: Priority,
}

/// How a device model is asked. Counts from its next connection on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Seconds between numerics, 1–600.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 600)))]
    pub interval_s: Option<u16>,
    /// Waves to ask for.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::codes"))]
    pub waves: Option<Vec<Code>>,
}

/// What differs at one site.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SiteOverride {
    /// What kind of ward it is.
    #[serde(default)]
    pub ward: Ward,
    /// Sets that go before all others there.
    #[serde(default)]
    pub sets: Vec<LimitSet>,
    /// How often devices are asked there.
    #[serde(default)]
    pub sampling: BTreeMap<String, Sampling>,
}

const fn hold_s() -> u16 {
    10
}

const fn medium() -> Priority {
    Priority::Medium
}

/// A decimal is written as text, so that `38.5` stays what it is.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// Why limits cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Not what such a text looks like, or a key nobody knows.
    #[error("it cannot be read: {0}")]
    Text(String),
    /// Made for a newer program.
    #[error("it needs format {needs}, this program understands {understands}: update the program first")]
    Newer {
        /// What it states.
        needs: u16,
        /// [`FORMAT`].
        understands: u16,
    },
    /// A value outside what it may be.
    #[error("{at}: {why}")]
    Value {
        /// Which key.
        at: String,
        /// What is wrong and what would be right.
        why: String,
    },
}

fn refuse(at: impl Into<String>, why: impl Into<String>) -> LimitsError {
    LimitsError::Value { at: at.into(), why: why.into() }
}

/// Whom limits are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Whom {
    /// Completed months of age. Somebody of unknown age is judged as an adult, as scores do.
    pub age_months: Option<u16>,
    /// The SpO₂ scale prescribed.
    pub spo2_scale: Spo2Scale,
}

/// What one limit says of a chart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged<'a> {
    /// The limit.
    pub limit: &'a Limit,
    /// Which of its codes was judged.
    pub code: Code,
    /// The value.
    pub value: Decimal,
    /// How it came.
    pub source: Source,
    /// Where it lies beyond the limit, and the number it should have stayed at.
    pub beyond: Option<(Side, Decimal)>,
}

/// Which way a value left its limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Too low.
    Below,
    /// Too high.
    Above,
}

impl Side {
    /// "below" or "above".
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::Above => "above",
        }
    }
}

impl Bundle {
    /// Reads and checks a bundle.
    ///
    /// # Errors
    /// Why it cannot be used: too long, an unknown key, a value outside its range, or made for a newer program.
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        /// What a bundle of any format states.
        #[derive(Deserialize)]
        struct Stated {
            requires: u16,
        }
        if text.len() > TEXT_MAX {
            return Err(LimitsError::Text(format!("longer than {TEXT_MAX} bytes")));
        }
        let unreadable = |error: toml::de::Error| LimitsError::Text(error.to_string().trim_end().to_owned());
        // A newer format may have keys that this program does not know: it says so, not that they are wrong.
        let stated: Stated = toml::from_str(text).map_err(unreadable)?;
        if stated.requires > FORMAT {
            return Err(LimitsError::Newer { needs: stated.requires, understands: FORMAT });
        }
        let bundle: Self = toml::from_str(text).map_err(unreadable)?;
        bundle.check()?;
        Ok(bundle)
    }

    /// What the program was shipped with.
    ///
    /// # Errors
    /// A shipped file that cannot be used; a test reads them all.
    pub fn shipped() -> Result<Self, LimitsError> {
        let mut bundle = Self { name: SHIPPED.to_owned(), requires: FORMAT, ..Self::default() };
        for (file, text) in FILES {
            let read: LimitFile = toml::from_str(text).map_err(|e| LimitsError::Text(format!("{file}: {e}")))?;
            bundle.sets.extend(read.sets);
        }
        bundle.check()?;
        Ok(bundle)
    }

    /// The set that is for a patient at a site, if any is: the site's own first, then those for its kind of ward, then general ones.
    #[must_use]
    pub fn set_for(&self, site: &str, whom: Whom) -> Option<&LimitSet> {
        let own = self.sites.get(site);
        let ward = own.map(|own| own.ward).unwrap_or_default();
        let fits = |set: &&LimitSet| set.is_for(whom);
        let of = |wanted: Ward| self.sets.iter().filter(move |set| set.ward == wanted).find(fits);
        own.and_then(|own| own.sets.iter().find(fits)).or_else(|| of(ward)).or_else(|| of(Ward::General))
    }

    /// How a device model is asked at a site, if anything is said about it.
    #[must_use]
    pub fn sampling_of(&self, site: &str, profile: &str) -> Option<&Sampling> {
        self.sites.get(site).and_then(|own| own.sampling.get(profile)).or_else(|| self.sampling.get(profile))
    }

    fn check(&self) -> Result<(), LimitsError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !(1..=64).contains(&self.name.len()) || !self.name.chars().all(fits) {
            return Err(refuse("name", "is 1 to 64 of letters, digits, '.', '-' and '_'"));
        }
        if self.note.chars().count() > WORDS_MAX {
            return Err(refuse("note", format!("has at most {WORDS_MAX} characters")));
        }
        if self.requires == 0 {
            return Err(refuse("requires", format!("is the format of the bundle: {FORMAT}")));
        }
        if self.sites.len() > SITES_MAX {
            return Err(refuse("sites", format!("at most {SITES_MAX}")));
        }
        check_sets("sets", &self.sets)?;
        check_sampling("sampling", &self.sampling)?;
        for (site, own) in &self.sites {
            check_sets(&format!("sites.{site}.sets"), &own.sets)?;
            check_sampling(&format!("sites.{site}.sampling"), &own.sampling)?;
        }
        Ok(())
    }
}

fn check_sets(at: &str, sets: &[LimitSet]) -> Result<(), LimitsError> {
    if sets.len() > SETS_MAX {
        return Err(refuse(at, format!("at most {SETS_MAX} sets")));
    }
    for (index, set) in sets.iter().enumerate() {
        let at = format!("{at}[{index}]");
        set.check(&at)?;
        if let Some(other) = sets.iter().take(index).find(|other| other.overlaps(set)) {
            return Err(refuse(format!("{at}.ages"), format!("{:?} is for some of the same patients: say where one ends", other.title)));
        }
    }
    Ok(())
}

fn check_sampling(at: &str, models: &BTreeMap<String, Sampling>) -> Result<(), LimitsError> {
    if models.len() > MODELS_MAX {
        return Err(refuse(at, format!("at most {MODELS_MAX} device models")));
    }
    for (profile, sampling) in models {
        if sampling.interval_s.is_some_and(|seconds| !(1..=600).contains(&seconds)) {
            return Err(refuse(format!("{at}.{profile}.interval_s"), "must be 1 to 600 seconds"));
        }
        if sampling.waves.as_ref().is_some_and(|waves| waves.len() > LIMITS_MAX) {
            return Err(refuse(format!("{at}.{profile}.waves"), format!("at most {LIMITS_MAX}")));
        }
    }
    Ok(())
}

impl LimitSet {
    /// Whether it is for a patient.
    #[must_use]
    pub fn is_for(&self, whom: Whom) -> bool {
        const ADULT_MONTHS: u16 = 18 * 12;
        let scale = match whom.spo2_scale {
            Spo2Scale::One => Scale::One,
            Spo2Scale::Two => Scale::Two,
        };
        self.ages.holds(whom.age_months.unwrap_or(ADULT_MONTHS)) && self.spo2_scale.is_none_or(|wanted| wanted == scale)
    }

    /// What each limit says of the chart, in the set's order; a limit of which nothing fresh is charted says nothing.
    pub fn judge<'a>(&'a self, chart: &'a Chart, at: Timestamp) -> impl Iterator<Item = Judged<'a>> {
        self.limits.iter().filter_map(move |limit| limit.judge(chart, at))
    }

    fn overlaps(&self, other: &Self) -> bool {
        let scale = self.spo2_scale.is_none() || other.spo2_scale.is_none() || self.spo2_scale == other.spo2_scale;
        let ends = |ages: Ages| ages.to_months.unwrap_or(u16::MAX);
        let ages = self.ages.from_months < ends(other.ages) && other.ages.from_months < ends(self.ages);
        self.ward == other.ward && scale && ages
    }

    fn check(&self, at: &str) -> Result<(), LimitsError> {
        for (key, words) in [("title", &self.title), ("source", &self.source)] {
            if words.trim().is_empty() || words.chars().count() > WORDS_MAX {
                return Err(refuse(format!("{at}.{key}"), format!("has 1 to {WORDS_MAX} characters")));
            }
        }
        let Ages { from_months, to_months } = self.ages;
        if to_months.unwrap_or(AGE_MAX_MONTHS).min(AGE_MAX_MONTHS) <= from_months {
            return Err(refuse(format!("{at}.ages"), format!("from_months lies below to_months and {AGE_MAX_MONTHS}")));
        }
        if !(1..=LIMITS_MAX).contains(&self.limits.len()) {
            return Err(refuse(format!("{at}.limits"), format!("1 to {LIMITS_MAX} limits")));
        }
        let mut seen = BTreeSet::new();
        for (index, limit) in self.limits.iter().enumerate() {
            let at = format!("{at}.limits[{index}]");
            limit.check(&at)?;
            if let Some(twice) = limit.codes.iter().find(|code| !seen.insert(**code)) {
                return Err(refuse(format!("{at}.codes"), format!("{} stands in two limits", twice.key())));
            }
        }
        Ok(())
    }
}

impl Ages {
    fn holds(self, months: u16) -> bool {
        self.from_months <= months && self.to_months.is_none_or(|to| months < to)
    }
}

impl Limit {
    /// What it is known by: the first of its codes.
    #[must_use]
    pub fn code(&self) -> Code {
        // One without codes is refused.
        self.codes.first().copied().unwrap_or(Code::Mdc(0))
    }

    fn judge<'a>(&'a self, chart: &Chart, at: Timestamp) -> Option<Judged<'a>> {
        let measures: Vec<Measure> = self.codes.iter().map(|code| Measure { code: *code, limit: fresh(*code) }).collect();
        let Found::Fresh { value: (code, value), source, .. } = freshness::number(chart, &measures, at) else { return None };
        // What was measured before another way of measuring fell silent does not say how things are since.
        let measured = |code: &Code| chart.numeric(*code).map(|held| held.measured_at).filter(|when| *when <= at);
        let newest = self.codes.iter().filter_map(measured).max();
        let outrun = |(used, newest): (Timestamp, Timestamp)| newest.micros_since(used) > i64::from(freshness::EQUALLY_NEW_S) * 1_000_000;
        if measured(&code).zip(newest).is_some_and(outrun) {
            return None;
        }
        let below = self.low.filter(|low| value < *low).map(|low| (Side::Below, low));
        let above = self.high.filter(|high| value > *high).map(|high| (Side::Above, high));
        Some(Judged { limit: self, code, value, source, beyond: below.or(above) })
    }

    fn check(&self, at: &str) -> Result<(), LimitsError> {
        let Some(row) = self.codes.first().and_then(|code| code.row()) else {
            return Err(refuse(format!("{at}.codes"), "names at least one known code"));
        };
        if let Some(other) = self.codes.iter().find(|code| code.unit() != Some(row.unit)) {
            return Err(refuse(format!("{at}.codes"), format!("{} is not charted in {}", other.key(), row.unit.ucum())));
        }
        if self.low.is_none() && self.high.is_none() {
            return Err(refuse(at, format!("{} has neither low nor high: leave it out, or say one", row.key)));
        }
        let (lowest, highest) = (Decimal::whole(row.plausible.0.into()), Decimal::whole(row.plausible.1.into()));
        for (key, bound) in [("low", self.low), ("high", self.high)] {
            if bound.is_some_and(|bound| bound < lowest || bound > highest) {
                return Err(refuse(format!("{at}.{key}"), format!("{} is within {lowest} to {highest} {}", row.key, row.unit.ucum())));
            }
        }
        if self.low.zip(self.high).is_some_and(|(low, high)| low >= high) {
            return Err(refuse(at, format!("{}: low lies below high", row.key)));
        }
        if self.hold_s > HOLD_MAX_S {
            return Err(refuse(format!("{at}.hold_s"), format!("at most {HOLD_MAX_S} seconds")));
        }
        Ok(())
    }
}

/// How old a value may be and still be held against a limit. A monitor that fell silent two minutes ago says nothing of this
/// moment; what is measured now and then stands until it is measured again. Design choice.
const fn fresh(code: Code) -> freshness::Limit {
    let now_and_then = matches!(
        code,
        Code::NIBP_SYSTOLIC
            | Code::NIBP_DIASTOLIC
            | Code::NIBP_MEAN
            | Code::PULSE_RATE_NIBP
            | Code::TEMPERATURE
            | Code::TEMPERATURE_BODY
            | Code::TEMPERATURE_ORAL
            | Code::TEMPERATURE_RECTAL
            | Code::TEMPERATURE_AXILLARY
            | Code::TEMPERATURE_EAR
            | Code::TEMPERATURE_TYMPANIC
    );
    freshness::Limit { streamed_s: if now_and_then { 4 * 3600 } else { 120 }, spot_s: 4 * 3600 }
}

/// Everything a set says, as text: what an alert records the hash of.
#[must_use]
pub fn rules(set: &LimitSet) -> String {
    let mut text = format!("{} | {:?} {:?} {:?}", set.title, set.ward, set.ages, set.spo2_scale);
    for limit in &set.limits {
        let codes: Vec<String> = limit.codes.iter().map(|code| code.key()).collect();
        let bound = |bound: Option<Decimal>| bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string());
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{} {}..{} {}s {:?}", codes.join(","), bound(limit.low), bound(limit.high), limit.hold_s, limit.priority);
    }
    text
}

/// SHA-256 of [`rules`] in hex.
#[must_use]
pub fn rules_hash(set: &LimitSet) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, rules(set).as_bytes()))
}

/// JSON Schemas of what people write, for editors.
#[cfg(feature = "schema")]
pub mod schema {
    use super::{Bundle, LimitFile};
    use record::code::CODES;
    use schemars::{Schema, SchemaGenerator, json_schema};

    /// `firmware-configs/schema/limits.json` and `bundle.json`, by name.
    #[must_use]
    pub fn texts() -> [(&'static str, String); 2] {
        let written = |mut schema: Schema, title: &str| {
            schema.insert("title".to_owned(), title.into());
            // A schema is plain data: it cannot fail to be written.
            serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
        };
        let limits = written(schemars::schema_for!(LimitFile), "Alarm limits as shipped");
        [("limits.json", limits), ("bundle.json", written(schemars::schema_for!(Bundle), "What a hub rolls out to its sites"))]
    }

    pub(super) fn codes(_: &mut SchemaGenerator) -> Schema {
        let keys: Vec<&str> = CODES.iter().map(|row| row.key).collect();
        let code = json_schema!({"anyOf": [{"enum": keys}, {"type": "string", "pattern": "^(mdc:[0-9]+|[0-9]{1,7}-[0-9])$"}]});
        json_schema!({"type": "array", "items": code})
    }

    /// How urgently somebody is called: stands for [`super::Priority`].
    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only its schema is used")]
    pub(super) enum Urgency {
        /// Prompt response.
        Medium,
        /// Immediate response.
        High,
    }
}
