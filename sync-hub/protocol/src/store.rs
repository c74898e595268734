//! What a store must do, whatever keeps it: SQLite on an agent, SQLite or PostgreSQL on a hub, memory in a simulation.
//!
//! The suite in [`crate::conformance`] holds every store to it. Called by [`crate::replica::Replica`] and by programs.

use crate::access::Access;
use record::binding::Binding;
use record::id::{Hash, PatientId, ReplicaId, ResourceId, ScopeId};
use record::ledger::entry::sha256;
use record::ledger::grant::{Opening, ScopeRole};
use record::ledger::identity::Signature;
use record::ledger::receipt::{Held, Receipt};
use record::ledger::{ChainId, Head, Header, Hlc, ScopeKey, Stretch};
use record::series::Boot;
use record::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing of the transaction was kept.
    #[error("the disk holding {0} is full: free space or shed waveforms")]
    Full(String),
    /// The file cannot be opened with this key, or is no store.
    #[error("{what} cannot be opened: {why}")]
    Open {
        /// Which file.
        what: String,
        /// Why.
        why: String,
    },
    /// What keeps the record cannot be reached at this moment. Nothing of the transaction was kept; a later try may succeed.
    #[error("{what} is not reached: {why}")]
    Away {
        /// Which, and where, without secrets.
        what: String,
        /// Why.
        why: String,
    },
    /// Bytes in the store are not what was written there.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// Table and row.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Anything else, in the words of what keeps it.
    #[error("store: {0}")]
    Other(String),
}

/// A place that keeps a replica's record.
pub trait Store {
    /// Starts a transaction. Dropping it without [`Transaction::commit`] undoes it.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError>;
}

/// A scope as this replica knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// Which.
    pub id: ScopeId,
    /// What it is about; unknown until a grant of it has been read.
    pub role: Option<ScopeRole>,
    /// The replica that began it; until a grant of it has been read, the first author seen in it.
    pub creator: ReplicaId,
    /// Its key and the key's number; unknown until granted, gone once erased or left.
    pub key: Option<(u32, ScopeKey)>,
    /// The patient it is about, once their Patient resource is known.
    pub patient: Option<PatientId>,
    /// Who takes part in it.
    pub access: Access,
}

impl Scope {
    /// What a grant of it says; none while its key is not here.
    #[must_use]
    pub fn opening(&self) -> Option<Opening> {
        let (key_id, key) = self.key.clone()?;
        Some(Opening { scope: self.id, role: self.role?, creator: self.creator, key_id, key })
    }
}

/// Where an entry's payload is, and whether it has reached the views.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Not here yet: to be fetched.
    Wanted,
    /// Not here, and the peers that were asked do not have it; see the dead letters.
    Absent,
    /// Here; its scope's key is not.
    Waiting,
    /// Here, and in the views if there is anything to do for it.
    Done,
    /// Here and unreadable; see the dead letters.
    Dead,
    /// Here and kept from the views: its author's membership had been revoked.
    Quarantined,
    /// Given up by its author on a full disk, before anybody else held it.
    Shed,
    /// Dropped here: held elsewhere under a receipt, or its scope has been left.
    Dropped,
    /// Destroyed with its scope.
    Erased,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] =
        [Self::Wanted, Self::Absent, Self::Waiting, Self::Done, Self::Dead, Self::Quarantined, Self::Shed, Self::Dropped, Self::Erased];

    /// Whether the payload is here.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Waiting | Self::Done | Self::Dead | Self::Quarantined)
    }

    /// The word it is kept under.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Absent => "absent",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Quarantined => "quarantined",
            Self::Shed => "shed",
            Self::Dropped => "dropped",
            Self::Erased => "erased",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// An entry as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its header.
    pub header: Header,
    /// The header's hash in its chain.
    pub hash: Hash,
    /// Where its payload is.
    pub state: State,
    /// The sealed payload; empty unless [`State::holds`].
    pub payload: Vec<u8>,
}

/// A chain as kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain {
    /// How far its headers are known.
    pub head: Head,
    /// Arrival number of its last entry.
    pub arrival: u64,
    /// Stamp of its last entry.
    pub hlc: Hlc,
    /// How far a later run of its author says it went; 0 if none has said so.
    pub continued: u64,
}

/// Headers that arrived in one piece, ending at a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Arrival number of the last of them.
    pub arrival: u64,
    /// The headers, at least one.
    pub headers: Vec<Header>,
    /// Over the hash of the last.
    pub signature: Signature,
}

/// A page of the arrival log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogPage {
    /// What was asked for, in order of arrival.
    pub stretches: Vec<Logged>,
    /// How far the log was read: nothing asked for lies between the last stretch and this.
    pub reached: u64,
    /// Whether the log goes on after `reached`.
    pub more: bool,
}

/// A document as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredDocument {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: ResourceId,
    /// Its scope.
    pub scope: ScopeId,
    /// The parts: postcard of `record::document::Document`.
    pub parts: Vec<u8>,
    /// The resource as shown, canonical JSON with `meta`; empty while it has no genesis.
    pub json: String,
    /// Its version.
    pub version: String,
    /// Stamp of the newest part.
    pub updated: Hlc,
    /// Whether values written at the same time wait for a person's choice.
    pub conflicted: bool,
    /// What it is found by: of a Patient `record::fhir::identity::keys`.
    pub keys: Vec<i64>,
}

