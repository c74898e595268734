//! What a kept entry and a kept document must be, whatever keeps them: the checks of stores that prove themselves.
//!
//! Trusts nothing a store says: it reads its rows into these types, and what they say is held against what the bytes give.

use crate::store::{Mask, Scope, State};
use record::document::{Conflict, Document, DocumentError};
use record::id::Hash;
use record::ledger::body::{Body, BodyError, Refiling};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::identity::Signature;
use record::ledger::seal::{self, Place, SealError};
use record::ledger::{Head, Header, Hlc};
use record::series::{Segment, SegmentError};
use serde_json::{Map, Value};

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

/// An entry as a store keeps it, nothing in it believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its place.
    pub seq: u64,
    /// The hash it was kept under.
    pub header_hash: Hash,
    /// On the last entry of a stretch.
    pub signature: Option<Signature>,
    /// The header's bytes.
    pub header: Vec<u8>,
    /// Where its payload is said to be.
    pub state: State,
    /// What stands beside the header: kind, priority, wall clock in ms, the last cut at what a signed integer holds.
    pub columns: (u16, u8, i64),
    /// Its payload, if it is here.
    pub payload: Option<Vec<u8>>,
    /// Bytes of a wanted payload that have come, if any.
    pub part: Option<u64>,
}

/// What a payload turned out to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// Not here.
    Absent,
    /// Known to be unreadable.
    Dead,
    /// Its scope's key is not here, or its author is not believed.
    Closed,
    /// Samples, every one of them read.
    Segment(Segment),
    /// That samples are another patient's.
    Mask(Mask),
    /// Anything else that opened.
    Other,
}

impl Row {
    /// Header and payload against the chain up to here; the header and its hash.
    ///
    /// # Errors
    /// The first thing that is wrong.
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
        if self.columns != (header.kind.0, header.kind.priority(), i64::try_from(header.hlc.wall_ms).unwrap_or(i64::MAX)) {
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

    /// What its payload holds, by the key of its scope.
    ///
    /// # Errors
    /// It does not open, or to what its header does not say.
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

/// Whether a document shows what its parts give.
///
/// # Errors
/// What is wrong, in words.
pub fn document(resource_type: &str, version: &str, updated: Hlc, conflicted: bool, json: &str, parts: &[u8]) -> Result<(), String> {
    let parts: Document = postcard::from_bytes(parts).map_err(|e| format!("its parts cannot be read: {e}"))?;
    let shown = match parts.show(resource_type) {
        Err(DocumentError::NoGenesis) if json.is_empty() => return Ok(()),
        Err(e) => return Err(format!("its parts show nothing: {e}")),
        Ok(shown) => shown,
    };
    let mut kept: Map<String, Value> = serde_json::from_str(json).map_err(|e| format!("its JSON cannot be read: {e}"))?;
    let open = shown.conflicts.iter().any(Conflict::is_open);
    let mut made = shown.json;
    // What a store adds to what is shown.
    let meta = kept.remove("meta").unwrap_or_default();
    let stamped = meta.get("versionId").and_then(Value::as_str) == Some(version) && meta.get("lastUpdated").is_some_and(Value::is_string);
    made.remove("meta");
    if made != kept || shown.version != version || shown.updated != updated || open != conflicted || !stamped {
        return Err("what it shows is not what its parts give".to_owned());
    }
    Ok(())
}
