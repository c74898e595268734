//! What every store must do, as one suite: [`run`] it against yours.
//!
//! A check that fails returns what it expected and what it saw, so that the suite can live in a library.

use crate::access::Access;
use crate::entropy::Entropy;
use crate::store::{
    Chain, Closing, DeadLetter, DocumentFilter, Incident, Logged, Mask, Scope, SegmentRow, State, Store, StoreError, StoredDocument,
    Transaction,
};
use record::binding::{Binding, Bound};
use record::id::{Hash, ReplicaId, RunId, ScopeId};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::grant::ScopeRole;
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::ledger::{ChainId, Head, Header, Hlc, Identity, Kind, ScopeKey, Stretch};
use record::series::Boot;
use record::time::Timestamp;

/// A check that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store answered otherwise than it must.
    #[error("{check}: expected {expected}, got {got}")]
    Differs {
        /// Which check.
        check: &'static str,
        /// What every store must answer.
        expected: String,
        /// What this one did.
        got: String,
    },
    /// The store failed outright.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The suite could not make its own test data.
    #[error("the suite's own data: {0}")]
    Data(&'static str),
}

/// Runs every check, each on a fresh store from `make`.
///
/// # Errors
/// The first check that fails.
pub fn run(make: &mut dyn FnMut() -> Box<dyn Store>) -> Result<(), Failure> {
    entries(make().as_mut())?;
    log(make().as_mut())?;
    payloads(make().as_mut())?;
    wanted(make().as_mut())?;
    clearing(make().as_mut())?;
    undone(make().as_mut())?;
    scopes(make().as_mut())?;
    documents(make().as_mut())?;
    bindings(make().as_mut())?;
    segments(make().as_mut())?;
    marks(make().as_mut())?;
    journal(make().as_mut())?;
    receipts(make().as_mut())?;
    trouble(make().as_mut())
}

/// A deterministic source of bytes for tests: SHA-256 of a counter.
#[derive(Clone, Debug, Default)]
pub struct Counting(pub u64);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.0 += 1;
            let block = sha256(&[b"lamplight/test-entropy", &self.0.to_be_bytes()]);
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(check: &'static str, expected: T, got: T) -> Result<(), Failure> {
    if expected == got { Ok(()) } else { Err(Failure::Differs { check, expected: format!("{expected:?}"), got: format!("{got:?}") }) }
}

fn author() -> Result<Identity, Failure> {
    Identity::from_seed(&[7; 32]).map_err(|_| Failure::Data("identity"))
}

/// `count` entries of a chain after `head`, as one stretch.
fn stretch(author: &Identity, mut head: Head, count: u64) -> (Stretch, Head) {
    let (mut headers, mut payloads) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let payload = vec![head.next as u8; 40];
        let header = Header {
            v: VERSION,
            author: head.chain.author,
            run: head.chain.run,
            scope: head.chain.scope,
            seq: head.next,
            key_id: 1,
            kind: Kind::AUDIT,
            hlc: Hlc { trusted: true, wall_ms: 1000 + head.next, counter: 0 },
            group: None,
            payload_hash: sha256(&[&payload]),
            len: 40,
        };
        head = Head { chain: head.chain, next: head.next + 1, hash: header.hash(head.hash) };
        headers.push(header);
        payloads.push(payload);
    }
    (Stretch { headers, payloads, signature: author.sign_head(head.hash) }, head)
}

fn chain(author: &Identity, scope: u8) -> ChainId {
    ChainId { scope: ScopeId([scope; 16]), author: author.replica(), run: RunId([1; 8]) }
}

fn scope(author: &Identity, id: u8) -> Scope {
    Scope {
        id: ScopeId([id; 16]),
        role: Some(ScopeRole::Site),
        creator: author.replica(),
        key: Some((1, ScopeKey([id; 32]))),
        patient: None,
        access: access(author.replica()),
    }
}

fn access(of: ReplicaId) -> Access {
    let mut access = Access::default();
    access.grant(of, Hlc { trusted: true, wall_ms: 7, counter: 0 }, of);
    access
}

