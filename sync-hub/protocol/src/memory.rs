//! A store in memory: the plainest thing that passes the conformance suite. A transaction works on a copy.

use crate::store::{
    Applied, DeadLetter, DocumentFilter, Entry, Incident, Scope, SegmentRow, Store, StoreError, StoredDocument, Transaction,
};
use record::binding::Binding;
use record::id::{Hash, ReplicaId, ResourceId, ScopeId};
use record::ledger::receipt::Receipt;
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
use record::series::Boot;
use record::time::Timestamp;
use std::collections::BTreeMap;

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: State,
}

#[derive(Clone, Debug, Default)]
struct State {
    heads: BTreeMap<ChainId, Head>,
    entries: BTreeMap<(ChainId, u64), Held>,
    arrivals: u64,
    scopes: BTreeMap<ScopeId, Scope>,
    documents: BTreeMap<(String, ResourceId), StoredDocument>,
    bindings: Vec<(Hlc, Binding)>,
    segments: BTreeMap<(ChainId, u64), SegmentRow>,
    ticks: BTreeMap<u64, Vec<u8>>,
    next_tick: u64,
    receipts: BTreeMap<ReplicaId, Receipt>,
    dead: BTreeMap<(ChainId, u64), DeadLetter>,
    incidents: Vec<Incident>,
    values: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Held {
    arrival: u64,
    at: Timestamp,
    header: Header,
    hash: Hash,
    payload: Vec<u8>,
    signature: Option<[u8; 64]>,
    applied: Applied,
}

struct Working<'a> {
    store: &'a mut MemoryStore,
    state: State,
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let state = self.state.clone();
        Ok(Box::new(Working { store: self, state }))
    }
}

