//! One entry: its row against the chain before it, and its payload against its header.

use crate::db::{Capped, Count, Word};
use protocol::store::{Mask, Scope, State};
use record::id::Hash;
use record::ledger::body::{Body, BodyError, Refiling};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::seal::{self, Place, SealError};
use record::ledger::{Head, Header};
use record::series::{Segment, SegmentError};
use rusqlite::Row;

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// There is none at this place, though others follow or the index of segments names it.
    #[error("it is missing from table entries")]
    Missing,
    /// The header's bytes are no header of a version known here.
    #[error("its header cannot be read")]
    Header,
    /// The header names another chain or place.
    #[error("its header belongs to another place")]
    Place,
    /// The header does not give the hash it was kept under.
    #[error("its header is not the one that was stored")]
    HeaderHash,
    /// The columns beside the header do not repeat what it says.
    #[error("its row in table entries names another kind or time than its header")]
    Columns,
    /// The payload does not have the length and hash its header names.
    #[error("its payload does not match the hash in its header")]
    Payload,
    /// The payload is said to be here and is not, or the other way round.
    #[error("it is kept as {0}, and its payload in table payloads is not as that says")]
    State(&'static str),
    /// What has come of a wanted payload is more than there is to come, or nothing is wanted.
    #[error("what is kept of it in table parts is not the beginning of a wanted payload")]
    Part,
    /// The author has not signed these headers.
    #[error("the author's signature over the entries up to here does not hold")]
    Signature,
    /// The chain ends without a signature.
    #[error("no signature covers it")]
    Unsigned,
    /// The payload does not open with its scope's key.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The payload opens to content of no known form.
    #[error(transparent)]
    Content(#[from] BodyError),
    /// The payload holds something else than its header says.
    #[error("its payload is of another kind than its header says")]
    Kind,
    /// A segment that does not yield its samples.
    #[error("its samples cannot be read: {0}")]
    Segment(#[from] SegmentError),
    /// The index of segments does not list it as it is.
    #[error("the index of segments does not list it as it is")]
    Index,
    /// It says that samples are another patient's, and they are not masked.
    #[error("the samples it takes from this patient are not in table masks")]
    Mask,
}

/// An entry's row, nothing in it believed.
pub(super) struct Raw {
    seq: u64,
    header_hash: Hash,
    pub signature: Option<[u8; 64]>,
    header: Vec<u8>,
    state: State,
    columns: (u16, u8, i64),
    pub payload: Option<Vec<u8>>,
    part: Option<u64>,
}

pub(super) enum Content {
    /// Not here.
    Absent,
    Dead,
    Closed,
    Segment(Segment),
    Mask(Mask),
    Other,
}

impl Raw {
    /// The entries of a chain's row, in order.
    pub const SELECT: &str = "SELECT e.seq, e.header_hash, e.signature, e.header, e.state, e.kind, e.priority, e.wall_ms, \
         p.payload, length(t.bytes) FROM entries e LEFT JOIN payloads p ON p.arrival = e.arrival \
         LEFT JOIN parts t ON t.arrival = e.arrival WHERE e.chain = ? ORDER BY e.seq";

    pub fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (Count(seq), Word(state)) = (row.get(0)?, row.get(4)?);
        Ok(Self {
            seq,
            header_hash: Hash(row.get(1)?),
            signature: row.get(2)?,
            header: row.get(3)?,
            state,
            columns: (row.get(5)?, row.get(6)?, row.get(7)?),
            payload: row.get(8)?,
            part: row.get::<_, Option<Count>>(9)?.map(|Count(bytes)| bytes),
        })
    }

    /// Header and payload against the chain up to here; the header and its hash.
    pub fn check(&self, at: Head) -> Result<(Header, Hash), EntryFault> {
        if self.seq != at.next {
            return Err(EntryFault::Missing);
        }
        let header: Header = postcard::from_bytes(&self.header).map_err(|_| EntryFault::Header)?;
        if header.v != VERSION || header.bytes() != self.header {
            return Err(EntryFault::Header);
        }
        if header.chain() != at.chain || header.seq != at.next {
            return Err(EntryFault::Place);
        }
        let hash = header.hash(at.hash);
        if hash != self.header_hash {
            return Err(EntryFault::HeaderHash);
        }
        if self.columns != (header.kind.0, header.kind.priority(), Capped(header.hlc.wall_ms).integer()) {
            return Err(EntryFault::Columns);
        }
        if self.payload.is_some() != self.state.holds() {
            return Err(EntryFault::State(self.state.word()));
        }
        if let Some(payload) = &self.payload
            && (payload.len() != header.len as usize || sha256(&[payload]) != header.payload_hash)
        {
            return Err(EntryFault::Payload);
        }
        let wanted = matches!(self.state, State::Wanted | State::Absent);
        if self.part.is_some_and(|bytes| !wanted || bytes >= u64::from(header.len)) {
            return Err(EntryFault::Part);
        }
        Ok((header, hash))
    }

    pub fn open(&self, header: &Header, scope: Option<&Scope>) -> Result<Content, EntryFault> {
        let payload = match (&self.payload, self.state) {
            (None, _) => return Ok(Content::Absent),
            (Some(_), State::Dead) => return Ok(Content::Dead),
            // Unread until its key comes, or until its author is believed again.
            (Some(_), State::Waiting | State::Quarantined) => return Ok(Content::Closed),
            (Some(payload), _) => payload,
        };
        let key = scope.and_then(|scope| scope.key.as_ref()).filter(|(id, _)| *id == header.key_id).map(|(_, key)| key);
        // A kind that a newer version has added is kept and relayed unread.
        if (key.is_none() && header.key_id != 0) || !header.kind.is_known() {
            return Ok(Content::Closed);
        }
        let Header { author, run, scope, seq, kind, .. } = *header;
        let canonical = seal::open(key, &Place { author, run, scope, seq, kind }, payload)?;
        let (_, body) = Body::decode(&canonical)?;
        if body.kind() != kind {
            return Err(EntryFault::Kind);
        }
        match body {
            Body::Segment(segment) | Body::Refiling(Refiling::Copy { segment, .. }) => {
                segment.frames()?;
                Ok(Content::Segment(segment))
            }
            Body::Refiling(Refiling::Mask { chain, seq, from, to }) => Ok(Content::Mask(Mask { chain, seq, from, to })),
            _ => Ok(Content::Other),
        }
    }
}
