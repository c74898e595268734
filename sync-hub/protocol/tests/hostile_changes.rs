//! An enrolled site whose entries are in order and whose document changes are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::conformance::Counting;
use protocol::memory::MemoryStore;
use protocol::{Commit, Draft, Peer, PeerRole, Replica, Store, Where};
use record::document::Document;
use record::id::{ResourceId, RunId, ScopeId};
use record::ledger::body::{Act, Body, Change, DocumentEvent};
use record::ledger::entry::{VERSION, sha256};
use record::ledger::seal::{self, Place};
use record::ledger::{ChainId, Head, Header, Hlc, Identity, Stretch};
use record::series::{Segment, SegmentKind};
use record::time::{Now, Timestamp};
use serde_json::{Value, json};

const RUN: RunId = RunId([9; 8]);

fn now() -> Now {
    Now { wall: Timestamp::from_millis(1_700_000_000_000), ..Now::default() }
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32]).expect("identity")
}

fn open(seed: u8) -> (Replica, MemoryStore) {
    let mut store = MemoryStore::default();
    let dice = &mut Counting(u64::from(seed) * 1_000_000);
    let replica = Replica::open(&mut store, identity(seed), RUN, "test/1", now(), dice).expect("open");
    (replica, store)
}

fn patient() -> ResourceId {
    "p1".parse().expect("id")
}

fn changed(changes: Vec<Vec<u8>>) -> Body {
    Body::Documents(vec![DocumentEvent::Change(Change { resource_type: "Patient".to_owned(), id: patient(), changes })])
}

/// A segment whose directory is in order and whose last column ends too early.
fn torn_segment() -> Body {
    let segment = Segment::build(SegmentKind::Numerics, &[support::frame(0, 1000, 97)]).expect("segment");
    let mut bytes = Body::Segment(segment).encode(&Act::system());
    *bytes.last_mut().expect("bytes") ^= 0xff;
    Body::decode(&bytes).expect("a segment").1
}

/// A signed stretch of the site's chain in `scope`, right after what its store holds.
fn forged(site: &mut MemoryStore, scope: ScopeId, bodies: &[Body]) -> Stretch {
    let author = identity(1);
    let mut tx = site.begin().expect("begin");
    let (key_id, key) = tx.scopes().expect("scopes").into_iter().find(|s| s.id == scope).and_then(|s| s.key).expect("key");
    let chain = ChainId { scope, author: author.replica(), run: RUN };
    let mut head: Head = tx.chains().expect("chains").into_iter().find(|c| c.head.chain == chain).expect("begun").head;
    let mut stretch = Stretch { headers: Vec::new(), payloads: Vec::new(), signature: [0; 64] };
    for body in bodies {
        let place = Place { author: chain.author, run: RUN, scope, seq: head.next, kind: body.kind() };
        let payload = seal::seal(Some(&key), &place, &body.encode(&Act::system())).expect("seal");
        let header = Header {
            v: VERSION,
            author: chain.author,
            run: RUN,
            scope,
            seq: head.next,
            key_id,
            kind: body.kind(),
            hlc: Hlc { trusted: true, wall_ms: 1_700_000_000_100 + head.next, counter: 0 },
            group: None,
            payload_hash: sha256(&[&payload]),
            len: u32::try_from(payload.len()).expect("short"),
        };
        head = Head { chain, next: head.next + 1, hash: header.hash(head.hash) };
        stretch.headers.push(header);
        stretch.payloads.push(payload);
    }
    stretch.signature = author.sign_head(head.hash);
    stretch
}

#[test]
fn a_change_that_cannot_be_read_or_is_forged_is_a_dead_letter_and_the_document_goes_on() {
    let ((mut site, mut site_store), (mut hub, mut hub_store)) = (open(1), open(2));
    let dice = &mut Counting(77);
    let peer = Peer { replica: hub.id(), seal_public: hub.identity().seal_public(), role: PeerRole::Hub };
    site.admit(&mut site_store, now(), dice, peer).expect("admit");
    let resource = json!({"resourceType": "Patient", "id": "p1", "gender": "female"});
    let commit = Commit { drafts: vec![Draft::Create { place: Where::Site, resource }], ..Commit::default() };
    site.commit(&mut site_store, now(), dice, &commit).expect("commit");
    let scope = site.scope_of(&"p1".parse().expect("id")).expect("scope");
    let written: Vec<Stretch> = {
        let mut tx = site_store.begin().expect("begin");
        let chains = tx.chains().expect("chains");
        let mut stretches: Vec<Stretch> = chains.iter().flat_map(|c| tx.stretches(c.head.chain, 0, 1000).expect("stretches")).collect();
        for stretch in &mut stretches {
            for (header, payload) in stretch.headers.iter().zip(&mut stretch.payloads) {
                *payload = tx.entry(header.chain(), header.seq).expect("read").expect("entry").payload;
            }
        }
        stretches
    };

    let parts = site_store.begin().expect("begin").document("Patient", &patient()).expect("read").expect("held").parts;
    let document: Document = postcard::from_bytes(&parts).expect("parts");
    let edit = |by: u8, element: &str, value: Value| {
        let elements = [(element.to_owned(), value)].into_iter().collect();
        document.edit(identity(by).replica(), RUN, Hlc { trusted: true, wall_ms: 1_700_000_000_050, counter: 0 }, &elements).expect("edit")
    };
    // The eighth byte says that a change is deflated; the next ones are in the name of somebody else.
    let mut deflated = edit(3, "active", json!(false));
    deflated[0][8] = 2;
    let bodies = [
        changed(deflated),
        changed(edit(4, "birthDate", json!("1960-01-01"))),
        changed(edit(4, "birthDate", json!("1961-01-01"))),
        changed(edit(1, "gender", json!("other"))),
        torn_segment(),
    ];
    let forged = forged(&mut site_store, scope, &bodies);
    let bad = forged.headers[0].seq;

    let (entries, source) = (bodies.len() as u64, site.id());
    hub.accept(&mut hub_store, now(), source, &written, &[]).expect("accept");
    let accepted = hub.accept(&mut hub_store, now(), source, &[forged], &[]).expect("accept");
    assert_eq!((accepted.entries, accepted.refused.len()), (entries, 0));
    let mut tx = hub_store.begin().expect("begin");
    let dead: Vec<u64> = tx.dead_letters().expect("dead letters").iter().map(|letter| letter.seq).collect();
    assert_eq!(dead, [bad, bad + 1, bad + 2, bad + 4]);
    assert_eq!(tx.segments(scope, false, Timestamp(i64::MIN), Timestamp(i64::MAX), 9).expect("segments"), []);
    let shown = tx.document("Patient", &patient()).expect("read").expect("held").json;
    assert_eq!(serde_json::from_str::<Value>(&shown).expect("json")["gender"], "other");
}