impl Transaction for Working<'_> {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.store.state = self.state;
        Ok(())
    }
    fn heads(&mut self) -> Result<Vec<Head>, StoreError> {
        Ok(self.state.heads.values().copied().collect())
    }
    fn head(&mut self, chain: ChainId) -> Result<Option<Head>, StoreError> {
        Ok(self.state.heads.get(&chain).copied())
    }
    fn append(&mut self, stretch: &Stretch, head: Head, applied: Applied, at: Timestamp) -> Result<(), StoreError> {
        let mut hash = self.state.heads.get(&head.chain).map_or_else(|| head.chain.root(), |h| h.hash);
        let last = stretch.headers.len().saturating_sub(1);
        for (index, (header, payload)) in stretch.headers.iter().zip(&stretch.payloads).enumerate() {
            hash = header.hash(hash);
            self.state.arrivals += 1;
            let held = Held {
                arrival: self.state.arrivals,
                at,
                header: header.clone(),
                hash,
                payload: payload.clone(),
                signature: (index == last).then_some(stretch.signature),
                applied,
            };
            self.state.entries.insert((head.chain, header.seq), held);
        }
        self.state.heads.insert(head.chain, head);
        Ok(())
    }
    fn stretches(&mut self, chain: ChainId, from: u64, budget: usize) -> Result<Vec<Stretch>, StoreError> {
        let (mut done, mut used) = (Vec::new(), 0);
        let (mut headers, mut payloads) = (Vec::new(), Vec::new());
        for held in self.state.entries.range((chain, from)..=(chain, u64::MAX)).map(|(_, held)| held) {
            used += held.payload.len() + 96;
            headers.push(held.header.clone());
            payloads.push(held.payload.clone());
            if let Some(signature) = held.signature {
                if used > budget && !done.is_empty() {
                    break;
                }
                done.push(Stretch { headers: std::mem::take(&mut headers), payloads: std::mem::take(&mut payloads), signature });
            }
        }
        Ok(done)
    }
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
        Ok(self.state.entries.get(&(chain, seq)).map(|h| Entry { header: h.header.clone(), payload: h.payload.clone() }))
    }
    fn waiting(&mut self, scope: ScopeId) -> Result<Vec<Entry>, StoreError> {
        let mut held: Vec<&Held> =
            self.state.entries.values().filter(|h| h.header.scope == scope && h.applied == Applied::Waiting).collect();
        held.sort_by_key(|h| h.arrival);
        Ok(held.into_iter().map(|h| Entry { header: h.header.clone(), payload: h.payload.clone() }).collect())
    }
    fn mark(&mut self, chain: ChainId, seq: u64, applied: Applied) -> Result<(), StoreError> {
        if let Some(held) = self.state.entries.get_mut(&(chain, seq)) {
            held.applied = applied;
        }
        Ok(())
    }
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError> {
        Ok(self.state.heads.values().filter(|h| h.chain.author == author).map(|h| h.next).sum())
    }
    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError> {
        Ok(self.state.scopes.values().cloned().collect())
    }
    fn put_scope(&mut self, scope: &Scope) -> Result<(), StoreError> {
        self.state.scopes.insert(scope.id, scope.clone());
        Ok(())
    }
    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
        Ok(self.state.documents.get(&(resource_type.to_owned(), id.clone())).cloned())
    }
    fn put_document(&mut self, document: &StoredDocument) -> Result<(), StoreError> {
        self.state.documents.insert((document.resource_type.clone(), document.id.clone()), document.clone());
        Ok(())
    }
    fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
        let wanted = |d: &&StoredDocument| {
            d.resource_type == filter.resource_type
                && !d.json.is_empty()
                && filter.scope.is_none_or(|scope| d.scope == scope)
                && filter.after.as_deref().is_none_or(|after| d.id.as_str() > after)
        };
        Ok(self.state.documents.values().filter(wanted).take(filter.limit).cloned().collect())
    }
    fn bindings(&mut self) -> Result<Vec<(Hlc, Binding)>, StoreError> {
        Ok(self.state.bindings.clone())
    }
    fn put_binding(&mut self, hlc: Hlc, binding: &Binding) -> Result<(), StoreError> {
        let version = (hlc, binding.clone());
        if !self.state.bindings.contains(&version) {
            self.state.bindings.push(version);
        }
        Ok(())
    }
    fn put_segment(&mut self, row: &SegmentRow) -> Result<(), StoreError> {
        self.state.segments.insert((row.chain, row.seq), row.clone());
        Ok(())
    }
    fn segments(
        &mut self,
        scope: ScopeId,
        waves: bool,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<SegmentRow>, StoreError> {
        let wanted = |s: &&SegmentRow| s.chain.scope == scope && s.waves == waves && s.start <= to && s.end >= from;
        let mut rows: Vec<SegmentRow> = self.state.segments.values().filter(wanted).cloned().collect();
        rows.sort_by(|a, b| b.start.cmp(&a.start).then(a.chain.cmp(&b.chain)).then(a.seq.cmp(&b.seq)));
        rows.truncate(limit);
        Ok(rows)
    }
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
        let mut through: BTreeMap<(String, Boot, bool), u64> = BTreeMap::new();
        for row in self.state.segments.values().filter(|s| s.end >= since) {
            let next = through.entry((row.device.clone(), row.boot, row.waves)).or_default();
            *next = (*next).max(row.next_seq);
        }
        Ok(through.into_iter().map(|((device, boot, waves), next)| (device, boot, waves, next)).collect())
    }
    fn put_tick(&mut self, bytes: &[u8]) -> Result<u64, StoreError> {
        self.state.next_tick += 1;
        self.state.ticks.insert(self.state.next_tick, bytes.to_vec());
        Ok(self.state.next_tick)
    }
    fn ticks(&mut self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        Ok(self.state.ticks.iter().map(|(id, bytes)| (*id, bytes.clone())).collect())
    }
    fn drop_ticks(&mut self, through: u64) -> Result<(), StoreError> {
        self.state.ticks.retain(|id, _| *id > through);
        Ok(())
    }
    fn receipt(&mut self, signer: ReplicaId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.state.receipts.get(&signer).cloned())
    }
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        self.state.receipts.insert(receipt.signer, receipt.clone());
        Ok(())
    }
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.state.dead.values().take(1000).cloned().collect())
    }
    fn put_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        self.state.dead.insert((letter.chain, letter.seq), letter.clone());
        Ok(())
    }
    fn drop_dead_letter(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError> {
        self.state.dead.remove(&(chain, seq));
        Ok(())
    }
    fn incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        Ok(self.state.incidents.iter().rev().take(1000).cloned().collect())
    }
    fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError> {
        let same = |i: &Incident| i.author == incident.author && i.kind == incident.kind && i.detail == incident.detail;
        if !self.state.incidents.iter().any(same) {
            self.state.incidents.push(incident.clone());
        }
        Ok(())
    }
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.values.get(key).cloned())
    }
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.state.values.insert(key.to_owned(), value.to_vec());
        Ok(())
    }
    fn oldest_after(&mut self, author: ReplicaId, acked: &[Head]) -> Result<Option<Timestamp>, StoreError> {
        let next = |chain: ChainId| acked.iter().find(|h| h.chain == chain).map_or(0, |h| h.next);
        let waiting = self.state.entries.iter().filter(|((chain, seq), _)| chain.author == author && *seq >= next(*chain));
        Ok(waiting.map(|(_, held)| held.at).min())
    }
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
        Ok(self.state.entries.get(&(chain, seq)).map(|h| h.hash))
    }
}
