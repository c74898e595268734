#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! What the hub decides: who may join, who may no longer, who may say what on which topic, and how a site is doing.
//!
//!     enrolment  a code and a signature ──▶ a member, or the reason why not
//!     membership the end of one: last accepted heads, and what is said to whoever writes on
//!     fleet      facts about a site ──▶ the row an operator reads
//!     live       batches and presence ──▶ counters, latencies, the newest values
//!     mqtt       a packet of a site ──▶ let through, or why not
//!
//! Always: a code opens one door once, within a day; a name belongs to one replica for ever; memory of live data is bounded.
//! Never here: the ledger (`protocol`), sockets, files, clocks, randomness.

pub mod alerts;
pub mod configuration;
pub mod enrolment;
pub mod fleet;
pub mod latency;
pub mod live;
pub mod membership;
pub mod mqtt;
pub mod site;