/// The headers of a stretch alone.
fn bare(stretch: &Stretch) -> Stretch {
    Stretch { payloads: vec![Vec::new(); stretch.headers.len()], ..stretch.clone() }
}

fn logged(arrival: u64, stretch: &Stretch) -> Logged {
    Logged { arrival, headers: stretch.headers.clone(), signature: stretch.signature }
}

fn states(tx: &mut dyn Transaction, chain: ChainId) -> Result<Vec<State>, Failure> {
    let mut states = Vec::new();
    while let Some(entry) = tx.entry(chain, states.len() as u64)? {
        states.push(entry.state);
    }
    Ok(states)
}

fn entries(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let (first, after_first) = stretch(&me, Head::empty(chain), 3);
    let (second, after_second) = stretch(&me, after_first, 2);
    let mut tx = store.begin()?;
    same("a new store has no chains", true, tx.chains()?.is_empty())?;
    tx.put_scope(&scope(&me, 1))?;
    let one = tx.append(&first, after_first, State::Done, Timestamp(10))?;
    let two = tx.append(&second, after_second, State::Done, Timestamp(20))?;
    same("arrival numbers ascend, one an entry", true, two == one + 2)?;
    tx.commit()?;
    let mut tx = store.begin()?;
    let hlc = Hlc { trusted: true, wall_ms: 1004, counter: 0 };
    let kept = Chain { head: after_second, arrival: two, hlc, continued: 0 };
    same("a chain is where its last stretch ended", vec![kept], tx.chains()?)?;
    tx.set_continued(chain, 4)?;
    tx.set_continued(chain, 2)?;
    same("how far a later run says it went only grows", vec![Chain { continued: 4, ..kept }], tx.chains()?)?;
    let (more, head) = stretch(&me, after_second, 1);
    tx.append(&more, head, State::Done, Timestamp(30))?;
    same("and stays when the chain grows", vec![4], tx.chains()?.iter().map(|c| c.continued).collect())?;
    same("stretches come back whole, without payloads", vec![bare(&first), bare(&second), bare(&more)], tx.stretches(chain, 0, 100)?)?;
    same("a small limit still gives one", vec![bare(&first)], tx.stretches(chain, 0, 1)?)?;
    same("from a boundary on", vec![bare(&second)], tx.stretches(chain, 3, 1)?)?;
    let mid = tx.stretches(chain, 1, 1)?;
    same("from within a stretch, its rest with its signature", Some(1), mid.first().and_then(|s| s.headers.first()).map(|h| h.seq))?;
    same("which is signed", Some(first.signature), mid.first().map(|s| s.signature))?;
    same("past the end there is nothing", Vec::<Stretch>::new(), tx.stretches(chain, 6, 100)?)?;
    let entry = tx.entry(chain, 3)?;
    same("an entry by its place", second.headers.first().cloned(), entry.as_ref().map(|e| e.header.clone()))?;
    same("with its payload", second.payloads.first().cloned(), entry.as_ref().map(|e| e.payload.clone()))?;
    same("in its state", Some(State::Done), entry.map(|e| e.state))?;
    same("no entry past the end", true, tx.entry(chain, 9)?.is_none())?;
    same("header hashes are kept", Some(after_first.hash), tx.header_hash(chain, 2)?)?;
    same("with the entries", Some(after_first.hash), tx.entry(chain, 2)?.map(|e| e.hash))?;
    same("entries are counted by author", 6, tx.count_entries(me.replica())?)?;
    same("none of others", 0, tx.count_entries(ReplicaId([0; 32]))?)
}

