//! The appliance as a clinic meets it: real programs, real wires, real failures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod bad_input;
mod bad_line;
mod bluetooth_faults;
mod bundles;
mod clone;
mod configuration;
mod crash;
mod damage;
mod demonstration;
mod desktop;
mod disk_full;
mod fhir;
mod hub_away;
mod multicast;
mod neighbours;
mod pairing;
mod postgres;
mod reading;
mod registration;
mod revoked;
mod serial_faults;
mod transfer;
mod unplugged;
