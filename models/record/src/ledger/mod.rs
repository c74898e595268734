//! The ledger: what one replica writes about one scope is a signed, hash-chained, gap-free run of entries.
//!
//! An *entry* is a [`Header`] and a sealed payload. A *chain* is (author, run, scope); each header's hash covers the one
//! before it, and an Ed25519 signature over the newest hash covers the run of entries behind it. A *stretch* is the unit
//! that travels: consecutive entries of one chain that end at a signature.
//!
//! Always: anyone verifies a chain without keys; a payload is sealed once, by its author, and never re-encoded; unknown
//! kinds verify, travel and count like known ones.
//! Never here: which entries to send, where they are kept (`protocol`), time, randomness.

pub mod body;
pub mod chain;
pub mod configuration;
pub mod digest;
pub mod entry;
pub mod envelope;
pub mod grant;
pub mod hlc;
pub mod identity;
pub mod receipt;
pub mod seal;

pub use body::{Act, Body};
pub use chain::{ChainError, ChainId, Head, Stretch};
pub use digest::{SetDigest, set_digest};
pub use entry::{Header, Kind};
pub use hlc::Hlc;
pub use identity::Identity;
pub use seal::ScopeKey;