fn log(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let (left, right) = (chain(&me, 1), chain(&me, 2));
    let (a, after_a) = stretch(&me, Head::empty(left), 2);
    let (b, after_b) = stretch(&me, Head::empty(right), 3);
    let (c, after_c) = stretch(&me, after_a, 1);
    let mut tx = store.begin()?;
    let one = tx.append(&a, after_a, State::Done, Timestamp(1))?;
    let two = tx.append(&b, after_b, State::Done, Timestamp(2))?;
    let three = tx.append(&c, after_c, State::Done, Timestamp(3))?;
    tx.commit()?;
    let mut tx = store.begin()?;
    let all = tx.log(0, 100, &mut |_| true)?;
    same("the log is in order of arrival", vec![logged(one, &a), logged(two, &b), logged(three, &c)], all.stretches)?;
    same("it was read to its end", (three, false), (all.reached, all.more))?;
    let page = tx.log(one, 1, &mut |_| true)?;
    same("a page goes on after a place, a stretch at least", vec![logged(two, &b)], page.stretches)?;
    same("and says that there is more", (two, true), (page.reached, page.more))?;
    let page = tx.log(0, 100, &mut |chain| *chain == right)?;
    same("other chains are left out", vec![logged(two, &b)], page.stretches)?;
    same("and read past all the same", (three, false), (page.reached, page.more))?;
    let page = tx.log(three, 100, &mut |_| true)?;
    same("at the end there is nothing", (0, three, false), (page.stretches.len(), page.reached, page.more))
}

fn payloads(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let (whole, head) = stretch(&me, Head::empty(chain), 4);
    let mut sent = whole.clone();
    for payload in sent.payloads.iter_mut().skip(2) {
        payload.clear();
    }
    let mut tx = store.begin()?;
    tx.append(&sent, head, State::Waiting, Timestamp(1))?;
    same(
        "an entry without payload is wanted",
        vec![State::Waiting, State::Waiting, State::Wanted, State::Wanted],
        states(tx.as_mut(), chain)?,
    )?;
    let waiting: Vec<u64> = tx.in_state(State::Waiting, Some(chain.scope), 10)?.iter().map(|e| e.header.seq).collect();
    same("entries by state, in order of arrival", vec![0, 1], waiting)?;
    same("at most so many", 1, tx.in_state(State::Waiting, None, 1)?.len())?;
    same("none of another scope", 0, tx.in_state(State::Waiting, Some(ScopeId([9; 16])), 10)?.len())?;
    same("without their payloads", true, tx.in_state(State::Waiting, None, 9)?.iter().all(|e| e.payload.is_empty()))?;
    same("nothing has come of a wanted one", true, tx.part(chain, 2)?.is_empty())?;
    tx.put_part(chain, 2, b"abc")?;
    tx.put_part(chain, 2, b"abcdef")?;
    same("what has come of it is kept", b"abcdef".to_vec(), tx.part(chain, 2)?)?;
    let payload = whole.payloads.get(2).cloned().unwrap_or_default();
    tx.put_payload(chain, 2, &payload, State::Done)?;
    same("until it is whole", true, tx.part(chain, 2)?.is_empty())?;
    same("and there", Some((State::Done, payload)), tx.entry(chain, 2)?.map(|e| (e.state, e.payload)))?;
    tx.mark(chain, 0, State::Done)?;
    tx.mark(chain, 1, State::Shed)?;
    same("into a state that holds nothing, its payload goes", Some(true), tx.entry(chain, 1)?.map(|e| e.payload.is_empty()))?;
    same("what is lacking, by place", vec![(1, State::Shed), (3, State::Wanted)], tx.lacking(chain)?)?;
    same("each in its state", vec![State::Done, State::Shed, State::Done, State::Wanted], states(tx.as_mut(), chain)?)
}

fn wanted(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let mut tx = store.begin()?;
    let kinds = [(1, Kind::WAVES, 9), (2, Kind::NUMERICS, 5), (3, Kind::DOCUMENTS, 1), (4, Kind::NUMERICS, 8), (5, Kind::AUDIT, 2)];
    for (scope, kind, wall_ms) in kinds {
        let chain = chain(&me, scope);
        let (mut stretch, _) = stretch(&me, Head::empty(chain), 1);
        let mut head = Head::empty(chain);
        for header in &mut stretch.headers {
            (header.kind, header.hlc.wall_ms) = (kind, wall_ms);
            head = Head { chain, next: 1, hash: header.hash(head.hash) };
        }
        tx.append(&bare(&stretch), head, State::Waiting, Timestamp(1))?;
    }
    let mut list = |limit, without: u8| -> Result<Vec<u8>, Failure> {
        let headers = tx.wanted(limit, &mut |chain| chain.scope.0[0] != without)?;
        Ok(headers.iter().map(|h| h.scope.0[0]).collect())
    };
    same("documents first, then numerics, then waves, each newest first", vec![5, 3, 4, 2, 1], list(10, 0)?)?;
    same("at most so many", vec![5, 3], list(2, 0)?)?;
    same("of the chains asked for", vec![5, 3, 2, 1], list(10, 4)?)
}

