//! Which alerts are open at which site, kept up to date from the documents as they arrive.

use record::id::{ReplicaId, ResourceId};
use serde_json::Value;
use std::collections::BTreeMap;

/// Open alerts: high, medium, low.
pub type Tiers = [u32; 3];

/// The open alerts of every site.
#[derive(Clone, Debug, Default)]
pub struct AlertBoard {
    open: BTreeMap<ResourceId, (ReplicaId, usize)>,
}

impl AlertBoard {
    /// Notes a DetectedIssue as it stands; `site` is the replica that began its scope.
    pub fn note(&mut self, site: ReplicaId, id: &ResourceId, resource: &Value) {
        match tier(resource) {
            Some(tier) => self.open.insert(id.clone(), (site, tier)),
            None => self.open.remove(id),
        };
    }

    /// The open alerts of a site.
    #[must_use]
    pub fn of(&self, site: ReplicaId) -> Tiers {
        let mut tiers = Tiers::default();
        for (_, tier) in self.open.values().filter(|(of, _)| *of == site) {
            if let Some(count) = tiers.get_mut(*tier) {
                *count += 1;
            }
        }
        tiers
    }
}

/// Index into [`Tiers`]; `None` when the alert is no longer open.
fn tier(resource: &Value) -> Option<usize> {
    // `final` and its like are resolved; `preliminary` lasts, acknowledged or not.
    if !matches!(resource.get("status").and_then(Value::as_str), Some("registered" | "preliminary")) {
        return None;
    }
    Some(match resource.get("severity").and_then(Value::as_str) {
        Some("high") => 0,
        Some("moderate") => 1,
        _ => 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alert_counts_from_its_first_word_until_it_is_final() {
        let (site, other) = (ReplicaId([1; 32]), ReplicaId([2; 32]));
        let id: ResourceId = "a1".parse().unwrap();
        let mut board = AlertBoard::default();
        board.note(site, &id, &json!({"status": "preliminary", "severity": "high"}));
        board.note(site, &id, &json!({"status": "preliminary", "severity": "high"}));
        board.note(other, &"b1".parse().unwrap(), &json!({"status": "preliminary", "severity": "moderate"}));
        assert_eq!(board.of(site), [1, 0, 0]);
        assert_eq!(board.of(other), [0, 1, 0]);
        board.note(site, &id, &json!({"status": "final", "severity": "high"}));
        assert_eq!(board.of(site), [0, 0, 0]);
    }
}
