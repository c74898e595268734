//! The messages of a sync session and their bytes: postcard behind a version byte, one kind of message both ways,
//! size-bounded. What the receiver can derive is not sent: its own and the sender's ids, sequence numbers within a stretch, and
//! the hash and length of a payload that comes along.

mod compact;

use record::id::{Hash, ReplicaId};
use record::ledger::receipt::{Receipt, ReceiptId};
use record::ledger::{ChainId, Stretch};
use serde::{Deserialize, Serialize};

/// Version of these messages.
pub const VERSION: u8 = 2;
/// Largest message, bytes.
pub const MESSAGE_LIMIT: usize = 8 << 20;
/// About how many bytes go into one message: what is sent again at most when a line is cut.
pub const BUDGET: usize = 48 << 10;
/// Content type of a message over HTTP.
pub const CONTENT_TYPE: &str = "application/vnd.lamplight.sync";

/// Names an arrival log. A store restored from a backup gets another, since its log forks from the one its peers know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LogId(pub [u8; 4]);

/// A place in an arrival log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// Which log; zero: none yet.
    pub log: LogId,
    /// All arrivals up to this.
    pub at: u64,
}

/// One message: what the sender holds, how far it has taken in the receiver's log, and what it sends and wants.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Message {
    /// The sender's set digest over the scopes both take part in.
    pub digest: Hash,
    /// The sender's log.
    pub log: LogId,
    /// The stretches in this message, with those before, are all of the sender's log …
    pub from: u64,
    /// … after `from` and up to this that the receiver has not written itself.
    pub reached: u64,
    /// Whether the sender's log goes on.
    pub more: bool,
    /// How far the sender has taken in the receiver's log.
    pub taken: Position,
    /// Entries, some without their payloads.
    pub stretches: Vec<Stretch>,
    /// Payloads the sender wants, most urgent first.
    pub wants: Vec<Want>,
    /// Pieces of payloads the receiver wanted.
    pub parts: Vec<Part>,
    /// Payloads the receiver wanted that the sender does not have and will not.
    pub absent: Vec<(ChainId, u64)>,
    /// Heads by ranges, when cursors have not made the digests equal.
    pub ranges: Vec<Range>,
    /// What the sender holds, signed.
    pub receipt: Option<Receipt>,
    /// The newest of the receiver's receipts that the sender has.
    pub cites: ReceiptId,
    /// Stretches of the receiver that were not taken.
    pub refused: Vec<Refused>,
    /// Said when a session opens.
    pub opening: Option<Opening>,
}

/// What the one that opens a session says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Opening {
    /// Its program and version, until the receiver has answered once.
    pub program: Option<String>,
    /// Its entries the receiver has not signed for.
    pub waiting: u64,
    /// When the oldest of them was written, seconds since 1970.
    pub oldest_s: Option<i64>,
}

/// A payload that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    /// Its chain.
    pub chain: ChainId,
    /// Its place.
    pub seq: u64,
    /// From this byte on.
    pub offset: u64,
}

/// A piece of a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its chain.
    pub chain: ChainId,
    /// Its place.
    pub seq: u64,
    /// Its first byte.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A stretch that was not taken, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its chain.
    pub chain: ChainId,
    /// Its first entry.
    pub seq: u64,
    /// What is wrong, naming the entry.
    pub reason: String,
}

/// What the sender holds of the chains from the range before up to, not including, `upto`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first chain past it; none: it reaches the end.
    pub upto: Option<ChainId>,
    /// What is said of it.
    pub says: Says,
}

/// What is said of a range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Says {
    /// Nothing: both hold the same, or all has been said.
    Same,
    /// A digest of its heads.
    Digest([u8; 16]),
    /// Its heads.
    Heads {
        /// Chain, how many entries, hash of the last header.
        heads: Vec<(ChainId, u64, Hash)>,
        /// Whether it answers heads, and so needs no answer.
        answer: bool,
    },
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
pub fn encode(message: &Message, sender: ReplicaId, receiver: ReplicaId) -> Vec<u8> {
    let compact = compact::Compact::of(message, compact::Ends { sender, receiver });
    // Plain fields into memory: cannot fail.
    postcard::to_extend(&compact, vec![VERSION]).unwrap_or_default()
}

/// Reads a message that `sender` sent to `receiver`.
///
/// # Errors
/// [`WireError`].
pub fn decode(bytes: &[u8], sender: ReplicaId, receiver: ReplicaId) -> Result<Message, WireError> {
    if bytes.len() > MESSAGE_LIMIT {
        return Err(WireError::TooLarge(bytes.len()));
    }
    match bytes.split_first() {
        Some((&VERSION, rest)) => match postcard::take_from_bytes::<compact::Compact<'_>>(rest) {
            Ok((compact, [])) => compact.message(compact::Ends { sender, receiver }).ok_or(WireError::Unreadable),
            _ => Err(WireError::Unreadable),
        },
        Some((&version, _)) => Err(WireError::Version(version)),
        None => Err(WireError::Unreadable),
    }
}