/// Where a segment lies and what it spans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentRow {
    /// The entry that holds it.
    pub chain: ChainId,
    /// Its place.
    pub seq: u64,
    /// Device id.
    pub device: String,
    /// Device session.
    pub boot: Boot,
    /// Waves, else numerics.
    pub waves: bool,
    /// Earliest measurement.
    pub start: Timestamp,
    /// Latest measurement.
    pub end: Timestamp,
    /// Sequence number after its last sample.
    pub next_seq: u64,
}

/// How far a reader of numerics must have read to know everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeriesMark {
    /// Differs once anything committed may have changed what is said of scopes, segments of numerics, masks, bindings or Patients.
    pub version: u64,
    /// Differs once a payload of numerics, or the key to any, may have gone: dropped, shed, left, erased.
    pub gone: u64,
    /// The newest tick's id; 0 if there has been none.
    pub newest_tick: u64,
}

/// Samples of a segment that are not the scope's patient's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mask {
    /// The segment's chain.
    pub chain: ChainId,
    /// Its place.
    pub seq: u64,
    /// Measured at or after.
    pub from: Timestamp,
    /// Measured at or before.
    pub to: Timestamp,
}

/// An entry that could not be taken up, kept with the reason until a retry succeeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// Its chain.
    pub chain: ChainId,
    /// Its place.
    pub seq: u64,
    /// Why.
    pub reason: String,
}

/// Something that must not pass unnoticed. Repeats of one (author, kind, detail) are one incident.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    /// The replica concerned.
    pub author: ReplicaId,
    /// `digest-differs`, `fork`, `clone`, `broken-chain`, `unreadable-payload`, `absent-payload`, `damaged-payload`, `revoked-writes`, `shed`,
    /// `state-differs`.
    pub kind: String,
    /// What and where, without patient data.
    pub detail: String,
    /// First seen.
    pub at: Timestamp,
    /// Who closed it; none while it is open.
    pub closed: Option<Closing>,
}

