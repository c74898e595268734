//! `/metrics`: the fleet's picture as Prometheus text. Labels are the site and the version, nothing else.

use crate::VERSION;
use crate::fleet_view::Seen;
use hub_api::fleet::SiteRow;
use std::fmt::Write as _;

/// One measurement of a site, if there is one.
type Gauge = fn(&SiteRow, i64) -> Option<f64>;

const GAUGES: [(&str, Gauge); 7] = [
    ("site_last_seen_seconds", |row, now_ms| row.last_seen_ms.map(|ms| (now_ms - ms).max(0) as f64 / 1000.0)),
    ("sync_lag_seconds", |row, _| row.lag_s.map(|s| s as f64)),
    ("outbox_pending", |row, _| row.queue.map(|queue| queue as f64)),
    ("site_live", |row, _| Some(f64::from(u8::from(row.live)))),
    ("site_entries", |row, _| Some(row.entries as f64)),
    ("site_incidents", |row, _| Some(f64::from(row.incidents))),
    ("live_latency_p99_seconds", |row, _| row.latency_ms.map(|latency| latency.p99 / 1000.0)),
];

/// Renders the newest picture.
#[must_use]
pub fn render(seen: &Seen) -> String {
    let mut text = format!("# TYPE build_info gauge\nbuild_info{{version=\"{VERSION}\"}} 1\n");
    let Some(fleet) = &seen.fleet else { return text };
    for (name, value) in GAUGES {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "# TYPE {name} gauge");
        for row in &fleet.sites {
            if let Some(value) = value(row, fleet.as_of_ms) {
                let _ = writeln!(text, "{name}{{site=\"{}\"}} {value}", row.site);
            }
        }
    }
    let _ = writeln!(text, "# TYPE live_messages_total counter\nlive_messages_total {}", fleet.live_messages);
    text
}
