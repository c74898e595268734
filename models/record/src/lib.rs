#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! The words every other room speaks: what was measured, on whom, when, by what, and how it is written down for good.
//!
//! Read in this order: [`observation`] (what a device said), [`binding`] (whom it was about), [`series`] (how a day of
//! it is kept), [`document`] (everything that is not a series), [`ledger`] (how both travel and stay provable),
//! [`fhir`] (how others read them).
//!
//! Always: values stay decimal as sent; "no value" is a status, never a zero; the same set of ledger entries gives the
//! same record, whatever their order.
//! Never here: clocks, randomness, sockets, files. Time and entropy arrive as arguments.

pub mod binding;
pub mod code;
pub mod decimal;
pub mod document;
pub mod fhir;
pub mod id;
pub mod laboratory;
pub mod ledger;
pub mod observation;
pub mod series;
pub mod time;
pub mod unit;
