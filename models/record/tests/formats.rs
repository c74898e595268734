//! What is on disks and wires for good. A difference here breaks every appliance in the field: it takes a new version
//! number beside the old reader, never a new snapshot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use record::binding::{Binding, Bound};
use record::code::Code;
use record::decimal::Decimal;
use record::id::{GroupId, Hash, ReplicaId, RunId, ScopeId};
use record::ledger::body::{
    Acknowledgement, AuditEvent, Change, DocumentEvent, Erasure, Genesis, Member, Membership, Refiling, Revocation, RunStart, Span,
    segment_in,
};
use record::ledger::entry::VERSION;
use record::ledger::grant::{Grant, ScopeRole};
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::ledger::seal::{Place, open};
use record::ledger::{Act, Body, ChainId, Head, Header, Hlc, Identity, Kind, ScopeKey, set_digest};
use record::observation::{NoValue, Quality, WaveBlock};
use record::series::{Boot, Frame, Numeric, Segment, SegmentKind, encode_tick};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;

fn chain() -> ChainId {
    ChainId { scope: ScopeId([1; 16]), author: ReplicaId([2; 32]), run: RunId([3; 8]) }
}

fn header() -> Header {
    Header {
        v: VERSION,
        author: chain().author,
        run: chain().run,
        scope: chain().scope,
        seq: 300,
        key_id: 1,
        kind: Kind::NUMERICS,
        hlc: Hlc { trusted: true, wall_ms: 1_700_000_000_123, counter: 7 },
        group: Some(GroupId([4; 8])),
        payload_hash: Hash([5; 32]),
        len: 4096,
    }
}

fn frames() -> Vec<Frame> {
    let numeric = |code, value, quality| Numeric { code, value, unit: Unit::Percent, quality };
    let wave = WaveBlock {
        code: Code::ECG_II,
        rate_hz: Decimal::whole(300),
        unit: Unit::Millivolt,
        scale: Decimal::new(1, -3),
        raw: vec![-2, 0, 5],
        good: true,
        demo: false,
    };
    let frame = |seq, ms| Frame {
        device: "ox-1".parse().expect("id"),
        boot: Boot([6; 12]),
        first_seq: seq,
        arrived: Timestamp::from_millis(ms),
        arrived_mono: Monotonic(9),
        measured: Timestamp::from_millis(ms - 5),
        device_time: Some(Timestamp::from_millis(ms - 7)),
        offset_us: Some(-2000),
        bed: Some("2".parse().expect("bed")),
        numerics: vec![
            numeric(Code::SPO2, Ok(Decimal::new(966, -1)), Quality::Good),
            numeric(Code::Mdc(77), Err(NoValue::SensorOff), Quality::Good),
        ],
        waves: vec![wave.clone()],
    };
    vec![frame(0, 1_700_000_000_000), frame(3, 1_700_000_001_000)]
}

#[test]
fn a_header_and_its_hash_are_these_bytes() {
    let header = header();
    insta::assert_snapshot!("header", format!("{}\n{}", hex::encode(header.bytes()), header.hash(chain().root())));
}

