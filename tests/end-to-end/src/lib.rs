//! A ward of real processes: a hub, agents and simulated monitors, each the program a clinic runs, in a directory of its own.
//!
//!     ward ──┬─ hub ────── process ─┬─ ready line on stdout, log in a file, peak memory
//!            └─ clinic ─┬─ agent ───┤  killed with its owner
//!                       └─ monitors ┘
//!     client (HTTP), live (WebSocket) ──▶ measure ──▶ report
//!
//! Always: no port is fixed; two wards never meet; nothing outlives its ward; every wait has an end and, when it comes, says what
//! was waited for and what the programs said last.
//! Never here: any crate of the house. What a test knows of the appliance it learns as a stranger would, from outside.
//! Start at [`ward::Ward::open`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod agent;
pub mod bedside;
pub mod chance;
pub mod chart;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod disk;
pub mod hub;
pub mod live;
pub mod measure;
pub mod paths;
pub mod patients;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod report;
pub mod simulator;
pub mod wait;
pub mod ward;
pub mod writer;
