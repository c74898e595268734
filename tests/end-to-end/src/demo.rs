//! The demonstration: a ward, watched for a while, and what it came to.

use crate::agent::{NURSE, PIN};
use crate::live::Live;
use crate::measure::Latency;
use crate::report::{AgentReport, HubReport, Latencies, Report, SignIn, Urls};
use crate::wait::until;
use crate::ward::{Plan, Ward, site};
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::Duration;

/// How long the last samples under way may take to be stored once the monitors are gone.
const DRAIN: Duration = Duration::from_secs(15);

/// A running demonstration.
#[derive(Debug)]
pub struct Demo {
    /// Its ward.
    pub ward: Ward,
    watchers: Vec<Live>,
}

impl Demo {
    /// Opens the ward and watches it.
    ///
    /// # Errors
    /// Any part does not come up.
    pub async fn open(plan: &Plan) -> Result<Self> {
        let ward = Ward::open(plan).await?;
        let mut watchers = Vec::new();
        for clinic in &ward.clinics {
            watchers.push(clinic.watch().await?);
        }
        Ok(Self { ward, watchers })
    }

    /// Where to look.
    #[must_use]
    pub fn urls(&self) -> Urls {
        let agents = self.ward.clinics.iter().map(|clinic| clinic.agent.http().to_owned()).collect();
        Urls { hub: self.ward.hub.http().to_owned(), agents }
    }

    /// How to sign in.
    #[must_use]
    pub fn sign_in() -> SignIn {
        SignIn { user: NURSE.into(), pin: PIN.into() }
    }

    /// Ends the monitors, lets everything arrive, and reports. The programs run on.
    ///
    /// # Errors
    /// A program has ended or does not answer. That something did not hold is part of the report.
    pub async fn conclude(&mut self) -> Result<Report> {
        self.ward.alive().await?;
        // Its latency is over the last messages, so it is read while there are any.
        let operator = self.ward.hub.sign_in().await?;
        let fleet = operator.get("/api/v1/fleet").await?;
        self.ward.quiet().await?;
        let mut problems = Vec::new();
        let mut counts = Vec::new();
        for clinic in &self.ward.clinics {
            counts.push(drained(&clinic.agent.sign_in().await?).await?);
        }
        let settled = self.ward.settle().await;
        let digests_equal = settled.is_ok();
        if let Err(error) = &settled {
            problems.push(format!("{error:#}"));
        }
        let lines = settled.unwrap_or_default();
        let mut agents = Vec::new();
        let mut hub_latency = Latency::default();
        for (index, clinic) in self.ward.clinics.iter_mut().enumerate() {
            let name = clinic.agent.name().to_owned();
            hub_latency = hub_latency.worse(latency_of(&site(&fleet, &name)?));
            let status = counts.get(index).cloned().unwrap_or_default();
            let line = lines.get(index).cloned().unwrap_or_default();
            let count = |of: &Value, key: &str| of[key].as_u64().unwrap_or_default();
            agents.push(AgentReport {
                name,
                received: count(&status, "received"),
                stored: count(&status, "stored"),
                scored: count(&status, "scored"),
                alerts: count(&status, "alerts"),
                entries_sent: count(&line, "entries_sent"),
                entries_acked: count(&line, "entries_acked"),
                digest: line["digest"].as_str().unwrap_or_default().to_owned(),
                rss_mb: round(clinic.agent.peak_rss_mb()),
                ready_ms: clinic.agent.ready_ms.unwrap_or_default(),
            });
        }
        let tallies: Vec<_> = self.watchers.iter().map(Live::tally).collect();
        let all = |of: fn(&crate::live::Tally) -> Vec<i64>| Latency::of_us(tallies.iter().flat_map(of).collect());
        let report = Report {
            ok: false,
            problems,
            urls: self.urls(),
            sign_in: Self::sign_in(),
            agents,
            hub: HubReport { digests_equal, rss_mb: round(self.ward.hub.peak_rss_mb()) },
            latency_ms: Latencies {
                stored: all(|tally| tally.stored_us.clone()),
                client: all(|tally| tally.client_us.clone()),
                hub: hub_latency,
                alert: all(|tally| tally.alert_us.values().copied().collect()),
            },
        };
        Ok(report.judged())
    }
}

/// The agent's counters once nothing is under way any more.
async fn drained(nurse: &crate::client::Client) -> Result<Value> {
    let mut last = Value::Null;
    let drained = until("all that was received is stored", DRAIN, async || {
        last = nurse.get("/api/v1/status").await?;
        Ok((last["received"] == last["stored"]).then(|| last.clone()))
    })
    .await;
    // That it does not hold is for the report to say.
    let drained = drained.map(|(counts, _)| counts);
    if last.is_null() { drained.context("the agent's counters") } else { Ok(last) }
}

fn latency_of(row: &Value) -> Latency {
    let latency = &row["latency_ms"];
    Latency { p50: latency["p50"].as_f64(), p99: latency["p99"].as_f64(), n: latency["n"].as_u64().unwrap_or_default() }
}

fn round(mb: f64) -> f64 {
    (mb * 10.0).round() / 10.0
}
