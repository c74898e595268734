//! What every store must do, as one suite: [`run`] it against yours.
//!
//! A check that fails returns what it expected and what it saw, so that the suite can live in a library.

use crate::entropy::Entropy;
use crate::store::{Applied, DeadLetter, DocumentFilter, Incident, Scope, SegmentRow, Store, StoreError, StoredDocument};
use record::binding::{Binding, Bound};
use record::id::{Hash, ReplicaId, RunId, ScopeId};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::grant::ScopeRole;
use record::ledger::receipt::Receipt;
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
    undone(make().as_mut())?;
    waiting(make().as_mut())?;
    documents(make().as_mut())?;
    bindings(make().as_mut())?;
    segments(make().as_mut())?;
    journal(make().as_mut())?;
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
    }
}

fn entries(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let (first, after_first) = stretch(&me, Head::empty(chain), 3);
    let (second, after_second) = stretch(&me, after_first, 2);
    let mut tx = store.begin()?;
    same("a chain without entries has no head", None, tx.head(chain)?)?;
    tx.put_scope(&scope(&me, 1))?;
    tx.append(&first, after_first, Applied::Done, Timestamp(10))?;
    tx.append(&second, after_second, Applied::Done, Timestamp(20))?;
    tx.commit()?;
    let mut tx = store.begin()?;
    same("the head is that of the last stretch", Some(after_second), tx.head(chain)?)?;
    same("heads lists it", vec![after_second], tx.heads()?)?;
    same("stretches come back whole", vec![first.clone(), second.clone()], tx.stretches(chain, 0, 1 << 20)?)?;
    same("a small budget still gives one", vec![first.clone()], tx.stretches(chain, 0, 1)?)?;
    same("from a boundary on", vec![second.clone()], tx.stretches(chain, 3, 1 << 20)?)?;
    let mid = tx.stretches(chain, 1, 1)?;
    same("from within a stretch, its rest with its signature", Some(1), mid.first().and_then(|s| s.headers.first()).map(|h| h.seq))?;
    same("which is signed", Some(first.signature), mid.first().map(|s| s.signature))?;
    same("past the end there is nothing", Vec::<Stretch>::new(), tx.stretches(chain, 5, 1 << 20)?)?;
    let entry = tx.entry(chain, 3)?;
    same("an entry by its place", second.headers.first().cloned(), entry.as_ref().map(|e| e.header.clone()))?;
    same("with its payload", second.payloads.first().cloned(), entry.map(|e| e.payload))?;
    same("no entry past the end", true, tx.entry(chain, 9)?.is_none())?;
    same("header hashes are kept", Some(after_first.hash), tx.header_hash(chain, 2)?)?;
    same("entries are counted by author", 5, tx.count_entries(me.replica())?)?;
    same("none of others", 0, tx.count_entries(ReplicaId([0; 32]))?)?;
    same("the oldest not covered, nothing acked", Some(Timestamp(10)), tx.oldest_after(me.replica(), &[])?)?;
    same("the oldest not covered, first acked", Some(Timestamp(20)), tx.oldest_after(me.replica(), &[after_first])?)?;
    same("all covered", None, tx.oldest_after(me.replica(), &[after_second])?)
}

fn undone(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let (one, head) = stretch(&me, Head::empty(chain(&me, 1)), 1);
    let mut tx = store.begin()?;
    tx.append(&one, head, Applied::Done, Timestamp(1))?;
    tx.put_value("k", b"v")?;
    tx.put_tick(b"tick")?;
    drop(tx);
    let mut tx = store.begin()?;
    same("a dropped transaction left no head", true, tx.heads()?.is_empty())?;
    same("nor a value", None, tx.value("k")?)?;
    same("nor a tick", true, tx.ticks()?.is_empty())
}

fn waiting(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let (one, head) = stretch(&me, Head::empty(chain), 3);
    let mut tx = store.begin()?;
    tx.append(&one, head, Applied::Waiting, Timestamp(1))?;
    tx.mark(chain, 1, Applied::Done)?;
    let seqs: Vec<u64> = tx.waiting(chain.scope)?.iter().map(|e| e.header.seq).collect();
    same("entries wait until marked, in arrival order", vec![0, 2], seqs)?;
    let wanted = scope(&me, 1);
    tx.put_scope(&Scope { key: None, role: None, ..wanted.clone() })?;
    tx.put_scope(&wanted)?;
    same("a scope is replaced", vec![wanted], tx.scopes()?)
}

