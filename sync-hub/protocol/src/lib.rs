#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! How replicas hold and exchange the ledger. Agent and hub run this very code.
//!
//! ```text
//!     drafts ──▶ Replica::commit ──▶ signed, sealed entries ─┐
//!                                                            ├─▶ Store (one durable transaction)
//!     messages from a peer ──▶ Replica::answer ──────────────┘ ──▶ messages
//!     session::Session: the end that opens, until both digests are equal and nothing is lacked
//! ```
//!
//! Always: what a store holds is a function of its set of entries; a refused stretch leaves its chain as it was and the
//! others go on; nothing is answered as accepted before its transaction is durable.
//! Never here: sockets, files, clocks, randomness. Time and entropy are arguments; a [`store::Store`] is given.
//! Start at [`replica::Replica::commit`], then [`session`], then [`replica::Replica::accept`].

pub mod access;
pub mod bundle;
pub mod commit;
pub mod conformance;
pub mod entropy;
pub mod evidence;
pub mod memory;
pub mod reader;
pub mod replica;
pub mod session;
pub mod store;
pub mod wire;

pub use commit::{Commit, Committed, Draft, Where};
pub use entropy::Entropy;
pub use replica::{Peer, PeerRole, Replica};
pub use store::{Store, StoreError, Transaction};
