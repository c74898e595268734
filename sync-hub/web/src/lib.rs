//! The HTTP surface that agent and hub share: one port, one way to sign in, one way to refuse.
//!
//!     TCP ─ listener (TLS or, on the machine itself, plain) ─ harden ─ dialect ─ limits ─ present (token → session)
//!                                                                                             │
//!              screens ◀─ site    FHIR ◀─ fhir    /api/v1/live ◀─ live    the program's routes ◀── guard
//!
//! Always: nothing but health, readiness, FHIR metadata, screens and sign-in answers without a session, save the routes
//! a program names as having their own door. A note in the audit trail is durable before patient data leave. Every
//! refusal is a problem document, below `/fhir` an OperationOutcome. Every queue, body, wait and map has a limit.
//! Never here: what a resource means (`record::fhir`), where accounts or notes are kept, the clock and the dice
//! ([`given`]), secrets or patient data in logs.
//! Start at [`Surface`], then [`listener::serve`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod accounts;
pub mod audit;
pub mod bundles;
pub mod conflicts;
pub mod dead_letters;
pub mod fhir;
pub mod given;
pub mod guard;
pub mod harden;
pub mod json;
pub mod listener;
pub mod live;
pub mod lockout;
pub mod openapi;
pub mod ops;
pub mod problem;
pub mod rate;
pub mod recorder;
pub mod records;
pub mod secret;
pub mod session;
pub mod sign_in;
pub mod site;
pub mod surface;
pub mod sync;
pub mod tls;
pub mod waiting;

pub use surface::{Routes, Surface};
