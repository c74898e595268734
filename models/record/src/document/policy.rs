//! What is shown where replicas wrote one element at the same time. All values are kept; a policy says which are shown
//! and whether a person is asked.

use crate::ledger::hlc::Hlc;
use serde_json::{Map, Value};
use std::cmp::Reverse;

/// How concurrent values of an element are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// The latest by hybrid logical time; the others are listed until a person has chosen.
    Latest,
    /// The latest; nobody is asked. What machines write about themselves.
    Settled,
    /// The furthest along these ranks: a status never goes back, and what was entered in error stays so. Within a rank the
    /// latest; values off the ranks come last. Nobody is asked.
    Forward(&'static [&'static [&'static str]]),
    /// Items of a list are united: an item written here and dropped there stays.
    Union,
    /// Every text, in the order of writing. Nobody is asked.
    Text,
    /// Lives hang on it: every value is shown, a value before its removal, and a person is asked.
    Safety,
}

impl Policy {
    /// Its name in `GET /api/v1/conflicts`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Settled => "settled",
            Self::Forward(_) => "forward",
            Self::Union => "union",
            Self::Text => "text",
            Self::Safety => "safety",
        }
    }

    /// Whether concurrent values stay listed until a person has chosen.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Latest | Self::Union | Self::Safety)
    }
}

/// Which policy an element of a resource type has.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// State digests are compared only between equal versions.
    pub version: u32,
    /// Rows of (resource type or `*`, element, policy); the first that fits holds. A choice is named without its type
    /// (`deceased[x]`).
    pub rows: &'static [(&'static str, &'static str, Policy)],
}

/// The table in force. A change of a row is a new version.
pub static POLICIES: Table = Table {
    version: 1,
    rows: &[
        ("DetectedIssue", "status", Policy::Forward(OBSERVED)),
        (
            "Encounter",
            "status",
            Policy::Forward(&[&["planned"], &["arrived"], &["triaged"], &["in-progress", "onleave"], &["finished", "cancelled"], ERROR]),
        ),
        ("Device", "status", Policy::Forward(&[&["active", "inactive"], ERROR])),
        ("Observation", "status", Policy::Forward(OBSERVED)),
        ("DiagnosticReport", "status", Policy::Forward(OBSERVED)),
        ("MedicationRequest", "status", Policy::Forward(ORDERED)),
        ("ServiceRequest", "status", Policy::Forward(ORDERED)),
        ("DeviceRequest", "status", Policy::Forward(ORDERED)),
        ("NutritionOrder", "status", Policy::Forward(ORDERED)),
        (
            "MedicationStatement",
            "status",
            Policy::Forward(&[&["intended"], &["active", "on-hold"], &["completed", "stopped", "not-taken"], ERROR]),
        ),
        (
            "MedicationAdministration",
            "status",
            Policy::Forward(&[&["in-progress", "on-hold"], &["completed", "stopped", "not-done"], ERROR]),
        ),
        // Written by the program that raised the alert or found the device.
        ("DetectedIssue", "extension", Policy::Settled),
        ("DetectedIssue", "detail", Policy::Settled),
        ("Device", "deviceName", Policy::Settled),
        ("*", "id", Policy::Settled),
        ("*", "resourceType", Policy::Settled),
        ("*", "text", Policy::Text),
        ("*", "note", Policy::Union),
        // Allergies: all that says what, how sure and how bad.
        ("AllergyIntolerance", "identifier", Policy::Union),
        ("AllergyIntolerance", "extension", Policy::Union),
        ("AllergyIntolerance", "*", Policy::Safety),
        // Doses and orders: what, how much, how, for whom.
        ("MedicationRequest", "identifier", Policy::Union),
        ("MedicationRequest", "extension", Policy::Union),
        ("MedicationRequest", "*", Policy::Safety),
        ("MedicationStatement", "medication[x]", Policy::Safety),
        ("MedicationStatement", "dosage", Policy::Safety),
        ("MedicationStatement", "effective[x]", Policy::Safety),
        ("MedicationAdministration", "medication[x]", Policy::Safety),
        ("MedicationAdministration", "dosage", Policy::Safety),
        ("MedicationAdministration", "effective[x]", Policy::Safety),
        ("ServiceRequest", "identifier", Policy::Union),
        ("ServiceRequest", "extension", Policy::Union),
        ("ServiceRequest", "*", Policy::Safety),
        ("DeviceRequest", "*", Policy::Safety),
        ("NutritionOrder", "*", Policy::Safety),
        // Whether someone lives decides what is done for them: neither value may hide the other.
        ("Patient", "deceased[x]", Policy::Safety),
    ],
};

const ERROR: &[&str] = &["entered-in-error"];
const OBSERVED: &[&[&str]] = &[&["registered"], &["preliminary", "partial"], &["final"], &["amended", "corrected"], &["cancelled"], ERROR];
const ORDERED: &[&[&str]] = &[&["draft"], &["active", "on-hold"], &["completed", "revoked", "cancelled", "stopped"], ERROR];

impl Table {
    /// The policy of an element; of a list that is opened, [`Policy::Union`] if no row names it.
    #[must_use]
    pub fn of(&self, resource_type: &str, element: &str, opened: bool) -> Policy {
        let fits = |row: &&(&str, &str, Policy)| (row.0 == "*" || row.0 == resource_type) && (row.1 == "*" || row.1 == element);
        let otherwise = if opened { Policy::Union } else { Policy::Latest };
        self.rows.iter().find(fits).map_or(otherwise, |(_, _, policy)| *policy)
    }

    /// Whether `new` would take a status back behind `old`.
    #[must_use]
    pub fn goes_back(&self, resource_type: &str, element: &str, old: &Value, new: &Value) -> bool {
        let Policy::Forward(ranks) = self.of(resource_type, element, false) else { return false };
        rank(ranks, new).zip(rank(ranks, old)).is_some_and(|(new, old)| new < old)
    }
}

fn rank(ranks: &[&[&str]], value: &Value) -> Option<usize> {
    value.as_str().and_then(|text| ranks.iter().position(|rank| rank.contains(&text)))
}

/// One of several values, as a policy orders them.
pub(super) trait Candidate {
    /// When it was written.
    fn at(&self) -> Hlc;
    /// The members it sets; none where it removes.
    fn members(&self) -> &Map<String, Value>;
}

/// Puts the value to be shown first. Ties are broken by content, so that every replica shows the same.
pub(super) fn order<C: Candidate>(policy: Policy, values: &mut [C]) {
    let first = |value: &C| match policy {
        Policy::Latest | Policy::Settled | Policy::Text => 0,
        Policy::Forward(ranks) => value.members().values().next().and_then(|text| rank(ranks, text)).map_or(0, |at| at + 1),
        Policy::Union | Policy::Safety => usize::from(!value.members().is_empty()),
    };
    values.sort_by_cached_key(|value| Reverse((first(value), value.at(), super::canonical_json(&Value::Object(value.members().clone())))));
}
