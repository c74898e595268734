//! A store in memory: the plainest thing that passes the conformance suite. A transaction works on a copy that shares what it
//! does not change.

use crate::store::{
    Chain, Closing, DeadLetter, DocumentFilter, Entry, Incident, LogPage, Logged, Mask, Scope, SegmentRow, SeriesMark, State, Store,
    StoreError, StoredDocument, Transaction,
};
use record::binding::Binding;
use record::id::{Hash, PatientId, ReplicaId, ResourceId, ScopeId};
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
use record::series::Boot;
use record::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    content: Content,
}

#[derive(Clone, Debug, Default)]
struct Content {
    chains: Arc<BTreeMap<ChainId, Chain>>,
    /// Each chain's apart, so that writing to one copies that one.
    entries: Arc<BTreeMap<ChainId, Arc<BTreeMap<u64, Row>>>>,
    arrivals: Arc<BTreeMap<u64, (ChainId, u64)>>,
    parts: Arc<BTreeMap<(ChainId, u64), Vec<u8>>>,
    scopes: Arc<BTreeMap<ScopeId, Scope>>,
    documents: Arc<BTreeMap<(String, ResourceId), Arc<StoredDocument>>>,
    bindings: Arc<Vec<(Hlc, Binding)>>,
    segments: Arc<BTreeMap<(ChainId, u64), SegmentRow>>,
    masks: Arc<BTreeSet<Mask>>,
    /// Numerics and waves of each.
    ticks: Arc<BTreeMap<u64, [Arc<[u8]>; 2]>>,
    next_tick: u64,
    series_version: u64,
    series_gone: u64,
    receipts: Arc<BTreeMap<(ReplicaId, ReplicaId), Receipt>>,
    held: Arc<BTreeMap<(ReplicaId, ReplicaId), BTreeMap<ChainId, Held>>>,
    dead: Arc<BTreeMap<(ChainId, u64), DeadLetter>>,
    incidents: Arc<Vec<Incident>>,
    values: Arc<BTreeMap<String, Vec<u8>>>,
}

impl Content {
    fn row(&self, chain: ChainId, seq: u64) -> Option<&Row> {
        self.entries.get(&chain)?.get(&seq)
    }
    fn rows_of(&self, chain: ChainId, from: u64) -> impl Iterator<Item = (u64, &Row)> {
        self.entries.get(&chain).into_iter().flat_map(move |rows| rows.range(from..)).map(|(seq, row)| (*seq, row))
    }
    fn rows(&self) -> impl Iterator<Item = (ChainId, u64, &Row)> {
        self.entries.iter().flat_map(|(chain, rows)| rows.iter().map(|(seq, row)| (*chain, *seq, row)))
    }
    /// A chain's rows, to be changed.
    fn rows_mut(&mut self, chain: ChainId) -> &mut BTreeMap<u64, Row> {
        Arc::make_mut(Arc::make_mut(&mut self.entries).entry(chain).or_default())
    }
}

#[derive(Clone, Debug)]
struct Row {
    at: Timestamp,
    header: Arc<Header>,
    hash: Hash,
    payload: Arc<[u8]>,
    signature: Option<[u8; 64]>,
    state: State,
}

impl Row {
    fn entry(&self, with_payload: bool) -> Entry {
        let payload = if with_payload { self.payload.to_vec() } else { Vec::new() };
        Entry { header: Header::clone(&self.header), hash: self.hash, state: self.state, payload }
    }
}

struct Working<'a> {
    store: &'a mut MemoryStore,
    state: Content,
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let state = self.content.clone();
        Ok(Box::new(Working { store: self, state }))
    }
}

impl Working<'_> {
    /// To be changed where readers of numerics look.
    fn series(&mut self) -> &mut Content {
        self.state.series_version += 1;
        &mut self.state
    }
}

