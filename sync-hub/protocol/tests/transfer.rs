//! What goes over the line: sizes, order, and what a cut costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::session::{Session, Step};
use protocol::wire::{self, BUDGET, Message};
use protocol::{Draft, Store, Where};
use record::code::Code;
use record::decimal::Decimal;
use record::observation::WaveBlock;
use record::series::{Frame, Segment, SegmentKind};
use record::unit::Unit;
use serde_json::json;
use support::{Node, enrolled, frame, sync};

/// A segment of waves that does not compress: about two bytes a sample.
fn waves(seq: u64, at_ms: i64, samples: usize) -> Segment {
    let mut state = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let raw = (0..samples).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i32::from(state as u16)
    });
    let block = WaveBlock {
        code: Code::ECG_II,
        rate_hz: Decimal::whole(300),
        unit: Unit::Millivolt,
        scale: Decimal::new(1, -3),
        raw: raw.collect(),
        good: true,
        demo: false,
    };
    let frame = Frame { numerics: Vec::new(), waves: vec![block], ..frame(seq, at_ms, 97) };
    Segment::build(SegmentKind::Waves, &[frame]).expect("segment")
}

#[test]
fn three_thousand_documents_take_few_bytes_each() {
    let (mut site, mut hub) = enrolled();
    let patients: Vec<_> = (0..100).map(|n| site.patient(&format!("p{n}"))).collect();
    sync(&mut site, &mut hub);
    for (n, patient) in patients.iter().enumerate() {
        let visit = (0..30).map(|k| Draft::Create {
            place: Where::Patient(patient.clone()),
            resource: json!({
                "resourceType": "Observation", "id": format!("o-{n}-{k}"), "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
                "subject": {"reference": format!("Patient/p{n}")},
                "effectiveDateTime": format!("2026-03-{:02}T10:{:02}:00Z", 1 + n % 28, k),
                "valueQuantity": {"value": 36.5 + f64::from(k) / 10.0, "unit": "Cel", "system": "http://unitsofmeasure.org", "code": "Cel"}
            }),
        });
        site.commit(visit.collect());
    }
    let now = site.now();
    let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
    let (mut up, mut down, mut trips) = (0, 0, 0);
    loop {
        trips += 1;
        up += wire::encode(&message, site.replica.id(), hub.replica.id()).len();
        let now = hub.now();
        let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &message).expect("answer");
        down += wire::encode(&reply, hub.replica.id(), site.replica.id()).len();
        let now = site.now();
        match session.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
            Step::Ask(next) => message = *next,
            Step::Done(summary) => {
                assert!(summary.equal);
                break;
            }
        }
    }
    println!("{up} bytes up, {down} down, {trips} round trips, {:.1} bytes a document", f64::from((up + down) as u32) / 3000.0);
    assert!(up + down <= 70 * 3000, "{up} + {down} bytes in {trips} trips");
}

#[test]
fn documents_come_before_numerics_and_numerics_before_waves_the_newest_first() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    sync(&mut site, &mut hub);
    for n in 0..6 {
        site.commit(vec![Draft::Segment { place: Where::Patient(patient.clone()), segment: waves(n, 1000 * n as i64, 40_000) }]);
        let numerics = Segment::build(SegmentKind::Numerics, &[frame(100 + n, 1000 * n as i64, 97)]).expect("segment");
        site.commit(vec![Draft::Segment { place: Where::Patient(patient.clone()), segment: numerics }]);
    }
    site.commit(vec![Draft::Create { place: Where::Patient(patient), resource: json!({"resourceType": "Task", "id": "t1"}) }]);
    let now = site.now();
    let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
    let mut came = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let now = hub.now();
        assert!(wire::encode(&message, site.replica.id(), hub.replica.id()).len() <= BUDGET + 16 * 1024, "a message stays small");
        let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &message).expect("answer");
        let mut tx = hub.store.begin().expect("begin");
        let scope = site.replica.scope_of(&"p1".parse().expect("id")).expect("scope");
        for chain in tx.chains().expect("chains").into_iter().filter(|c| c.head.chain.scope == scope) {
            for seq in 0..chain.head.next {
                let entry = tx.entry(chain.head.chain, seq).expect("read").expect("entry");
                if entry.state.holds() && seen.insert((chain.head.chain, seq)) {
                    came.push((entry.header.kind.priority(), entry.header.hlc));
                }
            }
        }
        drop(tx);
        let now = site.now();
        match session.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
            Step::Ask(next) => message = *next,
            Step::Done(summary) => {
                assert!(summary.equal);
                break;
            }
        }
    }
    let priorities: Vec<u8> = came.iter().map(|(p, _)| *p).collect();
    assert!(priorities.is_sorted(), "{priorities:?}");
    let waves: Vec<_> = came.iter().filter(|(p, _)| *p == 2).map(|(_, hlc)| *hlc).collect();
    assert!(waves.len() == 6 && waves.is_sorted_by(|a, b| a > b), "the newest first: {waves:?}");
}

