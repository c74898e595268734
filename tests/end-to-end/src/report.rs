//! What a demonstration prints at its end. The names are public: tools read them.

use crate::measure::Latency;
use serde::Serialize;

/// The whole of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether everything held.
    pub ok: bool,
    /// What did not, if anything.
    pub problems: Vec<String>,
    /// Where to look.
    pub urls: Urls,
    /// How to sign in there.
    pub sign_in: SignIn,
    /// The agents.
    pub agents: Vec<AgentReport>,
    /// The hub.
    pub hub: HubReport,
    /// Milliseconds from a byte on the wire.
    pub latency_ms: Latencies,
}

/// Where the programs serve.
#[derive(Clone, Debug, Serialize)]
pub struct Urls {
    /// The hub.
    pub hub: String,
    /// The agents.
    pub agents: Vec<String>,
}

/// Good at the hub and at every agent.
#[derive(Clone, Debug, Serialize)]
pub struct SignIn {
    /// The user's name.
    pub user: String,
    /// Their PIN.
    pub pin: String,
}

/// One agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentReport {
    /// The clinic.
    pub name: String,
    /// Samples that arrived, numerics and waves.
    pub received: u64,
    /// Of these, durable.
    pub stored: u64,
    /// Scores computed.
    pub scored: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Entries sent to the hub.
    pub entries_sent: u64,
    /// Own entries the hub has signed for.
    pub entries_acked: u64,
    /// Its set digest, hex.
    pub digest: String,
    /// The most memory it had resident, MiB.
    pub rss_mb: f64,
    /// From the start of its process until it answered.
    pub ready_ms: u64,
}

/// The hub.
#[derive(Clone, Debug, Serialize)]
pub struct HubReport {
    /// Whether it proved every agent's digest.
    pub digests_equal: bool,
    /// The most memory it had resident, MiB.
    pub rss_mb: f64,
}

/// From the last byte's arrival at an agent.
#[derive(Clone, Debug, Serialize)]
pub struct Latencies {
    /// Until durable.
    pub stored: Latency,
    /// Until a client of the live stream had it.
    pub client: Latency,
    /// Until the hub had it over MQTT; of several sites the worst, over its last 1,000 messages.
    pub hub: Latency,
    /// Until an alert was durable.
    pub alert: Latency,
}

impl Report {
    /// Decides `ok` from the numbers, naming what does not hold.
    #[must_use]
    pub fn judged(mut self) -> Self {
        for agent in &self.agents {
            let name = &agent.name;
            let mut must = |holds: bool, what: String| {
                if !holds {
                    self.problems.push(format!("{name}: {what}"));
                }
            };
            must(agent.received > 0, "received nothing".into());
            must(agent.received == agent.stored, format!("{} samples received, {} stored", agent.received, agent.stored));
            must(agent.scored > 0, "scored nothing".into());
            must(agent.alerts > 0, "raised no alert".into());
            must(agent.entries_acked > 0, "the hub signed for nothing".into());
        }
        if !self.hub.digests_equal {
            self.problems.push("hub: digests differ".into());
        }
        let Latencies { stored, client, hub, alert } = &self.latency_ms;
        for (name, latency) in [("stored", stored), ("client", client), ("hub", hub), ("alert", alert)] {
            if latency.n == 0 {
                self.problems.push(format!("latency {name}: nothing measured"));
            }
        }
        self.ok = self.problems.is_empty();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        let latency = Latency::of_us(vec![1000]);
        let agent = AgentReport {
            name: "hillside".into(),
            received: 10,
            stored: 10,
            scored: 1,
            alerts: 1,
            entries_sent: 3,
            entries_acked: 3,
            digest: "00".into(),
            rss_mb: 1.0,
            ready_ms: 1,
        };
        Report {
            ok: false,
            problems: vec![],
            urls: Urls { hub: String::new(), agents: vec![] },
            sign_in: SignIn { user: String::new(), pin: String::new() },
            agents: vec![agent],
            hub: HubReport { digests_equal: true, rss_mb: 1.0 },
            latency_ms: Latencies { stored: latency, client: latency, hub: latency, alert: latency },
        }
    }

    #[test]
    fn a_demonstration_in_which_everything_held_is_ok() {
        assert!(good().judged().ok);
    }

    #[test]
    fn whatever_does_not_hold_is_named() {
        let mut lost = good();
        lost.agents[0].stored = 9;
        let mut silent = good();
        silent.agents[0].alerts = 0;
        let mut apart = good();
        apart.hub.digests_equal = false;
        let mut unmeasured = good();
        unmeasured.latency_ms.alert = Latency::default();
        for (report, named) in [(lost, "9 stored"), (silent, "no alert"), (apart, "digests differ"), (unmeasured, "latency alert")] {
            let judged = report.judged();
            assert!(!judged.ok && judged.problems.len() == 1 && judged.problems[0].contains(named), "{:?}", judged.problems);
        }
    }
}
