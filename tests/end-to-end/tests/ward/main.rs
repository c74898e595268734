//! The appliance as a clinic meets it: real programs, real wires, real failures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod bad_input;
mod clone;
mod crash;
mod demonstration;
mod desktop;
mod fhir;
mod hub_away;
mod reading;
mod revoked;
mod unplugged;
