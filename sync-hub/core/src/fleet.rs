//! How a site is doing: from facts, each with its moment, to the row an operator reads.

use crate::alerts::Tiers;
use crate::live::LiveSite;
use crate::membership::Revocation;
use crate::site::SiteName;
use hub_api::fleet::{DigestState, SiteRow, SiteState};
use record::id::{Hash, ReplicaId};
use record::time::Timestamp;
use serde::{Deserialize, Serialize};

/// When silence is worth a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Silent for longer: late, seconds.
    pub late_s: u32,
    /// Silent for longer: offline, seconds.
    pub offline_s: u32,
}

/// What sync sessions have told, kept durably.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Last contact by sync.
    pub seen: Option<Timestamp>,
    /// Last completed session.
    pub synced: Option<Timestamp>,
    /// Program version it named.
    pub version: Option<String>,
    /// Entries it said were waiting.
    pub waiting: Option<u64>,
    /// The oldest of them.
    pub waiting_since: Option<Timestamp>,
    /// Whether the last digests were equal.
    pub equal: Option<bool>,
    /// When they were compared.
    pub compared: Option<Timestamp>,
}

impl Status {
    /// A session has begun: what the site says of itself.
    pub fn opened(&mut self, now: Timestamp, version: Option<&str>, waiting: u64, oldest: Option<Timestamp>) {
        self.seen = Some(now);
        if let Some(version) = version {
            self.version = Some(version.chars().take(64).collect());
        }
        self.waiting = Some(waiting);
        self.waiting_since = oldest;
    }

    /// A session has ended with a comparison of digests. What is equal has nothing waiting.
    pub fn closed(&mut self, now: Timestamp, equal: bool) {
        self.seen = Some(now);
        self.synced = Some(now);
        self.equal = Some(equal);
        self.compared = Some(now);
        if equal {
            (self.waiting, self.waiting_since) = (Some(0), None);
        }
    }
}

/// What the ledger holds of a site.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// Entries it wrote.
    pub entries: u64,
    /// Set digest over its scopes.
    pub digest: Option<Hash>,
    /// End of the newest segment.
    pub newest: Option<Timestamp>,
    /// Open alerts.
    pub alerts: Tiers,
    /// Incidents.
    pub incidents: u32,
}

/// All that is known of a site.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Its name.
    pub site: &'a SiteName,
    /// Its replica, once enrolled.
    pub replica: Option<ReplicaId>,
    /// The end of its membership.
    pub revoked: Option<&'a Revocation>,
    /// From sync.
    pub status: &'a Status,
    /// From MQTT.
    pub live: Option<&'a LiveSite>,
    /// From the ledger.
    pub held: &'a Held,
}

impl Facts<'_> {
    /// Last contact of any kind.
    #[must_use]
    pub fn seen(&self) -> Option<Timestamp> {
        self.status.seen.max(self.live.and_then(|live| live.heard))
    }

    /// Where the site stands.
    #[must_use]
    pub fn state(&self, patience: Patience, now: Timestamp) -> SiteState {
        if self.revoked.is_some() {
            return SiteState::Revoked;
        }
        let Some(seen) = self.seen() else { return SiteState::NeverSeen };
        let silent_us = now.micros_since(seen);
        if silent_us > i64::from(patience.offline_s) * 1_000_000 {
            SiteState::Offline
        } else if silent_us > i64::from(patience.late_s) * 1_000_000 {
            SiteState::Late
        } else {
            SiteState::Ok
        }
    }

    /// The row an operator reads.
    #[must_use]
    pub fn row(&self, patience: Patience, now: Timestamp) -> SiteRow {
        let status = self.status;
        let ms = |at: Option<Timestamp>| at.map(Timestamp::millis);
        SiteRow {
            site: self.site.to_string(),
            replica: self.replica.map(|replica| replica.to_string()),
            state: self.state(patience, now),
            live: self.revoked.is_none() && self.live.is_some_and(|live| live.online),
            last_seen_ms: ms(self.seen()),
            last_sync_ms: ms(status.synced),
            lag_s: self.held.newest.map(|newest| now.micros_since(newest).max(0) / 1_000_000),
            queue: status.waiting,
            queue_oldest_ms: ms(status.waiting_since),
            version: self.live.and_then(|live| live.version.clone()).or_else(|| status.version.clone()),
            digest: match status.equal {
                None => DigestState::Unknown,
                Some(true) => DigestState::Equal,
                Some(false) => DigestState::Differs,
            },
            digest_ms: ms(status.compared),
            digest_hex: self.held.digest.map(|digest| digest.to_string()),
            entries: self.held.entries,
            alerts: self.held.alerts,
            incidents: self.held.incidents,
            latency_ms: self.live.and_then(LiveSite::latency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { late_s: 60, offline_s: 600 };
    const SEEN: Timestamp = Timestamp(1_795_000_000_000_000);

    fn state(status: &Status, revoked: Option<&Revocation>, silent_us: i64) -> SiteState {
        let site = "hillside".parse().unwrap();
        let facts = Facts { site: &site, replica: None, revoked, status, live: None, held: &Held::default() };
        facts.state(PATIENCE, SEEN.plus_micros(silent_us))
    }

    #[test]
    fn silence_makes_a_site_late_and_then_offline_on_both_sides_of_each_limit() {
        let status = Status { seen: Some(SEEN), ..Status::default() };
        assert_eq!(state(&Status::default(), None, 0), SiteState::NeverSeen);
        assert_eq!(state(&status, None, 60_000_000), SiteState::Ok);
        assert_eq!(state(&status, None, 60_000_001), SiteState::Late);
        assert_eq!(state(&status, None, 600_000_000), SiteState::Late);
        assert_eq!(state(&status, None, 600_000_001), SiteState::Offline);
    }

    #[test]
    fn a_revoked_site_is_revoked_however_loud_it_is() {
        let revoked = Revocation { at: SEEN, by: "op".into(), reason: "stolen".into(), heads: Vec::new() };
        assert_eq!(state(&Status { seen: Some(SEEN), ..Status::default() }, Some(&revoked), 0), SiteState::Revoked);
    }

    #[test]
    fn equal_digests_empty_the_queue_and_unequal_ones_leave_it() {
        let mut status = Status::default();
        status.opened(SEEN, Some("0.1.0"), 7, Some(SEEN));
        status.closed(SEEN, false);
        assert_eq!((status.waiting, status.equal), (Some(7), Some(false)));
        status.closed(SEEN, true);
        assert_eq!((status.waiting, status.waiting_since, status.equal), (Some(0), None, Some(true)));
    }
}
