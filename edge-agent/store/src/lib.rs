#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! Where a replica keeps its record: one encrypted SQLite file, the same on an agent and on a hub.
//!
//! ```text
//! DataDir::open_or_create ──▶ keys, lock          SqliteStore::open ──▶ Store for `protocol::Replica`
//!                                                   ├─ reader()   the same record, read-only, beside it
//!                                                   └─ accounts() who may sign in
//! backup::{backup, restore}     verify::verify    work on the file of a program that runs or does not
//! ```
//!
//! Always: a transaction that has committed survives loss of power (WAL, `synchronous=FULL`); one that has not leaves no
//! trace; entries are added and never changed; every byte of the record on disk is encrypted, the WAL's too; damaged rows
//! are named, never skipped.
//! Never here: what entries mean (`protocol`), hashing of passwords (`web`), clocks, randomness, threads.
//! Start at [`SqliteStore::open`], then `transaction`, then the file of the table.

pub mod accounts;
pub mod backup;
pub mod ballast;
pub mod data_dir;
mod db;
mod keys;
mod migrate;
mod open;
pub mod pages;
mod sqlite;
mod tables;
mod transaction;
pub mod verify;

pub use accounts::{Accounts, AccountsError, NewUser, User};
pub use backup::{BackupError, RESTORED_FROM};
pub use ballast::Ballast;
pub use data_dir::{DataDir, DataDirError};
pub use sqlite::{SqliteReader, SqliteStore};
pub use verify::{EntryFault, FirstFault, Report};

/// How far a long piece of work has come, in units its function names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// In all, as far as is known.
    pub of: u64,
}
