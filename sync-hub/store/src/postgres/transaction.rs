//! One transaction: the list of what can be done in it. Each line's work is in the file of its table.

use super::db::Db;
use super::link::Link;
use super::tables::{documents, ledger, payloads, peers, scopes, series};
use protocol::store::{
    Chain, Closing, DeadLetter, DocumentFilter, Entry, Incident, LogPage, Mask, Scope, SegmentRow, State, StoreError, StoredDocument,
    Transaction,
};
use record::binding::Binding;
use record::id::{Hash, PatientId, ReplicaId, ResourceId, ScopeId};
use record::ledger::receipt::{Held, Receipt};
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
use record::series::Boot;
use record::time::Timestamp;

/// Undone when dropped, unless committed.
pub(super) struct PostgresTransaction<'a> {
    link: &'a mut Link,
    open: bool,
}

impl<'a> PostgresTransaction<'a> {
    /// A transaction that the link has begun.
    pub fn new(link: &'a mut Link) -> Self {
        Self { link, open: true }
    }

    fn db(&mut self) -> Result<Db<'_>, StoreError> {
        self.link.db()
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        if self.open {
            self.link.rollback();
        }
    }
}

impl Transaction for PostgresTransaction<'_> {
    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.open = false;
        self.link.commit()
    }

    fn chains(&mut self) -> Result<Vec<Chain>, StoreError> {
        ledger::chains(&mut self.db()?)
    }
    fn append(&mut self, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError> {
        ledger::append(&mut self.db()?, stretch, head, state, at)
    }
    fn set_continued(&mut self, chain: ChainId, next: u64) -> Result<(), StoreError> {
        ledger::set_continued(&mut self.db()?, chain, next)
    }
    fn log(&mut self, after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<LogPage, StoreError> {
        ledger::log(&mut self.db()?, after, limit, keep)
    }
    fn stretches(&mut self, chain: ChainId, from: u64, limit: usize) -> Result<Vec<Stretch>, StoreError> {
        ledger::stretches(&mut self.db()?, chain, from, limit)
    }
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
        ledger::entry(&mut self.db()?, chain, seq)
    }
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
        ledger::header_hash(&mut self.db()?, chain, seq)
    }
    fn put_payload(&mut self, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError> {
        payloads::put(&mut self.db()?, chain, seq, payload, state)
    }
    fn mark(&mut self, chain: ChainId, seq: u64, state: State) -> Result<(), StoreError> {
        payloads::mark(&mut self.db()?, chain, seq, state)
    }
    fn in_state(&mut self, state: State, scope: Option<ScopeId>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        ledger::in_state(&mut self.db()?, state, scope, limit)
    }
    fn wanted(&mut self, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<Vec<Header>, StoreError> {
        payloads::wanted(&mut self.db()?, limit, keep)
    }
    fn lacking(&mut self, chain: ChainId) -> Result<Vec<(u64, State)>, StoreError> {
        payloads::lacking(&mut self.db()?, chain)
    }
    fn part(&mut self, chain: ChainId, seq: u64) -> Result<Vec<u8>, StoreError> {
        payloads::part(&mut self.db()?, chain, seq)
    }
    fn put_part(&mut self, chain: ChainId, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        payloads::put_part(&mut self.db()?, chain, seq, bytes)
    }
    fn clear(&mut self, scope: ScopeId, state: State) -> Result<(), StoreError> {
        payloads::clear(&mut self.db()?, scope, state)
    }
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError> {
        ledger::count_entries(&mut self.db()?, author)
    }

    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError> {
        scopes::all(&mut self.db()?)
    }
    fn scope(&mut self, id: ScopeId) -> Result<Option<Scope>, StoreError> {
        scopes::one(&mut self.db()?, id)
    }
    fn scopes_of(&mut self, patient: &PatientId) -> Result<Vec<Scope>, StoreError> {
        scopes::of(&mut self.db()?, patient)
    }
    fn put_scope(&mut self, scope: &Scope) -> Result<(), StoreError> {
        scopes::put(&mut self.db()?, scope)
    }

    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
        documents::one(&mut self.db()?, resource_type, id)
    }
    fn put_document(&mut self, document: &StoredDocument) -> Result<(), StoreError> {
        documents::put(&mut self.db()?, document)
    }
    fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
        documents::list(&mut self.db()?, filter)
    }

    fn bindings(&mut self) -> Result<Vec<(Hlc, Binding)>, StoreError> {
        series::bindings(&mut self.db()?)
    }
    fn put_binding(&mut self, hlc: Hlc, binding: &Binding) -> Result<(), StoreError> {
        series::put_binding(&mut self.db()?, hlc, binding)
    }
    fn put_segment(&mut self, row: &SegmentRow) -> Result<(), StoreError> {
        series::put_segment(&mut self.db()?, row)
    }
    fn segments(
        &mut self,
        scope: ScopeId,
        waves: bool,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<SegmentRow>, StoreError> {
        series::segments(&mut self.db()?, scope, waves, from..=to, limit)
    }
    fn oldest_segments(&mut self, waves: bool, before: Timestamp, limit: usize) -> Result<Vec<SegmentRow>, StoreError> {
        series::oldest_segments(&mut self.db()?, waves, before, limit)
    }
    fn put_mask(&mut self, mask: &Mask) -> Result<(), StoreError> {
        series::put_mask(&mut self.db()?, mask)
    }
    fn masks(&mut self, scope: ScopeId) -> Result<Vec<Mask>, StoreError> {
        series::masks(&mut self.db()?, scope)
    }
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
        series::sealed_through(&mut self.db()?, since)
    }
    fn put_tick(&mut self, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError> {
        series::put_tick(&mut self.db()?, numerics, waves)
    }
    fn ticks(&mut self, waves: bool, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        series::ticks(&mut self.db()?, waves, after)
    }
    fn drop_ticks(&mut self, waves: bool, through: u64) -> Result<(), StoreError> {
        series::drop_ticks(&mut self.db()?, waves, through)
    }

    fn receipt(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Option<Receipt>, StoreError> {
        peers::receipt(&mut self.db()?, signer, to)
    }
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        peers::put_receipt(&mut self.db()?, receipt)
    }
    fn held(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Vec<Held>, StoreError> {
        peers::held(&mut self.db()?, signer, to)
    }
    fn held_of(&mut self, signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Result<Option<Held>, StoreError> {
        peers::held_of(&mut self.db()?, signer, to, chain)
    }
    fn unheld(&mut self, author: ReplicaId, signer: ReplicaId) -> Result<(u64, Option<Timestamp>), StoreError> {
        peers::unheld(&mut self.db()?, author, signer)
    }
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, StoreError> {
        peers::dead_letters(&mut self.db()?)
    }
    fn put_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        peers::put_dead_letter(&mut self.db()?, letter)
    }
    fn drop_dead_letter(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError> {
        peers::drop_dead_letter(&mut self.db()?, chain, seq)
    }
    fn incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        peers::incidents(&mut self.db()?)
    }
    fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError> {
        peers::put_incident(&mut self.db()?, incident)
    }
    fn close_incident(&mut self, incident: &Incident, closing: &Closing) -> Result<(), StoreError> {
        peers::close_incident(&mut self.db()?, incident, closing)
    }
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        peers::value(&mut self.db()?, key)
    }
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        peers::put_value(&mut self.db()?, key, value)
    }
}
