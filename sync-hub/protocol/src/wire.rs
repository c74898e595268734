//! The messages of a sync session: postcard behind a version byte, one request and one reply each, size-bounded.

use crate::replica::Refused;
use record::id::{Hash, ReplicaId};
use record::ledger::receipt::Receipt;
use record::ledger::{Head, Stretch};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of these messages.
pub const VERSION: u8 = 1;
/// Largest message, bytes.
pub const MESSAGE_LIMIT: usize = 8 << 20;
/// About how many bytes of entries go into one message.
pub const BATCH_BYTES: usize = 512 << 10;
/// Content type of a message over HTTP.
pub const CONTENT_TYPE: &str = "application/vnd.lamplight.sync";

/// From the site to its hub.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Begins a session: "this is all I hold of what we share".
    Open {
        /// The site's replica.
        site: ReplicaId,
        /// Its set digest.
        digest: Hash,
        /// Its program version.
        program: String,
        /// Entries the hub has not signed for.
        waiting: u64,
        /// The oldest of them, µs since 1970.
        oldest_waiting: Option<i64>,
    },
    /// Entries the hub lacks.
    Push(Vec<Stretch>),
    /// Asks for what the hub holds past these heads, about [`BATCH_BYTES`] at a time.
    Pull(Vec<Head>),
    /// Ends a session: the site's receipt for all it holds of what is shared.
    Close(Receipt),
}

/// From the hub to a site.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The digests are equal: the session is over. The hub's receipt is the one it gave before, named by its digest.
    Same {
        /// The digest both hold.
        digest: Hash,
    },
    /// They are not: what the hub holds.
    Heads(Vec<Head>),
    /// What came of a push; on return it is durable.
    Pushed {
        /// Entries that were new.
        entries: u64,
        /// Stretches not taken.
        refused: Vec<Refused>,
    },
    /// What a pull yields; an empty list ends it.
    Pulled(Vec<Stretch>),
    /// The hub's own receipt, and whether it agrees with the site's.
    Closed(Receipt),
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Past [`MESSAGE_LIMIT`].
    #[error("message of {0} bytes is past the limit of {MESSAGE_LIMIT}")]
    TooLarge(usize),
    /// Another version of the protocol.
    #[error("sync protocol version {0} is not spoken here (version {VERSION} is)")]
    Version(u8),
    /// No message.
    #[error("the bytes are no sync message")]
    Unreadable,
}

/// The bytes of a message.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // Plain fields into memory: cannot fail.
    postcard::to_extend(message, vec![VERSION]).unwrap_or_default()
}

/// Reads a message.
///
/// # Errors
/// [`WireError`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > MESSAGE_LIMIT {
        return Err(WireError::TooLarge(bytes.len()));
    }
    match bytes.split_first() {
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest) {
            Ok((message, [])) => Ok(message),
            _ => Err(WireError::Unreadable),
        },
        Some((&version, _)) => Err(WireError::Version(version)),
        None => Err(WireError::Unreadable),
    }
}