fn documents(store: &mut dyn Store) -> Result<(), Failure> {
    let id = |text: &str| text.parse().map_err(|_| Failure::Data("id"));
    let make = |name: &str, scope: u8, json: &str| -> Result<StoredDocument, Failure> {
        Ok(StoredDocument {
            resource_type: "Patient".to_owned(),
            id: id(name)?,
            scope: ScopeId([scope; 16]),
            parts: vec![1, 2],
            json: json.to_owned(),
            version: "v1".to_owned(),
            updated: Hlc { trusted: true, wall_ms: 5, counter: 6 },
        })
    };
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
        };
        Ok(tx.documents(&filter)?.into_iter().map(|d| d.id.to_string()).collect())
    };
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    same("all, ids ascending, without those that have no genesis", names(&["a", "b", "c"]), list(None, None, 10)?)?;
    same("of one scope", names(&["a", "b"]), list(Some(1), None, 10)?)?;
    same("a page", names(&["b"]), list(None, Some("a"), 1)?)
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
    let row = |seq, waves, start, end| SegmentRow {
        chain,
        seq,
        device: "ox-1".to_owned(),
        boot: Boot([2; 12]),
        waves,
        start: Timestamp(start),
        end: Timestamp(end),
        next_seq: 10 * (seq + 1),
    };
    let mut tx = store.begin()?;
    tx.append(&one, head, Applied::Done, Timestamp(1))?;
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
    same("sealed through, by device session and kind", wanted, through)
}

fn journal(store: &mut dyn Store) -> Result<(), Failure> {
    let mut tx = store.begin()?;
    let ids = [tx.put_tick(b"a")?, tx.put_tick(b"b")?, tx.put_tick(b"c")?];
    same("tick ids ascend", true, ids[0] < ids[1] && ids[1] < ids[2])?;
    tx.drop_ticks(ids[1])?;
    tx.commit()?;
    let mut tx = store.begin()?;
    same("ticks after the dropped ones stay", vec![(ids[2], b"c".to_vec())], tx.ticks()?)?;
    tx.drop_ticks(ids[2])?;
    tx.commit()?;
    let mut tx = store.begin()?;
    let next = tx.put_tick(b"d")?;
    same("ids are never reused", true, next > ids[2])
}

fn trouble(store: &mut dyn Store) -> Result<(), Failure> {
    let me = author()?;
    let chain = chain(&me, 1);
    let mut tx = store.begin()?;
    let receipt = |at| Receipt::sign(&me, me.replica(), Timestamp(at), vec![Head::empty(chain)], Hash([1; 32]));
    tx.put_receipt(&receipt(1))?;
    tx.put_receipt(&receipt(2))?;
    same("the newest receipt of a signer", Some(receipt(2)), tx.receipt(me.replica())?)?;
    let letter = DeadLetter { chain, seq: 3, reason: "why".to_owned() };
    tx.put_dead_letter(&letter)?;
    tx.put_dead_letter(&letter)?;
    same("a dead letter once", vec![letter], tx.dead_letters()?)?;
    tx.drop_dead_letter(chain, 3)?;
    same("and gone", true, tx.dead_letters()?.is_empty())?;
    let incident =
        |at, detail: &str| Incident { author: me.replica(), kind: "fork".to_owned(), detail: detail.to_owned(), at: Timestamp(at) };
    for incident in [incident(1, "a"), incident(2, "b"), incident(3, "a")] {
        tx.put_incident(&incident)?;
    }
    same("incidents newest first, repeats dropped", vec![incident(2, "b"), incident(1, "a")], tx.incidents()?)?;
    tx.put_value("k", b"1")?;
    tx.put_value("k", b"2")?;
    same("a value is replaced", Some(b"2".to_vec()), tx.value("k")?)
}
