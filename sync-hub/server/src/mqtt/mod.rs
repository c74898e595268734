//! Live data: a guard at the door, a broker behind it on loopback, and an ear of our own.
//!
//!     agent ──TLS, certificate──▶ front ──password──▶ broker (127.0.0.1) ──▶ ear ──▶ live board
//!
//! Always: no packet reaches the broker that the site's certificate does not allow; nothing on this machine but front and
//! ear knows the broker's password, which is made anew at each start.

pub mod broker;
pub mod ear;
pub mod front;

pub use broker::Broker;