#[test]
fn every_kind_of_body_is_these_bytes() {
    let id = || "r-1".parse().expect("id");
    let grant = Grant {
        role: ScopeRole::Patient,
        creator: chain().author,
        key_id: 1,
        to: chain().author,
        encapsulated: vec![1, 2],
        wrapped: vec![3],
    };
    let audit = AuditEvent {
        at: Timestamp(8),
        user: "u".into(),
        session: "s".into(),
        action: "read".into(),
        what: vec!["Patient/p".into()],
        ok: true,
    };
    let binding = Binding {
        id: id(),
        what: Bound::Patient { patient: "p-1".parse().expect("id"), scope: chain().scope },
        bed: "2".parse().expect("bed"),
        from: Timestamp(1),
        until: Some(Timestamp(2)),
    };
    let bodies = [
        Body::RunStart(RunStart { continues: vec![Head::empty(chain())], program: "edge-agent/0.1.0".into(), written: Some(300) }),
        Body::Documents(vec![
            DocumentEvent::Genesis(Genesis { resource_type: "Patient".into(), id: id(), shape: 1, json: "{}".into() }),
            DocumentEvent::Change(Change { resource_type: "Patient".into(), id: id(), changes: vec![vec![1, 2, 3]] }),
            DocumentEvent::Acknowledgement(Acknowledgement { alert: id(), by: "nurse".into(), at: Timestamp(5) }),
        ]),
        Body::Segment(Segment::build(SegmentKind::Numerics, &frames()).expect("segment")),
        Body::Segment(Segment::build(SegmentKind::Waves, &frames()).expect("segment")),
        Body::Binding(binding),
        Body::Grant(grant),
        Body::Audit(vec![audit]),
        Body::Refiling(Refiling::Mask { chain: chain(), seq: 4, from: Timestamp(5), to: Timestamp(6) }),
        Body::Refiling(Refiling::Copy {
            chain: chain(),
            seq: 4,
            segment: Segment::build(SegmentKind::Numerics, &frames()).expect("segment"),
        }),
        Body::Shed(vec![Span { chain: chain(), from: 3, to: 9 }]),
        Body::Membership(Membership::Ends { replica: chain().author, granted: Hlc::default() }),
        Body::Membership(Membership::Left { scopes: vec![(chain().scope, Hlc::default())] }),
        Body::Erasure(Erasure::Ordered { members: vec![Member { replica: chain().author, granted: Hlc::default(), left: true }] }),
        Body::Erasure(Erasure::Done),
        Body::Revocation(Revocation { replica: chain().author, heads: vec![Head::empty(chain())] }),
    ];
    let act = Act { user: "nurse".into(), session: "s1".into(), reason: String::new() };
    let lines: Vec<String> = bodies.iter().map(|body| format!("{} {}", body.kind().0, hex::encode(body.encode(&act)))).collect();
    insta::assert_snapshot!("bodies", lines.join("\n"));
    for body in bodies {
        let segment = segment_in(&body.encode(&act)).map(|view| view.frames());
        match &body {
            Body::Segment(held) | Body::Refiling(Refiling::Copy { segment: held, .. }) => assert_eq!(segment, Ok(held.frames())),
            _ => assert!(segment.is_err()),
        }
        assert_eq!(Body::decode(&body.encode(&act)).expect("decode"), (act.clone(), body));
    }
}

#[test]
fn a_tick_of_the_journal_is_these_bytes() {
    insta::assert_snapshot!("tick", encode_tick(&frames()).map(hex::encode).join("\n"));
}

#[test]
fn digests_receipts_and_signatures_are_these_bytes() {
    let identity = Identity::from_seed(&[9; 32]).expect("identity");
    let heads = [Head { chain: chain(), next: 3, hash: Hash([7; 32]) }];
    let held = Held { chain: chain(), next: 3, gaps: vec![(1, 2)] };
    let receipt = Receipt::sign(&identity, chain().author, Timestamp(11), ReceiptId([1; 8]), vec![held], set_digest(&heads).all);
    let lines = [
        format!("replica {}", identity.replica()),
        format!("seal key {}", hex::encode(identity.seal_public())),
        format!("digest {}", set_digest(&heads).all),
        format!("receipt {}", hex::encode(receipt.signature)),
        format!("head {}", hex::encode(identity.sign_head(Hash([7; 32])))),
    ];
    insta::assert_snapshot!("proofs", lines.join("\n"));
}

#[test]
fn a_payload_sealed_by_the_first_version_still_opens() {
    let place = Place { author: chain().author, run: chain().run, scope: chain().scope, seq: 300, kind: Kind::AUDIT };
    let key = ScopeKey([8; 32]);
    let sealed = hex::decode(include_str!("formats/sealed.hex").trim()).expect("hex");
    assert_eq!(open(Some(&key), &place, &sealed).expect("open"), b"what was said");
    for (name, other) in [("seq", Place { seq: 301, ..place }), ("scope", Place { scope: ScopeId([9; 16]), ..place })] {
        assert!(open(Some(&key), &other, &sealed).is_err(), "moved to another {name}");
    }
}