impl Transaction for Working<'_> {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.store.content = self.state;
        Ok(())
    }
    fn chains(&mut self) -> Result<Vec<Chain>, StoreError> {
        Ok(self.state.chains.values().copied().collect())
    }
    fn append(&mut self, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError> {
        let content = &mut self.state;
        let known = content.chains.get(&head.chain);
        let (mut hash, continued) = known.map_or_else(|| (head.chain.root(), 0), |c| (c.head.hash, c.continued));
        let mut arrival = content.arrivals.last_key_value().map_or(0, |(last, _)| *last);
        let mut hlc = Hlc::default();
        let last = stretch.headers.len().saturating_sub(1);
        for (index, (header, payload)) in stretch.headers.iter().zip(&stretch.payloads).enumerate() {
            (hash, hlc) = (header.hash(hash), header.hlc);
            arrival += 1;
            let row = Row {
                at,
                header: Arc::new(header.clone()),
                hash,
                payload: payload.as_slice().into(),
                signature: (index == last).then_some(stretch.signature),
                state: if payload.is_empty() { State::Wanted } else { state },
            };
            content.rows_mut(head.chain).insert(header.seq, row);
            Arc::make_mut(&mut content.arrivals).insert(arrival, (head.chain, header.seq));
        }
        Arc::make_mut(&mut content.chains).insert(head.chain, Chain { head, arrival, hlc, continued });
        Ok(arrival)
    }
    fn set_continued(&mut self, chain: ChainId, next: u64) -> Result<(), StoreError> {
        let chain = Arc::make_mut(&mut self.state.chains).entry(chain).or_insert(Chain {
            head: Head::empty(chain),
            arrival: 0,
            hlc: Hlc::default(),
            continued: 0,
        });
        chain.continued = chain.continued.max(next);
        Ok(())
    }
    fn log(&mut self, after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<LogPage, StoreError> {
        let mut page = LogPage { reached: after, ..LogPage::default() };
        let mut headers = Vec::new();
        for (read, (arrival, place)) in self.state.arrivals.range(after + 1..).enumerate() {
            let Some(row) = self.state.row(place.0, place.1) else { continue };
            headers.push(Header::clone(&row.header));
            if let Some(signature) = row.signature {
                let headers = std::mem::take(&mut headers);
                if keep(&place.0) {
                    page.stretches.push(Logged { arrival: *arrival, headers, signature });
                }
                page.reached = *arrival;
                if read + 1 >= limit {
                    break;
                }
            }
        }
        page.more = self.state.arrivals.last_key_value().is_some_and(|(last, _)| *last > page.reached);
        Ok(page)
    }
    fn stretches(&mut self, chain: ChainId, from: u64, limit: usize) -> Result<Vec<Stretch>, StoreError> {
        let (mut done, mut headers) = (Vec::new(), Vec::new());
        for (read, (_, row)) in self.state.rows_of(chain, from).enumerate() {
            headers.push(Header::clone(&row.header));
            if let Some(signature) = row.signature {
                let headers = std::mem::take(&mut headers);
                done.push(Stretch { payloads: vec![Vec::new(); headers.len()], headers, signature });
                if read + 1 >= limit {
                    break;
                }
            }
        }
        Ok(done)
    }
    fn entry(&mut self, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
        Ok(self.state.row(chain, seq).map(|row| row.entry(true)))
    }
    fn header_hash(&mut self, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
        Ok(self.state.row(chain, seq).map(|row| row.hash))
    }
    fn put_payload(&mut self, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.state.parts).remove(&(chain, seq));
        if let Some(row) = self.series().rows_mut(chain).get_mut(&seq) {
            (row.payload, row.state) = (payload.into(), state);
        }
        Ok(())
    }
    fn mark(&mut self, chain: ChainId, seq: u64, state: State) -> Result<(), StoreError> {
        self.state.series_gone += u64::from(!state.holds());
        if let Some(row) = self.series().rows_mut(chain).get_mut(&seq) {
            row.state = state;
            if !state.holds() {
                row.payload = Arc::default();
                Arc::make_mut(&mut self.state.parts).remove(&(chain, seq));
            }
        }
        Ok(())
    }
    fn in_state(&mut self, state: State, scope: Option<ScopeId>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let rows = self.state.arrivals.values().filter_map(|place| self.state.row(place.0, place.1));
        let asked = rows.filter(|row| row.state == state && scope.is_none_or(|s| row.header.scope == s));
        Ok(asked.take(limit).map(|row| row.entry(false)).collect())
    }
    fn wanted(&mut self, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<Vec<Header>, StoreError> {
        let wanted = self.state.rows().filter(|(.., row)| row.state == State::Wanted && keep(&row.header.chain()));
        let mut headers: Vec<Header> = wanted.map(|(.., row)| Header::clone(&row.header)).collect();
        headers.sort_by_key(|h| (h.kind.priority(), Reverse(h.hlc.wall_ms), h.chain(), h.seq));
        headers.truncate(limit);
        Ok(headers)
    }
    fn lacking(&mut self, chain: ChainId) -> Result<Vec<(u64, State)>, StoreError> {
        Ok(self.state.rows_of(chain, 0).filter(|(_, row)| !row.state.holds()).map(|(seq, row)| (seq, row.state)).collect())
    }
    fn part(&mut self, chain: ChainId, seq: u64) -> Result<Vec<u8>, StoreError> {
        Ok(self.state.parts.get(&(chain, seq)).cloned().unwrap_or_default())
    }
    fn put_part(&mut self, chain: ChainId, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.state.parts).insert((chain, seq), bytes.to_vec());
        Ok(())
    }
    fn clear(&mut self, scope: ScopeId, state: State) -> Result<(), StoreError> {
        let content = self.series();
        content.series_gone += 1;
        let of_scope = Arc::make_mut(&mut content.entries).iter_mut().filter(|(chain, _)| chain.scope == scope);
        let rows = of_scope.flat_map(|(_, rows)| Arc::make_mut(rows).values_mut());
        for row in rows.filter(|row| !row.header.kind.outlives_scope()) {
            if state != State::Wanted || row.state == State::Dropped {
                (row.payload, row.state) = (Arc::default(), state);
            }
        }
        Arc::make_mut(&mut content.parts).retain(|(chain, _), _| chain.scope != scope);
        if state != State::Wanted {
            Arc::make_mut(&mut content.documents).retain(|_, document| document.scope != scope);
            Arc::make_mut(&mut content.segments).retain(|(chain, _), _| chain.scope != scope);
            Arc::make_mut(&mut content.masks).retain(|mask| mask.chain.scope != scope);
        }
        Ok(())
    }
    fn count_entries(&mut self, author: ReplicaId) -> Result<u64, StoreError> {
        Ok(self.state.chains.values().filter(|c| c.head.chain.author == author).map(|c| c.head.next).sum())
    }
    fn scopes(&mut self) -> Result<Vec<Scope>, StoreError> {
        Ok(self.state.scopes.values().cloned().collect())
    }
    fn scope(&mut self, id: ScopeId) -> Result<Option<Scope>, StoreError> {
        Ok(self.state.scopes.get(&id).cloned())
    }
    fn scopes_of(&mut self, patient: &PatientId) -> Result<Vec<Scope>, StoreError> {
        Ok(self.state.scopes.values().filter(|s| s.patient.as_ref() == Some(patient)).cloned().collect())
    }
    fn put_scope(&mut self, scope: &Scope) -> Result<(), StoreError> {
        self.state.series_gone += u64::from(scope.key.is_none());
        Arc::make_mut(&mut self.series().scopes).insert(scope.id, scope.clone());
        Ok(())
    }
    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
        Ok(self.state.documents.get(&(resource_type.to_owned(), id.clone())).map(|d| StoredDocument::clone(d)))
    }
    fn put_document(&mut self, document: &StoredDocument) -> Result<(), StoreError> {
        let id = (document.resource_type.clone(), document.id.clone());
        Arc::make_mut(&mut self.series().documents).insert(id, Arc::new(document.clone()));
        Ok(())
    }
    fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
        let wanted = |d: &&Arc<StoredDocument>| {
            d.resource_type == filter.resource_type
                && !d.json.is_empty()
                && filter.scope.is_none_or(|scope| d.scope == scope)
                && (!filter.conflicted || d.conflicted)
                && (filter.keys.is_empty() || d.keys.iter().any(|key| filter.keys.contains(key)))
                && filter.after.as_deref().is_none_or(|after| d.id.as_str() > after)
        };
        Ok(self.state.documents.values().filter(wanted).take(filter.limit).map(|d| StoredDocument::clone(d)).collect())
    }
    fn bindings(&mut self) -> Result<Vec<(Hlc, Binding)>, StoreError> {
        Ok(self.state.bindings.to_vec())
    }
    fn put_binding(&mut self, hlc: Hlc, binding: &Binding) -> Result<(), StoreError> {
        let version = (hlc, binding.clone());
        if !self.state.bindings.contains(&version) {
            Arc::make_mut(&mut self.series().bindings).push(version);
        }
        Ok(())
    }
    fn put_segment(&mut self, row: &SegmentRow) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.series().segments).insert((row.chain, row.seq), row.clone());
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
    fn oldest_segments(&mut self, waves: bool, before: Timestamp, limit: usize) -> Result<Vec<SegmentRow>, StoreError> {
        let held = |s: &&SegmentRow| self.state.row(s.chain, s.seq).is_some_and(|row| row.state.holds());
        let segments = self.state.segments.values().filter(|s| s.waves == waves && s.end < before);
        let mut rows: Vec<SegmentRow> = segments.filter(held).cloned().collect();
        rows.sort_by_key(|row| (row.end, row.chain, row.seq));
        rows.truncate(limit);
        Ok(rows)
    }
    fn put_mask(&mut self, mask: &Mask) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.series().masks).insert(*mask);
        Ok(())
    }
    fn masks(&mut self, scope: ScopeId) -> Result<Vec<Mask>, StoreError> {
        Ok(self.state.masks.iter().filter(|mask| mask.chain.scope == scope).copied().collect())
    }
    fn sealed_through(&mut self, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
        let mut through: BTreeMap<(String, Boot, bool), u64> = BTreeMap::new();
        for row in self.state.segments.values().filter(|s| s.end >= since) {
            let next = through.entry((row.device.clone(), row.boot, row.waves)).or_default();
            *next = (*next).max(row.next_seq);
        }
        Ok(through.into_iter().map(|((device, boot, waves), next)| (device, boot, waves, next)).collect())
    }
    fn series_mark(&mut self) -> Result<Option<SeriesMark>, StoreError> {
        Ok(Some(SeriesMark { version: self.state.series_version, gone: self.state.series_gone, newest_tick: self.state.next_tick }))
    }
    fn put_tick(&mut self, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError> {
        self.state.next_tick += 1;
        Arc::make_mut(&mut self.state.ticks).insert(self.state.next_tick, [numerics.into(), waves.into()]);
        Ok(self.state.next_tick)
    }
    fn ticks(&mut self, waves: bool, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let later = self.state.ticks.range(after.saturating_add(1)..);
        let asked = later.map(|(id, [numerics, rest])| (*id, if waves { rest } else { numerics }.to_vec()));
        Ok(asked.filter(|(_, bytes)| !bytes.is_empty()).collect())
    }
    fn drop_ticks(&mut self, waves: bool, through: u64) -> Result<(), StoreError> {
        let ticks = Arc::make_mut(&mut self.state.ticks);
        ticks.range_mut(..=through).for_each(|(_, [numerics, rest])| *if waves { rest } else { numerics } = Arc::default());
        ticks.retain(|_, [numerics, waves]| !numerics.is_empty() || !waves.is_empty());
        Ok(())
    }
    fn receipt(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.state.receipts.get(&(signer, to)).cloned())
    }
    fn put_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        let held = Arc::make_mut(&mut self.state.held).entry((receipt.signer, receipt.to)).or_default();
        if receipt.since == ReceiptId::default() {
            held.clear();
        }
        held.extend(receipt.held.iter().map(|h| (h.chain, h.clone())));
        Arc::make_mut(&mut self.state.receipts).insert((receipt.signer, receipt.to), receipt.clone());
        Ok(())
    }
    fn held(&mut self, signer: ReplicaId, to: ReplicaId) -> Result<Vec<Held>, StoreError> {
        Ok(self.state.held.get(&(signer, to)).map(|held| held.values().cloned().collect()).unwrap_or_default())
    }
    fn held_of(&mut self, signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Result<Option<Held>, StoreError> {
        Ok(self.state.held.get(&(signer, to)).and_then(|held| held.get(&chain)).cloned())
    }
    fn unheld(&mut self, author: ReplicaId, signer: ReplicaId) -> Result<(u64, Option<Timestamp>), StoreError> {
        let held = self.state.held.get(&(signer, author));
        let covered = |chain: &ChainId, seq| held.and_then(|h| h.get(chain)).is_some_and(|h| h.covers(seq));
        let own = self.state.rows().filter(|(chain, _, row)| chain.author == author && row.state.holds());
        let waiting: Vec<Timestamp> = own.filter(|(chain, seq, _)| !covered(chain, *seq)).map(|(.., row)| row.at).collect();
        Ok((waiting.len() as u64, waiting.into_iter().min()))
    }
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.state.dead.values().take(1000).cloned().collect())
    }
    fn put_dead_letter(&mut self, letter: &DeadLetter) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.state.dead).insert((letter.chain, letter.seq), letter.clone());
        Ok(())
    }
    fn drop_dead_letter(&mut self, chain: ChainId, seq: u64) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.state.dead).remove(&(chain, seq));
        Ok(())
    }
    fn incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        Ok(self.state.incidents.iter().rev().take(1000).cloned().collect())
    }
    fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError> {
        let same = |i: &Incident| i.author == incident.author && i.kind == incident.kind && i.detail == incident.detail;
        if !self.state.incidents.iter().any(same) {
            Arc::make_mut(&mut self.state.incidents).push(incident.clone());
        }
        Ok(())
    }
    fn close_incident(&mut self, incident: &Incident, closing: &Closing) -> Result<(), StoreError> {
        let same = |i: &&mut Incident| i.author == incident.author && i.kind == incident.kind && i.detail == incident.detail;
        if let Some(held) = Arc::make_mut(&mut self.state.incidents).iter_mut().find(same) {
            held.closed = Some(closing.clone());
        }
        Ok(())
    }
    fn value(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state.values.get(key).cloned())
    }
    fn put_value(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.state.values).insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}
