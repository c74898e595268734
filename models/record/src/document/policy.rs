//! What is shown where replicas wrote one element at the same time. All values are kept; a policy orders them.

use crate::ledger::hlc::Hlc;
use serde_json::Value;

/// How concurrent values of an element are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// The latest by hybrid logical time is shown.
    Latest,
    /// The furthest along this list is shown: a status never goes back. Values off the list come last.
    Forward(&'static [&'static str]),
}

/// Elements that are not [`Policy::Latest`]. Version this with `ledger::digest` when state digests are exchanged.
pub static POLICIES: &[(&str, &str, Policy)] = &[
    (
        "DetectedIssue",
        "status",
        Policy::Forward(&["registered", "preliminary", "partial", "final", "amended", "corrected", "cancelled", "entered-in-error"]),
    ),
    (
        "Encounter",
        "status",
        Policy::Forward(&["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error"]),
    ),
    ("Device", "status", Policy::Forward(&["unknown", "active", "inactive", "entered-in-error"])),
];

/// Puts the value to be shown first. Ties are broken by content, so that every replica shows the same.
pub(super) fn order(resource_type: &str, element: &str, values: &mut [(Hlc, Value)]) {
    let policy = POLICIES.iter().find(|(r, e, _)| *r == resource_type && *e == element).map_or(Policy::Latest, |(_, _, p)| *p);
    let rank = |value: &Value| match policy {
        Policy::Latest => 0,
        Policy::Forward(list) => value.as_str().and_then(|v| list.iter().position(|s| *s == v)).map_or(0, |at| at + 1),
    };
    values.sort_by(|(a_at, a), (b_at, b)| rank(b).cmp(&rank(a)).then(b_at.cmp(a_at)).then_with(|| b.to_string().cmp(&a.to_string())));
}
