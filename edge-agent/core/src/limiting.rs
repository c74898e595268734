//! What this ward goes by: limits beyond which somebody is called, and how often devices are asked; as shipped, or as the hub
//! rolled out.
//!
//! Always: what is gone by is the newest rollout that can be used, else what was shipped; a rollout that cannot be used changes
//! nothing and is answered with its reason. It follows from what the record holds, so that a restart changes nothing either.

use protocol::replica::Standing;
use record::code::Code;
use record::decimal::Decimal;
use record::id::{Hash, PatientId};
use record::ledger::configuration::{Report, Rollout};
use record::time::{Monotonic, Timestamp};
use risk::limits::{Bundle, Limit, LimitsError, Sampling, Side, Whom, rules_hash};
use risk::{Priority, Source};
use std::collections::BTreeMap;

/// Limits that patients may be beyond at once.
const BEYOND_MAX: usize = 8192;

/// What the ward goes by, and who is beyond it since when.
#[derive(Debug)]
pub(crate) struct Limiting {
    shipped: Bundle,
    /// What was rolled out and is gone by.
    active: Option<Active>,
    /// What the hub is to hear, and what it has heard.
    owed: Option<Report>,
    told: Option<Report>,
    telling: Option<Report>,
    program: String,
    beyond_since: BTreeMap<(PatientId, Code), Monotonic>,
}

#[derive(Debug)]
struct Active {
    site: String,
    digest: Hash,
    bundle: Bundle,
}

/// How a patient stands against the limits that are for them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Limited {
    /// Limits that are for the patient, by their first code; empty where no set is.
    pub known: Vec<Code>,
    /// Those of which a fresh value was there.
    pub judged: Vec<Code>,
    /// Whether any value is beyond its limit, if only for a moment.
    pub any_beyond: bool,
    /// Those beyond for long enough, gravest first.
    pub crossed: Vec<Crossed>,
    /// By which rules; said only where something was crossed.
    pub rules: Option<Rules>,
}

/// Where limits stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// The bundle's name.
    pub bundle: String,
    /// The set's title.
    pub set: String,
    pub sha256: String,
}

/// A value beyond its limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Crossed {
    /// Which limit: its first code.
    pub limit: Code,
    pub code: Code,
    pub value: Decimal,
    pub side: Side,
    pub bound: Decimal,
    pub priority: Priority,
}

impl Limited {
    pub fn priority(&self) -> Option<Priority> {
        self.crossed.iter().map(|crossed| crossed.priority).max()
    }
}

impl Limiting {
    pub fn new(program: String) -> Self {
        // The shipped files are read by a test; an empty bundle would leave scores alone to raise alerts.
        let shipped = Bundle::shipped().unwrap_or_default();
        Self { shipped, active: None, owed: None, told: None, telling: None, program, beyond_since: BTreeMap::new() }
    }

    /// Takes in what the hub rolled out and what was told of it. Whether something else is gone by than before.
    pub fn take(&mut self, standing: &Standing) -> bool {
        let before = self.active.as_ref().map(|active| (active.site.clone(), active.digest));
        let read: Vec<(&Rollout, Result<Bundle, LimitsError>)> =
            standing.rollouts.iter().map(|(_, rollout)| (rollout, Bundle::parse(&rollout.text))).collect();
        let refused = read.first().and_then(|(_, result)| result.as_ref().err().map(ToString::to_string));
        let newest = read.first().map(|(rollout, _)| (rollout.digest(), rollout.name.clone()));
        let usable = read.into_iter().find_map(|(rollout, result)| Some((rollout, result.ok()?)));
        self.active = usable.map(|(rollout, bundle)| Active { site: rollout.site.clone(), digest: rollout.digest(), bundle });
        self.owed = newest.map(|(about, name)| Report { about, name, refused, runs: self.runs(), program: self.program.clone() });
        self.told = standing.report.as_ref().map(|(_, report)| report.clone()).or_else(|| self.told.take());
        before != self.active.as_ref().map(|active| (active.site.clone(), active.digest))
    }

    /// What is gone by: its name, and its digest unless it was shipped.
    pub fn runs(&self) -> (String, Option<Hash>) {
        self.active
            .as_ref()
            .map_or_else(|| (risk::limits::SHIPPED.to_owned(), None), |active| (active.bundle.name.clone(), Some(active.digest)))
    }

    /// What the hub has not been told yet.
    pub fn owed(&mut self) -> Option<Report> {
        let owed = self.owed.clone().filter(|owed| self.told.as_ref() != Some(owed))?;
        self.telling = Some(owed.clone());
        Some(owed)
    }

    /// The report that was being written is durable.
    pub fn told(&mut self) {
        self.told = self.telling.take().or_else(|| self.told.take());
    }

    /// How a device model is to be asked, where something is said about it.
    pub fn sampling_of(&self, profile: &str) -> Option<&Sampling> {
        self.active.as_ref().and_then(|active| active.bundle.sampling_of(&active.site, profile))
    }

    /// How a patient stands against the limits that are for them.
    pub fn judge(&mut self, patient: &PatientId, whom: Whom, chart: &risk::Chart, at: Timestamp, mono: Monotonic) -> Limited {
        let rolled_out = self.active.as_ref().and_then(|a| Some((&a.bundle.name, a.bundle.set_for(&a.site, whom)?)));
        let shipped = || Some((&self.shipped.name, self.shipped.set_for("", whom)?));
        let Some((bundle, set)) = rolled_out.or_else(shipped) else { return Limited::default() };
        let mut limited = Limited { known: set.limits.iter().map(Limit::code).collect(), ..Limited::default() };
        let mut still = Vec::new();
        for judged in set.judge(chart, at) {
            let limit = judged.limit.code();
            limited.judged.push(limit);
            let Some((side, bound)) = judged.beyond else { continue };
            limited.any_beyond = true;
            still.push(limit);
            let since = *self.beyond_since.entry((patient.clone(), limit)).or_insert(mono);
            let held_us = u64::from(judged.limit.hold_s) * 1_000_000;
            if judged.source == Source::Spot || mono.micros_since(since) >= held_us {
                let (code, value, priority) = (judged.code, judged.value, judged.limit.priority);
                limited.crossed.push(Crossed { limit, code, value, side, bound, priority });
            }
        }
        limited.crossed.sort_by_key(|crossed| std::cmp::Reverse(crossed.priority));
        let rules = || Rules { bundle: bundle.clone(), set: set.title.clone(), sha256: rules_hash(set) };
        limited.rules = (!limited.crossed.is_empty()).then(rules);
        self.beyond_since.retain(|(of, limit), _| of != patient || still.contains(limit));
        while self.beyond_since.len() > BEYOND_MAX {
            self.beyond_since.pop_first();
        }
        limited
    }

    /// Forgets who is not here any more.
    pub fn keep(&mut self, here: impl Fn(&PatientId) -> bool) {
        self.beyond_since.retain(|(patient, _), _| here(patient));
    }
}