fn clearing(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let (gone, kept) = (chain(&me, 1), chain(&me, 2));
    let mut tx = store.begin()?;
    for chain in [gone, kept] {
        let (mut two, _) = stretch(&me, Head::empty(chain), 2);
        let mut head = Head::empty(chain);
        for header in &mut two.headers {
            header.kind = if header.seq == 0 { Kind::ERASURE } else { Kind::NUMERICS };
            head = Head { chain, next: header.seq + 1, hash: header.hash(head.hash) };
        }
        tx.append(&two, head, State::Done, Timestamp(1))?;
        tx.put_segment(&row(chain, 1, false, 0, 9))?;
        tx.put_mask(&Mask { chain, seq: 1, from: Timestamp(1), to: Timestamp(2) })?;
        tx.put_document(&document(&format!("d{}", chain.scope.0[0]), chain.scope.0[0], "{}")?)?;
    }
    tx.clear(gone.scope, State::Erased)?;
    same("a scope's payloads go, but for those that outlive it", vec![State::Done, State::Erased], states(tx.as_mut(), gone)?)?;
    same("those of others stay", vec![State::Done, State::Done], states(tx.as_mut(), kept)?)?;
    let mut views = |chain: ChainId| -> Result<[usize; 3], Failure> {
        let filter =
            DocumentFilter { resource_type: "Patient".to_owned(), scope: Some(chain.scope), limit: 9, ..DocumentFilter::default() };
        let segments = tx.segments(chain.scope, false, Timestamp(0), Timestamp(99), 9)?.len();
        Ok([segments, tx.masks(chain.scope)?.len(), tx.documents(&filter)?.len()])
    };
    same("its views go", [0, 0, 0], views(gone)?)?;
    same("and no others", [1, 1, 1], views(kept)?)?;
    tx.clear(kept.scope, State::Dropped)?;
    tx.clear(kept.scope, State::Wanted)?;
    same("what was dropped is wanted again", vec![State::Done, State::Wanted], states(tx.as_mut(), kept)?)?;
    tx.clear(gone.scope, State::Wanted)?;
    same("what was erased never", vec![State::Done, State::Erased], states(tx.as_mut(), gone)?)
}

fn undone(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let (one, head) = stretch(&me, Head::empty(chain(&me, 1)), 1);
    let mut tx = store.begin()?;
    tx.append(&one, head, State::Done, Timestamp(1))?;
    tx.put_value("k", b"v")?;
    tx.put_tick(b"tick", b"")?;
    drop(tx);
    let mut tx = store.begin()?;
    same("a dropped transaction left no head", true, tx.chains()?.is_empty())?;
    same("nor a value", None, tx.value("k")?)?;
    same("nor a tick", true, tx.ticks(false, 0)?.is_empty())
}

fn scopes(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let mut tx = store.begin()?;
    let wanted = scope(&me, 1);
    tx.put_scope(&Scope { key: None, role: None, access: Access::default(), ..wanted.clone() })?;
    tx.put_scope(&wanted)?;
    same("a scope is replaced", vec![wanted.clone()], tx.scopes()?)?;
    same("and found by id", Some(wanted.clone()), tx.scope(wanted.id)?)?;
    same("none by another", None, tx.scope(ScopeId([9; 16]))?)?;
    let patient: record::id::PatientId = "p1".parse().map_err(|_| Failure::Data("id"))?;
    same("no scope is about an unknown patient", true, tx.scopes_of(&patient)?.is_empty())?;
    let about = Scope { id: ScopeId([2; 16]), role: Some(ScopeRole::Patient), patient: Some(patient.clone()), ..wanted };
    tx.put_scope(&about)?;
    same("a patient's is found by the patient", vec![about], tx.scopes_of(&patient)?)
}

