//! One transaction: the list of what can be done in it. Each line's work is in the file of its table.

use crate::db::{Db, explain};
use crate::tables::{documents, ledger, peers, scopes, series};
use protocol::store::{Applied, DeadLetter, DocumentFilter, Entry, Incident, Scope, SegmentRow, StoreError, StoredDocument, Transaction};
use record::binding::Binding;
use record::id::{Hash, ReplicaId, ResourceId, ScopeId};
use record::ledger::receipt::Receipt;
use record::ledger::{ChainId, Head, Hlc, Stretch};
use record::series::Boot;
use record::time::Timestamp;
use std::path::Path;

/// Undone when dropped, unless committed.
pub(crate) struct SqliteTransaction<'a> {
    pub(crate) tx: rusqlite::Transaction<'a>,
    pub(crate) path: &'a Path,
}

impl SqliteTransaction<'_> {
    fn db(&self) -> Db<'_> {
        Db { connection: &self.tx, path: self.path }
    }
}

impl Transaction for SqliteTransaction<'_> {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { tx, path } = *self;
        tx.commit().map_err(|e| explain(e, path, format_args!("committing")))
    }

    fn heads(&mut self) -> Result<Vec<Head>, StoreError> {
        ledger::heads(self.db())
    }
    fn head(&mut self, chain: ChainId) -> Result<Option<Head>, StoreError> {
        ledger::head(self.db(), chain)
    }
    fn append(&mut self, stretch: &Stretch, head: Head, applied: Applied, at: Timestamp) -> Result<(), StoreError> {
        ledger::append(self.db(), stretch, head, applied, at)
    }
    fn stretches(&mut self, chain: ChainId, from: u64, budget: usize) -> Result<Vec<Stretch>, StoreError> {
        ledger::stretches(self.db(), chain, from, budget)
    }
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
        ledger::entry(self.db(), chain, seq)
    }
    fn waiting(&mut self, scope: ScopeId) -> Result<Vec<Entry>, StoreError> {
        ledger::waiting(self.db(), scope)
    }
    fn mark(&mut self, chain: ChainId, seq: u64, applied: Applied) -> Result<(), StoreError> {
        ledger::mark(self.db(), chain, seq, applied)
    }
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError> {
        ledger::count_entries(self.db(), author)
    }
    fn oldest_after(&mut self, author: ReplicaId, acked: &[Head]) -> Result<Option<Timestamp>, StoreError> {
        ledger::oldest_after(self.db(), author, acked)
    }
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
        ledger::header_hash(self.db(), chain, seq)
    }

    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError> {
        scopes::all(self.db())
    }
    fn put_scope(&mut self, scope: &Scope) -> Result<(), StoreError> {
        scopes::put(self.db(), scope)
    }

    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
        documents::one(self.db(), resource_type, id)
    }
    fn put_document(&mut self, document: &StoredDocument) -> Result<(), StoreError> {
        documents::put(self.db(), document)
    }
    fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
        documents::list(self.db(), filter)
    }

    fn bindings(&mut self) -> Result<Vec<(Hlc, Binding)>, StoreError> {
        series::bindings(self.db())
    }
    fn put_binding(&mut self, hlc: Hlc, binding: &Binding) -> Result<(), StoreError> {
        series::put_binding(self.db(), hlc, binding)
    }
    fn put_segment(&mut self, row: &SegmentRow) -> Result<(), StoreError> {
        series::put_segment(self.db(), row)
    }
    fn segments(
        &mut self,
        scope: ScopeId,
        waves: bool,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<SegmentRow>, StoreError> {
        series::segments(self.db(), scope, waves, from..=to, limit)
    }
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
        series::sealed_through(self.db(), since)
    }
    fn put_tick(&mut self, bytes: &[u8]) -> Result<u64, StoreError> {
        series::put_tick(self.db(), bytes)
    }
    fn ticks(&mut self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        series::ticks(self.db())
    }
    fn drop_ticks(&mut self, through: u64) -> Result<(), StoreError> {
        series::drop_ticks(self.db(), through)
    }

    fn receipt(&mut self, signer: ReplicaId) -> Result<Option<Receipt>, StoreError> {
        peers::receipt(self.db(), signer)
    }
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        peers::put_receipt(self.db(), receipt)
    }
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, StoreError> {
        peers::dead_letters(self.db())
    }
    fn put_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        peers::put_dead_letter(self.db(), letter)
    }
    fn drop_dead_letter(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError> {
        peers::drop_dead_letter(self.db(), chain, seq)
    }
    fn incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        peers::incidents(self.db())
    }
    fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError> {
        peers::put_incident(self.db(), incident)
    }
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        peers::value(self.db(), key)
    }
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        peers::put_value(self.db(), key, value)
    }
}
