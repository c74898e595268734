//! What a store must do, whatever keeps it: SQLite on an agent, SQLite or PostgreSQL on a hub, memory in a simulation.
//!
//! The suite in [`crate::conformance`] holds every store to it. Called by [`crate::replica::Replica`] and by programs.

use record::binding::Binding;
use record::id::{Hash, PatientId, ReplicaId, ResourceId, ScopeId};
use record::ledger::grant::ScopeRole;
use record::ledger::receipt::Receipt;
use record::ledger::{ChainId, Head, Header, Hlc, ScopeKey, Stretch};
use record::series::Boot;
use record::time::Timestamp;

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
    /// What it is about; unknown until its grant has been opened.
    pub role: Option<ScopeRole>,
    /// The replica that began it: the site it belongs to.
    pub creator: ReplicaId,
    /// Its key and the key's number; unknown until granted.
    pub key: Option<(u32, ScopeKey)>,
    /// The patient it is about, once their Patient resource is known.
    pub patient: Option<PatientId>,
}

/// An entry as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its header.
    pub header: Header,
    /// Sealed payload.
    pub payload: Vec<u8>,
}

/// Whether an entry has reached the views.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Not yet: its scope's key is not here.
    Waiting,
    /// Yes, or there is nothing to do for it.
    Done,
    /// Its payload cannot be read; see the dead letters.
    Dead,
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

/// An entry that cannot be read, kept with the reason until a retry succeeds.
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
    /// `digest-differs`, `fork`, `clone`, `broken-chain`, `unreadable-payload`, `revoked-writes`.
    pub kind: String,
    /// What and where, without patient data.
    pub detail: String,
    /// First seen.
    pub at: Timestamp,
}

/// Which documents to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DocumentFilter {
    /// FHIR resource type.
    pub resource_type: String,
    /// Only those of this scope.
    pub scope: Option<ScopeId>,
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

    /// Every chain's head.
    ///
    /// # Errors
    /// As all below: [`StoreError`].
    fn heads(&mut self) -> Result<Vec<Head>, StoreError>;
    /// One chain's head, if it has entries.
    fn head(&mut self, chain: ChainId) -> Result<Option<Head>, StoreError>;
    /// Appends a stretch that has been verified against its chain's head.
    fn append(&mut self, stretch: &Stretch, head: Head, applied: Applied, at: Timestamp) -> Result<(), StoreError>;
    /// Signed stretches of a chain from `from` on: whole ones, at least one if there is any, up to about `budget` bytes.
    fn stretches(&mut self, chain: ChainId, from: u64, budget: usize) -> Result<Vec<Stretch>, StoreError>;
    /// One entry.
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError>;
    /// Entries of a scope that wait for its key, oldest arrival first.
    fn waiting(&mut self, scope: ScopeId) -> Result<Vec<Entry>, StoreError>;
    /// Notes that an entry has reached the views, or cannot.
    fn mark(&mut self, chain: ChainId, seq: u64, applied: Applied) -> Result<(), StoreError>;
    /// Entries held, by author.
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError>;

    // Scopes and keys.

    /// Every scope known.
    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError>;
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
    /// The highest `next_seq` sealed of each (device, boot, waves) with an end at or after `since`.
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError>;

    // Journal of the unsealed tail.

    /// Appends a tick; ids ascend and are never reused.
    fn put_tick(&mut self, bytes: &[u8]) -> Result<u64, StoreError>;
    /// Every tick, oldest first.
    fn ticks(&mut self) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// Forgets ticks up to and including `through`.
    fn drop_ticks(&mut self, through: u64) -> Result<(), StoreError>;

    // Peers, trouble, small values.

    /// The newest receipt a peer has signed for us.
    fn receipt(&mut self, signer: ReplicaId) -> Result<Option<Receipt>, StoreError>;
    /// Keeps a receipt in place of the signer's last.
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError>;
    /// Dead letters, oldest first, at most 1,000.
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, StoreError>;
    /// Adds or replaces a dead letter.
    fn put_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError>;
    /// Forgets a dead letter.
    fn drop_dead_letter(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError>;
    /// Incidents, newest first, at most 1,000.
    fn incidents(&mut self) -> Result<Vec<Incident>, StoreError>;
    /// Adds an incident unless it is known.
    fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError>;
    /// A small named value.
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Sets a small named value.
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError>;
    /// Oldest own entry not covered by `acked`: when it was written. Used by the offline line.
    fn oldest_after(&mut self, author: ReplicaId, acked: &[Head]) -> Result<Option<Timestamp>, StoreError>;
    /// The hash of the header at a place, for telling a repeat from a fork.
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError>;
}
