//! The whole surface as its clients meet it: requests through the router, and real sockets where sockets matter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clinic;
mod conflicts;
mod fhir;
mod live;
mod refusals;
mod screens;
mod signing_in;
mod wire;
