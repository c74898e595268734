//! The hub: watches many sites, holds provably the same bytes as each, and says what it knows as of when.
//!
//!     agents ──HTTP/2, mTLS──▶ routes/session ──▶ recorder (one replica, one writer) ──▶ shelf: hub.db ╮ or PostgreSQL
//!            ──one-time code─▶ routes/enrol   ──▶ register (who belongs)             ──▶        fleet.db ╯
//!            ──MQTT, mTLS────▶ mqtt/front ──▶ broker on loopback ──▶ mqtt/ear ──▶ live board, in memory
//!     people ──HTTPS─────────▶ `web` (sign-in, FHIR, screens) and routes/{fleet,alerts}
//!
//! Always: one process writes a ledger; commands beside it touch the accounts and the fleet only. Whether a site still
//! belongs is looked up with each request, not read from its certificate. Nothing a site sends can stop another.
//! Never here: what is decided (`hub-core`), how the ledger works (`protocol`), how it is kept (`edge-store`, `hub-store`).
//! Start at [`run`], then `hub`, then the table in `routes`.

mod authority;
mod bundles;
mod cli;
mod clock;
mod commands;
mod config;
mod configuring;
mod fleet_view;
mod house;
mod hub;
mod keeping;
mod metrics;
mod mqtt;
mod register;
mod routes;
mod run;
mod shelf;
mod users;
mod waiting;

use clap::Parser;
use std::process::ExitCode;

/// Version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    // Where, never what: a panic's words may hold what was being worked on.
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(at) => eprintln!("sync-hub: panic at {at}"),
        None => eprintln!("sync-hub: panic"),
    }));
    // Only fails if a provider is installed already, and then it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sync-hub: {error:#}");
            ExitCode::FAILURE
        }
    }
}
