//! A disk that fails on order: a store whose every commit is a point at which power may go, and which may be full.
//!
//! A commit is durable when it returns. Power that goes during one either loses the whole transaction, as a torn write-ahead
//! log does, or keeps it without telling; either way nothing more is read or written until the box starts again.

use protocol::access::Access;
use protocol::memory::MemoryStore;
use protocol::store::{
    Chain, DeadLetter, DocumentFilter, Entry, Incident, LogPage, Mask, Scope, SegmentRow, State, Store, StoreError, StoredDocument,
    Transaction,
};
use record::binding::Binding;
use record::id::{Hash, PatientId, ReplicaId, ResourceId, ScopeId};
use record::ledger::receipt::{Held, Receipt};
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
use record::series::Boot;
use record::time::Timestamp;

/// A store and what is to befall it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What it holds.
    pub store: MemoryStore,
    /// What is to befall it.
    pub gate: Gate,
}

/// What is to befall a disk.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Power goes at the commit after so many; whether that one is kept.
    pub crash: Option<(u64, bool)>,
    /// Power has gone.
    pub dead: bool,
    /// No room for payloads or ticks.
    pub full: bool,
}

impl Gate {
    fn room(&self) -> Result<(), StoreError> {
        if self.full { Err(StoreError::Full("the simulated disk".to_owned())) } else { Ok(()) }
    }
}

fn power() -> StoreError {
    StoreError::Other("power lost".to_owned())
}

impl Store for Disk {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        if self.gate.dead {
            return Err(power());
        }
        Ok(Box::new(Gated { inner: self.store.begin()?, gate: &mut self.gate }))
    }
}

struct Gated<'a> {
    inner: Box<dyn Transaction + 'a>,
    gate: &'a mut Gate,
}

/// Methods that go through as they are.
macro_rules! through {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty;)*) => {
        $(fn $name(&mut self $(, $arg: $type)*) -> Result<$out, StoreError> { self.inner.$name($($arg),*) })*
    };
}

impl Transaction for Gated<'_> {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, gate } = *self;
        match &mut gate.crash {
            Some((0, kept)) => {
                let kept = *kept;
                (gate.dead, gate.crash) = (true, None);
                if kept {
                    inner.commit()?;
                }
                return Err(power());
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        inner.commit()
    }
    fn append(&mut self, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError> {
        self.gate.room()?;
        self.inner.append(stretch, head, state, at)
    }
    fn put_payload(&mut self, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError> {
        self.gate.room()?;
        self.inner.put_payload(chain, seq, payload, state)
    }
    fn put_tick(&mut self, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError> {
        self.gate.room()?;
        self.inner.put_tick(numerics, waves)
    }
    through! {
        fn chains() -> Vec<Chain>;
        fn set_continued(chain: ChainId, next: u64) -> ();
        fn log(after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> LogPage;
        fn stretches(chain: ChainId, from: u64, limit: usize) -> Vec<Stretch>;
        fn entry(chain: ChainId, seq: u64) -> Option<Entry>;
        fn header_hash(chain: ChainId, seq: u64) -> Option<Hash>;
        fn mark(chain: ChainId, seq: u64, state: State) -> ();
        fn in_state(state: State, scope: Option<ScopeId>, limit: usize) -> Vec<Entry>;
        fn wanted(limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Vec<Header>;
        fn lacking(chain: ChainId) -> Vec<(u64, State)>;
        fn part(chain: ChainId, seq: u64) -> Vec<u8>;
        fn put_part(chain: ChainId, seq: u64, bytes: &[u8]) -> ();
        fn clear(scope: ScopeId, state: State) -> ();
        fn count_entries(author: ReplicaId) -> u64;
        fn scopes() -> Vec<Scope>;
        fn scope(id: ScopeId) -> Option<Scope>;
        fn scopes_of(patient: &PatientId) -> Vec<Scope>;
        fn put_scope(scope: &Scope) -> ();
        fn document(resource_type: &str, id: &ResourceId) -> Option<StoredDocument>;
        fn put_document(document: &StoredDocument) -> ();
        fn documents(filter: &DocumentFilter) -> Vec<StoredDocument>;
        fn bindings() -> Vec<(Hlc, Binding)>;
        fn put_binding(hlc: Hlc, binding: &Binding) -> ();
        fn put_segment(row: &SegmentRow) -> ();
        fn segments(scope: ScopeId, waves: bool, from: Timestamp, to: Timestamp, limit: usize) -> Vec<SegmentRow>;
        fn oldest_segments(waves: bool, before: Timestamp, limit: usize) -> Vec<SegmentRow>;
        fn put_mask(mask: &Mask) -> ();
        fn masks(scope: ScopeId) -> Vec<Mask>;
        fn sealed_through(since: Timestamp) -> Vec<(String, Boot, bool, u64)>;
        fn ticks(waves: bool, after: u64) -> Vec<(u64, Vec<u8>)>;
        fn drop_ticks(waves: bool, through: u64) -> ();
        fn receipt(signer: ReplicaId, to: ReplicaId) -> Option<Receipt>;
        fn put_receipt(receipt: &Receipt) -> ();
        fn held(signer: ReplicaId, to: ReplicaId) -> Vec<Held>;
        fn held_of(signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Option<Held>;
        fn unheld(author: ReplicaId, signer: ReplicaId) -> (u64, Option<Timestamp>);
        fn dead_letters() -> Vec<DeadLetter>;
        fn put_dead_letter(letter: &DeadLetter) -> ();
        fn drop_dead_letter(chain: ChainId, seq: u64) -> ();
        fn incidents() -> Vec<Incident>;
        fn put_incident(incident: &Incident) -> ();
        fn close_incident(incident: &Incident, closing: &protocol::store::Closing) -> ();
        fn value(key: &str) -> Option<Vec<u8>>;
        fn put_value(key: &str, value: &[u8]) -> ();
    }
}

/// What a check reads from a disk, whatever befalls it.
impl Disk {
    /// Reads past every fault.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read<T>(&mut self, read: impl FnOnce(&mut dyn Transaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        read(self.store.begin()?.as_mut())
    }

    /// Changes the disk from outside the box: wear, a hand, a backup program.
    ///
    /// # Errors
    /// Those of the store.
    pub fn meddle(&mut self, change: impl FnOnce(&mut dyn Transaction) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut tx = self.store.begin()?;
        change(tx.as_mut())?;
        tx.commit()
    }

    /// Who takes part in a scope, as kept.
    #[must_use]
    pub fn access(&mut self, scope: ScopeId) -> Option<Access> {
        self.read(|tx| tx.scope(scope)).ok().flatten().map(|scope| scope.access)
    }
}

/// The journal's ticks, numerics and waves, by number.
///
/// # Errors
/// The disk cannot be read.
pub fn ticks(tx: &mut dyn Transaction) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let mut ticks = [tx.ticks(false, 0)?, tx.ticks(true, 0)?].concat();
    ticks.sort_by_key(|(id, _)| *id);
    Ok(ticks)
}