#[test]
fn a_line_cut_anywhere_costs_at_most_one_message_and_the_rest_goes_on_from_there() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    sync(&mut site, &mut hub);
    site.commit(vec![Draft::Segment { place: Where::Patient(patient), segment: waves(0, 0, 250_000) }]);
    let (mut sent, mut cuts) = (0, 0);
    'sessions: for session in 0..100 {
        let now = site.now();
        let (mut open, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
        for trip in 0..1000 {
            let bytes = wire::encode(&message, site.replica.id(), hub.replica.id());
            sent += bytes.len();
            // Every fourth message is lost on its way, every fifth answer.
            if (session + trip) % 4 == 3 {
                cuts += 1;
                continue 'sessions;
            }
            let received: Message = wire::decode(&bytes, site.replica.id(), hub.replica.id()).expect("message");
            let now = hub.now();
            let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &received).expect("answer");
            if (session + trip) % 5 == 4 {
                cuts += 1;
                continue 'sessions;
            }
            let now = site.now();
            match open.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
                Step::Ask(next) => message = *next,
                Step::Done(summary) => {
                    assert!(summary.equal);
                    break 'sessions;
                }
            }
        }
    }
    let whole = 500_000;
    println!("{sent} bytes sent for {whole}, {cuts} cuts");
    assert!(cuts >= 4);
    assert!(sent <= whole + whole / 20 + cuts * 64 * 1024, "{sent} bytes with {cuts} cuts");
    assert!(sync(&mut site, &mut hub).0.equal);
}

#[test]
fn a_restored_site_among_many_chains_finds_the_difference_in_few_bytes() {
    let (mut site, mut hub) = enrolled();
    for n in 0..400 {
        site.patient(&format!("p{n}"));
    }
    sync(&mut site, &mut hub);
    let backup = site.store.clone();
    site.patient("lost");
    sync(&mut site, &mut hub);
    let mut store = backup;
    let mut tx = store.begin().expect("begin");
    tx.put_value(protocol::replica::LOG, b"").expect("put");
    tx.commit().expect("commit");
    let mut site = Node::started(1, store, protocol::conformance::Counting(99_999), site.clock + 1000, 9);
    let before = site.replica.written();
    let now = site.now();
    let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
    let mut bytes = 0;
    loop {
        bytes += wire::encode(&message, site.replica.id(), hub.replica.id()).len();
        let now = hub.now();
        let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &message).expect("answer");
        bytes += wire::encode(&reply, hub.replica.id(), site.replica.id()).len();
        let now = site.now();
        match session.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
            Step::Ask(next) => message = *next,
            Step::Done(summary) => {
                assert!(summary.equal);
                break;
            }
        }
    }
    assert!(site.replica.written() > before, "its own lost entries came back");
    assert_eq!(site.shown("Patient", "lost")["gender"], "female");
    println!("{bytes} bytes among 400 chains");
    assert!(bytes < 20_000, "{bytes}");
}
