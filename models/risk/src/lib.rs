//! How ill a patient looks: published scores over a chart, as pure functions of the chart and a moment.
//!
//! ```text
//!     readings, a nurse's entries ──▶ Chart ──┐
//!                                             ├──▶ Score::assess ──▶ Assessment: total or "at least N", what earned
//!     the moment it is judged at ─────────────┘                      each point, how old it is, what is missing or stale
//! ```
//!
//! Always: the same chart and moment give the same [`Assessment`], byte for byte, on every box. An input that is absent,
//! too old or dated ahead of the moment is named and never guessed; adding a missing one never lowers the total. Points are integers;
//! values are compared as decimals, at the precision a nurse charts. A rule cannot change under its version:
//! [`Score::rules_hash`] covers every band, limit and threshold.
//! Never here: clocks, storage, alert lifecycles (`edge-agent/core`), how a screen words a delay.
//!
//! Start at [`SCORES`], then [`chart`], [`freshness`], [`bands`] and one score, [`scores::news2`]. To add a score: a file
//! under `scores/`, a row in [`SCORES`], a card in `cards/`, vectors in `vectors/`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod bands;
pub mod chart;
pub mod freshness;
pub mod limits;
pub mod score;
pub mod scores;

pub use chart::{Acvpu, Chart, ChartError, Input, Oxygen, Source, Spo2Scale, Subject};
pub use score::{Assessment, Band, NotForPatient, Parameter, Part, Population, Priority, Score, Standing, Total, Used};
pub use scores::{SCORES, by_id};