fn document(name: &str, scope: u8, json: &str) -> Result<StoredDocument, Failure> {
    Ok(StoredDocument {
        resource_type: "Patient".to_owned(),
        id: name.parse().map_err(|_| Failure::Data("id"))?,
        scope: ScopeId([scope; 16]),
        parts: vec![1, 2],
        json: json.to_owned(),
        version: "v1".to_owned(),
        updated: Hlc { trusted: true, wall_ms: 5, counter: 6 },
        conflicted: false,
        keys: Vec::new(),
    })
}

fn row(chain: ChainId, seq: u64, waves: bool, start: i64, end: i64) -> SegmentRow {
    SegmentRow {
        chain,
        seq,
        device: "ox-1".to_owned(),
        boot: Boot([2; 12]),
        waves,
        start: Timestamp(start),
        end: Timestamp(end),
        next_seq: 10 * (seq + 1),
    }
}

fn documents(store: &mut dyn Store) -> Result<(), Failure> {
    let id = |text: &str| text.parse().map_err(|_| Failure::Data("id"));
    let make = document;
    let mut tx = store.begin()?;
    for document in [make("b", 1, "{}")?, make("a", 1, "{}")?, make("c", 2, "{}")?, make("d", 1, "")?] {
        tx.put_document(&document)?;
    }
    tx.put_document(&StoredDocument { version: "v2".to_owned(), ..make("a", 1, r#"{"x":1}"#)? })?;
    tx.commit()?;
    let mut tx = store.begin()?;
    same("a document is replaced", Some("v2".to_owned()), tx.document("Patient", &id("a")?)?.map(|d| d.version))?;
    same("its stamp is kept", Some(6), tx.document("Patient", &id("a")?)?.map(|d| d.updated.counter))?;
    same("of another type there is none", true, tx.document("Device", &id("a")?)?.is_none())?;
    let mut list = |scope: Option<u8>, after: Option<&str>, limit| -> Result<Vec<String>, Failure> {
        let filter = DocumentFilter {
            resource_type: "Patient".to_owned(),
            scope: scope.map(|s| ScopeId([s; 16])),
            after: after.map(str::to_owned),
            limit,
            ..DocumentFilter::default()
        };
        Ok(tx.documents(&filter)?.into_iter().map(|d| d.id.to_string()).collect())
    };
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    same("all, ids ascending, without those that have no genesis", names(&["a", "b", "c"]), list(None, None, 10)?)?;
    same("of one scope", names(&["a", "b"]), list(Some(1), None, 10)?)?;
    same("a page", names(&["b"]), list(None, Some("a"), 1)?)?;
    drop(tx);
    found_by(store)
}

/// Documents that wait for a choice, and those that have a key.
fn found_by(store: &mut dyn Store) -> Result<(), Failure> {
    let mut tx = store.begin()?;
    for (name, scope, conflicted, keys) in [("a", 1, true, vec![7, -1]), ("b", 1, true, vec![7]), ("c", 2, true, vec![i64::MIN])] {
        tx.put_document(&StoredDocument { conflicted, keys, ..document(name, scope, "{}")? })?;
    }
    tx.put_document(&StoredDocument { keys: vec![-1, 8], ..document("b", 1, "{}")? })?;
    tx.commit()?;
    let mut tx = store.begin()?;
    let all = DocumentFilter { resource_type: "Patient".to_owned(), limit: 9, ..DocumentFilter::default() };
    let mut list = |filter: DocumentFilter| -> Result<Vec<String>, Failure> {
        Ok(tx.documents(&filter)?.into_iter().map(|d| d.id.to_string()).collect())
    };
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    same("those that wait for a choice", names(&["a", "c"]), list(DocumentFilter { conflicted: true, ..all.clone() })?)?;
    let of_scope = DocumentFilter { conflicted: true, scope: Some(ScopeId([1; 16])), ..all.clone() };
    same("those of one scope that do", names(&["a"]), list(of_scope)?)?;
    let after = DocumentFilter { conflicted: true, after: Some("a".to_owned()), limit: 1, ..all.clone() };
    same("a page of them", names(&["c"]), list(after)?)?;
    let by = |keys: &[i64]| DocumentFilter { keys: keys.to_vec(), ..all.clone() };
    same("by any of their keys, each once", names(&["a", "b", "c"]), list(by(&[-1, 7, 8, i64::MIN]))?)?;
    same("a key that was replaced is gone", names(&["a"]), list(by(&[7]))?)?;
    let page = DocumentFilter { after: Some("a".to_owned()), limit: 1, ..by(&[-1, 7, i64::MIN]) };
    same("a page by key", names(&["b"]), list(page)?)?;
    tx.clear(ScopeId([1; 16]), State::Dropped)?;
    same("keys go with their document", names(&["c"]), {
        let found = tx.documents(&by(&[-1, 7, 8, i64::MIN]))?;
        found.into_iter().map(|d| d.id.to_string()).collect()
    })
}

fn bindings(store: &mut dyn Store) -> Result<(), Failure> {
    let binding = |until| -> Result<Binding, Failure> {
        Ok(Binding {
            id: "b1".parse().map_err(|_| Failure::Data("id"))?,
            what: Bound::Device("ox-1".parse().map_err(|_| Failure::Data("id"))?),
            bed: "2".parse().map_err(|_| Failure::Data("id"))?,
            from: Timestamp(1),
            until,
        })
    };
    let stamp = |n| Hlc { trusted: true, wall_ms: n, counter: 0 };
    let mut tx = store.begin()?;
    tx.put_binding(stamp(1), &binding(None)?)?;
    tx.put_binding(stamp(1), &binding(None)?)?;
    tx.put_binding(stamp(2), &binding(Some(Timestamp(9)))?)?;
    let mut held = tx.bindings()?;
    held.sort_by_key(|(hlc, _)| *hlc);
    same("every version once", vec![(stamp(1), binding(None)?), (stamp(2), binding(Some(Timestamp(9)))?)], held)
}

fn segments(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let (one, head) = stretch(&me, Head::empty(chain), 4);
    let row = |seq, waves, start, end| row(chain, seq, waves, start, end);
    let mut tx = store.begin()?;
    tx.append(&one, head, State::Done, Timestamp(1))?;
    for row in [row(0, false, 0, 99), row(1, false, 100, 199), row(2, true, 0, 99), row(3, false, 200, 299)] {
        tx.put_segment(&row)?;
        tx.put_segment(&row)?;
    }
    tx.commit()?;
    let mut tx = store.begin()?;
    let mut find = |waves, from, to, limit| -> Result<Vec<u64>, Failure> {
        Ok(tx.segments(chain.scope, waves, Timestamp(from), Timestamp(to), limit)?.into_iter().map(|s| s.seq).collect())
    };
    same("those that overlap, newest first", vec![1, 0], find(false, 50, 150, 10)?)?;
    same("both ends count", vec![1], find(false, 199, 199, 10)?)?;
    same("waves apart", vec![2], find(true, 0, 1000, 10)?)?;
    same("limited", vec![3], find(false, 0, 1000, 1)?)?;
    let mut through = tx.sealed_through(Timestamp(0))?;
    through.sort_by_key(|(_, _, waves, _)| *waves);
    let wanted = vec![("ox-1".to_owned(), Boot([2; 12]), false, 40), ("ox-1".to_owned(), Boot([2; 12]), true, 30)];
    same("sealed through, by device session and kind", wanted, through)?;
    let oldest = |tx: &mut dyn Transaction, before, limit| -> Result<Vec<u64>, Failure> {
        Ok(tx.oldest_segments(false, Timestamp(before), limit)?.into_iter().map(|s| s.seq).collect())
    };
    same("the oldest that end before a moment", vec![0, 1], oldest(tx.as_mut(), 299, 9)?)?;
    same("at most so many", vec![0], oldest(tx.as_mut(), 999, 1)?)?;
    tx.mark(chain, 0, State::Dropped)?;
    same("those whose payload is here", vec![1, 3], oldest(tx.as_mut(), 999, 9)?)?;
    let mask = |from| Mask { chain, seq: 1, from: Timestamp(from), to: Timestamp(150) };
    for mask in [mask(120), mask(100), mask(120)] {
        tx.put_mask(&mask)?;
    }
    let mut masks = tx.masks(chain.scope)?;
    masks.sort_unstable();
    same("each mask once", vec![mask(100), mask(120)], masks)
}

/// What changes the answers to a reader of numerics, and what it must then forget.
fn marks(store: &mut dyn Store) -> Result<(), Failure> {
    type Change<'a> = (&'static str, bool, &'a dyn Fn(&mut dyn Transaction) -> Result<(), StoreError>);
    let Some(mut before) = store.begin()?.series_mark()? else { return Ok(()) };
    same("no tick yet", 0, before.newest_tick)?;
    let me = author()?;
    let chain = chain(&me, 1);
    let (one, head) = stretch(&me, Head::empty(chain), 2);
    let (about, patient) = (scope(&me, 1), document("a", 1, "{}")?);
    let closed = Scope { key: None, ..about.clone() };
    let what = Bound::Device("ox-1".parse().map_err(|_| Failure::Data("id"))?);
    let (id, bed) = ("b1".parse().map_err(|_| Failure::Data("id"))?, "2".parse().map_err(|_| Failure::Data("id"))?);
    let binding = Binding { id, what, bed, from: Timestamp(1), until: None };
    let stamp = Hlc { trusted: true, wall_ms: 1, counter: 0 };
    let changes: [Change<'_>; 10] = [
        ("a scope", false, &|tx| tx.put_scope(&about)),
        ("a patient", false, &|tx| tx.put_document(&patient)),
        ("a segment", false, &|tx| {
            tx.append(&one, head, State::Done, Timestamp(1))?;
            tx.put_segment(&row(chain, 0, false, 0, 99))
        }),
        ("another segment", false, &|tx| tx.put_segment(&row(chain, 1, false, 100, 199))),
        ("a mask", false, &|tx| tx.put_mask(&Mask { chain, seq: 0, from: Timestamp(1), to: Timestamp(2) })),
        ("a binding", false, &|tx| tx.put_binding(stamp, &binding)),
        ("a payload that goes", true, &|tx| tx.mark(chain, 0, State::Dropped)),
        ("a payload that comes back", false, &|tx| tx.put_payload(chain, 0, b"sealed", State::Done)),
        ("a scope that is cleared", true, &|tx| tx.clear(chain.scope, State::Erased)),
        ("a key that goes", true, &|tx| tx.put_scope(&closed)),
    ];
    for (check, gone, change) in changes {
        let mut tx = store.begin()?;
        change(tx.as_mut())?;
        tx.commit()?;
        let Some(after) = store.begin()?.series_mark()? else { return Err(Failure::Data("a mark that is there no longer")) };
        same(check, true, after.version != before.version && (!gone || after.gone != before.gone))?;
        before = after;
    }
    let mut tx = store.begin()?;
    let tick = tx.put_tick(b"a", b"A")?;
    tx.drop_ticks(false, tick)?;
    tx.drop_ticks(true, tick)?;
    same("the newest tick, though dropped", Some(tick), tx.series_mark()?.map(|mark| mark.newest_tick))
}

fn journal(store: &mut dyn Store) -> Result<(), Failure> {
    let mut tx = store.begin()?;
    let ids = [tx.put_tick(b"a", b"")?, tx.put_tick(b"b", b"B")?, tx.put_tick(b"c", b"C")?];
    same("tick ids ascend", true, ids[0] < ids[1] && ids[1] < ids[2])?;
    same("only what is there is listed", vec![(ids[1], b"B".to_vec()), (ids[2], b"C".to_vec())], tx.ticks(true, 0)?)?;
    same("ticks past one", vec![(ids[2], b"c".to_vec())], tx.ticks(false, ids[1])?)?;
    tx.drop_ticks(false, ids[1])?;
    tx.drop_ticks(true, ids[2])?;
    tx.commit()?;
    let mut tx = store.begin()?;
    same("ticks after the dropped ones stay", vec![(ids[2], b"c".to_vec())], tx.ticks(false, 0)?)?;
    same("waves go by themselves", Vec::new(), tx.ticks(true, 0)?)?;
    tx.drop_ticks(false, ids[2])?;
    same("all are gone", Vec::new(), tx.ticks(false, 0)?)?;
    tx.commit()?;
    let mut tx = store.begin()?;
    let next = tx.put_tick(b"d", b"D")?;
    same("ids are never reused", true, next > ids[2])
}

fn receipts(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let other = Identity::from_seed(&[8; 32]).map_err(|_| Failure::Data("identity"))?;
    let (left, right) = (chain(&me, 1), chain(&me, 2));
    let held = |chain, next, gaps: &[(u64, u64)]| Held { chain, next, gaps: gaps.to_vec() };
    let mut tx = store.begin()?;
    for (chain, at) in [(left, 10), (right, 20)] {
        let (three, head) = stretch(&me, Head::empty(chain), 3);
        tx.append(&three, head, State::Done, Timestamp(at))?;
    }
    same("nothing is signed for at first", (6, Some(Timestamp(10))), tx.unheld(me.replica(), other.replica())?)?;
    let full = Receipt::sign(
        &other,
        me.replica(),
        Timestamp(1),
        ReceiptId::default(),
        vec![held(left, 3, &[]), held(right, 1, &[])],
        Hash([1; 32]),
    );
    tx.put_receipt(&full)?;
    same("the newest of a signer to a replica", Some(full.clone()), tx.receipt(other.replica(), me.replica())?)?;
    same("none the other way", None, tx.receipt(me.replica(), other.replica())?)?;
    same("what is not covered waits", (2, Some(Timestamp(20))), tx.unheld(me.replica(), other.replica())?)?;
    let added = Receipt::sign(&other, me.replica(), Timestamp(2), full.id(), vec![held(right, 3, &[(1, 2)])], Hash([2; 32]));
    tx.put_receipt(&added)?;
    let mut all = tx.held(other.replica(), me.replica())?;
    all.sort_unstable();
    same("a receipt adds to the one before", vec![held(left, 3, &[]), held(right, 3, &[(1, 2)])], all)?;
    same("by chain", Some(held(left, 3, &[])), tx.held_of(other.replica(), me.replica(), left)?)?;
    same("gaps wait", (1, Some(Timestamp(20))), tx.unheld(me.replica(), other.replica())?)?;
    let anew = Receipt::sign(&other, me.replica(), Timestamp(3), ReceiptId::default(), vec![held(left, 2, &[])], Hash([3; 32]));
    tx.put_receipt(&anew)?;
    same("one that stands alone replaces all", vec![held(left, 2, &[])], tx.held(other.replica(), me.replica())?)?;
    same("so that more waits", (4, Some(Timestamp(10))), tx.unheld(me.replica(), other.replica())?)
}

fn trouble(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let mut tx = store.begin()?;
    let letter = DeadLetter { chain, seq: 3, reason: "why".to_owned() };
    tx.put_dead_letter(&letter)?;
    tx.put_dead_letter(&letter)?;
    same("a dead letter once", vec![letter], tx.dead_letters()?)?;
    tx.drop_dead_letter(chain, 3)?;
    same("and gone", true, tx.dead_letters()?.is_empty())?;
    let incident = |at, detail: &str| {
        let (author, kind, detail) = (me.replica(), "fork".to_owned(), detail.to_owned());
        Incident { author, kind, detail, at: Timestamp(at), closed: None }
    };
    for incident in [incident(1, "a"), incident(2, "b"), incident(3, "a")] {
        tx.put_incident(&incident)?;
    }
    same("incidents newest first, repeats dropped", vec![incident(2, "b"), incident(1, "a")], tx.incidents()?)?;
    let closing = Closing { at: Timestamp(4), by: "op".to_owned(), reason: "looked at".to_owned() };
    tx.close_incident(&incident(9, "a"), &closing)?;
    tx.close_incident(&incident(9, "unknown"), &closing)?;
    tx.put_incident(&incident(5, "a"))?;
    let closed = Incident { closed: Some(closing), ..incident(1, "a") };
    same("a closed incident is kept, and a repeat leaves it closed", vec![incident(2, "b"), closed], tx.incidents()?)?;
    tx.put_value("k", b"1")?;
    tx.put_value("k", b"2")?;
    same("a value is replaced", Some(b"2".to_vec()), tx.value("k")?)
}
