#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! Where a hub keeps its fleet: `fleet.db`, one small encrypted SQLite file beside the ledger's; and, for a hub that has
//! outgrown files, ledger, fleet and accounts in PostgreSQL ([`postgres`]).
//!
//! Always: a code is used at most once, however many ask at the same moment; a replica has one name and a name one replica;
//! what is returned as done survives loss of power; the file is readable by its user alone and encrypted whole.
//! Never here: the ledger in SQLite and the accounts (`edge-store`), what a status or a revocation means (`hub-core`: its types are
//! parameters here), clocks, randomness.
//!
//! Server and commands each open the file for themselves; SQLite's locks stand between them.
//! Start at [`FleetStore::open`] and [`Postgres::new`].

mod backup;
mod fleet;
mod open;
pub mod postgres;

pub use self::postgres::{AccountRow, Postgres, PostgresAccounts, PostgresReader, PostgresStore, PostgresUrl};
pub use fleet::{CodeRow, Enrolment, FleetStore, Found, SiteRow};