/// That somebody has looked at an incident and why nothing is left to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// User name.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Incident {
    /// What it is called by: 16 hex digits made of what makes it one.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = sha256(&[b"lamplight/incident", &self.author.0, self.kind.as_bytes(), b"\0", self.detail.as_bytes()]);
        hash.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Which documents to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DocumentFilter {
    /// FHIR resource type.
    pub resource_type: String,
    /// Only those of this scope.
    pub scope: Option<ScopeId>,
    /// Only those that are [`StoredDocument::conflicted`].
    pub conflicted: bool,
    /// Only those that have one of these [`StoredDocument::keys`]; empty for all.
    pub keys: Vec<i64>,
    /// Only ids after this one (ids ascend).
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// Everything that can be done within one transaction.
pub trait Transaction {
    /// Makes all of it durable: on return it survives loss of power.
    ///
    /// # Errors
    /// Nothing was kept.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;

    // Entries.

    /// Every chain.
    ///
    /// # Errors
    /// As all below: [`StoreError`].
    fn chains(&mut self) -> Result<Vec<Chain>, StoreError>;
    /// Appends a stretch that has been verified against its chain's head, arrival numbers ascending. An entry whose payload
    /// is empty is [`State::Wanted`], any other is in `state`.
    fn append(&mut self, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError>;
    /// Notes how far a later run says a chain went, if that is further than is known.
    fn set_continued(&mut self, chain: ChainId, next: u64) -> Result<(), StoreError>;
    /// Stretches that arrived after `after` and whose chain is one to `keep`, oldest first; reads at most about `limit` entries,
    /// at least one stretch if there is any.
    fn log(&mut self, after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<LogPage, StoreError>;
    /// The headers of a chain from `from` on, in stretches, without payloads: about `limit` entries, at least one stretch if
    /// there is any.
    fn stretches(&mut self, chain: ChainId, from: u64, limit: usize) -> Result<Vec<Stretch>, StoreError>;
    /// One entry.
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError>;
    /// The hash of the header at a place, for telling a repeat from a fork.
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError>;
    /// Adds the payload of an entry, hash-checked by the caller; what had come of it in parts is forgotten.
    fn put_payload(&mut self, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError>;
    /// Changes an entry's state. Into a state that holds nothing, its payload and parts are dropped.
    fn mark(&mut self, chain: ChainId, seq: u64, state: State) -> Result<(), StoreError>;
    /// Entries in a state, of one scope if given, in order of arrival, at most `limit`; payloads left out.
    fn in_state(&mut self, state: State, scope: Option<ScopeId>, limit: usize) -> Result<Vec<Entry>, StoreError>;
    /// Headers of wanted entries whose chain is one to `keep`: by [`record::ledger::Kind::priority`], newest first, at most `limit`.
    fn wanted(&mut self, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<Vec<Header>, StoreError>;
    /// The entries of a chain whose payload is not here, by place.
    fn lacking(&mut self, chain: ChainId) -> Result<Vec<(u64, State)>, StoreError>;
    /// What has come of a wanted payload so far.
    fn part(&mut self, chain: ChainId, seq: u64) -> Result<Vec<u8>, StoreError>;
    /// Sets what has come of a wanted payload so far.
    fn put_part(&mut self, chain: ChainId, seq: u64, bytes: &[u8]) -> Result<(), StoreError>;
    /// Puts every entry of a scope except those that outlive it ([`record::ledger::Kind::outlives_scope`]) into a state that holds nothing. To
    /// [`State::Erased`] or [`State::Dropped`]: also drops the scope's documents, segments and masks. To [`State::Wanted`]: only
    /// those that are [`State::Dropped`].
    fn clear(&mut self, scope: ScopeId, state: State) -> Result<(), StoreError>;
    /// Entries held, by author.
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError>;

    // Scopes and keys.

    /// Every scope known.
    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError>;
    /// One scope.
    fn scope(&mut self, id: ScopeId) -> Result<Option<Scope>, StoreError>;
    /// The scopes about a patient: one, or several once registrations of one person have been made in two places.
    fn scopes_of(&mut self, patient: &PatientId) -> Result<Vec<Scope>, StoreError>;
    /// Adds or replaces a scope.
    fn put_scope(&mut self, scope: &Scope) -> Result<(), StoreError>;

    // Views: documents, bindings, segments.

    /// One document.
    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError>;
    /// Adds or replaces a document.
    fn put_document(&mut self, document: &StoredDocument) -> Result<(), StoreError>;
    /// Documents by filter, ids ascending; those without a genesis are left out.
    fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError>;
    /// Every version of every binding.
    fn bindings(&mut self) -> Result<Vec<(Hlc, Binding)>, StoreError>;
    /// Adds a version of a binding; repeats change nothing.
    fn put_binding(&mut self, hlc: Hlc, binding: &Binding) -> Result<(), StoreError>;
    /// Adds a segment to the index; repeats change nothing.
    fn put_segment(&mut self, row: &SegmentRow) -> Result<(), StoreError>;
    /// Segments of a scope that overlap `from..=to`, newest start first, at most `limit`.
    fn segments(
        &mut self,
        scope: ScopeId,
        waves: bool,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<SegmentRow>, StoreError>;
    /// Segments whose payload is here and that end before a moment, oldest first, at most `limit`.
    fn oldest_segments(&mut self, waves: bool, before: Timestamp, limit: usize) -> Result<Vec<SegmentRow>, StoreError>;
    /// Adds a mask; repeats change nothing.
    fn put_mask(&mut self, mask: &Mask) -> Result<(), StoreError>;
    /// The masks of a scope's segments.
    fn masks(&mut self, scope: ScopeId) -> Result<Vec<Mask>, StoreError>;
    /// The highest `next_seq` sealed of each (device, boot, waves) with an end at or after `since`.
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError>;
    /// How far a reader of numerics must have read, so that one that has need not ask again; none from a store that does not keep
    /// count.
    fn series_mark(&mut self) -> Result<Option<SeriesMark>, StoreError> {
        Ok(None)
    }

    // Journal of the unsealed tail.

    /// Appends a tick: its numerics and its waves, empty for none. Ids ascend and are never reused.
    fn put_tick(&mut self, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError>;
    /// The waves, else the numerics, of ticks with ids past `after` that have any, oldest first.
    fn ticks(&mut self, waves: bool, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// Forgets the waves, else the numerics, of ticks up to and including `through`: waves are sealed by the minute, and need
    /// not lie here until the hour of the numerics ends.
    fn drop_ticks(&mut self, waves: bool, through: u64) -> Result<(), StoreError>;

    // Peers, trouble, small values.

    /// The newest receipt of a signer to a replica.
    fn receipt(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Option<Receipt>, StoreError>;
    /// Keeps a receipt in place of the last of its signer and receiver, and what it says is held. One that stands alone replaces
    /// all that was known to be held.
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError>;
    /// What a signer's receipts to a replica say is held, by chain.
    fn held(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Vec<Held>, StoreError>;
    /// As [`Transaction::held`], of one chain.
    fn held_of(&mut self, signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Result<Option<Held>, StoreError>;
    /// Entries by `author` that `signer` has not signed for to `author`, and when the oldest of them was written.
    fn unheld(&mut self, author: ReplicaId, signer: ReplicaId) -> Result<(u64, Option<Timestamp>), StoreError>;
    /// Dead letters, oldest first, at most 1,000.
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, StoreError>;
    /// Adds or replaces a dead letter.
    fn put_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError>;
    /// Forgets a dead letter.
    fn drop_dead_letter(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError>;
    /// Incidents, newest first, at most 1,000.
    fn incidents(&mut self) -> Result<Vec<Incident>, StoreError>;
    /// Adds an incident unless it is known; a repeat of a closed one leaves it closed.
    fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError>;
    /// Keeps how an incident that is known was closed.
    fn close_incident(&mut self, incident: &Incident, closing: &Closing) -> Result<(), StoreError>;
    /// A small named value.
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Sets a small named value.
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError>;
}
