//! One transaction: the list of what can be done in it. Each line's work is in the file of its table.

use crate::db::{Db, explain};
use crate::tables::{documents, ledger, payloads, peers, scopes, series};
use protocol::store::{
    Chain, Closing, DeadLetter, DocumentFilter, Entry, Incident, LogPage, Mask, Scope, SegmentRow, SeriesMark, State, StoreError,
    StoredDocument, Transaction,
};
use record::binding::Binding;
use record::id::{Hash, PatientId, ReplicaId, ResourceId, ScopeId};
use record::ledger::receipt::{Held, Receipt};
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
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

    fn chains(&mut self) -> Result<Vec<Chain>, StoreError> {
        ledger::chains(self.db())
    }
    fn append(&mut self, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError> {
        ledger::append(self.db(), stretch, head, state, at)
    }
    fn set_continued(&mut self, chain: ChainId, next: u64) -> Result<(), StoreError> {
        ledger::set_continued(self.db(), chain, next)
    }
    fn log(&mut self, after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<LogPage, StoreError> {
        ledger::log(self.db(), after, limit, keep)
    }
    fn stretches(&mut self, chain: ChainId, from: u64, limit: usize) -> Result<Vec<Stretch>, StoreError> {
        ledger::stretches(self.db(), chain, from, limit)
    }
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
        ledger::entry(self.db(), chain, seq)
    }
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
        ledger::header_hash(self.db(), chain, seq)
    }
    fn put_payload(&mut self, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError> {
        payloads::put(self.db(), chain, seq, payload, state)
    }
    fn mark(&mut self, chain: ChainId, seq: u64, state: State) -> Result<(), StoreError> {
        payloads::mark(self.db(), chain, seq, state)
    }
    fn in_state(&mut self, state: State, scope: Option<ScopeId>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        ledger::in_state(self.db(), state, scope, limit)
    }
    fn wanted(&mut self, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<Vec<Header>, StoreError> {
        payloads::wanted(self.db(), limit, keep)
    }
    fn lacking(&mut self, chain: ChainId) -> Result<Vec<(u64, State)>, StoreError> {
        payloads::lacking(self.db(), chain)
    }
    fn part(&mut self, chain: ChainId, seq: u64) -> Result<Vec<u8>, StoreError> {
        payloads::part(self.db(), chain, seq)
    }
    fn put_part(&mut self, chain: ChainId, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        payloads::put_part(self.db(), chain, seq, bytes)
    }
    fn clear(&mut self, scope: ScopeId, state: State) -> Result<(), StoreError> {
        payloads::clear(self.db(), scope, state)
    }
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError> {
        ledger::count_entries(self.db(), author)
    }

    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError> {
        scopes::all(self.db())
    }
    fn scope(&mut self, id: ScopeId) -> Result<Option<Scope>, StoreError> {
        scopes::one(self.db(), id)
    }
    fn scopes_of(&mut self, patient: &PatientId) -> Result<Vec<Scope>, StoreError> {
        scopes::of(self.db(), patient)
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
    fn oldest_segments(&mut self, waves: bool, before: Timestamp, limit: usize) -> Result<Vec<SegmentRow>, StoreError> {
        series::oldest_segments(self.db(), waves, before, limit)
    }
    fn put_mask(&mut self, mask: &Mask) -> Result<(), StoreError> {
        series::put_mask(self.db(), mask)
    }
    fn masks(&mut self, scope: ScopeId) -> Result<Vec<Mask>, StoreError> {
        series::masks(self.db(), scope)
    }
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
        series::sealed_through(self.db(), since)
    }
    fn series_mark(&mut self) -> Result<Option<SeriesMark>, StoreError> {
        series::mark(self.db()).map(Some)
    }
    fn put_tick(&mut self, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError> {
        series::put_tick(self.db(), numerics, waves)
    }
    fn ticks(&mut self, waves: bool, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        series::ticks(self.db(), waves, after)
    }
    fn drop_ticks(&mut self, waves: bool, through: u64) -> Result<(), StoreError> {
        series::drop_ticks(self.db(), waves, through)
    }

    fn receipt(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Option<Receipt>, StoreError> {
        peers::receipt(self.db(), signer, to)
    }
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        peers::put_receipt(self.db(), receipt)
    }
    fn held(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Vec<Held>, StoreError> {
        peers::held(self.db(), signer, to)
    }
    fn held_of(&mut self, signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Result<Option<Held>, StoreError> {
        peers::held_of(self.db(), signer, to, chain)
    }
    fn unheld(&mut self, author: ReplicaId, signer: ReplicaId) -> Result<(u64, Option<Timestamp>), StoreError> {
        peers::unheld(self.db(), author, signer)
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
    fn close_incident(&mut self, incident: &Incident, closing: &Closing) -> Result<(), StoreError> {
        peers::close_incident(self.db(), incident, closing)
    }
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        peers::value(self.db(), key)
    }
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        peers::put_value(self.db(), key, value)
    }
}
